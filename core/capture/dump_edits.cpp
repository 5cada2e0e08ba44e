#include "core/capture/dump_edits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/capture/dump_names.h"
#include "core/capture/plan_json.h"

namespace saccade::dump {
namespace {

using nlohmann::json;
constexpr int deepest_plan = 8;  // nesting: messages print values by recursion

Error bad(const std::string& name, const std::string& what) {
  return make_error(ErrorCode::bad_format, fmt::format("dataset '{}': {}", name, what));
}

// [rectangle, (layer, head, query_begin, query_end, key_begin, key_end)]
Result<void> write_knockouts(h5::Writer& file, const Capture& capture) {
  const int64_t n = capture.n_token();
  std::vector<int64_t> rows;
  for (size_t l = 0; l < capture.layers.size(); ++l) {
    const auto& lists = capture.layers[l]->knockouts;
    for (size_t h = 0; h < lists.size(); ++h)
      for (const EdgeRect& rect : lists[h])
        rows.insert(rows.end(),
                    {static_cast<int64_t>(l), static_cast<int64_t>(h), std::min(rect.query_begin, n),
                     std::min(rect.query_end, n), std::min(rect.key_begin, n), std::min(rect.key_end, n)});
  }
  if (rows.empty()) return {};
  h5::DatasetSpec spec;
  spec.name = knockouts;
  spec.axes = {"rectangle", "field"};
  spec.shape = {static_cast<int64_t>(rows.size()) / 6, 6};
  spec.number = h5::Number::int64;
  return file.numbers(spec, rows.data());
}

Result<void> write_floats(h5::Writer& file, const char* name, std::vector<std::string_view> axes,
                          std::vector<int64_t> shape, const std::vector<float>& values) {
  if (values.empty()) return {};
  h5::DatasetSpec spec;
  spec.name = name;
  spec.axes = std::move(axes);
  spec.shape = std::move(shape);
  return file.numbers(spec, values.data());
}

Result<void> read_knockouts(const h5::Reader& file, const ModelSpec& spec, int64_t n_token,
                            const std::vector<std::shared_ptr<LayerCapture>>& layers) {
  if (!file.has(knockouts)) return {};
  SACCADE_TRY(const h5::Found found, file.describe(knockouts));
  if (found.shape.size() != 2 || found.shape[1] != 6)
    return bad(knockouts,
               fmt::format("expected shape [rectangles, 6], found [{}]", fmt::join(found.shape, ", ")));
  SACCADE_CHECK(file.check(knockouts, h5::Number::int64, found.shape));
  std::vector<int64_t> rows(static_cast<size_t>(found.shape[0] * 6));
  SACCADE_CHECK(file.numbers(knockouts, h5::Number::int64, found.shape, rows.data()));
  for (size_t at = 0; at < rows.size(); at += 6) {
    const int64_t* row = &rows[at];
    const auto within = [&](int64_t begin, int64_t end) {
      return begin >= 0 && begin <= end && end <= n_token;
    };
    if (row[0] < 0 || row[0] >= spec.n_layer || row[1] < 0 || row[1] >= spec.n_head ||
        !within(row[2], row[3]) || !within(row[4], row[5]))
      return bad(knockouts, fmt::format("rectangle {} names no part of a map", at / 6));
    auto& lists = layers[static_cast<size_t>(row[0])]->knockouts;
    lists.resize(static_cast<size_t>(spec.n_head));
    lists[static_cast<size_t>(row[1])].push_back({row[2], row[3], row[4], row[5]});
  }
  return {};
}

Result<std::vector<float>> read_floats(const h5::Reader& file, const char* name) {
  if (!file.has(name)) return std::vector<float>();
  SACCADE_TRY(const h5::Found found, file.describe(name));
  SACCADE_CHECK(file.check(name, h5::Number::float32, found.shape));
  return file.reals(name);
}

Result<void> write_segments(h5::Writer& file, const Capture& capture) {
  for (size_t l = 0; l < capture.layers.size(); ++l) {
    const LayerCapture& layer = *capture.layers[l];
    if (layer.segments.empty()) continue;
    const auto index = static_cast<int32_t>(l);
    h5::DatasetSpec bounds;
    bounds.name = segments(index);
    bounds.axes = {"bound"};
    bounds.shape = {static_cast<int64_t>(layer.segments.size())};
    bounds.number = h5::Number::int64;
    SACCADE_CHECK(file.numbers(bounds, layer.segments.data()));
    h5::DatasetSpec shifts;
    shifts.name = segment_shifts(index);
    shifts.axes = {"head", "query", "segment"};
    shifts.shape = layer.segment_shifts.shape();
    SACCADE_CHECK(file.numbers(shifts, layer.segment_shifts.data()));
  }
  return {};
}

Result<void> write_positions(h5::Writer& file, const Capture& capture) {
  for (size_t l = 0; l < capture.layers.size(); ++l) {
    const std::vector<int64_t>& of_token = capture.layers[l]->positions;
    if (of_token.empty()) continue;
    h5::DatasetSpec dataset;
    dataset.name = positions(static_cast<int32_t>(l));
    dataset.axes = {"pos"};
    dataset.shape = {static_cast<int64_t>(of_token.size())};
    dataset.number = h5::Number::int64;
    SACCADE_CHECK(file.numbers(dataset, of_token.data()));
  }
  return {};
}

// A later run rotates by them when it makes z of this one again.
Result<void> read_positions(const h5::Reader& file, const ModelSpec& spec, int64_t n_token, int32_t l,
                            LayerCapture& layer) {
  const std::string name = positions(l);
  if (!file.has(name)) return {};
  const std::vector<int64_t> shape{n_token};
  SACCADE_CHECK(file.check(name, h5::Number::int64, shape));
  std::vector<int64_t> of_token(static_cast<size_t>(n_token));
  SACCADE_CHECK(file.numbers(name, h5::Number::int64, shape, of_token.data()));
  for (const int64_t position : of_token)
    if (position < 0 || position >= std::max<int64_t>(spec.n_context, n_token))
      return bad(name,
                 fmt::format("expected positions from 0 to {}, found {}", spec.n_context - 1, position));
  layer.positions = std::move(of_token);
  return {};
}

// Maps are made by turning queries on by the shifts: they must be whole steps within the segments.
Result<void> read_segments(const h5::Reader& file, const ModelSpec& spec, int64_t n_token, int32_t l,
                           LayerCapture& layer) {
  const std::string name = segments(l), shifts_name = segment_shifts(l);
  if (!file.has(name)) return {};
  SACCADE_TRY(const h5::Found found, file.describe(name));
  if (found.shape.size() != 1 || found.shape[0] < 3 || found.shape[0] > n_token + 1)
    return bad(name, fmt::format("expected the bounds of two segments or more, found [{}]",
                                 fmt::join(found.shape, ", ")));
  SACCADE_CHECK(file.check(name, h5::Number::int64, found.shape));
  std::vector<int64_t> bounds(static_cast<size_t>(found.shape[0]));
  SACCADE_CHECK(file.numbers(name, h5::Number::int64, found.shape, bounds.data()));
  if (bounds.front() < 0 || bounds.back() > n_token ||
      std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) != bounds.end())
    return bad(name, fmt::format("expected rising positions of {} tokens, found {}", n_token,
                                 fmt::join(bounds, ", ")));
  const std::vector<int64_t> shape{spec.n_head, n_token, found.shape[0] - 1};
  SACCADE_CHECK(file.check(shifts_name, h5::Number::float32, shape));
  HostTensor shifts(shape, false);
  SACCADE_CHECK(file.numbers(shifts_name, h5::Number::float32, shape, shifts.mutable_values().data()));
  const auto farthest = static_cast<float>(bounds.back() - bounds.front());
  for (const float shift : shifts.values())
    if (!(shift >= 0.0F && shift <= farthest) || shift != std::floor(shift))
      return bad(shifts_name, fmt::format("expected whole numbers from 0 to {}, found {}", farthest, shift));
  layer.segments = std::move(bounds);
  layer.segment_shifts = std::move(shifts);
  return {};
}

struct Place {
  int64_t layer = 0, head = 0;
};

Result<Place> place_of(const json& document, const ModelSpec& spec) {
  const auto index = [&](const char* key, int64_t count) -> Result<int64_t> {
    const auto found = document.is_object() ? document.find(key) : document.end();
    if (found == document.end() || !found->is_number_integer() || found->get<int64_t>() < 0 ||
        found->get<int64_t>() >= count)
      return bad(plans, fmt::format("expected a {} below {}", key, count));
    return found->get<int64_t>();
  };
  Place place;
  SACCADE_TRY(place.layer, index("layer", spec.n_layer));
  SACCADE_TRY(place.head, index("head", spec.n_head));
  return place;
}

}  // namespace

