// Puts pictures into the sequence that a model reads. Thread: any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/image/picture.h"
#include "core/model/model.h"

namespace saccade {

// A picture as the model's processor makes it.
[[nodiscard]] Result<std::shared_ptr<const PreparedImage>> prepare_image(const Model& model,
                                                                         const Picture& picture);

// For a model of pictures alone: one picture becomes the sequence CLS, registers, patches; `text` must be
// empty. For a decoder with a vision tower: every token with the model's image token id is replaced by the
// positions of one picture, in order; as many pictures as there are such tokens. Positions are labelled
// "CLS", "DIST", "reg 1" or with row and column of the patch, "12,7". Without pictures the text is given
// back. A picture that the processor makes parts of becomes as many regions: LLaVA-NeXT's the whole picture
// and the grid of its tiles, labelled "newline" after each row; Idefics3's every tile and the whole, with the
// words between them. PaliGemma's prompt as its tokenizer writes it (BOS, pictures, words) becomes pictures,
// BOS, words and a line feed. Refused, with what to do: pictures for a model that reads none, a text for one
// that reads only pictures, other numbers of pictures and places.
[[nodiscard]] Result<TokenSequence> place_images(
    const Model& model, TokenSequence text, const std::vector<std::shared_ptr<const PreparedImage>>& images);

// What a person writes into a prompt where a picture stands: "<image>", or with the tokens that a model was
// trained to find around it, "<|vision_start|><|image_pad|><|vision_end|>". Empty for a model that has no
// text beside pictures.
[[nodiscard]] std::string text_of_place(const Model& model);

// The same prompt with only some patches of one of its pictures, in this order (from 0, row by row), or with
// none: the picture is then gone. Labels keep saying where the patches were. Refused: a picture or patches
// that there are not, a model's own picture (n_prefix > 0), a prompt of which nothing is left.
[[nodiscard]] Result<TokenSequence> with_patches(const TokenSequence& tokens, size_t picture,
                                                 const std::vector<int32_t>& patches);
// Without any picture.
[[nodiscard]] Result<TokenSequence> without_images(const TokenSequence& tokens);

}  // namespace saccade
