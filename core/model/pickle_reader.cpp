#include "core/model/pickle_reader.h"

#include <fmt/format.h>

#include <bit>
#include <map>
#include <unordered_map>

#include "core/model/byte_reader.h"

namespace saccade {
namespace {

Error bad(const std::string& what) { return make_error(ErrorCode::bad_format, "pickle: " + what); }

// The classes of storages, by what they hold.
const std::map<std::string_view, DType>& storage_classes() {
  static const std::map<std::string_view, DType> classes{
      {"torch FloatStorage", DType::f32},     {"torch HalfStorage", DType::f16},
      {"torch BFloat16Storage", DType::bf16}, {"torch DoubleStorage", DType::f64},
      {"torch LongStorage", DType::i64},      {"torch IntStorage", DType::i32},
      {"torch ShortStorage", DType::i16},     {"torch CharStorage", DType::i8},
      {"torch ByteStorage", DType::u8},       {"torch BoolStorage", DType::boolean}};
  return classes;
}

constexpr std::string_view ordered_dict = "collections OrderedDict",
                           build_tensor = "torch._utils _rebuild_tensor_v2",
                           build_parameter = "torch._utils _rebuild_parameter", torch_size = "torch Size";

bool is_allowed(std::string_view function) {
  return function == ordered_dict || function == build_tensor || function == build_parameter ||
         function == torch_size || storage_classes().contains(function);
}

class Machine {
 public:
  explicit Machine(std::span<const std::byte> bytes) : reader_(bytes) {
    none_ = add({PickleKind::none, 0, 0.0, {}});
    false_ = add({PickleKind::boolean, 0, 0.0, {}});
    true_ = add({PickleKind::boolean, 1, 0.0, {}});
    empty_ = add_list({});
  }

  Result<Pickle> run() {
    for (;;) {
      const auto code = static_cast<char>(reader_.number<uint8_t>());
      if (reader_.failed())
        return bad(fmt::format("it ends at byte {} without a STOP: truncated", reader_.at()));
      if (code == '.') break;
      SACCADE_CHECK(step(code));
      if (reader_.failed())
        return bad(fmt::format("an item goes beyond the end, at byte {}: truncated", reader_.at()));
    }
    SACCADE_TRY(pickle_.root, pop());
    pickle_.size = static_cast<size_t>(reader_.at());
    return std::move(pickle_);
  }

 private:
  PickleRef add(PickleValue value) {
    pickle_.values.push_back(value);
    return static_cast<PickleRef>(pickle_.values.size() - 1);
  }
  PickleRef add_list(std::vector<PickleRef> items) {
    pickle_.lists.push_back(std::move(items));
    return add({PickleKind::list, static_cast<int64_t>(pickle_.lists.size() - 1), 0.0, {}});
  }
  PickleRef add_dict() {
    pickle_.dicts.emplace_back();
    return add({PickleKind::dict, static_cast<int64_t>(pickle_.dicts.size() - 1), 0.0, {}});
  }
  Result<void> push(PickleRef ref) {
    stack_.push_back(ref);
    return {};
  }
  Result<void> push(PickleValue value) { return push(add(value)); }
  Result<void> push_text(std::string_view text) { return push({PickleKind::text, 0, 0.0, text}); }
  Result<void> push_integer(int64_t integer) { return push({PickleKind::integer, integer, 0.0, {}}); }

