// One library that serves many ids, each of which does one thing that a plugin must not do. What it is loaded
// with (tests/plugins/plugin_lab.h, hostile_manifest) declares field "f" [layer, head], field "g" [row,
// column] and table "t" of two columns.
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "saccade_plugin.h"

namespace {

using Host = const saccade_host;

struct Handed {
  saccade_field field{};
  saccade_axis axes[2]{};
  std::vector<float> values;
};

// A field that would fit: each case then spoils it.
Handed fitting(Host* host) {
  Handed handed;
  handed.axes[0] = {"layer", host->run->n_layer, nullptr};
  handed.axes[1] = {"head", host->run->n_head, nullptr};
  handed.values.assign(static_cast<size_t>(host->run->n_layer) * static_cast<size_t>(host->run->n_head),
                       1.0f);
  handed.field.size = sizeof(saccade_field);
  handed.field.rank = 2;
  handed.field.name = "f";
  handed.field.values = handed.values.data();
  handed.field.count = static_cast<int64_t>(handed.values.size());
  return handed;
}

// Hands it over and says that all is well, whatever the host said: the host must not believe it.
template <class Spoil>
int32_t spoilt(Host* host, Spoil spoil) {
  Handed handed = fitting(host);
  handed.field.axes = handed.axes;
  spoil(handed);
  host->add_field(host, &handed.field);
  return SACCADE_OK;
}

template <class Spoil>
int32_t spoilt_table(Host* host, Spoil spoil) {
  saccade_cell cells[2]{{SACCADE_INTEGER, 0, nullptr, 3, 0.0}, {SACCADE_TEXT, 0, "text", 0, 0.0}};
  saccade_table table{sizeof(saccade_table), 2, "t", 1, cells};
  spoil(table, cells);
  host->add_table(host, &table);
  return SACCADE_OK;
}

// A length that makes 2^64 of 4-byte numbers with the other: a product that wraps must not pass.
constexpr int64_t half_of_64_bits = int64_t{1} << 32;

int32_t make_rows_and_columns(Host* host, int64_t rows, int64_t columns) {
  return spoilt(host, [&](Handed& h) {
    h.field.name = "g";
    h.axes[0] = {"row", rows, nullptr};
    h.axes[1] = {"column", columns, nullptr};
    h.field.count = static_cast<int64_t>(static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns));
  });
}

int32_t label_all_heads(Host* host, const char* text) {
  const std::vector<const char*> labels(static_cast<size_t>(host->run->n_head), text);
  return spoilt(host, [&](Handed& h) { h.axes[1].labels = labels.data(); });
}

// Asks for everything with null pointers; every call must fail and none may crash.
int32_t null_pointers(Host* host) {
  int refused = 0;
  float number = 0.0f;
  saccade_view small{};
  const saccade_tile beyond{sizeof(saccade_tile), 0, 0, 0, 0, host->run->n_token + 1, 0, 1};
  const saccade_tile level{sizeof(saccade_tile), 0, 0, 63, 0, 1, 0, 1};
  const saccade_tile no_head{sizeof(saccade_tile), 0, 99, 0, 0, 1, 0, 1};
  const saccade_tile whole{sizeof(saccade_tile), 0, 0, 0, 0, host->run->n_token, 0, host->run->n_token};
  refused += host->integer(host, nullptr, nullptr) == SACCADE_FAILED;
  refused += host->integer(host, "n", nullptr) == SACCADE_FAILED;
  refused += host->text(host, "n", nullptr) == SACCADE_FAILED;
  refused += host->number(host, "unknown", nullptr) == SACCADE_FAILED;
  refused += host->view(host, "q", 0, nullptr) == SACCADE_FAILED;
  refused += host->view(host, "q", 0, &small) == SACCADE_FAILED;  // size 0
  small.size = sizeof small;
  refused += host->view(host, "q", -1, &small) == SACCADE_FAILED;
  refused += host->view(host, "nonsense", 0, &small) == SACCADE_FAILED;
  refused += host->view(host, "blocks.0.attn.hook_z", 0, &small) == SACCADE_FAILED;  // not kept
  refused += host->tile(host, nullptr, &number, nullptr, 1) == SACCADE_FAILED;
  refused += host->tile(host, &beyond, &number, nullptr, 1) == SACCADE_FAILED;
  refused += host->tile(host, &level, &number, nullptr, 1) == SACCADE_FAILED;
  refused += host->tile(host, &no_head, &number, nullptr, 1) == SACCADE_FAILED;
  refused += host->tile(host, &whole, &number, nullptr, 1) == SACCADE_FAILED;  // no room
  refused += host->tile(nullptr, &whole, &number, nullptr, 1) == SACCADE_FAILED;
  refused += host->add_field(nullptr, nullptr) == SACCADE_FAILED;
  host->progress(host, std::numeric_limits<double>::quiet_NaN(), nullptr);
  host->progress(host, 7.0, "\xff\x1b[2J");
  host->progress(nullptr, 0.0, nullptr);
  host->fail(nullptr, nullptr);
  if (host->cancelled(nullptr) != 0 || std::strlen(host->error(nullptr)) != 0) return SACCADE_FAILED;
  return host->add_finding(host, (std::to_string(refused) + " calls were refused").c_str());
}

struct Case {
  const char* id;
  int32_t (*compute)(Host* host);
};

