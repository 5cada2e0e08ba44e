#include "core/model/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/digest.h"

namespace saccade {

int64_t width_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
    case DType::i16:
      return 2;
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      return 1;
  }
  return 0;
}

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "float32";
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    case DType::f64:
      return "float64";
    case DType::i64:
      return "int64";
    case DType::i32:
      return "int32";
    case DType::i16:
      return "int16";
    case DType::i8:
      return "int8";
    case DType::u8:
      return "uint8";
    case DType::boolean:
      return "bool";
  }
  return "";
}

int64_t TensorView::elements() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

namespace {

using Json = nlohmann::json;
constexpr uint64_t header_limit = 100'000'000;  // the format's own

struct Located {
  TensorView tensor;
  uint64_t begin = 0, end = 0;  // in the data section
};

const std::map<std::string, DType, std::less<>>& dtype_names() {
  static const std::map<std::string, DType, std::less<>> names{
      {"F32", DType::f32}, {"F16", DType::f16},     {"BF16", DType::bf16}, {"F64", DType::f64},
      {"I64", DType::i64}, {"I32", DType::i32},     {"I16", DType::i16},   {"I8", DType::i8},
      {"U8", DType::u8},   {"BOOL", DType::boolean}};
  return names;
}

// One safetensors file: 8 bytes little-endian header length, JSON header, data.
class Reader {
 public:
  explicit Reader(const MappedFile& file) : file_(file), bytes_(file.bytes()) {}

  Result<std::vector<TensorView>> read() {
    SACCADE_TRY(const Json header, read_header());
    std::vector<Located> located;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") continue;
      SACCADE_TRY(Located tensor, read_entry(name, entry));
      located.push_back(std::move(tensor));
    }
    SACCADE_CHECK(check_layout(located));
    std::vector<TensorView> tensors;
    for (Located& item : located) tensors.push_back(std::move(item.tensor));
    return tensors;
  }
  [[nodiscard]] std::span<const std::byte> header_bytes() const { return bytes_.subspan(0, data_at_); }

 private:
  [[nodiscard]] Error bad(const std::string& what) const {
    return make_error(ErrorCode::bad_format, fmt::format("{}: {}", file_.path().string(), what));
  }

  Result<Json> read_header() {
    if (bytes_.size() < 8)
      return bad(fmt::format("expected a safetensors file, found {} bytes, too few for its header length",
                             bytes_.size()));
    uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), sizeof length);
    if (length > header_limit)
      return bad(
          fmt::format("the header says it is {} bytes long, at most {} are allowed", length, header_limit));
    if (length > bytes_.size() - 8)
      return bad(
          fmt::format("the header says it is {} bytes long, the file has {} after the length: truncated",
                      length, bytes_.size() - 8));
    data_at_ = 8 + length;
    const auto* text = reinterpret_cast<const char*>(bytes_.data() + 8);
    std::vector<std::set<std::string>> keys;
    std::string duplicate;
    bool too_deep = false;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
      if (depth > 8) too_deep = true;
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
        duplicate = parsed.get<std::string>();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      return !too_deep;
    };
    Json header = Json::parse(text, text + length, watch, false);
    if (too_deep) return bad("the header's JSON is nested too deep");
    if (header.is_discarded() || !header.is_object()) return bad("the header is not a JSON object");
    if (!duplicate.empty()) return bad(fmt::format("tensor '{}' is listed twice", duplicate));
    return header;
  }

  Result<Located> read_entry(const std::string& name, const Json& entry) const {
    const auto wrong = [&](const std::string& what) {
      return bad(fmt::format("tensor '{}': {}", name, what));
    };
    if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets"))
      return wrong("expected dtype, shape and data_offsets");
    const Json &dtype = entry["dtype"], &shape = entry["shape"], &offsets = entry["data_offsets"];
    Located located;
    located.tensor.name = name;
    const auto known = dtype.is_string() ? dtype_names().find(dtype.get<std::string>()) : dtype_names().end();
    if (known == dtype_names().end()) return wrong("unknown dtype " + dtype.dump());
    located.tensor.dtype = known->second;
    if (!shape.is_array() || shape.size() > 8)
      return wrong("expected a shape of at most 8 numbers, found " + shape.dump());
    const uint64_t room = bytes_.size() - data_at_;
    uint64_t size = static_cast<uint64_t>(width_of(known->second));
    bool overflow = false, empty = false;
    for (const Json& extent : shape) {
      if (!extent.is_number_unsigned())
        return wrong("expected whole numbers in the shape, found " + shape.dump());
      const auto value = extent.get<uint64_t>();
      empty = empty || value == 0;
      overflow = overflow || value > (uint64_t{1} << 48) ||
                 __builtin_mul_overflow(size, std::max<uint64_t>(value, 1), &size);
      located.tensor.shape.push_back(static_cast<int64_t>(std::min<uint64_t>(value, uint64_t{1} << 48)));
    }
    if (empty) size = 0;
    if (overflow && !empty) return wrong("the shape " + shape.dump() + " is larger than any file");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
      return wrong("expected two data_offsets, found " + offsets.dump());
    located.begin = offsets[0].get<uint64_t>();
    located.end = offsets[1].get<uint64_t>();
    if (located.begin > located.end || located.end > room)
      return wrong(fmt::format("its bytes {}-{} lie outside the file's {} bytes of data", located.begin,
                               located.end, room));
    if (located.end - located.begin != size)
      return wrong(fmt::format("shape {} of {} needs {} bytes, its offsets hold {}", shape.dump(),
                               to_string(known->second), size, located.end - located.begin));
    located.tensor.data = bytes_.data() + data_at_ + located.begin;
    if (reinterpret_cast<uintptr_t>(located.tensor.data) % static_cast<uint64_t>(width_of(known->second)) !=
        0)
      return wrong(fmt::format("its data begin at byte {}, not a multiple of its {}-byte numbers",
                               data_at_ + located.begin, width_of(known->second)));
    return located;
  }

  // The format allows neither overlaps nor holes.
  [[nodiscard]] Result<void> check_layout(std::vector<Located>& located) const {
    std::sort(located.begin(), located.end(), [](const Located& a, const Located& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    uint64_t at = 0;
    for (const Located& item : located) {
      if (item.begin != at)
        return bad(fmt::format("tensor '{}' begins at byte {} of the data, expected {}: {}", item.tensor.name,
                               item.begin, at,
                               item.begin < at ? "it overlaps another" : "there is a hole before it"));
      at = item.end;
    }
    if (const uint64_t room = bytes_.size() - data_at_; at != room)
      return bad(fmt::format("the tensors end at byte {} of the data, the file has {}", at, room));
    return {};
  }

  const MappedFile& file_;
  std::span<const std::byte> bytes_;
  size_t data_at_ = 8;
};

Result<std::vector<std::filesystem::path>> shards_of(const std::filesystem::path& folder, const Json& index,
                                                     std::map<std::string, std::string>& file_of) {
  const std::string name = (folder / "model.safetensors.index.json").string();
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    return make_error(ErrorCode::bad_format,
                      name + ": expected an object 'weight_map' from tensors to files");
  std::set<std::string> files;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    if (!file.is_string())
      return make_error(ErrorCode::bad_format,
                        fmt::format("{}: the file of '{}' is no string", name, tensor));
    const auto shard = file.get<std::string>();
    if (shard.empty() || shard.find('/') != std::string::npos || shard.find('\\') != std::string::npos ||
        shard == "..")
      return make_error(ErrorCode::bad_format,
                        fmt::format("{}: '{}' is not a file of this folder", name, shard));
    files.insert(shard);
    file_of[tensor] = shard;
  }
  std::vector<std::filesystem::path> paths;
  for (const std::string& file : files) paths.push_back(folder / file);
  return paths;
}

