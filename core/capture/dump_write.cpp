#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/files.h"
#include "core/capture/dump.h"
#include "core/capture/dump_edits.h"
#include "core/capture/dump_maps.h"
#include "core/capture/dump_names.h"
#include "core/capture/dump_seal.h"
#include "core/capture/dump_statistics.h"
#include "core/capture/hdf5_file.h"
#include "core/capture/image_json.h"
#include "core/capture/spec_json.h"

namespace saccade {
namespace {

constexpr int64_t block_bytes = int64_t{16} << 20;  // between two looks at the job

bool is_map(SiteRef site) { return site.site == HookSite::pattern || site.site == HookSite::attn_scores; }

template <class Number>
constexpr h5::Number number_of() {
  if constexpr (std::is_same_v<Number, float>) return h5::Number::float32;
  if constexpr (std::is_same_v<Number, int32_t>) return h5::Number::int32;
  if constexpr (std::is_same_v<Number, int64_t>) return h5::Number::int64;
  if constexpr (std::is_same_v<Number, uint8_t>) return h5::Number::uint8;
}

// A file's name may be anything.
std::string dumped(const nlohmann::json& document) {
  return document.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

class DumpWriter {
 public:
  DumpWriter(const Capture& capture, const DumpOptions& options, const KernelSet& kernels,
             const JobContext& job)
      : capture_(capture), spec_(capture.spec), options_(options), kernels_(kernels), job_(job) {}

  Result<void> write(const std::filesystem::path& path) {
    SACCADE_CHECK(check());
    total_bytes_ = forecast();
    SACCADE_TRY(file_, h5::Writer::create(path));
    SACCADE_CHECK(attributes());
    SACCADE_CHECK(tokens());
    SACCADE_CHECK(file_.strings(dump::edits, "edit", capture_.provenance.edits, false));
    for (int32_t l = 0; l < spec_.n_layer; ++l) SACCADE_CHECK(layer(l));
    SACCADE_CHECK(tensor(full_name(dump::final_resid(spec_)), capture_.final_resid, {"pos", "d_model"}));
    for (const dump::Statistic& statistic : dump::statistics) SACCADE_CHECK(statistics(statistic));
    SACCADE_CHECK(max_keys());
    SACCADE_CHECK(tensor(dump::last_logits, capture_.last_logits, {"vocab"}));
    SACCADE_CHECK(list(dump::loss, "prediction", capture_.loss));
    SACCADE_CHECK(dump::write_requested_statistics(file_, capture_));
    SACCADE_CHECK(dump::write_edits(file_, capture_));
    SACCADE_CHECK(sites());
    SACCADE_CHECK(file_.close());
    return seal(path, job_);
  }

 private:
  // What can be refused is refused before a file is made.
  Result<void> check() const {
    if (capture_.tokens.empty()) return make_error(ErrorCode::invalid_argument, "the run has no tokens");
    if (static_cast<int64_t>(capture_.layers.size()) != spec_.n_layer)
      return make_error(ErrorCode::invalid_argument, fmt::format("expected {} captured layers, found {}",
                                                                 spec_.n_layer, capture_.layers.size()));
    for (const SiteRef& site : options_.sites) {
      const std::string name = full_name(site);
      if (info_of(site.site).per_layer && (site.layer < 0 || site.layer >= spec_.n_layer))
        return make_error(ErrorCode::invalid_argument,
                          fmt::format("{}: the model has layers 0-{}", name, spec_.n_layer - 1));
      if (is_map(site)) {
        SACCADE_TRY(const AttentionMap map,
                    AttentionMap::of(shared(), {LayerIndex{site.layer}, HeadIndex{0}}, kernels_));
      } else if (!capture_.sites.contains(site) && !compact(site)) {
        return make_error(ErrorCode::not_found,
                          fmt::format("the run did not record {}; run again with --capture {}", name, name));
      }
    }
    return {};
  }

  // Held by the caller for as long as we write.
  [[nodiscard]] std::shared_ptr<const Capture> shared() const { return {std::shared_ptr<void>(), &capture_}; }
  [[nodiscard]] const LayerCapture& layer_of(int32_t l) const {
    return *capture_.layers[static_cast<size_t>(l)];
  }
  // Whether the compact part holds the site's numbers.
  [[nodiscard]] bool compact(SiteRef site) const {
    if (site == dump::final_resid(spec_)) return !capture_.final_resid.empty();
    switch (site.site) {
      case HookSite::q:
      case HookSite::k:
        return layer_of(site.layer).keeps_attention();
      case HookSite::resid_pre:
        return !layer_of(site.layer).resid_pre.empty();
      default:
        return false;
    }
  }

  [[nodiscard]] int64_t forecast() const {
    int64_t bytes = capture_.bytes();
    const int64_t map = spec_.n_head * capture_.n_token() * capture_.n_token();
    for (const SiteRef& site : options_.sites)
      if (is_map(site))
        bytes += map * h5::bytes_of(options_.float16_maps ? h5::Number::float16 : h5::Number::float32);
    return std::max<int64_t>(bytes, 1);
  }

  Result<void> wrote(int64_t bytes, const std::string& name) {
    done_bytes_ += bytes;
    job_.progress(std::min(1.0, static_cast<double>(done_bytes_) / static_cast<double>(total_bytes_)),
                  "writing " + name);
    return job_.check();
  }

  Result<void> attributes() {
    SACCADE_CHECK(file_.attribute("type", dump::type));
    SACCADE_CHECK(file_.attribute("version", dump::version));
    for (const auto& [name, text] : dump::provenance)
      SACCADE_CHECK(file_.attribute(name, capture_.provenance.*text));
    SACCADE_CHECK(file_.attribute("seconds", capture_.provenance.seconds));
    SACCADE_CHECK(file_.attribute("spec", spec_to_json(spec_).dump()));
    if (!capture_.images.empty())
      SACCADE_CHECK(file_.attribute("images", dumped(images_to_json(capture_.images))));
    if (capture_.generated_from >= 0)
      SACCADE_CHECK(file_.attribute("generated_from", capture_.generated_from));
    SACCADE_CHECK(file_.attribute("sink_keys", capture_.sink_keys));
    SACCADE_CHECK(file_.attribute("block_size", capture_.block_size));
    return file_.attribute("local_width", capture_.local_width);
  }

  Result<void> tokens() {
    std::vector<int32_t> ids;
    std::vector<std::string> texts;
    std::vector<int64_t> begin, end;
    std::vector<uint8_t> special;
    for (const Token& token : capture_.tokens) {
      ids.push_back(token.id);
      texts.push_back(token.text);
      begin.push_back(token.begin);
      end.push_back(token.end);
      special.push_back(token.special ? 1 : 0);
    }
    SACCADE_CHECK(list(dump::ids, "pos", ids));
    SACCADE_CHECK(file_.strings(dump::texts, "pos", texts, true));
    SACCADE_CHECK(list(dump::begin, "pos", begin));
    SACCADE_CHECK(list(dump::end, "pos", end));
    return list(dump::special, "pos", special);
  }

  template <class Number>
  Result<void> list(const std::string& name, std::string_view axis, const std::vector<Number>& values) {
    if (values.empty()) return {};
    h5::DatasetSpec spec;
    spec.name = name;
    spec.axes = {axis};
    spec.shape = {static_cast<int64_t>(values.size())};
    spec.number = number_of<Number>();
    SACCADE_CHECK(file_.numbers(spec, values.data()));
    return wrote(static_cast<int64_t>(values.size() * sizeof(Number)), name);
  }

  // Nothing when the tensor is empty. Large ones go in blocks of rows.
  Result<void> tensor(const std::string& name, const HostTensor& values, std::vector<std::string_view> axes) {
    if (values.empty() || !written_.insert(name).second) return {};
    h5::DatasetSpec spec;
    spec.name = name;
    spec.axes = std::move(axes);
    spec.shape = values.shape();
    SACCADE_TRY(h5::Handle dataset, file_.dataset(spec));
    std::vector<int64_t> offset(spec.shape.size(), 0), count = spec.shape;
    const int64_t row_bytes = values.bytes() / spec.shape[0];
    const int64_t rows = std::max<int64_t>(1, block_bytes / std::max<int64_t>(1, row_bytes));
    for (int64_t begin = 0; begin < spec.shape[0]; begin += rows) {
      offset[0] = begin;
      count[0] = std::min(rows, spec.shape[0] - begin);
      SACCADE_CHECK(file_.block(dataset, spec, offset, count, values.slice(begin).data()));
      SACCADE_CHECK(wrote(count[0] * row_bytes, name));
    }
    return file_.finish(std::move(dataset), name);
  }

  Result<void> site(SiteRef site, const HostTensor& values) {
    return tensor(full_name(site), values, info_of(site.site).axes);
  }

  Result<void> layer(int32_t l) {
    const LayerCapture& layer = layer_of(l);
    SACCADE_CHECK(site({HookSite::resid_pre, l}, layer.resid_pre));
    SACCADE_CHECK(site({HookSite::q, l}, layer.q_values()));
    SACCADE_CHECK(site({HookSite::k, l}, layer.k_values()));
    return tensor(dump::lse(l), layer.lse, {"head", "query"});
  }

  // All layers of one statistic in one dataset, [layer, head, position]; left out when a layer lacks it.
  Result<void> stack(const std::string& name, std::string_view axis, h5::Number number,
                     const std::function<std::pair<const void*, size_t>(const HeadStatistics&)>& values) {
    h5::DatasetSpec spec;
    spec.name = name;
    spec.axes = {"layer", "head", axis};
    spec.shape = {spec_.n_layer, spec_.n_head, capture_.n_token()};
    spec.number = number;
    const auto expected = static_cast<size_t>(spec.shape[1] * spec.shape[2]);
    for (int32_t l = 0; l < spec_.n_layer; ++l)
      if (values(layer_of(l).statistics).second != expected) return {};
    SACCADE_TRY(h5::Handle dataset, file_.dataset(spec));
    for (int32_t l = 0; l < spec_.n_layer; ++l) {
      const int64_t offset[] = {l, 0, 0}, count[] = {1, spec.shape[1], spec.shape[2]};
      SACCADE_CHECK(file_.block(dataset, spec, offset, count, values(layer_of(l).statistics).first));
      SACCADE_CHECK(wrote(static_cast<int64_t>(expected) * h5::bytes_of(number), name));
    }
    return file_.finish(std::move(dataset), name);
  }

  Result<void> statistics(const dump::Statistic& statistic) {
    return stack(statistic.name, statistic.position_axis, h5::Number::float32, [&](const HeadStatistics& s) {
      const HostTensor& values = s.*statistic.values;
      return std::pair<const void*, size_t>(values.data(), static_cast<size_t>(values.size()));
    });
  }

  Result<void> max_keys() {
    return stack(dump::max_key, "query", h5::Number::int32, [](const HeadStatistics& s) {
      return std::pair<const void*, size_t>(s.max_key.data(), s.max_key.size());
    });
  }

  Result<void> sites() {
    std::vector<std::string> recorded;
    for (const SiteRef& ref : options_.sites) {
      const std::string name = full_name(ref);
      if (is_map(ref)) {
        if (!written_.insert(name).second) continue;
        SACCADE_CHECK(write_maps(file_, shared(), ref, options_, kernels_,
                                 [&](int64_t bytes) { return wrote(bytes, name); }));
      } else if (const auto found = capture_.sites.find(ref); found != capture_.sites.end()) {
        SACCADE_CHECK(site(ref, found->second));
        if (std::find(recorded.begin(), recorded.end(), name) == recorded.end()) recorded.push_back(name);
      }
    }
    return file_.strings(dump::sites, "site", recorded, false);
  }

  const Capture& capture_;
  const ModelSpec& spec_;
  const DumpOptions& options_;
  const KernelSet& kernels_;
  const JobContext& job_;
  h5::Writer file_;
  std::set<std::string> written_;
  int64_t done_bytes_ = 0, total_bytes_ = 1;
};

}  // namespace

Result<void> write_dump(const Capture& capture, const std::filesystem::path& path, const DumpOptions& options,
                        const KernelSet& kernels, const JobContext& job) {
  return write_atomically(path, [&](const std::filesystem::path& temporary) {
    Result<void> written = DumpWriter(capture, options, kernels, job).write(temporary);
    if (!written.ok()) {
      // HDF5 cannot close a file that it cannot flush, and what is open keeps its room on the disk.
      std::error_code ignored;
      std::filesystem::resize_file(temporary, 0, ignored);
    }
    return written;
  });
}

}  // namespace saccade
