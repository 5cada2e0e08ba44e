// Edits of maps in whole runs: what each does to a head's map, its statistics and its z, and that resumed
// runs, batches, cached decoding and dumps agree with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "core/capture/attention_map.h"
#include "core/capture/dump.h"
#include "tests/core/run/fixtures.h"

namespace saccade {
namespace {

using testing::HasSubstr;

const std::vector<int32_t> ids{5, 17, 60, 3, 17, 60, 3, 44, 9, 17, 60, 2};
constexpr auto n_token = static_cast<int64_t>(12);
constexpr int64_t head = 1;
// float32 weights made from scores of order 1 to 10, against the formula in double precision.
constexpr double tolerance = 5e-6;

using Map = std::vector<double>;  // [query, key]

// A row of the map without the edit: what the edit makes of it. `scores` are ln p + lse, visible keys only.
struct Row {
  int64_t query = 0;
  std::vector<double> p, scores;
};
std::vector<double> softmax(std::vector<double> s) {
  double sum = 0.0;
  for (double& v : s) sum += v = std::exp(v);
  for (double& v : s) v /= sum;
  return s;
}
std::vector<double> summing_to_one(std::vector<double> p) {
  double sum = 0.0;
  for (const double v : p) sum += v;
  for (double& v : p) v /= sum;
  return p;
}

struct Case {
  std::string text;
  std::function<std::vector<double>(Row)> expected;
};

std::vector<Case> cases() {
  const auto scores = [](const std::function<double(double, int64_t query, int64_t key)>& f) {
    return [f](Row row) {
      for (size_t j = 0; j < row.scores.size(); ++j)
        row.scores[j] = f(row.scores[j], row.query, static_cast<int64_t>(j));
      return softmax(row.scores);
    };
  };
  const auto toward = [](double by, const std::function<bool(int64_t)>& chosen) {
    return [=](Row row) {
      double count = 0.0;
      for (size_t j = 0; j < row.p.size(); ++j) count += chosen(static_cast<int64_t>(j)) ? 1.0 : 0.0;
      if (count == 0.0) return row.p;
      for (size_t j = 0; j < row.p.size(); ++j)
        row.p[j] = (1.0 - by) * row.p[j] + (chosen(static_cast<int64_t>(j)) ? by / count : 0.0);
      return row.p;
    };
  };
  constexpr double cut = -std::numeric_limits<double>::infinity();
  return {
      {"temperature 0.1 by=0.5", scores([](double s, int64_t, int64_t) { return s / 0.5; })},
      {"temperature 0.1 by=2 query=4:9 key=0:3",
       scores([](double s, int64_t i, int64_t j) { return i >= 4 && i < 9 && j < 3 ? s / 2 : s; })},
      {"bias 0.1 by=2 key=0,3:5",
       scores([](double s, int64_t, int64_t j) { return j == 0 || j == 3 || j == 4 ? s + 2 : s; })},
      {"boost 0.1 by=0.7 key=2 query=6:",
       scores([](double s, int64_t i, int64_t j) { return i >= 6 && j == 2 ? s + 0.7 * std::abs(s) : s; })},
      {"stream 0.1 sink=1 recent=3",
       scores([=](double s, int64_t i, int64_t j) { return j >= 1 && i - j >= 3 ? cut : s; })},
      {"knockout 0.1 query=5 key=0,2:4", scores([=](double s, int64_t i, int64_t j) {
         return i == 5 && (j == 0 || j == 2 || j == 3) ? cut : s;
       })},
      {"uniform 0.1", toward(1.0, [](int64_t) { return true; })},
      {"uniform 0.1 by=0.3", toward(0.3, [](int64_t) { return true; })},
      {"force 0.1 by=0.6 key=3,7", toward(0.6, [](int64_t j) { return j == 3 || j == 7; })},
      {"identity 0.1 by=0.4",
       [](Row row) {
         for (double& v : row.p) v *= 0.6;
         row.p[static_cast<size_t>(row.query)] += 0.4;
         return row.p;
       }},
      {"column-scale 0.1 by=0.4 key=0",
       [](Row row) {
         row.p[0] *= 0.4;
         return row.p;
       }},
      {"column-scale 0.1 by=0.4 key=0 renormalise=yes",
       [](Row row) {
         row.p[0] *= 0.4;
         return summing_to_one(row.p);
       }},
      {"redistribute 0.1 by=0.4 key=0",
       [](Row row) {
         const double rest = 1.0 - row.p[0];
         if (row.p.size() == 1) return row.p;
         for (size_t j = 1; j < row.p.size(); ++j) row.p[j] *= 1.0 + 0.6 * row.p[0] / rest;
         row.p[0] *= 0.4;
         return row.p;
       }},
      {"power 0.1 by=2",
       [](Row row) {
         for (double& v : row.p) v *= v;
         return summing_to_one(row.p);
       }},
      {"sharpen 0.1 by=3",
       [](Row row) {
         const std::vector<double> before = row.p;
         double sum = 0.0;
         for (double& v : row.p)
           sum += v = std::pow(std::max(0.0, static_cast<double>(row.p.size()) * v - 1), 3);
         return sum > 0.0 ? summing_to_one(row.p) : before;
       }},
  };
}

class MapEdits : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    opened_ = fixtures::open(fixtures::golden(GetParam()).string());
    ASSERT_NE(opened_.runner, nullptr);
    baseline_ = fixtures::run(opened_, request({}));
    ASSERT_NE(baseline_, nullptr);
    auto vectors = std::make_shared<VectorFile>();
    vectors->digest = "vectors";
    const auto width = [](int32_t size, float first) {
      std::vector<float> values;
      for (int32_t i = 0; i < size; ++i) values.push_back(first - 0.03F * static_cast<float>(i));
      return values;
    };
    const ModelSpec& spec = opened_.model->spec();
    vectors->vectors["head_offsets/0/1/a"] = width(spec.d_head, 0.5F);
    vectors->vectors["head_offsets/1/0/v"] = width(spec.d_head, 0.3F);
    vectors->vectors["steer"] = width(spec.d_model, 0.2F);
    vectors_ = vectors;
  }
  RunRequest request(const std::vector<std::string>& edits, const std::vector<int32_t>& tokens = ids) {
    RunRequest request = fixtures::request(opened_, tokens, edits);
    for (const Edit& edit : request.edits) {
      if (edit.from == "vectors") request.vectors[edit.from] = vectors_;
      if (edit.from == "other") request.references[edit.from] = other_ ? other_ : baseline_->capture;
    }
    return request;
  }
  std::shared_ptr<const saccade::Run> run(const std::vector<std::string>& edits,
                                          const std::shared_ptr<const saccade::Run>& base = nullptr) {
    return fixtures::run(opened_, request(edits), base);
  }
  Map map(const std::shared_ptr<const Capture>& capture, int32_t layer = 0, int64_t h = head) {
    auto map = AttentionMap::of(capture, {LayerIndex{layer}, HeadIndex{static_cast<int32_t>(h)}},
                                opened_.runner->kernels());
    EXPECT_TRUE(map.ok()) << map.error().to_string();
    auto tile = map->tile(0, n_token, 0, n_token, 1);
    EXPECT_TRUE(tile.ok()) << tile.error().to_string();
    return {tile->block_max.values().begin(), tile->block_max.values().end()};
  }
  Row row_of(const Map& before, int64_t query) {
    Row row;
    row.query = query;
    for (int64_t j = 0; j <= query; ++j) {
      row.p.push_back(before[static_cast<size_t>(query * n_token + j)]);
      row.scores.push_back(std::log(row.p.back()) + baseline_->capture->layers[0]->lse.at({head, query}));
    }
    return row;
  }
  static std::vector<float> logits(const std::shared_ptr<const saccade::Run>& run) {
    return {run->capture->last_logits.values().begin(), run->capture->last_logits.values().end()};
  }
  // Lists that go through every verb, some of them in both layers.
  static std::vector<std::vector<std::string>> lists() {
    std::vector<std::vector<std::string>> lists;
    for (const Case& one : cases()) lists.push_back({one.text});
    lists.push_back(
        {"redistribute *.* by=0.4 key=0 to=rest", "temperature 1.* by=0.7", "bias 0.2 by=1 key=3"});
    lists.push_back(
        {"uniform 1.* query=8:", "stream 0.* sink=2 recent=4", "power 0.1 by=1.5", "identity 0.1 by=0.2"});
    lists.push_back({"redistribute 0.1 by=0.4 key=0:2 to=2:6 least-mass=0.2 least-share=0.3"});
    lists.push_back({"pattern 0.1 from=other query=0:6 key=0:6"});
    lists.push_back({"pattern 1.* from=other query=3:9 key=0:3 renormalise=no", "zero 1.0 query=2,5:"});
    lists.push_back({"offset *.* from=vectors by=2"});
    lists.push_back({"offset 1.2 add=" + long_vector(), "scale 1.2 by=0.5 query=3:"});
    lists.push_back(
        {"add blocks.0.hook_resid_post from=vectors dataset=steer by=3 query=4:", "gate *.* keep=2"});
    lists.push_back({"gate 1.0-2 keep=1 soft=yes query=1:"});
    return lists;
  }
  static std::string long_vector() {
    std::string text = "0.25";
    for (int i = 1; i < 8; ++i) text += ",-0.5";
    return text;
  }

