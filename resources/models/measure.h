// What the heads of a trained demo model do, in numbers.
//
// Attention scores are means over the queries of repeated random words, BOS w1..wn w1..wn (Elhage et al.
// 2021, Olsson et al. 2022), drawn apart from the training texts: to the token before ("previous"), from a
// word's second occurrence to the word after its first ("induction"), to the first occurrence itself
// ("duplicate"), to BOS ("first"). Losses are nats per word.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/gpt2.h"
#include "resources/models/language.h"

namespace saccade {

struct CopyLoss {
  double first = 0;   // over the first copy
  double second = 0;  // over the second copy, without its first word, which nothing foretells
};

struct Giving {
  double probability = 0;  // of the right name, mean
  double difference = 0;   // log p(right name) - log p(the name already said twice), mean, nats
  double accuracy = 0;     // share of prompts where the right name is the likelier of the two
};

struct HeadReport {
  Head head;
  double previous = 0, induction = 0, duplicate = 0, self = 0, first = 0;  // mean attention probability
  CopyLoss loss_without;
  Giving giving_without;
};

struct Measurement {
  int32_t texts = 0, half = 0, giving_prompts = 0;
  CopyLoss intact;
  Giving giving;
  std::vector<HeadReport> heads;                      // [layer * n_head + head]
  std::vector<Head> previous_heads, induction_heads;  // score over 0.5
  CopyLoss without_previous, without_induction;
  std::vector<CopyLoss> without_layer;  // all heads of one layer zeroed
};

// The short form, for the curve during training: losses and the best scores over the heads.
struct Glance {
  CopyLoss loss;
  double previous = 0, induction = 0;
};

Result<Glance> glance(const Gpt2& model, const Language& language, uint64_t seed);
Result<Measurement> measure(const Gpt2& model, const Language& language, uint64_t seed);

}  // namespace saccade
