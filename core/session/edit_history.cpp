#include <utility>

#include "core/session/session.h"

namespace saccade {

void EditHistory::set(std::vector<Edit> edits, const std::string& coalesce_tag) {
  if (edits == steps_[at_].edits) return;  // a slider that came back to where it was is no step
  steps_.erase(steps_.begin() + static_cast<std::ptrdiff_t>(at_) + 1, steps_.end());
  if (at_ > 0 && !coalesce_tag.empty() && steps_[at_].tag == coalesce_tag) {
    steps_[at_].edits = std::move(edits);
    return;
  }
  steps_.push_back({std::move(edits), coalesce_tag});
  ++at_;
}

// What comes after a step back is a new step, even with the same tag.
void EditHistory::undo() {
  if (!can_undo()) return;
  --at_;
  steps_[at_].tag.clear();
}

void EditHistory::redo() {
  if (!can_redo()) return;
  ++at_;
  steps_[at_].tag.clear();
}

}  // namespace saccade