const Case cases[] = {
    {"well-behaved", [](Host* host) { return spoilt(host, [](Handed&) {}); }},
    {"throws", [](Host*) -> int32_t { throw std::runtime_error("out of\x1b[2J ideas"); }},
    {"throws-a-number", [](Host*) -> int32_t { throw 7; }},
    {"odd-status", [](Host*) -> int32_t { return 4711; }},
    {"silent", [](Host*) -> int32_t { return SACCADE_FAILED; }},
    {"bad-reason", [](Host* host) -> int32_t { return host->fail(host, "\xff\xfe"), SACCADE_FAILED; }},
    {"null-field", [](Host* host) -> int32_t { return host->add_field(host, nullptr), SACCADE_OK; }},
    {"old-field", [](Host* host) { return spoilt(host, [](Handed& h) { h.field.size = 8; }); }},
    {"unknown-field", [](Host* host) { return spoilt(host, [](Handed& h) { h.field.name = "x\x1b"; }); }},
    {"nameless", [](Host* host) { return spoilt(host, [](Handed& h) { h.field.name = nullptr; }); }},
    {"twice", [](Host* host) { return spoilt(host, [](Handed&) {}), spoilt(host, [](Handed&) {}); }},
    {"wrong-rank", [](Host* host) { return spoilt(host, [](Handed& h) { h.field.rank = 1 << 30; }); }},
    {"wrong-axis", [](Host* host) { return spoilt(host, [](Handed& h) { h.axes[1].name = "key"; }); }},
    {"wrong-length", [](Host* host) { return spoilt(host, [](Handed& h) { h.axes[1].length += 1; }); }},
    {"wrong-count", [](Host* host) { return spoilt(host, [](Handed& h) { h.field.count += 1; }); }},
    {"wrong-kind", [](Host* host) { return spoilt(host, [](Handed& h) { h.field.kind = -5; }); }},
    {"null-axes", [](Host* host) { return spoilt(host, [](Handed& h) { h.field.axes = nullptr; }); }},
    {"null-values", [](Host* host) { return spoilt(host, [](Handed& h) { h.field.values = nullptr; }); }},
    {"negative", [](Host* host) { return make_rows_and_columns(host, -3, -4); }},
    {"none", [](Host* host) { return make_rows_and_columns(host, 0, 4); }},
    {"huge", [](Host* host) { return make_rows_and_columns(host, 1 << 20, 1 << 20); }},
    {"wraps", [](Host* host) { return make_rows_and_columns(host, half_of_64_bits, half_of_64_bits); }},
    {"null-label", [](Host* host) { return label_all_heads(host, nullptr); }},
    {"bad-utf8", [](Host* host) { return label_all_heads(host, "a\xff"); }},
    {"control", [](Host* host) { return label_all_heads(host, "\x1b[31m"); }},
    {"long-label", [](Host* host) { return label_all_heads(host, std::string(1000, 'x').c_str()); }},
    {"unit", [](Host* host) { return spoilt(host, [](Handed& h) { h.field.unit = "\n"; }); }},
    {"few-columns", [](Host* host) { return spoilt_table(host, [](auto& t, auto*) { t.columns = 1; }); }},
    {"minus-rows", [](Host* host) { return spoilt_table(host, [](auto& t, auto*) { t.rows = -1; }); }},
    {"many-rows", [](Host* host) { return spoilt_table(host, [](auto& t, auto*) { t.rows = INT64_MAX; }); }},
    {"null-cells", [](Host* host) { return spoilt_table(host, [](auto& t, auto*) { t.cells = nullptr; }); }},
    {"cell-type", [](Host* host) { return spoilt_table(host, [](auto&, auto* c) { c[0].type = 9; }); }},
    {"null-cell", [](Host* host) { return spoilt_table(host, [](auto&, auto* c) { c[1].text = nullptr; }); }},
    {"null-finding", [](Host* host) -> int32_t { return host->add_finding(host, nullptr), SACCADE_OK; }},
    {"chatter",
     [](Host* host) -> int32_t {
       for (int i = 0; i < 100000; ++i) host->add_finding(host, "and another thing");
       return SACCADE_OK;
     }},
    {"null-pointers", null_pointers},
    {"deaf",  // never looks whether it was cancelled, but asks for tiles
     [](Host* host) -> int32_t {
       float number = 0.0f;
       const saccade_tile cell{sizeof(saccade_tile), 0, 0, 0, 0, 1, 0, 1};
       for (int i = 0; i < 1000; ++i)
         if (const int32_t status = host->tile(host, &cell, &number, nullptr, 1)) return status;
       return SACCADE_OK;
     }},
    {"partial", [](Host* host) { return spoilt(host, [](Handed&) {}), int32_t{SACCADE_CANCELLED}; }},
};

}  // namespace

const saccade_plugin* saccade_plugin_entry(uint32_t, const char* id) {
  const std::string wanted = id;
  if (wanted == "entry-throws") throw std::runtime_error("no");
  static const saccade_plugin newer{sizeof(saccade_plugin), 2, "newer", cases[0].compute};
  static const saccade_plugin small{8, SACCADE_PLUGIN_API, "small", cases[0].compute};
  static const saccade_plugin other{sizeof(saccade_plugin), SACCADE_PLUGIN_API, "another", cases[0].compute};
  static const saccade_plugin no_id{sizeof(saccade_plugin), SACCADE_PLUGIN_API, nullptr, cases[0].compute};
  static const saccade_plugin idle{sizeof(saccade_plugin), SACCADE_PLUGIN_API, "idle", nullptr};
  for (const auto& [name, plugin] :
       {std::pair{"newer", &newer}, {"small", &small}, {"other", &other}, {"no-id", &no_id}, {"idle", &idle}})
    if (wanted == name) return plugin;
  static const std::vector<saccade_plugin> kept = [] {
    std::vector<saccade_plugin> all;
    for (const Case& one : cases)
      all.push_back({sizeof(saccade_plugin), SACCADE_PLUGIN_API, one.id, one.compute});
    return all;
  }();
  for (const saccade_plugin& plugin : kept)
    if (wanted == plugin.id) return &plugin;
  return nullptr;
}
