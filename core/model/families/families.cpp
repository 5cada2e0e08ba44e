#include "core/model/families/families.h"

#include <algorithm>

namespace saccade {

std::span<const Family> families() {
  static const std::vector<Family> table{gpt2_family(), llama_family()};
  return table;
}

const Family* find_family(std::string_view model_type) {
  for (const Family& family : families())
    if (std::find(family.model_types.begin(), family.model_types.end(), model_type) !=
        family.model_types.end())
      return &family;
  return nullptr;
}

}  // namespace saccade
