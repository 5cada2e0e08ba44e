// Which files of a folder make up a checkpoint. Reads names and indices, no weights. Private to core/model.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "kernels/base/result.h"

namespace saccade {

struct CheckpointFiles {
  std::vector<std::filesystem::path> files;
  std::filesystem::path index;                 // empty when there is none
  std::map<std::string, std::string> file_of;  // tensor -> file name, as the index says
};

// A file stands for itself. Of a folder, in this order: model.safetensors or its index, pytorch_model.bin or
// its index; else the one file, or the complete shards "...-00001-of-00002", that end in .safetensors, .bin,
// .pt or .pth. Errors: not_found (names what is there when there are several), bad_format (an index that
// lies), io.
[[nodiscard]] Result<CheckpointFiles> find_checkpoint_files(const std::filesystem::path& path);

}  // namespace saccade
