// Post-processors: what is added around the tokens of a text, and the trimming of offsets.
// A PostProcessor is a list of steps, immutable once read; thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/tokens/json_item.h"
#include "core/tokens/unicode.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

// A token of a whole text: id and the bytes of the prompt it stands for (empty for an added one).
struct EncodedToken {
  int32_t id = -1;
  uint32_t begin = 0, end = 0;
  bool found = false;  // an added token found in the text
};

// Special tokens before and after the text. Other forms of template (the text twice, or never) are refused.
struct TemplatePostProcessor {
  std::vector<int32_t> before, after;
};
// Takes the spaces of a token out of its offsets.
struct TrimPostProcessor {
  bool add_prefix_space = true;
};
using PostProcessorStep = std::variant<TemplatePostProcessor, TrimPostProcessor>;

struct PostProcessor {
  std::vector<PostProcessorStep> steps;

  static Result<PostProcessor> read(const JsonItem& item);
  // `name(id)`: the token as the vocabulary spells it. Templates are skipped without `add_special`.
  template <class Name>
  void apply(std::vector<EncodedToken>& encoded, std::string_view text, bool add_special,
             const Name& name) const;
  // The tokens added at the front and at the back, all templates together.
  [[nodiscard]] std::vector<int32_t> before() const;
  [[nodiscard]] std::vector<int32_t> after() const;
};

// Implementation of apply for one step.
void add_around(const TemplatePostProcessor& step, uint32_t text_size, std::vector<EncodedToken>& encoded);
// `name`: the token's characters, whose spaces at both ends are counted. Whole characters of `text` are taken
// off.
void trim_offsets(const TrimPostProcessor& step, std::string_view text, std::string_view name, bool is_first,
                  EncodedToken& token);

template <class Name>
void PostProcessor::apply(std::vector<EncodedToken>& encoded, std::string_view text, bool add_special,
                          const Name& name) const {
  for (const PostProcessorStep& step : steps) {
    if (const auto* around = std::get_if<TemplatePostProcessor>(&step)) {
      if (add_special) add_around(*around, static_cast<uint32_t>(text.size()), encoded);
      continue;
    }
    for (size_t i = 0; i < encoded.size(); ++i) {
      const EncodedToken& token = encoded[i];
      const std::string_view spelled =
          token.found ? text.substr(token.begin, token.end - token.begin) : name(token.id);
      trim_offsets(std::get<TrimPostProcessor>(step), text, spelled, i == 0, encoded[i]);
    }
  }
}

}  // namespace saccade::tokens
