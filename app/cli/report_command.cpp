// report: a page written from real runs. A recipe names models, prompts, methods and what to show; the page
// gets what the methods found, nothing typed by hand but the headings and what leads up to them.
//
//   {"title": "...", "about": "...",
//    "sections": [{"title": "...", "text": "...", "model": "demo:induction", "prompt": "...", "images":
//    ["picture.png"], "edits":
//    ["zero 1.2"],
//                  "method": "sinks", "parameters": {"rule": "absolute"}, "figures": ["sink_mass"],
//                  "tables": [{"name": "heads", "sort": "sink_mass", "rows": 5, "columns": ["head",
//                  "sink_mass"]}]}]}
//
// A model may be a name that the caller gives a place to (--model NAME=WHERE); a section whose model has no
// place is left out, and the page says so.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "analysis/export/picture_figure.h"
#include "analysis/export/result_figures.h"
#include "analysis/images/patch_field.h"
#include "analysis/images/read_picture.h"
#include "analysis/run_method.h"
#include "app/cli/commands.h"
#include "app/cli/work.h"
#include "core/base/files.h"

namespace saccade::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct TableWanted {
  std::string name, sort;  // sort: a column, largest absolute value first; empty = as the method gives it
  size_t rows = 10;
  std::vector<std::string> columns;  // empty = all
};

struct Section {
  std::string title, text, model, prompt, method;
  std::vector<std::string> edits, figures, images;
  json parameters = json::object();
  std::vector<TableWanted> tables;
};

struct Recipe {
  std::string title, about;
  std::vector<Section> sections;
};

Error refuse(const std::string& where, const std::string& what) {
  return make_error(ErrorCode::invalid_argument, fmt::format("report recipe, {}: {}", where, what));
}

Result<std::string> text_at(const json& object, const std::string& key, const std::string& where,
                            bool required = false) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null())
    return required ? Result<std::string>(refuse(where, "has no '" + key + "'")) : std::string();
  if (!found->is_string()) return refuse(where, fmt::format("'{}' must be a text", key));
  return found->get<std::string>();
}

