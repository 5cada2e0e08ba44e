// verbalize: one paragraph about a head's row, a head, or the run's answer. Templates and numbers of this run
// only; the same run gives the same words.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "analysis/logit_map.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/registry.h"
#include "analysis/methods/saliency_text.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

constexpr double worth_naming = 0.2;  // a pattern's share of a head's weight

MethodInfo make_info() {
  MethodInfo info;
  info.id = "verbalize";
  info.title = "In words";
  info.summary =
      "One paragraph, made from numbers by templates: what the answer rests on, what a row looks at, or what "
      "a "
      "head does.";
  info.citation =
      "Feldhus et al. 2023 (saliency map verbalisation, arXiv 2210.07222): span and filter search, coverage, "
      "templates; the answer's attributions: direct logit attribution per source token (Elhage et al. 2021)";
  info.parameters = {
      choice("subject", "Subject", "answer, row or head.", {"answer", "row", "head"}),
      {"head", "Head", "Of row and head, like 5.1.", "0.0"},
      {"query", "Query", "Of row: the token that looks; -1: the last.", -1, -1, 1e9},
      choice("rule", "Threshold rule", "mean: of the top fraction; deviation: three standard deviations.",
             {"mean", "deviation"}),
      {"fraction", "Top fraction", "Of the rule mean.", 0.4, 0.01, 1.0},
      {"width", "Window", "Longest set of tokens looked for.", 5, 3, 8}};
  return info;
}

SaliencyOptions options_of(const nlohmann::json& parameters) {
  return {parameters["rule"].get<std::string>() == "deviation", parameters["fraction"].get<double>(),
          parameters["width"].get<int64_t>()};
}

std::vector<std::string> texts_of(const Capture& capture) {
  std::vector<std::string> texts;
  for (const Token& token : capture.tokens) texts.push_back(display_text(token, false));
  return texts;
}

// The attributions as a field and the spans as a table.
void add_attribution(const Capture& capture, const std::string& label, const std::vector<double>& attribution,
                     const std::vector<SalientSpan>& spans, AnalysisResult& result) {
  Field field{"attribution",
              label,
              "",
              ValueKind::signed_difference,
              {{AxisKind::token, "token", {}}},
              HostTensor({static_cast<int64_t>(attribution.size())}),
              capture.provenance.request};
  for (const Token& token : capture.tokens) field.axes[0].labels.push_back(display_text(token));
  std::transform(attribution.begin(), attribution.end(), field.values.mutable_values().begin(),
                 [](double value) { return static_cast<float>(value); });
  result.fields.push_back(std::move(field));
  Table table{"spans", {"begin", "end", "text", "coverage"}, {}};
  const std::vector<std::string> texts = texts_of(capture);
  for (const SalientSpan& span : spans) {
    std::string text;
    for (int64_t t = span.begin; t < span.end; ++t) text += texts[static_cast<size_t>(t)];
    table.rows.push_back({span.begin, span.end, text, span.coverage});
  }
  result.tables.push_back(std::move(table));
}

Result<HeadId> head_of(const MethodInput& input) {
  SACCADE_TRY(const HeadId head, parse_head(input.parameters["head"].get<std::string>()));
  const ModelSpec& spec = input.capture->spec;
  if (head.layer.value >= static_cast<int64_t>(input.capture->layers.size()) ||
      head.head.value >= spec.n_head)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("head {}: the run has layers 0-{} and heads 0-{}", to_string(head),
                                  input.capture->layers.size() - 1, spec.n_head - 1));
  return head;
}

Result<void> describe_row(const MethodInput& input, AnalysisResult& result) {
  const Capture& capture = *input.capture;
  SACCADE_TRY(const HeadId head, head_of(input));
  const int64_t n = capture.n_token(), asked = input.parameters["query"].get<int64_t>(),
                query = asked < 0 ? n - 1 : asked;
  if (query >= n)
    return make_error(ErrorCode::invalid_argument, fmt::format("query {}: the run has {} tokens", query, n));
  SACCADE_TRY(const AttentionMap map, AttentionMap::of(input.capture, head, *input.kernels));
  std::vector<float> row(static_cast<size_t>(n));
  SACCADE_CHECK(map.rows(query, query + 1, n, row));
  const std::vector<double> attribution(row.begin(), row.end());
  const std::vector<SalientSpan> spans = salient_spans(attribution, options_of(input.parameters));
  const std::string who =
      fmt::format("Token {} ('{}')", query, display_text(capture.tokens[static_cast<size_t>(query)]));
  result.findings.push_back(
      spans.empty() ? fmt::format("{} looks at nothing through head {}.", who, to_string(head))
                    : saliency_sentences(spans, texts_of(capture),
                                         who + " looks most at the {kind} \"{text}\" through head " +
                                             to_string(head) + " ({share} %).",
                                         "The {kind} \"{text}\" also draws weight ({share} %)."));
  add_attribution(capture, fmt::format("Weight of row {} in head {}", query, to_string(head)), attribution,
                  spans, result);
  return {};
}

