// Files of torch.save in every form (tests/data/make_torch_files.py wrote them), and hostile ones made here.
#include "core/model/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "core/base/files.h"
#include "core/model/checkpoint.h"
#include "core/model/pickle_reader.h"
#include "core/model/torch_archive.h"

namespace saccade {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

fs::path data(const std::string& name) {
  return fs::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "torch_files" / name;
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string refusal(const std::string& pickle) {
  const auto read = read_pickle(bytes_of(pickle));
  return read.ok() ? "accepted" : read.error().to_string();
}

void expect_same(const Checkpoint& found, const Checkpoint& expected, const std::string& name) {
  const TensorView *ours = found.find(name), *theirs = expected.find(name);
  ASSERT_TRUE(ours && theirs) << name;
  EXPECT_EQ(ours->dtype, theirs->dtype) << name;
  EXPECT_EQ(ours->shape, theirs->shape) << name;
  EXPECT_EQ(std::memcmp(ours->data, theirs->data, static_cast<size_t>(theirs->bytes())), 0) << name;
}

TEST(TorchFile, every_form_gives_the_tensors_that_were_saved) {
  const auto expected = Checkpoint::open(data("expected.safetensors"));
  ASSERT_TRUE(expected.ok()) << expected.error().to_string();
  for (const char* form : {"zip.bin", "legacy.bin", "wrapped.pt"}) {
    SCOPED_TRACE(form);
    const auto found = Checkpoint::open(data(form));
    ASSERT_TRUE(found.ok()) << found.error().to_string();
    EXPECT_EQ((*found)->tensors().size(), (*expected)->tensors().size());
    for (const auto& entry : (*expected)->tensors()) expect_same(**found, **expected, entry.first);
  }
}

TEST(TorchFile, contiguous_tensors_of_an_archive_stay_mapped) {
  const auto file = MappedFile::open(data("zip.bin"));
  ASSERT_TRUE(file.ok());
  const auto contents = read_torch_file((*file)->bytes());
  ASSERT_TRUE(contents.ok()) << contents.error().to_string();
  const std::byte *first = (*file)->bytes().data(), *last = first + (*file)->bytes().size();
  for (const TensorView& tensor : contents->tensors) {
    const bool copied = tensor.name == "transposed" || tensor.name == "column" || tensor.name == "window" ||
                        tensor.name == "repeated";
    EXPECT_EQ(tensor.data >= first && tensor.data < last, !copied) << tensor.name;
  }
}

TEST(TorchFile, shards_and_their_index_make_one_checkpoint) {
  const auto expected = Checkpoint::open(data("expected.safetensors"));
  const auto found = Checkpoint::open(data("sharded"));
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  EXPECT_EQ((*found)->tensors().size(), 3u);
  for (const char* name : {"plain", "half", "int64"}) expect_same(**found, **expected, name);
}

TEST(TorchFile, an_ordered_dict_with_metadata_is_read) {
  const auto found = Checkpoint::open(data("ordered.pth"));
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  EXPECT_EQ((*found)->find("weight")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ((*found)->find("bias")->shape, (std::vector<int64_t>{2}));
}

TEST(Pickle, anything_but_what_builds_tensors_is_refused_by_its_name) {
  EXPECT_THAT(refusal("\x80\x02"
                      "cos\nsystem\n"
                      "X\x04\x00\x00\x00trueR."),
              HasSubstr("names 'os.system'"));
  EXPECT_THAT(refusal(std::string("\x80\x04\x8c\x08"
                                  "builtins\x8c\x04"
                                  "eval\x93.",
                                  20)),
              HasSubstr("names 'builtins.eval'"));
  EXPECT_THAT(refusal("\x80\x02"
                      "ctorch\nload\n."),
              HasSubstr("names 'torch.load'"));
}

TEST(Pickle, damaged_ones_are_errors_that_say_where) {
  EXPECT_THAT(refusal(""), HasSubstr("truncated"));
  EXPECT_THAT(refusal("\x80\x02"), HasSubstr("truncated"));
  EXPECT_THAT(refusal("\x80\x09."), HasSubstr("protocol"));
  EXPECT_THAT(refusal("."), HasSubstr("empty stack"));
  EXPECT_THAT(refusal("a."), HasSubstr("empty stack"));
  EXPECT_THAT(refusal("t."), HasSubstr("mark is missing"));
  EXPECT_THAT(refusal("h\x05."), HasSubstr("recalls item 5"));
  EXPECT_THAT(refusal("NN\x86s."), HasSubstr("empty stack"));
  EXPECT_THAT(refusal(")Na."), HasSubstr("appends to a tuple"));
  EXPECT_THAT(refusal("]NNs."), HasSubstr("expected a dictionary"));
  EXPECT_THAT(refusal("i"), HasSubstr("instruction 0x69"));
  EXPECT_THAT(refusal(std::string("X\xff\xff\xff\xff", 5) + "abc."), HasSubstr("truncated"));
  EXPECT_THAT(refusal(std::string("\x8d\xff\xff\xff\xff\xff\xff\xff\xff", 9) + "abc."),
              HasSubstr("truncated"));
  EXPECT_THAT(refusal("NQ."), HasSubstr("storage is not described"));
  EXPECT_THAT(refusal("ctorch._utils\n_rebuild_tensor_v2\n)R."), HasSubstr("tensor is not described"));
}

TEST(Pickle, deep_nesting_and_cycles_cost_nothing) {
  EXPECT_EQ(refusal(std::string(100000, '(') + std::string(100000, 't') + "."), "accepted");
  EXPECT_EQ(refusal("]q\x01h\x01"
                    "a."),
            "accepted");  // a list that holds itself
  EXPECT_EQ(refusal(std::string(50000, ']') + std::string(49999, 'a') + "."), "accepted");
}

class Spoiled : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* form : {"zip.bin", "legacy.bin"}) {
      const auto text = read_text_file(data(form));
      ASSERT_TRUE(text.ok());
      files_.push_back(*text);
    }
  }
  static std::string outcome(const std::string& file) {
    const auto read = read_torch_file(bytes_of(file));
    return read.ok() ? "accepted" : read.error().to_string();
  }
  std::vector<std::string> files_;
};

