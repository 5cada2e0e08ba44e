// Instrumented attention: the fused forward pass with statistics and edits, and the exact regeneration of any
// part of any map afterwards.
//
// For query row i and key j of one head (query head h reads KV head h / (n_head / n_kv_head)):
//   s_ij = cap(scale * q_i . k_j) - slope |first_query + i - j|   if key j is visible to row i, else -inf
//   cap(s) = softcap tanh(s / softcap), s without a softcap; slope of the head, 0 without ALiBi
//   lse_i = log sum_j exp(s_ij)                 p_ij = exp(s_ij - lse_i)
//   z_i = sum_j p_ij v_j                        (einsum "hqk,khd->qhd")
// Key j is visible to row i iff (not causal or j <= first_query + i), (window == 0 or
// first_query + i - j < window), or j and first_query + i are both below prefix; and no knocked-out rectangle
// of that head holds (first_query + i, j).
// A row that sees no key gives z = 0, lse = -inf, p = 0, entropy 0, max_weight 0, max_key -1.
// Edits of a head (kernels/map_edits.h) change s before the softmax, p after it, and z at the end; lse is
// that of the changed s, every statistic and tile is of the changed p.
//
// Results are float32; q, k and v float32 or bfloat16; sums in float32 or wider. NaN in one row of q stays in
// that row. Thread: any; every function is reentrant and keeps no state. Errors: shapes, strides and null
// pointers that do not fit are refused at the boundary with the numbers (ErrorCode::invalid_argument).
// Source: Dao et al. 2022 (arXiv 2205.14135) for the fused pass; the statistics are ours.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/parallel.h"
#include "kernels/base/result.h"
#include "kernels/map_edits.h"

