// What the tests against recorded numbers share: the list of variants, and numbers for their pages.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace saccade::fixtures {

// Entries of an index.json, each with the fields name, model_type and special, and whatever else Variant
// holds.
template <class Variant>
std::vector<Variant> variants_in(const std::filesystem::path& index) {
  std::vector<Variant> found;
  std::ifstream file(index);
  for (const auto& row : nlohmann::json::parse(file)) {
    Variant variant;
    variant.name = row["name"];
    variant.model_type = row["model_type"];
    variant.special = row["special"];
    found.push_back(std::move(variant));
  }
  return found;
}

template <class Variant>
std::vector<std::string> names_of(const std::vector<Variant>& variants) {
  std::vector<std::string> list;
  for (const Variant& variant : variants) list.push_back(variant.name);
  return list;
}

// "3e-06": rounded up, so that a page changes only when a difference grows by its first digit.
inline std::string rounded_up(double value) {
  if (value <= 0.0) return "0";
  const double unit = std::pow(10.0, std::floor(std::log10(value)));
  return fmt::format("{:.0e}", std::ceil(value / unit) * unit);
}

}  // namespace saccade::fixtures
