#include "core/run/edit_regions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace saccade {
namespace {

constexpr std::array regions{TokenRegion::sys, TokenRegion::img, TokenRegion::txt, TokenRegion::gen};

constexpr std::array<std::optional<PositionSet> Edit::*, 4> position_settings{&Edit::query, &Edit::key,
                                                                              &Edit::to, &Edit::within};

PositionSet pictures(const TokenPlaces& places, int32_t picture) {
  std::vector<PositionRange> ranges;
  for (size_t i = 0; i < places.images.size(); ++i)
    if (picture == 0 || picture == places.images[i].picture + 1)
      ranges.push_back({places.images[i].first_patch(), places.images[i].end()});
  return PositionSet(std::move(ranges));
}

}  // namespace

std::optional<RegionName> region_named(std::string_view text) {
  for (const TokenRegion region : regions)
    if (text == to_string(region)) return RegionName{region};
  const std::string_view img = to_string(TokenRegion::img);
  RegionName one{TokenRegion::img};
  if (!text.starts_with(img)) return std::nullopt;
  text.remove_prefix(img.size());
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), one.picture);
  if (code != std::errc() || end != text.data() + text.size() || one.picture < 1 || text.front() == '0')
    return std::nullopt;
  return one;
}

std::string to_string(const RegionName& region) {
  std::string name = to_string(region.region);
  if (region.picture > 0) name += std::to_string(region.picture);
  return name;
}

Result<PositionSet> positions_of(const RegionName& region, const TokenPlaces& places) {
  const bool about_pictures = region.region == TokenRegion::img || region.region == TokenRegion::sys;
  if (about_pictures && places.images.empty())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("'{}' is {}, and the prompt has no picture; give one (--image FILE), or positions as "
                    "numbers",
                    to_string(region),
                    region.region == TokenRegion::img ? "where a picture stands"
                                                      : "what stands before the first picture"));
  const int32_t pictures_given = places.images.empty() ? 0 : places.images.back().picture + 1;
  if (region.picture > pictures_given)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("'{}' is picture {} of the prompt, which has {}", to_string(region),
                                  region.picture, pictures_given));
  if (region.region == TokenRegion::img) return pictures(places, region.picture);
  if (region.region == TokenRegion::gen)
    return PositionSet(PositionRange{places.generated_from < 0 ? places.n_token : places.generated_from,
                                     PositionRange::open_end});
  std::vector<PositionRange> ranges;
  const std::vector<TokenRegion> all = regions_of(places.n_token, places.images, places.generated_from);
  for (int64_t i = 0; i < places.n_token; ++i)
    if (all[static_cast<size_t>(i)] == region.region) ranges.push_back({i, i + 1});
  return PositionSet(std::move(ranges));
}

Result<PositionSet> with_numbers(const PositionSet& set, const TokenPlaces& places) {
  std::vector<PositionRange> ranges = set.ranges();
  for (const RegionName& region : set.regions()) {
    SACCADE_TRY(const PositionSet found, positions_of(region, places));
    ranges.insert(ranges.end(), found.ranges().begin(), found.ranges().end());
  }
  return PositionSet(std::move(ranges));
}

Result<Edit> with_numbers(const Edit& edit, const TokenPlaces& places) {
  Edit numbered = edit;
  for (const auto setting : position_settings) {
    if (!(edit.*setting) || (edit.*setting)->regions().empty()) continue;
    auto set = with_numbers(*(edit.*setting), places);
    if (!set.ok()) return std::move(set).error().with(fmt::format("edit '{}'", to_text(edit)));
    numbered.*setting = std::move(*set);
  }
  return numbered;
}

bool names_regions(const Edit& edit) {
  return std::any_of(position_settings.begin(), position_settings.end(),
                     [&](auto setting) { return edit.*setting && !(edit.*setting)->regions().empty(); });
}

}  // namespace saccade
