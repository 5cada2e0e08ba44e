#include "app/cli/session_analyses.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "analysis/run_method.h"
#include "core/base/files.h"

namespace saccade::cli {
namespace {

namespace fs = std::filesystem;

nlohmann::json with_files_beside(const nlohmann::json& parameters, const fs::path& folder) {
  nlohmann::json resolved = parameters;
  for (auto& [name, value] : resolved.items()) {
    if (!value.is_string() || value.get<std::string>().empty()) continue;
    const fs::path path = folder / value.get<std::string>();
    std::error_code unreadable;
    if (fs::is_regular_file(path, unreadable)) value = path.string();
  }
  return resolved;
}

void flatten(const nlohmann::json& value, std::vector<double>& numbers) {
  if (value.is_array())
    for (const auto& part : value) flatten(part, numbers);
  else
    numbers.push_back(value.is_number() ? value.get<double>() : NAN);
}

// How far a field is from reference numbers of the same shape.
Result<Json> departure_of(const AnalysisResult& result, const std::string& name, const std::string& pointer,
                          const nlohmann::json& reference) {
  const Field* field = result.field(name);
  if (field == nullptr)
    return make_error(ErrorCode::not_found, fmt::format("{} gives no field '{}'", result.method, name));
  const nlohmann::json::json_pointer at(pointer);
  if (!reference.contains(at))
    return make_error(ErrorCode::not_found, fmt::format("the reference has nothing at {}", pointer));
  std::vector<double> numbers;
  flatten(reference.at(at), numbers);
  if (static_cast<int64_t>(numbers.size()) != field->values.size())
    return make_error(
        ErrorCode::bad_format,
        fmt::format("{} holds {} numbers, the field {} of {} has {}: the reference is of another "
                    "model or of other prompts",
                    pointer, numbers.size(), name, result.method, field->values.size()));
  double largest = 0.0, sum = 0.0;
  int64_t compared = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double difference = std::abs(numbers[i] - field->values.data()[i]);
    if (std::isnan(difference)) continue;
    largest = std::max(largest, difference);
    sum += difference;
    ++compared;
  }
  if (compared == 0)
    return make_error(ErrorCode::unsupported,
                      fmt::format("no number of {} can be compared with {}: it has none", name, pointer));
  return Json{{"field", name},
              {"pointer", pointer},
              {"largest", largest},
              {"mean", sum / static_cast<double>(compared)},
              {"compared", compared}};
}

Result<nlohmann::json> read_reference(const std::string& path) {
  if (path.empty()) return nlohmann::json();
  SACCADE_TRY(const std::string text, read_text_file(path));
  nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object())
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: expected a JSON object of reference numbers", path));
  return document;
}

}  // namespace

Result<AnalysesDone> run_analyses(const Context& context, const Session& session,
                                  const std::string& session_file, const Work& work, const std::string& out,
                                  const std::string& reference_file) {
  AnalysesDone done;
  const MethodCatalogue catalogue = open_catalogue(context);
  SACCADE_TRY(const nlohmann::json reference, read_reference(reference_file));
  if (std::error_code failed; !out.empty() && !fs::is_directory(out) && !fs::create_directories(out, failed))
    return make_error(ErrorCode::io, fmt::format("{}: the folder cannot be made", out));
  for (const SessionAnalysis& wanted : session.analyses) {
    const std::string name = wanted.name.empty() ? wanted.method : wanted.name;
    const std::string step = fmt::format("analysis '{}' of {}", name, session_file);
    auto method = catalogue.find(wanted.method);
    if (!method.ok()) return std::move(method).error().with(step);
    Laboratory laboratory;
    laboratory.model = work.opened.model;
    laboratory.runner = work.opened.runner.get();
    if (!out.empty()) {
      laboratory.journal = fs::path(out) / (name + ".answers");
    }
    const nlohmann::json parameters =
        with_files_beside(wanted.parameters, fs::absolute(session_file).parent_path());
    auto result = run_method(**method, parameters, work.edited.run, laboratory, context.job);
    if (!result.ok()) return std::move(result).error().with(step);
    Json entry = {{"name", name}, {"method", wanted.method}, {"findings", result->findings}};
    done.text += fmt::format("{}:\n", name);
    for (const std::string& finding : result->findings) done.text += "  " + finding + "\n";
    for (const auto& [field, pointer] :
         reference.is_null() ? std::map<std::string, std::string>() : wanted.against) {
      auto departure = departure_of(*result, field, pointer, reference);
      if (!departure.ok()) return std::move(departure).error().with(step);
      done.text += fmt::format("  {} departs from {} by {:.3g} at most, {:.3g} on average ({} numbers)\n",
                               field, pointer, (*departure)["largest"].get<double>(),
                               (*departure)["mean"].get<double>(), (*departure)["compared"].get<int64_t>());
      entry["departures"].push_back(*departure);
    }
    if (!out.empty()) {
      const std::string file = (fs::path(out) / (name + ".json")).string();
      SACCADE_CHECK(write_text_file(file, saccade::to_json(*result).dump(1) + "\n"));
      entry["file"] = file;
      done.files.push_back(file);
    }
    done.list.push_back(std::move(entry));
    if (result->partial) return make_error(ErrorCode::cancelled, "cancelled");
  }
  return done;
}

}  // namespace saccade::cli
