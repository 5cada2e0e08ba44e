#include "analysis/mechanisms/elastic_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace saccade::mechanisms {
namespace {

// What one rule costs one head, at every length.
struct Price {
  std::vector<double> loss, kept;  // [length]; kept as a share of the causal blocks
  [[nodiscard]] double total_loss() const {
    double sum = 0.0;
    for (const double value : loss) sum += value;
    return sum;
  }
  [[nodiscard]] double total_kept() const {
    double sum = 0.0;
    for (const double value : kept) sum += value;
    return sum;
  }
};

// Choices are indices of candidates, one per head.
struct Chooser {
  const std::vector<std::vector<Price>>& prices;  // [head][candidate]
  size_t lengths;
  double bound;

  [[nodiscard]] std::vector<double> densities(const std::vector<size_t>& chosen) const {
    std::vector<double> means(lengths, 0.0);
    for (size_t h = 0; h < chosen.size(); ++h)
      for (size_t l = 0; l < lengths; ++l)
        means[l] += prices[h][chosen[h]].kept[l] / static_cast<double>(chosen.size());
    return means;
  }
  [[nodiscard]] bool fits(const std::vector<size_t>& chosen) const {
    const std::vector<double> means = densities(chosen);
    return std::all_of(means.begin(), means.end(), [&](double mean) { return mean <= bound + 1e-12; });
  }
  [[nodiscard]] double loss(const std::vector<size_t>& chosen) const {
    double sum = 0.0;
    for (size_t h = 0; h < chosen.size(); ++h) sum += prices[h][chosen[h]].total_loss();
    return sum;
  }

  // From what sees most: again and again the change that loses least per block saved, until it fits.
  Result<void> shrink(std::vector<size_t>& chosen) const {
    for (size_t h = 0; h < chosen.size(); ++h)
      for (size_t c = 0; c < prices[h].size(); ++c)
        if (prices[h][c].total_kept() > prices[h][chosen[h]].total_kept()) chosen[h] = c;
    while (!fits(chosen)) {
      double best = std::numeric_limits<double>::infinity();
      size_t head = chosen.size(), candidate = 0;
      for (size_t h = 0; h < chosen.size(); ++h)
        for (size_t c = 0; c < prices[h].size(); ++c) {
          const Price &now = prices[h][chosen[h]], &then = prices[h][c];
          const double saved = now.total_kept() - then.total_kept();
          if (saved <= 1e-12) continue;
          const double rate = (then.total_loss() - now.total_loss()) / saved;
          if (rate < best) {
            best = rate;
            head = h;
            candidate = c;
          }
        }
      if (head == chosen.size())
        return make_error(ErrorCode::invalid_argument,
                          fmt::format("even the shortest spans keep more than {} of the blocks; raise the "
                                      "bound or take smaller blocks",
                                      bound));
      chosen[head] = candidate;
    }
    return {};
  }

  // Whatever one head can change for the better within the bound.
  void improve(std::vector<size_t>& chosen) const {
    for (bool again = true; again;) {
      again = false;
      for (size_t h = 0; h < chosen.size(); ++h)
        for (size_t c = 0; c < prices[h].size(); ++c) {
          if (prices[h][c].total_loss() >= prices[h][chosen[h]].total_loss() - 1e-12) continue;
          const size_t before = std::exchange(chosen[h], c);
          if (fits(chosen))
            again = true;
          else
            chosen[h] = before;
        }
    }
  }
};

double share_kept(int64_t n, int64_t block, const ElasticRule& rule) {
  const KeyMask mask = elastic_blocks(n, block, rule);
  return density(mask, KeyMask::causal(mask.queries()));
}

}  // namespace

double predicted_loss(const BlockInfluence& influence, int64_t block, const ElasticRule& rule) {
  const KeyMask mask = elastic_blocks(influence.tokens, block, rule);
  double sum = 0.0;
  for (int64_t i = 0; i < influence.blocks.rows; ++i)
    for (int64_t j = 0; j <= i; ++j)
      if (!mask.sees(i, j)) sum += influence.blocks.at(i, j);
  return sum;
}

Result<ElasticChoice> choose_elastic_rules(std::span<const std::vector<BlockInfluence>> influence,
                                           int64_t block, std::span<const ElasticRule> candidates,
                                           double bound) {
  if (influence.empty() || influence[0].empty() || candidates.empty())
    return make_error(ErrorCode::invalid_argument, "there is no head or no elastic rule to choose from");
  const size_t heads = influence[0].size(), lengths = influence.size();
  for (const auto& of_length : influence)
    if (of_length.size() != heads)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("the influence of {} heads is known at one length, of {} at another",
                                    heads, of_length.size()));
  std::vector<std::vector<Price>> prices(heads);  // [head][candidate]
  for (size_t h = 0; h < heads; ++h)
    for (const ElasticRule& rule : candidates) {
      Price price;
      for (size_t l = 0; l < lengths; ++l) {
        price.loss.push_back(predicted_loss(influence[l][h], block, rule));
        price.kept.push_back(share_kept(influence[l][h].tokens, block, rule));
      }
      prices[h].push_back(std::move(price));
    }
  const Chooser chooser{prices, lengths, bound};
  std::vector<size_t> chosen(heads, 0);
  SACCADE_CHECK(chooser.shrink(chosen));
  chooser.improve(chosen);
  for (size_t c = 0; c < candidates.size(); ++c) {  // one rule for all heads is where it may also start
    std::vector<size_t> same(heads, c);
    if (!chooser.fits(same)) continue;
    chooser.improve(same);
    if (chooser.loss(same) < chooser.loss(chosen)) chosen = same;
  }
  ElasticChoice choice;
  choice.densities = chooser.densities(chosen);
  choice.losses.assign(lengths, 0.0);
  for (size_t h = 0; h < heads; ++h) {
    choice.rules.push_back(candidates[chosen[h]]);
    for (size_t l = 0; l < lengths; ++l) choice.losses[l] += prices[h][chosen[h]].loss[l];
  }
  return choice;
}

std::vector<ElasticRule> elastic_candidates(int64_t n, int64_t step) {
  std::vector<ElasticRule> rules;
  for (int64_t alpha = 0; alpha <= n; alpha += step)
    for (int eighth = 0; eighth <= 8; ++eighth)
      rules.push_back({static_cast<double>(alpha), static_cast<double>(eighth) / 8.0});
  return rules;
}

}  // namespace saccade::mechanisms
