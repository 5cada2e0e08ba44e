// vhd: how much every head's output depends on the picture, and the heads that VHR reinforces, layer by layer
// with earlier layers already reinforced.
//
// Runs: the prompt without the picture and with it (z of every layer), one more per reinforced layer, resumed
// from the one before, and one with all of them for the answer. With generate > 0: the answer, and the two
// prompts with it behind them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/picture_input.h"
#include "analysis/methods/registry.h"
#include "analysis/methods/vhd.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "vhd";
  info.title = "Heads that see";
  info.summary =
      "How much every head's output changes when the picture is taken out of the prompt, and the edits that "
      "reinforce the heads that depend on it (VHR).";
  info.citation =
      "He et al. 2025 (arXiv 2412.13949): VHD, outliers, H_l, alpha, T-VHD; plain distance, n - 1, a "
      "branch without picture that is not reinforced, and the share of last layers: own readings";
  info.parameters = vhd::parameters();
  info.parameters.push_back(
      {"generate", "Tokens", "Of the answer whose T-VHD is shown; 0: none.", 0, 0, 4096});
  info.parameters.push_back(
      {"k", "Heads per layer", "Of T-VHD; the paper does not say how many.", 4, 1, 1024});
  return info;
}

std::vector<int32_t> all_layers(const ModelSpec& spec) {
  std::vector<int32_t> layers(static_cast<size_t>(spec.n_layer));
  std::iota(layers.begin(), layers.end(), 0);
  return layers;
}

// Which outcome is what.
struct Steps {
  std::vector<int32_t> layers;  // reinforced
  int64_t generate = 0;
  [[nodiscard]] size_t without() const { return 0; }
  // The run in which the n-th reinforced layer is measured; n = layers.size(): all are reinforced.
  [[nodiscard]] size_t measured(size_t n) const { return 1 + n; }
  [[nodiscard]] size_t generation() const { return measured(layers.size()) + 1; }
  [[nodiscard]] size_t answer_with() const { return generation() + 1; }
  [[nodiscard]] size_t answer_without() const { return generation() + 2; }
};

