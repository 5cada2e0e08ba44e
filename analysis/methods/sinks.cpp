// sinks: which keys draw attention whatever is asked, at the start of the input and later in it.
//
// For a head, c_j = sum_i p_ij / (rows that can see j): the mean weight of key j over the rows that see it.
// Key j is a sink where c_j > threshold. Massive activations are the numbers of the residual stream that go
// with sinks: at least 100 and 1,000 times the median magnitude of their layer.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "analysis/methods/act.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

constexpr float massive_at_least = 100.0f, massive_times_median = 1000.0f;

Table massive_activations(const Capture& capture) {
  Table table{
      "massive_activations", {"layer", "position", "token", "dimension", "value", "times_median"}, {}};
  for (size_t l = 0; l < capture.layers.size(); ++l) {
    const HostTensor& x = capture.layers[l]->resid_pre;
    if (x.empty()) continue;
    std::vector<float> sizes;
    for (const float value : x.values()) sizes.push_back(std::abs(value));
    const auto middle = sizes.begin() + static_cast<ptrdiff_t>(sizes.size() / 2);
    std::nth_element(sizes.begin(), middle, sizes.end());
    const float median = *middle;
    const int64_t width = x.shape()[1];
    for (int64_t at = 0; at < x.size(); ++at)
      if (const float value = x.data()[at];
          std::abs(value) >= massive_at_least && std::abs(value) >= massive_times_median * median)
        table.rows.push_back({static_cast<int64_t>(l), at / width,
                              display_text(capture.tokens[static_cast<size_t>(at / width)]), at % width,
                              static_cast<double>(value), static_cast<double>(value / median)});
  }
  return table;
}

