#include "analysis/scanpath/mat_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>

#include "analysis/scanpath/fixation_report.h"
#include "analysis/scanpath/osie_file.h"
#include "tests/analysis/scanpath/gaze_data.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Writes the format by hand, in either byte order.
class Writer {
 public:
  explicit Writer(bool big_endian = false) : big_(big_endian) {}

  [[nodiscard]] std::string word(uint32_t value) const {
    std::string bytes;
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>((value >> (8 * (big_ ? 3 - i : i))) & 0xffU);
    return bytes;
  }
  [[nodiscard]] std::string element(uint32_t type, std::string body) const {
    std::string bytes = word(type) + word(static_cast<uint32_t>(body.size()));
    body.resize((body.size() + 7) / 8 * 8);
    return bytes + body;
  }
  [[nodiscard]] std::string array(uint32_t kind, uint32_t rows, uint32_t columns, const std::string& rest,
                                  const std::string& name = "") const {
    return element(14, element(6, word(kind) + word(0)) + element(5, word(rows) + word(columns)) +
                           element(1, name) + rest);
  }
  [[nodiscard]] std::string numbers(const std::vector<uint16_t>& values, const std::string& name = "") const {
    std::string body;
    for (const uint16_t v : values) {
      const char low = static_cast<char>(v & 0xffU), high = static_cast<char>(v >> 8U);
      body += big_ ? std::string{high, low} : std::string{low, high};
    }
    return array(6, 1, static_cast<uint32_t>(values.size()), element(4, body), name);
  }
  [[nodiscard]] std::string text(const std::string& value, const std::string& name = "") const {
    return array(4, 1, static_cast<uint32_t>(value.size()), element(16, value), name);
  }
  [[nodiscard]] std::string structure(const std::vector<std::pair<std::string, std::string>>& fields,
                                      const std::string& name = "") const {
    std::string names, values;
    for (auto [field, value] : fields) {
      field.resize(16);
      names += field;
      values += value;
    }
    return array(2, 1, 1, element(5, word(16)) + element(1, names) + values, name);
  }
  [[nodiscard]] std::string file(const std::string& variables) const {
    std::string header = "MATLAB 5.0 MAT-file";
    header.resize(124, ' ');
    header += big_ ? std::string("\x01\x00MI", 4) : std::string("\x00\x01IM", 4);
    return header + variables;
  }
  [[nodiscard]] std::string packed(const std::string& variable) const {
    std::string out(compressBound(variable.size()), '\0');
    uLongf size = out.size();
    compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(variable.data()),
             variable.size());
    out.resize(size);
    return word(15) + word(static_cast<uint32_t>(size)) + out;
  }

 private:
  bool big_;
};

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string refusal(const std::string& file, const MatLimits& limits = {}) {
  const auto read = read_mat_file(bytes_of(file), limits);
  return read.ok() ? "(accepted)" : read.error().to_string();
}

TEST(MatFile, arrays_texts_cells_and_structures_come_back_in_either_byte_order) {
  for (const bool big : {false, true}) {
    const Writer w(big);
    const std::string cell = w.array(1, 1, 2, w.numbers({1, 700}) + w.text("zwei"), "c");
    const std::string file =
        w.file(w.numbers({3, 65535}, "n") + w.packed(cell) + w.structure({{"img", w.text("a.jpg")}}, "s"));
    const auto read = read_mat_file(bytes_of(file));
    ASSERT_TRUE(read.ok()) << read.error().to_string();
    ASSERT_EQ(read->size(), 3U);
    EXPECT_EQ((*read)[0].name, "n");
    EXPECT_THAT((*read)[0].numbers, ElementsAre(3.0, 65535.0));
    EXPECT_THAT((*read)[1].cells.at(0).numbers, ElementsAre(1.0, 700.0));
    EXPECT_EQ((*read)[1].cells.at(1).text, "zwei");
    ASSERT_NE((*read)[2].field("img"), nullptr);
    EXPECT_EQ((*read)[2].field("img")->text, "a.jpg");
    EXPECT_EQ((*read)[2].field("other"), nullptr);
  }
}

TEST(MatFile, wide_characters_become_utf8) {
  const Writer w;
  const std::string units("\x41\x00\xe9\x00\xac\x20\x3d\xd8\x00\xde\x00\xd8",
                          12);  // A, é, €, a pair, half a pair
  const auto read = read_mat_file(bytes_of(w.file(w.array(4, 1, 6, w.element(17, units), "t"))));
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(read->at(0).text, "A\u00e9\u20ac\U0001F600\ufffd");
}