Result<std::vector<std::string>> texts_at(const json& object, const std::string& key,
                                          const std::string& where) {
  std::vector<std::string> texts;
  const auto found = object.find(key);
  if (found == object.end()) return texts;
  if (!found->is_array()) return refuse(where, fmt::format("'{}' must be a list of texts", key));
  for (const json& item : *found) {
    if (!item.is_string()) return refuse(where, fmt::format("'{}' must be a list of texts", key));
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

Result<void> check_keys(const json& object, std::initializer_list<const char*> known,
                        const std::string& where) {
  if (!object.is_object()) return refuse(where, "must be an object");
  for (const auto& [key, value] : object.items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      return refuse(where, fmt::format("has no use for '{}'; it may have {}", key, fmt::join(known, ", ")));
  return {};
}

Result<TableWanted> read_table(const json& document, const std::string& where) {
  SACCADE_CHECK(check_keys(document, {"name", "sort", "rows", "columns"}, where));
  TableWanted table;
  SACCADE_TRY(table.name, text_at(document, "name", where, true));
  SACCADE_TRY(table.sort, text_at(document, "sort", where));
  SACCADE_TRY(table.columns, texts_at(document, "columns", where));
  if (document.contains("rows")) {
    if (!document["rows"].is_number_unsigned()) return refuse(where, "'rows' must be a whole number");
    table.rows = document["rows"].get<size_t>();
  }
  return table;
}

Result<Section> read_section(const json& document, const std::string& where) {
  SACCADE_CHECK(check_keys(
      document,
      {"title", "text", "model", "prompt", "images", "edits", "method", "parameters", "figures", "tables"},
      where));
  Section section;
  SACCADE_TRY(section.title, text_at(document, "title", where, true));
  SACCADE_TRY(section.text, text_at(document, "text", where));
  SACCADE_TRY(section.model, text_at(document, "model", where, true));
  SACCADE_TRY(section.images, texts_at(document, "images", where));
  SACCADE_TRY(section.prompt, text_at(document, "prompt", where, section.images.empty()));
  SACCADE_TRY(section.method, text_at(document, "method", where, true));
  SACCADE_TRY(section.edits, texts_at(document, "edits", where));
  SACCADE_TRY(section.figures, texts_at(document, "figures", where));
  if (document.contains("parameters")) section.parameters = document["parameters"];
  if (!document.contains("tables")) return section;
  if (!document["tables"].is_array()) return refuse(where, "'tables' must be a list");
  for (const json& table : document["tables"]) {
    SACCADE_TRY(TableWanted wanted, read_table(table, where + ", tables"));
    section.tables.push_back(std::move(wanted));
  }
  return section;
}

Result<Recipe> read_recipe(const fs::path& path) {
  SACCADE_TRY(const std::string text, read_text_file(path));
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded())
    return make_error(ErrorCode::invalid_argument, fmt::format("{} is not JSON", path.string()));
  SACCADE_CHECK(check_keys(document, {"title", "about", "sections"}, path.string()));
  Recipe recipe;
  SACCADE_TRY(recipe.title, text_at(document, "title", path.string(), true));
  SACCADE_TRY(recipe.about, text_at(document, "about", path.string()));
  if (!document.contains("sections") || !document["sections"].is_array() || document["sections"].empty())
    return refuse(path.string(), "'sections' must be a list of at least one section");
  for (const json& section : document["sections"]) {
    SACCADE_TRY(Section read, read_section(section, fmt::format("section {}", recipe.sections.size() + 1)));
    recipe.sections.push_back(std::move(read));
  }
  return recipe;
}

std::string cell_text(const Cell& cell) {
  std::string text;
  if (const auto* words = std::get_if<std::string>(&cell))
    text = *words;
  else if (const auto* whole = std::get_if<int64_t>(&cell))
    text = std::to_string(*whole);
  else
    text = std::isfinite(std::get<double>(cell)) ? fmt::format("{:.3g}", std::get<double>(cell)) : "\u2013";
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

double magnitude(const Cell& cell) {
  if (const auto* whole = std::get_if<int64_t>(&cell)) return std::abs(static_cast<double>(*whole));
  const auto* number = std::get_if<double>(&cell);
  return number != nullptr && std::isfinite(*number) ? std::abs(*number) : -1.0;
}

Result<size_t> column_at(const Table& table, const std::string& name) {
  const auto found = std::find(table.columns.begin(), table.columns.end(), name);
  if (found == table.columns.end())
    return refuse("table " + table.name,
                  fmt::format("there is no column '{}'; there are {}", name, fmt::join(table.columns, ", ")));
  return static_cast<size_t>(found - table.columns.begin());
}

Result<std::string> table_text(const AnalysisResult& result, const TableWanted& wanted) {
  const auto table = std::find_if(result.tables.begin(), result.tables.end(),
                                  [&](const Table& each) { return each.name == wanted.name; });
  if (table == result.tables.end()) return fmt::format("No table `{}` this time.\n", wanted.name);
  std::vector<size_t> columns;
  for (const std::string& name : wanted.columns.empty() ? table->columns : wanted.columns) {
    SACCADE_TRY(const size_t at, column_at(*table, name));
    columns.push_back(at);
  }
  std::vector<const std::vector<Cell>*> rows;
  for (const auto& row : table->rows) rows.push_back(&row);
  if (!wanted.sort.empty()) {
    SACCADE_TRY(const size_t by, column_at(*table, wanted.sort));
    std::stable_sort(rows.begin(), rows.end(),
                     [&](const auto* a, const auto* b) { return magnitude((*a)[by]) > magnitude((*b)[by]); });
  }
  std::string text = "|", line = "|";
  for (const size_t column : columns) {
    text += " " + cell_text(table->columns[column]) + " |";
    line += "---|";
  }
  text += "\n" + line + "\n";
  for (size_t r = 0; r < std::min(rows.size(), wanted.rows); ++r) {
    text += "|";
    for (const size_t column : columns) text += " " + cell_text((*rows[r])[column]) + " |";
    text += "\n";
  }
  if (rows.size() > wanted.rows) text += fmt::format("\n{} of {} rows.\n", wanted.rows, rows.size());
  return text;
}

// For a shell: in single quotes where it must be.
std::string quoted(const std::string& text) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-_.,:=/*", c);
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string command_of(const Section& section) {
  std::string text = fmt::format("saccade-cli analyze {} {}", section.method, quoted(section.model));
  for (const std::string& image : section.images) text += " --image " + quoted(image);
  if (!section.prompt.empty()) text += " --prompt " + quoted(section.prompt);
  for (const std::string& edit : section.edits) text += " --edit " + quoted(edit);
  for (const auto& [name, value] : section.parameters.items())
    text += " --set " + quoted(name + "=" + (value.is_string() ? value.get<std::string>() : value.dump()));
  return text;
}

// A field over the patches of the first picture; of those with further axes the last (layer, step).
Result<void> write_over_picture(const Section& section, const Field& field, const Work& work,
                                FigureOptions options, const fs::path& path) {
  const Capture& capture = *work.edited.run->capture;
  SACCADE_TRY(Picture picture, read_picture(section.images[0]));
  PictureFigure figure;
  figure.picture = std::make_shared<const Picture>(std::move(picture));
  SACCADE_TRY(figure.map.region, picture_region(capture, 0, section.method));
  const PatchExtent extent = patch_extent(field);
  const auto values = field.values.values().last(static_cast<size_t>(extent.rows * extent.columns));
  figure.map.values.assign(values.begin(), values.end());
  figure.title = field.label;
  figure.quantity = field.unit.empty() ? field.name : field.name + ", " + field.unit;
  figure.run = capture.provenance;
  const double largest = figure.map.furthest();
  options.scale.high = largest > 0.0 ? largest : 1.0;
  if (field.kind == ValueKind::signed_difference) options.scale.palette = Palette::red_blue;
  options.width_mm = 90.0;
  return write_picture_figure(figure, options, path);
}

class Writer {
 public:
  Writer(const Context& context, fs::path folder, std::map<std::string, std::string> places)
      : context_(context),
        catalogue_(open_catalogue(context)),
        folder_(std::move(folder)),
        places_(std::move(places)) {}

  Result<std::string> section(const Section& section, size_t number) {
    std::string text = fmt::format("## {}\n\n", section.title);
    if (!section.text.empty()) text += section.text + "\n\n";
    std::string model = section.model;
    if (const auto place = places_.find(model); place != places_.end()) model = place->second;
    if (model == section.model && !fs::exists(model) && model.rfind("demo:", 0) != 0)
      return text + fmt::format("Left out: no model `{}` was given.\n\n", section.model);
    SACCADE_TRY(const AnalysisMethod* method, catalogue_.find(section.method));
    SACCADE_TRY(const json parameters, complete_parameters(method->info(), section.parameters));
    InputOptions input;
    input.prompt = section.prompt;
    input.images = section.images;
    input.prompt_given = !section.prompt.empty() || section.images.empty();
    SACCADE_TRY(const Work work, do_work(context_, {model, input, section.edits, {}, {.max_tokens = 0}}));
    const Laboratory laboratory{work.opened.model, work.opened.runner.get(), {}};
    auto made = run_method(*method, parameters, work.edited.run, laboratory, context_.job);
    text += fmt::format("```\n{}\n```\n\n", command_of(section));
    if (!made.ok()) {  // what a method refuses, and why, belongs on the page
      if (made.error().code == ErrorCode::cancelled) return std::move(made).error();
      return text + fmt::format("Refused: {}\n\n", made.error().message);
    }
    const AnalysisResult& result = *made;
    for (const std::string& finding : result.findings) text += "- " + finding + "\n";
    text += "\n";
    for (const TableWanted& wanted : section.tables) {
      SACCADE_TRY(const std::string table, table_text(result, wanted));
      text += table + "\n";
    }
    for (const std::string& name : section.figures) {
      SACCADE_TRY(const std::string figure, this->figure(section, number, *method, result, name, work));
      text += figure;
    }
    return text;
  }

 private:
  // "circuit", or the name of a field.
  Result<std::string> figure(const Section& section, size_t number, const AnalysisMethod& method,
                             const AnalysisResult& result, const std::string& name, const Work& work) {
    const std::string file = fmt::format("figures/{}-{}-{}.png", number, section.method, name);
    FigureOptions options;
    options.dpi = 130.0;  // sharp on a page, small in a repository
    const MethodInfo& info = method.info();
    const ResultOrigin origin{info.id, info.title, result.parameters, result.partial,
                              work.edited.run->capture->provenance};
    if (name == "circuit") {
      constexpr size_t edges_shown = 40;  // as the window at first
      SACCADE_TRY(const CircuitGraph graph, CircuitGraph::of(result));
      SACCADE_CHECK(write_circuit_figure(graph, edges_shown, origin, options, folder_ / file));
      return fmt::format("![Circuit]({})\n\n", file);
    }
    const Field* field = result.field(name);
    if (field == nullptr) return fmt::format("No field `{}` this time.\n\n", name);
    if (field->has_axes({AxisKind::layer, AxisKind::head})) options.width_mm = 110.0;
    if (!section.images.empty() && is_patch_field(*field)) {
      SACCADE_CHECK(write_over_picture(section, *field, work, options, folder_ / file));
      return fmt::format("![{}]({})\n\n", field->label, file);
    }
    SACCADE_CHECK(write_field_figure(*field, {}, origin, options, folder_ / file));
    return fmt::format("![{}]({})\n\n", field->label, file);
  }

  const Context& context_;
  const MethodCatalogue catalogue_;
  fs::path folder_;
  std::map<std::string, std::string> places_;
};

}  // namespace

Result<void> report(const Context& context, const PageOptions& options) {
  SACCADE_TRY(const Recipe recipe, read_recipe(options.recipe));
  std::map<std::string, std::string> places;
  for (const std::string& given : options.models) {
    const auto equals = given.find('=');
    if (equals == std::string::npos || equals == 0)
      return make_error(ErrorCode::invalid_argument, fmt::format("--model {}: expected NAME=WHERE", given));
    places[given.substr(0, equals)] = given.substr(equals + 1);
  }
  const fs::path page = options.out, folder = page.parent_path();
  std::error_code failed;
  fs::create_directories(folder / "figures", failed);
  if (failed)
    return make_error(ErrorCode::io, fmt::format("{}: {}", (folder / "figures").string(), failed.message()));
  Context quiet = context;
  std::string text = fmt::format("# {}\n\n", recipe.title);
  if (!recipe.about.empty()) text += recipe.about + "\n\n";
  Writer writer(quiet, folder, places);
  for (size_t i = 0; i < recipe.sections.size(); ++i) {
    SACCADE_CHECK(context.job.check());
    const Section& section = recipe.sections[i];
    context.note(fmt::format("{} of {}: {}", i + 1, recipe.sections.size(), section.title));
    auto written = writer.section(section, i + 1);
    if (!written.ok())
      return make_error(written.error().code, fmt::format("section {} ({}): {}", i + 1, section.title,
                                                          written.error().to_string()));
    text += *written;
  }
  SACCADE_CHECK(write_text_file(page, text));
  context.print({{"page", page.string()}, {"sections", recipe.sections.size()}},
                fmt::format("{}: {} sections\n", page.string(), recipe.sections.size()));
  return {};
}

}  // namespace saccade::cli
