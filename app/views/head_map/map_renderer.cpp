#include "app/views/head_map/map_renderer.h"

#include <QOpenGLContext>
#include <QOpenGLVersionFunctionsFactory>
#include <cmath>
#include <utility>

namespace saccade {
namespace {

constexpr const char* vertex_source = R"(#version 330 core
layout(location = 0) in vec2 corner;
uniform vec4 rectangle;  // where to draw, in clip coordinates: left, top, right, bottom
uniform vec4 cells;      // the same in cells from the tile's first: left, top, right, bottom
out vec2 cell;
void main() {
  gl_Position = vec4(mix(rectangle.x, rectangle.z, corner.x), mix(rectangle.y, rectangle.w, corner.y), 0.0, 1.0);
  cell = mix(cells.xy, cells.zw, corner);
}
)";

// The same arithmetic as ColourScale::height (analysis/colour.cpp); a test compares the two. Compiled once
// for each combination of MODE (as_is, logarithmic, hide_sinks, renormalise), SHRUNK (elements smaller than a
// pixel) and GRID, because OpenGL in software walks both sides of every branch.
constexpr const char* fragment_source = R"(
in vec2 cell;               // from the tile's first
uniform sampler2D values, palette, sinks;
uniform vec2 tile_origin;   // in cells
uniform ivec2 tile_size;    // in elements
uniform float block;        // cells per element
uniform float low, per_value, log_floor, per_log, sink_keys, pixels_per_cell;
uniform bool causal, has_sinks;
uniform vec3 masked_colour, grid_colour;
out vec4 colour;
#if SHRUNK
// The largest of the two by two elements nearest to the pixel's middle, by size where values have signs. A pixel is
// less than two elements wide, so that the next one begins at most two further on: none is left out.
float value_of(ivec2 at) {
  ivec2 last = textureSize(values, 0) - 1;
  ivec2 b = clamp(ivec2(floor(cell / block + 0.5)), ivec2(0), last), a = max(b - 1, ivec2(0));
  float v0 = texelFetch(values, a, 0).r, v1 = texelFetch(values, ivec2(b.x, a.y), 0).r;
  float v2 = texelFetch(values, ivec2(a.x, b.y), 0).r, v3 = texelFetch(values, b, 0).r;
  float most = max(max(v0, v1), max(v2, v3)), least = min(min(v0, v1), min(v2, v3));
  return most >= -least ? most : least;
}
#else
float value_of(ivec2 at) { return texelFetch(values, min(at, textureSize(values, 0) - 1), 0).r; }
#endif
void main() {
  ivec2 at = clamp(ivec2(floor(cell / block)), ivec2(0), tile_size - 1);
  vec2 first = tile_origin + vec2(at) * block;
  float value = value_of(at);
#if MODE == 3
  if (has_sinks) {
    int row = int(min(first.y + floor(block / 2.0), tile_origin.y + cell.y));
    int width = textureSize(sinks, 0).x;
    float rest = 1.0 - texelFetch(sinks, ivec2(row % width, row / width), 0).r;
    value = rest > 1e-6 ? value / rest : 0.0;
  }
#endif
#if MODE == 1
  float height = value <= log_floor ? 0.0 : log2(value / log_floor) * per_log;
#else
  float height = (value - low) * per_value;
#endif
  colour = texelFetch(palette, ivec2(int(clamp(height, 0.0, 1.0) * 255.0 + 0.5), 0), 0);
  bool masked = causal && first.x > first.y + block - 1.0;
#if MODE >= 2
  masked = masked || first.x < sink_keys;
#endif
  if (masked) colour.rgb = masked_colour;
#if GRID
  vec2 edge = fract(cell) * pixels_per_cell;
  if (edge.x < 1.0 || edge.y < 1.0) colour.rgb = mix(colour.rgb, grid_colour, 0.35);
#endif
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
  if (!program_for({}, &reason)) return false;
  constexpr float corners[] = {0, 0, 1, 0, 0, 1, 1, 1};
  gl_->glGenVertexArrays(1, &vertices_);
  gl_->glBindVertexArray(vertices_);
  gl_->glGenBuffers(1, &buffer_);
  gl_->glBindBuffer(GL_ARRAY_BUFFER, buffer_);
  gl_->glBufferData(GL_ARRAY_BUFFER, sizeof corners, corners, GL_STATIC_DRAW);
  gl_->glEnableVertexAttribArray(0);
  gl_->glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, nullptr);
  gl_->glBindVertexArray(0);
  constexpr float nothing = 0.0f;
  blank_ = upload(1, 1, &nothing);
  return true;
}

QOpenGLShaderProgram* MapRenderer::program_for(const Variant& variant, QString* reason) {
  Program& program = programs_[variant];
  if (program.shader) return program.shader.get();
  auto shader = std::make_unique<QOpenGLShaderProgram>();
  const QString source =
      QStringLiteral("#version 330 core\n#define MODE %1\n#define SHRUNK %2\n#define GRID %3\n")
          .arg(variant.mode)
          .arg(variant.shrunk ? 1 : 0)
          .arg(variant.grid ? 1 : 0) +
      fragment_source;
  if (!shader->addShaderFromSourceCode(QOpenGLShader::Vertex, vertex_source) ||
      !shader->addShaderFromSourceCode(QOpenGLShader::Fragment, source) || !shader->link()) {
    if (reason) *reason = shader->log().section('\n', 0, 0);
    return nullptr;
  }
  program.shader = std::move(shader);
  return program.shader.get();
}

