#include "core/run/edit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "core/run/edit_verbs.h"
#include "core/run/position_layout.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ModelSpec spec() {
  ModelSpec spec;
  spec.n_layer = 12;
  spec.n_head = 8;
  spec.n_kv_head = 8;
  spec.position = PositionKind::learned;
  return spec;
}

Edit parsed(const std::string& text) {
  auto edit = parse_edit(text);
  EXPECT_TRUE(edit.ok()) << text << ": " << edit.error().to_string();
  return edit.ok() ? *edit : Edit{};
}

std::string refusal(const std::string& text) {
  const auto edit = parse_edit(text);
  EXPECT_FALSE(edit.ok()) << text;
  return edit.ok() ? std::string() : edit.error().to_string();
}

IndexSet set_of(std::vector<std::pair<int32_t, int32_t>> ranges) { return {std::move(ranges)}; }

TEST(Edit, ReadsTheTextsOfTheManual) {
  EXPECT_EQ(parsed("zero 9.9").target,
            (std::variant<HeadTarget, SiteRef>(HeadTarget{set_of({{9, 9}}), set_of({{9, 9}})})));
  EXPECT_EQ(parsed("zero L9H9"), parsed("zero 9.9"));
  EXPECT_EQ(parsed("zero l9h9"), parsed("zero 9.9"));
  EXPECT_EQ(parsed("scale 9.9 by=0.5").by, 0.5);
  EXPECT_EQ(parsed("mean 5.* over=positions").target,
            (std::variant<HeadTarget, SiteRef>(HeadTarget{set_of({{5, 5}}), {}})));
  EXPECT_EQ(parsed("mean 5.* from=ref.h5").from, "ref.h5");
  EXPECT_EQ(parsed("mean 5.*"), parsed("mean 5.* over=positions"));
  EXPECT_EQ(parsed("replace 9.9 from=\"my other.h5\"").from, "my other.h5");
  const Edit knockout = parsed("knockout 9.9 query=14 key=3:7");
  EXPECT_EQ(knockout.query, PositionSet({14, 15}));
  EXPECT_EQ(knockout.key, PositionSet({3, 7}));
  EXPECT_EQ(parsed("knockout 9.9 query=* key=4").query, std::nullopt);
  EXPECT_EQ(parsed("zero blocks.3.hook_resid_pre").target,
            (std::variant<HeadTarget, SiteRef>(SiteRef{HookSite::resid_pre, 3})));
  EXPECT_EQ(parsed("zero blocks.3.attn.hook_z").target,
            (std::variant<HeadTarget, SiteRef>(SiteRef{HookSite::z, 3})));
  EXPECT_EQ(
      parsed("zero 5-7,9.0,3").target,
      (std::variant<HeadTarget, SiteRef>(HeadTarget{set_of({{5, 7}, {9, 9}}), set_of({{0, 0}, {3, 3}})})));
}

TEST(Edit, ReadsEveryVerbThatActsOnMaps) {
  EXPECT_EQ(parsed("temperature 5.1 by=0.5").by, 0.5);
  EXPECT_EQ(parsed("bias 5.1 by=-2 query=3: key=0,4:6").key, PositionSet({{0, 1}, {4, 6}}));
  EXPECT_EQ(parsed("bias 5.1 by=-2 query=3: key=0").query, PositionSet({3, PositionRange::open_end}));
  EXPECT_EQ(parsed("stream 5.1 recent=8").sink, 64);
  EXPECT_EQ(parsed("stream 5.1 recent=8").recent, 8);
  EXPECT_EQ(parsed("uniform 5.*").by, 1.0);
  EXPECT_EQ(parsed("redistribute 5.1 key=0 to=rest by=0.4").to, std::nullopt);
  EXPECT_EQ(parsed("redistribute 5.1 key=0 to=3:5,9 by=0.4").to, PositionSet({{3, 5}, {9, 10}}));
  EXPECT_EQ(parsed("redistribute 5.1 key=0 by=0.4 least-mass=0.2 least-share=0.5").least_share, 0.5);
  EXPECT_EQ(parsed("column-scale 5.1 key=3,7 by=0.4 renormalise=yes").renormalise, true);
  EXPECT_EQ(parsed("offset 5.1 add=0.5,-1").add, (std::vector<double>{0.5, -1.0}));
  EXPECT_EQ(parsed("add blocks.3.hook_resid_post from=s.h5 dataset=happy by=4").dataset, "happy");
  EXPECT_EQ(parsed("gate 5.* keep=4 soft=yes").keep, 4);
  for (const VerbInfo& verb : edit_verbs()) {
    const Edit edit = parsed(std::string(verb.example));
    EXPECT_EQ(edit.verb, verb.verb) << verb.example;
    EXPECT_EQ(info_of(verb.verb).name, verb.name) << "the table is in the order of the enum";
    EXPECT_TRUE(has_effect(edit)) << verb.example;
    EXPECT_FALSE(verb.meaning.empty());
  }
}

