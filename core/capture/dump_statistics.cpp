#include "core/capture/dump_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "core/capture/dump_names.h"

namespace saccade::dump {
namespace {

struct BlockMap {
  const char* name;
  HostTensor HeadStatistics::*values;
};
constexpr std::array<BlockMap, 2> block_maps{
    {{block_max, &HeadStatistics::block_max}, {block_mass, &HeadStatistics::block_mass}}};

// [layer, ...]: the layers' tensors under each other.
Result<void> write_stack(h5::Writer& file, const std::string& name, std::vector<std::string_view> axes,
                         const std::vector<const HostTensor*>& tensors) {
  h5::DatasetSpec spec;
  spec.name = name;
  spec.axes = std::move(axes);
  spec.shape = tensors[0]->shape();
  spec.shape.insert(spec.shape.begin(), static_cast<int64_t>(tensors.size()));
  SACCADE_TRY(h5::Handle dataset, file.dataset(spec));
  std::vector<int64_t> offset(spec.shape.size(), 0), count = spec.shape;
  count[0] = 1;
  for (const HostTensor* tensor : tensors) {
    SACCADE_CHECK(file.block(dataset, spec, offset, count, tensor->data()));
    ++offset[0];
  }
  return file.finish(std::move(dataset), name);
}

Result<std::vector<HostTensor>> read_stack(const h5::Reader& file, const std::string& name,
                                           std::vector<int64_t> shape) {
  SACCADE_CHECK(file.check(name, h5::Number::float32, shape));
  HostTensor all(shape, false);
  SACCADE_CHECK(file.numbers(name, h5::Number::float32, shape, all.mutable_values().data()));
  const std::vector<int64_t> one(shape.begin() + 1, shape.end());
  std::vector<HostTensor> layers;
  for (int64_t l = 0; l < shape[0]; ++l) {
    HostTensor& layer = layers.emplace_back(one, false);
    std::ranges::copy(all.slice(l), layer.mutable_values().begin());
  }
  return layers;
}

std::string name_of(size_t key_set) { return fmt::format("{}/{}", key_masses, key_set); }

// The names that every layer has.
std::vector<std::string> common_names(const Capture& capture) {
  std::vector<std::string> names;
  if (capture.layers.empty()) return names;
  for (const auto& [name, mass] : capture.layers[0]->statistics.key_mass)
    if (std::all_of(
            capture.layers.begin(), capture.layers.end(), [&name = name, &mass = mass](const auto& layer) {
              const auto found = layer->statistics.key_mass.find(name);
              return found != layer->statistics.key_mass.end() && found->second.shape() == mass.shape();
            }))
      names.push_back(name);
  return names;
}

}  // namespace

Result<void> write_requested_statistics(h5::Writer& file, const Capture& capture) {
  const std::vector<std::string> names = common_names(capture);
  if (!names.empty()) SACCADE_CHECK(file.strings(key_sets, "key_set", names, false));
  for (size_t i = 0; i < names.size(); ++i) {
    std::vector<const HostTensor*> tensors;
    for (const auto& layer : capture.layers) tensors.push_back(&layer->statistics.key_mass.at(names[i]));
    SACCADE_CHECK(write_stack(file, name_of(i), {"layer", "head", "query"}, tensors));
  }
  for (const BlockMap& map : block_maps) {
    std::vector<const HostTensor*> tensors;
    for (const auto& layer : capture.layers) tensors.push_back(&(layer->statistics.*map.values));
    const bool whole =
        !tensors.empty() && std::none_of(tensors.begin(), tensors.end(), [&](const HostTensor* t) {
          return t->empty() || t->shape() != tensors[0]->shape();
        });
    if (whole)
      SACCADE_CHECK(write_stack(file, map.name, {"layer", "head", "query_block", "key_block"}, tensors));
  }
  return {};
}

Result<void> read_requested_statistics(const h5::Reader& file, const ModelSpec& spec, int64_t n_token,
                                       int64_t block_size,
                                       const std::vector<std::shared_ptr<LayerCapture>>& layers) {
  if (file.has(key_sets)) {
    SACCADE_TRY(const std::vector<std::string> names, file.strings(key_sets));
    for (size_t i = 0; i < names.size(); ++i) {
      SACCADE_TRY(std::vector<HostTensor> masses,
                  read_stack(file, name_of(i), {spec.n_layer, spec.n_head, n_token}));
      for (size_t l = 0; l < layers.size(); ++l) layers[l]->statistics.key_mass[names[i]] = masses[l];
    }
  }
  for (const BlockMap& map : block_maps) {
    if (!file.has(map.name)) continue;
    if (block_size < 1)
      return make_error(ErrorCode::bad_format,
                        fmt::format("dataset '{}': the attribute block_size is {}, expected at least 1",
                                    map.name, block_size));
    const int64_t blocks = (n_token - 1) / block_size + 1;
    SACCADE_TRY(std::vector<HostTensor> maps,
                read_stack(file, map.name, {spec.n_layer, spec.n_head, blocks, blocks}));
    for (size_t l = 0; l < layers.size(); ++l) layers[l]->statistics.*map.values = maps[l];
  }
  return {};
}

}  // namespace saccade::dump
