#include "core/model/image_input.h"

#include <fmt/format.h>

#include <algorithm>

namespace saccade {
namespace {

using Images = std::vector<std::shared_ptr<const PreparedImage>>;

std::string count_of(size_t n, const char* one) { return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s"); }

Result<ImageRegion> region_of(const PatchSpec& patches, const PreparedImage& image, int64_t begin,
                              int32_t n_prefix) {
  ImageRegion region{begin,
                     n_prefix,
                     image.geometry.height / patches.height,
                     image.geometry.width / patches.width,
                     patches.height,
                     patches.width,
                     image.geometry,
                     image.name};
  if (region.grid_height < 1 || region.grid_width < 1)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{}: {} x {} pixels after processing hold no patch of {} x {}", image.name,
                    image.geometry.width, image.geometry.height, patches.width, patches.height));
  return region;
}

// A processor that does not fit the tower would leave a part of the picture without a position.
Result<void> check_merge(const PatchSpec& merged, const PreparedImage& image) {
  const ImageGeometry& g = image.geometry;
  if (g.height % merged.height == 0 && g.width % merged.width == 0) return {};
  return make_error(
      ErrorCode::invalid_argument,
      fmt::format(
          "{}: {} x {} pixels after processing are no multiple of {} x {}, the patches that the model "
          "merges: its preprocessor_config.json does not fit its config.json",
          image.name, g.width, g.height, merged.width, merged.height));
}

void append_positions(const PatchSpec& patches, const ImageRegion& region, const Token& like,
                      std::vector<Token>& tokens) {
  const auto put = [&](std::string text) {
    Token token = like;
    token.text = std::move(text);
    token.special = true;
    tokens.push_back(std::move(token));
  };
  if (region.n_prefix > 0) {
    if (patches.cls) put("CLS");
    if (patches.distillation) put("DIST");
    for (int32_t i = 1; i <= patches.n_register; ++i) put(fmt::format("reg {}", i));
  }
  for (int32_t row = 0; row < region.grid_height; ++row)
    for (int32_t column = 0; column < region.grid_width; ++column) put(fmt::format("{},{}", row, column));
}

Result<TokenSequence> picture_alone(const Model& model, const TokenSequence& text, const Images& images) {
  if (!text.tokens.empty())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} reads pictures, no text: leave the prompt out", model.name()));
  if (images.size() != 1)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{} reads one picture, {} given: give it one with --image FILE", model.name(),
                    images.empty() ? "none is" : fmt::format("{} are", images.size())));
  const PatchSpec& patches = model.spec().patches;
  TokenSequence sequence;
  SACCADE_TRY(const ImageRegion region, region_of(patches, *images[0], 0, patches.n_prefix()));
  append_positions(patches, region, Token{}, sequence.tokens);
  sequence.images.push_back({region, images[0]});
  return sequence;
}

Result<TokenSequence> among_words(const Model& model, const TokenSequence& text, const Images& images) {
  const TowerUse& use = model.spec().tower;
  const int32_t placeholder = use.image_token_id;
  if (use.film_token_id >= 0 && std::any_of(text.tokens.begin(), text.tokens.end(), [&](const Token& token) {
        return token.id == use.film_token_id;
      }))
    return make_error(
        ErrorCode::unsupported,
        fmt::format("the prompt has a place for a film (token {}): films are not read; take single "
                    "pictures of it",
                    use.film_token_id));
  const auto places = static_cast<size_t>(std::count_if(
      text.tokens.begin(), text.tokens.end(), [&](const Token& token) { return token.id == placeholder; }));
  if (places != images.size()) {
    const auto token = model.tokenizer().token(placeholder);
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("the prompt has {} for pictures ({}, token {}), {} given: they must be as many",
                    count_of(places, "place"), token.ok() ? token->text : "image token", placeholder,
                    images.size() == 1 ? "1 is" : fmt::format("{} are", images.size())));
  }
  // Patches as the decoder gets them: merged.
  PatchSpec patches = model.tower()->spec().patches;
  patches.height *= use.merge;
  patches.width *= use.merge;
  TokenSequence sequence;
  sequence.text = text.text;
  for (const Token& token : text.tokens) {
    if (token.id != placeholder) {
      sequence.tokens.push_back(token);
      continue;
    }
    const auto& image = images[sequence.images.size()];
    if (use.merge > 1) SACCADE_CHECK(check_merge(patches, *image));
    SACCADE_TRY(const ImageRegion region,
                region_of(patches, *image, sequence.size(), use.drops_prefix ? 0 : patches.n_prefix()));
    append_positions(patches, region, token, sequence.tokens);
    sequence.images.push_back({region, image});
  }
  return sequence;
}

}  // namespace

