// image-regions: how much of every head's weight falls into regions of the picture, against the area that
// they cover on the model's own grid of patches.
//
//   mass = sum over patches of p[query, patch] x the share of the patch that the region covers
//   enrichment = (mass / weight on the whole picture) / (share of the grid that the region covers): 1 = as
//   much as its size, whatever the head spends on the picture at all
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/images/regions.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/picture_input.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "image-regions";
  info.title = "Regions of the picture";
  info.summary =
      "How much of every head's weight falls into boxes or masks of the picture, compared with their size.";
  info.citation = "own; weight against area as in saliency's normalised measures";
  ParameterInfo file{"file", "Region file", "JSON or CSV of boxes, or a picture whose colours are regions.",
                     ""};
  file.is_file = true;
  info.parameters = {
      {"regions", "Regions", "name:left,top,right,bottom in pixels of the picture, several between ';'.", ""},
      std::move(file),
      {"picture", "Picture", "Which of the prompt's, from 1.", 1, 1, 1000},
      {"query", "Query", "The position that looks: a number, or last.", "last"},
      {"generate", "Tokens", "Of the answer, each of which looks, too; 0: none.", 0, 0, 4096}};
  return info;
}

struct Covered {
  std::string name;
  std::vector<double> share;  // [patch]
  double area = 0.0;          // of the grid
};