void add_samples(Digest& digest, const std::map<std::string, TensorView, std::less<>>& tensors) {
  constexpr int64_t sample = 4096;
  constexpr size_t most = 16;
  std::vector<const TensorView*> largest;
  for (const auto& [name, tensor] : tensors) largest.push_back(&tensor);
  std::stable_sort(largest.begin(), largest.end(),
                   [](const TensorView* a, const TensorView* b) { return a->bytes() > b->bytes(); });
  largest.resize(std::min(largest.size(), most));
  for (const TensorView* tensor : largest)
    digest.add(std::span(tensor->data, static_cast<size_t>(std::min(sample, tensor->bytes()))));
}

}  // namespace

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

Result<std::shared_ptr<const Checkpoint>> Checkpoint::open(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files{path};
  std::map<std::string, std::string> file_of;
  if (std::filesystem::is_directory(path)) {
    files = {path / "model.safetensors"};
    if (!std::filesystem::exists(files[0])) {
      if (!std::filesystem::exists(path / "model.safetensors.index.json"))
        return make_error(
            ErrorCode::not_found,
            fmt::format("{}: expected model.safetensors or model.safetensors.index.json, found neither",
                        path.string()));
      SACCADE_TRY(const std::string text, read_text_file(path / "model.safetensors.index.json"));
      SACCADE_TRY(files, shards_of(path, Json::parse(text, nullptr, false), file_of));
    }
  }
  auto checkpoint = std::make_shared<Checkpoint>();
  Digest digest;
  for (const std::filesystem::path& file : files) {
    SACCADE_TRY(auto mapped, MappedFile::open(file));
    Reader reader(*mapped);
    SACCADE_TRY(std::vector<TensorView> tensors, reader.read());
    for (TensorView& tensor : tensors) {
      const std::string name = tensor.name;
      if (!checkpoint->tensors_.emplace(name, std::move(tensor)).second)
        return make_error(ErrorCode::bad_format,
                          fmt::format("{}: tensor '{}' is in another shard, too", file.string(), name));
      if (const auto listed = file_of.find(name);
          listed != file_of.end() && listed->second == file.filename())
        file_of.erase(listed);
    }
    digest.add(reader.header_bytes());
    checkpoint->file_bytes_ += static_cast<int64_t>(mapped->bytes().size());
    checkpoint->files_.push_back(std::move(mapped));
  }
  if (!file_of.empty())
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: the index says tensor '{}' is in {}, it is not there",
                                  (path / "model.safetensors.index.json").string(), file_of.begin()->first,
                                  file_of.begin()->second));
  add_samples(digest, checkpoint->tensors_);
  checkpoint->digest_ = digest.hex();
  return std::shared_ptr<const Checkpoint>(std::move(checkpoint));
}

}  // namespace saccade
