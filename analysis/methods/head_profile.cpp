// head-profile: how far every head looks, which kinds of patterns there are, and what is lost without a head.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/images/patch_field.h"
#include "analysis/methods/head_codes.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/head_hops.h"
#include "analysis/methods/head_pruning.h"
#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

constexpr int64_t text_hops = 64;  // told apart in a text unless more are asked for

MethodInfo make_info() {
  MethodInfo info;
  info.id = "head-profile";
  info.title = "How far heads look, and what they are worth";
  info.summary =
      "Weight by hop distance over patches (or tokens), clusters of heads with like patterns, labels, and "
      "the "
      "importance of every head by pruning.";
  info.citation =
      "Li et al. 2023 (How does attention work in vision transformers? A visual analytics attempt, arXiv "
      "2303.13731): questions and components; hop definition, clusters (k-means in the place of an "
      "autoencoder), labels and measures are own";
  info.parameters = {
      {"picture", "Picture", "Which of the run's pictures, from 0; without any, the text is one row.", 0, 0,
       1e6},
      {"hops", "Hops", "The farthest distance told apart; 0: all of a picture, 64 of a text.", 0, 0, 4096},
      {"clusters", "Clusters", "Kinds of patterns that heads are sorted into.", 4, 1, 64},
      {"seed", "Seed", "Of the clusters' beginnings.", 0, 0, 1e9}};
  for (ParameterInfo& parameter : pruning::parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

Result<HopGrid> grid_of(const Capture& capture, int64_t picture) {
  if (capture.images.empty() && picture == 0) return HopGrid{0, 0, 1, capture.n_token()};
  SACCADE_TRY(const ImageRegion region, picture_region(capture, picture, "head-profile"));
  if (region.row_extra > 0)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("head-profile counts hops on a grid whose rows follow each other; picture {} has "
                    "other positions between its rows; choose the picture as a whole",
                    picture));
  return HopGrid{region.begin, region.first_patch(), region.grid_height, region.grid_width};
}

class HeadProfile final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    return pruning::plan(input);
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    if (!input.capture || input.capture->layers.empty())
      return make_error(ErrorCode::invalid_argument, "head-profile needs a run with captured layers");
    const Capture& capture = *input.capture;
    SACCADE_TRY(const HopGrid grid, grid_of(capture, input.parameters["picture"].get<int64_t>()));
    int64_t hops = input.parameters["hops"].get<int64_t>();
    if (hops == 0) hops = capture.images.empty() ? text_hops : farthest_hop(grid);
    hops = std::min(hops, farthest_hop(grid));
    const auto layers = static_cast<int64_t>(capture.layers.size());
    const int64_t heads = capture.spec.n_head;
    std::vector<HopProfile> profiles;
    for (int64_t at = 0; at < layers * heads; ++at) {
      const HeadId head = head_at(at, heads);
      job.progress(static_cast<double>(at) / static_cast<double>(layers * heads),
                   "distances in head " + to_string(head));
      SACCADE_TRY(const AttentionMap map, AttentionMap::of(input.capture, head, *input.kernels));
      SACCADE_TRY(HopProfile profile, hop_profile(map, grid, hops, job));
      profiles.push_back(std::move(profile));
    }
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {capture.provenance.request};
    add_scalars(capture, profiles, result);
    add_curves(capture, profiles, hops, result);
    SACCADE_CHECK(add_first_rows(input, profiles, result));
    const std::vector<int32_t> codes = add_clusters(input, profiles, grid, hops, result);
    add_table(profiles, codes, grid, result);
    say(profiles, grid, layers, heads, result);
    SACCADE_CHECK(pruning::add_results(input, result));
    result.parameters = std::move(input.parameters);
    return result;
  }

 private:
  static std::vector<Axis> heads_axes() {
    return {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}};
  }

  static void add_scalars(const Capture& capture, const std::vector<HopProfile>& profiles,
                          AnalysisResult& result) {
    const auto layers = static_cast<int64_t>(capture.layers.size());
    const auto add = [&](const char* name, const char* label, const char* unit, ValueKind kind,
                         double HopProfile::*member) {
      Field field =
          head_field(name, label, unit, kind, layers, capture.spec.n_head, capture.provenance.request);
      for (size_t i = 0; i < profiles.size(); ++i)
        field.values.mutable_values()[i] = static_cast<float>(profiles[i].*member);
      result.fields.push_back(std::move(field));
    };
    add("mean_hop", "Mean distance", "hops", ValueKind::magnitude, &HopProfile::mean_hop);
    add("prefix", "Weight of patches on CLS and registers", "", ValueKind::probability, &HopProfile::prefix);
    add("elsewhere", "Weight of patches outside the picture", "", ValueKind::probability,
        &HopProfile::elsewhere);
    add("same_row", "Weight in the same row", "", ValueKind::probability, &HopProfile::same_row);
    add("same_column", "Weight in the same column", "", ValueKind::probability, &HopProfile::same_column);
    add("entropy", "Entropy over patches, 1 = uniform", "", ValueKind::probability, &HopProfile::entropy);
    add("cls_on_patches", "Weight of CLS on patches", "", ValueKind::probability,
        &HopProfile::first_on_patches);
  }

  static void add_curves(const Capture& capture, const std::vector<HopProfile>& profiles, int64_t hops,
                         AnalysisResult& result) {
    const auto layers = static_cast<int64_t>(capture.layers.size());
    Axis axis{AxisKind::other, "hop", {}};
    for (int64_t k = 0; k <= hops; ++k) axis.labels.push_back(std::to_string(k));
    const auto add = [&](const char* name, const char* label, std::vector<double> HopProfile::*member) {
      Field field = field_about(name, label, ValueKind::probability, heads_axes());
      field.request = capture.provenance.request;
      field.axes.push_back(axis);
      field.values = HostTensor({layers, capture.spec.n_head, hops + 1});
      Field trend = field_about(std::string(name) + "_by_layer", std::string(label) + ", mean of heads",
                                ValueKind::probability, {{AxisKind::layer, "layer", {}}});
      trend.request = field.request;
      trend.axes.push_back(axis);
      trend.values = HostTensor({layers, hops + 1});
      for (size_t i = 0; i < profiles.size(); ++i)
        for (size_t k = 0; k <= static_cast<size_t>(hops); ++k) {
          const double value = (profiles[i].*member)[k];
          field.values.mutable_values()[i * static_cast<size_t>(hops + 1) + k] = static_cast<float>(value);
          trend.values
              .mutable_values()[i / static_cast<size_t>(capture.spec.n_head) * static_cast<size_t>(hops + 1) +
                                k] += static_cast<float>(value / capture.spec.n_head);
        }
      result.fields.push_back(std::move(field));
      result.fields.push_back(std::move(trend));
    };
    add("strength", "Weight by distance", &HopProfile::strength);
    add("per_patch", "Weight of a patch by distance", &HopProfile::per_patch);
  }

  static Result<void> add_first_rows(const MethodInput& input, const std::vector<HopProfile>& profiles,
                                     AnalysisResult& result) {
    if (profiles.front().first_row.empty()) return {};
    std::vector<float> rows;
    for (const HopProfile& profile : profiles)
      rows.insert(rows.end(), profile.first_row.begin(), profile.first_row.end());
    SACCADE_TRY(const ImageRegion region,
                picture_region(*input.capture, input.parameters["picture"].get<int64_t>(), "head-profile"));
    Field about = field_about("cls_row", "What CLS looks at", ValueKind::probability, heads_axes());
    about.request = input.capture->provenance.request;
    SACCADE_TRY(Field field,
                patch_field(std::move(about),
                            {static_cast<int64_t>(input.capture->layers.size()), input.capture->spec.n_head},
                            rows, region));
    result.fields.push_back(std::move(field));
    return {};
  }

  // The offset maps, the cluster of every head, and the mean map of each cluster.
  static std::vector<int32_t> add_clusters(const MethodInput& input, const std::vector<HopProfile>& profiles,
                                           const HopGrid& grid, int64_t hops, AnalysisResult& result) {
    const Capture& capture = *input.capture;
    const OffsetExtent extent = offset_extent(grid, hops);
    const int64_t size = extent.rows * extent.columns, count = static_cast<int64_t>(profiles.size());
    HostTensor maps({count, size}, false);
    for (size_t i = 0; i < profiles.size(); ++i)
      std::copy(profiles[i].offsets.begin(), profiles[i].offsets.end(),
                maps.mutable_values().begin() + static_cast<int64_t>(i) * size);
    const std::vector<int32_t> codes = k_means_codes(
        maps, static_cast<int32_t>(std::min(input.parameters["clusters"].get<int64_t>(), count)),
        input.parameters["seed"].get<uint64_t>());
    const auto layers = static_cast<int64_t>(capture.layers.size());
    Field cluster = head_field("cluster", "Cluster of like patterns", "", ValueKind::magnitude, layers,
                               capture.spec.n_head, capture.provenance.request);
    for (size_t i = 0; i < codes.size(); ++i)
      cluster.values.mutable_values()[i] = static_cast<float>(codes[i]);
    result.fields.push_back(std::move(cluster));
    const auto axes = [&](std::vector<Axis> leading) {
      Axis dy{AxisKind::other, "dy", {}}, dx{AxisKind::other, "dx", {}};
      for (int64_t i = 0; i < extent.rows; ++i) dy.labels.push_back(std::to_string(i - extent.rows / 2));
      for (int64_t i = 0; i < extent.columns; ++i)
        dx.labels.push_back(std::to_string(i - extent.columns / 2));
      leading.push_back(std::move(dy));
      leading.push_back(std::move(dx));
      return leading;
    };
    const int32_t clusters = *std::max_element(codes.begin(), codes.end()) + 1;
    Field means = field_about("prototype", "Mean pattern of each cluster", ValueKind::probability,
                              axes({{AxisKind::other, "cluster", {}}}));
    means.request = capture.provenance.request;
    means.values = HostTensor({clusters, extent.rows, extent.columns});
    for (size_t i = 0; i < codes.size(); ++i) {
      const auto members = std::count(codes.begin(), codes.end(), codes[i]);
      for (int64_t x = 0; x < size; ++x)
        means.values.mutable_values()[static_cast<size_t>(codes[i] * size + x)] +=
            maps.data()[static_cast<int64_t>(i) * size + x] / static_cast<float>(members);
    }
    result.fields.push_back(std::move(means));
    Field offsets =
        field_about("offsets", "Mean weight by displacement", ValueKind::probability, axes(heads_axes()));
    offsets.request = capture.provenance.request;
    offsets.values = HostTensor({layers, capture.spec.n_head, extent.rows, extent.columns}, false);
    std::copy_n(maps.data(), maps.size(), offsets.values.mutable_values().begin());
    result.fields.push_back(std::move(offsets));
    return codes;
  }

  static void add_table(const std::vector<HopProfile>& profiles, const std::vector<int32_t>& codes,
                        const HopGrid& grid, AnalysisResult& result) {
    Table table = heads_table(std::span(result.fields).first(7));
    table.columns.emplace_back("label");
    table.columns.emplace_back("cluster");
    for (size_t i = 0; i < profiles.size(); ++i) {
      table.rows[i].emplace_back(pattern_label(profiles[i], grid));
      table.rows[i].emplace_back(int64_t{codes[i]});
    }
    result.tables.push_back(std::move(table));
  }

  static void say(const std::vector<HopProfile>& profiles, const HopGrid& grid, int64_t layers, int64_t heads,
                  AnalysisResult& result) {
    const auto [nearest, farthest] =
        std::minmax_element(profiles.begin(), profiles.end(),
                            [](const HopProfile& a, const HopProfile& b) { return a.mean_hop < b.mean_hop; });
    const auto name = [&](auto at) { return to_string(head_at(at - profiles.begin(), heads)); };
    result.findings.push_back(fmt::format(
        "Head {} looks nearest (mean distance {:.2f} hops), {} farthest ({:.2f}), on a grid of {} x "
        "{}.",
        name(nearest), nearest->mean_hop, name(farthest), farthest->mean_hop, grid.rows, grid.columns));
    const auto mean_of = [&](int64_t layer) {
      double sum = 0.0;
      for (int64_t h = 0; h < heads; ++h) sum += profiles[static_cast<size_t>(layer * heads + h)].mean_hop;
      return sum / static_cast<double>(heads);
    };
    if (layers > 1)
      result.findings.push_back(
          fmt::format("Mean distance goes from {:.2f} in the first layer to {:.2f} in the "
                      "last.",
                      mean_of(0), mean_of(layers - 1)));
    std::map<std::string, int64_t> labels;
    for (const HopProfile& profile : profiles) ++labels[pattern_label(profile, grid)];
    std::vector<std::string> parts;
    for (const auto& [label, count] : labels) parts.push_back(fmt::format("{} {}", count, label));
    result.findings.push_back(fmt::format("By their patterns, heads are: {}.", fmt::join(parts, ", ")));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_head_profile() { return std::make_unique<HeadProfile>(); }

}  // namespace saccade
