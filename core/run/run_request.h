// RunRequest: everything that decides what a run computes. Its digest is the cache key, the undo history's
// address and the provenance of every export. A plain value.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/capture/capture.h"
#include "core/capture/vector_file.h"
#include "core/run/edit.h"
#include "core/tokens/tokenizer.h"

namespace saccade {

// Mass on chosen keys, as a statistic: sinks, image tokens, a span.
struct NamedKeys {
  std::string name;
  PositionSet keys;
  bool operator==(const NamedKeys&) const = default;
};

struct CapturePlan {
  bool attention = true;   // q, k, lse: what maps are regenerated from
  bool residuals = true;   // resid_pre of every layer: what re-running from a layer needs
  bool statistics = true;  // per row and column, every head
  bool loss = true;        // the loss of every position (costs the unembedding of every position)
  int64_t sink_keys = 1, local_width = 8;
  std::vector<SiteRef> sites = {};  // kept in full besides
  // Further statistics, only on request: they cost time and room.
  bool value_mass = false;                 // sum_j p_ij |v_j|
  std::vector<NamedKeys> key_masses = {};  // names are unique
  int64_t block_size = 0;                  // largest weight and mass of every block of this side; 0: none
  bool operator==(const CapturePlan&) const = default;
};

struct RunRequest {
  std::string model_digest;
  TokenSequence tokens;
  std::vector<Edit> edits;
  // What `from=` names mean: other runs or dumps, by the name used in the edit.
  std::map<std::string, std::shared_ptr<const Capture>> references;
  // And the files of vectors, for the verbs that read those (core/run/edit_references.h).
  std::map<std::string, std::shared_ptr<const VectorFile>> vectors;
  CapturePlan capture;
  uint64_t seed = 0;
  std::string dtype = "f32", device = "cpu";

  // 32 hex digits; edits without effect do not count.
  [[nodiscard]] std::string digest() const;
};

struct MemoryForecast {
  int64_t weights = 0;   // mapped file pages that the run will touch
  int64_t captures = 0;  // kept afterwards
  int64_t working = 0;   // highest extra while running
  int64_t available = 0;
  int64_t longest = 0;  // tokens that would fit with this plan
  [[nodiscard]] int64_t needed() const { return captures + working; }
  [[nodiscard]] bool fits() const { return needed() <= available; }
};

}  // namespace saccade
