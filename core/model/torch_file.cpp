#include "core/model/torch_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/base/memory.h"
#include "core/model/byte_reader.h"
#include "core/model/pickle_reader.h"
#include "core/model/torch_archive.h"

namespace saccade {
namespace {

using Bytes = std::span<const std::byte>;
using Storages = std::map<std::string, Bytes, std::less<>>;

constexpr std::string_view legacy_magic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

Error bad(const std::string& what) { return make_error(ErrorCode::bad_format, what); }

// The dictionary that holds the tensors.
Result<int64_t> state_dict_of(const Pickle& pickle, PickleRef root, int depth = 0) {
  const PickleValue& value = pickle.at(root);
  if (value.kind != PickleKind::dict) return bad("expected a dictionary of tensors, found something else");
  const auto& items = pickle.dicts[static_cast<size_t>(value.integer)];
  const bool has_tensors = std::any_of(items.begin(), items.end(), [&](const auto& item) {
    return pickle.at(item.second).kind == PickleKind::tensor;
  });
  if (has_tensors) return value.integer;
  constexpr int most_wrappers = 3;
  if (depth < most_wrappers)
    for (const std::string_view wrapper : {"state_dict", "model_state_dict", "model", "module"})
      for (const auto& [key, inner] : items)
        if (pickle.at(key).text == wrapper && pickle.at(inner).kind == PickleKind::dict)
          return state_dict_of(pickle, inner, depth + 1);
  return bad(
      "the dictionary holds no tensors, and none under 'state_dict', 'model_state_dict', 'model' or "
      "'module'");
}

// One past the last element that the tensor touches; nothing when that overflows.
std::optional<uint64_t> reach_of(const PickleTensor& tensor) {
  constexpr int64_t most = int64_t{1} << 48;
  int64_t last = tensor.offset, count = 1;
  if (last > most) return std::nullopt;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] == 0) return 0;
    if (tensor.shape[i] > most / count) return std::nullopt;
    count *= tensor.shape[i];
    if (tensor.stride[i] != 0 && tensor.shape[i] - 1 > (most - last) / tensor.stride[i]) return std::nullopt;
    last += (tensor.shape[i] - 1) * tensor.stride[i];
  }
  return static_cast<uint64_t>(last) + 1;
}

bool is_contiguous(const PickleTensor& tensor) {
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0; expected *= tensor.shape[i])
    if (tensor.shape[i] != 1 && tensor.stride[i] != expected) return false;
  return true;
}

