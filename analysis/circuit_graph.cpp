#include "analysis/circuit_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

#include "analysis/head_columns.h"

namespace saccade {
namespace {

const Table* table_named(const AnalysisResult& result, std::string_view name) {
  const auto found = std::find_if(result.tables.begin(), result.tables.end(),
                                  [&](const Table& table) { return table.name == name; });
  return found == result.tables.end() ? nullptr : &*found;
}

std::optional<size_t> column_of(const Table& table, std::string_view name) {
  const auto found = std::find(table.columns.begin(), table.columns.end(), name);
  if (found == table.columns.end()) return std::nullopt;
  return static_cast<size_t>(found - table.columns.begin());
}

std::optional<double> number_in(const Cell& cell) {
  if (const auto* number = std::get_if<double>(&cell)) return *number;
  if (const auto* whole = std::get_if<int64_t>(&cell)) return static_cast<double>(*whole);
  return std::nullopt;
}

std::string name_in(const Cell& cell) {
  const auto* text = std::get_if<std::string>(&cell);
  return text ? *text : std::string();
}

std::optional<int32_t> mlp_in(std::string_view name) {
  if (name.substr(0, 3) != "mlp") return std::nullopt;
  name.remove_prefix(3);
  while (!name.empty() && (name.front() == ' ' || name.front() == '.')) name.remove_prefix(1);
  int32_t layer = 0;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), layer);
  if (problem != std::errc{} || end != name.data() + name.size() || layer < 0) return std::nullopt;
  return layer;
}

bool stands_before(HeadId a, HeadId b) {
  return std::pair(a.layer.value, a.head.value) < std::pair(b.layer.value, b.head.value);
}

// The input of a head that a name ends with.
char input_in(const std::string& name) {
  const bool has = name.size() > 2 && name[name.size() - 2] == '.' && head_in(name) &&
                   std::string_view("qkv").find(name.back()) != std::string_view::npos;
  return has ? name.back() : char{0};
}

// Where the node stands from bottom to top: attention before the MLP of its layer.
int32_t rank_of(const CircuitNode& node) {
  switch (node.kind) {
    case CircuitNodeKind::input:
      return -1;
    case CircuitNodeKind::head:
      return 2 * node.layer;
    case CircuitNodeKind::mlp:
      return 2 * node.layer + 1;
    case CircuitNodeKind::output:
      break;
  }
  return std::numeric_limits<int32_t>::max();
}

std::string row_label(const CircuitNode& node) {
  switch (node.kind) {
    case CircuitNodeKind::head:
      return fmt::format("L{}", node.layer);
    case CircuitNodeKind::mlp:
      return fmt::format("L{} mlp", node.layer);
    case CircuitNodeKind::input:
    case CircuitNodeKind::output:
      break;
  }
  return {};
}

// A cubic that leaves upwards and arrives upwards; over several rows it bows away from the middle, so that
// it does not hide behind the nodes between.
std::vector<CircuitPoint> curve(CircuitPoint from, CircuitPoint to, size_t rows, double middle) {
  constexpr int pieces = 24;
  const double rise = std::max(14.0, 0.42 * std::abs(from.y - to.y));
  const double side = (from.x + to.x) / 2.0 < middle - 1.0 ? -1.0 : 1.0;
  const double bow = rows > 1 ? side * std::min(46.0, 16.0 * static_cast<double>(rows)) : 0.0;
  const CircuitPoint a{from.x + bow, from.y - rise}, b{to.x + bow, to.y + rise};
  std::vector<CircuitPoint> path;
  for (int i = 0; i <= pieces; ++i) {
    const double t = static_cast<double>(i) / pieces, s = 1.0 - t;
    const double c0 = s * s * s, c1 = 3 * s * s * t, c2 = 3 * s * t * t, c3 = t * t * t;
    path.push_back(
        {c0 * from.x + c1 * a.x + c2 * b.x + c3 * to.x, c0 * from.y + c1 * a.y + c2 * b.y + c3 * to.y});
  }
  return path;
}

double port_of(char input) { return input == 'q' ? -12.0 : input == 'v' ? 12.0 : 0.0; }

