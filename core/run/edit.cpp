#include "core/run/edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/run/edit_refusal.h"
#include "core/run/edit_regions.h"
#include "core/run/edit_verbs.h"
#include "core/run/position_layout.h"

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

PositionSet::PositionSet(PositionRange range) : PositionSet(std::vector<PositionRange>{range}) {}

PositionSet::PositionSet(std::vector<PositionRange> ranges, std::vector<RegionName> regions)
    : regions_(std::move(regions)) {
  std::sort(regions_.begin(), regions_.end());
  regions_.erase(std::unique(regions_.begin(), regions_.end()), regions_.end());
  std::sort(ranges.begin(), ranges.end(),
            [](const PositionRange& a, const PositionRange& b) { return a.begin < b.begin; });
  for (const PositionRange& range : ranges) {
    if (range.begin >= range.end) continue;
    if (!ranges_.empty() && range.begin <= ranges_.back().end)
      ranges_.back().end = std::max(ranges_.back().end, range.end);
    else
      ranges_.push_back(range);
  }
}

bool PositionSet::contains(int64_t position) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [position](const PositionRange& range) {
    return position >= range.begin && position < range.end;
  });
}

bool PositionSet::meets(const PositionSet& other) const {
  const auto shared = [&](const RegionName& region) {
    return std::binary_search(other.regions_.begin(), other.regions_.end(), region);
  };
  if (std::any_of(regions_.begin(), regions_.end(), shared)) return true;
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const PositionRange& a) {
    return std::any_of(other.ranges_.begin(), other.ranges_.end(),
                       [&](const PositionRange& b) { return a.begin < b.end && b.begin < a.end; });
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
  if (!edit.enabled || (edit.query && edit.query->empty()) || (edit.key && edit.key->empty())) return false;
  if (edit.verb == EditVerb::bias && !edit.key) return false;  // the softmax does not see it
  const std::optional<EditFactor>& by = info_of(edit.verb).by;
  return !by || !by->neutral || edit.by != *by->neutral;
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

Result<void> check_positions(const Edit& edit, const std::optional<PositionSet>& set, const char* what,
                             int64_t n_token) {
  if (!set) return {};
  for (const auto& [begin, end] : set->ranges()) {
    const bool open = end == PositionRange::open_end;
    if (begin < 0 || (open ? begin > n_token : end > n_token))
      return bad_edit(edit, fmt::format("{} {}:{} is outside the {} tokens of the prompt", what, begin,
                                        open ? "" : std::to_string(end), n_token));
  }
  return {};
}

std::string factor_fault(const Edit& edit) {
  if (!std::isfinite(edit.by)) return "by= must be a finite number";
  const std::optional<EditFactor>& by = info_of(edit.verb).by;
  if (!by || (edit.by >= by->least && edit.by <= by->most && !(by->above_least && edit.by == by->least)))
    return "";
  if (std::isfinite(by->most))
    return fmt::format("by= must be from {} to {}, found {}", by->least, by->most, edit.by);
  return fmt::format("by= must be {} {}, found {}", by->above_least ? "more than" : "at least", by->least,
                     edit.by);
}

std::string redistribution_fault(const Edit& edit) {
  if (!edit.to && !edit.key) return "key=* leaves no key that could receive: name some keys";
  if (edit.to && edit.to->empty()) return "to= names no position";
  if (edit.to && (!edit.key || edit.key->meets(*edit.to)))
    return "key= and to= have positions in common: a key either gives or receives";
  if (edit.least_mass < 0.0 || edit.least_mass > 1.0 || edit.least_share < 0.0 || edit.least_share > 1.0)
    return fmt::format("least-mass= and least-share= must be from 0 to 1, found {} and {}", edit.least_mass,
                       edit.least_share);
  if (edit.within && !edit.to) return "within= needs to= positions, all of them within";
  return "";
}

// What positions must heed once regions have become numbers. Nothing to receive is no fault: a prompt may
// have no text before its picture.
std::string numbers_fault(const Edit& edit) {
  if (edit.verb == EditVerb::pattern && edit.key && edit.key->ranges().size() > 1)
    return "key= must be one range: a block of the other map";
  if (edit.verb != EditVerb::redistribute || !edit.to || !edit.key) return "";
  if (edit.key->meets(*edit.to))
    return "key= and to= have positions in common: a key either gives or receives";
  const auto held = [&](const PositionRange& range) {
    return std::any_of(
        edit.within->ranges().begin(), edit.within->ranges().end(),
        [&](const PositionRange& whole) { return whole.begin <= range.begin && range.end <= whole.end; });
  };
  if (edit.within && !std::all_of(edit.to->ranges().begin(), edit.to->ranges().end(), held))
    return "to= has positions outside within=: the row test counts all that receive";
  return "";
}

std::string part_fault(const Edit& edit) {
  if (edit.at == HeadPart::z) return "";
  if (std::holds_alternative<SiteRef>(edit.target))
    return fmt::format("at={} says what of a head is meant; a hook site has no parts", to_string(edit.at));
  if (is_input(edit.at) && edit.verb != EditVerb::replace)
    return fmt::format("at={} is for replace; zero, scale and mean act at z, q, k or v", to_string(edit.at));
  return "";
}

// Keys are shared by the heads of a group, so a layer has one order of its tokens.
std::string whole_layers_fault(const Edit& edit) {
  const auto* heads = std::get_if<HeadTarget>(&edit.target);
  if (heads == nullptr || heads->heads.ranges.empty()) return "";
  return "the heads of a layer see one order or none: give whole layers, such as *.* or 5-7.*";
}

std::string segments_fault(const Edit& edit) {
  if (edit.segments.size() < 3)
    return "segments= needs where two segments begin and where the last one ends: three numbers or more";
  if (std::adjacent_find(edit.segments.begin(), edit.segments.end(), std::greater_equal<>()) !=
      edit.segments.end())
    return fmt::format("segments= must rise, found {}", fmt::join(edit.segments, ","));
  return whole_layers_fault(edit);
}

std::string positions_fault(const Edit& edit) {
  if (edit.verb == EditVerb::shift && edit.by != std::round(edit.by))
    return fmt::format("by= must be a whole number of positions, found {}", edit.by);
  if (std::fabs(edit.by) > std::numeric_limits<int32_t>::max())
    return fmt::format("by= is farther than any position: {}", edit.by);
  return whole_layers_fault(edit);
}

// What one verb alone must heed.
std::string verb_fault(const Edit& edit) {
  if (const std::string fault = part_fault(edit); !fault.empty()) return fault;
  if (edit.verb == EditVerb::redistribute) return redistribution_fault(edit);
  if (edit.verb == EditVerb::stream && edit.recent < 1)
    return "recent= must be at least 1: a row that sees no key has no output";
  if (edit.verb == EditVerb::stream && edit.from.empty() && edit.by != 1.0)
    return "by= is the share of heads that stream and needs their gates: from=full_attention_heads.tsv";
  if (edit.verb == EditVerb::gate && edit.keep < 1) return "keep= must be at least 1";
  if (edit.verb == EditVerb::order_free) return segments_fault(edit);
  if (moves_positions(edit.verb)) return positions_fault(edit);
  if (edit.verb == EditVerb::pattern && edit.key && edit.key->ranges().size() > 1)
    return "key= must be one range: a block of the other map";
  if (edit.verb == EditVerb::offset && edit.from.empty() == edit.add.empty())
    return "offset needs from=FILE.h5 or add=NUMBERS, one of the two";
  return "";
}

Result<void> check_target(const Edit& edit, const ModelSpec& spec) {
  if (const auto* heads = std::get_if<HeadTarget>(&edit.target)) {
    SACCADE_CHECK(check_indices(edit, heads->layers, "layer", spec.n_layer));
    return check_indices(edit, heads->heads, "head", spec.n_head);
  }
  const SiteRef site = std::get<SiteRef>(edit.target);
  if (info_of(site.site).per_layer && (site.layer < 0 || site.layer >= spec.n_layer))
    return bad_edit(edit, fmt::format("the model has layers 0-{}, found {}", spec.n_layer - 1, site.layer));
  if (!exists(site, spec)) return bad_edit(edit, fmt::format("the model has no {}", full_name(site)));
  return {};
}

Result<void> check_rotation(const Edit& edit, const ModelSpec& spec) {
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    const RotarySpec* rotary = spec.rotary_of(l);
    if (std::get<HeadTarget>(edit.target).layers.contains(l) && rotary != nullptr &&
        (rotary->scaling == RotaryScaling::dynamic || rotary->scaling == RotaryScaling::longrope))
      return bad_edit(edit, "rotary positions of this model depend on the length of the text");
  }
  return {};
}

