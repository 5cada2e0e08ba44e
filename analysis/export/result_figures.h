// Pictures of results: a field as a heatmap or a curve, a circuit, a scatter plot of two columns over the
// heads; and a table or a field as CSV. What the window shows and what `analyze --out` writes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/circuit_graph.h"
#include "analysis/export/figure.h"
#include "analysis/field_slice.h"
#include "analysis/head_columns.h"

namespace saccade {

// Which result a picture is of: goes into its caption and metadata.
struct ResultOrigin {
  std::string method, title;  // "ablation-sweep", "What each head is needed for"
  nlohmann::json parameters = nlohmann::json::object();
  bool partial = false;
  Provenance run;  // of the run the result is about
};

Result<void> write_field_figure(const Field& field, std::span<const int64_t> held, const ResultOrigin& origin,
                                const FigureOptions& options, const std::filesystem::path& path);
Result<void> write_circuit_figure(const CircuitGraph& graph, size_t edges, const ResultOrigin& origin,
                                  const FigureOptions& options, const std::filesystem::path& path);
Result<void> write_scatter_figure(const HeadColumn& x, const HeadColumn& y, std::span<const HeadId> named,
                                  const ResultOrigin& origin, const FigureOptions& options,
                                  const std::filesystem::path& path);

// RFC 4180. A field has one line per number: the index (and label) of every axis, then the value.
[[nodiscard]] std::string csv_of(const Table& table);
[[nodiscard]] std::string csv_of(const Field& field);

// "Head effect of What each head is needed for (kind=zero, metric=kl); partial. ..."
[[nodiscard]] std::string caption_of(const std::string& what, const ResultOrigin& origin);

}  // namespace saccade
