#include "analysis/methods/needle_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace saccade::needles {
namespace {

std::vector<int64_t> spaced_lengths(int64_t shortest, int64_t longest, int64_t count) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < count; ++i) {
    const double share = count > 1 ? static_cast<double>(i) / static_cast<double>(count - 1) : 1.0;
    const auto length = static_cast<int64_t>(
        std::lround(static_cast<double>(shortest) + share * static_cast<double>(longest - shortest)));
    if (lengths.empty() || length != lengths.back()) lengths.push_back(length);
  }
  return lengths;
}

Result<void> check_lengths(const nlohmann::json& parameters, const Model& model, int64_t longest,
                           int64_t shortest, int64_t tokens) {
  const int64_t context = model.spec().n_context;
  if (longest + tokens > context)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("longest={} and tokens={} need {} positions, {} has {}: at most longest={} fits",
                    parameters["longest"].get<int64_t>(), tokens, longest + tokens, model.name(), context,
                    context - tokens));
  if (shortest > longest)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("shortest={} is more than longest={}", shortest, longest));
  return {};
}

uint64_t split_mix(uint64_t& state) {
  uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace

std::vector<ParameterInfo> needle_parameters() {
  ParameterInfo needles{"needles", "Needles",
                        "auto (recall on demo:recall, english elsewhere), recall, english, or a JSON file of "
                        "needles, questions and answers.",
                        "auto"};
  ParameterInfo haystack{"haystack", "Haystack",
                         "A text file to hide them in; empty: the one that the needles name.", ""};
  haystack.is_file = true;
  return {
      std::move(needles),
      std::move(haystack),
      {"lengths", "Lengths", "How many context lengths, evenly from shortest to longest.", 4, 1, 100},
      {"depths", "Depths", "How many depths, evenly from the beginning to the end of the text.", 5, 1, 100},
      {"shortest", "Shortest context", "Tokens, question included.", 128, 16, 1e9},
      {"longest", "Longest context", "Tokens; 0: what the haystack and the model's positions hold.", 0, 0,
       1e9},
      {"tokens", "Decoded tokens", "At most so many are decoded for an answer.", 16, 1, 1000}};
}

Result<Plan> read_plan(const MethodInput& input) {
  if (!input.model) return make_error(ErrorCode::invalid_argument, "needles need a model at hand");
  const Model& model = *input.model;
  if (!model.spec().looks_back())
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} does not generate: its answers cannot be decoded", model.name()));
  const auto& p = input.parameters;
  Plan plan;
  SACCADE_TRY(plan.set, read_needles(p["needles"].get<std::string>(), model));
  if (const auto file = p["haystack"].get<std::string>(); !file.empty()) plan.set.haystack = file;
  SACCADE_TRY(const Haystack haystack, Haystack::read(plan.set.haystack, model));
  const auto tokens = p["tokens"].get<int64_t>(), shortest = p["shortest"].get<int64_t>();
  auto longest = p["longest"].get<int64_t>();
  if (longest == 0) longest = std::min<int64_t>(haystack.size(), model.spec().n_context - tokens);
  SACCADE_CHECK(check_lengths(p, model, longest, shortest, tokens));
  plan.lengths = spaced_lengths(shortest, longest, p["lengths"].get<int64_t>());
  const auto depths = p["depths"].get<int64_t>();
  for (int64_t i = 0; i < depths; ++i)
    plan.depths.push_back(depths > 1 ? static_cast<double>(i) / static_cast<double>(depths - 1) : 0.5);
  plan.sampling.max_tokens = static_cast<int>(tokens);
  plan.sampling.stop_ids = stop_ids_of(model.tokenizer(), plan.set.stop);
  for (size_t n = 0; n < plan.set.needles.size(); ++n)
    for (size_t l = 0; l < plan.lengths.size(); ++l)
      for (size_t d = 0; d < plan.depths.size(); ++d) {
        SACCADE_TRY(NeedlePrompt prompt,
                    haystack.prompt(plan.set, plan.set.needles[n], plan.lengths[l], plan.depths[d]));
        plan.cases.push_back({n, l, d, std::move(prompt)});
      }
  return plan;
}

