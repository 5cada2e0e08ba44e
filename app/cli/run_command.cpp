// run: prompt -> answer, with edits the baseline beside it; generation, captures and dumps.
#include <fmt/format.h>

#include "analysis/compare.h"
#include "app/cli/commands.h"
#include "app/cli/work.h"
#include "core/capture/dump.h"
#include "core/run/similarity.h"
#include "core/session/session.h"

namespace saccade::cli {
namespace {

Json answer_json(const RunAnswer& answer, const Tokenizer& tokenizer, int top) {
  Json document = {{"next", to_json(top_next(answer.run->capture->last_logits, tokenizer, top))},
                   {"loss", loss_json(*answer.run->capture)}};
  if (answer.generated) document["generated"] = to_json(*answer.generated);
  return document;
}

// The logits of the picture and every label, from the embedding that each run answered with.
using LabelLogits = std::vector<TextLogit>;
Result<std::vector<LabelLogits>> compare_labels(const Context& context, const RunOptions& options,
                                                const Work& work) {
  std::vector<LabelLogits> compared;
  if (options.labels.empty()) return compared;
  SACCADE_TRY(const std::string where, text_tower_of(*work.opened.model));
  SACCADE_TRY(const Opened texts, open_runner(context, where));
  for (const RunAnswer* answer : {&work.edited, &work.baseline}) {
    SACCADE_TRY(LabelLogits logits,
                text_logits(*work.opened.model, answer->run->capture->last_logits.values(), *texts.runner,
                            options.labels, context.job));
    compared.push_back(std::move(logits));
  }
  return compared;
}

Json labels_json(const LabelLogits& logits) {
  Json list = Json::array();
  for (const TextLogit& one : logits)
    list.push_back(
        {{"text", one.text}, {"cosine", one.cosine}, {"logit", one.logit}, {"prob", one.probability}});
  return list;
}

std::string labels_text(const LabelLogits& logits) {
  std::string text;
  for (const TextLogit& one : logits)
    text += fmt::format("  {:<40} {:>6.1f} %   logit {:.3f}   cosine {:.4f}\n", one.text,
                        100.0 * one.probability, one.logit, one.cosine);
  return text;
}

Result<AnswerContrast> contrast_in(const RunOptions& options) {
  AnswerContrast contrast;
  SACCADE_TRY(contrast.edits, parse_edits(options.contrast.edits));
  contrast.outliers = options.contrast.outliers;
  contrast.alpha = options.contrast.alpha;
  contrast.plausibility = options.contrast.plausibility;
  if (contrast.asked_for() && options.sampling.max_tokens == 0)
    return make_error(ErrorCode::invalid_argument,
                      "--contrast steers what is generated; say how much with --generate N");
  return contrast;
}

Result<void> write_requested(const Context& context, const RunOptions& options,
                             const AnswerContrast& contrast, const Work& work) {
  if (!options.dump.empty()) {
    DumpOptions dump;
    dump.sites = work.edited.run->request.capture.sites;
    SACCADE_CHECK(write_dump(*work.edited.run->capture, options.dump, dump, work.opened.runner->kernels(),
                             context.job));
    context.note("wrote " + options.dump);
  }
  if (!options.save.empty()) {
    SACCADE_CHECK(save_session(session_of(work, options.sampling, contrast), options.save));
    context.note("wrote " + options.save);
  }
  return {};
}

}  // namespace

Result<void> run(const Context& context, const RunOptions& options) {
  WorkOptions wanted{options.model, options.input, options.edits, options.capture, options.sampling};
  SACCADE_TRY(wanted.contrast, contrast_in(options));
  SACCADE_TRY(const Work work, do_work(context, wanted));
  SACCADE_CHECK(write_requested(context, options, wanted.contrast, work));
  SACCADE_TRY(const std::vector<LabelLogits> labels, compare_labels(context, options, work));

  const Tokenizer& tokenizer = work.opened.model->tokenizer();
  const Run& run = *work.edited.run;
  Json document = {{"model", work.opened.model->name()}, {"tokens", to_json(run.request.tokens)}};
  document.update(answer_json(work.edited, tokenizer, options.top));
  Json edits = Json::array();
  for (const Edit& edit : run.request.edits) edits.push_back(to_text(edit));
  document["edits"] = edits;
  document["request"] = run.digest;
  document["kernels"] = work.opened.runner->kernels().name;
  document["seconds"] = run.seconds;
  document["peak_bytes"] = run.peak_bytes;
  if (wanted.contrast.asked_for()) {
    Json contrast = {{"alpha", wanted.contrast.alpha}, {"plausibility", wanted.contrast.plausibility}};
    for (const Edit& edit : wanted.contrast.edits) contrast["edits"].push_back(to_text(edit));
    if (wanted.contrast.outliers > 0) contrast["outliers"] = wanted.contrast.outliers;
    document["contrast"] = std::move(contrast);
  }
  if (!run.capture->images.empty()) document["images"] = to_json(run.capture->images);
  if (!labels.empty()) document["labels"] = labels_json(labels[0]);
  if (!run.findings.empty()) document["findings"] = run.findings;

  std::string text = fmt::format("{}: {} tokens, {:.3f} s\n", work.opened.model->name(),
                                 run.request.tokens.size(), run.seconds);
  for (const std::string& finding : run.findings) text += "  " + finding + "\n";
  for (const ImageRegion& image : run.capture->images)
    text += fmt::format("  {}: {} x {} patches from position {} on\n", image.name, image.grid_height,
                        image.grid_width, image.first_patch());
  if (work.compared) {
    document["baseline"] = answer_json(work.baseline, tokenizer, options.top);
    if (!labels.empty()) document["baseline"]["labels"] = labels_json(labels[1]);
    document["change"] = change_json(*work.compared);
    text +=
        "baseline\n" + next_text(top_next(work.baseline.run->capture->last_logits, tokenizer, options.top));
    text += fmt::format("edited ({})\n", fmt::join(run.capture->provenance.edits, "; "));
  }
  text += labels.empty() ? next_text(top_next(run.capture->last_logits, tokenizer, options.top))
                         : labels_text(labels[0]);
  if (!run.capture->loss.empty()) text += fmt::format("mean loss {:.4f} nats\n", run.capture->mean_loss());
  if (work.compared)
    text += fmt::format("KL {:.4g} nats, JS {:.4g} nats\n", work.compared->kl, work.compared->js);
  if (work.baseline.generated && work.compared)
    text += "baseline text: " + work.baseline.generated->text + "\n";
  if (work.edited.generated) text += "text: " + work.edited.generated->text + "\n";
  context.print(document, text);
  return {};
}

}  // namespace saccade::cli
