// open_other_tokenizer() of tokenizer_files.h.
#include <algorithm>
#include <optional>

#include "core/base/files.h"
#include "core/tokens/clip.h"
#include "core/tokens/sentencepiece_model.h"
#include "core/tokens/tiktoken.h"
#include "core/tokens/tokenizer_files.h"

namespace saccade::tokens {
namespace {

namespace fs = std::filesystem;
using Opened = Result<std::shared_ptr<const Tokenizer>>;

// The first file of the folder, by name, that `fits`.
template <class Fits>
std::optional<fs::path> find_file(const fs::path& folder, const Fits& fits) {
  std::optional<fs::path> found;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed); !failed && at != fs::directory_iterator();
       at.increment(failed)) {
    if (fits(at->path().filename().string()) && (!found || at->path() < *found)) found = at->path();
  }
  return found;
}

Opened finish(Result<Pipeline> pipeline, const TokenizerConfig& config) {
  if (!pipeline.ok()) return std::move(pipeline).error();
  SACCADE_CHECK(apply_config(config, *pipeline));
  return make_tokenizer(std::move(*pipeline));
}

Opened open_tiktoken(const std::string& bytes, const std::string& name, TokenizerConfig config) {
  auto pipeline = read_tiktoken(bytes, name, config);  // completes the configuration
  return finish(std::move(pipeline), config);
}

Opened open_model(const std::string& bytes, const std::string& name, const TokenizerConfig& config) {
  if (looks_like_tiktoken(bytes)) return open_tiktoken(bytes, name, config);
  return open_sentencepiece(bytes, config, name);
}

Opened open_clip(const std::string& bytes, const std::string& name, const TokenizerConfig& config) {
  auto pipeline = read_clip_merges(bytes);
  if (pipeline.ok()) pipeline->source = name;
  return finish(std::move(pipeline), config);
}

struct Kind {
  bool (*fits)(const std::string& name);
  Opened (*open)(const std::string& bytes, const std::string& name, const TokenizerConfig& config);
};

bool is_model(const std::string& name) { return name == "tokenizer.model"; }
bool is_tiktoken(const std::string& name) { return name.ends_with(".tiktoken"); }
bool is_clip(const std::string& name) {
  return name.ends_with("bpe_simple_vocab_16e6.txt.gz") || name.ends_with("bpe_simple_vocab_16e6.txt");
}

}  // namespace

Opened open_other_tokenizer(const fs::path& folder, const TokenizerConfig& config) {
  const auto open_named_tiktoken = [](const std::string& bytes, const std::string& name,
                                      const TokenizerConfig& settings) {
    return open_tiktoken(bytes, name, settings);
  };
  for (const Kind& kind :
       {Kind{is_model, open_model}, {is_tiktoken, open_named_tiktoken}, {is_clip, open_clip}}) {
    const auto path = find_file(folder, kind.fits);
    if (!path) continue;
    SACCADE_TRY(const std::string bytes, read_text_file(*path));
    auto opened = kind.open(bytes, path->filename().string(), config);
    if (!opened.ok()) return std::move(opened).error().with(path->string());
    return opened;
  }
  return make_error(ErrorCode::not_found, folder.string() + " has no other tokenizer");
}

}  // namespace saccade::tokens
