// code-circuit: heads whose output says something else when a behaviour is needed. Each head's z at the last
// position becomes a discrete code; heads with codes that appear on positive prompts and never on negative
// ones are the circuit. A handful of forward passes, no patching.
//
//   U_h = codes of head h on positives that are never seen on negatives
//   score_h = |U_h| / |codes of h|        softmax over heads: the ranking as a distribution
//   edge (g, h): share of positive prompts on which both heads have a code of their U
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "analysis/methods/circuit_node.h"
#include "analysis/methods/head_codes.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "code-circuit";
  info.title = "Heads that speak up when needed";
  info.summary =
      "Turns every head's output at the last position into a discrete code and ranks heads by the codes that "
      "only prompts with the behaviour show; checked against a list of heads by ROC.";
  info.citation =
      "O'Neill and Bui 2024 (arXiv 2405.12522, sparse autoencoders find circuits from discrete codes); "
      "k-means "
      "codes: own";
  info.parameters = {
      {"negative", "Negative prompts",
       "shuffled (the positive prompts' tokens in another order, the last kept), corrupt (their twins), or a "
       "preset or file.",
       "shuffled"},
      choice("codes", "Codes", "k-means of every head, or one sparse autoencoder of all heads.",
             {"k-means", "autoencoder"}),
      {"clusters", "Clusters", "Of k-means, per head.", 8, 2, 256},
      {"features", "Features", "Of the autoencoder's dictionary.", 128, 2, 4096},
      {"sparsity", "Sparsity", "Of the autoencoder: the weight of |f|_1.", 0.05, 0.0, 10.0},
      {"epochs", "Epochs", "Of the autoencoder's training.", 30, 1, 1000},
      {"top", "Top share, %", "Heads between which edges are counted.", 10.0, 0.1, 100.0},
      {"heads", "Known heads", "A JSON list of heads to check the ranking with; empty: none.", ""}};
  info.parameters.back().is_file = true;
  for (ParameterInfo& parameter : prompt_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

struct Plan {
  std::vector<TokenSequence> positive, negative;
  std::string name;
  std::vector<HeadId> known;
};

// The ordinary tokens but the last in another order: no pattern of the prompt is left to be used.
TokenSequence shuffled(const TokenSequence& tokens, std::mt19937_64& random) {
  TokenSequence made = tokens;
  std::vector<size_t> free;
  for (size_t i = 0; i + 1 < made.tokens.size(); ++i)
    if (!made.tokens[i].special) free.push_back(i);
  for (size_t i = free.size(); i > 1; --i)
    std::swap(made.tokens[free[i - 1]], made.tokens[free[random() % i]]);
  made.text.clear();
  return made;
}

Result<Plan> read_plan(const MethodInput& input) {
  SACCADE_CHECK(require_model(input, "code-circuit"));
  const auto& p = input.parameters;
  const auto seed = p["seed"].get<uint64_t>();
  const int count = p["count"].get<int>();
  SACCADE_TRY(const PromptSet positive, prompts_of(input));
  Plan plan;
  plan.name = positive.name;
  for (const PromptPair& pair : positive.pairs) plan.positive.push_back(pair.clean);
  const std::string negative = p["negative"].get<std::string>();
  std::mt19937_64 random(seed);
  if (negative == "shuffled") {
    for (const TokenSequence& tokens : plan.positive) plan.negative.push_back(shuffled(tokens, random));
  } else if (negative == "corrupt") {
    if (!positive.has_corrupt())
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("negative=corrupt: {} has prompts without corrupted twins", positive.name));
    for (const PromptPair& pair : positive.pairs) plan.negative.push_back(pair.corrupt);
  } else {
    SACCADE_TRY(const PromptSet others, prompt_set(negative, *input.model, count, seed));
    for (const PromptPair& pair : others.pairs) plan.negative.push_back(pair.clean);
  }
  if (plan.positive.size() < 2)
    return make_error(ErrorCode::invalid_argument,
                      "codes need at least two positive prompts, better ten: raise count");
  if (const std::string file = p["heads"].get<std::string>(); !file.empty()) {
    SACCADE_TRY(plan.known, read_head_list(file, input.model->spec()));
  }
  return plan;
}

// Codes of one head over all prompts, positives first.
using Codes = std::vector<int32_t>;

struct HeadCodes {
  std::vector<Codes> of_head;
  std::string note;  // of the autoencoder
};

