// What the trainers of the demo models share: batches of texts, weights by name, what a batch looks like from
// inside. Plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace saccade {

// Texts of one length, one after the other: [text, position].
struct TokenBatch {
  std::vector<int32_t> ids;
  std::vector<float> weight;  // what foretelling this token counts in the loss; only for training
  int32_t length = 0;
  // Position in its text of the token that the next one copies, or -1; only where heads are guided.
  std::vector<int32_t> source{};

  [[nodiscard]] int32_t texts() const { return static_cast<int32_t>(ids.size()) / length; }
};

struct NamedTensor {
  std::string name;  // as in a Hugging Face checkpoint
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// What a batch looks like from inside.
struct Observation {
  std::vector<float> log_prob;       // of each next token, nats, [text, position of the token predicted - 1]
  std::vector<float> last_log_prob;  // over the vocabulary at the last position, nats, [text, vocabulary]
  std::vector<float> pattern;        // [layer, text, head, query, key]
};

struct Head {
  int32_t layer = 0, head = 0;
  auto operator<=>(const Head&) const = default;
};

[[nodiscard]] std::string name_of(const Head& head);                 // "1.4"
[[nodiscard]] std::string names_of(const std::vector<Head>& heads);  // "1.4, 1.5"; "none"

}  // namespace saccade
