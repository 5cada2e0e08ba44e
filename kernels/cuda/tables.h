// The host's half of a call: masks, edits and key sets flattened into one block of bytes that is copied to
// the device once, and the scratch a call needs. Pure functions of the request, the same with and without a
// device; the emulation tests run on them too. Thread: any.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/cuda/parameters.h"

namespace saccade::cuda {

// Offsets into one allocation, each at a multiple of 256 bytes.
class Layout {
 public:
  // Where `bytes` more bytes stand, from the allocation's beginning.
  int64_t reserve(int64_t bytes) {
    const int64_t at = size_;
    size_ += (bytes + 255) / 256 * 256;
    return at;
  }
  [[nodiscard]] int64_t size() const { return size_; }

 private:
  int64_t size_ = 0;
};

// What the passes need beside their inputs and outputs, as offsets of one Layout; -1 = not needed.
struct ScratchPlan {
  int64_t highest = -1, inverse = -1, value_norms = -1, broken = -1, rows = -1, partials = -1;
  int64_t row_factors = -1;  // of heads with weight edits whose factors the caller does not want
  int32_t row_slots = 0, splits = 0;
};
[[nodiscard]] ScratchPlan plan_scratch(const AttentionInput& in, const AttentionOutput& out, Layout& layout);
// One pointer per head: the caller's, or room in the scratch at `base`; null without weight edits.
[[nodiscard]] std::vector<float*> row_factors_of(const AttentionInput& in, const AttentionOutput& out,
                                                 const ScratchPlan& plan, std::byte* base);

// The bytes to copy, and where in them each array of Tables stands; bind() makes pointers of it once the
// block's place is known. row_factors and masses are pointers already and travel as they are.
class TableBlock {
 public:
  static TableBlock of(const AttentionInput& in, const AttentionOutput& out,
                       const std::vector<float*>& row_factors);
  static TableBlock of(const TileInput& in);

  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }
  [[nodiscard]] Tables bind(const void* base) const;
  [[nodiscard]] int32_t n_plain() const { return n_plain_; }
  [[nodiscard]] int32_t n_edited() const { return n_edited_; }

 private:
  struct Offsets {
    int64_t slopes = -1, cuts_of = -1, cuts = -1, plans = -1, edits = -1, ranges = -1, numbers = -1,
            row_factors = -1, mass_sets = -1, masses = -1, plain_heads = -1, edited_heads = -1;
  };
  void add_mask(const AttentionMask& mask, const AttentionScores& scores);
  void add_edits(std::span<const HeadPlan> plans, int64_t n_head, std::span<const KeyMass> masses);
  template <class T>
  int64_t add(std::span<const T> items);

  std::vector<std::byte> bytes_;
  Offsets at_;
  int32_t n_plain_ = 0, n_edited_ = 0;
};

// Pointers of `in` and `out` are the device's (the host's, where the kernels are emulated).
[[nodiscard]] Parameters parameters_of(const AttentionInput& in, const AttentionOutput& out,
                                       const TableBlock& tables, const void* table_base,
                                       const ScratchPlan& scratch, std::byte* scratch_base);
[[nodiscard]] Parameters parameters_of(const TileInput& in, const TableBlock& tables, const void* table_base);

[[nodiscard]] TileParameters tile_parameters_of(const AttentionShape& shape, const TileRequest& request,
                                                const TileOutput& out);

// The kernels count tokens, heads and block sizes in 32 bits.
[[nodiscard]] bool fits_32_bits(const AttentionShape& shape);

// Heads up to this size have tiled kernels; larger ones take the row kernel.
inline constexpr int64_t largest_tiled_head = 256;
// Decoding: this many query rows at most, and this many keys per thread block.
inline constexpr int32_t decode_rows = 4, decode_keys = 512;
// Numbers that one block of a decoding pass leaves before its d_head sums of values.
inline constexpr int32_t partial_header = 12;

}  // namespace saccade::cuda