class ImageRegions final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    SACCADE_CHECK(regions_of(input));
    const auto tokens = input.parameters["generate"].get<int>();
    if (tokens == 0) return wanted;
    SACCADE_CHECK(require_model(input, info_.id));
    if (input.outcomes.empty()) {
      SamplingOptions sampling;
      sampling.max_tokens = tokens;
      wanted.emplace_back(GenerationWanted{input.base, sampling});
    } else if (input.outcomes.size() == 1) {
      const Generation* answer = generation_in(input.outcomes, 0);
      if (answer == nullptr || answer->tokens.empty()) return wanted;
      RunWanted run{input.base, nullptr};
      run.request.tokens = with_generated(run.request.tokens, answer->tokens);
      run.request.capture = CapturePlan{};
      run.request.capture.residuals = run.request.capture.statistics = run.request.capture.loss = false;
      wanted.emplace_back(std::move(run));
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(const std::vector<Covered> regions, regions_of(input));
    SACCADE_TRY(const int64_t query, query_of(input));
    const Capture& capture = *input.capture;
    if (capture.layers.empty() || input.kernels == nullptr)
      return make_error(ErrorCode::invalid_argument, "image-regions needs a run with captured layers");
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {capture.provenance.request};
    SACCADE_CHECK(add_heads(input, regions, query, job, result));
    const auto tokens = input.parameters["generate"].get<int>();
    if (tokens > 0) SACCADE_CHECK(add_steps(input, regions, job, result));
    return result;
  }

 private:
  static size_t picture_of(const MethodInput& input) { return input.parameters["picture"].get<size_t>() - 1; }

  Result<std::vector<Covered>> regions_of(const MethodInput& input) const {
    const Capture& capture = *input.capture;
    SACCADE_CHECK(require_picture(capture.places(), capture.spec, info_.id));
    if (picture_of(input) >= capture.images.size())
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("picture {}: the prompt has {}", picture_of(input) + 1, capture.images.size()));
    const auto text = input.parameters["regions"].get<std::string>(),
               file = input.parameters["file"].get<std::string>();
    SACCADE_TRY(std::vector<PictureRegion> named, parse_regions(text));
    if (!file.empty()) {
      SACCADE_TRY(std::vector<PictureRegion> read, read_regions(file));
      std::move(read.begin(), read.end(), std::back_inserter(named));
    }
    if (named.empty())
      return make_error(ErrorCode::invalid_argument,
                        "image-regions needs regions: regions=\"cat:10,20,110,90;dog:...\" in pixels of the "
                        "picture, or file=BOXES.json|BOXES.csv|MASK.png");
    std::vector<Covered> regions;
    const ImageRegion& image = capture.images[picture_of(input)];
    for (const PictureRegion& region : named) {
      Covered covered{region.name, {}, 0.0};
      SACCADE_TRY(covered.share, coverage_of(region, image));
      covered.area = std::accumulate(covered.share.begin(), covered.share.end(), 0.0) /
                     static_cast<double>(covered.share.size());
      regions.push_back(std::move(covered));
    }
    return regions;
  }

  static Result<int64_t> query_of(const MethodInput& input) {
    const auto text = input.parameters["query"].get<std::string>();
    const int64_t n = input.capture->n_token();
    if (text == "last") return n - 1;
    int64_t query = -1;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), query);
    if (code == std::errc() && end == text.data() + text.size() && query >= 0 && query < n) return query;
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("query: expected last or a position from 0 to {}, found '{}'", n - 1, text));
  }

  // The weight of the query in every region, then on the whole picture.
  static Result<std::vector<double>> masses(const AttentionMap& map, const ImageRegion& image, int64_t query,
                                            int64_t n, const std::vector<Covered>& regions) {
    std::vector<float> row(static_cast<size_t>(n));
    SACCADE_CHECK(map.rows(query, query + 1, n, row));
    std::vector<double> sums(regions.size() + 1, 0.0);
    for (int64_t patch = 0; patch < image.patches(); ++patch) {
      const double weight = row[static_cast<size_t>(image.position(patch))];
      for (size_t r = 0; r < regions.size(); ++r)
        sums[r] += weight * regions[r].share[static_cast<size_t>(patch)];
      sums.back() += weight;
    }
    return sums;
  }

  static double enrichment(double mass, double picture, double area) {
    return picture > 0.0 ? mass / picture / area : std::numeric_limits<double>::quiet_NaN();
  }

  static Result<void> add_heads(const MethodInput& input, const std::vector<Covered>& regions, int64_t query,
                                const JobContext& job, AnalysisResult& result) {
    const Capture& capture = *input.capture;
    const int64_t layers = std::ssize(capture.layers), heads = capture.spec.n_head;
    const std::string& request = capture.provenance.request;
    const ImageRegion& image = capture.images[picture_of(input)];
    result.fields.push_back(
        head_field("picture", "Weight on the picture", "", ValueKind::probability, layers, heads, request));
    for (const Covered& region : regions) {
      result.fields.push_back(head_field(region.name + "_mass", "Weight on " + region.name, "",
                                         ValueKind::probability, layers, heads, request));
      result.fields.push_back(head_field(region.name + "_enrichment",
                                         "Weight on " + region.name + " by its size", "",
                                         ValueKind::magnitude, layers, heads, request));
    }
    for (int64_t at = 0; at < layers * heads; ++at) {
      SACCADE_CHECK(job.check());
      job.progress(static_cast<double>(at) / static_cast<double>(layers * heads),
                   "head " + to_string(head_at(at, heads)));
      SACCADE_TRY(const AttentionMap map,
                  AttentionMap::of(input.capture, head_at(at, heads), *input.kernels));
      SACCADE_TRY(const std::vector<double> sums, masses(map, image, query, capture.n_token(), regions));
      const auto put = [&](size_t field, double value) {
        result.fields[field].values.mutable_values()[static_cast<size_t>(at)] = static_cast<float>(value);
      };
      put(0, sums.back());
      for (size_t r = 0; r < regions.size(); ++r) {
        put(1 + 2 * r, sums[r]);
        put(2 + 2 * r, enrichment(sums[r], sums.back(), regions[r].area));
      }
    }
    Table table{
        "regions",
        {"region", "area_share", "mean_mass", "mean_enrichment", "best_head", "its_mass", "its_enrichment"},
        {}};
    for (size_t r = 0; r < regions.size(); ++r) {
      const auto mass = result.fields[1 + 2 * r].values.values(),
                 by_size = result.fields[2 + 2 * r].values.values();
      const auto best = std::max_element(mass.begin(), mass.end()) - mass.begin();
      const std::vector<double> all_mass(mass.begin(), mass.end()), all_by(by_size.begin(), by_size.end());
      const std::string head = to_string(head_at(best, heads));
      const double its_mass = mass[static_cast<size_t>(best)], its = by_size[static_cast<size_t>(best)];
      table.rows.push_back({regions[r].name, regions[r].area, mean_interval(all_mass).mean,
                            mean_interval(all_by).mean, head, its_mass, its});
      result.findings.push_back(
          fmt::format("'{}' covers {:.1f} % of the grid; from position {} ('{}') head {} looks at it most: "
                      "{:.1f} % of its "
                      "weight, {:.2g} times what its size would give.",
                      regions[r].name, 100.0 * regions[r].area, query,
                      display_text(capture.tokens[static_cast<size_t>(query)]), head, 100.0 * its_mass, its));
    }
    result.tables.push_back(std::move(table));
    result.tables.push_back(heads_table(result.fields));
    return {};
  }

  // Every generated token, from the position that it is predicted at.
  static Result<void> add_steps(const MethodInput& input, const std::vector<Covered>& regions,
                                const JobContext& job, AnalysisResult& result) {
    const Generation* answer = generation_in(input.outcomes, 0);
    const std::shared_ptr<const Capture> capture = capture_in(input.outcomes, 1);
    if (answer == nullptr || !capture) {
      result.partial = answer == nullptr || !answer->tokens.empty();
      return {};
    }
    const auto steps = std::ssize(answer->tokens);
    const int64_t layers = std::ssize(capture->layers), heads = capture->spec.n_head, n = capture->n_token();
    const ImageRegion& image = capture->images[picture_of(input)];
    std::vector<Field> fields;
    for (const Covered& region : regions) {
      Field field{
          region.name + "_steps",
          "Weight on " + region.name + " at every generated token",
          "",
          ValueKind::probability,
          {{AxisKind::step, "step", {}}, {AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}},
          HostTensor({steps, layers, heads}),
          capture->provenance.request};
      for (const Token& token : answer->tokens) field.axes[0].labels.push_back(display_text(token));
      fields.push_back(std::move(field));
    }
    std::vector<std::vector<double>> mass(static_cast<size_t>(steps),
                                          std::vector<double>(regions.size() + 1, 0.0));
    for (int64_t at = 0; at < layers * heads; ++at) {
      SACCADE_CHECK(job.check());
      SACCADE_TRY(const AttentionMap map, AttentionMap::of(capture, head_at(at, heads), *input.kernels));
      for (int64_t t = 0; t < steps; ++t) {
        SACCADE_TRY(const std::vector<double> sums, masses(map, image, n - steps - 1 + t, n, regions));
        for (size_t r = 0; r < regions.size(); ++r)
          fields[r].values.mutable_values()[static_cast<size_t>(t * layers * heads + at)] =
              static_cast<float>(sums[r]);
        for (size_t r = 0; r < sums.size(); ++r) mass[static_cast<size_t>(t)][r] += sums[r];
      }
    }
    Table table{"steps", {"step", "token", "region", "mass", "enrichment"}, {}};
    for (int64_t t = 0; t < steps; ++t)
      for (size_t r = 0; r < regions.size(); ++r) {
        const std::vector<double>& sums = mass[static_cast<size_t>(t)];
        table.rows.push_back({t, display_text(answer->tokens[static_cast<size_t>(t)]), regions[r].name,
                              sums[r] / static_cast<double>(layers * heads),
                              enrichment(sums[r], sums.back(), regions[r].area)});
      }
    std::move(fields.begin(), fields.end(), std::back_inserter(result.fields));
    result.tables.push_back(std::move(table));
    return {};
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_image_regions() { return std::make_unique<ImageRegions>(); }

}  // namespace saccade
