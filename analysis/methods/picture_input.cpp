#include "analysis/methods/picture_input.h"

#include <fmt/format.h>

namespace saccade {

Result<void> require_picture(const TokenPlaces& places, const ModelSpec& spec, std::string_view method) {
  if (!places.images.empty()) return {};
  if (spec.reads_pictures())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{} is about a picture, and the prompt has none: give one with --image FILE "
                    "and its place in the prompt, as in --prompt \"<image> What is this?\"",
                    method));
  return make_error(ErrorCode::unsupported,
                    fmt::format("{} is about a picture, and this model ({}) reads text only; open one that "
                                "reads pictures, such as a llava folder",
                                method, spec.family));
}

Result<void> require_picture_and_text(const TokenPlaces& places, const ModelSpec& spec,
                                      std::string_view method) {
  SACCADE_CHECK(require_picture(places, spec, method));
  if (!positions_behind_picture(places).empty()) return {};
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("{} needs text behind the picture, and there is none{}", method,
                                spec.is_picture_model() ? ": this model reads a picture alone" : ""));
}

std::vector<int64_t> positions_behind_picture(const TokenPlaces& places) {
  const std::vector<TokenRegion> regions = regions_of(places.n_token, places.images, places.generated_from);
  std::vector<int64_t> behind;
  for (int64_t i = 0; i < places.n_token; ++i)
    if (const TokenRegion region = regions[static_cast<size_t>(i)];
        region == TokenRegion::txt || region == TokenRegion::gen)
      behind.push_back(i);
  return behind;
}

Table edits_table(std::string name, const std::vector<Edit>& edits) {
  Table table{std::move(name), {"layer", "edit"}, {}};
  for (const Edit& edit : edits) {
    const auto* heads = std::get_if<HeadTarget>(&edit.target);
    const int32_t layer = heads && !heads->layers.ranges.empty() ? heads->layers.ranges[0].first : 0;
    table.rows.push_back({int64_t{layer}, to_text(edit)});
  }
  return table;
}

RunRequest with_edits(RunRequest request, const std::vector<Edit>& edits) {
  request.edits.insert(request.edits.end(), edits.begin(), edits.end());
  return request;
}

}  // namespace saccade
