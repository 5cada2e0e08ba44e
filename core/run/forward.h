// The one forward pass: reads the ModelSpec, walks the layers, passes every hook site once (edit first, then
// record). Used by runs (whole prompt, captured) and by generation (rows after a KV cache).
//
// Residuals are HostTensors [rows, d_model]; rows are the positions [first_position, first_position + rows).
// Thread: the engine thread; may throw LibTorch's exceptions (see ops::guarded).
#pragma once

#include <array>
#include <map>
#include <span>
#include <vector>

#include "core/base/job.h"
#include "core/capture/capture.h"
#include "core/run/axis_positions.h"
#include "core/run/head_step.h"
#include "core/run/model_weights.h"
#include "core/run/products.h"
#include "core/run/rotary.h"
#include "core/run/run_request.h"
#include "core/run/site_edits.h"
#include "kernels/attention.h"

namespace saccade {

// Keys and values of one layer for positions [0, length), [position, kv_head, d_head].
struct KvCache {
  std::vector<float> keys, values;
  std::vector<float> unrotated;  // the keys as they were before, where segments have no order; else empty
  int64_t length = 0;

  void reserve(int64_t positions, int64_t width) {  // width: kv_head * d_head
    keys.reserve(static_cast<size_t>(positions * width));
    values.reserve(static_cast<size_t>(positions * width));
  }
  void clear() {
    keys.clear();
    values.clear();
    unrotated.clear();
    length = 0;
  }
  void drop_last(int64_t width) {
    keys.resize(keys.size() - static_cast<size_t>(width));
    values.resize(values.size() - static_cast<size_t>(width));
    if (!unrotated.empty()) unrotated.resize(unrotated.size() - static_cast<size_t>(width));
    --length;
  }
};

// The rows of one sequence among those of a pass. A pass without segments has one, with the pass's own edits.
struct Segment {
  int64_t rows = 0;
  int64_t first_position = 0;
  SiteEdits* edits = nullptr;           // null: none
  const AxisPositions* axes = nullptr;  // null: rows stand where they are in the sequence
  int64_t prefix = 0;                   // ModelSpec::prefix of this sequence
};

// Rows taken from those that are there, in this order, and what they then are. No rows: nothing changes.
struct Regroup {
  std::vector<int32_t> rows;
  std::vector<Segment> segments;
};

// Rows that are not looked up in the token embedding: what a picture becomes (core/run/image_rows.h).
struct GivenRows {
  int64_t first_row = 0;  // among the rows of the call
  HostTensor embedded;    // [n, d_embed]
  HostTensor positions;   // [n, d_model]: added in the place of the table's; empty: as for every row
};

struct LayerOptions {
  int64_t first_position = 0;
  KvCache* cache = nullptr;                // read and extended; null: the rows see only each other
  LayerCapture* capture = nullptr;         // filled as the plan says; may be null
  HeadStep* step = nullptr;                // of a single row: this layer's part is filled in
  std::span<const KeyRange> watched = {};  // keys whose mass the step keeps
  bool skip_resid_pre = false;             // x already passed this layer's resid_pre (resuming)
  Regroup before_z = {};                   // once attention is done, before z is edited
  Regroup after_z = {};                    // before W_O: rows that nobody asks for end here
};

class ForwardPass {
 public:
  ForwardPass(const Model& model, const ModelWeights& weights, const KernelSet& kernels,
              const Parallel& parallel, RotaryTables& rotary, SiteEdits& edits, const CapturePlan& plan,
              const JobContext& job, ops::Precision precision);

