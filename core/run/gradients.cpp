// Runner::gradients(): the run as it is, then back through it layer by layer.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/digest.h"
#include "core/base/memory.h"
#include "core/run/layer_gradient.h"
#include "core/run/pooling_gradient.h"
#include "core/run/runner_state.h"
#include "core/run/scalar.h"

namespace saccade {
namespace {

constexpr std::array differentiable_sites{
    HookSite::embed,    HookSite::pos_embed, HookSite::resid_pre, HookSite::resid_mid, HookSite::resid_post,
    HookSite::q,        HookSite::k,         HookSite::v,         HookSite::z,         HookSite::pattern,
    HookSite::attn_out, HookSite::mlp_pre,   HookSite::mlp_post,  HookSite::mlp_out};

// Between a layer as run and as differentiated, relative to the largest number in the residual: float32
// rounding of another order of sums leaves some 1e-5.
constexpr double largest_difference_allowed = 1e-3;

Result<void> check_scalar(const GradientRequest& request, const ModelSpec& spec) {
  if (request.scalar.empty())
    return make_error(ErrorCode::invalid_argument, "a gradient is of something: name logits or tokens");
  const int64_t n = request.run.tokens.size();
  for (const ScalarTerm& term : request.scalar) {
    if (spec.pooling != Pooling::none && term.position >= 0)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("the gradient of logits at position {} was asked for; this model pools its "
                      "positions into one answer (position -1)",
                      term.position));
    if (term.position >= n)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("the gradient of logits at position {} was asked for, the prompt has "
                                    "{} tokens",
                                    term.position, n));
    if (term.ids.empty() || !std::isfinite(term.weight))
      return make_error(ErrorCode::invalid_argument,
                        "a term of the scalar needs at least one token and a finite weight");
    for (const int32_t id : term.ids)
      if (id < 0 || id >= spec.n_logits())
        return make_error(
            ErrorCode::invalid_argument,
            fmt::format("the gradient of logit {} was asked for, there are 0-{}", id, spec.n_logits() - 1));
  }
  return {};
}

Result<void> check_sites(const GradientRequest& request, const Model& model) {
  for (const SiteRef& site : request.sites) {
    if (std::find(differentiable_sites.begin(), differentiable_sites.end(), site.site) ==
        differentiable_sites.end())
      return make_error(ErrorCode::unsupported,
                        fmt::format("gradients are not given at {}; take the residual, q, k, v, z, pattern, "
                                    "attn_out or the MLP's sites",
                                    full_name(site)));
    const bool layer_fits = info_of(site.site).per_layer
                                ? site.layer >= 0 && site.layer < model.spec().n_layer
                                : site.layer == -1;
    if (!layer_fits || !exists(site, model.spec()))
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{} does not pass {}", model.name(), full_name(site)));
  }
  return {};
}

Result<void> check_differentiable(std::span<const Edit> edits) {
  for (const Edit& edit : edits) {
    if (!has_effect(edit)) continue;
    if (edit.verb == EditVerb::order_free)
      return make_error(
          ErrorCode::unsupported,
          fmt::format("edit '{}': which segment comes first jumps with the queries, so gradients do "
                      "not go through it",
                      to_text(edit)));
    const bool own_mean = edit.verb == EditVerb::mean && edit.from.empty();
    if (edit.verb != EditVerb::gate && !own_mean) continue;
    return make_error(
        ErrorCode::unsupported,
        fmt::format("edit '{}': {}, so gradients do not go through it", to_text(edit),
                    own_mean ? "the mean over this run's own positions moves with what it replaces (take it "
                               "from another run with from=)"
                             : "which heads a gate lets through jumps with the queries"));
  }
  return {};
}

