#include "resources/models/page.h"

#include <fmt/format.h>

#include <string_view>

namespace saccade {
namespace {

int64_t parameters(const Gpt2Shape& s) {
  const int64_t d = s.d_model, m = s.d_mlp;
  const int64_t layer = 4 * d * d + 4 * d + 2 * d * m + m + d + 4 * d;
  return (static_cast<int64_t>(s.n_vocab) + s.n_context + 2) * d + s.n_layer * layer;
}

std::string describe_model(const Gpt2Shape& shape) {
  return fmt::format(
      "# demo:induction\n\n"
      "A GPT-2 of {} layers x {} heads (d_model {}, d_head {}, d_mlp {}, {} positions, {} tokens; {:.2f} M "
      "parameters,\n"
      "float32, unembedding tied) that has learned one thing well: what came before comes again. Type "
      "ordinary words,\n"
      "then begin to type them a second time, and look at the heads. `saccade-train-induction` made this "
      "folder and\n"
      "wrote this page; every number below is from that run.\n\n",
      shape.n_layer, shape.n_head, shape.d_model, shape.d_head(), shape.d_mlp, shape.n_context, shape.n_vocab,
      static_cast<double>(parameters(shape)) / 1e6);
}

std::string quote(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) >= 0x80 || static_cast<unsigned char>(c) < 0x20) c = '?';
  return text;
}

std::string describe_data(const Language& language) {
  Random random(1);
  std::string out = fmt::format(
      "## Data\n\n"
      "{} common English words, each one token with the space before it and one without; byte-level BPE, so "
      "any other\n"
      "text is taken too, in smaller pieces. Texts are drawn by `language.cpp` and begin with "
      "`<|endoftext|>`. They are\n"
      "made of lists of random words (now and then of pieces of words) that come again word for word, "
      "sentences that\n"
      "come again word for word, stories in which few people and things recur, and sentences that name two "
      "people, then\n"
      "one of them again as the giver, so that the other must receive. Two texts:\n\n",
      language.word_count());
  for (int i = 0; i < 2; ++i) out += "> " + quote(language.sample(random, 96)) + "\n\n";
  return out;
}

std::string describe_training(const TrainingRecord& training) {
  std::string out = fmt::format(
      "## Training\n\n"
      "AdamW, {} steps, {:.1f} million tokens, {:.0f} seconds on one CPU thread, seed {}; first short texts "
      "with short\n"
      "lists repeated often, then texts of 96 and 256 tokens. The words of a list count little in the "
      "training loss the\n"
      "first time (nothing foretells them), receivers' names count more. First and second copy: loss on "
      "fresh random\n"
      "words given twice, nats per word; previous and induction: the best head's score (below).\n\n"
      "| step | training loss | first copy | second copy | previous | induction |\n"
      "|-----:|--------------:|-----------:|------------:|---------:|----------:|\n",
      training.curve.empty() ? 0 : training.curve.back().step, static_cast<double>(training.tokens) / 1e6,
      training.seconds, training.seed);
  for (const auto& point : training.curve)
    out += fmt::format("| {} | {:.3f} | {:.2f} | {:.3f} | {:.2f} | {:.2f} |\n", point.step, point.train_loss,
                       point.glance.loss.first, point.glance.loss.second, point.glance.previous,
                       point.glance.induction);
  return out + "\n";
}

std::string zeroing_row(std::string_view what, const CopyLoss& loss) {
  return fmt::format("| {} | {:.2f} | {:.3f} |\n", what, loss.first, loss.second);
}

std::string describe_giving(const Measurement& m) {
  return fmt::format(
      "### Who receives\n\n"
      "{} sentences such as \"When Mary and John went to the store, John gave a drink to\" (task: Wang et "
      "al. 2022): the\n"
      "right name is likelier than the giver's in {:.0f} % of them, with mean probability {:.2f} and a mean "
      "log-probability\n"
      "difference of {:.2f} nats. The last column above is that difference with the head zeroed.\n",
      m.giving_prompts, 100 * m.giving.accuracy, m.giving.probability, m.giving.difference);
}

}  // namespace

std::string describe_heads(const Measurement& m) {
  std::string out = fmt::format(
      "## What the heads do\n\n"
      "Measured on {} texts of {} random words given twice, drawn apart from training. Mean attention "
      "probability:\n"
      "*previous* from each word to the token before it; *induction* from a word of the second copy to the "
      "word that\n"
      "followed it in the first; *duplicate* to the same word in the first copy; *self* to the word itself; "
      "*BOS* to the first token. "
      "*Second copy\n"
      "without* is the loss there with the head's z set to 0; intact it is {:.3f}.\n\n"
      "Previous-token heads (score over 0.5): {}. Induction heads (score over 0.5): {}.\n\n"
      "| head | previous | induction | duplicate | self | BOS | second copy without | receiver without |\n"
      "|:-----|---------:|----------:|----------:|-----:|----:|--------------------:|-----------------:|\n",
      m.texts, m.half, m.intact.second, names_of(m.previous_heads), names_of(m.induction_heads));
  for (const auto& r : m.heads)
    out += fmt::format("| {} | {:.3f} | {:.3f} | {:.3f} | {:.3f} | {:.3f} | {:.3f} | {:.2f} |\n",
                       name_of(r.head), r.previous, r.induction, r.duplicate, r.self, r.first,
                       r.loss_without.second, r.giving_without.difference);
  out +=
      "\n### What zeroing them costs\n\n"
      "Loss in nats per word.\n\n"
      "| zeroed | first copy | second copy |\n"
      "|:-------|-----------:|------------:|\n";
  out += zeroing_row("nothing", m.intact);
  out += zeroing_row("induction heads (" + names_of(m.induction_heads) + ")", m.without_induction);
  out += zeroing_row("previous-token heads (" + names_of(m.previous_heads) + ")", m.without_previous);
  for (size_t l = 0; l < m.without_layer.size(); ++l)
    out += zeroing_row(fmt::format("all heads of layer {}", l), m.without_layer[l]);
  return out + "\n" + describe_giving(m);
}

std::string write_page(const Gpt2Shape& shape, const Language& language, const TrainingRecord& training,
                       const Measurement& measurement) {
  return describe_model(shape) + describe_data(language) + describe_training(training) +
         describe_heads(measurement) +
         fmt::format(
             "\n## Making it again\n\n"
             "    ninja -C build/release saccade-train-induction\n"
             "    build/release/bin/saccade-train-induction OUT_DIR --seed {}\n\n"
             "The schedule is counted in steps and runs on one thread: the same seed, machine and LibTorch "
             "give the same\n"
             "weights, bit for bit.\n",
             training.seed);
}

}  // namespace saccade