TEST(Edit, ReadsWhichPartOfAHeadIsMeant) {
  EXPECT_EQ(parsed("replace 5.1 from=other").at, HeadPart::z);
  EXPECT_EQ(parsed("replace 5.1 at=q_input from=other").at, HeadPart::q_input);
  EXPECT_EQ(to_text(parsed("zero 5.1 query=3 at=k")), "zero 5.1 at=k query=3");
  EXPECT_THAT(parse_edit("zero 5.1 at=o").error().message,
              HasSubstr("z, q, k, v, q_input, k_input or v_input"));
  EXPECT_THAT(parse_edit("zero 5.1 at=q_input").error().message, HasSubstr("at=q_input is for replace"));
  EXPECT_THAT(parse_edit("zero blocks.3.hook_resid_pre at=q").error().message,
              HasSubstr("a hook site has no parts"));
  EXPECT_THAT(parse_edit("gate 5.* keep=4 at=q").error().message, HasSubstr("gate does not take"));
}

TEST(PositionSet, IsSortedAndMergedHoweverItIsGiven) {
  const PositionSet set({{9, 12}, {3, 3}, {0, 2}, {2, 4}, {10, 11}});
  EXPECT_EQ(set.ranges(), (std::vector<PositionRange>{{0, 4}, {9, 12}}));
  EXPECT_TRUE(set.contains(3) && set.contains(11));
  EXPECT_FALSE(set.contains(4) || set.contains(12));
  EXPECT_TRUE(set.meets(PositionSet({11, 20})));
  EXPECT_FALSE(set.meets(PositionSet({4, 9})));
  EXPECT_EQ(to_text(parsed("bias 1.1 by=1 key=9:12,0:2,2:4")), "bias 1.1 by=1 key=0:4,9:12");
}

TEST(Edit, ADisabledEditStartsWithAHash) {
  EXPECT_FALSE(parsed("# zero 9.9").enabled);
  EXPECT_FALSE(parsed("  #zero 9.9 ").enabled);
  EXPECT_TRUE(parsed("\tzero   9.9 ").enabled);
  EXPECT_EQ(to_text(parsed("#zero 9.9")), "# zero 9.9");
}

