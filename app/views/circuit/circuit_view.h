// CircuitView: the circuit of a result as a graph: nodes by layer, edges by effect, the strongest shown. A
// click selects the head; "Keep only this circuit" takes every other head out of the run by edits.
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QScrollArea>
#include <QSlider>
#include <QToolButton>
#include <optional>

#include "analysis/circuit_graph.h"
#include "app/views/view.h"

namespace saccade {

class CircuitCanvas;

class CircuitView : public View {
  Q_OBJECT
 public:
  explicit CircuitView(Workbench& workbench, QWidget* parent = nullptr);
  [[nodiscard]] CircuitCanvas* canvas() const { return canvas_; }

 protected:
  void refresh() override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  void fill_results();
  void show_graph(int number);
  void show_count();
  void keep_only();
  void save();

  QComboBox *results_ = nullptr, *how_ = nullptr;
  QSlider* count_ = nullptr;  // edges shown, strongest first
  QLabel* threshold_ = nullptr;
  QToolButton *keep_ = nullptr, *save_ = nullptr;
  QScrollArea* scroll_ = nullptr;
  CircuitCanvas* canvas_ = nullptr;
  std::optional<CircuitGraph> graph_;
  int number_ = 0;                         // of the result shown
  const AnalysisResult* shown_ = nullptr;  // compared, never looked into
};

}  // namespace saccade
