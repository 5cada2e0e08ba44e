// The command line as a script sees it: documents, exit codes, files. Runs the real program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

struct Outcome {
  int code = -1;
  std::string out, err;
  [[nodiscard]] json document() const { return json::parse(out); }
};

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("saccade-cli-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Arguments as the shell reads them.
  Outcome cli(const std::string& arguments) {
    const fs::path err = folder_ / "stderr";
    const std::string command =
        std::string("'" SACCADE_CLI "' ") + arguments + " 2>'" + err.string() + "' </dev/null";
    Outcome outcome;
    FILE* pipe = ::popen(command.c_str(), "r");
    std::array<char, 4096> block{};
    for (size_t n = 0; (n = std::fread(block.data(), 1, block.size(), pipe)) > 0;)
      outcome.out.append(block.data(), n);
    const int status = ::pclose(pipe);
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    std::ifstream file(err);
    outcome.err.assign(std::istreambuf_iterator<char>(file), {});
    return outcome;
  }
  // "" where other people's data are not here.
  static std::string stories() {
    const char* set = std::getenv("SACCADE_TEST_DATA");
    const fs::path data = set ? fs::path(set) : fs::path(SACCADE_SOURCE_DIR) / ".." / "shared" / "data";
    return fs::exists(data / "stories260K") ? (data / "stories260K").string() : "";
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }
  fs::path folder_;
};

const std::string repeat_prompt = "'river green apple seven quiet window river green apple seven quiet'";

TEST_F(Cli, run_prints_one_document_with_every_promised_key) {
  const Outcome outcome =
      cli("--json run demo:induction --prompt " + repeat_prompt + " --edit 'zero 1.*' --generate 3");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json d = outcome.document();
  for (const char* key : {"model", "tokens", "next", "loss", "generated", "edits", "request", "kernels",
                          "seconds", "peak_bytes", "baseline", "change"})
    EXPECT_TRUE(d.contains(key)) << key;
  EXPECT_EQ(d["model"], "demo:induction");
  EXPECT_EQ(d["edits"], json::array({"zero 1.*"}));
  EXPECT_EQ(d["loss"]["per_token"].size(), d["tokens"].size() - 1);
  EXPECT_EQ(d["generated"]["ids"].size(), 3u);
  double mass = 0.0;
  for (const json& next : d["next"]) mass += next["prob"].get<double>();
  EXPECT_LE(mass, 1.0 + 1e-9);
  EXPECT_GT(d["change"]["kl"].get<double>(), 0.5) << "zeroing the induction heads must move the answer";
}

TEST_F(Cli, zeroing_the_demos_induction_heads_costs_the_repeat) {
  const json d = cli("--json run demo:induction --prompt " + repeat_prompt + " --edit 'zero 1.*'").document();
  EXPECT_EQ(d["baseline"]["next"][0]["text"], " window");
  EXPECT_GT(d["baseline"]["next"][0]["prob"].get<double>(), 0.5);
  double after = 0.0;
  for (const json& next : d["next"])
    if (next["text"] == " window") after = next["prob"];
  EXPECT_LT(after, 0.1);
  const json control =
      cli("--json run demo:induction --prompt " + repeat_prompt + " --edit 'zero 2.*'").document();
  EXPECT_EQ(control["next"][0]["text"], " window") << "other heads do not carry the repeat";
}

TEST_F(Cli, the_demos_that_see_show_themselves_on_a_picture) {
  for (const std::string demo : {"shapes-vit", "shapes-vlm"}) {
    const json d = cli("--json demo " + demo + " --out " + path(demo)).document();
    EXPECT_EQ(d["model"], "demo:" + demo);
    ASSERT_EQ(d["edits"].size(), 1u) << "the head that the answer needs most";
    EXPECT_GT(d["change"]["kl"].get<double>(), 0.1);
    EXPECT_EQ(d.contains("generated"), demo == "shapes-vlm");
    for (const json& file : d["files"]) EXPECT_TRUE(fs::exists(file.get<std::string>())) << file;
  }
}

TEST_F(Cli, edits_that_do_nothing_give_the_same_numbers) {
  const json plain = cli("--json run demo:induction --prompt " + repeat_prompt).document();
  const json same =
      cli("--json run demo:induction --prompt " + repeat_prompt + " --edit 'scale 1.2 by=1'").document();
  EXPECT_EQ(plain["next"], same["next"]);
  EXPECT_EQ(plain["request"], same["request"]);
  EXPECT_EQ(same["change"]["kl"].get<double>(), 0.0);
}

