// carve: where a question makes the model look more than a general instruction does; the picture cut to that;
// and what the model answers then (analysis/images/contrast_mask.h).
//
// Three rounds: both prompts are answered; both are run again with their answers, because maps are
// regenerated from runs; the question is asked again with the crop alone, and with picture and crop.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "analysis/images/contrast_mask.h"
#include "analysis/images/crop_picture.h"
#include "analysis/images/patch_field.h"
#include "analysis/images/picture_run.h"
#include "analysis/methods/carve_contrast.h"
#include "analysis/methods/registry.h"
#include "core/model/image_input.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "carve";
  info.title = "Contrast with a general instruction, crop, ask again";
  info.summary =
      "Weights on the picture under the question over those under a general instruction; the regions where "
      "the "
      "question looks more; the answers on the crop, and on picture and crop.";
  info.citation = "Ge et al. 2025 (CARVE, arXiv 2509.06461) and the authors' code; other depths: own";
  info.parameters = {
      {"general", "General instruction",
       "Stands in the place of the question; ids:5,6,7 for tokens by number.",
       "Write a general description of the image."},
      {"question", "Question", "Positions, such as 40:47; empty: all that follows the picture.", ""},
      {"tokens", "Tokens", "Of each answer, at most.", 32, 1, 1000},
      {"share", "Share", "Of the pixels that the mask takes; the paper finds 0.2 to 0.6 best.", 0.2, 0.01,
       1.0},
      {"regions", "Regions", "That are kept at least, of those there are.", 3, 1, 1000},
      {"from", "From layer", "-1: 62 % of the depth.", -1, -1, 1000},
      {"to", "To layer", "-1: 80 % of the depth.", -1, -1, 1000}};
  return info;
}

Result<TokenSequence> general_tokens(const MethodInput& input) {
  const std::string text = input.parameters["general"].get<std::string>();
  const Tokenizer& tokenizer = input.model->tokenizer();
  Result<TokenSequence> made = make_error(ErrorCode::invalid_argument, "no instruction");
  if (text.rfind("ids:", 0) == 0) {
    std::vector<int32_t> ids;
    for (const char *at = text.data() + 4, *end = text.data() + text.size(); at < end;) {
      int32_t id = 0;
      const auto [next, code] = std::from_chars(at, end, id);
      if (code != std::errc() || (next != end && *next != ','))
        return make_error(ErrorCode::invalid_argument,
                          fmt::format("general takes a text, or ids:5,6,7; found '{}'", text));
      ids.push_back(id);
      at = next + 1;
    }
    made = tokenizer.sequence(ids);
  } else {
    EncodeOptions plain;
    plain.add_special_tokens = false;
    made = tokenizer.encode(text, plain);
  }
  if (!made.ok())
    return std::move(made).error().with("general instruction (ids:5,6,7 gives tokens by number)");
  if (made->tokens.empty())
    return make_error(ErrorCode::invalid_argument, "the general instruction is empty");
  return made;
}

Result<LayerRange> layers_of(const MethodInput& input) {
  return carve_layers(input.capture->spec.n_layer, input.parameters["from"].get<int32_t>(),
                      input.parameters["to"].get<int32_t>());
}

SamplingOptions greedy(const MethodInput& input) {
  SamplingOptions options;
  options.max_tokens = input.parameters["tokens"].get<int>();
  return options;
}

// The prompt with the general instruction in the place of the question.
Result<RunRequest> general_request(const MethodInput& input, const PositionRange& question) {
  SACCADE_TRY(const TokenSequence general, general_tokens(input));
  RunRequest request = input.base;
  auto& tokens = request.tokens.tokens;
  tokens.erase(tokens.begin() + question.begin, tokens.begin() + question.end);
  tokens.insert(tokens.begin() + question.begin, general.tokens.begin(), general.tokens.end());
  return request;
}

RunRequest with_answer(RunRequest request, const Generation& answer) {
  for (const Token& token : answer.tokens) request.tokens.tokens.push_back(token);
  request.capture = CapturePlan{};
  request.capture.loss = request.capture.residuals = request.capture.statistics = false;
  return request;
}

