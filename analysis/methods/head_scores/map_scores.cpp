#include "analysis/methods/head_scores/map_scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/head_scores/flex_prefill.h"
#include "analysis/methods/head_scores/map_pass.h"
#include "analysis/methods/head_scores/rhythm.h"
#include "analysis/methods/head_scores/row_math.h"
#include "analysis/methods/head_scores/task_kv.h"
#include "core/run/linear_algebra.h"

namespace saccade::head_scores {
namespace {

// A column that is one number of a pass.
struct PassColumn {
  const char *family, *name, *label, *unit;
  ValueKind kind;
  double (*value)(const PassResult&);
};
constexpr std::array pass_columns{
    PassColumn{"concentration", "entropy_normalised", "Entropy over its largest, ln m", "",
               ValueKind::probability, [](const PassResult& r) { return r.normalised_entropy.mean(); }},
    PassColumn{"concentration", "effective_keys", "Effective keys, exp(entropy)", "keys",
               ValueKind::magnitude, [](const PassResult& r) { return r.effective_keys.mean(); }},
    PassColumn{"concentration", "top_mass", "Mass on the five largest weights", "", ValueKind::probability,
               [](const PassResult& r) { return r.top_mass.mean(); }},
    PassColumn{"concentration", "keys_90", "Keys that hold 90 % of a row", "keys", ValueKind::magnitude,
               [](const PassResult& r) { return r.keys.mean(); }},
    PassColumn{"concentration", "gini", "Gini of a row", "", ValueKind::probability,
               [](const PassResult& r) { return r.gini.mean(); }},
    PassColumn{"concentration", "spikiness", "Largest weight over the uniform 1 / m", "",
               ValueKind::magnitude, [](const PassResult& r) { return r.spikiness.mean(); }},
    PassColumn{"hardness", "column_square", "Hardness alpha: n times the largest column square sum", "",
               ValueKind::magnitude, [](const PassResult& r) { return r.column_square; }},
    PassColumn{"hardness", "ln_kappa", "Hardness kappa, ln", "nats", ValueKind::magnitude,
               [](const PassResult& r) { return r.ln_kappa; }},
    PassColumn{"fidelity", "monotonicity", "Rank correlation with the unedited softmax", "",
               ValueKind::signed_difference, [](const PassResult& r) { return r.spearman.mean(); }},
    PassColumn{"fidelity", "discordant", "Discordant pairs with the unedited softmax", "",
               ValueKind::probability, [](const PassResult& r) { return r.discordant.mean(); }},
    PassColumn{"fidelity", "edit_kl", "KL(unedited softmax || map)", "nats", ValueKind::magnitude,
               [](const PassResult& r) { return r.divergence.mean(); }}};

// Mean distance over the response rows, from what the run kept.
std::vector<double> spans_of(const Capture& capture, int64_t from) {
  std::vector<double> spans;
  for (const auto& layer : capture.layers)
    for (int32_t h = 0; h < capture.spec.n_head; ++h) {
      RunningMean mean;
      const auto distances = layer->statistics.mean_distance.slice(h);
      for (size_t t = static_cast<size_t>(std::max<int64_t>(from, 0)); t < distances.size(); ++t)
        mean.add(distances[t]);
      spans.push_back(mean.mean());
    }
  return spans;
}

void add_to(std::vector<double>& sum, const std::vector<double>& values) {
  sum.resize(values.size(), 0.0);
  for (size_t i = 0; i < values.size(); ++i) sum[i] += values[i];
}

class MapScores {
 public:
  MapScores(const MethodInput& input, const std::set<std::string>& families, const Capture* states,
            const Settings& settings, ScoreSheet& sheet)
      : input_(input), families_(families), states_(states), settings_(settings), sheet_(sheet) {
    settings_.flex_block = flex_block_for(settings.flex_block, sheet.capture().n_token());
    options_ = {has("concentration"), has("rhythm"), has("flex-prefill") || has("task-kv"), has("hardness"),
                has("fidelity")};
  }

