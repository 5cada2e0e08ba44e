#include "analysis/methods/head_scores/probes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "analysis/methods/head_fields.h"
#include "core/model/weight_reader.h"
#include "core/run/linear_algebra.h"

namespace saccade::head_scores {
namespace {

constexpr int64_t echo_repeats = 4;
constexpr int32_t echo_ids_begin = 10000, echo_ids_end = 12500;  // RazorAttention's, where there are as many
constexpr double echo_share = 0.01, induction_share = 0.14;

// Ids that stand for text: no special tokens.
Result<std::vector<int32_t>> plain_ids(const Model& model) {
  std::vector<int32_t> ids;
  const int32_t count = std::min(model.spec().n_vocab, model.tokenizer().vocabulary_size());
  for (int32_t id = 0; id < count; ++id)
    if (const auto token = model.tokenizer().token(id); token.ok() && !token->special) ids.push_back(id);
  if (ids.size() < 2)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} has no vocabulary to draw a probe from", model.name()));
  return ids;
}

void shuffle(std::vector<int32_t>& ids, std::mt19937_64& random) {  // std::shuffle differs between libraries
  for (size_t i = ids.size(); i > 1; --i) std::swap(ids[i - 1], ids[random() % i]);
}

int64_t first_of(const Model& model) { return model.tokenizer().bos() ? 1 : 0; }

// How long a period fits the model's positions.
Result<int64_t> fitting(const MethodInput& input, int64_t wanted, int64_t repeats, int64_t most) {
  const ModelSpec& spec = input.model->spec();
  int64_t period = std::min(wanted, most);
  if (spec.n_context > 0) period = std::min(period, (spec.n_context - first_of(*input.model)) / repeats);
  if (period < 2)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a probe of {} repeats does not fit the {} positions and {} tokens of {}",
                                  repeats, spec.n_context, most, input.model->name()));
  return period;
}

Result<RunWanted> run_of(const MethodInput& input, const std::vector<int32_t>& period, int64_t repeats,
                         bool keep_values) {
  std::vector<int32_t> ids;
  if (const auto bos = input.model->tokenizer().bos()) ids.push_back(*bos);
  for (int64_t r = 0; r < repeats; ++r) ids.insert(ids.end(), period.begin(), period.end());
  RunRequest request = input.base;
  request.edits.clear();
  request.references.clear();
  request.vectors.clear();
  SACCADE_TRY(request.tokens, input.model->tokenizer().sequence(ids));
  request.capture = CapturePlan{};
  request.capture.residuals = request.capture.loss = false;
  request.capture.statistics = keep_values;  // of them max_key
  if (keep_values)
    for (int32_t l = 0; l < input.model->spec().n_layer; ++l)
      request.capture.sites.push_back({HookSite::v, l});
  return RunWanted{std::move(request)};
}

// [d_model, tokens]: what a write adds to the logit of each token, but for factors all of them share.
HostTensor directions(const Model& model, const WeightReader& weights, const std::vector<int32_t>& ids) {
  const ModelSpec& spec = model.spec();
  const HostTensor rows = weights.unembed(ids), gain = weights.final_norm_weight();
  const auto count = static_cast<int64_t>(ids.size());
  HostTensor made({spec.d_model, count}, false);
  for (int64_t t = 0; t < count; ++t) {
    double mean = 0.0;
    for (int64_t x = 0; x < spec.d_model; ++x)
      mean += double{gain.data()[x]} * rows.slice(t)[static_cast<size_t>(x)];
    mean = spec.norm == NormKind::layer_norm && !spec.no_norms ? mean / spec.d_model : 0.0;
    for (int64_t x = 0; x < spec.d_model; ++x)
      made.mutable_values()[static_cast<size_t>(x * count + t)] =
          static_cast<float>(double{gain.data()[x]} * rows.slice(t)[static_cast<size_t>(x)] - mean);
  }
  return made;
}

