#include "core/model/gguf_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/model/byte_reader.h"

namespace saccade {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint32_t magic = 0x46554747;  // "GGUF"
constexpr uint64_t default_alignment = 32;

Error bad(const std::string& what) { return make_error(ErrorCode::bad_format, "GGUF: " + what); }
Error unsupported(const std::string& what) { return make_error(ErrorCode::unsupported, "GGUF: " + what); }

// The format's numbers for value types.
enum class Type : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };
constexpr uint64_t least_bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

constexpr uint32_t swapped(uint32_t v) {
  return v >> 24 | (v >> 8 & 0xff00U) | (v << 8 & 0xff0000U) | v << 24;
}

Result<DType> dtype_of(uint32_t number, std::string_view tensor) {
  static const std::map<uint32_t, DType> types{
      {0, DType::f32},   {1, DType::f16},   {2, DType::q4_0},  {3, DType::q4_1},  {6, DType::q5_0},
      {7, DType::q5_1},  {8, DType::q8_0},  {10, DType::q2_k}, {11, DType::q3_k}, {12, DType::q4_k},
      {13, DType::q5_k}, {14, DType::q6_k}, {24, DType::i8},   {25, DType::i16},  {26, DType::i32},
      {27, DType::i64},  {28, DType::f64},  {30, DType::bf16}};
  const auto found = types.find(number);
  if (found != types.end()) return found->second;
  return unsupported(
      fmt::format("tensor '{}': type {} is not read; F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1 "
                  "and Q2_K to Q6_K are",
                  tensor, number));
}

class Reader {
 public:
  explicit Reader(Bytes file) : file_(file), reader_(file) {}

  Result<GgufFile> read() {
    reader_.skip(4);
    const auto version = reader_.number<uint32_t>();
    if (swapped(version) == 2 || swapped(version) == 3)
      return unsupported("the file is big-endian, which is not read");
    if (version != 2 && version != 3)
      return unsupported(fmt::format("expected version 2 or 3, found {}", version));
    const auto n_tensor = reader_.number<uint64_t>();
    const auto n_value = reader_.number<uint64_t>();
    SACCADE_CHECK(check_room(n_value, 8 + 4 + 1, "metadata values"));
    for (uint64_t i = 0; i < n_value; ++i) SACCADE_CHECK(read_entry());
    SACCADE_CHECK(check_room(n_tensor, 8 + 4 + 4 + 8, "tensors"));
    SACCADE_CHECK(read_tensors(n_tensor));
    return std::move(gguf_);
  }

 private:
  [[nodiscard]] Error truncated(const std::string& what) const {
    return bad(fmt::format("{} goes beyond the end of the file, at byte {}: truncated", what, reader_.at()));
  }
  [[nodiscard]] Result<void> check_room(uint64_t count, uint64_t bytes_each, const std::string& what) const {
    if (!reader_.failed() && count <= reader_.left() / bytes_each) return {};
    return bad(
        fmt::format("{} {} do not fit the {} bytes that are left: truncated", count, what, reader_.left()));
  }
  Result<std::string_view> read_text(const std::string& what) {
    const auto length = reader_.number<uint64_t>();
    const std::string_view text = reader_.text(length);
    if (reader_.failed()) return truncated(what);
    return text;
  }

  Result<void> read_entry() {
    SACCADE_TRY(const std::string_view key, read_text("the name of a metadata value"));
    const auto type = reader_.number<uint32_t>();
    if (type > static_cast<uint32_t>(Type::f64))
      return bad(fmt::format("'{}': expected a type from 0 to 12, found {}", key, type));
    SACCADE_TRY(GgufValue value, read_value(static_cast<Type>(type), std::string(key)));
    if (reader_.failed()) return truncated(fmt::format("'{}'", key));
    if (!gguf_.metadata.emplace(key, std::move(value)).second)
      return bad(fmt::format("'{}' is there twice", key));
    return {};
  }

