#include "core/run/tensor_ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "core/model/quantised.h"

namespace saccade::ops {

// The numbers lie in `tensor`, in host memory, or, of what a device computed, in `away` only. Of a stored
// weight `away` is a copy; of anything else that is in host memory there is none, for it may be written to.
struct DeviceTensor::Impl {
  at::Tensor tensor;                  // of quantised weights their bytes, [rows, bytes of a row]
  at::Tensor away = {};               // on the device
  bool constant = false;              // a stored weight
  DType dtype = DType::f32;           // of stored weights
  int64_t columns = 0;                // of quantised weights
  std::shared_ptr<const void> owner;  // keeps viewed memory alive
};

namespace {

DeviceTensor handle(at::Tensor tensor, std::shared_ptr<const void> owner = nullptr) {
  auto impl = std::make_shared<DeviceTensor::Impl>();
  impl->tensor = std::move(tensor);
  impl->owner = std::move(owner);
  return DeviceTensor(std::move(impl));
}

thread_local Device current = {};
std::vector<std::weak_ptr<DeviceTensor::Impl>> copied_weights;  // of the engine thread
int64_t n_copied = 0;

at::Tensor to_device(const at::Tensor& host) {
  if (current.kind == DeviceKind::rehearsal) return host.clone();
  return host.to(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(current.index)));
}

at::Tensor from_device(const at::Tensor& away) {
  return away.is_cpu() ? away.clone() : away.to(at::kCPU).contiguous();
}

bool is_away(const DeviceTensor& x) { return !x.impl().tensor.defined(); }

// In host memory, fetched if need be.
const at::Tensor& tensor_of(const DeviceTensor& x) {
  DeviceTensor::Impl& impl = x.impl();
  if (impl.tensor.defined()) return impl.tensor;
  impl.tensor = from_device(impl.away);
  impl.away.reset();
  return impl.tensor;
}

// Where the calling thread computes.
at::Tensor here(const DeviceTensor& x) {
  DeviceTensor::Impl& impl = x.impl();
  if (!on_device()) return tensor_of(x);
  if (impl.away.defined()) return impl.away;
  const at::Tensor away = to_device(impl.tensor);
  if (!impl.constant) return away;
  impl.away = away;
  copied_weights.push_back(x.shared());
  ++n_copied;
  return away;
}

// What is written in place is written where it lies; `with` comes to the same side.
at::Tensor where_it_lies(const DeviceTensor& x) {
  return is_away(x) && on_device() ? x.impl().away : tensor_of(x);
}
at::Tensor beside(const DeviceTensor& x, const DeviceTensor& with) {
  return is_away(x) && on_device() ? here(with) : tensor_of(with);
}

// A result of what was computed here().
DeviceTensor made_here(at::Tensor tensor) {
  auto impl = std::make_shared<DeviceTensor::Impl>();
  (on_device() ? impl->away : impl->tensor) = std::move(tensor);
  return DeviceTensor(std::move(impl));
}

DeviceTensor constant(DeviceTensor x) {
  x.impl().constant = true;
  return x;
}

bool is_quantised(const DeviceTensor& x) { return saccade::is_quantised(x.impl().dtype); }

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return at::kFloat;
    case DType::f16:
      return at::kHalf;
    case DType::bf16:
      return at::kBFloat16;
    case DType::f64:
      return at::kDouble;
    case DType::i64:
      return at::kLong;
    case DType::i32:
      return at::kInt;
    case DType::i16:
      return at::kShort;
    case DType::i8:
      return at::kChar;
    case DType::u8:
    case DType::q4_0:  // blocks are bytes
    case DType::q4_1:
    case DType::q5_0:
    case DType::q5_1:
    case DType::q8_0:
    case DType::q2_k:
    case DType::q3_k:
    case DType::q4_k:
    case DType::q5_k:
    case DType::q6_k:
      return at::kByte;
    case DType::boolean:
      return at::kBool;
  }
  return at::kFloat;
}

at::Tensor map(const TensorView& view) {
  return at::from_blob(const_cast<std::byte*>(view.data), view.shape,
                       at::TensorOptions(scalar_type(view.dtype)));
}

at::Tensor widened(const at::Tensor& weight) { return weight.to(at::kFloat); }

// Rows [begin, end) of weights stored in blocks, as float32. Rows are widened side by side.
at::Tensor widened_blocks(const DeviceTensor& x, int64_t begin, int64_t end) {
  const DeviceTensor::Impl& impl = x.impl();
  at::Tensor made = at::empty({end - begin, impl.columns}, at::kFloat);
  const auto* bytes = reinterpret_cast<const std::byte*>(impl.tensor.data_ptr<uint8_t>());
  const int64_t stride = impl.tensor.size(1);
  float* out = made.data_ptr<float>();
  at::parallel_for(0, end - begin, 16, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row)
      widen_blocks(impl.dtype, bytes + (begin + row) * stride, impl.columns, out + row * impl.columns);
  });
  return made;
}