  Result<void> run(double from, const JobContext& job) {
    add_columns();
    const auto threads = static_cast<size_t>(std::max(input_.threads, 1));
    partial_sums_.resize(threads);
    vectors_.resize(static_cast<size_t>(sheet_.count()));
    if (has("rhythm")) add_groups();
    const bool needs_pass = options_.concentration || options_.rhythm || options_.last_rows ||
                            options_.hardness || options_.fidelity;
    if (needs_pass)
      SACCADE_CHECK(for_each_head(sheet_.count(), input_.threads, job, from, 1.0,
                                  [&](int64_t at, int worker) { return head(at, worker, job); }));
    finish();
    if (has("rank")) SACCADE_CHECK(rank(job));
    return {};
  }

 private:
  [[nodiscard]] bool has(const char* family) const { return families_.contains(family); }

  void add_columns() {
    for (const PassColumn& column : pass_columns)
      columns_.push_back(has(column.family) ? sheet_.add(column.name, column.label, column.unit, column.kind)
                                            : SIZE_MAX);
    if (has("hardness")) {
      const size_t column =
          sheet_.add("strongest_key", "Largest share of all weight on one key", "", ValueKind::probability);
      for (int64_t at = 0; at < sheet_.count(); ++at) {
        const auto& layer = *sheet_.capture().layers[static_cast<size_t>(at / sheet_.heads())];
        const auto received = layer.statistics.received.slice(at % sheet_.heads());
        sheet_.set(
            column, at,
            *std::max_element(received.begin(), received.end()) / static_cast<double>(received.size()));
      }
    }
    if (!has("flex-prefill")) return;
    flex_ = {
        sheet_.add("flex_distance", "FlexPrefill D", "", ValueKind::magnitude),
        sheet_.add("column_budget", "Columns that hold the coverage, of all", "", ValueKind::probability),
        sheet_.add("diagonal_budget", "Diagonals that hold the coverage, of all", "",
                   ValueKind::probability)};
    labels_.resize(static_cast<size_t>(sheet_.count()));
  }

  void add_groups() {
    const std::vector<double> spans = spans_of(sheet_.capture(), settings_.response_from);
    groups_ = group_by_span(spans, settings_.group_share);
    const size_t column = sheet_.add("span", "Span over the response rows", "tokens", ValueKind::magnitude);
    std::vector<std::string>& texts = sheet_.add_text("reach");
    for (size_t at = 0; at < spans.size(); ++at) {
      sheet_.set(column, static_cast<int64_t>(at), spans[at]);
      texts[at] = groups_.local[at] ? "local" : groups_.global[at] ? "global" : "";
    }
  }

  Result<void> head(int64_t at, int worker, const JobContext& job) {
    const HeadId head = head_at(at, sheet_.heads());
    const Capture& capture = sheet_.capture();
    PassOptions options = options_;
    const auto index = static_cast<size_t>(at);
    if (options.rhythm) options.rhythm = groups_.local[index] || groups_.global[index];
    SACCADE_TRY(const PassResult pass,
                pass_over(input_.capture, head, *input_.kernels, options, settings_, job));
    for (size_t c = 0; c < pass_columns.size(); ++c)
      if (columns_[c] != SIZE_MAX) sheet_.set(columns_[c], at, pass_columns[c].value(pass));
    if (has("fidelity") && !has_weight_edits(capture, head)) {  // the softmax itself
      const std::array<double, 3> itself{1.0, 0.0, 0.0};
      for (size_t c = 0; c < itself.size(); ++c)
        sheet_.set(columns_[pass_columns.size() - itself.size() + c], at, itself[c]);
    }
    if (has("flex-prefill")) {
      const FlexPattern pattern = flex_pattern(capture, head, pass, settings_);
      sheet_.set(flex_[0], at, pattern.distance);
      sheet_.set(flex_[1], at, pattern.vertical_share);
      sheet_.set(flex_[2], at, pattern.slash_share);
      labels_[index] = flex_label(pattern.distance, settings_.flex_threshold);
    }
    GroupSums& sums = partial_sums_[static_cast<size_t>(worker)];
    if (options.rhythm && groups_.local[index]) {
      add_to(sums.waad, pass.waad);
      ++sums.local;
    }
    if (options.rhythm && groups_.global[index]) {
      add_to(sums.influence, pass.influence);
      ++sums.global;
    }
    if (has("task-kv") && states_ != nullptr) {
      const ModelSpec& spec = capture.spec;
      const HostTensor& v = states_->sites.at({HookSite::v, head.layer.value});
      vectors_[index] = semantic_vector(
          pass.task_columns, v.data() + int64_t{spec.kv_head_of(head.head.value)} * spec.d_head,
          int64_t{spec.n_kv_head} * spec.d_head, spec.d_head, settings_.task_keys);
    }
    return {};
  }

