// segment-order: how much the answer depends on the order of parts of the prompt, and that it no longer does
// with the edit order-free (PINE).
//
// The prompt's segments are exchanged in every order, or in some where there are too many, each order
// answered with and without the edit. Which segment a head reads as the nearest is in the run with the edit.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "analysis/methods/registry.h"
#include "core/run/order_free.h"

namespace saccade {
namespace {

using Order = std::vector<size_t>;
constexpr size_t most_segments = 12;

MethodInfo make_info() {
  MethodInfo info;
  info.id = "segment-order";
  info.title = "Does the order of the parts matter";
  info.summary =
      "Answers the prompt with its parts in other orders, as it is and with the edit that makes them count "
      "as "
      "unordered; says which part each head then reads as the nearest.";
  info.citation = "Wang et al. 2024 (arXiv 2407.01100), section 3 (PINE)";
  info.parameters = {
      {"segments", "Segments",
       "Token positions where the parts begin and the last one ends, such as 4,9,15; empty: as below.", ""},
      {"after", "A part ends after",
       "Without positions: each part ends with a token of this text; what follows the last is not moved.",
       "."},
      {"orders", "Orders", "At most so many; all when there are not more.", 24, 2, 1000},
      {"seed", "Seed", "For the choice of orders when there are more.", 0, 0, 1e9}};
  return info;
}

std::string trimmed(std::string text) {
  const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
  while (!text.empty() && blank(text.back())) text.pop_back();
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), blank));
  return text;
}

struct Plan {
  Edit edit;
  std::vector<int64_t> bounds;
  std::vector<Order> orders;  // the given one first
};

Result<std::vector<int64_t>> bounds_by_text(const TokenSequence& tokens, const std::string& after) {
  std::vector<int64_t> bounds;
  int64_t begin = 0;
  while (begin < tokens.size() && tokens.tokens[static_cast<size_t>(begin)].special) ++begin;
  bounds.push_back(begin);
  for (int64_t at = begin; at + 1 < tokens.size(); ++at)
    if (trimmed(tokens.tokens[static_cast<size_t>(at)].text) == after) bounds.push_back(at + 1);
  if (bounds.size() < 3)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format(
            "the prompt has {} part(s) that end with a token '{}' and something after them; give two or "
            "more, or their token positions with segments=",
            bounds.size() - 1, after));
  return bounds;
}

std::vector<Order> orders_of(size_t segments, int64_t most, uint64_t seed) {
  Order order(segments);
  std::iota(order.begin(), order.end(), size_t{0});
  double possible = 1.0;
  for (size_t n = 2; n <= segments; ++n) possible *= static_cast<double>(n);
  std::vector<Order> orders{order};
  if (possible <= static_cast<double>(most)) {
    while (std::next_permutation(order.begin(), order.end())) orders.push_back(order);
    return orders;
  }
  std::mt19937_64 random(seed);
  std::set<Order> known{order};
  while (static_cast<int64_t>(orders.size()) < most) {
    for (size_t n = segments; n > 1; --n) std::swap(order[n - 1], order[random() % n]);
    if (known.insert(order).second) orders.push_back(order);
  }
  return orders;
}

Result<Plan> read_plan(const MethodInput& input) {
  SACCADE_CHECK(require_model(input, "segment-order"));
  const nlohmann::json& parameters = input.parameters;
  Plan plan;
  std::string given = parameters["segments"].get<std::string>();
  if (given.empty()) {
    SACCADE_TRY(plan.bounds, bounds_by_text(input.base.tokens, parameters["after"].get<std::string>()));
    given = fmt::format("{}", fmt::join(plan.bounds, ","));
  }
  SACCADE_TRY(plan.edit, parse_edit("order-free *.* segments=" + given));
  plan.bounds = plan.edit.segments;
  if (!input.base.tokens.images.empty())
    return make_error(ErrorCode::unsupported,
                      "segment-order moves parts of a text; this prompt has pictures");
  SACCADE_CHECK(check_edits(std::span(&plan.edit, 1), input.model->spec(), input.base.tokens.size()));
  const size_t segments = plan.bounds.size() - 1;
  if (segments > most_segments)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("the prompt has {} parts, at most {} can be exchanged; give their positions with "
                    "segments=",
                    segments, most_segments));
  plan.orders = orders_of(segments, parameters["orders"].get<int64_t>(), parameters["seed"].get<uint64_t>());
  return plan;
}

RunRequest in_order(const MethodInput& input, const Plan& plan, const Order& order, bool edited) {
  RunRequest request = input.base;
  request.tokens.text.clear();
  const std::vector<Token>& from = input.base.tokens.tokens;
  std::vector<int64_t> bounds{plan.bounds.front()};
  auto to = request.tokens.tokens.begin() + plan.bounds.front();
  for (const size_t segment : order) {
    to = std::copy(from.begin() + plan.bounds[segment], from.begin() + plan.bounds[segment + 1], to);
    bounds.push_back(to - request.tokens.tokens.begin());
  }
  if (!edited) return request;
  Edit edit = plan.edit;
  edit.segments = std::move(bounds);
  request.edits.push_back(std::move(edit));
  return request;
}

