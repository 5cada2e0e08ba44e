// Loads what the from= of edits names. Thread: the engine thread (HDF5).
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/run/run_request.h"

namespace saccade {

// Files that were read before, by the names used in edits.
struct EditFiles {
  std::map<std::string, std::shared_ptr<const Capture>> dumps;
  std::map<std::string, std::shared_ptr<const VectorFile>> vectors;
};

// Whether the verb's from= is a file of vectors (stream: of gates); for the others it is a dump or a run.
[[nodiscard]] bool reads_vectors(EditVerb verb);

// Fills request.references and request.vectors, reading files that `known` does not have into it. "A" and
// "baseline" are the run without edits. What the request has already stays. Errors name the edit and the
// file.
Result<void> load_references(RunRequest& request, EditFiles& known,
                             const std::shared_ptr<const Capture>& baseline);

}  // namespace saccade
