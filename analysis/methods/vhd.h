// Vision-aware head divergence and the heads it reinforces (He et al., ACL 2025, arXiv 2412.13949; paper
// only, the authors' code was not to be had). Pure but for select_heads(); thread: any.
//
//   A = z of a head (before W_O) at the position that predicts a token, A^T the same of the prompt with the
//   picture's tokens taken out. VHD = |A - A^T|_2, TA = |A^T|_2^2.
//   Outlier: VHD := 0 where VHD > mean + sd over the layer's heads and TA > mean + sd of TA.
//   H_l: the heads with VHD above the layer's median (the lower one). z of these is multiplied by alpha.
//   T-VHD of a generated token: sum over layers of the k largest VHD.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "analysis/method.h"
#include "core/run/edit.h"
#include "core/run/runner.h"

namespace saccade::vhd {

struct Options {
  bool squared = false;   // VHD = |A - A^T|_2^2: only the outlier test changes which heads are chosen
  bool sample_sd = true;  // the standard deviation divides by heads - 1
  bool drop_outliers = true;
  double alpha = 2.0;
  std::string layers = "auto";  // auto: the second, and the last 14 of 32
};
[[nodiscard]] std::vector<ParameterInfo> parameters();
[[nodiscard]] Options read_options(const nlohmann::json& parameters);
// The layers that are reinforced, ascending.
[[nodiscard]] Result<std::vector<int32_t>> layers_of(const Options& options, const ModelSpec& spec);

struct Divergence {          // of one layer, one per head
  std::vector<double> vhd;   // outliers at 0
  std::vector<double> raw;   // before
  std::vector<double> size;  // |A|_2
  std::vector<double> text;  // TA
  std::vector<bool> outlier;
};
// with, without: z of one position, [head, d_head].
[[nodiscard]] Divergence divergence(std::span<const float> with, std::span<const float> without,
                                    int64_t heads, const Options& options);
// H_l, ascending.
[[nodiscard]] std::vector<int32_t> above_median(std::span<const double> vhd);
// vhd: per layer, one per head.
[[nodiscard]] double token_vhd(const std::vector<std::vector<double>>& vhd, int64_t k);

// "scale L.h1,h2 by=alpha".
[[nodiscard]] Edit reinforcement(int32_t layer, const std::vector<int32_t>& heads, double alpha);

// The prompt without its pictures, under those of the edits that name no positions (which would be others
// there) and no other run. left_out: how many were not taken; may be null.
[[nodiscard]] Result<RunRequest> without_picture(const RunRequest& request, int64_t* left_out = nullptr);
// A run that keeps z of these layers, and what the next one resumes from; nothing else.
[[nodiscard]] RunRequest keeping_z(RunRequest request, const std::vector<int32_t>& layers);
// z of a layer's row in such a run, [head, d_head]; row < 0 counts from the end.
[[nodiscard]] std::span<const float> z_row(const Capture& capture, int32_t layer, int64_t row);

// The edits of a prompt: one run without the picture, one with it, then one per reinforced layer, each
// resumed from the one before. Errors: those of the runs, no picture.
[[nodiscard]] Result<std::vector<Edit>> select_heads(Runner& runner, const RunRequest& request,
                                                     const Options& options, const JobContext& job);

}  // namespace saccade::vhd
