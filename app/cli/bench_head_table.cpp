// How long methods take beside the run they are about.
#include <fmt/format.h>

#include "analysis/run_method.h"
#include "app/cli/bench.h"
#include "app/cli/commands.h"

namespace saccade::cli {

Result<std::vector<BenchRow>> bench_head_table(const Context& context, const std::filesystem::path& folder) {
  SACCADE_TRY(const std::string where, model_folder(context, "gpt2-small", folder));
  SACCADE_TRY(const Opened opened, open_runner(context, where));
  SACCADE_TRY(const AnalysisMethod* method, find_method("head-table"));
  constexpr int64_t n = 1024;
  const RunRequest request = synthetic_request(*opened.runner, n);
  SACCADE_TRY(std::shared_ptr<const Run> run, opened.runner->run(request, nullptr, context.job));
  std::vector<BenchRow> rows;
  Result<void> outcome;
  // Against a run made just before, so that both meet the same machine.
  for (const char* columns : {"basic", "all"}) {
    const double captured = best_of(2, [&] {
      auto made = opened.runner->run(request, nullptr, context.job);
      if (!made.ok()) outcome = std::move(made).error();
    });
    const double seconds = best_of(2, [&] {
      const auto scored = run_method(*method, {{"columns", columns}}, run,
                                     {opened.model, opened.runner.get(), {}}, context.job);
      if (!scored.ok()) outcome = scored.error();
    });
    SACCADE_CHECK(outcome);
    rows.push_back({"head-table", fmt::format("columns={}, {} tokens", columns, n), seconds, "a captured run",
                    captured, 2.0, std::nullopt, 0});
  }
  return rows;
}

}  // namespace saccade::cli