  fixtures::Opened opened_;
  std::shared_ptr<const saccade::Run> baseline_;
  std::shared_ptr<const Capture> other_;
  std::shared_ptr<const VectorFile> vectors_;
};

TEST_P(MapEdits, every_verb_makes_of_a_map_what_its_formula_says) {
  const Map before = map(baseline_->capture);
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.text);
    const auto edited = run({one.text});
    ASSERT_TRUE(edited);
    const Map after = map(edited->capture);
    double changed = 0.0;
    for (int64_t i = 0; i < n_token; ++i) {
      const std::vector<double> expected = one.expected(row_of(before, i));
      double entropy = 0.0;
      for (int64_t j = 0; j < n_token; ++j) {
        const double want = j <= i ? expected[static_cast<size_t>(j)] : 0.0;
        const double got = after[static_cast<size_t>(i * n_token + j)];
        ASSERT_NEAR(got, want, tolerance) << i << ", " << j;
        changed = std::max(changed, std::abs(got - before[static_cast<size_t>(i * n_token + j)]));
        if (want > 0.0) entropy -= want * std::log(want);
      }
      ASSERT_NEAR(edited->capture->layers[0]->statistics.entropy.at({head, i}), entropy, 1e-4) << i;
    }
    EXPECT_GT(changed, 1e-3) << "an edit that shows nothing tests nothing";
    EXPECT_EQ(map(edited->capture, 0, 0), map(baseline_->capture, 0, 0)) << "other heads stay";
  }
}

