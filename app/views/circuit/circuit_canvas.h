// The picture of a circuit. Sign is a colour and a dash, strength a width; the scale is drawn.
#pragma once

#include <QWidget>
#include <optional>

#include "analysis/circuit_graph.h"
#include "analysis/colour.h"
#include "app/shell/workbench.h"

namespace saccade {

class CircuitCanvas : public QWidget {
  Q_OBJECT
 public:
  explicit CircuitCanvas(Workbench& workbench, QWidget* parent = nullptr);
  void show_circuit(const std::optional<CircuitGraph>& graph, size_t edges, double wide,
                    const QString& otherwise);
  [[nodiscard]] const CircuitLayout& layout_shown() const { return layout_; }
  [[nodiscard]] QPointF place_of(const std::string& node) const;  // its centre; null point = not shown

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;

 private:
  void paint_edges(QPainter& painter) const;
  void paint_nodes(QPainter& painter) const;
  void paint_scale(QPainter& painter) const;
  [[nodiscard]] const CircuitLayout::Node* node_at(QPointF at) const;
  [[nodiscard]] const CircuitLayout::Edge* edge_at(QPointF at) const;
  [[nodiscard]] QColor colour_of(double effect) const;

  Workbench& workbench_;
  std::optional<CircuitGraph> graph_;
  CircuitLayout layout_;
  ColourScale scale_;
  QString otherwise_;  // what is said when there is no circuit
  std::optional<size_t> hovered_node_, hovered_edge_;
};

}  // namespace saccade
