// logit-attribution: what each head and MLP writes directly into the answer, and from which token.
//
// Every part's write into the last residual goes through the final norm with its statistics frozen, and the
// unembedding (analysis/logit_map.h): the contributions, the norm's bias and the unembedding's sum to the
// logit (or logit difference) exactly. A head's write is split over the keys it looks at: p_j v_j W_O.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/logit_map.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

constexpr const char* caveat =
    "Direct effects leave out what later layers make of a write, and writes can cancel; compare with "
    "activation-patching.";

Result<int32_t> token_named(const MethodInput& input, const std::string& text, const char* parameter) {
  EncodeOptions plain;
  plain.add_special_tokens = false;
  SACCADE_TRY(const TokenSequence tokens, input.model->tokenizer().encode(text, plain));
  if (tokens.size() != 1)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{}='{}' is {} tokens of {}, expected one (with its leading space)",
                                  parameter, text, tokens.size(), input.model->name()));
  return tokens.tokens[0].id;
}

// What is attributed: token minus against, the most probable token where none is named.
struct Question {
  VocabularyDirection direction;
  std::string name;
};

Result<Question> question_of(const MethodInput& input) {
  const std::string token = input.parameters["token"].get<std::string>(),
                    against = input.parameters["against"].get<std::string>();
  const Tokenizer& tokenizer = input.model->tokenizer();
  int32_t right = top_next(input.capture->last_logits, tokenizer, 1).at(0).id;
  if (!token.empty()) {
    SACCADE_TRY(right, token_named(input, token, "token"));
  }
  std::vector<int32_t> wrong;
  if (!against.empty()) {
    SACCADE_TRY(const int32_t id, token_named(input, against, "against"));
    wrong.push_back(id);
  }
  SACCADE_TRY(const Token named, tokenizer.token(right));
  const std::string name =
      against.empty() ? fmt::format("the logit of '{}'", display_text(named))
                      : fmt::format("the logit difference of '{}' and '{}'", display_text(named), against);
  return Question{direction_of({right}, wrong), name};
}

MethodInfo make_info() {
  MethodInfo info;
  info.id = "logit-attribution";
  info.title = "What each part writes into the answer";
  info.summary =
      "Direct logit attribution at the last position: heads, MLPs and embedding, and for the strongest head "
      "each token it "
      "looks at.";
  info.citation =
      "Elhage et al. 2021 (A Mathematical Framework for Transformer Circuits); raw weights, final norm "
      "frozen at its "
      "actual statistics";
  info.parameters = {
      {"token", "Token", "The answer, with its leading space; empty: the most probable next token.", ""},
      {"against", "Against", "Another token, to attribute the difference; empty: none.", ""}};
  return info;
}

