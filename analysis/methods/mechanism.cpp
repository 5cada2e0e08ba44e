// mechanism: a sparse or linear attention mechanism imposed on a run that was made without it. Which heads
// keep their attention and their output, and which do not, beside the best keys and the nearest keys at equal
// density. Where a mask follows from positions alone, its knockouts are handed back as edits, and the answer
// under them on all heads is measured.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "analysis/mechanisms/elastic_choice.h"
#include "analysis/mechanisms/hilo.h"
#include "analysis/mechanisms/radial.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/head_scores/flex_prefill.h"
#include "analysis/methods/mechanism_heads.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"
#include "core/run/edit.h"

namespace saccade {
namespace {

using namespace mechanisms;  // NOLINT(google-build-using-namespace): what this file is made of

constexpr size_t most_edits = 400;
constexpr const char* caveat = "A pattern imposed on a model that was not trained with it.";

MethodInfo make_info() {
  MethodInfo info;
  info.id = "mechanism";
  info.title = "Another attention mechanism imposed";
  info.summary =
      "What each head would keep under a sparse mask or another kernel: weight, strongest keys, output; with "
      "the edits where a mask can be one.";
  std::vector<std::string> names;
  for (const MechanismInfo& one : catalogue()) names.emplace_back(one.name);
  info.citation =
      "the mechanism's own paper, named in the result's table 'mechanism'; common measures and baselines: "
      "own";
  std::string help;
  for (const MechanismInfo& one : catalogue())
    help += fmt::format("{}{}: {}", help.empty() ? "" : "; ", one.name, one.summary);
  info.parameters = {
      choice("mechanism", "Mechanism", help + ".", std::move(names)),
      {"window", "Window", "Keys that a row looks back on, or the window of an axis.", 64, 1, 100000},
      {"stride", "Stride", "Of a neighborhood; the least band of radial.", 1, 1, 100000},
      {"dilation", "Dilation", "Of a neighborhood.", 1, 1, 100000},
      {"block", "Block", "Tokens of a block, group, chunk. 0: about an eighth of the run.", 0, 0, 100000},
      {"side", "Side", "Patches along a block of a picture; regions along the picture for bi-former.", 2, 1,
       1000},
      {"keep", "Keep", "Blocks, regions or chunks that a row keeps.", 3, 1, 100000},
      {"sink", "Sinks", "Keys at the start that are always seen.", 4, 0, 100000},
      {"samples", "Samples", "Keys drawn (hyper) or kept (recycled); agents.", 16, 1, 100000},
      {"period", "Period", "Rows between full ones (recycled), every which block (s2).", 8, 1, 100000},
      {"share", "Share",
       "elastic: of the blocks; seer: of non-zero blocks; flex-prefill: mass to cover; "
       "moba-threshold: of the softmax over blocks; hilo: of heads that see windows.",
       0.5, 0.0, 1.0},
      {"threshold", "Threshold", "flex-prefill: below this distance a head is query-aware.", 0.1, 0.0, 1.0},
      {"power", "Power", "softplus, sharpen.", 3.0, 0.1, 100.0},
      {"survives", "Survives at", "A head survives that keeps this share of its weight.", 0.9, 0.0, 1.0},
      {"seed", "Seed", "Of clusters, hashes and draws.", 1, 0, 1e9}};
  return info;
}

Constants read_constants(const nlohmann::json& p, int64_t n) {
  Constants c;
  const auto whole = [&](const char* name) { return p[name].get<int64_t>(); };
  c.window = whole("window");
  c.stride = whole("stride");
  c.dilation = whole("dilation");
  c.block = whole("block") > 0 ? whole("block") : head_scores::flex_block_for(64, n);
  c.side = whole("side");
  c.keep = whole("keep");
  c.sink = whole("sink");
  c.samples = whole("samples");
  c.period = whole("period");
  c.share = p["share"].get<double>();
  c.threshold = p["threshold"].get<double>();
  c.power = p["power"].get<double>();
  c.seed = p["seed"].get<uint64_t>();
  return c;
}

class Mechanism final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    if (!input.outcomes.empty() || !input.model) return wanted;
    SACCADE_CHECK(check_run(input.capture.get()));
    const MechanismInfo& mechanism = chosen(input.parameters);
    const Constants c = read_constants(input.parameters, input.capture->n_token());
    // Refusals come before any work.
    SACCADE_CHECK(refusals(mechanism, *input.capture));
    SACCADE_TRY(const std::vector<std::string> edits, edits_for_all(mechanism, c, *input.capture));
    RunRequest with_values = input.base;
    with_values.capture = CapturePlan{};
    with_values.capture.loss = with_values.capture.residuals = with_values.capture.statistics = false;
    const ModelSpec& spec = input.model->spec();
    for (int32_t l = 0; l < spec.n_layer; ++l)
      if (exists({HookSite::v, l}, spec)) with_values.capture.sites.push_back({HookSite::v, l});
    wanted.emplace_back(RunWanted{std::move(with_values)});
    if (edits.empty() || edits.size() > most_edits || input.capture->last_logits.empty()) return wanted;
    AnswerWanted answer;
    answer.request = input.base;
    for (const std::string& text : edits) {
      SACCADE_TRY(Edit edit, parse_edit(text));
      answer.request.edits.push_back(std::move(edit));
    }
    answer.reference = std::make_shared<const HostTensor>(input.capture->last_logits);
    wanted.emplace_back(std::move(answer));
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(auto parameters, complete_parameters(info_, input.parameters));
    const auto with_values = capture_in(input.outcomes, 0);
    const std::shared_ptr<const Capture> capture = with_values ? with_values : input.capture;
    SACCADE_CHECK(check_run(capture.get()));
    const MechanismInfo& mechanism = chosen(parameters);
    SACCADE_CHECK(refusals(mechanism, *capture));
    Constants c = read_constants(parameters, capture->n_token());
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {capture->provenance.request};
    result.fields = make_fields(*capture, mechanism);
    for (Field& field : result.fields)
      std::fill(field.values.mutable_values().begin(), field.values.mutable_values().end(), std::nanf(""));
    std::vector<ElasticRule> rules;
    if (mechanism.name == "elastic") {
      SACCADE_TRY(rules, choose_rules(capture, *input.kernels, c, job));
    }
    const int64_t all = result.fields[0].values.size();
    std::map<std::string, std::vector<std::string>> edits;  // by head
    int64_t done = 0;
    for (; done < all; ++done) {
      if (job.cancelled()) break;
      job.progress(static_cast<double>(done) / static_cast<double>(all), "imposing");
      const HeadId head = head_at(done, capture->spec.n_head);
      SACCADE_TRY(const HeadView view, view_of(capture, head, *input.kernels));
      if (!rules.empty()) c.elastic = rules[static_cast<size_t>(done)];
      SACCADE_TRY(const Imposed imposed, impose(mechanism, view, c));
      if (job.cancelled()) break;
      const Matrix map = imposed_map(view, imposed, mechanism.widens);
      if (job.cancelled()) break;
      put(view, score(view, imposed, map, mechanism.widens), done, result);
      if (mechanism.by_content && mechanism.name != "sharpen")
        edits[to_string(head)] = edits_of(mechanism, c, view, imposed, to_string(head));
    }
    if (done == 0) return make_error(ErrorCode::cancelled, "cancelled");
    result.partial = done < all;
    SACCADE_TRY(const auto common, edits_for_all(mechanism, c, *capture));
    if (!common.empty()) edits["*.*"] = common;
    result.tables.push_back(heads_table(result.fields));
    result.tables.push_back(Table{
        "mechanism",
        {"mechanism", "what", "source"},
        {{std::string(mechanism.name), std::string(mechanism.summary), std::string(mechanism.source)}}});
    if (!rules.empty()) result.tables.push_back(rules_table(rules, capture->spec.n_head, capture->n_token()));
    say(mechanism, parameters["survives"].get<double>(), *capture, result);
    say_edits(edits, result);
    say_answer(input, result);
    result.findings.emplace_back(caveat);
    result.parameters = std::move(parameters);
    return result;
  }

