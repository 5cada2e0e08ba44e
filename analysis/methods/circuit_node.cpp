#include "analysis/methods/circuit_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/files.h"

namespace saccade {
namespace {

using nlohmann::json;

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (const char c : text) {
    const bool blank = c == ' ' || c == ',' || c == '\t' || c == '\n';
    if (!blank && !in_word) words.emplace_back();
    if (!blank) words.back() += c;
    in_word = !blank;
  }
  return words;
}

Result<void> check(HeadId head, const ModelSpec& spec, const std::string& where) {
  if (head.layer.value >= 0 && head.layer.value < spec.n_layer && head.head.value >= 0 &&
      head.head.value < spec.n_head)
    return {};
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("{}: this model has layers 0-{} of heads 0-{}, found {}", where,
                                spec.n_layer - 1, spec.n_head - 1, to_string(head)));
}

Result<HeadId> head_of(const json& entry, const ModelSpec& spec, const std::string& where) {
  HeadId head;
  if (entry.is_string()) {
    SACCADE_TRY(head, parse_head(entry.get<std::string>()));
  } else if (entry.is_array() && entry.size() == 2 && entry[0].is_number_integer() &&
             entry[1].is_number_integer()) {
    head = {LayerIndex{entry[0].get<int32_t>()}, HeadIndex{entry[1].get<int32_t>()}};
  } else {
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: expected a head as [9, 9] or \"9.9\", found {}", where, entry.dump()));
  }
  SACCADE_CHECK(check(head, spec, where));
  return head;
}

Result<void> add_list(const json& list, const ModelSpec& spec, const std::string& where,
                      std::vector<HeadId>& heads) {
  for (const json& entry : list) {
    SACCADE_TRY(const HeadId head, head_of(entry, spec, where));
    if (std::find(heads.begin(), heads.end(), head) == heads.end()) heads.push_back(head);
  }
  return {};
}

}  // namespace

std::string CircuitNode::name() const {
  return kind == Kind::mlp ? fmt::format("mlp {}", layer()) : to_string(head);
}

std::string HeadReceiver::name() const {
  return part == HeadPart::z ? to_string(head) : fmt::format("{}.{}", to_string(head), to_string(part));
}

std::vector<CircuitNode> nodes_of(const ModelSpec& spec, bool with_mlps) {
  std::vector<CircuitNode> nodes;
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    for (int32_t h = 0; h < spec.n_head; ++h) nodes.push_back(CircuitNode::of({LayerIndex{l}, HeadIndex{h}}));
    if (with_mlps && exists({HookSite::mlp_out, l}, spec)) nodes.push_back(CircuitNode::mlp(l));
  }
  return nodes;
}

Result<std::vector<HeadReceiver>> parse_receivers(const std::string& text, const ModelSpec& spec) {
  std::vector<HeadReceiver> receivers;
  for (const std::string& word : words_of(text)) {
    HeadReceiver receiver;
    std::string name = word;
    for (const HeadPart part : {HeadPart::q, HeadPart::k, HeadPart::v, HeadPart::z})
      if (const std::string end = fmt::format(".{}", to_string(part)); word.ends_with(end)) {
        receiver.part = part;
        name.resize(word.size() - end.size());
      }
    const Result<HeadId> head = parse_head(name);
    if (!head.ok())
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("expected heads such as 9.9 or L9H9, with .q, .k, .v or .z after it where "
                      "a part is meant, found '{}'",
                      word));
    receiver.head = *head;
    SACCADE_CHECK(check(receiver.head, spec, fmt::format("'{}'", word)));
    if (std::find(receivers.begin(), receivers.end(), receiver) == receivers.end())
      receivers.push_back(receiver);
  }
  return receivers;
}

Result<std::vector<HeadId>> parse_heads(const std::string& text, const ModelSpec& spec) {
  SACCADE_TRY(const std::vector<HeadReceiver> receivers, parse_receivers(text, spec));
  std::vector<HeadId> heads;
  for (const HeadReceiver& receiver : receivers) {
    if (receiver.part != HeadPart::z)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("expected heads such as 9.9, found '{}' with a part", receiver.name()));
    if (std::find(heads.begin(), heads.end(), receiver.head) == heads.end()) heads.push_back(receiver.head);
  }
  return heads;
}

Result<std::vector<HeadId>> read_head_list(const std::filesystem::path& path, const ModelSpec& spec) {
  SACCADE_TRY(const std::string text, read_text_file(path));
  const json document = json::parse(text, nullptr, false);
  std::vector<HeadId> heads;
  if (document.is_array()) {
    SACCADE_CHECK(add_list(document, spec, path.string(), heads));
  } else if (document.is_object()) {
    for (const auto& [name, list] : document.items())
      if (list.is_array())
        SACCADE_CHECK(add_list(list, spec, fmt::format("{}: '{}'", path.string(), name), heads));
  }
  if (heads.empty())
    return make_error(ErrorCode::bad_format,
                      path.string() + ": expected a JSON list of heads, or an object of such lists");
  return heads;
}

}  // namespace saccade