// One head on one text: at how many positions the most attended token is the one most raised.
struct Copied {
  int64_t hits = 0, positions = 0;
};
Result<Copied> copied(const Capture& capture, HeadId head, int64_t first, int64_t period,
                      const HostTensor& through) {  // through: W_O times directions, [d_head, period]
  const ModelSpec& spec = capture.spec;
  const HostTensor& v = capture.sites.at({HookSite::v, head.layer.value});
  const auto& keys = capture.layers[static_cast<size_t>(head.layer.value)]->statistics.max_key;
  const int64_t n = capture.n_token(), d = spec.d_head, kv = spec.kv_head_of(head.head.value);
  Copied result;
  for (int64_t i = first; i < n; ++i) {
    ++result.positions;
    const int64_t key = keys[static_cast<size_t>(head.head.value * n + i)];
    if (key < first) continue;  // BOS is none of the text's tokens
    const float* value = v.data() + (key * spec.n_kv_head + kv) * d;
    int64_t best = 0;
    double most = -INFINITY;
    for (int64_t t = 0; t < period; ++t) {
      double sum = 0.0;
      for (int64_t e = 0; e < d; ++e) sum += double{value[e]} * through.data()[e * period + t];
      if (sum > most) {
        most = sum;
        best = t;
      }
    }
    result.hits += best == (key - first) % period ? 1 : 0;
  }
  return result;
}

const Capture* capture_of(const Outcome& outcome) {
  const auto* run = std::get_if<std::shared_ptr<const Run>>(&outcome);
  return run == nullptr ? nullptr : (*run)->capture.get();
}

std::vector<int32_t> period_ids(const Capture& capture, int64_t first, int64_t period) {
  std::vector<int32_t> ids;
  for (int64_t t = first; t < first + period; ++t) ids.push_back(capture.tokens[static_cast<size_t>(t)].id);
  return ids;
}

class Probes {
 public:
  Probes(const MethodInput& input, const Settings& settings, ScoreSheet& sheet)
      : input_(input), settings_(settings), sheet_(sheet), weights_(input.model) {}

  Result<void> repeats(std::span<const Outcome> outcomes, const JobContext& job) {
    const size_t prefix =
        sheet_.add("prefix_matching", "Prefix matching on random repeats", "", ValueKind::probability);
    const size_t copying =
        sheet_.add("copying_activation", "Copying on random repeats", "", ValueKind::probability);
    std::vector<RunningMean> means(static_cast<size_t>(sheet_.count()));
    std::vector<Copied> hits(static_cast<size_t>(sheet_.count()));
    const int64_t first = first_of(*input_.model);
    int64_t done = 0, period = 0;
    for (const Outcome& outcome : outcomes) {
      const Capture* capture = capture_of(outcome);
      if (capture == nullptr) continue;
      const auto shared = std::get<std::shared_ptr<const Run>>(outcome)->capture;
      period = (capture->n_token() - first) / settings_.probe_repeats;
      const HostTensor raised = directions(*input_.model, weights_, period_ids(*capture, first, period));
      std::vector<HostTensor> through;
      for (int64_t at = 0; at < sheet_.count(); ++at) {
        SACCADE_TRY(HostTensor one, product(weights_.output(head_at(at, sheet_.heads())), raised));
        through.push_back(std::move(one));
      }
      SACCADE_CHECK(for_each_head(
          sheet_.count(), input_.threads, JobContext{job.cancel, {}}, 0.0, 1.0,
          [&](int64_t at, int) -> Result<void> {
            const HeadId head = head_at(at, sheet_.heads());
            const auto index = static_cast<size_t>(at);
            SACCADE_TRY(const AttentionMap map, AttentionMap::of(shared, head, *input_.kernels));
            SACCADE_TRY(const double score, prefix_matching(map, first, period));
            means[index].add(score);
            SACCADE_TRY(const Copied copies, copied(*capture, head, first, period, through[index]));
            hits[index].hits += copies.hits;
            hits[index].positions += copies.positions;
            return {};
          }));
      ++done;
    }
    for (int64_t at = 0; at < sheet_.count(); ++at) {
      const auto index = static_cast<size_t>(at);
      sheet_.set(prefix, at, means[index].mean());
      if (hits[index].positions > 0)
        sheet_.set(copying, at,
                   static_cast<double>(hits[index].hits) / static_cast<double>(hits[index].positions));
    }
    if (done > 0) say(prefix, copying, done, period);
    return {};
  }

