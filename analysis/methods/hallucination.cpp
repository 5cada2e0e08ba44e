// hallucination: over a folder of pictures whose objects are known, how often a model names what is not there
// (CHAIR) and how it answers yes-or-no questions (POPE), as it is and under edits or methods, picture by
// picture, with paired differences.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "analysis/methods/hallucination_plan.h"
#include "analysis/methods/hallucination_score.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

using namespace hallucination;  // NOLINT(google-build-using-namespace): its own part

MethodInfo make_info() {
  MethodInfo info;
  info.id = "hallucination";
  info.title = "What is said that is not there";
  info.summary =
      "CHAIR of captions and POPE-style questions over a folder of pictures with known objects, as the model "
      "is and under the current edits, VAR, VHR or DAMRO.";
  info.citation =
      "CHAIR: Rohrbach et al. 2018 (arXiv 1809.02156); POPE: Li et al. 2023 (arXiv 2305.10355); VAR: Kang et "
      "al. 2025; VHR: He et al. 2025; DAMRO: Gong et al. 2024; intervals over pictures: own (bootstrap)";
  info.parameters = {
      {"folder", "Folder", "Of pictures, with objects.json beside them.", ""},
      choice("tasks", "Tasks", "captions, questions, or both.", {"both", "captions", "questions"}),
      {"edits", "Current edits", "Ask under them, too.", true},
      {"var", "VAR", "Ask with visual attention redistribution.", false},
      {"vhr", "VHR", "Ask with vision-aware heads reinforced.", false},
      {"damro", "DAMRO", "Ask contrasted with the encoder's outlier tokens.", false},
      {"pictures", "Pictures", "How many, from the first; 0: all.", 0, 0, 1e7},
      {"caption_prompt", "Caption prompt", "Empty: what objects.json says, or <image> Describe the picture.",
       ""},
      {"question_prompt", "Question prompt",
       "With {question} in it; empty: what objects.json says, or <image> {question}", ""},
      {"caption_tokens", "Caption tokens", "At most.", 64, 1, 4096},
      {"question_tokens", "Answer tokens", "At most, for yes or no.", 8, 1, 4096},
      {"draws", "Bootstrap draws", "For the 95 % intervals.", 1000, 1, 100000},
      {"seed", "Seed", "Of the draws.", 1, 0, 1e9}};
  for (auto parameters : {var::parameters(), vhd::parameters(), damro::parameters()})
    for (ParameterInfo& parameter : parameters) info.parameters.push_back(std::move(parameter));
  return info;
}

