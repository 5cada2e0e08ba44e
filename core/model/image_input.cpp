#include "core/model/image_input.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/model/tile_grid.h"

namespace saccade {
namespace {

using Images = std::vector<std::shared_ptr<const PreparedImage>>;

std::string count_of(size_t n, const char* one) { return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s"); }

// merge x merge patches are one position.
Result<ImageRegion> region_of(const PatchSpec& patches, const PreparedImage& image, int64_t begin,
                              int32_t n_prefix, int32_t merge = 1) {
  ImageRegion region{begin,
                     n_prefix,
                     image.geometry.height / (patches.height * merge),
                     image.geometry.width / (patches.width * merge),
                     patches.height * merge,
                     patches.width * merge,
                     image.geometry,
                     image.name};
  if (image.tile_height > 0) {
    const GridSize grid = tiled_grid(image, patches);
    const GridWindow shown = shown_window(image, grid);
    region.grid_height = shown.height;
    region.grid_width = shown.width;
    // Where tiles are no whole number of patches, patches are drawn as much larger as fills them.
    ImageGeometry& g = region.geometry;
    const double x = static_cast<double>(grid.width) * patches.width / g.width,
                 y = static_cast<double>(grid.height) * patches.height / g.height;
    g.scale_x *= x;
    g.scale_y *= y;
    g.offset_x = g.offset_x * x - static_cast<double>(shown.column) * patches.width;
    g.offset_y = g.offset_y * y - static_cast<double>(shown.row) * patches.height;
  }
  if (region.grid_height < 1 || region.grid_width < 1)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{}: {} x {} pixels after processing hold no patch of {} x {}", image.name,
                    image.geometry.width, image.geometry.height, patches.width, patches.height));
  return region;
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
  for (int32_t row = 0; row < region.grid_height; ++row) {
    for (int32_t column = 0; column < region.grid_width; ++column) put(fmt::format("{},{}", row, column));
    for (int32_t i = 0; i < region.row_extra; ++i) put("newline");
  }
}

Result<void> check_tiles(const PreparedImage& image, const PatchSpec& patches, const TowerUse& use) {
  const auto refused = [&](const std::string& what) {
    return make_error(ErrorCode::invalid_argument, fmt::format("{}: {}", image.name, what));
  };
  if (image.tile_height > 0 &&
      (image.tile_height != patches.image_height || image.tile_width != patches.image_width))
    return refused(fmt::format("the image processor makes tiles of {} x {}, the vision tower reads {} x {}",
                               image.tile_width, image.tile_height, patches.image_width,
                               patches.image_height));
  // Else a part of the picture would have no position.
  const ImageGeometry& g = image.geometry;
  const int32_t height = patches.height * use.merge, width = patches.width * use.merge;
  if (use.merge > 1 && (g.height % height != 0 || g.width % width != 0))
    return refused(
        fmt::format("{} x {} pixels after processing are no multiple of {} x {}, the patches that the model "
                    "merges: its preprocessor_config.json does not fit its config.json",
                    g.width, g.height, width, height));
  return {};
}

constexpr const char* tile_border = "<fake_token_around_image>";

// Idefics3's words before a tile: where it stands; the last is the whole picture.
std::string words_before(const std::vector<std::shared_ptr<const PreparedImage>>& parts, size_t i) {
  const PreparedImage& part = *parts[i];
  std::string words;
  if (i > 0 && part.row != parts[i - 1]->row) words = part.row == 0 ? "\n\n" : "\n";
  words += tile_border;
  return words + (part.row == 0 ? "<global-img>" : fmt::format("<row_{}_col_{}>", part.row, part.column));
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

Result<void> append_part(const Model& model, const std::shared_ptr<const PreparedImage>& image,
                         int32_t picture, const Token& like, TokenSequence& sequence) {
  const TowerUse& use = model.spec().tower;
  const PatchSpec& patches = model.tower()->spec().patches;
  SACCADE_CHECK(check_tiles(*image, patches, use));
  SACCADE_TRY(ImageRegion region, region_of(patches, *image, sequence.size(),
                                            use.drops_prefix ? 0 : patches.n_prefix(), use.merge));
  region.row_extra = use.newline && image->tile_height > 0 ? 1 : 0;
  region.picture = picture;
  if (image->row > 0) region.name += fmt::format(", tile {},{}", image->row, image->column);
  if (image->tile_height > 0) region.name += ", tiles";
  append_positions(patches, region, like, sequence.tokens);
  sequence.images.push_back({region, image});
  return {};
}

// A picture at one place of the prompt: as one region, or as its parts with the words between them.
Result<void> append_picture(const Model& model, const std::shared_ptr<const PreparedImage>& image,
                            int32_t picture, const Token& like, TokenSequence& sequence) {
  const auto parts = image->parts.empty() ? std::vector{image} : image->parts;
  EncodeOptions plain;
  plain.add_special_tokens = false;
  const auto say = [&](const std::string& words) -> Result<int32_t> {
    auto said = model.tokenizer().encode(words, plain);
    if (!said.ok()) return std::move(said).error().with("the words between the tiles of a picture");
    for (Token& token : said->tokens) token.begin = token.end = like.begin;  // nobody wrote them
    sequence.tokens.insert(sequence.tokens.end(), said->tokens.begin(), said->tokens.end());
    return static_cast<int32_t>(said->tokens.size());
  };
  const bool labels = model.spec().tower.labels_tiles;
  for (size_t i = 0; i < parts.size(); ++i) {
    int32_t before = 0;
    if (labels) {
      SACCADE_TRY(before, say(words_before(parts, i)));
    }
    SACCADE_CHECK(append_part(model, parts[i], picture, like, sequence));
    sequence.images.back().said_before = before;
  }
  if (labels) {
    SACCADE_TRY(sequence.images.back().said_after, say(tile_border));
  }
  return {};
}

// PaliGemma was trained on pictures, BOS, words and a line feed; its tokenizer writes BOS first.
TokenSequence as_trained(const Model& model, const TokenSequence& text) {
  const ModelSpec& spec = model.spec();
  const auto is_place = [&](const Token& token) { return token.id == spec.tower.image_token_id; };
  if (spec.prefix == 0 || spec.bos_ids.empty() || text.size() < 2 || text.tokens[0].id != spec.bos_ids[0] ||
      !is_place(text.tokens[1]) || text.generated_from >= 0)
    return text;
  TokenSequence made = text;
  const auto words = std::find_if_not(made.tokens.begin() + 1, made.tokens.end(), is_place);
  std::rotate(made.tokens.begin(), made.tokens.begin() + 1, words);
  EncodeOptions plain;
  plain.add_special_tokens = false;
  auto feed = model.tokenizer().encode("\n", plain);
  if (feed.ok() && feed->size() == 1 && made.tokens.back().id != feed->tokens[0].id) {
    Token& token = feed->tokens[0];
    token.begin = token.end = static_cast<int64_t>(text.text.size());
    made.tokens.push_back(token);
  }
  return made;
}

Result<TokenSequence> among_words(const Model& model, const TokenSequence& given, const Images& images) {
  const TokenSequence text = as_trained(model, given);
  const int32_t placeholder = model.spec().tower.image_token_id;
  if (model.spec().tower.film_token_id >= 0 &&
      std::any_of(text.tokens.begin(), text.tokens.end(),
                  [&](const Token& token) { return token.id == model.spec().tower.film_token_id; }))
    return make_error(
        ErrorCode::unsupported,
        fmt::format("the prompt has a place for a film (token {}): films are not read; take single "
                    "pictures of it",
                    model.spec().tower.film_token_id));
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
  TokenSequence sequence;
  sequence.text = text.text;
  int32_t picture = 0;
  for (const Token& token : text.tokens) {
    if (token.id != placeholder) {
      sequence.tokens.push_back(token);
      continue;
    }
    SACCADE_CHECK(append_picture(model, images[static_cast<size_t>(picture)], picture, token, sequence));
    ++picture;
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
  const auto count = static_cast<int32_t>(region.patches()),
             all = static_cast<int32_t>(region.end() - region.begin);
  if (region.n_prefix > 0) return refused("only pictures in a prompt can be read in part");
  for (const int32_t patch : patches)
    if (patch < 0 || patch >= count)
      return refused(fmt::format("the picture has patches 0-{}, found {}", count - 1, patch));
  TokenSequence made = tokens;
  const auto kept = static_cast<int64_t>(patches.size());
  const auto first = made.tokens.begin() + region.begin;
  std::vector<Token> labels;
  for (const int32_t patch : patches)
    labels.push_back(made.tokens[static_cast<size_t>(region.position(patch))]);
  const auto gap = made.tokens.erase(first, first + all);
  made.tokens.insert(gap, labels.begin(), labels.end());
  if (made.tokens.empty()) return refused("without its picture nothing is left of the prompt");
  const int64_t moved = kept - all;
  if (made.generated_from >= 0) made.generated_from += moved;
  for (size_t i = picture + 1; i < made.images.size(); ++i) made.images[i].region.begin += moved;
  if (patches.empty()) {
    made.images.erase(made.images.begin() + static_cast<ptrdiff_t>(picture));
    return made;
  }
  PlacedImage& part = made.images[picture];
  part.region.grid_height = 1;
  part.region.grid_width = static_cast<int32_t>(kept);
  part.region.row_extra = 0;
  part.kept.clear();
  for (const int32_t patch : patches)
    part.kept.push_back(placed.kept.empty() ? static_cast<int32_t>(region.position(patch) - region.begin)
                                            : placed.kept[static_cast<size_t>(patch)]);
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
