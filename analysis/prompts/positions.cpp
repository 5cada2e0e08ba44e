#include "analysis/prompts/positions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <numeric>

namespace saccade {
namespace {

bool to_position(const std::string& text, int64_t& position) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), position);
  return code == std::errc() && end == text.data() + text.size() && position >= 0;
}

}  // namespace

std::vector<std::string> common_roles(const PromptSet& prompts) {
  std::vector<std::string> roles;
  if (prompts.pairs.empty()) return roles;
  for (const auto& [role, position] : prompts.pairs[0].clean_roles)
    if (std::all_of(prompts.pairs.begin(), prompts.pairs.end(), [&, name = role](const PromptPair& pair) {
          return pair.clean_roles.contains(name) && pair.corrupt_roles.contains(name);
        }))
      roles.push_back(role);
  return roles;
}

Result<AlignedPositions> aligned_positions(const PromptSet& prompts, size_t pair, const std::string& which) {
  const PromptPair& prompt = prompts.pairs[pair];
  const int64_t clean = prompt.clean.size(), corrupt = prompt.corrupt.size();
  const std::vector<std::string> roles = common_roles(prompts);
  const std::string instead = roles.empty() ? std::string("the prompts name no roles")
                                            : fmt::format("roles are {}", fmt::join(roles, ", "));
  const auto refused = [&](const std::string& what) {
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{}: pair {}: {}", prompts.name, pair + 1, what));
  };
  if (which == "last") return AlignedPositions{{clean - 1}, {corrupt - 1}};
  int64_t position = 0;
  if (which == "all" || to_position(which, position)) {
    if (clean != corrupt)
      return refused(
          fmt::format("{} tokens clean and {} corrupted: positions by number do not correspond; "
                      "patch at a role ({}) or write prompts of one length",
                      clean, corrupt, instead));
    if (which != "all" && position >= clean)
      return refused(fmt::format("position {} of a prompt with {} tokens", position, clean));
    if (which != "all") return AlignedPositions{{position}, {position}};
    AlignedPositions all;
    all.clean.resize(static_cast<size_t>(clean));
    std::iota(all.clean.begin(), all.clean.end(), int64_t{0});
    all.corrupt = all.clean;
    return all;
  }
  const auto in_clean = prompt.clean_roles.find(which), in_corrupt = prompt.corrupt_roles.find(which);
  if (in_clean == prompt.clean_roles.end() || in_corrupt == prompt.corrupt_roles.end())
    return refused(fmt::format("no position '{}': give last, all, a number or a role; {}", which, instead));
  return AlignedPositions{{in_clean->second}, {in_corrupt->second}};
}

}  // namespace saccade