struct Trait {
  const char *column, *does;
};
constexpr std::array traits{Trait{"induction", "looks at the token after the previous occurrence of its own"},
                            Trait{"duplicate_token", "looks at earlier occurrences of its own token"},
                            Trait{"previous_token", "looks at the token before"},
                            Trait{"first_token", "rests on the first token"},
                            Trait{"self", "looks at its own token"}};

// "the most of 12 heads", "third of 12 heads" as "3rd of 12 heads".
std::string rank_text(const Field& field, int64_t at) {
  int64_t above = 0;
  for (const float value : field.values.values()) above += value > field.values.data()[at] ? 1 : 0;
  const int64_t place = above + 1;
  if (place == 1) return fmt::format("the most of {} heads", field.values.size());
  const int64_t last = place % 10, teens = place % 100;
  const char* ending = last == 1 && teens != 11   ? "st"
                       : last == 2 && teens != 12 ? "nd"
                       : last == 3 && teens != 13 ? "rd"
                                                  : "th";
  return fmt::format("{}{} of {} heads", place, ending, field.values.size());
}

Result<void> describe_head(const MethodInput& input, const JobContext& job, AnalysisResult& result) {
  SACCADE_TRY(const HeadId head, head_of(input));
  SACCADE_TRY(const AnalysisMethod* table, find_method("head-table"));
  MethodInput scored = input;
  SACCADE_TRY(scored.parameters, complete_parameters(table->info(), nlohmann::json::object()));
  scored.outcomes.clear();
  SACCADE_TRY(AnalysisResult scores, table->compute(scored, job));
  const int64_t at = int64_t{head.layer.value} * input.capture->spec.n_head + head.head.value;
  const auto value = [&](const char* name) { return double{scores.field(name)->values.data()[at]}; };
  std::vector<const Trait*> found;
  for (const Trait& trait : traits)
    if (value(trait.column) >= worth_naming) found.push_back(&trait);
  std::stable_sort(found.begin(), found.end(),
                   [&](const Trait* a, const Trait* b) { return value(a->column) > value(b->column); });
  std::string text = fmt::format("Head {} ", to_string(head));
  if (found.empty()) text += fmt::format("follows none of {} simple patterns", traits.size());
  for (size_t i = 0; i < found.size(); ++i)
    text += fmt::format("{}{} ({:.0f} % of its weight, {})", i > 0 ? "; it also " : "", found[i]->does,
                        100.0 * value(found[i]->column), rank_text(*scores.field(found[i]->column), at));
  text += fmt::format(
      ". Its rows have an entropy of {:.2f} nats, as {:.1f} keys of equal weight have; it looks {:.1f} "
      "tokens "
      "back on average, and {:.0f} % of its weight stays within {} tokens.",
      value("entropy"), std::exp(value("entropy")), value("mean_distance"), 100.0 * value("local_mass"),
      input.capture->local_width);
  result.findings.push_back(std::move(text));
  Table row{"scores", {"score", "value"}, {}};
  for (const Field& field : scores.fields) row.rows.push_back({field.label, double{field.values.data()[at]}});
  result.tables.push_back(std::move(row));
  return {};
}

