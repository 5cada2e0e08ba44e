#include "analysis/images/gif.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

namespace saccade {
namespace {

using Bytes = std::span<const unsigned char>;
using Palette = std::array<std::array<uint8_t, 3>, 256>;

Error damaged(const char* what) {
  return make_error(ErrorCode::bad_format, fmt::format("the GIF is damaged: {}", what));
}

// Reads from the front; what lies beyond the end is nothing.
class Reader {
 public:
  explicit Reader(Bytes bytes) : left_(bytes) {}
  std::optional<Bytes> take(size_t n) {
    if (left_.size() < n) return std::nullopt;
    const Bytes taken = left_.first(n);
    left_ = left_.subspan(n);
    return taken;
  }
  std::optional<unsigned char> byte() {
    const auto one = take(1);
    if (!one) return std::nullopt;
    return one->front();
  }
  // Sub-blocks, each behind its length, until one of length 0; a file may end before it.
  std::vector<unsigned char> blocks() {
    std::vector<unsigned char> all;
    for (auto n = byte(); n && *n > 0; n = byte()) {
      const Bytes block = left_.first(std::min<size_t>(*n, left_.size()));
      all.insert(all.end(), block.begin(), block.end());
      left_ = left_.subspan(block.size());
    }
    return all;
  }

 private:
  Bytes left_;
};

int32_t little_endian(Bytes two) { return two[0] | two[1] << 8; }

// `flags` of the screen or of a picture say whether a table follows, and how long it is.
Result<bool> read_palette(Reader& reader, unsigned char flags, Palette& palette) {
  if ((flags & 0x80) == 0) return false;
  const size_t n = size_t{2} << (flags & 7);
  const auto table = reader.take(3 * n);
  if (!table) return damaged("it ends within its colours");
  palette = {};
  for (size_t i = 0; i < n; ++i) std::copy_n(table->subspan(3 * i).begin(), 3, palette[i].begin());
  return true;
}

struct Frame {
  int32_t left = 0, top = 0, width = 0, height = 0;
  bool interlaced = false;
  uint8_t beyond = 0;  // the colour of the screen around it
};

// From behind the screen's colours to behind the first picture's.
Result<Frame> read_frame(Reader& reader, Palette& palette) {
  Frame frame;
  for (auto mark = reader.byte(); mark; mark = reader.byte()) {
    if (*mark == '!') {
      const auto label = reader.byte();
      const std::vector<unsigned char> extension = reader.blocks();
      if (label == 0xF9 && extension.size() >= 4 && (extension[0] & 1) != 0) frame.beyond = extension[3];
    } else if (*mark == ',') {
      const auto header = reader.take(9);
      if (!header) break;
      frame.left = little_endian(header->subspan(0, 2));
      frame.top = little_endian(header->subspan(2, 2));
      frame.width = little_endian(header->subspan(4, 2));
      frame.height = little_endian(header->subspan(6, 2));
      frame.interlaced = ((*header)[8] & 0x40) != 0;
      SACCADE_CHECK(read_palette(reader, (*header)[8], palette));
      return frame;
    } else if (*mark != 0) {  // zeros between blocks are harmless; the trailer ';' is not
      break;
    }
  }
  return damaged("it has no picture");
}

// The codes of an LZW stream, from the low bits up.
class Codes {
 public:
  explicit Codes(Bytes bytes) : bytes_(bytes) {}
  std::optional<uint32_t> next(int bits) {
    for (; held_ < bits; held_ += 8, ++at_) {
      if (at_ == bytes_.size()) return std::nullopt;
      buffer_ |= uint32_t{bytes_[at_]} << held_;
    }
    const uint32_t code = buffer_ & ((1U << bits) - 1);
    buffer_ >>= bits;
    held_ -= bits;
    return code;
  }

