#include "core/capture/hdf5_file.h"

#include <hdf5.h>

#include <type_traits>
#include <utility>

namespace saccade::h5 {

static_assert(std::is_same_v<hid_t, int64_t>, "Handle stores HDF5 identifiers as int64_t");
static_assert(std::is_same_v<herr_t, int>);

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, -1)), close_(std::exchange(other.close_, nullptr)) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    reset();
    id_ = std::exchange(other.id_, -1);
    close_ = std::exchange(other.close_, nullptr);
  }
  return *this;
}

bool Handle::reset() {
  const int64_t id = std::exchange(id_, -1);
  return id < 0 || !close_ || close_(id) >= 0;
}

std::string_view name_of(Number number) {
  switch (number) {
    case Number::float32:
      return "float32";
    case Number::float16:
      return "float16";
    case Number::float64:
      return "float64";
    case Number::int32:
      return "int32";
    case Number::int64:
      return "int64";
    case Number::uint8:
      return "uint8";
  }
  return "other";
}

int64_t bytes_of(Number number) {
  switch (number) {
    case Number::float32:
    case Number::int32:
      return 4;
    case Number::float16:
      return 2;
    case Number::float64:
    case Number::int64:
      return 8;
    case Number::uint8:
      return 1;
  }
  return 1;
}

void prepare() {
  H5dont_atexit();
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

namespace {

herr_t keep_innermost(unsigned n, const H5E_error2_t* error, void* text) {
  if (n == 0 && error->desc) *static_cast<std::string*>(text) = error->desc;
  return 0;
}

}  // namespace

std::string take_complaint() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &text);
  H5Eclear2(H5E_DEFAULT);
  // The file driver's own reports hold the system's words among addresses and times: keep the words.
  constexpr std::string_view mark = "error message = '";
  if (const size_t at = text.find(mark); at != std::string::npos) {
    const size_t begin = at + mark.size();
    text = text.substr(begin, text.find('\'', begin) - begin);
  }
  return text.empty() ? "HDF5 gives no reason" : text;
}

Handle type_of(Number number) {
  switch (number) {
    case Number::float32:
      return {H5Tcopy(H5T_IEEE_F32LE), H5Tclose};
    case Number::float16: {
      Handle half(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
      H5Tset_fields(half.id(), 15, 10, 5, 0, 10);  // sign, exponent and its width, mantissa and its width
      H5Tset_size(half.id(), 2);
      H5Tset_ebias(half.id(), 15);
      return half;
    }
    case Number::float64:
      return {H5Tcopy(H5T_IEEE_F64LE), H5Tclose};
    case Number::int32:
      return {H5Tcopy(H5T_STD_I32LE), H5Tclose};
    case Number::int64:
      return {H5Tcopy(H5T_STD_I64LE), H5Tclose};
    case Number::uint8:
      return {H5Tcopy(H5T_STD_U8LE), H5Tclose};
  }
  return {};
}

}  // namespace saccade::h5
