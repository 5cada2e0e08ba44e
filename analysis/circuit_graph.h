// CircuitGraph: heads and MLPs as nodes by layer, edges by effect; made of any result with a table "edges"
// {from, to, effect} and optionally "nodes" {node, effect}. Node names: "5.1", "5.1.q" (an input of a head),
// "mlp 3", "embed", "logits"; other names stand with the inputs. The layout is plain numbers, so that the
// window and the figure draw the same picture. Thread: any.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "analysis/field.h"
#include "core/model/model_spec.h"
#include "core/run/edit.h"

namespace saccade {

enum class CircuitNodeKind { input, head, mlp, output };

struct CircuitNode {
  std::string name;
  CircuitNodeKind kind = CircuitNodeKind::input;
  int32_t layer = -1;   // of heads and MLPs
  HeadId head;          // of heads
  double effect = 0.0;  // of "nodes"; NaN where not given
};

struct CircuitEdge {
  size_t from = 0, to = 0;  // indices of nodes
  char input = 0;           // 'q', 'k' or 'v' of the receiving head; 0 = not said
  double effect = 0.0;
};

class CircuitGraph {
 public:
  [[nodiscard]] static bool in(const AnalysisResult& result);
  // Errors: no such table or columns; effects that are no numbers.
  static Result<CircuitGraph> of(const AnalysisResult& result);

  [[nodiscard]] const std::vector<CircuitNode>& nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<CircuitEdge>& edges() const { return edges_; }  // strongest first
  [[nodiscard]] double strongest() const;  // the largest |effect|; 0 without edges
  // The heads at the ends of the `count` strongest edges, sorted.
  [[nodiscard]] std::vector<HeadId> heads(size_t count) const;

 private:
  size_t node(const std::string& name);
  std::vector<CircuitNode> nodes_;
  std::vector<CircuitEdge> edges_;
};

struct CircuitPoint {
  double x = 0.0, y = 0.0;
};

// Inputs at the bottom, the answer at the top, heads in the order of their index, MLPs at the right. Units:
// one is a point of the figure and a pixel of the window.
struct CircuitLayout {
  static constexpr double node_width = 44.0, node_height = 20.0;
  struct Node {
    size_t node = 0;
    CircuitPoint centre;
  };
  struct Edge {
    size_t edge = 0;
    std::vector<CircuitPoint> path;  // from the sender's top to the receiver's bottom
    double width = 0.0;
  };
  struct Row {
    std::string label;  // "L3", "L3 mlp"
    double y = 0.0;
  };
  double width = 0.0, height = 0.0;
  std::vector<Node> nodes;
  std::vector<Edge> edges;  // weakest first, so that the strongest is drawn on top
  std::vector<Row> rows;
};

// The `count` strongest edges and the nodes at their ends, at least `width` wide.
[[nodiscard]] CircuitLayout lay_out(const CircuitGraph& graph, size_t count, double width);

// Edits that leave only `kept` of the model's heads: `verb` (zero, or mean over positions) on all others,
// one edit a layer. MLPs are left as they are.
[[nodiscard]] std::vector<Edit> edits_keeping(std::span<const HeadId> kept, const ModelSpec& spec,
                                              EditVerb verb);

}  // namespace saccade
