// demo: the bundled models; with a name, the whole way once: run, find the induction heads, zero them,
// compare, export.
#include <fmt/format.h>

#include <algorithm>

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

}  // namespace

Result<void> demo(const Context& context, const std::string& name, const std::string& out) {
  if (name.empty()) {
    const std::vector<std::string> names = demo_names();
    context.print({{"demos", names}}, fmt::format("{}\n", fmt::join(names, "\n")));
    return {};
  }
  SACCADE_TRY(const std::vector<SamplePrompt> prompts, sample_prompts(name));
  const std::string& prompt = prompts.front().text;
  WorkOptions options;
  options.model = "demo:" + name;
  options.input.prompt = prompt;
  options.input.prompt_given = true;
  options.sampling.max_tokens = 8;
  SACCADE_TRY(const Work look, do_work(context, options));
  SACCADE_TRY(const AnalysisMethod* method, find_method("head-table"));
  SACCADE_TRY(const AnalysisResult scores,
              run_method(*method, nlohmann::json::object(), look.baseline.run,
                         {look.opened.model, look.opened.runner.get(), {}}, context.job));
  const std::vector<ScoredHead> heads = induction_heads(scores);
  if (heads.empty()) return make_error(ErrorCode::internal, "head-table gave no induction scores");
  for (const ScoredHead& head : heads) options.edits.push_back("zero " + to_string(head.head));
  SACCADE_TRY(const Work work, do_work(context, options));
  SACCADE_TRY(const Pictures pictures, write_pictures(context, work, heads.front().head, out));

  const Tokenizer& tokenizer = work.opened.model->tokenizer();
  std::string text = fmt::format("{}: {}\n\nnext token\n{}", options.model, prompt,
                                 next_text(top_next(work.baseline.run->capture->last_logits, tokenizer, 5)));
  for (const std::string& finding : scores.findings) text += finding + "\n";
  text +=
      fmt::format("\nwith {}\n{}KL {:.3g} nats; mean loss {:.3f} -> {:.3f} nats\n\nwritten:\n",
                  fmt::join(options.edits, ", "),
                  next_text(top_next(work.edited.run->capture->last_logits, tokenizer, 5)), work.compared->kl,
                  work.baseline.run->capture->mean_loss(), work.edited.run->capture->mean_loss());
  for (const std::string& file : pictures.files) text += "  " + file + "\n";
  context.print(
      {{"model", options.model},
       {"prompt", prompt},
       {"findings", scores.findings},
       {"edits", options.edits},
       {"next", to_json(top_next(work.edited.run->capture->last_logits, tokenizer, 5))},
       {"baseline", {{"next", to_json(top_next(work.baseline.run->capture->last_logits, tokenizer, 5))}}},
       {"change", change_json(*work.compared)},
       {"files", pictures.files}},
      text);
  return {};
}

}  // namespace saccade::cli
