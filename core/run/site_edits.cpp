#include "core/run/site_edits.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace saccade {
namespace {

std::vector<Edit> effective(const std::vector<Edit>& edits) {
  std::vector<Edit> kept;
  std::copy_if(edits.begin(), edits.end(), std::back_inserter(kept),
               [](const Edit& e) { return has_effect(e); });
  return kept;
}

constexpr int64_t all = std::numeric_limits<int32_t>::max();  // positions never reach it

EdgeRect rectangle(const Edit& edit) {
  const PositionRange query = edit.query.value_or(PositionRange{0, all});
  const PositionRange key = edit.key.value_or(PositionRange{0, all});
  return {query.begin, query.end, key.begin, key.end};
}

// One rectangle for every stretch of padding: all queries lose these keys.
std::vector<EdgeRect> padding_of(const TokenSequence& tokens, const ModelSpec& spec) {
  std::vector<EdgeRect> stretches;
  for (int64_t i = 0; i < tokens.size(); ++i) {
    if (spec.padding_id < 0 || tokens.tokens[static_cast<size_t>(i)].id != spec.padding_id) continue;
    if (!stretches.empty() && stretches.back().key_end == i)
      ++stretches.back().key_end;
    else
      stretches.push_back({0, all, i, i + 1});
  }
  return stretches;
}

bool same_shape(const ModelSpec& a, const ModelSpec& b) {
  return a.n_layer == b.n_layer && a.n_head == b.n_head && a.d_head == b.d_head && a.d_model == b.d_model;
}

}  // namespace

SiteEdits::SiteEdits(const RunRequest& request, const ModelSpec& spec, ReferenceZ reference_z)
    : request_(request),
      spec_(spec),
      reference_z_(std::move(reference_z)),
      edits_(effective(request.edits)),
      padding_(padding_of(request.tokens, spec)) {}

bool has_padding(const TokenSequence& tokens, const ModelSpec& spec) {
  return !padding_of(tokens, spec).empty();
}

Result<void> SiteEdits::check() const {
  for (const Edit& edit : edits_) {
    if (edit.from.empty()) continue;
    const auto found = request_.references.find(edit.from);
    if (found == request_.references.end() || !found->second)
      return make_error(ErrorCode::not_found, fmt::format("edit '{}': no run or dump named '{}' was given",
                                                          to_text(edit), edit.from));
    const Capture& reference = *found->second;
    if (!same_shape(reference.spec, spec_))
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("edit '{}': '{}' is of a model with {} layers of {} heads of {}, this one has "
                      "{} layers of {} heads of {}",
                      to_text(edit), edit.from, reference.spec.n_layer, reference.spec.n_head,
                      reference.spec.d_head, spec_.n_layer, spec_.n_head, spec_.d_head));
    if (edit.verb == EditVerb::replace && reference.n_token() != request_.tokens.size())
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("edit '{}': replace goes position by position, but '{}' has {} tokens and this "
                      "run {}; use mean for runs of another length",
                      to_text(edit), edit.from, reference.n_token(), request_.tokens.size()));
  }
  return {};
}

bool SiteEdits::acts_on(SiteRef site) const {
  return std::any_of(edits_.begin(), edits_.end(), [&](const Edit& edit) {
    if (edit.verb == EditVerb::knockout) return false;
    if (const auto* heads = std::get_if<HeadTarget>(&edit.target))
      return site.site == HookSite::z && heads->layers.contains(site.layer);
    return std::get<SiteRef>(edit.target) == site;
  });
}

std::vector<std::vector<EdgeRect>> SiteEdits::knockouts(int32_t layer) const {
  std::vector<std::vector<EdgeRect>> lists;
  if (!padding_.empty()) lists.assign(static_cast<size_t>(spec_.n_head), padding_);
  for (const Edit& edit : edits_) {
    const auto* heads = std::get_if<HeadTarget>(&edit.target);
    if (edit.verb != EditVerb::knockout || !heads || !heads->layers.contains(layer)) continue;
    lists.resize(static_cast<size_t>(spec_.n_head));
    for (int32_t head = 0; head < spec_.n_head; ++head)
      if (heads->heads.contains(head)) lists[static_cast<size_t>(head)].push_back(rectangle(edit));
  }
  return lists;
}

Result<void> SiteEdits::apply(SiteRef site, std::span<float> values, int64_t rows, int64_t first_position) {
  const int64_t columns = rows > 0 ? static_cast<int64_t>(values.size()) / rows : 0;
  for (size_t e = 0; e < edits_.size(); ++e) {
    const Edit& edit = edits_[e];
    if (edit.verb == EditVerb::knockout) continue;
    if (const auto* heads = std::get_if<HeadTarget>(&edit.target)) {
      if (site.site != HookSite::z || !heads->layers.contains(site.layer)) continue;
      for (int32_t head = 0; head < spec_.n_head; ++head)
        if (heads->heads.contains(head))
          SACCADE_CHECK(
              apply_block({e, site, static_cast<int64_t>(head) * spec_.d_head, spec_.d_head, columns}, values,
                          rows, first_position));
    } else if (std::get<SiteRef>(edit.target) == site) {
      SACCADE_CHECK(apply_block({e, site, 0, columns, columns}, values, rows, first_position));
    }
  }
  return {};
}

