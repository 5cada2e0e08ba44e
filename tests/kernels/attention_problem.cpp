#include "tests/kernels/attention_problem.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <random>
#include <thread>

#include "kernels/base/bfloat16.h"

namespace saccade::testing_attention {

Parallel threads(int workers) {
  return {workers, [workers](int64_t n, const std::function<void(int64_t, int)>& body) {
            std::atomic<int64_t> next{0};
            std::vector<std::thread> pool;
            for (int worker = 0; worker < workers; ++worker)
              pool.emplace_back([&, worker] {
                for (int64_t task = next++; task < n; task = next++) body(task, worker);
              });
            for (std::thread& thread : pool) thread.join();
          }};
}

Problem::Problem(const Case& c, uint32_t seed) : shape(c.shape), edits(c.edits) {
  const int64_t stride = (shape.n_head + 2 * shape.n_kv_head) * shape.d_head + 5;
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, c.magnitude);
  fused.resize(static_cast<size_t>(std::max<int64_t>({shape.n_query, shape.n_key, 1}) * stride));
  for (float& value : fused) value = normal(random);
  if (c.bf16)
    for (float& value : fused) {
      narrow.push_back(narrow_to_bfloat16(value));
      value = widen_bfloat16(narrow.back());
    }
  in.shape = shape;
  in.mask.causal = c.causal;
  in.mask.window = c.window;
  in.mask.prefix = c.prefix;
  in.scores.scale = 1.0f / std::sqrt(static_cast<float>(shape.d_head));
  in.scores.softcap = c.softcap;
  for (int64_t h = 0; c.alibi && h < shape.n_head; ++h)
    slopes.push_back(std::exp2(-0.7f * static_cast<float>(h + 1)));
  in.scores.slopes = slopes;
  const auto view = [&](int64_t offset) {
    HeadsView made{fused.data() + offset, stride, shape.d_head};
    if (c.bf16) made = {nullptr, stride, shape.d_head, narrow.data() + offset};
    return made;
  };
  in.q = view(0);
  in.k = view(shape.n_head * shape.d_head);
  in.v = view((shape.n_head + shape.n_kv_head) * shape.d_head);
  if (!c.cuts.empty()) {
    cuts.resize(static_cast<size_t>(shape.n_head));
    cuts[0] = c.cuts;
    in.mask.knockouts = cuts;
  }
  in.edits = edits;
  z.assign(static_cast<size_t>(shape.n_query * shape.n_head * shape.d_head), -7.0f);
  out.z = {z.data(), shape.n_head * shape.d_head, shape.d_head};
  out.sink_keys = 2;
  out.local_width = 4;
  out.block_size = c.block_size;
  masses = {{{{0, 3}, {7, 9}}, nullptr}, {{{1, 1000000}}, nullptr}, {{}, nullptr}};
  out.key_masses = masses;
}

void Problem::ask_for_everything() {
  const auto rows = static_cast<size_t>(shape.n_head * shape.n_query),
             columns = static_cast<size_t>(shape.n_head * shape.n_key);
  const auto ask = [](std::vector<float>& values, size_t n) {
    values.assign(n, -7.0f);
    return values.data();
  };
  out.lse = ask(lse, rows);
  out.entropy = ask(entropy, rows);
  out.max_weight = ask(max_weight, rows);
  out.sink_mass = ask(sink_mass, rows);
  out.local_mass = ask(local_mass, rows);
  out.mean_distance = ask(mean_distance, rows);
  out.value_mass = ask(value_mass, rows);
  out.received = ask(received, columns);
  out.received_max = ask(received_max, columns);
  out.top_k = 3;
  out.top_weight = ask(top_weight, 3 * rows);
  max_key.assign(rows, -7);
  out.max_key = max_key.data();
  top_key.assign(3 * rows, -7);
  out.top_key = top_key.data();
  mass_values.resize(masses.size());
  for (size_t n = 0; n < masses.size(); ++n) masses[n].mass = ask(mass_values[n], rows);
  if (const int64_t b = out.block_size; b > 0) {
    const int64_t block_rows = shape.n_head * ((shape.n_query + b - 1) / b);
    const auto blocks = static_cast<size_t>(block_rows * ((shape.n_key + b - 1) / b));
    out.block_max = ask(block_max, blocks);
    out.block_mass = ask(block_mass, blocks);
    out.received_blocks = ask(received_blocks, static_cast<size_t>(block_rows * shape.n_key));
  }
  if (edits.empty()) return;
  factors.resize(edits.size());
  for (size_t h = 0; h < edits.size(); ++h) {
    factor_pointers.push_back(
        ask(factors[h], static_cast<size_t>(row_factor_count(edits[h]) * shape.n_query)));
    const_factor_pointers.push_back(factor_pointers.back());
  }
  out.row_factors = factor_pointers;
}

