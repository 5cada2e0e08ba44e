// refam: where the words of a phrase look, as one map: stop words and punctuation left out, patches that all
// words look at taken out, and stop words appended to the prompt as magnets for what no content word wins
// (analysis/images/phrase_maps.h).
//
// A word's map is the mean over the chosen heads and over its tokens of p[token, patch].
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "analysis/images/patch_field.h"
#include "analysis/images/phrase_maps.h"
#include "analysis/images/phrase_words.h"
#include "analysis/methods/path_results.h"
#include "analysis/methods/picture_input.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "refam";
  info.title = "Where a phrase looks";
  info.summary =
      "One map of the picture for a phrase: words that mean something, without patches that every word looks "
      "at; and the same with appended stop words as magnets.";
  info.citation =
      "After Kukleva et al. 2025 (RefAM, arXiv 2509.22650), made for diffusion transformers; rules and "
      "constants own";
  info.parameters = {
      {"phrase", "Phrase", "Words of the prompt behind the picture; empty: all of them.", ""},
      {"magnets", "Magnets", "Stop words appended to the prompt, such as: the of and with; empty: none.", ""},
      {"heads", "Heads", "Whose maps are averaged.", "*.*"},
      {"picture", "Picture", "Which of the prompt's, from 1.", 1, 1, 1000},
      {"top", "Top share", "Of the patches, at least one: a word's own sinks.", 0.01, 0.0, 1.0},
      {"shared_by", "Shared by", "A patch that is so for more than this share of words is a sink.", 0.8, 0.0,
       1.0}};
  return info;
}