  int64_t read_integer(Type type) {
    switch (type) {
      case Type::u8:
        return reader_.number<uint8_t>();
      case Type::i8:
        return reader_.number<int8_t>();
      case Type::u16:
        return reader_.number<uint16_t>();
      case Type::i16:
        return reader_.number<int16_t>();
      case Type::u32:
        return reader_.number<uint32_t>();
      case Type::i32:
        return reader_.number<int32_t>();
      case Type::boolean:
        return reader_.number<uint8_t>() != 0 ? 1 : 0;
      case Type::u64:
      case Type::i64:
        return reader_.number<int64_t>();
      case Type::f32:
      case Type::f64:
      case Type::text:
      case Type::array:
        break;
    }
    return 0;
  }
  static bool is_real(Type type) { return type == Type::f32 || type == Type::f64; }
  double read_real(Type type) {
    return type == Type::f32 ? static_cast<double>(reader_.number<float>()) : reader_.number<double>();
  }

  Result<GgufValue> read_value(Type type, const std::string& key) {
    if (type == Type::array) return read_array(key);
    if (type == Type::text) {
      SACCADE_TRY(const std::string_view text, read_text("'" + key + "'"));
      return GgufValue(text);
    }
    if (is_real(type)) return GgufValue(read_real(type));
    const int64_t integer = read_integer(type);
    return type == Type::boolean ? GgufValue(integer != 0) : GgufValue(integer);
  }

  Result<GgufValue> read_array(const std::string& key) {
    const auto number = reader_.number<uint32_t>();
    const auto count = reader_.number<uint64_t>();
    if (number > static_cast<uint32_t>(Type::f64) || number == static_cast<uint32_t>(Type::array))
      return unsupported(fmt::format("'{}': an array of type {} is not read", key, number));
    const auto type = static_cast<Type>(number);
    SACCADE_CHECK(check_room(count, least_bytes[number], "items of '" + key + "'"));
    const auto n = static_cast<size_t>(count);
    if (type == Type::text) {
      std::vector<std::string_view> texts(n);
      for (std::string_view& text : texts) {
        SACCADE_TRY(text, read_text("'" + key + "'"));
      }
      return GgufValue(std::move(texts));
    }
    if (is_real(type)) {
      std::vector<double> reals(n);
      for (double& real : reals) real = read_real(type);
      return GgufValue(std::move(reals));
    }
    std::vector<int64_t> integers(n);
    for (int64_t& integer : integers) integer = read_integer(type);
    return GgufValue(std::move(integers));
  }

  struct Place {
    uint64_t begin = 0, end = 0;
  };

