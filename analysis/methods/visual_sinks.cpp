// visual-sinks: which tokens of a picture are sinks, how much every head looks at the picture past them, and
// the edits that give what sinks draw to the rest of the picture (VAR).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/picture_input.h"
#include "analysis/methods/registry.h"
#include "analysis/methods/var.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "visual-sinks";
  info.title = "Sinks in the picture";
  info.summary =
      "Tokens whose hidden states mark them as sinks, the heads that look at the picture past them, and the "
      "edits that give the picture what its sinks draw (VAR).";
  info.citation =
      "Kang et al. 2025 (arXiv 2503.03321): phi, tau, B, r >= rho, redistribution; finding the sink "
      "dimensions of other models: own, from massive activations (Sun et al. 2024, arXiv 2402.17762)";
  info.parameters = var::parameters();
  return info;
}

// What one head's rows behind the picture spend where.
struct HeadRows {
  double mass = 0.0, share = 0.0, selected = 0.0, moved = 0.0;
};

class VisualSinks final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    const Capture& capture = *input.capture;
    SACCADE_CHECK(require_picture_and_text(capture.places(), capture.spec, info_.id));
    SACCADE_TRY(const var::Settings settings, var::read_settings(input.parameters, capture.spec));
    SACCADE_TRY(const var::Dimensions dimensions, var::dimensions_of(capture, settings));
    SACCADE_TRY(const std::vector<int32_t> layers, var::layers_of(settings, capture.spec));
    const std::vector<var::LayerSinks> sinks = var::sinks_of(capture, dimensions, settings.tau);
    std::vector<Edit> edits;
    for (const int32_t layer : layers)
      if (auto edit = var::edit_of(sinks[static_cast<size_t>(layer)], capture.images, settings))
        edits.push_back(std::move(*edit));
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {capture.provenance.request};
    result.fields = {phi_field(capture, sinks)};
    SACCADE_CHECK(add_heads(input, settings, sinks, job, result));
    result.tables.push_back(sinks_table(capture, sinks));
    result.tables.push_back(heads_table(std::span(result.fields).subspan(1)));
    result.tables.push_back(edits_table("var", edits));
    say(capture, dimensions, settings, layers, sinks, edits, result);
    return result;
  }

 private:
  static Field phi_field(const Capture& capture, const std::vector<var::LayerSinks>& sinks) {
    const auto layers = static_cast<int64_t>(sinks.size());
    Field field{"phi",
                "Strength in the sink dimensions",
                "",
                ValueKind::magnitude,
                {{AxisKind::layer, "layer", {}}, {AxisKind::token, "token", {}}},
                HostTensor({layers, capture.n_token()}, false),
                capture.provenance.request};
    for (const Token& token : capture.tokens) field.axes[1].labels.push_back(display_text(token));
    float* to = field.values.mutable_values().data();
    for (const var::LayerSinks& layer : sinks) to = std::copy(layer.phi.begin(), layer.phi.end(), to);
    return field;
  }

  static Result<HeadRows> rows_of(const MethodInput& input, HeadId head, const std::vector<int64_t>& queries,
                                  const std::vector<TokenRegion>& regions, const var::LayerSinks& sinks,
                                  const var::Settings& settings, bool acts) {
    const int64_t n = input.capture->n_token();
    SACCADE_TRY(const AttentionMap map, AttentionMap::of(input.capture, head, *input.kernels));
    std::vector<float> row(static_cast<size_t>(n));
    HeadRows sum;
    int64_t looking = 0;
    for (const int64_t query : queries) {
      SACCADE_CHECK(map.rows(query, query + 1, n, row));
      double mass = 0.0, on_sinks = 0.0, all_sinks = 0.0;
      for (int64_t j = 0; j < n; ++j)
        if (regions[static_cast<size_t>(j)] == TokenRegion::img) mass += row[static_cast<size_t>(j)];
      for (const int64_t j : sinks.visual) on_sinks += row[static_cast<size_t>(j)];
      for (const int64_t j : sinks.text) all_sinks += row[static_cast<size_t>(j)];
      all_sinks += on_sinks;
      sum.mass += mass;
      if (!(mass > 0.0)) continue;
      const double share = (mass - on_sinks) / mass;
      sum.share += share;
      ++looking;
      if (!acts || sinks.empty() || mass < settings.least_mass || share < settings.least_share()) continue;
      sum.selected += 1.0;
      sum.moved += (1.0 - settings.kept()) * all_sinks;
    }
    const auto count = static_cast<double>(queries.size());
    return HeadRows{
        sum.mass / count,
        looking > 0 ? sum.share / static_cast<double>(looking) : std::numeric_limits<double>::quiet_NaN(),
        sum.selected / count, sum.moved / count};
  }

  static Result<void> add_heads(const MethodInput& input, const var::Settings& settings,
                                const std::vector<var::LayerSinks>& sinks, const JobContext& job,
                                AnalysisResult& result) {
    const Capture& capture = *input.capture;
    const int64_t layers = std::ssize(capture.layers), heads = capture.spec.n_head;
    const std::string& request = capture.provenance.request;
    std::vector<Field> fields{
        head_field("visual_mass", "Weight on the picture", "", ValueKind::probability, layers, heads,
                   request),
        head_field("non_sink_share", "Part of that on no sink", "", ValueKind::probability, layers, heads,
                   request),
        head_field("selected_rows", "Share of rows that VAR changes", "", ValueKind::probability, layers,
                   heads, request),
        head_field("moved", "Weight that VAR moves", "", ValueKind::probability, layers, heads, request)};
    const std::vector<int64_t> queries = positions_behind_picture(capture.places());
    const std::vector<TokenRegion> regions =
        regions_of(capture.n_token(), capture.images, capture.generated_from);
    SACCADE_TRY(const std::vector<int32_t> edited, var::layers_of(settings, capture.spec));
    for (int64_t at = 0; at < layers * heads; ++at) {
      SACCADE_CHECK(job.check());
      const HeadId head = head_at(at, heads);
      job.progress(static_cast<double>(at) / static_cast<double>(layers * heads), "head " + to_string(head));
      const bool acts = std::binary_search(edited.begin(), edited.end(), head.layer.value);
      SACCADE_TRY(const HeadRows rows, rows_of(input, head, queries, regions,
                                               sinks[static_cast<size_t>(head.layer.value)], settings, acts));
      const std::array<double, 4> numbers{rows.mass, rows.share, rows.selected, rows.moved};
      for (size_t f = 0; f < numbers.size(); ++f)
        fields[f].values.mutable_values()[static_cast<size_t>(at)] = static_cast<float>(numbers[f]);
    }
    std::move(fields.begin(), fields.end(), std::back_inserter(result.fields));
    return {};
  }

  static Table sinks_table(const Capture& capture, const std::vector<var::LayerSinks>& sinks) {
    Table table{"sinks", {"position", "token", "region", "layers", "largest_phi"}, {}};
    std::map<int64_t, int64_t> layers_of;
    for (const var::LayerSinks& layer : sinks)
      for (const auto* positions : {&layer.text, &layer.visual})
        for (const int64_t at : *positions) ++layers_of[at];
    const std::vector<TokenRegion> regions =
        regions_of(capture.n_token(), capture.images, capture.generated_from);
    for (const auto& [at, layers] : layers_of) {
      const auto t = static_cast<size_t>(at);
      float largest = 0.0F;
      for (const var::LayerSinks& layer : sinks) largest = std::max(largest, layer.phi[t]);
      table.rows.push_back(
          {at, display_text(capture.tokens[t]), std::string(to_string(regions[t])), layers, double{largest}});
    }
    return table;
  }

  static void say(const Capture& capture, const var::Dimensions& dimensions, const var::Settings& settings,
                  const std::vector<int32_t>& layers, const std::vector<var::LayerSinks>& sinks,
                  const std::vector<Edit>& edits, AnalysisResult& result) {
    result.findings.push_back(
        fmt::format("Sink dimensions {}: {}.", fmt::join(dimensions.indices, ", "), dimensions.source));
    std::map<int64_t, int64_t> often;
    float largest = 0.0F;
    for (const var::LayerSinks& layer : sinks) {
      for (const int64_t at : layer.visual) ++often[at];
      largest = std::max(largest, *std::max_element(layer.phi.begin(), layer.phi.end()));
    }
    if (often.empty()) {
      result.findings.push_back(
          fmt::format("No token of the picture is a sink: the largest phi is {:.3g}, sinks have {:g} (at "
                      "most {:.3g} is possible with {} dimensions).",
                      largest, settings.tau, std::sqrt(capture.spec.d_model), capture.spec.d_model));
    } else {
      const auto first = std::max_element(often.begin(), often.end(),
                                          [](const auto& a, const auto& b) { return a.second < b.second; });
      result.findings.push_back(fmt::format(
          "{} of the picture are sinks in some layer; most often '{}' (position {}, {} of {} layers).",
          often.size() == 1 ? "1 token" : fmt::format("{} tokens", often.size()),
          display_text(capture.tokens[static_cast<size_t>(first->first)]), first->first, first->second,
          sinks.size()));
    }
    if (edits.empty()) {
      result.findings.push_back(
          layers.empty() ? "VAR leaves the first two layers and the last alone, and there are no others; "
                           "name layers to have edits."
                         : "No layer that VAR may change has a sink in the picture: there are no edits.");
      return;
    }
    result.findings.push_back(fmt::format(
        "VAR is {} edits, one per layer with sinks in the picture (table var); apply them to see the answer "
        "change. A trial by others did not confirm gains on LLaVA-1.5-7B.",
        edits.size()));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_visual_sinks() { return std::make_unique<VisualSinks>(); }

}  // namespace saccade
