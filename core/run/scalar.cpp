#include "core/run/scalar.h"

#include <algorithm>
#include <cmath>

#include "core/run/layer_gradient.h"

namespace saccade {
namespace {

constexpr int64_t rows_at_once = 64;

// ln sum_i exp(logits_i)
double log_sum_exp(std::span<const float> logits) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  return highest + std::log(sum);
}

// d ln P / d logit_i = [i in ids] p_i / P - p_i, and P times that for P itself.
double add_probability(std::span<const float> logits, const ScalarTerm& term, double lse,
                       std::span<float> gradient) {
  double probability = 0.0;
  for (const int32_t id : term.ids) probability += std::exp(logits[static_cast<size_t>(id)] - lse);
  const bool logarithm = term.kind == ScalarKind::log_probability;
  const double scale = term.weight * (logarithm ? 1.0 : probability);
  for (size_t i = 0; i < logits.size(); ++i)
    gradient[i] -= static_cast<float>(scale * std::exp(logits[i] - lse));
  // p_i / P in the logarithm, where both may be too small for their quotient.
  std::vector<float> own;
  for (const int32_t id : term.ids) own.push_back(logits[static_cast<size_t>(id)]);
  const double own_lse = log_sum_exp(own);
  for (const int32_t id : term.ids)
    gradient[static_cast<size_t>(id)] +=
        static_cast<float>(scale * std::exp(logits[static_cast<size_t>(id)] - own_lse));
  return term.weight * (logarithm ? own_lse - lse : probability);
}

// A part of the vocabulary [begin, end) as a matrix.
class Slices {
 public:
  Slices(const ModelWeights& weights, const ModelSpec& spec)
      : all_{weights.unembed.weight, weights.unembed.layout, weights.unembed_bias},
        n_(spec.n_logits()),
        width_(weights.narrow_unembed ? 8192 : n_) {}

  // Calls body(slice, begin) for one after another.
  template <class Body>
  Result<void> for_each(const JobContext& job, const Body& body) const {
    for (int64_t begin = 0; begin < n_; begin += width_) {
      SACCADE_CHECK(job.check());
      body(ops::vocabulary_slice(all_, begin, std::min(begin + width_, n_)), begin);
    }
    return {};
  }

 private:
  ops::Matrix all_;
  int64_t n_, width_;
};

HostTensor some_rows(const HostTensor& from, int64_t begin, int64_t end) {
  const int64_t width = from.shape()[1];
  HostTensor taken({end - begin, width}, false);
  std::copy_n(from.data() + begin * width, taken.size(), taken.mutable_values().data());
  return taken;
}

// logits -> cap tanh(scale logits / cap), and the factor that its derivative is.
void cap(std::span<float> logits, std::span<float> slopes, const ModelSpec& spec) {
  for (size_t i = 0; i < logits.size(); ++i) {
    const double scaled = logits[i] * spec.logit_scale;
    const double ratio = spec.logit_softcap > 0.0 ? std::tanh(scaled / spec.logit_softcap) : 0.0;
    logits[i] = static_cast<float>(spec.logit_softcap > 0.0 ? spec.logit_softcap * ratio : scaled);
    slopes[i] = static_cast<float>(spec.logit_scale * (1.0 - ratio * ratio));
  }
}

}  // namespace

std::vector<int64_t> positions_of(std::span<const ScalarTerm> terms, int64_t answer) {
  std::vector<int64_t> positions;
  for (const ScalarTerm& term : terms) positions.push_back(term.position < 0 ? answer : term.position);
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  return positions;
}

void scalar_of(std::span<const float> logits, std::span<const ScalarTerm* const> terms,
               std::span<float> gradient, std::span<double> values) {
  const double lse = log_sum_exp(logits);
  for (size_t t = 0; t < terms.size(); ++t) {
    const ScalarTerm& term = *terms[t];
    if (term.kind != ScalarKind::logit) {
      values[t] = add_probability(logits, term, lse, gradient);
      continue;
    }
    values[t] = 0.0;
    for (const int32_t id : term.ids) {
      values[t] += term.weight * logits[static_cast<size_t>(id)];
      gradient[static_cast<size_t>(id)] += static_cast<float>(term.weight);
    }
  }
}

Result<ScalarGradient> scalar_gradient(const HostTensor& h, const std::vector<int64_t>& positions,
                                       std::span<const ScalarTerm> terms, int64_t answer,
                                       const ModelWeights& weights, const ModelSpec& spec,
                                       const JobContext& job) {
  ScalarGradient made;
  made.positions = positions;
  made.terms.resize(terms.size());
  made.h = HostTensor(h.shape());
  const Slices vocabulary(weights, spec);
  const int64_t n_logits = spec.n_logits(), width = h.shape()[1];
  const auto count = static_cast<int64_t>(positions.size());
  for (int64_t first = 0; first < count; first += rows_at_once) {
    const int64_t last = std::min(first + rows_at_once, count), rows = last - first;
    const HostTensor part = some_rows(h, first, last);
    HostTensor logits({rows, n_logits}, false), slopes({rows, n_logits}, false), gradient({rows, n_logits});
    SACCADE_CHECK(vocabulary.for_each(job, [&](const ops::Matrix& slice, int64_t begin) {
      const ops::DeviceTensor product = ops::linear(ops::view_of(part, rows, width), slice);
      for (int64_t row = 0; row < rows; ++row)
        std::copy_n(product.data() + row * product.columns(), product.columns(),
                    logits.mutable_values().data() + row * n_logits + begin);
    }));
    cap(logits.mutable_values(), slopes.mutable_values(), spec);
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<const ScalarTerm*> here;
      std::vector<size_t> where;
      for (size_t t = 0; t < terms.size(); ++t)
        if ((terms[t].position < 0 ? answer : terms[t].position) ==
            positions[static_cast<size_t>(first + row)]) {
          here.push_back(&terms[t]);
          where.push_back(t);
        }
      std::vector<double> values(here.size());
      scalar_of(logits.slice(row), here,
                gradient.mutable_values().subspan(static_cast<size_t>(row * n_logits),
                                                  static_cast<size_t>(n_logits)),
                values);
      for (size_t t = 0; t < here.size(); ++t) {
        made.terms[where[t]] = values[t];
        made.scalar += values[t];
      }
    }
    for (int64_t i = 0; i < gradient.size(); ++i)
      gradient.mutable_values()[static_cast<size_t>(i)] *= slopes.data()[i];
    SACCADE_CHECK(vocabulary.for_each(job, [&](const ops::Matrix& slice, int64_t begin) {
      const int64_t size =
          slice.layout == MatrixLayout::out_in ? slice.weight.rows() : slice.weight.columns();
      HostTensor own({rows, size}, false);
      for (int64_t row = 0; row < rows; ++row)
        std::copy_n(gradient.data() + row * n_logits + begin, size, own.mutable_values().data() + row * size);
      const HostTensor back = matrix_gradient(slice, own);
      float* to = made.h.mutable_values().data() + first * width;
      for (int64_t i = 0; i < back.size(); ++i) to[i] += back.data()[i];
    }));
  }
  return made;
}

}  // namespace saccade
