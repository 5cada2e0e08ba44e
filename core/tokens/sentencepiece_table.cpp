// check_character_table() of sentencepiece_proto.h.
#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "core/tokens/sentencepiece_proto.h"
#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

constexpr size_t max_matches = 32;  // replacements that may begin at one place; the library holds no more

// A unit of the double array: a label that a walk must find, and the way to the children.
struct Unit {
  uint32_t bits;
  [[nodiscard]] bool has_leaf() const { return (bits >> 8 & 1) != 0; }
  [[nodiscard]] uint32_t value() const { return bits & 0x7FFFFFFF; }
  [[nodiscard]] uint32_t label() const { return bits & 0x800000FF; }
  [[nodiscard]] uint32_t offset() const { return bits >> 10 << ((bits & 0x200) >> 6); }
};

// Walks through every node that some text can reach. A node is the place from which its children are found.
class TableWalk {
 public:
  TableWalk(std::string_view array, std::string_view strings) : strings_(strings) {
    units_.resize(array.size() / sizeof(Unit));
    std::memcpy(units_.data(), array.data(), units_.size() * sizeof(Unit));
    states_.resize(units_.size());
    matches_.resize(units_.size());
  }

  Result<void> run() {
    if (units_.empty()) return fail("it is empty");
    SACCADE_CHECK(enter(units_[0].offset()));
    while (!stack_.empty()) {
      Step& top = stack_.back();
      if (top.next_label == 256) {
        SACCADE_CHECK(leave());
        continue;
      }
      const uint32_t label = top.next_label++;
      const uint32_t place = top.node ^ label;
      const Unit unit = units_[place];
      if (unit.label() != label) continue;
      const uint32_t child = place ^ unit.offset();
      const bool leaf = unit.has_leaf();
      SACCADE_CHECK(visit(child, leaf));
    }
    return {};
  }

 private:
  enum class State : uint8_t { unseen, open, done };
  struct Step {
    uint32_t node;
    uint32_t next_label = 0;
    bool leaf = false;    // a replacement ends at this node
    uint8_t deepest = 0;  // most replacements on a way below
  };

  static Error fail(std::string_view why) {
    return make_error(ErrorCode::bad_format,
                      fmt::format("the model's table of character replacements is damaged: {}", why));
  }

  Result<void> enter(uint32_t node, bool leaf = false) {
    if ((node | 0xFFU) >= units_.size()) return fail("a way leads out of it");
    states_[node] = State::open;
    stack_.push_back({node, 0, leaf, 0});
    return {};
  }

  Result<void> visit(uint32_t child, bool leaf) {
    if ((child | 0xFFU) >= units_.size()) return fail("a way leads out of it");
    if (leaf) SACCADE_CHECK(check_string(units_[child].value()));
    if (states_[child] == State::open) return fail("it leads back into itself");
    if (states_[child] == State::unseen) return enter(child, leaf);
    return count(matches_[child] + (leaf ? 1U : 0U));
  }

  Result<void> leave() {
    const Step step = stack_.back();
    stack_.pop_back();
    states_[step.node] = State::done;
    matches_[step.node] = step.deepest;
    return count(step.deepest + (step.leaf ? 1U : 0U));
  }

  // The node on top of the stack has a way with so many replacements below it.
  Result<void> count(uint32_t matches) {
    if (matches > max_matches) return fail("too many replacements begin at one place");
    if (!stack_.empty() && stack_.back().deepest < matches)
      stack_.back().deepest = static_cast<uint8_t>(matches);
    return {};
  }

  [[nodiscard]] Result<void> check_string(uint32_t at) const {
    if (at >= strings_.size()) return fail("a replacement lies outside it");
    if (is_continuation(strings_[at])) return fail("a replacement begins inside a character");
    return {};
  }

  std::vector<Unit> units_;
  std::string_view strings_;
  std::vector<State> states_;
  std::vector<uint8_t> matches_;
  std::vector<Step> stack_;
};

}  // namespace

Result<void> check_character_table(std::string_view table) {
  const auto fail = [&](std::string_view why) {
    return make_error(ErrorCode::bad_format,
                      fmt::format("the model's table of character replacements is damaged: {}", why));
  };
  uint32_t array_bytes = 0;
  if (table.size() < sizeof(array_bytes)) return fail("it has no size");
  std::memcpy(&array_bytes, table.data(), sizeof(array_bytes));
  if (array_bytes > table.size() - sizeof(array_bytes) || array_bytes % sizeof(Unit) != 0)
    return fail(fmt::format("it says that its array has {} bytes, {} are there", array_bytes, table.size()));
  const std::string_view strings = table.substr(sizeof(array_bytes) + array_bytes);
  if (strings.empty() || strings.back() != '\0') return fail("its strings have no end");
  if (find_invalid_utf8(strings)) return fail("its strings are not valid UTF-8");
  return TableWalk(table.substr(sizeof(array_bytes), array_bytes), strings).run();
}

}  // namespace saccade::tokens