TileInput Problem::tile_input() const {
  return {shape, in.mask, in.scores, in.q, in.k, lse.data(), in.edits, const_factor_pointers};
}

namespace {
float& element(Problem& p, const HeadsView& view, int64_t token, int64_t head, int64_t x) {
  return p.fused[static_cast<size_t>(view.data - p.fused.data() + token * view.token_stride +
                                     head * view.head_stride + x)];
}
}  // namespace
float& Problem::q(int64_t token, int64_t head, int64_t x) { return element(*this, in.q, token, head, x); }
float& Problem::k(int64_t token, int64_t head, int64_t x) { return element(*this, in.k, token, head, x); }
float& Problem::v(int64_t token, int64_t head, int64_t x) { return element(*this, in.v, token, head, x); }

namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

double largest_error(const Floats& ours, const Doubles& exact) {
  double error = 0.0;
  for (size_t i = 0; i < exact.size(); ++i)
    if (std::isfinite(exact[i])) error = std::max(error, std::abs(ours[i] - exact[i]));
  return error;
}

// `extra`: per unit of the largest exact value.
void expect_near(const char* what, const Floats& ours, const Floats& naive, const Doubles& exact,
                 double slack, double extra = 0.0) {
  ASSERT_EQ(ours.size(), exact.size()) << what;
  double size = 0.0;
  for (const double x : exact)
    if (std::isfinite(x)) size = std::max(size, std::abs(x));
  constexpr double unit = 1.2e-7;  // float32's
  const double bound = slack * largest_error(naive, exact) + (8.0 * unit + extra) * size + 1e-30;
  for (size_t i = 0; i < exact.size(); ++i) {
    if (std::isinf(exact[i])) {
      ASSERT_EQ(ours[i], exact[i]) << what << " " << i;
      continue;
    }
    ASSERT_NEAR(ours[i], exact[i], bound) << what << " " << i;
  }
}

// Keys whose weights differ by less than the bound may trade places.
void expect_top_keys(const Problem& p, const reference::AttentionResult& exact, double bound) {
  for (size_t row = 0; row < p.max_key.size(); ++row) {
    if (exact.max_key[row] < 0) {
      ASSERT_EQ(p.max_key[row], -1);
      ASSERT_EQ(p.top_key[3 * row], -1);
      continue;
    }
    const auto weight_of = [&](int32_t key) {
      return exact.pattern[row * static_cast<size_t>(p.shape.n_key) + static_cast<size_t>(key)];
    };
    ASSERT_GE(p.max_key[row], 0) << row;
    ASSERT_NEAR(weight_of(p.max_key[row]), exact.max_weight[row], bound) << row;
    ASSERT_EQ(p.top_key[3 * row], p.max_key[row]) << row;
    for (size_t k = 0; k < 3; ++k) {
      if (k > 0) {
        ASSERT_LE(p.top_weight[3 * row + k], p.top_weight[3 * row + k - 1]);
      }
      const int32_t key = p.top_key[3 * row + k];
      if (key >= 0) {
        ASSERT_NEAR(p.top_weight[3 * row + k], weight_of(key), bound);
      }
    }
  }
}

}  // namespace

void expect_agrees(const KernelSet& kernels, const Case& c, const Parallel& parallel, Bound bound) {
  SCOPED_TRACE(c.name);
  Problem p(c);
  p.ask_for_everything();
  const auto outcome = kernels.forward(p.in, p.out, parallel);
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  const auto exact = reference::attention<double>(p.in, p.out);
  const auto naive = reference::attention<float>(p.in, p.out);
  const double s = bound.slack, rounding = bound.bf16_rounding ? 1.0 / 256.0 : 0.0;
  expect_near("z", p.z, naive.z, exact.z, s, rounding);
  expect_near("lse", p.lse, naive.lse, exact.lse, s);
  expect_near("entropy", p.entropy, naive.entropy, exact.entropy, s);
  expect_near("max_weight", p.max_weight, naive.max_weight, exact.max_weight, s);
  expect_near("sink_mass", p.sink_mass, naive.sink_mass, exact.sink_mass, s);
  expect_near("local_mass", p.local_mass, naive.local_mass, exact.local_mass, s);
  expect_near("mean_distance", p.mean_distance, naive.mean_distance, exact.mean_distance, s);
  expect_near("value_mass", p.value_mass, naive.value_mass, exact.value_mass, s);
  expect_near("received", p.received, naive.received, exact.received, s);
  expect_near("received_max", p.received_max, naive.received_max, exact.received_max, s);
  for (size_t n = 0; n < p.masses.size(); ++n)
    expect_near("key mass", p.mass_values[n], naive.key_masses[n], exact.key_masses[n], s);
  expect_near("block_max", p.block_max, naive.block_max, exact.block_max, s);
  expect_near("block_mass", p.block_mass, naive.block_mass, exact.block_mass, s);
  expect_near("received_blocks", p.received_blocks, naive.received_blocks, exact.received_blocks, s);
  const double off = largest_error(p.max_weight, exact.max_weight) + 2.4e-7;
  expect_top_keys(p, exact, 4.0 * (off + largest_error(naive.pattern, exact.pattern)));
}

