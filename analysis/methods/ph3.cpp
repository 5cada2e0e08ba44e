// ph3: heads that answer from memory and heads that answer from the context, where the two contradict each
// other; and what becomes of the answers without either kind.
//
// Every head's direct path to the last position's logits is corrupted (path patching, corrupted values from
// another conflict); E_m and E_c are the relative changes of the memory and the context answer's probability:
//   E = (P_patched(a) - P(a)) / P(a)        negative: the head supports that answer
//   memory score = E_c - E_m, context score = E_m - E_c
// Outcomes: those of the paths; then every prompt and every question alone, as they are, without the memory
// heads and without the context heads; then the unrelated prompts likewise.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/path_effects.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"
#include "analysis/prompts/conflicts.h"

namespace saccade {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double least_probability = 1e-6;  // below it, a relative change means nothing

enum class Pruned { nothing, memory_heads, context_heads };
constexpr std::array<Pruned, 3> prunings{Pruned::nothing, Pruned::memory_heads, Pruned::context_heads};
constexpr std::array<const char*, 3> pruning_names{"as it is", "without memory heads",
                                                   "without context heads"};

MethodInfo make_info() {
  MethodInfo info;
  info.id = "ph3";
  info.title = "Memory against context";
  info.summary =
      "Finds heads that bring the remembered answer and heads that bring the context's, by path patching, "
      "and "
      "counts whose answer wins when either kind is taken out.";
  info.citation =
      "Jin et al. 2024 (arXiv 2402.18154, PH3); score and corruption as in methods of path patching, own "
      "choice "
      "where the paper is silent";
  info.parameters = {
      {"prompts", "Conflicts", "capitals, or a JSON file of context, question, memory, answer.", "capitals"},
      {"unrelated", "Unrelated prompts", "A preset or a file that shows the damage; empty: none.", ""},
      {"share", "Pruned share, %", "How many of all heads of one kind are taken out.", 5.0, 0.1, 50.0},
      choice("ablation", "Taken out by", "zero, or the head's mean over the prompts.", {"zero", "mean"}),
      choice("mlps", "MLPs between", "recomputed, or frozen: only the direct path.",
             {"recomputed", "frozen"}),
      {"count", "Conflicts drawn", "How many a preset draws.", 8, 2, 1000},
      {"seed", "Seed", "Of the prompts.", 1, 0, 1e9}};
  return info;
}

struct Plan {
  ConflictSet conflicts;
  PromptSet unrelated;
  PathPlan paths;
  size_t pruned = 1;
  bool by_mean = false;
};

Result<Plan> read_plan(const MethodInput& input) {
  SACCADE_CHECK(require_model(input, "ph3"));
  const auto& p = input.parameters;
  const ModelSpec& spec = input.model->spec();
  Plan plan;
  const auto seed = p["seed"].get<uint64_t>();
  SACCADE_TRY(plan.conflicts,
              conflict_set(p["prompts"].get<std::string>(), *input.model, p["count"].get<int>(), seed));
  if (const std::string unrelated = p["unrelated"].get<std::string>(); !unrelated.empty()) {
    SACCADE_TRY(plan.unrelated, prompt_set(unrelated, *input.model, p["count"].get<int>(), seed));
  }
  plan.by_mean = p["ablation"] == "mean";
  plan.pruned =
      static_cast<size_t>(std::max(1.0, std::round(p["share"].get<double>() / 100.0 * spec.n_heads_total())));
  plan.paths.prompts = plan.conflicts.prompts;
  plan.paths.free_mlps = p["mlps"] == "recomputed";
  plan.paths.senders = nodes_of(spec, false);
  plan.paths.ends = {PathEnd{}};
  for (size_t pair = 0; pair < plan.paths.pairs(); ++pair) {
    SACCADE_TRY(AlignedPositions last, aligned_positions(plan.paths.prompts, pair, "last"));
    plan.paths.positions.push_back(std::move(last));
  }
  add_paths(plan.paths, spec);
  SACCADE_CHECK(check_path_plan(plan.paths, *input.model));
  return plan;
}

// Relative changes of both answers' probability, [head][pair]; NaN where there is none.
struct Effects {
  std::vector<std::vector<double>> memory, context, score;  // score: memory score
  size_t improbable = 0;  // pairs with an answer too improbable to divide by
};

double probability(const KeptAnswer& answer, size_t which) {
  return std::exp(answer.logits[which] - answer.log_sum_exp);
}

Effects effects_of(const Plan& plan, const MethodInput& input) {
  const PathWork work(plan.paths, input, 0);
  const size_t heads = plan.paths.paths.size();
  Effects effects{std::vector<std::vector<double>>(heads), std::vector<std::vector<double>>(heads),
                  std::vector<std::vector<double>>(heads), 0};
  for (size_t pair = 0; pair < plan.paths.pairs(); ++pair) {
    const Run* clean = work.run(pair, false);
    if (clean == nullptr) continue;
    const KeptAnswer base =
        keep_answer(clean->capture->last_logits, ids_of(plan.paths.prompts.pairs[pair]), nullptr);
    const double memory = probability(base, 0), context = probability(base, 1);
    const bool usable = memory >= least_probability && context >= least_probability;
    effects.improbable += usable ? 0 : 1;
    for (size_t path = 0; path < heads; ++path) {
      const KeptAnswer* patched = work.answer(pair, path);
      const bool known = usable && patched != nullptr;
      const double e_m = known ? (probability(*patched, 0) - memory) / memory : nan,
                   e_c = known ? (probability(*patched, 1) - context) / context : nan;
      effects.memory[path].push_back(e_m);
      effects.context[path].push_back(e_c);
      effects.score[path].push_back(e_c - e_m);
    }
  }
  return effects;
}

// Heads by memory score, highest first; those without one are left out.
std::vector<HeadId> ranked(const Plan& plan, const Effects& effects) {
  std::vector<std::pair<double, HeadId>> scored;
  for (size_t path = 0; path < effects.score.size(); ++path)
    if (const double mean = mean_interval(effects.score[path]).mean; !std::isnan(mean))
      scored.emplace_back(mean, plan.paths.paths[path].sender.head);
  std::stable_sort(scored.begin(), scored.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<HeadId> heads;
  for (const auto& [score, head] : scored) heads.push_back(head);
  return heads;
}

std::vector<HeadId> pruned_heads(const Plan& plan, const std::vector<HeadId>& order, Pruned what) {
  const size_t count = std::min(plan.pruned, order.size());
  if (what == Pruned::nothing) return {};
  if (what == Pruned::memory_heads) return {order.begin(), order.begin() + static_cast<ptrdiff_t>(count)};
  return {order.rbegin(), order.rbegin() + static_cast<ptrdiff_t>(count)};
}

class Ph3 final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    const PathWork work(plan.paths, input, 0);
    if (input.outcomes.size() < work.end()) return work.next();
    std::vector<Wanted> wanted;
    if (input.outcomes.size() > work.end()) return wanted;
    const std::vector<HeadId> order = ranked(plan, effects_of(plan, input));
    std::shared_ptr<const Capture> mean;
    if (plan.by_mean) {
      std::vector<std::shared_ptr<const Capture>> captures;
      for (size_t pair = 0; pair < plan.paths.pairs(); ++pair)
        captures.push_back(std::get<std::shared_ptr<const Run>>(input.outcomes[pair])->capture);
      mean = all_rows_of_z(captures);
    }
    for (const Pruned what : prunings)
      for (const auto& [tokens, ids] : asked(plan)) {
        AnswerWanted answer;
        answer.request = reference_request(input, tokens);
        answer.request.capture = {};
        answer.ids = ids;
        if (mean) answer.request.references["mean"] = mean;
        for (const HeadId head : pruned_heads(plan, order, what)) {
          SACCADE_TRY(Edit edit, parse_edit(mean ? "mean " + to_string(head) + " from=mean"
                                                 : "zero " + to_string(head)));
          answer.request.edits.push_back(std::move(edit));
        }
        wanted.emplace_back(std::move(answer));
      }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    const ModelSpec& spec = input.model->spec();
    const Effects effects = effects_of(plan, input);
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    const auto add = [&](const char* name, const char* label, const std::vector<std::vector<double>>& values,
                         bool interval) {
      Field field =
          head_field(name, label, "", interval ? ValueKind::magnitude : ValueKind::signed_difference,
                     spec.n_layer, spec.n_head, input.base.digest());
      for (size_t path = 0; path < values.size(); ++path) {
        const MeanInterval mean = mean_interval(values[path]);
        const HeadId head = plan.paths.paths[path].sender.head;
        field.values.mutable_values()[static_cast<size_t>(int64_t{head.layer.value} * spec.n_head +
                                                          head.head.value)] =
            static_cast<float>(interval ? mean.half_width : mean.mean);
      }
      result.fields.push_back(std::move(field));
    };
    add("memory_score", "Memory score: above 0 memory, below 0 context", effects.score, false);
    add("memory_score_interval", "Half of its 95 % interval over prompts", effects.score, true);
    add("memory_effect", "Relative change of the memory answer", effects.memory, false);
    add("context_effect", "Relative change of the context answer", effects.context, false);
    result.tables.push_back(heads_table(result.fields));
    const std::vector<HeadId> order = ranked(plan, effects);
    add_prompts(plan, effects, order, result);
    say_heads(plan, effects, order, result);
    add_answers(plan, input, result);
    return result;
  }

