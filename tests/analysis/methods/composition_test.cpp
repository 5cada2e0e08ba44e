// composition against whole [d, d] products of the demos' weights, and against what the demo was trained to
// do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/model/weight_reader.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;
using Matrix = std::vector<double>;  // row-major

Matrix times(const Matrix& a, const Matrix& b, int64_t rows, int64_t inner, int64_t columns) {
  Matrix c(static_cast<size_t>(rows * columns));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t m = 0; m < inner; ++m)
      for (int64_t j = 0; j < columns; ++j)
        c[static_cast<size_t>(i * columns + j)] +=
            a[static_cast<size_t>(i * inner + m)] * b[static_cast<size_t>(m * columns + j)];
  return c;
}
Matrix transposed(const Matrix& a, int64_t rows, int64_t columns) {
  Matrix t(a.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      t[static_cast<size_t>(j * rows + i)] = a[static_cast<size_t>(i * columns + j)];
  return t;
}
double norm(const Matrix& a) {
  double sum = 0.0;
  for (const double x : a) sum += x * x;
  return std::sqrt(sum);
}

class Reference {
 public:
  explicit Reference(const Lab& lab) : reader_(lab.model), spec_(lab.model->spec()) {}
  [[nodiscard]] double score(HeadId one, HeadId two, char part) const {
    const int64_t d = spec_.d_model;
    const Matrix ov = of(one, false), second = of(two, part != 'v');
    const Matrix joined =
        part == 'k' ? times(second, transposed(ov, d, d), d, d, d) : times(ov, second, d, d, d);
    return norm(joined) / (norm(ov) * norm(second));
  }

 private:
  // W_Q W_K^T or W_V W_O with the norm's gain.
  [[nodiscard]] Matrix of(HeadId head, bool qk) const {
    const int64_t d = spec_.d_model, k = spec_.d_head;
    const HostTensor gain = reader_.norm1_weight(head.layer.value);
    const auto gained = [&](const HostTensor& x) {
      Matrix made(x.values().begin(), x.values().end());
      for (int64_t i = 0; i < d; ++i)
        for (int64_t j = 0; j < k; ++j) made[static_cast<size_t>(i * k + j)] *= gain.data()[i];
      return made;
    };
    const HostTensor output = reader_.output(head);
    const Matrix right = qk ? transposed(gained(reader_.key(head)), d, k)
                            : Matrix(output.values().begin(), output.values().end());
    return times(gained(qk ? reader_.query(head) : reader_.value(head)), right, d, k, d);
  }
  WeightReader reader_;
  const ModelSpec& spec_;
};

TEST(Composition, scores_are_those_of_whole_products_above_one_level) {
  for (const std::string where : {"demo:induction", "demo:recall"}) {
    const Lab lab = Lab::open(where);
    const auto result = lab.method("composition", {{"edges", 100000}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const Reference reference(lab);
    const Table* edges = table_of(*result, "edges");
    ASSERT_NE(edges, nullptr);
    const int64_t heads = lab.model->spec().n_head, layers = lab.model->spec().n_layer;
    EXPECT_EQ(static_cast<int64_t>(edges->rows.size()), 3 * heads * heads * layers * (layers - 1) / 2);
    double level = std::nan("");
    for (size_t at = 0; at < edges->rows.size(); at += 37) {
      const auto& row = edges->rows[at];
      const std::string to = std::get<std::string>(row[1]);
      const double expected = reference.score(*parse_head(std::get<std::string>(row[0])),
                                              *parse_head(to.substr(0, to.rfind('.'))), to.back());
      const double below = expected - std::get<double>(row[2]);
      if (std::isnan(level)) level = below;
      EXPECT_NEAR(below, level, 1e-5) << std::get<std::string>(row[0]) << " -> " << to;
    }
    EXPECT_GT(level, 0.0);
    // Random matrices of rank k in d dimensions compose by about 1 / sqrt(d).
    EXPECT_NEAR(level * std::sqrt(static_cast<double>(lab.model->spec().d_model)), 1.0, 0.25) << where;
  }
}

TEST(Composition, induction_heads_keys_read_the_previous_token_heads) {
  const auto result = demo().method("composition", {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("K-composition is strongest from 0.")));
  EXPECT_NE(result->field("k_composition"), nullptr);
  EXPECT_TRUE(std::isnan(result->field("k_composition")->values.at({0, 0})))
      << "nothing writes before layer 0";
}

TEST(Composition, a_cancel_keeps_the_layers_that_are_done) {
  JobContext job;
  int reports = 0;
  job.on_progress = [&](double, std::string_view what) {
    if (what.find("read by") != std::string_view::npos && ++reports == 2) job.cancel.cancel();
  };
  const auto part = demo().method("composition", {{"edges", 100000}}, {}, job);
  ASSERT_TRUE(part.ok()) << part.error().to_string();
  EXPECT_TRUE(part->partial);
  EXPECT_EQ(table_of(*part, "edges")->rows.size(), 3U * 4 * 4);
}

}  // namespace
}  // namespace saccade
