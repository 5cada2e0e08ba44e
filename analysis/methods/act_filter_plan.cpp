#include "analysis/methods/act_filter_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "analysis/methods/head_lists.h"

namespace saccade::act {
namespace {

constexpr int32_t layers_with_ends_left_out = 8;

template <class T>
void shuffle(std::vector<T>& values, std::mt19937_64& random) {  // std::shuffle differs between libraries
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random() % i]);
}

// Of each dataset at most `most` texts, some of them held out to judge on.
void split(FilterPlan& plan, size_t most, double held_out) {
  std::mt19937_64 random(plan.seed);
  for (size_t d = 0; d < plan.set.datasets.size(); ++d) {
    std::vector<size_t> mine;
    for (size_t t = 0; t < plan.set.texts.size(); ++t)
      if (plan.set.texts[t].dataset == d) mine.push_back(t);
    shuffle(mine, random);
    mine.resize(std::min(most, mine.size()));
    const auto aside = static_cast<size_t>(std::lround(held_out * static_cast<double>(mine.size())));
    for (size_t i = 0; i < mine.size(); ++i) {
      const size_t place = plan.texts.size();
      plan.texts.push_back(mine[i]);
      if (i >= aside) plan.choose.push_back(place);
      if (i < aside || held_out == 0.0) plan.judge.push_back(place);
    }
  }
}

int32_t best_label(const std::vector<float>& logits, const std::vector<int32_t>& labels) {
  return labels[static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())];
}

}  // namespace

Result<std::vector<HeadId>> heads_to_try(const std::string& text, const ModelSpec& spec) {
  if (text == "auto") {
    const bool ends = spec.n_layer < layers_with_ends_left_out;
    std::vector<HeadId> heads;
    for (int32_t l = ends ? 0 : 2; l < (ends ? spec.n_layer : spec.n_layer - 1); ++l)
      for (int32_t h = 0; h < spec.n_head; ++h) heads.push_back({LayerIndex{l}, HeadIndex{h}});
    return heads;
  }
  SACCADE_TRY(const Edit edit, parse_edit("zero " + text));
  SACCADE_CHECK(check_edits({&edit, 1}, spec, spec.n_context));
  const auto* target = std::get_if<HeadTarget>(&edit.target);
  if (target == nullptr)
    return make_error(ErrorCode::invalid_argument, fmt::format("'{}' names no heads", text));
  return heads_of(*target, spec);
}

Result<FilterPlan> read_filter_plan(const MethodInput& input) {
  const auto& p = input.parameters;
  SACCADE_CHECK(require_model(input, "act-filter"));
  const std::string file = p["file"].get<std::string>(), list = p["list"].get<std::string>();
  if (file.empty())
    return make_error(ErrorCode::invalid_argument,
                      "act-filter needs labelled texts: set file to a CSV or JSON with text and label");
  FilterPlan plan;
  plan.settings = read_settings(p);
  plan.seed = p["seed"].get<uint64_t>();
  plan.controls = p["controls"].get<size_t>();
  SACCADE_TRY(plan.set, read_labelled_set(file, *input.model));
  SACCADE_TRY(plan.heads, heads_to_try(p["heads"].get<std::string>(), input.model->spec()));
  if (!list.empty()) {
    SACCADE_TRY(plan.list, read_head_list(list, input.model->spec(), p["list_first_layer"].get<int32_t>()));
  }
  const double held_out = p["held_out"].get<double>();
  plan.held_out = held_out > 0.0;
  split(plan, p["texts"].get<size_t>(), held_out);
  if (plan.choose.empty() || plan.judge.empty())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{}: holding out {:.0f} % of {} texts leaves none to choose or to judge on",
                                  plan.set.name, 100.0 * held_out, plan.texts.size()));
  return plan;
}

const Capture* Filter::capture(size_t text) const {
  return capture_in(input_.outcomes, text).get();  // the outcome keeps it
}