int64_t kept_bytes(const GradientRequest& request, const ModelSpec& spec, int64_t n) {
  int64_t numbers = (int64_t{spec.n_layer} + 3) * n * spec.d_model;
  for (const SiteRef& site : request.sites) {
    int64_t size = 2;
    for (const int64_t extent : shape_of(site.site, spec, n)) size *= extent;
    numbers += size;
  }
  if (request.reads)
    numbers += int64_t{spec.n_layer} * n * spec.d_model * (spec.n_head + 2 * int64_t{spec.n_kv_head} + 1);
  return numbers * static_cast<int64_t>(sizeof(float));
}

Result<void> check_memory(const GradientRequest& request, const ModelSpec& spec) {
  const int64_t n = request.run.tokens.size(), available = available_bytes();
  const auto needed = [&](int64_t length) {
    return kept_bytes(request, spec, length) + layer_gradient_bytes(spec, length);
  };
  if (needed(n) <= available) return {};
  int64_t fits = n;
  while (fits > 0 && needed(fits) > available) fits = fits * 15 / 16;
  return make_error(
      ErrorCode::out_of_memory,
      fmt::format("gradients of {} tokens need {} for what is kept and {} for one layer's maps, {} are free; "
                  "{} tokens would fit",
                  n, format_bytes(kept_bytes(request, spec, n)), format_bytes(layer_gradient_bytes(spec, n)),
                  format_bytes(available), fits));
}

// Every edit of values but those refused is factor x + offset, element by element: two probes tell both. The
// large one keeps the factor exact to rounding beside an offset.
Result<AffineEdit> affine_of(SiteEdits& edits, SiteRef site, const std::vector<int64_t>& shape) {
  constexpr float probe = 1048576.0F;
  AffineEdit made{HostTensor(shape), HostTensor(shape)};
  const std::span<float> factor = made.factor.mutable_values(), offset = made.offset.mutable_values();
  std::fill(factor.begin(), factor.end(), probe);
  SACCADE_CHECK(edits.apply(site, offset, shape[0], 0));
  SACCADE_CHECK(edits.apply(site, factor, shape[0], 0));
  for (size_t i = 0; i < factor.size(); ++i) factor[i] = (factor[i] - offset[i]) / probe;
  return made;
}

struct Rotation {
  HostTensor cos, sin;  // [pos, pairs]
};

// The table's own numbers, read by rotating (1, 0) in every pair.
Rotation rotation_of(RotaryTable* table, const RotarySpec* rotary, int64_t n, int64_t d_head,
                     const TokenPositions& positions, const std::optional<AxisPositions>& axes) {
  Rotation made;
  if (table == nullptr || rotary == nullptr || rotary->dimensions < 2) return made;
  const bool by_axes = axes && !positions.moved();
  int64_t end = by_axes ? axes->places_needed(0, n) : n;
  for (const int64_t position : positions.of_token) end = std::max(end, position + 1);
  table->extend(end);
  const int64_t pairs = rotary->dimensions / 2;
  const bool halves = rotary->pairing == RotaryPairing::halves;
  made.cos = HostTensor({n, pairs});
  made.sin = HostTensor({n, pairs});
  std::vector<float> unit(static_cast<size_t>(d_head), 0.0F), turned(unit.size());
  for (int64_t i = 0; i < pairs; ++i) unit[static_cast<size_t>(halves ? i : 2 * i)] = 1.0F;
  for (int64_t token = 0; token < n; ++token) {
    const int64_t place = positions.at(token);
    table->rotate(unit.data(), turned.data(), d_head,
                  by_axes ? axes->at(token) : AxisPosition{place, place, place});
    for (int64_t i = 0; i < pairs; ++i) {
      const auto at = static_cast<size_t>(token * pairs + i);
      made.cos.mutable_values()[at] = turned[static_cast<size_t>(halves ? i : 2 * i)];
      made.sin.mutable_values()[at] = turned[static_cast<size_t>(halves ? i + pairs : 2 * i + 1)];
    }
  }
  return made;
}

HostTensor multiplied(const HostTensor& x, const HostTensor& factor) {
  HostTensor made(x.shape(), false);
  for (int64_t i = 0; i < x.size(); ++i)
    made.mutable_values()[static_cast<size_t>(i)] = x.data()[i] * factor.data()[i];
  return made;
}

