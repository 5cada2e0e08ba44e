// logit-lens: what the model would answer if it ended after each layer: the residual of every layer and
// position through the final norm and the unembedding.
//
// A residual is unembedded by the model itself: a run of one token whose last residual is replaced by it. So
// soft caps, logit scales and projections before the vocabulary are those of the model.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "analysis/methods/registry.h"
#include "core/base/digest.h"
#include "core/base/memory.h"

namespace saccade {
namespace {

constexpr int64_t most_rows = 200000;  // residuals to unembed

MethodInfo make_info() {
  MethodInfo info;
  info.id = "logit-lens";
  info.title = "What it would answer after each layer";
  info.summary =
      "Unembeds the residual after every layer, position by position: probability and rank of the answer, "
      "top "
      "token, entropy, and the distance to the final prediction.";
  info.citation = "nostalgebraist 2020 (interpreting GPT: the logit lens); KL in nats, KL(final || layer)";
  info.parameters = {
      choice("positions", "Positions", "all of the prompt, or the last alone.", {"all", "last"}),
      choice("follow", "Token followed",
             "top: the final prediction at each position; next: the token that comes next in the prompt.",
             {"top", "next"}),
      {"token", "Or this token", "One token followed everywhere, with its leading space; empty: as above.",
       ""}};
  return info;
}

struct Plan {
  std::vector<int64_t> positions;
  int64_t levels = 0;  // residuals per position: before layer 0, after each layer
  std::optional<int32_t> token;
  bool next = false;
};

Result<Plan> read_plan(const MethodInput& input) {
  SACCADE_CHECK(require_model(input, "logit-lens"));
  const ModelSpec& spec = input.model->spec();
  if (spec.causal && !spec.looks_back())
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{} sees its whole prompt in both directions: what it says in the middle is about "
                    "no next token",
                    input.model->name()));
  if (!spec.predicts_next_token())
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} does not predict the next token: there is no answer after a layer",
                                  input.model->name()));
  if (spec.block == BlockKind::post_norm)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{} normalises its residual in every layer: no final norm is left to read it "
                    "through",
                    input.model->name()));
  Plan plan;
  plan.levels = spec.n_layer + 1;
  const int64_t n = input.base.tokens.size();
  plan.next = input.parameters["follow"] == "next";
  for (int64_t p = input.parameters["positions"] == "last" ? n - 1 : 0; p < n; ++p)
    plan.positions.push_back(p);
  if (const std::string text = input.parameters["token"].get<std::string>(); !text.empty()) {
    EncodeOptions plain;
    plain.add_special_tokens = false;
    SACCADE_TRY(const TokenSequence tokens, input.model->tokenizer().encode(text, plain));
    if (tokens.size() != 1)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("token='{}' is {} tokens of {}, expected one (with its leading space)",
                                    text, tokens.size(), input.model->name()));
    plan.token = tokens.tokens[0].id;
  }
  const auto rows = static_cast<int64_t>(plan.positions.size()) * plan.levels;
  const int64_t bytes = static_cast<int64_t>(plan.positions.size()) * spec.n_logits() * 4;
  if (rows > most_rows || bytes > available_bytes() / 4)
    return make_error(ErrorCode::out_of_memory,
                      fmt::format("{} positions after {} layers are {} residuals to unembed and {} of final "
                                  "predictions to keep; use positions=last or a shorter prompt",
                                  plan.positions.size(), spec.n_layer, rows, format_bytes(bytes)));
  return plan;
}

const Capture* looked_at(const MethodInput& input) {
  return capture_in(input.outcomes, 0).get();  // the outcome keeps it
}

