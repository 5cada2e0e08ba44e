// AttentionMap: any part of one head's map, regenerated from a Capture. Cheap to make and to copy; holds no
// map. Thread: any (tile() is reentrant). Axes of a tile: [query, key], absolute positions.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/base/ids.h"
#include "core/capture/capture.h"
#include "kernels/attention.h"

namespace saccade {

struct Tile {
  TileRequest request;
  int64_t rows = 0, columns = 0;  // of the output: ceil(range / lod)
  HostTensor block_max;           // [rows, columns], probability
  HostTensor block_mass;          // [rows, columns], sum of probability; the same numbers at lod 1
};

class AttentionMap {
 public:
  // Error when the head does not exist or the capture kept no q and k.
  static Result<AttentionMap> of(std::shared_ptr<const Capture> capture, HeadId head,
                                 const KernelSet& kernels);
  // The map as the softmax left it: edits of scores are in it, those of weights are not. Its rows sum to 1.
  static Result<AttentionMap> before_weight_edits(std::shared_ptr<const Capture> capture, HeadId head,
                                                  const KernelSet& kernels);

  [[nodiscard]] HeadId head() const { return head_; }
  [[nodiscard]] int64_t size() const { return capture_->n_token(); }  // queries = keys
  [[nodiscard]] const Capture& capture() const { return *capture_; }
  // Whether no query sees a later key.
  [[nodiscard]] bool causal() const { return input_.mask.causal && input_.mask.prefix == 0; }
  // Whether causality or the window alone leaves nothing in these queries and keys: no need to look.
  [[nodiscard]] bool masked(int64_t rows_begin, int64_t rows_end, int64_t columns_begin,
                            int64_t columns_end) const;
  // rows and columns are clipped to the map by the caller; lod is a power of two.
  [[nodiscard]] Result<Tile> tile(int64_t rows_begin, int64_t rows_end, int64_t columns_begin,
                                  int64_t columns_end, int64_t lod) const;
  // Exact probabilities of queries [begin, end) and keys [0, columns) into out, row-major.
  Result<void> rows(int64_t begin, int64_t end, int64_t columns, std::span<float> out) const;
  [[nodiscard]] Result<float> weight(int64_t query, int64_t key) const;
  [[nodiscard]] Result<std::vector<float>> weights_at(std::span<const int32_t> query,
                                                      std::span<const int32_t> key) const;
  // The whole map at the level of detail that makes it at most `side` on a side, for the head grid.
  [[nodiscard]] Result<Tile> thumbnail(int64_t side) const;

 private:
  // What input_ points to besides the capture; never changed once made.
  struct Parts {
    std::vector<HeadPlan> score_plans;
    std::vector<const float*> row_factors;
    // Of a layer whose segments have no order: this head alone, as a model of one head would have it.
    HostTensor q, k;
    std::vector<std::vector<EdgeRect>> knockouts;
  };
  void take_order_free(const LayerCapture& layer, Parts& parts);

  std::shared_ptr<const Capture> capture_;
  std::shared_ptr<const Parts> parts_;
  HeadId head_;
  int64_t kernel_head_ = 0;  // which of input_'s heads that is
  const KernelSet* kernels_ = nullptr;
  TileInput input_;
};

}  // namespace saccade
