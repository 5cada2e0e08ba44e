// Segments of the prompt whose order does not count (PINE): the worked example, maps against the definition
// written out, the same answer for every order, and everything else a run is used for.
#include "core/run/order_free.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <filesystem>
#include <functional>

#include "core/capture/attention_map.h"
#include "core/capture/dump.h"
#include "core/run/gradient.h"
#include "tests/core/run/fixtures.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<int32_t> prefix{5, 17}, suffix{9, 17, 60, 2};
const std::vector<std::vector<int32_t>> parts{{60, 3}, {17, 44, 3}, {12, 30, 8, 21}};

struct Prompt {
  std::vector<int32_t> ids = prefix;
  std::vector<int64_t> bounds{static_cast<int64_t>(prefix.size())};
  [[nodiscard]] std::string edit(const std::string& layers = "*") const {
    return fmt::format("order-free {}.* segments={}", layers, fmt::join(bounds, ","));
  }
};

Prompt in_order(const std::vector<int>& order) {
  Prompt prompt;
  for (const int part : order) {
    const auto& ids = parts[static_cast<size_t>(part)];
    prompt.ids.insert(prompt.ids.end(), ids.begin(), ids.end());
    prompt.bounds.push_back(static_cast<int64_t>(prompt.ids.size()));
  }
  prompt.ids.insert(prompt.ids.end(), suffix.begin(), suffix.end());
  return prompt;
}

// Rotary models: grouped queries; with norms on q and k besides.
const std::vector<std::string> variants{"llama_llama3_rope", "qwen3"};

float largest_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0.0F;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::fabs(a[i] - b[i]));
  return largest;
}

TEST(OrderFree, the_worked_example) {
  const std::vector<int64_t> bounds{2, 4, 7, 11};
  const std::vector<int64_t> shifts = order_free::shifts_of(bounds, std::array{0.1, 0.5, 0.2});
  EXPECT_THAT(shifts, ElementsAre(7, 0, 3));
  std::vector<int64_t> positions;
  for (int64_t key = 2; key < 11; ++key)
    positions.push_back(order_free::initial_position(bounds, key) -
                        shifts[static_cast<size_t>(order_free::segment_of(bounds, key))]);
  EXPECT_THAT(positions, ElementsAre(2, 3, 8, 9, 10, 4, 5, 6, 7));
  EXPECT_THAT(order_free::shifts_of(bounds, std::array{0.1, 0.5, 0.2}, 0), ElementsAre(0, 2, 5))
      << "a segment's own tokens stay next to each other";
}

// The definition, with positions for every pair, in double precision.
class Reference {
 public:
  Reference(const Capture& capture, int32_t layer, const Prompt& prompt)
      : spec_(capture.spec), layer_(*capture.layers[static_cast<size_t>(layer)]), bounds_(prompt.bounds) {
    frequencies_ = rotary_frequencies(*spec_.rotary_of(layer));
    scale_ = spec_.attention_scale_of(layer);
  }

  // Row of the map of one head.
  [[nodiscard]] std::vector<double> row(int32_t head, int64_t query) const {
    const auto n = static_cast<int64_t>(layer_.q.shape()[0]);
    const std::vector<int64_t> position = positions_for(head, query);
    std::vector<double> p(static_cast<size_t>(n));
    double sum = 0.0;
    for (int64_t key = 0; key < n; ++key) {
      if (!sees(query, key)) continue;
      const auto q = rotated(plain(layer_.q, head, query), initial(query));
      const auto k =
          rotated(plain(layer_.k, spec_.kv_head_of(head), key), position[static_cast<size_t>(key)]);
      sum += p[static_cast<size_t>(key)] = std::exp(scale_ * dot(q, k));
    }
    for (double& value : p) value /= sum;
    return p;
  }

