#include "app/viewport/imgui_layer.h"

#include <backends/imgui_impl_opengl3.h>
#include <imgui.h>

#include <QFontDatabase>
#include <QMouseEvent>
#include <QStandardPaths>
#include <QWheelEvent>
#include <filesystem>

namespace saccade {
namespace {

// A real font where the system has it; ImGui's built-in bitmap font otherwise.
void add_font(float pixels) {
  for (const char* path :
       {"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/TTF/DejaVuSans.ttf"})
    if (std::filesystem::exists(path)) {
      static const ImWchar ranges[] = {0x20, 0x17f, 0x2010, 0x2027, 0x2190, 0x2193, 0x2423, 0x2424, 0};
      ImGui::GetIO().Fonts->AddFontFromFileTTF(path, pixels, nullptr, ranges);
      return;
    }
}

void style_for(bool dark) {
  dark ? ImGui::StyleColorsDark() : ImGui::StyleColorsLight();
  ImGuiStyle& style = ImGui::GetStyle();
  style.WindowRounding = 6.0f;
  style.FrameRounding = 4.0f;
  style.WindowBorderSize = 1.0f;
  style.Alpha = 0.97f;
}

}  // namespace

ImGuiLayer::~ImGuiLayer() { shutdown(); }

void ImGuiLayer::create(const QWidget& widget) {
  context_ = ImGui::CreateContext();
  ImGui::SetCurrentContext(context_);
  ImGui::GetIO().IniFilename = nullptr;
  add_font(static_cast<float>(13.0 * widget.devicePixelRatioF()));
  ImGui::GetIO().FontGlobalScale = 1.0f / static_cast<float>(widget.devicePixelRatioF());
  ImGui_ImplOpenGL3_Init("#version 330 core");
  dark_ = widget.palette().window().color().lightness() < 128;
  style_for(dark_);
}

void ImGuiLayer::begin(const QWidget& widget) {
  if (!context_) create(widget);
  ImGui::SetCurrentContext(context_);
  if (const bool dark = widget.palette().window().color().lightness() < 128; dark != dark_)
    style_for(dark_ = dark);
  ImGuiIO& io = ImGui::GetIO();
  const auto ratio = static_cast<float>(widget.devicePixelRatioF());
  io.DisplaySize = {static_cast<float>(widget.width()), static_cast<float>(widget.height())};
  io.DisplayFramebufferScale = {ratio, ratio};
  io.DeltaTime = 1.0f / 60.0f;
  ImGui_ImplOpenGL3_NewFrame();
  ImGui::NewFrame();
}

void ImGuiLayer::end() {
  ImGui::Render();
  ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
}

bool ImGuiLayer::wants_mouse() const {
  if (!context_) return false;
  ImGui::SetCurrentContext(context_);
  return ImGui::GetIO().WantCaptureMouse;
}

bool ImGuiLayer::handle(const QEvent& event) {
  if (!context_) return false;
  ImGui::SetCurrentContext(context_);
  ImGuiIO& io = ImGui::GetIO();
  switch (event.type()) {
    case QEvent::MouseMove:
    case QEvent::MouseButtonPress:
    case QEvent::MouseButtonRelease:
    case QEvent::MouseButtonDblClick: {
      const auto& mouse = static_cast<const QMouseEvent&>(event);
      io.MousePos = {static_cast<float>(mouse.position().x()), static_cast<float>(mouse.position().y())};
      io.MouseDown[0] = mouse.buttons().testFlag(Qt::LeftButton);
      return io.WantCaptureMouse;
    }
    case QEvent::Wheel: {
      const auto& wheel = static_cast<const QWheelEvent&>(event);
      if (io.WantCaptureMouse) io.MouseWheel += static_cast<float>(wheel.angleDelta().y()) / 120.0f;
      return io.WantCaptureMouse;
    }
    case QEvent::Leave:
      io.MousePos = {-1e9f, -1e9f};
      return false;
    default:
      return false;
  }
}

void ImGuiLayer::shutdown() {
  if (!context_) return;
  ImGui::SetCurrentContext(context_);
  ImGui_ImplOpenGL3_Shutdown();
  ImGui::DestroyContext(context_);
  context_ = nullptr;
}

}  // namespace saccade