constexpr double margin = 14.0, row_label_room = 50.0, row_pitch = 58.0, node_pitch = 52.0;

// The nodes of one row at their places: heads spread over the left part, MLPs near the right edge.
void place_row(const CircuitGraph& graph, const std::vector<size_t>& row, double y, CircuitLayout& layout) {
  const bool mlps = graph.nodes()[row.front()].kind == CircuitNodeKind::mlp;
  const double left = row_label_room, room = layout.width - row_label_room - margin;
  for (size_t i = 0; i < row.size(); ++i) {
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(row.size());
    const double x = mlps ? left + room - CircuitLayout::node_width / 2 -
                                node_pitch * static_cast<double>(row.size() - 1 - i)
                          : left + (room - node_pitch * 1.2) * share;
    layout.nodes.push_back({row[i], {x, y}});
  }
}

}  // namespace

bool CircuitGraph::in(const AnalysisResult& result) {
  const Table* edges = table_named(result, "edges");
  return edges && column_of(*edges, "from") && column_of(*edges, "to") && column_of(*edges, "effect");
}

size_t CircuitGraph::node(const std::string& name) {
  CircuitNode made{name, CircuitNodeKind::input, -1, {}, std::numeric_limits<double>::quiet_NaN()};
  if (const auto head = head_in(name)) {
    made.name = to_string(*head);
    made.kind = CircuitNodeKind::head;
    made.head = *head;
    made.layer = head->layer.value;
  } else if (const auto mlp = mlp_in(name)) {
    made.kind = CircuitNodeKind::mlp;
    made.layer = *mlp;
  } else if (name == "logits" || name == "answer" || name == "output") {
    made.kind = CircuitNodeKind::output;
  }
  const auto known = std::find_if(nodes_.begin(), nodes_.end(),
                                  [&](const CircuitNode& other) { return other.name == made.name; });
  if (known != nodes_.end()) return static_cast<size_t>(known - nodes_.begin());
  nodes_.push_back(std::move(made));
  return nodes_.size() - 1;
}

Result<CircuitGraph> CircuitGraph::of(const AnalysisResult& result) {
  if (!in(result))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the result of {} holds no circuit: a table 'edges' with the columns from, "
                                  "to and effect",
                                  result.method));
  const Table& table = *table_named(result, "edges");
  const size_t from = *column_of(table, "from"), to = *column_of(table, "to"),
               effect = *column_of(table, "effect");
  CircuitGraph graph;
  for (const std::vector<Cell>& row : table.rows) {
    if (row.size() <= std::max({from, to, effect})) continue;
    const std::string sender = name_in(row[from]), receiver = name_in(row[to]);
    const auto number = number_in(row[effect]);
    if (sender.empty() || receiver.empty() || !number)
      return make_error(
          ErrorCode::bad_format,
          fmt::format("the table 'edges' of {}: expected two names and a number, found {}, {}, {}",
                      result.method, sender, receiver, number ? "a number" : "no number"));
    if (!std::isfinite(*number)) continue;  // not measured
    const size_t a = graph.node(sender), b = graph.node(receiver);
    graph.edges_.push_back({a, b, input_in(receiver), *number});
  }
  std::stable_sort(graph.edges_.begin(), graph.edges_.end(), [](const CircuitEdge& a, const CircuitEdge& b) {
    return std::abs(a.effect) > std::abs(b.effect);
  });
  const Table* nodes = table_named(result, "nodes");
  const auto name = nodes ? column_of(*nodes, "node") : std::nullopt;
  const auto value = nodes ? column_of(*nodes, "effect") : std::nullopt;
  if (name && value)
    for (const std::vector<Cell>& row : nodes->rows)
      if (row.size() > std::max(*name, *value) && !name_in(row[*name]).empty())
        if (const auto number = number_in(row[*value])) {
          const size_t at = graph.node(name_in(row[*name]));
          graph.nodes_[at].effect = *number;
        }
  return graph;
}

double CircuitGraph::strongest() const { return edges_.empty() ? 0.0 : std::abs(edges_.front().effect); }