TEST_P(MapEdits, z_is_the_edited_map_times_v) {
  for (const char* text : {"redistribute 0.1 by=0.4 key=0", "power 0.1 by=2", "temperature 0.1 by=0.5",
                           "force 0.1 by=0.6 key=3,7"}) {
    RunRequest wanted = request({text});
    wanted.capture.sites = {{HookSite::v, 0}, {HookSite::z, 0}};
    const auto edited = fixtures::run(opened_, wanted);
    const Map p = map(edited->capture);
    const ModelSpec& spec = opened_.model->spec();
    const HostTensor &v = edited->capture->sites.at({HookSite::v, 0}),
                     &z = edited->capture->sites.at({HookSite::z, 0});
    for (int64_t i = 0; i < n_token; ++i)
      for (int64_t d = 0; d < spec.d_head; ++d) {
        double sum = 0.0;
        for (int64_t j = 0; j <= i; ++j)
          sum += p[static_cast<size_t>(i * n_token + j)] * v.at({j, head * spec.n_kv_head / spec.n_head, d});
        ASSERT_NEAR(z.at({i, head, d}), sum, 1e-5) << text;
      }
  }
}

TEST_P(MapEdits, a_pattern_is_the_other_runs_map_where_it_is_put_in) {
  other_ = run({"temperature 0.* by=3"})->capture;
  const Map theirs = map(other_);
  const Map whole = map(run({"pattern 0.1 from=other"})->capture);
  for (size_t c = 0; c < whole.size(); ++c) ASSERT_NEAR(whole[c], theirs[c], tolerance);
  const Map block = map(run({"pattern 0.1 from=other query=6 key=0:3"})->capture),
            own = map(baseline_->capture);
  double sum = 0.0;
  for (int64_t j = 0; j < n_token; ++j) {
    const auto cell = static_cast<size_t>(6 * n_token + j);
    sum += block[cell];
    if (j < 3) {
      ASSERT_NEAR(block[cell], theirs[cell], tolerance);
    }
    ASSERT_EQ(block[cell + n_token], own[cell + n_token]) << "another row";
  }
  EXPECT_NEAR(sum, 1.0, tolerance);
  const Map kept = map(run({"pattern 0.1 from=other query=6 key=0:3 renormalise=no"})->capture);
  for (int64_t j = 3; j <= 6; ++j)
    ASSERT_NEAR(kept[static_cast<size_t>(6 * n_token + j)], own[static_cast<size_t>(6 * n_token + j)],
                tolerance);
}

