#include "analysis/answer_contrast.h"

#include <fmt/format.h>

#include "analysis/methods/damro.h"

namespace saccade {
namespace {

Result<Contrast> from_outliers(const AnswerContrast& wanted, Runner& runner, const RunRequest& request,
                               const JobContext& job) {
  if (!runner.model().tower())
    return make_error(ErrorCode::unsupported,
                      fmt::format("contrast with outliers: {} has no vision tower before a decoder",
                                  runner.model().name()));
  damro::Options options;
  options.k = wanted.outliers;
  options.alpha = wanted.alpha;
  options.plausibility = wanted.plausibility;
  for (const ImageRegion& image : request.tokens.image_regions())
    if (const int64_t patches = image.end() - image.first_patch(); wanted.outliers >= patches)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("contrast with {} outliers: the picture has {} patches; fewer of them "
                                    "must be outliers",
                                    wanted.outliers, patches));
  SACCADE_TRY(const auto outliers, damro::outliers_in(runner, request, options, job));
  return damro::contrast(request, outliers, options);
}

}  // namespace

Result<Contrast> contrast_of(const AnswerContrast& wanted, Runner& runner, const RunRequest& request,
                             EditFiles& files, const std::shared_ptr<const Capture>& baseline,
                             const JobContext& job) {
  if (!wanted.asked_for()) return Contrast{};
  if (wanted.outliers > 0) return from_outliers(wanted, runner, request, job);
  auto negative = std::make_shared<RunRequest>(request);
  negative->edits.insert(negative->edits.end(), wanted.edits.begin(), wanted.edits.end());
  SACCADE_CHECK(load_references(*negative, files, baseline));
  return Contrast{std::move(negative), wanted.alpha, wanted.plausibility};
}

}  // namespace saccade
