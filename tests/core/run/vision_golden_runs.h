// Requests about the picture of a tiny random model, opened once per program.
#pragma once

#include <cmath>
#include <map>

#include "tests/core/run/vision_fixtures.h"

namespace saccade::fixtures {

inline const Opened& vision_model(const std::string& variant) {
  static std::map<std::string, Opened> all;
  const auto found = all.find(variant);
  if (found != all.end()) return found->second;
  return all[variant] = open(vision_golden(variant).string());
}

inline RunRequest vision_request_of(const std::string& variant, const std::vector<std::string>& edits = {}) {
  RunRequest request = vision_request(vision_model(variant), Numbers(variant));
  for (const std::string& text : edits) {
    auto edit = parse_edit(text);
    EXPECT_TRUE(edit.ok()) << edit.error().to_string();
    if (edit.ok()) request.edits.push_back(*edit);
  }
  return request;
}

inline float farthest(const HostTensor& a, const HostTensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  float largest = 0.0F;
  for (size_t i = 0; i < std::min(a.values().size(), b.values().size()); ++i)
    largest = std::max(largest, std::abs(a.values()[i] - b.values()[i]));
  return largest;
}

}  // namespace saccade::fixtures
