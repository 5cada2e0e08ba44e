#include "app/shell/workbench_work.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/method.h"
#include "core/capture/dump.h"
#include "core/tokens/special_tokens.h"

namespace saccade {
namespace {

Result<TokenSequence> tokens_of(const Model& model, const WantedRuns& wanted) {
  if (!wanted.ids.empty()) return model.tokenizer().sequence(wanted.ids);
  EncodeOptions options;
  options.add_special_tokens = wanted.add_bos;
  return model.tokenizer().encode(wanted.prompt, options);
}

}  // namespace

Result<FoundModel> look_at_model(const std::string& where, const std::string& prompt, const JobContext& job) {
  FoundModel found;
  SACCADE_TRY(found.model, Model::open(where, job));
  if (const auto tokens = found.model->tokenizer().encode(prompt, {}); tokens.ok())
    found.n_token = std::min<int64_t>(tokens->size(), found.model->spec().n_context);
  const int64_t n = found.n_token > 0 ? found.n_token : found.model->spec().n_context;
  found.forecast = forecast_run(*found.model, n);
  found.special_tokens = special_tokens_text(found.model->tokenizer());
  return found;
}

Result<std::shared_ptr<EngineSide>> make_engine_side(const std::shared_ptr<const Model>& model,
                                                     const RunnerOptions& options) {
  auto side = std::make_shared<EngineSide>();
  side->model = model;
  SACCADE_TRY(side->runner, Runner::create(side->model, options));
  return side;
}

Result<std::shared_ptr<EngineSide>> open_engine_side(const std::string& where, const RunnerOptions& options,
                                                     const JobContext& job) {
  SACCADE_TRY(const auto model, Model::open(where, job));
  return make_engine_side(model, options);
}

Result<MadeRuns> make_runs(EngineSide& side, const WantedRuns& wanted, const JobContext& job) {
  Runner& runner = *side.runner;
  MadeRuns made;
  SACCADE_TRY(TokenSequence tokens, tokens_of(*side.model, wanted));
  RunRequest request = runner.request(std::move(tokens));
  if (wanted.previous_a && wanted.previous_a->digest == request.digest()) {
    made.a = wanted.previous_a;
  } else {
    SACCADE_TRY(made.a, runner.run(request, nullptr, job));
  }
  made.b = made.a;
  request.edits = wanted.edits;
  if (std::none_of(request.edits.begin(), request.edits.end(), has_effect)) return made;
  SACCADE_CHECK(load_references(request, side.edit_files, made.a->capture));
  // A slider moves one edit of a list: the edited run before shares more layers with the next one than A
  // does.
  const bool have_b = wanted.previous_b && wanted.previous_b->request.tokens.ids() == request.tokens.ids() &&
                      wanted.previous_b->request.model_digest == request.model_digest;
  SACCADE_TRY(made.b, runner.run(request, have_b ? wanted.previous_b : made.a, job));
  SACCADE_TRY(made.comparison, compare(*made.a->capture, *made.b->capture, &side.model->tokenizer()));
  return made;
}

Result<AnalysisResult> score_heads(const std::shared_ptr<const Capture>& capture, const KernelSet& kernels,
                                   const JobContext& job) {
  SACCADE_TRY(const AnalysisMethod* method, find_method("head-table"));
  SACCADE_TRY(const nlohmann::json parameters, complete_parameters(method->info(), nlohmann::json::object()));
  return method->compute({parameters, capture, &kernels}, job);
}

Result<void> dump_run(EngineSide* side, const std::shared_ptr<const Run>& run, const KernelSet& kernels,
                      const std::string& path, const std::string& sites, const JobContext& job) {
  DumpOptions options;
  std::shared_ptr<const Capture> capture = run->capture;
  if (!sites.empty()) {
    SACCADE_TRY(options.sites, match_sites(sites, capture->spec));
  }
  const bool recorded = std::all_of(options.sites.begin(), options.sites.end(), [&](const SiteRef& site) {
    return site.site == HookSite::pattern || site.site == HookSite::attn_scores ||
           capture->sites.contains(site);
  });
  if (!recorded && side) {
    RunRequest again = run->request;
    again.capture.sites = options.sites;
    SACCADE_TRY(const auto captured, side->runner->run(again, nullptr, job));
    capture = captured->capture;
  }
  return write_dump(*capture, path, options, kernels, job);
}

Result<std::shared_ptr<const Run>> run_from_dump(const std::string& path) {
  auto run = std::make_shared<Run>();
  SACCADE_TRY(run->capture, read_dump(path));
  run->digest = run->capture->provenance.request;
  run->request.model_digest = run->capture->provenance.model_digest;
  run->request.tokens.text = run->capture->provenance.prompt;
  run->request.tokens.tokens = run->capture->tokens;
  run->seconds = run->capture->provenance.seconds;
  return std::shared_ptr<const Run>(std::move(run));
}

}  // namespace saccade
