// Head offsets z := (1 + a) z + v (LoFiT, Yin et al. 2024, arXiv 2406.01563) and two ways to find them.
// Numbers per head are [d_head], heads in the order of head_at().
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/capture/vector_file.h"
#include "core/model/model_spec.h"
#include "core/run/gradient.h"

namespace saccade {

struct HeadOffsets {
  HeadOffsets() = default;
  explicit HeadOffsets(const ModelSpec& spec);
  std::vector<std::vector<double>> a, v;  // [head][d_head]

  // As the file that the `offset` edit reads: head_offsets/LAYER/HEAD/{a,v}; heads without an offset are left
  // out, and `least` heads are written even where all are zero.
  [[nodiscard]] std::shared_ptr<const VectorFile> file(const ModelSpec& spec) const;
};

// (1 + a) z + v, element by element.
[[nodiscard]] std::vector<double> offset_z(std::span<const double> z, std::span<const double> a,
                                           std::span<const double> v);

// One step of Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1) with its usual constants.
class Adam {
 public:
  explicit Adam(double rate) : rate_(rate) {}
  void step(std::vector<std::vector<double>>& numbers, const std::vector<std::vector<double>>& gradient);

 private:
  double rate_;
  int64_t steps_ = 0;
  std::vector<std::vector<double>> mean_, square_;
};

// d scalar / d a and d scalar / d v of every head, added: sums over positions of z g and of g, z before the
// offset. The gradient is of a run under `offsets` and has z of every layer.
void add_gradients(const GradientCapture& gradient, const ModelSpec& spec, const HeadOffsets& offsets,
                   HeadOffsets& sums);

// What a head's z tells two sets of examples apart by: the direction from the mean of one to that of the
// other, and how far z spreads along it.
struct HeadProbe {
  std::vector<double> direction;  // of length 1; zeros where the means are equal
  double spread = 0.0;            // standard deviation along it, all examples
  double accuracy = 0.0;          // of the sign of (z - middle) . direction, each example left out in turn
};
// positive, negative: [example][d_head], at least two of each.
[[nodiscard]] HeadProbe probe_head(const std::vector<std::vector<double>>& positive,
                                   const std::vector<std::vector<double>>& negative);

}  // namespace saccade
