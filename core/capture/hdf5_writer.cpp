#include <fmt/format.h>
#include <hdf5.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/capture/encoding.h"
#include "core/capture/hdf5_file.h"

namespace saccade::h5 {
namespace {

constexpr unsigned deflate_level = 1;  // higher levels cost much time for little space on probabilities

Error failed(std::string_view kind, std::string_view name, std::string_view what) {
  return make_error(ErrorCode::io, fmt::format("{} '{}': cannot {}: {}", kind, name, what, take_complaint()));
}

Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

Handle space_of(std::span<const int64_t> shape) {
  std::vector<hsize_t> extents(shape.begin(), shape.end());
  return {H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose};
}

Handle creation_of(const DatasetSpec& spec) {
  Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation.id(), false);  // the same capture gives the same bytes
  if (spec.chunk.empty()) {
    H5Pset_fill_time(creation.id(), H5D_FILL_TIME_NEVER);
    return creation;
  }
  const std::vector<hsize_t> chunk(spec.chunk.begin(), spec.chunk.end());
  H5Pset_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data());
  H5Pset_fill_value(creation.id(), H5T_NATIVE_FLOAT, &spec.fill);
  H5Pset_shuffle(creation.id());
  H5Pset_deflate(creation.id(), deflate_level);
  return creation;
}

Result<Handle> create(int64_t file, const std::string& name, const Handle& type, const Handle& space,
                      const Handle& creation) {
  const Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links.id(), 1);
  H5Pset_char_encoding(links.id(), H5T_CSET_UTF8);
  Handle dataset(
      H5Dcreate2(file, name.c_str(), type.id(), space.id(), links.id(), creation.id(), H5P_DEFAULT),
      H5Dclose);
  if (!dataset.valid()) return failed("dataset", name, "make it");
  return dataset;
}

Result<void> scalar(int64_t file, const std::string& name, const Handle& type, const void* value) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate2(file, name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  if (!attribute.valid() || H5Awrite(attribute.id(), type.id(), value) < 0)
    return failed("attribute", name, "write it");
  return {};
}

}  // namespace

Result<Writer> Writer::create(const std::filesystem::path& path) {
  prepare();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG);
  Writer writer;
  writer.file_ = Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose);
  if (!writer.file_.valid())
    return make_error(ErrorCode::io, fmt::format("cannot make {}: {}", path.string(), take_complaint()));
  return writer;
}

Result<void> Writer::attribute(const std::string& name, std::string_view text) {
  const bool escaped = needs_escape(text);
  const std::string value = escaped ? escape(text) : std::string(text);
  const char* pointer = value.c_str();
  SACCADE_CHECK(scalar(file_.id(), name, text_type(), &pointer));
  return escaped ? attribute(name + "_escaped", int64_t{1}) : Result<void>();
}

Result<void> Writer::attribute(const std::string& name, int64_t number) {
  return scalar(file_.id(), name, type_of(Number::int64), &number);
}

Result<void> Writer::attribute(const std::string& name, double number) {
  return scalar(file_.id(), name, {H5Tcopy(H5T_IEEE_F64LE), H5Tclose}, &number);
}

// The dimension scale of an axis: the indices 0 .. length - 1, made when first needed.
Result<const Writer::Scale*> Writer::scale(std::string_view axis, int64_t length) {
  if (const auto known = scales_.find(axis); known != scales_.end()) {
    if (known->second.length == length) return &known->second;
    return make_error(ErrorCode::internal, fmt::format("axis '{}' has both {} and {} positions", axis,
                                                       known->second.length, length));
  }
  const std::string name = fmt::format("scales/{}", axis);
  const Handle type = type_of(Number::int32);
  DatasetSpec spec;
  spec.name = name;
  Scale scale;
  scale.length = length;
  SACCADE_TRY(scale.dataset, h5::create(file_.id(), name, type, space_of({&length, 1}), creation_of(spec)));
  std::vector<int32_t> indices(static_cast<size_t>(length));
  std::iota(indices.begin(), indices.end(), 0);
  if (H5Dwrite(scale.dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, indices.data()) < 0 ||
      H5DSset_scale(scale.dataset.id(), std::string(axis).c_str()) < 0)
    return failed("dataset", name, "write it");
  return &scales_.emplace(axis, std::move(scale)).first->second;
}

