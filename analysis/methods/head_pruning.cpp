#include "analysis/methods/head_pruning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/flow/target.h"
#include "analysis/images/patch_field.h"
#include "analysis/methods/head_fields.h"
#include "analysis/statistics/rank.h"
#include "core/base/memory.h"

namespace saccade::pruning {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr int32_t most_classes = 4096;  // whose logits are all kept

// A model without classes answers with what it pools.
bool answers_with_features(const Model& model) {
  if (!model.spec().is_picture_model()) return model.spec().pooling != Pooling::none;
  const auto first = model.tokenizer().token(0);
  return !first.ok() || first->text == "feature 0";
}

struct Setup {
  bool features = false, all_classes = false, turn = false;
  int32_t followed = 0;
  std::string query;  // of the edit: "", " query=0:1" ...
  int64_t row = -1;   // where the final residual is read
};

Result<Setup> read_setup(const MethodInput& input) {
  SACCADE_CHECK(require_model(input, "head-profile with importance"));
  const ModelSpec& spec = input.model->spec();
  const Capture& capture = *input.capture;
  Setup setup;
  setup.features = answers_with_features(*input.model);
  setup.all_classes = spec.n_logits() <= most_classes;
  setup.turn = input.parameters["turn"].get<bool>();
  if (capture.last_logits.size() != spec.n_logits())
    return make_error(ErrorCode::invalid_argument,
                      "the run kept no answer that heads could be pruned against");
  const auto logits = capture.last_logits.values();
  const auto asked = input.parameters["class"].get<int64_t>();
  if (asked >= spec.n_logits())
    return make_error(ErrorCode::invalid_argument, fmt::format("class={}: {} has 0 to {}", asked,
                                                               input.model->name(), spec.n_logits() - 1));
  setup.followed =
      asked >= 0 ? static_cast<int32_t>(asked)
                 : static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  const std::string rows = input.parameters["importance"].get<std::string>();
  if (rows != "all rows") {
    SACCADE_TRY(const ImageRegion region,
                picture_region(capture, input.parameters["picture"].get<int64_t>(), "importance=" + rows));
    if (rows == "CLS row" && region.n_prefix == 0)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{} has no CLS: prune all rows or patch rows", input.model->name()));
    setup.query = rows == "CLS row" ? fmt::format(" query={}", region.begin)
                                    : fmt::format(" query={}:{}", region.first_patch(), region.end());
  }
  if (setup.turn) {
    SACCADE_TRY(const PathTarget target, path_target(capture, -1));
    setup.row = target.query >= 0 ? target.query : 0;
    const int64_t bytes = capture.n_token() * spec.d_model * 4 * spec.n_heads_total();
    if (bytes > available_bytes() / 4)
      return make_error(
          ErrorCode::out_of_memory,
          fmt::format("turn=true keeps a residual per head, {}; leave it off", format_bytes(bytes)));
  }
  return setup;
}

bool wanted_at_all(const MethodInput& input) {
  return input.parameters["importance"].get<std::string>() != "off";
}

Result<RunRequest> without(const MethodInput& input, const Setup& setup, HeadId head) {
  RunRequest request = input.base;
  request.capture = CapturePlan{};
  request.capture.attention = request.capture.residuals = request.capture.statistics = request.capture.loss =
      false;
  SACCADE_TRY(Edit edit, parse_edit("zero " + to_string(head) + setup.query));
  request.edits.push_back(std::move(edit));
  return request;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return aa * bb > 0.0 ? ab / std::sqrt(aa * bb) : nan;
}

const SiteRef final_site{HookSite::ln_final_normalized, -1};

struct Measures {
  double drop = nan, divergence = nan, turn = nan;
};

Measures measures_of(const MethodInput& input, const Setup& setup, const KeptAnswer& answer) {
  Measures made;
  const auto logits = input.capture->last_logits.values();
  if (setup.features) {
    made.turn = 1.0 - cosine(logits, answer.logits);
    return made;
  }
  const std::vector<double> before = softmax(logits);
  const size_t kept = setup.all_classes ? static_cast<size_t>(setup.followed) : 0;
  made.drop = before[static_cast<size_t>(setup.followed)] -
              std::exp(static_cast<double>(answer.logits[kept]) - answer.log_sum_exp);
  made.divergence = setup.all_classes ? jensen_shannon(before, softmax(answer.logits)) : answer.kl;
  return made;
}

}  // namespace

std::vector<double> softmax(std::span<const float> logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double sum = 0.0;
  for (const float logit : logits) sum += p.emplace_back(std::exp(logit - most));
  for (double& value : p) value /= sum;
  return p;
}

double jensen_shannon(std::span<const double> p, std::span<const double> q) {
  double sum = 0.0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double m = 0.5 * (p[i] + q[i]);
    if (p[i] > 0.0) sum += 0.5 * p[i] * std::log(p[i] / m);
    if (q[i] > 0.0) sum += 0.5 * q[i] * std::log(q[i] / m);
  }
  return std::max(sum, 0.0);
}

std::vector<ParameterInfo> parameters() {
  return {
      choice("importance", "Importance",
             "Prune every head once: all rows that it writes, CLS's alone, or the patches'; off: no answers "
             "are asked for.",
             {"off", "all rows", "CLS row", "patch rows"}),
      {"class", "Class", "Number of the class (or next token) that is followed; -1: the model's answer.", -1,
       -1, 1e9},
      {"turn", "Final residual too", "Also how far the final residual turns: one run per head, kept.",
       false}};
}

