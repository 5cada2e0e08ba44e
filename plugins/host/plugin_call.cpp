#include "plugins/host/plugin_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plugins/host/capture_views.h"
#include "plugins/host/plugin_text.h"

namespace saccade::plugins {
namespace {

constexpr int64_t most_tile_values = int64_t{1} << 26;  // 256 MiB of numbers in one tile
constexpr int32_t highest_level = 20;

Error wrong(std::string message) { return make_error(ErrorCode::invalid_argument, std::move(message)); }

}  // namespace

PluginCall* PluginCall::of(const saccade_host* host) {
  return host ? static_cast<PluginCall*>(host->context) : nullptr;
}

int32_t PluginCall::failed(const Error& error) {
  error_ = error.to_string();
  return error.code == ErrorCode::cancelled ? SACCADE_CANCELLED : SACCADE_FAILED;
}

template <auto Member, class... Arguments>
int32_t PluginCall::call(const saccade_host* host, Arguments... arguments) {
  PluginCall* self = of(host);
  if (!self) return SACCADE_FAILED;
  try {
    const Result<void> done = (self->*Member)(arguments...);
    return done.ok() ? SACCADE_OK : self->failed(done.error());
  } catch (...) {  // memory ran out: nothing is said, since saying needs memory
    return SACCADE_FAILED;
  }
}

template <auto Member, class... Arguments>
int32_t PluginCall::hand_over(const saccade_host* host, Arguments... arguments) {
  PluginCall* self = of(host);
  if (!self) return SACCADE_FAILED;
  try {
    const Result<void> done = (self->*Member)(arguments...);
    if (done.ok()) return SACCADE_OK;
    if (!self->refused_) self->refused_ = done.error();
    return self->failed(done.error());
  } catch (...) {
    self->refused_ = Error{ErrorCode::out_of_memory, {}, {}};
    return SACCADE_FAILED;
  }
}

PluginCall::PluginCall(const PluginManifest& manifest, std::shared_ptr<const Capture> capture,
                       const KernelSet& kernels, const nlohmann::json& parameters, const JobContext& job)
    : manifest_(manifest),
      capture_(std::move(capture)),
      kernels_(kernels),
      parameters_(parameters),
      job_(job),
      builder_(manifest, *capture_),
      parameters_text_(parameters.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) {
  for (const Token& token : capture_->tokens) {
    token_ids_.push_back(token.id);
    token_labels_.push_back(display_text(token, false));
  }
  for (const std::string& label : token_labels_) token_texts_.push_back(label.c_str());
  fill_table();
}

void PluginCall::fill_table() {
  const ModelSpec& spec = capture_->spec;
  run_.size = sizeof run_;
  run_.n_layer = spec.n_layer;
  run_.n_head = spec.n_head;
  run_.n_kv_head = spec.n_kv_head;
  run_.d_head = spec.d_head;
  run_.d_model = spec.d_model;
  run_.n_vocab = spec.n_vocab;
  run_.causal = spec.looks_back() ? 1 : 0;
  run_.n_token = capture_->n_token();
  run_.token_ids = token_ids_.data();
  run_.token_texts = token_texts_.data();
  run_.request = capture_->provenance.request.c_str();
  run_.model = capture_->provenance.model_name.c_str();
  host_.size = sizeof host_;
  host_.api = SACCADE_PLUGIN_API;
  host_.context = this;
  host_.run = &run_;
  host_.parameters = parameters_text_.c_str();
  host_.integer = &call<&PluginCall::integer, const char*, int64_t*>;
  host_.number = &call<&PluginCall::number, const char*, double*>;
  host_.boolean = &call<&PluginCall::boolean, const char*, int32_t*>;
  host_.text = &call<&PluginCall::text, const char*, const char**>;
  host_.view = &call<&PluginCall::view, const char*, int32_t, saccade_view*>;
  host_.tile = &call<&PluginCall::tile, const saccade_tile*, float*, float*, int64_t>;
  host_.progress = &progress;
  host_.cancelled = &cancelled;
  host_.add_field = &hand_over<&PluginCall::add_field, const saccade_field*>;
  host_.add_table = &hand_over<&PluginCall::add_table, const saccade_table*>;
  host_.add_finding = &hand_over<&PluginCall::add_finding, const char*>;
  host_.fail = &fail;
  host_.error = &error;
}

Result<AnalysisResult> PluginCall::run(int32_t (*compute)(const saccade_host*)) {
  int32_t status = SACCADE_FAILED;
  try {
    status = compute(&host_);
  } catch (const std::exception& thrown) {
    return make_error(ErrorCode::internal,
                      fmt::format("the plugin threw an exception: {}", shown(thrown.what())));
  } catch (...) {
    return make_error(ErrorCode::internal, "the plugin threw an exception");
  }
  if (refused_) {
    if (refused_->message.empty()) refused_->message = "there is no memory for what it hands over";
    return std::move(*refused_).with("what the plugin handed over does not fit");
  }
  switch (status) {
    case SACCADE_OK:
      break;
    case SACCADE_CANCELLED:
      if (builder_.empty()) return make_error(ErrorCode::cancelled, "cancelled");
      break;
    case SACCADE_FAILED: {
      const std::string& why = reason_.empty() ? error_ : reason_;
      return make_error(ErrorCode::internal, why.empty() ? "the plugin failed and did not say why" : why);
    }
    default:
      return make_error(ErrorCode::internal,
                        fmt::format("the plugin returned {}, which is no status of this interface", status));
  }
  AnalysisResult result = builder_.take();
  result.method = manifest_.info.id;
  result.parameters = parameters_;
  result.requests = {capture_->provenance.request};
  result.partial = status == SACCADE_CANCELLED;
  return result;
}

Result<const nlohmann::json*> PluginCall::parameter(const char* name) const {
  SACCADE_TRY(const std::string known, read_c_text(name, longest_name));
  const auto found = parameters_.find(known);
  if (found == parameters_.end())
    return wrong(fmt::format("the manifest declares no parameter '{}'", shown(known)));
  return &*found;
}

Result<void> PluginCall::integer(const char* name, int64_t* value) {
  SACCADE_TRY(const nlohmann::json* found, parameter(name));
  if (!found->is_number_integer() || !value) return wrong(fmt::format("parameter '{}' is no integer", name));
  *value = found->get<int64_t>();
  return {};
}

Result<void> PluginCall::number(const char* name, double* value) {
  SACCADE_TRY(const nlohmann::json* found, parameter(name));
  if (!found->is_number() || !value) return wrong(fmt::format("parameter '{}' is no number", name));
  *value = found->get<double>();
  return {};
}

Result<void> PluginCall::boolean(const char* name, int32_t* value) {
  SACCADE_TRY(const nlohmann::json* found, parameter(name));
  if (!found->is_boolean() || !value) return wrong(fmt::format("parameter '{}' is no boolean", name));
  *value = found->get<bool>() ? 1 : 0;
  return {};
}

Result<void> PluginCall::text(const char* name, const char** value) {
  SACCADE_TRY(const nlohmann::json* found, parameter(name));
  if (!found->is_string() || !value) return wrong(fmt::format("parameter '{}' is no text", name));
  *value = found->get_ref<const std::string&>().c_str();
  return {};
}

Result<void> PluginCall::view(const char* name, int32_t layer, saccade_view* view) {
  if (!view) return wrong("view was given a null pointer");
  if (view->size < sizeof(saccade_view))
    return wrong(fmt::format("view was given a struct of {} bytes, version {} has {}", view->size,
                             SACCADE_PLUGIN_API, sizeof(saccade_view)));
  SACCADE_TRY(const std::string wanted, read_c_text(name, longest_name));
  const std::string key = fmt::format("{} {}", wanted, layer);
  auto found = views_.find(key);
  if (found == views_.end()) {
    SACCADE_TRY(HostTensor made, numbers_of(*capture_, wanted, layer));
    found = views_.emplace(key, std::move(made)).first;
  }
  const HostTensor& numbers = found->second;
  const std::vector<int64_t>& shape = numbers.shape();
  if (shape.size() > SACCADE_VIEW_RANK)
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} has more than {} axes", shown(wanted), SACCADE_VIEW_RANK));
  view->rank = static_cast<int32_t>(shape.size());
  view->data = numbers.data();
  std::fill_n(view->shape, SACCADE_VIEW_RANK, 1);
  std::fill_n(view->stride, SACCADE_VIEW_RANK, 0);
  int64_t stride = 1;
  for (size_t axis = shape.size(); axis-- > 0; stride *= shape[axis]) {
    view->shape[axis] = shape[axis];
    view->stride[axis] = stride;
  }
  return {};
}

