#include "core/session/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/base/files.h"

namespace saccade {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

Edit edit(const std::string& text) {
  auto edit = parse_edit(text);
  EXPECT_TRUE(edit.ok()) << edit.error().to_string();
  return edit.ok() ? *edit : Edit{};
}

Session full_session() {
  Session session;
  session.model = "demo:induction";
  session.model_digest = "abc";
  session.prompt = "日本 \"quoted\"\n";
  session.ids = {1, 2, 3};
  session.add_bos = false;
  session.images = {"/pictures/a cat.png", "b.jpg"};
  session.edits = {edit("zero 2.3"), edit("# scale 0-1.* by=0.1"), edit("knockout 1.1 query=3:5 key=*")};
  session.sampling = {64, 0.7, 40, 0.9, 0xFFFF'FFFF'FFFF'FFFFULL, false};
  session.contrast = {{edit("knockout *.* key=img")}, 0, 1.5, 0.2};
  session.analyses = {{"path-patching", {{"receivers", "1.2.q"}}, "to 1.2", {{"score", "/scores/q"}}},
                      {"sinks", Json::object(), "", {}}};
  session.selection = {{LayerIndex{2}, HeadIndex{3}}, {{LayerIndex{2}, HeadIndex{3}}}, 4, -1};
  session.view = {{"palette", "viridis"}};
  session.results = {{"next", {{{"id", 5}, {"logit", 0.1}}}}};
  session.extra = {{"future", {1, 2}}};
  return session;
}

void expect_same(const Session& a, const Session& b) {
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.model_digest, b.model_digest);
  EXPECT_EQ(a.prompt, b.prompt);
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.add_bos, b.add_bos);
  EXPECT_EQ(a.images, b.images);
  EXPECT_EQ(a.edits, b.edits);
  EXPECT_EQ(a.sampling.max_tokens, b.sampling.max_tokens);
  EXPECT_EQ(a.sampling.temperature, b.sampling.temperature);
  EXPECT_EQ(a.sampling.top_k, b.sampling.top_k);
  EXPECT_EQ(a.sampling.top_p, b.sampling.top_p);
  EXPECT_EQ(a.sampling.seed, b.sampling.seed);
  EXPECT_EQ(a.sampling.stop_at_eos, b.sampling.stop_at_eos);
  EXPECT_EQ(a.contrast, b.contrast);
  EXPECT_EQ(a.analyses, b.analyses);
  EXPECT_EQ(a.selection, b.selection);
  EXPECT_EQ(a.view, b.view);
  EXPECT_EQ(a.results, b.results);
  EXPECT_EQ(a.extra, b.extra);
}

class SessionFile : public testing::Test {
 protected:
  std::filesystem::path path =
      std::filesystem::temp_directory_path() /
      (std::string("saccade-") + testing::UnitTest::GetInstance()->current_test_info()->name() + "-" +
       std::to_string(::getpid()) + ".json");
  void TearDown() override { std::filesystem::remove(path); }
};

TEST_F(SessionFile, IsReadBackAsItWasSaved) {
  const Session session = full_session();
  const auto saved = save_session(session, path);
  ASSERT_TRUE(saved.ok()) << saved.error().to_string();
  const auto loaded = load_session(path);
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  expect_same(*loaded, session);
  EXPECT_EQ(to_json(*loaded), to_json(session));
}

TEST_F(SessionFile, HasOneContrastOrNone) {
  const auto session_with = [&](const std::string& contrast) {
    std::ofstream(path) << R"({"type": "saccade-session", "version": 1, "model": "m", "contrast": )" +
                               contrast + "}";
    return load_session(path);
  };
  const auto outliers = session_with(R"({"outliers": 10, "alpha": 0.5, "why": "DAMRO"})");
  ASSERT_TRUE(outliers.ok()) << outliers.error().to_string();
  EXPECT_TRUE(outliers->contrast.asked_for());
  EXPECT_EQ(outliers->contrast.outliers, 10);
  EXPECT_EQ(outliers->contrast.plausibility, 0.1) << "as usual where nothing is said";
  EXPECT_EQ(to_json(*outliers)["contrast"]["why"], "DAMRO");
  EXPECT_FALSE(session_with("null")->contrast.asked_for());
  EXPECT_FALSE(to_json(*session_with("null")).contains("contrast"));
  for (const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{
           {R"({"edits": ["zero 1.2"], "outliers": 3})", "edits or outliers, not both"},
           {R"({"edits": ["zero"]})", "contrast.edits[0]"},
           {R"({"plausibility": 2})", "contrast.plausibility"}}) {
    const auto refused = session_with(text);
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_NE(refused.error().to_string().find(says), std::string::npos) << refused.error().to_string();
  }
}

