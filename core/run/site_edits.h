// SiteEdits: a request's edits, applied where the forward pass stands. One object per run or generation; it
// remembers the means taken over the prompt, so that decoding can go on with them.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "core/base/host_tensor.h"
#include "core/run/run_request.h"

namespace saccade {

class SiteEdits {
 public:
  // z of a reference run at a layer, for references that did not record it: recomputed from its residual.
  using ReferenceZ = std::function<Result<HostTensor>(const Capture& reference, int32_t layer)>;

  SiteEdits(const RunRequest& request, const ModelSpec& spec, ReferenceZ reference_z);

  // Refuses edits whose `from=` names nothing, or a run of another shape or length.
  [[nodiscard]] Result<void> check() const;
  // Applies in list order every edit that acts on `site`. values: [rows, columns] of positions
  // [first_position, first_position + rows); at z the columns are (head, d_head).
  Result<void> apply(SiteRef site, std::span<float> values, int64_t rows, int64_t first_position);
  [[nodiscard]] bool acts_on(SiteRef site) const;
  // Edges knocked out in a layer: empty, or one list per head. Padding is knocked out in every layer.
  [[nodiscard]] std::vector<std::vector<EdgeRect>> knockouts(int32_t layer) const;
  // From here on means over positions stay what they are, whatever rows come.
  void freeze_means() { means_are_frozen_ = true; }

 private:
  struct Block {  // the columns of one head, or all of them
    size_t edit = 0;
    SiteRef site;
    int64_t column = 0, width = 0, columns = 0;
  };
  Result<void> apply_block(const Block& block, std::span<float> values, int64_t rows, int64_t first_position);
  Result<std::vector<float>> mean_of(const Block& block, std::span<const float> values, int64_t rows,
                                     int64_t first_position);
  Result<HostTensor> reference_values(const Edit& edit, SiteRef site);

  const RunRequest& request_;
  const ModelSpec& spec_;
  ReferenceZ reference_z_;
  std::vector<Edit> edits_;  // those with an effect
  std::vector<EdgeRect> padding_;
  bool means_are_frozen_ = false;
  std::map<std::pair<std::string, SiteRef>, HostTensor> references_;
  std::map<std::tuple<size_t, SiteRef, int64_t>, std::vector<float>> means_;
};

// Whether a token of the request is padding that the model must not see.
[[nodiscard]] bool has_padding(const TokenSequence& tokens, const ModelSpec& spec);
// Whether an edit changes what is computed at this layer (-1: before the first). An edit of resid_pre of
// layer l counts to layer l - 1, whose output it changes.
[[nodiscard]] bool changes_layer(const Edit& edit, int32_t layer);
// The first layer at which the two requests' computations may differ, -1 = from the embedding on, n_layer =
// nowhere.
[[nodiscard]] int32_t first_difference(const RunRequest& a, const RunRequest& b, const ModelSpec& spec);

}  // namespace saccade