TEST_F(Cli, a_trained_llama_writes_the_story_its_author_published) {
  if (stories().empty())
    GTEST_SKIP() << "no ../shared/data and no $SACCADE_TEST_DATA: stories260K is not here";
  const Outcome outcome = cli("run " + stories() + " --ids 1 --generate 200 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::ifstream file(stories() + "/expected_greedy.json");
  const json expected = json::parse(file);
  std::vector<int> wanted = expected["greedy_ids"], made = outcome.document()["generated"]["ids"];
  wanted.erase(wanted.begin());
  wanted.resize(200);
  EXPECT_EQ(made, wanted);
  EXPECT_THAT(expected["text"].get<std::string>(),
              HasSubstr(outcome.document()["generated"]["text"].get<std::string>().substr(1, 200)));
}

TEST_F(Cli, contrast_steers_what_is_generated_and_a_session_repeats_it) {
  const std::string ask =
      "run demo:shapes-vlm --image " SACCADE_SOURCE_DIR
      "/resources/pictures/shapes/0034.png --prompt '<image> Describe the scene. Answer:' "
      "--generate 16 --json";
  const auto text_of = [](const Outcome& outcome) {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.document()["generated"]["text"].get<std::string>();
  };
  const Outcome plain = cli(ask);
  const Outcome steered =
      cli(ask + " --contrast 'knockout *.* query=txt,gen key=img' --contrast-alpha 3 --save " +
          path("steered.json"));
  EXPECT_NE(text_of(plain), text_of(steered));
  EXPECT_EQ(steered.document()["contrast"]["alpha"], 3.0);
  EXPECT_EQ(text_of(plain), text_of(cli(ask + " --contrast 'zero 0.*' --contrast-alpha 0 --contrast-cut 0")))
      << "alpha 0 steers nowhere";
  std::ifstream saved(path("steered.json"));
  const json session = json::parse(saved);
  EXPECT_EQ(session["contrast"]["edits"], json({"knockout *.* query=txt,gen key=img"}));
  EXPECT_EQ(cli("replay " + path("steered.json")).code, 0);
  EXPECT_EQ(cli(ask + " --contrast-outliers 10").code, 0);
  const Outcome many = cli(ask + " --contrast-outliers 64");
  EXPECT_EQ(many.code, 1);
  EXPECT_THAT(many.err, HasSubstr("fewer of them must be outliers"));
  EXPECT_EQ(cli(ask + " --contrast 'zero 0.0' --contrast-outliers 3").code, 2) << "one of the two";
  const Outcome nothing = cli("run demo:induction --prompt 'a b a' --contrast 'zero 0.0'");
  EXPECT_EQ(nothing.code, 1);
  EXPECT_THAT(nothing.err, HasSubstr("--generate N"));
}

TEST_F(Cli, moved_positions_are_an_edit_like_others) {
  const std::string ask =
      "run demo:shapes-vlm --image " SACCADE_SOURCE_DIR
      "/resources/pictures/shapes/0034.png --prompt '<image> Describe the scene. Answer:' "
      "--json --edit 'reposition *.* layout=concentric' --dump " +
      path("rings.h5") + " --save " + path("rings.json");
  const Outcome outcome = cli(ask);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.document()["edits"], json({"reposition *.* layout=concentric"}));
  EXPECT_GT(outcome.document()["change"]["kl"].get<double>(), 1e-6);
  EXPECT_EQ(cli("dump-info " + path("rings.h5")).code, 0);
  const Outcome again = cli("replay " + path("rings.json") + " --json");
  ASSERT_EQ(again.code, 0) << again.err;
}

