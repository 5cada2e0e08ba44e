// The prompts that ship with a demo model: resources/prompts/<name>.json, a list of {title, text, note,
// image}.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/result.h"

namespace saccade {

struct SamplePrompt {
  std::string title, text, note;  // a picture may come without text
  std::string image;              // a file of resources/, absolute; empty = none
};

// In the order of the file; the first is what a new window shows. Never empty. Thread: any.
[[nodiscard]] Result<std::vector<SamplePrompt>> sample_prompts(const std::string& demo);

}  // namespace saccade
