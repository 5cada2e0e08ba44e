#include <fmt/format.h>
#include <hdf5.h>
#include <hdf5_hl.h>

#include <algorithm>

#include "core/base/memory.h"
#include "core/capture/encoding.h"
#include "core/capture/hdf5_file.h"

namespace saccade::h5 {
namespace {

constexpr size_t longest_fixed_text = size_t{1} << 20;
constexpr int64_t most_inflation = 1100;  // deflate cannot do better than 1032 to 1
constexpr int64_t stored_string = 16;     // a variable-length string's reference in the file

Error bad(std::string_view kind, std::string_view name, const std::string& what) {
  return make_error(ErrorCode::bad_format, fmt::format("{} '{}': {}", kind, name, what));
}

Handle attribute_of(int64_t file, const std::string& name) {
  return {H5Aopen(file, name.c_str(), H5P_DEFAULT), H5Aclose};
}

// Opens a root attribute that holds one value of a type class.
Result<Handle> one_value(int64_t file, const std::string& name, std::initializer_list<H5T_class_t> classes,
                         std::string_view expected) {
  if (H5Aexists(file, name.c_str()) <= 0)
    return bad("attribute", name, fmt::format("expected {}, found no such attribute", expected));
  Handle attribute = attribute_of(file, name);
  const Handle type(H5Aget_type(attribute.id()), H5Tclose);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose);
  const bool fits = std::find(classes.begin(), classes.end(), H5Tget_class(type.id())) != classes.end();
  if (!fits || H5Sget_simple_extent_npoints(space.id()) != 1)
    return bad("attribute", name, fmt::format("expected {}, found something else", expected));
  return attribute;
}

std::vector<int64_t> shape_of(int64_t dataset) {
  const Handle space(H5Dget_space(dataset), H5Sclose);
  const int rank = H5Sget_simple_extent_ndims(space.id());
  if (rank <= 0) return {};
  std::vector<hsize_t> extents(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr);
  return {extents.begin(), extents.end()};
}

std::string number_name(int64_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  if (kind == H5T_STRING) return "string";
  const bool is_signed = kind == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2;
  for (const Number number :
       {Number::float32, Number::float16, Number::float64, Number::int32, Number::int64, Number::uint8}) {
    const bool is_float = number == Number::float32 || number == Number::float16 || number == Number::float64;
    if (kind != (is_float ? H5T_FLOAT : H5T_INTEGER)) continue;
    if (!is_float && is_signed != (number != Number::uint8)) continue;
    if (static_cast<int64_t>(H5Tget_size(type)) == bytes_of(number)) return std::string(name_of(number));
  }
  return "other";
}

// The bytes that `count` elements of `size` take, or -1 when the product does not fit.
int64_t bytes_in(std::span<const int64_t> shape, int64_t size) {
  int64_t bytes = size;
  for (const int64_t extent : shape)
    if (extent < 0 || __builtin_mul_overflow(bytes, extent, &bytes)) return -1;
  return bytes;
}

Result<void> check_size(int64_t dataset, const std::string& name, std::span<const int64_t> shape,
                        int64_t size) {
  const int64_t bytes = bytes_in(shape, size);
  const auto stored = static_cast<int64_t>(H5Dget_storage_size(dataset));
  if (bytes < 0 || bytes / most_inflation > stored)
    return bad("dataset", name,
               fmt::format("its shape [{}] promises more than the {} bytes it stores", fmt::join(shape, ", "),
                           stored));
  if (bytes > available_bytes())
    return make_error(ErrorCode::out_of_memory,
                      fmt::format("dataset '{}': needs {}, and {} are free", name, format_bytes(bytes),
                                  format_bytes(available_bytes())));
  return {};
}

herr_t collect(hid_t, const char* name, const H5L_info_t* link, void* names) {
  if (link->type == H5L_TYPE_HARD) static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

}  // namespace

Result<Reader> Reader::open(const std::filesystem::path& path) {
  prepare();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG);
  Reader reader;
  reader.file_ = Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose);
  if (!reader.file_.valid())
    return make_error(ErrorCode::bad_format,
                      fmt::format("expected a whole HDF5 file; HDF5 says: {}", take_complaint()));
  return reader;
}

