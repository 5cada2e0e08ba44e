// The boundary: shapes are checked here once, with the numbers; the kernels below trust them.
#include "kernels/attention.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/cpu/attention_cpu.h"

namespace saccade {
namespace {

Error bad(const std::string& what) { return make_error(ErrorCode::invalid_argument, "attention: " + what); }

Result<void> check_shape(const AttentionShape& s, const AttentionMask& mask, const AttentionScores& scores) {
  if (s.n_query < 0 || s.n_key < 0 || s.n_head < 1 || s.n_kv_head < 1 || s.d_head < 1 || s.first_query < 0)
    return bad(fmt::format(
        "expected sizes of at least 1 and positions of at least 0, found {} queries from {}, {} keys, "
        "{} heads, {} KV heads, head size {}",
        s.n_query, s.first_query, s.n_key, s.n_head, s.n_kv_head, s.d_head));
  if (s.n_head % s.n_kv_head != 0)
    return bad(fmt::format("{} heads cannot share {} KV heads evenly", s.n_head, s.n_kv_head));
  if (mask.window < 0) return bad(fmt::format("window {} is negative", mask.window));
  if (!mask.knockouts.empty() && mask.knockouts.size() != static_cast<size_t>(s.n_head))
    return bad(fmt::format("{} lists of knocked-out edges for {} heads", mask.knockouts.size(), s.n_head));
  if (!std::isfinite(scores.scale) || scores.scale <= 0.0f)
    return bad(fmt::format("scale {} is not a positive number", scores.scale));
  if (!std::isfinite(scores.softcap) || scores.softcap < 0.0f)
    return bad(fmt::format("soft cap {} is neither 0 nor a positive number", scores.softcap));
  if (!scores.slopes.empty() && scores.slopes.size() != static_cast<size_t>(s.n_head))
    return bad(fmt::format("{} ALiBi slopes for {} heads", scores.slopes.size(), s.n_head));
  return {};
}

Result<void> check_view(const char* name, const float* data, int64_t token_stride, int64_t head_stride,
                        int64_t tokens, int64_t heads, int64_t d_head) {
  if (tokens == 0) return {};
  if (!data) return bad(fmt::format("{} is null", name));
  if ((heads > 1 && head_stride < d_head) || (tokens > 1 && token_stride < d_head))
    return bad(fmt::format("{}: strides {} (token) and {} (head) are below the head size {}", name,
                           token_stride, head_stride, d_head));
  return {};
}

// What forward passes and tiles have in common: shape, mask, scale, q and k.
template <class Input>
Result<void> check_input(const Input& in) {
  const AttentionShape& s = in.shape;
  SACCADE_CHECK(check_shape(s, in.mask, in.scores));
  SACCADE_CHECK(
      check_view("q", in.q.data, in.q.token_stride, in.q.head_stride, s.n_query, s.n_head, s.d_head));
  SACCADE_CHECK(
      check_view("k", in.k.data, in.k.token_stride, in.k.head_stride, s.n_key, s.n_kv_head, s.d_head));
  return {};
}

Result<void> check_forward(const AttentionInput& in, const AttentionOutput& out) {
  const AttentionShape& s = in.shape;
  SACCADE_CHECK(check_input(in));
  SACCADE_CHECK(
      check_view("v", in.v.data, in.v.token_stride, in.v.head_stride, s.n_key, s.n_kv_head, s.d_head));
  SACCADE_CHECK(
      check_view("z", out.z.data, out.z.token_stride, out.z.head_stride, s.n_query, s.n_head, s.d_head));
  if (out.top_k < 0 || out.top_k > 16) return bad(fmt::format("top_k {} is outside 0-16", out.top_k));
  if (out.sink_keys < 0 || out.local_width < 0)
    return bad(
        fmt::format("sink keys {} and local width {} must not be negative", out.sink_keys, out.local_width));
  return {};
}

Result<void> check_tile(const TileInput& in, int64_t head) {
  const AttentionShape& s = in.shape;
  SACCADE_CHECK(check_input(in));
  if (!in.lse) return bad("lse is null: maps are regenerated from it");
  if (head < 0 || head >= s.n_head) return bad(fmt::format("head {} of {}", head, s.n_head));
  return {};
}

template <size_t I>
Result<void> forward(const AttentionInput& in, const AttentionOutput& out, const Parallel& parallel) {
  SACCADE_CHECK(check_forward(in, out));
  cpu::targets()[I].functions.forward(in, out, parallel);
  return {};
}

template <size_t I>
Result<void> tile(const TileInput& in, const TileRequest& request, const TileOutput& out) {
  SACCADE_CHECK(check_tile(in, request.head));
  const AttentionShape& s = in.shape;
  const int64_t last = s.first_query + s.n_query;
  if (request.lod < 1 || request.rows_begin < s.first_query || request.rows_begin > request.rows_end ||
      request.rows_end > last || request.columns_begin < 0 || request.columns_begin > request.columns_end ||
      request.columns_end > s.n_key)
    return bad(
        fmt::format("tile of queries {}:{} and keys {}:{} at level {} is outside queries {}:{} and {} keys",
                    request.rows_begin, request.rows_end, request.columns_begin, request.columns_end,
                    request.lod, s.first_query, last, s.n_key));
  cpu::targets()[I].functions.tile(in, request, out);
  return {};
}

template <size_t I>
Result<void> weights_at(const TileInput& in, int64_t head, std::span<const int32_t> query,
                        std::span<const int32_t> key, float* out) {
  SACCADE_CHECK(check_tile(in, head));
  if (query.size() != key.size())
    return bad(fmt::format("{} query positions beside {} key positions", query.size(), key.size()));
  const AttentionShape& s = in.shape;
  for (size_t i = 0; i < query.size(); ++i)
    if (query[i] < s.first_query || query[i] >= s.first_query + s.n_query || key[i] < 0 || key[i] >= s.n_key)
      return bad(fmt::format("query {} and key {} are outside queries {}:{} and {} keys", query[i], key[i],
                             s.first_query, s.first_query + s.n_query, s.n_key));
  cpu::targets()[I].functions.weights_at(in, head, query, key, out);
  return {};
}

template <size_t I>
KernelSet make_set(const cpu::Target& target) {
  return {target.name, target.description, forward<I>, tile<I>, weights_at<I>};
}

}  // namespace

std::span<const KernelSet> kernel_sets() {
  static const std::vector<KernelSet> sets = [] {
    const std::span<const cpu::Target> found = cpu::targets();
    std::vector<KernelSet> made;
    if (!found.empty()) made.push_back(make_set<0>(found[0]));
    if (found.size() > 1) made.push_back(make_set<1>(found[1]));
    if (found.size() > 2) made.push_back(make_set<2>(found[2]));
    return made;
  }();
  return sets;
}

Result<const KernelSet*> choose_kernels(std::string_view name) {
  std::string choices;
  for (const KernelSet& set : kernel_sets()) {
    if (name.empty() || name == "auto" || name == set.name) return &set;
    choices += ", " + set.name;
  }
  return make_error(
      ErrorCode::invalid_argument,
      fmt::format("no attention kernels called '{}' run on this machine; there are auto{}", name, choices));
}

}  // namespace saccade
