// head-table: everything head-table's families (head_scores/*.h) say of every head, in one sortable table.
//
// `columns=basic` is what the window shows after every run: statistics that the run kept and five patterns.
// The other families read every map once, 64 rows at a time; task-kv and rank ask for a further run that
// keeps v and z; weights reads the checkpoint; `probe` adds runs on random repeated tokens.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/head_scores/basic.h"
#include "analysis/methods/head_scores/map_scores.h"
#include "analysis/methods/head_scores/probes.h"
#include "analysis/methods/head_scores/weight_scores.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

using namespace head_scores;  // NOLINT(google-build-using-namespace): its own part

constexpr std::array families{"concentration", "rhythm", "flex-prefill", "task-kv",
                              "hardness",      "rank",   "fidelity",     "weights"};

std::string family_names() { return fmt::format("{}", fmt::join(families, ", ")); }

// "basic", "all", or a list of families; basic is always there.
Result<std::set<std::string>> parse_columns(const std::string& text) {
  if (text == "all") return std::set<std::string>(families.begin(), families.end());
  std::set<std::string> chosen;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string name = text.substr(begin, end - begin);
    std::erase(name, ' ');
    if (name != "basic") {
      if (std::find(families.begin(), families.end(), name) == families.end())
        return make_error(
            ErrorCode::invalid_argument,
            fmt::format("columns is basic, all, or a list of {}; found '{}'", family_names(), name));
      chosen.insert(std::move(name));
    }
    begin = end + 1;
  }
  return chosen;
}

Settings read_settings(const nlohmann::json& p) {
  Settings settings;
  settings.exclude_first = p["exclude_bos"].get<bool>();
  settings.exclude_self = p["exclude_self"].get<bool>();
  settings.threshold = p["threshold"].get<double>();
  settings.group_share = p["group_share"].get<double>();
  settings.peak_share = p["peak_share"].get<double>();
  settings.window = p["window"].get<int64_t>();
  settings.influence_from = p["fai_from"].get<int64_t>();
  settings.influence_to = std::max(settings.influence_from, p["fai_to"].get<int64_t>());
  settings.response_from = p["response_from"].get<int64_t>();
  settings.flex_block = p["flex_block"].get<int64_t>();
  settings.coverage = p["coverage"].get<double>();
  settings.flex_threshold = p["flex_threshold"].get<double>();
  settings.task_beta = p["task_beta"].get<double>();
  settings.task_least = p["task_least"].get<int64_t>();
  settings.probe_length = p["probe_length"].get<int64_t>();
  settings.probe_repeats = p["probe_repeats"].get<int64_t>();
  settings.probe_sequences = p["probe_sequences"].get<int64_t>();
  settings.echo_period = p["echo_period"].get<int64_t>();
  settings.seed = p["seed"].get<uint64_t>();
  return settings;
}