// Weights on disk may be narrower than the arithmetic; they are widened where they are multiplied.
at::Tensor widened(const DeviceTensor& weight) {
  return is_quantised(weight) ? widened_blocks(weight, 0, weight.rows()) : widened(tensor_of(weight));
}
// The same, or as it is stored, where the calling thread computes.
at::Tensor weight_here(const DeviceTensor& weight, bool as_stored) {
  if (is_quantised(weight)) return on_device() ? to_device(widened(weight)) : widened(weight);
  return as_stored ? here(weight) : widened(here(weight));
}
// The same of a range of rows (axis 0) or columns.
at::Tensor widened(const DeviceTensor& weight, int64_t axis, int64_t begin, int64_t end) {
  if (is_quantised(weight) && axis == 0) return widened_blocks(weight, begin, end);
  if (is_quantised(weight)) return widened(weight).narrow(axis, begin, end - begin);
  return widened(tensor_of(weight).narrow(axis, begin, end - begin));
}

// y = x W^T + b. One row is a matrix-vector product, which the BLAS does faster under that name.
at::Tensor multiply(const at::Tensor& x, const at::Tensor& w_out_in, const at::Tensor* bias) {
  if (x.size(0) == 1) {
    const at::Tensor row = x[0];
    return (bias ? at::addmv((*bias)[0], w_out_in, row) : at::mv(w_out_in, row)).unsqueeze(0);
  }
  return bias ? at::addmm(*bias, x, w_out_in.t()) : at::mm(x, w_out_in.t());
}

// A weight as [out, in].
at::Tensor out_in(const at::Tensor& weight, MatrixLayout layout) {
  switch (layout) {
    case MatrixLayout::out_in:
      return weight;
    case MatrixLayout::in_out:
      return (weight.dim() == 3 ? weight.flatten(0, 1) : weight).t();
    case MatrixLayout::per_head_in_out:
      return weight.permute({0, 2, 1}).flatten(0, 1);
  }
  return weight;
}

at::Tensor out_in_here(const Matrix& matrix, bool as_stored = false) {
  return out_in(weight_here(matrix.weight, as_stored), matrix.layout);
}

void set_blas_threads(int threads) {
  using SetThreads = void (*)(int);
  if (auto* set = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) set(threads);
}

}  // namespace

int64_t DeviceTensor::rows() const { return (is_away(*this) ? impl_->away : impl_->tensor).size(0); }
int64_t DeviceTensor::columns() const {
  return impl_->columns > 0 ? impl_->columns : (is_away(*this) ? impl_->away : impl_->tensor).size(1);
}
float* DeviceTensor::data() const { return tensor_of(*this).data_ptr<float>(); }

OnDevice::OnDevice(const Device& device) : before_(current) { current = device; }
OnDevice::~OnDevice() { current = before_; }
bool on_device() { return current.kind != DeviceKind::cpu; }
bool has_cuda() { return at::hasCUDA(); }

void forget_device_weights() {
  for (const std::weak_ptr<DeviceTensor::Impl>& weight : copied_weights)
    if (const auto impl = weight.lock()) impl->away.reset();
  copied_weights.clear();
}

int64_t weights_copied() { return n_copied; }

Result<void> guarded(const std::function<Result<void>()>& work) {
  try {
    const c10::InferenceMode inference;
    return work();
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    const bool memory = text.find("allocate") != std::string::npos;
    if (memory) forget_device_weights();  // so that the next run finds room
    return make_error(memory ? ErrorCode::out_of_memory : ErrorCode::internal,
                      "LibTorch: " + text.substr(0, text.find('\n')));
  } catch (const std::bad_alloc&) {
    return make_error(ErrorCode::out_of_memory, "the system refused more memory");
  } catch (const std::exception& error) {
    return make_error(ErrorCode::internal, error.what());
  }
}

namespace {

Parallel parallel_of(int threads) {
  // Workers draw tasks one by one, so that uneven tasks (causal rows) balance.
  return {threads, [threads](int64_t n, const std::function<void(int64_t, int)>& body) {
            std::atomic<int64_t> next{0};
            at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
              for (int64_t worker = begin; worker < end; ++worker)
                for (int64_t task = next++; task < n; task = next++) body(task, static_cast<int>(worker));
            });
          }};
}

}  // namespace

