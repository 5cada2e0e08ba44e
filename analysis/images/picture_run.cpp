#include "analysis/images/picture_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/images/patch_field.h"
#include "core/capture/attention_map.h"
#include "core/model/image_input.h"

namespace saccade {
namespace {

std::vector<double> cut_to_patches(std::span<const double> row, const ImageRegion& region) {
  std::vector<double> made;
  for (int64_t patch = 0; patch < region.patches(); ++patch)
    made.push_back(row[static_cast<size_t>(region.position(patch))]);
  return made;
}

Result<const LayerCapture*> layer_of(const EncoderRun& encoder, int32_t layer) {
  const auto& layers = encoder.capture->layers;
  if (layer < 0 || static_cast<size_t>(layer) >= layers.size())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the encoder has layers 0 to {}, not {}", layers.size() - 1, layer));
  return layers[static_cast<size_t>(layer)].get();
}

}  // namespace

Result<std::vector<Wanted>> encoder_wanted(const MethodInput& input, std::string_view method,
                                           int32_t layers) {
  std::vector<Wanted> wanted;
  SACCADE_CHECK(picture_region(*input.capture, 0, method));
  if (input.capture->spec.is_picture_model()) return wanted;
  SACCADE_CHECK(require_model(input, method));
  if (!input.model->tower() || input.base.tokens.images.empty())
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{} looks at the encoder's attention, and this model has no vision tower", method));
  const PreparedImage& image = *input.base.tokens.images[0].image;
  if (image.tile_height > 0 || !image.parts.empty())
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{}: {} goes through the vision tower in tiles, which are no one run of it; choose the "
                    "picture as a whole",
                    method, image.name));
  TowerWanted tower{input.base.tokens.images[0].image, {}, layers};
  tower.capture.loss = tower.capture.residuals = false;
  wanted.emplace_back(std::move(tower));
  return wanted;
}

Result<EncoderRun> encoder_of(const MethodInput& input, std::string_view method) {
  SACCADE_TRY(const ImageRegion region, picture_region(*input.capture, 0, method));
  if (input.capture->spec.is_picture_model())
    return EncoderRun{input.capture, region, input.capture->spec.n_layer, true};
  SACCADE_CHECK(require_model(input, method));
  const std::shared_ptr<const Capture> tower = capture_in(input.outcomes, 0);
  if (!tower) return make_error(ErrorCode::cancelled, "cancelled");
  const ImageRegion& seen = tower->images.at(0);
  if (seen.grid_height != region.grid_height || seen.grid_width != region.grid_width)
    return make_error(ErrorCode::unsupported,
                      fmt::format("{}: the encoder sees {} x {} patches and the decoder {} x {}", method,
                                  seen.grid_height, seen.grid_width, region.grid_height, region.grid_width));
  const std::vector<int32_t>& used = input.model->spec().tower.layers;
  return EncoderRun{tower, seen, *std::max_element(used.begin(), used.end()), false};
}

Result<std::vector<double>> received_by_patches(const EncoderRun& encoder, int32_t layer) {
  SACCADE_TRY(const LayerCapture* kept, layer_of(encoder, layer));
  const HostTensor& received = kept->statistics.received;
  const int64_t n = encoder.capture->n_token(), heads = encoder.capture->spec.n_head;
  if (received.size() != heads * n)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("layer {} kept no column statistics; run again with statistics captured", layer));
  std::vector<double> mean(static_cast<size_t>(n), 0.0);
  for (int64_t h = 0; h < heads; ++h)
    for (size_t j = 0; j < mean.size(); ++j)
      mean[j] += received.slice(h)[j] / static_cast<double>(heads) / static_cast<double>(n);
  return cut_to_patches(mean, encoder.region);
}

