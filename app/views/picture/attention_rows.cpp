#include "app/views/picture/attention_rows.h"

namespace saccade {

bool AttentionRows::has(const Capture& capture, HeadId head, int64_t query) const {
  const auto of = captures_.find(&capture);
  return of != captures_.end() && of->second.capture.lock().get() == &capture &&
         of->second.rows.contains({head.layer.value, head.head.value, query});
}

AttentionRows::Row AttentionRows::row(const std::shared_ptr<const Capture>& capture, HeadId head,
                                      int64_t query) {
  if (!capture || query < 0 || query >= capture->n_token()) return nullptr;
  Of& of = captures_[capture.get()];
  if (of.capture.lock() != capture) of = {capture, {}};
  const Key key{head.layer.value, head.head.value, query};
  if (const auto known = of.rows.find(key); known != of.rows.end()) return known->second;
  auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(capture->n_token()));
  const auto map = AttentionMap::of(capture, head, *kernels_);
  if (!map.ok() || !map->rows(query, query + 1, capture->n_token(), *values).ok()) return nullptr;
  numbers_ += capture->n_token();
  if (numbers_ > most_numbers) {
    captures_.clear();
    numbers_ = capture->n_token();
    captures_[capture.get()] = {capture, {{key, values}}};
    return values;
  }
  return of.rows[key] = values;
}

AttentionRows::Row AttentionRows::mean(const std::shared_ptr<const Capture>& capture,
                                       std::span<const HeadId> heads, int64_t query) {
  if (heads.size() == 1) return row(capture, heads.front(), query);
  if (!capture || heads.empty()) return nullptr;
  std::vector<double> sums(static_cast<size_t>(capture->n_token()), 0.0);
  for (const HeadId head : heads) {
    const Row one = row(capture, head, query);
    if (!one) return nullptr;
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += (*one)[i];
  }
  auto mean = std::make_shared<std::vector<float>>(sums.size());
  for (size_t i = 0; i < sums.size(); ++i)
    (*mean)[i] = static_cast<float>(sums[i] / static_cast<double>(heads.size()));
  return mean;
}

}  // namespace saccade
