#include "core/run/unembed.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/run/products.h"

namespace saccade {
namespace {

constexpr int64_t rows_at_once = 128;

// ln(e^a + e^b)
double log_add(double a, double b) {
  const double high = std::max(a, b);
  return std::isinf(high) && high < 0 ? high : high + std::log1p(std::exp(std::min(a, b) - high));
}

struct Sums {
  std::vector<double> log_sum;  // per row, over the vocabulary seen so far
  std::vector<double> target;   // logit of the next token
};

// Adds the logits of vocabulary [begin, end) for rows [first, first + rows) to the sums.
void gather(const ops::DeviceTensor& logits, int64_t first, int64_t begin, int64_t end,
            const std::vector<int32_t>& ids, Sums& sums) {
  const std::vector<double> part = ops::row_log_sum_exp(logits);
  for (int64_t i = 0; i < logits.rows(); ++i) {
    const auto row = static_cast<size_t>(first + i);
    sums.log_sum[row] = log_add(sums.log_sum[row], part[static_cast<size_t>(i)]);
    if (row + 1 >= ids.size()) continue;
    const int64_t next = ids[row + 1];
    if (next >= begin && next < end) sums.target[row] = logits.data()[i * logits.columns() + next - begin];
  }
}

}  // namespace

Result<Answer> unembed(const ops::DeviceTensor& h, const ModelWeights& weights, const ModelSpec& spec,
                       const std::vector<int32_t>& ids, bool with_loss, const JobContext& job,
                       ops::Precision precision) {
  const int64_t n = h.rows(), last = n - 1, n_vocab = spec.n_logits();
  Answer answer;
  answer.last_logits = HostTensor({n_vocab}, false);
  Sums sums{std::vector<double>(static_cast<size_t>(n), -std::numeric_limits<double>::infinity()),
            std::vector<double>(static_cast<size_t>(n), 0.0)};
  const Products products(job, precision);
  const ops::Matrix unembed{weights.unembed.weight, weights.unembed.layout, weights.unembed_bias};
  // Narrow weights may have to be widened: a slice of the vocabulary at a time, each slice once.
  const int64_t slice = weights.narrow_unembed ? 8192 : n_vocab;
  for (int64_t begin = 0; begin < n_vocab; begin += slice) {
    const int64_t end = std::min(begin + slice, n_vocab);
    for (int64_t first = with_loss ? 0 : last; first < n; first += rows_at_once) {
      const int64_t stop = std::min(first + rows_at_once, n);
      SACCADE_TRY(const ops::DeviceTensor logits,
                  products.slice(ops::rows_of(h, first, stop), unembed, begin, end));
      ops::scale_in_place(logits, spec.logit_scale);
      if (spec.logit_softcap > 0.0) ops::soft_cap_in_place(logits, spec.logit_softcap);
      if (with_loss) gather(logits, first, begin, end, ids, sums);
      if (stop == n)
        std::copy_n(logits.data() + (stop - first - 1) * logits.columns(), end - begin,
                    answer.last_logits.mutable_values().data() + begin);
    }
  }
  if (with_loss)
    for (size_t i = 0; i + 1 < ids.size(); ++i)
      answer.loss.push_back(static_cast<float>(sums.log_sum[i] - sums.target[i]));
  return answer;
}

}  // namespace saccade