TEST_F(Cli, chat_writes_the_prompt_as_the_models_template_wants_it) {
  ASSERT_EQ(cli("make-random gpt2-tiny " + path("chatty")).code, 0);
  const std::string ask = " --prompt 'Hi <b>' --json";
  const Outcome none = cli("run " + path("chatty") + ask + " --chat");
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("--chat: this model has no chat template"));
  std::ofstream(path("chatty/chat_template.jinja"))
      << "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
         "{% if add_generation_prompt %}[assistant]{% endif %}";
  const Outcome chat = cli("run " + path("chatty") + ask + " --chat");
  ASSERT_EQ(chat.code, 0) << chat.err;
  const json plain =
      cli("--json run " + path("chatty") + " --no-bos --prompt '[user] Hi <b>\n[assistant]'").document();
  EXPECT_EQ(chat.document()["tokens"], plain["tokens"]);
  EXPECT_TRUE(cli("info --json " + path("chatty")).document()["chat_template"].is_string());
  std::ofstream(path("chatty/chat_template.jinja")) << "{% for m in %}";
  const Outcome broken = cli("run " + path("chatty") + ask + " --chat");
  EXPECT_EQ(broken.code, 1);
  EXPECT_THAT(broken.err, HasSubstr("chat_template.jinja"));
  EXPECT_EQ(cli("run " + path("chatty") + ask).code, 0) << "a broken template must not close the model";
}

TEST_F(Cli, a_dump_with_patterns_reads_in_h5py_and_its_rows_sum_to_one) {
  if (stories().empty())
    GTEST_SKIP() << "no ../shared/data and no $SACCADE_TEST_DATA: stories260K is not here";
  if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0)
    GTEST_SKIP() << "python3-h5py is not installed";
  const Outcome outcome =
      cli("run " + stories() +
          " --prompt 'Lily saw a big red ball.' --edit 'zero 2.3' --capture pattern --dump " +
          path("out.h5") + " --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::ofstream(path("check.py")) << "import h5py, numpy, sys\n"
                                     "f = h5py.File(sys.argv[1])\n"
                                     "p = f['blocks.2.attn.hook_pattern'][...]\n"
                                     "assert p.shape[0] == 8 and p.shape[1] == p.shape[2], p.shape\n"
                                     "print(abs(p.sum(-1, dtype=float) - 1).max())\n"
                                     "assert numpy.triu(p, 1).max() == 0\n";
  const std::string command =
      "/usr/bin/python3 " + path("check.py") + " " + path("out.h5") + " > " + path("sums");
  ASSERT_EQ(std::system(command.c_str()), 0);
  double worst = 1.0;
  std::ifstream(path("sums")) >> worst;
  EXPECT_LT(worst, 1e-6);
  const json info = cli("--json dump-info " + path("out.h5")).document();
  EXPECT_EQ(info["edits"], json::array({"zero 2.3"}));
}

