#include "core/run/hook_site.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <charconv>

namespace saccade {
namespace {

using Axes = std::vector<std::string_view>;

const Axes residual{"pos", "d_model"}, scale{"pos", "one"}, hidden{"pos", "d_mlp"};
const Axes heads{"pos", "head", "d_head"}, kv_heads{"pos", "kv_head", "d_head"}, map{"head", "query", "key"};

// In the order of the enum: info_of() indexes it.
const std::vector<HookSiteInfo> table{
    {HookSite::embed, "hook_embed", "embed", residual, false, true},
    {HookSite::pos_embed, "hook_pos_embed", "pos_embed", residual, false, true},
    {HookSite::resid_pre, "blocks.{l}.hook_resid_pre", "resid_pre", residual, true, true},
    {HookSite::resid_mid, "blocks.{l}.hook_resid_mid", "resid_mid", residual, true, true},
    {HookSite::resid_post, "blocks.{l}.hook_resid_post", "resid_post", residual, true, true},
    {HookSite::ln1_scale, "blocks.{l}.ln1.hook_scale", "ln1.scale", scale, true, false},
    {HookSite::ln1_normalized, "blocks.{l}.ln1.hook_normalized", "ln1.normalized", residual, true, false},
    {HookSite::ln2_scale, "blocks.{l}.ln2.hook_scale", "ln2.scale", scale, true, false},
    {HookSite::ln2_normalized, "blocks.{l}.ln2.hook_normalized", "ln2.normalized", residual, true, false},
    {HookSite::q, "blocks.{l}.attn.hook_q", "q", heads, true, false},
    {HookSite::k, "blocks.{l}.attn.hook_k", "k", kv_heads, true, false},
    {HookSite::v, "blocks.{l}.attn.hook_v", "v", kv_heads, true, false},
    {HookSite::z, "blocks.{l}.attn.hook_z", "z", heads, true, true},
    {HookSite::attn_scores, "blocks.{l}.attn.hook_attn_scores", "attn_scores", map, true, false},
    {HookSite::pattern, "blocks.{l}.attn.hook_pattern", "pattern", map, true, false},
    {HookSite::result, "blocks.{l}.attn.hook_result", "result", Axes{"pos", "head", "d_model"}, true, false},
    {HookSite::attn_out, "blocks.{l}.hook_attn_out", "attn_out", residual, true, true},
    {HookSite::mlp_out, "blocks.{l}.hook_mlp_out", "mlp_out", residual, true, true},
    {HookSite::mlp_pre, "blocks.{l}.mlp.hook_pre", "mlp_pre", hidden, true, true},
    {HookSite::mlp_post, "blocks.{l}.mlp.hook_post", "mlp_post", hidden, true, true},
    {HookSite::ln_final_scale, "ln_final.hook_scale", "ln_final.scale", scale, false, false},
    {HookSite::ln_final_normalized, "ln_final.hook_normalized", "ln_final.normalized", residual, false,
     false},
};

constexpr std::string_view layer_mark = "{l}";

std::string with_layer(std::string_view name, std::string_view layer) {
  std::string text(name);
  if (const size_t at = text.find(layer_mark); at != std::string::npos)
    text.replace(at, layer_mark.size(), layer);
  return text;
}

std::string all_names() {
  std::string names;
  for (const HookSiteInfo& info : table) names += (names.empty() ? "" : ", ") + with_layer(info.name, "L");
  return names;
}

// The layer of `name` under this site's pattern; -1 for sites without; nothing when it does not match.
bool matches(std::string_view name, const HookSiteInfo& info, int32_t& layer) {
  const size_t at = info.name.find(layer_mark);
  layer = -1;
  if (at == std::string_view::npos) return name == info.name;
  const std::string_view before = info.name.substr(0, at), after = info.name.substr(at + layer_mark.size());
  if (!name.starts_with(before) || !name.ends_with(after) || name.size() <= before.size() + after.size())
    return false;
  const std::string_view digits = name.substr(before.size(), name.size() - before.size() - after.size());
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
  return code == std::errc() && end == digits.data() + digits.size() && layer >= 0;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::span<const HookSiteInfo> hook_sites() { return table; }
const HookSiteInfo& info_of(HookSite site) { return table[static_cast<size_t>(site)]; }
std::string full_name(SiteRef site) {
  return with_layer(info_of(site.site).name, std::to_string(site.layer));
}

Result<SiteRef> parse_site(std::string_view name) {
  for (const HookSiteInfo& info : table)
    if (int32_t layer = -1; matches(name, info, layer)) return SiteRef{info.site, layer};
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("no hook site is called '{}'; there are {}", name, all_names()));
}

bool exists(SiteRef site, const ModelSpec& spec) {
  const bool mlp = spec.d_mlp > 0, experts = spec.experts.n_expert > 0;
  switch (site.site) {
    case HookSite::pos_embed:
      return spec.position == PositionKind::learned;
    case HookSite::mlp_out:
    case HookSite::ln2_scale:
    case HookSite::ln2_normalized:
      return mlp && !(spec.no_norms && site.site != HookSite::mlp_out);
    case HookSite::mlp_pre:
    case HookSite::mlp_post:
      return mlp && !(experts && spec.has_experts(site.layer));
    case HookSite::ln1_scale:
    case HookSite::ln1_normalized:
    case HookSite::ln_final_scale:
    case HookSite::ln_final_normalized:
      return !spec.no_norms;
    case HookSite::embed:
    case HookSite::resid_pre:
    case HookSite::resid_mid:
    case HookSite::resid_post:
    case HookSite::q:
    case HookSite::k:
    case HookSite::v:
    case HookSite::z:
    case HookSite::attn_scores:
    case HookSite::pattern:
    case HookSite::result:
    case HookSite::attn_out:
      return true;
  }
  return true;
}

Result<std::vector<SiteRef>> match_sites(std::string_view filter, const ModelSpec& spec) {
  std::vector<SiteRef> found;
  while (!filter.empty()) {
    const size_t comma = std::min(filter.find(','), filter.size());
    const std::string word(trimmed(filter.substr(0, comma)));
    filter.remove_prefix(std::min(comma + 1, filter.size()));
    if (word.empty()) continue;
    const size_t before = found.size();
    for (const HookSiteInfo& info : table) {
      for (int32_t l = info.per_layer ? 0 : -1; l < (info.per_layer ? spec.n_layer : 0); ++l) {
        if (!exists({info.site, l}, spec)) continue;
        const SiteRef site{info.site, l};
        const std::string hook = "hook_" + std::string(info.short_name);
        if (word == info.short_name || word == hook ||
            ::fnmatch(word.c_str(), full_name(site).c_str(), 0) == 0)
          found.push_back(site);
      }
    }
    if (found.size() == before)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("no hook site of this model ({} layers) matches '{}'; there are {}, and short "
                      "forms such as pattern or z",
                      spec.n_layer, word, all_names()));
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::vector<int64_t> shape_of(HookSite site, const ModelSpec& spec, int64_t n_token) {
  std::vector<int64_t> shape;
  for (const std::string_view axis : info_of(site).axes) {
    if (axis == "pos" || axis == "query" || axis == "key") shape.push_back(n_token);
    if (axis == "d_model") shape.push_back(spec.d_model);
    if (axis == "d_head") shape.push_back(spec.d_head);
    if (axis == "d_mlp") shape.push_back(spec.d_mlp);
    if (axis == "head") shape.push_back(spec.n_head);
    if (axis == "kv_head") shape.push_back(spec.n_kv_head);
    if (axis == "one") shape.push_back(1);
  }
  return shape;
}

}  // namespace saccade
