// Generation: prefill into a KV cache, then one row at a time, under the request's edits. Where the rotation
// depends on the length of the text (dynamic scaling, longrope), the cache is made anew when it changes, so
// that decoding stays equal to a run over the whole text.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <numeric>
#include <random>

#include "core/model/visibility.h"
#include "core/run/runner_state.h"
#include "core/run/unembed.h"

namespace saccade {
namespace {

int32_t most_probable(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// Temperature, then the k most probable, then the smallest set whose mass reaches top_p (Holtzman et al.
// 2020, arXiv 1904.09751), then one draw.
int32_t sample(std::span<const float> logits, const SamplingOptions& options, std::mt19937_64& random) {
  if (options.temperature <= 0.0) return most_probable(logits);
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  if (options.top_k > 0 && static_cast<size_t>(options.top_k) < order.size())
    order.resize(static_cast<size_t>(options.top_k));
  const double highest = logits[static_cast<size_t>(order.front())];
  std::vector<double> weight;
  for (const int32_t id : order)
    weight.push_back(std::exp((logits[static_cast<size_t>(id)] - highest) / options.temperature));
  const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
  size_t kept = 0;
  double mass = 0.0;
  while (kept < weight.size() && (kept == 0 || mass < options.top_p * total)) mass += weight[kept++];
  double draw = static_cast<double>(random() >> 11) * 0x1.0p-53 * mass;
  for (size_t i = 0; i < kept; ++i) {
    if (draw < weight[i]) return order[i];
    draw -= weight[i];
  }
  return order[kept - 1];
}

// What the new ids add to the text. Decoded behind a little of the prompt, because some tokenizers drop the
// space before the first token of a text.
std::string added_text(const Tokenizer& tokenizer, const std::vector<int32_t>& prompt,
                       const std::vector<int32_t>& added) {
  constexpr size_t context = 8;
  std::vector<int32_t> ids(prompt.end() - static_cast<ptrdiff_t>(std::min(context, prompt.size())),
                           prompt.end());
  const Result<std::string> before = tokenizer.decode(ids);
  ids.insert(ids.end(), added.begin(), added.end());
  const Result<std::string> after = tokenizer.decode(ids);
  if (before.ok() && after.ok() && after->starts_with(*before)) return after->substr(before->size());
  const Result<std::string> alone = tokenizer.decode(added);
  return alone.ok() ? *alone : std::string();
}

bool ends(const Model& model, int32_t id) {
  const std::vector<int32_t>& eos = model.spec().eos_ids;
  return std::find(eos.begin(), eos.end(), id) != eos.end() || model.tokenizer().eos() == id;
}

HeadStep empty_step(const ModelSpec& spec, bool watches) {
  const auto heads = static_cast<size_t>(spec.n_heads_total());
  return {std::vector<int32_t>(heads, -1), std::vector<float>(heads),
          std::vector<float>(watches ? heads : 0)};
}

// Whether the keys that were kept of `position` tokens are rotated otherwise in a text of one more.
bool cache_is_stale(const ModelSpec& spec, int64_t position) {
  for (int32_t l = 0; l < spec.n_layer; ++l)
    if (const RotarySpec* rotary = spec.rotary_of(l);
        rotary != nullptr && rotation_changes(*rotary, position, position + 1))
      return true;
  return false;
}

Result<void> check_sampling(const SamplingOptions& options) {
  if (options.max_tokens < 0 || options.top_k < 0 || !(options.temperature >= 0.0) ||
      !(options.top_p > 0.0) || options.top_p > 1.0)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("sampling: expected tokens >= 0, temperature >= 0, top-k >= 0 and 0 < top-p <= 1, "
                    "found {}, {}, {} and {}",
                    options.max_tokens, options.temperature, options.top_k, options.top_p));
  const Contrast& contrast = options.contrast;
  if (!std::isfinite(contrast.alpha) || !(contrast.plausibility >= 0.0) || contrast.plausibility > 1.0)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("contrast: expected a finite alpha and 0 <= plausibility <= 1, found {} and "
                    "{}",
                    contrast.alpha, contrast.plausibility));
  return {};
}

// One sequence that grows by a token at a time: its edits, its cache, and how far it is.
class Stream {
 public:
  using MakePass = std::function<ForwardPass(SiteEdits&)>;
  Stream(const RunRequest& request, SiteEdits edits, const MakePass& make_pass, const Model& model,
         const ModelWeights& weights, std::vector<GivenRows> given)
      : spec_(model.spec()),
        weights_(weights),
        precision_(precision_of(request.dtype)),
        edits_(std::move(edits)),
        pass_(make_pass(edits_)),
        given_(std::move(given)),
        ids_(request.tokens.ids()),
        waiting_(ids_),
        caches_(static_cast<size_t>(model.spec().n_layer)) {
    pass_.set_prefix(prefix_of(spec_, request.tokens.size(), request.tokens.generated_from));
  }