bool Reader::has_attribute(const std::string& name) const { return H5Aexists(file_.id(), name.c_str()) > 0; }

Result<std::string> Reader::text(const std::string& name) const {
  SACCADE_TRY(const Handle attribute, one_value(file_.id(), name, {H5T_STRING}, "a text"));
  const Handle type(H5Aget_type(attribute.id()), H5Tclose);
  std::string value;
  if (H5Tis_variable_str(type.id()) > 0) {
    const Handle memory(H5Tcopy(type.id()), H5Tclose);
    char* text = nullptr;
    if (H5Aread(attribute.id(), memory.id(), static_cast<void*>(&text)) < 0)
      return bad("attribute", name, "cannot read it: " + take_complaint());
    if (text) value = text;
    H5free_memory(text);
  } else {
    const size_t size = H5Tget_size(type.id());
    if (size > longest_fixed_text) return bad("attribute", name, fmt::format("{} bytes are too many", size));
    value.resize(size);
    if (H5Aread(attribute.id(), type.id(), value.data()) < 0)
      return bad("attribute", name, "cannot read it: " + take_complaint());
    value.resize(std::min(value.find('\0'), value.size()));
  }
  return has_attribute(name + "_escaped") ? unescape(value) : Result<std::string>(value);
}

Result<int64_t> Reader::integer(const std::string& name) const {
  SACCADE_TRY(const Handle attribute, one_value(file_.id(), name, {H5T_INTEGER}, "a whole number"));
  int64_t value = 0;
  if (H5Aread(attribute.id(), H5T_NATIVE_INT64, &value) < 0)
    return bad("attribute", name, "cannot read it: " + take_complaint());
  return value;
}

Result<double> Reader::real(const std::string& name) const {
  SACCADE_TRY(const Handle attribute, one_value(file_.id(), name, {H5T_FLOAT, H5T_INTEGER}, "a number"));
  double value = 0.0;
  if (H5Aread(attribute.id(), H5T_NATIVE_DOUBLE, &value) < 0)
    return bad("attribute", name, "cannot read it: " + take_complaint());
  return value;
}

