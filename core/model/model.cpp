#include "core/model/model.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/base/digest.h"
#include "core/base/memory.h"
#include "core/model/config_reader.h"
#include "core/model/family_match.h"
#include "core/model/gguf_config.h"

namespace saccade {
namespace {

using Path = std::filesystem::path;
constexpr std::string_view demo_prefix = "demo:";
constexpr std::string_view family_prefix = "as:";

// What the user named: the folder with config.json, and what to open the weights from.
struct Place {
  Path folder, weights;
  std::string name, where;
  std::string family = {};  // to be read as
};

// A folder stands for its weights; one without a config.json for the GGUF file in it, if there is just one.
Path weights_in(const Path& folder) {
  std::error_code failed;
  Path only;
  if (std::filesystem::exists(folder / "config.json", failed)) return folder;
  std::filesystem::directory_iterator entry(folder, failed);
  for (; !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
    if (entry->path().extension() != ".gguf") continue;
    if (!only.empty()) return folder;
    only = entry->path();
  }
  return only.empty() ? folder : only;
}

Result<Place> find_place(const std::string& where) {
  if (where.starts_with(family_prefix)) {
    const size_t colon = where.find(':', family_prefix.size());
    if (colon == std::string::npos)
      return make_error(ErrorCode::invalid_argument, fmt::format("{}: expected as:FAMILY:PATH", where));
    SACCADE_TRY(Place place, find_place(where.substr(colon + 1)));
    place.family = where.substr(family_prefix.size(), colon - family_prefix.size());
    place.where = where.substr(0, colon + 1) + place.where;
    return place;
  }
  if (where.starts_with(demo_prefix)) {
    const std::string name = where.substr(demo_prefix.size());
    const std::vector<std::string> names = demo_names();
    if (std::find(names.begin(), names.end(), name) == names.end())
      return make_error(ErrorCode::not_found,
                        fmt::format("no demo is called '{}'; there are {}", name, fmt::join(names, ", ")));
    const Path folder = resources_folder() / "models" / name;
    return Place{folder, folder, where, where};
  }
  std::error_code failed;
  Path path = std::filesystem::absolute(where, failed).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "models/gpt2/"
  const auto status = std::filesystem::status(path, failed);
  if (where.empty() || status.type() == std::filesystem::file_type::not_found)
    return make_error(ErrorCode::not_found, fmt::format("{}: no such folder or file", where));
  if (failed) return make_error(ErrorCode::io, fmt::format("{}: {}", where, failed.message()));
  if (std::filesystem::is_directory(status))
    return Place{path, weights_in(path), path.filename().string(), path.string()};
  const std::string kind = path.extension().string();
  if (kind == ".safetensors" || kind == ".bin" || kind == ".pt" || kind == ".pth" || kind == ".gguf")
    return Place{path.parent_path(), path,
                 kind == ".gguf" ? path.stem().string() : path.parent_path().filename().string(),
                 path.string()};
  return make_error(ErrorCode::unsupported,
                    fmt::format("{}: expected a folder with config.json and its weights, or a .safetensors, "
                                ".bin, .pt or .pth file beside its config.json, or a .gguf file",
                                where));
}

// What is known of a model without its weights.
struct Description {
  nlohmann::json config;
  std::string config_text;
  Result<std::shared_ptr<const Tokenizer>> tokenizer = make_error(ErrorCode::not_found, "");
  Result<ChatTemplate> chat_template = make_error(ErrorCode::not_found, "this model has no chat template");
  Result<ImageProcessor> image_processor = make_error(ErrorCode::not_found, "this model reads no pictures");
};

Result<void> read_config_file(const Path& path, Description& found) {
  SACCADE_TRY(found.config_text, read_text_file(path, size_t{16} << 20));
  try {
    found.config = nlohmann::json::parse(found.config_text);
  } catch (const nlohmann::json::parse_error& error) {
    return make_error(ErrorCode::bad_format,
                      fmt::format("config.json: expected JSON, which it stops being at byte {}", error.byte));
  }
  if (found.config.is_object()) return {};
  return make_error(ErrorCode::bad_format,
                    fmt::format("config.json: expected a JSON object, found {}", found.config.type_name()));
}

Result<Description> describe_gguf(const Path& weights) {
  SACCADE_TRY(const auto file, MappedFile::open(weights));
  SACCADE_TRY(const GgufFile gguf, read_gguf(file->bytes()));
  Description found;
  SACCADE_TRY(found.config, gguf_config(gguf));
  found.config_text = found.config.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  found.tokenizer = gguf_tokenizer(gguf);
  found.chat_template = gguf_chat_template(gguf);
  return found;
}

Result<Description> describe(const Path& folder, const Path& weights, const JobContext& job) {
  Description found;
  job.progress(0.0, "config.json");
  if (weights.extension() == ".gguf") {
    SACCADE_TRY(found, describe_gguf(weights));
  } else {
    SACCADE_CHECK(read_config_file(folder / "config.json", found));
  }
  SACCADE_CHECK(job.check());
  job.progress(0.2, "tokenizer");
  const auto model_type = ConfigReader(found.config).text("model_type", "");
  found.image_processor = ImageProcessor::open(folder, model_type.ok() ? *model_type : "");
  const auto missing = [](const auto& item) {
    return !item.ok() && item.error().code == ErrorCode::not_found;
  };
  if (missing(found.tokenizer)) found.tokenizer = open_tokenizer(folder);
  if (missing(found.chat_template)) {
    auto opened = open_chat_template(folder);
    if (!opened.ok()) {
      found.chat_template = std::move(opened).error();
    } else if (opened->has_value()) {
      found.chat_template = std::move(**opened);
    }
  }
  if (!found.tokenizer.ok() && !missing(found.tokenizer)) return std::move(found.tokenizer).error();
  return found;
}

// A GGUF file has no config.json: what is wrong stands in its metadata.
Error in_words_of_file(Error error, const Path& weights) {
  constexpr std::string_view config = "config.json";
  if (weights.extension() != ".gguf") return error;
  for (size_t at = 0; (at = error.message.find(config, at)) != std::string::npos;)
    error.message.replace(at, config.size(), "GGUF metadata");
  return error;
}

// GGUF's Llama 3.1 keeps what its scaling does to each pair as a tensor.
void read_frequency_factors(const Checkpoint& checkpoint, ModelSpec& spec) {
  const TensorView* factors = checkpoint.find("rope_freqs.weight");
  if (!factors || factors->dtype != DType::f32 || factors->elements() != spec.rotary.dimensions / 2) return;
  const auto* values = reinterpret_cast<const float*>(factors->data);
  spec.rotary.scaling = RotaryScaling::longrope;
  spec.rotary.short_factors.assign(values, values + factors->elements());
  spec.rotary.long_factors = spec.rotary.short_factors;
}

std::string unused_note(const std::vector<std::string>& unused) {
  constexpr size_t most = 4;
  const std::vector<std::string> shown(unused.begin(),
                                       unused.begin() + static_cast<int64_t>(std::min(unused.size(), most)));
  return fmt::format("{} tensor{} of the checkpoint {} not used: {}{}", unused.size(),
                     unused.size() == 1 ? "" : "s", unused.size() == 1 ? "is" : "are", fmt::join(shown, ", "),
                     unused.size() > most ? ", ..." : "");
}

std::vector<std::string> notes_on(const ModelSpec& spec, const Checkpoint& checkpoint,
                                  const WeightMap& weights, const Tokenizer* tokenizer) {
  std::vector<std::string> notes;
  if (spec.is_picture_model()) {  // its labels are no vocabulary
  } else if (!tokenizer) {
    notes.push_back("no tokenizer files: prompts are token ids (--ids)");
  } else if (const int32_t words = tokenizer->vocabulary_size(); words > spec.n_vocab) {
    notes.push_back(
        fmt::format("the tokenizer knows {} tokens, the model {}: some cannot be read", words, spec.n_vocab));
  } else if (words < spec.n_vocab) {
    notes.push_back(fmt::format("the tokenizer knows {} tokens, the model {}: the last {} have no text",
                                words, spec.n_vocab, spec.n_vocab - words));
  }
  for (const std::string& part : weights.lacking())
    notes.push_back(fmt::format("the checkpoint has no {}: its answers {}", part,
                                spec.is_picture_model()
                                    ? "are the mean of the features of all patches"
                                    : "only compare the last residual with the token embeddings"));
  if (!weights.unused().empty()) notes.push_back(unused_note(weights.unused()));
  if (const int64_t copied = checkpoint.copied_bytes(); copied > 0)
    notes.push_back(
        fmt::format("{} are not aligned in the file and had to be copied into memory; saving it "
                    "again with a current safetensors avoids that",
                    format_bytes(copied)));
  return notes;
}

// What the logits of a picture model are called: classes as id2label says, or features by number.
std::vector<std::string> labels_of(const nlohmann::json& config, const ModelSpec& spec, bool classifies) {
  std::vector<std::string> names;
  const auto found = config.find("id2label");
  const bool named = classifies && found != config.end() && found->is_object();
  for (int32_t i = 0; i < spec.n_logits(); ++i) {
    const auto label = named ? found->find(std::to_string(i)) : nlohmann::json::const_iterator();
    names.push_back(named && label != found->end() && label->is_string()
                        ? label->get<std::string>()
                        : fmt::format("{} {}", classifies ? "class" : "feature", i));
  }
  return names;
}

bool answers_with_classes(const nlohmann::json& config) {
  const auto names = ConfigReader(config).texts("architectures");
  return names.ok() && std::any_of(names->begin(), names->end(), [](const std::string& name) {
           return name.find("ForImageClassification") != std::string::npos;
         });
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::open(const std::string& where, const JobContext& job) {
  SACCADE_TRY(const Place place, find_place(where));
  auto opened = open_at(place.folder, place.weights, place.family, job);
  if (!opened.ok()) return std::move(opened).error().with("opening " + place.where);
  (*opened)->name_ = place.name;
  (*opened)->where_ = place.where;
  (*opened)->folder_ = place.folder;
  return std::shared_ptr<const Model>(std::move(*opened));
}

Result<std::shared_ptr<Model>> Model::open_at(const std::filesystem::path& folder,
                                              const std::filesystem::path& weights,
                                              const std::string& as_family, const JobContext& job) {
  auto model = std::make_shared<Model>();
  SACCADE_TRY(Description found, describe(folder, weights, job));
  SACCADE_CHECK(job.check());

  job.progress(0.6, "weights");
  SACCADE_TRY(model->checkpoint_, Checkpoint::open(weights));
  auto matched = match_family(found.config, *model->checkpoint_, as_family);
  if (!matched.ok()) return in_words_of_file(std::move(matched).error(), weights);
  FamilyMatch match = std::move(*matched);
  read_frequency_factors(*model->checkpoint_, match.spec);
  model->spec_ = std::move(match.spec);
  model->weights_ = std::move(match.weights);
  model->spec_.model_type = found.config.value("model_type", "");
  const Slot first = model->spec_.is_picture_model() ? Slot::patch_weight : Slot::embed;
  model->spec_.weight_dtype = to_string(model->weights_.get(first).tensor->dtype);
  SACCADE_CHECK(job.check());

  if (model->spec_.reads_pictures()) model->image_processor_ = std::move(found.image_processor);
  if (match.tower) {
    auto tower = std::make_shared<Model>();
    tower->spec_ = std::move(match.tower->spec);
    tower->spec_.weight_dtype = to_string(match.tower->weights.get(Slot::patch_weight).tensor->dtype);
    tower->weights_ = std::move(match.tower->weights);
    tower->checkpoint_ = model->checkpoint_;
    tower->tokenizer_ = make_label_tokenizer(labels_of({}, tower->spec_, false));
    tower->name_ = "vision tower";
    model->tower_ = std::move(tower);
  }
  model->has_tokenizer_ = found.tokenizer.ok() && !model->spec_.is_picture_model();
  model->tokenizer_ = model->has_tokenizer_ ? *found.tokenizer : make_id_tokenizer(model->spec_.n_vocab);
  if (model->spec_.is_picture_model())
    model->tokenizer_ =
        make_label_tokenizer(labels_of(found.config, model->spec_, answers_with_classes(found.config)));
  model->chat_template_ = std::move(found.chat_template);
  model->notes_ = notes_on(model->spec_, *model->checkpoint_, model->weights_,
                           model->has_tokenizer_ ? model->tokenizer_.get() : nullptr);
  if (const auto& chat = model->chat_template_; !chat.ok() && chat.error().code != ErrorCode::not_found)
    model->notes_.push_back("its chat template cannot be used: " + chat.error().to_string());
  if (const auto& processor = model->image_processor_; model->spec_.reads_pictures() && !processor.ok())
    model->notes_.push_back("it cannot be given pictures: " + processor.error().to_string());
  if (!match.note.empty()) model->notes_.insert(model->notes_.begin(), match.note);
  if (const auto probe = model->tokenizer_->encode("a", {}); probe.ok() && !probe->tokens.empty())
    model->adds_bos_ = model->tokenizer_->bos() && probe->tokens[0].id == *model->tokenizer_->bos();
  model->digest_ = Digest().add(found.config_text).add(model->checkpoint_->digest()).hex();
  job.progress(1.0, "opened");
  return model;
}

std::optional<std::string> other_way_to_open(const std::string& where) {
  const auto place = find_place(where);
  if (!place.ok() || !place->family.empty()) return std::nullopt;
  const auto found = describe(place->folder, place->weights, {});
  const auto checkpoint = Checkpoint::open(place->weights);
  if (!found.ok() || !checkpoint.ok()) return std::nullopt;
  if (match_family(found->config, **checkpoint).ok()) return std::nullopt;
  const Family* other = find_other_family(found->config, **checkpoint);
  if (other == nullptr) return std::nullopt;
  return fmt::format("{}{}:{}", family_prefix, other->name, place->where);
}

void Model::release_vocabulary() const {
  const TensorView* output = weights_.get(Slot::unembed).tensor;
  if (!output) output = weights_.get(Slot::embed).tensor;
  if (output) checkpoint_->release(*output);
}

std::filesystem::path resources_folder() {
  if (const char* given = std::getenv("SACCADE_RESOURCES"); given && *given) return given;
  std::error_code failed;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  for (const char* relative : {"../share/saccade", "../../../resources"}) {
    const std::filesystem::path candidate = (program.parent_path() / relative).lexically_normal();
    if (!failed && std::filesystem::exists(candidate / "models", failed)) return candidate;
  }
  return SACCADE_RESOURCES_FOLDER;
}

std::vector<std::string> demo_names() {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(resources_folder() / "models", failed))
    if (std::filesystem::exists(entry.path() / "config.json", failed))
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace saccade
