// Capture: what one run keeps. Never the maps: what they are made of (q, k, lse), from which AttentionMap
// regenerates any part exactly, plus the statistics that were accumulated on the way.
//
// Immutable once built; runs that share a prefix share its layers. All numbers float32.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/bfloat16_tensor.h"
#include "core/base/host_tensor.h"
#include "core/run/hook_site.h"
#include "core/tokens/tokenizer.h"
#include "kernels/attention.h"

namespace saccade {

// Row statistics [head, query] and column statistics [head, key]; definitions in kernels/attention.h.
// A tensor is empty when the plan did not ask for it. Those of an edited head are of its edited map.
struct HeadStatistics {
  HostTensor entropy, max_weight, sink_mass, local_mass, mean_distance;
  std::vector<int32_t> max_key;
  HostTensor received, received_max;
  HostTensor value_mass;                       // [head, query]
  std::map<std::string, HostTensor> key_mass;  // by the name of the key set, [head, query]
  HostTensor block_max, block_mass;            // [head, query_block, key_block]
};

struct LayerCapture {
  HostTensor resid_pre;  // [pos, d_model]: enough to start again from this layer
  HostTensor q;          // [pos, head, d_head], after rotation
  HostTensor k;          // [pos, kv_head, d_head], after rotation
  // In the place of q and k where the run computed in bfloat16: exactly what its maps were made of.
  Bfloat16Tensor q_bf16, k_bf16;
  HostTensor lse;  // [head, query]
  HeadStatistics statistics;
  // What regenerating the maps needs of the edits: each empty, or one entry per head.
  std::vector<std::vector<EdgeRect>> knockouts;
  std::vector<HeadPlan> plans;
  std::vector<HostTensor> row_factors;  // [row_factor_count(plan), query]; empty without weight edits
  // Segments of the prompt whose order does not count in this layer (core/run/order_free.h): their bounds,
  // and how far each query of each head moved each of them back, [head, query, segment] tokens. Both empty
  // otherwise.
  std::vector<int64_t> segments;
  HostTensor segment_shifts;
  // Place of each token for the rotation of q and k, [pos]; empty: as counted (edits reposition, shift).
  std::vector<int64_t> positions;

  [[nodiscard]] int64_t bytes() const;
  [[nodiscard]] bool keeps_attention() const { return !(q.empty() && q_bf16.empty()) && !lse.empty(); }
  // q and k as the kernels read them, and as float32 whatever they were kept in.
  [[nodiscard]] HeadsView q_view(const ModelSpec& spec) const;
  [[nodiscard]] HeadsView k_view(const ModelSpec& spec) const;
  [[nodiscard]] HostTensor q_values() const { return q_bf16.empty() ? q : q_bf16.widened(); }
  [[nodiscard]] HostTensor k_values() const { return k_bf16.empty() ? k : k_bf16.widened(); }
};

// Where the numbers came from; written into every export.
struct Provenance {
  std::string request;  // digest of the RunRequest
  std::string model_name, model_where, model_digest;
  std::vector<std::string> edits;  // text form, in order
  std::string prompt;
  std::string kernels, dtype, device;
  std::string program;  // "saccade 0.1.0"
  std::string created;  // ISO 8601, UTC
  double seconds = 0.0;
};

struct Capture {
  Provenance provenance;
  ModelSpec spec;
  std::vector<Token> tokens;        // as they went in, BOS included
  std::vector<ImageRegion> images;  // where pictures stand among them
  int64_t generated_from = -1;      // the first that a model wrote; negative: none
  int64_t sink_keys = 1, local_width = 8;
  int64_t block_size = 0;  // side of the blocks of block_max and block_mass; 0: there are none
  std::vector<std::shared_ptr<const LayerCapture>> layers;
  HostTensor final_resid;   // [pos, d_model], before the final norm; empty when not asked for
  HostTensor last_logits;   // [n_vocab], at the last position (masked language models: at the mask)
  std::vector<float> loss;  // [pos - 1] nats: -ln p(token i+1 | tokens 0..i); empty when not asked for
  std::map<SiteRef, HostTensor> sites;  // recorded in full, shapes as shape_of()

  [[nodiscard]] int64_t n_token() const { return static_cast<int64_t>(tokens.size()); }
  // Whether no query of the layer sees a later position: not where segments without an order see each other.
  [[nodiscard]] bool causal_at(int32_t layer) const {
    return spec.looks_back() && layers[static_cast<size_t>(layer)]->segments.empty();
  }
  [[nodiscard]] TokenPlaces places() const { return {n_token(), images, generated_from}; }
  [[nodiscard]] int64_t bytes() const;     // of everything kept
  [[nodiscard]] double mean_loss() const;  // NaN without losses
};

}  // namespace saccade