  void reserve(int64_t positions) {
    for (KvCache& cache : caches_) cache.reserve(std::min<int64_t>(positions, spec_.n_context), kv_width());
  }
  // Whether there is a position for what waits to be read.
  [[nodiscard]] bool has_room() const { return position_ < spec_.n_context; }
  void add(int32_t id) {
    ids_.push_back(id);
    waiting_ = {id};
  }

  // The logits after everything that was added, [n_vocab]. step: may be null; filled in for the last row.
  Result<HostTensor> next(HeadStep* step, const KeySet& watched, const JobContext& job) {
    if (position_ > 0 && cache_is_stale(spec_, position_)) {
      waiting_ = ids_;
      position_ = 0;
      for (KvCache& cache : caches_) cache.clear();
    }
    // The row that a token is read from goes through alone, once more, where its heads are to be kept.
    if (step != nullptr && waiting_.size() > 1) {
      SACCADE_TRY(const HostTensor whole, through_layers(nullptr, watched));
      edits_.freeze_means();
      for (KvCache& cache : caches_) cache.drop_last(kv_width());
      --position_;
      waiting_ = {waiting_.back()};
    }
    SACCADE_TRY(const HostTensor x, through_layers(step, watched));
    edits_.freeze_means();
    SACCADE_TRY(const ops::DeviceTensor h, pass_.head(x));
    SACCADE_TRY(const Answer answer, unembed(h, weights_, spec_, waiting_, false, job, precision_));
    return answer.last_logits;
  }

 private:
  [[nodiscard]] int64_t kv_width() const { return int64_t{spec_.n_kv_head} * spec_.d_head; }

  Result<HostTensor> through_layers(HeadStep* step, const KeySet& watched) {
    const std::span<const GivenRows> given = position_ == 0 ? given_ : std::span<const GivenRows>();
    SACCADE_TRY(HostTensor x, pass_.embed(waiting_, position_, given));
    for (int32_t l = 0; l < spec_.n_layer; ++l) {
      LayerOptions layer;
      layer.first_position = position_;
      layer.cache = &caches_[static_cast<size_t>(l)];
      layer.step = step;
      layer.watched = watched;
      SACCADE_TRY(x, pass_.layer(l, std::move(x), layer));
    }
    position_ += static_cast<int64_t>(waiting_.size());
    return x;
  }

  const ModelSpec& spec_;
  const ModelWeights& weights_;
  ops::Precision precision_;
  SiteEdits edits_;
  ForwardPass pass_;
  std::vector<GivenRows> given_;
  std::vector<int32_t> ids_, waiting_;  // all; those that are not in the cache yet
  std::vector<KvCache> caches_;
  int64_t position_ = 0;
};

}  // namespace

