#include "resources/models/recall_page.h"

#include <fmt/format.h>

namespace saccade {
namespace {

std::string describe_model(const LlamaShape& s, const FactLanguage& language) {
  Random random(1);
  FactMixture mixture;
  mixture.questions = 2;
  mixture.most_facts = 3;
  return fmt::format(
      "# demo:recall\n\n"
      "A Llama of {} layers x {} heads on {} KV heads (d_model {}, d_head {}, d_mlp {}, {} positions, {} "
      "tokens; "
      "{:.2f} M\n"
      "parameters in bfloat16, unembedding tied, biases in attention) that has learned to look facts up in "
      "its "
      "context.\n"
      "`saccade-train-recall` made this folder and wrote this page; the measurements below are of these "
      "weights.\n\n"
      "## Data\n\n"
      "{} common English words, each one token with the space before it and one without; byte-level BPE, so "
      "any "
      "other text\n"
      "is taken too, in smaller pieces. Texts are drawn by `facts.cpp`: facts (\"The code of Mary is\" and "
      "three "
      "of {} words\n"
      "that occur nowhere else) lost among stories, and questions at the end. Which words are whose code is "
      "drawn "
      "anew for\n"
      "every text, so only the text can tell. One of them:\n\n> {}\n\n",
      s.n_layer, s.n_head, s.n_kv_head, s.d_model, s.d_head, s.d_mlp, s.n_context, s.n_vocab,
      static_cast<double>(s.parameters()) / 1e6, language.word_count(), language.values().size(),
      language.decode(language.text(random, 128, mixture).text.ids));
}

std::string describe_learning(const LlamaShape& s, const RecallTraining& training) {
  return fmt::format(
      "## Training\n\n"
      "AdamW, {} steps, {:.1f} million tokens, {:.0f} seconds on one CPU thread of a shared machine, seed "
      "{}; "
      "first facts next\n"
      "to each other, then stories between the facts and texts of up to {} tokens. The answers count in the "
      "loss, stories a\n"
      "little. Matrices begin at random, but every W_q near the W_k of its group and every W_o near W_v "
      "transposed, so that\n"
      "heads begin by looking at what resembles the token and by copying it; and six heads of layer 0 begin "
      "with biases that\n"
      "make them look 1, 2 or 3 tokens back (as a table of sinusoids would).\n\n",
      training.curve.empty() ? 0 : training.curve.back().step, static_cast<double>(training.tokens) / 1e6,
      training.seconds, training.seed, s.n_context);
}

std::string describe_pruning(const LlamaShape& s, const RecallTraining& training) {
  return fmt::format(
      "That few heads retrieve was made, not found. After {} steps all {} heads of layer {} retrieved, each "
      "in the others'\n"
      "stead. The KV group that recalled best with the others zeroed, {}, stayed. Over the next {} steps W_o "
      "of the others\n"
      "shrank a little with every step, and the loss asked those that stay to look at the very word to be "
      "copied, ever less\n"
      "(layer 0 carries words on, so that they can also be read at a later token; attention is supervised as "
      "in Liu et al.\n"
      "2016, arXiv 1609.04186). Then the others' W_q and W_k were drawn anew, and all weights trained on "
      "with "
      "the answers'\n"
      "loss alone. In every second step after the first {} one head of layer 0 was left out. What has lasted "
      "of this "
      "is measured\n"
      "below: a retrieval score of a third means that only the first word is read in its own place, and the "
      "later ones one\n"
      "token later.\n\n",
      training.learned_at, s.n_head, training.stay.front().layer, names_of(training.stay),
      training.faded_at - training.learned_at, training.learned_at);
}

std::string describe_training(const LlamaShape& shape, const RecallTraining& training) {
  std::string out = describe_learning(shape, training);
  if (!training.stay.empty()) out += describe_pruning(shape, training);
  out +=
      "Recall: mean probability of the answer's words, first and later ones, on fresh texts.\n\n"
      "| step | training loss | first, 128 tokens | later | first, 512 tokens | later |\n"
      "|-----:|--------------:|------------------:|------:|------------------:|------:|\n";
  for (const auto& point : training.curve)
    out += fmt::format("| {} | {:.3f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} |\n", point.step, point.train_loss,
                       point.near.first, point.near.later, point.far.first, point.far.later);
  return out + "\n";
}

std::string row(const std::string& what, const RecallScore& recall) {
  return fmt::format("| {} | {:.3f} | {:.3f} |\n", what, recall.first, recall.later);
}

}  // namespace

std::string describe_recall(const RecallMeasurement& m) {
  std::string out = fmt::format(
      "## What the heads do\n\n"
      "{} questions in {} texts of {} tokens with 3 to 8 facts, drawn apart from training. *Retrieval*: "
      "share of "
      "the answers'\n"
      "words at whose row the head looks most at that word in the fact (Wu et al. 2024); *previous*: mean "
      "attention to the\n"
      "token before; *without*: recall with the head's z set to 0; intact it is {:.3f} and {:.3f}.\n\n"
      "Retrieval heads (score of at least 0.1): {}.\n\n"
      "| head | retrieval | previous | first word without | later words without |\n"
      "|:-----|----------:|---------:|-------------------:|--------------------:|\n",
      m.questions, m.texts, m.length, m.intact.first, m.intact.later, names_of(m.retrieval_heads));
  for (const auto& r : m.heads)
    out += fmt::format("| {} | {:.3f} | {:.3f} | {:.3f} | {:.3f} |\n", name_of(r.head), r.retrieval,
                       r.previous, r.recall_without.first, r.recall_without.later);
  out +=
      "\n### What zeroing them costs\n\n| zeroed | first word | later words "
      "|\n|:-------|-----------:|------------:|\n";
  out += row("nothing", m.intact);
  out += row("the retrieval heads (" + names_of(m.retrieval_heads) + ")", m.without_retrieval);
  out += row(fmt::format("as many others, drawn (mean of {} seeded draws)", m.draws), m.without_others);
  out += "\n### Length\n\n| tokens | first word | later words |\n|-------:|-----------:|------------:|\n";
  for (const auto& at : m.lengths) out += row(std::to_string(at.length), at.recall);
  return out;
}

std::string write_recall_page(const LlamaShape& shape, const FactLanguage& language,
                              const RecallTraining& training, const RecallMeasurement& measurement) {
  return describe_model(shape, language) + describe_training(shape, training) + describe_recall(measurement) +
         fmt::format(
             "\n## Making it again\n\n"
             "    ninja -C build/release saccade-train-recall\n"
             "    build/release/bin/saccade-train-recall OUT_DIR --seed {}\n\n"
             "The schedule is counted in steps and runs on one thread.\n",
             training.seed);
}

}  // namespace saccade
