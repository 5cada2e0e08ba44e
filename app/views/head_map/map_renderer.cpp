#include "app/views/head_map/map_renderer.h"

#include <QOpenGLContext>
#include <QOpenGLVersionFunctionsFactory>

namespace saccade {
namespace {

constexpr const char* vertex_source = R"(#version 330 core
layout(location = 0) in vec2 corner;
uniform vec4 rectangle;  // of the tile in clip coordinates: left, top, right, bottom
uniform vec4 cells;      // of the tile in map cells: left, top, right, bottom
out vec2 cell;
void main() {
  gl_Position = vec4(mix(rectangle.x, rectangle.z, corner.x), mix(rectangle.y, rectangle.w, corner.y), 0.0, 1.0);
  cell = mix(cells.xy, cells.zw, corner);
}
)";

// The same arithmetic as ColourScale::height (analysis/colour.cpp); a test compares the two.
constexpr const char* fragment_source = R"(#version 330 core
in vec2 cell;
uniform sampler2D values, palette, sinks;
uniform vec2 tile_origin;   // in cells
uniform float block;        // cells per element
uniform int mode;           // as_is, logarithmic, hide_sinks, renormalise
uniform float low, high, log_floor, sink_keys, pixels_per_cell;
uniform bool causal, has_sinks;
uniform vec3 masked_colour, grid_colour;
out vec4 colour;
void main() {
  vec2 element = floor((cell - tile_origin) / block);
  ivec2 at = clamp(ivec2(element), ivec2(0), textureSize(values, 0) - 1);
  vec2 first = tile_origin + vec2(at) * block;
  bool hidden = mode >= 2 && first.x < sink_keys;
  if ((causal && first.x > first.y + block - 1.0) || hidden) {
    colour = vec4(masked_colour, 1.0);
  } else {
    float value = texelFetch(values, at, 0).r;
    if (mode == 3 && has_sinks) {
      int row = int(min(first.y + floor(block / 2.0), cell.y));
      int width = textureSize(sinks, 0).x;
      float rest = 1.0 - texelFetch(sinks, ivec2(row % width, row / width), 0).r;
      value = rest > 1e-6 ? value / rest : 0.0;
    }
    float height = (value - low) / (high - low);
    if (mode == 1) height = value <= log_floor ? 0.0 : log(value / log_floor) / log(high / log_floor);
    colour = texture(palette, vec2((clamp(height, 0.0, 1.0) * 255.0 + 0.5) / 256.0, 0.5));
  }
  if (pixels_per_cell > 14.0) {
    vec2 edge = fract(cell) * pixels_per_cell;
    if (edge.x < 1.0 || edge.y < 1.0) colour.rgb = mix(colour.rgb, grid_colour, 0.35);
  }
}
)";

constexpr int sink_row = 4096;  // texture width; rows beyond wrap into further lines

}  // namespace

bool MapRenderer::create(QString& reason) {
  gl_ = QOpenGLVersionFunctionsFactory::get<QOpenGLFunctions_3_3_Core>(QOpenGLContext::currentContext());
  if (!gl_) {
    reason = QStringLiteral("this display offers no OpenGL 3.3");
    return false;
  }
  program_ = std::make_unique<QOpenGLShaderProgram>();
  if (!program_->addShaderFromSourceCode(QOpenGLShader::Vertex, vertex_source) ||
      !program_->addShaderFromSourceCode(QOpenGLShader::Fragment, fragment_source) || !program_->link()) {
    reason = program_->log().section('\n', 0, 0);
    return false;
  }
  constexpr float corners[] = {0, 0, 1, 0, 0, 1, 1, 1};
  gl_->glGenVertexArrays(1, &vertices_);
  gl_->glBindVertexArray(vertices_);
  gl_->glGenBuffers(1, &buffer_);
  gl_->glBindBuffer(GL_ARRAY_BUFFER, buffer_);
  gl_->glBufferData(GL_ARRAY_BUFFER, sizeof corners, corners, GL_STATIC_DRAW);
  gl_->glEnableVertexAttribArray(0);
  gl_->glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, nullptr);
  gl_->glBindVertexArray(0);
  return true;
}

