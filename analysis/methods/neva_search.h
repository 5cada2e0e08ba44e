// What neva compares pictures by, and how it looks for the next fixation. The search holds nothing: it goes
// through what was answered, in the order in which it was asked, as far as it goes, and says what to ask
// next.
#pragma once

#include <string>
#include <vector>

#include "analysis/method.h"
#include "analysis/scanpath/foveation.h"

namespace saccade::neva {

constexpr int64_t grid_side = 12;

// What the loss compares with.
struct Aim {
  bool features = false;         // 1 - cos; else cross entropy, nats
  int32_t id = 0;                // of classes and tokens
  std::vector<float> direction;  // of features
  std::string text;              // "'cat'"
};
// From the method's parameters. Errors: classes that are not there, captions of models that have no text
// tower.
[[nodiscard]] Result<Aim> read_aim(const MethodInput& input);
[[nodiscard]] double loss_of(const Aim& aim, const KeptAnswer& answer);
[[nodiscard]] double loss_of(const Aim& aim, std::span<const float> logits);  // of the whole answer
// The loss's slope by the answer, as a scalar that gradients are taken of.
[[nodiscard]] std::vector<ScalarTerm> slope_of(const Aim& aim, std::span<const float> logits);

enum class AskFor { answer, run, gradient };
struct Ask {
  AskFor what = AskFor::answer;
  FoveaPoint point;
  std::vector<ScalarTerm> scalar = {};  // of gradients
};

// The point that a run's picture was made for; it is kept in the picture's name.
[[nodiscard]] std::string name_of_point(const FoveaPoint& point);
[[nodiscard]] FoveaPoint point_of_name(const std::string& name);

class Search {
 public:
  // Outcome 0 is the answer to the picture that is blurred everywhere. foveation: needed where it goes by
  // gradients.
  Search(const MethodInput& input, const Aim& aim, const Foveation& foveation);

  struct Found {
    FoveaPoint point;
    double loss = 0.0;
  };
  // What to ask next; empty: done.
  [[nodiscard]] Result<std::vector<Ask>> go();
  [[nodiscard]] const std::vector<Found>& found() const { return found_; }
  [[nodiscard]] const std::vector<std::vector<double>>& grids() const { return grids_; }  // [fixation][144]
  [[nodiscard]] std::vector<FoveaPoint> points() const;

 private:
  bool take(const std::vector<FoveaPoint>& places, std::vector<double>& losses);
  std::vector<Ask> on_grid();
  std::vector<Ask> by_differences();
  Result<std::vector<Ask>> by_gradients();
  [[nodiscard]] Result<FoveaPoint> slope_at(const FoveaPoint& point, const GradientCapture& gradient) const;
  [[nodiscard]] FoveaPoint moved(const FoveaPoint& from, const FoveaPoint& slope, bool better,
                                 int64_t step) const;

  const MethodInput& input_;
  const Aim& aim_;
  const Foveation& foveation_;
  size_t next_ = 1;
  std::vector<Found> found_;
  std::vector<std::vector<double>> grids_;
};

// Through the patch embedding: d scalar / d pixels [channel, height, width] from d scalar / d embedded
// patches [patch, d_model]. einsum "nd,dk->nk", k = (channel, y, x) of a patch.
[[nodiscard]] HostTensor pixel_gradient(const Model& model, std::span<const float> patches,
                                        const std::vector<int64_t>& pixels);

}  // namespace saccade::neva
