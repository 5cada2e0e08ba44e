#include "core/run/edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/run/edit_refusal.h"

namespace saccade {

std::string refusal_of(SiteRef site) {
  std::string editable;
  for (const HookSiteInfo& info : hook_sites())
    if (info.editable) editable += (editable.empty() ? "" : ", ") + std::string(info.short_name);
  return full_name(site) + " cannot be edited, only recorded; editable are " + editable;
}

bool IndexSet::contains(int32_t index) const {
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [index](const auto& range) {
           return index >= range.first && index <= range.second;
         });
}

HeadTarget target_of(HeadId head) {
  return {{{{head.layer.value, head.layer.value}}}, {{{head.head.value, head.head.value}}}};
}

std::vector<HeadId> heads_of(const HeadTarget& target, const ModelSpec& spec) {
  std::vector<HeadId> heads;
  for (int32_t l = 0; l < spec.n_layer; ++l)
    for (int32_t h = 0; h < spec.n_head; ++h)
      if (target.layers.contains(l) && target.heads.contains(h))
        heads.push_back({LayerIndex{l}, HeadIndex{h}});
  return heads;
}

bool has_effect(const Edit& edit) {
  if (!edit.enabled) return false;
  if (edit.verb == EditVerb::scale) return edit.by != 1.0;
  if (edit.verb == EditVerb::knockout)
    return !(edit.query && edit.query->begin >= edit.query->end) &&
           !(edit.key && edit.key->begin >= edit.key->end);
  return true;
}

int32_t first_layer_of(const Edit& edit, const ModelSpec& spec) {
  if (!has_effect(edit)) return spec.n_layer;
  if (const auto* site = std::get_if<SiteRef>(&edit.target)) return std::max(site->layer, 0);
  for (int32_t l = 0; l < spec.n_layer; ++l)
    if (std::get<HeadTarget>(edit.target).layers.contains(l)) return l;
  return spec.n_layer;
}

namespace {

Error bad_edit(const Edit& edit, const std::string& what) {
  return make_error(ErrorCode::invalid_argument, fmt::format("edit '{}': {}", to_text(edit), what));
}

Result<void> check_indices(const Edit& edit, const IndexSet& set, const char* what, int32_t count) {
  for (const auto& [first, last] : set.ranges)
    if (first < 0 || last >= count)
      return bad_edit(edit, fmt::format("the model has {}s 0-{}, found {}", what, count - 1, last));
  return {};
}

Result<void> check_positions(const Edit& edit, const std::optional<PositionRange>& range, const char* what,
                             int64_t n_token) {
  if (range && (range->begin < 0 || range->begin > range->end || range->end > n_token))
    return bad_edit(edit, fmt::format("{} {}:{} is outside the {} tokens of the prompt", what, range->begin,
                                      range->end, n_token));
  return {};
}

}  // namespace

Result<void> check_edits(std::span<const Edit> edits, const ModelSpec& spec, int64_t n_token) {
  for (const Edit& edit : edits) {
    if (!edit.enabled) continue;
    if (const auto* heads = std::get_if<HeadTarget>(&edit.target)) {
      SACCADE_CHECK(check_indices(edit, heads->layers, "layer", spec.n_layer));
      SACCADE_CHECK(check_indices(edit, heads->heads, "head", spec.n_head));
    } else {
      const SiteRef site = std::get<SiteRef>(edit.target);
      const HookSiteInfo& info = info_of(site.site);
      if (!info.editable) return bad_edit(edit, refusal_of(site));
      if (info.per_layer && (site.layer < 0 || site.layer >= spec.n_layer))
        return bad_edit(edit,
                        fmt::format("the model has layers 0-{}, found {}", spec.n_layer - 1, site.layer));
      if (!exists(site, spec)) return bad_edit(edit, fmt::format("the model has no {}", full_name(site)));
      if (edit.verb == EditVerb::knockout) return bad_edit(edit, "knockout needs heads, such as 9.9");
    }
    if (!std::isfinite(edit.by)) return bad_edit(edit, "by= must be a finite number");
    SACCADE_CHECK(check_positions(edit, edit.query, "query", n_token));
    SACCADE_CHECK(check_positions(edit, edit.key, "key", n_token));
  }
  return {};
}

}  // namespace saccade
