#include "core/capture/vector_file.h"

#include <gmock/gmock.h>

#include "core/capture/hdf5_file.h"
#include "core/capture/vector_writer.h"
#include "tests/core/capture/capture_fixture.h"
#include "tests/core/capture/python.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const VectorFile> read(const std::filesystem::path& path) {
  auto file = read_vectors(path);
  EXPECT_TRUE(file.ok()) << file.error().to_string();
  return file.ok() ? *file : nullptr;
}

void write(const std::filesystem::path& path, const std::string& name, const std::vector<float>& values) {
  auto file = h5::Writer::create(path);
  ASSERT_TRUE(file.ok());
  h5::DatasetSpec spec;
  spec.name = name;
  spec.axes = {"d_head"};
  spec.shape = {static_cast<int64_t>(values.size())};
  ASSERT_TRUE(file->numbers(spec, values.data()).ok());
  ASSERT_TRUE(file->close().ok());
}

TEST(VectorFile, KeepsVectorsByNameAndKnowsThemByTheirNumbers) {
  const fixtures::TemporaryFolder folder;
  write(folder / "a.h5", "steer", {1.0F, -2.5F});
  write(folder / "b.h5", "steer", {1.0F, -2.5F});
  write(folder / "c.h5", "steer", {1.0F, -2.0F});
  const auto a = read(folder / "a.h5");
  ASSERT_TRUE(a);
  EXPECT_THAT(*a->find("steer"), ElementsAre(1.0F, -2.5F));
  EXPECT_EQ(a->find("other"), nullptr);
  EXPECT_EQ(a->vectors.size(), 1U) << "scales of axes are no vectors";
  EXPECT_EQ(a->digest, read(folder / "b.h5")->digest);
  EXPECT_NE(a->digest, read(folder / "c.h5")->digest);
}

TEST(VectorFile, WhatIsWrittenIsReadBackWithTheSameDigest) {
  const fixtures::TemporaryFolder folder;
  const auto made =
      make_vectors({{"head_offsets/0/1/a", {0.5F, 0.0F}}, {"head_offsets/0/1/v", {0.0F, -1.0F}}});
  ASSERT_TRUE(write_vectors(*made, "d_head", folder / "offsets.h5").ok());
  const auto again = read(folder / "offsets.h5");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->vectors, made->vectors);
  EXPECT_EQ(again->digest, made->digest);
  EXPECT_FALSE(write_vectors(*made, "d_head", folder / "nowhere" / "offsets.h5").ok());
}

TEST(VectorFile, ReadsWhatH5pyWritesOfEveryRealType) {
  if (fixtures::python_with_h5py().empty()) GTEST_SKIP() << "no python3 with h5py here";
  const fixtures::TemporaryFolder folder;
  ASSERT_EQ(fixtures::run_python(folder / "a.h5", R"(
with h5py.File(path, "w") as f:
    f["head_offsets/5/1/a"] = np.array([0.5, 0.0], "f4")
    f["head_offsets/5/1/v"] = np.array([0.0, -1.0], "f2")
    f["steer"] = np.array([[1.5, 2.5, 3.5]])
    f["weights"] = np.zeros((3, 3))
    f["ids"] = np.arange(3)
    f["notes"] = "text"
)"),
            "");
  const auto file = read(folder / "a.h5");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->vectors.size(), 3U);
  EXPECT_THAT(*file->find("head_offsets/5/1/v"), ElementsAre(0.0F, -1.0F));
  EXPECT_THAT(*file->find("steer"), ElementsAre(1.5F, 2.5F, 3.5F));
}

TEST(VectorFile, RefusesWhatHoldsNoVectorOrNumbersThatAreNotFinite) {
  const fixtures::TemporaryFolder folder;
  write(folder / "nan.h5", "steer", {1.0F, std::nanf("")});
  const auto nan = read_vectors(folder / "nan.h5");
  ASSERT_FALSE(nan.ok());
  EXPECT_THAT(nan.error().to_string(), HasSubstr("dataset 'steer' has a number that is not finite"));
  auto empty = h5::Writer::create(folder / "empty.h5");
  ASSERT_TRUE(empty.ok() && empty->close().ok());
  const auto none = read_vectors(folder / "empty.h5");
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().to_string(), HasSubstr("empty.h5"));
  EXPECT_THAT(none.error().to_string(), HasSubstr("found none"));
  fixtures::put(folder / "text.h5", "not HDF5");
  EXPECT_FALSE(read_vectors(folder / "text.h5").ok());
  EXPECT_EQ(read_vectors(folder / "missing.h5").error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace saccade
