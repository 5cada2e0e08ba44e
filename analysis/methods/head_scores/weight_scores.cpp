#include "analysis/methods/head_scores/weight_scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "analysis/methods/head_fields.h"
#include "core/model/weight_reader.h"
#include "core/run/linear_algebra.h"

namespace saccade::head_scores {
namespace {

constexpr int64_t vocabulary_at_once = 4096;

double trace(std::span<const double> m, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; ++i) sum += m[static_cast<size_t>(i * n + i)];
  return sum;
}

std::vector<double> widened(const HostTensor& matrix) {
  return {matrix.values().begin(), matrix.values().end()};
}

// Multiplies row r by gain[r].
HostTensor with_row_gain(HostTensor matrix, const HostTensor& gain) {
  const int64_t columns = matrix.shape()[1];
  auto values = matrix.mutable_values();
  for (size_t i = 0; i < values.size(); ++i) values[i] *= gain.data()[static_cast<int64_t>(i) / columns];
  return matrix;
}

// One layer's heads, gains folded in.
struct LayerWeightsOf {
  std::vector<HostTensor> query, key, value, output;  // per head; output [d_head, d_model]
};

// [head * d_head, d_model]
HostTensor stacked(std::span<const HostTensor> outputs) {
  HostTensor all({static_cast<int64_t>(outputs.size()) * outputs[0].shape()[0], outputs[0].shape()[1]},
                 false);
  float* to = all.mutable_values().data();
  for (const HostTensor& output : outputs) to = std::copy_n(output.data(), output.size(), to);
  return all;
}

class WeightScores {
 public:
  WeightScores(const MethodInput& input, ScoreSheet& sheet)
      : input_(input), sheet_(sheet), reader_(input.model), spec_(input.model->spec()) {}

  Result<void> run(const JobContext& job) {
    if (can_copy()) {
      SACCADE_TRY(vocabulary_, unembed_of_embed(job));
    }
    add_columns();
    Table layers{"layers", {"layer", "zero_sum"}, {}};
    for (int32_t l = 0; l < spec_.n_layer; ++l) {
      SACCADE_TRY(const LayerWeightsOf weights, read(l, job));
      SACCADE_CHECK(circuits(l, weights, job));
      SACCADE_TRY(const double balance, zero_sum(weights.value, weights.output, norms_));
      layers.rows.push_back({int64_t{l}, balance});
    }
    sheet_.tables.push_back(std::move(layers));
    say();
    return {};
  }

 private:
  [[nodiscard]] bool can_copy() const {
    return (spec_.d_embed == 0 || spec_.d_embed == spec_.d_model) && spec_.predicts_next_token() &&
           !reader_.has_output_norms();
  }

  // W_U W_E, [d_model, d_model], summed over the vocabulary; the final norm's gain is on its rows, that of a
  // layer's first norm comes with W_V.
  Result<HostTensor> unembed_of_embed(const JobContext& job) {
    HostTensor sum({spec_.d_model, spec_.d_model});
    for (int32_t begin = 0; begin < spec_.n_vocab; begin += vocabulary_at_once) {
      SACCADE_CHECK(job.check());
      std::vector<int32_t> ids(
          static_cast<size_t>(std::min<int64_t>(vocabulary_at_once, spec_.n_vocab - begin)));
      std::iota(ids.begin(), ids.end(), begin);
      SACCADE_TRY(const HostTensor part, product(transposed(reader_.unembed(ids)), reader_.embed(ids)));
      auto values = sum.mutable_values();
      for (size_t i = 0; i < values.size(); ++i) values[i] += part.values()[i];
    }
    return with_row_gain(std::move(sum), reader_.final_norm_weight());
  }

  void add_columns() {
    if (!vocabulary_.empty())
      copying_ = sheet_.add("copying", "Copying (OV eigenvalues)", "", ValueKind::signed_difference);
    constexpr std::array<std::array<const char*, 2>, 6> circuits{
        {{"kq_alpha", "KQ: trace over width"},
         {"kq_residual", "KQ: off alpha times identity"},
         {"kq_symmetric", "KQ: symmetric share"},
         {"ov_alpha", "OV: trace over width (its sign: a positive or a negative head)"},
         {"ov_residual", "OV: off alpha times identity"},
         {"ov_symmetric", "OV: symmetric share"}}};
    for (size_t i = 0; i < circuits.size(); ++i)
      circuits_[i] = sheet_.add(circuits[i][0], circuits[i][1], "",
                                i % 3 == 0 ? ValueKind::signed_difference : ValueKind::probability);
  }

