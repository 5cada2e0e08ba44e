#include "core/capture/vector_writer.h"

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/capture/hdf5_file.h"

namespace saccade {

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

}  // namespace saccade
