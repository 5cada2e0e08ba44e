// attribution-patching on the demo: against slopes of plain runs, against its own sums, against patching.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "analysis/methods/metric.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

double number(const Cell& cell) { return std::get<double>(cell); }
std::string text(const Cell& cell) { return std::get<std::string>(cell); }

RunRequest recording(const Lab& lab, const TokenSequence& tokens, SiteRef site) {
  RunRequest request = lab.runner->request(tokens);
  request.capture.sites = {site};
  return request;
}

// The effect's definition: how the metric begins to change as z of a head goes from clean to corrupted.
TEST(AttributionPatching, a_heads_effect_is_the_slope_of_a_partial_patch) {
  const Lab& lab = demo();
  const auto result =
      lab.method("attribution-patching", {{"count", 1}, {"steps", 0}, {"edges", 0}, {"exact", false}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const PromptPair pair = preset("repeat", *lab.model, 1, 1)->pairs[0];
  const auto metric = [&](const saccade::Run& run) {
    return value_of(Metric::logit_difference, run.capture->last_logits, pair, nullptr);
  };
  for (const int32_t l : {0, 1, 2}) {
    const SiteRef site{HookSite::z, l};
    const auto clean = lab.run(recording(lab, pair.clean, site)),
               corrupt = lab.run(recording(lab, pair.corrupt, site));
    const HostTensor &from = clean->capture->sites.at(site), &to = corrupt->capture->sites.at(site);
    const auto at = [&](double share) {
      auto other = std::make_shared<Capture>();
      other->spec = lab.model->spec();
      other->tokens = pair.clean.tokens;
      HostTensor between(from.shape());
      for (int64_t i = 0; i < from.size(); ++i)
        between.mutable_values()[static_cast<size_t>(i)] =
            static_cast<float>(from.data()[i] + share * (to.data()[i] - from.data()[i]));
      other->sites[site] = between;
      RunRequest request = lab.runner->request(pair.clean);
      request.edits = {parse_edit("replace " + std::to_string(l) + ".2 from=other").value()};
      request.references["other"] = other;
      return metric(*lab.run(request));
    };
    constexpr double step = 0.02;  // float32 logits of size 10: 1e-5 over this
    const double slope = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
    EXPECT_NEAR(result->field("attribution")->values.at({l, 2}), slope / (metric(*corrupt) - metric(*clean)),
                2e-3)
        << l;
  }
}

class Edges : public testing::TestWithParam<int> {};

// d metric / d (a node's write) is what all later nodes read of it: its edges sum to its effect. What reaches
// the logits is the whole residual.
TEST_P(Edges, the_edges_out_of_a_node_sum_to_its_effect) {
  const auto result = demo().method(
      "attribution-patching", {{"count", 2}, {"steps", GetParam()}, {"edges", 100000}, {"exact", false}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  std::map<std::string, double> out;
  const Table *edges = table_of(*result, "edges"), *nodes = table_of(*result, "nodes");
  ASSERT_TRUE(edges && nodes);
  for (const auto& row : edges->rows) out[text(row[0])] += number(row[2]);
  EXPECT_EQ(out.size(), nodes->rows.size() + 1) << "every node and the embedding";
  for (const auto& row : nodes->rows) EXPECT_NEAR(out.at(text(row[0])), number(row[1]), 1e-4) << text(row[0]);
  const HostTensor& residual =
      result->field(GetParam() > 0 ? "resid_integrated" : "resid_attribution")->values;
  double embed = 0.0;
  for (int64_t i = 0; i < residual.shape()[1]; ++i) embed += residual.at({0, i});
  EXPECT_NEAR(out.at("embed"), embed, 1e-3);
}
INSTANTIATE_TEST_SUITE_P(Steps, Edges, testing::Values(0, 3));

TEST(AttributionPatching, integrated_gradients_of_the_embedding_carry_the_whole_difference) {
  const auto result =
      demo().method("attribution-patching", {{"count", 1}, {"steps", 100}, {"edges", 0}, {"exact", false}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const HostTensor& residual = result->field("resid_integrated")->values;
  double sum = 0.0;
  for (int64_t i = 0; i < residual.shape()[1]; ++i) sum += residual.at({0, i});
  EXPECT_NEAR(sum, 1.0, 0.02) << "completeness, up to the midpoint rule";
}

TEST(AttributionPatching, exact_effects_are_those_of_activation_patching_and_correlate) {
  const auto result = demo().method("attribution-patching", {{"count", 2}, {"steps", 3}});
  const auto patched = demo().method("activation-patching", {{"count", 2}, {"direction", "noising"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  ASSERT_TRUE(patched.ok());
  const Field &exact = *result->field("exact"), &effect = *patched->field("effect");
  for (int64_t at = 0; at < exact.values.size(); ++at)
    EXPECT_NEAR(exact.values.data()[at], effect.values.data()[at], 1e-5);
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("Kendall")));
  EXPECT_NE(result->field("mlp_exact"), nullptr);
  EXPECT_NE(result->field("resid_exact"), nullptr);
  ASSERT_NE(table_of(*result, "edges"), nullptr);
  EXPECT_LE(table_of(*result, "edges")->rows.size(), 200U);
}

std::map<std::pair<std::string, std::string>, double> exact_edges(const AnalysisResult& result) {
  std::map<std::pair<std::string, std::string>, double> found;
  const Table* edges = table_of(result, "edges");
  EXPECT_NE(edges, nullptr);
  EXPECT_EQ(edges->columns.back(), "exact");
  for (const auto& row : edges->rows)
    if (!std::isnan(number(row.back()))) found[{text(row[0]), text(row[1])}] = number(row.back());
  return found;
}

TEST(AttributionPatching, exact_edges_between_heads_are_paths_with_all_else_frozen) {
  const auto result = demo().method("attribution-patching",
                                    {{"count", 2}, {"steps", 3}, {"exact_edges", 2000}, {"edges", 2000}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto exact = exact_edges(*result);
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("strongest edges against patching them")));
  int compared = 0;
  for (const std::string receiver : {"logits", "2.1.q", "1.2.k", "2.0.v"}) {
    const auto paths = demo().method(
        "path-patching", {{"count", 2}, {"receivers", receiver}, {"position", "all"}, {"mlps", "frozen"}});
    ASSERT_TRUE(paths.ok()) << paths.error().to_string();
    for (const auto& row : table_of(*paths, "edges")->rows) {
      const auto edge = exact.find({text(row[0]), receiver});
      if (edge == exact.end()) continue;
      EXPECT_NEAR(edge->second, number(row[2]), 1e-5) << text(row[0]) << " " << receiver;
      ++compared;
    }
  }
  EXPECT_GT(compared, 20);
}

// The MLP's reading made by whole runs: a replaced residual, and what the MLP then adds to it.
TEST(AttributionPatching, exact_edges_into_mlps_are_those_of_whole_runs) {
  const Lab& lab = demo();
  const auto result = lab.method("attribution-patching",
                                 {{"count", 1}, {"steps", 0}, {"exact_edges", 2000}, {"edges", 2000}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto exact = exact_edges(*result);
  const PromptPair pair = preset("repeat", *lab.model, 1, 1)->pairs[0];
  const SiteRef mid{HookSite::resid_mid, 1}, post{HookSite::resid_post, 1}, out{HookSite::mlp_out, 1},
      wrote{HookSite::result, 0};
  const auto recorded = [&](const TokenSequence& tokens) {
    RunRequest request = lab.runner->request(tokens);
    request.capture.sites = {mid, post, out, wrote};
    return lab.run(request);
  };
  const auto metric = [&](const saccade::Run& run) {
    return value_of(Metric::logit_difference, run.capture->last_logits, pair, nullptr);
  };
  const auto clean = recorded(pair.clean), corrupt = recorded(pair.corrupt);
  const auto with = [&](SiteRef site, HostTensor values) {
    auto other = std::make_shared<Capture>();
    other->spec = lab.model->spec();
    other->tokens = pair.clean.tokens;
    other->sites[site] = std::move(values);
    RunRequest request = lab.runner->request(pair.clean);
    request.capture.sites = {post};
    request.edits = {parse_edit("replace " + full_name(site) + " from=other").value()};
    request.references["other"] = other;
    return lab.run(request);
  };
  const int64_t n = pair.clean.size(), d = lab.model->spec().d_model, heads = lab.model->spec().n_head;
  int compared = 0;
  for (int64_t h = 0; h < heads; ++h) {
    HostTensor changed({n, d});
    const HostTensor &now = corrupt->capture->sites.at(wrote), &before = clean->capture->sites.at(wrote);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t c = 0; c < d; ++c)
        changed.mutable_values()[static_cast<size_t>(i * d + c)] =
            clean->capture->sites.at(mid).at({i, c}) + now.at({i, h, c}) - before.at({i, h, c});
    const auto read = with(mid, changed);
    HostTensor written({n, d});
    for (size_t i = 0; i < static_cast<size_t>(n * d); ++i)
      written.mutable_values()[i] = read->capture->sites.at(post).values()[i] - changed.values()[i];
    const double effect =
        (metric(*with(out, written)) - metric(*clean)) / (metric(*corrupt) - metric(*clean));
    const auto edge = exact.find({"0." + std::to_string(h), "mlp 1"});
    if (edge == exact.end()) continue;
    EXPECT_NEAR(edge->second, effect, 1e-4) << h;
    ++compared;
  }
  EXPECT_EQ(compared, heads);
}

TEST(AttributionPatching, other_metrics_and_bad_input) {
  for (const char* metric : {"probability", "loss"})
    EXPECT_TRUE(demo()
                    .method("attribution-patching",
                            {{"count", 1}, {"steps", 0}, {"exact", false}, {"metric", metric}})
                    .ok());
  const auto refused = demo().method("attribution-patching", {{"metric", "kl"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("logit-difference"));
}

TEST(AttributionPatching, a_cancel_keeps_the_pairs_that_are_done) {
  JobContext job;
  int reports = 0;
  job.on_progress = [&](double, std::string_view what) {
    if (what.find("back through") != std::string_view::npos && ++reports > 10) job.cancel.cancel();
  };
  const auto part = demo().method("attribution-patching", {{"count", 3}, {"steps", 1}}, {}, job);
  ASSERT_TRUE(part.ok()) << part.error().to_string();
  EXPECT_TRUE(part->partial);
  EXPECT_THAT(part->findings, testing::Contains(HasSubstr("not reached")));
}

}  // namespace
}  // namespace saccade