  Result<LayerWeightsOf> read(int32_t layer, const JobContext& job) {
    const auto heads = static_cast<size_t>(spec_.n_head);
    LayerWeightsOf weights;
    for (auto* list : {&weights.query, &weights.key, &weights.value, &weights.output}) list->resize(heads);
    HostTensor gain = reader_.norm1_weight(layer);
    if (spec_.block == BlockKind::post_norm)  // what attention reads was normed by the layer before
      std::fill(gain.mutable_values().begin(), gain.mutable_values().end(), 1.0F);
    SACCADE_CHECK(for_each_head(spec_.n_head, input_.threads, JobContext{job.cancel, {}}, 0.0, 1.0,
                                [&](int64_t h, int) -> Result<void> {
                                  const HeadId head{LayerIndex{layer}, HeadIndex{static_cast<int32_t>(h)}};
                                  const auto at = static_cast<size_t>(h);
                                  weights.query[at] = with_row_gain(reader_.query(head), gain);
                                  weights.key[at] = with_row_gain(reader_.key(head), gain);
                                  weights.value[at] = with_row_gain(reader_.value(head), gain);
                                  weights.output[at] = reader_.output(head);
                                  return {};
                                }));
    return weights;
  }

  Result<void> circuits(int32_t layer, const LayerWeightsOf& weights, const JobContext& job) {
    const int64_t d = spec_.d_model, d_head = spec_.d_head, first = int64_t{layer} * spec_.n_head;
    std::vector<std::vector<double>> cores(static_cast<size_t>(spec_.n_head));
    norms_.assign(static_cast<size_t>(spec_.n_head), 0.0);
    HostTensor through;  // [head * d_head, d_model]: W_O W_U W_E
    if (!vocabulary_.empty()) {
      SACCADE_TRY(through, product(stacked(weights.output), vocabulary_));
    }
    const double layers = spec_.n_layer;
    SACCADE_CHECK(for_each_head(
        spec_.n_head, input_.threads, job, layer / layers, (layer + 1) / layers,
        [&](int64_t h, int) -> Result<void> {
          const auto at = static_cast<size_t>(h);
          const std::vector<double> value = widened(weights.value[at]),
                                    output = widened(transposed(weights.output[at]));
          const Bilinear kq = bilinear(widened(weights.query[at]), widened(weights.key[at]), d, d_head),
                         ov = bilinear(value, output, d, d_head);
          norms_[at] = ov.norm;
          const std::array<double, 6> numbers{kq.alpha, kq.residual, kq.symmetric,
                                              ov.alpha, ov.residual, ov.symmetric};
          for (size_t i = 0; i < numbers.size(); ++i) sheet_.set(circuits_[i], first + h, numbers[i]);
          if (through.empty()) return {};
          HostTensor mine({d_head, d}, false);
          std::copy_n(through.data() + h * d_head * d, d_head * d, mine.mutable_values().data());
          cores[at] = cross_product(widened(transposed(mine)), value, d, d_head, d_head);
          return {};
        }));
    if (through.empty()) return {};
    for (int64_t h = 0; h < spec_.n_head; ++h) {
      SACCADE_TRY(const double balance, eigenvalue_balance(cores[static_cast<size_t>(h)], d_head));
      sheet_.set(copying_, first + h, balance);
    }
    return {};
  }

  void say() {
    if (vocabulary_.empty()) {
      sheet_.findings.push_back(fmt::format(
          "No copying column: {} does not write what heads give straight into logits.", spec_.family));
      return;
    }
    const std::span<const float> values = sheet_.fields[copying_].values.values();
    const auto best = std::max_element(values.begin(), values.end());
    const auto positive = std::count_if(values.begin(), values.end(), [](float v) { return v > 0.5F; });
    sheet_.findings.push_back(fmt::format(
        "Copying by weights: {} of {} heads score above 0.5; head {} the most, {:.2f} of at "
        "most 1.",
        positive, values.size(), to_string(head_at(best - values.begin(), sheet_.heads())), *best));
  }

  const MethodInput& input_;
  ScoreSheet& sheet_;
  WeightReader reader_;
  const ModelSpec& spec_;
  HostTensor vocabulary_;
  size_t copying_ = 0;
  std::array<size_t, 6> circuits_{};
  std::vector<double> norms_;  // |OV|_F of the layer's heads
};

}  // namespace