  Result<void> echo(const Outcome& outcome, const JobContext& job) {
    const size_t echo = sheet_.add("echo", "Echo (RazorAttention)", "", ValueKind::probability);
    const size_t induction =
        sheet_.add("razor_induction", "Induction (RazorAttention)", "", ValueKind::probability);
    if (capture_of(outcome) == nullptr) return {};
    const auto capture = std::get<std::shared_ptr<const Run>>(outcome)->capture;
    const ModelSpec& spec = capture->spec;
    const int64_t first = first_of(*input_.model), period = (capture->n_token() - first) / echo_repeats;
    const int64_t kv_heads = spec.n_kv_head;
    SACCADE_CHECK(
        for_each_head(sheet_.count(), input_.threads, JobContext{job.cancel, {}}, 0.0, 1.0,
                      [&](int64_t at, int) -> Result<void> {
                        SACCADE_TRY(const AttentionMap map,
                                    AttentionMap::of(capture, head_at(at, sheet_.heads()), *input_.kernels));
                        SACCADE_TRY(const EchoScores scores, echo_scores(map, first, period));
                        sheet_.set(echo, at, scores.echo);
                        sheet_.set(induction, at, scores.induction);
                        return {};
                      }));
    const auto group_of = [&](int64_t at) {
      return static_cast<size_t>(at / sheet_.heads() * kv_heads +
                                 spec.kv_head_of(static_cast<int32_t>(at % sheet_.heads())));
    };
    std::vector<double> echoes(static_cast<size_t>(sheet_.layers() * kv_heads), 0.0), inductions(echoes);
    for (int64_t at = 0; at < sheet_.count(); ++at) {
      double &a = echoes[group_of(at)], &b = inductions[group_of(at)];
      a = std::max(a, double{sheet_.fields[echo].values.data()[at]});
      b = std::max(b, double{sheet_.fields[induction].values.data()[at]});
    }
    const std::vector<std::string> chosen = razor_choice(echoes, inductions);
    std::vector<std::string>& texts = sheet_.add_text("razor");
    for (int64_t at = 0; at < sheet_.count(); ++at) texts[static_cast<size_t>(at)] = chosen[group_of(at)];
    sheet_.findings.push_back(fmt::format(
        "RazorAttention (period {}): {} of {} KV heads keep their whole cache.", period,
        std::count_if(chosen.begin(), chosen.end(), [](const std::string& s) { return !s.empty(); }),
        chosen.size()));
    return {};
  }

 private:
  void say(size_t prefix, size_t copying, int64_t done, int64_t period) {
    const std::span<const float> values = sheet_.fields[prefix].values.values();
    const auto best = std::max_element(values.begin(), values.end());
    const auto above = std::count_if(values.begin(), values.end(),
                                     [&](float value) { return value >= settings_.threshold; });
    sheet_.findings.push_back(
        fmt::format("On {} random texts of {} tokens, {} times each, {} of {} heads match prefixes ({:.2f} "
                    "or more); head "
                    "{} the most, {:.2f}, and it copies at {:.0f} % of positions (chance {:.0f} %).",
                    done, period, settings_.probe_repeats, above, values.size(), settings_.threshold,
                    to_string(head_at(best - values.begin(), sheet_.heads())), *best,
                    100.0 * sheet_.fields[copying].values.data()[best - values.begin()],
                    100.0 / static_cast<double>(period)));
  }

  const MethodInput& input_;
  const Settings& settings_;
  ScoreSheet& sheet_;
  WeightReader weights_;
};

