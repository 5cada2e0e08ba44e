#include "analysis/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace saccade {
namespace {

// log softmax in double: z_i - max - ln sum exp(z - max).
std::vector<double> log_softmax(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (float logit : logits) sum += std::exp(logit - top);
  const double norm = top + std::log(sum);
  std::vector<double> logs(logits.size());
  std::transform(logits.begin(), logits.end(), logs.begin(), [&](float logit) { return logit - norm; });
  return logs;
}

// sum p ln(p / q); what p does not hold costs nothing, even where both are -inf.
double divergence(std::span<const double> log_p, std::span<const double> log_q) {
  double sum = 0.0;
  for (size_t i = 0; i < log_p.size(); ++i) {
    const double p = std::exp(log_p[i]);
    if (p > 0.0) sum += p * (log_p[i] - log_q[i]);
  }
  return std::max(sum, 0.0);  // rounding may leave -1e-17
}

double jensen_shannon(std::span<const double> log_p, std::span<const double> log_q) {
  std::vector<double> log_mean(log_p.size());
  for (size_t i = 0; i < log_p.size(); ++i)
    log_mean[i] = std::log(0.5 * (std::exp(log_p[i]) + std::exp(log_q[i])));
  return 0.5 * (divergence(log_p, log_mean) + divergence(log_q, log_mean));
}

std::vector<int32_t> best(std::span<const float> logits, int count) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto most =
      static_cast<ptrdiff_t>(std::min<size_t>(static_cast<size_t>(std::max(count, 0)), ids.size()));
  const auto before = [&](int32_t x, int32_t y) {
    const float zx = logits[static_cast<size_t>(x)], zy = logits[static_cast<size_t>(y)];
    return zx != zy ? zx > zy : x < y;
  };
  std::partial_sort(ids.begin(), ids.begin() + most, ids.end(), before);
  ids.resize(static_cast<size_t>(most));
  return ids;
}

// 1 = most probable; equal logits rank by id, as best() sorts them.
int32_t rank_of(std::span<const float> logits, int32_t id) {
  const float own = logits[static_cast<size_t>(id)];
  const auto higher = std::count_if(logits.begin(), logits.end(), [&](float logit) { return logit > own; });
  const auto ties = std::count(logits.begin(), logits.begin() + id, own);
  return static_cast<int32_t>(higher + ties) + 1;
}

std::string text_of(int32_t id, const Tokenizer* tokenizer) {
  if (tokenizer == nullptr) return std::to_string(id);
  auto token = tokenizer->token(id);
  return token.ok() ? token->text : std::to_string(id);
}

std::vector<NextTokenChange> top_changes(const Capture& a, const Capture& b, std::span<const double> log_a,
                                         std::span<const double> log_b, const Tokenizer* tokenizer,
                                         int top_k) {
  const auto logits_a = a.last_logits.values(), logits_b = b.last_logits.values();
  std::vector<int32_t> ids = best(logits_a, top_k);
  for (int32_t id : best(logits_b, top_k))
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  std::vector<NextTokenChange> top;
  for (int32_t id : ids) {
    const auto at = static_cast<size_t>(id);
    top.push_back({id, text_of(id, tokenizer), std::exp(log_a[at]), std::exp(log_b[at]), logits_a[at],
                   logits_b[at], rank_of(logits_a, id), rank_of(logits_b, id)});
  }
  std::sort(top.begin(), top.end(), [](const NextTokenChange& x, const NextTokenChange& y) {
    return x.rank_a != y.rank_a ? x.rank_a < y.rank_a : x.rank_b < y.rank_b;
  });
  return top;
}

Field head_field(const char* name, const char* label, const char* unit, ValueKind kind, const Capture& a,
                 const Capture& b) {
  Field field{name, label, unit, kind, {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}},
              {},   {}};
  field.values = HostTensor({static_cast<int64_t>(a.layers.size()), a.spec.n_head});
  field.request = a.provenance.request + " " + b.provenance.request;
  return field;
}

