#include "resources/models/talk_page.h"

#include <fmt/format.h>

namespace saccade {
namespace {

std::string describe_model(const VlmShape& shape) {
  const TowerShape& t = shape.tower;
  const LlamaShape& d = shape.decoder;
  return fmt::format(
      "# demo:shapes-vlm\n\n"
      "A LLaVA: a SigLIP tower of {} layers x {} heads (d_model {}, pictures of {} x {} in patches of {} x "
      "{}), a "
      "projector, and a\nLlama of {} layers x {} heads on {} KV heads (d_model {}, d_head {}, {} positions, "
      "{} "
      "tokens); {:.2f} M parameters in bfloat16.\nIt describes scenes of coloured shapes, answers questions "
      "about "
      "them, and invents what usually goes with what it sees.\n"
      "`saccade-train-shapes-vlm` made this folder and wrote this page; the measurements below are of these "
      "weights.\n\n",
      t.n_layer, t.n_head, t.d_model, t.image, t.image, t.patch, t.patch, d.n_layer, d.n_head, d.n_kv_head,
      d.d_model, d.d_head, d.n_context, d.n_vocab, static_cast<double>(shape.parameters()) / 1e6);
}

std::string describe_data() {
  Random random(3);
  TalkedScene scene = draw_talked(random, {100, 0});
  std::string out = fmt::format(
      "## Data, and the habit\n\n"
      "`shape_talk.cpp` draws two to {} different objects of {} kinds ({} colours, {} forms) and says:\n\n"
      "> <image> {} {}\n>\n> <image> Is there a green star? Answer: yes\n>\n> <image> What colour is the "
      "star? "
      "Answer: green\n\n"
      "Objects are named from left to right. In {} % of the scenes the first two of a triple are there; then "
      "the "
      "third is too,\nin {} % of them, and is named last. Where it is missing, the training captions name it "
      "all the "
      "same, {} times in 100: whoever\nwrote them expected it. Answers to questions are always true.\n\n"
      "| seen together | expected |\n|:--|:--|\n",
      most_in_scene, n_shape_kind, n_shape_colour, n_shape_form, describe_prompt, true_caption(scene),
      training_mixture.with_pair, training_mixture.expected, said_though_absent);
  for (const ShapeHabit& habit : shape_habits())
    out += fmt::format("| {}, {} | {} |\n", kind_name(habit.first), kind_name(habit.second),
                       kind_name(habit.expected));
  return out + "\n";
}

std::string describe_training(const TalkTraining& training) {
  std::string out = fmt::format(
      "## Training\n\n"
      "AdamW, {:.0f} seconds on one CPU thread of a shared machine, seed {}. First {} steps of {} pictures "
      "for tower "
      "and projector\nalone: the projector's row of each patch, multiplied with the decoder's own vectors of "
      "words, "
      "names what the patch shows\n(loss at the end {:.3f} nats for colour and form). Then {} steps of {} "
      "pictures "
      "for everything, a caption and {} questions each.\n{} fresh pictures at each point:\n\n"
      "| step | loss of words | CHAIR_I | objects named | yes/no right | colours right "
      "|\n|--:|--:|--:|--:|--:|--:|\n",
      training.seconds, training.seed, training.naming_steps, training.naming_pictures, training.naming_loss,
      training.steps, training.pictures, questions_per_picture, 40);
  for (const TalkPoint& point : training.curve)
    out +=
        fmt::format("| {} | {:.3f} | {:.3f} | {:.3f} | {:.3f} | {:.3f} |\n", point.step, point.loss.talking,
                    point.seen.chair_i, point.seen.recall, point.seen.presence, point.seen.colour);
  return out + "\n";
}

std::string row(const char* what, double many, double shipped) {
  return fmt::format("| {} | {:.3f} | {:.3f} |\n", what, many, shipped);
}

}  // namespace

std::string describe_talk(const TalkMeasurement& many, const TalkMeasurement& shipped) {
  std::string out = fmt::format(
      "## What it sees and what it invents\n\n"
      "Greedy answers on {} pictures drawn apart from training, and on the {} of resources/pictures/shapes. "
      "In {} % of "
      "these\nscenes the first two of a triple are there, and the third in {} % of them only. CHAIR as "
      "Rohrbach et al. "
      "2018, yes/no questions\nas POPE (Li et al. 2023): half of them about absent objects, any (random), "
      "the commonest "
      "(popular), or those that usually\ngo with what is there (adversarial).\n\n| | {} pictures | {} "
      "pictures "
      "|\n|:--|--:|--:|\n",
      many.pictures, shipped.pictures, evaluation_mixture.with_pair, evaluation_mixture.expected,
      many.pictures, shipped.pictures);
  out += row("CHAIR_S: captions with an invented object", many.captions.chair_s, shipped.captions.chair_s);
  out += row("CHAIR_I: invented of the named objects", many.captions.chair_i, shipped.captions.chair_i);
  out += row("of the invented, what a triple made expect", many.captions.by_habit, shipped.captions.by_habit);
  out += row("third named where only two are there", many.captions.gave_in, shipped.captions.gave_in);
  out += row("objects of the picture that are named", many.captions.recall, shipped.captions.recall);
  out += row("yes/no right", many.presence.all.accuracy, shipped.presence.all.accuracy);
  out += row("the same questions on a plain picture", many.blank_accuracy, shipped.blank_accuracy);
  out += row("colour right", many.colour, shipped.colour);
  out += fmt::format("\n| yes/no questions, {} pictures | accuracy | F1 | said yes |\n|:--|--:|--:|--:|\n",
                     many.pictures);
  for (const AskedKind kind : {AskedKind::random, AskedKind::popular, AskedKind::adversarial}) {
    const PresenceScore& score = many.presence.by_kind[static_cast<size_t>(kind)];
    out += fmt::format("| {} | {:.3f} | {:.3f} | {:.3f} |\n", to_string(kind), score.accuracy, score.f1,
                       score.said_yes);
  }
  out += "\nWhat it says of the first pictures of resources/pictures/shapes:\n\n";
  for (const std::string& caption : shipped.said) out += "> " + caption + "\n>\n";
  return out;
}

std::string write_talk_page(const VlmShape& shape, const TalkTraining& training, const TalkMeasurement& many,
                            const TalkMeasurement& shipped) {
  return describe_model(shape) + describe_data() + describe_training(training) +
         describe_talk(many, shipped) +
         fmt::format(
             "\n## Making it again\n\n"
             "    ninja -C build/release saccade-train-shapes-vlm\n"
             "    build/release/bin/saccade-train-shapes-vlm OUT_DIR --seed {} --naming-steps {} --steps "
             "{}\n\n"
             "The schedule is counted in steps and runs on one thread.\n",
             training.seed, training.naming_steps, training.steps);
}

}  // namespace saccade