  // Name, extents (innermost first), type, offset into the data.
  Result<Place> read_tensor(TensorView& tensor) {
    SACCADE_TRY(const std::string_view name, read_text("the name of a tensor"));
    tensor.name = name;
    const auto rank = reader_.number<uint32_t>();
    if (rank > 4) return bad(fmt::format("tensor '{}': expected at most 4 dimensions, found {}", name, rank));
    constexpr int64_t most = int64_t{1} << 40;
    int64_t count = 1;
    for (uint32_t i = 0; i < rank; ++i) {
      const auto extent = reader_.number<uint64_t>();
      if (extent > static_cast<uint64_t>(most) || (extent > 0 && count > most / static_cast<int64_t>(extent)))
        return bad(fmt::format("tensor '{}': its shape is larger than any file", name));
      count *= std::max<int64_t>(static_cast<int64_t>(extent), 1);
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(extent));
    }
    SACCADE_TRY(tensor.dtype, dtype_of(reader_.number<uint32_t>(), name));
    const auto offset = reader_.number<uint64_t>();
    if (reader_.failed()) return truncated(fmt::format("tensor '{}'", name));
    if (const int64_t block = block_of(tensor.dtype).numbers;
        block > 1 && (tensor.shape.empty() || tensor.shape.back() % block != 0))
      return bad(fmt::format("tensor '{}': rows of {} numbers are no whole blocks of {}", name,
                             tensor.shape.empty() ? 1 : tensor.shape.back(), block));
    const auto size = static_cast<uint64_t>(tensor.bytes());
    if (offset > file_.size() || size > file_.size() - offset)
      return bad(fmt::format("tensor '{}': {} bytes at {} go beyond the end of the file: truncated", name,
                             size, offset));
    return Place{offset, offset + size};
  }

  Result<void> read_tensors(uint64_t count) {
    std::vector<Place> places;
    std::set<std::string_view> names;
    gguf_.tensors.resize(static_cast<size_t>(count));
    for (TensorView& tensor : gguf_.tensors) {
      SACCADE_TRY(const Place place, read_tensor(tensor));
      places.push_back(place);
      if (!names.insert(tensor.name).second)
        return bad(fmt::format("two tensors are called '{}'", tensor.name));
    }
    const int64_t alignment =
        gguf_.integer("general.alignment").value_or(static_cast<int64_t>(default_alignment));
    if (alignment < 1 || alignment > 1 << 20 || (alignment & (alignment - 1)) != 0)
      return bad(fmt::format("'general.alignment': expected a power of two, found {}", alignment));
    const auto step = static_cast<uint64_t>(alignment);
    const uint64_t start = (reader_.at() + step - 1) / step * step;
    gguf_.header = file_.first(static_cast<size_t>(reader_.at()));
    if (start > file_.size() && count > 0) return truncated("the numbers");
    const Bytes data = file_.subspan(static_cast<size_t>(std::min<uint64_t>(start, file_.size())));
    for (size_t i = 0; i < places.size(); ++i) {
      if (places[i].end > data.size())
        return bad(fmt::format("tensor '{}' ends {} bytes after the end of the file: truncated",
                               gguf_.tensors[i].name, places[i].end - data.size()));
      gguf_.tensors[i].data = data.data() + places[i].begin;
    }
    return check_overlap(places);
  }

  [[nodiscard]] Result<void> check_overlap(const std::vector<Place>& places) const {
    std::vector<size_t> order(places.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return places[a].begin < places[b].begin; });
    uint64_t end = 0;
    for (size_t n = 0; n < order.size(); ++n) {
      const Place& place = places[order[n]];
      if (place.end > place.begin && place.begin < end)
        return bad(fmt::format("tensor '{}' overlaps '{}'", gguf_.tensors[order[n]].name,
                               gguf_.tensors[order[n - 1]].name));
      end = std::max(end, place.end);
    }
    return {};
  }

  Bytes file_;
  ByteReader reader_;
  GgufFile gguf_;
};

template <class Value>
const Value* value_of(const GgufFile& file, std::string_view key) {
  const auto found = file.metadata.find(key);
  return found == file.metadata.end() ? nullptr : std::get_if<Value>(&found->second);
}

}  // namespace

std::optional<std::string_view> GgufFile::text(std::string_view key) const {
  const auto* value = value_of<std::string_view>(*this, key);
  return value ? std::optional(*value) : std::nullopt;
}
std::optional<int64_t> GgufFile::integer(std::string_view key) const {
  const auto* value = value_of<int64_t>(*this, key);
  return value ? std::optional(*value) : std::nullopt;
}
std::optional<double> GgufFile::number(std::string_view key) const {
  if (const auto* value = value_of<double>(*this, key)) return *value;
  const auto whole = integer(key);
  return whole ? std::optional(static_cast<double>(*whole)) : std::nullopt;
}
std::optional<bool> GgufFile::flag(std::string_view key) const {
  const auto* value = value_of<bool>(*this, key);
  return value ? std::optional(*value) : std::nullopt;
}
const std::vector<std::string_view>* GgufFile::texts(std::string_view key) const {
  return value_of<std::vector<std::string_view>>(*this, key);
}
const std::vector<int64_t>* GgufFile::integers(std::string_view key) const {
  return value_of<std::vector<int64_t>>(*this, key);
}
const std::vector<double>* GgufFile::numbers(std::string_view key) const {
  return value_of<std::vector<double>>(*this, key);
}

bool is_gguf(Bytes file) { return file.size() >= 8 && ByteReader(file).number<uint32_t>() == magic; }

Result<GgufFile> read_gguf(Bytes file) { return Reader(file).read(); }

}  // namespace saccade
