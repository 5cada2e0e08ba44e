#include "analysis/methods/ablation_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/reference_runs.h"

namespace saccade::ablation {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

constexpr std::array<std::pair<const char*, Kind>, 6> kinds{{{"zero", Kind::zero},
                                                             {"mean", Kind::mean},
                                                             {"mean-by-position", Kind::mean_by_position},
                                                             {"resample", Kind::resample},
                                                             {"uniform", Kind::uniform},
                                                             {"identity", Kind::identity}}};

std::vector<std::vector<HeadId>> groups_of(const std::string& unit, const ModelSpec& spec) {
  const int32_t size = unit == "head" ? 1 : unit == "kv-head" ? spec.n_head / spec.n_kv_head : spec.n_head;
  std::vector<std::vector<HeadId>> groups;
  for (int32_t l = 0; l < spec.n_layer; ++l)
    for (int32_t h = 0; h < spec.n_head; h += size) {
      groups.emplace_back();
      for (int32_t i = 0; i < size; ++i) groups.back().push_back({LayerIndex{l}, HeadIndex{h + i}});
    }
  return groups;
}

}  // namespace

Result<Plan> read_plan(const MethodInput& input) {
  const auto& p = input.parameters;
  SACCADE_CHECK(require_model(input, "ablation-sweep"));
  Plan plan;
  const std::string kind = p["kind"].get<std::string>();
  const auto known = std::find_if(kinds.begin(), kinds.end(), [&](const auto& k) { return kind == k.first; });
  plan.kind = known->second;
  plan.seed = p["seed"].get<uint64_t>();
  SACCADE_TRY(plan.metric, parse_metric(p["metric"].get<std::string>()));
  SACCADE_TRY(plan.prompts, prompts_of(input));
  plan.groups = groups_of(p["unit"].get<std::string>(), input.model->spec());
  plan.strongest = std::min(p["strongest"].get<size_t>(), plan.groups.size());
  plan.controls = 2 * plan.strongest <= plan.groups.size() ? p["controls"].get<size_t>() : 0;
  if (plan.kind == Kind::resample) SACCADE_CHECK(plan.prompts.aligned());
  if (plan.kind == Kind::mean_by_position) SACCADE_CHECK(same_length(plan.prompts));
  return plan;
}

Result<void> Ablation::prepare() {
  const size_t pairs = plan_.prompts.pairs.size();
  if (plan_.kind != Kind::mean && plan_.kind != Kind::mean_by_position) return {};
  std::vector<std::shared_ptr<const Capture>> captures;
  for (size_t i = 0; i < pairs; ++i) {
    captures.push_back(capture_in(input_.outcomes, i));
    if (!captures.back()) return make_error(ErrorCode::cancelled, "cancelled");
  }
  mean_ = plan_.kind == Kind::mean ? all_rows_of_z(captures) : mean_z_by_position(captures);
  return {};
}

Result<AnswerWanted> Ablation::without(const std::vector<HeadId>& heads, size_t pair) const {
  const PromptPair& prompts = plan_.prompts.pairs[pair];
  const auto& clean = std::get<std::shared_ptr<const Run>>(input_.outcomes[pair]);
  AnswerWanted wanted;
  wanted.request = clean->request;
  wanted.request.capture = {};
  wanted.ids = ids_of(prompts);
  if (plan_.metric == Metric::kl)
    wanted.reference = std::make_shared<HostTensor>(clean->capture->last_logits);
  if (mean_) wanted.request.references["reference"] = mean_;
  if (plan_.kind == Kind::resample)
    wanted.request.references["reference"] =
        std::get<std::shared_ptr<const Run>>(input_.outcomes[plan_.prompts.pairs.size() + pair])->capture;
  for (const HeadId head : heads) {
    SACCADE_TRY(Edit edit, parse_edit(text_of(head)));
    wanted.request.edits.push_back(std::move(edit));
  }
  return wanted;
}

std::string Ablation::text_of(HeadId head) const {
  switch (plan_.kind) {
    case Kind::zero:
      return "zero " + to_string(head);
    case Kind::mean:
      return "mean " + to_string(head) + " from=reference";
    case Kind::mean_by_position:
    case Kind::resample:
      return "replace " + to_string(head) + " from=reference";
    case Kind::uniform:
      return "uniform " + to_string(head);
    case Kind::identity:
      return "identity " + to_string(head) + " by=1";
  }
  return "";
}

double Results::baseline(size_t pair) const {
  const Run* run = run_in(input_.outcomes, pair);
  if (run == nullptr) return nan;
  const HostTensor& logits = run->capture->last_logits;
  return value_of(plan_.metric, logits, plan_.prompts.pairs[pair], &logits);
}

std::vector<double> Results::effects(size_t first_outcome) const {
  std::vector<double> values;
  for (size_t pair = 0; pair < plan_.prompts.pairs.size(); ++pair) {
    const size_t at = first_outcome + pair;
    const auto* answer = answer_in(input_.outcomes, at);
    values.push_back(answer == nullptr
                         ? nan
                         : value_of(plan_.metric, *answer, plan_.prompts.pairs[pair]) - baseline(pair));
  }
  return values;
}

std::vector<size_t> Results::ranking() const {
  std::vector<double> size;
  for (size_t g = 0; g < plan_.groups.size(); ++g) {
    const double mean = mean_interval(effects_of_group(g)).mean;
    size.push_back(std::isnan(mean) ? -1.0 : std::abs(mean));
  }
  std::vector<size_t> order(plan_.groups.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return size[a] > size[b]; });
  return order;
}

std::vector<std::vector<size_t>> joint_sets(const Plan& plan, const std::vector<size_t>& ranking) {
  std::vector<std::vector<size_t>> sets;
  if (plan.strongest == 0) return sets;
  const auto cut = ranking.begin() + static_cast<ptrdiff_t>(plan.strongest);
  sets.emplace_back(ranking.begin(), cut);
  std::mt19937_64 random(plan.seed);
  for (size_t c = 0; c < plan.controls; ++c) {
    std::vector<size_t> others(cut, ranking.end());
    std::sort(others.begin(), others.end());
    for (size_t i = 0; i < plan.strongest; ++i)
      std::swap(others[i], others[i + random() % (others.size() - i)]);
    others.resize(plan.strongest);
    sets.push_back(std::move(others));
  }
  return sets;
}

std::vector<HeadId> heads_of_groups(const Plan& plan, const std::vector<size_t>& groups) {
  std::vector<HeadId> heads;
  for (const size_t g : groups) heads.insert(heads.end(), plan.groups[g].begin(), plan.groups[g].end());
  return heads;
}

}  // namespace saccade::ablation
