#include "core/run/runner.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "core/base/memory.h"
#include "core/capture/attention_map.h"
#include "core/model/visibility.h"
#include "core/run/edit_regions.h"
#include "core/run/edit_verbs.h"
#include "core/run/pooling.h"
#include "core/run/runner_state.h"
#include "core/run/unembed.h"
#include "kernels/cuda/attention_cuda.h"

namespace saccade {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool is_regenerated(SiteRef site) {
  return site.site == HookSite::pattern || site.site == HookSite::attn_scores;
}

// Whether everything `request` wants of the layers below `layer` is in the base run.
bool can_reuse(const Run& base, const RunRequest& request, int32_t layer, const ModelSpec& spec) {
  const CapturePlan& have = base.request.capture;
  const CapturePlan& want = request.capture;
  if (base.request.model_digest != request.model_digest || !same_input(base.request.tokens, request.tokens) ||
      base.capture->spec.prefix != prefix_of(spec, request.tokens.size(), request.tokens.generated_from))
    return false;
  if (!have.residuals || (want.attention && !have.attention) || (want.statistics && !have.statistics))
    return false;
  if (have.sink_keys != want.sink_keys || have.local_width != want.local_width ||
      have.value_mass != want.value_mass || have.key_masses != want.key_masses ||
      have.block_size != want.block_size)
    return false;
  return std::all_of(want.sites.begin(), want.sites.end(), [&](const SiteRef& site) {
    const bool from_base =
        site.layer >= 0 ? site.layer < layer || (site.layer == layer && site.site == HookSite::resid_pre)
                        : site.site == HookSite::embed || site.site == HookSite::pos_embed;
    return !from_base || is_regenerated(site) || base.capture->sites.contains(site);
  });
}

// Where to begin: the layer, and what enters it. -1: from the tokens.
int32_t resume_layer(const std::shared_ptr<const Run>& base, const RunRequest& request,
                     const ModelSpec& spec) {
  if (!base) return -1;
  int32_t layer = std::min(first_difference(base->request, request, spec), spec.n_layer);
  // Sites that the base did not keep are recorded on the way from their layer on.
  for (const SiteRef& site : request.capture.sites)
    if (site.layer >= 0 && !is_regenerated(site) && !base->capture->sites.contains(site))
      layer = std::min(layer, site.layer);
  if (layer < 0 || !can_reuse(*base, request, layer, spec)) return -1;
  if (layer == spec.n_layer && base->capture->final_resid.empty()) return -1;
  return layer;
}

std::string now_utc() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

}  // namespace

const KernelSet* device_kernels(const std::string& device) {
  const Result<Device> parsed = parse_device(device);
  if (!parsed.ok() || parsed->kind != DeviceKind::cuda) return nullptr;
  for (const KernelSet& set : kernel_sets())
    if (set.name == "cuda") return &set;
  return nullptr;
}

Device device_of(const RunRequest& request) {
  const Result<Device> device = parse_device(request.device);
  return device.ok() ? *device : Device{};
}

Provenance provenance_of(const RunRequest& request, const std::string& digest, const Model& model,
                         const KernelSet& kernels) {
  Provenance p;
  p.request = digest;
  p.model_name = model.name();
  p.model_where = model.where();
  p.model_digest = model.digest();
  for (const Edit& edit : request.edits) p.edits.push_back(to_text(edit));
  p.prompt = request.tokens.text;
  const KernelSet* of_device = device_kernels(request.device);
  p.kernels = of_device ? of_device->name : kernels.name;
  p.dtype = request.dtype;
  p.device = request.device;
  p.program = "saccade " SACCADE_VERSION;
  p.created = now_utc();
  return p;
}

namespace {

// CLIP's first end-of-text token. Its first configs give 2 for it, and mean the highest id.
int64_t end_of_text(const TokenSequence& tokens, const ModelSpec& spec) {
  const std::vector<int32_t> ids = tokens.ids();
  const int32_t eos = spec.eos_ids.empty() || spec.eos_ids.front() == 2
                          ? *std::max_element(ids.begin(), ids.end())
                          : spec.eos_ids.front();
  const auto found = std::find(ids.begin(), ids.end(), eos);
  return found == ids.end() ? tokens.size() - 1 : found - ids.begin();
}

}  // namespace

int64_t answer_row(const TokenSequence& tokens, const ModelSpec& spec) {
  if (spec.pooling == Pooling::last) return tokens.size() - 1;
  if (spec.pooling == Pooling::end_of_text) return end_of_text(tokens, spec);
  const auto is_mask = [](const Token& token) {
    return token.special && (token.text == "[MASK]" || token.text == "<mask>");
  };
  const auto mask = std::find_if(tokens.tokens.begin(), tokens.tokens.end(), is_mask);
  if (!spec.causal && mask != tokens.tokens.end()) return mask - tokens.tokens.begin();
  int64_t last = tokens.size() - 1;
  while (last > 0 && tokens.tokens[static_cast<size_t>(last)].id == spec.padding_id) --last;
  return last;
}