 private:
  using Vector = std::vector<double>;
  [[nodiscard]] int64_t segment(int64_t at) const {
    for (size_t s = 0; s + 1 < bounds_.size(); ++s)
      if (at >= bounds_[s] && at < bounds_[s + 1]) return static_cast<int64_t>(s);
    return -1;
  }
  [[nodiscard]] int64_t length(int64_t s) const {
    return bounds_[static_cast<size_t>(s) + 1] - bounds_[static_cast<size_t>(s)];
  }
  [[nodiscard]] int64_t initial(int64_t at) const {
    const int64_t s = segment(at);
    return s < 0 ? at : bounds_.back() - length(s) + at - bounds_[static_cast<size_t>(s)];
  }
  [[nodiscard]] bool sees(int64_t query, int64_t key) const {
    const int64_t of_query = segment(query), of_key = segment(key);
    if (of_query >= 0 && of_key >= 0) return of_query != of_key || key <= query;
    return key <= query;
  }
  [[nodiscard]] Vector rotated(Vector x, int64_t by) const {
    for (size_t i = 0; i < frequencies_.size(); ++i) {
      const size_t second = i + frequencies_.size();
      const auto turned =
          std::complex(x[i], x[second]) * std::polar(1.0, static_cast<double>(by) * frequencies_[i]);
      x[i] = turned.real();
      x[second] = turned.imag();
    }
    return x;
  }
  // As it was before it was rotated to its place.
  [[nodiscard]] Vector plain(const HostTensor& heads, int64_t head, int64_t at) const {
    const float* from = heads.data() + (at * heads.shape()[1] + head) * spec_.d_head;
    return rotated(Vector(from, from + spec_.d_head), -initial(at));
  }
  static double dot(const Vector& a, const Vector& b) {
    double sum = 0.0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  }
  // Where every key stands for this query of this head.
  [[nodiscard]] std::vector<int64_t> positions_for(int32_t head, int64_t query) const {
    const auto segments = static_cast<int64_t>(bounds_.size()) - 1;
    const int64_t own = segment(query);
    std::vector<double> importance(static_cast<size_t>(segments));
    std::vector<int64_t> askers{query};
    if (own >= 0) {
      askers.clear();
      for (int64_t at = bounds_[static_cast<size_t>(own)]; at < bounds_[static_cast<size_t>(own) + 1]; ++at)
        askers.push_back(at);
    }
    for (const int64_t asker : askers) {
      std::vector<double> mass(importance.size());
      double total = 0.0;
      for (int64_t key = bounds_.front(); key < bounds_.back(); ++key) {
        if (segment(key) == own) continue;
        const double weight = std::exp(
            scale_ * dot(plain(layer_.q, head, asker), plain(layer_.k, spec_.kv_head_of(head), key)));
        mass[static_cast<size_t>(segment(key))] += weight;
        total += weight;
      }
      for (size_t s = 0; s < mass.size(); ++s)
        importance[s] += mass[s] / total / static_cast<double>(length(static_cast<int64_t>(s)));
    }
    if (own >= 0) importance[static_cast<size_t>(own)] = 1e9;
    std::vector<int64_t> positions;
    for (int64_t key = 0; key < layer_.q.shape()[0]; ++key) {
      int64_t position = initial(key);
      if (const int64_t s = segment(key); s >= 0)
        for (int64_t other = 0; other < segments; ++other)
          if (importance[static_cast<size_t>(other)] > importance[static_cast<size_t>(s)])
            position -= length(other);
      positions.push_back(position);
    }
    return positions;
  }

  const ModelSpec& spec_;
  const LayerCapture& layer_;
  std::vector<int64_t> bounds_;
  std::vector<double> frequencies_;
  double scale_ = 1.0;
};

