#include "core/run/similarity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/model/weight_reader.h"

namespace saccade {
namespace {

std::optional<double> scalar(const Model& model, Slot slot) {
  const TensorView* tensor = model.weights().get(slot).tensor;
  if (!tensor) return std::nullopt;
  float value = 0.0F;
  widen(*tensor, 0, 1, &value);
  return value;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

void add_probabilities(std::vector<TextLogit>& logits, bool each_alone) {
  double highest = -INFINITY, sum = 0.0;
  for (const TextLogit& one : logits) highest = std::max(highest, one.logit);
  for (TextLogit& one : logits)
    sum += one.probability = each_alone ? 1.0 / (1.0 + std::exp(-one.logit)) : std::exp(one.logit - highest);
  for (TextLogit& one : logits)
    if (!each_alone) one.probability /= sum;
}

// SigLIP's texts are padded with the token that ends them.
void pad(TokenSequence& tokens, const ModelSpec& spec, const Tokenizer& tokenizer) {
  constexpr int32_t siglip_padding = 1;
  const auto token = tokenizer.token(siglip_padding);
  while (tokens.size() < spec.n_context)
    tokens.tokens.push_back(token.ok() ? *token : Token{siglip_padding, "<pad>", 0, 0, true});
}

}  // namespace

Result<std::string> text_tower_of(const Model& pictures) {
  const std::string& family = pictures.spec().family;
  if (pictures.weights().get(Slot::similarity_scale).tensor == nullptr)
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} ({}) is no pair of a picture and a text tower: it cannot compare a "
                                  "picture with texts",
                                  pictures.name(), family));
  std::string where = pictures.where();
  if (const size_t colon = where.find(':', 3); where.starts_with("as:") && colon != std::string::npos)
    where = where.substr(colon + 1);
  return fmt::format("as:{}_text:{}", family, where);
}

Result<std::vector<TextLogit>> text_logits(const Model& pictures, std::span<const float> picture,
                                           Runner& texts, std::vector<TokenSequence> wanted,
                                           const JobContext& job) {
  const std::optional<double> scale = scalar(pictures, Slot::similarity_scale),
                              bias = scalar(pictures, Slot::similarity_bias);
  if (!scale)
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} has no logit scale: it is one tower of a pair", pictures.name()));
  std::vector<RunRequest> requests;
  for (TokenSequence& tokens : wanted) {
    if (texts.model().spec().pooling == Pooling::last)
      pad(tokens, texts.model().spec(), texts.model().tokenizer());
    requests.push_back(texts.request(std::move(tokens)));
  }
  SACCADE_TRY(const std::vector<HostTensor> embedded, texts.answers(requests, job));
  std::vector<TextLogit> logits;
  const double length = std::sqrt(dot(picture, picture));
  for (size_t i = 0; i < embedded.size(); ++i) {
    const std::span<const float> text = embedded[i].values();
    if (text.size() != picture.size())
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("the picture has {} features, the text {}: they are of other models",
                                    picture.size(), text.size()));
    TextLogit one{requests[i].tokens.text, dot(picture, text) / (length * std::sqrt(dot(text, text)))};
    one.logit = std::exp(*scale) * one.cosine + bias.value_or(0.0);
    logits.push_back(std::move(one));
  }
  add_probabilities(logits, bias.has_value());
  return logits;
}

Result<std::vector<TextLogit>> text_logits(const Model& pictures, std::span<const float> picture,
                                           Runner& texts, const std::vector<std::string>& wanted,
                                           const JobContext& job) {
  std::vector<TokenSequence> sequences;
  for (const std::string& text : wanted) {
    SACCADE_TRY(TokenSequence tokens, texts.model().tokenizer().encode(text, {}));
    sequences.push_back(std::move(tokens));
  }
  return text_logits(pictures, picture, texts, std::move(sequences), job);
}

}  // namespace saccade