Result<void> SiteEdits::apply_block(const Block& block, std::span<float> values, int64_t rows,
                                    int64_t first_position) {
  const Edit& edit = edits_[block.edit];
  const auto row = [&](int64_t i) { return values.data() + i * block.columns + block.column; };
  switch (edit.verb) {
    case EditVerb::zero:
      for (int64_t i = 0; i < rows; ++i) std::fill_n(row(i), block.width, 0.0f);
      return {};
    case EditVerb::scale:
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t d = 0; d < block.width; ++d) row(i)[d] *= static_cast<float>(edit.by);
      return {};
    case EditVerb::mean: {
      SACCADE_TRY(const std::vector<float> mean, mean_of(block, values, rows, first_position));
      for (int64_t i = 0; i < rows; ++i) std::copy(mean.begin(), mean.end(), row(i));
      return {};
    }
    case EditVerb::replace: {
      SACCADE_TRY(const HostTensor other, reference_values(edit, block.site));
      const int64_t other_rows = other.size() / block.columns;
      for (int64_t i = 0; i < rows && first_position + i < other_rows; ++i)
        std::copy_n(other.data() + (first_position + i) * block.columns + block.column, block.width, row(i));
      return {};
    }
    case EditVerb::knockout:
      return {};
  }
  return {};
}

Result<std::vector<float>> SiteEdits::mean_of(const Block& block, std::span<const float> values, int64_t rows,
                                              int64_t first_position) {
  const auto key = std::tuple(block.edit, block.site, block.column);
  const Edit& edit = edits_[block.edit];
  // Frozen once taken: over the prompt, or over the other run.
  if (const auto known = means_.find(key);
      known != means_.end() && (means_are_frozen_ || first_position > 0 || !edit.from.empty()))
    return known->second;
  HostTensor other;
  if (!edit.from.empty()) {
    SACCADE_TRY(other, reference_values(edit, block.site));
    values = other.values();
    rows = other.size() / block.columns;
  }
  std::vector<double> sum(static_cast<size_t>(block.width), 0.0);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < block.width; ++d)
      sum[static_cast<size_t>(d)] += values[static_cast<size_t>(i * block.columns + block.column + d)];
  std::vector<float> mean;
  for (const double s : sum) mean.push_back(static_cast<float>(s / static_cast<double>(rows)));
  means_[key] = mean;
  return mean;
}

Result<HostTensor> SiteEdits::reference_values(const Edit& edit, SiteRef site) {
  const auto key = std::pair(edit.from, site);
  if (const auto known = references_.find(key); known != references_.end()) return known->second;
  const auto found = request_.references.find(edit.from);
  if (found == request_.references.end() || !found->second)
    return make_error(ErrorCode::not_found, fmt::format("edit '{}': no run or dump named '{}' was given",
                                                        to_text(edit), edit.from));
  const Capture& reference = *found->second;
  HostTensor values;
  const auto layer_count = static_cast<int32_t>(reference.layers.size());
  if (const auto recorded = reference.sites.find(site); recorded != reference.sites.end()) {
    values = recorded->second;
  } else if (site.site == HookSite::resid_pre && site.layer < layer_count) {
    values = reference.layers[static_cast<size_t>(site.layer)]->resid_pre;
  } else if (site.site == HookSite::resid_post && site.layer + 1 < layer_count) {
    values = reference.layers[static_cast<size_t>(site.layer) + 1]->resid_pre;
  } else if (site.site == HookSite::resid_post && site.layer + 1 == layer_count) {
    values = reference.final_resid;
  } else if (site.site == HookSite::z) {
    SACCADE_TRY(values, reference_z_(reference, site.layer));
  }
  if (values.empty())
    return make_error(ErrorCode::not_found,
                      fmt::format("edit '{}': '{}' did not keep {}; make it again with --capture {}",
                                  to_text(edit), edit.from, full_name(site), full_name(site)));
  references_[key] = values;
  return values;
}

bool changes_layer(const Edit& edit, int32_t layer) {
  if (const auto* heads = std::get_if<HeadTarget>(&edit.target))
    return layer >= 0 && heads->layers.contains(layer);
  const SiteRef site = std::get<SiteRef>(edit.target);
  return layer == (site.site == HookSite::resid_pre ? site.layer - 1 : site.layer);
}

int32_t first_difference(const RunRequest& a, const RunRequest& b, const ModelSpec& spec) {
  const std::vector<Edit> edits_a = effective(a.edits), edits_b = effective(b.edits);
  const auto same_reference = [&](const Edit& edit) {
    if (edit.from.empty()) return true;
    const auto in_a = a.references.find(edit.from), in_b = b.references.find(edit.from);
    return in_a != a.references.end() && in_b != b.references.end() && in_a->second == in_b->second;
  };
  for (int32_t layer = -1; layer < spec.n_layer; ++layer) {
    std::vector<Edit> here_a, here_b;
    for (const Edit& edit : edits_a)
      if (changes_layer(edit, layer)) here_a.push_back(edit);
    for (const Edit& edit : edits_b)
      if (changes_layer(edit, layer)) here_b.push_back(edit);
    if (here_a != here_b || !std::all_of(here_a.begin(), here_a.end(), same_reference)) return layer;
  }
  return spec.n_layer;
}

}  // namespace saccade
