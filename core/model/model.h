// Model: an opened checkpoint: spec, weights (mapped), tokenizer. Immutable; shared between threads.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/image/image_processor.h"
#include "core/model/checkpoint.h"
#include "core/model/model_spec.h"
#include "core/model/weight_map.h"
#include "core/tokens/chat_template.h"
#include "core/tokens/tokenizer.h"

namespace saccade {

class Model {
 public:
  // `where` is a folder, a weights file beside its config.json, a .gguf file, or "demo:NAME";
  // "as:FAMILY:PATH" reads it as that family, whatever its config says. Errors name the
  // file and the item (tensor or key), what was expected and what was found.
  static Result<std::shared_ptr<const Model>> open(const std::string& where, const JobContext& job = {});

  [[nodiscard]] const ModelSpec& spec() const { return spec_; }
  [[nodiscard]] const WeightMap& weights() const { return weights_; }
  [[nodiscard]] const Tokenizer& tokenizer() const { return *tokenizer_; }
  [[nodiscard]] const std::string& name() const { return name_; }    // folder name, or "demo:induction"
  [[nodiscard]] const std::string& where() const { return where_; }  // as given, made absolute
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }  // where its other files are
  [[nodiscard]] const std::string& digest() const { return digest_; }            // of config and checkpoint
  [[nodiscard]] int64_t file_bytes() const { return checkpoint_->file_bytes(); }
  // Things worth saying that are no errors: unused tensors, a vocabulary that does not match the tokenizer.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] bool has_tokenizer() const { return has_tokenizer_; }
  // How this model wants a conversation written; not_found when it does not say, or why it cannot be used.
  [[nodiscard]] const Result<ChatTemplate>& chat_template() const { return chat_template_; }
  // How pictures become numbers; not_found for a model that reads none or does not say, or why it cannot be
  // used.
  [[nodiscard]] const Result<ImageProcessor>& image_processor() const { return image_processor_; }
  // The model that pictures go through first; null unless this is a decoder that reads pictures.
  [[nodiscard]] const std::shared_ptr<const Model>& tower() const { return tower_; }
  // Lets the pages of the unembedding go: they are read again when touched. A fifth of a small model is
  // vocabulary, and it is needed only at the end of a run.
  void release_vocabulary() const;
  [[nodiscard]] bool adds_bos() const { return adds_bos_; }  // whether encode() puts BOS first

 private:
  static Result<std::shared_ptr<Model>> open_at(const std::filesystem::path& folder,
                                                const std::filesystem::path& weights,
                                                const std::string& as_family, const JobContext& job);
  ModelSpec spec_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  WeightMap weights_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Result<ChatTemplate> chat_template_ = make_error(ErrorCode::not_found, "this model has no chat template");
  Result<ImageProcessor> image_processor_ = make_error(ErrorCode::not_found, "this model reads no pictures");
  std::shared_ptr<const Model> tower_;
  std::string name_, where_, digest_;
  std::filesystem::path folder_;
  std::vector<std::string> notes_;
  bool has_tokenizer_ = false;
  bool adds_bos_ = false;
};

// What "as:FAMILY:PATH" opens when PATH itself is refused: the family that fits, or nothing. Reads no
// weights.
[[nodiscard]] std::optional<std::string> other_way_to_open(const std::string& where);

// Where bundled models, palettes and prompts are: $SACCADE_RESOURCES, beside the program, or the source tree.
[[nodiscard]] std::filesystem::path resources_folder();
// Names usable as demo:NAME.
[[nodiscard]] std::vector<std::string> demo_names();

// Writes a Hugging Face folder with random weights (normal, 0.02, norms 1, biases small non-zero), seeded.
// Shapes: "gpt2-small", "gpt2-tiny", "llama-tiny", "llama-1b", "llama-7b", each also as SHAPE@POSITIONS; an
// unknown one lists them. With a vocab.json and merges.txt that read any text byte by byte. Streams to disk;
// never holds the model in memory. A folder that already holds a model is refused. config.json comes last:
// what a killed or cancelled call leaves is no model.
Result<void> make_random_model(const std::string& shape, const std::filesystem::path& folder, uint64_t seed,
                               const JobContext& job = {});

}  // namespace saccade
