// A problem for the attention kernels: inputs drawn from a seed, buffers for every output, and the comparison
// of a kernel set's results with the oracle.
//
// The bound is that of FlashAttention's own tests: twice the error of the naive float32 version
// (reference::attention<float>) against float64, plus a few units in the last place of the quantity's size.
#pragma once

#include <string>
#include <vector>

#include "kernels/attention.h"
#include "kernels/reference/attention_reference.h"

namespace saccade::testing_attention {

// Tasks drawn by real threads, in whatever order they get them.
[[nodiscard]] Parallel threads(int workers);

struct Case {
  std::string name;
  AttentionShape shape;
  bool causal = true;
  int64_t window = 0;
  float magnitude = 1.0f;           // of the normal numbers in q, k and v
  std::vector<EdgeRect> cuts = {};  // of head 0
  float softcap = 0.0f;
  bool alibi = false;
  bool bf16 = false;
  std::vector<HeadPlan> edits = {};  // empty, or one per head
  int64_t block_size = 8;
  int64_t prefix = 0;
};

// q, k and v sit in one fused buffer, as they come from a fused projection.
struct Problem {
  explicit Problem(const Case& c, uint32_t seed = 1);
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  void ask_for_everything();
  [[nodiscard]] TileInput tile_input() const;
  [[nodiscard]] float& q(int64_t token, int64_t head, int64_t x);
  [[nodiscard]] float& k(int64_t token, int64_t head, int64_t x);
  [[nodiscard]] float& v(int64_t token, int64_t head, int64_t x);

  AttentionShape shape;
  std::vector<HeadPlan> edits;
  std::vector<float> fused;
  std::vector<Bfloat16> narrow;
  std::vector<float> slopes;
  std::vector<std::vector<EdgeRect>> cuts;
  std::vector<float> z, lse, entropy, max_weight, sink_mass, local_mass, mean_distance, value_mass, received,
      received_max, top_weight, block_max, block_mass, received_blocks;
  std::vector<int32_t> max_key, top_key;
  std::vector<KeyMass> masses;
  std::vector<std::vector<float>> mass_values, factors;
  std::vector<float*> factor_pointers;
  std::vector<const float*> const_factor_pointers;
  AttentionInput in;
  AttentionOutput out;
};

// How far results may be off: `slack` times the naive version's error. bf16_rounding: z may further be off by
// what rounding every weight to bfloat16 costs.
struct Bound {
  double slack = 2.0;
  bool bf16_rounding = false;
};

// Runs `kernels` with everything asked for and compares every output with the oracle.
void expect_agrees(const KernelSet& kernels, const Case& c, const Parallel& parallel, Bound bound = {});
// The whole map by tiles, at full detail and in blocks, and single weights, against the forward pass's own
// p and the oracle.
void expect_tiles_agree(const KernelSet& kernels, const Case& c);

}  // namespace saccade::testing_attention
