// hiprune: which patches a model could do with, chosen from its encoder's attention (analysis/images/
// token_pruning.h), and what leaving out the others does to the answer, for several budgets.
//
// Of a decoder the other patches' keys are knocked out in every layer, which leaves their positions where
// they are; of a model of pictures alone they are knocked out behind the object layer (own).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/images/patch_field.h"
#include "analysis/images/picture_run.h"
#include "analysis/images/token_pruning.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

constexpr double middle = 9.0 / 24.0;  // where the paper's object layer lies in CLIP-L

MethodInfo make_info() {
  MethodInfo info;
  info.id = "hiprune";
  info.title = "Patches that a model could do with";
  info.summary =
      "Anchors, their neighbours and registers by the encoder's attention (HiPrune); the answer without all "
      "others, for a sweep of budgets; how spread out each layer looks.";
  info.citation = "Liu et al. 2025 (HiPrune, arXiv 2508.00553) and the authors' code; sweep: own";
  info.parameters = {
      {"budget", "Budget", "Patches that are kept; 0: a third.", 0, 0, 100000},
      {"alpha", "Alpha", "Share of the budget that anchors and their neighbours take.", 0.1, 0.0, 1.0},
      {"object_layer", "Object layer", "Of the encoder; -1: 9/24 of its depth.", -1, -1, 1000},
      {"output_layer", "Output layer", "Of the encoder; -1: the last that is used.", -1, -1, 1000},
      {"strict", "Strict neighbours", "Neighbours do not reach over the end of a row.", false},
      {"sweep", "Sweep", "Also measure the answer at a half, a quarter ... of the patches.", true}};
  return info;
}

struct Choice {
  EncoderRun encoder;
  int32_t object = 0, output = 0;
  std::vector<double> at_object, at_output;
  std::vector<int64_t> budgets;  // the one asked for first

  [[nodiscard]] std::vector<TokenRole> roles(const nlohmann::json& p, int64_t budget) const {
    return prune_tokens(at_object, at_output, encoder.region.grid_height, encoder.region.grid_width,
                        {budget, p["alpha"].get<double>(), p["strict"].get<bool>()});
  }
};

Result<Choice> choose(const MethodInput& input) {
  Choice choice;
  SACCADE_TRY(choice.encoder, encoder_of(input, "hiprune"));
  const nlohmann::json& p = input.parameters;
  const int32_t layers = choice.encoder.layers;
  const auto given = [&](const char* name, int32_t otherwise) {
    const auto layer = p[name].get<int32_t>();
    return layer < 0 ? otherwise : layer;
  };
  choice.object = given("object_layer", std::clamp(static_cast<int32_t>(std::lround(middle * layers)), 0,
                                                   std::max(layers - 2, 0)));
  choice.output = given("output_layer", layers - 1);
  for (const int32_t layer : {choice.object, choice.output})
    if (layer >= layers)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("the picture goes through layers 0 to {} of the encoder, not {}", layers - 1, layer));
  SACCADE_TRY(choice.at_object, received_by_patches(choice.encoder, choice.object));
  SACCADE_TRY(choice.at_output, received_by_patches(choice.encoder, choice.output));
  const auto patches = static_cast<int64_t>(choice.at_object.size());
  const auto asked = p["budget"].get<int64_t>();
  choice.budgets.push_back(asked > 0 ? std::min(asked, patches) : std::max<int64_t>(1, patches / 3));
  if (p["sweep"].get<bool>())
    for (int64_t budget = patches / 2; budget >= 1; budget /= 2)
      if (budget != choice.budgets[0]) choice.budgets.push_back(budget);
  return choice;
}

// Whether there is a layer in which what is dropped can be hidden.
bool can_hide(const Choice& choice) {
  return !choice.encoder.is_the_run || choice.object + 1 < choice.encoder.layers;
}

// The edit that leaves out what is dropped; empty when nothing is.
std::vector<std::string> edits_for(const MethodInput& input, const Choice& choice,
                                   const std::vector<TokenRole>& roles) {
  std::vector<int64_t> dropped;
  for (size_t j = 0; j < roles.size(); ++j)
    if (roles[j] == TokenRole::dropped) dropped.push_back(static_cast<int64_t>(j));
  if (dropped.empty()) return {};
  std::string target = "*.*";
  if (!can_hide(choice)) return {};
  if (choice.encoder.is_the_run) {
    target = fmt::format("{}-{}.*", choice.object + 1, input.capture->spec.n_layer - 1);
  }
  const ImageRegion& place = input.capture->images[0];
  return {fmt::format("knockout {} key={}", target, positions_text(place, dropped))};
}

