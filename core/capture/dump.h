// HDF5 dumps: written atomically, read without the model. The format is core/capture/FORMAT.md.
// Thread: the engine thread only (the system's HDF5 is not thread-safe). Errors name the file and the item.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/capture/capture.h"

namespace saccade {

struct DumpOptions {
  // Sites to write besides the compact part; patterns and scores are regenerated row block by row block,
  // never held whole. Sites other than those two must have been recorded in the capture.
  std::vector<SiteRef> sites;
  bool float16_maps = false;
};

Result<void> write_dump(const Capture& capture, const std::filesystem::path& path, const DumpOptions& options,
                        const KernelSet& kernels, const JobContext& job);
Result<std::shared_ptr<const Capture>> read_dump(const std::filesystem::path& path);

struct DumpItem {
  std::string name;  // dataset path
  std::vector<int64_t> shape;
  std::vector<std::string> axes;
  std::string dtype;
  int64_t stored_bytes = 0;
};
struct DumpInfo {
  Provenance provenance;
  int version = 0;
  int64_t n_token = 0;
  std::vector<DumpItem> items;
};
Result<DumpInfo> inspect_dump(const std::filesystem::path& path);

}  // namespace saccade
