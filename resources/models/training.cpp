#include "resources/models/training.h"

#include <fmt/format.h>

namespace saccade {

std::string name_of(const Head& head) { return fmt::format("{}.{}", head.layer, head.head); }

std::string names_of(const std::vector<Head>& heads) {
  std::string out;
  for (const auto& head : heads) out += (out.empty() ? "" : ", ") + name_of(head);
  return out.empty() ? "none" : out;
}

}  // namespace saccade