Result<std::vector<Edit>> Filter::edits(const std::vector<HeadId>& heads, size_t text) const {
  std::vector<Edit> edits;
  const Capture* run = capture(text);
  if (run == nullptr) return edits;
  SACCADE_TRY(const Settings settings, plan_.settings.for_tokens(run->n_token()));
  for (const HeadId head : heads) {
    const HostTensor& all = run->layers[static_cast<size_t>(head.layer.value)]->statistics.received;
    const std::span<const float> received = all.slice(head.head.value);
    const HeadSinks sinks = sinks_of(column_means(run->spec, head.layer.value, received), received, settings);
    const std::string edit = edit_text(head, sinks.keys, settings.beta);
    if (edit.empty()) continue;
    SACCADE_TRY(Edit parsed, parse_edit(edit));
    edits.push_back(std::move(parsed));
  }
  return edits;
}

Result<std::vector<std::pair<size_t, size_t>>> Filter::singles() const {
  std::vector<std::pair<size_t, size_t>> pairs;
  for (size_t h = 0; h < plan_.heads.size(); ++h)
    for (const size_t text : plan_.choose) {
      SACCADE_TRY(const std::vector<Edit> some, edits({plan_.heads[h]}, text));
      if (!some.empty()) pairs.emplace_back(h, text);
    }
  return pairs;
}

Result<AnswerWanted> Filter::answer(const std::vector<HeadId>& heads, size_t text) const {
  const LabelledText& labelled = plan_.set.texts[plan_.texts[text]];
  AnswerWanted wanted;
  wanted.request = std::get<std::shared_ptr<const Run>>(input_.outcomes[text])->request;
  wanted.request.capture = {};
  wanted.ids = plan_.set.labels[labelled.dataset];
  SACCADE_TRY(wanted.request.edits, edits(heads, text));
  return wanted;
}

std::vector<HeadSet> Filter::sets(const std::vector<double>& changes) const {
  HeadSet chosen{"chosen", {}};
  std::vector<HeadId> others;
  for (size_t h = 0; h < plan_.heads.size(); ++h)
    (changes[h] > 0.0 ? chosen.heads : others).push_back(plan_.heads[h]);
  std::vector<HeadSet> sets;
  const size_t size = chosen.heads.size();
  if (size > 0) sets.push_back(std::move(chosen));
  if (!plan_.list.empty()) sets.push_back({"list", plan_.list});
  std::mt19937_64 random(plan_.seed + 1);
  for (size_t c = 0; c < plan_.controls && size > 0 && others.size() >= size; ++c) {
    std::vector<HeadId> drawn = others;
    shuffle(drawn, random);
    drawn.resize(size);
    sets.push_back({"random", std::move(drawn)});
  }
  return sets;
}

bool Filter::right_before(size_t text) const {
  const LabelledText& labelled = plan_.set.texts[plan_.texts[text]];
  const auto& labels = plan_.set.labels[labelled.dataset];
  std::vector<float> logits;
  for (const int32_t id : labels) logits.push_back(capture(text)->last_logits.data()[id]);
  return best_label(logits, labels) == labelled.label;
}

bool Filter::right(const KeptAnswer& answer, size_t text) const {
  const LabelledText& labelled = plan_.set.texts[plan_.texts[text]];
  return best_label(answer.logits, plan_.set.labels[labelled.dataset]) == labelled.label;
}

Accuracies accuracies(const FilterPlan& plan, const std::vector<size_t>& texts,
                      const std::vector<double>& right) {
  const size_t datasets = plan.set.datasets.size();
  std::vector<double> sums(datasets, 0.0), counts(datasets, 0.0);
  for (size_t i = 0; i < texts.size(); ++i) {
    if (std::isnan(right[i])) continue;
    const size_t dataset = plan.set.texts[plan.texts[texts[i]]].dataset;
    sums[dataset] += right[i];
    counts[dataset] += 1.0;
  }
  Accuracies result{std::vector<double>(datasets, std::numeric_limits<double>::quiet_NaN()), 0.0};
  double counted = 0.0;
  for (size_t d = 0; d < datasets; ++d) {
    if (counts[d] == 0.0) continue;
    result.of[d] = sums[d] / counts[d];
    result.mean += result.of[d];
    counted += 1.0;
  }
  result.mean = counted > 0.0 ? result.mean / counted : std::numeric_limits<double>::quiet_NaN();
  return result;
}

}  // namespace saccade::act