std::vector<HeadId> CircuitGraph::heads(size_t count) const {
  std::vector<HeadId> heads;
  for (size_t e = 0; e < std::min(count, edges_.size()); ++e)
    for (const size_t end : {edges_[e].from, edges_[e].to})
      if (nodes_[end].kind == CircuitNodeKind::head) heads.push_back(nodes_[end].head);
  std::sort(heads.begin(), heads.end(), stands_before);
  heads.erase(std::unique(heads.begin(), heads.end()), heads.end());
  return heads;
}

CircuitLayout lay_out(const CircuitGraph& graph, size_t count, double width) {
  CircuitLayout layout;
  count = std::min(count, graph.edges().size());
  std::map<int32_t, std::vector<size_t>> rows;
  std::vector<bool> shown(graph.nodes().size(), false);
  for (size_t e = 0; e < count; ++e)
    for (const size_t end : {graph.edges()[e].from, graph.edges()[e].to}) shown[end] = true;
  for (size_t n = 0; n < shown.size(); ++n)
    if (shown[n]) rows[rank_of(graph.nodes()[n])].push_back(n);
  size_t widest = 1;
  for (auto& [rank, row] : rows) {
    std::sort(row.begin(), row.end(), [&](size_t a, size_t b) {
      const CircuitNode &x = graph.nodes()[a], &y = graph.nodes()[b];
      return x.kind == CircuitNodeKind::head ? stands_before(x.head, y.head) : x.name < y.name;
    });
    widest = std::max(widest, row.size());
  }
  layout.width = std::max(width, row_label_room + margin + node_pitch * (static_cast<double>(widest) + 1.2));
  layout.height = rows.empty() ? 0.0
                               : 2 * margin + CircuitLayout::node_height +
                                     row_pitch * static_cast<double>(rows.size() - 1);
  std::vector<CircuitPoint> centre(graph.nodes().size());
  std::vector<size_t> row_of(graph.nodes().size(), 0);
  double y = layout.height - margin - CircuitLayout::node_height / 2;
  size_t at = 0;
  for (const auto& [rank, row] : rows) {
    place_row(graph, row, y, layout);
    for (const size_t n : row) row_of[n] = at;
    layout.rows.push_back({row_label(graph.nodes()[row.front()]), y});
    y -= row_pitch;
    ++at;
  }
  for (const CircuitLayout::Node& node : layout.nodes) centre[node.node] = node.centre;
  for (size_t e = count; e-- > 0;) {
    const CircuitEdge& edge = graph.edges()[e];
    const CircuitPoint from{centre[edge.from].x, centre[edge.from].y - CircuitLayout::node_height / 2};
    const CircuitPoint to{centre[edge.to].x + port_of(edge.input),
                          centre[edge.to].y + CircuitLayout::node_height / 2};
    const size_t span = row_of[edge.to] > row_of[edge.from] ? row_of[edge.to] - row_of[edge.from] : 0;
    const double share = graph.strongest() > 0.0 ? std::abs(edge.effect) / graph.strongest() : 0.0;
    layout.edges.push_back({e, curve(from, to, span, layout.width / 2), 0.6 + 4.4 * share});
  }
  return layout;
}

std::vector<Edit> edits_keeping(std::span<const HeadId> kept, const ModelSpec& spec, EditVerb verb) {
  std::vector<Edit> edits;
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    IndexSet others;
    for (int32_t h = 0; h < spec.n_head; ++h) {
      if (std::find(kept.begin(), kept.end(), HeadId{LayerIndex{l}, HeadIndex{h}}) != kept.end()) continue;
      if (!others.ranges.empty() && others.ranges.back().second == h - 1)
        others.ranges.back().second = h;
      else
        others.ranges.emplace_back(h, h);
    }
    if (others.ranges.empty()) continue;
    if (others.ranges.front() == std::pair<int32_t, int32_t>{0, spec.n_head - 1}) others.ranges.clear();
    Edit edit;
    edit.verb = verb;
    edit.target = HeadTarget{{{{l, l}}}, others};
    edits.push_back(std::move(edit));
  }
  return edits;
}

}  // namespace saccade