Parallel use_threads(int threads) {
  at::set_num_threads(threads);
  set_blas_threads(threads);
  return parallel_of(threads);
}

Parallel threads_in_use() { return parallel_of(at::get_num_threads()); }

std::string version() { return std::string("LibTorch ") + TORCH_VERSION; }

DeviceTensor empty(int64_t rows, int64_t columns) { return handle(at::empty({rows, columns}, at::kFloat)); }

DeviceTensor view_of(const HostTensor& tensor, int64_t rows, int64_t columns) {
  auto owner = std::make_shared<const HostTensor>(tensor);
  return handle(at::from_blob(const_cast<float*>(tensor.data()), {rows, columns}, at::kFloat), owner);
}

DeviceTensor rows_of(const DeviceTensor& x, int64_t begin, int64_t end) {
  const at::Tensor rows = tensor_of(x).narrow(0, begin, end - begin);
  return handle(rows, x.impl().owner);
}

DeviceTensor stored(const TensorView& tensor) {
  if (!saccade::is_quantised(tensor.dtype)) return constant(handle(map(tensor)));
  TensorView bytes = tensor;
  const int64_t columns = tensor.shape.back(), rows = tensor.elements() / std::max<int64_t>(columns, 1);
  bytes.dtype = DType::u8;
  bytes.shape = {rows, bytes_of(tensor.dtype, columns)};
  DeviceTensor made = handle(map(bytes));
  made.impl().dtype = tensor.dtype;
  made.impl().columns = columns;
  return made;
}

DeviceTensor vector_of(const TensorView& tensor) {
  return constant(handle(widened(stored(tensor)).reshape({1, tensor.elements()})));
}

DeviceTensor linear(const DeviceTensor& x, const Matrix& matrix, Precision precision) {
  const at::Tensor bias = matrix.bias.defined() ? here(matrix.bias) : at::Tensor();
  if (precision == Precision::bf16) {
    const at::Tensor product =
        at::linear(here(x).to(at::kBFloat16), out_in_here(matrix, true).to(at::kBFloat16)).to(at::kFloat);
    return made_here(bias.defined() ? product + bias : product);
  }
  return made_here(multiply(here(x), out_in_here(matrix), bias.defined() ? &bias : nullptr));
}

Matrix vocabulary_slice(const Matrix& matrix, int64_t begin, int64_t end) {
  const int64_t axis = matrix.layout == MatrixLayout::out_in ? 0 : 1;
  Matrix slice{{}, matrix.layout, {}};
  slice.weight = is_quantised(matrix.weight)
                     ? handle(widened(matrix.weight, axis, begin, end))
                     : made_here(widened(here(matrix.weight).narrow(axis, begin, end - begin)));
  if (matrix.bias.defined()) slice.bias = made_here(here(matrix.bias).narrow(1, begin, end - begin));
  return slice;
}

void head_product(const DeviceTensor& x, const Matrix& matrix, int64_t begin, int64_t width, float* out,
                  int64_t out_stride) {
  const at::Tensor in_out = out_in_here(matrix).t();
  const at::Tensor part = at::mm(here(x).narrow(1, begin, width), in_out.narrow(0, begin, width));
  at::from_blob(out, {part.size(0), part.size(1)}, {out_stride, 1}, at::kFloat).copy_(part);
}

int64_t elements(const Matrix& matrix) {
  return is_quantised(matrix.weight) ? matrix.weight.rows() * matrix.weight.columns()
                                     : matrix.weight.impl().tensor.numel();
}

int64_t outputs(const Matrix& matrix) {
  const DeviceTensor& weight = matrix.weight;
  switch (matrix.layout) {
    case MatrixLayout::out_in:
      return weight.rows();
    case MatrixLayout::in_out:
      return is_quantised(weight) ? weight.columns() : tensor_of(weight).size(-1);
    case MatrixLayout::per_head_in_out:
      return tensor_of(weight).size(0) * tensor_of(weight).size(2);
  }
  return 0;
}

std::optional<ProductWeights> product_weights(const DeviceTensor& x, const Matrix& matrix) {
  const at::Tensor& stored = tensor_of(matrix.weight);
  const bool wide = stored.scalar_type() == at::kFloat;
  if (is_quantised(matrix.weight) || matrix.layout == MatrixLayout::per_head_in_out ||
      !(wide || stored.scalar_type() == at::kBFloat16) || !stored.is_cpu() || !tensor_of(x).is_cpu() ||
      !tensor_of(x).is_contiguous() || (stored.dim() == 3 && !stored.is_contiguous()))
    return std::nullopt;
  const at::Tensor weight = out_in(stored, matrix.layout);
  if (weight.stride(0) != 1 && weight.stride(1) != 1) return std::nullopt;
  ProductWeights made{nullptr, nullptr, weight.size(0), weight.size(1), weight.stride(0), weight.stride(1)};
  if (wide)
    made.f32 = weight.data_ptr<float>();
  else
    made.bf16 = reinterpret_cast<const uint16_t*>(weight.data_ptr<at::BFloat16>());
  return made;
}

