// ShapesVit: a small ViT that names a scene's counted shapes, with its training step. float32, CPU, one
// thread. LibTorch stays in the .cpp; its exceptions become errors here.
//
// While it is trained, the classifier is a sum: logit(colour, form, count) = a(colour) + b(form) + c(count),
// which learns three small questions instead of one of 120 answers; the file holds the sum as one matrix.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/counting.h"
#include "resources/models/tower_shape.h"
#include "resources/models/training.h"

namespace saccade {

struct CountedBatch {
  PictureBatch pictures;
  std::vector<int32_t> kind, count;
};

class ShapesVit {
 public:
  static Result<ShapesVit> create(const TowerShape& shape, uint64_t seed);
  ShapesVit(ShapesVit&&) noexcept;
  ShapesVit& operator=(ShapesVit&&) noexcept;
  ~ShapesVit();

  // One AdamW step on the mean of -log p(class); returns it, nats.
  Result<double> train_step(const CountedBatch& batch, double learning_rate);
  // The likeliest class of each picture.
  [[nodiscard]] Result<std::vector<int32_t>> classify(const PictureBatch& pictures) const;
  [[nodiscard]] Result<std::vector<NamedTensor>> weights() const;
  [[nodiscard]] const TowerShape& shape() const;

 private:
  struct State;
  explicit ShapesVit(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace saccade
