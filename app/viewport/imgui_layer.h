// Dear ImGui on top of a QOpenGLWidget: one context per widget, made current while it paints.
// Feature checklist: mouse, wheel, keyboard text and keys, high-DPI scale, light and dark style. No docking,
// no clipboard. Thread: the GUI thread, with the widget's OpenGL context current in begin(), end() and the
// destructor.
#pragma once

#include <QEvent>
#include <QWidget>

struct ImGuiContext;

namespace saccade {

class ImGuiLayer {
 public:
  ImGuiLayer() = default;
  ~ImGuiLayer();
  ImGuiLayer(const ImGuiLayer&) = delete;
  ImGuiLayer& operator=(const ImGuiLayer&) = delete;

  // Between these two, ImGui calls draw into the widget.
  void begin(const QWidget& widget);
  void end();
  // Gives an event to ImGui; true when ImGui wants it and the view should leave it alone.
  bool handle(const QEvent& event);
  // Whether the pointer is over a HUD window (as of the last frame).
  [[nodiscard]] bool wants_mouse() const;
  void shutdown();  // frees GL objects; the context must be current

 private:
  void create(const QWidget& widget);
  ImGuiContext* context_ = nullptr;
  bool dark_ = false;
};

}  // namespace saccade