Result<std::vector<double>> cls_row_of_patches(const EncoderRun& encoder, int32_t layer,
                                               const KernelSet& kernels) {
  const auto heads = encoder.capture->spec.n_head;
  if (encoder.region.n_prefix == 0) {  // no CLS: what all rows look at
    SACCADE_TRY(std::vector<double> received, received_by_patches(encoder, layer));
    for (double& value : received) value *= heads;
    return received;
  }
  SACCADE_TRY(const LayerCapture* kept, layer_of(encoder, layer));
  (void)kept;
  const int64_t n = encoder.capture->n_token(), cls = encoder.region.begin;
  std::vector<double> sum(static_cast<size_t>(n), 0.0);
  std::vector<float> row(static_cast<size_t>(n));
  for (int32_t h = 0; h < heads; ++h) {
    SACCADE_TRY(const AttentionMap map,
                AttentionMap::of(encoder.capture, {LayerIndex{layer}, HeadIndex{h}}, kernels));
    SACCADE_CHECK(map.rows(cls, cls + 1, n, row));
    for (size_t j = 0; j < sum.size(); ++j) sum[j] += row[j];
  }
  return cut_to_patches(sum, encoder.region);
}

Result<PositionRange> question_after(const Capture& capture, const ImageRegion& region,
                                     const std::string& positions, std::string_view method) {
  int64_t end = region.end();  // of all that was made of this picture
  for (const ImageRegion& other : capture.images)
    if (other.picture == region.picture) end = std::max(end, other.end());
  PositionRange range{end, capture.n_token()};
  if (!positions.empty()) {
    // Positions as edits name them, read by the one who knows them.
    SACCADE_TRY(const Edit edit, parse_edit("knockout 0.0 query=0 key=" + positions));
    if (!edit.key || edit.key->ranges().size() != 1)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{}: question takes one range of positions, such as 40:47, found '{}'",
                                    method, positions));
    range = edit.key->ranges()[0];
    range.end = std::min(range.end, capture.n_token());
  }
  if (range.begin < end || range.begin >= range.end)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{}: the question has to follow the picture, which ends at position {}; the run "
                    "has {} positions",
                    method, end, capture.n_token()));
  return range;
}

Field over_patches(std::string name, std::string label, ValueKind kind, const ImageRegion& region,
                   std::span<const double> values, std::string request) {
  Field field{std::move(name),
              std::move(label),
              "",
              kind,
              patch_axes(region),
              HostTensor({region.grid_height, region.grid_width}),
              std::move(request)};
  for (size_t j = 0; j < values.size(); ++j) field.values.mutable_values()[j] = static_cast<float>(values[j]);
  return field;
}

std::string positions_text(const ImageRegion& region, std::span<const int64_t> ascending) {
  std::vector<int64_t> positions;
  for (const int64_t patch : ascending) positions.push_back(region.position(patch));
  return positions_text(positions);
}

std::string positions_text(std::span<const int64_t> ascending, int64_t offset) {
  std::vector<mechanisms::KeyRange> ranges;
  for (const int64_t at : ascending)
    if (!ranges.empty() && ranges.back().end == at + offset)
      ++ranges.back().end;
    else
      ranges.push_back({at + offset, at + offset + 1});
  return mechanisms::range_text(ranges);
}

Result<RunRequest> with_edits(const RunRequest& base, std::span<const std::string> edits) {
  RunRequest request = base;
  for (const std::string& text : edits) {
    SACCADE_TRY(Edit edit, parse_edit(text));
    request.edits.push_back(std::move(edit));
  }
  return request;
}

Result<AnswerWanted> answer_under(const MethodInput& input, std::span<const std::string> edits) {
  AnswerWanted answer;
  SACCADE_TRY(answer.request, with_edits(input.base, edits));
  if (!input.capture->last_logits.empty())
    answer.reference = std::make_shared<const HostTensor>(input.capture->last_logits);
  return answer;
}

std::string top_answer(const MethodInput& input) {
  const auto top = top_next(input.capture->last_logits, input.model->tokenizer(), 1);
  return top.empty() ? "" : top[0].text;
}

std::string answer_text(const MethodInput& input, const KeptAnswer& answer) {
  const auto token = input.model->tokenizer().token(answer.top_id);
  return token.ok() ? token->text : "";
}

}  // namespace saccade