TEST_F(Spoiled, a_file_cut_anywhere_is_an_error) {
  for (const std::string& file : files_)
    for (size_t size = 4; size < file.size(); ++size)
      ASSERT_NE(outcome(file.substr(0, size)), "accepted") << size;
}

TEST_F(Spoiled, a_file_with_any_byte_changed_is_read_or_refused) {
  for (const std::string& file : files_)
    for (size_t at = 0; at < file.size(); ++at)
      for (const char value : {'\0', '\xff', '\x7f'}) {
        std::string changed = file;
        changed[at] = value;
        (void)outcome(changed);  // the sanitizers watch
      }
}

TEST_F(Spoiled, two_tensors_of_one_name_are_refused_by_it) {
  for (const std::string& file : files_) {
    std::string twice = file;
    const size_t at = twice.find("int64");
    ASSERT_NE(at, std::string::npos);
    twice.replace(at, 5, "plain");
    EXPECT_THAT(outcome(twice), HasSubstr("two tensors are called 'plain'"));
  }
}

TEST_F(Spoiled, compressed_and_encrypted_members_are_refused_by_name) {
  std::string file = files_[0];
  const size_t entry = file.find("PK\x01\x02");
  ASSERT_NE(entry, std::string::npos);
  file[entry + 10] = 8;
  EXPECT_THAT(outcome(file), AllOf(HasSubstr("data.pkl' is compressed"), HasSubstr("method 8")));
  file = files_[0];
  file[entry + 8] = static_cast<char>(file[entry + 8] | 1);
  EXPECT_THAT(outcome(file), HasSubstr("is encrypted"));
}

}  // namespace
}  // namespace saccade
