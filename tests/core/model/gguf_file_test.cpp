// GGUF containers and blocks (tests/data/make_gguf.py wrote them with ggml's own package), and hostile ones.
#include "core/model/gguf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "core/base/files.h"
#include "core/model/checkpoint.h"
#include "core/model/quantised.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

fs::path data(const std::string& name) {
  return fs::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "gguf" / name;
}

// Files made byte by byte.
class Bytes {
 public:
  template <class Number>
  Bytes& number(Number value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Bytes& text(const std::string& text) {
    number<uint64_t>(text.size());
    text_ += text;
    return *this;
  }
  Bytes& head(uint32_t version, uint64_t tensors, uint64_t values) {
    text_ = "GGUF";
    return number(version).number(tensors).number(values);
  }
  Bytes& tensor(const std::string& name, const std::vector<uint64_t>& extents, uint32_t type,
                uint64_t offset) {
    text(name).number(static_cast<uint32_t>(extents.size()));
    for (const uint64_t extent : extents) number(extent);
    return number(type).number(offset);
  }
  Bytes& zeros(size_t count) {
    text_.append(count, '\0');
    return *this;
  }
  [[nodiscard]] const std::string& get() const { return text_; }

 private:
  std::string text_;
};

std::string outcome(const std::string& file) {
  const auto read = read_gguf({reinterpret_cast<const std::byte*>(file.data()), file.size()});
  return read.ok() ? "accepted" : read.error().to_string();
}

TEST(GgufFile, metadata_of_every_kind_and_tensors_are_those_that_were_written) {
  const auto file = MappedFile::open(data("small.gguf"));
  ASSERT_TRUE(file.ok());
  const auto gguf = read_gguf((*file)->bytes());
  ASSERT_TRUE(gguf.ok()) << gguf.error().to_string();
  EXPECT_EQ(gguf->text("general.architecture"), "llama");
  EXPECT_EQ(gguf->integer("llama.block_count"), 2);
  EXPECT_EQ(gguf->integer("negative"), -7);
  EXPECT_EQ(gguf->number("wide"), 1.25);
  EXPECT_EQ(gguf->flag("yes"), true);
  EXPECT_EQ(gguf->flag("no such key"), std::nullopt);
  EXPECT_EQ(gguf->integer("yes"), std::nullopt);
  ASSERT_TRUE(gguf->texts("words") && gguf->numbers("scores") && gguf->integers("kinds"));
  EXPECT_THAT(*gguf->texts("words"), ElementsAre("a", "bc", ""));
  EXPECT_THAT(*gguf->numbers("scores"), ElementsAre(0.5, -1.5));
  EXPECT_THAT(*gguf->integers("kinds"), ElementsAre(1, 3, 6));
  ASSERT_EQ(gguf->tensors.size(), 3u);
  EXPECT_EQ(gguf->tensors[0].shape, (std::vector<int64_t>{3, 4}));
  float last = 0.0F;
  std::memcpy(&last, gguf->tensors[0].data + 44, 4);
  EXPECT_EQ(last, 11.0F);
  EXPECT_EQ(gguf->tensors[1].dtype, DType::f16);
  EXPECT_EQ(gguf->tensors[2].dtype, DType::q8_0);
  EXPECT_EQ(gguf->tensors[2].bytes(), 5 * 34);
}

TEST(Quantised, blocks_of_every_type_stand_for_the_numbers_that_ggml_says) {
  const auto file = Checkpoint::open(data("blocks.safetensors"));
  ASSERT_TRUE(file.ok());
  for (const DType dtype : {DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0, DType::q2_k,
                            DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k}) {
    const std::string name = to_string(dtype);
    SCOPED_TRACE(name);
    const TensorView *blocks = (*file)->find(name + ".blocks"), *numbers = (*file)->find(name + ".numbers");
    ASSERT_TRUE(blocks && numbers);
    ASSERT_EQ(blocks->shape[1], block_of(dtype).bytes);
    std::vector<float> ours(static_cast<size_t>(numbers->elements()));
    widen_blocks(dtype, blocks->data, numbers->elements(), ours.data());
    const auto* theirs = reinterpret_cast<const float*>(numbers->data);
    for (size_t i = 0; i < ours.size(); ++i)  // float32, the same operations in another order at most
      ASSERT_NEAR(ours[i], theirs[i], 1e-6 * std::max(1.0F, std::abs(theirs[i]))) << i;
  }
}

TEST(GgufFile, a_file_cut_anywhere_is_an_error) {
  const auto text = read_text_file(data("small.gguf"));
  ASSERT_TRUE(text.ok());
  // The last tensor ends 22 bytes before the padding does.
  for (size_t size = 8; size + 32 < text->size(); ++size)
    ASSERT_NE(outcome(text->substr(0, size)), "accepted") << size;
}

TEST(GgufFile, counts_and_lengths_beyond_the_file_are_refused_before_anything_is_allocated) {
  constexpr uint64_t huge = uint64_t{1} << 60;
  EXPECT_THAT(outcome(Bytes().head(3, 0, huge).get()), HasSubstr("metadata values do not fit"));
  EXPECT_THAT(outcome(Bytes().head(3, huge, 0).get()), HasSubstr("tensors do not fit"));
  EXPECT_THAT(outcome(Bytes().head(3, 0, 1).number(huge).zeros(40).get()), HasSubstr("truncated"));
  EXPECT_THAT(
      outcome(Bytes().head(3, 0, 1).text("k").number<uint32_t>(9).number<uint32_t>(8).number(huge).get()),
      HasSubstr("items of 'k' do not fit"));
  EXPECT_THAT(
      outcome(Bytes().head(3, 0, 1).text("k").number<uint32_t>(9).number<uint32_t>(9).number(huge).get()),
      HasSubstr("array of type 9"));
  EXPECT_THAT(outcome(Bytes().head(3, 0, 1).text("k").number<uint32_t>(77).zeros(8).get()),
              HasSubstr("found 77"));
  EXPECT_THAT(outcome(Bytes().head(3, 1, 0).tensor("t", {huge, huge}, 0, 0).get()),
              HasSubstr("larger than any file"));
  EXPECT_THAT(outcome(Bytes().head(3, 1, 0).tensor("t", {4}, 0, huge).zeros(64).get()),
              HasSubstr("beyond the end"));
}

TEST(GgufFile, tensors_of_no_numbers_are_read_and_cost_nothing) {
  const std::string file =
      Bytes().head(3, 2, 0).tensor("t", {0, 7}, 0, 0).tensor("u", {2}, 0, 0).zeros(128).get();
  const auto read = read_gguf({reinterpret_cast<const std::byte*>(file.data()), file.size()});
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(read->tensors[0].shape, (std::vector<int64_t>{7, 0}));
  EXPECT_EQ(read->tensors[0].bytes(), 0);
  EXPECT_THAT(outcome(Bytes().head(3, 1, 0).tensor("t", {0}, 8, 0).zeros(64).get()), HasSubstr("accepted"));
}

TEST(GgufFile, what_is_not_read_is_refused_by_name) {
  EXPECT_THAT(outcome(Bytes().head(0x03000000, 0, 0).get()), HasSubstr("big-endian"));
  EXPECT_THAT(outcome(Bytes().head(1, 0, 0).get()), HasSubstr("found 1"));
  EXPECT_THAT(outcome(Bytes().head(3, 1, 0).tensor("t", {32}, 4, 0).zeros(64).get()),
              HasSubstr("'t': type 4"));
  EXPECT_THAT(outcome(Bytes().head(3, 1, 0).tensor("t", {33}, 8, 0).zeros(64).get()),
              HasSubstr("whole blocks of 32"));
  EXPECT_THAT(outcome(Bytes().head(3, 1, 0).tensor("t", {1, 1, 1, 1, 1}, 0, 0).zeros(64).get()),
              HasSubstr("at most 4 dimensions"));
  EXPECT_THAT(outcome(Bytes().head(3, 2, 0).tensor("t", {2}, 0, 0).tensor("t", {2}, 0, 32).zeros(128).get()),
              HasSubstr("two tensors are called 't'"));
  EXPECT_THAT(outcome(Bytes().head(3, 2, 0).tensor("t", {9}, 0, 0).tensor("u", {2}, 0, 32).zeros(128).get()),
              HasSubstr("'u' overlaps 't'"));
  for (const uint32_t alignment : {0U, 3U})
    EXPECT_THAT(outcome(Bytes()
                            .head(3, 0, 1)
                            .text("general.alignment")
                            .number<uint32_t>(4)
                            .number(alignment)
                            .zeros(64)
                            .get()),
                HasSubstr("power of two"));
}

}  // namespace
}  // namespace saccade
