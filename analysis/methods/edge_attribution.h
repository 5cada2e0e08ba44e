// Edge attribution by gradient: how much of a metric's change goes from one node's write to another's
// reading, to first order (Syed et al. 2023, arXiv 2310.10348, eq. 3):
//   effect(s -> r) = sum over positions (o_s corrupt - o_s clean) . d metric / d (residual as r reads it)
// Writes are in the residual stream: what enters layer 0, each head's z W_O, each MLP's output.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "analysis/experiment.h"
#include "analysis/field.h"

namespace saccade {

// Node names are those of a circuit: "embed", "5.1", "mlp 3", "5.1.q", "logits". Under GQA k and v belong to
// a KV head and are named by its first query head.
class EdgeAttribution {
 public:
  explicit EdgeAttribution(const ModelSpec& spec) : spec_(spec) {}

  // Edges need writes that add up in the residual: not where a norm stands after them. The reason, or empty.
  [[nodiscard]] static std::string refusal(const Model& model);
  // What a sender writes in the corrupted run minus what it writes in the clean one, [pos * d_model].
  [[nodiscard]] static std::vector<float> write_change(const ModelSpec& spec, const Capture& clean,
                                                       const Capture& corrupt, const std::string& sender);
  // What the two runs must record.
  [[nodiscard]] static std::vector<SiteRef> sites(const ModelSpec& spec);
  // Bytes of one gradient with reads, of n tokens.
  [[nodiscard]] static int64_t bytes(const ModelSpec& spec, int64_t n);

  // Adds one pair: gradients are averaged; effects are divided by `scale` (M_corrupt - M_clean).
  [[nodiscard]] Result<void> add(const Capture& clean, const Capture& corrupt,
                                 const std::vector<const GradientCapture*>& gradients, double scale,
                                 const JobContext& job);
  struct Effect {
    std::string from, to;
    double value = 0.0;
  };
  // The `most` strongest, the mean over the pairs that were added.
  [[nodiscard]] std::vector<Effect> strongest(size_t most) const;
  [[nodiscard]] int64_t pairs() const { return pairs_; }

 private:
  const ModelSpec& spec_;
  int64_t pairs_ = 0;
  std::map<std::pair<std::string, std::string>, double> sums_;
};

}  // namespace saccade