  // Several sequences in one pass: their rows lie one after another. Nothing is recorded or cached then.
  void set_segments(std::vector<Segment> segments) { segments_ = std::move(segments); }
  // Kernels of the device, for passes of more than one row: a single row reads a cache that lies in host
  // memory, and is left to the CPU's.
  void set_device_kernels(const KernelSet* kernels) { device_kernels_ = kernels; }
  // Of a pass without segments: where its rows stand, if not just where they are in the sequence.
  void set_axes(std::optional<AxisPositions> axes) { axes_ = std::move(axes); }
  // How many positions see each other in both directions, without segments (ModelSpec::prefix).
  void set_prefix(int64_t prefix) { prefix_ = prefix; }
  // Takes rows of x (and of whatever else goes with them) as `wanted` says.
  void take(const Regroup& wanted, HostTensor& x);

  // In the rows that are given the ids do not count.
  Result<HostTensor> embed(const std::vector<int32_t>& ids, int64_t first_position,
                           std::span<const GivenRows> given = {});
  // x: the residual that enters the layer; edits may change it in place. Gives the residual that leaves it.
  Result<HostTensor> layer(int32_t l, HostTensor x, const LayerOptions& options);
  // From the last residual to what is multiplied with the vocabulary: final norm, prediction head,
  // projection. [rows, d_embed]
  Result<ops::DeviceTensor> head(const HostTensor& x);
  // z of a captured layer, made again from its resid_pre under the plan it was captured with and this pass's
  // edits of z: [pos, head, d_head].
  Result<HostTensor> z_again(int32_t l, const LayerCapture& captured);

  // What the layer's MLP adds to the residual, of rows that entered the layer as `entering` and left its
  // attention as `mid`; empty for a layer of attention only. Not for post-norm models.
  Result<HostTensor> mlp_alone(int32_t l, const HostTensor& entering, const HostTensor& mid);

  [[nodiscard]] std::map<SiteRef, HostTensor>& recorded() { return recorded_; }