namespace {

Floats tile_of(const KernelSet& kernels, const Problem& p, const TileRequest& request, bool mass) {
  const int64_t lod = request.lod, rows = (request.rows_end - request.rows_begin + lod - 1) / lod,
                columns = (request.columns_end - request.columns_begin + lod - 1) / lod;
  Floats made(static_cast<size_t>(rows * columns), -7.0f);
  const TileOutput out{mass ? nullptr : made.data(), mass ? made.data() : nullptr};
  const auto outcome = kernels.tile(p.tile_input(), request, out);
  EXPECT_TRUE(outcome.ok()) << outcome.error().message;
  return made;
}

// Blocks of a tile against the cells of the whole map.
void expect_blocks(const KernelSet& kernels, const Problem& p, const TileRequest& t, const Floats& map) {
  const int64_t n = p.shape.n_key, first = p.shape.first_query, lod = t.lod;
  const Floats high = tile_of(kernels, p, t, false), mass = tile_of(kernels, p, t, true);
  size_t at = 0;
  for (int64_t a = t.rows_begin; a < t.rows_end; a += lod)
    for (int64_t b = t.columns_begin; b < t.columns_end; b += lod, ++at) {
      float highest = 0.0f;
      double sum = 0.0;
      for (int64_t i = a; i < std::min(t.rows_end, a + lod); ++i)
        for (int64_t j = b; j < std::min(t.columns_end, b + lod); ++j) {
          const float p_ij = map[static_cast<size_t>((i - first) * n + j)];
          highest = std::max(highest, p_ij);
          sum += p_ij;
        }
      ASSERT_EQ(high[at], highest) << a << " " << b;
      ASSERT_NEAR(mass[at], sum, 1e-6 * std::max(1.0, std::abs(sum))) << a << " " << b;
    }
}

}  // namespace

void expect_tiles_agree(const KernelSet& kernels, const Case& c) {
  SCOPED_TRACE(c.name);
  Problem p(c);
  p.ask_for_everything();
  const auto outcome = kernels.forward(p.in, p.out, threads(2));
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  const auto exact = reference::attention<double>(p.in, p.out);
  const auto naive = reference::attention<float>(p.in, p.out);
  const double bound = std::max(1e-6, 2.0 * largest_error(naive.pattern, exact.pattern));
  const int64_t rows = p.shape.n_query, n = p.shape.n_key, first = p.shape.first_query;
  for (int64_t head = 0; head < p.shape.n_head; ++head) {
    const Floats map = tile_of(kernels, p, {head, first, first + rows, 0, n, 1}, false);
    for (int64_t i = 0; i < rows; ++i) {
      float highest = 0.0f;
      for (int64_t j = 0; j < n; ++j) {
        const auto cell = static_cast<size_t>(i * n + j);
        ASSERT_NEAR(map[cell], exact.pattern[static_cast<size_t>(head * rows * n) + cell], bound)
            << "head " << head << " row " << i << " key " << j;
        highest = std::max(highest, map[cell]);
      }
      // The pass's own numbers.
      ASSERT_NEAR(highest, p.max_weight[static_cast<size_t>(head * rows + i)],
                  1e-6 * std::max(1.0f, highest));
    }
    if (rows < 8 || n < 8) continue;
    expect_blocks(kernels, p, {head, first + 3, first + rows - 2, 5, n - 1, 4}, map);
    expect_blocks(kernels, p, {head, first, first + rows, 0, n, 16}, map);
    std::vector<int32_t> query, key;
    Floats wanted;
    for (int64_t i = 0; i < rows; i += 3)
      for (int64_t j = 1; j < n; j += 7) {
        query.push_back(static_cast<int32_t>(first + i));
        key.push_back(static_cast<int32_t>(j));
        wanted.push_back(map[static_cast<size_t>(i * n + j)]);
      }
    Floats weight(wanted.size());
    ASSERT_TRUE(kernels.weights_at(p.tile_input(), head, query, key, weight.data()).ok());
    ASSERT_EQ(weight, wanted) << "single weights are those of the tile, bit for bit";
  }
}

}  // namespace saccade::testing_attention
