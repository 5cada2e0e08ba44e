// What edges carry, exactly: the sender's corrupted write is put into one receiver's reading and nowhere
// else, and the rest of the model runs on from there. What attribution by gradient estimates to first order
// (edge_attribution.h); Syed et al. 2023 (arXiv 2310.10348, section 2), Conmy et al. 2023 (arXiv 2304.14997).
//
// A head's q, k or v is projected from the changed residual; the logits are read from a changed last
// residual; an MLP that reads a changed residual writes something else, which takes a question on frozen
// paths per pair.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/experiment.h"
#include "core/run/frozen_paths.h"

namespace saccade {

struct Edge {
  std::string from, to;  // names as edge_attribution.h gives them
};

class ExactEdges {
 public:
  ExactEdges(const ModelSpec& spec, std::vector<Edge> edges) : spec_(spec), edges_(std::move(edges)) {}

  [[nodiscard]] const std::vector<Edge>& edges() const { return edges_; }
  // False for edges into the first MLP where it stands beside the attention: nothing writes before it alone.
  [[nodiscard]] bool possible(const Edge& edge) const;
  // Whether an edge ends in an MLP: then question() must be answered first.
  [[nodiscard]] bool asks() const { return !mlps_read().empty(); }
  [[nodiscard]] PathQuestion question(const Run& clean, const Run& corrupt) const;
  // The clean request with each edge corrupted where that is possible, in the order of the edges. residuals:
  // the answer to question(), null where none is asked. Both runs keep what EdgeAttribution::sites() names,
  // the clean one all residuals.
  [[nodiscard]] Result<std::vector<RunRequest>> requests(const Run& clean, const Run& corrupt,
                                                         const HostTensor* residuals) const;

 private:
  [[nodiscard]] std::vector<int32_t> mlps_read() const;  // layers of the MLPs that edges end in, ascending
  const ModelSpec& spec_;
  std::vector<Edge> edges_;
};

}  // namespace saccade
