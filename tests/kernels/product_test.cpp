// Products of every kernel set of this machine against sums in double precision.
#include "kernels/product.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "kernels/base/bfloat16.h"

namespace saccade {
namespace {

enum class Order { out_in, in_out };

// One product whose x, y and `add` lie in rows longer than they need, and what it should give.
struct Problem {
  int64_t rows, in, out;
  Order order = Order::out_in;
  bool narrow = false;  // bfloat16 weights
  Nonlinearity after = Nonlinearity::none;
  bool bias = true, add = true;

  std::vector<float> x = {}, w = {}, b = {}, a = {};
  std::vector<uint16_t> w16 = {};

  void fill(unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const auto numbers = [&](int64_t n) {
      std::vector<float> made(static_cast<size_t>(n));
      for (float& value : made) value = normal(random);
      return made;
    };
    x = numbers(rows * (in + 3));
    w = numbers(in * out);
    b = numbers(out);
    a = numbers(rows * (out + 2));
    if (!narrow) return;
    for (float& value : w) {
      w16.push_back(narrow_to_bfloat16(value));
      value = widen_bfloat16(w16.back());
    }
  }
  [[nodiscard]] float weight(int64_t o, int64_t i) const {
    return w[static_cast<size_t>(order == Order::out_in ? o * in + i : i * out + o)];
  }
  [[nodiscard]] std::vector<float> multiplied(const ProductSet& set,
                                              const Parallel& parallel = serial()) const {
    std::vector<float> y(static_cast<size_t>(rows * (out + 1)), -77.0f);
    Product p;
    p.x = x.data();
    p.rows = rows;
    p.x_stride = in + 3;
    p.w.out = out;
    p.w.in = in;
    p.w.out_stride = order == Order::out_in ? in : 1;
    p.w.in_stride = order == Order::out_in ? 1 : out;
    if (narrow)
      p.w.bf16 = w16.data();
    else
      p.w.f32 = w.data();
    if (bias) p.bias = b.data();
    p.after = after;
    if (add) p.add = a.data();
    p.add_stride = out + 2;
    p.y = y.data();
    p.y_stride = out + 1;
    set.multiply(p, parallel);
    return y;
  }
};

double exactly(Nonlinearity kind, double x) {
  switch (kind) {
    case Nonlinearity::none:
      return x;
    case Nonlinearity::gelu_tanh:
      return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
    case Nonlinearity::gelu_quick:
      return x / (1.0 + std::exp(-1.702 * x));
    case Nonlinearity::silu:
      return x / (1.0 + std::exp(-x));
    case Nonlinearity::relu:
      return std::max(x, 0.0);
    case Nonlinearity::relu_squared:
      return x > 0.0 ? x * x : 0.0;
  }
  return x;
}

constexpr Nonlinearity every_kind[] = {Nonlinearity::none,       Nonlinearity::gelu_tanh,
                                       Nonlinearity::gelu_quick, Nonlinearity::silu,
                                       Nonlinearity::relu,       Nonlinearity::relu_squared};

// The bound of the header, in + 2 roundings, through a function whose slope the caller knows.
void expect_right(const Problem& p, const std::vector<float>& y) {
  for (int64_t r = 0; r < p.rows; ++r) {
    for (int64_t o = 0; o < p.out; ++o) {
      double sum = p.bias ? p.b[static_cast<size_t>(o)] : 0.0, size = std::abs(sum);
      for (int64_t i = 0; i < p.in; ++i) {
        const double term =
            static_cast<double>(p.x[static_cast<size_t>(r * (p.in + 3) + i)]) * p.weight(o, i);
        sum += term;
        size += std::abs(term);
      }
      double slope = 1.2;  // the steepest of the smooth ones is 1.13
      if (p.after == Nonlinearity::relu_squared) slope = 2.0 * std::abs(sum) + 1.0;
      double wanted = exactly(p.after, sum);
      const double own = std::abs(wanted);
      const double added = p.add ? p.a[static_cast<size_t>(r * (p.out + 2) + o)] : 0.0;
      wanted += added;
      const double bound =
          0x1p-24 * (slope * (static_cast<double>(p.in) + 2.0) * size + 8.0 * own + std::abs(wanted));
      ASSERT_NEAR(y[static_cast<size_t>(r * (p.out + 1) + o)], wanted, bound)
          << "row " << r << ", output " << o;
    }
    ASSERT_EQ(y[static_cast<size_t>(r * (p.out + 1) + p.out)], -77.0f) << "beyond row " << r;
  }
}

class EveryProductSet : public testing::TestWithParam<ProductSet> {};

TEST_P(EveryProductSet, agrees_with_sums_in_double_precision) {
  unsigned seed = 1;
  for (const int64_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 12, 50, 193, 400})
    for (const auto& [in, out] : {std::pair<int64_t, int64_t>{1, 1}, {5, 3}, {64, 64}, {77, 131}, {600, 70}})
      for (const Order order : {Order::out_in, Order::in_out})
        for (const bool narrow : {false, true}) {
          Problem p{rows, in, out, order, narrow};
          p.after = every_kind[seed % std::size(every_kind)];
          p.bias = seed % 3 != 0;
          p.add = seed % 5 != 0;
          p.fill(seed++);
          SCOPED_TRACE(testing::Message()
                       << rows << " x " << in << " -> " << out
                       << (order == Order::out_in ? " out_in" : " in_out") << (narrow ? " bf16" : ""));
          expect_right(p, p.multiplied(GetParam()));
          if (HasFatalFailure()) return;
        }
}

// Threads that draw tasks, as the programs' pool does.
Parallel threads(int count) {
  return {count, [count](int64_t n, const std::function<void(int64_t, int)>& body) {
            std::vector<std::thread> all;
            for (int worker = 0; worker < count; ++worker)
              all.emplace_back([&body, n, worker, count] {
                for (int64_t task = n - 1 - worker; task >= 0; task -= count) body(task, worker);
              });
            for (std::thread& thread : all) thread.join();
          }};
}

TEST_P(EveryProductSet, gives_the_same_bits_on_any_number_of_threads) {
  for (const int64_t rows : {1, 6, 30, 500})
    for (const Order order : {Order::out_in, Order::in_out}) {
      Problem p{rows, 700, 900, order, false, Nonlinearity::gelu_tanh};
      p.fill(7);
      const std::vector<float> one = p.multiplied(GetParam());
      EXPECT_EQ(p.multiplied(GetParam(), threads(2)), one);
      EXPECT_EQ(p.multiplied(GetParam(), threads(5)), one);
    }
}

TEST_P(EveryProductSet, a_row_does_not_depend_on_the_others) {
  for (const Order order : {Order::out_in, Order::in_out}) {
    Problem many{450, 530, 100, order, false, Nonlinearity::silu};
    many.fill(3);
    const std::vector<float> all = many.multiplied(GetParam());
    Problem some = many;
    some.rows = 17;
    const std::vector<float> first = some.multiplied(GetParam());
    EXPECT_TRUE(std::equal(first.begin(), first.end(), all.begin()));
  }
}

TEST_P(EveryProductSet, what_is_done_on_the_way_has_the_bits_of_separate_steps) {
  for (const Nonlinearity kind : every_kind)
    for (const int64_t rows : {1, 40}) {
      Problem p{rows, 90, 75, Order::in_out, false, kind};
      p.fill(11);
      const std::vector<float> fused = p.multiplied(GetParam());
      p.after = Nonlinearity::none;
      p.add = false;
      std::vector<float> apart = p.multiplied(GetParam());
      for (int64_t r = 0; r < rows; ++r) {
        float* y = apart.data() + r * (p.out + 1);
        GetParam().apply(kind, y, p.out, serial());
        for (int64_t o = 0; o < p.out; ++o) y[o] += p.a[static_cast<size_t>(r * (p.out + 2) + o)];
      }
      EXPECT_EQ(apart, fused);
    }
}

TEST_P(EveryProductSet, a_nan_spoils_what_it_is_multiplied_into_and_nothing_else) {
  for (const Nonlinearity kind : every_kind)
    for (const int64_t rows : {1, 3, 20})
      for (const Order order : {Order::out_in, Order::in_out}) {
        Problem p{rows, 40, 70, order, false, kind};
        p.fill(5);
        const int64_t bad_row = rows - 1, bad_output = 67;
        p.x[static_cast<size_t>(bad_row * (p.in + 3) + 31)] = std::numeric_limits<float>::quiet_NaN();
        p.w[static_cast<size_t>(order == Order::out_in ? bad_output * p.in : bad_output)] =
            std::numeric_limits<float>::quiet_NaN();
        const std::vector<float> y = p.multiplied(GetParam());
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t o = 0; o < p.out; ++o)
            ASSERT_EQ(std::isnan(y[static_cast<size_t>(r * (p.out + 1) + o)]),
                      r == bad_row || o == bad_output)
                << "row " << r << ", output " << o;
      }
}

