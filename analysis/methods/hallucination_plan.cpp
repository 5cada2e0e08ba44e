#include "analysis/methods/hallucination_plan.h"

#include <fmt/format.h>

#include "analysis/images/read_picture.h"
#include "analysis/methods/picture_input.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/model/image_input.h"

namespace saccade::hallucination {
namespace {

std::string in_prompt(std::string prompt, const std::string& question) {
  constexpr std::string_view place = "{question}";
  if (const size_t at = prompt.find(place); at != std::string::npos)
    prompt.replace(at, place.size(), question);
  return prompt;
}

Result<TokenSequence> tokens_of(const Model& model, const std::string& prompt,
                                const std::shared_ptr<const PreparedImage>& image) {
  SACCADE_TRY(TokenSequence text, model.tokenizer().encode(prompt, {}));
  return place_images(model, std::move(text), {image});
}

// The way's own edits or contrast, found for this prompt.
Result<void> prepare(Runner& runner, const Asking& asking, Way way, RunRequest& request,
                     SamplingOptions& sampling, const JobContext& job) {
  switch (way) {
    case Way::baseline:
      return {};
    case Way::edits:
      request.edits = asking.base.edits;
      return {};
    case Way::var: {
      RunRequest plain = request;
      plain.capture.attention = plain.capture.statistics = plain.capture.loss = false;
      SACCADE_TRY(const auto run, runner.run(plain, nullptr, job));
      SACCADE_TRY(request.edits, var::edits_of(*run->capture, asking.var_settings));
      return {};
    }
    case Way::vhr: {
      SACCADE_TRY(request.edits, vhd::select_heads(runner, request, asking.vhd_options, job));
      return {};
    }
    case Way::damro: {
      SACCADE_TRY(const auto outliers, damro::outliers_in(runner, request, asking.damro_options, job));
      SACCADE_TRY(sampling.contrast, damro::contrast(request, outliers, asking.damro_options));
      return {};
    }
  }
  return {};
}

Result<std::vector<double>> ask(Runner& runner, const Asking& asking, size_t index, Way way,
                                const JobContext& job) {
  const ObjectPicture& picture = asking.set.pictures[index];
  const std::filesystem::path path = asking.set.folder / picture.file;
  SACCADE_TRY(const Picture pixels, read_picture(path));
  SACCADE_TRY(const auto image, prepare_image(runner.model(), pixels));
  const std::vector<std::string> prompts = asking.prompts(picture);
  std::vector<double> numbers;
  for (size_t i = 0; i < prompts.size(); ++i) {
    JobContext part = job;
    part.on_progress = [&](double fraction, std::string_view /*what*/) {
      job.progress(
          (static_cast<double>(i) + fraction) / static_cast<double>(prompts.size()),
          fmt::format("{}, {}: answer {} of {}", picture.file, to_string(way), i + 1, prompts.size()));
    };
    RunRequest request = asking.base;
    request.edits.clear();
    request.capture = CapturePlan{};
    SACCADE_TRY(request.tokens, tokens_of(runner.model(), prompts[i], image));
    SamplingOptions sampling;
    sampling.max_tokens = asking.captions && i == 0 ? asking.caption_tokens : asking.question_tokens;
    SACCADE_CHECK(prepare(runner, asking, way, request, sampling, part));
    SACCADE_TRY(const Generation answer, runner.generate(request, sampling, {}, part));
    if (answer.cancelled) return make_error(ErrorCode::cancelled, "cancelled");
    numbers.push_back(static_cast<double>(answer.tokens.size()));
    for (const Token& token : answer.tokens) numbers.push_back(token.id);
  }
  return numbers;
}

// Everything that the answers depend on.
std::string name_of(const Asking& asking, size_t index, Way way) {
  const ObjectPicture& picture = asking.set.pictures[index];
  Digest digest;
  digest.add("saccade-hallucination-1")
      .add(to_string(way))
      .add(asking.base.model_digest)
      .add(asking.base.dtype);
  const Result<std::string> file = read_text_file(asking.set.folder / picture.file);
  digest.add(file.ok() ? *file : picture.file);
  for (const std::string& prompt : asking.prompts(picture)) digest.add(prompt);
  digest.add(int64_t{asking.captions})
      .add(int64_t{asking.caption_tokens})
      .add(int64_t{asking.question_tokens});
  if (way == Way::edits) {
    RunRequest edits = asking.base;
    edits.tokens = {};
    digest.add(edits.digest());
  }
  if (way == Way::var) {
    const var::Settings& v = asking.var_settings;
    digest.add(fmt::format("{} {} {} {} {} {}", v.tau, v.rho, v.p, v.least_mass, v.code_compat, v.layers));
    for (const int64_t d : v.dimensions) digest.add(d);
  }
  if (way == Way::vhr) {
    const vhd::Options& v = asking.vhd_options;
    digest.add(fmt::format("{} {} {} {} {}", v.squared, v.sample_sd, v.drop_outliers, v.alpha, v.layers));
  }
  if (way == Way::damro) {
    const damro::Options& v = asking.damro_options;
    digest.add(fmt::format("{} {} {} {}", v.k, v.alpha, v.plausibility, v.by_heads));
  }
  return digest.hex();
}

}  // namespace

const char* to_string(Way way) {
  switch (way) {
    case Way::baseline:
      return "baseline";
    case Way::edits:
      return "edits";
    case Way::var:
      return "var";
    case Way::vhr:
      return "vhr";
    case Way::damro:
      return "damro";
  }
  return "";
}

std::vector<std::string> Asking::prompts(const ObjectPicture& picture) const {
  std::vector<std::string> all;
  if (captions) all.push_back(caption_prompt);
  if (questions)
    for (const ObjectQuestion& question : picture.questions)
      all.push_back(in_prompt(question_prompt, question.text));
  return all;
}

NumbersWanted wanted_of(std::shared_ptr<const Asking> asking, size_t picture, Way way) {
  std::string name = name_of(*asking, picture, way);
  return {std::move(name), [asking = std::move(asking), picture, way](Runner& runner, const JobContext& job) {
            auto answers = ask(runner, *asking, picture, way, job);
            if (!answers.ok() && answers.error().code != ErrorCode::cancelled)
              return Result<std::vector<double>>(std::move(answers).error().with(
                  fmt::format("{}, {}", asking->set.pictures[picture].file, to_string(way))));
            return answers;
          }};
}

std::optional<std::vector<std::vector<int32_t>>> answers_from(std::span<const double> numbers, size_t count) {
  std::vector<std::vector<int32_t>> answers;
  for (size_t at = 0; at < numbers.size();) {
    const auto length = static_cast<size_t>(numbers[at++]);
    if (length > numbers.size() - at) return std::nullopt;
    answers.emplace_back();
    for (size_t i = 0; i < length; ++i) answers.back().push_back(static_cast<int32_t>(numbers[at + i]));
    at += length;
  }
  if (answers.size() != count) return std::nullopt;
  return answers;
}

}  // namespace saccade::hallucination