// Outcomes: the given order without and with the edit; then the other orders' answers without and with it.
class SegmentOrder final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    std::vector<Wanted> wanted;
    if (input.outcomes.empty()) {
      for (const bool edited : {false, true}) {
        RunRequest request = in_order(input, plan, plan.orders[0], edited);
        request.capture = CapturePlan{};
        request.capture.statistics = request.capture.loss = request.capture.residuals = false;
        request.capture.attention = edited;
        wanted.emplace_back(RunWanted{std::move(request)});
      }
    } else if (input.outcomes.size() == 2) {
      for (size_t o = 1; o < plan.orders.size(); ++o)
        for (const bool edited : {false, true}) {
          AnswerWanted answer;
          answer.request = in_order(input, plan, plan.orders[o], edited);
          answer.ids = {given_answer(input, edited)};
          answer.reference = std::make_shared<HostTensor>(given_logits(input, edited));
          wanted.emplace_back(std::move(answer));
        }
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    if (run_in(input.outcomes, 0) == nullptr || run_in(input.outcomes, 1) == nullptr)
      return make_error(ErrorCode::cancelled, "cancelled");
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {run_in(input.outcomes, 0)->digest, run_in(input.outcomes, 1)->digest};
    Table segments{"segments", {"segment", "begin", "end", "text"}, {}};
    for (size_t s = 0; s + 1 < plan.bounds.size(); ++s)
      segments.rows.push_back(
          {static_cast<int64_t>(s), plan.bounds[s], plan.bounds[s + 1], text_of(input, plan, s)});
    Table edit{"edit", {"edit"}, {{to_text(plan.edit)}}};
    Seen as_it_is, unordered;
    Table orders{"orders", {"order", "answer", "KL", "order-free answer", "order-free KL"}, {}};
    for (size_t o = 0; o < plan.orders.size(); ++o) {
      const KeptAnswer given_plain = given(input, false), given_edited = given(input, true);
      const KeptAnswer* plain = o == 0 ? &given_plain : answer_in(input.outcomes, 2 * o);
      const KeptAnswer* edited = o == 0 ? &given_edited : answer_in(input.outcomes, 2 * o + 1);
      if (plain == nullptr || edited == nullptr) {
        result.partial = true;
        continue;
      }
      as_it_is.add(*plain, given_answer(input, false));
      unordered.add(*edited, given_answer(input, true));
      std::vector<size_t> shown = plan.orders[o];
      orders.rows.push_back({fmt::format("{}", fmt::join(shown, " ")), token_text(input, plain->top_id),
                             plain->kl, token_text(input, edited->top_id), edited->kl});
    }
    result.tables = {std::move(orders), std::move(segments), std::move(edit)};
    result.fields.push_back(ranks(input, plan));
    result.findings = {said(input, plan, as_it_is, false), said(input, plan, unordered, true)};
    return result;
  }

 private:
  struct Seen {
    int64_t orders = 0, same = 0;
    double largest_kl = 0.0;
    void add(const KeptAnswer& answer, int32_t given) {
      ++orders;
      same += answer.top_id == given ? 1 : 0;
      largest_kl = std::max(largest_kl, answer.kl);
    }
  };

  static const HostTensor& given_logits(const MethodInput& input, bool edited) {
    return run_in(input.outcomes, edited ? 1 : 0)->capture->last_logits;
  }
  static int32_t given_answer(const MethodInput& input, bool edited) {
    const auto logits = given_logits(input, edited).values();
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  static KeptAnswer given(const MethodInput& input, bool edited) {
    const HostTensor& logits = given_logits(input, edited);
    return keep_answer(logits, {given_answer(input, edited)}, &logits);
  }
  static std::string token_text(const MethodInput& input, int32_t id) {
    const auto token = input.model->tokenizer().token(id);
    return token.ok() ? display_text(*token) : fmt::format("<{}>", id);
  }
  static std::string text_of(const MethodInput& input, const Plan& plan, size_t segment) {
    constexpr size_t longest = 60;
    std::string text;
    for (int64_t at = plan.bounds[segment]; at < plan.bounds[segment + 1]; ++at)
      text += input.base.tokens.tokens[static_cast<size_t>(at)].text;
    text = trimmed(std::move(text));
    if (text.size() <= longest) return text;
    size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // whole UTF-8 letters
    return text.substr(0, end) + "...";
  }

  // How many segments the last position's heads put nearer to themselves: 0 = the one found most important.
  static Field ranks(const MethodInput& input, const Plan& plan) {
    const Capture& capture = *run_in(input.outcomes, 1)->capture;
    const ModelSpec& spec = capture.spec;
    const auto segments = static_cast<int64_t>(plan.bounds.size()) - 1;
    const int64_t n = capture.n_token();
    Field field{
        "rank",
        "Segments that the last position reads as nearer",
        "segments",
        ValueKind::magnitude,
        {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}, {AxisKind::other, "segment", {}}},
        HostTensor({spec.n_layer, spec.n_head, segments}),
        capture.provenance.request};
    for (int64_t s = 0; s < segments; ++s)
      field.axes[2].labels.push_back(text_of(input, plan, static_cast<size_t>(s)));
    float* to = field.values.mutable_values().data();
    for (const auto& layer : capture.layers)
      for (int64_t head = 0; head < spec.n_head; ++head) {
        const float* shift = layer->segment_shifts.data() + (head * n + n - 1) * segments;
        for (int64_t s = 0; s < segments; ++s)
          *to++ = static_cast<float>(
              std::count_if(shift, shift + segments, [&](float x) { return x < shift[s]; }));
      }
    return field;
  }

  static std::string said(const MethodInput& input, const Plan& plan, const Seen& seen, bool edited) {
    const KeptAnswer answer = given(input, edited);
    const double share = 100.0 * std::exp(answer.logits[0] - answer.log_sum_exp);
    return fmt::format(
        "{} the answer is '{}' ({:.1f} % in the given order); {} of {} orders of {} segments give it, and "
        "their answers are at most {:.2g} nats (KL) from that of the given order.",
        edited ? "With the order taken out (order-free)" : "As the prompt is,",
        token_text(input, answer.top_id), share, seen.same, seen.orders, plan.bounds.size() - 1,
        seen.largest_kl);
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_segment_order() { return std::make_unique<SegmentOrder>(); }

}  // namespace saccade