// Both fields need the same tokens, the same heads and kept statistics; else they stay empty.
bool heads_comparable(const Capture& a, const Capture& b) {
  if (a.layers.empty() || a.layers.size() != b.layers.size() || a.spec.n_head != b.spec.n_head) return false;
  const int64_t expected = a.spec.n_head * a.n_token();
  for (size_t layer = 0; layer < a.layers.size(); ++layer)
    for (const Capture* run : {&a, &b}) {
      const HeadStatistics& statistics = run->layers[layer]->statistics;
      if (statistics.entropy.size() != expected || statistics.received.size() != expected) return false;
    }
  return true;
}

void add_head_changes(const Capture& a, const Capture& b, Comparison& comparison) {
  if (!heads_comparable(a, b)) return;
  comparison.entropy_change =
      head_field("entropy_change", "Change of entropy, B - A", "nats", ValueKind::signed_difference, a, b);
  comparison.pattern_change =
      head_field("pattern_change", "Attention moved, |B - A| / 2", "", ValueKind::probability, a, b);
  const auto rows = static_cast<double>(a.n_token());
  size_t at = 0;
  for (size_t layer = 0; layer < a.layers.size(); ++layer)
    for (int32_t head = 0; head < a.spec.n_head; ++head, ++at) {
      const HeadStatistics &in_a = a.layers[layer]->statistics, &in_b = b.layers[layer]->statistics;
      const auto entropy_a = in_a.entropy.slice(head), entropy_b = in_b.entropy.slice(head);
      const auto received_a = in_a.received.slice(head), received_b = in_b.received.slice(head);
      double entropy = 0.0, moved = 0.0;
      for (size_t i = 0; i < entropy_a.size(); ++i) {
        entropy += static_cast<double>(entropy_b[i]) - entropy_a[i];
        moved += std::abs(static_cast<double>(received_b[i]) - received_a[i]);
      }
      comparison.entropy_change.values.mutable_values()[at] = static_cast<float>(entropy / rows);
      comparison.pattern_change.values.mutable_values()[at] = static_cast<float>(moved / (2.0 * rows));
    }
}

std::string quoted(const std::string& text, int32_t id) {
  Token token;
  token.id = id;
  token.text = text;
  return fmt::format("'{}'", display_text(token, false, 24));
}

std::string probability(double p) {
  return p >= 0.005 || p == 0.0 ? fmt::format("{:.2f}", p) : fmt::format("{:.1e}", p);
}

std::string next_token_finding(const Comparison& comparison) {
  const NextTokenChange& was = comparison.top.front();
  const auto now = std::find_if(comparison.top.begin(), comparison.top.end(),
                                [](const NextTokenChange& change) { return change.rank_b == 1; });
  const double moved = was.probability_b - was.probability_a;
  const std::string answer = quoted(was.text, was.id);
  if (now != comparison.top.end() && now->id != was.id)
    return fmt::format(
        "{} falls from {} to {} and is no longer the most probable next token: {} is, at {} (it was {}).",
        answer, probability(was.probability_a), probability(was.probability_b), quoted(now->text, now->id),
        probability(now->probability_b), probability(now->probability_a));
  if (std::abs(moved) < 0.005)
    return fmt::format("{} stays the most probable next token, at {}.", answer,
                       probability(was.probability_b));
  return fmt::format("{} {} from {} to {} and stays the most probable next token.", answer,
                     moved < 0.0 ? "falls" : "rises", probability(was.probability_a),
                     probability(was.probability_b));
}