 private:
  static const MechanismInfo& chosen(const nlohmann::json& parameters) {
    return *find_mechanism(parameters["mechanism"].get<std::string>());  // one of the choices: it exists
  }

  // What impose() would refuse of any head, without work.
  static Result<void> refusals(const MechanismInfo& mechanism, const Capture& capture) {
    MechanismInfo probe = mechanism;
    probe.impose = [](const HeadView& head, const Constants&) -> Result<Imposed> {
      return Imposed{KeyMask(head.n(), head.n()), {}};
    };
    probe.needs_values = false;
    SACCADE_TRY(const Imposed fits, impose(probe, positions_only(capture, {}), {}));
    (void)fits;
    return {};
  }

  static std::vector<Field> make_fields(const Capture& capture, const MechanismInfo& mechanism) {
    const int64_t layers = static_cast<int64_t>(capture.layers.size()), heads = capture.spec.n_head;
    const auto field = [&](const char* name, const std::string& label, const char* unit, ValueKind kind) {
      return head_field(name, label, unit, kind, layers, heads, capture.provenance.request);
    };
    const std::string under = fmt::format(" under {}", mechanism.name);
    std::vector<Field> fields{
        field("kept", "Weight kept" + under, "", ValueKind::probability),
        field("recall", "Ten strongest keys kept" + under, "", ValueKind::probability),
        field("change", "Change of the output" + under, "", ValueKind::magnitude),
        field("density", "Density of " + std::string(mechanism.name), "", ValueKind::probability),
        field("oracle_kept", "Weight kept by the best keys", "", ValueKind::probability),
        field("recent_kept", "Weight kept by sinks and nearest keys", "", ValueKind::probability),
        field("oracle_change", "Change with the best keys", "", ValueKind::magnitude),
        field("recent_change", "Change with sinks and nearest keys", "", ValueKind::magnitude),
        field("divergence", "KL(model || mechanism)", "nats", ValueKind::magnitude),
        field("spearman", "Rank correlation of scores and weights", "", ValueKind::signed_difference),
        field("discordant", "Pairs of keys in another order", "", ValueKind::probability),
        field("decay", "Decay of the weight with distance", "1/tokens", ValueKind::signed_difference)};
    if (mechanism.name == "hilo")
      fields.push_back(field("high_frequency", "Share of the output's energy at high frequencies", "",
                             ValueKind::probability));
    return fields;
  }

