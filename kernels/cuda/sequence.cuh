// Which kernels run, in which order, for one call. A Launcher starts a kernel (on a stream; in the emulation,
// on the spot): launch(kernel, Grid, threads, shared_bytes, arguments...), and zero(pointer, bytes).
#pragma once

#include <algorithm>

#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/forward_row.cuh"
#include "kernels/cuda/forward_tensor.cuh"
#include "kernels/cuda/forward_tiled.cuh"
#include "kernels/cuda/map_passes.cuh"

namespace saccade::cuda {

struct Grid {
  int64_t x = 1, y = 1, z = 1;
};

inline int64_t pieces(int64_t count, int64_t size) { return (count + size - 1) / size; }

template <int D, class Launcher>
void run_tiled(Launcher& launcher, const Parameters& p, float) {
  using Shape = TiledForward<D>;
  launcher.launch(forward_tiled<D>, Grid{pieces(p.n_query, Shape::rows), p.n_plain}, block_threads,
                  Shape::shared_bytes, p);
}

// Blocks of 128 rows read keys and values half as often as blocks of 64, but there must be enough of them to
// keep a large device busy.
template <int D, class Launcher>
void run_tiled(Launcher& launcher, const Parameters& p, Bfloat16) {
  using Shape = TensorForward<D>;
  constexpr int64_t busy = 264;
  constexpr bool large_fits = Shape::shared_bytes(128) <= 99 * 1024;
  const bool large = large_fits && pieces(p.n_query, 128) * p.n_plain >= busy;
  const int rows = large ? 128 : 64;
  launcher.launch(forward_tensor<D>, Grid{pieces(p.n_query, rows), p.n_plain}, 2 * rows,
                  Shape::shared_bytes(rows), p);
}

template <class Element, class Launcher>
void run_rows(Launcher& launcher, const Parameters& p, const int32_t* heads, int n_heads, bool only_broken) {
  const int64_t blocks = std::min<int64_t>(p.work.row_slots, int64_t{n_heads} * p.n_query);
  launcher.launch(forward_rows<Element>, Grid{blocks}, block_threads, forward_rows_shared_bytes, p, heads,
                  n_heads, only_broken);
}

template <class Element, class Launcher>
void run_plain_heads(Launcher& launcher, const Parameters& p) {
  if (p.n_query <= decode_rows) {
    launcher.launch(decode_split<Element>, Grid{p.work.splits, p.n_plain, p.n_query}, block_threads,
                    sizeof(DecodeShared), p);
    launcher.launch(decode_merge<Element>, Grid{p.n_plain, p.n_query}, block_threads, 0, p);
    return;
  }
  const bool tiled = p.d_head <= largest_tiled_head;
  if (p.d_head <= 64)
    run_tiled<64>(launcher, p, Element{});
  else if (p.d_head <= 128)
    run_tiled<128>(launcher, p, Element{});
  else if (tiled)
    run_tiled<256>(launcher, p, Element{});
  run_rows<Element>(launcher, p, p.tables.plain_heads, p.n_plain, tiled);
}

// block_max and block_mass of every head are tiles of whole maps.
template <class Element, class Launcher>
void run_tiles(Launcher& launcher, const Parameters& p, const TileParameters& t) {
  const int64_t rows = t.row_end - t.row_begin, keys = t.key_end - t.key_begin;
  if (t.lod <= tile_side) {
    const int64_t side = tile_side / t.lod * t.lod;
    launcher.launch(regenerate<Element>, Grid{pieces(keys, side), pieces(rows, side), t.n_heads},
                    block_threads, score_tile_shared_bytes<Element>, p, t);
  } else {
    launcher.launch(regenerate_far<Element>, Grid{pieces(keys, t.lod), pieces(rows, t.lod), t.n_heads},
                    block_threads, score_tile_shared_bytes<Element>, p, t);
  }
}

template <class Element, class Launcher>
void run_map_passes(Launcher& launcher, const Parameters& p) {
  if (p.received || p.received_max || p.received_blocks)
    launcher.launch(gather_columns<Element>, Grid{pieces(p.n_key, tile_side), p.n_head}, block_threads,
                    gather_columns_shared_bytes<Element>, p);
  if (p.top_k > 0 && (p.top_weight || p.top_key))
    launcher.launch(gather_top_keys<Element>, Grid{pieces(p.n_query, tile_side), p.n_head}, block_threads,
                    score_tile_shared_bytes<Element>, p);
  if (p.n_mass > 0)
    launcher.launch(gather_key_mass<Element>, Grid{pieces(p.n_query, tile_side), p.n_head, p.n_mass},
                    block_threads, score_tile_shared_bytes<Element>, p);
  if (p.block_max || p.block_mass) {
    TileParameters t;
    t.n_heads = p.n_head;
    t.row_end = p.n_query;
    t.key_end = p.n_key;
    t.lod = std::min(p.block_size, std::max({p.n_query, p.n_key, 1}));
    t.block_max = p.block_max;
    t.block_mass = p.block_mass;
    run_tiles<Element>(launcher, p, t);
  }
}

template <class Element, class Launcher>
void run_forward(Launcher& launcher, const Parameters& p) {
  launcher.zero(p.work.broken, static_cast<size_t>(p.n_kv_head) * sizeof(int32_t));
  launcher.launch(measure_values<Element>, Grid{pieces(p.n_key, block_threads / warp_size), p.n_kv_head},
                  block_threads, 0, p);
  if (p.n_plain > 0) run_plain_heads<Element>(launcher, p);
  if (p.n_edited > 0) run_rows<Element>(launcher, p, p.tables.edited_heads, p.n_edited, false);
  run_map_passes<Element>(launcher, p);
}

template <class Element, class Launcher>
void run_cells(Launcher& launcher, const Parameters& p, const CellParameters& c) {
  launcher.launch(regenerate_cells<Element>, Grid{pieces(c.count, cells_per_block<Element>)}, block_threads,
                  score_tile_shared_bytes<Element>, p, c);
}

}  // namespace saccade::cuda