Result<void> Writer::attach(const Handle& dataset, const DatasetSpec& spec) {
  for (size_t i = 0; i < spec.axes.size(); ++i) {
    SACCADE_TRY(const Scale* scale, this->scale(spec.axes[i], spec.shape[i]));
    const auto axis = static_cast<unsigned>(i);
    if (H5DSset_label(dataset.id(), axis, std::string(spec.axes[i]).c_str()) < 0 ||
        H5DSattach_scale(dataset.id(), scale->dataset.id(), axis) < 0)
      return failed("dataset", spec.name, fmt::format("label axis {}", i));
  }
  return {};
}

Result<Handle> Writer::dataset(const DatasetSpec& spec) {
  SACCADE_TRY(Handle dataset, h5::create(file_.id(), spec.name, type_of(spec.number), space_of(spec.shape),
                                         creation_of(spec)));
  SACCADE_CHECK(attach(dataset, spec));
  return dataset;
}

Result<void> Writer::numbers(const DatasetSpec& spec, const void* values) {
  SACCADE_TRY(Handle dataset, this->dataset(spec));
  const Handle type = type_of(spec.number);
  if (H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
    return failed("dataset", spec.name, "write it");
  return finish(std::move(dataset), spec.name);
}

Result<void> Writer::finish(Handle dataset, const std::string& name) {
  if (!dataset.reset()) return failed("dataset", name, "write it");
  return {};
}

Result<void> Writer::block(const Handle& dataset, const DatasetSpec& spec, std::span<const int64_t> offset,
                           std::span<const int64_t> count, const void* values) {
  const std::vector<hsize_t> from(offset.begin(), offset.end()), extent(count.begin(), count.end());
  const Handle file_space(H5Dget_space(dataset.id()), H5Sclose);
  const Handle memory_space = space_of(count);
  const Handle type = type_of(spec.number);
  if (H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, from.data(), nullptr, extent.data(), nullptr) <
          0 ||
      H5Dwrite(dataset.id(), type.id(), memory_space.id(), file_space.id(), H5P_DEFAULT, values) < 0)
    return failed("dataset", spec.name, "write it");
  return {};
}

Result<void> Writer::strings(const std::string& name, std::string_view axis,
                             std::span<const std::string> texts, bool flags) {
  std::vector<uint8_t> escaped;
  std::vector<std::string> written;
  std::vector<const char*> pointers;
  for (const std::string& text : texts) {
    escaped.push_back(needs_escape(text) ? 1 : 0);
    written.push_back(escaped.back() ? escape(text) : text);
  }
  for (const std::string& text : written) pointers.push_back(text.c_str());
  DatasetSpec spec;
  spec.name = name;
  spec.axes = {axis};
  spec.shape = {static_cast<int64_t>(texts.size())};
  const Handle type = text_type();
  const Handle creation = creation_of(spec);
  H5Pset_fill_time(creation.id(), H5D_FILL_TIME_IFSET);  // HDF5 needs it for variable lengths
  SACCADE_TRY(Handle dataset, h5::create(file_.id(), name, type, space_of(spec.shape), creation));
  SACCADE_CHECK(attach(dataset, spec));
  if (H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) < 0)
    return failed("dataset", name, "write it");
  SACCADE_CHECK(finish(std::move(dataset), name));
  if (!flags && std::find(escaped.begin(), escaped.end(), 1) == escaped.end()) return {};
  spec.name += "_escaped";
  spec.number = Number::uint8;
  return numbers(spec, escaped.data());
}

Result<void> Writer::close() {
  for (auto& [axis, scale] : scales_) SACCADE_CHECK(finish(std::move(scale.dataset), "scales/" + axis));
  if (H5Fflush(file_.id(), H5F_SCOPE_GLOBAL) < 0 || !file_.reset())
    return make_error(ErrorCode::io, fmt::format("cannot bring the last data to disk: {}", take_complaint()));
  return {};
}

}  // namespace saccade::h5
