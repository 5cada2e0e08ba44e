#include "core/run/position_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "core/run/edit_regions.h"

namespace saccade {
namespace {

// Tokens that are laid out together: a picture's grid, or a row of text.
struct Block {
  int64_t begin = 0, height = 1, width = 0;
  bool is_picture = false;
  [[nodiscard]] int64_t size() const { return height * width; }
  [[nodiscard]] int64_t end() const { return begin + size(); }
};

Error bad(const Edit& edit, const std::string& what) {
  return make_error(ErrorCode::invalid_argument, fmt::format("edit '{}': {}", to_text(edit), what));
}

// The pictures that the edit's tokens hold whole, and what is left of them, range by range.
Result<std::vector<Block>> blocks_of(const Edit& edit, const TokenPlaces& places) {
  const bool whole_pictures =
      edit.layout == PositionLayout::concentric || edit.layout == PositionLayout::columns;
  std::vector<Block> blocks;
  std::vector<PositionRange> left;
  if (edit.query) left = edit.query->ranges();
  for (const ImageRegion& image : places.images) {
    const Block picture{image.first_patch(), image.grid_height, image.grid_width, true};
    if (!edit.query) blocks.push_back(picture);
    for (size_t i = 0; i < left.size(); ++i) {
      if (left[i].begin > picture.begin || left[i].end < picture.end()) continue;
      const PositionRange behind{picture.end(), left[i].end};
      left[i].end = picture.begin;
      left.push_back(behind);
      blocks.push_back(picture);
      break;
    }
  }
  if (!edit.query && blocks.empty())
    return bad(edit, "the prompt has no picture; give one (--image FILE), or name tokens=");
  for (const PositionRange& range : left) {
    if (range.begin >= range.end) continue;
    if (range.end == PositionRange::open_end)
      return bad(edit, "tokens that are still to be written have no layout; end tokens= with the prompt");
    if (whole_pictures)
      return bad(edit, fmt::format("layout={} is of whole pictures, and tokens {}:{} are none; leave tokens= "
                                   "out, or name img",
                                   to_string(edit.layout), range.begin, range.end));
    blocks.push_back({range.begin, 1, range.end - range.begin});
  }
  return blocks;
}

void move(TokenPositions& positions, const PositionRange& range, int64_t by) {
  const auto n = static_cast<int64_t>(positions.of_token.size());
  for (int64_t i = range.begin; i < std::min(range.end, n); ++i)
    positions.of_token[static_cast<size_t>(i)] += by;
  if (range.end == PositionRange::open_end) positions.after += by;
}

void lay_out(TokenPositions& positions, const Block& block, const Edit& edit) {
  const auto at = positions.of_token.begin() + block.begin;
  if (edit.layout == PositionLayout::concentric) {
    const int64_t first = *at;
    for (int64_t patch = 0; patch < block.size(); ++patch)
      at[patch] = first + ring_of(block.height, block.width, patch);
    move(positions, {block.end(), PositionRange::open_end}, (block.height + 1) / 2 - block.size());
    return;
  }
  const std::vector<int64_t> before(at, at + block.size());
  const std::vector<int64_t> order = patch_order(block.height, block.width, edit.layout, edit.seed);
  for (size_t place = 0; place < order.size(); ++place) at[order[place]] = before[place];
}

}  // namespace

int64_t ring_of(int64_t height, int64_t width, int64_t patch) {
  const int64_t y = patch / width, x = patch % width;
  return std::min({y, x, height - 1 - y, width - 1 - x});
}

std::vector<int64_t> patch_order(int64_t height, int64_t width, PositionLayout layout, int64_t seed) {
  std::vector<int64_t> patches(static_cast<size_t>(height * width));
  std::iota(patches.begin(), patches.end(), 0);
  switch (layout) {
    case PositionLayout::concentric:
      break;
    case PositionLayout::reversed:
      std::reverse(patches.begin(), patches.end());
      break;
    case PositionLayout::columns:
      for (int64_t at = 0; at < height * width; ++at)
        patches[static_cast<size_t>(at)] = at % height * width + at / height;
      break;
    case PositionLayout::shuffled: {  // Fisher and Yates; what std::shuffle draws differs between libraries
      std::mt19937_64 random(static_cast<uint64_t>(seed));
      for (size_t i = patches.size(); i > 1; --i) std::swap(patches[i - 1], patches[random() % i]);
      break;
    }
  }
  return patches;
}

bool moves_positions(EditVerb verb) { return verb == EditVerb::reposition || verb == EditVerb::shift; }

Result<TokenPositions> positions_under(std::span<const Edit> edits, int32_t layer,
                                       const TokenPlaces& places) {
  TokenPositions positions;
  for (const Edit& named : edits) {
    const auto* heads = std::get_if<HeadTarget>(&named.target);
    if (!moves_positions(named.verb) || !has_effect(named) || !heads || !heads->layers.contains(layer))
      continue;
    SACCADE_TRY(const Edit edit, with_numbers(named, places));
    if (!positions.moved()) {
      positions.of_token.resize(static_cast<size_t>(places.n_token));
      std::iota(positions.of_token.begin(), positions.of_token.end(), 0);
    }
    if (edit.verb == EditVerb::reposition) {
      SACCADE_TRY(const std::vector<Block> blocks, blocks_of(edit, places));
      for (const Block& block : blocks) lay_out(positions, block, edit);
    } else if (edit.query) {
      for (const PositionRange& range : edit.query->ranges())
        move(positions, range, static_cast<int64_t>(edit.by));
    } else {
      move(positions, {0, PositionRange::open_end}, static_cast<int64_t>(edit.by));
    }
    const int64_t least = std::min(
        places.n_token + positions.after,
        positions.moved() ? *std::min_element(positions.of_token.begin(), positions.of_token.end()) : 0);
    if (least < 0) return bad(named, fmt::format("a token would stand at {}; positions begin at 0", least));
  }
  return positions;
}

}  // namespace saccade