TEST_F(SessionFile, KeepsKeysItDoesNotKnowWhereverTheyAre) {
  std::ofstream(path) << R"({"type": "saccade-session", "version": 1, "model": "m", "mood": {"a": [1]},
    "sampling": {"top_k": 3, "beam": 4}, "selection": {"patch": [1, 2]}})";
  auto session = load_session(path);
  ASSERT_TRUE(session.ok()) << session.error().to_string();
  session->sampling.top_k = 5;
  const Json again = to_json(*session);
  EXPECT_EQ(again["mood"], Json::parse(R"({"a": [1]})"));
  EXPECT_EQ(again["sampling"]["beam"], 4);
  EXPECT_EQ(again["sampling"]["top_k"], 5);
  EXPECT_EQ(again["selection"]["patch"], Json::parse("[1, 2]"));
}

TEST_F(SessionFile, MissingKeysKeepTheirDefaults) {
  std::ofstream(path) << R"({"type": "saccade-session", "version": 1, "model": "m"})";
  const auto session = load_session(path);
  ASSERT_TRUE(session.ok()) << session.error().to_string();
  EXPECT_TRUE(session->add_bos);
  EXPECT_TRUE(session->edits.empty());
  EXPECT_EQ(session->sampling.max_tokens, SamplingOptions().max_tokens);
  EXPECT_EQ(session->selection, Selection());
}

TEST_F(SessionFile, ErrorsNameTheFile) {
  const auto missing = load_session(path);
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().to_string(), HasSubstr(path.string()));
  for (const std::string& text :
       {std::string("{"), std::string(), std::string("\xff\xfe"), std::string(100000, '['),
        "{\"type\":" + std::string(100000, '[') + std::string(100000, ']') + "}"}) {
    std::ofstream(path) << text;
    const auto session = load_session(path);
    ASSERT_FALSE(session.ok());
    EXPECT_THAT(session.error().to_string(), HasSubstr(path.string()));
  }
  std::ofstream(path) << "[1, 2]";
  const auto list = load_session(path);
  ASSERT_FALSE(list.ok());
  EXPECT_THAT(list.error().to_string(), HasSubstr("expected an object, found [1,2]"));
  EXPECT_THAT(list.error().to_string(), HasSubstr(path.string()));
}

TEST_F(SessionFile, AFolderNameThatIsNotUtf8StillMakesAReadableFile) {
  Session session = full_session();
  session.model = "/models/\xff";
  ASSERT_TRUE(save_session(session, path).ok());
  EXPECT_TRUE(load_session(path).ok());
}

