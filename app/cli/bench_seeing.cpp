// bench vision, the part about decoders that read pictures: what VHD costs beside the runs it is made of, how
// fast answers come under edits, and what a hover over a picture has to read, on random models of LLaVA's
// shape.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "analysis/colour.h"
#include "analysis/methods/vhd.h"
#include "app/cli/bench.h"
#include "core/capture/attention_map.h"
#include "core/model/image_input.h"

namespace saccade::cli {
namespace {

constexpr int32_t n_text = 48;

// Text around a picture of noise: 24 x 24 patches.
Result<RunRequest> question(const Runner& runner) {
  const Model& model = runner.model();
  Picture noise{336, 336, std::vector<uint8_t>(size_t{336} * 336 * 3), "noise"};
  std::mt19937 random(3);
  for (uint8_t& value : noise.rgb) value = static_cast<uint8_t>(random() & 255U);
  SACCADE_TRY(const auto image, prepare_image(model, noise));
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < n_text; ++i) ids.push_back(i == 4 ? model.spec().tower.image_token_id : 40 + i);
  SACCADE_TRY(TokenSequence tokens, model.tokenizer().sequence(ids));
  SACCADE_TRY(tokens, place_images(model, std::move(tokens), {image}));
  return runner.request(std::move(tokens));
}

std::vector<int32_t> all_layers(const ModelSpec& spec) {
  std::vector<int32_t> layers;
  for (int32_t l = 0; l < spec.n_layer; ++l) layers.push_back(l);
  return layers;
}

// The picture's rows are kept by its digest, so that the tower is timed in neither.
Result<std::vector<BenchRow>> vhd_rows(const Context& context, const Opened& opened,
                                       const RunRequest& request) {
  Runner& runner = *opened.runner;
  const ModelSpec& spec = runner.model().spec();
  SACCADE_TRY(const RunRequest text, vhd::without_picture(request));
  const auto bare = [](RunRequest one) {
    one.capture.attention = one.capture.statistics = one.capture.residuals = one.capture.loss = false;
    return one;
  };
  Result<void> outcome;
  const auto run = [&](const RunRequest& one) -> std::shared_ptr<const Run> {
    auto made = runner.run(one, nullptr, context.job);
    if (made.ok()) return *made;
    outcome = std::move(made).error();
    return nullptr;
  };
  (void)run(bare(request));  // the tower
  SACCADE_CHECK(std::move(outcome));
  const RunRequest with_z = vhd::keeping_z(request, all_layers(spec)),
                   text_z = vhd::keeping_z(text, all_layers(spec));
  double ours = 1e9, peer = 1e9;
  for (int repeat = 0; repeat < 5 && outcome.ok(); ++repeat) {  // alternating: both meet the same machine
    ours = std::min(ours, timed([&] {
                      const auto with = run(with_z), without = run(text_z);
                      if (!with || !without) return;
                      for (int32_t l = 0; l < spec.n_layer; ++l)
                        (void)vhd::divergence(vhd::z_row(*with->capture, l, -1),
                                              vhd::z_row(*without->capture, l, -1), spec.n_head, {});
                    }));
    peer = std::min(peer, timed([&] {
                      (void)run(bare(request));
                      (void)run(bare(text));
                    }));
  }
  SACCADE_CHECK(std::move(outcome));
  return std::vector<BenchRow>{
      {"vision", fmt::format("VHD of {} heads, {} positions", spec.n_heads_total(), request.tokens.size()),
       ours, "the run and a text-only one", peer, 1.1, std::nullopt, 0}};
}

struct Edited {
  const char* name;
  std::vector<std::string> edits;
};

// Seconds per token, the prompt's first token left out.
Result<std::vector<BenchRow>> stream_rows(const Context& context, const Opened& opened,
                                          const RunRequest& request) {
  const ImageRegion region = request.tokens.image_regions().at(0);
  // The kinds of edits that the methods make: heads reinforced, sinks calibrated, weight moved to the
  // picture.
  const std::vector<Edited> kinds{
      {"VHR: a quarter of the heads scaled", {"scale 1-7.0,3 by=2"}},
      {"ACT: sinks of every head calibrated",
       {fmt::format("redistribute *.* by=0.4 key={},{} to=rest", region.end() + 3, region.end() + 9)}},
      {"VAR: weight moved to the picture",
       {fmt::format("redistribute *.* by=0.6 query={}: key=0,{} to={} within=0:{} least-share=0.1",
                    region.end(), region.first_patch() + 5,
                    fmt::format("{}:{}", region.first_patch() + 6, region.end()), region.end())}}};
  constexpr int n_new = 48;
  SamplingOptions sampling;
  sampling.stop_at_eos = false;
  Result<void> outcome;
  const auto seconds = [&](const RunRequest& one, int tokens) {
    sampling.max_tokens = tokens;
    auto made = opened.runner->generate(one, sampling, {}, context.job);
    if (!made.ok()) outcome = std::move(made).error();
    return made.ok() ? made->seconds : 0.0;
  };
  const auto per_token = [&](const RunRequest& one) {
    const double first = seconds(one, 1);
    return (seconds(one, n_new + 1) - first) / n_new;
  };
  std::vector<BenchRow> rows;
  for (const Edited& kind : kinds) {
    RunRequest edited = request;
    for (const std::string& text : kind.edits) {
      SACCADE_TRY(Edit edit, parse_edit(text));
      edited.edits.push_back(std::move(edit));
    }
    double plain = 1e9, under = 1e9;
    for (int repeat = 0; repeat < 4 && outcome.ok(); ++repeat) {
      plain = std::min(plain, per_token(request));
      under = std::min(under, per_token(edited));
    }
    SACCADE_CHECK(std::move(outcome));
    rows.push_back({"vision",
                    fmt::format("a token under {} ({:.0f} % of {:.0f} tokens/s)", kind.name,
                                100.0 * plain / under, 1.0 / plain),
                    under, "a token without edits", plain, 1.0 / 0.9, std::nullopt, 0});
  }
  return rows;
}

// 32 layers of 32 heads of 128 as LLaVA-1.5 7B has them: queries and keys at random, each layer its own.
std::shared_ptr<const Capture> captured_7b(int32_t layers, int32_t heads, int32_t d, int64_t n) {
  auto capture = std::make_shared<Capture>();
  ModelSpec& spec = capture->spec;
  spec.n_layer = layers;
  spec.n_head = spec.n_kv_head = heads;
  spec.d_head = d;
  spec.d_model = heads * d;
  spec.attention_scale = 1.0 / std::sqrt(static_cast<double>(d));
  capture->tokens.resize(static_cast<size_t>(n));
  ImageRegion region;
  region.begin = 8;
  region.grid_height = region.grid_width = 24;
  region.patch_height = region.patch_width = 14;
  region.geometry.original_width = region.geometry.width = 336;
  region.geometry.original_height = region.geometry.height = 336;
  capture->images = {region};
  std::mt19937 random(1);
  std::vector<float> noise(1 << 16);
  std::normal_distribution<float> normal(0.0F, 1.0F);
  for (float& value : noise) value = normal(random);
  for (int32_t l = 0; l < layers; ++l) {
    auto layer = std::make_shared<LayerCapture>();
    for (HostTensor* tensor : {&layer->q, &layer->k}) {
      *tensor = HostTensor({n, heads, d}, false);
      size_t at = random() & 0xffffU;
      for (float& value : tensor->mutable_values()) value = noise[at++ & 0xffffU];
    }
    layer->lse = HostTensor({heads, n}, false);
    for (float& value : layer->lse.mutable_values()) value = 7.0F;  // of about this size
    capture->layers.push_back(std::move(layer));
  }
  return capture;
}

// What moving the pointer to another patch asks for where nothing is kept yet: the row of every head, cut to
// the picture and coloured on one scale.
Result<BenchRow> hover_row(const KernelSet& kernels) {
  constexpr int32_t layers = 32, heads = 32, d = 128;
  constexpr int64_t n = 640;
  const auto capture = captured_7b(layers, heads, d, n);
  const ImageRegion& region = capture->images[0];
  const auto patches = static_cast<size_t>(region.end() - region.first_patch());
  Result<void> outcome;
  std::vector<float> row(static_cast<size_t>(n));
  std::vector<std::vector<float>> maps(size_t{layers} * heads, std::vector<float>(patches));
  std::vector<Rgb> pixels(patches);
  int64_t query = n - 20;
  const double seconds = best_of(5, [&] {
    ++query;
    double largest = 0.0;
    for (int32_t at = 0; at < layers * heads; ++at) {
      const HeadId head{LayerIndex{at / heads}, HeadIndex{at % heads}};
      const auto map = AttentionMap::of(capture, head, kernels);
      if (!map.ok()) outcome = map.error();
      if (!map.ok()) return;
      if (auto read = map->rows(query, query + 1, n, row); !read.ok()) outcome = std::move(read);
      std::vector<float>& own = maps[static_cast<size_t>(at)];
      std::copy_n(row.begin() + region.first_patch(), patches, own.begin());
      largest = std::max<double>(largest, *std::max_element(own.begin(), own.end()));
    }
    ColourScale scale;
    scale.high = static_cast<float>(largest);
    for (const std::vector<float>& map : maps)
      for (size_t i = 0; i < patches; ++i) pixels[i] = scale.colour(map[i]);
  });
  SACCADE_CHECK(std::move(outcome));
  return BenchRow{"vision",
                  fmt::format("hover: {} heads' maps of {} patches from a capture", layers * heads, patches),
                  seconds,
                  "a frame at 60 Hz",
                  1.0 / 60.0,
                  1.0,
                  std::nullopt,
                  0};
}

}  // namespace

Result<std::vector<BenchRow>> bench_seeing(const Context& context, const std::filesystem::path& folder) {
  SACCADE_TRY(const std::string where, model_folder(context, "llava-small", folder));
  SACCADE_TRY(const Opened opened, open_runner(context, where));
  SACCADE_TRY(const RunRequest request, question(*opened.runner));
  SACCADE_TRY(std::vector<BenchRow> rows, vhd_rows(context, opened, request));
  SACCADE_TRY(const std::vector<BenchRow> streams, stream_rows(context, opened, request));
  rows.insert(rows.end(), streams.begin(), streams.end());
  SACCADE_TRY(BenchRow hover, hover_row(opened.runner->kernels()));
  rows.push_back(std::move(hover));
  return rows;
}

}  // namespace saccade::cli