  [[nodiscard]] size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Result<PickleRef> pop() {
    if (stack_.size() <= floor())
      return bad(fmt::format("it takes from an empty stack before byte {}", reader_.at()));
    const PickleRef top = stack_.back();
    stack_.pop_back();
    return top;
  }
  Result<std::vector<PickleRef>> pop_to_mark() {
    if (marks_.empty()) return bad(fmt::format("a mark is missing before byte {}", reader_.at()));
    std::vector<PickleRef> items(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  Result<PickleRef> top_of(PickleKind kind, const char* what) {
    if (stack_.size() <= floor() || pickle_.at(stack_.back()).kind != kind)
      return bad(fmt::format("expected {} before byte {}", what, reader_.at()));
    return stack_.back();
  }
  std::vector<PickleRef>& list(PickleRef ref) {
    return pickle_.lists[static_cast<size_t>(pickle_.at(ref).integer)];
  }
  std::vector<std::pair<PickleRef, PickleRef>>& dict(PickleRef ref) {
    return pickle_.dicts[static_cast<size_t>(pickle_.at(ref).integer)];
  }

  Result<void> step(char code) {
    switch (code) {
      case '\x80':  // PROTO
        if (const auto version = reader_.number<uint8_t>(); version > 5)
          return bad(fmt::format("expected protocol 2 to 5, found {}", version));
        return {};
      case '\x95':  // FRAME
        reader_.skip(8);
        return {};
      case '(':
        marks_.push_back(stack_.size());
        return {};
      case '0': {
        const auto dropped = pop();
        return dropped.ok() ? Result<void>() : Result<void>(dropped.error());
      }
      case '1': {
        const auto dropped = pop_to_mark();
        return dropped.ok() ? Result<void>() : Result<void>(dropped.error());
      }
      case 'N':
        return push(none_);
      case '\x88':
        return push(true_);
      case '\x89':
        return push(false_);
      default:
        return number_or_text(code);
    }
  }

  Result<void> number_or_text(char code) {
    switch (code) {
      case 'J':
        return push_integer(reader_.number<int32_t>());
      case 'K':
        return push_integer(reader_.number<uint8_t>());
      case 'M':
        return push_integer(reader_.number<uint16_t>());
      case '\x8a':
        return long_integer(reader_.number<uint8_t>());
      case 'G':
        return push({PickleKind::real, 0, big_endian_double(), {}});
      case 'X':
      case 'T':
      case 'B':
        return push_text(reader_.text(reader_.number<uint32_t>()));
      case '\x8c':
      case 'U':
      case 'C':
        return push_text(reader_.text(reader_.number<uint8_t>()));
      case '\x8d':
      case '\x8e':
        return push_text(reader_.text(reader_.number<uint64_t>()));
      default:
        return container(code);
    }
  }

  // Longer ones are kept as their bytes: only magic numbers are.
  Result<void> long_integer(uint8_t size) {
    const std::string_view bytes = reader_.text(size);
    if (size > 8) return push_text(bytes);
    uint64_t value =
        size > 0 && (static_cast<uint8_t>(bytes.empty() ? 0 : bytes.back()) & 0x80U) ? ~uint64_t{0} : 0;
    for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
    return push_integer(static_cast<int64_t>(value));
  }
  double big_endian_double() {
    uint64_t bits = 0;
    for (const char c : reader_.text(8)) bits = bits << 8 | static_cast<uint8_t>(c);
    return std::bit_cast<double>(bits);
  }

  Result<void> container(char code) {
    switch (code) {
      case ')':
        return push(empty_);
      case ']':
        return push(add_list({}));
      case '}':
        return push(add_dict());
      case 't':
      case 'l': {
        SACCADE_TRY(std::vector<PickleRef> items, pop_to_mark());
        return push(add_list(std::move(items)));
      }
      case '\x85':
      case '\x86':
      case '\x87':
        return short_tuple(static_cast<size_t>(static_cast<uint8_t>(code)) - 0x84);
      case 'a': {
        SACCADE_TRY(const PickleRef item, pop());
        SACCADE_TRY(const PickleRef target, own_list());
        list(target).push_back(item);
        return {};
      }
      case 'e': {
        SACCADE_TRY(const std::vector<PickleRef> items, pop_to_mark());
        SACCADE_TRY(const PickleRef target, own_list());
        list(target).insert(list(target).end(), items.begin(), items.end());
        return {};
      }
      case 'd': {
        SACCADE_TRY(const std::vector<PickleRef> items, pop_to_mark());
        SACCADE_CHECK(push(add_dict()));
        return set_items(items);
      }
      case 's': {
        SACCADE_TRY(const PickleRef value, pop());
        SACCADE_TRY(const PickleRef key, pop());
        return set_items({key, value});
      }
      case 'u': {
        SACCADE_TRY(const std::vector<PickleRef> items, pop_to_mark());
        return set_items(items);
      }
      default:
        return memo(code);
    }
  }

  // The list on top of the stack, which must not be the empty tuple all share.
  Result<PickleRef> own_list() {
    SACCADE_TRY(const PickleRef target, top_of(PickleKind::list, "a list"));
    if (target == empty_) return bad(fmt::format("it appends to a tuple before byte {}", reader_.at()));
    return target;
  }
  Result<void> short_tuple(size_t size) {
    std::vector<PickleRef> items(size);
    for (size_t i = size; i-- > 0;) {
      SACCADE_TRY(items[i], pop());
    }
    return push(add_list(std::move(items)));
  }
  Result<void> set_items(const std::vector<PickleRef>& items) {
    if (items.size() % 2 != 0) return bad(fmt::format("a key without a value before byte {}", reader_.at()));
    SACCADE_TRY(const PickleRef target, top_of(PickleKind::dict, "a dictionary"));
    for (size_t i = 0; i + 1 < items.size(); i += 2) dict(target).emplace_back(items[i], items[i + 1]);
    return {};
  }

  Result<void> memo(char code) {
    switch (code) {
      case 'q':
        return put(reader_.number<uint8_t>());
      case 'r':
        return put(reader_.number<uint32_t>());
      case '\x94':
        return put(static_cast<uint32_t>(memo_.size()));
      case 'h':
        return get(reader_.number<uint8_t>());
      case 'j':
        return get(reader_.number<uint32_t>());
      default:
        return object(code);
    }
  }
  Result<void> put(uint32_t slot) {
    if (stack_.size() <= floor())
      return bad(fmt::format("it remembers nothing, before byte {}", reader_.at()));
    memo_[slot] = stack_.back();
    return {};
  }
  Result<void> get(uint32_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) return bad(fmt::format("it recalls item {}, which it never remembered", slot));
    return push(found->second);
  }

  Result<void> object(char code) {
    switch (code) {
      case 'c': {
        SACCADE_TRY(const std::string_view module, line());
        SACCADE_TRY(const std::string_view name, line());
        return push_function(module, name);
      }
      case '\x93': {
        SACCADE_TRY(const PickleRef name, pop());
        SACCADE_TRY(const PickleRef module, pop());
        if (pickle_.at(name).kind != PickleKind::text || pickle_.at(module).kind != PickleKind::text)
          return bad(fmt::format("a name is no text, before byte {}", reader_.at()));
        return push_function(pickle_.at(module).text, pickle_.at(name).text);
      }
      case 'R':
      case '\x81': {
        SACCADE_TRY(const PickleRef arguments, pop());
        SACCADE_TRY(const PickleRef function, pop());
        return apply(function, arguments);
      }
      case 'b': {  // further state of an OrderedDict: its _metadata
        const auto state = pop();
        if (!state.ok()) return state.error();
        const auto target = top_of(PickleKind::dict, "an object with a state");
        return target.ok() ? Result<void>() : Result<void>(target.error());
      }
      case 'Q': {
        SACCADE_TRY(const PickleRef id, pop());
        return push_storage(id);
      }
      default:
        return bad(fmt::format("instruction 0x{:02x} at byte {} is not one that files of tensors use",
                               static_cast<uint8_t>(code), reader_.at() - 1));
    }
  }

  Result<std::string_view> line() {
    constexpr uint64_t longest = 512;
    ByteReader ahead = reader_;
    const std::string_view found = ahead.text(std::min(longest, ahead.left()));
    const size_t end = found.find('\n');
    if (end == std::string_view::npos)
      return bad(fmt::format("a name without an end at byte {}", reader_.at()));
    reader_.skip(end + 1);
    return found.substr(0, end);
  }
  Result<void> push_function(std::string_view module, std::string_view name) {
    const std::string full = fmt::format("{} {}", module, name);
    if (!is_allowed(full))
      return make_error(
          ErrorCode::unsupported,
          fmt::format("pickle: it names '{}.{}'; only what builds tensors is read, and nothing is run",
                      module, name));
    // A view that outlives `full`: the allowed names are literals.
    std::string_view known = ordered_dict;
    for (const std::string_view allowed : {build_tensor, build_parameter, torch_size})
      if (full == allowed) known = allowed;
    if (const auto storage = storage_classes().find(full); storage != storage_classes().end())
      known = storage->first;
    return push({PickleKind::function, 0, 0.0, known});
  }

  Result<void> apply(PickleRef function, PickleRef arguments) {
    if (pickle_.at(function).kind != PickleKind::function || pickle_.at(arguments).kind != PickleKind::list)
      return bad(
          fmt::format("it builds something from no function or no arguments, before byte {}", reader_.at()));
    const std::string_view name = pickle_.at(function).text;
    const std::vector<PickleRef> given = list(arguments);
    if (name == ordered_dict) return build_dict(given);
    if (name == build_tensor) return push_tensor(given);
    if (name == torch_size && given.size() == 1) return push(given.front());
    if (name == build_parameter && !given.empty()) return push(given.front());
    return bad(fmt::format("'{}' does not take {} arguments", name, given.size()));
  }
  Result<void> build_dict(const std::vector<PickleRef>& given) {
    const PickleRef made = add_dict();
    if (!given.empty() && pickle_.at(given.front()).kind == PickleKind::list)
      for (const PickleRef pair : list(given.front())) {
        if (pickle_.at(pair).kind != PickleKind::list || list(pair).size() != 2)
          return bad("an OrderedDict is made of something else than pairs");
        dict(made).emplace_back(list(pair)[0], list(pair)[1]);
      }
    return push(made);
  }

  // ('storage', class, key, location, numel[, view])
  Result<void> push_storage(PickleRef id) {
    const auto wrong = [&] {
      return bad(fmt::format("a storage is not described as one, before byte {}", reader_.at()));
    };
    if (pickle_.at(id).kind != PickleKind::list || list(id).size() < 5) return wrong();
    const std::vector<PickleRef>& parts = list(id);
    const PickleValue &tag = pickle_.at(parts[0]), &type = pickle_.at(parts[1]), &key = pickle_.at(parts[2]),
                      &numel = pickle_.at(parts[4]);
    if (tag.text != "storage" || type.kind != PickleKind::function || key.kind != PickleKind::text ||
        numel.kind != PickleKind::integer || numel.integer < 0)
      return wrong();
    if (parts.size() > 5 && pickle_.at(parts[5]).kind != PickleKind::none)
      return make_error(ErrorCode::unsupported,
                        fmt::format("pickle: storage '{}' is a view of another", key.text));
    const auto known = storage_classes().find(type.text);
    if (known == storage_classes().end()) return wrong();
    pickle_.storages.push_back({key.text, known->second, numel.integer});
    return push({PickleKind::storage, static_cast<int64_t>(pickle_.storages.size() - 1), 0.0, {}});
  }

  // (storage, offset, size, stride, ...)
  Result<void> push_tensor(const std::vector<PickleRef>& given) {
    const auto wrong = [&] {
      return bad(fmt::format("a tensor is not described as one, before byte {}", reader_.at()));
    };
    if (given.size() < 4 || pickle_.at(given[0]).kind != PickleKind::storage ||
        pickle_.at(given[1]).kind != PickleKind::integer)
      return wrong();
    PickleTensor tensor;
    tensor.storage = pickle_.at(given[0]).integer;
    tensor.offset = pickle_.at(given[1]).integer;
    for (const auto& [from, to] : {std::pair{given[2], &tensor.shape}, std::pair{given[3], &tensor.stride}}) {
      if (pickle_.at(from).kind != PickleKind::list || list(from).size() > 8) return wrong();
      for (const PickleRef extent : list(from)) {
        if (pickle_.at(extent).kind != PickleKind::integer || pickle_.at(extent).integer < 0) return wrong();
        to->push_back(pickle_.at(extent).integer);
      }
    }
    if (tensor.shape.size() != tensor.stride.size() || tensor.offset < 0) return wrong();
    pickle_.tensors.push_back(std::move(tensor));
    return push({PickleKind::tensor, static_cast<int64_t>(pickle_.tensors.size() - 1), 0.0, {}});
  }

  ByteReader reader_;
  Pickle pickle_;
  PickleRef none_ = 0, false_ = 0, true_ = 0, empty_ = 0;
  std::vector<PickleRef> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleRef> memo_;
};

}  // namespace

Result<Pickle> read_pickle(std::span<const std::byte> bytes) { return Machine(bytes).run(); }

}  // namespace saccade
