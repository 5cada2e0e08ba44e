#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "analysis/images/animation.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr int most_colours = 256;
using Colour = std::array<uint8_t, 3>;

size_t bin_of(const uint8_t* rgb) {
  return (size_t{rgb[0]} >> 3) << 10 | (size_t{rgb[1]} >> 3) << 5 | size_t{rgb[2]} >> 3;
}

// How often each colour of 5 bits a channel occurs, and the mean of the true ones in it.
struct Histogram {
  struct Bin {
    int64_t count = 0;
    std::array<int64_t, 3> sum{};
  };
  std::vector<Bin> bins = std::vector<Bin>(size_t{1} << 15);
  void add(const Picture& picture) {
    for (size_t i = 0; i + 2 < picture.rgb.size(); i += 3) {
      Bin& bin = bins[bin_of(picture.rgb.data() + i)];
      ++bin.count;
      for (size_t c = 0; c < 3; ++c) bin.sum[c] += picture.rgb[i + c];
    }
  }
};

struct Box {
  std::vector<uint16_t> bins;
  int64_t count = 0;
  int longest_axis = 0, length = 0;
};

int channel_of(uint16_t bin, int axis) { return bin >> (10 - 5 * axis) & 31; }

void measure(Box& box, const Histogram& histogram) {
  box.count = 0;
  for (const uint16_t bin : box.bins) box.count += histogram.bins[bin].count;
  box.length = -1;
  for (int axis = 0; axis < 3; ++axis) {
    const auto [low, high] = std::minmax_element(
        box.bins.begin(), box.bins.end(),
        [axis](uint16_t a, uint16_t b) { return channel_of(a, axis) < channel_of(b, axis); });
    const int length = channel_of(*high, axis) - channel_of(*low, axis);
    if (length > box.length) {
      box.length = length;
      box.longest_axis = axis;
    }
  }
}

Box split(Box& box, const Histogram& histogram) {
  std::sort(box.bins.begin(), box.bins.end(), [axis = box.longest_axis](uint16_t a, uint16_t b) {
    return std::pair(channel_of(a, axis), a) < std::pair(channel_of(b, axis), b);
  });
  int64_t before = 0;
  size_t cut = 0;
  while (cut + 1 < box.bins.size() && (cut == 0 || before * 2 < box.count))
    before += histogram.bins[box.bins[cut++]].count;
  Box upper;
  upper.bins.assign(box.bins.begin() + static_cast<std::ptrdiff_t>(cut), box.bins.end());
  box.bins.resize(cut);
  measure(box, histogram);
  measure(upper, histogram);
  return upper;
}

std::vector<Colour> choose_colours(const Histogram& histogram) {
  std::vector<Box> boxes(1);
  for (size_t bin = 0; bin < histogram.bins.size(); ++bin)
    if (histogram.bins[bin].count > 0) boxes[0].bins.push_back(static_cast<uint16_t>(bin));
  if (boxes[0].bins.empty()) return {Colour{}};
  measure(boxes[0], histogram);
  while (boxes.size() < most_colours) {
    // Rare colours matter too (a thin line, a disc): the root of the count, times the length.
    const auto worth = [](const Box& box) {
      return box.bins.size() < 2 ? -1.0 : std::sqrt(static_cast<double>(box.count)) * box.length;
    };
    const auto next = std::max_element(boxes.begin(), boxes.end(),
                                       [&](const Box& a, const Box& b) { return worth(a) < worth(b); });
    if (worth(*next) < 0.0) break;
    Box upper = split(*next, histogram);
    boxes.push_back(std::move(upper));
  }
  std::vector<Colour> colours;
  for (const Box& box : boxes) {
    std::array<int64_t, 3> sum{};
    for (const uint16_t bin : box.bins)
      for (size_t c = 0; c < 3; ++c) sum[c] += histogram.bins[bin].sum[c];
    const auto mean = [&](size_t c) { return static_cast<uint8_t>((sum[c] + box.count / 2) / box.count); };
    colours.push_back({mean(0), mean(1), mean(2)});
  }
  return colours;
}

