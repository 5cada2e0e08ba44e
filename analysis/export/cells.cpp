#include "analysis/export/cells.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace saccade {
namespace {

constexpr double invisible = std::numeric_limits<double>::quiet_NaN();

bool knocked_out(const AttentionMap& map, int64_t query, int64_t key) {
  const auto& lists = map.capture().layers[static_cast<size_t>(map.head().layer.value)]->knockouts;
  if (lists.empty()) return false;
  const auto& edges = lists[static_cast<size_t>(map.head().head.value)];
  return std::any_of(edges.begin(), edges.end(), [&](const EdgeRect& edge) {
    return query >= edge.query_begin && query < edge.query_end && key >= edge.key_begin && key < edge.key_end;
  });
}

// Rows [begin, end) of the request: the numbers, at level of detail `fetch`, and each row's sink mass.
class Strip {
 public:
  static Result<Strip> of(const CellRequest& request, int64_t begin, int64_t end, int64_t fetch) {
    Strip strip(request, begin, fetch);
    SACCADE_TRY(strip.tile_,
                request.map->tile(begin, end, request.columns_begin, request.columns_end, fetch));
    if (request.difference_from != nullptr) {
      SACCADE_TRY(strip.other_, request.difference_from->tile(begin, end, request.columns_begin,
                                                              request.columns_end, fetch));
    }
    if (request.scale.mode == SinkMode::renormalise) {
      const int64_t keys = std::min(request.scale.sink_keys, request.map->size());
      strip.sink_mass_.assign(static_cast<size_t>(end - begin), 0.0);
      if (keys > 0) {
        SACCADE_TRY(const Tile sinks, request.map->tile(begin, end, 0, keys, 1));
        for (int64_t at = 0; at < sinks.block_mass.size(); ++at)
          strip.sink_mass_[static_cast<size_t>(at / keys)] += sinks.block_mass.data()[at];
      }
    }
    return strip;
  }

  [[nodiscard]] int64_t rows() const { return tile_.rows; }
  [[nodiscard]] int64_t columns() const { return tile_.columns; }

  // The value at one fetched element, NaN where nothing can be seen.
  [[nodiscard]] double value(int64_t row, int64_t column) const {
    const int64_t query = begin_ + row * fetch_, key = request_->columns_begin + column * fetch_;
    if (request_->map->causal() && key > query + fetch_ - 1) return invisible;
    if (fetch_ == 1) {
      if (request_->scale.hides(key)) return invisible;
      const bool out = knocked_out(*request_->map, query, key);
      if (out &&
          (request_->difference_from == nullptr || knocked_out(*request_->difference_from, query, key)))
        return invisible;
    }
    const auto at = row * tile_.columns + column;
    const double value = tile_.block_max.data()[at];
    return request_->difference_from == nullptr ? value : value - other_.block_max.data()[at];
  }
  [[nodiscard]] double sink_mass(int64_t row) const {
    return sink_mass_.empty() ? 0.0 : sink_mass_[static_cast<size_t>(row)];
  }

 private:
  Strip(const CellRequest& request, int64_t begin, int64_t fetch)
      : request_(&request), begin_(begin), fetch_(fetch) {}

  const CellRequest* request_;
  int64_t begin_, fetch_;
  Tile tile_, other_;
  std::vector<double> sink_mass_;
};

// The colour of the block of fetched elements [row, row + side) x [column, column + side).
Rgb block_colour(const CellRequest& request, const Strip& strip, int64_t row, int64_t column, int64_t side) {
  double best = invisible, best_size = -1.0, best_sink = 0.0;
  for (int64_t i = row; i < std::min(row + side, strip.rows()); ++i)
    for (int64_t j = column; j < std::min(column + side, strip.columns()); ++j) {
      const double value = strip.value(i, j);
      if (std::isnan(value)) continue;
      const double rest = 1.0 - strip.sink_mass(i);
      const double size = std::abs(value) / std::max(rest, 1e-6);
      if (size <= best_size) continue;
      best = value, best_size = size, best_sink = strip.sink_mass(i);
    }
  return std::isnan(best) ? request.masked : request.scale.colour(best, best_sink);
}

}  // namespace

int64_t block_side(int64_t cells, int64_t most) {
  int64_t side = 1;
  while ((cells + side - 1) / side > std::max<int64_t>(most, 1)) side *= 2;
  return side;
}

Result<Pixels> render_cells(const CellRequest& request, const JobContext& job) {
  const int64_t rows = request.rows_end - request.rows_begin,
                columns = request.columns_end - request.columns_begin;
  const int64_t lod = request.lod;
  Pixels pixels((columns + lod - 1) / lod, (rows + lod - 1) / lod);
  // What depends on single cells (hidden keys, renormalised rows, differences) is pooled here from exact
  // weights.
  const bool exact = request.difference_from != nullptr || request.scale.hides(0);
  const int64_t fetch = exact ? 1 : lod;
  const int64_t side = lod / fetch;
  // Some 2^18 weights per strip keep memory small and a cancel quick.
  const int64_t strip_rows = std::max<int64_t>((int64_t{1} << 18) / columns / lod, 1) * lod;
  for (int64_t begin = request.rows_begin; begin < request.rows_end; begin += strip_rows) {
    SACCADE_CHECK(job.check());
    job.progress(static_cast<double>(begin - request.rows_begin) / static_cast<double>(rows),
                 "drawing the map");
    SACCADE_TRY(const Strip strip,
                Strip::of(request, begin, std::min(begin + strip_rows, request.rows_end), fetch));
    const int64_t first = (begin - request.rows_begin) / lod;
    for (int64_t row = 0; row * side < strip.rows(); ++row)
      for (int64_t column = 0; column < pixels.width; ++column)
        pixels.at(column, first + row) = block_colour(request, strip, row * side, column * side, side);
  }
  return pixels;
}

}  // namespace saccade
