// One layer of the forward pass in a form that LibTorch can differentiate, and its backward pass: the vector-
// Jacobian product from what leaves the layer to what enters it and to the hook sites inside.
//
// The forward pass proper (core/run/forward.h) works in place and with our own kernels, which no automatic
// differentiation sees through. This is the same arithmetic, read from the same ModelSpec, with maps written
// down: [head, query, key] of one layer at a time. Private to core/run. Thread: the engine thread, inside
// ops::guarded().
#pragma once

#include <map>
#include <vector>

#include "core/base/host_tensor.h"
#include "core/run/edit_plan.h"
#include "core/run/gradient.h"
#include "core/run/model_weights.h"

namespace saccade {

// Edits of a site's values taken together: x := factor x + offset, element by element. Empty: no edit.
struct AffineEdit {
  HostTensor factor, offset;
};

struct LayerGradientInput {
  const ModelSpec& spec;
  const LayerWeights& weights;
  int32_t layer = 0;
  const LayerPlan& plan;
  std::map<HookSite, AffineEdit> edits;  // of the sites after resid_pre
  HostTensor resid_pre;                  // [pos, d_model], after its edits
  HostTensor gradient;                   // d scalar / d (what leaves the layer), [pos, d_model]
  HostTensor cos, sin;                   // [pos, pairs] of the rotation; empty where q and k are not rotated
  RotaryPairing pairing = RotaryPairing::halves;
  std::vector<HookSite> wanted;  // sites whose values and gradients are kept
  bool reads = false;
};

struct LayerGradient {
  HostTensor output;     // what leaves the layer, [pos, d_model]
  HostTensor resid_pre;  // d scalar / d resid_pre, [pos, d_model]
  std::map<HookSite, HostTensor> values, gradients;
  LayerReads reads;
};

[[nodiscard]] LayerGradient layer_gradient(const LayerGradientInput& input);

// Through a norm of rows: d scalar / d x from d scalar / d norm(x), both [rows, width]. A norm that is not
// there changes nothing.
[[nodiscard]] HostTensor norm_gradient(const ModelSpec& spec, const Norm& norm, const HostTensor& x,
                                       const HostTensor& gradient);
// Through the final norm, the prediction head and the projection before the vocabulary: x [rows, d_model],
// gradient [rows, d_embed].
[[nodiscard]] HostTensor head_gradient(const ModelSpec& spec, const ModelWeights& weights,
                                       const HostTensor& x, const HostTensor& gradient);
// Through a matrix: gradient [rows, out] W -> [rows, in].
[[nodiscard]] HostTensor matrix_gradient(const ops::Matrix& matrix, const HostTensor& gradient);

// Bytes that one layer of n tokens needs beyond its weights.
[[nodiscard]] int64_t layer_gradient_bytes(const ModelSpec& spec, int64_t n);

}  // namespace saccade