// Every edit that the text form can say, drawn at random.
class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}
  Edit edit() {
    Edit edit;
    const VerbInfo& verb = edit_verbs()[below(static_cast<uint32_t>(edit_verbs().size()))];
    edit.verb = verb.verb;
    edit.target = HeadTarget{indices(), indices()};
    if (!verb.on_heads || (verb.on_sites && below(3) == 0)) edit.target = site();
    edit.enabled = below(4) != 0;
    for (const VerbSetting& setting : verb.settings)
      if (setting.need != SettingNeed::optional || below(2)) set(edit, setting.key);
    if (edit.verb == EditVerb::offset && edit.from.empty() == edit.add.empty()) {
      edit.from.clear();
      edit.add = {0.25};
    }
    if (edit.verb == EditVerb::redistribute) separate(edit);
    if (edit.verb == EditVerb::stream && edit.from.empty()) edit.by = 1.0;  // a share of gates: none without
    if (moves_positions(edit.verb)) std::get<HeadTarget>(edit.target).heads = {};
    if (edit.verb == EditVerb::shift) edit.by = 1.0 + below(9);
    if (edit.verb == EditVerb::pattern && edit.key && edit.key->ranges().size() > 1) edit.key.reset();
    return edit;
  }

 private:
  uint32_t below(uint32_t n) { return random_() % n; }
  IndexSet indices() {
    IndexSet set;
    for (uint32_t i = below(4); i > 0; --i) {
      const auto first = static_cast<int32_t>(below(100));
      set.ranges.emplace_back(first, first + static_cast<int32_t>(below(3)));
    }
    return set;
  }
  SiteRef site() {
    while (true) {
      const HookSiteInfo& info = hook_sites()[below(static_cast<uint32_t>(hook_sites().size()))];
      if (info.editable) return {info.site, info.per_layer ? static_cast<int32_t>(below(100)) : -1};
    }
  }
  void set(Edit& edit, std::string_view key) {
    if (key == "by") edit.by = number(*info_of(edit.verb).by);
    if (key == "from") edit.from = name();
    if (key == "query") edit.query = positions();
    if (key == "key") edit.key = positions();
    if (key == "to") edit.to = positions();
    if (key == "within") edit.within = positions();
    if (key == "sink") edit.sink = below(100);
    if (key == "recent") edit.recent = 1 + below(100);
    if (key == "least-mass") edit.least_mass = number({0.0, 1.0, false, {}});
    if (key == "least-share") edit.least_share = number({0.0, 1.0, false, {}});
    if (key == "renormalise") edit.renormalise = below(2) != 0;
    if (key == "add") edit.add = {number({}), number({}), number({})};
    if (key == "dataset") edit.dataset = name();
    if (key == "keep") edit.keep = 1 + below(20);
    if (key == "segments") {
      edit.segments = {static_cast<int64_t>(below(9))};
      while (edit.segments.size() < 3 + below(3))
        edit.segments.push_back(edit.segments.back() + 1 + below(9));
      std::get<HeadTarget>(edit.target).heads = {};
    }
    if (key == "soft") edit.soft = below(2) != 0;
    if (key == "at" && std::holds_alternative<HeadTarget>(edit.target))
      edit.at = static_cast<HeadPart>(below(edit.verb == EditVerb::replace ? 7 : 4));
  }
  // Keys that give are none of those that receive.
  void separate(Edit& edit) {
    if (!edit.key || edit.key->empty()) edit.key = PositionSet({1, 2});
    if (edit.to && (edit.to->empty() || edit.key->meets(*edit.to))) edit.to.reset();
    if (!edit.to) edit.within.reset();
  }
  double number(const EditFactor& factor) {
    const double values[] = {0.0, -0.0, 1.0, 0.5, 1e300, -1e-300, 0.1, std::ldexp(random_(), -40)};
    while (true) {
      const double value = values[below(8)];
      if (value >= factor.least && value <= factor.most && !(factor.above_least && value == factor.least))
        return value;
    }
  }
  std::string name() {
    const std::string letters = "ab.h5/ \t\"\\#=*日本'";
    std::string text(1, letters[below(5)]);
    for (uint32_t i = below(10); i > 0; --i) text += letters[below(static_cast<uint32_t>(letters.size()))];
    return text;
  }
  std::optional<PositionSet> positions() {
    if (below(3) == 0) return std::nullopt;
    std::vector<PositionRange> ranges;
    for (uint32_t i = below(3) + 1; i > 0; --i) {
      const auto begin = static_cast<int64_t>(below(1000));
      ranges.push_back(
          {begin, below(6) == 0 ? PositionRange::open_end : begin + static_cast<int64_t>(below(4))});
    }
    std::vector<RegionName> regions;
    for (uint32_t i = below(3); i > 0; --i) {
      regions.push_back({static_cast<TokenRegion>(below(4))});
      if (regions.back().region == TokenRegion::img) regions.back().picture = static_cast<int32_t>(below(3));
    }
    return PositionSet(std::move(ranges), std::move(regions));
  }
  std::mt19937 random_;
};

TEST(Edit, TextAndEditAreOneAndTheSame) {
  Generator generator(11);
  for (int i = 0; i < 5000; ++i) {
    const Edit edit = generator.edit();
    const auto back = parse_edit(to_text(edit));
    ASSERT_TRUE(back.ok()) << to_text(edit) << ": " << back.error().to_string();
    ASSERT_EQ(*back, edit) << to_text(edit);
    ASSERT_EQ(to_text(*back), to_text(edit));
  }
}