// The largest |a - b|, beside the largest |b| and 1.
double relative_difference(const HostTensor& a, const AffineEdit* edit, const HostTensor& b) {
  double most = 0.0, scale = 1.0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const float value =
        edit != nullptr ? a.data()[i] * edit->factor.data()[i] + edit->offset.data()[i] : a.data()[i];
    most = std::max(most, static_cast<double>(std::abs(value - b.data()[i])));
    scale = std::max(scale, static_cast<double>(std::abs(b.data()[i])));
  }
  return most / scale;
}

// One request's way back through a run.
class Backward {
 public:
  Backward(const GradientRequest& request, const Model& model, const ModelWeights& weights,
           RotaryTables& rotary, SiteEdits& edits, const Run& run, const JobContext& job)
      : request_(request),
        model_(model),
        spec_(model.spec()),
        weights_(weights),
        rotary_(rotary),
        edits_(edits),
        capture_(*run.capture),
        job_(job),
        n_(request.run.tokens.size()),
        axes_(axis_positions(model.spec(), request.run.tokens.images)) {}

  // head: the forward pass from residual rows to what is multiplied with the vocabulary.
  Result<void> go(ForwardPass& pass, GradientCapture& made) {
    made.last_logits = capture_.last_logits;
    if (request_.reads) made.reads.resize(static_cast<size_t>(spec_.n_layer));
    SACCADE_TRY(gradient_, from_the_logits(pass, made));
    made.final_resid_gradient = gradient_;
    for (int32_t l = spec_.n_layer - 1; l >= 0; --l) {
      job_.progress(0.4 + 0.6 * (spec_.n_layer - 1 - l) / spec_.n_layer,
                    fmt::format("back through layer {} of {}", l + 1, spec_.n_layer));
      SACCADE_CHECK(job_.check());
      SACCADE_CHECK(layer(l, made));
    }
    return embedding(made);
  }

 private:
  Result<HostTensor> from_the_logits(ForwardPass& pass, GradientCapture& made) {
    const int64_t answer = answer_row(request_.run.tokens, spec_), width = spec_.d_model;
    if (spec_.pooling != Pooling::none) return from_the_pooled(answer, made);
    const std::vector<int64_t> positions = positions_of(request_.scalar, answer);
    HostTensor rows({static_cast<int64_t>(positions.size()), width}, false);
    float* to = rows.mutable_values().data();
    for (const int64_t position : positions)
      to = std::copy_n(capture_.final_resid.data() + position * width, width, to);
    SACCADE_TRY(const ops::DeviceTensor head, pass.head(rows));
    HostTensor h({head.rows(), head.columns()}, false);
    std::copy_n(head.data(), h.size(), h.mutable_values().data());
    SACCADE_TRY(const ScalarGradient scalar,
                scalar_gradient(h, positions, request_.scalar, answer, weights_, spec_, job_));
    made.scalar = scalar.scalar;
    made.terms = scalar.terms;
    const HostTensor back = head_gradient(spec_, weights_, rows, scalar.h);
    HostTensor gradient({n_, width});
    for (size_t i = 0; i < positions.size(); ++i)
      std::copy_n(back.data() + static_cast<int64_t>(i) * width, width,
                  gradient.mutable_values().data() + positions[i] * width);
    return gradient;
  }

  // One answer for all positions: classes, features or an embedding.
  HostTensor from_the_pooled(int64_t answer, GradientCapture& made) const {
    std::vector<const ScalarTerm*> terms;
    for (const ScalarTerm& term : request_.scalar) terms.push_back(&term);
    std::vector<float> gradient(static_cast<size_t>(capture_.last_logits.size()), 0.0F);
    made.terms.resize(terms.size());
    scalar_of(capture_.last_logits.values(), terms, gradient, made.terms);
    for (const double term : made.terms) made.scalar += term;
    return head_gradient(spec_, weights_, capture_.final_resid,
                         pooled_gradient(spec_, weights_, n_, answer, gradient));
  }

