// open_other_tokenizer() of tokenizer_files.h.
#include "core/base/files.h"
#include "core/tokens/sentencepiece_model.h"
#include "core/tokens/tokenizer_files.h"

namespace saccade::tokens {
namespace {

bool has_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

Result<std::shared_ptr<const Tokenizer>> open_model_file(const std::filesystem::path& path,
                                                         const TokenizerConfig& config) {
  SACCADE_TRY(const std::string bytes, read_text_file(path));
  return open_sentencepiece(bytes, config, path.filename().string());
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> open_other_tokenizer(const std::filesystem::path& folder,
                                                              const TokenizerConfig& config) {
  if (const auto path = folder / "tokenizer.model"; has_file(path)) {
    auto opened = open_model_file(path, config);
    if (!opened.ok()) return std::move(opened).error().with(path.string());
    return opened;
  }
  return make_error(ErrorCode::not_found, folder.string() + " has no other tokenizer");
}

}  // namespace saccade::tokens