// One token whose last residual is that of `level` at `position` of the run.
Result<RunRequest> unembedding_of(const MethodInput& input, int64_t level, int64_t position) {
  const ModelSpec& spec = input.model->spec();
  const Capture& run = *looked_at(input);
  const HostTensor& residual =
      level < spec.n_layer ? run.layers[static_cast<size_t>(level)]->resid_pre : run.final_resid;
  auto made = std::make_shared<Capture>();
  made->spec = spec;
  made->tokens = {input.base.tokens.tokens[0]};
  made->provenance.request =
      Digest().add("residual").add(run.provenance.request).add(level).add(position).hex();
  HostTensor row({1, spec.d_model}, false);
  std::copy_n(residual.slice(position).data(), spec.d_model, row.mutable_values().data());
  const SiteRef last{HookSite::resid_post, spec.n_layer - 1};
  made->sites[last] = std::move(row);
  RunRequest request;
  request.model_digest = input.base.model_digest;
  request.dtype = input.base.dtype;
  request.device = input.base.device;
  request.tokens.tokens = made->tokens;
  request.capture.attention = request.capture.residuals = request.capture.statistics = request.capture.loss =
      false;
  SACCADE_TRY(Edit edit, parse_edit("replace " + full_name(last) + " from=residual"));
  request.edits = {std::move(edit)};
  request.references["residual"] = std::move(made);
  return request;
}

