// What methods about pictures share: the encoder's attention on a run's picture, fields over its patches
// (analysis/images/patch_field.h), positions as text, and the answer under edits.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "analysis/mechanisms/key_mask.h"
#include "analysis/method.h"

namespace saccade {

// A capture with the attention and statistics of what looks at the picture: the run itself for a model of
// pictures; for a decoder its vision tower on the same picture.
struct EncoderRun {
  std::shared_ptr<const Capture> capture;
  ImageRegion region;       // of the picture in it
  int32_t layers = 0;       // that the picture goes through before the decoder reads it
  bool is_the_run = false;  // the run looked at is the encoder
};
// What a method about it asks for first: the tower's run, through `layers` at least (0: as far as the decoder
// reads); nothing for a model of pictures. Errors: no picture, no model, no tower.
[[nodiscard]] Result<std::vector<Wanted>> encoder_wanted(const MethodInput& input, std::string_view method,
                                                         int32_t layers = 0);
// The encoder, from the first of the outcomes where it was asked for. Error: cancelled before it was run.
[[nodiscard]] Result<EncoderRun> encoder_of(const MethodInput& input, std::string_view method);

// Of one layer of an encoder, over its patches: attention received, mean over heads and all query rows; that
// of the CLS row, sum over heads (without CLS: what is received, times the heads).
[[nodiscard]] Result<std::vector<double>> received_by_patches(const EncoderRun& encoder, int32_t layer);
[[nodiscard]] Result<std::vector<double>> cls_row_of_patches(const EncoderRun& encoder, int32_t layer,
                                                             const KernelSet& kernels);

// The positions of the question: as given ("40:47"), or all that follows the picture. Error: it does not
// follow the picture, or is no single range.
[[nodiscard]] Result<PositionRange> question_after(const Capture& capture, const ImageRegion& region,
                                                   const std::string& positions, std::string_view method);

// [height, width] of the region's patches.
[[nodiscard]] Field over_patches(std::string name, std::string label, ValueKind kind,
                                 const ImageRegion& region, std::span<const double> values,
                                 std::string request);

// Positions of an edit: "0,3:7" of ascending numbers, each plus `offset`.
[[nodiscard]] std::string positions_text(std::span<const int64_t> ascending, int64_t offset = 0);
// Where patches of a picture stand.
[[nodiscard]] std::string positions_text(const ImageRegion& region, std::span<const int64_t> ascending);
// Texts of edits after those of the run. Errors are those of parse_edit().
[[nodiscard]] Result<RunRequest> with_edits(const RunRequest& base, std::span<const std::string> edits);
// The next token under these edits, against the run's own logits. The run kept them.
[[nodiscard]] Result<AnswerWanted> answer_under(const MethodInput& input, std::span<const std::string> edits);
// "text" of the most probable next token of a run.
[[nodiscard]] std::string top_answer(const MethodInput& input);
[[nodiscard]] std::string answer_text(const MethodInput& input, const KeptAnswer& answer);

}  // namespace saccade