FloatMatrix float_matrix(const Matrix& matrix) {
  const at::Tensor weight = out_in(widened(matrix.weight), matrix.layout);
  return {handle(weight), weight.data_ptr<float>(), weight.size(0),
          weight.size(1), weight.stride(0),         weight.stride(1)};
}

std::vector<double> row_log_sum_exp(const DeviceTensor& x) {
  const at::Tensor sums = at::logsumexp(where_it_lies(x), 1).to(at::kCPU).to(at::kDouble).contiguous();
  return {sums.data_ptr<double>(), sums.data_ptr<double>() + sums.size(0)};
}

DeviceTensor gather_rows(const DeviceTensor& table, const std::vector<int32_t>& ids) {
  if (is_quantised(table)) {
    std::vector<at::Tensor> rows;
    rows.reserve(ids.size());
    for (const int32_t id : ids) rows.push_back(widened_blocks(table, id, id + 1));
    return handle(at::cat(rows, 0));
  }
  const at::Tensor index =
      at::from_blob(const_cast<int32_t*>(ids.data()), {static_cast<int64_t>(ids.size())}, at::kInt)
          .to(at::kLong);
  if (is_away(table) && on_device())
    return made_here(table.impl().away.index_select(0, index.to(table.impl().away.device())));
  return handle(widened(tensor_of(table).index_select(0, index)));
}

DeviceTensor gather_range(const DeviceTensor& table, int64_t begin, int64_t end) {
  return handle(widened(table, 0, begin, end));
}

Normalised normalise(const DeviceTensor& x, NormKind kind, double epsilon, const DeviceTensor& weight,
                     const DeviceTensor& bias, bool parts) {
  const at::Tensor in = here(x);
  const at::Tensor gain = here(weight)[0];
  const at::Tensor shift = bias.defined() ? here(bias)[0] : at::Tensor();
  Normalised result;
  if (kind == NormKind::layer_norm && !parts) {
    result.output = made_here(at::layer_norm(in, {in.size(1)}, gain, shift, epsilon));
    return result;
  }
  const at::Tensor centred = kind == NormKind::layer_norm ? in - in.mean(1, true) : in;
  const at::Tensor scale = (centred.square().mean(1, true) + epsilon).sqrt();
  const at::Tensor normalized = centred / scale;
  at::Tensor output = normalized * gain;
  if (shift.defined()) output += shift;
  result.output = made_here(output);
  if (parts) {
    result.normalized = made_here(normalized);
    result.scale = made_here(scale);
  }
  return result;
}

void add_in_place(const DeviceTensor& x, const DeviceTensor& y) { where_it_lies(x).add_(beside(x, y)); }
DeviceTensor add(const DeviceTensor& x, const DeviceTensor& y) { return made_here(here(x) + here(y)); }
void add_into(const DeviceTensor& out, const DeviceTensor& x, const DeviceTensor& y) {
  if (on_device()) {
    tensor_of(out).copy_(here(x) + here(y));
    return;
  }
  at::Tensor target = tensor_of(out);
  at::add_out(target, tensor_of(x), tensor_of(y));
}

void activate_in_place(const DeviceTensor& x, Activation activation) {
  const at::Tensor t = where_it_lies(x);
  switch (activation) {
    case Activation::gelu:
      t.copy_(at::gelu(t));
      return;
    case Activation::gelu_tanh:
      t.copy_(at::gelu(t, "tanh"));
      return;
    case Activation::gelu_quick:
      t.mul_(at::sigmoid(t * 1.702));
      return;
    case Activation::silu:
      t.copy_(at::silu(t));
      return;
    case Activation::relu:
      t.relu_();
      return;
    case Activation::relu_squared:
      t.relu_().square_();
      return;
  }
}

void multiply_in_place(const DeviceTensor& x, const DeviceTensor& y) { where_it_lies(x).mul_(beside(x, y)); }

void scale_in_place(const DeviceTensor& x, double factor) {
  if (factor != 1.0) where_it_lies(x).mul_(factor);
}

void clamp_in_place(const DeviceTensor& x, double limit) { where_it_lies(x).clamp_(-limit, limit); }