 private:
  using Question = std::pair<TokenSequence, std::vector<int32_t>>;

  // What is asked under every pruning, in order: the conflicts, their questions alone, the unrelated prompts.
  static std::vector<Question> asked(const Plan& plan) {
    std::vector<Question> questions;
    for (const PromptPair& pair : plan.paths.prompts.pairs) questions.emplace_back(pair.clean, ids_of(pair));
    for (size_t i = 0; i < plan.conflicts.closed.size(); ++i)
      questions.emplace_back(plan.conflicts.closed[i], ids_of(plan.paths.prompts.pairs[i]));
    for (const PromptPair& pair : plan.unrelated.pairs) questions.emplace_back(pair.clean, ids_of(pair));
    return questions;
  }

  // The strongest of both kinds, prompt by prompt: many heads do both.
  static void add_prompts(const Plan& plan, const Effects& effects, const std::vector<HeadId>& order,
                          AnalysisResult& result) {
    Table table{"per_prompt", {"head", "kind", "prompt", "memory_score"}, {}};
    for (const Pruned what : {Pruned::memory_heads, Pruned::context_heads})
      for (const HeadId head : pruned_heads(plan, order, what))
        for (size_t path = 0; path < plan.paths.paths.size(); ++path)
          for (size_t pair = 0;
               plan.paths.paths[path].sender.head == head && pair < effects.score[path].size(); ++pair)
            table.rows.push_back({to_string(head),
                                  std::string(what == Pruned::memory_heads ? "memory" : "context"),
                                  static_cast<int64_t>(pair), effects.score[path][pair]});
    result.tables.push_back(std::move(table));
  }