TEST_F(Cli, a_saved_session_replays_to_the_same_numbers) {
  ASSERT_EQ(cli("run demo:induction --prompt " + repeat_prompt + " --edit 'scale 1.2 by=0.25' --save " +
                path("s.json"))
                .code,
            0);
  const Outcome outcome = cli("--json replay " + path("s.json") + " --out " + path("pictures"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.document()["departure"].get<double>(), 0.0);
  for (const json& file : outcome.document()["files"])
    EXPECT_GT(fs::file_size(file.get<std::string>()), 100u) << file;
}

// A GPT-2-shaped model on which the indirect-object prompts work: their words are single tokens, and its
// weights are large enough for prompts to differ in their answers.
void make_word_model(const fs::path& folder) {
  json vocabulary = json::parse(std::ifstream(folder / "vocab.json"));
  std::ofstream merges(folder / "merges.txt");
  merges << "#version: 0.2\n";
  std::set<std::string> known;
  int next = 256;
  for (const std::string word : {" John", " Mary", " Tom",  " James", " Dan",   " Sid", " Martin", " Amy",
                                 "When",  "After", " and",  " went",  " to",    " the", " shops",  " park",
                                 " gave", " bag",  " ball", " an",    " apple", " a",   " drink"}) {
    std::string left = word[0] == ' ' ? "\u0120" : word.substr(0, 1);
    for (size_t i = 1; i < word.size(); ++i) {
      const std::string right = word.substr(i, 1), whole = left + right;
      if (known.insert(whole).second) {
        merges << left << ' ' << right << '\n';
        vocabulary.erase("<" + std::to_string(next) + ">");
        vocabulary[whole] = next++;
      }
      left = whole;
    }
  }
  vocabulary.erase("<511>");
  vocabulary["<|endoftext|>"] = 511;
  std::ofstream(folder / "vocab.json") << vocabulary.dump();
  std::fstream weights(folder / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  uint64_t header = 0;
  weights.read(reinterpret_cast<char*>(&header), sizeof header);
  const auto begin = static_cast<std::streamoff>(sizeof header + header);
  std::vector<float> numbers((fs::file_size(folder / "model.safetensors") - static_cast<uint64_t>(begin)) /
                             4);
  const auto bytes = static_cast<std::streamsize>(numbers.size() * 4);
  weights.seekg(begin);
  weights.read(reinterpret_cast<char*>(numbers.data()), bytes);
  for (float& number : numbers) number *= 8.0F;
  weights.seekp(begin);
  weights.write(reinterpret_cast<const char*>(numbers.data()), bytes);
}

TEST_F(Cli, the_recipe_of_indirect_objects_replays_on_another_model_and_compares_with_reference_numbers) {
  ASSERT_EQ(cli("make-random gpt2-tiny " + path("m") + " --seed 4").code, 0);
  make_word_model(path("m"));
  const std::string replay =
      "--json replay " SACCADE_SOURCE_DIR "/resources/recipes/ioi.json --model " + path("m");
  const Outcome first = cli(replay + " --out " + path("first"));
  ASSERT_EQ(first.code, 0) << first.err;
  ASSERT_EQ(first.document()["analyses"].size(), 10U);
  // The results themselves as the reference: a second replay departs by nothing; a changed number is seen.
  json reference;
  for (const auto& [name, place, part] :
       std::vector<std::array<std::string, 3>>{{"resid_pre", "act_patch_block", "resid_pre"},
                                               {"attn_out", "act_patch_block", "attn_out"},
                                               {"mlp_out", "act_patch_block", "mlp_out"},
                                               {"heads", "act_patch_head_all_pos", "output"},
                                               {"heads-q", "act_patch_head_all_pos", "q"},
                                               {"heads-k", "act_patch_head_all_pos", "k"},
                                               {"heads-v", "act_patch_head_all_pos", "v"},
                                               {"heads-pattern", "act_patch_head_all_pos", "pattern"}}) {
    const json result = json::parse(std::ifstream(fs::path(path("first")) / (name + ".json")));
    const json& field = result["fields"]["effect"];
    EXPECT_EQ(field["shape"][0], 2) << name;
    reference[place][part] = field["values"];
  }
  EXPECT_EQ(json::parse(std::ifstream(path("first/resid_pre.json")))["fields"]["effect"]["shape"][1], 15)
      << "the prompts are 15 tokens of this vocabulary, as they are of GPT-2's";
  reference["act_patch_head_all_pos"]["q"][3] =
      reference["act_patch_head_all_pos"]["q"][3].get<double>() + 0.25;
  std::ofstream(path("reference.json")) << reference.dump();
  const Outcome second = cli(replay + " --reference " + path("reference.json"));
  ASSERT_EQ(second.code, 0) << second.err;
  const json analyses = second.document()["analyses"];
  for (size_t i = 0; i < 8; ++i)
    EXPECT_NEAR(analyses[i]["departures"][0]["largest"].get<double>(), i == 4 ? 0.25 : 0.0, 1e-6) << i;
  const Outcome wrong = cli(replay + " --reference " SACCADE_SOURCE_DIR "/resources/recipes/ioi.json");
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("nothing at /act_patch_block/resid_pre"));
}

TEST_F(Cli, two_dumps_compare_head_by_head_without_their_model) {
  for (const char* which : {"a", "b"})
    ASSERT_EQ(
        cli(std::string("run demo:induction --prompt ") + repeat_prompt +
            (which[0] == 'b' ? " --edit 'zero 0.2'" : "") + " --dump " + path(std::string(which) + ".h5"))
            .code,
        0);
  const Outcome outcome = cli("--json compare " + path("a.h5") + " " + path("b.h5"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json d = outcome.document();
  EXPECT_EQ(d["heads"].size(), 12u);
  EXPECT_EQ(d["heads"][0]["pattern_change"].get<double>(), 0.0) << "layer 0 stands before the edit";
  EXPECT_GT(d["change"]["kl"].get<double>(), 0.0);
}

TEST_F(Cli, maps_leave_as_pictures_and_as_numbers) {
  for (const char* name : {"m.png", "m.svg", "m.pdf", "m.csv", "m.npy"}) {
    const Outcome outcome =
        cli("map demo:induction --prompt " + repeat_prompt + " --head L1H2 --rows 2:9 --out " + path(name));
    EXPECT_EQ(outcome.code, 0) << name << outcome.err;
    EXPECT_GT(fs::file_size(path(name)), 100u);
  }
}

TEST_F(Cli, analyze_and_methods_speak_the_registry) {
  const json methods = cli("--json methods").document()["methods"];
  ASSERT_FALSE(methods.empty());
  const Outcome outcome = cli("--json analyze head-table demo:induction --prompt " + repeat_prompt);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json d = outcome.document();
  for (const char* key : {"method", "params", "requests", "fields", "tables", "findings"})
    EXPECT_TRUE(d.contains(key));
  const json induction = d["fields"]["induction"];
  ASSERT_EQ(induction["shape"], json::array({3, 4}));
  EXPECT_EQ(cli("analyze head-table demo:induction --prompt x --set nonsense=1").code, 1);
}

TEST_F(Cli, a_plugin_is_a_method_like_any_other_and_a_refused_one_says_why) {
  fs::create_directories(folder_ / "plugins");
  std::ofstream(folder_ / "plugins" / "odd.json") << R"({"api": 9})";
  const std::string plugins = "--plugins '" + (folder_ / "plugins").string() + "' ";
  const json d = cli(plugins + "--json methods").document();
  const auto named = [](const json& method) { return method["id"] == "attention-distance"; };
  const auto found = std::find_if(d["methods"].begin(), d["methods"].end(), named);
  ASSERT_NE(found, d["methods"].end());
  EXPECT_THAT((*found)["plugin"].get<std::string>(), HasSubstr("attention_distance.json"));
  ASSERT_EQ(d["refused"].size(), 1u);
  EXPECT_THAT(d["refused"][0]["where"].get<std::string>(), HasSubstr("odd.json"));
  EXPECT_THAT(d["refused"][0]["reason"].get<std::string>(), HasSubstr("version 9"));
  EXPECT_THAT(cli(plugins + "methods").out, HasSubstr("refused: "));
  const Outcome outcome =
      cli("--json analyze attention-distance demo:induction --set bins=3 --prompt " + repeat_prompt);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.document()["fields"]["histogram"]["axes"], json::array({"layer", "head", "distance"}));
  EXPECT_EQ(outcome.document()["fields"]["histogram"]["shape"], json::array({3, 4, 3}));
  EXPECT_EQ(cli("analyze attention-distance demo:induction --prompt x --set bins=1").code, 1);
}

TEST_F(Cli, wrong_usage_is_2_failure_is_1_and_each_says_why_once) {
  EXPECT_EQ(cli("").code, 2);
  EXPECT_EQ(cli("run").code, 2);
  EXPECT_EQ(cli("run demo:induction --prompt a --ids 1").code, 2);
  EXPECT_EQ(cli("--help").code, 0);
  const std::vector<std::pair<std::string, std::string>> failures{
      {"info /nowhere/at/all", "no such folder"},
      {"info demo:unknown", "induction"},
      {"run demo:induction --prompt ''  --no-bos", "no tokens"},
      {"run demo:induction --prompt a --edit 'zero 9.0'", "layers 0-2"},
      {"run demo:induction --prompt a --edit 'boil 1.0'", "no verb"},
      {"run demo:induction --ids 1,99999", "99999"},
      {"run demo:induction --prompt a --kernels none", "baseline"},
      {"run demo:induction --prompt a --device cuda:0", "cuda:0"},
      {"run demo:induction --prompt \"$(printf 'a\\377b')\"", "UTF-8"},
      {"run demo:induction --prompt a --dump /nowhere/x.h5", "/nowhere/x.h5"},
      {"map demo:induction --prompt a --head 7.7 --out " + path("x.png"), "7"},
      {"dump-info " SACCADE_SOURCE_DIR "/README.md", "README.md"},
      {"replay " SACCADE_SOURCE_DIR "/README.md", "README.md"}};
  for (const auto& [arguments, expected] : failures) {
    const Outcome outcome = cli(arguments);
    EXPECT_EQ(outcome.code, 1) << arguments;
    EXPECT_THAT(outcome.err, HasSubstr(expected)) << arguments;
    EXPECT_EQ(outcome.out, "") << arguments;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST_F(Cli, a_prompt_longer_than_the_model_has_positions_is_refused_with_the_numbers) {
  std::ofstream file(path("long.txt"));
  for (int i = 0; i < 400; ++i) file << "river ";
  file.close();
  const Outcome outcome = cli("run demo:induction --prompt-file " + path("long.txt"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("positions for 256"));
}

TEST_F(Cli, a_random_model_is_the_same_for_the_same_seed_and_runs) {
  ASSERT_EQ(cli("make-random gpt2-tiny " + path("a") + " --seed 3").code, 0);
  ASSERT_EQ(cli("make-random gpt2-tiny " + path("b") + " --seed 3").code, 0);
  ASSERT_EQ(cli("make-random llama-tiny " + path("c") + " --seed 3").code, 0);
  const json a = cli("--json run " + path("a") + " --prompt hello").document();
  EXPECT_EQ(a["next"], cli("--json run " + path("b") + " --prompt hello").document()["next"]);
  EXPECT_EQ(cli("run " + path("c") + " --prompt hello").code, 0);
  EXPECT_EQ(cli("make-random gpt9 " + path("d")).code, 1);
}

TEST_F(Cli, an_interrupt_ends_with_130_and_leaves_no_torn_file) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(SACCADE_CLI, SACCADE_CLI, "-q", "make-random", "gpt2-small", path("big").c_str(), nullptr);
    ::_exit(127);
  }
  while (!fs::exists(folder_ / "big")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  ::kill(child, SIGINT);
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_FALSE(fs::exists(folder_ / "big" / "model.safetensors"));
  for (const auto& entry : fs::directory_iterator(folder_ / "big"))
    EXPECT_NE(entry.path().extension(), ".tmp");
}

TEST_F(Cli, a_report_is_written_from_what_the_methods_find) {
  const auto recipe = [&](const json& document) {
    std::ofstream(path("recipe.json")) << document.dump();
    return cli("report '" + path("recipe.json") + "' --out '" + path("out/page.md") + "' --json -q");
  };
  const json sweep = {
      {"title", "Which heads?"},
      {"model", "demo:induction"},
      {"prompt", "The cat sat"},
      {"method", "ablation-sweep"},
      {"parameters", {{"count", 2}}},
      {"figures", {"effect"}},
      {"tables", {{{"name", "heads"}, {"sort", "effect"}, {"rows", 3}, {"columns", {"head", "effect"}}}}}};
  const json absent = {{"title", "Elsewhere"}, {"model", "not-here"}, {"prompt", "x"}, {"method", "sinks"}};
  const Outcome done = recipe({{"title", "Page"}, {"sections", {sweep, absent}}});
  ASSERT_EQ(done.code, 0) << done.err;
  std::ifstream file(path("out/page.md"));
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(
      page,
      HasSubstr("saccade-cli analyze ablation-sweep demo:induction --prompt 'The cat sat' --set count=2"));
  EXPECT_THAT(page, HasSubstr("- repeat: ablating "));
  EXPECT_THAT(page, HasSubstr("| head | effect |\n|---|---|\n"));
  EXPECT_THAT(page, HasSubstr("3 of 12 rows."));
  EXPECT_THAT(page, HasSubstr("Left out: no model `not-here` was given."));
  EXPECT_GT(fs::file_size(path("out/figures/1-ablation-sweep-effect.png")), 1000U);

  json wrong = sweep;
  wrong["tables"][0]["sort"] = "size";
  EXPECT_THAT(recipe({{"title", "Page"}, {"sections", {wrong}}}).err, HasSubstr("there is no column 'size'"));
  wrong = sweep;
  wrong["colour"] = "red";
  EXPECT_THAT(recipe({{"title", "Page"}, {"sections", {wrong}}}).err, HasSubstr("has no use for 'colour'"));
  EXPECT_THAT(recipe({{"title", "Page"}, {"sections", json::array()}}).err,
              HasSubstr("at least one section"));
}

const std::string picture = "'" SACCADE_SOURCE_DIR "/tests/data/pictures/turned6.jpg'";
const std::string classifier = "'" SACCADE_SOURCE_DIR "/tests/data/vision_goldens/vit'";

TEST_F(Cli, a_picture_is_classified_mapped_and_analysed_like_a_text) {
  const Outcome outcome =
      cli("--json run " + classifier + " --image " + picture + " --edit 'zero 1.*' --dump " +
          path("seen.h5") + " --save " + path("seen.json"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json d = outcome.document();
  EXPECT_EQ(d["tokens"].size(), 13u);
  EXPECT_EQ(d["tokens"][0]["text"], "CLS");
  EXPECT_EQ(d["tokens"][12]["text"], "2,3");
  ASSERT_EQ(d["images"].size(), 1u);
  EXPECT_EQ(d["images"][0]["grid"], json::array({3, 4}));
  EXPECT_EQ(d["images"][0]["original"], json::array({24, 16})) << "the file is stored lying, and says so";
  EXPECT_THAT((std::vector<std::string>{"cat", "dog", "owl", "elk", "fox"}),
              testing::Contains(d["next"][0]["text"].get<std::string>()));
  EXPECT_GT(d["change"]["kl"].get<double>(), 0.0);
  EXPECT_EQ(cli("map " + classifier + " --image " + picture + " --head 1.2 --out " + path("m.png")).code, 0);
  const json heads = cli("--json analyze head-table " + classifier + " --image " + picture).document();
  EXPECT_FALSE(heads["tables"].empty());
  const json replayed = cli("--json replay " + path("seen.json")).document();
  EXPECT_EQ(replayed["departure"].get<double>(), 0.0);
  EXPECT_EQ(cli("--json dump-info " + path("seen.h5")).document()["tokens"], 13);
}

TEST_F(Cli, a_decoder_reads_a_picture_among_token_ids_and_its_session_says_so) {
  const std::string model = "'" SACCADE_SOURCE_DIR "/tests/data/vision_goldens/llava'";
  const Outcome outcome = cli("--json run " + model + " --ids 5,92,7 --image " + picture +
                              " --generate 2 --save " + path("words.json"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.document()["tokens"].size(), 11u);
  EXPECT_EQ(outcome.document()["generated"]["ids"].size(), 2u);
  EXPECT_EQ(cli("--json replay " + path("words.json")).document()["departure"].get<double>(), 0.0);
  const json about = cli("--json info " + model).document()["pictures"];
  EXPECT_EQ(about["grid"], json::array({3, 3}));
  EXPECT_EQ(about["tower"]["family"], "clip");
}

TEST_F(Cli, pictures_where_they_do_not_belong_are_refused_with_a_reason) {
  EXPECT_THAT(cli("run demo:induction --prompt x --image " + picture).err, HasSubstr("reads text only"));
  EXPECT_THAT(cli("run " + classifier).err, HasSubstr("--image FILE"));
  EXPECT_THAT(cli("run " + classifier + " --prompt cat --image " + picture).err, HasSubstr("no text"));
  EXPECT_THAT(cli("run " + classifier + " --image /nowhere.png").err, HasSubstr("no such picture file"));
  EXPECT_THAT(cli("run " + classifier + " --label cat --image " + picture).err, HasSubstr("no pair"));
}

TEST_F(Cli, a_map_is_drawn_over_the_picture_with_the_weights_it_shows) {
  const std::string command =
      "--json map " + classifier + " --image " + picture + " --head 1.2 --over-picture --out ";
  const Outcome outcome = cli(command + path("over.png"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json d = outcome.document();
  EXPECT_EQ(d["query"], 0) << "CLS, where nothing is said";
  EXPECT_EQ(d["grid"], json::array({3, 4}));
  EXPECT_GT(fs::file_size(path("over.png")), 2000U);
  double mass = 0.0;
  for (const json& weight : d["weights"]) mass += weight.get<double>();
  EXPECT_EQ(d["weights"].size(), 12u);
  EXPECT_NEAR(d["mass"].get<double>(), mass, 1e-6);
  EXPECT_EQ(cli(command + path("patch.svg") + " --query 1,2 --smooth --alpha 0.4").document()["query"],
            1 + 4 + 2);
  EXPECT_THAT(cli(command + path("x.png") + " --query 3,0").err, HasSubstr("the picture has 3 x 4"));
  EXPECT_THAT(cli("map demo:induction --prompt x --head 0.0 --over-picture --out " + path("x.png")).err,
              HasSubstr("--image FILE"));
}

TEST_F(Cli, a_scanpath_becomes_an_animation) {
  std::ofstream(path("gaze.csv")) << "subject,image,x,y,duration,image_width,image_height\n"
                                     "a,p.jpg,5,5,200,24,16\na,p.jpg,20,12,300,24,16\n";
  const Outcome outcome =
      cli("gaze " + path("gaze.csv") + " --picture " + picture + " --speed 2 --out " + path("path.gif"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::ifstream file(path("path.gif"), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(bytes.starts_with("GIF89a"));
  EXPECT_TRUE(bytes.ends_with(";"));
}

}  // namespace
