#include "analysis/mechanisms/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "analysis/mechanisms/block_routing.h"
#include "analysis/mechanisms/chunk_selection.h"
#include "analysis/mechanisms/clusters.h"
#include "analysis/mechanisms/flow_attention.h"
#include "analysis/mechanisms/hilo.h"
#include "analysis/mechanisms/hyper_attention.h"
#include "analysis/mechanisms/kernel_maps.h"
#include "analysis/mechanisms/landmark.h"
#include "analysis/mechanisms/neighborhood.h"
#include "analysis/mechanisms/radial.h"
#include "analysis/mechanisms/softplus_attention.h"
#include "analysis/mechanisms/sparse_prefill.h"

namespace saccade::mechanisms {
namespace {

using R = Result<Imposed>;

Imposed of(KeyMask mask) { return {std::move(mask), {}}; }
Imposed of(Matrix weights) { return {{}, std::move(weights)}; }
Imposed of_patches(const HeadView& head, const KeyMask& mask) {
  return of(place(mask, head.picture->begin, head.n()));
}
// Weights among patches in the place of the share that a patch row has on patches; other rows as they are.
Imposed among_patches(const HeadView& head, const Matrix& map) {
  Matrix weights = head.weights;
  const int64_t first = head.picture->begin, end = head.picture->end();
  for (int64_t i = first; i < end; ++i) {
    double share = 0.0;
    for (int64_t j = first; j < end; ++j) share += weights.at(i, j);
    for (int64_t j = first; j < end; ++j) weights.at(i, j) = share * map.at(i - first, j - first);
  }
  return of(std::move(weights));
}

R stream(const HeadView& head, const Constants& c) { return of(stream_mask(head.n(), c.sink, c.window)); }

NeighborhoodAxis axis_of(int64_t length, const Constants& c, bool causal) {
  const int64_t dilation = std::min(c.dilation, length),
                window = std::clamp<int64_t>(c.window, 1, length / dilation);
  return {length, window, std::min(c.stride, window), dilation, causal};
}
R neighborhood(const HeadView& head, const Constants& c) {
  SACCADE_TRY(KeyMask mask, neighborhood_mask(std::array{axis_of(head.n(), c, head.causal)}));
  return of(std::move(mask));
}
R neighborhood_2d(const HeadView& head, const Constants& c) {
  const Grid grid = head.picture->grid;
  SACCADE_TRY(const KeyMask mask,
              neighborhood_mask(std::array{axis_of(grid.height, c, false), axis_of(grid.width, c, false)}));
  return of_patches(head, mask);
}
R axial(const HeadView& head, const Constants&) {
  return of_patches(head,
                    axial_mask(head.picture->grid, head.head % 2 == 0 ? GridAxis::row : GridAxis::column));
}
R blocks_2d(const HeadView& head, const Constants& c) {
  return of_patches(head, block_mask(head.picture->grid, c.side));
}
R shifted_2d(const HeadView& head, const Constants& c) {
  return of_patches(head, shifted_block_mask(head.picture->grid, c.side));
}
R spread_2d(const HeadView& head, const Constants& c) {
  SACCADE_TRY(const KeyMask mask, spread_mask(head.picture->grid, c.side));
  return of_patches(head, mask);
}
R halo_2d(const HeadView& head, const Constants& c) {
  return of_patches(head, halo_mask(head.picture->grid, c.side, std::max<int64_t>(c.side / 2, 1)));
}
R radius_2d(const HeadView& head, const Constants& c) {
  return of_patches(head, radius_mask(head.picture->grid, c.side));
}
R sharded(const HeadView& head, const Constants& c) {
  return of(sharded_mask(head.n(), c.block,
                         {std::max<int64_t>(c.window / c.block, 1), c.period, head.heads, head.head}));
}
R groups(const HeadView& head, const Constants& c) {
  return of(group_mask(head.n(), c.block, 2 * head.head >= head.heads, c.sink));
}
R elastic(const HeadView& head, const Constants& c) { return of(elastic_mask(head.n(), c.block, c.elastic)); }
R flex(const HeadView& head, const Constants& c) {
  return of(
      flex_mask(head.q, head.k, head.weights, head.scale, {c.block, c.window, c.share, c.threshold}).mask);
}
R seer(const HeadView& head, const Constants& c) {
  const int64_t blocks = (head.n() + c.block - 1) / c.block;
  KeyMask mask =
      expand_blocks(seer_block_mask(head.weights, c.block, seer_blocks(c.share, blocks)), c.block, head.n());
  mask &= KeyMask::causal(head.n());
  return of(std::move(mask));
}
R bi_former(const HeadView& head, const Constants& c) {
  const RegionRouting routing =
      route_regions(patch_rows(head, head.q), patch_rows(head, head.k), head.picture->grid, c.side, c.keep);
  return of_patches(head, routing.mask);
}
R routed(const HeadView& head, const Constants& c, BlockChoice choice) {
  return of(route_blocks(head.q, head.k, blocks_in_a_row(head.n(), c.block),
                         {choice, c.keep, c.share, head.causal}));
}
R moba(const HeadView& head, const Constants& c) { return routed(head, c, BlockChoice::top); }
R moba_global(const HeadView& head, const Constants& c) { return routed(head, c, BlockChoice::global); }
R moba_threshold(const HeadView& head, const Constants& c) { return routed(head, c, BlockChoice::threshold); }
R moba_2d(const HeadView& head, const Constants& c) {
  const Grid grid = head.picture->grid;
  return of_patches(
      head, route_blocks(patch_rows(head, head.q), patch_rows(head, head.k),
                         blocks_of_grid(grid, c.side, c.side), {BlockChoice::top, c.keep, c.share, false}));
}
// Rows of patches in one layer, squares in the next.
R moba_rotated(const HeadView& head, const Constants& c) {
  const Grid grid = head.picture->grid;
  const bool rows = head.layer % 2 == 0;
  const auto block_of = blocks_of_grid(grid, rows ? 1 : c.side, rows ? grid.width : c.side);
  return of_patches(head, route_blocks(patch_rows(head, head.q), patch_rows(head, head.k), block_of,
                                       {BlockChoice::top, c.keep, c.share, false}));
}
R clusters(const HeadView& head, const Constants& c) {
  return of(route_clusters(head.q, head.k, {0, 10, c.window, c.seed, head.causal}));
}
R hyper(const HeadView& head, const Constants& c) {
  return of(hyper_attention_map(head.q, head.k, head.scale,
                                {7, c.block, c.samples, 2 * c.block, c.seed, head.causal}));
}
R long_heads(const HeadView& head, const Constants& c) {
  return of(chunk_mask(head.q, head.k, head.v, head.scale, c.block, std::max<int64_t>(c.keep, 3)));
}
R recycled(const HeadView& head, const Constants& c) {
  return of(recycle(head.q, head.weights, {c.period, c.samples, -1.0, c.sink}).mask);
}
R landmark(const HeadView& head, const Constants& c) {
  return of(landmark_map(head.q, head.k, head.scale, c.block));
}
R mutual(const HeadView& head, const Constants&) { return of(mutual_mask(head.n(), *head.picture, false)); }
R apart(const HeadView& head, const Constants&) {
  return of(no_patch_to_patch_mask(head.n(), *head.picture));
}
R concentric(const HeadView& head, const Constants&) { return of(concentric_mask(head.n(), *head.picture)); }
R agents(const HeadView& head, const Constants& c) {
  const Matrix q = patch_rows(head, head.q), k = patch_rows(head, head.k);
  const auto side = static_cast<int64_t>(std::max(1.0, std::sqrt(static_cast<double>(c.samples))));
  return among_patches(head, agent_map(q, k, pool_grid(q, head.picture->grid, side), head.scale));
}
R flow(const HeadView& head, const Constants&) {
  return of(flow_attention(head.q, head.k, head.causal).weights);
}
R taylor(const HeadView& head, const Constants& c) {
  return of(taylor_map(head.q, head.k, head.scale, c.window, head.visible));
}
R hedgehog(const HeadView& head, const Constants&) {
  return of(feature_map(head.q, head.k, head.scale, hedgehog_features, head.visible));
}
R elu(const HeadView& head, const Constants&) {
  return of(feature_map(head.q, head.k, head.scale, elu_features, head.visible));
}
R cosine(const HeadView& head, const Constants&) { return of(cosine_map(head.q, head.k, head.visible)); }
R softplus(const HeadView& head, const Constants& c) {
  return of(softplus_map(head.q, head.k, c.power, head.visible));
}
R sharpen(const HeadView& head, const Constants& c) {
  Matrix weights(head.n(), head.n());
  for (int64_t i = 0; i < head.n(); ++i) {
    std::vector<double> row;
    std::vector<int64_t> keys;
    for (int64_t j = 0; j < head.n(); ++j)
      if (head.visible.sees(i, j)) {
        keys.push_back(j);
        row.push_back(head.weights.at(i, j));
      }
    reweigh(row, c.power, 1.0);
    for (size_t at = 0; at < keys.size(); ++at) weights.at(i, keys[at]) = row[at];
  }
  return of(std::move(weights));
}
R hilo(const HeadView& head, const Constants& c) {
  const Grid grid = head.picture->grid;
  if (head.head >= low_frequency_heads(head.heads, c.share))
    return of_patches(head, block_mask(grid, c.side));
  return among_patches(
      head, low_frequency_map(patch_rows(head, head.q), patch_rows(head, head.k), grid, c.side, head.scale));
}
R radial(const HeadView& head, const Constants& c) {
  const Grid grid = head.picture->grid;
  return of_patches(head, radial_mask({grid.height, grid.width, 1.0, c.stride, false}));
}

constexpr bool content = true, values = true, wider = true;
using enum Needs;

constexpr std::array mechanisms{
    // clang-format off
    MechanismInfo{"stream", "the first `sink` and the last `window` keys", "arXiv 2309.17453", causal, false, false, false, &stream},
    MechanismInfo{"neighborhood", "a window of `window` keys with stride and dilation", "NATTEN, arXiv 2204.07143, 2504.16922", nothing, false, false, false, &neighborhood},
    MechanismInfo{"neighborhood-2d", "the same over rows and columns of patches", "NATTEN, arXiv 2204.07143, 2504.16922", picture, false, false, false, &neighborhood_2d},
    MechanismInfo{"axial", "even heads see their row of patches, odd ones their column", "arXiv 1912.12180", picture, false, false, false, &axial},
    MechanismInfo{"block", "blocks of `side` x `side` patches", "MaxViT, Swin", picture, false, false, false, &blocks_2d},
    MechanismInfo{"shifted-block", "blocks that begin side / 2 later", "Swin, arXiv 2103.14030", picture, false, false, false, &shifted_2d},
    MechanismInfo{"grid", "`side` x `side` patches spread over the picture", "MaxViT, arXiv 2204.01697", picture, false, false, false, &spread_2d},
    MechanismInfo{"halo", "blocks with a border of half a side", "HaloNet, arXiv 2103.12731", picture, false, false, false, &halo_2d},
    MechanismInfo{"radius", "patches at most `side` away", "YOPO's neighbour-aware mask", picture, false, false, false, &radius_2d},
    MechanismInfo{"s2", "local blocks and, shifted from head to head, every `period`-th block", "S2-Attention, arXiv 2407.17678", causal, false, false, false, &sharded},
    MechanismInfo{"shifted-groups", "groups of `block` tokens, shifted in half of the heads; sinks stay", "LongLoRA, arXiv 2309.12307", causal, false, false, false, &groups},
    MechanismInfo{"elastic", "each head the span that costs it least, `share` of the blocks on average", "MoA, arXiv 2406.14909; mass of blocks as influence: own", causal, content, false, false, &elastic},
    MechanismInfo{"flex-prefill", "columns and diagonals, or pooled blocks, that hold `share` of the last rows", "arXiv 2502.20766", causal, content, false, false, &flex},
    MechanismInfo{"seer", "the blocks with the largest weights", "SeerAttention, arXiv 2410.13276, with the true map as gate", causal, content, false, false, &seer},
    MechanismInfo{"bi-former", "the `keep` regions whose mean keys fit the region's mean query", "arXiv 2303.08810", picture, content, false, false, &bi_former},
    MechanismInfo{"moba", "the own block and the best by mean key", "MoBA, arXiv 2502.13189", nothing, content, false, false, &moba},
    MechanismInfo{"moba-global", "the best pairs of query and block of the head", "VMoBA, arXiv 2506.23858", nothing, content, false, false, &moba_global},
    MechanismInfo{"moba-threshold", "blocks until they hold `share` of a softmax over blocks", "VMoBA, arXiv 2506.23858", nothing, content, false, false, &moba_threshold},
    MechanismInfo{"moba-2d", "moba with blocks of `side` x `side` patches", "VMoBA, arXiv 2506.23858", picture, content, false, false, &moba_2d},
    MechanismInfo{"moba-rotated", "rows of patches in even layers, squares of `side` in odd ones", "VMoBA, arXiv 2506.23858", picture, content, false, false, &moba_rotated},
    MechanismInfo{"clusters", "keys of the query's cluster", "Routing Transformer, arXiv 2003.05997", nothing, content, false, false, &clusters},
    MechanismInfo{"hyper", "hashed blocks and drawn keys that stand for the rest", "HyperAttention, arXiv 2310.05869", nothing, content, false, false, &hyper},
    MechanismInfo{"long-heads", "the first, the last two and the best chunks", "arXiv 2402.10685", causal, content, values, false, &long_heads},
    MechanismInfo{"recycled", "everything on every `period`-th row, its best keys between", "arXiv 2411.05787", causal, content, false, false, &recycled},
    MechanismInfo{"landmark", "blocks reached through their mean key", "arXiv 2305.16300; mean keys as landmarks: own", causal, content, false, false, &landmark},
    MechanismInfo{"mutual", "patches also see the text that follows", "AKI, arXiv 2503.02597", picture, false, false, wider, &mutual},
    MechanismInfo{"no-patch-to-patch", "patches see no other patch", "EE-MLLM, arXiv 2408.11795", picture, false, false, false, &apart},
    MechanismInfo{"concentric", "patches see their ring and those further out", "CCA, arXiv 2410.15926; positions unchanged", picture, false, false, wider, &concentric},
    MechanismInfo{"agent", "patches through about `samples` pooled queries", "Agent attention, arXiv 2312.08874", two_way_picture, content, false, false, &agents},
    MechanismInfo{"flow", "conserved flows", "Flowformer, arXiv 2202.06258", nothing, content, false, false, &flow},
    MechanismInfo{"taylor", "1 + s + s^2/2 outside a window of exact weights", "Based, arXiv 2402.18668", nothing, content, false, false, &taylor},
    MechanismInfo{"hedgehog", "exp(x) and exp(-x) as features, untrained", "arXiv 2402.04347", nothing, content, false, false, &hedgehog},
    MechanismInfo{"elu", "elu(x) + 1 as features", "arXiv 2006.16236", nothing, content, false, false, &elu},
    MechanismInfo{"cosine", "max(0, cosine)", "classical reference", nothing, content, false, false, &cosine},
    MechanismInfo{"softplus", "softplus of cosines, then `power` of what is above uniform", "LSSAR, arXiv 2501.13428", nothing, content, false, false, &softplus},
    MechanismInfo{"sharpen", "`power` of what is above uniform, of the model's own weights", "LSSAR's second half, alone: own", nothing, content, false, false, &sharpen},
    MechanismInfo{"hilo", "`share` of the heads see windows through their mean, the others their window", "HiLo, arXiv 2205.13213", two_way_picture, content, false, false, &hilo},
    MechanismInfo{"radial", "rows of patches as frames: narrower bands the farther apart", "arXiv 2506.19852; rows as frames: own", picture, false, false, false, &radial},
    // clang-format on
};

}  // namespace

Matrix patch_rows(const HeadView& head, const Matrix& rows) {
  Matrix cut(head.picture->grid.size(), rows.columns);
  const auto first = rows.values.begin() + static_cast<ptrdiff_t>(head.picture->begin * rows.columns);
  std::copy_n(first, cut.values.size(), cut.values.begin());
  return cut;
}
std::span<const MechanismInfo> catalogue() { return mechanisms; }

const MechanismInfo* find_mechanism(std::string_view name) {
  const auto* found = std::find_if(mechanisms.begin(), mechanisms.end(),
                                   [&](const MechanismInfo& one) { return one.name == name; });
  return found == mechanisms.end() ? nullptr : found;
}

Result<Imposed> impose(const MechanismInfo& mechanism, const HeadView& head, const Constants& constants) {
  const auto refuse = [&](const char* why) {
    return make_error(ErrorCode::invalid_argument, fmt::format("mechanism {} {}", mechanism.name, why));
  };
  const bool needs_picture = mechanism.needs == Needs::picture || mechanism.needs == Needs::two_way_picture;
  if (needs_picture && !head.picture)
    return refuse("acts among the patches of a picture, and this run has none: give one with --image FILE");
  if (mechanism.needs == Needs::two_way_picture && head.causal)
    return refuse(
        "has no causal form: it needs a model whose patches all see each other (vit, clip, siglip)");
  if (mechanism.needs == Needs::causal && !head.causal)
    return refuse("is made for models that read from left to right; this one sees both ways");
  if (mechanism.needs_values && head.v.rows == 0)
    return refuse("reads the values of the heads, which needs the model beside the capture");
  SACCADE_TRY(Imposed imposed, mechanism.impose(head, constants));
  if (imposed.mask) imposed.mask->keep_diagonal_of_empty_rows();
  return imposed;
}

}  // namespace saccade::mechanisms
