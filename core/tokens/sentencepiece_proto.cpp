#include "core/tokens/sentencepiece_proto.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

constexpr size_t max_nested_user_pieces = 64;  // more than this the library cannot hold

Error bad(std::string message) { return make_error(ErrorCode::bad_format, std::move(message)); }

// One field of a message: its number and its value, a number or bytes.
struct Field {
  uint64_t number = 0;
  enum class Kind { varint, fixed32, fixed64, bytes } kind = Kind::varint;
  uint64_t value = 0;
  std::string_view bytes;
  size_t at = 0;  // byte of the file
};

// Fields of a message one after another. `base`: the byte of the file where the message begins.
class WireReader {
 public:
  WireReader(std::string_view message, size_t base) : message_(message), base_(base) {}
  [[nodiscard]] bool at_end() const { return at_ == message_.size(); }

  Result<Field> next() {
    Field field;
    field.at = base_ + at_;
    SACCADE_TRY(const uint64_t key, varint());
    field.number = key >> 3;
    if (field.number == 0 || field.number > 0x1FFFFFFF)
      return fail(field.at, "a field number that cannot be");
    switch (key & 7) {
      case 0: {
        SACCADE_TRY(field.value, varint());
        return field;
      }
      case 1:
        field.kind = Field::Kind::fixed64;
        SACCADE_CHECK(fixed(8, field));
        return field;
      case 2: {
        field.kind = Field::Kind::bytes;
        SACCADE_TRY(const uint64_t size, varint());
        field.at = base_ + at_;
        if (size > message_.size() - at_)
          return fail(field.at, fmt::format("a field of {} bytes, {} are left", size, message_.size() - at_));
        field.bytes = message_.substr(at_, size);
        at_ += size;
        return field;
      }
      case 5:
        field.kind = Field::Kind::fixed32;
        SACCADE_CHECK(fixed(4, field));
        return field;
      default:
        return fail(field.at, fmt::format("a field of the unknown kind {}", key & 7));
    }
  }

 private:
  static Error fail(size_t at, std::string_view what) {
    return bad(fmt::format("this is no SentencePiece model: at byte {} there is {}", at, what));
  }
  Result<uint64_t> varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == message_.size()) return fail(base_ + at_, "the end in the middle of a number");
      const auto byte = static_cast<unsigned char>(message_[at_++]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return fail(base_ + at_, "a number of more than 64 bits");
  }
  Result<void> fixed(size_t size, Field& field) {
    if (message_.size() - at_ < size) return fail(base_ + at_, "the end in the middle of a number");
    for (size_t i = 0; i < size; ++i)
      field.value |= static_cast<uint64_t>(static_cast<unsigned char>(message_[at_ + i])) << 8 * i;
    at_ += size;
    return {};
  }

  std::string_view message_;
  size_t base_ = 0, at_ = 0;
};

Error wrong_kind(const Field& field, std::string_view what) {
  return bad(fmt::format("this is no SentencePiece model: the field {} at byte {} is not {}", field.number,
                         field.at, what));
}

template <class Visit>
Result<void> visit_fields(std::string_view message, size_t base, const Visit& visit) {
  WireReader reader(message, base);
  while (!reader.at_end()) {
    SACCADE_TRY(const Field field, reader.next());
    SACCADE_CHECK(visit(field));
  }
  return {};
}

bool is_byte_name(std::string_view text) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return text.size() == 6 && text.starts_with("<0x") && text[5] == '>' && is_digit(text[3]) &&
         is_digit(text[4]);
}

Result<SentencePieceProto::Piece> read_piece(const Field& message, size_t id) {
  SentencePieceProto::Piece piece;
  SACCADE_CHECK(visit_fields(message.bytes, message.at, [&](const Field& field) -> Result<void> {
    if (field.number == 1) {
      if (field.kind != Field::Kind::bytes) return wrong_kind(field, "a piece's text");
      piece.text = field.bytes;
    } else if (field.number == 2) {
      if (field.kind != Field::Kind::fixed32) return wrong_kind(field, "a score");
      piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    } else if (field.number == 3) {
      if (field.kind != Field::Kind::varint || field.value < 1 || field.value > 6)
        return wrong_kind(field, "a type of piece, 1 to 6");
      piece.type = static_cast<PieceType>(field.value);
    }
    return {};
  }));
  const auto fail = [&](std::string_view why) { return bad(fmt::format("piece {}: {}", id, why)); };
  if (piece.text.empty()) return fail("it has no text");
  if (piece.text.find('\0') != std::string_view::npos) return fail("its text holds a zero byte");
  if (find_invalid_utf8(piece.text)) return fail("its text is not valid UTF-8");
  if (piece.type == PieceType::byte && !is_byte_name(piece.text))
    return fail(
        fmt::format("it stands for a byte, but is called \"{}\", expected the form <0x0A>", piece.text));
  if (!std::isfinite(piece.score)) return fail("its score is no finite number");
  return piece;
}