class Carve final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    SACCADE_CHECK(check(input));
    SACCADE_TRY(const ImageRegion region, picture_region(*input.capture, 0, info_.id));
    SACCADE_TRY(
        const PositionRange question,
        question_after(*input.capture, region, input.parameters["question"].get<std::string>(), info_.id));
    SACCADE_TRY(const LayerRange layers, layers_of(input));
    SACCADE_TRY(const RunRequest general, general_request(input, question));
    if (input.outcomes.empty()) {
      wanted.emplace_back(GenerationWanted{input.base, greedy(input)});
      wanted.emplace_back(GenerationWanted{general, greedy(input)});
    } else if (input.outcomes.size() == 2) {
      const Generation *about_question = generation_in(input.outcomes, 0),
                       *about_all = generation_in(input.outcomes, 1);
      if (about_question == nullptr || about_all == nullptr) return wanted;
      wanted.emplace_back(RunWanted{with_answer(input.base, *about_question)});
      wanted.emplace_back(RunWanted{with_answer(general, *about_all)});
    } else if (input.outcomes.size() == 4 && capture_in(input.outcomes, 2) && capture_in(input.outcomes, 3)) {
      SACCADE_TRY(const CarveContrast contrast,
                  contrast_between(answers_of(input), layers, region, *input.kernels, {}));
      const ContrastMask mask = mask_of(input, region, contrast);
      const auto crop = crop_of(input, mask);
      RunRequest cut = input.base;
      cut.tokens.images[0].image = crop;
      cut.tokens.images[0].region.geometry = crop->geometry;
      wanted.emplace_back(GenerationWanted{std::move(cut), greedy(input)});
      SACCADE_TRY(RunRequest both, picture_and_crop(input, crop));
      wanted.emplace_back(GenerationWanted{std::move(both), greedy(input)});
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    MethodInput complete = input;
    SACCADE_TRY(complete.parameters, complete_parameters(info_, input.parameters));
    SACCADE_CHECK(check(complete));
    if (!capture_in(input.outcomes, 2) || !capture_in(input.outcomes, 3))
      return make_error(ErrorCode::cancelled, "cancelled");
    SACCADE_TRY(const ImageRegion region, picture_region(*input.capture, 0, info_.id));
    SACCADE_TRY(const LayerRange layers, layers_of(complete));
    SACCADE_TRY(const CarveContrast contrast,
                contrast_between(answers_of(input), layers, region, *input.kernels, job));
    const ContrastMask mask = mask_of(complete, region, contrast);
    const std::string& request = input.capture->provenance.request;
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = complete.parameters;
    result.requests = {request};
    const std::vector<double> kept = kept_of_patches(input, region, mask);
    result.fields = {over_patches("contrast", "Question over general instruction", ValueKind::magnitude,
                                  region, contrast.map, request),
                     over_patches("mask", "Share of the patch that is kept", ValueKind::probability, region,
                                  kept, request),
                     entropy_field("question", contrast.question_entropy, request),
                     entropy_field("general", contrast.general_entropy, request)};
    result.tables.push_back(regions_table(mask));
    result.tables.push_back(edits_table(region, kept));
    result.tables.push_back(answers_table(input));
    say(complete, contrast, mask, result);
    return result;
  }

 private:
  static Result<void> check(const MethodInput& input) {
    SACCADE_CHECK(require_model(input, "carve"));
    SACCADE_CHECK(picture_region(*input.capture, 0, "carve"));
    if (input.capture->images.size() > 1 && input.capture->images[1].picture == 0)
      return make_error(ErrorCode::unsupported,
                        "carve crops a picture that is read once; this model reads it in several parts");
    if (!input.capture->spec.is_picture_model() && !input.base.tokens.images.empty()) return {};
    return make_error(
        ErrorCode::unsupported,
        "carve asks a question about a picture; this model reads pictures alone: use a decoder");
  }

  static AnsweredRuns answers_of(const MethodInput& input) {
    const auto made = [&](size_t at) {
      return static_cast<int64_t>(generation_in(input.outcomes, at)->tokens.size());
    };
    return {capture_in(input.outcomes, 2), capture_in(input.outcomes, 3), made(0), made(1)};
  }

  static const PreparedImage& prepared(const MethodInput& input) {
    return *input.base.tokens.images[0].image;
  }

  static ContrastMask mask_of(const MethodInput& input, const ImageRegion& region,
                              const CarveContrast& contrast) {
    const auto& shape = prepared(input).pixels.shape();
    const GridMap map = resize_map({region.grid_height, region.grid_width, contrast.map}, shape[1], shape[2]);
    return contrast_mask(map, input.parameters["share"].get<double>(),
                         input.parameters["regions"].get<int64_t>());
  }

  static std::shared_ptr<const PreparedImage> crop_of(const MethodInput& input, const ContrastMask& mask) {
    const auto& processor = input.model->image_processor();
    const std::vector<float> black =
        processor.ok() ? black_of(*processor)
                       : std::vector<float>(static_cast<size_t>(prepared(input).pixels.shape()[0]), 0.0F);
    return masked_crop(prepared(input), mask.kept, mask.box, black);
  }

  // The prompt with the crop as one more picture behind the first.
  static Result<RunRequest> picture_and_crop(const MethodInput& input,
                                             const std::shared_ptr<const PreparedImage>& crop) {
    const TokenSequence& tokens = input.base.tokens;
    TokenSequence text;
    std::vector<std::shared_ptr<const PreparedImage>> images;
    size_t next = 0;
    for (int64_t at = 0; at < tokens.size(); ++at) {
      if (next >= tokens.images.size() || at != tokens.images[next].region.begin) {
        text.tokens.push_back(tokens.tokens[static_cast<size_t>(at)]);
        continue;
      }
      Token place;
      place.id = input.model->spec().tower.image_token_id;
      for (const auto& image :
           next == 0 ? std::vector{tokens.images[0].image, crop} : std::vector{tokens.images[next].image}) {
        text.tokens.push_back(place);
        images.push_back(image);
      }
      at = tokens.images[next++].region.end() - 1;
    }
    RunRequest request = input.base;
    SACCADE_TRY(request.tokens, place_images(*input.model, std::move(text), images));
    return request;
  }

  static std::vector<double> kept_of_patches(const MethodInput& input, const ImageRegion& region,
                                             const ContrastMask& mask) {
    const auto& shape = prepared(input).pixels.shape();
    std::vector<double> kept(static_cast<size_t>(region.grid_height) * static_cast<size_t>(region.grid_width),
                             0.0),
        all = kept;
    for (int64_t y = 0; y < shape[1]; ++y)
      for (int64_t x = 0; x < shape[2]; ++x) {
        const int64_t row = y * region.grid_height / shape[1], column = x * region.grid_width / shape[2];
        const auto patch = static_cast<size_t>(row * region.grid_width + column);
        all[patch] += 1.0;
        if (mask.kept[static_cast<size_t>(y * shape[2] + x)]) kept[patch] += 1.0;
      }
    for (size_t j = 0; j < kept.size(); ++j) kept[j] /= std::max(all[j], 1.0);
    return kept;
  }

  static Field entropy_field(const std::string& of, const std::vector<double>& values,
                             const std::string& request) {
    Field field{of + "_entropy",
                "Entropy over patches at the last step, " + of,
                "nats",
                ValueKind::magnitude,
                {{AxisKind::layer, "layer", {}}},
                HostTensor({static_cast<int64_t>(values.size())}),
                request};
    for (size_t l = 0; l < values.size(); ++l)
      field.values.mutable_values()[l] = static_cast<float>(values[l]);
    return field;
  }

  static Table regions_table(const ContrastMask& mask) {
    Table table{"regions", {"region", "score", "pixels", "top", "left", "bottom", "right"}, {}};
    for (size_t r = 0; r < mask.regions.size(); ++r) {
      const MaskRegion& one = mask.regions[r];
      table.rows.push_back(
          {static_cast<int64_t>(r), one.score, one.cells, one.top, one.left, one.bottom, one.right});
    }
    return table;
  }

  // The mask as an edit: patches of which less than half is kept are hidden.
  static Table edits_table(const ImageRegion& region, const std::vector<double>& kept) {
    Table table{"edits", {"edit"}, {}};
    std::vector<int64_t> hidden;
    for (size_t j = 0; j < kept.size(); ++j)
      if (kept[j] < 0.5) hidden.push_back(static_cast<int64_t>(j));
    if (!hidden.empty())
      table.rows.push_back({fmt::format("knockout *.* key={}", positions_text(region, hidden))});
    return table;
  }

  static Table answers_table(const MethodInput& input) {
    Table table{"answers", {"asked", "answer"}, {}};
    constexpr std::array names{std::pair{"question", 0}, std::pair{"general instruction", 1},
                               std::pair{"question on the crop", 4},
                               std::pair{"question on picture and crop", 5}};
    for (const auto& [name, at] : names)
      if (const Generation* answer = generation_in(input.outcomes, static_cast<size_t>(at)))
        table.rows.push_back({std::string(name), answer->text});
    return table;
  }

  static void say(const MethodInput& input, const CarveContrast& contrast, const ContrastMask& mask,
                  AnalysisResult& result) {
    const auto& shape = prepared(input).pixels.shape();
    result.findings.push_back(
        fmt::format("Over {} steps the question looks more than the instruction in {} regions; {} are kept, "
                    "inside rows {} to "
                    "{} and columns {} to {} of {} x {} pixels.",
                    contrast.steps, mask.found, mask.regions.size(), mask.box.top, mask.box.bottom - 1,
                    mask.box.left, mask.box.right - 1, shape[1], shape[2]));
    const auto& processor = input.model->image_processor();
    if (processor.ok() && shape[0] == 3) {
      const PictureComplexity complexity = complexity_of(picture_from(prepared(input), *processor));
      result.findings.push_back(
          fmt::format("The picture: {:.1f} % of its pixels are edges, its hues have {:.2f} of "
                      "the entropy there could be.",
                      100 * complexity.texture, complexity.colour));
    } else {
      result.findings.emplace_back(
          "The model does not say how pixels become numbers: what is masked has the mean colour, not black.");
    }
    const Generation *before = generation_in(input.outcomes, 0), *cut = generation_in(input.outcomes, 4),
                     *both = generation_in(input.outcomes, 5);
    if (before == nullptr || cut == nullptr || both == nullptr) {
      result.partial = true;
      return;
    }
    const auto same = [&](const Generation* answer) {
      return answer->text == before->text ? "is the same" : fmt::format("becomes '{}'", answer->text);
    };
    result.findings.push_back(fmt::format("The answer '{}' {} on the crop alone and {} on picture and crop.",
                                          before->text, same(cut), same(both)));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_carve() { return std::make_unique<Carve>(); }

}  // namespace saccade
