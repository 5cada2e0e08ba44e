#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/capture/dump.h"
#include "core/capture/dump_edits.h"
#include "core/capture/dump_names.h"
#include "core/capture/dump_seal.h"
#include "core/capture/dump_statistics.h"
#include "core/capture/hdf5_file.h"
#include "core/capture/image_json.h"
#include "core/capture/spec_json.h"

namespace saccade {
namespace {

Error bad(const std::string& name, const std::string& what) {
  return make_error(ErrorCode::bad_format, fmt::format("dataset '{}': {}", name, what));
}

Result<h5::Reader> open(const std::filesystem::path& path) {
  SACCADE_TRY(h5::Reader file, h5::Reader::open(path));
  if (!file.has_attribute("type"))
    return make_error(ErrorCode::bad_format,
                      fmt::format("expected a dump (root attribute type = {}), found an HDF5 file without "
                                  "that attribute",
                                  dump::type));
  SACCADE_TRY(const std::string type, file.text("type"));
  if (type != dump::type)
    return make_error(ErrorCode::bad_format,
                      fmt::format("expected the type {}, found '{}'", dump::type, type));
  SACCADE_TRY(const int64_t version, file.integer("version"));
  if (version < dump::oldest_version || version > dump::version)
    return make_error(ErrorCode::unsupported,
                      fmt::format("this program reads versions {} to {} of dumps, found version {}",
                                  dump::oldest_version, dump::version, version));
  return file;
}

Result<Provenance> read_provenance(const h5::Reader& file) {
  Provenance provenance;
  for (const auto& [name, text] : dump::provenance) {
    SACCADE_TRY(provenance.*text, file.text(name));
  }
  SACCADE_TRY(provenance.seconds, file.real("seconds"));
  SACCADE_TRY(provenance.edits, file.strings(dump::edits));
  return provenance;
}

class DumpReader {
 public:
  explicit DumpReader(const h5::Reader& file) : file_(file) {}

  Result<std::shared_ptr<const Capture>> read() {
    SACCADE_TRY(capture_->provenance, read_provenance(file_));
    SACCADE_TRY(capture_->spec, spec());
    SACCADE_TRY(capture_->sink_keys, file_.integer("sink_keys"));
    SACCADE_TRY(capture_->local_width, file_.integer("local_width"));
    SACCADE_CHECK(tokens());
    SACCADE_CHECK(images());
    SACCADE_CHECK(generated_from());
    for (int32_t l = 0; l < capture_->spec.n_layer; ++l) {
      SACCADE_TRY(LayerCapture layer, this->layer(l));
      layers_.push_back(std::make_shared<LayerCapture>(std::move(layer)));
    }
    for (const dump::Statistic& statistic : dump::statistics) SACCADE_CHECK(statistics(statistic));
    SACCADE_CHECK(max_keys());
    if (file_.has_attribute("block_size")) {  // since version 2
      SACCADE_TRY(capture_->block_size, file_.integer("block_size"));
    }
    SACCADE_CHECK(dump::read_requested_statistics(file_, capture_->spec, n_, capture_->block_size, layers_));
    SACCADE_CHECK(dump::read_edits(file_, capture_->spec, n_, layers_));
    const SiteRef final_resid = dump::final_resid(capture_->spec);
    SACCADE_TRY(capture_->final_resid, tensor(full_name(final_resid), shape_of(final_resid)));
    SACCADE_TRY(capture_->last_logits, tensor(dump::last_logits, {capture_->spec.n_logits()}));
    SACCADE_CHECK(loss());
    SACCADE_CHECK(sites());
    capture_->layers.assign(layers_.begin(), layers_.end());
    return std::shared_ptr<const Capture>(std::move(capture_));
  }

 private:
  Result<ModelSpec> spec() const {
    SACCADE_TRY(const std::string text, file_.text("spec"));
    // The spec is flat; messages print values by recursion, so what nests deeper is not kept.
    const auto flat = [](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
      return depth < 4;
    };
    const auto document = nlohmann::json::parse(text, flat, false);
    if (document.is_discarded())
      return make_error(ErrorCode::bad_format, "attribute 'spec': expected JSON, found something else");
    return spec_from_json(document);
  }

