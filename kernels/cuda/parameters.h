// What the CUDA kernels are launched with: plain structs of numbers and device pointers, built on the host
// (kernels/cuda/tables.h) and passed by value. Axes and units are those of kernels/attention.h; strides count
// elements. Private to kernels/cuda and its tests.
#pragma once

#include <cstdint>

#include "kernels/attention.h"

namespace saccade::cuda {

// [token, head, d_head] of float or Bfloat16. aligned: every row of d_head elements starts at a multiple of
// 16 bytes and is a multiple of 16 bytes long, so that it can be copied in such pieces.
struct HeadsRecord {
  const void* data = nullptr;
  int64_t token_stride = 0, head_stride = 0;
  bool aligned = false;
};

// [begin, end) of one of the arrays of Tables.
struct Span {
  int32_t begin = 0, end = 0;
};

// One range of a key set; `before` keys of the set stand before it.
struct RangeRecord {
  int64_t begin = 0, end = 0, before = 0;
};

// A ScoreEdit, WeightEdit or OutputEdit (kernels/map_edits.h). Offsets are into Tables::numbers, -1 = none.
struct EditRecord {
  int32_t kind = 0;
  float value = 0.0f;
  int64_t query_begin = 0, query_end = 0;
  Span keys, to, among;
  int64_t sink = 0, recent = 0;                 // stream
  int64_t values = -1;                          // scale_columns; scale of an output edit
  int64_t offset = -1;                          // of an output edit
  float least_mass = 0.0f, least_share = 0.0f;  // redistribute
  int64_t block = -1, block_first_key = 0, block_columns = 0;
  bool rescale = false;
};

struct PlanRecord {
  Span scores, weights, outputs;  // of Tables::edits
};

// Small arrays that describe masks and edits, one copy per call. Null where there is nothing to say.
struct Tables {
  const float* slopes = nullptr;        // [n_head]
  const Span* cuts_of = nullptr;        // [n_head], of cuts
  const EdgeRect* cuts = nullptr;       // knocked-out edges
  const PlanRecord* plans = nullptr;    // [n_head]
  const EditRecord* edits = nullptr;    // of all heads
  const RangeRecord* ranges = nullptr;  // of all key sets
  const float* numbers = nullptr;
  float* const* row_factors = nullptr;  // [n_head][2 per weight edit, query]
  const Span* mass_sets = nullptr;      // [n_mass], of ranges
  float* const* masses = nullptr;       // [n_mass][head, query]
  const int32_t* plain_heads = nullptr;
  const int32_t* edited_heads = nullptr;
};

// Scratch of one call on the device.
struct Workspace {
  float* value_norms = nullptr;  // [n_kv_head, n_key]: |v_j|_2
  int32_t* broken = nullptr;     // [n_kv_head]: 1 where a value is not finite
  // [n_head, n_query], where maps are regenerated in the same call: the largest score (or, before weight
  // edits, lse) and one over the sum of exp(s - largest). lse alone would round large scores once more.
  float *highest = nullptr, *inverse = nullptr;
  float* rows = nullptr;  // [row_slots, n_key]: rows of edited heads while they are worked on
  int32_t row_slots = 0;
  float* partials = nullptr;  // decoding: [n_query, head, split, partial_size]
  int32_t splits = 0;
};

struct Parameters {
  int32_t n_query = 0, n_key = 0, n_head = 0, n_kv_head = 0, d_head = 0, first_query = 0;
  int32_t group = 1;  // query heads per KV head
  int32_t n_plain = 0, n_edited = 0, n_mass = 0;
  bool causal = false;
  int32_t window = 0, prefix = 0;
  float scale = 1.0f, softcap = 0.0f;
  HeadsRecord q, k, v;
  Tables tables;
  Workspace work;

  float* z = nullptr;
  int64_t z_token_stride = 0, z_head_stride = 0;
  float* lse = nullptr;
  float *entropy = nullptr, *max_weight = nullptr, *sink_mass = nullptr, *local_mass = nullptr,
        *mean_distance = nullptr, *value_mass = nullptr;
  int32_t* max_key = nullptr;
  float *received = nullptr, *received_max = nullptr, *received_blocks = nullptr;
  float *block_max = nullptr, *block_mass = nullptr;
  int32_t block_size = 0;
  int32_t sink_keys = 0, local_width = 0;
  int32_t top_k = 0;
  float* top_weight = nullptr;
  int32_t* top_key = nullptr;
};

// A rectangle of maps to regenerate; rows are counted from query row 0. Heads [head, head + n_heads) are done
// in one launch; output [n_heads, ceil(rows / lod), ceil(columns / lod)].
struct TileParameters {
  int32_t head = 0, n_heads = 1;
  int32_t row_begin = 0, row_end = 0, key_begin = 0, key_end = 0;
  int32_t lod = 1;
  float *block_max = nullptr, *block_mass = nullptr;
};

struct CellParameters {
  int32_t head = 0, count = 0;
  const int32_t *query = nullptr, *key = nullptr;  // absolute positions
  float* out = nullptr;
};

}  // namespace saccade::cuda