GenerationWanted generation(const Plan& plan, const Case& one, const MethodInput& input,
                            const std::vector<Edit>& edits, bool keep_heads) {
  GenerationWanted wanted{input.base, plan.sampling};
  wanted.request.tokens = one.prompt.tokens;
  wanted.request.edits = edits;
  wanted.request.references.clear();
  wanted.request.vectors.clear();
  wanted.options.keep_heads = keep_heads;
  if (keep_heads) wanted.options.watched = PositionSet(one.prompt.span);
  return wanted;
}

const Generation* decoded(const MethodInput& input, size_t outcome) {
  return generation_in(input.outcomes, outcome);
}

double recall_of(const Plan& plan, const Case& one, const Generation* generation) {
  return generation == nullptr ? std::numeric_limits<double>::quiet_NaN()
                               : unigram_recall(generation->text, plan.needle(one).answer);
}

Samples score_samples(const Plan& plan, const MethodInput& input, ScoreKind kind) {
  const auto heads = static_cast<size_t>(input.model->spec().n_heads_total());
  Samples samples;
  samples.scores.resize(heads);
  for (size_t i = 0; i < plan.cases.size(); ++i) {
    const Case& one = plan.cases[i];
    if (plan.needle(one).test) continue;
    const Generation* generation = decoded(input, i);
    samples.recall.push_back(recall_of(plan, one, generation));
    if (generation == nullptr) {
      ++samples.missing;
    } else if (one.prompt.needle_ids.empty()) {
      ++samples.unfound;
    } else if (samples.recall.back() <= least_recall) {
      ++samples.failed;
    } else {
      std::vector<int32_t> produced;
      for (const Token& token : generation->tokens) produced.push_back(token.id);
      const std::vector<int32_t> prompt = one.prompt.tokens.ids();
      const DecodedAnswer answer{prompt, one.prompt.span, produced, generation->steps};
      const CopyScores copied = copy_scores(answer, heads);
      const std::vector<double> score = kind == ScoreKind::semantic ? semantic_scores(answer, heads)
                                        : kind == ScoreKind::set    ? copied.set
                                                                    : copied.count;
      for (size_t head = 0; head < heads; ++head) samples.scores[head].push_back(score[head]);
      samples.kept.push_back(i);
    }
  }
  return samples;
}

std::vector<size_t> ranking(const std::vector<double>& means) {
  std::vector<size_t> order(means.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return means[a] > means[b]; });
  return order;
}

std::vector<size_t> draw_others(size_t heads, const std::vector<size_t>& excluded, size_t count,
                                uint64_t seed) {
  std::vector<size_t> others;
  for (size_t head = 0; head < heads; ++head)
    if (std::find(excluded.begin(), excluded.end(), head) == excluded.end()) others.push_back(head);
  count = std::min(count, others.size());
  uint64_t state = seed;
  for (size_t i = 0; i < count; ++i)
    std::swap(others[i], others[i + static_cast<size_t>(split_mix(state) % (others.size() - i))]);
  others.resize(count);
  std::sort(others.begin(), others.end());
  return others;
}

std::string describe(const Plan& plan, const Samples& samples) {
  const size_t all = samples.recall.size();
  std::string text = fmt::format(
      "{} of {} samples count (needles {}, {} lengths from {} to {} tokens, {} depths)", samples.kept.size(),
      all, plan.set.name, plan.lengths.size(), plan.lengths.front(), plan.lengths.back(), plan.depths.size());
  if (samples.failed > 0)
    text += fmt::format("; {} are left out because at most half of the answer came back", samples.failed);
  if (samples.unfound > 0)
    text += fmt::format("; {} because the answer's words are not in the needle", samples.unfound);
  if (samples.missing > 0) text += fmt::format("; {} were not decoded", samples.missing);
  text += ".";
  if (samples.kept.empty())
    text +=
        " The model does not answer these questions, so no head can be scored: try shorter contexts, other "
        "needles, or another model.";
  return text;
}

}  // namespace saccade::needles