  template <class Number>
  Result<std::vector<Number>> list(const std::string& name, h5::Number number, int64_t length) const {
    SACCADE_CHECK(file_.check(name, number, {&length, 1}));
    std::vector<Number> values(static_cast<size_t>(length));
    SACCADE_CHECK(file_.numbers(name, number, {&length, 1}, values.data()));
    return values;
  }

  Result<void> tokens() {
    SACCADE_TRY(std::vector<std::string> texts, file_.strings(dump::texts));
    n_ = static_cast<int64_t>(texts.size());
    if (n_ == 0) return bad(dump::texts, "expected at least one token, found none");
    SACCADE_TRY(const auto ids, list<int32_t>(dump::ids, h5::Number::int32, n_));
    SACCADE_TRY(const auto begin, list<int64_t>(dump::begin, h5::Number::int64, n_));
    SACCADE_TRY(const auto end, list<int64_t>(dump::end, h5::Number::int64, n_));
    SACCADE_TRY(const auto special, list<uint8_t>(dump::special, h5::Number::uint8, n_));
    for (size_t i = 0; i < texts.size(); ++i) {
      if (ids[i] < 0 || ids[i] >= capture_->spec.n_vocab)
        return bad(dump::ids, fmt::format("expected ids below {}, found {}", capture_->spec.n_vocab, ids[i]));
      if (begin[i] < 0 || end[i] < begin[i])
        return bad(dump::begin, fmt::format("token {} has the byte range {}:{}", i, begin[i], end[i]));
      capture_->tokens.push_back({ids[i], std::move(texts[i]), begin[i], end[i], special[i] != 0});
    }
    return {};
  }

  Result<void> images() {
    if (!file_.has_attribute("images")) return {};
    SACCADE_TRY(const std::string text, file_.text("images"));
    SACCADE_TRY(capture_->images, images_from_json(nlohmann::json::parse(text, nullptr, false), n_));
    return {};
  }

  Result<void> generated_from() {
    if (!file_.has_attribute("generated_from")) return {};
    SACCADE_TRY(const int64_t from, file_.integer("generated_from"));
    if (from < 0 || from > n_)
      return bad("generated_from", fmt::format("expected a position from 0 to {}, found {}", n_, from));
    capture_->generated_from = from;
    return {};
  }

  [[nodiscard]] std::vector<int64_t> shape_of(SiteRef site) const {
    return saccade::shape_of(site.site, capture_->spec, n_);
  }

  // Empty when the dataset is not there.
  Result<HostTensor> tensor(const std::string& name, const std::vector<int64_t>& shape) const {
    if (!file_.has(name)) return HostTensor();
    SACCADE_CHECK(file_.check(name, h5::Number::float32, shape));
    HostTensor values(shape, false);
    SACCADE_CHECK(file_.numbers(name, h5::Number::float32, shape, values.mutable_values().data()));
    return values;
  }

  Result<LayerCapture> layer(int32_t l) const {
    const SiteRef resid_pre{HookSite::resid_pre, l}, q{HookSite::q, l}, k{HookSite::k, l};
    LayerCapture layer;
    SACCADE_TRY(layer.resid_pre, tensor(full_name(resid_pre), shape_of(resid_pre)));
    SACCADE_TRY(layer.q, tensor(full_name(q), shape_of(q)));
    SACCADE_TRY(layer.k, tensor(full_name(k), shape_of(k)));
    SACCADE_TRY(layer.lse, tensor(dump::lse(l), {capture_->spec.n_head, n_}));
    return layer;
  }

  [[nodiscard]] std::vector<int64_t> statistics_shape() const {
    return {capture_->spec.n_layer, capture_->spec.n_head, n_};
  }