Result<HeadCodes> codes_of(const MethodInput& input, const JobContext& job) {
  const auto& p = input.parameters;
  const ModelSpec& spec = input.model->spec();
  std::vector<const Capture*> captures;
  for (size_t at = 0; at < input.outcomes.size(); ++at) {
    captures.push_back(capture_in(input.outcomes, at).get());  // the outcome keeps it
    if (captures.back() == nullptr) return make_error(ErrorCode::cancelled, "cancelled");
  }
  const auto prompts = static_cast<int64_t>(captures.size());
  const int64_t heads = spec.n_heads_total();
  HostTensor all({heads * prompts, spec.d_head}, false);  // head by head
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t s = 0; s < prompts; ++s) {
      const std::span<const float> z = last_z(*captures[static_cast<size_t>(s)], head_at(h, spec.n_head));
      std::copy(z.begin(), z.end(), all.mutable_values().data() + (h * prompts + s) * spec.d_head);
    }
  HeadCodes codes;
  if (p["codes"] == "autoencoder") {
    DictionaryOptions options;
    options.features = p["features"].get<int32_t>();
    options.sparsity = p["sparsity"].get<double>();
    options.epochs = p["epochs"].get<int32_t>();
    options.seed = p["seed"].get<uint64_t>();
    SACCADE_TRY(const SparseDictionary dictionary, SparseDictionary::train(all, options, job));
    for (int64_t h = 0; h < heads; ++h) {
      codes.of_head.emplace_back();
      for (int64_t s = 0; s < prompts; ++s)
        codes.of_head.back().push_back(dictionary.code(all.slice(h * prompts + s)));
    }
    codes.note = fmt::format(
        "The dictionary of {} features leaves {:.1f} % of the outputs unexplained, with {:.1f} "
        "features active on average.",
        options.features, 100.0 * dictionary.unexplained(all), dictionary.mean_active(all));
    return codes;
  }
  for (int64_t h = 0; h < heads; ++h) {
    SACCADE_CHECK(job.check());
    HostTensor own({prompts, spec.d_head}, false);
    std::copy_n(all.data() + h * prompts * spec.d_head, own.size(), own.mutable_values().data());
    codes.of_head.push_back(k_means_codes(own, p["clusters"].get<int32_t>(), p["seed"].get<uint64_t>()));
  }
  return codes;
}

// Codes seen on positives and never on negatives.
std::set<int32_t> positive_only(const Codes& codes, size_t positives) {
  std::set<int32_t> own(codes.begin(), codes.begin() + static_cast<ptrdiff_t>(positives));
  for (size_t s = positives; s < codes.size(); ++s) own.erase(codes[s]);
  return own;
}

