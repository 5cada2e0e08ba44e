// MapRenderer: draws tiles of a map with OpenGL 3.3. The colour scale is applied in the fragment shader, so
// that changing palette, range or sink mode recomputes nothing. Thread: the GUI thread, with the widget's
// context current.
#pragma once

#include <QOpenGLFunctions_3_3_Core>
#include <QOpenGLShaderProgram>
#include <QRectF>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "analysis/colour.h"
#include "app/views/head_map/map_camera.h"
#include "app/views/head_map/tile_cache.h"

namespace saccade {

struct MapLook {
  ColourScale scale;
  bool difference = false;                              // signed values, drawn with low = -high
  std::shared_ptr<const std::vector<float>> sink_mass;  // per query; for renormalise; null = none
  bool causal = true;                                   // cells above the diagonal are masked
  Rgb masked = masked_colour;
};

class MapRenderer {
 public:
  // False, with a reason, where OpenGL 3.3 cannot be had.
  bool create(QString& reason);
  void destroy();
  // frame: where the picture goes, in logical pixels of the widget; ratio: device pixels per logical pixel.
  void begin(const MapLook& look, const MapCamera& camera, const QRectF& frame, const QSize& widget,
             double ratio);
  void draw(const TilePart& part, uint64_t generation);
  void end();

 private:
  struct Uploaded {
    GLuint texture = 0;
    std::weak_ptr<const MapTile> tile;
    uint64_t frame = 0;  // when it was drawn last
  };
  struct Variant {
    int mode = 0;
    bool shrunk = false, grid = false;
    auto operator<=>(const Variant&) const = default;
  };
  struct Program {
    std::unique_ptr<QOpenGLShaderProgram> shader;
    bool ready = false;  // has the frame's uniforms
  };
  QOpenGLShaderProgram* program_for(const Variant& variant, QString* reason);
  QOpenGLShaderProgram* use_program(double block);
  GLuint texture_of(const TilePart& part);
  GLuint upload(int64_t width, int64_t height, const float* values);
  void forget(uint64_t generation);

  QOpenGLFunctions_3_3_Core* gl_ = nullptr;
  std::map<Variant, Program> programs_;
  GLuint vertices_ = 0, buffer_ = 0, palette_ = 0, sinks_ = 0, blank_ = 0;
  std::shared_ptr<const std::vector<float>> sinks_of_;
  std::optional<Palette> palette_of_;
  std::map<TileKey, Uploaded> textures_;
  uint64_t generation_ = 0, frames_ = 0;
  MapCamera camera_;
  QRectF frame_;
  MapLook look_;
  double ratio_ = 1.0;
};

}  // namespace saccade
