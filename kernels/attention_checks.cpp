#include "kernels/attention_checks.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/cpu/edits.h"

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
  if (mask.prefix < 0) return bad(fmt::format("prefix {} is negative", mask.prefix));
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

// Sizes of the lists that hold one entry per head.
Result<void> check_lists(int64_t n_head, size_t edits, size_t row_factors) {
  const auto fits = [n_head](size_t n) { return n == 0 || n == static_cast<size_t>(n_head); };
  if (fits(edits) && fits(row_factors)) return {};
  return bad(fmt::format("{} edit plans and {} row factors for {} heads", edits, row_factors, n_head));
}

Result<void> check_strides(const char* name, int64_t token_stride, int64_t head_stride, int64_t tokens,
                           int64_t heads, int64_t d_head) {
  if ((heads > 1 && head_stride < d_head) || (tokens > 1 && token_stride < d_head))
    return bad(fmt::format("{}: strides {} (token) and {} (head) are below the head size {}", name,
                           token_stride, head_stride, d_head));
  return {};
}

Result<void> check_view(const char* name, const HeadsView& view, bool bf16, int64_t tokens, int64_t heads,
                        int64_t d_head) {
  if (tokens == 0) return {};
  if (!view.data && !view.bf16) return bad(fmt::format("{} is null", name));
  if ((view.bf16 != nullptr) != bf16)
    return bad(fmt::format("{} is {} where q is {}", name, view.bf16 ? "bfloat16" : "float32",
                           bf16 ? "bfloat16" : "float32"));
  return check_strides(name, view.token_stride, view.head_stride, tokens, heads, d_head);
}

// What forward passes and tiles have in common: shape, mask, scale, edits, q and k.
template <class Input>
Result<void> check_input(const Input& in) {
  const AttentionShape& s = in.shape;
  SACCADE_CHECK(check_shape(s, in.mask, in.scores));
  SACCADE_CHECK(check_view("q", in.q, in.q.bf16 != nullptr, s.n_query, s.n_head, s.d_head));
  const bool bf16 = s.n_query > 0 ? in.q.bf16 != nullptr : in.k.bf16 != nullptr;
  SACCADE_CHECK(check_view("k", in.k, bf16, s.n_key, s.n_kv_head, s.d_head));
  for (size_t head = 0; head < in.edits.size(); ++head)
    SACCADE_CHECK(check_plan(in.edits[head], static_cast<int64_t>(head), s.d_head));
  return {};
}

Result<void> check_source(const TileInput& in, int64_t head) {
  const AttentionShape& s = in.shape;
  SACCADE_CHECK(check_lists(s.n_head, in.edits.size(), in.row_factors.size()));
  SACCADE_CHECK(check_input(in));
  if (!in.lse) return bad("lse is null: maps are regenerated from it");
  if (head < 0 || head >= s.n_head) return bad(fmt::format("head {} of {}", head, s.n_head));
  if (in.edits.empty()) return {};
  const auto h = static_cast<size_t>(head);
  if (cpu::needs_factors(in.edits[h].weights) && (in.row_factors.empty() || !in.row_factors[h]))
    return bad(
        fmt::format("head {} has weight edits and no row factors, which its map is regenerated from", head));
  return {};
}

}  // namespace

Result<void> check_forward(const AttentionInput& in, const AttentionOutput& out) {
  const AttentionShape& s = in.shape;
  SACCADE_CHECK(check_lists(s.n_head, in.edits.size(), out.row_factors.size()));
  SACCADE_CHECK(check_input(in));
  const bool bf16 = s.n_query > 0 ? in.q.bf16 != nullptr : in.v.bf16 != nullptr;
  SACCADE_CHECK(check_view("v", in.v, bf16, s.n_key, s.n_kv_head, s.d_head));
  if (s.n_query > 0 && !out.z.data) return bad("z is null");
  SACCADE_CHECK(check_strides("z", out.z.token_stride, out.z.head_stride, s.n_query, s.n_head, s.d_head));
  if (out.top_k < 0 || out.top_k > 16) return bad(fmt::format("top_k {} is outside 0-16", out.top_k));
  if (out.sink_keys < 0 || out.local_width < 0)
    return bad(
        fmt::format("sink keys {} and local width {} must not be negative", out.sink_keys, out.local_width));
  if (out.block_size < 0) return bad(fmt::format("block size {} is negative", out.block_size));
  for (size_t n = 0; n < out.key_masses.size(); ++n) {
    int64_t last = 0;
    for (const KeyRange& range : out.key_masses[n].keys) {
      if (range.begin < last || range.end < range.begin)
        return bad(fmt::format("key set {}: {}:{} after position {}; expected sorted ranges from 0", n,
                               range.begin, range.end, last));
      last = range.end;
    }
  }
  return {};
}

Result<void> check_tile(const TileInput& in, const TileRequest& request) {
  SACCADE_CHECK(check_source(in, request.head));
  const AttentionShape& s = in.shape;
  const int64_t last = s.first_query + s.n_query;
  if (request.lod < 1 || request.rows_begin < s.first_query || request.rows_begin > request.rows_end ||
      request.rows_end > last || request.columns_begin < 0 || request.columns_begin > request.columns_end ||
      request.columns_end > s.n_key)
    return bad(
        fmt::format("tile of queries {}:{} and keys {}:{} at level {} is outside queries {}:{} and {} keys",
                    request.rows_begin, request.rows_end, request.columns_begin, request.columns_end,
                    request.lod, s.first_query, last, s.n_key));
  return {};
}

Result<void> check_positions(const TileInput& in, int64_t head, std::span<const int32_t> query,
                             std::span<const int32_t> key) {
  SACCADE_CHECK(check_source(in, head));
  if (query.size() != key.size())
    return bad(fmt::format("{} query positions beside {} key positions", query.size(), key.size()));
  const AttentionShape& s = in.shape;
  for (size_t i = 0; i < query.size(); ++i)
    if (query[i] < s.first_query || query[i] >= s.first_query + s.n_query || key[i] < 0 || key[i] >= s.n_key)
      return bad(fmt::format("query {} and key {} are outside queries {}:{} and {} keys", query[i], key[i],
                             s.first_query, s.first_query + s.n_query, s.n_key));
  return {};
}

}  // namespace saccade