Runner::Runner(std::unique_ptr<State> state) : state_(std::move(state)) {}
Runner::~Runner() = default;

Result<std::unique_ptr<Runner>> Runner::create(std::shared_ptr<const Model> model,
                                               const RunnerOptions& options) {
  const int cores = std::max(1u, std::thread::hardware_concurrency());
  const int threads = options.threads > 0 ? options.threads : cores;
  const KernelSet* kernels = options.kernels;
  if (!kernels) {
    SACCADE_TRY(kernels, choose_kernels("auto"));
  }
  std::unique_ptr<State> state;
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    Parallel parallel = ops::use_threads(threads);
    ModelWeights weights = bind_weights(*model);
    state.reset(new State{model, kernels, threads, std::move(parallel), std::move(weights),
                          RotaryTables(model->spec()), options.device});
    if (const auto& tower = model->tower())
      state->tower.reset(new Tower{tower, bind_weights(*tower), RotaryTables(tower->spec())});
    return {};
  }));
  return std::unique_ptr<Runner>(new Runner(std::move(state)));
}

const Model& Runner::model() const { return *state_->model; }
const KernelSet& Runner::kernels() const { return *state_->kernels; }
int Runner::threads() const { return state_->threads; }

RunRequest Runner::request(TokenSequence tokens) const {
  RunRequest request;
  request.model_digest = state_->model->digest();
  request.tokens = std::move(tokens);
  request.device = state_->device;
  return request;
}

MemoryForecast Runner::forecast(const RunRequest& request) const {
  return forecast_memory(state_->model->spec(), state_->model->file_bytes(), request.capture, request.dtype,
                         request.tokens.size(), available_bytes());
}

MemoryForecast forecast_run(const Model& model, int64_t n_token) {
  return forecast_memory(model.spec(), model.file_bytes(), CapturePlan{}, "f32", n_token, available_bytes());
}

Result<void> Runner::State::check(const RunRequest& request) const {
  const ModelSpec& spec = model->spec();
  const int64_t n = request.tokens.size();
  if (n == 0) return make_error(ErrorCode::invalid_argument, "the prompt has no tokens: give at least one");
  SACCADE_CHECK(check_images(request.tokens));
  if (n > spec.n_context && !spec.is_picture_model())  // whose positions are resampled to any grid
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the prompt has {} tokens, {} has positions for {}; shorten it by {}", n,
                                  model->name(), spec.n_context, n - spec.n_context));
  for (int64_t i = 0; i < n; ++i)
    if (const int32_t id = request.tokens.tokens[static_cast<size_t>(i)].id; id < 0 || id >= spec.n_vocab)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("token {} has id {}, the model's vocabulary is 0-{}", i, id, spec.n_vocab - 1));
  if (request.dtype != "f32" && request.dtype != "bf16")
    return make_error(ErrorCode::unsupported,
                      fmt::format("models run in f32 or bf16; {} was asked for", request.dtype));
  SACCADE_TRY(const Device device, parse_device(request.device));
  SACCADE_CHECK(use_device(device));
  SACCADE_CHECK(check_edits(request.edits, spec, request.tokens.places()));
  const MemoryForecast need =
      forecast_memory(spec, model->file_bytes(), request.capture, request.dtype, n, available_bytes());
  if (!need.fits())
    return make_error(
        ErrorCode::out_of_memory,
        fmt::format("{} tokens need {} for captures and {} to work in, {} are free; {} tokens would fit "
                    "with this capture plan",
                    n, format_bytes(need.captures), format_bytes(need.working), format_bytes(need.available),
                    need.longest));
  return {};
}

Result<void> Runner::State::check_images(const TokenSequence& tokens) const {
  const ModelSpec& spec = model->spec();
  if (!tokens.images.empty() && !spec.reads_pictures())
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} reads text only: it cannot be given pictures", model->name()));
  if (spec.is_picture_model() && tokens.images.size() != 1)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} reads one picture: give it one with --image FILE", model->name()));
  int64_t end = 0;
  for (const PlacedImage& placed : tokens.images) {
    const ImageRegion& region = placed.region;
    const auto exists = [&](int32_t patch) { return patch >= 0; };
    if (!placed.kept.empty() && (spec.is_picture_model() || region.grid_height != 1 || region.n_prefix != 0 ||
                                 region.grid_width != static_cast<int32_t>(placed.kept.size()) ||
                                 !std::all_of(placed.kept.begin(), placed.kept.end(), exists)))
      return make_error(ErrorCode::invalid_argument, "the patches kept of a picture are not those it has");
    if (!placed.image || region.begin < end || region.end() > tokens.size() ||
        (spec.is_picture_model() && region.end() != tokens.size()))
      return make_error(ErrorCode::invalid_argument, "the pictures' positions are not those of the tokens");
    end = region.end();
  }
  return {};
}