class Vhd final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Steps steps, steps_of(input));
    const ModelSpec& spec = input.model->spec();
    const vhd::Options options = vhd::read_options(input.parameters);
    std::vector<Wanted> wanted;
    const size_t done = input.outcomes.size();
    if (done == 0) {
      SACCADE_TRY(const RunRequest text, vhd::without_picture(input.base));
      wanted.emplace_back(RunWanted{vhd::keeping_z(text, all_layers(spec))});
      wanted.emplace_back(RunWanted{vhd::keeping_z(input.base, all_layers(spec))});
    } else if (done <= steps.measured(steps.layers.size())) {
      const size_t next = done - steps.measured(0);
      SACCADE_TRY(const std::vector<Edit> edits, edits_of(input, steps, options, next));
      std::vector<int32_t> measured;
      if (next < steps.layers.size()) measured = {steps.layers[next]};
      RunWanted run{vhd::keeping_z(with_edits(input.base, edits), measured), base_of(input, done - 1)};
      wanted.emplace_back(std::move(run));
    } else if (steps.generate > 0 && done == steps.generation()) {
      SamplingOptions sampling;
      sampling.max_tokens = static_cast<int>(steps.generate);
      wanted.emplace_back(GenerationWanted{input.base, sampling});
    } else if (steps.generate > 0 && done == steps.answer_with()) {
      const Generation* answer = generation_in(input.outcomes, steps.generation());
      if (answer == nullptr || answer->tokens.empty()) return wanted;
      RunRequest whole = input.base;
      whole.tokens = with_generated(whole.tokens, answer->tokens);
      SACCADE_TRY(const RunRequest text, vhd::without_picture(whole));
      wanted.emplace_back(RunWanted{vhd::keeping_z(whole, all_layers(spec))});
      wanted.emplace_back(RunWanted{vhd::keeping_z(text, all_layers(spec))});
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(const Steps steps, steps_of(input));
    const vhd::Options options = vhd::read_options(input.parameters);
    const Run* without = run_in(input.outcomes, steps.without());
    const Run* with = run_in(input.outcomes, steps.measured(0));
    if (without == nullptr || with == nullptr) return make_error(ErrorCode::cancelled, "cancelled");
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {with->digest, without->digest};
    add_map(*with->capture, *without->capture, options, result);
    size_t measured = 0;
    while (measured < steps.layers.size() && run_in(input.outcomes, steps.measured(measured)) != nullptr)
      ++measured;
    SACCADE_TRY(const std::vector<Edit> edits, edits_of(input, steps, options, measured));
    mark_reinforced(edits, result.fields.back());
    result.tables.push_back(heads_table(result.fields));
    result.tables.push_back(edits_table("vhr", edits));
    result.partial = measured < steps.layers.size();
    say(input, steps, options, edits, result);
    SACCADE_CHECK(add_tokens(input, steps, options, job, result));
    return result;
  }

 private:
  static Result<Steps> steps_of(const MethodInput& input) {
    SACCADE_CHECK(require_model(input, "vhd"));
    const ModelSpec& spec = input.model->spec();
    SACCADE_CHECK(require_picture_and_text(input.base.tokens.places(), spec, "vhd"));
    SACCADE_TRY(std::vector<int32_t> layers, vhd::layers_of(vhd::read_options(input.parameters), spec));
    return Steps{std::move(layers), input.parameters["generate"].get<int64_t>()};
  }

  static std::shared_ptr<const Run> base_of(const MethodInput& input, size_t outcome) {
    const auto* run = outcome_as<std::shared_ptr<const Run>>(input.outcomes, outcome);
    return run == nullptr ? nullptr : *run;
  }

  // Of the first `count` reinforced layers, each measured in the run under the edits of those before it.
  static Result<std::vector<Edit>> edits_of(const MethodInput& input, const Steps& steps,
                                            const vhd::Options& options, size_t count) {
    std::vector<Edit> edits;
    const Run* without = run_in(input.outcomes, steps.without());
    for (size_t i = 0; i < count; ++i) {
      const Run* run = run_in(input.outcomes, steps.measured(i));
      if (run == nullptr || without == nullptr) return make_error(ErrorCode::cancelled, "cancelled");
      const int32_t layer = steps.layers[i];
      const vhd::Divergence found =
          vhd::divergence(vhd::z_row(*run->capture, layer, -1), vhd::z_row(*without->capture, layer, -1),
                          input.model->spec().n_head, options);
      if (const std::vector<int32_t> heads = vhd::above_median(found.vhd); !heads.empty())
        edits.push_back(vhd::reinforcement(layer, heads, options.alpha));
    }
    return edits;
  }

  // Before any reinforcement; the last field is left for H_l.
  static void add_map(const Capture& with, const Capture& without, const vhd::Options& options,
                      AnalysisResult& result) {
    const int64_t layers = with.spec.n_layer, heads = with.spec.n_head;
    const std::string& request = with.provenance.request;
    result.fields = {
        head_field("vhd", "Vision-aware head divergence", "", ValueKind::magnitude, layers, heads, request),
        head_field("vhd_relative", "Divergence by the output's size", "", ValueKind::magnitude, layers, heads,
                   request),
        head_field("text_size", "Size of the output without the picture, squared", "", ValueKind::magnitude,
                   layers, heads, request),
        head_field("outlier", "Outlier (divergence set to 0)", "", ValueKind::probability, layers, heads,
                   request),
        head_field("reinforced", "Reinforced by VHR", "", ValueKind::probability, layers, heads, request)};
    for (int32_t l = 0; l < layers; ++l) {
      const vhd::Divergence found =
          vhd::divergence(vhd::z_row(with, l, -1), vhd::z_row(without, l, -1), heads, options);
      for (int64_t h = 0; h < heads; ++h) {
        const auto i = static_cast<size_t>(h);
        const std::array<double, 4> numbers{found.raw[i], found.raw[i] / found.size[i], found.text[i],
                                            found.outlier[i] ? 1.0 : 0.0};
        for (size_t f = 0; f < numbers.size(); ++f)
          result.fields[f].values.mutable_values()[static_cast<size_t>(l * heads + h)] =
              static_cast<float>(numbers[f]);
      }
    }
  }

  static void mark_reinforced(const std::vector<Edit>& edits, Field& field) {
    const int64_t heads = field.values.shape()[1];
    for (const Edit& edit : edits) {
      const auto& target = std::get<HeadTarget>(edit.target);
      for (const auto& [head, last] : target.heads.ranges)
        field.values.mutable_values()[static_cast<size_t>(target.layers.ranges[0].first * heads + head)] =
            1.0F;
    }
  }

  static void say(const MethodInput& input, const Steps& steps, const vhd::Options& options,
                  const std::vector<Edit>& edits, AnalysisResult& result) {
    const Field& map = result.fields[0];
    const std::span<const float> values = map.values.values();
    const auto most = std::max_element(values.begin(), values.end()) - values.begin();
    result.findings.push_back(fmt::format(
        "Head {} depends most on the picture: its output moves by {:.3g} when the picture is taken out.",
        to_string(head_at(most, map.values.shape()[1])), values[static_cast<size_t>(most)]));
    int64_t reinforced = 0;
    for (const float value : result.fields.back().values.values()) reinforced += value > 0.0F ? 1 : 0;
    result.findings.push_back(
        fmt::format("VHR multiplies {} heads in {} layers ({}) by {:g} (table vhr: edits ready to apply).",
                    reinforced, edits.size(), fmt::join(steps.layers, ", "), options.alpha));
    if (options.alpha >= 4.0)
      result.findings.emplace_back(
          "With alpha from 4 on answers are degenerate: few objects are named at all.");
    int64_t left_out = 0;
    if (const auto text = vhd::without_picture(input.base, &left_out); text.ok() && left_out > 0)
      result.findings.push_back(
          fmt::format("{} of the current edits name positions or another run and were left out where the "
                      "picture is gone.",
                      left_out));
    const Run* before = run_in(input.outcomes, steps.measured(0));
    const Run* after = run_in(input.outcomes, steps.measured(steps.layers.size()));
    if (before == nullptr || after == nullptr) return;
    const auto top = [&](const Run* run) {
      const NextToken next = top_next(run->capture->last_logits, input.model->tokenizer(), 1)[0];
      Token token;
      token.text = next.text;
      return fmt::format("'{}' ({:.1f} %)", display_text(token), 100.0 * next.probability);
    };
    result.findings.push_back(
        fmt::format("The next token is {} before and {} after.", top(before), top(after)));
  }

  static Result<void> add_tokens(const MethodInput& input, const Steps& steps, const vhd::Options& options,
                                 const JobContext& job, AnalysisResult& result) {
    const Run* with = run_in(input.outcomes, steps.answer_with());
    const Run* without = run_in(input.outcomes, steps.answer_without());
    const Generation* answer = generation_in(input.outcomes, steps.generation());
    if (steps.generate == 0 || answer == nullptr) return {};
    if (with == nullptr || without == nullptr) {
      result.partial = result.partial || !answer->tokens.empty();
      return {};
    }
    const ModelSpec& spec = input.model->spec();
    const auto count = static_cast<int64_t>(answer->tokens.size());
    const auto k = input.parameters["k"].get<int64_t>();
    Field field{"token_vhd",          "T-VHD of every generated token", "",
                ValueKind::magnitude, {{AxisKind::step, "step", {}}},   HostTensor({count}),
                with->digest};
    Table table{"tokens", {"step", "token", "t_vhd"}, {}};
    for (int64_t t = 0; t < count; ++t) {
      SACCADE_CHECK(job.check());
      std::vector<std::vector<double>> layers;
      const int64_t from_end = t - count - 1;  // the position that predicts it
      for (int32_t l = 0; l < spec.n_layer; ++l)
        layers.push_back(vhd::divergence(vhd::z_row(*with->capture, l, from_end),
                                         vhd::z_row(*without->capture, l, from_end), spec.n_head, options)
                             .vhd);
      const double value = vhd::token_vhd(layers, k);
      const std::string text = display_text(answer->tokens[static_cast<size_t>(t)]);
      field.values.mutable_values()[static_cast<size_t>(t)] = static_cast<float>(value);
      field.axes[0].labels.push_back(text);
      table.rows.push_back({t, text, value});
    }
    const auto values = field.values.values();
    const auto least = std::min_element(values.begin(), values.end()) - values.begin();
    result.findings.push_back(fmt::format(
        "Of the answer, '{}' (token {}) rests least on the picture: T-VHD {:.3g}.",
        field.axes[0].labels[static_cast<size_t>(least)], least, values[static_cast<size_t>(least)]));
    result.fields.push_back(std::move(field));
    result.tables.push_back(std::move(table));
    return {};
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_vhd() { return std::make_unique<Vhd>(); }

}  // namespace saccade
