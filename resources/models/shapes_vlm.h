// ShapesVlm: a small LLaVA (Liu et al. 2023, arXiv 2310.03744) with its training steps: a picture tower of
// SigLIP's kind without its head, a projector of two matrices, a Llama decoder. float32, CPU, one thread.
// LibTorch stays in the .cpp; its exceptions become errors here.
//
// A text is "<|endoftext|>", the rows of the picture, and what is said. In training several things are said
// of one picture side by side: each sees the picture and itself, at the positions it would have alone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/llama.h"
#include "resources/models/tower_shape.h"
#include "resources/models/training.h"

namespace saccade {

struct VlmShape {
  TowerShape tower;
  LlamaShape decoder;  // its vocabulary holds the placeholder of pictures too
  int32_t bos_id = 0;
  std::vector<int32_t> colour_ids, form_ids;  // the words that name what a patch shows

  [[nodiscard]] int64_t parameters() const;
};

// What the patches show: [picture, patch], the place of the word in colour_ids and form_ids; one more:
// nothing.
struct PatchNames {
  std::vector<int32_t> colour, form;
};

// slots[i] is the length of the i-th thing said of every picture; ids and weights [picture, slot, position],
// the slots behind each other. A token of weight 0 is not learned; padding at a slot's end is never seen.
struct TalkBatch {
  PictureBatch pictures;
  PatchNames names;
  std::vector<int32_t> slots;
  std::vector<int32_t> ids;
  std::vector<float> weight;
};

struct VlmLoss {
  double naming = 0, talking = 0;  // nats; talking of the weighted tokens
};

class ShapesVlm {
 public:
  static Result<ShapesVlm> create(const VlmShape& shape, uint64_t seed);
  ShapesVlm(ShapesVlm&&) noexcept;
  ShapesVlm& operator=(ShapesVlm&&) noexcept;
  ~ShapesVlm();

  // One AdamW step of tower and projector alone: the projector's row of a patch, multiplied with the
  // decoder's vectors of words, names what the patch shows.
  Result<VlmLoss> train_naming(const PictureBatch& pictures, const PatchNames& names, double learning_rate);
  // One AdamW step of everything on the next words, and a little on the naming.
  Result<VlmLoss> train_talking(const TalkBatch& batch, double learning_rate);
  // Likeliest next tokens, `count` of them, behind a prompt for each picture; prompts of one length.
  [[nodiscard]] Result<std::vector<std::vector<int32_t>>> answer(const PictureBatch& pictures,
                                                                 std::vector<std::vector<int32_t>> prompts,
                                                                 int32_t count) const;
  Result<void> round_to_bfloat16();
  [[nodiscard]] Result<std::vector<NamedTensor>> weights() const;  // what the file holds
  [[nodiscard]] const VlmShape& shape() const;

 private:
  struct State;
  explicit ShapesVlm(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace saccade
