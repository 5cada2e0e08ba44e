#include "resources/models/talk_batch.h"

#include <array>

namespace saccade {
namespace {

constexpr float answer_weight = 3.0F, end_weight = 0.2F;

// Fills one slot: the prompt costs nothing, what follows counts, padding stands at the end.
void append_slot(TalkBatch& batch, const TalkTokens& tokens, const std::string& prompt,
                 const std::string& answer, int32_t slot, float weight) {
  auto ids = tokens.prompt(prompt);
  std::vector<float> weights(ids.size(), 0.0F);
  for (const int32_t id : tokens.prompt(answer)) {
    ids.push_back(id);
    weights.push_back(weight);
  }
  ids.push_back(tokens.end_id());
  weights.push_back(end_weight);
  ids.resize(static_cast<size_t>(slot), tokens.end_id());
  weights.resize(static_cast<size_t>(slot), 0.0F);
  batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
  batch.weight.insert(batch.weight.end(), weights.begin(), weights.end());
}

ShapeQuestion draw_question(const TalkedScene& scene, int32_t index, Random& random) {
  if (index + 1 == questions_per_picture)
    if (ShapeQuestion colour = colour_question(scene, random); !colour.text.empty()) return colour;
  const bool there = random.percent(50);
  const auto kind = static_cast<AskedKind>(random.below(3));
  const int32_t object =
      there ? scene.kinds[static_cast<size_t>(random.below(static_cast<int32_t>(scene.kinds.size())))]
            : absent_object(scene, kind, random);
  const bool other = random.percent(12);
  const int32_t form = object % n_shape_form;
  const std::string name =
      colour_name(object / n_shape_form) + " " + (other ? form_synonym(form) : form_name(form));
  return {presence_question(name), there ? "yes" : "no", kind};
}

}  // namespace

TalkTokens::TalkTokens() : bpe_(WordBpe::of_bare(shape_words())) {}

std::vector<std::string> TalkTokens::split_words() const { return bpe_.split_forms(shape_words()); }

std::vector<int32_t> TalkTokens::prompt(const std::string& text) const { return bpe_.encode(" " + text); }

std::string TalkTokens::text(const std::vector<int32_t>& ids) const {
  std::string out;
  for (const int32_t id : ids) {
    if (id >= end_id()) break;
    out += bpe_.decode(id);
  }
  return out.starts_with(' ') ? out.substr(1) : out;
}

std::vector<int32_t> TalkTokens::words(const std::vector<std::string>& words) const {
  std::vector<int32_t> ids;
  for (const std::string& word : words) ids.push_back(bpe_.encode(" " + word).front());
  return ids;
}

std::string question_prompt(const std::string& question) { return question + " Answer:"; }

VlmShape vlm_shape(const TalkTokens& tokens) {
  VlmShape shape;
  shape.tower.cls = false;
  shape.tower.names = TowerNames::siglip;
  shape.decoder.n_vocab = tokens.size();
  shape.decoder.n_context = 256;
  shape.decoder.n_layer = 3;
  shape.decoder.d_model = 64;
  shape.decoder.n_head = 8;
  shape.decoder.n_kv_head = 4;
  shape.decoder.d_head = 16;
  shape.decoder.d_mlp = 128;
  shape.bos_id = tokens.end_id();
  std::vector<std::string> colours, forms;
  for (int32_t i = 0; i < n_shape_colour; ++i) colours.push_back(colour_name(i));
  for (int32_t i = 0; i < n_shape_form; ++i) forms.push_back(form_name(i));
  shape.colour_ids = tokens.words(colours);
  shape.form_ids = tokens.words(forms);
  return shape;
}

void append_names(PatchNames& names, const TalkedScene& scene, const ShapePicture& picture, int32_t patch) {
  const int32_t least = patch * patch / 4;  // pixels of an object that make the patch its own
  for (int32_t top = 0; top < picture.height; top += patch)
    for (int32_t left = 0; left < picture.width; left += patch) {
      std::array<int32_t, most_in_scene> covered{};
      for (int32_t y = top; y < top + patch; ++y)
        for (int32_t x = left; x < left + patch; ++x)
          if (const int owner = picture.owner[static_cast<size_t>(y * picture.width + x)]; owner >= 0)
            ++covered[static_cast<size_t>(owner)];
      int32_t colour = n_shape_colour, form = n_shape_form, most = least - 1;
      for (size_t i = 0; i < scene.kinds.size(); ++i) {
        if (covered[i] <= most) continue;
        most = covered[i];
        colour = scene.kinds[i] / n_shape_form;
        form = scene.kinds[i] % n_shape_form;
      }
      names.colour.push_back(colour);
      names.form.push_back(form);
    }
}

TalkBatch draw_talk(Random& random, const TalkTokens& tokens, const VlmShape& shape, int32_t pictures) {
  TalkBatch batch;
  batch.slots.assign(1 + questions_per_picture, question_slot);
  batch.slots.front() = caption_slot;
  for (int32_t i = 0; i < pictures; ++i) {
    const TalkedScene scene = draw_talked(random, training_mixture);
    const ShapePicture picture = draw_shapes(scene.scene, shape.tower.image, shape.tower.image);
    append_picture(batch.pictures, picture);
    append_names(batch.names, scene, picture, shape.tower.patch);
    append_slot(batch, tokens, describe_prompt, training_caption(scene, random), caption_slot, 1.0F);
    for (int32_t q = 0; q < questions_per_picture; ++q) {
      const ShapeQuestion question = draw_question(scene, q, random);
      append_slot(batch, tokens, question_prompt(question.text), question.answer, question_slot,
                  answer_weight);
    }
  }
  return batch;
}

}  // namespace saccade
