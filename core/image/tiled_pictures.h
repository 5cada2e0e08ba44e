// Pictures that are read as several: LLaVA-NeXT's best resolution in tiles (Liu et al. 2024), Idefics3's rows
// and columns (arXiv 2408.12637). Private to core/image. Thread: any.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "core/image/image_processor.h"

namespace saccade {

// Of a class's name without its ending.
[[nodiscard]] bool is_tiled(std::string_view type);
// Refuses settings under which tiles of one picture would differ in size.
[[nodiscard]] Result<TileRule> read_tiles(const nlohmann::json& config, std::string_view type);
[[nodiscard]] Result<std::shared_ptr<const PreparedImage>> prepare_tiles(const ImageProcessor& processor,
                                                                         const Picture& picture);
[[nodiscard]] std::string description_of(const TileRule& rule);

// The resolution that keeps most of a picture of that size, and of those the one that pads least.
[[nodiscard]] ImageSize best_resolution(const ImageSize& picture, const std::vector<ImageSize>& resolutions);
// Its size when it fills a resolution along one axis.
[[nodiscard]] ImageSize fitted(const ImageSize& picture, const ImageSize& resolution);
// Idefics3's sizes: the longer side becomes `longest`, the shorter an even number in proportion; then both
// multiples of the tile's side.
[[nodiscard]] ImageSize with_longest_edge(const ImageSize& picture, int32_t longest);
[[nodiscard]] ImageSize in_whole_tiles(const ImageSize& picture, int32_t side);

}  // namespace saccade