TEST(Edit, RefusalsShowTheTextTheWordAndWhatIsAccepted) {
  EXPECT_THAT(refusal("zap 9.9"), HasSubstr("edit 'zap 9.9': no verb is called 'zap'"));
  EXPECT_THAT(refusal("zap 9.9"), HasSubstr("zero, scale, mean, replace, knockout"));
  EXPECT_THAT(refusal(""), HasSubstr("VERB TARGET"));
  EXPECT_THAT(refusal("#"), HasSubstr("VERB TARGET"));
  EXPECT_THAT(refusal("zero"), HasSubstr("such as 'zero 9.9'"));
  EXPECT_THAT(refusal("zero nine"), HasSubstr("5-7.* or a hook site, found 'nine'"));
  EXPECT_THAT(refusal("zero 9.x"), HasSubstr("found 'x'"));
  EXPECT_THAT(refusal("zero 9."), HasSubstr("heads"));
  EXPECT_THAT(refusal("zero .9"), HasSubstr("layers"));
  EXPECT_THAT(refusal("zero 7-5.1"), HasSubstr("found '7-5'"));
  EXPECT_THAT(refusal("zero 1,.1"), HasSubstr("found '1,'"));
  EXPECT_THAT(refusal("zero -1.1"), HasSubstr("found '-1'"));
  EXPECT_THAT(refusal("zero 99999999999.1"), HasSubstr("found '99999999999'"));
  EXPECT_THAT(refusal("zero 9.9 by=2"), HasSubstr("zero does not take 'by=2'"));
  EXPECT_THAT(refusal("scale 9.9"), HasSubstr("scale needs by="));
  EXPECT_THAT(refusal("scale 9.9 by=much"), HasSubstr("by= expects a number, found 'much'"));
  EXPECT_THAT(refusal("scale 9.9 by=inf"), HasSubstr("found 'inf'"));
  EXPECT_THAT(refusal("scale 9.9 by=nan"), HasSubstr("found 'nan'"));
  EXPECT_THAT(refusal("scale 9.9 by=1 by"), HasSubstr("'by'"));
  EXPECT_THAT(refusal("mean 9.9 over=heads"), HasSubstr("over= expects positions, found 'heads'"));
  EXPECT_THAT(refusal("mean 9.9 over=positions from=a.h5"), HasSubstr("over="));
  EXPECT_THAT(refusal("replace 9.9"), HasSubstr("replace needs from="));
  EXPECT_THAT(refusal("replace 9.9 from="), HasSubstr("from= expects"));
  EXPECT_THAT(refusal("replace 9.9 from=\"a"), HasSubstr("quote is not closed"));
  EXPECT_THAT(refusal("knockout 9.9"), HasSubstr("knockout needs query= or key="));
  EXPECT_THAT(refusal("knockout 9.9 key=7:3"), HasSubstr("found '7:3'"));
  EXPECT_THAT(refusal("knockout 9.9 key=-1"), HasSubstr("found '-1'"));
  EXPECT_THAT(refusal("knockout 9.9 keys=1"), HasSubstr("does not take 'keys=1'"));
  EXPECT_THAT(refusal("knockout 9.9 key=1 key=2"), HasSubstr("key= is given twice"));
  EXPECT_THAT(refusal("knockout blocks.3.attn.hook_z key=1"), HasSubstr("knockout needs heads"));
  EXPECT_THAT(refusal("zero blocks.3.attn.hook_zz"), HasSubstr("no hook site is called"));
  EXPECT_THAT(refusal("bias 9.9 by=1"), HasSubstr("bias needs key= (positions"));
  EXPECT_THAT(refusal("temperature 9.9 by=0"), HasSubstr("by= must be more than 0, found 0"));
  EXPECT_THAT(refusal("power 9.9 by=-1"), HasSubstr("by= must be more than 0, found -1"));
  EXPECT_THAT(refusal("uniform 9.9 by=1.5"), HasSubstr("by= must be from 0 to 1, found 1.5"));
  EXPECT_THAT(refusal("identity 9.9 by=-0.1"), HasSubstr("by= must be from 0 to 1, found -0.1"));
  EXPECT_THAT(refusal("column-scale 9.9 key=0 by=-1"), HasSubstr("by= must be at least 0, found -1"));
  EXPECT_THAT(refusal("column-scale 9.9 key=0 by=2 renormalise=maybe"),
              HasSubstr("yes or no, found 'maybe'"));
  EXPECT_THAT(refusal("redistribute 9.9 key=0 to=4:4 by=0.4"), HasSubstr("to= names no position"));
  EXPECT_THAT(refusal("redistribute 9.9 key=0 to= by=0.4"), HasSubstr("or rest, found nothing"));
  EXPECT_THAT(refusal("redistribute 9.9 key=0:3 to=2 by=0.4"), HasSubstr("in common"));
  EXPECT_THAT(refusal("redistribute 9.9 key=* by=0.4"), HasSubstr("no key that could receive"));
  EXPECT_THAT(refusal("redistribute 9.9 key=0 by=0.4 least-mass=2"), HasSubstr("from 0 to 1, found 2 and 0"));
  EXPECT_THAT(refusal("stream 9.9 recent=0"), HasSubstr("recent= must be at least 1"));
  EXPECT_THAT(refusal("gate 9.* keep=0"), HasSubstr("keep= must be at least 1"));
  EXPECT_THAT(refusal("offset 9.9"), HasSubstr("from=FILE.h5 or add=NUMBERS"));
  EXPECT_THAT(refusal("offset 9.9 add=1 from=a.h5"), HasSubstr("one of the two"));
  EXPECT_THAT(refusal("offset 9.9 add=1,,2"), HasSubstr("numbers such as 0.1,-0.2, found '1,,2'"));
  EXPECT_THAT(refusal("pattern 9.9 from=a.h5 key=1,3"), HasSubstr("key= must be one range"));
  EXPECT_THAT(refusal("uniform blocks.3.attn.hook_z"), HasSubstr("uniform needs heads"));
  EXPECT_THAT(refusal("add 9.9 from=a.h5"), HasSubstr("add needs a hook site"));
  EXPECT_THAT(refusal("bias 9.9 by=1 key=3,"), HasSubstr("found '3,'"));
  EXPECT_THAT(refusal("bias 9.9 by=1 key=:"), HasSubstr("found ':'"));
  EXPECT_THAT(refusal("bias 9.9 by=1 key=99999999999"), HasSubstr("found '99999999999'"));
  EXPECT_THAT(refusal("scale 9.9 from=by=1"), HasSubstr("scale does not take 'from=by=1'"));
}