  void finish() {
    if (has("rhythm")) {
      GroupSums all;
      for (const GroupSums& sums : partial_sums_) {
        if (!sums.waad.empty()) add_to(all.waad, sums.waad);
        if (!sums.influence.empty()) add_to(all.influence, sums.influence);
        all.local += sums.local;
        all.global += sums.global;
      }
      add_rhythm(all, settings_, sheet_);
    }
    if (has("flex-prefill")) {
      const auto aware = std::count(labels_.begin(), labels_.end(), "query-aware");
      sheet_.add_text("pattern") = labels_;
      sheet_.findings.push_back(fmt::format(
          "FlexPrefill (blocks of {}, threshold {:.2g}): {} heads are query-aware, {} vertical-slash.",
          settings_.flex_block, settings_.flex_threshold, aware,
          std::count(labels_.begin(), labels_.end(), "vertical-slash")));
    }
    if (has("task-kv") && states_ != nullptr) add_task_kv(vectors_, settings_, sheet_);
    if ((has("task-kv") || has("rank")) && states_ == nullptr)
      sheet_.findings.emplace_back(
          "No task-kv and rank columns: they need a further run of the model that keeps values, which a "
          "capture alone cannot give, nor a run that was cancelled.");
  }

  // Singular values of z [token, d_head] by its Gram matrix.
  Result<void> rank(const JobContext& job) {
    if (states_ == nullptr) return {};
    const ModelSpec& spec = sheet_.capture().spec;
    const int64_t d = spec.d_head, n = sheet_.capture().n_token();
    std::vector<std::vector<double>> grams(static_cast<size_t>(sheet_.count()));
    SACCADE_CHECK(
        for_each_head(sheet_.count(), input_.threads, job, 1.0, 1.0, [&](int64_t at, int) -> Result<void> {
          const HeadId head = head_at(at, spec.n_head);
          const float* z = states_->sites.at({HookSite::z, head.layer.value}).data() + head.head.value * d;
          std::vector<double>& gram = grams[static_cast<size_t>(at)];
          gram.assign(static_cast<size_t>(d * d), 0.0);
          for (int64_t t = 0; t < n; ++t) {
            const float* row = z + t * spec.n_head * d;
            for (int64_t a = 0; a < d; ++a)
              for (int64_t b = 0; b <= a; ++b)
                gram[static_cast<size_t>(a * d + b)] += double{row[a]} * row[b];
          }
          return {};
        }));
    const size_t column = sheet_.add("rank", "Effective rank of z over the tokens", "", ValueKind::magnitude);
    for (int64_t at = 0; at < sheet_.count(); ++at) {
      SACCADE_CHECK(job.check());
      SACCADE_TRY(const std::vector<double> values, symmetric_eigenvalues(grams[static_cast<size_t>(at)], d));
      sheet_.set(column, at, effective_rank(values));
    }
    return {};
  }

  const MethodInput& input_;
  const std::set<std::string>& families_;
  const Capture* states_;
  Settings settings_;
  ScoreSheet& sheet_;
  PassOptions options_;
  std::vector<size_t> columns_;  // of pass_columns
  std::array<size_t, 3> flex_{};
  std::vector<std::string> labels_;
  HeadGroups groups_;
  std::vector<GroupSums> partial_sums_;  // per worker
  std::vector<std::vector<double>> vectors_;
};

}  // namespace

Result<void> add_map_scores(const MethodInput& input, const std::set<std::string>& families,
                            const Capture* states, const Settings& settings, double from,
                            const JobContext& job, ScoreSheet& sheet) {
  return MapScores(input, families, states, settings, sheet).run(from, job);
}

}  // namespace saccade::head_scores
