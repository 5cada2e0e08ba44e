// token-exit: the layer behind which the picture no longer contributes to the answer, and which of its
// computations the model could do without.
//
// Exit sweep: for L = 0 ... all layers, the answer with the patches' keys hidden from layer L on; the exit is
// the first L from which on the answer stays within `tolerance` nats (KL). Switches, handed back as edits:
// patches see only patches at most `radius` away; heads whose patch rows look least at patches lose that
// block (ratio = weight patch -> patch over all weight of patch rows); the exit itself. Source: the three
// switches of YOPO (arXiv 2410.06169), the sweep of DyVTE (arXiv 2411.19628); all constants are ours, and the
// exit predictor that DyVTE learns is not reproduced.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "analysis/images/patch_field.h"
#include "analysis/images/picture_run.h"
#include "analysis/mechanisms/grid_masks.h"
#include "analysis/mechanisms/imposed.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

constexpr int64_t rows_at_once = 64;
constexpr size_t most_edits = 400;

MethodInfo make_info() {
  MethodInfo info;
  info.id = "token-exit";
  info.title = "Where the picture stops to matter";
  info.summary =
      "The answer with the picture hidden from each layer on; what text and patches look at per layer; heads "
      "whose patches hardly look at patches; edits that switch such computations off.";
  info.citation =
      "YOPO (Zhang et al. 2024, arXiv 2410.06169) for the switches, DyVTE (arXiv 2411.19628) for the exit; "
      "constants: own";
  info.parameters = {
      {"tolerance", "Tolerance", "The picture is done with when the answer moves by no more than this, nats.",
       0.01, 0.0, 100.0},
      {"inactive", "Inactive heads", "Share of heads whose patches no longer see patches.", 0.25, 0.0, 1.0},
      {"radius", "Radius", "Patches that a patch still sees, Chebyshev distance.", 2, 0, 1000}};
  return info;
}

// Who looks and who is looked at: patches, the picture's own prefix and everything else.
struct Masses {
  double text_to_image = 0.0, image_to_image = 0.0, text_to_text = 0.0, ratio = 0.0;
};