std::string loss_finding(const Comparison& comparison, const Capture& a, const Capture& b) {
  const auto& change = comparison.loss_difference;
  const auto most = std::max_element(change.begin(), change.end(),
                                     [](float x, float y) { return std::abs(x) < std::abs(y); });
  const auto position = static_cast<size_t>(most - change.begin()) + 1;  // loss[i] is that of token i + 1
  if (std::abs(*most) < 5e-4f) return fmt::format("The loss stays {:.3f} nats per token.", a.mean_loss());
  return fmt::format("The mean loss goes from {:.3f} to {:.3f} nats; most at token {} ({}), by {:+.3f}.",
                     a.mean_loss(), b.mean_loss(), position,
                     quoted(a.tokens[position].text, a.tokens[position].id), *most);
}

std::string head_finding(const Comparison& comparison) {
  const auto values = comparison.pattern_change.values.values();
  const auto most = std::max_element(values.begin(), values.end());
  const int64_t heads = comparison.pattern_change.values.shape()[1], at = most - values.begin();
  if (*most < 5e-4f) return "No head's attention moved.";
  return fmt::format("The attention of head {}.{} moved most: {:.1f} % of its mass went to other keys.",
                     at / heads, at % heads, 100.0 * *most);
}

void add_findings(const Capture& a, const Capture& b, Comparison& comparison) {
  if (comparison.kl == 0.0 && comparison.js == 0.0) {
    comparison.findings.emplace_back("Both runs give the same next-token distribution.");
  } else {
    comparison.findings.push_back(next_token_finding(comparison));
    comparison.findings.push_back(
        fmt::format("The next-token distributions differ by KL {:.3g} and JS {:.3g} nats.", comparison.kl,
                    comparison.js));
  }
  if (!comparison.same_tokens) {
    comparison.findings.emplace_back(
        "The runs read different tokens, so losses and heads are not compared position by position.");
    return;
  }
  if (a.images != b.images)
    comparison.findings.emplace_back(
        "The runs read different pictures in the same places: positions are compared as if they were one.");
  if (!comparison.loss_difference.empty()) comparison.findings.push_back(loss_finding(comparison, a, b));
  if (!comparison.pattern_change.values.empty()) comparison.findings.push_back(head_finding(comparison));
}

Result<void> check_logits(const Capture& run, const char* name) {
  const auto logits = run.last_logits.values();
  if (logits.empty())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("run {} ({}) kept no next-token logits to compare", name, run.provenance.request));
  const bool numbers =
      std::none_of(logits.begin(), logits.end(), [](float logit) { return std::isnan(logit); });
  if (!numbers || !std::isfinite(*std::max_element(logits.begin(), logits.end())))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the logits of run {} ({}) give no distribution: they hold NaN or infinity",
                                  name, run.provenance.request));
  return {};
}

}  // namespace

Result<Comparison> compare(const Capture& a, const Capture& b, const Tokenizer* tokenizer, int top_k) {
  SACCADE_CHECK(check_logits(a, "A"));
  SACCADE_CHECK(check_logits(b, "B"));
  if (a.last_logits.size() != b.last_logits.size())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("the runs have different vocabularies: A has {} next-token logits, B has {}",
                    a.last_logits.size(), b.last_logits.size()));
  if (top_k < 1)
    return make_error(ErrorCode::invalid_argument, fmt::format("top_k must be at least 1, found {}", top_k));
  const auto log_a = log_softmax(a.last_logits.values()), log_b = log_softmax(b.last_logits.values());
  Comparison comparison;
  comparison.kl = divergence(log_a, log_b);
  comparison.js = std::min(jensen_shannon(log_a, log_b), std::log(2.0));
  comparison.top = top_changes(a, b, log_a, log_b, tokenizer, top_k);
  comparison.same_tokens = std::equal(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end(),
                                      [](const Token& x, const Token& y) { return x.id == y.id; });
  if (comparison.same_tokens) {
    if (a.loss.size() == b.loss.size())
      std::transform(b.loss.begin(), b.loss.end(), a.loss.begin(),
                     std::back_inserter(comparison.loss_difference), std::minus<>());
    add_head_changes(a, b, comparison);
  }
  add_findings(a, b, comparison);
  return comparison;
}

}  // namespace saccade
