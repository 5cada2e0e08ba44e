#include "analysis/methods/reference_runs.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/digest.h"

namespace saccade {
namespace {

// A capture of `spec` and `tokens` with z as given per layer; what it is made of names it.
std::shared_ptr<const Capture> made_of(std::span<const std::shared_ptr<const Capture>> captures,
                                       const char* how, std::vector<HostTensor> z) {
  auto made = std::make_shared<Capture>();
  made->spec = captures[0]->spec;
  made->tokens = captures[0]->tokens;
  Digest digest;
  digest.add(how);
  for (const auto& capture : captures) digest.add(capture->provenance.request);
  made->provenance = captures[0]->provenance;
  made->provenance.request = digest.hex();
  for (size_t l = 0; l < z.size(); ++l) made->sites[{HookSite::z, static_cast<int32_t>(l)}] = std::move(z[l]);
  return made;
}

}  // namespace

std::vector<ParameterInfo> prompt_parameters() {
  return {{"prompts", "Prompts",
           "repeat, ioi, greater-than, docstring, colored-objects, or a CSV or JSON file.", "repeat"},
          {"count", "Prompt pairs", "How many a preset draws.", 8, 1, 1000},
          {"seed", "Seed", "Of the prompts, and of whatever else is drawn.", 1, 0, 1e9}};
}

Result<PromptSet> prompts_of(const MethodInput& input) {
  const auto& p = input.parameters;
  return prompt_set(p["prompts"].get<std::string>(), *input.model, p["count"].get<int>(),
                    p["seed"].get<uint64_t>());
}

RunRequest reference_request(const MethodInput& input, const TokenSequence& tokens) {
  RunRequest request = input.base;
  request.tokens = tokens;
  request.edits.clear();
  request.references.clear();
  request.capture = CapturePlan{};
  request.capture.attention = request.capture.statistics = request.capture.loss = false;
  for (int32_t l = 0; l < input.model->spec().n_layer; ++l) request.capture.sites.push_back({HookSite::z, l});
  return request;
}

Result<void> same_length(const PromptSet& prompts) {
  for (size_t i = 1; i < prompts.pairs.size(); ++i)
    if (prompts.pairs[i].clean.size() != prompts.pairs[0].clean.size())
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("{}: prompt {} has {} tokens and the first {}; a mean by position needs prompts of "
                      "one length",
                      prompts.name, i + 1, prompts.pairs[i].clean.size(), prompts.pairs[0].clean.size()));
  return {};
}

std::shared_ptr<const Capture> all_rows_of_z(std::span<const std::shared_ptr<const Capture>> captures) {
  std::vector<HostTensor> layers;
  int64_t rows = 0;
  for (const auto& capture : captures) rows += capture->n_token();
  const ModelSpec& spec = captures[0]->spec;
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    HostTensor all({rows, spec.n_head, spec.d_head}, false);
    float* to = all.mutable_values().data();
    for (const auto& capture : captures) {
      const HostTensor& z = capture->sites.at({HookSite::z, l});
      to = std::copy_n(z.data(), z.size(), to);
    }
    layers.push_back(std::move(all));
  }
  return made_of(captures, "all rows of z", std::move(layers));
}

std::shared_ptr<const Capture> mean_z_by_position(std::span<const std::shared_ptr<const Capture>> captures) {
  std::vector<HostTensor> layers;
  for (int32_t l = 0; l < captures[0]->spec.n_layer; ++l) {
    HostTensor mean(captures[0]->sites.at({HookSite::z, l}).shape());
    for (int64_t i = 0; i < mean.size(); ++i) {
      double sum = 0.0;
      for (const auto& capture : captures) sum += capture->sites.at({HookSite::z, l}).data()[i];
      mean.mutable_values()[static_cast<size_t>(i)] =
          static_cast<float>(sum / static_cast<double>(captures.size()));
    }
    layers.push_back(std::move(mean));
  }
  return made_of(captures, "mean z by position", std::move(layers));
}

std::span<const float> last_z(const Capture& capture, HeadId head) {
  const HostTensor& z = capture.sites.at({HookSite::z, head.layer.value});
  const int64_t d = capture.spec.d_head;
  return z.values().subspan(
      static_cast<size_t>(((capture.n_token() - 1) * capture.spec.n_head + head.head.value) * d),
      static_cast<size_t>(d));
}

}  // namespace saccade