TEST_P(MapEdits, a_map_put_into_its_own_place_changes_nothing) {
  const auto a = logits(run({"pattern *.* from=other"})), b = logits(baseline_);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-5);
}

TEST_P(MapEdits, factors_that_change_nothing_leave_every_bit_alone) {
  for (const char* text :
       {"temperature 0.1 by=1", "bias 0.1 by=0 key=2", "boost *.* by=0 key=2", "uniform 0.1 by=0",
        "identity 0.* by=0", "force 0.1 by=0 key=1", "column-scale 0.1 by=1 key=2 renormalise=yes",
        "redistribute 0.1 by=1 key=2", "power 0.1 by=1", "offset 0.1 from=vectors by=0",
        "add blocks.0.hook_resid_post from=vectors by=0", "zero 0.1 query=3:3"}) {
    const auto edited = run({text});
    EXPECT_EQ(logits(edited), logits(baseline_)) << text;
    EXPECT_EQ(edited->digest, baseline_->digest) << text;
    EXPECT_TRUE(edited->capture->layers[0]->plans.empty()) << text;
  }
}

TEST_P(MapEdits, a_resumed_run_gives_the_same_bits_as_one_from_scratch) {
  std::shared_ptr<const saccade::Run> before = baseline_;
  for (const auto& list : lists()) {
    SCOPED_TRACE(list[0]);
    const auto scratch = run(list);
    EXPECT_NE(logits(scratch), logits(baseline_));
    EXPECT_EQ(logits(run(list, baseline_)), logits(scratch));
    EXPECT_EQ(logits(run(list, before)), logits(scratch)) << "on top of another edited run";
    EXPECT_EQ(logits(run({}, scratch)), logits(baseline_));
    before = scratch;
  }
  EXPECT_EQ(run({"power 1.2 by=2"}, baseline_)->reused_layers, 1);
  EXPECT_EQ(run({"power 1.2 by=2"}, run({"power 1.2 by=3"}))->reused_layers, 1);
  EXPECT_EQ(run({"offset 1.0 from=vectors"}, run({"offset 1.0 from=vectors by=2"}))->reused_layers, 1);
}

TEST_P(MapEdits, a_batch_gives_what_each_list_gives_alone) {
  std::vector<RunRequest> requests;
  for (const auto& list : lists()) requests.push_back(request(list));
  requests.push_back(request({}));
  const auto answers = opened_.runner->answers(requests, {});
  ASSERT_TRUE(answers.ok()) << answers.error().to_string();
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto alone = logits(fixtures::run(opened_, requests[i]));
    for (size_t v = 0; v < alone.size(); ++v)
      ASSERT_NEAR((*answers)[i].values()[v], alone[v], 1e-4) << "list " << i;
  }
}

// Positions are absolute and frozen in the edit, so the cache holds what a prompt of the whole text would.
TEST_P(MapEdits, cached_decoding_gives_what_the_whole_text_as_a_prompt_gives) {
  std::vector<std::vector<std::string>> all = lists();
  all.push_back({"redistribute 1.* by=0.4 key=0,3 to=rest query=10:"});
  all.push_back({"zero 1.1 query=12:", "uniform 0.* query=12:", "force 1.3 by=0.5 key=2"});
  SamplingOptions sampling;
  sampling.max_tokens = 5;
  sampling.stop_at_eos = false;
  sampling.keep_logits = true;
  for (const auto& list : all) {
    SCOPED_TRACE(list[0]);
    const auto generation = opened_.runner->generate(request(list), sampling, {}, {});
    ASSERT_TRUE(generation.ok()) << generation.error().to_string();
    ASSERT_EQ(generation->logits.size(), 5U);
    std::vector<int32_t> text = ids;
    for (size_t t = 0; t < 5; ++t) {
      const auto whole = fixtures::run(opened_, request(list, text));
      ASSERT_TRUE(whole);
      const auto expected = logits(whole);
      for (size_t v = 0; v < expected.size(); ++v)
        ASSERT_NEAR(generation->logits[t].values()[v], expected[v], 1e-4) << "token " << t;
      text.push_back(generation->tokens[t].id);
    }
  }
}

