// Hook sites: the places in a forward pass that can be recorded or edited, under TransformerLens's names
// (CONVENTIONS: "blocks.3.attn.hook_pattern"). Inside the program a site is an enum; strings exist only at
// the file, command-line and plugin edges. Each site is passed once per run: edit first, then record.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/model_spec.h"
#include "kernels/base/result.h"

namespace saccade {

enum class HookSite {
  embed,
  pos_embed,  // [pos, d_model]
  resid_pre,
  resid_mid,
  resid_post,  // [pos, d_model]
  ln1_scale,
  ln1_normalized,
  ln2_scale,
  ln2_normalized,  // [pos, 1], [pos, d_model]
  q,
  k,
  v,
  z,  // [pos, head, d_head]; k, v: KV heads; q, k after rotation
  attn_scores,
  pattern,  // [head, query, key]
  result,   // [pos, head, d_model]
  attn_out,
  mlp_out,  // [pos, d_model]
  mlp_pre,
  mlp_post,  // [pos, d_mlp]
  ln_final_scale,
  ln_final_normalized,  // [pos, 1], [pos, d_model]
};

struct HookSiteInfo {
  HookSite site;
  std::string_view name;        // "blocks.{l}.attn.hook_q"
  std::string_view short_name;  // "q"
  std::vector<std::string_view> axes;
  bool per_layer;
  bool editable;  // zero, scale, mean and replace act here
};

struct SiteRef {
  HookSite site = HookSite::resid_pre;
  int32_t layer = -1;                                // -1 for sites outside the blocks
  auto operator<=>(const SiteRef&) const = default;  // NOLINT(modernize-use-nullptr): a false alarm
};

[[nodiscard]] std::span<const HookSiteInfo> hook_sites();
[[nodiscard]] const HookSiteInfo& info_of(HookSite site);
[[nodiscard]] std::string full_name(SiteRef site);
// One full name; an unknown one is an error that lists near matches.
[[nodiscard]] Result<SiteRef> parse_site(std::string_view name);
// Whether the model passes this site: one without learned positions has no pos_embed, a layer of experts no
// mlp_pre.
[[nodiscard]] bool exists(SiteRef site, const ModelSpec& spec);
// A comma-separated filter of full names, wildcards ("blocks.*.attn.hook_pattern") and short names
// ("pattern", "z").
[[nodiscard]] Result<std::vector<SiteRef>> match_sites(std::string_view filter, const ModelSpec& spec);
[[nodiscard]] std::vector<int64_t> shape_of(HookSite site, const ModelSpec& spec, int64_t n_token);

}  // namespace saccade
