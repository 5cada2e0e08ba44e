#include "core/run/hook_site.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ModelSpec spec() {
  ModelSpec spec;
  spec.n_layer = 12;
  spec.n_head = 8;
  spec.n_kv_head = 2;
  spec.d_model = 64;
  spec.d_head = 16;
  spec.d_mlp = 256;
  spec.position = PositionKind::learned;
  return spec;
}

TEST(HookSite, TheTableIsInTheOrderOfTheEnum) {
  const auto sites = hook_sites();
  for (size_t i = 0; i < sites.size(); ++i) {
    EXPECT_EQ(sites[i].site, static_cast<HookSite>(i));
    EXPECT_EQ(&info_of(sites[i].site), &sites[i]);
    EXPECT_EQ(sites[i].per_layer, sites[i].name.find("{l}") != std::string_view::npos);
  }
  EXPECT_EQ(sites.back().site, HookSite::ln_final_normalized);
}

TEST(HookSite, EveryFullNameIsReadBack) {
  for (const HookSiteInfo& info : hook_sites())
    for (const int32_t layer : {0, 7, 31, 1000}) {
      const SiteRef site{info.site, info.per_layer ? layer : -1};
      const auto parsed = parse_site(full_name(site));
      ASSERT_TRUE(parsed.ok()) << full_name(site);
      EXPECT_EQ(*parsed, site);
    }
}

TEST(HookSite, NamesAreTransformerLenss) {
  EXPECT_EQ(full_name({HookSite::embed, -1}), "hook_embed");
  EXPECT_EQ(full_name({HookSite::pattern, 3}), "blocks.3.attn.hook_pattern");
  EXPECT_EQ(full_name({HookSite::resid_mid, 0}), "blocks.0.hook_resid_mid");
  EXPECT_EQ(full_name({HookSite::mlp_post, 11}), "blocks.11.mlp.hook_post");
  EXPECT_EQ(full_name({HookSite::ln2_scale, 2}), "blocks.2.ln2.hook_scale");
  EXPECT_EQ(full_name({HookSite::ln_final_normalized, -1}), "ln_final.hook_normalized");
}

TEST(HookSite, UnknownNamesAreErrorsThatListTheSites) {
  for (const char* name :
       {"", "hook", "blocks.x.attn.hook_z", "blocks..attn.hook_z", "blocks.-1.attn.hook_z",
        "blocks.3.attn.hook_zz", "blocks.99999999999.attn.hook_z", "hook_embed ", "blocks.+3.attn.hook_z"}) {
    const auto site = parse_site(name);
    ASSERT_FALSE(site.ok()) << name;
    EXPECT_THAT(site.error().message, HasSubstr("'" + std::string(name) + "'"));
    EXPECT_THAT(site.error().message, HasSubstr("blocks.L.attn.hook_pattern"));
  }
}

std::vector<std::string> matches(const char* filter, const ModelSpec& model = spec()) {
  const auto sites = match_sites(filter, model);
  EXPECT_TRUE(sites.ok()) << sites.error().to_string();
  std::vector<std::string> names;
  if (sites.ok())
    for (const SiteRef& site : *sites) names.push_back(full_name(site));
  return names;
}

TEST(HookSite, FiltersAreFullNamesWildcardsAndShortForms) {
  EXPECT_THAT(matches("blocks.2.attn.hook_pattern"), ElementsAre("blocks.2.attn.hook_pattern"));
  EXPECT_EQ(matches("blocks.*.attn.hook_pattern").size(), 12U);
  EXPECT_EQ(matches("pattern").size(), 12U);
  EXPECT_EQ(matches("hook_z").size(), 12U);
  EXPECT_THAT(matches("embed"), ElementsAre("hook_embed"));
  EXPECT_THAT(matches("pos_embed"), ElementsAre("hook_pos_embed"));
  EXPECT_THAT(matches("blocks.1?.hook_resid_pre"),
              ElementsAre("blocks.10.hook_resid_pre", "blocks.11.hook_resid_pre"));
  EXPECT_THAT(matches("blocks.0.attn.hook_z, hook_embed,blocks.0.attn.hook_z"),
              ElementsAre("hook_embed", "blocks.0.attn.hook_z"));
  EXPECT_TRUE(matches("").empty());
  EXPECT_EQ(matches("*").size(), 4U + 18U * 12U);
}

TEST(HookSite, AFilterThatMatchesNothingIsAnError) {
  for (const char* filter : {"blocks.12.attn.hook_z", "patern", "z,blocks.*.nothing"}) {
    const auto sites = match_sites(filter, spec());
    ASSERT_FALSE(sites.ok()) << filter;
    EXPECT_THAT(sites.error().message, HasSubstr("12 layers"));
  }
}

TEST(HookSite, AModelWithoutLearnedPositionsHasNoPositionEmbedding) {
  ModelSpec rotary = spec();
  rotary.position = PositionKind::rotary;
  EXPECT_FALSE(match_sites("hook_pos_embed", rotary).ok());
  EXPECT_THAT(matches("hook_*", rotary), ElementsAre("hook_embed"));
}

TEST(HookSite, ShapesFollowTheAxes) {
  const ModelSpec model = spec();
  EXPECT_THAT(shape_of(HookSite::q, model, 5), ElementsAre(5, 8, 16));
  EXPECT_THAT(shape_of(HookSite::k, model, 5), ElementsAre(5, 2, 16));
  EXPECT_THAT(shape_of(HookSite::v, model, 5), ElementsAre(5, 2, 16));
  EXPECT_THAT(shape_of(HookSite::pattern, model, 5), ElementsAre(8, 5, 5));
  EXPECT_THAT(shape_of(HookSite::result, model, 5), ElementsAre(5, 8, 64));
  EXPECT_THAT(shape_of(HookSite::ln1_scale, model, 5), ElementsAre(5, 1));
  EXPECT_THAT(shape_of(HookSite::mlp_pre, model, 5), ElementsAre(5, 256));
  for (const HookSiteInfo& info : hook_sites())
    EXPECT_EQ(shape_of(info.site, model, 5).size(), info.axes.size()) << info.name;
}

TEST(HookSite, ExactlyTheSitesThatTheForwardPassCanChangeAreEditable) {
  std::vector<std::string> editable;
  for (const HookSiteInfo& info : hook_sites())
    if (info.editable) editable.emplace_back(info.short_name);
  EXPECT_THAT(editable,
              testing::UnorderedElementsAre("embed", "pos_embed", "resid_pre", "resid_mid", "resid_post", "z",
                                            "attn_out", "mlp_out", "mlp_pre", "mlp_post"));
}

}  // namespace
}  // namespace saccade
