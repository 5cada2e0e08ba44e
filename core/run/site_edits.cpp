#include "core/run/site_edits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/base/memory.h"
#include "core/run/edit_references.h"
#include "core/run/edit_regions.h"
#include "core/run/edit_values.h"
#include "core/run/edit_verbs.h"
#include "core/run/head_gates.h"
#include "core/run/patch_windows.h"

namespace saccade {
namespace {

// With numbers in the place of regions; those that the tokens do not have stay as they are, for check() to
// refuse.
std::vector<Edit> effective(const RunRequest& request) {
  std::vector<Edit> kept;
  for (const Edit& edit : request.edits) {
    if (!has_effect(edit)) continue;
    kept.push_back(edit);
    if (!names_regions(edit)) continue;
    if (Result<Edit> numbered = with_numbers(edit, request.tokens.places()); numbered.ok())
      kept.back() = std::move(*numbered);
    if (!has_effect(kept.back())) kept.pop_back();
  }
  return kept;
}

// Streams by gates become streams of the heads that fall under their cut; those that do not fit stay as they
// are, for check() to refuse.
std::vector<Edit> with_streams_named(std::vector<Edit> edits, const RunRequest& request,
                                     const ModelSpec& spec) {
  std::vector<Edit> named;
  for (Edit& edit : edits) {
    const auto gates = request.vectors.find(edit.from);
    if (edit.verb == EditVerb::stream && !edit.from.empty() && gates != request.vectors.end() &&
        gates->second) {
      if (Result<std::vector<Edit>> streams = streams_of(edit, *gates->second, spec); streams.ok()) {
        std::move(streams->begin(), streams->end(), std::back_inserter(named));
        continue;
      }
    }
    named.push_back(std::move(edit));
  }
  return named;
}

constexpr int64_t all_positions = std::numeric_limits<int32_t>::max();  // positions never reach it

// One rectangle for every stretch of padding: all queries lose these keys.
std::vector<EdgeRect> padding_of(const TokenSequence& tokens, const ModelSpec& spec) {
  std::vector<EdgeRect> stretches;
  for (int64_t i = 0; i < tokens.size(); ++i) {
    if (spec.padding_id < 0 || tokens.tokens[static_cast<size_t>(i)].id != spec.padding_id) continue;
    if (!stretches.empty() && stretches.back().key_end == i)
      ++stretches.back().key_end;
    else
      stretches.push_back({0, all_positions, i, i + 1});
  }
  return stretches;
}

bool same_shape(const ModelSpec& a, const ModelSpec& b) {
  return a.n_layer == b.n_layer && a.n_head == b.n_head && a.d_head == b.d_head && a.d_model == b.d_model;
}

Error refused(const Edit& edit, const std::string& what, ErrorCode code = ErrorCode::invalid_argument) {
  return make_error(code, fmt::format("edit '{}': {}", to_text(edit), what));
}

bool on_values(const Edit& edit) { return info_of(edit.verb).stage == EditStage::values; }

int64_t width_of(SiteRef site, const ModelSpec& spec) {
  int64_t width = 1;
  for (const int64_t extent : shape_of(site.site, spec, 1)) width *= extent;
  return width;
}

// The site of a head's part; inputs have none of their own.
std::optional<HookSite> site_of(HeadPart part) {
  switch (part) {
    case HeadPart::z:
      return HookSite::z;
    case HeadPart::q:
      return HookSite::q;
    case HeadPart::k:
      return HookSite::k;
    case HeadPart::v:
      return HookSite::v;
    case HeadPart::q_input:
    case HeadPart::k_input:
    case HeadPart::v_input:
      return std::nullopt;
  }
  return std::nullopt;
}

// The last position a set needs, or -1 where it goes as far as there are tokens.
int64_t last_of(const std::optional<PositionSet>& set) {
  if (!set || set->empty() || set->ranges().back().end == PositionRange::open_end) return -1;
  return set->ranges().back().end;
}

}  // namespace

SiteEdits::SiteEdits(const RunRequest& request, const ModelSpec& spec, ReferenceSource source)
    : request_(request),
      spec_(spec),
      source_(std::move(source)),
      edits_(with_streams_named(effective(request), request, spec)),
      padding_(padding_of(request.tokens, spec)) {
  if (spec.patches.window == 0) return;
  for (const PlacedImage& placed : request.tokens.images)
    other_windows_ =
        outside_windows({placed.region.grid_height, placed.region.grid_width}, spec.patches.window);
}

bool has_padding(const TokenSequence& tokens, const ModelSpec& spec) {
  return spec.patches.window > 0 || !padding_of(tokens, spec).empty();
}

Result<void> SiteEdits::check() const {
  for (const Edit& edit : effective(request_)) {
    if (edit.from.empty()) continue;
    SACCADE_CHECK(reads_vectors(edit.verb) ? check_vectors(edit) : check_reference(edit));
  }
  return check_patterns();
}

Result<std::shared_ptr<const Capture>> SiteEdits::reference_of(const Edit& edit) const {
  const auto found = request_.references.find(edit.from);
  if (found == request_.references.end() || !found->second)
    return refused(edit, fmt::format("no run or dump named '{}' was given", edit.from), ErrorCode::not_found);
  return found->second;
}

Result<void> SiteEdits::check_reference(const Edit& edit) const {
  SACCADE_TRY(const auto run, reference_of(edit));
  const Capture& reference = *run;
  if (!same_shape(reference.spec, spec_))
    return refused(edit, fmt::format("'{}' is of a model with {} layers of {} heads of {}, this one has "
                                     "{} layers of {} heads of {}",
                                     edit.from, reference.spec.n_layer, reference.spec.n_head,
                                     reference.spec.d_head, spec_.n_layer, spec_.n_head, spec_.d_head));
  const int64_t theirs = reference.n_token(), ours = request_.tokens.size();
  if (edit.verb == EditVerb::replace && theirs != ours)
    return refused(edit, fmt::format("replace goes position by position, but '{}' has {} tokens and this "
                                     "run {}; use mean for runs of another length",
                                     edit.from, theirs, ours));
  if (edit.verb != EditVerb::pattern) return {};
  const int64_t query = last_of(edit.query), key = last_of(edit.key);
  if (((query < 0 || key < 0) && theirs != ours) || std::max(query, key) > theirs)
    return refused(edit, fmt::format("'{}' has {} tokens and this run {}; name a block that both have with "
                                     "query=A:B and key=A:B",
                                     edit.from, theirs, ours));
  return {};
}

Result<void> SiteEdits::check_vectors(const Edit& edit) const {
  const auto found = request_.vectors.find(edit.from);
  if (found == request_.vectors.end() || !found->second)
    return refused(edit, fmt::format("no file of vectors named '{}' was given", edit.from),
                   ErrorCode::not_found);
  if (edit.verb == EditVerb::add) {
    SACCADE_TRY(const auto* vector,
                steering_vector(*found->second, edit, width_of(std::get<SiteRef>(edit.target), spec_)));
    (void)vector;
    return {};
  }
  if (edit.verb == EditVerb::stream) {
    SACCADE_TRY(const auto streams, streams_of(edit, *found->second, spec_));
    (void)streams;
    return {};
  }
  bool any = false;
  for (const HeadId head : heads_of(std::get<HeadTarget>(edit.target), spec_)) {
    SACCADE_TRY(const HeadOffset offset, head_offset(*found->second, edit, head, spec_.d_head));
    any = any || offset.a || offset.v;
  }
  if (any) return {};
  return refused(edit,
                 fmt::format("'{}' has no /head_offsets/LAYER/HEAD/a or v for any of these heads", edit.from),
                 ErrorCode::not_found);
}

// Blocks of other maps are kept for as long as the run is.
Result<void> SiteEdits::check_patterns() const {
  int64_t bytes = 0;
  const Edit* largest = nullptr;
  for (const Edit& edit : edits_) {
    if (edit.verb != EditVerb::pattern) continue;
    const int64_t n = request_.tokens.size();
    const auto heads = static_cast<int64_t>(heads_of(std::get<HeadTarget>(edit.target), spec_).size());
    int64_t rows = edit.query ? 0 : n;
    if (edit.query)
      for (const PositionRange& range : edit.query->ranges()) rows += std::min(range.end, n) - range.begin;
    const int64_t columns =
        edit.key ? std::min(edit.key->ranges()[0].end, n) - edit.key->ranges()[0].begin : n;
    bytes += heads * rows * columns * static_cast<int64_t>(sizeof(float));
    largest = &edit;
  }
  if (!largest || bytes <= available_bytes() / 2) return {};
  return refused(*largest,
                 fmt::format("the maps to put in take {}, {} are free; name fewer heads or a block",
                             format_bytes(bytes), format_bytes(available_bytes())),
                 ErrorCode::out_of_memory);
}

bool SiteEdits::acts_on(SiteRef site) const {
  return std::any_of(edits_.begin(), edits_.end(), [&](const Edit& edit) {
    if (!on_values(edit)) return false;
    if (const auto* heads = std::get_if<HeadTarget>(&edit.target))
      return site_of(edit.at) == site.site && heads->layers.contains(site.layer);
    return std::get<SiteRef>(edit.target) == site;
  });
}

std::vector<const Edit*> SiteEdits::input_edits(int32_t layer) const {
  std::vector<const Edit*> found;
  for (const Edit& edit : edits_)
    if (is_input(edit.at) && changes_layer(edit, layer)) found.push_back(&edit);
  return found;
}

bool SiteEdits::gates(int32_t layer) const {
  return std::any_of(edits_.begin(), edits_.end(), [layer](const Edit& edit) {
    return edit.verb == EditVerb::gate && std::get<HeadTarget>(edit.target).layers.contains(layer);
  });
}

Result<PatternBlock> SiteEdits::pattern(const Edit& edit, HeadId head,
                                        const std::optional<PositionRange>& query) const {
  SACCADE_TRY(const auto reference, reference_of(edit));
  const int64_t n = reference->n_token();
  PatternBlock block{{0, n}, {0, n}, {}};
  if (query) block.query = {query->begin, std::min(query->end, n)};
  if (edit.key) block.key = {edit.key->ranges()[0].begin, std::min(edit.key->ranges()[0].end, n)};
  const auto values = source_.pattern(reference, head, block.query, block.key);
  if (!values.ok()) return Error(values.error()).with(fmt::format("edit '{}'", to_text(edit)));
  block.values.assign(values->values().begin(), values->values().end());
  return block;
}

Result<const LayerPlan*> SiteEdits::plan(int32_t layer) {
  if (const auto known = plans_.find(layer); known != plans_.end()) return &known->second;
  SACCADE_TRY(LayerPlan made,
              plan_of(edits_, layer, spec_,
                      [this](const Edit& edit, HeadId head, const std::optional<PositionRange>& query) {
                        return pattern(edit, head, query);
                      }));
  SACCADE_TRY(made.positions, positions_under(edits_, layer, request_.tokens.places()));
  const auto hide = [&](const std::vector<EdgeRect>& hidden) {
    if (!hidden.empty()) made.knockouts.resize(static_cast<size_t>(spec_.n_head));
    for (std::vector<EdgeRect>& cuts : made.knockouts) cuts.insert(cuts.end(), hidden.begin(), hidden.end());
  };
  hide(padding_);
  if (is_windowed(spec_.patches, layer)) hide(other_windows_);
  return &plans_.emplace(layer, std::move(made)).first->second;
}

SiteEdits::Action SiteEdits::action_of(EditVerb verb) {
  static const std::map<EditVerb, Action> actions{
      {EditVerb::zero, &SiteEdits::zero},      {EditVerb::scale, &SiteEdits::scale},
      {EditVerb::mean, &SiteEdits::take_mean}, {EditVerb::replace, &SiteEdits::replace},
      {EditVerb::offset, &SiteEdits::offset},  {EditVerb::add, &SiteEdits::add},
      {EditVerb::gate, &SiteEdits::gate},
  };
  return actions.at(verb);
}

Result<void> SiteEdits::apply(SiteRef site, std::span<float> values, int64_t rows, int64_t first_position,
                              std::span<const float> query_norms) {
  const int64_t columns = rows > 0 ? static_cast<int64_t>(values.size()) / rows : 0;
  const Rows all{values, rows, first_position, query_norms};
  for (size_t e = 0; e < edits_.size(); ++e) {
    const Edit& edit = edits_[e];
    if (!on_values(edit)) continue;
    const Action action = action_of(edit.verb);
    const auto* heads = std::get_if<HeadTarget>(&edit.target);
    if (!heads) {
      if (std::get<SiteRef>(edit.target) == site)
        SACCADE_CHECK((this->*action)({e, site, -1, 0, columns, columns}, all));
    } else if (site_of(edit.at) == site.site && heads->layers.contains(site.layer)) {
      for (const int32_t head : stored_heads(edit))
        SACCADE_CHECK((this->*action)(
            {e, site, head, static_cast<int64_t>(head) * spec_.d_head, spec_.d_head, columns}, all));
    }
  }
  return {};
}

std::vector<int32_t> SiteEdits::stored_heads(const Edit& edit) const {
  const IndexSet& named = std::get<HeadTarget>(edit.target).heads;
  const bool grouped = edit.at == HeadPart::k || edit.at == HeadPart::v;
  std::vector<int32_t> heads;
  for (int32_t head = 0; head < spec_.n_head; ++head) {
    const int32_t stored = grouped ? spec_.kv_head_of(head) : head;
    if (named.contains(head) && (heads.empty() || heads.back() != stored)) heads.push_back(stored);
  }
  return heads;
}

void SiteEdits::for_rows(const Block& block, const Rows& rows,
                         const std::function<void(float* row, int64_t position)>& body) const {
  const std::optional<PositionSet>& query = edits_[block.edit].query;
  for (int64_t i = 0; i < rows.count; ++i)
    if (const int64_t position = rows.first_position + i; !query || query->contains(position))
      body(rows.values.data() + i * block.columns + block.column, position);
}

Result<void> SiteEdits::zero(const Block& block, const Rows& rows) {
  for_rows(block, rows, [&](float* row, int64_t) { std::fill_n(row, block.width, 0.0f); });
  return {};
}

Result<void> SiteEdits::scale(const Block& block, const Rows& rows) {
  const auto factor = static_cast<float>(edits_[block.edit].by);
  for_rows(block, rows, [&](float* row, int64_t) {
    for (int64_t d = 0; d < block.width; ++d) row[d] *= factor;
  });
  return {};
}

Result<void> SiteEdits::take_mean(const Block& block, const Rows& rows) {
  SACCADE_TRY(const std::vector<float> mean, mean_of(block, rows));
  for_rows(block, rows, [&](float* row, int64_t) { std::copy(mean.begin(), mean.end(), row); });
  return {};
}

Result<void> SiteEdits::replace(const Block& block, const Rows& rows) {
  SACCADE_TRY(const HostTensor other, reference_values(edits_[block.edit], block.site));
  const int64_t other_rows = other.size() / block.columns;
  for_rows(block, rows, [&](float* row, int64_t position) {
    if (position < other_rows)
      std::copy_n(other.data() + position * block.columns + block.column, block.width, row);
  });
  return {};
}

Result<void> SiteEdits::offset(const Block& block, const Rows& rows) {
  const Edit& edit = edits_[block.edit];
  HeadOffset offset;
  const std::vector<float> given(edit.add.begin(), edit.add.end());
  if (!given.empty()) {
    offset.v = &given;
  } else {
    SACCADE_TRY(offset, head_offset(*request_.vectors.at(edit.from), edit,
                                    {LayerIndex{block.site.layer}, HeadIndex{block.head}}, spec_.d_head));
  }
  const auto by = static_cast<float>(edit.by);
  for_rows(block, rows, [&](float* row, int64_t) {
    for (int64_t d = 0; d < block.width; ++d) {
      const auto c = static_cast<size_t>(d);
      if (offset.a) row[d] *= 1.0f + by * (*offset.a)[c];
      if (offset.v) row[d] += by * (*offset.v)[c];
    }
  });
  return {};
}

Result<void> SiteEdits::add(const Block& block, const Rows& rows) {
  const Edit& edit = edits_[block.edit];
  SACCADE_TRY(const std::vector<float>* vector,
              steering_vector(*request_.vectors.at(edit.from), edit, block.width));
  const auto by = static_cast<float>(edit.by);
  for_rows(block, rows, [&](float* row, int64_t) {
    for (int64_t d = 0; d < block.width; ++d) row[d] += by * (*vector)[static_cast<size_t>(d)];
  });
  return {};
}

// Every candidate head is a block of its own; its gate needs the queries of all of them.
Result<void> SiteEdits::gate(const Block& block, const Rows& rows) {
  const Edit& edit = edits_[block.edit];
  std::vector<int32_t> candidates;
  for (int32_t head = 0; head < spec_.n_head; ++head)
    if (std::get<HeadTarget>(edit.target).heads.contains(head)) candidates.push_back(head);
  const auto own =
      static_cast<size_t>(std::find(candidates.begin(), candidates.end(), block.head) - candidates.begin());
  std::vector<float> norms(candidates.size());
  for_rows(block, rows, [&](float* row, int64_t position) {
    const int64_t first = (position - rows.first_position) * spec_.n_head;
    for (size_t c = 0; c < candidates.size(); ++c)
      norms[c] = rows.query_norms[static_cast<size_t>(first + candidates[c])];
    const float gate = gates_of(norms, edit.keep, edit.soft)[own];
    for (int64_t d = 0; d < block.width; ++d) row[d] *= gate;
  });
  return {};
}

Result<std::vector<float>> SiteEdits::mean_of(const Block& block, const Rows& rows) {
  const auto key = std::tuple(block.edit, block.site, block.column);
  const Edit& edit = edits_[block.edit];
  // Frozen once taken: over the prompt, or over the other run.
  if (const auto known = means_.find(key);
      known != means_.end() && (means_are_frozen_ || rows.first_position > 0 || !edit.from.empty()))
    return known->second;
  std::span<const float> values = rows.values;
  int64_t count = rows.count;
  HostTensor other;
  if (!edit.from.empty()) {
    SACCADE_TRY(other, reference_values(edit, block.site));
    values = other.values();
    count = other.size() / block.columns;
  }
  std::vector<double> sum(static_cast<size_t>(block.width), 0.0);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t d = 0; d < block.width; ++d)
      sum[static_cast<size_t>(d)] += values[static_cast<size_t>(i * block.columns + block.column + d)];
  std::vector<float> mean;
  for (const double s : sum) mean.push_back(static_cast<float>(s / static_cast<double>(count)));
  means_[key] = mean;
  return mean;
}

