// Kernel sets as callers see them: the boundary checks, then the kernels of one instruction set.
#include "kernels/attention.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "kernels/attention_checks.h"
#include "kernels/cpu/attention_cpu.h"
#include "kernels/cuda/sets.h"

namespace saccade {
namespace {

template <size_t I>
Result<void> forward(const AttentionInput& in, const AttentionOutput& out, const Parallel& parallel) {
  SACCADE_CHECK(check_forward(in, out));
  cpu::targets()[I].functions.forward(in, out, parallel);
  return {};
}

template <size_t I>
Result<void> tile(const TileInput& in, const TileRequest& request, const TileOutput& out) {
  SACCADE_CHECK(check_tile(in, request));
  cpu::targets()[I].functions.tile(in, request, out);
  return {};
}

template <size_t I>
Result<void> weights_at(const TileInput& in, int64_t head, std::span<const int32_t> query,
                        std::span<const int32_t> key, float* out) {
  SACCADE_CHECK(check_positions(in, head, query, key));
  cpu::targets()[I].functions.weights_at(in, head, query, key, out);
  return {};
}

template <size_t... I>
std::vector<KernelSet> make_sets(std::index_sequence<I...>) {
  const std::array<KernelSet, sizeof...(I)> makers{KernelSet{"", "", forward<I>, tile<I>, weights_at<I>}...};
  std::vector<KernelSet> made;
  for (const cpu::Target& target : cpu::targets()) {
    if (made.size() == makers.size()) break;
    made.push_back(makers[made.size()]);
    made.back().name = target.name;
    made.back().description = target.description;
  }
  cuda::append_sets(made);
  return made;
}

}  // namespace

std::span<const KernelSet> kernel_sets() {
  static const std::vector<KernelSet> sets = make_sets(std::make_index_sequence<cpu::most_targets>());
  return sets;
}

Result<const KernelSet*> choose_kernels(std::string_view name) {
  std::string choices;
  for (const KernelSet& set : kernel_sets()) {
    if (name.empty() || name == "auto" || name == set.name) return &set;
    choices += ", " + set.name;
  }
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("no attention kernels called '{}' run on this machine{}; there are auto{}",
                                name, cuda::why_not(name), choices));
}

}  // namespace saccade
