// bench methods: analysis methods on a model of GPT-2 small's shape, beside what they are made of.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analysis/prompts/prompt_set.h"
#include "analysis/run_method.h"
#include "app/cli/bench.h"

namespace saccade::cli {
namespace {

Result<double> method_seconds(const Context& context, const Opened& opened, const std::string& id,
                              const nlohmann::json& parameters, const std::shared_ptr<const Run>& run) {
  SACCADE_TRY(const AnalysisMethod* method, find_method(id));
  Result<AnalysisResult> result = make_error(ErrorCode::internal, "not run");
  const double seconds = timed([&] {
    result = run_method(*method, parameters, run, {opened.model, opened.runner.get(), {}}, context.job);
  });
  if (!result.ok()) return std::move(result).error();
  return seconds;
}

// A full forward pass without captures, one at a time: what patching costs where nothing is shared.
Result<double> forward_seconds(const Context& context, Runner& runner, int64_t n_token, int count) {
  RunRequest request = synthetic_request(runner, n_token);
  request.capture.attention = request.capture.residuals = request.capture.statistics = request.capture.loss =
      false;
  Result<void> outcome;
  const double seconds = timed([&] {
    for (int i = 0; i < count && outcome.ok(); ++i) {
      auto run = runner.run(request, nullptr, context.job);
      if (!run.ok()) outcome = std::move(run).error();
    }
  });
  SACCADE_CHECK(std::move(outcome));
  return seconds / count;
}

Result<BenchRow> decode_row(const Context& context, Runner& runner) {
  constexpr int n_new = 48;
  RunRequest request = synthetic_request(runner, 512);
  SamplingOptions plain;
  plain.max_tokens = n_new;
  plain.stop_at_eos = false;
  SamplingOptions watched = plain;
  watched.keep_heads = true;
  watched.watched = PositionRange{100, 110};
  Result<void> outcome;
  const auto per_token = [&](const SamplingOptions& options) {
    auto made = runner.generate(request, options, {}, context.job);
    if (!made.ok()) {
      outcome = std::move(made).error();
      return 0.0;
    }
    return made->seconds / static_cast<double>(std::max<size_t>(made->tokens.size(), 1));
  };
  std::array<double, 2> best{1e9, 1e9};
  for (int repeat = 0; repeat < 3; ++repeat) {  // alternating, so that both meet the same machine
    best[0] = std::min(best[0], per_token(plain));
    best[1] = std::min(best[1], per_token(watched));
  }
  SACCADE_CHECK(std::move(outcome));
  return BenchRow{"methods", "decoding a token with every head's argmax and needle mass, 512 tokens",
                  best[1],   "plain decoding",
                  best[0],   1.5};
}

}  // namespace

Result<std::vector<BenchRow>> bench_methods(const Context& context, const std::filesystem::path& folder) {
  SACCADE_TRY(const std::string where, model_folder(context, "gpt2-small", folder));
  SACCADE_TRY(const Opened opened, open_runner(context, where));
  Runner& runner = *opened.runner;
  std::vector<BenchRow> rows;
  constexpr int n_pair = 8;
  const ModelSpec& spec = opened.model->spec();
  SACCADE_TRY(const auto small, runner.run(synthetic_request(runner, 16), nullptr, context.job));
  SACCADE_TRY(const PromptSet prompts, preset("repeat", *opened.model, n_pair, 1));
  const int64_t n_token = prompts.pairs[0].clean.size();
  const int64_t patches = spec.n_layer * spec.n_head * n_pair;
  SACCADE_TRY(const double forward, forward_seconds(context, runner, n_token, 24));
  for (const char* method : {"activation-patching", "path-patching"}) {
    SACCADE_TRY(const double seconds, method_seconds(context, opened, method, {{"count", n_pair}}, small));
    rows.push_back({"methods",
                    fmt::format("{}: {} heads x {} pairs of {} tokens", method, spec.n_layer * spec.n_head,
                                n_pair, n_token),
                    seconds, fmt::format("{} full forward passes (from 24)", patches),
                    forward * static_cast<double>(patches), 0.2});
  }
  SACCADE_TRY(BenchRow decode, decode_row(context, runner));
  rows.push_back(std::move(decode));
  return rows;
}

}  // namespace saccade::cli