  Result<AffineEdit> edit_of(SiteRef site) {
    if (!edits_.acts_on(site)) return AffineEdit{};
    return affine_of(edits_, site, shape_of(site.site, spec_, n_));
  }

  // gradient_: from what leaves the layer to what the layer before it hands on.
  Result<void> layer(int32_t l, GradientCapture& made) {
    SACCADE_TRY(const LayerPlan* plan, edits_.plan(l));
    LayerGradientInput in{.spec = capture_.spec,  // it knows how long the prompt was
                          .weights = weights_.layers[static_cast<size_t>(l)],
                          .layer = l,
                          .plan = *plan,
                          .edits = {},
                          .resid_pre = capture_.layers[static_cast<size_t>(l)]->resid_pre,
                          .gradient = gradient_,
                          .cos = {},
                          .sin = {},
                          .wanted = {},
                          .reads = request_.reads};
    const RotarySpec* rotary = spec_.rotary_of(l);
    Rotation rotation = rotation_of(rotary_.of(spec_, l), rotary, n_, spec_.d_head, in.plan.positions, axes_);
    in.cos = std::move(rotation.cos);
    in.sin = std::move(rotation.sin);
    if (rotary != nullptr) in.pairing = rotary->pairing;
    for (const HookSite site : differentiable_sites) {
      if (site == HookSite::resid_pre || !info_of(site).per_layer) continue;
      SACCADE_TRY(AffineEdit edit, edit_of({site, l}));
      if (!edit.factor.empty()) in.edits[site] = std::move(edit);
    }
    bool at_entry = false;
    for (const SiteRef& site : request_.sites) {
      if (site.layer != l) continue;
      if (site.site == HookSite::resid_pre)
        at_entry = true;
      else
        in.wanted.push_back(site.site);
    }
    LayerGradient out = layer_gradient(in);
    SACCADE_CHECK(compare(l, out.output, made));
    for (auto& [site, values] : out.values) made.values[{site, l}] = std::move(values);
    for (auto& [site, values] : out.gradients) made.gradients[{site, l}] = std::move(values);
    if (request_.reads) made.reads[static_cast<size_t>(l)] = std::move(out.reads);
    if (at_entry) {
      made.values[{HookSite::resid_pre, l}] = in.resid_pre;
      made.gradients[{HookSite::resid_pre, l}] = out.resid_pre;
    }
    SACCADE_TRY(entry_, edit_of({HookSite::resid_pre, l}));
    gradient_ = entry_.factor.empty() ? out.resid_pre : multiplied(out.resid_pre, entry_.factor);
    return {};
  }

  // What was differentiated must be what was run.
  Result<void> compare(int32_t l, const HostTensor& output, GradientCapture& made) const {
    const bool last = l + 1 == spec_.n_layer;
    const HostTensor& ran =
        last ? capture_.final_resid : capture_.layers[static_cast<size_t>(l) + 1]->resid_pre;
    const AffineEdit* edit = last || entry_.factor.empty() ? nullptr : &entry_;
    const double difference = relative_difference(output, edit, ran);
    made.largest_difference = std::max(made.largest_difference, difference);
    if (difference <= largest_difference_allowed) return {};
    return make_error(ErrorCode::internal,
                      fmt::format("layer {} of {} as differentiated differs by {:.2g} of the residual from "
                                  "the layer as run; its gradients would be wrong",
                                  l, model_.name(), difference));
  }

