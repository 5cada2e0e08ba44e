#include "analysis/circuit_graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "analysis/export/result_figures.h"

using namespace saccade;

namespace {

constexpr HeadId head(int32_t layer, int32_t index) { return {LayerIndex{layer}, HeadIndex{index}}; }

AnalysisResult hand_made() {
  AnalysisResult result;
  result.method = "circuit";
  result.tables.push_back({"edges",
                           {"from", "to", "effect"},
                           {{"embed", "0.1", 0.2},
                            {"0.1", "1.2.k", 0.9},
                            {"1.2", "logits", -1.5},
                            {"mlp 0", "1.2.q", 0.1},
                            {"0.3", "mlp 1", std::nan("")}}});
  result.tables.push_back({"nodes", {"node", "effect"}, {{"1.2", 0.75}}});
  return result;
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

const CircuitLayout::Node& placed(const CircuitGraph& graph, const CircuitLayout& layout,
                                  const std::string& name) {
  for (const auto& node : layout.nodes)
    if (graph.nodes()[node.node].name == name) return node;
  throw std::runtime_error(name + " is not drawn");
}

}  // namespace

TEST(CircuitGraph, ReadsNodesAndSortsEdgesByStrength) {
  const auto graph = CircuitGraph::of(hand_made());
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  ASSERT_EQ(graph->edges().size(), 4U) << "an edge that was not measured is none";
  EXPECT_EQ(graph->edges()[0].effect, -1.5);
  EXPECT_EQ(graph->strongest(), 1.5);
  EXPECT_EQ(graph->edges()[1].input, 'k');
  const CircuitNode& receiver = graph->nodes()[graph->edges()[1].to];
  EXPECT_EQ(receiver.name, "1.2");
  EXPECT_EQ(receiver.kind, CircuitNodeKind::head);
  EXPECT_EQ(receiver.effect, 0.75);
  EXPECT_EQ(graph->heads(1), (std::vector<HeadId>{head(1, 2)}));
  EXPECT_EQ(graph->heads(9), (std::vector<HeadId>{head(0, 1), head(1, 2)}));
}

TEST(CircuitGraph, RefusesWhatIsNoCircuit) {
  AnalysisResult result = hand_made();
  result.tables[0].rows.push_back({"0.1", "1.1", "strong"});
  EXPECT_FALSE(CircuitGraph::of(result).ok());
  result.tables[0].columns[2] = "weight";
  EXPECT_FALSE(CircuitGraph::in(result));
  EXPECT_NE(CircuitGraph::of(result).error().message.find("'edges'"), std::string::npos);
}

TEST(CircuitGraph, LayersRiseFromTheInputsToTheAnswer) {
  const auto graph = CircuitGraph::of(hand_made());
  ASSERT_TRUE(graph.ok());
  const CircuitLayout layout = lay_out(*graph, 4, 500.0);
  const std::vector<std::string> upwards{"embed", "0.1", "mlp 0", "1.2", "logits"};
  for (size_t i = 1; i < upwards.size(); ++i)
    EXPECT_LT(placed(*graph, layout, upwards[i]).centre.y, placed(*graph, layout, upwards[i - 1]).centre.y)
        << upwards[i];
  ASSERT_EQ(layout.edges.size(), 4U);
  EXPECT_EQ(layout.edges.back().edge, 0U) << "the strongest is drawn last";
  EXPECT_GT(layout.edges.back().width, layout.edges.front().width);
  for (const auto& node : layout.nodes) {
    EXPECT_GE(node.centre.x - CircuitLayout::node_width / 2, 0.0);
    EXPECT_LE(node.centre.x + CircuitLayout::node_width / 2, layout.width);
    EXPECT_GE(node.centre.y - CircuitLayout::node_height / 2, 0.0);
    EXPECT_LE(node.centre.y + CircuitLayout::node_height / 2, layout.height);
  }
  const CircuitLayout one = lay_out(*graph, 1, 500.0);
  EXPECT_EQ(one.nodes.size(), 2U) << "nodes without a shown edge are left out";
}

TEST(CircuitGraph, NoTwoNodesOverlapHoweverManyThereAre) {
  AnalysisResult result;
  result.tables.push_back({"edges", {"from", "to", "effect"}, {}});
  for (int h = 0; h < 30; ++h)
    result.tables[0].rows.push_back({to_string(head(0, h)), to_string(head(1, h % 7)), 1.0});
  const auto graph = CircuitGraph::of(result);
  ASSERT_TRUE(graph.ok());
  const CircuitLayout layout = lay_out(*graph, 30, 200.0);
  for (const auto& a : layout.nodes)
    for (const auto& b : layout.nodes)
      if (a.node < b.node) {
        EXPECT_TRUE(std::abs(a.centre.x - b.centre.x) >= CircuitLayout::node_width ||
                    std::abs(a.centre.y - b.centre.y) >= CircuitLayout::node_height);
      }
}

TEST(CircuitGraph, KeepingHeadsIsOneEditForEachLayersOthers) {
  ModelSpec spec;
  spec.n_layer = 3;
  spec.n_head = spec.n_kv_head = 4;
  const std::vector<HeadId> kept{head(0, 1), head(1, 0), head(1, 1), head(1, 2), head(1, 3)};
  const auto edits = edits_keeping(kept, spec, EditVerb::zero);
  ASSERT_EQ(edits.size(), 2U) << "a layer that is kept whole needs no edit";
  EXPECT_EQ(to_text(edits[0]), "zero 0.0,2-3");
  EXPECT_EQ(to_text(edits[1]), "zero 2.*");
  EXPECT_EQ(to_text(edits_keeping(kept, spec, EditVerb::mean)[1]), "mean 2.* over=positions");
  EXPECT_TRUE(parse_edit(to_text(edits[0])).ok());
}

TEST(CircuitGraph, TheFigureSaysWhereItComesFromAndDashesNegativeEdges) {
  const auto graph = CircuitGraph::of(hand_made());
  ASSERT_TRUE(graph.ok());
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "circuit-figure";
  std::filesystem::create_directories(folder);
  ResultOrigin origin{"circuit", "Which heads work together", {{"metric", "kl"}}, true, {}};
  origin.run.model_name = "demo:hand";
  for (const char* name : {"c.svg", "c.pdf", "c.png"})
    ASSERT_TRUE(write_circuit_figure(*graph, 4, origin, {}, folder / name).ok()) << name;
  const std::string svg = text_of(folder / "c.svg");
  EXPECT_NE(svg.find("partial"), std::string::npos);
  EXPECT_NE(svg.find("metric=kl"), std::string::npos);
  EXPECT_NE(svg.find("stroke-dasharray"), std::string::npos);
  CircuitGraph empty;
  EXPECT_FALSE(write_circuit_figure(empty, 1, origin, {}, folder / "none.svg").ok());
  EXPECT_FALSE(write_circuit_figure(*graph, 4, origin, {}, folder / "c.txt").ok());
}

TEST(ResultFigures, AFieldIsAHeatmapOrACurveAndTwoColumnsAreAScatterPlot) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "result-figures";
  std::filesystem::create_directories(folder);
  Field field{"effect", "Effect", "nats", ValueKind::signed_difference, {}, HostTensor({2, 3}), ""};
  field.axes = {{AxisKind::layer, "layer", {}}, {AxisKind::token, "token", {"the", "old", "sailor"}}};
  const std::vector<float> numbers{0.5f, -1.0f, 0.0f, 2.0f, 1.0f, std::nanf("")};
  std::copy(numbers.begin(), numbers.end(), field.values.mutable_values().begin());
  const ResultOrigin origin{"activation-patching", "What carries the answer", {{"count", 8}}, false, {}};
  ASSERT_TRUE(write_field_figure(field, {}, origin, {}, folder / "heat.svg").ok());
  EXPECT_NE(text_of(folder / "heat.svg").find("activation-patching"), std::string::npos);
  Field line = field;
  line.axes = {field.axes[1]};
  line.values = HostTensor({3});
  ASSERT_TRUE(write_field_figure(line, {}, origin, {}, folder / "line.png").ok());
  HeadColumn x{"x", "X", "nats", ValueKind::magnitude, HostTensor({2, 3})}, y = x;
  std::copy(numbers.begin(), numbers.end(), x.values.mutable_values().begin());
  const std::vector<HeadId> named{head(1, 0)};
  ASSERT_TRUE(write_scatter_figure(x, y, named, origin, {}, folder / "s.pdf").ok());
  y.values = HostTensor({1, 1});
  EXPECT_FALSE(write_scatter_figure(x, y, named, origin, {}, folder / "s.pdf").ok());
}
