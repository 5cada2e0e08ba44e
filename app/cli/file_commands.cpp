// compare, replay, dump-info: what can be done with files that earlier work left.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "analysis/compare.h"
#include "app/cli/commands.h"
#include "app/cli/pictures.h"
#include "app/cli/session_analyses.h"
#include "app/cli/work.h"
#include "core/base/files.h"
#include "core/base/memory.h"
#include "core/capture/dump.h"
#include "core/session/session.h"

namespace saccade::cli {
namespace {

WorkOptions work_of(const Session& session) {
  WorkOptions options;
  options.model = session.model;
  options.input.prompt = session.prompt;
  options.input.images = session.images;
  options.input.prompt_given = session.ids.empty() && !(session.prompt.empty() && !session.images.empty());
  options.input.no_bos = !session.add_bos;
  if (!session.ids.empty()) options.input.ids = fmt::format("{}", fmt::join(session.ids, ","));
  for (const Edit& edit : session.edits) options.edits.push_back(to_text(edit));
  options.sampling = session.sampling;
  options.contrast = session.contrast;
  return options;
}

struct Side {
  std::shared_ptr<const Capture> capture;
  std::shared_ptr<const Model> model;  // null for dumps
};

Result<Side> load_side(const Context& context, const std::string& path) {
  if (std::filesystem::path(path).extension() == ".json") {
    SACCADE_TRY(const Session session, load_session(path));
    WorkOptions options = work_of(session);
    options.sampling.max_tokens = 0;
    SACCADE_TRY(Work work, do_work(context, options));
    return Side{work.edited.run->capture, work.opened.model};
  }
  SACCADE_TRY(auto capture, read_dump(path));
  return Side{std::move(capture), nullptr};
}

// The largest relative or absolute departure of two result documents of one shape; numbers only.
double departure(const nlohmann::json& a, const nlohmann::json& b) {
  if (a.is_number() && b.is_number()) return std::abs(a.get<double>() - b.get<double>());
  if (a.type() != b.type() || a.size() != b.size()) return INFINITY;
  double worst = 0.0;
  if (a.is_object())
    for (const auto& [key, value] : a.items())
      worst = std::max(worst, b.contains(key) ? departure(value, b[key]) : INFINITY);
  if (a.is_array())
    for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, departure(a[i], b[i]));
  return worst;
}

}  // namespace

Result<void> compare_files(const Context& context, const std::string& a, const std::string& b) {
  SACCADE_TRY(const Side left, load_side(context, a));
  SACCADE_TRY(const Side right, load_side(context, b));
  const Tokenizer* tokenizer = left.model    ? &left.model->tokenizer()
                               : right.model ? &right.model->tokenizer()
                                             : nullptr;
  SACCADE_TRY(const Comparison comparison, compare(*left.capture, *right.capture, tokenizer));
  Json document = {
      {"a", a}, {"b", b}, {"same_tokens", comparison.same_tokens}, {"change", change_json(comparison)}};
  std::string text = fmt::format("KL {:.4g} nats, JS {:.4g} nats\n", comparison.kl, comparison.js);
  for (const NextTokenChange& change : comparison.top)
    text += fmt::format("  {:<20} {:>6.1f} % -> {:>6.1f} %   rank {} -> {}\n",
                        display_text({change.id, change.text, 0, 0, false}), 100 * change.probability_a,
                        100 * change.probability_b, change.rank_a, change.rank_b);
  if (comparison.same_tokens) {
    Json heads = Json::array();
    const Field& moved = comparison.pattern_change;
    const auto& shape = moved.values.shape();
    for (int64_t l = 0; shape.size() == 2 && l < shape[0]; ++l)
      for (int64_t h = 0; h < shape[1]; ++h)
        heads.push_back({{"head", fmt::format("{}.{}", l, h)},
                         {"pattern_change", moved.values.at({l, h})},
                         {"entropy_change", comparison.entropy_change.values.at({l, h})}});
    document["heads"] = heads;
    document["loss_difference"] = comparison.loss_difference;
  }
  for (const std::string& finding : comparison.findings) text += finding + "\n";
  context.print(document, text);
  return {};
}

Result<void> replay(const Context& context, const ReplayOptions& options) {
  const std::string& path = options.session;
  const std::string& out = options.out;
  SACCADE_TRY(Session session, load_session(path));
  if (!options.model.empty()) session.model = options.model;
  SACCADE_TRY(const Work work, do_work(context, work_of(session)));
  if (!session.model_digest.empty() && session.model_digest != work.opened.model->digest())
    context.note(fmt::format("note: {} was made with another version of {} (digest {}, now {})", path,
                             session.model, session.model_digest.substr(0, 12),
                             work.opened.model->digest().substr(0, 12)));
  const nlohmann::json results = results_of(work);
  Json document = {{"session", path}, {"model", work.opened.model->name()}, {"results", Json(results)}};
  std::string text =
      next_text(top_next(work.edited.run->capture->last_logits, work.opened.model->tokenizer(), 5));
  if (work.compared)
    text += fmt::format("KL {:.4g} nats, JS {:.4g} nats\n", work.compared->kl, work.compared->js);
  if (!session.results.empty()) {
    const double worst = departure(session.results, results);
    document["saved"] = Json(session.results);
    document["departure"] = std::isfinite(worst) ? Json(worst) : Json();
    text += fmt::format("largest departure from the saved numbers: {:.3g}\n", worst);
  }
  if (work.edited.generated) document["generated"] = to_json(*work.edited.generated);
  std::vector<std::string> files;
  if (!out.empty()) {
    SACCADE_TRY(const Pictures pictures, write_pictures(context, work, session.selection.head, out));
    files = pictures.files;
  }
  if (!session.analyses.empty()) {
    SACCADE_TRY(const AnalysesDone done, run_analyses(context, session, path, work, out, options.reference));
    document["analyses"] = done.list;
    text += done.text;
    files.insert(files.end(), done.files.begin(), done.files.end());
  }
  if (!out.empty()) document["files"] = files;
  for (const std::string& file : files) text += file + "\n";
  context.print(document, text);
  return {};
}

Result<void> dump_info(const Context& context, const std::string& path) {
  SACCADE_TRY(const DumpInfo info, inspect_dump(path));
  const Provenance& p = info.provenance;
  Json items = Json::array();
  std::string text = fmt::format(
      "{}: version {}, {} tokens of {}\n  request {}\n  prompt {}\n  edits {}\n  made {} by {}\n", path,
      info.version, info.n_token, p.model_name, p.request, nlohmann::json(p.prompt).dump(),
      p.edits.empty() ? "none" : fmt::format("{}", fmt::join(p.edits, "; ")), p.created, p.program);
  for (const DumpItem& item : info.items) {
    items.push_back({{"name", item.name},
                     {"shape", item.shape},
                     {"axes", item.axes},
                     {"dtype", item.dtype},
                     {"bytes", item.stored_bytes}});
    text += fmt::format("  {:<36} {:<10} [{}]  {}\n", item.name, item.dtype, fmt::join(item.shape, ", "),
                        fmt::join(item.axes, ", "));
  }
  context.print({{"file", path},
                 {"version", info.version},
                 {"model", p.model_name},
                 {"digest", p.model_digest},
                 {"request", p.request},
                 {"prompt", p.prompt},
                 {"edits", p.edits},
                 {"created", p.created},
                 {"tokens", info.n_token},
                 {"items", items}},
                text);
  return {};
}

}  // namespace saccade::cli