TEST(Edit, OnlyEditableSitesAreAcceptedAndTheOthersAreToldWhichAre) {
  for (const HookSiteInfo& info : hook_sites()) {
    const std::string name = full_name({info.site, info.per_layer ? 2 : -1});
    if (info.editable) {
      EXPECT_TRUE(parse_edit("zero " + name).ok()) << name;
      continue;
    }
    EXPECT_THAT(refusal("zero " + name), HasSubstr(name));
    EXPECT_THAT(refusal("zero " + name), HasSubstr("resid_pre"));
    EXPECT_THAT(refusal("zero " + name), HasSubstr("mlp_post"));
  }
}

std::string check(const Edit& edit, int64_t n_token = 20) {
  const auto checked = check_edits(std::vector<Edit>{edit}, spec(), n_token);
  return checked.ok() ? std::string() : checked.error().to_string();
}

TEST(Edit, ChecksAgainstTheModelNameWhatItHasAndWhatWasFound) {
  EXPECT_EQ(check(parsed("zero 11.7")), "");
  EXPECT_EQ(check(parsed("zero 14.2")), "edit 'zero 14.2': the model has layers 0-11, found 14");
  EXPECT_EQ(check(parsed("zero 2.8")), "edit 'zero 2.8': the model has heads 0-7, found 8");
  EXPECT_EQ(check(parsed("zero 10-13.*")), "edit 'zero 10-13.*': the model has layers 0-11, found 13");
  EXPECT_EQ(check(parsed("zero blocks.12.hook_resid_pre")),
            "edit 'zero blocks.12.hook_resid_pre': the model has layers 0-11, found 12");
  EXPECT_EQ(check(parsed("knockout 1.1 query=19 key=*")), "");
  EXPECT_THAT(check(parsed("knockout 1.1 query=20 key=*")), HasSubstr("20 tokens"));
  EXPECT_THAT(check(parsed("knockout 1.1 query=0 key=4:21")), HasSubstr("4:21"));
  EXPECT_EQ(check(parsed("bias 1.1 by=1 key=20:")), "") << "decoded tokens may be meant";
  EXPECT_THAT(check(parsed("bias 1.1 by=1 key=21:")), HasSubstr("key 21: is outside the 20 tokens"));
  EXPECT_THAT(check(parsed("redistribute 1.1 by=0.4 key=0 to=19,25")), HasSubstr("to 25:26 is outside"));
  EXPECT_THAT(check(parsed("zero 1.1 query=30")), HasSubstr("query 30:31"));
  EXPECT_THAT(check(parsed("offset 1.1 add=1,2,3")),
              HasSubstr("add= has 3 numbers, heads of this model have"));
  EXPECT_EQ(check(parsed("# zero 14.2")), "") << "a disabled edit does nothing, so it cannot be wrong";
}