// Outcomes: the run looked at; the final prediction of each position; then each position's answers level by
// level.
class LogitLens final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    std::vector<Wanted> wanted;
    if (input.outcomes.empty()) {
      RunRequest request = input.base;
      request.capture = CapturePlan{};
      request.capture.attention = request.capture.statistics = request.capture.loss = false;
      wanted.emplace_back(RunWanted{std::move(request)});
    } else if (input.outcomes.size() == 1) {
      for (const int64_t position : plan.positions) {
        SACCADE_TRY(RunRequest request, unembedding_of(input, plan.levels - 1, position));
        wanted.emplace_back(RunWanted{std::move(request)});
      }
    } else if (input.outcomes.size() == 1 + plan.positions.size()) {
      for (size_t p = 0; p < plan.positions.size(); ++p)
        for (int64_t level = 0; level < plan.levels; ++level) {
          AnswerWanted answer;
          SACCADE_TRY(answer.request, unembedding_of(input, level, plan.positions[p]));
          answer.ids = {followed(plan, input, p)};
          answer.reference = std::make_shared<HostTensor>(final_logits(input, p));
          answer.spread = true;
          wanted.emplace_back(std::move(answer));
        }
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    const size_t count = plan.positions.size();
    if (input.outcomes.size() < 1 + count ||
        !std::holds_alternative<std::shared_ptr<const Run>>(input.outcomes[count]))
      return make_error(ErrorCode::cancelled, "cancelled");
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {looked_at(input)->provenance.request};
    std::array<Field, 4> fields{
        field(plan, input, "probability", "Probability of the token followed", "", ValueKind::probability),
        field(plan, input, "rank", "Rank of the token followed, 0 = first", "tokens", ValueKind::magnitude),
        field(plan, input, "entropy", "Entropy of the prediction", "nats", ValueKind::magnitude),
        field(plan, input, "kl", "KL(final || after this layer)", "nats", ValueKind::magnitude)};
    Table top{"top", {"after", "position", "token", "top", "followed", "probability", "rank"}, {}};
    for (size_t p = 0; p < count; ++p)
      for (int64_t level = 0; level < plan.levels; ++level) {
        const KeptAnswer* answer = answer_of(plan, input, p, level);
        const auto at = static_cast<size_t>(level) * count + p;
        if (answer == nullptr) {
          for (Field& one : fields) one.values.mutable_values()[at] = std::numeric_limits<float>::quiet_NaN();
          continue;
        }
        const double probability = std::exp(answer->logits[0] - answer->log_sum_exp);
        const std::array<double, 4> values{probability, static_cast<double>(answer->ranks[0]),
                                           answer->entropy, answer->kl};
        for (size_t f = 0; f < fields.size(); ++f)
          fields[f].values.mutable_values()[at] = static_cast<float>(values[f]);
        top.rows.push_back({name_of_level(level), plan.positions[p],
                            display_text(input.base.tokens.tokens[static_cast<size_t>(plan.positions[p])]),
                            text_of(input, answer->top_id), text_of(input, followed(plan, input, p)),
                            probability, static_cast<int64_t>(answer->ranks[0])});
      }
    result.fields.assign(std::make_move_iterator(fields.begin()), std::make_move_iterator(fields.end()));
    result.tables.push_back(std::move(top));
    say(plan, input, result);
    return result;
  }

 private:
  static std::string name_of_level(int64_t level) {
    return level == 0 ? std::string("embedding") : fmt::format("layer {}", level - 1);
  }
  static std::string text_of(const MethodInput& input, int32_t id) {
    const auto token = input.model->tokenizer().token(id);
    return token.ok() ? display_text(*token) : fmt::format("<{}>", id);
  }
  static const HostTensor& final_logits(const MethodInput& input, size_t p) {
    return std::get<std::shared_ptr<const Run>>(input.outcomes[1 + p])->capture->last_logits;
  }
  static int32_t followed(const Plan& plan, const MethodInput& input, size_t p) {
    if (plan.token) return *plan.token;
    const int64_t next = plan.positions[p] + 1;
    if (plan.next && next < input.base.tokens.size())
      return input.base.tokens.tokens[static_cast<size_t>(next)].id;
    const std::span<const float> logits = final_logits(input, p).values();
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  static const KeptAnswer* answer_of(const Plan& plan, const MethodInput& input, size_t p, int64_t level) {
    const size_t at =
        1 + plan.positions.size() + p * static_cast<size_t>(plan.levels) + static_cast<size_t>(level);
    return answer_in(input.outcomes, at);
  }
  static Field field(const Plan& plan, const MethodInput& input, std::string name, std::string label,
                     std::string unit, ValueKind kind) {
    Field made{std::move(name),
               std::move(label),
               std::move(unit),
               kind,
               {{AxisKind::layer, "layer", {}}, {AxisKind::token, "token", {}}},
               HostTensor({plan.levels, static_cast<int64_t>(plan.positions.size())}),
               looked_at(input)->provenance.request};
    for (int64_t level = 0; level < plan.levels; ++level) made.axes[0].labels.push_back(name_of_level(level));
    for (const int64_t position : plan.positions)
      made.axes[1].labels.push_back(display_text(input.base.tokens.tokens[static_cast<size_t>(position)]));
    return made;
  }

  static void say(const Plan& plan, const MethodInput& input, AnalysisResult& result) {
    const size_t last = plan.positions.size() - 1;
    const KeptAnswer* final = answer_of(plan, input, last, plan.levels - 1);
    if (final == nullptr) return;
    int64_t settled = plan.levels - 1, steepest = 1;
    while (settled > 0 && answer_of(plan, input, last, settled - 1)->top_id == final->top_id) --settled;
    for (int64_t level = 1; level < plan.levels; ++level)
      if (drop(plan, input, last, level) > drop(plan, input, last, steepest)) steepest = level;
    result.findings.push_back(fmt::format(
        "At the last position the answer '{}' ({:.1f} %) stands from {} on; after the embedding it would be "
        "'{}'.",
        text_of(input, final->top_id),
        100.0 * std::exp(*std::max_element(final_logits(input, last).values().begin(),
                                           final_logits(input, last).values().end()) -
                         final->log_sum_exp),
        settled == 0 ? std::string("the embedding") : "after " + name_of_level(settled),
        text_of(input, answer_of(plan, input, last, 0)->top_id)));
    result.findings.push_back(
        fmt::format("{} brings the prediction nearest to the final one: KL falls by {:.3g} nats, from "
                    "{:.3g}; at the end the "
                    "entropy is {:.3g} nats.",
                    name_of_level(steepest), drop(plan, input, last, steepest),
                    answer_of(plan, input, last, steepest - 1)->kl, final->entropy));
    result.findings.emplace_back(
        "Early residuals are read through a norm and vocabulary made for the last: what the lens shows there "
        "can be the lens.");
  }
  static double drop(const Plan& plan, const MethodInput& input, size_t p, int64_t level) {
    return answer_of(plan, input, p, level - 1)->kl - answer_of(plan, input, p, level)->kl;
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_logit_lens() { return std::make_unique<LogitLens>(); }

}  // namespace saccade
