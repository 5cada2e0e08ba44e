// Distances between tokens that stand in a line or on a grid, and sums of attention over them. Knows nothing
// of the host: one head at a time, one band of rows at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attention_distance {

// Where tokens stand. Token `first` is at the origin; with a width, rows of the grid follow each other.
struct Layout {
  int64_t n_token = 0, first = 0, width = 0;  // width 0: a line
  double pitch = 1.0;                         // distance of neighbours

  [[nodiscard]] double steps(int64_t query, int64_t key) const;  // Euclidean, in units of the pitch
  [[nodiscard]] double largest_steps() const;                    // between any two tokens from `first` on
};

// Bins over steps, from 0.
class Bins {
 public:
  static Bins doubling(int64_t count);               // [0, 1) [1, 2) [2, 4) [4, 8) ... the last one open
  static Bins equal(int64_t count, double largest);  // of one width; `largest` lies in the last
  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(starts_.size()); }
  [[nodiscard]] int64_t of(double steps) const;
  [[nodiscard]] std::vector<std::string> labels(double pitch) const;  // "4 to 8"; "1024 and more"

 private:
  std::vector<double> starts_;
  bool open_ = false;  // the last bin has no end
  double end_ = 0.0;
};

// Steps between any query and key by their difference alone (a line), or by both.
class Distances {
 public:
  Distances(const Layout& layout, Bins bins);
  struct Entry {
    double steps = 0.0;
    int64_t bin = 0;
  };
  [[nodiscard]] Entry between(int64_t query, int64_t key) const;
  [[nodiscard]] const Bins& bins() const { return bins_; }

 private:
  // Indexed by |rows apart| * width + |columns apart|; for a line by |tokens apart|.
  Layout layout_;
  Bins bins_;
  std::vector<Entry> table_;
};

// What one head's map adds up to. Raghu et al.: for each query the mean of the distances to the keys, weighed
// by attention; for the head the mean over queries. Keys before `first` are left out and the weights of the
// others renormalised; a query without weight on them has no distance (NaN) and does not count.
class HeadDistance {
 public:
  HeadDistance(const Layout& layout, const Distances& distances);
  // weights: of one query, keys [0, columns).
  void add_row(int64_t query, const float* weights, int64_t columns);

  struct Summary {
    double mean = 0.0;            // over queries, in the pitch's unit; NaN without any
    double standard_error = 0.0;  // of that mean, over queries; NaN with fewer than two
  };
  [[nodiscard]] Summary summary() const;
  [[nodiscard]] const std::vector<float>& queries() const { return queries_; }  // [n_token]
  [[nodiscard]] std::vector<float> histogram() const;                           // [bin], sums to 1

 private:
  const Layout& layout_;
  const Distances& distances_;
  std::vector<float> queries_;
  std::vector<double> mass_;
  int64_t counted_ = 0;
};

}  // namespace attention_distance