Result<void> write_edits(h5::Writer& file, const Capture& capture) {
  SACCADE_CHECK(write_knockouts(file, capture));
  SACCADE_CHECK(write_segments(file, capture));
  SACCADE_CHECK(write_positions(file, capture));
  std::vector<std::string> texts;
  std::vector<float> numbers, factors;
  for (size_t l = 0; l < capture.layers.size(); ++l) {
    const LayerCapture& layer = *capture.layers[l];
    for (size_t h = 0; h < layer.plans.size(); ++h) {
      if (layer.plans[h].empty()) continue;
      json document = plan_to_json(layer.plans[h], numbers);
      document["layer"] = l;
      document["head"] = h;
      const HostTensor kept = h < layer.row_factors.size() ? layer.row_factors[h] : HostTensor();
      document["factors"] = kept.empty() ? 0 : kept.shape()[0];
      factors.insert(factors.end(), kept.values().begin(), kept.values().end());
      texts.push_back(document.dump());
    }
  }
  if (texts.empty()) return {};
  SACCADE_CHECK(file.strings(plans, "plan", texts, false));
  SACCADE_CHECK(write_floats(file, blocks, {"number"}, {static_cast<int64_t>(numbers.size())}, numbers));
  const int64_t rows = static_cast<int64_t>(factors.size()) / capture.n_token();
  return write_floats(file, row_factors, {"factor", "query"}, {rows, capture.n_token()}, factors);
}

