#include "app/cli/context.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "analysis/images/read_picture.h"
#include "core/base/files.h"
#include "core/model/image_input.h"

namespace saccade::cli {

void Context::print(const Json& document, const std::string& text) const {
  const std::string out = json ? document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n" : text;
  std::fwrite(out.data(), 1, out.size(), stdout);
}

void Context::note(const std::string& line) const {
  if (verbosity > 0) fmt::print(stderr, "{}\n", line);
}

Result<Opened> open_runner(const Context& context, const std::string& where) {
  Opened opened;
  SACCADE_TRY(opened.model, Model::open(where, context.job));
  RunnerOptions options;
  options.threads = context.threads;
  options.device = context.device;
  SACCADE_TRY(options.kernels, choose_kernels(context.kernels));
  SACCADE_TRY(opened.runner, Runner::create(opened.model, options));
  for (const std::string& note : opened.model->notes()) context.note("note: " + note);
  return opened;
}

namespace {

Result<std::vector<int32_t>> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int32_t id = 0;
    const auto [next, code] = std::from_chars(at, end, id);
    if (code != std::errc() || (next < end && *next != ','))
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("--ids: expected numbers separated by commas, found '{}'", std::string(at, end)));
    ids.push_back(id);
    at = next < end ? next + 1 : end;
  }
  return ids;
}

Result<std::string> prompt_text(const InputOptions& input) {
  if (input.prompt_given) return input.prompt;
  if (!input.prompt_file.empty()) return read_text_file(input.prompt_file);
  return make_error(ErrorCode::invalid_argument,
                    "no input: give --prompt TEXT, --prompt-file FILE or --ids 1,2,3");
}

Result<TokenSequence> read_text(const Model& model, const InputOptions& input) {
  const bool no_text = !input.prompt_given && input.prompt_file.empty() && input.ids.empty();
  if (no_text && model.spec().is_picture_model()) return TokenSequence();
  if (!input.ids.empty()) {
    if (input.chat)
      return make_error(ErrorCode::invalid_argument, "--chat needs a text: --prompt or --prompt-file");
    SACCADE_TRY(const std::vector<int32_t> ids, parse_ids(input.ids));
    return model.tokenizer().sequence(ids);
  }
  SACCADE_TRY(std::string text, prompt_text(input));
  EncodeOptions options;
  options.add_special_tokens = !input.no_bos;
  if (input.chat) {
    const Result<ChatTemplate>& chat = model.chat_template();
    if (!chat.ok()) return Error(chat.error()).with("--chat");
    SACCADE_TRY(text, chat->render(std::vector<ChatMessage>{{"user", std::move(text)}}));
    options.add_special_tokens = false;  // the template writes them
  }
  return model.tokenizer().encode(text, options);
}

}  // namespace

Result<TokenSequence> read_input(const Model& model, const InputOptions& input) {
  SACCADE_TRY(TokenSequence text, read_text(model, input));
  std::vector<std::shared_ptr<const PreparedImage>> images;
  for (const std::string& path : input.images) {
    SACCADE_TRY(const Picture picture, read_picture(path));
    SACCADE_TRY(auto image, prepare_image(model, picture));
    images.push_back(std::move(image));
  }
  return place_images(model, std::move(text), images);
}

Result<std::vector<Edit>> parse_edits(const std::vector<std::string>& texts) {
  std::vector<Edit> edits;
  for (const std::string& text : texts) {
    SACCADE_TRY(Edit edit, parse_edit(text));
    edits.push_back(std::move(edit));
  }
  return edits;
}

Json to_json(const TokenSequence& tokens) {
  Json list = Json::array();
  for (const Token& token : tokens.tokens) list.push_back({{"id", token.id}, {"text", token.text}});
  return list;
}

Json to_json(const std::vector<ImageRegion>& images) {
  Json list = Json::array();
  for (const ImageRegion& image : images) {
    const ImageGeometry& g = image.geometry;
    list.push_back({{"name", image.name},
                    {"picture", image.picture},
                    {"begin", image.begin},
                    {"prefix", image.n_prefix},
                    {"grid", {image.grid_height, image.grid_width}},
                    {"row_extra", image.row_extra},
                    {"patch", {image.patch_height, image.patch_width}},
                    {"original", {g.original_height, g.original_width}},
                    {"processed", {g.height, g.width}},
                    {"scale", {g.scale_y, g.scale_x}},
                    {"offset", {g.offset_y, g.offset_x}}});
  }
  return list;
}

Json to_json(const std::vector<NextToken>& next) {
  Json list = Json::array();
  for (const NextToken& token : next)
    list.push_back(
        {{"id", token.id}, {"text", token.text}, {"logit", token.logit}, {"prob", token.probability}});
  return list;
}

Json to_json(const Generation& generation) {
  Json ids = Json::array();
  for (const Token& token : generation.tokens) ids.push_back(token.id);
  Json document = {{"ids", ids}, {"text", generation.text}};
  if (generation.cancelled) document["cancelled"] = true;
  return document;
}

Json loss_json(const Capture& capture) {
  const double mean = capture.mean_loss();
  return {{"mean", std::isfinite(mean) ? Json(mean) : Json()}, {"per_token", capture.loss}};
}

std::string next_text(const std::vector<NextToken>& next) {
  std::string text;
  for (const NextToken& token : next)
    text += fmt::format("  {:<20} {:>6.1f} %   logit {:.3f}   id {}\n",
                        display_text({token.id, token.text, 0, 0, false}), 100.0 * token.probability,
                        token.logit, token.id);
  return text;
}

}  // namespace saccade::cli