TEST(OrderFree, maps_are_those_of_the_definition) {
  for (const std::string& variant : variants) {
    const fixtures::Opened opened = fixtures::open(fixtures::golden(variant).string());
    const Prompt prompt = in_order({2, 0, 1});
    const auto run = fixtures::run(opened, fixtures::request(opened, prompt.ids, {prompt.edit()}));
    ASSERT_TRUE(run);
    const auto n = static_cast<int64_t>(prompt.ids.size());
    const ModelSpec& spec = opened.model->spec();
    double later = 0.0;
    for (int32_t l = 0; l < spec.n_layer; ++l) {
      const Reference reference(*run->capture, l, prompt);
      for (int32_t h = 0; h < spec.n_head; ++h) {
        const auto map =
            AttentionMap::of(run->capture, {LayerIndex{l}, HeadIndex{h}}, opened.runner->kernels());
        ASSERT_TRUE(map.ok()) << map.error().to_string();
        EXPECT_FALSE(map->causal());
        std::vector<float> rows(static_cast<size_t>(n * n));
        ASSERT_TRUE(map->rows(0, n, n, rows).ok());
        for (int64_t i = 0; i < n; ++i) {
          const std::vector<double> expected = reference.row(h, i);
          for (int64_t j = 0; j < n; ++j) {
            const float found = rows[static_cast<size_t>(i * n + j)];
            EXPECT_NEAR(found, expected[static_cast<size_t>(j)], 5e-6)
                << variant << " " << l << "." << h << " " << i << "," << j;
            if (j > i) later += found;
          }
        }
      }
    }
    EXPECT_GT(later, 1.0) << "segments see those that stand after them";
  }
}

TEST(OrderFree, every_order_gives_the_same_answer) {
  for (const std::string& variant : variants) {
    const fixtures::Opened opened = fixtures::open(fixtures::golden(variant).string());
    std::vector<int> order{0, 1, 2};
    std::vector<HostTensor> edited, plain;
    do {
      const Prompt prompt = in_order(order);
      edited.push_back(fixtures::run(opened, fixtures::request(opened, prompt.ids, {prompt.edit()}))
                           ->capture->last_logits);
      plain.push_back(fixtures::run(opened, fixtures::request(opened, prompt.ids))->capture->last_logits);
    } while (std::next_permutation(order.begin(), order.end()));
    ASSERT_EQ(edited.size(), 6U);
    float moved = 0.0F;
    for (size_t i = 1; i < edited.size(); ++i) {
      EXPECT_LT(largest_difference(edited[0].values(), edited[i].values()), 2e-5F)
          << variant << " order " << i;
      moved = std::max(moved, largest_difference(plain[0].values(), plain[i].values()));
    }
    EXPECT_GT(moved, 1e-3F) << variant << ": without the edit orders matter";
  }
}

TEST(OrderFree, decoding_with_a_cache_is_running_the_longer_text) {
  const fixtures::Opened opened = fixtures::open(fixtures::golden("llama_llama3_rope").string());
  const Prompt prompt = in_order({1, 2, 0});
  for (const bool keep_heads : {false, true}) {
    SamplingOptions options;
    options.max_tokens = 3;
    options.stop_at_eos = false;
    options.keep_logits = true;
    options.keep_heads = keep_heads;
    const auto generation =
        opened.runner->generate(fixtures::request(opened, prompt.ids, {prompt.edit()}), options, {}, {});
    ASSERT_TRUE(generation.ok()) << generation.error().to_string();
    std::vector<int32_t> ids = prompt.ids;
    for (size_t step = 0; step < generation->tokens.size(); ++step) {
      const auto run = fixtures::run(opened, fixtures::request(opened, ids, {prompt.edit()}));
      EXPECT_LT(largest_difference(generation->logits[step].values(), run->capture->last_logits.values()),
                2e-5F);
      ids.push_back(generation->tokens[step].id);
    }
  }
}