void soft_cap_in_place(const DeviceTensor& x, double cap) { where_it_lies(x).div_(cap).tanh_().mul_(cap); }

void add_row_in_place(const DeviceTensor& x, const DeviceTensor& row) {
  where_it_lies(x).add_(beside(x, row));
}

DeviceTensor row_of_ones(int64_t columns) { return constant(handle(at::ones({1, columns}))); }

DeviceTensor stack_rows(const std::vector<DeviceTensor>& rows, double offset) {
  std::vector<at::Tensor> parts;
  parts.reserve(rows.size());
  for (const DeviceTensor& row : rows) parts.push_back(tensor_of(row));
  if (parts.size() == 1 && offset == 0.0) return rows.front();
  return constant(handle(at::cat(parts, 0) + offset));
}

void normalise_groups(const DeviceTensor& x, int64_t width, NormKind kind, double epsilon,
                      const DeviceTensor& weight, const DeviceTensor& bias) {
  const at::Tensor groups = where_it_lies(x).view({x.rows(), -1, width});
  const at::Tensor centred = kind == NormKind::layer_norm ? groups - groups.mean(2, true) : groups;
  at::Tensor made = centred / (centred.square().mean(2, true) + epsilon).sqrt() * beside(x, weight);
  if (bias.defined()) made += beside(x, bias);
  groups.copy_(made);
}

int64_t first_nan_row(const DeviceTensor& x) {
  const at::Tensor t = where_it_lies(x);
  // The sum is NaN whenever an element is (infinities of both signs, too: then look closer).
  if (!std::isnan(t.sum().item<float>())) return -1;
  const at::Tensor rows = at::isnan(t).any(1).nonzero();
  return rows.size(0) == 0 ? -1 : rows[0][0].item<int64_t>();
}

namespace {

// [rows, heads * d] -> [1, heads, rows, d]
at::Tensor by_head(const DeviceTensor& x, int64_t heads) {
  const at::Tensor rows = here(x);
  return rows.view({rows.size(0), heads, rows.size(1) / heads}).transpose(0, 1).unsqueeze(0);
}

DeviceTensor by_row(const at::Tensor& heads) {
  return made_here(heads.squeeze(0).transpose(0, 1).contiguous().flatten(1));
}

}  // namespace

namespace {

// A copy: LAPACK overwrites what it is given.
at::Tensor square_of(const double* matrix, int64_t n) {
  at::Tensor made = at::empty({n, n}, at::kDouble);
  std::copy_n(matrix, n * n, made.data_ptr<double>());
  return made;
}

}  // namespace

std::vector<std::complex<double>> eigenvalues(const double* matrix, int64_t n) {
  const at::Tensor parts = at::view_as_real(at::linalg_eigvals(square_of(matrix, n))).contiguous();
  const double* values = parts.data_ptr<double>();
  std::vector<std::complex<double>> made;
  for (int64_t i = 0; i < n; ++i) made.emplace_back(values[2 * i], values[2 * i + 1]);
  return made;
}

std::vector<double> symmetric_eigenvalues(const double* matrix, int64_t n) {
  const at::Tensor values = at::linalg_eigvalsh(square_of(matrix, n), "L").contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + n};
}

DeviceTensor eager_attention(const DeviceTensor& q, const DeviceTensor& k, const DeviceTensor& v,
                             int64_t heads) {
  const at::Tensor query = by_head(q, heads), key = by_head(k, heads);
  const int64_t n = query.size(2);
  at::Tensor scores = at::matmul(query, key.transpose(2, 3)) / std::sqrt(static_cast<double>(query.size(3)));
  const at::Tensor hidden = at::ones({n, n}, scores.options().dtype(at::kBool)).triu(1);
  scores = scores.masked_fill(hidden, -std::numeric_limits<float>::infinity());
  return by_row(at::matmul(at::softmax(scores, -1), by_head(v, heads)));
}

DeviceTensor fused_attention(const DeviceTensor& q, const DeviceTensor& k, const DeviceTensor& v,
                             int64_t heads) {
#if TORCH_VERSION_MAJOR >= 2
  return by_row(at::scaled_dot_product_attention(by_head(q, heads), by_head(k, heads), by_head(v, heads), {},
                                                 0.0, true));
#else
  (void)q, (void)k, (void)v, (void)heads;
  return {};
#endif
}

DeviceTensor columns_of(const DeviceTensor& x, int64_t begin, int64_t end) {
  if (is_away(x) && on_device()) return made_here(x.impl().away.narrow(1, begin, end - begin).contiguous());
  return handle(tensor_of(x).narrow(1, begin, end - begin).contiguous());
}

}  // namespace saccade::ops