TEST(Session, ErrorsNameTheKeyWhatWasExpectedAndWhatWasFound) {
  const Json good = to_json(full_session());
  const auto message = [&](const char* pointer, const Json& value) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    const auto session = session_from_json(bad);
    EXPECT_FALSE(session.ok()) << pointer << " = " << value;
    return session.ok() ? std::string() : session.error().to_string();
  };
  EXPECT_EQ(message("/type", "recipe"), "session: 'type': expected \"saccade-session\", found \"recipe\"");
  EXPECT_THAT(message("/version", 2), HasSubstr("up to version 1, found version 2"));
  EXPECT_THAT(message("/version", "1"), HasSubstr("'version'"));
  EXPECT_THAT(message("/model", 3), HasSubstr("'model': expected a text, found 3"));
  EXPECT_THAT(message("/add_bos", 1), HasSubstr("'add_bos': expected true or false"));
  EXPECT_THAT(message("/ids", "1,2"), HasSubstr("'ids': expected a list"));
  EXPECT_THAT(message("/ids/1", -4), HasSubstr("'ids[1]'"));
  EXPECT_THAT(message("/ids/1", 1e10), HasSubstr("'ids[1]'"));
  EXPECT_THAT(message("/ids/1", 5'000'000'000), HasSubstr("'ids[1]'"));
  EXPECT_THAT(message("/ids/1", uint64_t{0xFFFF'FFFF'FFFF'FFFF}), HasSubstr("'ids[1]'"));
  EXPECT_THAT(message("/edits/0", "zap 2.3"), HasSubstr("'edits[0]'"));
  EXPECT_THAT(message("/edits/0", "zap 2.3"), HasSubstr("zero, scale, mean, replace, knockout"));
  EXPECT_THAT(message("/edits/1", 7), HasSubstr("'edits[1]': expected an edit"));
  EXPECT_THAT(message("/sampling/top_p", 1.5), HasSubstr("'sampling.top_p': expected a number from 0 to 1"));
  EXPECT_THAT(message("/sampling/seed", -1), HasSubstr("'sampling.seed'"));
  EXPECT_THAT(message("/sampling/max_tokens", 2.5), HasSubstr("'sampling.max_tokens'"));
  EXPECT_THAT(message("/sampling", Json::array()), HasSubstr("'sampling': expected an object"));
  EXPECT_THAT(message("/selection/head", "nine"), HasSubstr("'selection.head': expected a head"));
  EXPECT_THAT(message("/selection/heads/0", 4), HasSubstr("'selection.heads[0]'"));
  EXPECT_THAT(message("/selection/query", -2), HasSubstr("at least -1, found -2"));
  EXPECT_THAT(message("/view", 1), HasSubstr("'view'"));
  Json without = good;
  without.erase("model");
  EXPECT_FALSE(session_from_json(without).ok());
  without = good;
  without.erase("type");
  EXPECT_FALSE(session_from_json(without).ok());
}

TEST(EditHistory, UndoAndRedoWalkTheSteps) {
  EditHistory history;
  EXPECT_FALSE(history.can_undo());
  EXPECT_FALSE(history.can_redo());
  const std::vector<Edit> one{edit("zero 1.1")}, two{edit("zero 1.1"), edit("zero 2.2")};
  history.set(one);
  history.set(two);
  history.undo();
  EXPECT_EQ(history.edits(), one);
  history.undo();
  EXPECT_TRUE(history.edits().empty());
  history.undo();  // nothing left: stays
  EXPECT_TRUE(history.edits().empty());
  history.redo();
  history.redo();
  EXPECT_EQ(history.edits(), two);
  EXPECT_FALSE(history.can_redo());
  history.redo();
  EXPECT_EQ(history.edits(), two);
}

TEST(EditHistory, AChangeAfterUndoForgetsWhatWasUndone) {
  EditHistory history;
  history.set({edit("zero 1.1")});
  history.set({edit("zero 2.2")});
  history.undo();
  history.set({edit("zero 3.3")});
  EXPECT_FALSE(history.can_redo());
  history.undo();
  EXPECT_EQ(history.edits(), std::vector<Edit>{edit("zero 1.1")});
}

TEST(EditHistory, AStreamOfChangesWithOneTagIsOneStep) {
  EditHistory history;
  history.set({edit("scale 1.1 by=1")});
  for (const char* text : {"scale 1.1 by=0.9", "scale 1.1 by=0.5", "scale 1.1 by=0.2"})
    history.set({edit(text)}, "slider 0");
  EXPECT_EQ(history.edits(), std::vector<Edit>{edit("scale 1.1 by=0.2")});
  history.undo();
  EXPECT_EQ(history.edits(), std::vector<Edit>{edit("scale 1.1 by=1")});
  history.redo();
  EXPECT_EQ(history.edits(), std::vector<Edit>{edit("scale 1.1 by=0.2")});
  history.set({edit("scale 1.1 by=0.7")}, "slider 0");  // a new drag after undo is a new step
  history.undo();
  EXPECT_EQ(history.edits(), std::vector<Edit>{edit("scale 1.1 by=0.2")});
}

TEST(EditHistory, AnotherTagIsAnotherStepAndNoTagNeverMerges) {
  EditHistory history;
  history.set({edit("zero 1.1")}, "a");
  history.set({edit("zero 1.2")}, "b");
  history.set({edit("zero 1.3")});
  history.set({edit("zero 1.4")});
  int steps = 0;
  for (; history.can_undo(); history.undo()) ++steps;
  EXPECT_EQ(steps, 4);
}

TEST(EditHistory, SettingTheSameEditsIsNoStepAndKeepsRedo) {
  EditHistory history;
  history.set({edit("zero 1.1")});
  history.set({edit("zero 1.2")});
  history.undo();
  history.set({edit("zero 1.1")});
  EXPECT_TRUE(history.can_redo());
  EXPECT_TRUE(history.can_undo());
  history.undo();
  EXPECT_FALSE(history.can_undo());
}

TEST(SessionAnalyses, WhatCannotBeMadeIsRefusedWithItsKey) {
  const auto refusal = [](const char* analyses) {
    Json document = to_json(full_session());
    document["analyses"] = Json::parse(analyses);
    const auto session = session_from_json(document);
    return session.ok() ? std::string("accepted") : session.error().message;
  };
  EXPECT_THAT(refusal(R"(["sinks"])"), HasSubstr("analyses[0]"));
  EXPECT_THAT(refusal(R"([{"parameters": {}}])"), HasSubstr("analyses[0].method"));
  EXPECT_THAT(refusal(R"([{"method": "sinks", "name": "../x"}])"), HasSubstr("a plain file name"));
  EXPECT_THAT(refusal(R"([{"method": "sinks"}, {"method": "sinks"}])"),
              HasSubstr("another name than those before"));
  EXPECT_THAT(refusal(R"([{"method": "sinks", "against": {"x": "y"}}])"), HasSubstr("analyses[0].against.x"));
  EXPECT_THAT(refusal(R"([{"method": "sinks", "when": 1}])"),
              HasSubstr("method, parameters, name or against"));
}

}  // namespace
}  // namespace saccade
