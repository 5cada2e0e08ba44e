#include "core/run/edit_references.h"

#include <fmt/format.h>

#include "core/capture/dump.h"
#include "core/run/head_gates.h"

namespace saccade {
namespace {

template <class Loaded, class Read>
Result<void> load(std::map<std::string, std::shared_ptr<const Loaded>>& wanted,
                  std::map<std::string, std::shared_ptr<const Loaded>>& known, const Edit& edit, Read read) {
  if (wanted.contains(edit.from)) return {};
  auto& file = known[edit.from];
  if (!file) {
    auto loaded = read(edit.from);
    if (!loaded.ok()) return std::move(loaded).error().with(fmt::format("edit '{}'", to_text(edit)));
    file = *loaded;
  }
  wanted[edit.from] = file;
  return {};
}

}  // namespace

bool reads_vectors(EditVerb verb) {
  return verb == EditVerb::offset || verb == EditVerb::add || verb == EditVerb::stream;
}

Result<void> load_references(RunRequest& request, EditFiles& known,
                             const std::shared_ptr<const Capture>& baseline) {
  for (const Edit& edit : request.edits) {
    if (edit.from.empty() || !has_effect(edit)) continue;
    if (reads_vectors(edit.verb)) {
      SACCADE_CHECK(load(request.vectors, known.vectors, edit,
                         edit.verb == EditVerb::stream ? read_head_gates : read_vectors));
    } else if (edit.from == "baseline" || edit.from == "A") {
      request.references.emplace(edit.from, baseline);
    } else {
      SACCADE_CHECK(load(request.references, known.dumps, edit, read_dump));
    }
  }
  return {};
}

}  // namespace saccade