  Result<void> statistics(const dump::Statistic& statistic) {
    SACCADE_TRY(const HostTensor all, tensor(statistic.name, statistics_shape()));
    if (all.empty()) return {};
    for (size_t l = 0; l < layers_.size(); ++l) {
      HostTensor values({capture_->spec.n_head, n_}, false);
      std::ranges::copy(all.slice(static_cast<int64_t>(l)), values.mutable_values().begin());
      layers_[l]->statistics.*statistic.values = std::move(values);
    }
    return {};
  }

  Result<void> max_keys() {
    if (!file_.has(dump::max_key)) return {};
    const std::vector<int64_t> shape = statistics_shape();
    SACCADE_CHECK(file_.check(dump::max_key, h5::Number::int32, shape));
    const size_t per_layer = static_cast<size_t>(shape[1] * shape[2]);
    std::vector<int32_t> all(layers_.size() * per_layer);
    SACCADE_CHECK(file_.numbers(dump::max_key, h5::Number::int32, shape, all.data()));
    for (const int32_t key : all)
      if (key < -1 || key >= n_)
        return bad(dump::max_key, fmt::format("expected keys below {}, found {}", n_, key));
    for (size_t l = 0; l < layers_.size(); ++l) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(l * per_layer);
      layers_[l]->statistics.max_key.assign(begin, begin + static_cast<std::ptrdiff_t>(per_layer));
    }
    return {};
  }

  Result<void> loss() {
    if (!file_.has(dump::loss)) return {};
    SACCADE_TRY(capture_->loss, list<float>(dump::loss, h5::Number::float32, n_ - 1));
    return {};
  }

  Result<void> sites() {
    SACCADE_TRY(const std::vector<std::string> names, file_.strings(dump::sites));
    for (const std::string& name : names) {
      SACCADE_TRY(const SiteRef site, parse_site(name));
      if (info_of(site.site).per_layer && site.layer >= capture_->spec.n_layer)
        return bad(name, fmt::format("the model has layers 0-{}", capture_->spec.n_layer - 1));
      if (site.site == HookSite::pattern || site.site == HookSite::attn_scores) continue;
      SACCADE_TRY(HostTensor values, tensor(name, shape_of(site)));
      if (values.empty()) return bad(name, fmt::format("it is missing, and {} lists it", dump::sites));
      capture_->sites[site] = std::move(values);
    }
    return {};
  }

  const h5::Reader& file_;
  std::shared_ptr<Capture> capture_ = std::make_shared<Capture>();
  std::vector<std::shared_ptr<LayerCapture>> layers_;
  int64_t n_ = 0;
};

Result<DumpInfo> inspect(const std::filesystem::path& path) {
  SACCADE_TRY(const h5::Reader file, open(path));
  DumpInfo info;
  SACCADE_TRY(info.provenance, read_provenance(file));
  SACCADE_TRY(const int64_t version, file.integer("version"));
  info.version = static_cast<int>(version);
  SACCADE_TRY(const std::vector<std::string> names, file.names());
  for (const std::string& name : names) {
    SACCADE_TRY(h5::Found found, file.describe(name));
    if (name == dump::ids && found.shape.size() == 1) info.n_token = found.shape[0];
    if (!found.is_scale)
      info.items.push_back(
          {name, std::move(found.shape), std::move(found.axes), std::move(found.number), found.stored_bytes});
  }
  return info;
}

}  // namespace

Result<std::shared_ptr<const Capture>> read_dump(const std::filesystem::path& path) {
  SACCADE_CHECK(check_seal(path));
  auto file = open(path);
  if (!file.ok()) return std::move(file).error().with("reading " + path.string());
  auto capture = DumpReader(*file).read();
  if (!capture.ok()) return std::move(capture).error().with("reading " + path.string());
  return capture;
}

Result<DumpInfo> inspect_dump(const std::filesystem::path& path) {
  SACCADE_CHECK(check_seal(path));
  auto info = inspect(path);
  if (!info.ok()) return std::move(info).error().with("reading " + path.string());
  return info;
}

}  // namespace saccade