class Hallucination final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    if (!input.outcomes.empty()) return wanted;
    SACCADE_TRY(const auto asking, asking_of(input));
    for (size_t picture = 0; picture < asking->set.pictures.size(); ++picture)
      for (const Way way : asking->ways) wanted.emplace_back(wanted_of(asking, picture, way));
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(const auto asking, asking_of(input));
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.model_digest};
    SACCADE_TRY(const Scored scored, score(input, *asking, result));
    result.partial = scored.pictures < asking->set.pictures.size();
    if (scored.pictures == 0) return make_error(ErrorCode::cancelled, "cancelled");
    add_measures(input, *asking, scored, job, result);
    return result;
  }

 private:
  // Counts of the pictures that were asked in every way.
  struct Scored {
    size_t pictures = 0;
    // [way][kind][picture]; kind "all" holds captions and all questions
    std::map<std::string, std::vector<std::vector<Counts>>> of_kind;
  };

  static Result<std::shared_ptr<const Asking>> asking_of(const MethodInput& input) {
    SACCADE_CHECK(require_model(input, "hallucination"));
    const nlohmann::json& p = input.parameters;
    const Model& model = *input.model;
    if (model.spec().tower.image_token_id < 0)
      return make_error(
          ErrorCode::unsupported,
          fmt::format("hallucination asks a model about pictures in words, and {} ({}) {}; open "
                      "one that reads pictures and writes, such as a llava folder",
                      model.name(), model.spec().family,
                      model.spec().reads_pictures() ? "does not write" : "reads text only"));
    const auto folder = p["folder"].get<std::string>();
    if (folder.empty())
      return make_error(
          ErrorCode::invalid_argument,
          "hallucination needs folder=PATH: a folder of pictures with objects.json beside them");
    auto asking = std::make_shared<Asking>();
    SACCADE_TRY(asking->set, read_object_set(folder));
    if (const auto limit = p["pictures"].get<size_t>(); limit > 0 && limit < asking->set.pictures.size())
      asking->set.pictures.resize(limit);
    const auto tasks = p["tasks"].get<std::string>();
    asking->captions = tasks != "questions";
    asking->questions = tasks != "captions";
    const bool any_question = std::any_of(asking->set.pictures.begin(), asking->set.pictures.end(),
                                          [](const ObjectPicture& one) { return !one.questions.empty(); });
    if (!asking->captions && !any_question)
      return make_error(ErrorCode::invalid_argument,
                        folder + ": no picture has questions; tasks=captions measures captions alone");
    asking->ways = {Way::baseline};
    const std::vector<Edit>& edits = input.base.edits;
    if (p["edits"].get<bool>() && std::any_of(edits.begin(), edits.end(), has_effect))
      asking->ways.push_back(Way::edits);
    for (const Way way : {Way::var, Way::vhr, Way::damro})
      if (p[to_string(way)].get<bool>()) asking->ways.push_back(way);
    SACCADE_TRY(asking->caption_prompt,
                prompt_of(p["caption_prompt"].get<std::string>(), asking->set.caption_prompt,
                          "<image>\nDescribe the picture.", model));
    SACCADE_TRY(asking->question_prompt,
                prompt_of(p["question_prompt"].get<std::string>(), asking->set.question_prompt,
                          "<image>\n{question}", model));
    if (asking->question_prompt.find("{question}") == std::string::npos)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("question_prompt: expected {{question}} in it, found '{}'", asking->question_prompt));
    asking->caption_tokens = p["caption_tokens"].get<int>();
    asking->question_tokens = p["question_tokens"].get<int>();
    asking->base = input.base;
    asking->base.tokens = {};
    SACCADE_TRY(asking->var_settings, var::read_settings(p, model.spec()));
    asking->vhd_options = vhd::read_options(p);
    SACCADE_CHECK(vhd::layers_of(asking->vhd_options, model.spec()));
    asking->damro_options = damro::read_options(p);
    return std::shared_ptr<const Asking>(std::move(asking));
  }

  // Refuses prompts that the model cannot read, or that have no place for one picture.
  static Result<std::string> prompt_of(const std::string& given, const std::string& from_file,
                                       const char* otherwise, const Model& model) {
    const std::string prompt = !given.empty() ? given : !from_file.empty() ? from_file : otherwise;
    auto tokens = model.tokenizer().encode(prompt, {});
    if (!tokens.ok()) return std::move(tokens).error().with("hallucination asks in words");
    const std::vector<int32_t> ids = tokens->ids();
    if (std::count(ids.begin(), ids.end(), model.spec().tower.image_token_id) != 1)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("the prompt '{}' needs one place for the picture, such as <image>", prompt));
    return prompt;
  }

  static std::string text_of(const Model& model, const std::vector<int32_t>& ids) {
    const Result<std::string> text = model.tokenizer().decode(ids);
    return text.ok() ? *text : std::string();
  }

  static Result<Scored> score(const MethodInput& input, const Asking& asking, AnalysisResult& result) {
    Scored scored;
    const size_t ways = asking.ways.size();
    scored.of_kind["all"].resize(ways);
    Table captions{"captions", {"picture", "way", "caption", "not_there"}, {}},
        answers{"answers", {"picture", "kind", "question", "right", "way", "answer"}, {}};
    for (size_t p = 0; p < asking.set.pictures.size(); ++p) {
      const ObjectPicture& picture = asking.set.pictures[p];
      const std::vector<std::string> prompts = asking.prompts(picture);
      std::vector<std::vector<std::vector<int32_t>>> said;
      for (size_t w = 0; w < ways; ++w) {
        const std::vector<double>* numbers = numbers_in(input.outcomes, p * ways + w);
        if (numbers == nullptr) break;
        auto ids = answers_from(*numbers, prompts.size());
        if (!ids)
          return make_error(ErrorCode::bad_format,
                            fmt::format("the kept answers about {} are not those of this folder; use another "
                                        "file to go on from",
                                        picture.file));
        said.push_back(std::move(*ids));
      }
      if (said.size() < ways) break;
      for (size_t w = 0; w < ways; ++w)
        count(*input.model, asking, picture, w, said[w], scored, captions, answers);
      ++scored.pictures;
      for (auto& [kind, of_ways] : scored.of_kind)  // kinds without a question of this picture
        for (auto& pictures : of_ways) pictures.resize(scored.pictures, Counts(n_count, 0.0));
    }
    if (asking.captions) result.tables.push_back(std::move(captions));
    if (!answers.rows.empty()) result.tables.push_back(std::move(answers));
    return scored;
  }

  static void count(const Model& model, const Asking& asking, const ObjectPicture& picture, size_t way,
                    const std::vector<std::vector<int32_t>>& said, Scored& scored, Table& captions,
                    Table& answers) {
    const std::string name = to_string(asking.ways[way]);
    const auto put = [&](const std::string& kind, const Counts& counts) {
      auto& of_ways = scored.of_kind[kind];
      of_ways.resize(asking.ways.size());
      of_ways[way].resize(scored.pictures + 1, Counts(n_count, 0.0));
      hallucination::add(of_ways[way].back(), counts);
    };
    size_t next = 0;
    if (asking.captions) {
      const std::string caption = text_of(model, said[next++]);
      put("all", count_caption(caption, picture, asking.set.vocabulary));
      std::vector<std::string> absent;
      for (const std::string& object : mentions_in(caption, asking.set.vocabulary))
        if (!picture.objects.contains(object)) absent.push_back(object);
      captions.rows.push_back({picture.file, name, caption, fmt::format("{}", fmt::join(absent, ", "))});
    }
    if (!asking.questions) return;
    for (const ObjectQuestion& question : picture.questions) {
      const std::string answer = text_of(model, said[next++]);
      const Counts counts = count_answer(answer, question);
      put("all", counts);
      put(question.kind, counts);
      answers.rows.push_back({picture.file, question.kind, question.text,
                              std::string(question.yes ? "yes" : "no"), name, answer});
    }
  }

  static void add_measures(const MethodInput& input, const Asking& asking, const Scored& scored,
                           const JobContext& job, AnalysisResult& result) {
    const int draws = input.parameters["draws"].get<int>();
    const auto seed = input.parameters["seed"].get<uint64_t>();
    Table table{
        "measures",
        {"measure", "kind", "way", "value", "low", "high", "difference", "difference_low", "difference_high"},
        {}};
    for (const Measure& measure : measures())
      for (const auto& [kind, of_ways] : scored.of_kind) {
        if (measure.of_captions ? !asking.captions || kind != "all" : !asking.questions) continue;
        if (job.cancelled()) return;
        std::vector<double> values;
        for (size_t w = 0; w < asking.ways.size(); ++w) {
          const BootstrapInterval own = bootstrap(of_ways[w], measure.value, draws, seed);
          if (std::isnan(own.value) && w == 0) break;
          const BootstrapInterval apart =
              w == 0 ? BootstrapInterval{}
                     : paired_bootstrap(of_ways[0], of_ways[w], measure.value, draws, seed);
          table.rows.push_back({std::string(measure.name), kind, std::string(to_string(asking.ways[w])),
                                own.value, own.low, own.high, apart.value, apart.low, apart.high});
          if (kind == "all") say(measure, asking.ways[w], own, apart, scored.pictures, result);
        }
      }
    result.tables.insert(result.tables.begin(), std::move(table));
  }

  static void say(const Measure& measure, Way way, const BootstrapInterval& own,
                  const BootstrapInterval& apart, size_t pictures, AnalysisResult& result) {
    const std::string_view name = measure.name;
    if (name != "chair_s" && name != "chair_i" && name != "f1") return;
    if (way == Way::baseline) {
      result.findings.push_back(fmt::format("{} over {} pictures: {:.1f} % (95 % interval {:.1f} to {:.1f}).",
                                            measure.label, pictures, 100 * own.value, 100 * own.low,
                                            100 * own.high));
      return;
    }
    const bool sure = apart.low > 0.0 || apart.high < 0.0;
    const bool better = (apart.value < 0.0) == measure.less_is_better;
    result.findings.push_back(fmt::format("With {} it is {:.1f} %: {:+.1f} points ({:+.1f} to {:+.1f}), {}.",
                                          to_string(way), 100 * own.value, 100 * apart.value, 100 * apart.low,
                                          100 * apart.high,
                                          !sure    ? "which may be chance"
                                          : better ? "better"
                                                   : "worse"));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_hallucination() { return std::make_unique<Hallucination>(); }

}  // namespace saccade