void MapRenderer::destroy() {
  if (!gl_) return;
  forget(generation_ + 1);
  gl_->glDeleteTextures(1, &palette_);
  gl_->glDeleteTextures(1, &sinks_);
  gl_->glDeleteBuffers(1, &buffer_);
  gl_->glDeleteVertexArrays(1, &vertices_);
  program_.reset();
  gl_ = nullptr;
}

void MapRenderer::forget(uint64_t generation) {
  for (auto& [key, uploaded] : textures_) gl_->glDeleteTextures(1, &uploaded.texture);
  textures_.clear();
  generation_ = generation;
}

GLuint MapRenderer::upload(int64_t width, int64_t height, const float* values) {
  GLuint texture = 0;
  gl_->glGenTextures(1, &texture);
  gl_->glBindTexture(GL_TEXTURE_2D, texture);
  gl_->glPixelStorei(GL_UNPACK_ALIGNMENT, 4);
  gl_->glTexImage2D(GL_TEXTURE_2D, 0, GL_R32F, static_cast<GLsizei>(width), static_cast<GLsizei>(height), 0,
                    GL_RED, GL_FLOAT, values);
  for (const GLenum filter : {GL_TEXTURE_MIN_FILTER, GL_TEXTURE_MAG_FILTER})
    gl_->glTexParameteri(GL_TEXTURE_2D, filter, GL_NEAREST);
  for (const GLenum wrap : {GL_TEXTURE_WRAP_S, GL_TEXTURE_WRAP_T})
    gl_->glTexParameteri(GL_TEXTURE_2D, wrap, GL_CLAMP_TO_EDGE);
  return texture;
}

void MapRenderer::begin(const MapLook& look, const MapCamera& camera, const QRectF& frame,
                        const QSize& widget, double ratio) {
  camera_ = camera;
  frame_ = frame;
  const ColourScale& scale = look.scale;
  const Palette palette = look.difference ? Palette::red_blue : scale.palette;
  if (palette_of_ != palette) {
    gl_->glDeleteTextures(1, &palette_);
    gl_->glGenTextures(1, &palette_);
    gl_->glBindTexture(GL_TEXTURE_2D, palette_);
    gl_->glTexImage2D(GL_TEXTURE_2D, 0, GL_RGB8, 256, 1, 0, GL_RGB, GL_UNSIGNED_BYTE,
                      table_of(palette).data());
    for (const GLenum filter : {GL_TEXTURE_MIN_FILTER, GL_TEXTURE_MAG_FILTER})
      gl_->glTexParameteri(GL_TEXTURE_2D, filter, GL_NEAREST);
    palette_of_ = palette;
  }
  if (look.sink_mass && sinks_of_ != look.sink_mass) {
    std::vector<float> padded = *look.sink_mass;
    const auto lines = static_cast<int64_t>((padded.size() + sink_row - 1) / sink_row);
    padded.resize(static_cast<size_t>(std::max<int64_t>(lines, 1)) * sink_row, 0.0f);
    gl_->glDeleteTextures(1, &sinks_);
    sinks_ = upload(sink_row, std::max<int64_t>(lines, 1), padded.data());
  }
  sinks_of_ = look.sink_mass;
  program_->bind();
  const int mode = look.difference ? 0 : static_cast<int>(scale.mode);
  program_->setUniformValue("values", 0);
  program_->setUniformValue("palette", 1);
  program_->setUniformValue("sinks", 2);
  program_->setUniformValue("mode", mode);
  program_->setUniformValue("low", static_cast<float>(look.difference ? -scale.high : scale.low));
  program_->setUniformValue("high", static_cast<float>(scale.high));
  program_->setUniformValue("log_floor", static_cast<float>(scale.log_floor));
  program_->setUniformValue("sink_keys", static_cast<float>(scale.sink_keys));
  program_->setUniformValue("pixels_per_cell", static_cast<float>(camera.zoom()));
  program_->setUniformValue("causal", look.causal);
  program_->setUniformValue("has_sinks", look.sink_mass != nullptr);
  program_->setUniformValue("masked_colour", look.masked.r / 255.0f, look.masked.g / 255.0f,
                            look.masked.b / 255.0f);
  program_->setUniformValue("grid_colour", 0.5f, 0.5f, 0.5f);
  gl_->glActiveTexture(GL_TEXTURE1);
  gl_->glBindTexture(GL_TEXTURE_2D, palette_);
  gl_->glActiveTexture(GL_TEXTURE2);
  gl_->glBindTexture(GL_TEXTURE_2D, sinks_);
  gl_->glActiveTexture(GL_TEXTURE0);
  gl_->glViewport(static_cast<int>(frame.x() * ratio),
                  static_cast<int>((widget.height() - frame.bottom()) * ratio),
                  static_cast<int>(frame.width() * ratio), static_cast<int>(frame.height() * ratio));
  gl_->glEnable(GL_SCISSOR_TEST);
  gl_->glScissor(static_cast<int>(frame.x() * ratio),
                 static_cast<int>((widget.height() - frame.bottom()) * ratio),
                 static_cast<int>(frame.width() * ratio), static_cast<int>(frame.height() * ratio));
  gl_->glDisable(GL_BLEND);
  gl_->glDisable(GL_DEPTH_TEST);
  gl_->glBindVertexArray(vertices_);
}

