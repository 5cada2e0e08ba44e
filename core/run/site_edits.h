// SiteEdits: a request's edits, applied where the forward pass stands. One object per run or generation; it
// remembers the means taken over the prompt, so that decoding can go on with them. Thread: the engine thread.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "core/base/host_tensor.h"
#include "core/run/edit_plan.h"
#include "core/run/run_request.h"

namespace saccade {

// How numbers that a reference run did not record are made again.
struct ReferenceSource {
  // z of a layer, [pos, head, d_head].
  std::function<Result<HostTensor>(const Capture& reference, int32_t layer)> z;
  // A block of a head's map, [query, key].
  std::function<Result<HostTensor>(const std::shared_ptr<const Capture>& reference, HeadId head,
                                   PositionRange query, PositionRange key)>
      pattern;
};

class SiteEdits {
 public:
  SiteEdits(const RunRequest& request, const ModelSpec& spec, ReferenceSource source);

  // Refuses edits whose `from=` names nothing, or a run or vectors of another shape or length.
  [[nodiscard]] Result<void> check() const;
  // Applies in list order every edit that acts on `site`. values: [rows, columns] of positions
  // [first_position, first_position + rows); at z the columns are (head, d_head). query_norms, for gates:
  // |q| of every row and head, [rows, head].
  Result<void> apply(SiteRef site, std::span<float> values, int64_t rows, int64_t first_position,
                     std::span<const float> query_norms = {});
  [[nodiscard]] bool acts_on(SiteRef site) const;
  // Edits that give single heads of the layer another residual to project q, k or v from, in list order.
  [[nodiscard]] std::vector<const Edit*> input_edits(int32_t layer) const;
  // The residual that such an edit lets the layer read, [pos, d_model].
  Result<HostTensor> input_of(const Edit& edit, int32_t layer) {
    return reference_values(edit, {HookSite::resid_pre, layer});
  }
  [[nodiscard]] bool gates(int32_t layer) const;  // whether z of the layer needs query_norms
  // What acts inside the layer's attention, padding among what is knocked out; made on first use.
  Result<const LayerPlan*> plan(int32_t layer);
  // From here on means over positions stay what they are, whatever rows come.
  void freeze_means() { means_are_frozen_ = true; }

 private:
  struct Block {  // the columns of one head, or all of them
    size_t edit = 0;
    SiteRef site;
    int32_t head = -1;
    int64_t column = 0, width = 0, columns = 0;
  };
  struct Rows {
    std::span<float> values;
    int64_t count = 0, first_position = 0;
    std::span<const float> query_norms;
  };
  using Action = Result<void> (SiteEdits::*)(const Block& block, const Rows& rows);

  [[nodiscard]] static Action action_of(EditVerb verb);
  Result<void> zero(const Block& block, const Rows& rows);
  Result<void> scale(const Block& block, const Rows& rows);
  Result<void> take_mean(const Block& block, const Rows& rows);
  Result<void> replace(const Block& block, const Rows& rows);
  Result<void> offset(const Block& block, const Rows& rows);
  Result<void> add(const Block& block, const Rows& rows);
  Result<void> gate(const Block& block, const Rows& rows);
  // The heads of the edit's target as they are stored at its part: KV heads for k and v.
  [[nodiscard]] std::vector<int32_t> stored_heads(const Edit& edit) const;
  // Calls body(row, position) for the rows that the block's edit acts on.
  void for_rows(const Block& block, const Rows& rows,
                const std::function<void(float* row, int64_t position)>& body) const;
  Result<std::vector<float>> mean_of(const Block& block, const Rows& rows);
  Result<HostTensor> reference_values(const Edit& edit, SiteRef site);
  [[nodiscard]] Result<std::shared_ptr<const Capture>> reference_of(const Edit& edit) const;
  [[nodiscard]] Result<void> check_reference(const Edit& edit) const;
  [[nodiscard]] Result<void> check_vectors(const Edit& edit) const;
  [[nodiscard]] Result<void> check_patterns() const;
  [[nodiscard]] Result<PatternBlock> pattern(const Edit& edit, HeadId head,
                                             const std::optional<PositionRange>& query) const;

  const RunRequest& request_;
  const ModelSpec& spec_;
  ReferenceSource source_;
  std::vector<Edit> edits_;  // those with an effect
  std::vector<EdgeRect> padding_;
  std::vector<EdgeRect> other_windows_;  // of a picture whose patches see only their window in some layers
  bool means_are_frozen_ = false;
  std::map<std::pair<std::string, SiteRef>, HostTensor> references_;
  std::map<std::tuple<size_t, SiteRef, int64_t>, std::vector<float>> means_;
  std::map<int32_t, LayerPlan> plans_;
};

// Whether there is something that the model must not see: padding, or other windows of patches.
[[nodiscard]] bool has_padding(const TokenSequence& tokens, const ModelSpec& spec);
// Whether an edit changes what is computed at this layer (-1: before the first). An edit of resid_pre of
// layer l counts to layer l - 1, whose output it changes.
[[nodiscard]] bool changes_layer(const Edit& edit, int32_t layer);
// The first layer at which the two requests' computations may differ, -1 = from the embedding on, n_layer =
// nowhere.
[[nodiscard]] int32_t first_difference(const RunRequest& a, const RunRequest& b, const ModelSpec& spec);

}  // namespace saccade