class TokenExit final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    SACCADE_TRY(const ImageRegion region, check(input));
    if (!input.outcomes.empty() || !input.model || input.capture->last_logits.empty()) return wanted;
    for (int32_t layer = 0; layer <= input.model->spec().n_layer; ++layer) {
      SACCADE_TRY(AnswerWanted answer, answer_under(input, exit_edits(input, region, layer)));
      wanted.emplace_back(std::move(answer));
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(auto parameters, complete_parameters(info_, input.parameters));
    SACCADE_TRY(const ImageRegion region, check(input));
    const Capture& capture = *input.capture;
    const auto layers = static_cast<int64_t>(capture.layers.size());
    const int64_t heads = capture.spec.n_head;
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {capture.provenance.request};
    Field ratio = head_field("patch_ratio", "Share of patch rows that lies on patches", "",
                             ValueKind::probability, layers, heads, capture.provenance.request);
    Field answers_to_patches = head_field("text_to_image", "Weight of text rows on patches", "",
                                          ValueKind::probability, layers, heads, capture.provenance.request);
    Table stages{"layers", {"layer", "text_to_image", "image_to_image", "text_to_text"}, {}};
    for (int64_t l = 0; l < layers; ++l) {
      Masses mean;
      for (int64_t h = 0; h < heads; ++h) {
        SACCADE_CHECK(job.check());
        SACCADE_TRY(const Masses one, masses_of(input, region, head_at(l * heads + h, heads), job));
        ratio.values.mutable_values()[static_cast<size_t>(l * heads + h)] = static_cast<float>(one.ratio);
        answers_to_patches.values.mutable_values()[static_cast<size_t>(l * heads + h)] =
            static_cast<float>(one.text_to_image);
        const auto share = 1.0 / static_cast<double>(heads);
        mean.text_to_image += share * one.text_to_image;
        mean.image_to_image += share * one.image_to_image;
        mean.text_to_text += share * one.text_to_text;
      }
      stages.rows.push_back({l, mean.text_to_image, mean.image_to_image, mean.text_to_text});
      job.progress(static_cast<double>(l + 1) / static_cast<double>(layers), "reading maps");
    }
    result.fields = {std::move(ratio), std::move(answers_to_patches)};
    result.tables.push_back(std::move(stages));
    const int64_t exit = add_sweep(input, parameters["tolerance"].get<double>(), layers, result);
    add_edits(input, parameters, region, exit, result);
    result.tables.push_back(heads_table(std::span(result.fields).first(2)));
    result.parameters = std::move(parameters);
    return result;
  }

 private:
  static Result<ImageRegion> check(const MethodInput& input) {
    if (!input.capture || input.capture->layers.empty() || !input.capture->layers[0]->keeps_attention())
      return make_error(ErrorCode::invalid_argument,
                        "token-exit needs a run with captured attention; run again with attention captured");
    SACCADE_TRY(const ImageRegion region, picture_region(*input.capture, 0, "token-exit"));
    const Pooling pooling = input.capture->spec.pooling;
    if (input.capture->spec.is_picture_model() && pooling != Pooling::cls &&
        pooling != Pooling::cls_and_distillation)
      return make_error(
          ErrorCode::unsupported,
          "token-exit hides patches from what the answer is read from, and this model reads its "
          "answer from the patches themselves; use a model with CLS, or a decoder");
    return region;
  }

  // The patches hidden from `layer` on. In a model of pictures only CLS loses them: it is what is asked.
  static std::vector<std::string> exit_edits(const MethodInput& input, const ImageRegion& region,
                                             int64_t layer) {
    const int32_t layers = input.capture->spec.n_layer;
    if (layer >= layers) return {};
    const std::string rows =
        region.n_prefix > 0 ? fmt::format(" query={}:{}", region.begin, region.first_patch()) : "";
    return {fmt::format("knockout {}-{}.*{} key={}:{}", layer, layers - 1, rows, region.first_patch(),
                        region.end())};
  }

  static Result<Masses> masses_of(const MethodInput& input, const ImageRegion& region, HeadId head,
                                  const JobContext& job) {
    SACCADE_TRY(const AttentionMap map, AttentionMap::of(input.capture, head, *input.kernels));
    const int64_t n = map.size(), first = region.first_patch(), end = region.end();
    std::vector<float> rows(static_cast<size_t>(rows_at_once * n));
    double text = 0.0, image = 0.0, of_image = 0.0;
    Masses masses;
    for (int64_t begin = 0; begin < n; begin += rows_at_once) {
      SACCADE_CHECK(job.check());
      const int64_t stop = std::min(n, begin + rows_at_once);
      SACCADE_CHECK(map.rows(begin, stop, n, std::span(rows).first(static_cast<size_t>((stop - begin) * n))));
      for (int64_t i = begin; i < stop; ++i) {
        double on_image = 0.0, all = 0.0;
        for (int64_t j = 0; j < n; ++j) {
          const double weight = rows[static_cast<size_t>((i - begin) * n + j)];
          all += weight;
          if (j >= first && j < end) on_image += weight;
        }
        if (i >= first && i < end) {
          image += 1.0;
          masses.image_to_image += on_image;
          of_image += all;
        } else if (i >= end || region.n_prefix > 0) {  // text before the picture cannot look at it
          text += 1.0;
          masses.text_to_image += on_image;
          masses.text_to_text += all - on_image;
        }
      }
    }
    masses.ratio = of_image > 0.0 ? masses.image_to_image / of_image : 0.0;
    masses.image_to_image /= std::max(image, 1.0);
    masses.text_to_image /= std::max(text, 1.0);
    masses.text_to_text /= std::max(text, 1.0);
    return masses;
  }

  // The exit layer; -1 where it was not measured.
  static int64_t add_sweep(const MethodInput& input, double tolerance, int64_t layers,
                           AnalysisResult& result) {
    Table table{"exit", {"hidden_from", "kl", "answer"}, {}};
    Field field{"kl",
                "Change of the answer with the picture hidden from this layer on",
                "nats",
                ValueKind::magnitude,
                {{AxisKind::other, "hidden from", {}}},
                HostTensor({layers + 1}),
                input.capture->provenance.request};
    int64_t exit = layers;
    bool within = true;
    for (int64_t layer = layers; layer >= 0; --layer) {
      const KeptAnswer* answer = answer_in(input.outcomes, static_cast<size_t>(layer));
      const double kl = answer != nullptr ? answer->kl : std::nan("");
      field.values.mutable_values()[static_cast<size_t>(layer)] = static_cast<float>(kl);
      if (answer == nullptr) within = false;
      within = within && kl <= tolerance;
      if (within) exit = layer;
      if (answer != nullptr) table.rows.insert(table.rows.begin(), {layer, kl, answer_text(input, *answer)});
    }
    if (table.rows.empty()) return -1;
    if (static_cast<int64_t>(table.rows.size()) <= layers) result.partial = true;
    const double without = field.values.values()[0];
    result.fields.push_back(std::move(field));
    result.tables.push_back(std::move(table));
    if (!std::isnan(without))
      result.findings.push_back(fmt::format(
          "Without the picture's patches in any layer the answer moves by {:.3g} nats (KL).", without));
    result.findings.push_back(
        exit < layers
            ? fmt::format("From layer {} of {} on the picture can be hidden: the answer moves by no more "
                          "than {:.3g} nats.",
                          exit, layers, tolerance)
            : fmt::format("The picture matters up to the last layer: hidden there, the answer moves by "
                          "more than {:.3g} nats.",
                          tolerance));
    return exit;
  }

  static void add_edits(const MethodInput& input, const nlohmann::json& parameters, const ImageRegion& region,
                        int64_t exit, AnalysisResult& result) {
    Table table{"edits", {"switch", "edit"}, {}};
    if (exit >= 0)
      for (const std::string& edit : exit_edits(input, region, exit)) table.rows.push_back({"exit", edit});
    const auto ratios = result.fields[0].values.values();
    std::vector<double> least;
    for (const float ratio : ratios) least.push_back(-double{ratio});
    const auto count = static_cast<int64_t>(
        std::floor(parameters["inactive"].get<double>() * static_cast<double>(ratios.size())));
    std::vector<int64_t> inactive = mechanisms::top_indices(least, count);
    std::sort(inactive.begin(), inactive.end());
    for (const int64_t at : inactive)
      table.rows.push_back(
          {"inactive", fmt::format("knockout {} query={}:{} key={}:{}",
                                   to_string(head_at(at, input.capture->spec.n_head)), region.first_patch(),
                                   region.end(), region.first_patch(), region.end())});
    const mechanisms::Grid grid{region.grid_height, region.grid_width};
    const int64_t n = input.capture->n_token();
    const auto near = mechanisms::place(mechanisms::radius_mask(grid, parameters["radius"].get<int64_t>()),
                                        region.first_patch(), n);
    const auto neighbours =
        mechanisms::knockouts(near,
                              input.capture->spec.looks_back() ? mechanisms::KeyMask::causal(n)
                                                               : mechanisms::KeyMask::everything(n, n),
                              "*.*");
    if (neighbours.size() <= most_edits)
      for (const std::string& edit : neighbours) table.rows.push_back({"neighbours", edit});
    result.findings.push_back(fmt::format(
        "In {} of {} heads patches look least at patches (below {:.3g} of their weight): edits 'inactive'.",
        inactive.size(), ratios.size(),
        inactive.empty() ? 0.0
                         : -least[static_cast<size_t>(
                               *std::min_element(inactive.begin(), inactive.end(), [&](int64_t a, int64_t b) {
                                 return least[static_cast<size_t>(a)] < least[static_cast<size_t>(b)];
                               }))]));
    result.tables.push_back(std::move(table));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_token_exit() { return std::make_unique<TokenExit>(); }

}  // namespace saccade