Result<HostTensor> SiteEdits::reference_values(const Edit& edit, SiteRef site) {
  const auto key = std::pair(edit.from, site);
  if (const auto known = references_.find(key); known != references_.end()) return known->second;
  SACCADE_TRY(const auto run, reference_of(edit));
  const Capture& reference = *run;
  HostTensor values;
  const auto layer_count = static_cast<int32_t>(reference.layers.size());
  if (const auto recorded = reference.sites.find(site); recorded != reference.sites.end()) {
    values = recorded->second;
  } else if (site.site == HookSite::resid_pre && site.layer < layer_count) {
    values = reference.layers[static_cast<size_t>(site.layer)]->resid_pre;
  } else if (site.site == HookSite::q && site.layer < layer_count) {
    values = reference.layers[static_cast<size_t>(site.layer)]->q_values();
  } else if (site.site == HookSite::k && site.layer < layer_count) {
    values = reference.layers[static_cast<size_t>(site.layer)]->k_values();
  } else if (site.site == HookSite::resid_post && site.layer + 1 < layer_count) {
    values = reference.layers[static_cast<size_t>(site.layer) + 1]->resid_pre;
  } else if (site.site == HookSite::resid_post && site.layer + 1 == layer_count) {
    values = reference.final_resid;
  } else if (site.site == HookSite::z) {
    SACCADE_TRY(values, source_.z(reference, site.layer));
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
  const std::vector<Edit> edits_a = effective(a), edits_b = effective(b);
  const auto same_reference = [&](const Edit& edit) {
    if (edit.from.empty()) return true;
    if (reads_vectors(edit.verb)) {
      const auto of_a = a.vectors.find(edit.from), of_b = b.vectors.find(edit.from);
      return of_a != a.vectors.end() && of_b != b.vectors.end() &&
             of_a->second->digest == of_b->second->digest;
    }
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
