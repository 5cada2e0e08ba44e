#include "core/tokens/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

namespace saccade::tokens {
namespace {

// Ends the stream whatever happens.
class Inflater {
 public:
  explicit Inflater(std::string_view bytes) {
    // zlib does not write to its input, but says so only when built with ZLIB_CONST.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // NOLINT
    stream_.avail_in = static_cast<uInt>(bytes.size());
    constexpr int gzip_only = 16 + MAX_WBITS;
    ready_ = inflateInit2(&stream_, gzip_only) == Z_OK;
  }
  ~Inflater() {
    if (ready_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  Result<std::string> run(size_t limit) {
    if (!ready_) return make_error(ErrorCode::out_of_memory, "no memory to unpack a file");
    constexpr size_t step = size_t{1} << 18;
    std::string out;
    while (true) {
      const size_t done = out.size();
      if (done > limit) {
        return make_error(ErrorCode::unsupported,
                          fmt::format("more than {} bytes come out of the packed file", limit));
      }
      out.resize(done + step);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + done);
      stream_.avail_out = static_cast<uInt>(step);
      const int state = inflate(&stream_, Z_NO_FLUSH);
      out.resize(out.size() - stream_.avail_out);
      if (state == Z_STREAM_END) return out;
      if (state != Z_OK) {
        const char* why = stream_.msg != nullptr ? stream_.msg : "it is cut short";
        return make_error(ErrorCode::bad_format, fmt::format("the packed file is damaged: {}", why));
      }
    }
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

}  // namespace

bool looks_like_gzip(std::string_view bytes) { return bytes.starts_with("\x1F\x8B"); }

Result<std::string> unpack_gzip(std::string_view bytes, size_t limit) {
  constexpr size_t most = size_t{1} << 30;
  if (bytes.size() > most)
    return make_error(ErrorCode::unsupported,
                      fmt::format("a packed file of {} bytes is too long", bytes.size()));
  return Inflater(bytes).run(limit);
}

}  // namespace saccade::tokens