Result<std::shared_ptr<const PreparedImage>> prepare_image(const Model& model, const Picture& picture) {
  const Result<ImageProcessor>& processor = model.image_processor();
  if (!model.spec().reads_pictures())
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} ({}) reads text only: it cannot be given pictures", model.name(),
                                  model.spec().family));
  if (!processor.ok()) return Error(processor.error()).with(model.name());
  return processor->prepare(picture);
}

Result<TokenSequence> place_images(const Model& model, TokenSequence text, const Images& images) {
  if (model.spec().is_picture_model()) return picture_alone(model, text, images);
  if (model.spec().reads_pictures()) return among_words(model, text, images);
  if (images.empty()) return text;
  return make_error(
      ErrorCode::unsupported,
      fmt::format("{} ({}) reads text only: it cannot be given pictures", model.name(), model.spec().family));
}

std::string text_of_place(const Model& model) {
  const int32_t placeholder = model.spec().tower.image_token_id;
  const Result<Token> token =
      placeholder >= 0 ? model.tokenizer().token(placeholder)
                       : Result<Token>(make_error(ErrorCode::not_found, "no pictures among words"));
  if (!token.ok()) return "";
  if (token->text == "<|image_pad|>") return "<|vision_start|>" + token->text + "<|vision_end|>";
  return token->text;
}

Result<TokenSequence> with_patches(const TokenSequence& tokens, size_t picture,
                                   const std::vector<int32_t>& patches) {
  const auto refused = [](const std::string& what) { return make_error(ErrorCode::invalid_argument, what); };
  if (picture >= tokens.images.size())
    return refused(fmt::format("the prompt has {}, number {} is asked for",
                               count_of(tokens.images.size(), "picture"), picture + 1));
  const PlacedImage& placed = tokens.images[picture];
  const ImageRegion& region = placed.region;
  const auto count = static_cast<int32_t>(region.end() - region.first_patch());
  if (region.n_prefix > 0) return refused("only pictures in a prompt can be read in part");
  for (const int32_t patch : patches)
    if (patch < 0 || patch >= count)
      return refused(fmt::format("the picture has patches 0-{}, found {}", count - 1, patch));
  TokenSequence made = tokens;
  const auto kept = static_cast<int64_t>(patches.size());
  const auto first = made.tokens.begin() + region.begin;
  std::vector<Token> labels;
  for (const int32_t patch : patches) labels.push_back(*(first + patch));
  const auto gap = made.tokens.erase(first, first + count);
  made.tokens.insert(gap, labels.begin(), labels.end());
  if (made.tokens.empty()) return refused("without its picture nothing is left of the prompt");
  const int64_t moved = kept - count;
  if (made.generated_from >= 0) made.generated_from += moved;
  for (size_t i = picture + 1; i < made.images.size(); ++i) made.images[i].region.begin += moved;
  if (patches.empty()) {
    made.images.erase(made.images.begin() + static_cast<ptrdiff_t>(picture));
    return made;
  }
  PlacedImage& part = made.images[picture];
  part.region.grid_height = 1;
  part.region.grid_width = static_cast<int32_t>(kept);
  part.kept.clear();
  for (const int32_t patch : patches)
    part.kept.push_back(placed.kept.empty() ? patch : placed.kept[static_cast<size_t>(patch)]);
  return made;
}

Result<TokenSequence> without_images(const TokenSequence& tokens) {
  TokenSequence left = tokens;
  while (!left.images.empty()) {
    SACCADE_TRY(left, with_patches(left, left.images.size() - 1, {}));
  }
  return left;
}

}  // namespace saccade
