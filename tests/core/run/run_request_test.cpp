#include "core/run/run_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace saccade {
namespace {

Edit edit(const std::string& text) {
  auto edit = parse_edit(text);
  EXPECT_TRUE(edit.ok()) << edit.error().to_string();
  return edit.ok() ? *edit : Edit{};
}

RunRequest request() {
  RunRequest request;
  request.model_digest = "0123";
  for (const int32_t id : {5, 6, 7}) request.tokens.tokens.push_back({id, "t", 0, 1, false});
  request.capture.sites = {{HookSite::z, 0}, {HookSite::embed, -1}};
  return request;
}

std::shared_ptr<const Capture> reference(const std::string& digest) {
  auto capture = std::make_shared<Capture>();
  capture->provenance.request = digest;
  return capture;
}

TEST(RunRequest, EqualRequestsHaveEqualDigestsOf32HexDigits) {
  EXPECT_EQ(request().digest(), request().digest());
  EXPECT_THAT(request().digest(), testing::MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(request().digest().size(), 32U);
}

TEST(RunRequest, EverythingThatDecidesTheResultChangesTheDigest) {
  std::vector<RunRequest> others(14, request());
  others[0].model_digest = "0124";
  others[1].tokens.tokens[1].id = 8;
  others[2].tokens.tokens.pop_back();
  others[3].edits = {edit("zero 1.1")};
  others[4].edits = {edit("zero 1.2")};
  others[5].edits = {edit("zero 1.1"), edit("zero 1.2")};
  others[6].edits = {edit("zero 1.2"), edit("zero 1.1")};  // order counts: edits act one after another
  others[7].capture.attention = false;
  others[8].capture.loss = false;
  others[9].capture.sites.pop_back();
  others[10].seed = 1;
  others[11].dtype = "bf16";
  others[12].device = "cuda:0";
  others[13].capture.local_width = 9;
  std::set<std::string> digests{request().digest()};
  for (const RunRequest& other : others) EXPECT_TRUE(digests.insert(other.digest()).second);
}

TEST(RunRequest, EditsWithoutEffectDoNotCount) {
  RunRequest edited = request();
  edited.edits = {edit("# zero 1.1"), edit("scale 3.3 by=1"), edit("knockout 1.1 key=4:4")};
  EXPECT_EQ(edited.digest(), request().digest());
}

TEST(RunRequest, TextOffsetsAndThePromptDoNotCountOnlyTheIds) {
  RunRequest other = request();
  other.tokens.text = "another way to say it";
  other.tokens.tokens[0].begin = 9;
  EXPECT_EQ(other.digest(), request().digest());
}

TEST(RunRequest, TheOrderOfRecordedSitesDoesNotCount) {
  RunRequest other = request();
  std::swap(other.capture.sites[0], other.capture.sites[1]);
  EXPECT_EQ(other.digest(), request().digest());
}

TEST(RunRequest, AReferenceCountsByWhatItIsNotByItsName) {
  RunRequest a = request(), b = request(), c = request(), unknown = request();
  a.edits = {edit("replace 1.1 from=a.h5")};
  a.references["a.h5"] = reference("one");
  b.edits = {edit("replace 1.1 from=elsewhere/b.h5")};
  b.references["elsewhere/b.h5"] = reference("one");
  c.edits = {edit("replace 1.1 from=a.h5")};
  c.references["a.h5"] = reference("two");
  unknown.edits = {edit("replace 1.1 from=a.h5")};
  EXPECT_EQ(a.digest(), b.digest());
  EXPECT_NE(a.digest(), c.digest());
  EXPECT_NE(a.digest(), unknown.digest());
}

TEST(RunRequest, AReferenceThatNoEditUsesDoesNotCount) {
  RunRequest other = request();
  other.references["a.h5"] = reference("one");
  EXPECT_EQ(other.digest(), request().digest());
}

TEST(MemoryForecast, FitsWhenNeededIsAvailable) {
  MemoryForecast forecast;
  forecast.captures = 60;
  forecast.working = 40;
  forecast.available = 100;
  EXPECT_EQ(forecast.needed(), 100);
  EXPECT_TRUE(forecast.fits());
  forecast.available = 99;
  EXPECT_FALSE(forecast.fits());
}

}  // namespace
}  // namespace saccade
