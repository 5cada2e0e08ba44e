// methods and analyze: the registry, and one method on one run.
#include <fmt/format.h>

#include <filesystem>

#include "analysis/export/result_figures.h"
#include "analysis/run_method.h"
#include "app/cli/commands.h"
#include "app/cli/work.h"
#include "core/base/files.h"

namespace saccade::cli {
namespace {

Json method_json(const MethodInfo& info) {
  Json parameters = Json::array();
  for (const ParameterInfo& p : info.parameters) {
    Json entry = {{"name", p.name}, {"label", p.label}, {"help", p.help}, {"default", Json(p.default_value)}};
    if (!p.choices.empty()) entry["choices"] = p.choices;
    if (p.minimum < p.maximum) entry["range"] = {p.minimum, p.maximum};
    parameters.push_back(entry);
  }
  return {{"id", info.id},
          {"title", info.title},
          {"summary", info.summary},
          {"citation", info.citation},
          {"parameters", parameters}};
}

std::string method_text(const MethodInfo& info) {
  std::string text = fmt::format("{}  {}\n  {}\n  {}\n", info.id, info.title, info.summary, info.citation);
  for (const ParameterInfo& p : info.parameters)
    text += fmt::format("    {}={}  {}\n", p.name, p.default_value.dump(), p.help);
  return text;
}

std::string cell_text(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* number = std::get_if<int64_t>(&cell)) return fmt::format("{}", *number);
  return fmt::format("{:.4g}", std::get<double>(cell));
}

std::string table_text(const Table& table, char separator) {
  std::string text = fmt::format("{}\n", fmt::join(table.columns, std::string(1, separator)));
  for (const std::vector<Cell>& row : table.rows) {
    for (size_t i = 0; i < row.size(); ++i) text += (i ? std::string(1, separator) : "") + cell_text(row[i]);
    text += '\n';
  }
  return text;
}

bool is_figure(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".svg" || extension == ".pdf" || extension == ".png";
}

Result<void> check_out(const std::filesystem::path& out) {
  if (out.empty() || is_figure(out) || out.extension() == ".json" || out.extension() == ".csv") return {};
  return make_error(
      ErrorCode::unsupported,
      fmt::format("--out {}: expected a name ending in .json, .csv, .svg, .pdf or .png", out.string()));
}

// The picture that the window shows first: the circuit where there is one, else the first field.
Result<void> write_figure(const AnalysisResult& result, const MethodInfo& info, const Provenance& run,
                          const std::filesystem::path& out) {
  constexpr size_t edges_shown = 40;  // as the window at first
  const ResultOrigin origin{info.id, info.title, result.parameters, result.partial, run};
  if (CircuitGraph::in(result)) {
    SACCADE_TRY(const CircuitGraph graph, CircuitGraph::of(result));
    return write_circuit_figure(graph, edges_shown, origin, {}, out);
  }
  if (result.fields.empty())
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} gives no field to draw; use a name ending in .json or .csv", info.id));
  return write_field_figure(result.fields.front(), {}, origin, {}, out);
}

}  // namespace

Result<void> list_methods(const Context& context, const std::string& method) {
  const MethodCatalogue catalogue = open_catalogue(context);
  if (!method.empty()) {
    SACCADE_TRY(const AnalysisMethod* found, catalogue.find(method));
    context.print(method_json(found->info()), method_text(found->info()));
    return {};
  }
  Json list = Json::array(), refused = Json::array();
  std::string text;
  for (const AnalysisMethod* entry : catalogue.methods()) {
    Json described = method_json(entry->info());
    text += method_text(entry->info());
    if (const std::filesystem::path manifest = catalogue.manifest_of(*entry); !manifest.empty()) {
      described["plugin"] = manifest.string();
      text += fmt::format("  plugin: {}\n", manifest.string());
    }
    list.push_back(std::move(described));
  }
  for (const RefusedPlugin& plugin : catalogue.refused()) {
    refused.push_back({{"where", plugin.where}, {"reason", plugin.reason}});
    text += fmt::format("refused: {}: {}\n", plugin.where, plugin.reason);
  }
  context.print({{"methods", list}, {"refused", refused}}, text);
  return {};
}

Result<void> analyze(const Context& context, const AnalyzeOptions& options) {
  const MethodCatalogue catalogue = open_catalogue(context);
  SACCADE_TRY(const AnalysisMethod* method, catalogue.find(options.method));
  SACCADE_CHECK(check_out(options.out));  // before the work, not after it
  SACCADE_TRY(const nlohmann::json given, parse_parameters(method->info(), options.set));
  SACCADE_TRY(const nlohmann::json parameters, complete_parameters(method->info(), given));
  SACCADE_TRY(const Work work,
              do_work(context, {options.model, options.input, options.edits, {}, {.max_tokens = 0}}));
  const Laboratory laboratory{work.opened.model, work.opened.runner.get(), options.keep};
  SACCADE_TRY(AnalysisResult result,
              run_method(*method, parameters, work.edited.run, laboratory, context.job));
  result.parameters = parameters;
  if (is_figure(options.out)) {
    SACCADE_CHECK(write_figure(result, method->info(), work.edited.run->capture->provenance, options.out));
    return give_result(context, result, "");
  }
  return give_result(context, result, options.out);
}

Result<void> give_result(const Context& context, const AnalysisResult& result, const std::string& path) {
  nlohmann::json document = saccade::to_json(result);
  if (const std::filesystem::path out = path; out.extension() == ".csv") {
    std::string tables;
    for (const Table& table : result.tables) tables += csv_of(table);
    SACCADE_CHECK(write_text_file(out, tables));
  } else if (out.extension() == ".json") {
    SACCADE_CHECK(write_text_file(out, document.dump(1) + "\n"));
  } else if (!path.empty()) {
    return make_error(ErrorCode::unsupported,
                      fmt::format("--out {}: expected a name ending in .json or .csv", path));
  }
  std::string text;
  for (const std::string& finding : result.findings) text += finding + "\n";
  for (const Table& table : result.tables) text += table_text(table, '\t');
  context.print(Json(document), text);
  return {};
}

}  // namespace saccade::cli