  static void say_heads(const Plan& plan, const Effects& effects, const std::vector<HeadId>& order,
                        AnalysisResult& result) {
    if (effects.improbable > 0)
      result.findings.push_back(
          fmt::format("{} of {} conflicts are left out of the scores: one of their answers has a probability "
                      "below {:g}, so that this model neither remembers nor reads it.",
                      effects.improbable, plan.paths.pairs(), least_probability));
    if (order.empty()) return;
    const auto names = [&](Pruned what) {
      std::vector<std::string> names;
      for (const HeadId head : pruned_heads(plan, order, what)) names.push_back(to_string(head));
      return fmt::format("{}", fmt::join(names, ", "));
    };
    result.findings.push_back(
        fmt::format("{}: memory heads {}; context heads {} ({} of {} heads each). Many influential heads do "
                    "both: see their "
                    "score on each prompt.",
                    plan.paths.prompts.name, names(Pruned::memory_heads), names(Pruned::context_heads),
                    std::min(plan.pruned, order.size()), effects.score.size()));
  }

  static void add_answers(const Plan& plan, const MethodInput& input, AnalysisResult& result) {
    const size_t begin = PathWork(plan.paths, input, 0).end(), pairs = plan.paths.pairs(),
                 each = 2 * pairs + plan.unrelated.pairs.size();
    Table table{"answers", {"what", "memory", "context", "other", "known", "unrelated_right"}, {}};
    for (size_t p = 0; p < prunings.size(); ++p) {
      const auto top = [&](size_t question) -> int32_t {
        const size_t at = begin + p * each + question;
        const auto* answer = answer_in(input.outcomes, at);
        return answer == nullptr ? -1 : answer->top_id;
      };
      if (top(each - 1) < 0) return;  // stopped before
      double memory = 0.0, context = 0.0, known = 0.0, right = 0.0;
      for (size_t pair = 0; pair < pairs; ++pair) {
        const PromptPair& prompts = plan.paths.prompts.pairs[pair];
        memory += top(pair) == prompts.right[0] ? 1.0 : 0.0;
        context += top(pair) == prompts.wrong[0] ? 1.0 : 0.0;
        known += top(pairs + pair) == prompts.right[0] ? 1.0 : 0.0;
      }
      for (size_t u = 0; u < plan.unrelated.pairs.size(); ++u) {
        const std::vector<int32_t>& answers = plan.unrelated.pairs[u].right;
        right += std::find(answers.begin(), answers.end(), top(2 * pairs + u)) != answers.end() ? 1.0 : 0.0;
      }
      const auto n = static_cast<double>(pairs);
      const double unrelated =
          plan.unrelated.pairs.empty() ? nan : right / static_cast<double>(plan.unrelated.pairs.size());
      table.rows.push_back({std::string(pruning_names[p]), memory / n, context / n,
                            1.0 - (memory + context) / n, known / n, unrelated});
    }
    say_answers(table, plan, result);
    result.tables.push_back(std::move(table));
  }

  static void say_answers(const Table& table, const Plan& plan, AnalysisResult& result) {
    const auto percent = [&](size_t row, size_t column) {
      return 100.0 * std::get<double>(table.rows[row][column]);
    };
    result.findings.push_back(
        fmt::format("Answers from memory {:.0f} %, from the context {:.0f} %; without the memory heads "
                    "{:.0f} % and {:.0f} %, "
                    "without the context heads {:.0f} % and {:.0f} % ({} conflicts).",
                    percent(0, 1), percent(0, 2), percent(1, 1), percent(1, 2), percent(2, 1), percent(2, 2),
                    plan.paths.pairs()));
    if (percent(0, 4) < 50.0)
      result.findings.push_back(
          fmt::format("Asked without a context the model gives the memory answer to only {:.0f} % of the "
                      "questions: it has little memory that a context could contradict.",
                      percent(0, 4)));
    if (!plan.unrelated.pairs.empty())
      result.findings.push_back(
          fmt::format("Damage: {} unrelated prompts are right {:.0f} % as it is, {:.0f} % "
                      "without memory heads, {:.0f} % without context heads.",
                      plan.unrelated.pairs.size(), percent(0, 5), percent(1, 5), percent(2, 5)));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_ph3() { return std::make_unique<Ph3>(); }

}  // namespace saccade
