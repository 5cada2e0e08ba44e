#include "core/capture/vector_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/digest.h"
#include "core/base/files.h"
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

std::shared_ptr<const VectorFile> make_vectors(std::map<std::string, std::vector<float>> vectors) {
  auto made = std::make_shared<VectorFile>();
  Digest digest;
  for (const auto& [name, values] : vectors)
    digest.add(name).add(std::as_bytes(std::span<const float>(values)));
  made->digest = digest.hex();
  made->vectors = std::move(vectors);
  return made;
}

Result<void> write_vectors(const VectorFile& vectors, const std::string& axis,
                           const std::filesystem::path& path) {
  return write_atomically(path, [&](const std::filesystem::path& temporary) -> Result<void> {
    SACCADE_TRY(h5::Writer file, h5::Writer::create(temporary));
    SACCADE_CHECK(file.attribute("type", "saccade vectors"));
    SACCADE_CHECK(file.attribute("version", int64_t{1}));
    for (const auto& [name, values] : vectors.vectors) {
      h5::DatasetSpec spec;
      spec.name = name;
      spec.axes = {axis};
      spec.shape = {static_cast<int64_t>(values.size())};
      SACCADE_CHECK(file.numbers(spec, values.data()));
    }
    return file.close();
  });
}

Result<std::shared_ptr<const VectorFile>> read_vectors(const std::filesystem::path& path) {
  SACCADE_CHECK(check_seal(path));
  auto vectors = read(path);
  if (!vectors.ok()) return std::move(vectors).error().with("reading " + path.string());
  return vectors;
}

}  // namespace saccade
