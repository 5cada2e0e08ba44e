// Puts pictures into the sequence that a model reads. Thread: any.
#pragma once

#include <memory>
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
// back. Refused, with what to do: pictures for a model that reads none, a text for one that reads only
// pictures, other numbers of pictures and places.
[[nodiscard]] Result<TokenSequence> place_images(
    const Model& model, TokenSequence text, const std::vector<std::shared_ptr<const PreparedImage>>& images);

}  // namespace saccade