MethodInfo make_info() {
  MethodInfo info;
  info.id = "sinks";
  info.title = "Attention sinks";
  info.summary =
      "Keys that draw weight from every row, at the start and later; the massive activations that go with "
      "them; and "
      "the edit that calibrates each head (ACT).";
  info.citation =
      "Yu et al. 2024 (arXiv 2406.15765): column means, threshold, redistribution; Xiao et al. 2023 (arXiv "
      "2309.17453); "
      "massive activations: Sun et al. 2024 (arXiv 2402.17762)";
  info.parameters = {{"start", "Start", "Keys that count as the start of the input.", 1, 0, 1000}};
  for (ParameterInfo& parameter : act::parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

class Sinks final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(auto parameters, complete_parameters(info_, input.parameters));
    if (!input.capture || input.capture->layers.empty())
      return make_error(ErrorCode::invalid_argument, "sinks needs a run with captured layers");
    const Capture& capture = *input.capture;
    act::Settings wanted = act::read_settings(parameters);
    wanted.first_keys = parameters["start"].get<int64_t>();
    SACCADE_TRY(const act::Settings settings, wanted.for_tokens(capture.n_token()));
    const auto layers = static_cast<int64_t>(capture.layers.size());
    const int64_t heads = capture.spec.n_head, n = capture.n_token();
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = std::move(parameters);
    result.requests = {capture.provenance.request};
    result.fields = make_fields(capture, layers, heads, n);
    Table edits{"act", {"head", "sinks", "edit"}, {}};
    std::map<int64_t, int64_t> heads_of_key;
    for (int64_t at = 0; at < layers * heads; ++at) {
      SACCADE_CHECK(job.check());
      const HeadId head = head_at(at, heads);
      const HostTensor& all = capture.layers[static_cast<size_t>(head.layer.value)]->statistics.received;
      if (all.size() != heads * n)
        return make_error(
            ErrorCode::invalid_argument,
            fmt::format("layer {} kept no column statistics; run again with statistics captured",
                        head.layer.value));
      const std::span<const float> received = all.slice(head.head.value);
      const std::vector<double> means = act::column_means(capture.spec, head.layer.value, received);
      const act::HeadSinks sinks = act::sinks_of(means, received, settings);
      const std::array<double, 4> numbers{static_cast<double>(sinks.keys.size()), sinks.mass,
                                          static_cast<double>(sinks.late), sinks.late_mass};
      for (size_t f = 0; f < numbers.size(); ++f)
        result.fields[f].values.mutable_values()[static_cast<size_t>(at)] = static_cast<float>(numbers[f]);
      for (int64_t j = 0; j < n; ++j)
        result.fields[4].values.mutable_values()[static_cast<size_t>(at * n + j)] =
            static_cast<float>(means[static_cast<size_t>(j)]);
      for (const int64_t key : sinks.keys) ++heads_of_key[key];
      if (const std::string edit = act::edit_text(head, sinks.keys, settings.beta); !edit.empty())
        edits.rows.push_back({to_string(head), static_cast<int64_t>(sinks.keys.size()), edit});
    }
    result.tables.push_back(heads_table(std::span(result.fields).first(4)));
    result.tables.push_back(keys_table(capture, heads_of_key));
    result.tables.push_back(massive_activations(capture));
    result.tables.push_back(std::move(edits));
    say(capture, settings, heads_of_key, result);
    return result;
  }

 private:
  static std::vector<Field> make_fields(const Capture& capture, int64_t layers, int64_t heads, int64_t n) {
    const std::string& request = capture.provenance.request;
    std::vector<Field> fields{
        head_field("sinks", "Sinks", "keys", ValueKind::magnitude, layers, heads, request),
        head_field("sink_share", "Weight on sinks", "", ValueKind::probability, layers, heads, request),
        head_field("late_sinks", "Sinks after the start", "keys", ValueKind::magnitude, layers, heads,
                   request),
        head_field("late_share", "Weight on sinks after the start", "", ValueKind::probability, layers, heads,
                   request),
        head_field("column_mean", "Mean weight of each key", "", ValueKind::probability, layers, heads,
                   request)};
    Axis keys{AxisKind::key, "key", {}};
    for (const Token& token : capture.tokens) keys.labels.push_back(display_text(token));
    fields[4].axes.push_back(std::move(keys));
    fields[4].values = HostTensor({layers, heads, n});
    return fields;
  }

  static Table keys_table(const Capture& capture, const std::map<int64_t, int64_t>& heads_of_key) {
    Table table{"keys", {"position", "token", "heads"}, {}};
    for (const auto& [key, heads] : heads_of_key)
      table.rows.push_back({key, display_text(capture.tokens[static_cast<size_t>(key)]), heads});
    return table;
  }

  static void say(const Capture& capture, const act::Settings& settings,
                  const std::map<int64_t, int64_t>& heads_of_key, AnalysisResult& result) {
    const int64_t all = result.fields[0].values.size();
    const auto token = [&](int64_t key) { return display_text(capture.tokens[static_cast<size_t>(key)]); };
    const auto first = heads_of_key.find(0);
    result.findings.push_back(
        fmt::format("{} of {} heads use the first token ('{}') as a sink (mean weight above {:.3g}).",
                    first == heads_of_key.end() ? 0 : first->second, all, token(0), settings.threshold));
    const auto late = std::max_element(heads_of_key.lower_bound(settings.first_keys), heads_of_key.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    if (late != heads_of_key.end())
      result.findings.push_back(
          fmt::format("After the start, position {} ('{}') is a sink of most heads: {} of {}.", late->first,
                      token(late->first), late->second, all));
    const Table& massive = result.tables[2];
    if (massive.rows.empty()) {
      result.findings.emplace_back("The residual stream holds no massive activations.");
      return;
    }
    std::map<int64_t, int64_t> positions;
    for (const auto& row : massive.rows) ++positions[std::get<int64_t>(row[1])];
    std::vector<std::string> names;
    for (const auto& [position, count] : positions)
      names.push_back(fmt::format("{} ('{}')", position, token(position)));
    result.findings.push_back(
        fmt::format("Massive activations stand at position {}.", fmt::join(names, ", ")));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_sinks() { return std::make_unique<Sinks>(); }

}  // namespace saccade
