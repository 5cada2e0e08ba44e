// The header alone: what the format allows is read, what it does not allow is named.
#include "core/model/safetensors_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saccade {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(const std::string& json) {
  const auto entries = parse_safetensors_header(json);
  return entries.ok() ? "accepted" : entries.error().message;
}

std::string entry(const std::string& shape, const std::string& offsets = "[0,8]") {
  return R"({"w":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

TEST(SafetensorsHeader, scalars_empty_tensors_metadata_and_trailing_spaces_are_read) {
  auto entries = parse_safetensors_header(
      R"({"__metadata__":{"format":"pt"},"s":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
      R"("e":{"shape":[0,281474976710656,281474976710656],"data_offsets":[8,8],"dtype":"BF16"}}   )");
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].name, "s");
  EXPECT_EQ((*entries)[0].expected_bytes(), 8u);
  EXPECT_EQ((*entries)[1].expected_bytes(), 0u);
  EXPECT_TRUE(check_layout(*entries, 8).ok());
  EXPECT_TRUE(parse_safetensors_header("{}").ok());
}

TEST(SafetensorsHeader, shapes_and_offsets_that_are_no_small_whole_numbers_are_refused) {
  for (const char* shape : {"[-1]", "[2.0]", "[1e3]", "[18446744073709551616]", "[281474976710657]",
                            "[\"2\"]", "[null]", "[true]", "[[2]]", "[{}]", "7", "\"2\"", "null"})
    EXPECT_THAT(refusal(entry(shape)), HasSubstr("tensor 'w'")) << shape;
  EXPECT_THAT(refusal(entry("[4294967296,4294967296,4294967296]")), HasSubstr("larger than any file"));
  EXPECT_THAT(refusal(entry("[1,1,1,1,1,1,1,1,1]")), HasSubstr("at most 8"));
  for (const char* offsets : {"[0]", "[]", "[0,8,16]", "[-1,8]", "[0,8.5]", "8", "[0,\"8\"]", "{}"})
    EXPECT_THAT(refusal(entry("[2]", offsets)), HasSubstr("tensor 'w'")) << offsets;
}

TEST(SafetensorsHeader, keys_given_twice_left_out_or_unknown_are_named) {
  EXPECT_THAT(refusal(R"({"w":{"dtype":"F32","dtype":"F16","shape":[],"data_offsets":[0,4]}})"),
              AllOf(HasSubstr("'w'"), HasSubstr("'dtype' is given twice")));
  EXPECT_THAT(refusal(R"({"w":{"dtype":"F32","data_offsets":[0,4]}})"), HasSubstr("one is missing"));
  EXPECT_THAT(refusal(R"({"w":{"dtype":"F32","stride":[1],"data_offsets":[0,4]}})"), HasSubstr("'stride'"));
  EXPECT_THAT(refusal(R"({"w":{"dtype":4,"shape":[],"data_offsets":[0,4]}})"), HasSubstr("dtype"));
  EXPECT_THAT(refusal(R"({"w":[]})"), AllOf(HasSubstr("'w'"), HasSubstr("a list")));
  EXPECT_THAT(refusal(R"({"__metadata__":{"a":{"b":1}}})"), HasSubstr("__metadata__"));
}

TEST(SafetensorsHeader, text_that_is_not_one_json_object_is_refused_with_the_place) {
  EXPECT_THAT(refusal(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{}x"), HasSubstr("byte 3"));
  EXPECT_THAT(refusal("{\"w\xff\":{}}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("null"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal("[[[["), HasSubstr("not a JSON object"));
}

TEST(SafetensorsHeader, a_deep_header_is_left_at_the_first_level_that_does_not_belong_there) {
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i) deep += "{\"a\":";
  EXPECT_THAT(refusal(deep), HasSubstr("tensor 'a'"));
}

}  // namespace
}  // namespace saccade