// Order-free segments move keys by rotation, and are seen whole.
Result<void> check_segments(const Edit& edit, const ModelSpec& spec, const TokenPlaces& places) {
  const int64_t n_token = places.n_token;
  if (edit.verb != EditVerb::order_free) return {};
  if (!spec.rotary.sections.empty() && !places.images.empty())
    return bad_edit(edit,
                    "this model places the patches of a picture by row and column, and a segment cannot be "
                    "moved back by its tokens then; leave the picture out");
  if (edit.segments.back() >= n_token)
    return bad_edit(edit,
                    fmt::format("the last segment ends at {} of {} tokens; at least one token must follow",
                                edit.segments.back(), n_token));
  if (!spec.looks_back() || spec.position != PositionKind::rotary)
    return bad_edit(edit, "needs a model that reads from left to right with rotary positions");
  for (int32_t l = 0; l < spec.n_layer; ++l)
    if (std::get<HeadTarget>(edit.target).layers.contains(l) && spec.window_of(l) > 0)
      return bad_edit(edit, fmt::format("layer {} sees only the last {} tokens, and no segment whole", l,
                                        spec.window_of(l)));
  return check_rotation(edit, spec);
}

// Learned positions are added before the first layer, ALiBi's are part of the mask: neither is a layer's own.
Result<void> check_moves(const Edit& edit, const ModelSpec& spec, const TokenPlaces& places) {
  if (!moves_positions(edit.verb)) return {};
  if (!spec.rotary.sections.empty() && !places.images.empty())
    return bad_edit(
        edit,
        "this model places the patches of a picture by row and column, which no one number moves; "
        "leave the picture out");
  if (spec.position != PositionKind::rotary)
    return bad_edit(edit, "needs a model with rotary positions: only those are given layer by layer");
  return check_rotation(edit, spec);
}

