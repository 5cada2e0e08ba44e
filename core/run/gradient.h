// What Runner::gradients() is asked for and gives: the derivative of one number made of the logits with
// respect to the values at hook sites, of one run, by reverse mode. Plain values.
//
// The run itself is the ordinary forward pass (Runner::run): edits, kernels and all. Each layer is then gone
// through again from its recorded residual, from the last to the first, in a form that can be differentiated
// (core/run/layer_gradient.h); only one layer's maps are in memory at a time.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/host_tensor.h"
#include "core/run/run_request.h"

namespace saccade {

enum class ScalarKind {
  logit,            // the sum of the logits of `ids`
  probability,      // of all `ids` together
  log_probability,  // its natural logarithm; nats
};

// One term of the scalar: weight * what `kind` says, at one position.
struct ScalarTerm {
  ScalarKind kind = ScalarKind::logit;
  double weight = 1.0;
  int64_t position = -1;     // -1: where the model is asked (the last token, or the mask)
  std::vector<int32_t> ids;  // rows of the unembedding
};

struct GradientRequest {
  RunRequest run;  // its capture plan is not used
  std::vector<ScalarTerm> scalar;
  // embed, pos_embed, resid_pre, resid_mid, resid_post, q, k, v, z, pattern, attn_out, mlp_pre, mlp_post,
  // mlp_out
  std::vector<SiteRef> sites;
  // Also what reaches a layer's parts through their own reading of the residual (GradientCapture::reads).
  bool reads = false;

  [[nodiscard]] std::string digest() const;  // 32 hex digits
};

// How a layer's parts read the residual: d scalar / d (the residual as only that part sees it), its norm
// included. q is per query head, k and v per KV head.
struct LayerReads {
  HostTensor q, k, v;  // [pos, head | kv_head, d_model]
  HostTensor mlp;      // [pos, d_model]; empty where there is no MLP
};

struct GradientCapture {
  std::string digest;  // of the request
  double scalar = 0.0;
  std::vector<double> terms;                // what each term adds to it, weight included
  std::map<SiteRef, HostTensor> values;     // at the sites, after edits; shapes as shape_of()
  std::map<SiteRef, HostTensor> gradients;  // d scalar / d value, the same shapes
  std::vector<LayerReads> reads;            // [layer], when asked for
  HostTensor final_resid_gradient;          // [pos, d_model], before the final norm
  HostTensor last_logits;                   // [n_vocab] of the run
  double largest_difference = 0.0;          // between a layer as run and as differentiated, in the residual
};

// d scalar / d logits of one position's row, and the terms' values: `logits` are [n_logits], `gradient` is
// added to. `values[i]` is what terms[i] adds to the scalar. Terms are those of this position.
void scalar_of(std::span<const float> logits, std::span<const ScalarTerm* const> terms,
               std::span<float> gradient, std::span<double> values);

}  // namespace saccade