TEST_P(MapEdits, a_dump_regenerates_the_edited_maps_without_the_model) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("saccade-edits-" + std::to_string(::getpid()) + ".h5");
  for (const auto& list : lists()) {
    SCOPED_TRACE(list[0]);
    const auto edited = run(list);
    const auto written =
        write_dump(*edited->capture, path, {{{HookSite::pattern, 0}, {HookSite::attn_scores, 1}}},
                   opened_.runner->kernels(), {});
    ASSERT_TRUE(written.ok()) << written.error().to_string();
    const auto read = read_dump(path);
    ASSERT_TRUE(read.ok()) << read.error().to_string();
    for (int32_t l = 0; l < 2; ++l)
      for (int64_t h = 0; h < opened_.model->spec().n_head; ++h)
        ASSERT_EQ(map(*read, l, h), map(edited->capture, l, h)) << l << "." << h;
  }
  std::filesystem::remove(path);
}

TEST_P(MapEdits, z_of_an_edited_run_can_be_made_again) {
  for (const char* text :
       {"power 1.1 by=2", "temperature 1.* by=0.5", "gate 1.* keep=1", "pattern 1.1 from=other"}) {
    RunRequest wanted = request({text});
    const auto donor = fixtures::run(opened_, wanted);
    wanted.capture.sites = {{HookSite::z, 1}};
    const HostTensor expected = fixtures::run(opened_, wanted)->capture->sites.at({HookSite::z, 1});
    RunRequest patched = fixtures::request(opened_, ids, {"replace 1.* from=donor"});
    patched.references["donor"] = donor->capture;
    patched.capture.sites = {{HookSite::z, 1}};
    const HostTensor z = fixtures::run(opened_, patched)->capture->sites.at({HookSite::z, 1});
    for (size_t i = 0; i < z.values().size(); ++i) ASSERT_EQ(z.values()[i], expected.values()[i]) << text;
  }
}

TEST_P(MapEdits, offsets_and_steering_add_what_the_file_says) {
  const ModelSpec& spec = opened_.model->spec();
  const auto at = [&](const std::vector<std::string>& edits, SiteRef site) {
    RunRequest wanted = request(edits);
    wanted.capture.sites = {site};
    return fixtures::run(opened_, wanted)->capture->sites.at(site);
  };
  const SiteRef z{HookSite::z, 0}, resid{HookSite::resid_post, 0};
  const HostTensor plain = at({}, z), moved = at({"offset 0.* from=vectors by=2 query=3:"}, z);
  const HostTensor before = at({}, resid),
                   after = at({"add blocks.0.hook_resid_post from=vectors dataset=steer by=3"}, resid);
  for (int64_t i = 0; i < n_token; ++i) {
    for (int64_t d = 0; d < spec.d_head; ++d) {
      const double a = 0.5 - 0.03 * static_cast<double>(d);
      ASSERT_NEAR(moved.at({i, 1, d}), plain.at({i, 1, d}) * (i < 3 ? 1.0 : 1.0 + 2 * a), 1e-6);
      ASSERT_EQ(moved.at({i, 0, d}), plain.at({i, 0, d})) << "a head the file does not have";
    }
    for (int64_t d = 0; d < spec.d_model; ++d)
      ASSERT_NEAR(after.at({i, d}), before.at({i, d}) + 3 * (0.2 - 0.03 * static_cast<double>(d)), 1e-5);
  }
}