// Copies a tensor with any strides into row-major order.
void gather(const std::byte* from, const PickleTensor& tensor, size_t width, std::byte* to) {
  std::vector<int64_t> index(tensor.shape.size(), 0);
  for (;;) {
    int64_t at = 0;
    for (size_t i = 0; i < index.size(); ++i) at += index[i] * tensor.stride[i];
    std::memcpy(to, from + static_cast<size_t>(at) * width, width);
    to += width;
    size_t axis = index.size();
    while (axis > 0 && ++index[axis - 1] == tensor.shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

Result<TensorView> view_of(const Pickle& pickle, const std::string& name, const PickleTensor& tensor,
                           const Storages& storages, TorchContents& contents) {
  const PickleStorage& storage = pickle.storages[static_cast<size_t>(tensor.storage)];
  const auto found = storages.find(storage.key);
  if (found == storages.end())
    return bad(fmt::format("tensor '{}': its storage '{}' is missing", name, storage.key));
  const auto width = static_cast<uint64_t>(width_of(storage.dtype));
  if (found->second.size() / width < static_cast<uint64_t>(storage.numel))
    return bad(fmt::format("tensor '{}': storage '{}' should hold {} numbers of {} bytes, it has {} bytes",
                           name, storage.key, storage.numel, width, found->second.size()));
  const std::optional<uint64_t> reach = reach_of(tensor);
  if (!reach || *reach > static_cast<uint64_t>(storage.numel))
    return bad(fmt::format("tensor '{}': shape [{}] from {} on does not fit its storage of {} numbers", name,
                           fmt::join(tensor.shape, ", "), tensor.offset, storage.numel));
  TensorView view{name, storage.dtype, tensor.shape,
                  found->second.data() + (*reach == 0 ? 0 : static_cast<uint64_t>(tensor.offset) * width)};
  if (*reach == 0 || is_contiguous(tensor)) return view;
  if (view.bytes() > available_bytes())
    return make_error(ErrorCode::out_of_memory,
                      fmt::format("tensor '{}' is not contiguous and must be copied: {}, {} are free", name,
                                  format_bytes(view.bytes()), format_bytes(available_bytes())));
  std::shared_ptr<std::byte[]> copy(new std::byte[static_cast<size_t>(view.bytes())]);
  gather(view.data, tensor, static_cast<size_t>(width), copy.get());
  view.data = copy.get();
  contents.copies.push_back(std::move(copy));
  return view;
}

Result<TorchContents> tensors_of(const Pickle& pickle, const Storages& storages) {
  TorchContents contents;
  SACCADE_TRY(const int64_t dict, state_dict_of(pickle, pickle.root));
  std::set<std::string_view> names;
  uint64_t copied = 0;
  for (const auto& [key, value] : pickle.dicts[static_cast<size_t>(dict)]) {
    const PickleValue& item = pickle.at(value);
    if (item.kind != PickleKind::tensor || pickle.at(key).kind != PickleKind::text) continue;
    const std::string name(pickle.at(key).text);
    if (!names.insert(pickle.at(key).text).second)
      return bad(fmt::format("two tensors are called '{}'", name));
    SACCADE_TRY(TensorView view,
                view_of(pickle, name, pickle.tensors[static_cast<size_t>(item.integer)], storages, contents));
    // Strides of 0 make large tensors of few numbers; what is copied stays within what the file holds.
    if (!contents.copies.empty() && view.data == contents.copies.back().get())
      copied += static_cast<uint64_t>(view.bytes());
    uint64_t stored = 0;
    for (const auto& storage : storages) stored += storage.second.size();
    if (copied > 2 * stored)
      return bad(fmt::format("tensor '{}' repeats its numbers more often than is plausible", name));
    contents.tensors.push_back(std::move(view));
  }
  return contents;
}

Result<TorchContents> read_zip(Bytes file) {
  SACCADE_TRY(const std::vector<ArchiveMember> members, read_archive(file));
  const auto named = [&](std::string_view end) {
    return std::find_if(members.begin(), members.end(),
                        [&](const ArchiveMember& m) { return m.name.ends_with(end); });
  };
  const auto main = named("/data.pkl");
  if (main == members.end()) return bad("expected a member data.pkl, as torch.save writes it, found none");
  const std::string root = main->name.substr(0, main->name.size() - std::string_view("data.pkl").size());
  if (const auto order = named("/byteorder"); order != members.end()) {
    const std::string_view text(reinterpret_cast<const char*>(order->bytes.data()), order->bytes.size());
    if (text == "big")
      return make_error(ErrorCode::unsupported, "the numbers are big-endian, which is not read");
  }
  Storages storages;
  for (const ArchiveMember& member : members)
    if (member.name.starts_with(root + "data/")) storages[member.name.substr(root.size() + 5)] = member.bytes;
  SACCADE_TRY(const Pickle pickle, read_pickle(main->bytes));
  SACCADE_TRY(TorchContents contents, tensors_of(pickle, storages));
  contents.pickle = main->bytes;
  return contents;
}

// Five pickles (magic number, protocol, system, object, storage keys), then every storage: its length, its
// numbers.
Result<TorchContents> read_legacy(Bytes file) {
  std::vector<Pickle> pickles;
  size_t at = 0;
  for (int i = 0; i < 5; ++i) {
    SACCADE_TRY(Pickle pickle, read_pickle(file.subspan(at)));
    at += pickle.size;
    pickles.push_back(std::move(pickle));
  }
  if (pickles[0].at(pickles[0].root).text != legacy_magic)
    return bad("expected PyTorch's magic number, found another");
  const Pickle &object = pickles[3], &keys = pickles[4];
  if (keys.at(keys.root).kind != PickleKind::list) return bad("the list of storages is missing");
  std::map<std::string_view, DType> types;
  for (const PickleStorage& storage : object.storages) types[storage.key] = storage.dtype;
  ByteReader reader(file, at);
  Storages storages;
  for (const PickleRef key : keys.lists[static_cast<size_t>(keys.at(keys.root).integer)]) {
    const std::string_view name = keys.at(key).text;
    const auto type = types.find(name);
    if (type == types.end()) return bad(fmt::format("no tensor uses storage '{}'", name));
    const auto numel = reader.number<uint64_t>();
    const auto width = static_cast<uint64_t>(width_of(type->second));
    if (numel > reader.left() / width)
      return bad(
          fmt::format("storage '{}' should hold {} numbers, the file ends before: truncated", name, numel));
    storages[std::string(name)] = reader.take(numel * width);
  }
  SACCADE_TRY(TorchContents contents, tensors_of(object, storages));
  contents.pickle = file.first(at);
  return contents;
}

}  // namespace

bool is_torch_file(Bytes file) {
  return is_zip(file) || (file.size() > 2 && file[0] == std::byte{0x80} && file[1] >= std::byte{2} &&
                          file[1] <= std::byte{5});
}

Result<TorchContents> read_torch_file(Bytes file) {
  return is_zip(file) ? read_zip(file) : read_legacy(file);
}

}  // namespace saccade