Result<Generation> Runner::generate(const RunRequest& request, const SamplingOptions& options,
                                    const std::function<void(const Token&, const std::string&)>& on_token,
                                    const JobContext& job) {
  const auto start = std::chrono::steady_clock::now();
  const Model& model = *state_->model;
  const ModelSpec& spec = model.spec();
  if (!spec.causal && spec.pooling == Pooling::none)
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} is a masked language model, which does not generate", model.name()));
  if (spec.pooling != Pooling::none)
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} answers with {}, and does not generate", model.name(),
                                  spec.is_picture_model() ? "labels of a picture" : "an embedding"));
  SACCADE_CHECK(check_sampling(options));
  const RunRequest* negative = options.contrast.negative.get();
  std::vector<const RunRequest*> requests{&request};
  if (negative != nullptr) requests.push_back(negative);
  std::vector<SiteEdits> edits;
  for (const RunRequest* one : requests) {
    SACCADE_CHECK(state_->check(*one));
    edits.push_back(state_->edits_for(*one));
    SACCADE_CHECK(edits.back().check());
  }

  const CapturePlan nothing{false, false, false, false, 1, 8, {}};
  const std::vector<int32_t> prompt = request.tokens.ids();
  std::mt19937_64 random(options.seed);
  Generation generation;
  std::vector<int32_t> added;
  const KeySet watched = key_set(options.watched);

  Result<void> outcome = ops::guarded([&]() -> Result<void> {
    const ops::OnDevice on(device_of(request));
    std::deque<Stream> streams;  // ForwardPass points into them
    for (size_t i = 0; i < requests.size(); ++i) {
      const RunRequest& one = *requests[i];
      SACCADE_TRY(std::vector<GivenRows> given, state_->image_rows(one.tokens, one.dtype, job));
      const auto make_pass = [&](SiteEdits& own) {
        ForwardPass pass = state_->pass(own, nothing, job, one);
        pass.set_axes(axis_positions(spec, one.tokens.images));
        return pass;
      };
      streams.emplace_back(one, std::move(edits[i]), make_pass, model, state_->weights, std::move(given));
      streams.back().reserve(one.tokens.size() + options.max_tokens);
    }
    const auto have_room = [&] {
      return std::all_of(streams.begin(), streams.end(), [](const Stream& s) { return s.has_room(); });
    };
    while (static_cast<int>(added.size()) < options.max_tokens && have_room()) {
      HeadStep step = options.keep_heads ? empty_step(spec, !watched.empty()) : HeadStep();
      SACCADE_TRY(HostTensor logits, streams[0].next(options.keep_heads ? &step : nullptr, watched, job));
      if (negative != nullptr) {
        SACCADE_TRY(const HostTensor other, streams[1].next(nullptr, {}, job));
        logits = contrasted(logits, other, options.contrast.alpha, options.contrast.plausibility);
      }
      const int32_t id = sample(logits.values(), options, random);
      if (options.stop_at_eos && ends(model, id)) {
        generation.stopped_at_eos = true;
        break;
      }
      SACCADE_TRY(Token token, model.tokenizer().token(id));
      added.push_back(id);
      generation.tokens.push_back(token);
      if (options.keep_heads) generation.steps.push_back(std::move(step));
      if (options.keep_logits) generation.logits.push_back(std::move(logits));
      generation.text = added_text(model.tokenizer(), prompt, added);
      if (on_token) on_token(token, generation.text);
      job.progress(static_cast<double>(added.size()) / options.max_tokens,
                   fmt::format("token {} of {}", added.size(), options.max_tokens));
      if (std::find(options.stop_ids.begin(), options.stop_ids.end(), id) != options.stop_ids.end()) break;
      for (Stream& stream : streams) stream.add(id);
    }
    return {};
  });
  if (!outcome.ok()) {
    if (outcome.error().code != ErrorCode::cancelled || added.empty()) return std::move(outcome).error();
    generation.cancelled = true;
  }
  generation.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return generation;
}

}  // namespace saccade