TEST(Edit, ChecksValuesThatNoTextCanSay) {
  Edit edit = parsed("scale 1.1 by=2");
  edit.by = std::numeric_limits<double>::infinity();
  EXPECT_THAT(check(edit), HasSubstr("finite"));
  edit.by = std::nan("");
  EXPECT_THAT(check(edit), HasSubstr("finite"));
  edit = parsed("zero 1.1");
  edit.target = SiteRef{HookSite::pattern, 1};
  EXPECT_THAT(check(edit), HasSubstr("cannot be edited"));
  edit.target = SiteRef{HookSite::z, -1};
  EXPECT_THAT(check(edit), HasSubstr("layers 0-11"));
  edit = parsed("knockout 1.1 key=1");
  edit.target = SiteRef{HookSite::z, 1};
  EXPECT_THAT(check(edit), HasSubstr("knockout needs heads"));
}

TEST(Edit, APositionEmbeddingCanOnlyBeEditedWhereThereIsOne) {
  ModelSpec rotary = spec();
  rotary.position = PositionKind::rotary;
  const std::vector<Edit> edits{parsed("zero hook_pos_embed")};
  EXPECT_TRUE(check_edits(edits, spec(), 5).ok());
  const auto checked = check_edits(edits, rotary, 5);
  ASSERT_FALSE(checked.ok());
  EXPECT_THAT(checked.error().message, HasSubstr("the model has no hook_pos_embed"));
}

TEST(Edit, NamesTheHeadsOfATargetInOrder) {
  const auto heads = heads_of(std::get<HeadTarget>(parsed("zero 3,1.0-1").target), spec());
  std::vector<std::string> names;
  for (const HeadId& head : heads) names.push_back(to_string(head));
  EXPECT_THAT(names, ElementsAre("1.0", "1.1", "3.0", "3.1"));
  EXPECT_EQ(heads_of({}, spec()).size(), 96U);
  EXPECT_TRUE(heads_of(std::get<HeadTarget>(parsed("zero 50.1").target), spec()).empty());
  EXPECT_EQ(to_text(target_of({LayerIndex{4}, HeadIndex{2}})), "4.2");
}

TEST(Edit, KnowsWhetherItCanChangeAnything) {
  for (const char* text : {"zero 1.1", "scale 1.1 by=0.999999", "mean 1.1", "replace 1.1 from=a",
                           "knockout 1.1 key=1:2", "uniform 1.1 by=0.001", "sharpen 1.1 by=1", "stream 1.1"})
    EXPECT_TRUE(has_effect(parsed(text))) << text;
  for (const char* text :
       {"# zero 1.1", "scale 1.1 by=1", "scale blocks.1.hook_resid_pre by=1.0", "knockout 1.1 key=1:1",
        "zero 1.1 query=5:5", "temperature 1.1 by=1", "bias 1.1 by=0 key=1", "bias 1.1 by=3 key=*",
        "boost 1.1 by=0 key=1", "uniform 1.1 by=0", "identity 1.1 by=0", "force 1.1 by=0 key=1",
        "column-scale 1.1 by=1 key=2 renormalise=yes", "redistribute 1.1 by=1 key=2", "power 1.1 by=1",
        "offset 1.1 from=a.h5 by=0", "add blocks.1.hook_resid_pre from=a.h5 by=0"})
    EXPECT_FALSE(has_effect(parsed(text))) << text;
}

TEST(Edit, KnowsTheFirstLayerItChanges) {
  EXPECT_EQ(first_layer_of(parsed("zero 5-7.*"), spec()), 5);
  EXPECT_EQ(first_layer_of(parsed("zero 9,3.1"), spec()), 3);
  EXPECT_EQ(first_layer_of(parsed("zero *.1"), spec()), 0);
  EXPECT_EQ(first_layer_of(parsed("zero blocks.4.hook_mlp_out"), spec()), 4);
  EXPECT_EQ(first_layer_of(parsed("zero hook_embed"), spec()), 0);
  EXPECT_EQ(first_layer_of(parsed("# zero 5.1"), spec()), 12);
  EXPECT_EQ(first_layer_of(parsed("scale 5.1 by=1"), spec()), 12);
}

}  // namespace
}  // namespace saccade
