// Nodes of circuits: heads and MLPs, by the names that the edges of a result use ("5.1", "5.1.q", "mlp 3",
// "logits"), and lists of heads as people type or store them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/model/model_spec.h"
#include "core/run/edit.h"

namespace saccade {

struct CircuitNode {
  enum class Kind { head, mlp };
  Kind kind = Kind::head;
  HeadId head;  // of an MLP only the layer counts

  [[nodiscard]] static CircuitNode of(HeadId head) { return {Kind::head, head}; }
  [[nodiscard]] static CircuitNode mlp(int32_t layer) {
    return {Kind::mlp, {LayerIndex{layer}, HeadIndex{0}}};
  }
  [[nodiscard]] int32_t layer() const { return head.layer.value; }
  [[nodiscard]] std::string name() const;
  bool operator==(const CircuitNode&) const = default;
};

// Every head, layer by layer, each layer's followed by its MLP where asked for and there.
[[nodiscard]] std::vector<CircuitNode> nodes_of(const ModelSpec& spec, bool with_mlps);

// A head and what of it receives: "9.9.q", "9.9" for z.
struct HeadReceiver {
  HeadId head;
  HeadPart part = HeadPart::z;  // z, q, k or v
  [[nodiscard]] std::string name() const;
  bool operator==(const HeadReceiver&) const = default;
};

// "9.9 10.0, L9H6" and "9.9.q 9.6.q"; an empty text is an empty list. Errors name the word, what was expected
// and, for a head that the model does not have, what it has.
[[nodiscard]] Result<std::vector<HeadId>> parse_heads(const std::string& text, const ModelSpec& spec);
[[nodiscard]] Result<std::vector<HeadReceiver>> parse_receivers(const std::string& text,
                                                                const ModelSpec& spec);

// A JSON file of heads: [[layer, head]...], ["9.9"...], or an object of named classes of such lists ("name
// mover": [...]), all of them together; texts beside the lists are passed over. Errors name file and entry,
// and a head that the model does not have.
[[nodiscard]] Result<std::vector<HeadId>> read_head_list(const std::filesystem::path& path,
                                                         const ModelSpec& spec);

}  // namespace saccade
