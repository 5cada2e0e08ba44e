#include "app/cli/work.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "analysis/answer_contrast.h"

namespace saccade::cli {
namespace {

Result<RunAnswer> answer(const Context& context, Runner& runner, const RunRequest& request,
                         const std::shared_ptr<const Run>& base, const WorkOptions& options,
                         EditFiles& files) {
  RunAnswer answer;
  SACCADE_TRY(answer.run, runner.run(request, base, context.job));
  SamplingOptions sampling = options.sampling;
  if (sampling.max_tokens > 0) {
    SACCADE_TRY(sampling.contrast, contrast_of(options.contrast, runner, request, files,
                                               (base ? base : answer.run)->capture, context.job));
    SACCADE_TRY(answer.generated, runner.generate(request, sampling, {}, context.job));
  }
  return answer;
}

// A picture's positions as the one placeholder that stood for them; none of a model that reads only pictures.
std::vector<int32_t> ids_as_given(const TokenSequence& tokens, const ModelSpec& spec) {
  std::vector<int32_t> ids;
  if (spec.is_picture_model()) return ids;
  int64_t next = 0;
  int32_t picture = -1;
  for (const PlacedImage& placed : tokens.images) {
    const ImageRegion& region = placed.region;
    for (; next < region.begin - placed.said_before; ++next)
      ids.push_back(tokens.tokens[static_cast<size_t>(next)].id);
    if (region.picture != picture) ids.push_back(spec.tower.image_token_id);
    picture = region.picture;
    next = region.end() + placed.said_after;
  }
  for (; next < tokens.size(); ++next) ids.push_back(tokens.tokens[static_cast<size_t>(next)].id);
  return ids;
}

}  // namespace

MethodCatalogue open_catalogue(const Context& context) {
  return MethodCatalogue::open(plugin_folders(context.plugins));
}

Result<Work> do_work(const Context& context, const WorkOptions& options) {
  Work work;
  SACCADE_TRY(std::vector<Edit> edits, parse_edits(options.edits));
  SACCADE_TRY(work.opened, open_runner(context, options.model));
  Runner& runner = *work.opened.runner;
  SACCADE_TRY(TokenSequence tokens, read_input(*work.opened.model, options.input));
  for (const std::string& image : options.input.images)
    work.images.push_back(std::filesystem::absolute(image).string());
  RunRequest request = runner.request(std::move(tokens));
  request.seed = options.sampling.seed;
  request.device = context.device;
  request.dtype = context.dtype;
  if (!options.capture.empty()) {
    SACCADE_TRY(request.capture.sites, match_sites(options.capture, work.opened.model->spec()));
  }
  SACCADE_CHECK(check_edits(edits, work.opened.model->spec(), request.tokens.places()));
  EditFiles files;
  SACCADE_TRY(work.baseline, answer(context, runner, request, nullptr, options, files));
  work.edited = work.baseline;
  if (edits.empty()) return work;
  request.edits = std::move(edits);
  SACCADE_CHECK(load_references(request, files, work.baseline.run->capture));
  SACCADE_TRY(work.edited, answer(context, runner, request, work.baseline.run, options, files));
  SACCADE_TRY(work.compared, compare(*work.baseline.run->capture, *work.edited.run->capture,
                                     &work.opened.model->tokenizer()));
  return work;
}

nlohmann::json results_of(const Work& work) {
  const Tokenizer& tokenizer = work.opened.model->tokenizer();
  nlohmann::json results;
  const auto of = [&](const RunAnswer& answer) {
    nlohmann::json document;
    document["request"] = answer.run->digest;
    document["mean_loss"] = answer.run->capture->loss.empty()
                                ? nlohmann::json()
                                : nlohmann::json(answer.run->capture->mean_loss());
    for (const NextToken& token : top_next(answer.run->capture->last_logits, tokenizer, 5))
      document["next"].push_back({{"id", token.id}, {"logit", token.logit}});
    return document;
  };
  results["baseline"] = of(work.baseline);
  results["edited"] = of(work.edited);
  results["kl"] = work.compared ? work.compared->kl : 0.0;
  return results;
}

Session session_of(const Work& work, const SamplingOptions& sampling, const AnswerContrast& contrast) {
  const RunRequest& request = work.edited.run->request;
  Session session;
  session.model = work.opened.model->where();
  session.model_digest = request.model_digest;
  session.prompt = request.tokens.text;
  session.add_bos = std::any_of(request.tokens.tokens.begin(), request.tokens.tokens.end(),
                                [](const Token& token) { return token.special && token.begin == token.end; });
  session.images = work.images;
  if (session.prompt.empty()) session.ids = ids_as_given(request.tokens, work.opened.model->spec());
  session.edits = request.edits;
  session.sampling = sampling;
  session.contrast = contrast;
  session.results = results_of(work);
  return session;
}

Json change_json(const Comparison& comparison) {
  Json top = Json::array();
  for (const NextTokenChange& change : comparison.top)
    top.push_back({{"id", change.id},
                   {"text", change.text},
                   {"prob_a", change.probability_a},
                   {"prob_b", change.probability_b},
                   {"logit_a", change.logit_a},
                   {"logit_b", change.logit_b},
                   {"rank_a", change.rank_a},
                   {"rank_b", change.rank_b}});
  return {{"kl", comparison.kl}, {"js", comparison.js}, {"top", top}, {"findings", comparison.findings}};
}

}  // namespace saccade::cli
