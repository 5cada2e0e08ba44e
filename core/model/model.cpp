#include "core/model/model.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/base/digest.h"
#include "core/model/config_reader.h"
#include "core/model/family.h"

namespace saccade {
namespace {

constexpr std::string_view demo_prefix = "demo:";

Result<std::filesystem::path> folder_of(const std::string& where) {
  if (where.starts_with(demo_prefix)) {
    const std::string name = where.substr(demo_prefix.size());
    const std::vector<std::string> names = demo_names();
    if (std::find(names.begin(), names.end(), name) == names.end())
      return make_error(ErrorCode::not_found,
                        fmt::format("no demo is called '{}'; there are {}", name, fmt::join(names, ", ")));
    return resources_folder() / "models" / name;
  }
  std::error_code failed;
  const std::filesystem::path path = std::filesystem::absolute(where, failed);
  if (failed || !std::filesystem::exists(path, failed))
    return make_error(ErrorCode::not_found, fmt::format("{}: no such folder or file", where));
  if (std::filesystem::is_directory(path)) return path;
  if (path.extension() == ".safetensors") return path.parent_path();
  return make_error(
      ErrorCode::unsupported,
      fmt::format("{}: expected a folder with config.json and *.safetensors, or a .safetensors file", where));
}

Result<const Family*> family_of(const nlohmann::json& config) {
  const ConfigReader reader(config);
  SACCADE_TRY(const std::string type, reader.text("model_type", ""));
  if (const Family* family = find_family(type)) return family;
  std::string known;
  for (const Family& family : families())
    for (const std::string_view name : family.model_types)
      known += (known.empty() ? "" : ", ") + std::string(name);
  return make_error(ErrorCode::unsupported,
                    fmt::format("config.json: 'model_type': expected one of {}, found {}", known,
                                type.empty() ? "nothing" : "'" + type + "'"));
}

Result<nlohmann::json> read_config(const std::filesystem::path& folder, std::string& text) {
  SACCADE_TRY(text, read_text_file(folder / "config.json", size_t{16} << 20));
  nlohmann::json config = nlohmann::json::parse(text, nullptr, false);
  if (config.is_discarded() || !config.is_object())
    return make_error(ErrorCode::bad_format, "config.json: expected a JSON object");
  return config;
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::open(const std::string& where, const JobContext& job) {
  SACCADE_TRY(const std::filesystem::path folder, folder_of(where));
  const auto in_folder = [&](Error error) { return std::move(error).with("opening " + folder.string()); };
  auto model = std::make_shared<Model>();
  const bool demo = where.starts_with(demo_prefix);
  model->name_ = demo ? where : folder.filename().string();
  model->where_ = demo ? where : folder.string();

  job.progress(0.0, "config.json");
  std::string config_text;
  auto config = read_config(folder, config_text);
  if (!config.ok()) return in_folder(std::move(config).error());
  auto family = family_of(*config);
  if (!family.ok()) return in_folder(std::move(family).error());
  auto spec = (*family)->read_config(*config);
  if (!spec.ok()) return in_folder(std::move(spec).error());
  model->spec_ = std::move(*spec);
  model->spec_.model_type = config->value("model_type", std::string());
  SACCADE_CHECK(job.check());

  job.progress(0.3, "weights");
  const std::filesystem::path weights =
      std::filesystem::is_directory(where) || demo ? folder : std::filesystem::path(where);
  auto checkpoint = Checkpoint::open(weights);
  if (!checkpoint.ok()) return in_folder(std::move(checkpoint).error());
  model->checkpoint_ = std::move(*checkpoint);
  auto bound = WeightMap::bind(*model->checkpoint_, model->spec_, (*family)->weight_rules(model->spec_),
                               (*family)->prefixes, (*family)->ignorable);
  if (!bound.ok()) return in_folder(std::move(bound).error());
  model->weights_ = std::move(*bound);
  model->spec_.weight_dtype = to_string(model->weights_.get(Slot::embed).tensor->dtype);
  SACCADE_CHECK(job.check());

  job.progress(0.6, "tokenizer");
  auto tokenizer = open_tokenizer(folder);
  if (!tokenizer.ok() && tokenizer.error().code != ErrorCode::not_found)
    return in_folder(std::move(tokenizer).error());
  model->has_tokenizer_ = tokenizer.ok();
  model->tokenizer_ = tokenizer.ok() ? std::move(*tokenizer) : make_id_tokenizer(model->spec_.n_vocab);
  if (!model->has_tokenizer_) model->notes_.push_back("no tokenizer files: prompts are token ids (--ids)");
  if (const int32_t words = model->tokenizer_->vocabulary_size(); words > model->spec_.n_vocab)
    model->notes_.push_back(fmt::format("the tokenizer knows {} tokens, the model {}: some cannot be read",
                                        words, model->spec_.n_vocab));
  for (const std::string& name : model->weights_.unused())
    if (model->notes_.size() < 8) model->notes_.push_back(fmt::format("tensor '{}' is not used", name));
  if (const auto probe = model->tokenizer_->encode("a", {}); probe.ok() && !probe->tokens.empty())
    model->adds_bos_ = model->tokenizer_->bos() && probe->tokens[0].id == *model->tokenizer_->bos();
  model->digest_ = Digest().add(config_text).add(model->checkpoint_->digest()).hex();
  job.progress(1.0, "opened");
  return std::shared_ptr<const Model>(std::move(model));
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
