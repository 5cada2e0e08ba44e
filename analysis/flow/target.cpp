#include "analysis/flow/target.h"

#include <fmt/format.h>

#include <algorithm>

namespace saccade {
namespace {

PathTarget one(const Capture& capture, int64_t position) {
  PathTarget target;
  target.start.assign(static_cast<size_t>(capture.n_token()), 0.0);
  target.start[static_cast<size_t>(position)] = 1.0;
  target.query = position;
  target.text = token_text(capture, position);
  return target;
}

PathTarget several(const Capture& capture, int64_t begin, int64_t end, std::string text) {
  PathTarget target;
  target.start.assign(static_cast<size_t>(capture.n_token()), 0.0);
  for (int64_t i = begin; i < end; ++i)
    target.start[static_cast<size_t>(i)] = 1.0 / static_cast<double>(end - begin);
  target.text = std::move(text);
  return target;
}

// Where an answer is read that is read at one position (the runner's rule).
int64_t answer_position(const Capture& capture) {
  const ModelSpec& spec = capture.spec;
  const int64_t last = capture.n_token() - 1;
  if (spec.pooling == Pooling::last) return last;
  const auto& tokens = capture.tokens;
  if (spec.pooling == Pooling::end_of_text) {
    const auto most = std::max_element(tokens.begin(), tokens.end(),
                                       [](const Token& a, const Token& b) { return a.id < b.id; });
    const int32_t eos = spec.eos_ids.empty() || spec.eos_ids.front() == 2 ? most->id : spec.eos_ids.front();
    for (int64_t i = 0; i <= last; ++i)
      if (tokens[static_cast<size_t>(i)].id == eos) return i;
    return last;
  }
  for (int64_t i = 0; i <= last && !spec.causal; ++i) {
    const Token& token = tokens[static_cast<size_t>(i)];
    if (token.special && (token.text == "[MASK]" || token.text == "<mask>")) return i;
  }
  return last;
}

}  // namespace

std::string token_text(const Capture& capture, int64_t position) {
  const std::string text = display_text(capture.tokens[static_cast<size_t>(position)]);
  for (const ImageRegion& image : capture.images) {
    if (position < image.begin || position >= image.end()) continue;
    return image.patch_at(position) ? fmt::format("patch {}", text) : text;
  }
  return fmt::format("token {} ('{}')", position, text);
}

Result<PathTarget> path_target(const Capture& capture, int64_t asked) {
  const int64_t n = capture.n_token();
  if (n == 0) return make_error(ErrorCode::invalid_argument, "the run has no tokens");
  if (asked >= n)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("query={}: the run has {} tokens, 0 to {}", asked, n, n - 1));
  if (asked >= 0) return one(capture, asked);
  const PatchSpec& patches = capture.spec.patches;
  switch (capture.spec.pooling) {
    case Pooling::cls:
      return one(capture, 0);
    case Pooling::cls_and_distillation:
      return several(capture, 0, std::min<int64_t>(2, n), "CLS and the distillation token");
    case Pooling::cls_and_mean: {
      // CLS beside the mean of the patches: each counts half.
      PathTarget target = several(capture, std::min<int64_t>(patches.n_prefix(), n - 1), n,
                                  "CLS and the mean of all patches");
      for (double& share : target.start) share *= 0.5;
      target.start[0] += 0.5;
      return target;
    }
    case Pooling::mean:
      return several(capture, std::min<int64_t>(patches.n_prefix(), n - 1), n, "the mean of all patches");
    case Pooling::probe:
      return several(capture, 0, n, "all patches alike (what the probe reads is not followed)");
    case Pooling::none:
    case Pooling::end_of_text:
    case Pooling::last:
      break;
  }
  return one(capture, answer_position(capture));
}

}  // namespace saccade