class RefAm final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    SACCADE_CHECK(words_of(input, *input.capture));
    const auto magnets = input.parameters["magnets"].get<std::string>();
    if (magnets.empty() || !input.outcomes.empty()) return wanted;
    SACCADE_CHECK(require_model(input, info_.id));
    // Written as text that goes on, so that the first of them is a word of its own.
    SACCADE_TRY(const TokenSequence appended, input.model->tokenizer().encode(" " + magnets, {false, false}));
    if (appended.tokens.empty())
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("magnets: '{}' makes no token of this model", magnets));
    RunWanted run{input.base, nullptr};
    run.request.tokens.tokens.insert(run.request.tokens.tokens.end(), appended.tokens.begin(),
                                     appended.tokens.end());
    run.request.capture = CapturePlan{};
    run.request.capture.residuals = run.request.capture.statistics = run.request.capture.loss = false;
    wanted.emplace_back(std::move(run));
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    const bool magnets = !input.parameters["magnets"].get<std::string>().empty();
    const std::shared_ptr<const Capture> capture = magnets ? capture_in(input.outcomes, 0) : input.capture;
    if (!capture) return make_error(ErrorCode::cancelled, "cancelled");
    if (capture->layers.empty() || input.kernels == nullptr)
      return make_error(ErrorCode::invalid_argument, "refam needs a run with captured layers");
    SACCADE_TRY(std::vector<PhraseWord> words, words_of(input, *capture));
    const size_t own = words.size();
    if (magnets)
      for (PhraseWord& word : phrase_words(capture->tokens, input.capture->n_token(), capture->n_token()))
        words.push_back(std::move(word));
    SACCADE_TRY(const ImageRegion region, region_of(input, *capture));
    SACCADE_TRY(const mechanisms::Matrix maps, maps_of(input, capture, words, region, job));

    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {capture->provenance.request};
    std::vector<bool> counts;
    for (size_t w = 0; w < words.size(); ++w) counts.push_back(w < own && !words[w].is_stop);
    mechanisms::Matrix phrase(static_cast<int64_t>(own), maps.columns);
    std::copy_n(maps.values.begin(), phrase.values.size(), phrase.values.begin());
    const std::vector<bool> phrase_counts(counts.begin(), counts.begin() + static_cast<ptrdiff_t>(own));
    const SinkRule rule{input.parameters["top"].get<double>(), input.parameters["shared_by"].get<double>()};
    const std::vector<int64_t> sinks = global_sinks(phrase, rule);
    const std::vector<double> map = phrase_map(phrase, phrase_counts, rule);
    SACCADE_CHECK(add_words(maps, words, *capture, region, result));
    SACCADE_CHECK(add("phrase", "Where the phrase looks", map, *capture, region, result));
    Magnets won;
    if (magnets) {
      won = magnet_map(maps, counts);
      SACCADE_CHECK(
          add("magnets", "Where content words win against magnets", won.map, *capture, region, result));
    }
    add_table(maps, words, own, won, result);
    say(words, own, region, map, sinks, won, result);
    return result;
  }

 private:
  Result<ImageRegion> region_of(const MethodInput& input, const Capture& capture) const {
    SACCADE_CHECK(require_picture_and_text(capture.places(), capture.spec, info_.id));
    return picture_region(capture, input.parameters["picture"].get<int64_t>() - 1, info_.id);
  }

  // The words of the phrase.
  Result<std::vector<PhraseWord>> words_of(const MethodInput& input, const Capture& capture) const {
    SACCADE_TRY(const ImageRegion region, region_of(input, capture));
    std::vector<PhraseWord> words = phrase_words(capture.tokens, region.end(), input.capture->n_token());
    const auto phrase = input.parameters["phrase"].get<std::string>();
    if (phrase.empty()) return words;
    std::string all;
    for (const PhraseWord& word : words) all += (all.empty() ? "" : " ") + word.text;
    std::vector<PhraseWord> found = find_phrase(words, phrase);
    if (found.empty())
      return make_error(
          ErrorCode::not_found,
          fmt::format("phrase: the words behind the picture are '{}', without '{}'", all, phrase));
    return found;
  }

  // [word, patch]
  static Result<mechanisms::Matrix> maps_of(const MethodInput& input,
                                            const std::shared_ptr<const Capture>& capture,
                                            const std::vector<PhraseWord>& words, const ImageRegion& region,
                                            const JobContext& job) {
    SACCADE_TRY(const HeadTarget target, parse_head_target(input.parameters["heads"].get<std::string>()));
    const std::vector<HeadId> heads = heads_of(target, capture->spec);
    if (heads.empty()) return make_error(ErrorCode::invalid_argument, "heads: the model has none of these");
    const int64_t n = capture->n_token(), patches = region.end() - region.first_patch();
    mechanisms::Matrix maps(static_cast<int64_t>(words.size()), patches);
    for (size_t h = 0; h < heads.size(); ++h) {
      SACCADE_CHECK(job.check());
      job.progress(static_cast<double>(h) / static_cast<double>(heads.size()), "head " + to_string(heads[h]));
      SACCADE_TRY(const AttentionMap map, AttentionMap::of(capture, heads[h], *input.kernels));
      for (size_t w = 0; w < words.size(); ++w) {
        std::vector<float> rows(static_cast<size_t>((words[w].end - words[w].begin) * n));
        SACCADE_CHECK(map.rows(words[w].begin, words[w].end, n, rows));
        const double share =
            1.0 / static_cast<double>(words[w].end - words[w].begin) / static_cast<double>(heads.size());
        for (int64_t i = 0; i < words[w].end - words[w].begin; ++i)
          for (int64_t j = 0; j < patches; ++j)
            maps.at(static_cast<int64_t>(w), j) +=
                share * rows[static_cast<size_t>(i * n + region.first_patch() + j)];
      }
    }
    return maps;
  }

  static Result<void> add(const char* name, std::string label, const std::vector<double>& values,
                          const Capture& capture, const ImageRegion& region, AnalysisResult& result) {
    Field about = field_about(name, std::move(label), ValueKind::probability);
    about.request = capture.provenance.request;
    const std::vector<float> numbers(values.begin(), values.end());
    SACCADE_TRY(Field field, patch_field(std::move(about), {}, numbers, region));
    result.fields.push_back(std::move(field));
    return {};
  }

  static Result<void> add_words(const mechanisms::Matrix& maps, const std::vector<PhraseWord>& words,
                                const Capture& capture, const ImageRegion& region, AnalysisResult& result) {
    Field about = field_about("words", "Where each word looks", ValueKind::probability);
    about.request = capture.provenance.request;
    about.axes.push_back({AxisKind::other, "word", {}});
    for (const PhraseWord& word : words) about.axes[0].labels.push_back(word.text);
    const std::vector<float> numbers(maps.values.begin(), maps.values.end());
    SACCADE_TRY(Field field, patch_field(std::move(about), {maps.rows}, numbers, region));
    result.fields.push_back(std::move(field));
    return {};
  }

  static void add_table(const mechanisms::Matrix& maps, const std::vector<PhraseWord>& words, size_t own,
                        const Magnets& won, AnalysisResult& result) {
    Table table{"words", {"word", "position", "part", "mass", "patches_won"}, {}};
    for (size_t w = 0; w < words.size(); ++w) {
      const auto row = maps.row(static_cast<int64_t>(w));
      const char* part = w >= own ? "magnet" : words[w].is_stop ? "left out" : "content";
      table.rows.push_back({words[w].text, words[w].begin, part, std::accumulate(row.begin(), row.end(), 0.0),
                            std::count(won.owner.begin(), won.owner.end(), static_cast<int64_t>(w))});
    }
    result.tables.push_back(std::move(table));
  }

  static void say(const std::vector<PhraseWord>& words, size_t own, const ImageRegion& region,
                  const std::vector<double>& map, const std::vector<int64_t>& sinks, const Magnets& won,
                  AnalysisResult& result) {
    const auto content = std::count_if(words.begin(), words.begin() + static_cast<ptrdiff_t>(own),
                                       [](const PhraseWord& word) { return !word.is_stop; });
    const auto best = std::max_element(map.begin(), map.end()) - map.begin();
    result.findings.push_back(fmt::format(
        "{} of {} words count{}; the phrase looks most at patch {},{} ({:.1f} % of its weight on the "
        "picture).",
        content, own, content == 0 ? " (all are stop words: none was left out)" : "",
        best / region.grid_width, best % region.grid_width, 100.0 * map[static_cast<size_t>(best)]));
    result.findings.push_back(
        sinks.empty() ? std::string("No patch is a sink of most words.")
                      : fmt::format("{} of {} patches are sinks of most words and were taken out.",
                                    sinks.size(), map.size()));
    if (won.owner.empty()) return;
    const auto kept = std::count_if(won.owner.begin(), won.owner.end(), [&](int64_t w) {
      return w < static_cast<int64_t>(own) && !words[static_cast<size_t>(w)].is_stop;
    });
    result.findings.push_back(fmt::format("Content words win {} of {} patches against {} magnets.", kept,
                                          map.size(), words.size() - own));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_refam() { return std::make_unique<RefAm>(); }

}  // namespace saccade