Result<void> read_edits(const h5::Reader& file, const ModelSpec& spec, int64_t n_token,
                        const std::vector<std::shared_ptr<LayerCapture>>& layers) {
  SACCADE_CHECK(read_knockouts(file, spec, n_token, layers));
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    SACCADE_CHECK(read_segments(file, spec, n_token, l, *layers[static_cast<size_t>(l)]));
    SACCADE_CHECK(read_positions(file, spec, n_token, l, *layers[static_cast<size_t>(l)]));
  }
  if (!file.has(plans)) return {};
  SACCADE_TRY(const std::vector<std::string> texts, file.strings(plans));
  SACCADE_TRY(const std::vector<float> numbers, read_floats(file, blocks));
  SACCADE_TRY(const std::vector<float> factors, read_floats(file, row_factors));
  int64_t at = 0;
  for (const std::string& text : texts) {
    const auto flat = [](int depth, json::parse_event_t, const json&) { return depth < deepest_plan; };
    const json document = json::parse(text, flat, false);
    if (document.is_discarded()) return bad(plans, "expected JSON, found something else");
    SACCADE_TRY(const Place place, place_of(document, spec));
    auto plan = plan_from_json(document, numbers);
    if (!plan.ok()) return std::move(plan).error().with(fmt::format("dataset '{}'", plans));
    LayerCapture& layer = *layers[static_cast<size_t>(place.layer)];
    layer.plans.resize(static_cast<size_t>(spec.n_head));
    layer.row_factors.resize(static_cast<size_t>(spec.n_head));
    const auto head = static_cast<size_t>(place.head);
    if (!layer.plans[head].empty())
      return bad(plans, fmt::format("head {}.{} has two plans", place.layer, place.head));
    const int64_t count = row_factor_count(*plan);
    const json kept = document.value("factors", json());
    if (kept != 0 && kept != count)
      return bad(plans,
                 fmt::format("head {}.{}: expected {} factors or none", place.layer, place.head, count));
    layer.plans[head] = std::move(*plan);
    if (kept == 0) continue;
    if ((at + count) * n_token > static_cast<int64_t>(factors.size()))
      return bad(row_factors, fmt::format("expected {} rows and more for {} tokens, found {} numbers",
                                          at + count, n_token, factors.size()));
    layer.row_factors[head] = HostTensor({count, n_token}, false);
    std::copy_n(factors.data() + at * n_token, count * n_token,
                layer.row_factors[head].mutable_values().data());
    at += count;
  }
  return {};
}

}  // namespace saccade::dump
