// How maps are laid over pictures, everywhere in the window: one value, shared, kept in the session.
#pragma once

#include <QString>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "analysis/colour.h"
#include "core/image/picture.h"

namespace saccade {

// A picture of the request: its pixels as they were read, and the file that a session names.
struct GivenPicture {
  QString path;
  std::shared_ptr<const Picture> pixels;
};

// By the ending of its name: what a drop or the command line means by it.
[[nodiscard]] bool is_picture_file(const QString& path);

enum class PictureSource { head, layer_mean, field };  // the selected heads' mean; all heads of their layer
enum class LookFrom { selection, cls, pointer };       // whose row is drawn

// A rectangle that a person drew, in pixels of the original picture.
struct LookRegion {
  int picture = 0;  // which of the request's
  QString name;
  double left = 0.0, top = 0.0, right = 0.0, bottom = 0.0;
  bool operator==(const LookRegion&) const = default;
};

struct PictureLook {
  PictureSource source = PictureSource::head;
  LookFrom from = LookFrom::selection;
  int picture = 0;  // which of the request's
  Palette palette = Palette::viridis;
  double alpha = 0.6;
  bool smooth = false;
  bool fixed = false;  // the scale ends at `high`, not at each map's own largest value
  double high = 0.1;
  // PictureSource::field: which result and field, and the index of each axis before the patches.
  int result = 0;
  QString field;
  std::vector<int64_t> held;
  std::vector<LookRegion> regions;  // of all pictures
  bool operator==(const PictureLook&) const = default;
};

[[nodiscard]] nlohmann::json to_json(const PictureLook& look);
// A picture was taken out of the request: its regions go, those of later ones follow them.
void forget_picture(PictureLook& look, int picture);
// What is not there or makes no sense keeps its default.
[[nodiscard]] PictureLook picture_look_from(const nlohmann::json& document);

}  // namespace saccade