Result<void> read_trainer(const Field& message, SentencePieceProto& proto) {
  return visit_fields(message.bytes, message.at, [&](const Field& field) -> Result<void> {
    if (field.number != 3) return {};
    if (field.kind != Field::Kind::varint || field.value < 1 || field.value > 4)
      return wrong_kind(field, "a type of model, 1 to 4");
    proto.algorithm = static_cast<SentencePieceProto::Algorithm>(field.value);
    return {};
  });
}

Result<void> read_normalization(const Field& message, SentencePieceProto::Normalization& into) {
  return visit_fields(message.bytes, message.at, [&](const Field& field) -> Result<void> {
    if (field.number == 2) {
      if (field.kind != Field::Kind::bytes) return wrong_kind(field, "a table of characters");
      into.characters = field.bytes;
    } else if (field.number >= 3 && field.number <= 5) {
      if (field.kind != Field::Kind::varint) return wrong_kind(field, "yes or no");
      if (field.number == 3) into.add_dummy_prefix = field.value != 0;
      if (field.number == 5) into.escape_whitespaces = field.value != 0;
    }
    return {};
  });
}

// How many user-defined pieces can begin at one place of a text.
size_t deepest_nesting(const std::vector<SentencePieceProto::Piece>& pieces) {
  std::vector<std::string_view> texts;
  for (const auto& piece : pieces) {
    if (piece.type == PieceType::user_defined) texts.push_back(piece.text);
  }
  std::sort(texts.begin(), texts.end());
  std::vector<std::string_view> open;  // each begins with the one before it
  size_t deepest = 0;
  for (const std::string_view text : texts) {
    while (!open.empty() && !text.starts_with(open.back())) open.pop_back();
    open.push_back(text);
    deepest = std::max(deepest, open.size());
  }
  return deepest;
}

Result<void> check(const SentencePieceProto& proto) {
  if (proto.pieces.empty()) return bad("this is no SentencePiece model: it has no pieces");
  const auto unknown = std::count_if(proto.pieces.begin(), proto.pieces.end(),
                                     [](const auto& piece) { return piece.type == PieceType::unknown; });
  if (unknown != 1)
    return bad(fmt::format("the model has {} pieces for what is unknown, expected one", unknown));
  if (const size_t deepest = deepest_nesting(proto.pieces); deepest > max_nested_user_pieces) {
    return make_error(
        ErrorCode::unsupported,
        fmt::format("the model has {} user-defined pieces that begin alike, at most {} are supported",
                    deepest, max_nested_user_pieces));
  }
  for (const auto* normalization : {&proto.normalization, &proto.denormalization}) {
    if (!normalization->characters.empty()) SACCADE_CHECK(check_character_table(normalization->characters));
  }
  return {};
}

Result<void> read_field(const Field& field, SentencePieceProto& proto) {
  if (field.number > 5) return {};
  if (field.kind != Field::Kind::bytes) return wrong_kind(field, "a message");
  if (field.number == 1) {
    SACCADE_TRY(const auto piece, read_piece(field, proto.pieces.size()));
    proto.pieces.push_back(piece);
  } else if (field.number == 2) {
    SACCADE_CHECK(read_trainer(field, proto));
  } else if (field.number == 3) {
    SACCADE_CHECK(read_normalization(field, proto.normalization));
  } else if (field.number == 5) {
    SACCADE_CHECK(read_normalization(field, proto.denormalization));
  }
  return {};
}

}  // namespace

Result<SentencePieceProto> SentencePieceProto::read(std::string_view file) {
  if (file.size() > INT32_MAX) {
    return make_error(ErrorCode::unsupported,
                      fmt::format("a SentencePiece model of {} bytes is longer than the {} allowed",
                                  file.size(), INT32_MAX));
  }
  SentencePieceProto proto;
  SACCADE_CHECK(visit_fields(file, 0, [&](const Field& field) { return read_field(field, proto); }));
  SACCADE_CHECK(check(proto));
  return proto;
}

std::string without_dummy_prefix() {
  return {"\x1A\x02\x18\x00", 4};  // normalizer_spec (3) of two bytes: add_dummy_prefix (3) = 0
}

}  // namespace saccade::tokens