  static void put(const HeadView& view, const ImposedScores& s, int64_t at, AnalysisResult& result) {
    std::vector<double> numbers{
        s.kept,        s.recall,      s.change,        s.density,
        s.oracle_kept, s.recent_kept, s.oracle_change, s.recent_change,
        s.divergence,  s.spearman,    s.discordant,    decay_over_frames(view.weights, view.visible, 1).rate};
    if (result.fields.size() > numbers.size())  // hilo: which half a head would belong to by what it writes
      numbers.push_back(
          view.v.rows == 0
              ? std::nan("")
              : high_frequency_share(patch_rows(view, weighted(view.weights, view.v)), view.picture->grid));
    for (size_t f = 0; f < numbers.size(); ++f)
      result.fields[f].values.mutable_values()[static_cast<size_t>(at)] =
          static_cast<float>(std::isinf(numbers[f]) ? NAN : numbers[f]);
  }

  // MoA's spans by the mass of blocks, for all heads at once.
  static Result<std::vector<ElasticRule>> choose_rules(const std::shared_ptr<const Capture>& capture,
                                                       const KernelSet& kernels, const Constants& c,
                                                       const JobContext& job) {
    std::vector<BlockInfluence> influence;
    const int64_t n = capture->n_token(), blocks = (n + c.block - 1) / c.block;
    for (int64_t at = 0; at < static_cast<int64_t>(capture->layers.size()) * capture->spec.n_head; ++at) {
      SACCADE_CHECK(job.check());
      SACCADE_TRY(const AttentionMap map,
                  AttentionMap::of(capture, head_at(at, capture->spec.n_head), kernels));
      std::vector<float> rows(static_cast<size_t>(n * n));
      SACCADE_CHECK(map.rows(0, n, n, rows));
      BlockInfluence one{n, Matrix(blocks, blocks)};
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j <= i; ++j)
          one.blocks.at(i / c.block, j / c.block) += rows[static_cast<size_t>(i * n + j)];
      influence.push_back(std::move(one));
    }
    std::vector<std::vector<BlockInfluence>> at_one_length;
    at_one_length.push_back(std::move(influence));
    SACCADE_TRY(const ElasticChoice choice,
                choose_elastic_rules(at_one_length, c.block, elastic_candidates(n, c.block), c.share));
    return choice.rules;
  }

  static Table rules_table(const std::vector<ElasticRule>& rules, int64_t heads, int64_t n) {
    Table table{"spans", {"head", "alpha", "beta", "span", "span_at_twice"}, {}};
    for (size_t at = 0; at < rules.size(); ++at)
      table.rows.push_back({to_string(head_at(static_cast<int64_t>(at), heads)), rules[at].alpha,
                            rules[at].beta, rules[at].span(n), rules[at].span(2 * n)});
    return table;
  }

  static void say(const MechanismInfo& mechanism, double survives, const Capture& capture,
                  AnalysisResult& result) {
    const auto values = [&](const char* name) { return result.field(name)->values.values(); };
    const auto kept = values("kept"), density = values("density"), oracle = values("oracle_kept"),
               recent = values("recent_kept"), change = values("change");
    const auto mean = [](std::span<const float> numbers) {
      const std::vector<double> wide(numbers.begin(), numbers.end());
      return mean_interval(wide).mean;
    };
    int64_t surviving = 0, counted = 0, least = -1;
    for (size_t at = 0; at < kept.size(); ++at) {
      if (std::isnan(kept[at])) continue;
      ++counted;
      if (kept[at] >= survives) ++surviving;
      if (least < 0 || kept[at] < kept[static_cast<size_t>(least)]) least = static_cast<int64_t>(at);
    }
    result.findings.push_back(fmt::format(
        "Under {} ({}) {} of {} heads keep {:.0f} % of their weight or more, on {:.0f} % of the keys that "
        "the "
        "model shows.",
        mechanism.name, mechanism.summary, surviving, counted, 100 * survives, 100 * mean(density)));
    result.findings.push_back(fmt::format(
        "The mean head keeps {:.1f} % of its weight; the best keys at this density would keep {:.1f} "
        "%, the start and the nearest keys {:.1f} %.",
        100 * mean(kept), 100 * mean(oracle), 100 * mean(recent)));
    if (least >= 0)
      result.findings.push_back(fmt::format("Head {} loses most: it keeps {:.1f} %.",
                                            to_string(head_at(least, capture.spec.n_head)),
                                            100 * kept[static_cast<size_t>(least)]));
    if (!std::isnan(mean(change)))
      result.findings.push_back(
          fmt::format("Outputs of heads move by {:.3g} of their length on average.", mean(change)));
  }

  static void say_edits(const std::map<std::string, std::vector<std::string>>& edits,
                        AnalysisResult& result) {
    Table table{"edits", {"head", "edit"}, {}};
    size_t count = 0;
    for (const auto& [head, texts] : edits) count += texts.size();
    if (count > most_edits) {
      result.findings.push_back(
          fmt::format("The mask takes {} edits, more than the {} that are handed back: take larger blocks or "
                      "fewer tokens.",
                      count, most_edits));
      return;
    }
    for (const auto& [head, texts] : edits)
      for (const std::string& text : texts) table.rows.push_back({head, text});
    if (!table.rows.empty()) result.tables.push_back(std::move(table));
  }

  static void say_answer(const MethodInput& input, AnalysisResult& result) {
    const KeptAnswer* answer = answer_in(input.outcomes, 1);
    if (answer == nullptr || !input.model) return;
    const auto top = top_next(input.capture->last_logits, input.model->tokenizer(), 1);
    const auto token = input.model->tokenizer().token(answer->top_id);
    if (top.empty() || !token.ok()) return;
    result.findings.push_back(fmt::format(
        "With it on all heads the answer moves by {:.3g} nats (KL); the most probable one {} '{}'.",
        answer->kl, top[0].id == answer->top_id ? "stays" : "becomes", display_text(*token)));
    result.tables.push_back(
        Table{"answer", {"kl", "before", "after"}, {{answer->kl, top[0].text, display_text(*token)}}});
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_mechanism() { return std::make_unique<Mechanism>(); }

}  // namespace saccade
