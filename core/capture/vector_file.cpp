#include "core/capture/vector_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/digest.h"
#include "core/capture/dump_seal.h"
#include "core/capture/hdf5_file.h"

namespace saccade {
namespace {

bool is_vector(const h5::Found& found) {
  const bool real = found.number == "float16" || found.number == "float32" || found.number == "float64";
  const bool row = found.shape.size() == 1 || (found.shape.size() == 2 && found.shape[0] == 1);
  return real && row && !found.is_scale && found.shape.back() > 0;
}

Result<std::shared_ptr<const VectorFile>> read(const std::filesystem::path& path) {
  SACCADE_TRY(const h5::Reader file, h5::Reader::open(path));
  SACCADE_TRY(const std::vector<std::string> names, file.names());
  auto read = std::make_shared<VectorFile>();
  Digest digest;
  for (const std::string& name : names) {
    SACCADE_TRY(const h5::Found found, file.describe(name));
    if (!is_vector(found)) continue;
    SACCADE_TRY(std::vector<float> values, file.reals(name));
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
      return make_error(ErrorCode::bad_format,
                        fmt::format("dataset '{}' has a number that is not finite", name));
    digest.add(name).add(std::as_bytes(std::span<const float>(values)));
    read->vectors.emplace(name, std::move(values));
  }
  if (read->vectors.empty())
    return make_error(ErrorCode::bad_format,
                      "expected at least one dataset with one axis of real numbers, found none");
  read->digest = digest.hex();
  return std::shared_ptr<const VectorFile>(std::move(read));
}

}  // namespace

const std::vector<float>* VectorFile::find(const std::string& name) const {
  const auto found = vectors.find(name);
  return found == vectors.end() ? nullptr : &found->second;
}

Result<std::shared_ptr<const VectorFile>> read_vectors(const std::filesystem::path& path) {
  SACCADE_CHECK(check_seal(path));
  auto vectors = read(path);
  if (!vectors.ok()) return std::move(vectors).error().with("reading " + path.string());
  return vectors;
}

}  // namespace saccade