// The nearest colour of the table, remembered per 15-bit colour.
class Nearest {
 public:
  explicit Nearest(std::vector<Colour> colours) : colours_(std::move(colours)), known_(size_t{1} << 15, -1) {}
  uint8_t of(const uint8_t* rgb) {
    int16_t& known = known_[bin_of(rgb)];
    if (known < 0) known = static_cast<int16_t>(search(rgb));
    return static_cast<uint8_t>(known);
  }
  [[nodiscard]] const std::vector<Colour>& colours() const { return colours_; }

 private:
  [[nodiscard]] size_t search(const uint8_t* rgb) const {
    size_t best = 0;
    int least = 1 << 30;
    for (size_t i = 0; i < colours_.size(); ++i) {
      int distance = 0;
      for (size_t c = 0; c < 3; ++c) {
        const int difference = int{rgb[c]} - int{colours_[i][c]};
        distance += difference * difference;
      }
      if (distance < least) {
        least = distance;
        best = i;
      }
    }
    return best;
  }
  std::vector<Colour> colours_;
  std::vector<int16_t> known_;
};

void put_short(std::string& out, int value) {
  out += static_cast<char>(value & 0xFF);
  out += static_cast<char>(value >> 8 & 0xFF);
}

// Codes of growing width, packed from the low bits, in sub-blocks of at most 255 bytes.
class CodeWriter {
 public:
  explicit CodeWriter(std::string& out) : out_(&out) {}
  void put(uint32_t code, int bits) {
    buffer_ |= code << held_;
    held_ += bits;
    for (; held_ >= 8; held_ -= 8, buffer_ >>= 8) byte(static_cast<char>(buffer_ & 0xFF));
  }
  void finish() {
    if (held_ > 0) byte(static_cast<char>(buffer_ & 0xFF));
    flush();
    *out_ += '\0';
  }

 private:
  void byte(char value) {
    block_ += value;
    if (block_.size() == 255) flush();
  }
  void flush() {
    if (block_.empty()) return;
    *out_ += static_cast<char>(block_.size());
    *out_ += block_;
    block_.clear();
  }
  std::string* out_;
  std::string block_;
  uint32_t buffer_ = 0;
  int held_ = 0;
};

void compress(std::span<const uint8_t> numbers, std::string& out) {
  constexpr int colour_bits = 8;
  constexpr uint32_t clear = 1U << colour_bits, end = clear + 1, most_codes = 4096;
  out += static_cast<char>(colour_bits);
  CodeWriter codes(out);
  std::unordered_map<uint32_t, uint32_t> table;
  uint32_t next = end + 1;
  int bits = colour_bits + 1;
  codes.put(clear, bits);
  uint32_t string = numbers[0];
  for (const uint8_t number : numbers.subspan(1)) {
    const uint32_t key = string << 8 | number;
    if (const auto longer = table.find(key); longer != table.end()) {
      string = longer->second;
      continue;
    }
    codes.put(string, bits);
    if (next == most_codes) {
      codes.put(clear, bits);
      table.clear();
      next = end + 1;
      bits = colour_bits + 1;
    } else {
      table.emplace(key, next);
      if (next == 1U << bits) ++bits;
      ++next;
    }
    string = number;
  }
  codes.put(string, bits);
  codes.put(end, bits);
  codes.finish();
}

struct Area {
  int32_t left = 0, top = 0, right = 0, bottom = 0;  // half open
};

// The rectangle in which two frames differ; one pixel where they do not.
Area changed(const std::vector<uint8_t>& before, const std::vector<uint8_t>& now, int32_t width,
             int32_t height) {
  if (before.empty()) return {0, 0, width, height};
  Area area{width, height, 0, 0};
  for (int32_t y = 0; y < height; ++y)
    for (int32_t x = 0; x < width; ++x) {
      const auto at = static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x);
      if (before[at] == now[at]) continue;
      area = {std::min(area.left, x), std::min(area.top, y), std::max(area.right, x + 1),
              std::max(area.bottom, y + 1)};
    }
  return area.right > area.left ? area : Area{0, 0, 1, 1};
}