Result<void> PluginCall::tile(const saccade_tile* what, float* mass, float* max, int64_t capacity) {
  SACCADE_CHECK(job_.check());
  if (!what) return wrong("tile was given a null pointer");
  if (what->size < sizeof(saccade_tile))
    return wrong(fmt::format("tile was given a struct of {} bytes, version {} has {}", what->size,
                             SACCADE_PLUGIN_API, sizeof(saccade_tile)));
  const saccade_tile& t = *what;
  const int64_t n = capture_->n_token();
  const auto inside = [n](int64_t begin, int64_t end) { return begin >= 0 && begin <= end && end <= n; };
  if (!inside(t.query_begin, t.query_end) || !inside(t.key_begin, t.key_end) || t.level < 0 ||
      t.level > highest_level)
    return wrong(
        fmt::format("a tile of queries {}:{}, keys {}:{} at level {}: expected ranges within 0:{} and a "
                    "level from 0 to {}",
                    t.query_begin, t.query_end, t.key_begin, t.key_end, t.level, n, highest_level));
  const int64_t side = int64_t{1} << t.level;
  const auto blocks = [side](int64_t begin, int64_t end) { return (end - begin + side - 1) / side; };
  const int64_t rows = blocks(t.query_begin, t.query_end), columns = blocks(t.key_begin, t.key_end);
  if (columns > 0 && rows > std::min(capacity, most_tile_values) / columns)
    return wrong(
        fmt::format("a tile of {} x {} numbers: there is room for {}, and at most {} are given at once", rows,
                    columns, capacity, most_tile_values));
  const HeadId head{LayerIndex{t.layer}, HeadIndex{t.head}};
  if (!map_ || map_->head() != head) {
    SACCADE_TRY(AttentionMap made, AttentionMap::of(capture_, head, kernels_));
    map_ = std::move(made);
  }
  SACCADE_TRY(const Tile made, map_->tile(t.query_begin, t.query_end, t.key_begin, t.key_end, side));
  if (mass) std::copy_n(made.block_mass.data(), made.block_mass.size(), mass);
  if (max) std::copy_n(made.block_max.data(), made.block_max.size(), max);
  return {};
}

void PluginCall::progress(const saccade_host* host, double fraction, const char* what) noexcept {
  PluginCall* self = of(host);
  if (!self || !std::isfinite(fraction)) return;
  try {
    const Result<std::string> text = read_c_text(what, longest_name);
    self->job_.progress(std::clamp(fraction, 0.0, 1.0), text.ok() ? *text : self->manifest_.info.title);
  } catch (...) {  // NOLINT(bugprone-empty-catch): progress is a courtesy
  }
}

int32_t PluginCall::cancelled(const saccade_host* host) noexcept {
  const PluginCall* self = of(host);
  return self && self->job_.cancelled() ? 1 : 0;
}

void PluginCall::fail(const saccade_host* host, const char* reason) noexcept {
  PluginCall* self = of(host);
  if (!self) return;
  try {
    Result<std::string> text = read_c_text(reason, longest_text);
    self->reason_ = text.ok() ? std::move(*text) : "the plugin failed; its reason " + text.error().message;
  } catch (...) {  // NOLINT(bugprone-empty-catch): then it failed without a reason
  }
}

const char* PluginCall::error(const saccade_host* host) noexcept {
  const PluginCall* self = of(host);
  return self ? self->error_.c_str() : "";
}

}  // namespace saccade::plugins