class HiPrune final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(std::vector<Wanted> wanted, encoder_wanted(input, info_.id));
    if (input.outcomes.size() < wanted.size()) return wanted;
    const bool ready = input.outcomes.size() == wanted.size();
    wanted.clear();
    if (!ready || !input.model || input.capture->last_logits.empty()) return wanted;
    SACCADE_TRY(const Choice choice, choose(input));
    if (!can_hide(choice)) return wanted;
    for (const int64_t budget : choice.budgets) {
      SACCADE_TRY(AnswerWanted answer,
                  answer_under(input, edits_for(input, choice, choice.roles(input.parameters, budget))));
      wanted.emplace_back(std::move(answer));
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    MethodInput complete = input;
    SACCADE_TRY(complete.parameters, complete_parameters(info_, input.parameters));
    SACCADE_TRY(const Choice choice, choose(complete));
    const std::vector<TokenRole> roles = choice.roles(complete.parameters, choice.budgets[0]);
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = complete.parameters;
    result.requests = {input.capture->provenance.request};
    const ImageRegion& region = choice.encoder.region;
    const std::string& request = input.capture->provenance.request;
    std::vector<double> numbers;
    for (const TokenRole role : roles) numbers.push_back(static_cast<double>(role));
    result.fields.push_back(over_patches("role", "0 dropped, 1 anchor, 2 neighbour, 3 register",
                                         ValueKind::magnitude, region, numbers, request));
    result.fields.push_back(over_patches("object_importance",
                                         fmt::format("Attention received in layer {}", choice.object),
                                         ValueKind::probability, region, choice.at_object, request));
    result.fields.push_back(over_patches("output_importance",
                                         fmt::format("Attention received in layer {}", choice.output),
                                         ValueKind::probability, region, choice.at_output, request));
    SACCADE_CHECK(add_dispersion(choice, job, result));
    result.tables.push_back(patches_table(choice, roles));
    const std::vector<std::string> edits = edits_for(complete, choice, roles);
    Table edit_table{"edits", {"budget", "edit"}, {}};
    for (const std::string& edit : edits) edit_table.rows.push_back({choice.budgets[0], edit});
    result.tables.push_back(std::move(edit_table));
    say(complete, choice, roles, result);
    return result;
  }

 private:
  static Result<void> add_dispersion(const Choice& choice, const JobContext& job, AnalysisResult& result) {
    Field field{"dispersion",
                "Mean distance between the tenth of patches that receive most",
                "patches",
                ValueKind::magnitude,
                {{AxisKind::layer, "layer", {}}},
                HostTensor({choice.encoder.layers}),
                choice.encoder.capture->provenance.request};
    for (int32_t l = 0; l < choice.encoder.layers; ++l) {
      SACCADE_CHECK(job.check());
      SACCADE_TRY(const std::vector<double> received, received_by_patches(choice.encoder, l));
      field.values.mutable_values()[static_cast<size_t>(l)] =
          static_cast<float>(dispersion(received, choice.encoder.region.grid_width));
    }
    result.fields.push_back(std::move(field));
    return {};
  }

  static Table patches_table(const Choice& choice, const std::vector<TokenRole>& roles) {
    Table table{"patches", {"patch", "row", "column", "role", "object_importance", "output_importance"}, {}};
    const int64_t width = choice.encoder.region.grid_width;
    for (size_t j = 0; j < roles.size(); ++j) {
      const auto at = static_cast<int64_t>(j);
      table.rows.push_back({at, at / width, at % width, std::string(to_string(roles[j])), choice.at_object[j],
                            choice.at_output[j]});
    }
    return table;
  }

  static void say(const MethodInput& input, const Choice& choice, const std::vector<TokenRole>& roles,
                  AnalysisResult& result) {
    const auto count = [&](TokenRole role) { return std::count(roles.begin(), roles.end(), role); };
    result.findings.push_back(
        fmt::format("Of {} patches {} stay: {} anchors of encoder layer {}, {} of their neighbours, {} "
                    "registers of layer {}.",
                    roles.size(), static_cast<int64_t>(roles.size()) - count(TokenRole::dropped),
                    count(TokenRole::anchor), choice.object, count(TokenRole::buffer),
                    count(TokenRole::registers), choice.output));
    if (!can_hide(choice))
      result.findings.emplace_back(
          "No layer follows the object layer in this model: what leaving out the others does is not "
          "measured.");
    Table table{"budgets", {"budget", "kl", "answer"}, {}};
    for (size_t b = 0; b < choice.budgets.size(); ++b)
      if (const KeptAnswer* answer = answer_in(input.outcomes, b + (choice.encoder.is_the_run ? 0 : 1)))
        table.rows.push_back({choice.budgets[b], answer->kl, answer_text(input, *answer)});
    if (table.rows.empty()) return;
    const std::string before = top_answer(input), after = std::get<std::string>(table.rows[0][2]);
    result.findings.push_back(
        fmt::format("Without the others the answer moves by {:.3g} nats (KL); '{}' {}.",
                    std::get<double>(table.rows[0][1]), before,
                    before == after ? "stays the most probable" : fmt::format("gives way to '{}'", after)));
    int64_t least = std::numeric_limits<int64_t>::max();
    for (const auto& row : table.rows)
      if (std::get<std::string>(row[2]) == before) least = std::min(least, std::get<int64_t>(row[0]));
    if (least != std::numeric_limits<int64_t>::max())
      result.findings.push_back(
          fmt::format("The smallest budget that was tried and keeps the answer is {} patches of {}.", least,
                      roles.size()));
    result.tables.push_back(std::move(table));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_hiprune() { return std::make_unique<HiPrune>(); }

}  // namespace saccade