TEST(OrderFree, resumed_runs_batches_and_files_agree) {
  const fixtures::Opened opened = fixtures::open(fixtures::golden("llama_llama3_rope").string());
  const Prompt prompt = in_order({2, 1, 0});
  const auto base = fixtures::run(opened, fixtures::request(opened, prompt.ids));
  const RunRequest request = fixtures::request(opened, prompt.ids, {prompt.edit("1"), "scale 1.0 by=0.5"});
  const auto whole = fixtures::run(opened, request), resumed = fixtures::run(opened, request, base);
  EXPECT_EQ(resumed->reused_layers, 1);
  EXPECT_LT(largest_difference(whole->capture->last_logits.values(), resumed->capture->last_logits.values()),
            1e-6F);
  const std::array<RunRequest, 2> both{base->request, request};
  const auto answers = opened.runner->answers(both, {});
  ASSERT_TRUE(answers.ok()) << answers.error().to_string();
  EXPECT_LT(largest_difference((*answers)[0].values(), base->capture->last_logits.values()), 2e-5F);
  EXPECT_LT(largest_difference((*answers)[1].values(), whole->capture->last_logits.values()), 2e-5F);

  const auto path = std::filesystem::temp_directory_path() / fmt::format("saccade_order_{}.h5", ::getpid());
  ASSERT_TRUE(write_dump(*whole->capture, path, {}, opened.runner->kernels(), {}).ok());
  const auto read = read_dump(path);
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  std::filesystem::remove(path);
  EXPECT_EQ((*read)->layers[1]->segments, prompt.bounds);
  const auto n = static_cast<int64_t>(prompt.ids.size());
  for (const int32_t l : {0, 1}) {
    std::vector<float> written(static_cast<size_t>(n * n)), found = written;
    const HeadId head{LayerIndex{l}, HeadIndex{1}};
    ASSERT_TRUE(
        AttentionMap::of(whole->capture, head, opened.runner->kernels())->rows(0, n, n, written).ok());
    const auto map = AttentionMap::of(*read, head, opened.runner->kernels());
    ASSERT_TRUE(map.ok()) << map.error().to_string();
    ASSERT_TRUE(map->rows(0, n, n, found).ok());
    EXPECT_EQ(written, found);
  }
}

TEST(OrderFree, z_of_such_a_run_can_be_put_into_another) {
  const fixtures::Opened opened = fixtures::open(fixtures::golden("llama_llama3_rope").string());
  const Prompt prompt = in_order({2, 1, 0});
  const auto other = fixtures::run(opened, fixtures::request(opened, prompt.ids, {prompt.edit("0")}));
  RunRequest request = fixtures::request(opened, prompt.ids, {"replace 0.* from=other"});
  request.references["other"] = other->capture;
  const auto patched = fixtures::run(opened, request);
  ASSERT_TRUE(patched);
  EXPECT_LT(largest_difference(patched->capture->last_logits.values(), other->capture->last_logits.values()),
            2e-5F);
}

std::string refusal(const fixtures::Opened& opened, const std::vector<std::string>& edits) {
  const auto run = opened.runner->run(fixtures::request(opened, in_order({0, 1, 2}).ids, edits), nullptr, {});
  EXPECT_FALSE(run.ok());
  return run.ok() ? "" : run.error().to_string();
}

TEST(OrderFree, what_cannot_be_is_refused_with_its_reason) {
  const fixtures::Opened llama = fixtures::open(fixtures::golden("llama_llama3_rope").string());
  EXPECT_THAT(refusal(llama, {"order-free *.* segments=2,4,15"}),
              HasSubstr("at least one token must follow"));
  EXPECT_THAT(refusal(llama, {"order-free *.* segments=2,4,7", "order-free 1.* segments=2,5,7"}),
              HasSubstr("only one of the two can"));
  EXPECT_THAT(refusal(fixtures::open(fixtures::golden("gpt2").string()), {"order-free *.* segments=2,4,7"}),
              HasSubstr("rotary positions"));
  EXPECT_THAT(
      refusal(fixtures::open(fixtures::golden("mistral").string()), {"order-free *.* segments=2,4,7"}),
      HasSubstr("no segment whole"));
  EXPECT_THAT(parse_edit("order-free 1.0 segments=2,4,7").error().to_string(),
              HasSubstr("give whole layers"));
  EXPECT_THAT(parse_edit("order-free *.* segments=2,4").error().to_string(), HasSubstr("three numbers"));
  EXPECT_THAT(parse_edit("order-free *.* segments=2,4,4").error().to_string(), HasSubstr("must rise"));
  EXPECT_THAT(parse_edit("order-free *.*").error().to_string(), HasSubstr("segments="));
  const std::string text = "order-free *.* segments=2,4,7,11";
  EXPECT_EQ(to_text(*parse_edit(text)), text);

  GradientRequest gradients;
  gradients.scalar = {{ScalarKind::logit, 1.0, -1, {3}}};
  gradients.run = fixtures::request(llama, in_order({0, 1, 2}).ids, {text});
  const auto refused = llama.runner->gradients(gradients, nullptr, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("jumps with the queries"));
}

}  // namespace
}  // namespace saccade
