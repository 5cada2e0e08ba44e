// demo: the bundled models; with a name, the whole way once: run, find the induction heads, zero them,
// compare, export. Of a model that reads a picture, the head whose zeroing changes the answer most is zeroed.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "analysis/compare.h"
#include "analysis/run_method.h"
#include "app/cli/commands.h"
#include "app/cli/pictures.h"
#include "app/cli/work.h"
#include "core/session/sample_prompts.h"

namespace saccade::cli {
namespace {

struct ScoredHead {
  HeadId head;
  double score = 0.0;
};

// Heads whose induction score is at least half of the best one's, best first.
std::vector<ScoredHead> induction_heads(const AnalysisResult& result) {
  std::vector<ScoredHead> heads;
  const Field* field = result.field("induction");
  if (!field) return heads;
  const auto& shape = field->values.shape();
  for (int32_t l = 0; l < shape[0]; ++l)
    for (int32_t h = 0; h < shape[1]; ++h)
      heads.push_back({{LayerIndex{l}, HeadIndex{h}}, field->values.at({l, h})});
  std::stable_sort(heads.begin(), heads.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  const double least = heads.empty() ? 0.0 : heads.front().score / 2;
  std::erase_if(heads, [&](const ScoredHead& head) { return !(head.score >= least); });
  return heads;
}

// The head without which the answer is another: by KL(baseline || without it), each zeroed by itself.
Result<ScoredHead> needed_head(const Context& context, const Work& look) {
  const std::shared_ptr<const Run>& baseline = look.baseline.run;
  const ModelSpec& spec = look.opened.model->spec();
  ScoredHead best{{LayerIndex{0}, HeadIndex{0}}, -1.0};
  for (int32_t l = 0; l < spec.n_layer; ++l)
    for (int32_t h = 0; h < spec.n_head; ++h) {
      const HeadId head{LayerIndex{l}, HeadIndex{h}};
      RunRequest request = baseline->request;
      SACCADE_TRY(request.edits, parse_edits({"zero " + to_string(head)}));
      SACCADE_TRY(const auto without, look.opened.runner->run(request, baseline, context.job));
      SACCADE_TRY(const Comparison change, compare(*baseline->capture, *without->capture, nullptr));
      if (change.kl > best.score) best = {head, change.kl};
    }
  return best;
}

struct Found {
  std::vector<ScoredHead> heads;  // to zero
  std::vector<std::string> findings;
};

Result<Found> find_heads(const Context& context, const Work& look) {
  Found found;
  if (!look.baseline.run->capture->images.empty()) {
    SACCADE_TRY(const ScoredHead head, needed_head(context, look));
    found.heads.push_back(head);
    found.findings.push_back(
        fmt::format("The answer needs head {} most: without it the distribution moves by {:.3g} nats.",
                    to_string(head.head), head.score));
    return found;
  }
  SACCADE_TRY(const AnalysisMethod* method, find_method("head-table"));
  SACCADE_TRY(const AnalysisResult scores,
              run_method(*method, nlohmann::json::object(), look.baseline.run,
                         {look.opened.model, look.opened.runner.get(), {}}, context.job));
  found.heads = induction_heads(scores);
  found.findings = scores.findings;
  if (found.heads.empty()) return make_error(ErrorCode::internal, "head-table gave no induction scores");
  return found;
}

// " (picture 0007.png)"
std::string picture_note(const SamplePrompt& prompt) {
  if (prompt.image.empty()) return {};
  return fmt::format("{}picture {}", prompt.text.empty() ? "" : " ",
                     std::filesystem::path(prompt.image).filename().string());
}

// A model of pictures alone has no loss.
std::string loss_change(const Work& work) {
  if (work.baseline.run->capture->loss.empty()) return {};
  return fmt::format("; mean loss {:.3f} -> {:.3f} nats", work.baseline.run->capture->mean_loss(),
                     work.edited.run->capture->mean_loss());
}

}  // namespace

Result<void> demo(const Context& context, const std::string& name, const std::string& out) {
  if (name.empty()) {
    const std::vector<std::string> names = demo_names();
    context.print({{"demos", names}}, fmt::format("{}\n", fmt::join(names, "\n")));
    return {};
  }
  SACCADE_TRY(const std::vector<SamplePrompt> prompts, sample_prompts(name));
  const SamplePrompt& sample = prompts.front();
  WorkOptions options;
  options.model = "demo:" + name;
  options.input.prompt = sample.text;
  options.input.prompt_given = !sample.text.empty();
  if (!sample.image.empty()) options.input.images = {sample.image};
  options.sampling.max_tokens = sample.text.empty() ? 0 : sample.image.empty() ? 8 : 24;
  SACCADE_TRY(const Work look, do_work(context, options));
  SACCADE_TRY(const Found found, find_heads(context, look));
  const std::vector<ScoredHead>& heads = found.heads;
  for (const ScoredHead& head : heads) options.edits.push_back("zero " + to_string(head.head));
  SACCADE_TRY(const Work work, do_work(context, options));
  SACCADE_TRY(const Pictures pictures, write_pictures(context, work, heads.front().head, out));

  const Tokenizer& tokenizer = work.opened.model->tokenizer();
  std::string text = fmt::format("{}: {}{}\n\n{}\n{}", options.model, sample.text, picture_note(sample),
                                 sample.text.empty() ? "answer" : "next token",
                                 next_text(top_next(work.baseline.run->capture->last_logits, tokenizer, 5)));
  if (!sample.image.empty() && work.baseline.generated)
    text += "text: " + work.baseline.generated->text + "\n";
  for (const std::string& finding : found.findings) text += finding + "\n";
  text += fmt::format("\nwith {}\n{}KL {:.3g} nats{}\n\nwritten:\n", fmt::join(options.edits, ", "),
                      next_text(top_next(work.edited.run->capture->last_logits, tokenizer, 5)),
                      work.compared->kl, loss_change(work));
  for (const std::string& file : pictures.files) text += "  " + file + "\n";
  Json document = {
      {"model", options.model},
      {"prompt", sample.text},
      {"findings", found.findings},
      {"edits", options.edits},
      {"next", to_json(top_next(work.edited.run->capture->last_logits, tokenizer, 5))},
      {"baseline", {{"next", to_json(top_next(work.baseline.run->capture->last_logits, tokenizer, 5))}}},
      {"change", change_json(*work.compared)},
      {"files", pictures.files}};
  if (!sample.image.empty()) {
    document["image"] = sample.image;
    if (work.edited.generated) document["generated"] = to_json(*work.edited.generated);
    if (work.baseline.generated) document["baseline"]["generated"] = to_json(*work.baseline.generated);
  }
  context.print(document, text);
  return {};
}

}  // namespace saccade::cli