// Binds the program for elements of `block` cells, with what is the same for the whole frame.
QOpenGLShaderProgram* MapRenderer::use_program(double block) {
  const ColourScale& scale = look_.scale;
  const Variant variant{look_.difference ? 0 : static_cast<int>(scale.mode),
                        1.0 / (camera_.zoom() * ratio_) > block, camera_.zoom() > 14.0};
  QOpenGLShaderProgram* shader = program_for(variant, nullptr);
  if (!shader || !shader->bind()) return nullptr;
  if (std::exchange(programs_[variant].ready, true)) return shader;
  const double low = look_.difference ? -scale.high : scale.low;
  const auto set = [&](const char* name, double value) {
    shader->setUniformValue(name, static_cast<float>(value));
  };
  shader->setUniformValue("values", 0);
  shader->setUniformValue("palette", 1);
  shader->setUniformValue("sinks", 2);
  set("low", low);
  set("per_value", 1.0 / (scale.high - low));
  set("log_floor", scale.log_floor);
  set("per_log", 1.0 / std::log2(scale.high / scale.log_floor));
  set("sink_keys", static_cast<double>(scale.sink_keys));
  set("pixels_per_cell", camera_.zoom());
  shader->setUniformValue("causal", look_.causal);
  shader->setUniformValue("has_sinks", look_.sink_mass != nullptr);
  shader->setUniformValue("masked_colour", look_.masked.r / 255.0f, look_.masked.g / 255.0f,
                          look_.masked.b / 255.0f);
  shader->setUniformValue("grid_colour", 0.5f, 0.5f, 0.5f);
  return shader;
}

void MapRenderer::destroy() {
  if (!gl_) return;
  forget(generation_ + 1);
  gl_->glDeleteTextures(1, &palette_);
  gl_->glDeleteTextures(1, &sinks_);
  gl_->glDeleteTextures(1, &blank_);
  gl_->glDeleteBuffers(1, &buffer_);
  gl_->glDeleteVertexArrays(1, &vertices_);
  programs_.clear();
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
  look_ = look;
  ratio_ = ratio;
  for (auto& [variant, program] : programs_) program.ready = false;
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

GLuint MapRenderer::texture_of(const TilePart& part) {
  if (part.tile->values.empty()) return blank_;
  Uploaded& uploaded = textures_[part.source];
  if (uploaded.tile.lock() != part.tile) {
    gl_->glDeleteTextures(1, &uploaded.texture);
    uploaded = {upload(part.tile->columns, part.tile->rows, part.tile->values.data()), part.tile, 0};
  }
  uploaded.frame = frames_;
  return uploaded.texture;
}

// Only the part of the area that is on screen: neither a pixel too much nor coordinates beyond a float's
// reach.
void MapRenderer::draw(const TilePart& part, uint64_t generation) {
  if (generation != generation_) forget(generation);
  const auto reach = static_cast<double>(part.area.reach());
  const QRectF area = QRectF(static_cast<double>(part.area.column) * reach,
                             static_cast<double>(part.area.row) * reach, reach, reach)
                          .intersected(camera_.visible());
  if (area.isEmpty()) return;
  const auto source_reach = static_cast<double>(part.source.reach());
  const QPointF origin(static_cast<double>(part.source.column) * source_reach,
                       static_cast<double>(part.source.row) * source_reach);
  gl_->glBindTexture(GL_TEXTURE_2D, texture_of(part));
  const QPointF a = camera_.to_screen(area.topLeft()), b = camera_.to_screen(area.bottomRight());
  const auto clip_x = [&](double x) { return static_cast<float>(2 * x / frame_.width() - 1); };
  const auto clip_y = [&](double y) { return static_cast<float>(1 - 2 * y / frame_.height()); };
  const QRectF local = area.translated(-origin);
  const auto block = static_cast<double>(int64_t{1} << part.source.level);
  QOpenGLShaderProgram* shader = use_program(block);
  if (!shader) return;
  shader->setUniformValue("rectangle", clip_x(a.x()), clip_y(a.y()), clip_x(b.x()), clip_y(b.y()));
  shader->setUniformValue("cells", static_cast<float>(local.left()), static_cast<float>(local.top()),
                          static_cast<float>(local.right()), static_cast<float>(local.bottom()));
  shader->setUniformValue("tile_origin", static_cast<float>(origin.x()), static_cast<float>(origin.y()));
  gl_->glUniform2i(shader->uniformLocation("tile_size"),
                   static_cast<GLint>(tile_columns(part.source, camera_.cells())),
                   static_cast<GLint>(tile_rows(part.source, camera_.cells())));
  shader->setUniformValue("block", static_cast<float>(block));
  gl_->glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
}

void MapRenderer::end() {
  gl_->glBindVertexArray(0);
  gl_->glDisable(GL_SCISSOR_TEST);
  gl_->glUseProgram(0);
  ++frames_;
  // Textures of tiles that the cache has forgotten, or that have not been seen for a while.
  constexpr size_t kept = 128;
  constexpr uint64_t kept_frames = 120;
  for (auto at = textures_.begin(); at != textures_.end();)
    if (at->second.tile.expired() || (textures_.size() > kept && at->second.frame + kept_frames < frames_)) {
      gl_->glDeleteTextures(1, &at->second.texture);
      at = textures_.erase(at);
    } else {
      ++at;
    }
}

}  // namespace saccade