TEST(MatFile, lies_are_refused_where_they_stand) {
  const Writer w;
  EXPECT_THAT(refusal("MATLAB 5.0"), HasSubstr("10 bytes; a MAT-file of level 5 has a header of 128"));
  EXPECT_THAT(refusal("MATLAB 7.3 MAT-file"), HasSubstr("save it with '-v7'"));
  EXPECT_THAT(refusal(std::string(200, 'x')), HasSubstr("neither IM nor MI"));
  EXPECT_THAT(refusal(w.file("abc")), HasSubstr("variable 0 (byte 128): 3 bytes where an element's tag"));
  EXPECT_THAT(refusal(w.file(w.word(14) + w.word(4000))), HasSubstr("says it has 4000 bytes; 0 are left"));
  EXPECT_THAT(refusal(w.file(w.array(6, 1, 9, w.element(4, "ab")))),
              HasSubstr("an array of 9 numbers with 2"));
  EXPECT_THAT(refusal(w.file(w.array(6, 0x7fffffff, 0x7fffffff, w.element(4, "ab")))), HasSubstr("2^31"));
  EXPECT_THAT(refusal(w.file(w.array(6, 0xffffffff, 1, w.element(4, "ab")))), HasSubstr("negative extent"));
  EXPECT_THAT(refusal(w.file(w.array(1, 1, 1000000, ""))), HasSubstr("1000000 nested arrays in 0 bytes"));
  EXPECT_THAT(refusal(w.file(w.array(1, 1, 1, w.element(9, std::string(8, 'a'))))),
              HasSubstr("a nested array of type 9"));
  EXPECT_THAT(refusal(w.file(w.array(2, 1, 1, w.element(5, w.word(0)) + w.element(1, "ab")))),
              HasSubstr("field names of 0 bytes"));
  EXPECT_THAT(refusal(w.file(w.element(14, w.element(6, w.word(6) + w.word(0)) + w.element(5, w.word(3))))),
              HasSubstr("an array of 1 dimensions"));
  std::string damaged = w.packed(w.numbers({1, 2, 3}));
  damaged.resize(damaged.size() - 6);
  EXPECT_THAT(refusal(w.file(damaged)), HasSubstr("bytes; "));
  std::string broken = w.packed(w.numbers({1, 2, 3}));
  broken[12] = static_cast<char>(broken[12] ^ 0x55);
  EXPECT_THAT(refusal(w.file(broken)), HasSubstr("variable 0"));
}

TEST(MatFile, unpacking_nesting_and_the_number_of_arrays_are_bounded) {
  const Writer w;
  const std::string bomb = w.packed(w.array(6, 1, 1 << 20, w.element(2, std::string(1 << 20, '\0')), "b"));
  EXPECT_LT(bomb.size(), 2000U);
  EXPECT_THAT(refusal(w.file(bomb), {1 << 16, 100, 16}), HasSubstr("more than 65536 bytes come out"));
  EXPECT_EQ(refusal(w.file(bomb)), "(accepted)");
  std::string nested = w.numbers({1});
  for (int i = 0; i < 40; ++i) nested = w.array(1, 1, 1, nested);
  EXPECT_THAT(refusal(w.file(nested)), HasSubstr("nested more than 16 deep"));
  EXPECT_THAT(refusal(w.file(w.numbers({1}) + w.numbers({2}) + w.numbers({3})), {1 << 20, 2, 16}),
              HasSubstr("more than 2 arrays"));
}

std::string picture(const Writer& w, const std::vector<uint16_t>& x, const std::vector<uint16_t>& y,
                    const std::vector<uint16_t>& durations) {
  const std::string subject =
      w.structure({{"fix_x", w.numbers(x)}, {"fix_y", w.numbers(y)}, {"fix_duration", w.numbers(durations)}});
  return w.structure({{"img", w.text("a.jpg")}, {"subjects", w.array(1, 1, 1, subject)}});
}

TEST(OsieFile, pictures_and_subjects_become_paths) {
  const Writer w;
  const std::string file =
      w.file(w.array(1, 1, 1, picture(w, {10, 20, 900}, {5, 6, 7}, {200, 100, 50}), "fixations"));
  const auto set = parse_osie_file(bytes_of(file));
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  ASSERT_EQ(set->paths.size(), 1U);
  EXPECT_EQ(set->paths[0].stimulus, "a.jpg");
  EXPECT_EQ(set->paths[0].subject, "1");
  EXPECT_EQ(set->paths[0].size, osie_picture);
  EXPECT_EQ(set->paths[0].fixations[1].y, 6.0);
  EXPECT_THAT(set->findings, ElementsAre(HasSubstr("1 of 3 fixations lie outside")));
}

TEST(OsieFile, a_file_of_another_make_is_refused_with_the_place) {
  const Writer w;
  const auto say = [](const std::string& file) {
    const auto set = parse_osie_file(bytes_of(file));
    return set.ok() ? "(accepted)" : set.error().to_string();
  };
  EXPECT_THAT(say(w.file(w.numbers({1}, "a"))), HasSubstr("none of its 1 variables is a cell array"));
  EXPECT_THAT(say(w.file(w.array(1, 1, 1, w.numbers({1}), "f"))), HasSubstr("f{1}: is a numeric array"));
  EXPECT_THAT(say(w.file(w.array(1, 1, 1, w.structure({{"img", w.text("a")}}), "f"))),
              HasSubstr("there is no field 'subjects'"));
  EXPECT_THAT(say(w.file(w.array(1, 1, 1, picture(w, {1, 2}, {1}, {1, 2}), "f"))),
              HasSubstr("a.jpg, subject 1: 2 x, 1 y and 2 durations"));
}

TEST(OsieFile, holds_what_its_authors_recorded) {
  SACCADE_NEEDS_GAZE("osie");
  const auto set = read_scanpaths(gaze::data_folder() / "osie" / "fixations.mat");
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  EXPECT_EQ(set->fixation_count(), 98321);
  EXPECT_EQ(set->stimuli().size(), 700U);
  EXPECT_EQ(set->of_stimulus("1001.jpg").size(), 15U);
  const Scanpath& first = set->paths[0];
  ASSERT_EQ(first.fixations.size(), 12U);
  EXPECT_EQ(first.fixations[0].x, 395.5);
  EXPECT_EQ(first.fixations[0].y, 265.7);
  EXPECT_EQ(first.fixations[11].duration, 71.0);
}

}  // namespace
}  // namespace saccade