class CodeCircuit final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    std::vector<Wanted> wanted;
    if (!input.outcomes.empty()) return wanted;
    for (const auto* prompts : {&plan.positive, &plan.negative})
      for (const TokenSequence& tokens : *prompts) {
        RunRequest request = reference_request(input, tokens);
        request.capture.residuals = false;
        wanted.emplace_back(RunWanted{std::move(request)});
      }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    SACCADE_TRY(const HeadCodes codes, codes_of(input, job));
    const ModelSpec& spec = input.model->spec();
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    Field score = head_field("score", "Share of codes only positive prompts show", "", ValueKind::magnitude,
                             spec.n_layer, spec.n_head, input.base.digest());
    Field share = head_field("softmax", "Softmax of the score over heads", "", ValueKind::probability,
                             spec.n_layer, spec.n_head, input.base.digest());
    std::vector<double> scores;
    double total = 0.0;
    for (size_t h = 0; h < codes.of_head.size(); ++h) {
      const Codes& own = codes.of_head[h];
      const std::set<int32_t> distinct(own.begin(), own.end());
      scores.push_back(static_cast<double>(positive_only(own, plan.positive.size()).size()) /
                       static_cast<double>(distinct.size()));
      total += std::exp(scores.back());
    }
    for (size_t h = 0; h < scores.size(); ++h) {
      score.values.mutable_values()[h] = static_cast<float>(scores[h]);
      share.values.mutable_values()[h] = static_cast<float>(std::exp(scores[h]) / total);
    }
    result.fields = {std::move(score), std::move(share)};
    result.tables.push_back(heads_table(result.fields));
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    const auto count = static_cast<size_t>(std::max(
        1.0, std::round(input.parameters["top"].get<double>() / 100.0 * static_cast<double>(scores.size()))));
    order.resize(count);
    say(plan, scores, order, spec, result);
    if (!codes.note.empty()) result.findings.push_back(codes.note);
    add_edges(plan, codes, order, spec, result);
    if (!plan.known.empty()) add_roc(plan, scores, spec, result);
    return result;
  }

 private:
  static void say(const Plan& plan, const std::vector<double>& scores, const std::vector<size_t>& order,
                  const ModelSpec& spec, AnalysisResult& result) {
    const double best = scores[order[0]], worst = *std::min_element(scores.begin(), scores.end());
    if (!(best > worst)) {
      result.findings.push_back(
          fmt::format("Every head scores {:.2f}: these codes do not tell {} prompts with the behaviour from "
                      "{} without; more "
                      "prompts or fewer clusters would.",
                      best, plan.positive.size(), plan.negative.size()));
      return;
    }
    std::vector<std::string> names;
    for (const size_t h : order)
      names.push_back(
          fmt::format("{} ({:.2f})", to_string(head_at(static_cast<int64_t>(h), spec.n_head)), scores[h]));
    names.resize(std::min<size_t>(names.size(), 12));
    result.findings.push_back(
        fmt::format("{}: most codes of their own on {} positive prompts (against {} negative): {}.",
                    plan.name, plan.positive.size(), plan.negative.size(), fmt::join(names, ", ")));
  }

  static void add_edges(const Plan& plan, const HeadCodes& codes, const std::vector<size_t>& order,
                        const ModelSpec& spec, AnalysisResult& result) {
    Table edges{"edges", {"from", "to", "effect"}, {}};
    for (const size_t from : order)
      for (const size_t to : order) {
        const HeadId sender = head_at(static_cast<int64_t>(from), spec.n_head),
                     receiver = head_at(static_cast<int64_t>(to), spec.n_head);
        if (sender.layer.value >= receiver.layer.value) continue;
        const std::set<int32_t> own_from = positive_only(codes.of_head[from], plan.positive.size()),
                                own_to = positive_only(codes.of_head[to], plan.positive.size());
        double together = 0.0;
        for (size_t s = 0; s < plan.positive.size(); ++s)
          together +=
              own_from.contains(codes.of_head[from][s]) && own_to.contains(codes.of_head[to][s]) ? 1.0 : 0.0;
        if (together > 0.0)
          edges.rows.push_back(
              {to_string(sender), to_string(receiver), together / static_cast<double>(plan.positive.size())});
      }
    result.tables.push_back(std::move(edges));
  }

  // AUC: how likely a known head scores above another; ties count half.
  static void add_roc(const Plan& plan, const std::vector<double>& scores, const ModelSpec& spec,
                      AnalysisResult& result) {
    std::vector<double> known, others;
    for (size_t h = 0; h < scores.size(); ++h) {
      const bool listed = std::find(plan.known.begin(), plan.known.end(),
                                    head_at(static_cast<int64_t>(h), spec.n_head)) != plan.known.end();
      (listed ? known : others).push_back(scores[h]);
    }
    if (others.empty()) {
      result.findings.emplace_back(
          "The list of known heads names every head: there is nothing to tell apart.");
      return;
    }
    double above = 0.0;
    for (const double a : known)
      for (const double b : others) above += a > b ? 1.0 : a == b ? 0.5 : 0.0;
    const double auc = above / static_cast<double>(known.size() * others.size());
    Table roc{"roc", {"threshold", "found", "false_alarms"}, {}};
    std::set<double, std::greater<>> thresholds(scores.begin(), scores.end());
    const auto share = [](const std::vector<double>& values, double threshold) {
      return static_cast<double>(
                 std::count_if(values.begin(), values.end(), [&](double v) { return v >= threshold; })) /
             static_cast<double>(values.size());
    };
    for (const double threshold : thresholds)
      roc.rows.push_back({threshold, share(known, threshold), share(others, threshold)});
    result.tables.push_back(std::move(roc));
    result.findings.push_back(fmt::format(
        "Against {} known heads the ranking has an AUC of {:.2f} (0.5 is chance).", known.size(), auc));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_code_circuit() { return std::make_unique<CodeCircuit>(); }

}  // namespace saccade
