#include "core/model/weight_reader.h"

#include <algorithm>
#include <cstring>

#include "core/model/quantised.h"

namespace saccade {
namespace {

float half_to_float(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16, exponent = (half >> 10) & 31u, mantissa = half & 1023u;
  uint32_t bits = sign;
  if (exponent == 31) {
    bits |= 0x7F800000u | (mantissa << 13);
  } else if (exponent > 0) {
    bits |= ((exponent + 112) << 23) | (mantissa << 13);
  } else {
    const float small = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -small : small;
  }
  float value = 0.0f;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float bfloat_to_float(uint16_t bfloat) {
  const uint32_t bits = static_cast<uint32_t>(bfloat) << 16;
  float value = 0.0f;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <class T>
T read(const std::byte* data, int64_t index) {
  T value;
  std::memcpy(&value, data + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

// A stored matrix read cell by cell, widened a row at a time.
class StoredRows {
 public:
  explicit StoredRows(const TensorView& tensor)
      : tensor_(tensor), columns_(tensor.shape.back()), row_(static_cast<size_t>(columns_)) {}
  [[nodiscard]] const std::vector<float>& row(int64_t r) {
    widen(tensor_, r * columns_, columns_, row_.data());
    return row_;
  }

 private:
  const TensorView& tensor_;
  int64_t columns_;
  std::vector<float> row_;
};

}  // namespace

void widen(const TensorView& tensor, int64_t first, int64_t count, float* out) {
  if (is_quantised(tensor.dtype)) {
    widen_blocks(tensor.dtype, tensor.data + bytes_of(tensor.dtype, first), count, out);
    return;
  }
  if (tensor.dtype == DType::f32) {
    std::memcpy(out, tensor.data + first * static_cast<int64_t>(sizeof(float)),
                static_cast<size_t>(count) * sizeof(float));
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    switch (tensor.dtype) {
      case DType::f16:
        out[i] = half_to_float(read<uint16_t>(tensor.data, first + i));
        break;
      case DType::bf16:
        out[i] = bfloat_to_float(read<uint16_t>(tensor.data, first + i));
        break;
      case DType::f64:
        out[i] = static_cast<float>(read<double>(tensor.data, first + i));
        break;
      default:  // weights are floating point: WeightMap::bind refuses others
        out[i] = 0.0f;
        break;
    }
  }
}

HostTensor WeightReader::vector(Slot slot, int32_t layer) const {
  const Weight weight = model_->weights().get(slot, layer);
  if (weight.tensor == nullptr) return {};
  HostTensor made({weight.tensor->elements()}, false);
  widen(*weight.tensor, 0, made.size(), made.mutable_values().data());
  return made;
}

HostTensor WeightReader::norm_weight(Slot slot, int32_t layer) const {
  HostTensor made = vector(slot, layer);
  if (made.empty()) {
    made = HostTensor({model_->spec().d_model}, false);
    std::fill(made.mutable_values().begin(), made.mutable_values().end(), 1.0f);
    return made;
  }
  for (float& value : made.mutable_values()) value += static_cast<float>(model_->spec().norm_offset);
  return made;
}

HostTensor WeightReader::norm1_weight(int32_t layer) const { return norm_weight(Slot::norm1_weight, layer); }
HostTensor WeightReader::final_norm_weight() const { return norm_weight(Slot::final_norm_weight, -1); }
HostTensor WeightReader::final_norm_bias() const { return vector(Slot::final_norm_bias, -1); }
HostTensor WeightReader::output_bias(int32_t layer) const { return vector(Slot::o_bias, layer); }

namespace {

// Where the outputs of head `index` of q (0), k (1) or v (2) begin among those of a fused projection.
int64_t fused_begin(const ModelSpec& spec, int32_t which, int32_t index) {
  const int64_t d = spec.d_head, group = spec.n_head / spec.n_kv_head;
  if (spec.qkv_layout == QkvLayout::per_kv_head) {
    const int64_t kv = which == 0 ? index / group : index;
    return kv * (group + 2) * d + (which == 0 ? index % group : group + which - 1) * d;
  }
  const int64_t before = which == 0 ? 0 : which == 1 ? spec.n_head : spec.n_head + spec.n_kv_head;
  return (before + index) * d;
}

}  // namespace

HostTensor WeightReader::projection(Slot own, Slot fused, HeadId head, int32_t which) const {
  const ModelSpec& spec = model_->spec();
  const int32_t index = which == 0 ? head.head.value : spec.kv_head_of(head.head.value);
  Weight weight = model_->weights().get(own, head.layer.value);
  int64_t begin = int64_t{index} * spec.d_head;
  if (weight.tensor == nullptr) {
    weight = model_->weights().get(fused, head.layer.value);
    begin = fused_begin(spec, which, index);
  }
  HostTensor made({spec.d_model, spec.d_head}, false);
  float* out = made.mutable_values().data();
  StoredRows stored(*weight.tensor);
  switch (weight.layout) {
    case MatrixLayout::out_in:
      for (int64_t c = 0; c < spec.d_head; ++c) {
        const std::vector<float>& row = stored.row(begin + c);
        for (int64_t r = 0; r < spec.d_model; ++r) out[r * spec.d_head + c] = row[static_cast<size_t>(r)];
      }
      break;
    case MatrixLayout::in_out:
      for (int64_t r = 0; r < spec.d_model; ++r)
        std::copy_n(stored.row(r).data() + begin, spec.d_head, out + r * spec.d_head);
      break;
    case MatrixLayout::per_head_in_out:
      for (int64_t r = 0; r < spec.d_model; ++r)
        std::copy_n(stored.row(int64_t{index} * spec.d_model + r).data(), spec.d_head, out + r * spec.d_head);
      break;
  }
  return made;
}

HostTensor WeightReader::query(HeadId head) const {
  return projection(Slot::q_weight, Slot::qkv_weight, head, 0);
}
HostTensor WeightReader::key(HeadId head) const {
  return projection(Slot::k_weight, Slot::qkv_weight, head, 1);
}
HostTensor WeightReader::value(HeadId head) const {
  return projection(Slot::v_weight, Slot::qkv_weight, head, 2);
}

HostTensor WeightReader::value_bias(HeadId head) const {
  const ModelSpec& spec = model_->spec();
  const int32_t kv = spec.kv_head_of(head.head.value);
  const HostTensor own = vector(Slot::v_bias, head.layer.value),
                   fused = vector(Slot::qkv_bias, head.layer.value);
  if (own.empty() && fused.empty()) return {};
  HostTensor made({spec.d_head}, false);
  const float* from =
      own.empty() ? fused.data() + fused_begin(spec, 2, kv) : own.data() + int64_t{kv} * spec.d_head;
  std::copy_n(from, spec.d_head, made.mutable_values().data());
  return made;
}

HostTensor WeightReader::output(HeadId head) const {
  const ModelSpec& spec = model_->spec();
  const Weight weight = model_->weights().get(Slot::o_weight, head.layer.value);
  const int64_t begin = int64_t{head.head.value} * spec.d_head;
  HostTensor made({spec.d_head, spec.d_model}, false);
  float* out = made.mutable_values().data();
  StoredRows stored(*weight.tensor);
  if (weight.layout == MatrixLayout::out_in) {
    for (int64_t c = 0; c < spec.d_model; ++c) {
      const std::vector<float>& row = stored.row(c);
      for (int64_t r = 0; r < spec.d_head; ++r)
        out[r * spec.d_model + c] = row[static_cast<size_t>(begin + r)];
    }
    return made;
  }
  // [head * d_head, d_model], also as [head, d_head, d_model]
  for (int64_t r = 0; r < spec.d_head; ++r)
    std::copy_n(stored.row(begin + r).data(), spec.d_model, out + r * spec.d_model);
  return made;
}

HostTensor WeightReader::rows_of(Slot slot, const std::vector<int32_t>& rows) const {
  const Weight weight = model_->weights().get(slot);
  const bool across = weight.layout != MatrixLayout::out_in;  // a vocabulary along the columns
  const int64_t width = across ? weight.tensor->shape.front() : weight.tensor->shape.back();
  HostTensor made({static_cast<int64_t>(rows.size()), width}, false);
  float* out = made.mutable_values().data();
  StoredRows stored(*weight.tensor);
  if (!across) {
    for (const int32_t row : rows) out = std::copy_n(stored.row(row).data(), width, out);
    return made;
  }
  for (int64_t c = 0; c < width; ++c) {
    const std::vector<float>& cells = stored.row(c);
    for (size_t r = 0; r < rows.size(); ++r)
      out[static_cast<int64_t>(r) * width + c] = cells[static_cast<size_t>(rows[r])];
  }
  return made;
}

HostTensor WeightReader::embed(const std::vector<int32_t>& ids) const { return rows_of(Slot::embed, ids); }

HostTensor WeightReader::unembed(const std::vector<int32_t>& ids) const {
  return rows_of(model_->weights().get(Slot::unembed).tensor != nullptr ? Slot::unembed : Slot::embed, ids);
}

bool WeightReader::has_output_norms() const {
  return model_->weights().get(Slot::attn_out_norm_weight, 0).tensor != nullptr;
}

float WeightReader::unembed_bias(int32_t id) const {
  const Weight weight = model_->weights().get(Slot::unembed_bias);
  float value = 0.0f;
  if (weight.tensor != nullptr) widen(*weight.tensor, id, 1, &value);
  return value;
}

}  // namespace saccade
