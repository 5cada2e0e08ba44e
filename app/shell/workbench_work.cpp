#include "app/shell/workbench_work.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/images/read_picture.h"
#include "analysis/method.h"
#include "core/capture/dump.h"
#include "core/model/image_input.h"
#include "core/tokens/special_tokens.h"

namespace saccade {
namespace {

Result<TokenSequence> text_of(const Model& model, const WantedRuns& wanted) {
  if (model.spec().is_picture_model()) return TokenSequence();
  if (!wanted.ids.empty()) return model.tokenizer().sequence(wanted.ids);
  EncodeOptions options;
  options.add_special_tokens = wanted.add_bos;
  return model.tokenizer().encode(wanted.prompt, options);
}

Result<std::shared_ptr<const PreparedImage>> prepared(EngineSide& side, const GivenPicture& given) {
  for (const auto& [pixels, made] : side.prepared)
    if (pixels == given.pixels) return made;
  SACCADE_TRY(auto made, prepare_image(*side.model, *given.pixels));
  side.prepared.emplace_back(given.pixels, made);
  return made;
}

Result<TokenSequence> tokens_of(EngineSide& side, const WantedRuns& wanted) {
  SACCADE_TRY(TokenSequence text, text_of(*side.model, wanted));
  std::erase_if(side.prepared, [&](const auto& one) {
    return std::none_of(wanted.pictures.begin(), wanted.pictures.end(),
                        [&](const GivenPicture& given) { return given.pixels == one.first; });
  });
  std::vector<std::shared_ptr<const PreparedImage>> images;
  for (const GivenPicture& given : wanted.pictures) {
    SACCADE_TRY(auto image, prepared(side, given));
    images.push_back(std::move(image));
  }
  return place_images(*side.model, std::move(text), images);
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
  SACCADE_TRY(TokenSequence tokens, tokens_of(side, wanted));
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
  const bool have_b = wanted.previous_b && same_input(wanted.previous_b->request.tokens, request.tokens) &&
                      wanted.previous_b->request.model_digest == request.model_digest;
  SACCADE_TRY(made.b, runner.run(request, have_b ? wanted.previous_b : made.a, job));
  SACCADE_TRY(made.comparison, compare(*made.a->capture, *made.b->capture, &side.model->tokenizer()));
  return made;
}

Result<std::vector<GivenPicture>> read_pictures(EngineSide& side, const QStringList& paths) {
  std::vector<GivenPicture> read;
  for (const QString& path : paths) {
    SACCADE_TRY(Picture picture, read_picture(path.toStdString()));
    GivenPicture given{path, std::make_shared<const Picture>(std::move(picture))};
    SACCADE_CHECK(prepared(side, given));
    read.push_back(std::move(given));
  }
  return read;
}

Result<std::shared_ptr<const Run>> run_with_words(EngineSide& side, RunRequest request,
                                                  const std::vector<Token>& words, const JobContext& job) {
  for (const Token& word : words) request.tokens.tokens.push_back(word);
  request.capture.loss = false;
  return side.runner->run(request, nullptr, job);
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
