#include "analysis/answer_journal.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

namespace saccade {
namespace {

constexpr const char* first_line = R"({"saccade-answers":1})";

using nlohmann::json;

std::string line_of(const std::string& name, const KeptAnswer& answer) {
  json line = {{"of", name}, {"logits", answer.logits}, {"lse", answer.log_sum_exp}, {"top", answer.top_id}};
  if (!std::isnan(answer.kl)) line["kl"] = answer.kl;
  if (!std::isnan(answer.entropy)) line["entropy"] = answer.entropy;
  if (!answer.ranks.empty()) line["ranks"] = answer.ranks;
  return line.dump();
}

// False for a line that is not whole.
bool read_line(const json& line, std::string& name, KeptAnswer& answer) {
  if (!line.is_object() || !line.contains("of") || !line["of"].is_string() || !line.contains("logits") ||
      !line["logits"].is_array() || !line.contains("lse") || !line["lse"].is_number() ||
      !line.contains("top") || !line["top"].is_number_integer())
    return false;
  for (const json& value : line["logits"]) {
    if (!value.is_number()) return false;
    answer.logits.push_back(value.get<float>());
  }
  name = line["of"].get<std::string>();
  answer.log_sum_exp = line["lse"].get<double>();
  answer.top_id = line["top"].get<int32_t>();
  if (line.contains("kl") && line["kl"].is_number()) answer.kl = line["kl"].get<double>();
  if (line.contains("entropy") && line["entropy"].is_number()) answer.entropy = line["entropy"].get<double>();
  if (line.contains("ranks") && line["ranks"].is_array())
    for (const json& value : line["ranks"]) {
      if (!value.is_number_integer()) return false;
      answer.ranks.push_back(value.get<int32_t>());
    }
  return true;
}

std::string line_of(const std::string& name, const Generation& generation) {
  json ids = json::array(), steps = json::array();
  for (const Token& token : generation.tokens) ids.push_back(token.id);
  for (const HeadStep& step : generation.steps)
    steps.push_back({{"key", step.max_key}, {"weight", step.max_weight}, {"mass", step.key_mass}});
  const json line = {{"of", name},
                     {"ids", std::move(ids)},
                     {"steps", std::move(steps)},
                     {"text", generation.text},
                     {"eos", generation.stopped_at_eos},
                     {"seconds", generation.seconds}};
  return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

// False for a line that is not a whole generation.
bool read_line(const json& line, Generation& generation) {
  try {
    for (const json& id : line.at("ids")) generation.tokens.push_back({id.get<int32_t>(), {}, 0, 0, false});
    for (const json& step : line.at("steps"))
      generation.steps.push_back({step.at("key").get<std::vector<int32_t>>(),
                                  step.at("weight").get<std::vector<float>>(),
                                  step.at("mass").get<std::vector<float>>()});
    generation.text = line.at("text").get<std::string>();
    generation.stopped_at_eos = line.at("eos").get<bool>();
    generation.seconds = line.at("seconds").get<double>();
  } catch (const json::exception&) {
    return false;
  }
  return true;
}

// False for a line that is not whole, or is something else.
bool read_line(const json& line, std::string& name, std::vector<double>& numbers) {
  if (!line.is_object() || !line.contains("of") || !line["of"].is_string() || !line.contains("numbers") ||
      !line["numbers"].is_array())
    return false;
  for (const json& value : line["numbers"]) {
    if (!value.is_number() && !value.is_null()) return false;
    numbers.push_back(value.is_null() ? std::nan("") : value.get<double>());
  }
  name = line["of"].get<std::string>();
  return true;
}

Error cannot(const char* what, const std::filesystem::path& path) {
  return make_error(ErrorCode::io, fmt::format("{}: cannot be {}", path.string(), what));
}

}  // namespace

Result<AnswerJournal> AnswerJournal::open(const std::filesystem::path& path) {
  AnswerJournal journal;
  journal.path_ = path;
  if (path.empty()) return journal;
  std::string text;
  bool whole = true;
  if (std::error_code missing; std::filesystem::exists(path, missing)) {
    std::ifstream in(path);
    if (!in) return cannot("read", path);
    bool first = true;
    while (std::getline(in, text)) {
      whole = !in.eof();
      if (first && text != first_line)
        return make_error(ErrorCode::bad_format,
                          fmt::format("{}: expected a file of answers (first line {}), found another",
                                      path.string(), first_line));
      std::string name;
      KeptAnswer answer;
      Generation generation;
      std::vector<double> numbers;
      const json line = first ? json() : json::parse(text, nullptr, false);
      if (read_line(line, name, numbers))
        journal.numbers_[name] = std::move(numbers);
      else if (read_line(line, name, answer))
        journal.known_[name] = std::move(answer);
      else if (line.is_object() && line.value("of", json()).is_string() && read_line(line, generation))
        journal.generations_[line["of"].get<std::string>()] = std::move(generation);
      first = false;
    }
    if (!first) {
      if (!whole && !(std::ofstream(path, std::ios::app) << '\n')) return cannot("written", path);
      return journal;
    }
  }
  if (!(std::ofstream(path) << first_line << '\n')) return cannot("written", path);
  return journal;
}

const KeptAnswer* AnswerJournal::find(const std::string& name) const {
  const auto known = known_.find(name);
  return known == known_.end() ? nullptr : &known->second;
}

const Generation* AnswerJournal::find_generation(const std::string& name) const {
  const auto known = generations_.find(name);
  return known == generations_.end() ? nullptr : &known->second;
}

const std::vector<double>* AnswerJournal::find_numbers(const std::string& name) const {
  const auto known = numbers_.find(name);
  return known == numbers_.end() ? nullptr : &known->second;
}

Result<void> AnswerJournal::add(const std::string& name, const std::vector<double>& numbers) {
  if (path_.empty()) return {};
  SACCADE_CHECK(append(json{{"of", name}, {"numbers", numbers}}.dump()));
  numbers_[name] = numbers;
  return {};
}

Result<void> AnswerJournal::append(const std::string& line) const {
  std::ofstream out(path_, std::ios::app);
  out << line << '\n';
  out.flush();
  if (!out) return cannot("written", path_);
  return {};
}

Result<void> AnswerJournal::add(const std::string& name, const KeptAnswer& answer) {
  if (path_.empty()) return {};
  SACCADE_CHECK(append(line_of(name, answer)));
  known_[name] = answer;
  return {};
}

Result<void> AnswerJournal::add(const std::string& name, const Generation& generation) {
  if (path_.empty() || generation.cancelled || !generation.logits.empty()) return {};
  SACCADE_CHECK(append(line_of(name, generation)));
  generations_[name] = generation;
  return {};
}

}  // namespace saccade
