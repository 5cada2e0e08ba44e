#include "core/run/linear_algebra.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace saccade {
namespace {

HostTensor random_matrix(int64_t rows, int64_t columns, uint32_t seed) {
  HostTensor made({rows, columns}, false);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (float& value : made.mutable_values()) value = normal(random);
  return made;
}

TEST(LinearAlgebra, a_product_is_the_sum_of_its_terms) {
  const HostTensor a = random_matrix(7, 33, 1), b = random_matrix(33, 5, 2);
  const auto c = product(a, b);
  ASSERT_TRUE(c.ok()) << c.error().to_string();
  for (int64_t i = 0; i < 7; ++i)
    for (int64_t j = 0; j < 5; ++j) {
      double sum = 0.0;
      for (int64_t k = 0; k < 33; ++k) sum += double{a.at({i, k})} * b.at({k, j});
      EXPECT_NEAR(c->at({i, j}), sum, 1e-5) << "33 float32 terms of about 1";
    }
}

TEST(LinearAlgebra, matrices_that_do_not_fit_are_refused_with_their_shapes) {
  const auto c = product(HostTensor({2, 3}), HostTensor({2, 3}));
  ASSERT_FALSE(c.ok());
  EXPECT_EQ(c.error().message, "cannot multiply [2, 3] by [2, 3]");
  EXPECT_FALSE(eigenvalues(std::vector<double>(6), 2).ok());
}

TEST(LinearAlgebra, eigenvalues_of_a_turn_are_complex) {
  auto values = eigenvalues(std::vector<double>{0.0, -2.0, 2.0, 0.0}, 2);
  ASSERT_TRUE(values.ok()) << values.error().to_string();
  std::sort(values->begin(), values->end(), [](auto x, auto y) { return x.imag() < y.imag(); });
  EXPECT_NEAR(std::abs((*values)[0] - std::complex<double>(0.0, -2.0)), 0.0, 1e-12);
  EXPECT_NEAR(std::abs((*values)[1] - std::complex<double>(0.0, 2.0)), 0.0, 1e-12);
}

TEST(LinearAlgebra, eigenvalues_of_a_symmetric_matrix_come_ascending_and_from_its_lower_triangle) {
  const auto values = symmetric_eigenvalues(std::vector<double>{2.0, 99.0, 1.0, 2.0}, 2);
  ASSERT_TRUE(values.ok()) << values.error().to_string();
  EXPECT_NEAR((*values)[0], 1.0, 1e-12);
  EXPECT_NEAR((*values)[1], 3.0, 1e-12);
}

}  // namespace
}  // namespace saccade