// What every source token adds to the answer's logit through all heads, directly.
Result<std::vector<double>> direct_attribution(const MethodInput& input,
                                               const std::shared_ptr<const Capture>& capture, int32_t answer,
                                               const JobContext& job) {
  const ModelSpec& spec = capture->spec;
  const int64_t n = capture->n_token(), d = spec.d_head;
  const WeightReader weights(input.model);
  SACCADE_TRY(const LogitMap map,
              LogitMap::make(weights, spec, capture->final_resid.slice(n - 1), direction_of({answer}, {})));
  std::vector<double> attribution(static_cast<size_t>(n), 0.0);
  std::vector<float> row(static_cast<size_t>(n));
  for (int64_t at = 0; at < int64_t{spec.n_layer} * spec.n_head; ++at) {
    SACCADE_CHECK(job.check());
    const HeadId head = head_at(at, spec.n_head);
    job.progress(static_cast<double>(at) / spec.n_heads_total(), "head " + to_string(head));
    SACCADE_TRY(const AttentionMap pattern, AttentionMap::of(capture, head, *input.kernels));
    SACCADE_CHECK(pattern.rows(n - 1, n, n, row));
    const HostTensor output = weights.output(head), &v = capture->sites.at({HookSite::v, head.layer.value});
    std::vector<double> direction;  // of the answer, as one of v
    for (int64_t e = 0; e < d; ++e)
      direction.push_back(spec.residual_scale * map.contribution(output.slice(e)));
    const int64_t kv = spec.kv_head_of(head.head.value);
    for (int64_t j = 0; j < n; ++j) {
      const float* value = v.data() + (j * spec.n_kv_head + kv) * d;
      double sum = 0.0;
      for (int64_t e = 0; e < d; ++e) sum += value[e] * direction[static_cast<size_t>(e)];
      attribution[static_cast<size_t>(j)] += row[static_cast<size_t>(j)] * sum;
    }
  }
  return attribution;
}

Result<void> describe_answer(const MethodInput& input, const JobContext& job, AnalysisResult& result) {
  const std::shared_ptr<const Capture> capture = capture_in(input.outcomes, 0);
  if (!capture) return make_error(ErrorCode::cancelled, "cancelled");
  const std::vector<NextToken> top = top_next(capture->last_logits, input.model->tokenizer(), 2);
  const auto shown = [&](const NextToken& next) {
    Token token;
    token.text = next.text;
    return display_text(token);
  };
  std::string text = fmt::format("The answer is '{}' ({:.1f} %), before '{}' ({:.1f} %).", shown(top[0]),
                                 100.0 * top[0].probability, shown(top[1]), 100.0 * top[1].probability);
  const Result<std::vector<double>> attribution = direct_attribution(input, capture, top[0].id, job);
  if (!attribution.ok()) {
    if (attribution.error().code != ErrorCode::unsupported) return attribution.error();
    result.findings = {text, "What it rests on cannot be said: " + attribution.error().message + "."};
    return {};
  }
  const std::vector<SalientSpan> spans = salient_spans(*attribution, options_of(input.parameters));
  text += " " +
          (spans.empty()
               ? std::string("No token speaks for it through the heads directly.")
               : saliency_sentences(spans, texts_of(*capture),
                                    "The {kind} \"{text}\" is most important for the prediction ({share} %).",
                                    "The {kind} \"{text}\" is also salient ({share} %)."));
  result.findings.push_back(std::move(text));
  add_attribution(*capture, fmt::format("Added to the logit of '{}' through heads", shown(top[0])),
                  *attribution, spans, result);
  return {};
}

class Verbalize final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    if (input.parameters["subject"].get<std::string>() != "answer" || !input.outcomes.empty()) return wanted;
    if (!input.model)
      return make_error(ErrorCode::invalid_argument,
                        "the answer is put into words with the model's weights, not only a capture of a run; "
                        "subject=row and subject=head need no model");
    RunRequest request = input.base;  // edits included
    request.capture = CapturePlan{};
    request.capture.loss = request.capture.statistics = false;
    for (int32_t l = 0; l < input.model->spec().n_layer; ++l)
      request.capture.sites.push_back({HookSite::v, l});
    wanted.emplace_back(RunWanted{std::move(request)});
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    if (!input.capture || input.capture->layers.empty() || input.kernels == nullptr)
      return make_error(ErrorCode::invalid_argument, "verbalize needs a run with captured layers");
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.capture->provenance.request};
    const std::string subject = input.parameters["subject"].get<std::string>();
    SACCADE_CHECK(subject == "row"    ? describe_row(input, result)
                  : subject == "head" ? describe_head(input, job, result)
                                      : describe_answer(input, job, result));
    return result;
  }

 private:
  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_verbalize() { return std::make_unique<Verbalize>(); }

}  // namespace saccade
