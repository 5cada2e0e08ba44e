// AttentionRows: rows of attention maps, regenerated when somebody first looks at them and kept: what is laid
// over pictures, in the large and in rows of thumbnails. Exactly the numbers of AttentionMap::rows().
// Thread: the GUI thread. A row costs microseconds; a thousand heads' some tens of milliseconds.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "core/capture/attention_map.h"

namespace saccade {

class AttentionRows {
 public:
  using Row = std::shared_ptr<const std::vector<float>>;  // [key]

  explicit AttentionRows(const KernelSet& kernels) : kernels_(&kernels) {}
  // Null where the capture kept nothing to make maps of, or has no such head or query.
  Row row(const std::shared_ptr<const Capture>& capture, HeadId head, int64_t query);
  // The mean of several heads' rows, in double; null when one of them is.
  Row mean(const std::shared_ptr<const Capture>& capture, std::span<const HeadId> heads, int64_t query);
  [[nodiscard]] bool has(const Capture& capture, HeadId head, int64_t query) const;

 private:
  struct Key {
    int32_t layer = 0, head = 0;
    int64_t query = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Of {
    std::weak_ptr<const Capture> capture;  // the address may be another's by now
    std::map<Key, Row> rows;
  };
  static constexpr int64_t most_numbers = int64_t{1} << 24;  // 64 MB; then all is forgotten

  const KernelSet* kernels_;
  std::map<const Capture*, Of> captures_;
  int64_t numbers_ = 0;
};

}  // namespace saccade