std::vector<double> cross_product(std::span<const double> a, std::span<const double> b, int64_t d,
                                  int64_t columns_a, int64_t columns_b) {
  std::vector<double> out(static_cast<size_t>(columns_a * columns_b), 0.0);
  const auto row = [](std::span<const double> m, int64_t r, int64_t columns) {
    return m.data() + r * columns;
  };
  int64_t r = 0;
  for (; r + 4 <= d; r += 4)  // four rows at once: the sums are read and written a quarter as often
    for (int64_t i = 0; i < columns_a; ++i) {
      const double a0 = row(a, r, columns_a)[i], a1 = row(a, r + 1, columns_a)[i],
                   a2 = row(a, r + 2, columns_a)[i], a3 = row(a, r + 3, columns_a)[i];
      const double *b0 = row(b, r, columns_b), *b1 = row(b, r + 1, columns_b), *b2 = row(b, r + 2, columns_b),
                   *b3 = row(b, r + 3, columns_b);
      double* to = out.data() + i * columns_b;
      for (int64_t j = 0; j < columns_b; ++j) to[j] += a0 * b0[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j];
    }
  for (; r < d; ++r)
    for (int64_t i = 0; i < columns_a; ++i)
      for (int64_t j = 0; j < columns_b; ++j)
        out[static_cast<size_t>(i * columns_b + j)] += row(a, r, columns_a)[i] * row(b, r, columns_b)[j];
  return out;
}

Bilinear bilinear(std::span<const double> a, std::span<const double> b, int64_t d, int64_t d_head) {
  // With C = B^T A: tr M = tr C, <M, M^T> = tr(C C), |M|^2 = <A^T A, B^T B>.
  const std::vector<double> aa = cross_product(a, a, d, d_head, d_head),
                            bb = cross_product(b, b, d, d_head, d_head),
                            c = cross_product(b, a, d, d_head, d_head);
  double squares = 0.0, with_transpose = 0.0;
  for (int64_t i = 0; i < d_head; ++i)
    for (int64_t j = 0; j < d_head; ++j) {
      const auto at = static_cast<size_t>(i * d_head + j), across = static_cast<size_t>(j * d_head + i);
      squares += aa[at] * bb[at];
      with_transpose += c[at] * c[across];
    }
  Bilinear result;
  if (!(squares > 0.0)) return result;
  result.norm = std::sqrt(squares);
  const double sum = trace(c, d_head), width = static_cast<double>(d);
  result.alpha = sum / width;
  result.residual = std::sqrt(std::max(squares - sum * sum / width, 0.0) / squares);
  result.symmetric = std::sqrt(std::max((squares + with_transpose) / 2.0, 0.0) / squares);
  return result;
}

Result<double> zero_sum(std::span<const HostTensor> value, std::span<const HostTensor> output,
                        std::span<const double> norms) {
  // Side by side the values, one below the other the outputs: their product is the sum over heads.
  const int64_t d = value[0].shape()[0], d_head = value[0].shape()[1],
                width = d_head * static_cast<int64_t>(value.size());
  HostTensor values({d, width}, false);
  for (size_t h = 0; h < value.size(); ++h)
    for (int64_t r = 0; r < d; ++r)
      std::copy_n(value[h].data() + r * d_head, d_head,
                  values.mutable_values().data() + r * width + static_cast<int64_t>(h) * d_head);
  SACCADE_TRY(const HostTensor sum, product(values, stacked(output)));
  double squares = 0.0;
  for (const float cell : sum.values()) squares += double{cell} * cell;
  const double all = std::accumulate(norms.begin(), norms.end(), 0.0);
  return all > 0.0 ? std::sqrt(squares) / all : nan;
}

Result<double> eigenvalue_balance(std::span<const double> matrix, int64_t n) {
  SACCADE_TRY(const auto values, eigenvalues(matrix, n));
  double sum = 0.0, sizes = 0.0;
  for (const std::complex<double>& value : values) {
    sum += value.real();
    sizes += std::abs(value);
  }
  return sizes > 0.0 ? sum / sizes : nan;
}

Result<void> add_weight_scores(const MethodInput& input, const JobContext& job, ScoreSheet& sheet) {
  if (!input.model) {
    sheet.findings.emplace_back(
        "No weight columns: a capture holds no weights; open the model that made it.");
    return {};
  }
  return WeightScores(input, sheet).run(job);
}

}  // namespace saccade::head_scores