class LogitAttribution final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_CHECK(require_model(input, "logit-attribution"));
    std::vector<Wanted> wanted;
    if (!input.outcomes.empty()) return wanted;
    RunRequest request = input.base;  // edits included: the run being looked at
    request.capture = CapturePlan{};
    request.capture.loss = false;
    const ModelSpec& spec = input.model->spec();
    for (int32_t l = 0; l < spec.n_layer; ++l)
      for (const HookSite site : {HookSite::z, HookSite::v, HookSite::mlp_out})
        if (exists({site, l}, spec)) request.capture.sites.push_back({site, l});
    wanted.emplace_back(RunWanted{std::move(request)});
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    const std::shared_ptr<const Capture> capture = capture_in(input.outcomes, 0);
    if (!capture) return make_error(ErrorCode::cancelled, "cancelled");
    const ModelSpec& spec = capture->spec;
    const WeightReader weights(input.model);
    SACCADE_TRY(const Question question, question_of(input));
    const int64_t last = capture->n_token() - 1;
    SACCADE_TRY(const LogitMap map,
                LogitMap::make(weights, spec, capture->final_resid.slice(last), question.direction));
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {capture->provenance.request};
    Field direct =
        head_field("direct", "Written into " + question.name, "logits", ValueKind::signed_difference,
                   spec.n_layer, spec.n_head, capture->provenance.request);
    Table parts{"parts", {"part", "contribution"}, {}};
    double total = map.constant();
    const auto add = [&](std::string part, double contribution) {
      parts.rows.push_back({std::move(part), contribution});
      total += contribution;
    };
    add("embedding", map.contribution(capture->layers[0]->resid_pre.slice(last)));
    for (int32_t l = 0; l < spec.n_layer; ++l) {
      SACCADE_CHECK(job.check());
      job.progress(static_cast<double>(l) / spec.n_layer, fmt::format("layer {}", l));
      double heads = 0.0;
      for (int32_t h = 0; h < spec.n_head; ++h) {
        const HeadId head{LayerIndex{l}, HeadIndex{h}};
        const double contribution = map.contribution(last_z(*capture, head), weights.output(head));
        direct.values.mutable_values()[static_cast<size_t>(int64_t{l} * spec.n_head + h)] =
            static_cast<float>(contribution);
        heads += contribution;
      }
      add(fmt::format("heads of layer {}", l), heads);
      if (const HostTensor bias = weights.output_bias(l); !bias.empty())
        add(fmt::format("attention bias of layer {}", l),
            spec.residual_scale * map.contribution(bias.values()));
      if (const auto mlp = capture->sites.find({HookSite::mlp_out, l}); mlp != capture->sites.end())
        add(fmt::format("MLP of layer {}", l), map.contribution(mlp->second.slice(last)));
    }
    parts.rows.push_back({std::string("norm and unembedding biases"), map.constant()});
    parts.rows.push_back({std::string("sum"), total});
    result.fields.push_back(std::move(direct));
    SACCADE_CHECK(add_sources(input, capture, map, weights, result));
    result.tables.push_back(std::move(parts));
    result.tables.push_back(heads_table(std::span(result.fields).first(1)));
    say(question, total, result);
    return result;
  }

 private:
  // The strongest head's write, token by token.
  static Result<void> add_sources(const MethodInput& input, const std::shared_ptr<const Capture>& capture,
                                  const LogitMap& map, const WeightReader& weights, AnalysisResult& result) {
    const ModelSpec& spec = capture->spec;
    const std::span<const float> direct = result.fields[0].values.values();
    const auto best = std::max_element(direct.begin(), direct.end(),
                                       [](float a, float b) { return std::abs(a) < std::abs(b); });
    const HeadId head = head_at(best - direct.begin(), spec.n_head);
    const int64_t n = capture->n_token(), kv = spec.kv_head_of(head.head.value);
    SACCADE_TRY(const AttentionMap pattern, AttentionMap::of(capture, head, *input.kernels));
    SACCADE_TRY(const Tile row, pattern.tile(n - 1, n, 0, n, 1));
    const HostTensor& v = capture->sites.at({HookSite::v, head.layer.value});
    const HostTensor output = weights.output(head);
    Field sources{"sources",
                  fmt::format("Written by {} from each token", to_string(head)),
                  "logits",
                  ValueKind::signed_difference,
                  {{AxisKind::token, "token", {}}},
                  HostTensor({n}),
                  capture->provenance.request};
    for (int64_t j = 0; j < n; ++j) {
      sources.axes[0].labels.push_back(display_text(capture->tokens[static_cast<size_t>(j)]));
      const std::span<const float> value = v.values().subspan(
          static_cast<size_t>((j * spec.n_kv_head + kv) * spec.d_head), static_cast<size_t>(spec.d_head));
      sources.values.mutable_values()[static_cast<size_t>(j)] =
          row.block_max.data()[j] * static_cast<float>(map.contribution(value, output));
    }
    result.fields.push_back(std::move(sources));
    return {};
  }

  static void say(const Question& question, double total, AnalysisResult& result) {
    const HostTensor& direct = result.fields[0].values;
    const Field& sources = result.fields[1];
    int64_t best = 0, from = 0;
    for (int64_t at = 0; at < direct.size(); ++at)
      if (std::abs(direct.data()[at]) > std::abs(direct.data()[best])) best = at;
    for (int64_t j = 0; j < sources.values.size(); ++j)
      if (std::abs(sources.values.data()[j]) > std::abs(sources.values.data()[from])) from = j;
    result.findings.push_back(
        fmt::format("Head {} writes {:+.2f} of {} ({:.2f}), most of it ({:+.2f}) from token {} ('{}').",
                    to_string(head_at(best, direct.shape()[1])), direct.data()[best], question.name, total,
                    sources.values.data()[from], from, sources.axes[0].labels[static_cast<size_t>(from)]));
    result.findings.emplace_back(caveat);
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_logit_attribution() { return std::make_unique<LogitAttribution>(); }

}  // namespace saccade
