// info, tokenize, make-random: what can be asked of a model without running it.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "app/cli/commands.h"
#include "core/base/memory.h"
#include "core/tokens/special_tokens.h"

namespace saccade::cli {
namespace {

Json spec_json(const ModelSpec& spec) {
  return {{"family", spec.family},
          {"layers", spec.n_layer},
          {"heads", spec.n_head},
          {"kv_heads", spec.n_kv_head},
          {"d_model", spec.d_model},
          {"d_head", spec.d_head},
          {"d_mlp", spec.d_mlp},
          {"vocabulary", spec.n_vocab},
          {"context", spec.n_context},
          {"weight_dtype", spec.weight_dtype},
          {"tied_unembedding", spec.tied_unembedding}};
}

// The model that pictures go into; null when there is none.
const ModelSpec* seeing(const Model& model) {
  if (model.spec().is_picture_model()) return &model.spec();
  return model.tower() ? &model.tower()->spec() : nullptr;
}

Json pictures_json(const Model& model) {
  const ModelSpec* spec = seeing(model);
  if (spec == nullptr) return {};
  const PatchSpec& p = spec->patches;
  Json document = {{"patch", {p.height, p.width}}, {"prefix", p.n_prefix()}, {"registers", p.n_register}};
  if (p.image_height > 0) {  // else any size is as good as another
    document["image"] = {p.image_height, p.image_width};
    document["grid"] = {p.grid_height(), p.grid_width()};
  }
  document["processor"] =
      model.image_processor().ok() ? Json(model.image_processor()->description()) : Json();
  if (!model.tower()) return document;
  document["tower"] = spec_json(*spec);
  document["tower_layers"] = model.spec().tower.layers;
  document["image_token"] = model.spec().tower.image_token_id;
  document["merge"] = model.spec().tower.merge;
  return document;
}

std::string pictures_text(const Model& model) {
  const ModelSpec* spec = seeing(model);
  if (spec == nullptr) return "";
  const PatchSpec& p = spec->patches;
  std::string text = fmt::format("  pictures: of any size in patches of {} x {}", p.height, p.width);
  if (p.image_height > 0)
    text = fmt::format("  pictures: {} x {} in patches of {} x {}, a grid of {} x {}, {} positions before it",
                       p.image_height, p.image_width, p.height, p.width, p.grid_height(), p.grid_width(),
                       p.n_prefix());
  if (const int32_t merge = model.spec().tower.merge; merge > 1)
    text += fmt::format(", {} x {} of them for one position", merge, merge);
  if (p.window > 0)
    text += fmt::format("; {} x {} see each other, but all in layers {}", p.window, p.window,
                        fmt::join(p.whole_layers, ", "));
  text += "\n";
  if (model.image_processor().ok()) text += "    " + model.image_processor()->description() + "\n";
  if (model.tower())
    text += fmt::format("    vision tower {}: layers {}, heads {}, d_model {}; read {}\n", spec->family,
                        spec->n_layer, spec->n_head, spec->d_model,
                        model.spec().tower.final_norm
                            ? "after its last norm"
                            : fmt::format("before layer {}", fmt::join(model.spec().tower.layers, ", ")));
  if (model.spec().prefix < 0)
    text += "    the prompt is seen in both directions, what is generated is not\n";
  return text;
}

// "; BOS <s> (1), EOS </s> (2), <unk> (0)".
std::string special_text(const Tokenizer& tokenizer) {
  const std::string text = special_tokens_text(tokenizer);
  return text.empty() ? text : "; " + text;
}

std::string chat_text(const Model& model) {
  const Result<ChatTemplate>& chat = model.chat_template();
  if (chat.ok()) return "yes, for --chat";
  return chat.error().code == ErrorCode::not_found ? "none" : "cannot be used: " + chat.error().to_string();
}

}  // namespace

Result<void> info(const Context& context, const std::string& where) {
  SACCADE_TRY(const Opened opened, open_runner(context, where));
  const Model& model = *opened.model;
  const ModelSpec& spec = model.spec();
  const Tokenizer& tokenizer = model.tokenizer();
  Json memory = Json::array();
  std::string memory_text;
  for (const int64_t n : {int64_t{64}, int64_t{1024}, static_cast<int64_t>(spec.n_context)}) {
    if (n > spec.n_context) continue;
    RunRequest request = opened.runner->request({});
    request.tokens.tokens.resize(static_cast<size_t>(n));
    const MemoryForecast need = opened.runner->forecast(request);
    memory.push_back(
        {{"tokens", n}, {"captures", need.captures}, {"working", need.working}, {"fits", need.fits()}});
    memory_text +=
        fmt::format("  {:>7} tokens     {} of captures, {} while running{}\n", n, format_bytes(need.captures),
                    format_bytes(need.working), need.fits() ? "" : "  (does not fit)");
  }
  Json document = {
      {"model", model.name()},
      {"where", model.where()},
      {"digest", model.digest()},
      {"spec", spec_json(spec)},
      {"pictures", pictures_json(model)},
      {"parameters", model.weights().parameters()},
      {"file_bytes", model.file_bytes()},
      {"memory", memory},
      {"tokenizer", tokenizer.description()},
      {"bos", tokenizer.bos() ? Json(*tokenizer.bos()) : Json()},
      {"eos", tokenizer.eos() ? Json(*tokenizer.eos()) : Json()},
      {"adds_bos", model.adds_bos()},
      {"chat_template", model.chat_template().ok() ? Json(model.chat_template()->text()) : Json()},
      {"kernels", opened.runner->kernels().name},
      {"notes", model.notes()}};
  const std::string text = fmt::format(
      "{}  ({}, {})\n"
      "  layers {}, heads {} (KV {}), d_model {}, d_head {}, d_mlp {}\n"
      "  vocabulary {}, context {}, {} weights, {} parameters, {} on disk\n"
      "  tokenizer: {}{}\n"
      "{}"
      "  chat template: {}\n"
      "{}  kernels: {} ({})\n",
      model.name(), spec.family, model.digest().substr(0, 12), spec.n_layer, spec.n_head, spec.n_kv_head,
      spec.d_model, spec.d_head, spec.d_mlp, spec.n_vocab, spec.n_context, spec.weight_dtype,
      model.weights().parameters(), format_bytes(model.file_bytes()), tokenizer.description(),
      special_text(tokenizer), pictures_text(model), chat_text(model), memory_text,
      opened.runner->kernels().name, opened.runner->kernels().description);
  context.print(document, text);
  return {};
}

Result<void> tokenize(const Context& context, const std::string& where, const std::string& text,
                      bool no_bos) {
  SACCADE_TRY(const auto model, Model::open(where, context.job));
  std::string input = text;
  if (text == "-") input.assign(std::istreambuf_iterator<char>(std::cin), {});
  EncodeOptions options;
  options.add_special_tokens = !no_bos;
  SACCADE_TRY(const TokenSequence tokens, model->tokenizer().encode(input, options));
  Json list = Json::array();
  std::string lines;
  for (const Token& token : tokens.tokens) {
    list.push_back({{"id", token.id},
                    {"text", token.text},
                    {"begin", token.begin},
                    {"end", token.end},
                    {"special", token.special}});
    lines += fmt::format("{:>7}  {:<20} {}\n", token.id, display_text(token),
                         token.special ? "special" : fmt::format("bytes {}-{}", token.begin, token.end));
  }
  context.print({{"model", model->name()}, {"tokens", list}}, lines);
  return {};
}

Result<void> make_random(const Context& context, const std::string& shape, const std::string& folder,
                         uint64_t seed) {
  SACCADE_CHECK(make_random_model(shape, folder, seed, context.job));
  context.print({{"folder", folder}, {"shape", shape}, {"seed", seed}},
                fmt::format("{} in {}\n", shape, folder));
  return {};
}

}  // namespace saccade::cli