TEST_P(EveryProductSet, activations_are_within_the_stated_bound_of_their_formulas) {
  std::vector<float> x;
  for (float value = -90.0f; value < 90.0f; value += 0.0137f) x.push_back(value);
  for (const float value : {0.0f, -0.0f, 1e-30f, -1e-20f, 1e4f, -1e4f}) x.push_back(value);
  for (const Nonlinearity kind : every_kind) {
    std::vector<float> y = x;
    GetParam().apply(kind, y.data(), static_cast<int64_t>(y.size()), serial());
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = kind == Nonlinearity::gelu_tanh
                               // without the cancellation of 1 + tanh
                               ? x[i] / (1.0 + std::exp(-2.0 * std::sqrt(2.0 / M_PI) *
                                                        (x[i] + 0.044715 * std::pow<double>(x[i], 3))))
                               : exactly(kind, x[i]);
      const double bound = std::abs(exact) * 0x1p-24 * 8.0;
      ASSERT_NEAR(y[i], exact, bound + 1e-30) << "at " << x[i];
    }
  }
}

// A cancelled job leaves out the tasks that have not begun; what a task may cost bounds how long it goes on.
TEST_P(EveryProductSet, tasks_are_short_whatever_the_shape) {
  for (const auto& [rows, in, out] :
       {std::array<int64_t, 3>{7250, 768, 3072}, {7250, 3072, 768}, {144, 768, 50257}, {4096, 8192, 28672}}) {
    int64_t calls = 0, tasks = 0;
    const Parallel counting{2, [&](int64_t n, const std::function<void(int64_t, int)>&) {
                              ++calls;
                              tasks = n;
                            }};
    Product p;
    p.rows = rows;
    p.x_stride = in;
    p.y_stride = out;
    p.w = {reinterpret_cast<const float*>(&p), nullptr, out, in, in, 1};  // never read
    GetParam().multiply(p, counting);
    EXPECT_GE(calls, 1);
    EXPECT_LE(2.0 * static_cast<double>(rows * in) * static_cast<double>(out) / static_cast<double>(tasks),
              2.1e9);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, EveryProductSet,
                         testing::ValuesIn(product_sets().begin(), product_sets().end()),
                         [](const auto& info) { return info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryProductSet);

}  // namespace
}  // namespace saccade