TEST_P(MapEdits, a_gate_leaves_the_heads_with_the_longest_queries) {
  RunRequest wanted = request({"gate 0.* keep=2"});
  wanted.capture.sites = {{HookSite::z, 0}, {HookSite::q, 0}};
  const auto gated = fixtures::run(opened_, wanted);
  const HostTensor &z = gated->capture->sites.at({HookSite::z, 0}),
                   &q = gated->capture->sites.at({HookSite::q, 0});
  const ModelSpec& spec = opened_.model->spec();
  for (int64_t i = 0; i < n_token; ++i) {
    std::vector<std::pair<double, bool>> heads;  // |q|, on
    for (int64_t h = 0; h < spec.n_head; ++h) {
      double squares = 0.0, size = 0.0;
      for (int64_t d = 0; d < spec.d_head; ++d) {
        squares += static_cast<double>(q.at({i, h, d})) * q.at({i, h, d});
        size += std::abs(z.at({i, h, d}));
      }
      heads.emplace_back(squares, size > 0.0);
    }
    std::sort(heads.rbegin(), heads.rend());
    for (size_t h = 0; h < heads.size(); ++h) ASSERT_EQ(heads[h].second, h < 2) << "token " << i;
  }
}

TEST_P(MapEdits, statistics_on_request_are_those_of_the_edited_map) {
  RunRequest wanted = request({"redistribute 0.1 by=0.4 key=0"});
  wanted.capture.key_masses = {{"first", PositionSet({0, 1})}, {"odd", PositionSet({{1, 2}, {3, 4}})}};
  wanted.capture.value_mass = true;
  wanted.capture.block_size = 5;
  wanted.capture.sites = {{HookSite::v, 0}};
  const auto edited = fixtures::run(opened_, wanted);
  EXPECT_NE(edited->digest, run({"redistribute 0.1 by=0.4 key=0"})->digest);
  const HeadStatistics& s = edited->capture->layers[0]->statistics;
  const Map p = map(edited->capture);
  const HostTensor& v = edited->capture->sites.at({HookSite::v, 0});
  const ModelSpec& spec = opened_.model->spec();
  std::vector<double> blocks(9, 0.0);
  for (int64_t i = 0; i < n_token; ++i) {
    const double* row = &p[static_cast<size_t>(i * n_token)];
    EXPECT_NEAR(s.key_mass.at("first").at({head, i}), row[0], tolerance);
    EXPECT_NEAR(s.key_mass.at("odd").at({head, i}), row[1] + row[3], tolerance);
    double mass = 0.0;
    for (int64_t j = 0; j < n_token; ++j) {
      double squares = 0.0;
      for (int64_t d = 0; d < spec.d_head; ++d) {
        const double x = v.at({j, head * spec.n_kv_head / spec.n_head, d});
        squares += x * x;
      }
      mass += row[j] * std::sqrt(squares);
      blocks[static_cast<size_t>(i / 5 * 3 + j / 5)] += row[j];
    }
    EXPECT_NEAR(s.value_mass.at({head, i}), mass, 1e-4 * std::max(1.0, mass));
  }
  for (int64_t b = 0; b < 9; ++b)
    EXPECT_NEAR(s.block_mass.at({head, b / 3, b % 3}), blocks[static_cast<size_t>(b)], 1e-4);
  EXPECT_TRUE(baseline_->capture->layers[0]->statistics.key_mass.empty());
}

TEST_P(MapEdits, what_cannot_be_is_refused_before_any_work) {
  const auto error = [&](RunRequest request) {
    const auto outcome = opened_.runner->run(request, nullptr, {});
    return outcome.ok() ? std::string("no error") : outcome.error().to_string();
  };
  RunRequest without = request({"offset 0.1 from=vectors"});
  without.vectors.clear();
  EXPECT_THAT(error(without), HasSubstr("no file of vectors named 'vectors' was given"));
  EXPECT_THAT(error(request({"offset 0.0 from=vectors"})), HasSubstr("no /head_offsets/LAYER/HEAD/a or v"));
  EXPECT_THAT(error(request({"add blocks.0.mlp.hook_post from=vectors dataset=steer"})),
              HasSubstr("numbers"));
  EXPECT_THAT(error(request({"pattern 0.1 from=nowhere"})), HasSubstr("no run or dump named 'nowhere'"));
  EXPECT_THAT(error(request({"pattern 0.1 from=other"}, {1, 2, 3})),
              HasSubstr("has 12 tokens and this run 3"));
  EXPECT_EQ(error(request({"pattern 0.1 from=other query=0:2 key=0:2"}, {1, 2, 3})), "no error");
  EXPECT_THAT(error(request({"uniform 0.1 query=13"})), HasSubstr("13:14 is outside the 12 tokens"));
}

INSTANTIATE_TEST_SUITE_P(Families, MapEdits, testing::Values("gpt2", "llama_llama3_rope"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace saccade