void put_frame(std::string& out, const std::vector<uint8_t>& numbers, int32_t width, const Area& area,
               int delay) {
  out += "!\xF9\x04";
  out += '\x04';  // leave it in place
  put_short(out, delay);
  out += std::string(2, '\0');
  out += ',';
  for (const int32_t value : {area.left, area.top, area.right - area.left, area.bottom - area.top})
    put_short(out, value);
  out += '\0';
  std::vector<uint8_t> part;
  for (int32_t y = area.top; y < area.bottom; ++y) {
    const auto row = numbers.begin() + static_cast<std::ptrdiff_t>(y) * width;
    part.insert(part.end(), row + area.left, row + area.right);
  }
  compress(part, out);
}

}  // namespace

Result<void> check_animation(const Animation& animation) {
  constexpr int32_t longest = 16384;
  if (animation.count < 1 || !animation.frame)
    return make_error(ErrorCode::invalid_argument, "an animation without a frame");
  if (animation.width < 2 || animation.height < 2 || animation.width > longest || animation.height > longest)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("an animation of {} x {} pixels; expected sides of 2 to {}",
                                  animation.width, animation.height, longest));
  if (!(animation.frames_per_second >= 0.1 && animation.frames_per_second <= 100.0))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} frames per second; expected 0.1 to 100", animation.frames_per_second));
  return {};
}

Result<Picture> frame_of(const Animation& animation, int64_t index) {
  Picture frame = animation.frame(index);
  if (frame.width != animation.width || frame.height != animation.height)
    return make_error(ErrorCode::internal,
                      fmt::format("frame {} has {} x {} pixels, the animation {} x {}", index, frame.width,
                                  frame.height, animation.width, animation.height));
  return frame;
}

Result<std::string> gif_of(const Animation& animation, const JobContext& job) {
  SACCADE_CHECK(check_animation(animation));
  Histogram histogram;
  for (const int64_t sample : {int64_t{0}, animation.count / 2, animation.count - 1}) {
    SACCADE_TRY(const Picture frame, frame_of(animation, sample));
    histogram.add(frame);
  }
  Nearest nearest(choose_colours(histogram));
  std::string out = "GIF89a";
  put_short(out, animation.width);
  put_short(out, animation.height);
  out += static_cast<char>(0xF7);  // a table of 256 colours for all
  out += std::string(2, '\0');
  for (size_t i = 0; i < most_colours; ++i)
    for (size_t c = 0; c < 3; ++c)
      out += i < nearest.colours().size() ? static_cast<char>(nearest.colours()[i][c]) : '\0';
  out += "!\xFF\x0BNETSCAPE2.0\x03\x01";
  out += std::string(3, '\0');  // forever
  const int delay = std::max(2, static_cast<int>(std::lround(100.0 / animation.frames_per_second)));
  std::vector<uint8_t> before;
  for (int64_t i = 0; i < animation.count; ++i) {
    SACCADE_CHECK(job.check());
    job.progress(static_cast<double>(i) / static_cast<double>(animation.count), "drawing frames");
    SACCADE_TRY(const Picture frame, frame_of(animation, i));
    std::vector<uint8_t> numbers(frame.rgb.size() / 3);
    for (size_t p = 0; p < numbers.size(); ++p) numbers[p] = nearest.of(frame.rgb.data() + 3 * p);
    put_frame(out, numbers, animation.width, changed(before, numbers, animation.width, animation.height),
              delay);
    before = std::move(numbers);
  }
  out += ';';
  return out;
}

Result<void> write_gif(const Animation& animation, const std::filesystem::path& path, const JobContext& job) {
  SACCADE_TRY(const std::string bytes, gif_of(animation, job));
  return write_text_file(path, bytes);
}

}  // namespace saccade
