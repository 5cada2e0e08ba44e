// Where a running model looks, as the methods on scanpaths of models share it: which rows of attention are
// the steps, and the scanpath over the patches that they make (analysis/scanpath/attention_scanpath.h).
//   layers      one step per layer: what the answer's position (or `query`) attends to there
//   tokens      one step per position of text behind the picture
//   generated   one step per token that is generated after the prompt, read where it was predicted from
// Of tokens and generated, the row is the mean over the layers that have chosen heads.
#pragma once

#include "analysis/flow/fused_maps.h"
#include "analysis/method.h"
#include "analysis/scanpath/attention_scanpath.h"
#include "analysis/scanpath/object_scanpath.h"

namespace saccade {

// over, query, generate, picture, heads, fusion, discard, sink_times, sigma, inhibition, choose, fixations,
// radius
[[nodiscard]] std::vector<ParameterInfo> model_gaze_parameters();
// What `generated` wants: a generation, then a run of prompt and answer.
[[nodiscard]] Result<std::vector<Wanted>> plan_model_gaze(const MethodInput& input);

struct ModelGaze {
  ImageRegion region;
  HostTensor rows;                 // [step, patch], as attention gives them
  std::vector<std::string> steps;  // "layer 3", "' cat'"
  AttentionScanpath scanpath;      // path: in pixels of the original picture
  std::vector<std::string> findings;
  std::string request;  // digest of the run that was looked at
};
// Errors: no picture, no text behind it, rows without any weight on the picture.
[[nodiscard]] Result<ModelGaze> model_gaze(const MethodInput& input, const JobContext& job);

// Centre of a patch in pixels of the original picture.
[[nodiscard]] Fixation patch_fixation(const ImageRegion& region, int64_t patch, double dwell_ms,
                                      int64_t step);
[[nodiscard]] PictureSize original_size(const ImageRegion& region);

// step, name, patch, row, column, x, y, mass, share, entropy
[[nodiscard]] Table gaze_steps_table(const ModelGaze& gaze);
// The columns of a fixation report, so that files of results can be compared with people's.
[[nodiscard]] Table fixations_table(const std::string& subject, const Scanpath& path);
// `maps` [step, patch row, patch column]
[[nodiscard]] Result<Field> gaze_maps(const ModelGaze& gaze);

}  // namespace saccade