namespace saccade {

// A bfloat16 number as it lies in memory: the upper half of a float32.
using Bfloat16 = uint16_t;

// A read-only view of [token, head, d_head]: element (t, h, d) is data[t * token_stride + h * head_stride +
// d], or bf16[...] in its place where `bf16` is set. The views of one call have one type.
struct HeadsView {
  const float* data = nullptr;
  int64_t token_stride = 0;
  int64_t head_stride = 0;
  const Bfloat16* bf16 = nullptr;
};
struct MutableHeadsView {
  float* data = nullptr;
  int64_t token_stride = 0;
  int64_t head_stride = 0;
};

// Half-open rectangles of absolute positions: queries [query_begin, query_end) lose keys [key_begin,
// key_end).
struct EdgeRect {
  int64_t query_begin = 0, query_end = 0;
  int64_t key_begin = 0, key_end = 0;
};

struct AttentionShape {
  int64_t n_query = 0, n_key = 0;
  int64_t n_head = 0, n_kv_head = 0;  // n_head is a multiple of n_kv_head
  int64_t d_head = 0;
  int64_t first_query = 0;  // absolute position of query row 0 (decode: n_key - 1)
};

struct AttentionMask {
  bool causal = true;
  int64_t window = 0;  // keys a row may look back on, itself included; 0 = all
  int64_t prefix = 0;  // positions before it see each other in both directions, whatever the window
  // Empty, or one list per query head; heads without edits have an empty list and pay nothing.
  std::span<const std::vector<EdgeRect>> knockouts = {};
};

// What becomes of q_i . k_j before the softmax.
struct AttentionScores {
  float scale = 1.0f;
  float softcap = 0.0f;                // 0 = none (Gemma 2, arXiv 2408.00118)
  std::span<const float> slopes = {};  // ALiBi, per query head (arXiv 2108.12409); empty = none
};

// The mass of a row on some keys, as a statistic: sinks, image tokens, a span.
struct KeyMass {
  KeySet keys = {};
  float* mass = nullptr;  // [head, query]
};

struct AttentionInput {
  AttentionShape shape;
  AttentionMask mask;
  AttentionScores scores;
  HeadsView q, k, v;  // k and v have n_kv_head heads
  // Empty, or one plan per query head; heads with an empty plan pay nothing.
  std::span<const HeadPlan> edits = {};
};

// Where results go. Every pointer but z.data may be null: that statistic is then not computed.
// Row statistics are [head, query], column statistics [head, key], all contiguous. Natural logarithms.
struct AttentionOutput {
  MutableHeadsView z;
  float* lse = nullptr;
  float* entropy = nullptr;     // -sum_j p_ij ln p_ij, nats
  float* max_weight = nullptr;  // max_j p_ij; ties go to the lowest key
  int32_t* max_key = nullptr;
  float* sink_mass = nullptr;      // sum of p_ij over keys j < sink_keys
  float* local_mass = nullptr;     // sum of p_ij over keys with |first_query + i - j| < local_width
  float* mean_distance = nullptr;  // sum_j p_ij |first_query + i - j|, tokens
  float* received = nullptr;       // sum_i p_ij
  float* received_max = nullptr;   // max_i p_ij
  int64_t sink_keys = 1;
  int64_t local_width = 8;
  int top_k = 0;                // 0..16
  float* top_weight = nullptr;  // [head, query, top_k], descending; missing entries 0
  int32_t* top_key = nullptr;   // [head, query, top_k]; missing entries -1
  std::span<const KeyMass> key_masses = {};
  float* value_mass = nullptr;  // [head, query]: sum_j p_ij |v_j|_2
  // Blocks of block_size x block_size cells, counted from query row 0 and key 0; with block_size = 0 none.
  int64_t block_size = 0;
  float* block_max = nullptr;        // [head, ceil(n_query / b), ceil(n_key / b)]: largest p in the block
  float* block_mass = nullptr;       // the same shape: sum of p in the block
  float* received_blocks = nullptr;  // [head, ceil(n_query / b), key]: sum of p over the block's rows
  // What regenerating an edited map needs besides lse: [head][row_factor_count(edits[head]), query]. Empty,
  // or one pointer per head; a pointer may be null (no weight edits, or nobody will look).
  std::span<float* const> row_factors = {};
};

// One head's rows and columns to regenerate. Positions are absolute: row r of the map is query position
// rows_begin + r. lod is the side of the block that one output element stands for: 1 = exact values.
struct TileRequest {
  int64_t head = 0;
  int64_t rows_begin = 0, rows_end = 0;
  int64_t columns_begin = 0, columns_end = 0;
  int64_t lod = 1;
};
// Output [ceil(rows / lod), ceil(columns / lod)], row-major. Either pointer may be null.
// block_max is the largest p in the block; block_mass the sum of p in it. At lod 1 both are p itself.
struct TileOutput {
  float* block_max = nullptr;
  float* block_mass = nullptr;
};

struct TileInput {
  AttentionShape shape;
  AttentionMask mask;
  AttentionScores scores;
  HeadsView q, k;
  const float* lse = nullptr;                      // [head, query], from the forward pass
  std::span<const HeadPlan> edits = {};            // as in the forward pass
  std::span<const float* const> row_factors = {};  // from the forward pass, where edits has weight edits
};

// One way to compute, chosen once per session and passed down. See kernel_sets().
struct KernelSet {
  std::string name;         // "avx512", "avx2", "baseline"
  std::string description;  // instruction set and vector width, for people
  Result<void> (*forward)(const AttentionInput&, const AttentionOutput&, const Parallel&) = nullptr;
  Result<void> (*tile)(const TileInput&, const TileRequest&, const TileOutput&) = nullptr;
  // p at given (query, key) absolute positions of one head: out[n] = p(query[n], key[n]).
  Result<void> (*weights_at)(const TileInput&, int64_t head, std::span<const int32_t> query,
                             std::span<const int32_t> key, float* out) = nullptr;
};

// Those this machine can run, best first. Never empty.
[[nodiscard]] std::span<const KernelSet> kernel_sets();
// "" or "auto" = the best; an unknown or unavailable name is an error that lists the choices.
[[nodiscard]] Result<const KernelSet*> choose_kernels(std::string_view name);

}  // namespace saccade