 private:
  struct Attention {                // of one layer, rows of this call
    HostTensor q, k, z;             // [rows, head | kv_head, d_head]
    ops::DeviceTensor qkv, v_rows;  // own the values that `v` points into
    HeadsView v;
    // With bfloat16 arithmetic q, k and v hold numbers of that type; these are the same, in half the room.
    Bfloat16Tensor q_bf16, k_bf16, v_bf16;
    HostTensor query_norms;  // |q|, [rows, head]; empty unless an edit gates heads by them
    // Where segments have no order: q and k before rotation, and the shifts (core/run/order_free.h).
    HostTensor q_unrotated, k_unrotated, shifts;
  };
  // What stands in for q, k, v and z of a layer whose segments have no order.
  struct Slots {
    HostTensor q, k, v, z;
    std::vector<std::vector<EdgeRect>> knockouts;
  };
  [[nodiscard]] std::vector<Segment> segments_of(int64_t rows, int64_t first_position) const;
  Result<void> visit(SiteRef site, const ops::DeviceTensor& x, int64_t first_position);
  Result<void> visit(SiteRef site, HostTensor& x, int64_t rows, int64_t first_position);
  Result<void> edit(SiteRef site, std::span<float> values, int64_t rows, int64_t first_position,
                    std::span<const float> query_norms = {});
  Result<void> visit_z(int32_t l, Attention& attention, int64_t first_position);
  void measure_queries(int32_t l, Attention& attention, int64_t first_position) const;
  void record(SiteRef site, const float* values, int64_t rows);
  void record_heads(SiteRef site, const HeadsView& heads, int64_t rows, int64_t n_head);
  [[nodiscard]] bool recording(SiteRef site) const;
  // Whether anyone edits or records the site: else steps on both sides of it may be one.
  [[nodiscard]] bool visited(SiteRef site) const;
  Result<ops::DeviceTensor> linear(const ops::DeviceTensor& x, const ops::Matrix& matrix) const {
    return products_.linear(x, matrix);
  }
  // x itself when the layer has no such norm.
  Result<ops::DeviceTensor> norm(int32_t l, int which, const ops::DeviceTensor& x);
  [[nodiscard]] ops::DeviceTensor plain_norm(const Norm& norm, const ops::DeviceTensor& x) const;
  // plan: where tokens stand in this layer (segments without an order, positions that were moved).
  Result<Attention> project(int32_t l, const ops::DeviceTensor& x, int64_t first_position,
                            const LayerPlan& plan);
  Result<Attention> project_rows(int32_t l, const ops::DeviceTensor& x, int64_t first_position,
                                 const LayerPlan& plan);
  Result<bool> project_parts(const ops::DeviceTensor& x, const ops::Matrix& qkv,
                             const std::array<float*, 3>& parts, int64_t q_width, int64_t kv_width) const;
  // Widens `input` and z of a layer whose segments have no order; `slots` owns what it then points to.
  void take_order_free(int32_t l, Attention& attention, const LayerPlan& plan, const LayerOptions& options,
                       AttentionInput& input, Slots& slots) const;
  Result<void> edit_v(int32_t l, Attention& attention, int64_t first_position);
  Result<void> replace_inputs(int32_t l, Attention& attention, int64_t first_position);
  void copy_part(const Edit& edit, const Attention& from, int64_t from_row, Attention& to,
                 int64_t to_row) const;
  Result<void> attend(int32_t l, Attention& attention, const LayerPlan& plan, const LayerOptions& options);
  void keep_statistics(LayerCapture& capture, const LayerPlan& plan, int64_t rows, AttentionOutput& output,
                       std::vector<KeyMass>& key_masses, std::vector<float*>& row_factors) const;
  Result<void> attend_segments(const AttentionInput& input, const AttentionOutput& output, int32_t l);
  [[nodiscard]] ops::DeviceTensor look_up(const std::vector<int32_t>& ids,
                                          std::span<const GivenRows> given) const;
  [[nodiscard]] ops::DeviceTensor positions_of(int64_t rows, int64_t first_position,
                                               std::span<const GivenRows> given) const;
  // residual + attn_out: resid_mid before its edits.
  Result<ops::DeviceTensor> add_attention(int32_t l, Attention& attention, const ops::DeviceTensor& residual,
                                          int64_t first_position);
  Result<ops::DeviceTensor> attention_out(int32_t l, Attention& attention, int64_t first_position);
  void round_to_bfloat16(Attention& attention) const;
  void normalise_and_rotate(int32_t l, Attention& attention, int64_t first_position, const LayerPlan& plan);
  // sum = mid + mlp_out. h is already normalised.
  Result<void> add_mlp(int32_t l, const ops::DeviceTensor& sum, const ops::DeviceTensor& mid,
                       const ops::DeviceTensor& h, int64_t first_position);
  Result<ops::DeviceTensor> mlp_hidden(int32_t l, const ops::DeviceTensor& h, int64_t first_position);
  // h is already normalised.
  Result<ops::DeviceTensor> mlp(int32_t l, const ops::DeviceTensor& h, int64_t first_position);
  Result<ops::DeviceTensor> plain_mlp(int32_t l, const ops::DeviceTensor& h, int64_t first_position);
  Result<ops::DeviceTensor> expert(const Expert& expert, const ops::DeviceTensor& x) const;
  Result<ops::DeviceTensor> experts(int32_t l, const ops::DeviceTensor& h) const;
  Result<ops::DeviceTensor> final_norm(const HostTensor& x);

  const Model& model_;
  const ModelSpec& spec_;
  const ModelWeights& weights_;
  const KernelSet& kernels_;
  const KernelSet* device_kernels_ = nullptr;
  const Parallel& parallel_;
  RotaryTables& rotary_;
  SiteEdits& edits_;
  int64_t prefix_ = 0;
  std::vector<Segment> segments_;
  std::optional<AxisPositions> axes_;
  const CapturePlan& plan_;
  const JobContext& job_;
  ops::Precision precision_;
  Products products_;
  std::map<SiteRef, HostTensor> recorded_;
};

}  // namespace saccade
