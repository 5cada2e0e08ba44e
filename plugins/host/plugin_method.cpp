#include "plugins/host/plugin_method.h"

#include <fmt/format.h>

#include <algorithm>

#include "plugins/host/plugin_call.h"

namespace saccade::plugins {

Result<std::vector<Wanted>> PluginMethod::plan(const MethodInput& input) const {
  std::vector<Wanted> wanted;
  if (manifest_.sites.empty() || !input.outcomes.empty() || !input.capture) return wanted;
  SACCADE_TRY(const std::vector<SiteRef> sites, match_sites(manifest_.sites, input.capture->spec));
  const auto kept = [&](const SiteRef& site) { return input.capture->sites.contains(site); };
  if (std::all_of(sites.begin(), sites.end(), kept)) return wanted;
  RunRequest request = input.base;
  for (const SiteRef& site : sites)
    if (std::find(request.capture.sites.begin(), request.capture.sites.end(), site) ==
        request.capture.sites.end())
      request.capture.sites.push_back(site);
  wanted.emplace_back(RunWanted{std::move(request)});
  return wanted;
}

Result<AnalysisResult> PluginMethod::compute(const MethodInput& input, const JobContext& job) const {
  std::shared_ptr<const Capture> capture = input.capture;
  if (!input.outcomes.empty()) {
    const auto* run = std::get_if<std::shared_ptr<const Run>>(&input.outcomes.front());
    if (!run) return make_error(ErrorCode::cancelled, "cancelled");
    capture = (*run)->capture;
  }
  if (!capture || capture->layers.empty() || !input.kernels)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} needs a run with captured layers", manifest_.info.id));
  SACCADE_TRY(const nlohmann::json parameters, complete_parameters(manifest_.info, input.parameters));
  Result<AnalysisResult> result =
      PluginCall(manifest_, std::move(capture), *input.kernels, parameters, job).run(plugin_->compute);
  if (result.ok() || result.error().code == ErrorCode::cancelled) return result;
  return std::move(result).error().with("plugin " + manifest_.info.id);
}

}  // namespace saccade::plugins