 private:
  Bytes bytes_;
  size_t at_ = 0;
  uint32_t buffer_ = 0;
  int held_ = 0;
};

constexpr uint32_t most_codes = 4096, no_code = most_codes;

// A string is that of `before` and one more colour.
struct Entry {
  uint32_t before = 0, length = 1;
  uint8_t first = 0, last = 0;
};

// `n` colour numbers; fewer when the stream ends early, none when it breaks the format.
std::vector<uint8_t> decompress(Bytes bytes, int colour_bits, size_t n) {
  const uint32_t clear = 1U << colour_bits, end = clear + 1;
  std::vector<Entry> table(most_codes);
  for (uint32_t i = 0; i < clear; ++i) table[i].first = table[i].last = static_cast<uint8_t>(i);
  std::vector<uint8_t> made;
  made.reserve(n);
  Codes codes(bytes);
  uint32_t used = end + 1;
  int bits = colour_bits + 1;
  uint32_t before = no_code;
  while (made.size() < n) {
    const auto code = codes.next(bits);
    if (!code || *code == end) break;
    if (*code == clear) {
      used = end + 1;
      bits = colour_bits + 1;
      before = no_code;
      continue;
    }
    // The string that this very code completes may be meant before it is in the table.
    if (before != no_code && used < most_codes) {
      const uint8_t last = *code == used ? table[before].first : table[*code].first;
      table[used++] = {before, table[before].length + 1, table[before].first, last};
    }
    if (*code >= used || (before == no_code && *code > end)) return {};
    if (used == (1U << bits) && bits < 12) ++bits;
    before = *code;
    made.resize(made.size() + table[*code].length);
    uint32_t from = *code;
    for (size_t i = 0; i < table[*code].length; ++i, from = table[from].before)
      made[made.size() - 1 - i] = table[from].last;
  }
  made.resize(std::min(made.size(), n));
  return made;
}

// Where the rows of a picture stand in the order of the file.
std::vector<int32_t> row_order(const Frame& frame) {
  struct Pass {
    int32_t from, step;
  };
  static constexpr std::array four{Pass{0, 8}, Pass{4, 8}, Pass{2, 4}, Pass{1, 2}};
  std::vector<int32_t> rows;
  if (frame.interlaced) {
    for (const Pass& pass : four)
      for (int32_t y = pass.from; y < frame.height; y += pass.step) rows.push_back(y);
  } else {
    for (int32_t y = 0; y < frame.height; ++y) rows.push_back(y);
  }
  return rows;
}

Picture paint(const Frame& frame, std::span<const uint8_t> numbers, const Palette& palette, int32_t width,
              int32_t height) {
  Picture picture{width, height, {}, {}};
  const auto row_bytes = static_cast<size_t>(width) * 3;
  picture.rgb.reserve(row_bytes * static_cast<size_t>(height));
  for (int64_t i = 0; i < int64_t{width} * height; ++i)
    picture.rgb.insert(picture.rgb.end(), palette[frame.beyond].begin(), palette[frame.beyond].end());
  size_t at = 0;
  for (const int32_t y : row_order(frame)) {
    uint8_t* to = picture.rgb.data() + static_cast<size_t>(frame.top + y) * row_bytes +
                  static_cast<size_t>(frame.left) * 3;
    for (int32_t x = 0; x < frame.width; ++x, ++at) to = std::copy_n(palette[numbers[at]].begin(), 3, to);
  }
  return picture;
}

}  // namespace

bool is_gif(Bytes bytes) {
  constexpr std::string_view mark = "GIF8";
  return bytes.size() >= mark.size() && std::equal(mark.begin(), mark.end(), bytes.begin());
}

Result<Picture> read_gif(Bytes bytes, int64_t most_pixels) {
  Reader reader(bytes);
  const auto screen = reader.take(13);
  if (!screen || !is_gif(*screen)) return damaged("it ends within its header");
  Palette palette;
  for (size_t i = 0; i < palette.size(); ++i) palette[i].fill(static_cast<uint8_t>(i));
  SACCADE_CHECK(read_palette(reader, (*screen)[10], palette));
  SACCADE_TRY(const Frame frame, read_frame(reader, palette));
  if (frame.width == 0 || frame.height == 0) return damaged("its first picture is empty");
  const int32_t width = std::max(little_endian(screen->subspan(6, 2)), frame.left + frame.width),
                height = std::max(little_endian(screen->subspan(8, 2)), frame.top + frame.height);
  if (int64_t{width} * height > most_pixels)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} x {} pixels: at most {} pixels are read", width, height, most_pixels));
  const auto colour_bits = reader.byte();
  if (!colour_bits || *colour_bits < 1 || *colour_bits > 8) return damaged("its colours have no width");
  const auto n = static_cast<size_t>(frame.width) * static_cast<size_t>(frame.height);
  const std::vector<uint8_t> numbers = decompress(reader.blocks(), *colour_bits, n);
  if (numbers.size() < n) return damaged("its first picture is cut short");
  return paint(frame, numbers, palette, width, height);
}

}  // namespace saccade