SiteEdits Runner::State::edits_for(const RunRequest& request) {
  ReferenceSource source;
  source.z = [this](const Capture& reference, int32_t layer) { return reference_z(reference, layer); };
  source.pattern = [this](const std::shared_ptr<const Capture>& reference, HeadId head, PositionRange query,
                          PositionRange key) -> Result<HostTensor> {
    SACCADE_TRY(const AttentionMap map, AttentionMap::of(reference, head, *kernels));
    SACCADE_TRY(const Tile tile, map.tile(query.begin, query.end, key.begin, key.end, 1));
    return tile.block_max;
  };
  return {request, model->spec(), std::move(source)};
}

Result<HostTensor> Runner::State::reference_z(const Capture& reference, int32_t layer) {
  const auto l = static_cast<size_t>(layer);
  const std::string name = reference.provenance.model_name;
  if (reference.provenance.model_digest != model->digest() || l >= reference.layers.size() ||
      reference.layers[l]->resid_pre.empty())
    return make_error(
        ErrorCode::not_found,
        fmt::format("the other run (of {}) did not keep z of layer {}, and it cannot be made again from "
                    "this model; record it with --capture z",
                    name, layer));
  RunRequest as_it_was;
  as_it_was.tokens.tokens = reference.tokens;
  for (const std::string& text : reference.provenance.edits) {
    SACCADE_TRY(Edit edit, parse_edit(text));
    if (has_effect(edit) && !edit.from.empty() && changes_layer(edit, layer) &&
        (info_of(edit.verb).stage == EditStage::values || edit.verb == EditVerb::stream))
      return make_error(
          ErrorCode::unsupported,
          fmt::format("the other run was itself edited from '{}' in layer {}; record it with --capture z",
                      edit.from, layer));
    SACCADE_TRY(edit, with_numbers(edit, reference.places()));
    as_it_was.edits.push_back(std::move(edit));
  }
  const CapturePlan nothing{false, false, false, false, 1, 8, {}};
  const JobContext no_job;
  SiteEdits edits(as_it_was, model->spec(), {});
  SACCADE_TRY(std::optional<AxisPositions> axes, axis_positions(model->spec(), reference.images));
  ForwardPass other = pass(edits, nothing, no_job, precision_of(reference.provenance.dtype));
  other.set_axes(std::move(axes));
  other.set_prefix(reference.spec.prefix);
  return other.z_again(layer, *reference.layers[l]);
}