void MapRenderer::draw(const TileKey& key, const std::shared_ptr<const MapTile>& tile, uint64_t generation) {
  if (!tile || tile->values.empty()) return;
  if (generation != generation_) forget(generation);
  Uploaded& uploaded = textures_[key];
  if (uploaded.tile.lock() != tile) {
    gl_->glDeleteTextures(1, &uploaded.texture);
    uploaded = {upload(tile->columns, tile->rows, tile->values.data()), tile};
  }
  gl_->glBindTexture(GL_TEXTURE_2D, uploaded.texture);
  const auto block = static_cast<double>(int64_t{1} << key.level);
  const QPointF first(static_cast<double>(key.column * TileCache::side) * block,
                      static_cast<double>(key.row * TileCache::side) * block);
  const auto cells = static_cast<double>(camera_.cells());
  const QPointF last(std::min(cells, first.x() + static_cast<double>(tile->columns) * block),
                     std::min(cells, first.y() + static_cast<double>(tile->rows) * block));
  const QPointF a = camera_.to_screen(first), b = camera_.to_screen(last);
  const auto clip_x = [&](double x) { return static_cast<float>(2 * x / frame_.width() - 1); };
  const auto clip_y = [&](double y) { return static_cast<float>(1 - 2 * y / frame_.height()); };
  program_->setUniformValue("rectangle", clip_x(a.x()), clip_y(a.y()), clip_x(b.x()), clip_y(b.y()));
  program_->setUniformValue("cells", static_cast<float>(first.x()), static_cast<float>(first.y()),
                            static_cast<float>(last.x()), static_cast<float>(last.y()));
  program_->setUniformValue("tile_origin", static_cast<float>(first.x()), static_cast<float>(first.y()));
  program_->setUniformValue("block", static_cast<float>(block));
  gl_->glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
}

void MapRenderer::end() {
  gl_->glBindVertexArray(0);
  gl_->glDisable(GL_SCISSOR_TEST);
  program_->release();
  // Textures of tiles that the cache has forgotten.
  for (auto at = textures_.begin(); at != textures_.end();)
    if (at->second.tile.expired()) {
      gl_->glDeleteTextures(1, &at->second.texture);
      at = textures_.erase(at);
    } else {
      ++at;
    }
}

}  // namespace saccade