bool Reader::has(const std::string& name) const {
  for (size_t slash = name.find('/');; slash = name.find('/', slash + 1)) {
    const std::string part = name.substr(0, slash);
    H5L_info_t link{};
    if (H5Lexists(file_.id(), part.c_str(), H5P_DEFAULT) <= 0 ||
        H5Lget_info(file_.id(), part.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
      return false;
    if (slash == std::string::npos) break;
  }
  const Handle object(H5Oopen(file_.id(), name.c_str(), H5P_DEFAULT), H5Oclose);
  return object.valid() && H5Iget_type(object.id()) == H5I_DATASET;
}

Result<Handle> Reader::open_dataset(const std::string& name) const {
  if (!has(name)) return bad("dataset", name, "it is missing");
  Handle dataset(H5Dopen2(file_.id(), name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.valid()) return bad("dataset", name, "cannot open it: " + take_complaint());
  const Handle creation(H5Dget_create_plist(dataset.id()), H5Pclose);
  if (H5Pget_layout(creation.id()) == H5D_VIRTUAL || H5Pget_external_count(creation.id()) != 0)
    return bad("dataset", name, "its numbers are in another file, which is not followed");
  return dataset;
}

Result<Found> Reader::describe(const std::string& name) const {
  SACCADE_TRY(const Handle dataset, open_dataset(name));
  const Handle type(H5Dget_type(dataset.id()), H5Tclose);
  Found found;
  found.shape = shape_of(dataset.id());
  found.number = number_name(type.id());
  found.stored_bytes = static_cast<int64_t>(H5Dget_storage_size(dataset.id()));
  found.is_scale = H5DSis_scale(dataset.id()) > 0;
  for (unsigned i = 0; i < found.shape.size(); ++i) {
    char label[64] = {};
    const ssize_t length = H5DSget_label(dataset.id(), i, label, sizeof label);
    found.axes.emplace_back(length > 0 ? label : "");
  }
  H5Eclear2(H5E_DEFAULT);
  return found;
}

Result<std::vector<std::string>> Reader::names() const {
  std::vector<std::string> links, datasets;
  if (H5Lvisit(file_.id(), H5_INDEX_NAME, H5_ITER_INC, collect, &links) < 0)
    return make_error(ErrorCode::bad_format, "cannot list the datasets: " + take_complaint());
  std::copy_if(links.begin(), links.end(), std::back_inserter(datasets),
               [this](const std::string& name) { return has(name); });
  return datasets;
}

Result<void> Reader::check(const std::string& name, Number number, std::span<const int64_t> shape) const {
  SACCADE_TRY(const Found found, describe(name));
  if (found.number != name_of(number))
    return bad("dataset", name, fmt::format("expected {}, found {}", name_of(number), found.number));
  if (!std::equal(shape.begin(), shape.end(), found.shape.begin(), found.shape.end()))
    return bad(
        "dataset", name,
        fmt::format("expected shape [{}], found [{}]", fmt::join(shape, ", "), fmt::join(found.shape, ", ")));
  SACCADE_TRY(const Handle dataset, open_dataset(name));
  return check_size(dataset.id(), name, shape, bytes_of(number));
}

Result<void> Reader::numbers(const std::string& name, Number number, std::span<const int64_t> shape,
                             void* values) const {
  SACCADE_CHECK(check(name, number, shape));
  SACCADE_TRY(const Handle dataset, open_dataset(name));
  const Handle type = type_of(number);
  if (H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
    return bad("dataset", name, "cannot read it: " + take_complaint());
  return {};
}

Result<std::vector<float>> Reader::reals(const std::string& name) const {
  SACCADE_TRY(const Handle dataset, open_dataset(name));
  const Handle type(H5Dget_type(dataset.id()), H5Tclose);
  if (H5Tget_class(type.id()) != H5T_FLOAT)
    return bad("dataset", name, "expected real numbers, found something else");
  const std::vector<int64_t> shape = shape_of(dataset.id());
  SACCADE_CHECK(check_size(dataset.id(), name, shape, sizeof(float)));
  std::vector<float> values(static_cast<size_t>(bytes_in(shape, 1)));
  if (H5Dread(dataset.id(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    return bad("dataset", name, "cannot read it: " + take_complaint());
  return values;
}

Result<std::vector<std::string>> Reader::strings(const std::string& name) const {
  SACCADE_TRY(const Handle dataset, open_dataset(name));
  const Handle type(H5Dget_type(dataset.id()), H5Tclose);
  const std::vector<int64_t> shape = shape_of(dataset.id());
  if (H5Tis_variable_str(type.id()) <= 0 || shape.size() != 1)
    return bad("dataset", name, "expected a list of variable-length texts, found something else");
  SACCADE_CHECK(check_size(dataset.id(), name, shape, stored_string));
  std::vector<char*> pointers(static_cast<size_t>(shape[0]), nullptr);
  const Handle memory(H5Tcopy(type.id()), H5Tclose);
  const Handle space(H5Dget_space(dataset.id()), H5Sclose);
  // When reading fails the pointers may be anything, so they are left alone.
  if (H5Dread(dataset.id(), memory.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) < 0)
    return bad("dataset", name, "cannot read it: " + take_complaint());
  std::vector<std::string> texts;
  for (const char* text : pointers) texts.emplace_back(text ? text : "");
  H5Dvlen_reclaim(memory.id(), space.id(), H5P_DEFAULT, pointers.data());
  if (const std::string flags = name + "_escaped"; has(flags)) {
    std::vector<uint8_t> escaped(texts.size());
    SACCADE_CHECK(numbers(flags, Number::uint8, shape, escaped.data()));
    for (size_t i = 0; i < texts.size(); ++i)
      if (escaped[i]) {
        SACCADE_TRY(texts[i], unescape(texts[i]));
      }
  }
  return texts;
}

}  // namespace saccade::h5
