// The HUD of the head map, in Dear ImGui: colour map, range, sink mode, level of detail, what is under the
// pointer.
#include <imgui.h>

#include <cstdio>

#include "app/views/head_map/map_canvas.h"
#include "app/views/head_map/map_overlay.h"

namespace saccade {
namespace {

std::string token_text(const Capture& capture, int64_t position) {
  return display_text(capture.tokens[static_cast<size_t>(position)], true, 18);
}

}  // namespace

void MapCanvas::hud_controls() {
  ColourScale scale = workbench_.scale();
  bool changed = false;
  ImGui::PushItemWidth(150);
  ImGui::BeginDisabled(other_.has_value());
  if (ImGui::BeginCombo("colours", to_string(scale.palette))) {
    for (const Palette palette : palettes())
      if (ImGui::Selectable(to_string(palette), palette == scale.palette))
        scale.palette = palette, changed = true;
    ImGui::EndCombo();
  }
  if (ImGui::BeginCombo("sinks", to_string(scale.mode))) {
    for (const SinkMode mode :
         {SinkMode::as_is, SinkMode::logarithmic, SinkMode::hide_sinks, SinkMode::renormalise})
      if (ImGui::Selectable(to_string(mode), mode == scale.mode)) scale.mode = mode, changed = true;
    ImGui::EndCombo();
  }
  ImGui::EndDisabled();
  auto high = static_cast<float>(scale.high);
  if (ImGui::SliderFloat("range", &high, 0.0005f, 1.0f, "0 to %.3g", ImGuiSliderFlags_Logarithmic))
    scale.high = high, changed = true;
  ImGui::PopItemWidth();
  if (changed) workbench_.set_scale(scale);
}

void MapCanvas::hud_pointer() {
  const Capture& capture = map_->capture();
  if (const auto brush = meter_->statistics()) {
    if (brush->done < 1.0)
      ImGui::Text("brush: measuring, %.0f %%", 100 * brush->done);
    else
      ImGui::Text("brush: mass %.4g, mean %.4g, max %.4g", brush->sum, brush->mean, brush->highest);
  } else if (pointer_) {
    ImGui::Text("query %lld  %s", static_cast<long long>(pointer_->query),
                token_text(capture, pointer_->query).c_str());
    ImGui::Text("key %lld  %s", static_cast<long long>(pointer_->key),
                token_text(capture, pointer_->key).c_str());
    if (map_->causal() && pointer_->key > pointer_->query)
      ImGui::TextDisabled("masked: a query sees no later key");
    else
      ImGui::Text("probability %.4g   score %.4g", pointer_weight_, pointer_score_);
  } else {
    ImGui::TextDisabled("wheel zooms, drag pans, click selects");
    ImGui::TextDisabled("shift-drag measures, double-click resets");
  }
}

// What one picture element stands for; and, while it is not all exact, what is shown in its place.
void MapCanvas::hud_detail() {
  const long long block = 1LL << wish_.level;
  if (wish_.level == 0)
    ImGui::TextUnformatted("detail: every cell");
  else
    ImGui::Text("detail: %s of %lld x %lld cells", other_ ? "means" : "maxima", block, block);
  if (exact_ >= 1.0) return;
  const bool dark = palette().color(QPalette::Window).lightness() < 128;
  ImGui::PushStyleColor(ImGuiCol_Text,
                        dark ? ImVec4(1.0f, 0.72f, 0.30f, 1.0f) : ImVec4(0.66f, 0.30f, 0.0f, 1.0f));
  if (sampled_)
    ImGui::Text("sampled, 1 query in %lld", 1LL << root_tile(map_->size()).level);
  else
    ImGui::Text("approximate: coarser blocks");
  ImGui::PopStyleColor();
  char text[32];
  std::snprintf(text, sizeof text, "%.0f %% exact", std::floor(100 * exact_));
  ImGui::ProgressBar(static_cast<float>(exact_), {-1.0f, 16.0f}, text);
}

void MapCanvas::paint_hud() {
  const QRectF area = frame();
  // Above the diagonal a causal map has nothing to draw: the HUD stands there.
  ImGui::SetNextWindowPos({static_cast<float>(area.right()) - 8, static_cast<float>(area.top()) + 8},
                          ImGuiCond_Always, {1.0f, 0.0f});
  ImGui::SetNextWindowSize({292, 0});
  constexpr ImGuiWindowFlags flags = ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoMove |
                                     ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoScrollbar;
  const std::string title = "Head " + to_string(map_->head()) +
                            (other_                                ? "   B - A"
                             : workbench_.shown() == Shown::edited ? "   B"
                                                                   : "") +
                            "###hud";
  const bool dark = palette().color(QPalette::Window).lightness() < 128;
  ImGui::PushStyleColor(ImGuiCol_TextDisabled,
                        dark ? ImVec4(0.70f, 0.70f, 0.70f, 1.0f) : ImVec4(0.36f, 0.36f, 0.36f, 1.0f));
  if (ImGui::Begin(title.c_str(), nullptr, flags)) {
    hud_controls();
    ImGui::Separator();
    hud_pointer();
    hud_detail();
  }
  ImGui::End();
  ImGui::PopStyleColor();
}

}  // namespace saccade