  // embed + type + pos, and the norm of the sum where there is one.
  Result<void> embedding(GradientCapture& made) {
    HostTensor gradient = gradient_;
    if (weights_.embed_norm.defined()) {
      HostTensor sum({n_, spec_.d_model});
      const ops::DeviceTensor x = ops::view_of(sum, n_, spec_.d_model);
      const auto add = [&](HookSite site) {
        if (const auto found = capture_.sites.find({site, -1}); found != capture_.sites.end())
          ops::add_in_place(x, ops::view_of(found->second, n_, spec_.d_model));
      };
      add(HookSite::embed);
      add(HookSite::pos_embed);
      if (weights_.type_embed.defined())
        ops::add_row_in_place(x, ops::gather_range(weights_.type_embed, 0, 1));
      gradient = norm_gradient(spec_, weights_.embed_norm, sum, gradient);
    }
    for (const SiteRef& site : request_.sites) {
      if (site.layer >= 0) continue;
      made.values[site] = capture_.sites.at(site);
      made.gradients[site] = gradient;
    }
    return {};
  }

  const GradientRequest& request_;
  const Model& model_;
  const ModelSpec& spec_;
  const ModelWeights& weights_;
  RotaryTables& rotary_;
  SiteEdits& edits_;
  const Capture& capture_;
  const JobContext& job_;
  int64_t n_;
  std::optional<AxisPositions> axes_;
  HostTensor gradient_;
  AffineEdit entry_;  // the edit of resid_pre of the layer that was last gone through
};

JobContext first_part(const JobContext& job) {
  JobContext part = job;
  part.on_progress = [&job](double fraction, std::string_view what) { job.progress(0.4 * fraction, what); };
  return part;
}

}  // namespace

std::string GradientRequest::digest() const {
  Digest digest;
  digest.add("saccade-gradient-1").add(run.digest()).add(int64_t{reads ? 1 : 0});
  for (const ScalarTerm& term : scalar) {
    digest.add(static_cast<int64_t>(term.kind)).add(fmt::format("{:a}", term.weight)).add(term.position);
    for (const int32_t id : term.ids) digest.add(int64_t{id});
  }
  for (const SiteRef& site : sites) digest.add(full_name(site));
  return digest.hex();
}

Result<std::shared_ptr<const GradientCapture>> Runner::gradients(const GradientRequest& request,
                                                                 const std::shared_ptr<const Run>& base,
                                                                 const JobContext& job) {
  const ModelSpec& spec = state_->model->spec();
  if (request.run.dtype != "f32")
    return make_error(ErrorCode::unsupported,
                      fmt::format("gradients are computed in f32, {} was asked for", request.run.dtype));
  SACCADE_CHECK(state_->check(request.run));
  SACCADE_CHECK(check_scalar(request, spec));
  SACCADE_CHECK(check_pooling_gradient(spec, state_->weights));
  SACCADE_CHECK(check_sites(request, *state_->model));
  SACCADE_CHECK(check_differentiable(request.run.edits));
  SACCADE_CHECK(check_memory(request, spec));
  RunRequest forward = request.run;
  forward.capture = CapturePlan{};
  forward.capture.attention = forward.capture.statistics = forward.capture.loss = false;
  // Only where they are needed: what a base run did not record keeps it from being used.
  const bool all_embeddings = state_->weights.embed_norm.defined();
  for (const SiteRef site : {SiteRef{HookSite::embed, -1}, SiteRef{HookSite::pos_embed, -1}}) {
    const bool asked = std::find(request.sites.begin(), request.sites.end(), site) != request.sites.end();
    if ((all_embeddings || asked) && exists(site, spec)) forward.capture.sites.push_back(site);
  }
  SACCADE_TRY(const std::shared_ptr<const Run> done, run(forward, base, first_part(job)));

  auto made = std::make_shared<GradientCapture>();
  made->digest = request.digest();
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    SiteEdits edits = state_->edits_for(forward);
    ForwardPass pass = state_->pass(edits, forward.capture, job, ops::Precision::f32);
    pass.set_prefix(done->capture->spec.prefix);
    return Backward(request, *state_->model, state_->weights, state_->rotary, edits, *done, job)
        .go(pass, *made);
  }));
  state_->model->release_vocabulary();
  job.progress(1.0, "done");
  return std::shared_ptr<const GradientCapture>(std::move(made));
}

}  // namespace saccade