MethodInfo make_info() {
  MethodInfo info;
  info.id = "head-table";
  info.title = "Scores of every head";
  info.summary =
      "Entropy, sink, locality, and how much of each head's attention lies on the previous, the first, the "
      "same or the induction token; on request concentration, rhythm, FlexPrefill's pattern, Task-KV, "
      "hardness, rank, weights, and probes on random repeats.";
  info.citation =
      "pattern scores: sum(A*T)/sum(A) as in TransformerLens's head detector; prefix matching: Olsson et al. "
      "2022 (arXiv 2209.11895); copying: Elhage et al. 2021; echo: Tang et al. 2024 (arXiv 2407.15891); "
      "rhythm: arXiv 2510.13554; FlexPrefill: Lai et al. 2025 (arXiv 2502.20766); Task-KV: He et al. 2025 "
      "(arXiv 2501.15113); hardness: Han et al. 2023 (HyperAttention, arXiv 2310.05869), norms own; "
      "concentration, weight-space scores: own";
  info.parameters = {
      {"columns", "Columns", "basic, all, or a list of " + family_names() + ".", "basic"},
      {"probe", "Probe", "Also run random repeated tokens: prefix matching, copying, echo.", false},
      {"exclude_bos", "Leave out the first key",
       "Take the first key out of the previous, duplicate and induction scores and of the concentration, and "
       "share out the rest.",
       false},
      {"exclude_self", "Leave out the diagonal",
       "Take each token's look at itself out of the previous, duplicate and induction scores.", false},
      {"threshold", "Threshold", "From which score a head is named in the findings.", 0.4, 0.0, 1.0},
      {"response_from", "Response from", "Rhythm: the first token of the response.", 0, 0, 1e9},
      {"group_share", "Group share", "Rhythm: share of heads that are local, and that are global.", 0.3, 0.0,
       0.5},
      {"window", "Window", "Rhythm: where WAAD cuts a look back, tokens.", 10, 1, 100000},
      {"fai_from", "FAI from", "Rhythm: tokens after which a later row counts.", 10, 1, 100000},
      {"fai_to", "FAI to", "Rhythm: tokens until which it counts.", 50, 1, 100000},
      {"peak_share", "Peak share", "Rhythm: share of tokens that are preplan tokens, and anchors.", 0.4, 0.0,
       1.0},
      {"flex_block", "Block", "FlexPrefill: rows and keys of a block.", 128, 4, 4096},
      {"coverage", "Coverage", "FlexPrefill: mass that columns and diagonals have to hold.", 0.9, 0.0, 1.0},
      {"flex_threshold", "FlexPrefill threshold", "Below this distance a head is query-aware.", 0.1, 0.0,
       1.0},
      {"task_beta", "Task-KV beta", "Share of a first layer's heads that are heterogeneous.", 0.25, 0.0, 1.0},
      {"task_least", "Task-KV m", "Heterogeneous heads of the last layer.", 4, 0, 1000},
      {"probe_length", "Probe length", "Distinct random tokens that are repeated.", 50, 2, 100000},
      {"probe_repeats", "Probe repeats", "How often.", 2, 2, 100},
      {"probe_sequences", "Probe texts", "How many such texts.", 10, 1, 1000},
      {"echo_period", "Echo period", "Tokens of the echo probe, which repeats them 4 times (paper: 2500).",
       250, 2, 100000},
      {"seed", "Seed", "Of probes and shuffles.", 1, 0, 1e9}};
  return info;
}

struct Best {
  HeadId head;
  double value = nan;
};

Best strongest(const Field& field) {
  Best best;
  const auto heads = field.values.shape()[1];
  for (int64_t at = 0; at < field.values.size(); ++at) {
    const double value = field.values.data()[at];
    if (std::isnan(value) || value <= best.value) continue;
    best = {head_at(at, heads), value};
  }
  return best;
}

// One sentence per question, and an honest one where no head stands out.
std::string finding(const ScoreSheet& sheet, std::string_view name, const char* what, const char* does,
                    double threshold) {
  const auto field = std::find_if(sheet.fields.begin(), sheet.fields.end(),
                                  [&](const Field& candidate) { return candidate.name == name; });
  const Best best = strongest(*field);
  if (std::isnan(best.value))
    return fmt::format("No token of this prompt repeats, so {} cannot be measured.", what);
  if (best.value < threshold)
    return fmt::format("No head stands out for {}: the strongest, {}, reaches {:.2f} (threshold {:.2f}).",
                       what, to_string(best.head), best.value, threshold);
  return fmt::format("Head {} {}: {} score {:.2f}.", to_string(best.head), does, what, best.value);
}

// What the columns want besides the run: the same run with v and z kept, then the probes.
struct Needs {
  std::set<std::string> columns;
  bool states = false, probe = false;
};
Result<Needs> needs_of(const nlohmann::json& parameters) {
  Needs needs;
  SACCADE_TRY(needs.columns, parse_columns(parameters["columns"].get<std::string>()));
  needs.states = needs.columns.contains("task-kv") || needs.columns.contains("rank");
  needs.probe = parameters["probe"].get<bool>();
  return needs;
}