Result<std::vector<Wanted>> plan(const MethodInput& input) {
  std::vector<Wanted> wanted;
  if (!wanted_at_all(input) || !input.outcomes.empty()) return wanted;
  SACCADE_TRY(const Setup setup, read_setup(input));
  const ModelSpec& spec = input.model->spec();
  AnswerWanted answer;
  if (setup.all_classes || setup.features) {
    answer.ids.resize(static_cast<size_t>(spec.n_logits()));
    std::iota(answer.ids.begin(), answer.ids.end(), 0);
  } else {
    answer.ids = {setup.followed};
    answer.reference = std::make_shared<const HostTensor>(input.capture->last_logits);
  }
  for (int64_t at = 0; at < spec.n_heads_total(); ++at) {
    SACCADE_TRY(answer.request, without(input, setup, head_at(at, spec.n_head)));
    wanted.emplace_back(answer);
  }
  if (!setup.turn || setup.features) return wanted;
  RunRequest intact = input.base;
  intact.capture = answer.request.capture;
  intact.capture.sites = {final_site};
  wanted.emplace_back(RunWanted{std::move(intact)});
  for (int64_t at = 0; at < spec.n_heads_total(); ++at) {
    SACCADE_TRY(RunRequest request, without(input, setup, head_at(at, spec.n_head)));
    request.capture.sites = {final_site};
    wanted.emplace_back(RunWanted{std::move(request)});
  }
  return wanted;
}

Result<void> add_results(const MethodInput& input, AnalysisResult& result) {
  if (!wanted_at_all(input)) return {};
  SACCADE_TRY(const Setup setup, read_setup(input));
  const ModelSpec& spec = input.model->spec();
  const int64_t all = spec.n_heads_total();
  std::vector<Measures> measures(static_cast<size_t>(all));
  int64_t done = 0;
  const auto count = static_cast<size_t>(all);
  const auto final_row = [&](size_t outcome) -> std::span<const float> {
    const auto capture = capture_in(input.outcomes, outcome);
    if (!capture) return {};
    const auto found = capture->sites.find(final_site);
    return found == capture->sites.end() ? std::span<const float>() : found->second.slice(setup.row);
  };
  for (size_t i = 0; i < count; ++i) {
    const KeptAnswer* answer = answer_in(input.outcomes, i);
    if (answer == nullptr) continue;
    ++done;
    measures[i] = measures_of(input, setup, *answer);
    if (!setup.turn || setup.features) continue;
    const auto intact = final_row(count), pruned = final_row(count + 1 + i);
    if (!intact.empty() && !pruned.empty()) measures[i].turn = 1.0 - cosine(intact, pruned);
  }
  if (done == 0) return make_error(ErrorCode::cancelled, "cancelled");
  result.partial = result.partial || done < all;
  const size_t first = result.fields.size();
  const auto add = [&](const char* name, const std::string& label, const char* unit, ValueKind kind,
                       double Measures::*member) {
    Field field =
        head_field(name, label, unit, kind, spec.n_layer, spec.n_head, input.capture->provenance.request);
    for (size_t i = 0; i < count; ++i)
      field.values.mutable_values()[i] = static_cast<float>(measures[i].*member);
    result.fields.push_back(std::move(field));
  };
  const auto token = input.model->tokenizer().token(setup.followed);
  const std::string followed = token.ok() ? display_text(*token) : std::to_string(setup.followed);
  if (!setup.features) {
    add("drop", fmt::format("Probability of '{}' lost without the head", followed), "",
        ValueKind::signed_difference, &Measures::drop);
    add("divergence", setup.all_classes ? "JS divergence without the head" : "KL divergence without the head",
        "nats", ValueKind::magnitude, &Measures::divergence);
  }
  if (setup.features || setup.turn)
    add("turn",
        setup.features ? "How far the features turn, 1 - cos" : "How far the final residual turns, 1 - cos",
        "", ValueKind::magnitude, &Measures::turn);
  const auto fields = std::span(result.fields).subspan(first);
  Table table = heads_table(fields);
  table.name = "importance";
  result.tables.push_back(std::move(table));
  const auto values = fields.front().values.values();
  ptrdiff_t best = -1;
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isnan(values[i]) && (best < 0 || values[i] > values[static_cast<size_t>(best)]))
      best = static_cast<ptrdiff_t>(i);
  if (best >= 0)
    result.findings.push_back(
        fmt::format("Without head {} most is lost ({}: {:.3g}); {} of {} heads were pruned.",
                    to_string(head_at(best, spec.n_head)), fields.front().label,
                    values[static_cast<size_t>(best)], done, all));
  for (size_t a = 0; a < fields.size(); ++a)
    for (size_t b = a + 1; b < fields.size(); ++b) {
      const auto wide = [](const Field& field) {
        return std::vector<double>(field.values.values().begin(), field.values.values().end());
      };
      const double rho = spearman(wide(fields[a]), wide(fields[b]));
      if (!std::isnan(rho))
        result.findings.push_back(fmt::format("Over heads, {} and {} have a rank correlation of {:.2f}.",
                                              fields[a].name, fields[b].name, rho));
    }
  return {};
}

}  // namespace saccade::pruning