Result<double> sum_at(const AttentionMap& map, const std::vector<int32_t>& query,
                      const std::vector<int32_t>& key) {
  SACCADE_TRY(const std::vector<float> weights, map.weights_at(query, key));
  double sum = 0.0;
  for (const float weight : weights) sum += weight;
  return sum;
}

}  // namespace

Result<EchoScores> echo_scores(const AttentionMap& map, int64_t first, int64_t period) {
  std::vector<int32_t> query, echo, after;
  const int64_t n = map.size() - first;
  for (int64_t i = period; i < n; ++i)
    for (int64_t j = i - period; j >= 0; j -= period) {
      query.push_back(static_cast<int32_t>(i + first));
      echo.push_back(static_cast<int32_t>(j + first));
      after.push_back(static_cast<int32_t>(j + 1 + first));
    }
  if (query.empty()) return EchoScores{};
  SACCADE_TRY(const double echoes, sum_at(map, query, echo));
  SACCADE_TRY(const double inductions, sum_at(map, query, after));
  const auto rows = static_cast<double>(n - period);
  return EchoScores{echoes / rows, inductions / rows};
}

Result<double> prefix_matching(const AttentionMap& map, int64_t first, int64_t period) {
  SACCADE_TRY(const EchoScores scores, echo_scores(map, first, period));
  return scores.induction;  // distinct tokens: the key after the previous occurrence is at j + 1
}

std::vector<std::string> razor_choice(std::span<const double> echo, std::span<const double> induction) {
  std::vector<std::string> chosen(echo.size());
  const auto choose = [&](std::span<const double> scores, double share, const char* name) {
    const auto heads = static_cast<double>(scores.size());
    const auto count = std::max<size_t>(1, static_cast<size_t>(std::lround(share * heads)));
    std::vector<double> sorted(scores.begin(), scores.end());
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    for (size_t h = 0; h < scores.size(); ++h)  // ties at the cut are let in
      if (scores[h] >= sorted[count - 1] && chosen[h].empty()) chosen[h] = name;
  };
  choose(echo, echo_share, "echo");
  choose(induction, induction_share, "induction");
  return chosen;
}

Result<std::vector<Wanted>> plan_probes(const MethodInput& input, const Settings& settings) {
  SACCADE_TRY(const std::vector<int32_t> ids, plain_ids(*input.model));
  SACCADE_TRY(const int64_t length, fitting(input, settings.probe_length, settings.probe_repeats,
                                            static_cast<int64_t>(ids.size())));
  std::mt19937_64 random(settings.seed);
  std::vector<Wanted> wanted;
  for (int64_t s = 0; s < settings.probe_sequences; ++s) {
    std::vector<int32_t> drawn = ids;
    shuffle(drawn, random);
    drawn.resize(static_cast<size_t>(length));
    SACCADE_TRY(RunWanted run, run_of(input, drawn, settings.probe_repeats, true));
    wanted.emplace_back(std::move(run));
  }
  SACCADE_TRY(const int64_t period, fitting(input, settings.echo_period, echo_repeats, echo_ids_end));
  std::vector<int32_t> from(ids);
  if (ids.back() >= echo_ids_end)
    std::erase_if(from, [](int32_t id) { return id < echo_ids_begin || id >= echo_ids_end; });
  std::vector<int32_t> drawn;
  for (int64_t t = 0; t < period; ++t) drawn.push_back(from[random() % from.size()]);
  SACCADE_TRY(RunWanted run, run_of(input, drawn, echo_repeats, false));
  wanted.emplace_back(std::move(run));
  return wanted;
}

Result<void> add_probes(const MethodInput& input, std::span<const Outcome> outcomes, const Settings& settings,
                        const JobContext& job, ScoreSheet& sheet) {
  if (!input.model || outcomes.empty()) {
    sheet.findings.emplace_back("No probe columns: a capture cannot be run again; open its model.");
    return {};
  }
  Probes probes(input, settings, sheet);
  SACCADE_CHECK(probes.repeats(outcomes.first(outcomes.size() - 1), job));
  return probes.echo(outcomes.back(), job);
}

}  // namespace saccade::head_scores