Table table_of(const ScoreSheet& sheet) {
  Table table = heads_table(sheet.fields);
  for (const TextColumn& text : sheet.texts) {
    table.columns.push_back(text.name);
    for (size_t row = 0; row < table.rows.size(); ++row) table.rows[row].emplace_back(text.cells[row]);
  }
  return table;
}

class HeadTable final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    SACCADE_TRY(const Needs needs, needs_of(input.parameters));
    if (!input.model || !input.outcomes.empty()) return wanted;
    if (needs.states) {
      RunRequest request = input.base;  // edits included
      request.capture = CapturePlan{};
      request.capture.attention = request.capture.residuals = request.capture.statistics =
          request.capture.loss = false;
      for (int32_t l = 0; l < input.model->spec().n_layer; ++l) {
        request.capture.sites.push_back({HookSite::v, l});
        request.capture.sites.push_back({HookSite::z, l});
      }
      wanted.emplace_back(RunWanted{std::move(request)});
    }
    if (needs.probe) {
      SACCADE_TRY(std::vector<Wanted> probes, plan_probes(input, read_settings(input.parameters)));
      std::move(probes.begin(), probes.end(), std::back_inserter(wanted));
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(auto parameters, complete_parameters(info_, input.parameters));
    if (!input.capture || input.kernels == nullptr)
      return make_error(ErrorCode::invalid_argument, "head-table needs a run and a kernel set");
    SACCADE_CHECK(check_statistics(*input.capture));
    SACCADE_TRY(const Needs needs, needs_of(parameters));
    const Settings settings = read_settings(parameters);
    ScoreSheet sheet(*input.capture);
    SACCADE_CHECK(add_basic_scores(input, settings, needs.columns.empty() ? 1.0 : 0.1, job, sheet));
    sheet.findings = {
        finding(sheet, "induction", "induction", "looks at the token after the previous occurrence",
                settings.threshold),
        finding(sheet, "previous_token", "previous-token", "looks at the token before", settings.threshold),
        finding(sheet, "sink_mass", "sink", "rests on the first keys", settings.threshold)};
    SACCADE_CHECK(add_families(input, needs, settings, job, sheet));
    job.progress(1.0, "scores of every head");
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {input.capture->provenance.request};
    result.tables = {table_of(sheet)};
    std::move(sheet.tables.begin(), sheet.tables.end(), std::back_inserter(result.tables));
    result.fields = std::move(sheet.fields);
    result.findings = std::move(sheet.findings);
    result.parameters = std::move(parameters);
    return result;
  }

 private:
  static Result<void> add_families(const MethodInput& input, const Needs& needs, const Settings& settings,
                                   const JobContext& job, ScoreSheet& sheet) {
    std::span<const Outcome> outcomes(input.outcomes);
    const Capture* states = nullptr;
    if (needs.states && !outcomes.empty()) {
      states = capture_in(input.outcomes, 0).get();
      outcomes = outcomes.subspan(1);
    }
    std::set<std::string> of_maps = needs.columns;
    if (of_maps.erase("weights") > 0) {
      JobContext part = job;
      part.on_progress = [&](double fraction, std::string_view what) {
        job.progress(0.1 + 0.4 * fraction, what);
      };
      SACCADE_CHECK(add_weight_scores(input, part, sheet));
    }
    if (!of_maps.empty())
      SACCADE_CHECK(add_map_scores(input, of_maps, states, settings,
                                   needs.columns.contains("weights") ? 0.5 : 0.1, job, sheet));
    if (needs.probe) SACCADE_CHECK(add_probes(input, outcomes, settings, job, sheet));
    return {};
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_head_table() { return std::make_unique<HeadTable>(); }

}  // namespace saccade