// What all of them together make of the positions.
Result<void> check_positions_of_layers(std::span<const Edit> edits, const ModelSpec& spec,
                                       const TokenPlaces& places) {
  const auto moves = [](const Edit& edit) { return moves_positions(edit.verb) && has_effect(edit); };
  if (std::none_of(edits.begin(), edits.end(), moves)) return {};
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    SACCADE_TRY(const TokenPositions positions, positions_under(edits, l, places));
    if (!positions.moved()) continue;
    const int64_t highest = *std::max_element(positions.of_token.begin(), positions.of_token.end());
    if (highest >= spec.n_context)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("edited positions of layer {} reach {}; the model has {} of them", l,
                                    highest, spec.n_context));
  }
  return {};
}

// One order per layer, and no input of its own for a head whose positions are not those of the text.
Result<void> check_orders(std::span<const Edit> edits, const ModelSpec& spec) {
  const auto acts = [](const Edit& edit, int32_t layer) {
    const auto* heads = std::get_if<HeadTarget>(&edit.target);
    return has_effect(edit) && heads != nullptr && heads->layers.contains(layer);
  };
  const auto orders = [](const Edit& edit) { return edit.verb == EditVerb::order_free; };
  for (const Edit& edit : edits) {
    const bool moves = moves_positions(edit.verb);
    if ((!orders(edit) && !moves) || !has_effect(edit)) continue;
    for (const Edit& other : edits) {
      if (&other == &edit || (!orders(other) && !is_input(other.at))) continue;
      for (int32_t l = 0; l < spec.n_layer; ++l)
        if (acts(edit, l) && acts(other, l))
          return bad_edit(
              edit, fmt::format("'{}' acts on layer {} too, and only one of the two can", to_text(other), l));
    }
  }
  return {};
}

}  // namespace

std::string fault_of(const Edit& edit) {
  const VerbInfo& verb = info_of(edit.verb);
  if (const auto* site = std::get_if<SiteRef>(&edit.target)) {
    if (!verb.on_sites) return fmt::format("{} needs heads, such as 9.9", verb.name);
    if (!info_of(site->site).editable) return refusal_of(*site);
  } else if (!verb.on_heads) {
    return fmt::format("{} needs a hook site, such as blocks.3.hook_resid_post; for heads there is offset",
                       verb.name);
  }
  const std::string fault = factor_fault(edit);
  return fault.empty() ? verb_fault(edit) : fault;
}

Result<void> check_edits(std::span<const Edit> edits, const ModelSpec& spec, int64_t n_token) {
  return check_edits(edits, spec, TokenPlaces{n_token});
}

Result<void> check_edits(std::span<const Edit> edits, const ModelSpec& spec, const TokenPlaces& places) {
  for (const Edit& edit : edits) {
    if (!edit.enabled) continue;
    if (const std::string fault = fault_of(edit); !fault.empty()) return bad_edit(edit, fault);
    SACCADE_CHECK(check_target(edit, spec));
    SACCADE_CHECK(check_segments(edit, spec, places));
    SACCADE_CHECK(check_moves(edit, spec, places));
    SACCADE_CHECK(
        check_positions(edit, edit.query, moves_positions(edit.verb) ? "tokens" : "query", places.n_token));
    SACCADE_CHECK(check_positions(edit, edit.key, "key", places.n_token));
    SACCADE_CHECK(check_positions(edit, edit.to, "to", places.n_token));
    SACCADE_CHECK(check_positions(edit, edit.within, "within", places.n_token));
    SACCADE_TRY(const Edit numbered, with_numbers(edit, places));
    if (const std::string fault = numbers_fault(numbered); !fault.empty()) return bad_edit(edit, fault);
    if (!edit.add.empty() && static_cast<int64_t>(edit.add.size()) != spec.d_head)
      return bad_edit(edit, fmt::format("add= has {} numbers, heads of this model have {}", edit.add.size(),
                                        spec.d_head));
  }
  SACCADE_CHECK(check_orders(edits, spec));
  return check_positions_of_layers(edits, spec, places);
}

}  // namespace saccade
