// bench tokenize: text to tokens on one thread, beside the `tokenizers` package where a Python has it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>

#include "app/cli/bench.h"
#include "core/base/files.h"
#include "core/model/model.h"

namespace saccade::cli {
namespace {

constexpr size_t text_bytes = 1'000'000;
constexpr int repeats = 5;

// Made-up prose, lists, numbers and code with a natural spread of word frequencies: the k-th word of a
// thousand comes up about 1/k as often as the first. Some words are not written in ASCII.
std::string make_text() {
  constexpr std::array syllables = {"ka", "to",      "ri",      "men",    "so",           "la",  "ter",
                                    "in", "de",      "pro",     "con",    "al",           "is",  "ber",
                                    "ga", "\u00E9t", "\u00FCn", "\u4E2D", "\u043D\u0435", "ight"};
  std::mt19937_64 random(7);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  std::vector<std::string> words;
  std::vector<double> weights;
  for (size_t k = 0; k < 1000; ++k) {
    std::string word;
    for (size_t parts = 1 + below(4); parts > 0; --parts) word += syllables[below(syllables.size())];
    words.push_back(std::move(word));
    weights.push_back(1.0 / static_cast<double>(k + 1));
  }
  std::discrete_distribution<size_t> pick(weights.begin(), weights.end());
  std::string text;
  while (text.size() < text_bytes) {
    switch (below(40)) {
      case 0:
        text += ".\n\n";
        break;
      case 1:
        text += fmt::format(" {}", random() % 1'000'000);
        break;
      case 2:
        text += fmt::format("\n    if (x[{}] != 0x{:x}) {{ return; }}\n", below(90), random() % 65536);
        break;
      case 3:
        text += ", it's";
        break;
      default:
        text += " " + words[pick(random)];
    }
  }
  return text;
}

constexpr const char* peer_script = R"(
import os, sys, time
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer
tokenizer, text = Tokenizer.from_file(sys.argv[1]), open(sys.argv[2], encoding="utf-8", newline="").read()
best, count = 1e9, 0
for _ in range(int(sys.argv[3])):
    start = time.perf_counter()
    count = len(tokenizer.encode(text, add_special_tokens=False).ids)
    best = min(best, time.perf_counter() - start)
print(best, count)
)";

struct Peer {
  double seconds = 0.0;
  size_t tokens = 0;
};

// Nothing when no Python has the package. $SACCADE_PYTHON names another one than python3.
std::optional<Peer> measure_peer(const std::string& tokenizer, const std::string& text,
                                 const std::string& folder) {
  const std::string script = folder + "/peer.py";
  std::ofstream(script) << peer_script;
  const char* named = std::getenv("SACCADE_PYTHON");
  const std::string command =
      fmt::format("'{}' '{}' '{}' '{}' {} 2>/dev/null", named != nullptr ? named : "python3", script,
                  tokenizer, text, repeats);
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  Peer peer;
  const int read = std::fscanf(pipe, "%lf %zu", &peer.seconds, &peer.tokens);
  return ::pclose(pipe) == 0 && read == 2 ? std::optional(peer) : std::nullopt;
}

}  // namespace

Result<std::vector<BenchRow>> bench_tokenize(const Context& context, const std::filesystem::path& folder,
                                             const std::string& where) {
  SACCADE_TRY(const auto model, Model::open(where.empty() ? "demo:induction" : where, context.job));
  const Tokenizer& tokenizer = model->tokenizer();
  const std::string text = make_text();
  Result<TokenSequence> encoded = TokenSequence{};
  const double seconds =
      best_of(repeats, [&] { encoded = tokenizer.encode(text, {.add_special_tokens = false}); });
  if (!encoded.ok()) return std::move(encoded).error();
  BenchRow row{"tokenize",
               fmt::format("{:.1f} MB of text, {} tokens ({})", static_cast<double>(text.size()) / 1e6,
                           encoded->size(), tokenizer.description()),
               seconds};
  row.bytes = static_cast<int64_t>(text.size());

  const std::filesystem::path file = model->folder() / "tokenizer.json";
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  std::ofstream(folder / "text.txt", std::ios::binary) << text;
  const auto peer = std::filesystem::exists(file, ignored)
                        ? measure_peer(file.string(), (folder / "text.txt").string(), folder.string())
                        : std::nullopt;
  if (!peer) {
    context.note(
        "tokenize: no peer; it needs a tokenizer.json and a python3 (or $SACCADE_PYTHON) with the "
        "package tokenizers");
    return std::vector{row};
  }
  if (peer->tokens != static_cast<size_t>(encoded->size()))
    context.note(
        fmt::format("tokenize: the package makes {} tokens of it, not {}", peer->tokens, encoded->size()));
  row.peer = "the tokenizers package, one thread";
  row.peer_seconds = peer->seconds;
  row.bound = 1.0;
  return std::vector{row};
}

}  // namespace saccade::cli