Result<std::shared_ptr<const Run>> Runner::run(const RunRequest& request,
                                               const std::shared_ptr<const Run>& base,
                                               const JobContext& job) {
  const Clock::time_point start = Clock::now();
  const ModelSpec& spec = state_->model->spec();
  SACCADE_CHECK(state_->check(request));
  SiteEdits edits = state_->edits_for(request);
  SACCADE_CHECK(edits.check());

  auto run = std::make_shared<Run>();
  auto capture = std::make_shared<Capture>();
  run->request = request;
  run->digest = request.digest();
  capture->provenance = provenance_of(request, run->digest, *state_->model, *state_->kernels);
  capture->spec = spec;
  capture->spec.prefix = prefix_of(spec, request.tokens.size(), request.tokens.generated_from);
  capture->tokens = request.tokens.tokens;
  capture->images = request.tokens.image_regions();
  capture->generated_from = request.tokens.generated_from;
  capture->sink_keys = request.capture.sink_keys;
  capture->local_width = request.capture.local_width;
  capture->block_size = request.capture.statistics ? request.capture.block_size : 0;

  const int32_t first = resume_layer(base, request, spec);
  const std::vector<int32_t> ids = request.tokens.ids();
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    const ops::OnDevice on(device_of(request));
    ForwardPass pass = state_->pass(edits, request.capture, job, request);
    pass.set_axes(axis_positions(spec, request.tokens.images));
    pass.set_prefix(capture->spec.prefix);
    HostTensor x;
    if (first < 0) {
      SACCADE_TRY(const std::vector<GivenRows> given, state_->image_rows(request.tokens, request.dtype, job));
      SACCADE_TRY(x, pass.embed(ids, 0, given));
    } else {
      capture->layers.assign(base->capture->layers.begin(), base->capture->layers.begin() + first);
      x = first < spec.n_layer ? base->capture->layers[static_cast<size_t>(first)]->resid_pre
                               : base->capture->final_resid;
      run->reused_layers = first;
    }
    for (int32_t l = std::max(first, 0); l < spec.n_layer; ++l) {
      job.progress(static_cast<double>(l) / (spec.n_layer + 1),
                   fmt::format("layer {} of {}", l + 1, spec.n_layer));
      auto kept = std::make_shared<LayerCapture>();
      LayerOptions options;
      options.capture = kept.get();
      options.skip_resid_pre = l == first;
      SACCADE_TRY(x, pass.layer(l, std::move(x), options));
      capture->layers.push_back(std::move(kept));
      if (run->findings.empty())
        if (const int64_t row = ops::first_nan_row(ops::view_of(x, x.shape()[0], spec.d_model)); row >= 0)
          run->findings.push_back(fmt::format("layer {} produced NaN at token {}", l, row));
    }
    if (request.capture.residuals) capture->final_resid = x;
    job.progress(static_cast<double>(spec.n_layer) / (spec.n_layer + 1), "next-token logits");
    SACCADE_TRY(const ops::DeviceTensor h, pass.head(x));
    const bool with_loss = request.capture.loss && spec.predicts_next_token();
    const int64_t row = answer_row(request.tokens, spec);
    if (spec.pooling != Pooling::none) {
      capture->last_logits = pooled_answer(h, state_->weights, spec, row);
    } else {
      SACCADE_TRY(Answer answer, unembed(spec.causal ? h : ops::rows_of(h, row, row + 1), state_->weights,
                                         spec, ids, with_loss, job, precision_of(request.dtype)));
      capture->last_logits = std::move(answer.last_logits);
      capture->loss = std::move(answer.loss);
    }
    state_->model->release_vocabulary();
    capture->sites = std::move(pass.recorded());
    return {};
  }));
  if (first >= 0)
    for (const SiteRef& site : request.capture.sites)
      if (const auto known = base->capture->sites.find(site);
          known != base->capture->sites.end() && !capture->sites.contains(site))
        capture->sites.insert(*known);
  run->seconds = seconds_since(start);
  capture->provenance.seconds = run->seconds;
  run->peak_bytes = peak_resident_bytes();
  run->capture = std::move(capture);
  job.progress(1.0, "done");
  return std::shared_ptr<const Run>(std::move(run));
}

std::vector<NextToken> top_next(const HostTensor& logits, const Tokenizer& tokenizer, int k) {
  const auto n = static_cast<int32_t>(logits.size());
  const float* values = logits.data();
  std::vector<int32_t> order(static_cast<size_t>(n));
  for (int32_t i = 0; i < n; ++i) order[static_cast<size_t>(i)] = i;
  const auto better = [&](int32_t a, int32_t b) {
    return values[a] != values[b] ? values[a] > values[b] : a < b;
  };
  const auto count = std::clamp<int64_t>(k, 0, n);
  std::partial_sort(order.begin(), order.begin() + count, order.end(), better);
  const double highest = n > 0 ? *std::max_element(values, values + n) : 0.0;
  double sum = 0.0;
  for (int32_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(values[i]) - highest);
  std::vector<NextToken> next;
  for (int64_t i = 0; i < count; ++i) {
    const int32_t id = order[static_cast<size_t>(i)];
    const Result<Token> token = tokenizer.token(id);
    next.push_back({id, token.ok() ? token->text : fmt::format("<{}>", id), values[id],
                    std::exp(static_cast<double>(values[id]) - highest) / sum});
  }
  return next;
}

Result<double> Runner::matrix_products_seconds(int64_t n_token, int repeats) {
  double best = 0.0;
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    const auto rows_like = [&](const ops::Matrix& m) {
      const int64_t in = m.layout == MatrixLayout::out_in ? m.weight.columns() : m.weight.rows();
      HostTensor x({n_token, in});
      for (size_t i = 0; i < x.mutable_values().size(); ++i)
        x.mutable_values()[i] = static_cast<float>(static_cast<int>(i * 2654435761u % 1000) - 500) / 500.0f;
      return ops::view_of(x, n_token, in);
    };
    std::vector<std::pair<const ops::Matrix*, ops::DeviceTensor>> products;
    for (const LayerWeights& w : state_->weights.layers)
      for (const ops::Matrix* m : {&w.qkv, &w.q, &w.k, &w.v, &w.o, &w.mlp_in, &w.mlp_gate, &w.mlp_out})
        if (m->defined()) products.emplace_back(m, rows_like(*m));
    if (state_->weights.unembed.defined())
      products.emplace_back(&state_->weights.unembed, rows_like(state_->weights.unembed));
    for (int i = 0; i < repeats; ++i) {
      const Clock::time_point start = Clock::now();
      for (const auto& [matrix, x] : products) (void)ops::linear(x, *matrix);
      const double seconds = seconds_since(start);
      if (i == 0 || seconds < best) best = seconds;
    }
    return {};
  }));
  return best;
}

}  // namespace saccade
