// The entries of attention_cuda.h: what goes to the device and back, and in which order.
#include "kernels/cuda/attention_cuda.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "kernels/cuda/device.h"
#include "kernels/cuda/launch.h"

namespace saccade::cuda {
namespace {

Result<void> check_size(const AttentionShape& shape) {
  if (fits_32_bits(shape)) return {};
  return make_error(ErrorCode::unsupported, "CUDA: " + std::to_string(shape.n_query) + " queries from " +
                                                std::to_string(shape.first_query) + ", " +
                                                std::to_string(shape.n_key) + " keys and " +
                                                std::to_string(shape.n_head) +
                                                " heads are more than the kernels count");
}

const Launches& launches_for(const HeadsView& view) { return view.bf16 ? bfloat16_launches : float_launches; }

Result<void> outcome(const char* message) {
  if (!message) return {};
  return device_error("starting attention", message);
}

// The tables and scratch of one call, in one allocation: tables first.
struct CallMemory {
  DeviceMemory memory;
  int64_t scratch = 0;

  static Result<CallMemory> of(int64_t table_bytes, int64_t scratch_bytes, void* stream) {
    Layout layout;
    layout.reserve(table_bytes);
    const int64_t scratch = layout.reserve(scratch_bytes);
    SACCADE_TRY(DeviceMemory memory, DeviceMemory::of(layout.size(), stream));
    return CallMemory{std::move(memory), scratch};
  }
  // A copy from ordinary host memory has left it when the call returns.
  [[nodiscard]] Result<void> upload(const TableBlock& tables, void* stream) const {
    if (tables.bytes().empty()) return {};
    const cudaError_t error = cudaMemcpyAsync(memory.data(), tables.bytes().data(), tables.bytes().size(),
                                              cudaMemcpyHostToDevice, static_cast<cudaStream_t>(stream));
    if (error != cudaSuccess) return device_error("copying edits and masks", cudaGetErrorString(error));
    return {};
  }
  [[nodiscard]] std::byte* scratch_data() const { return memory.data() + scratch; }
};

int64_t number_bytes(int64_t count) { return count * static_cast<int64_t>(sizeof(float)); }

// The statistics of one forward pass: their places on the device, then the AttentionOutput that points there.
class StagedOutput {
 public:
  StagedOutput(Staging& staging, const AttentionInput& in, const AttentionOutput& out)
      : staging_(staging), out_(out) {
    const AttentionShape& s = in.shape;
    z_ = staging.output(out.z, s.n_query, s.n_head, s.d_head);
    const int64_t rows = s.n_head * s.n_query, columns = s.n_head * s.n_key;
    for (auto row : {&AttentionOutput::lse, &AttentionOutput::entropy, &AttentionOutput::max_weight,
                     &AttentionOutput::sink_mass, &AttentionOutput::local_mass,
                     &AttentionOutput::mean_distance, &AttentionOutput::value_mass})
      add(row, rows);
    add(&AttentionOutput::received, columns);
    add(&AttentionOutput::received_max, columns);
    add(&AttentionOutput::top_weight, rows * out.top_k);
    add(&AttentionOutput::max_key, rows);
    add(&AttentionOutput::top_key, rows * out.top_k);
    if (const int64_t b = out.block_size; b > 0) {
      const int64_t block_rows = s.n_head * ((s.n_query + b - 1) / b);
      add(&AttentionOutput::block_max, block_rows * ((s.n_key + b - 1) / b));
      add(&AttentionOutput::block_mass, block_rows * ((s.n_key + b - 1) / b));
      add(&AttentionOutput::received_blocks, block_rows * s.n_key);
    }
    for (const KeyMass& mass : out.key_masses)
      masses_.push_back(mass.mass ? static_cast<int64_t>(staging.output(mass.mass, number_bytes(rows))) : -1);
    for (size_t head = 0; head < out.row_factors.size(); ++head)
      factors_.push_back(add_factors(out.row_factors[head], in, head));
  }

  // Once the memory is there. Valid while this is.
  AttentionOutput on_device() {
    AttentionOutput device = out_;
    device.z = {static_cast<float*>(staging_.at(z_)), staging_.token_stride(z_),
                staging_.view(z_).head_stride};
    for (const auto& [member, place] : floats_) device.*member = static_cast<float*>(staging_.at(place));
    for (const auto& [member, place] : keys_) device.*member = static_cast<int32_t*>(staging_.at(place));
    for (size_t n = 0; n < masses_.size(); ++n)
      device_masses_.push_back({out_.key_masses[n].keys, floats_at(masses_[n])});
    for (const int64_t place : factors_) device_factors_.push_back(floats_at(place));
    device.key_masses = device_masses_;
    device.row_factors = device_factors_;
    return device;
  }

 private:
  void add(float* AttentionOutput::*member, int64_t count) {
    if (out_.*member) floats_.emplace_back(member, staging_.output(out_.*member, number_bytes(count)));
  }
  void add(int32_t* AttentionOutput::*member, int64_t count) {
    if (out_.*member) keys_.emplace_back(member, staging_.output(out_.*member, number_bytes(count)));
  }
  float* floats_at(int64_t place) const {
    return place < 0 ? nullptr : static_cast<float*>(staging_.at(static_cast<size_t>(place)));
  }
  int64_t add_factors(float* host, const AttentionInput& in, size_t head) {
    const int64_t count = in.edits.empty() ? 0 : row_factor_count(in.edits[head]) * in.shape.n_query;
    if (!host || count == 0) return -1;
    return static_cast<int64_t>(staging_.output(host, number_bytes(count)));
  }

  Staging& staging_;
  const AttentionOutput& out_;
  size_t z_ = 0;
  std::vector<std::pair<float * AttentionOutput::*, size_t>> floats_;
  std::vector<std::pair<int32_t * AttentionOutput::*, size_t>> keys_;
  std::vector<int64_t> masses_, factors_;  // -1 = nobody asks
  std::vector<KeyMass> device_masses_;
  std::vector<float*> device_factors_;
};

// A view whose token `first` and head `head` are element (0, 0) of what was staged. Only what was staged may
// be read through it; positions stay those of the whole map.
HeadsView shifted(HeadsView view, int64_t first) {
  view.head_stride = 0;  // one head was staged, whichever is asked for
  if (view.bf16)
    view.bf16 -= first * view.token_stride;
  else
    view.data -= first * view.token_stride;
  return view;
}

// One head's rows [rows.begin, rows.end) and keys on the device: what regenerating a part of its map reads.
class StagedSlice {
 public:
  StagedSlice(Staging& staging, const TileInput& in, int64_t head, KeyRange rows, KeyRange keys)
      : staging_(staging), in_(in), head_(head), rows_(rows), keys_(keys) {
    const AttentionShape& s = in.shape;
    const int64_t first_row = rows.begin - s.first_query;
    q_ = staging.input(in.q, first_row, rows.end - rows.begin, head, 1, s.d_head);
    k_ = staging.input(in.k, keys.begin, keys.end - keys.begin, head / (s.n_head / s.n_kv_head), 1, s.d_head);
    lse_ = staging.input(in.lse + head * s.n_query + first_row, number_bytes(rows.end - rows.begin));
    const auto at = static_cast<size_t>(head);
    if (!in.edits.empty() && !in.row_factors.empty() && in.row_factors[at])
      factors_ = static_cast<int64_t>(
          staging.input(in.row_factors[at], number_bytes(row_factor_count(in.edits[at]) * s.n_query)));
  }
  // Once the memory is there. Valid while this is.
  TileInput on_device() {
    TileInput device = in_;
    const int64_t first_row = rows_.begin - in_.shape.first_query;
    device.q = shifted(staging_.view(q_), first_row);
    device.k = shifted(staging_.view(k_), keys_.begin);
    device.lse = static_cast<const float*>(staging_.at(lse_)) - head_ * in_.shape.n_query - first_row;
    device.row_factors = {};
    if (factors_ >= 0) {
      row_factors_.assign(static_cast<size_t>(in_.shape.n_head), nullptr);
      row_factors_[static_cast<size_t>(head_)] =
          static_cast<const float*>(staging_.at(static_cast<size_t>(factors_)));
      device.row_factors = row_factors_;
    }
    return device;
  }

 private:
  Staging& staging_;
  const TileInput& in_;
  int64_t head_;
  KeyRange rows_, keys_;
  size_t q_ = 0, k_ = 0, lse_ = 0;
  int64_t factors_ = -1;
  std::vector<const float*> row_factors_;
};

}  // namespace

Result<void> forward_on_device(const AttentionInput& in, const AttentionOutput& out, void* stream) {
  SACCADE_CHECK(check_size(in.shape));
  Layout layout;
  const ScratchPlan scratch = plan_scratch(in, out, layout);
  // The tables hold pointers into the scratch, which is only known with the memory: their size is known
  // before.
  const size_t table_bytes =
      TableBlock::of(in, out, row_factors_of(in, out, scratch, nullptr)).bytes().size();
  SACCADE_TRY(const CallMemory memory,
              CallMemory::of(static_cast<int64_t>(table_bytes), layout.size(), stream));
  const TableBlock tables = TableBlock::of(in, out, row_factors_of(in, out, scratch, memory.scratch_data()));
  SACCADE_CHECK(memory.upload(tables, stream));
  const Parameters p = parameters_of(in, out, tables, memory.memory.data(), scratch, memory.scratch_data());
  return outcome(launches_for(in.q).forward(p, stream));
}

Result<void> tile_on_device(const TileInput& in, const TileRequest& request, const TileOutput& out,
                            void* stream) {
  SACCADE_CHECK(check_size(in.shape));
  const TableBlock tables = TableBlock::of(in);
  SACCADE_TRY(const CallMemory memory,
              CallMemory::of(static_cast<int64_t>(tables.bytes().size()), 0, stream));
  SACCADE_CHECK(memory.upload(tables, stream));
  const Parameters p = parameters_of(in, tables, memory.memory.data());
  return outcome(launches_for(in.q).tiles(p, tile_parameters_of(in.shape, request, out), stream));
}

Result<void> forward(const AttentionInput& in, const AttentionOutput& out) {
  SACCADE_CHECK(check_size(in.shape));
  const AttentionShape& s = in.shape;
  Staging staging(cudaStreamPerThread);
  const size_t q = staging.input(in.q, 0, s.n_query, 0, s.n_head, s.d_head),
               k = staging.input(in.k, 0, s.n_key, 0, s.n_kv_head, s.d_head),
               v = staging.input(in.v, 0, s.n_key, 0, s.n_kv_head, s.d_head);
  StagedOutput results(staging, in, out);
  SACCADE_CHECK(staging.allocate());
  SACCADE_CHECK(staging.upload());
  AttentionInput device = in;
  device.q = staging.view(q);
  device.k = staging.view(k);
  device.v = staging.view(v);
  SACCADE_CHECK(forward_on_device(device, results.on_device(), cudaStreamPerThread));
  return staging.download();
}

Result<void> tile(const TileInput& in, const TileRequest& request, const TileOutput& out) {
  SACCADE_CHECK(check_size(in.shape));
  Staging staging(cudaStreamPerThread);
  StagedSlice slice(staging, in, request.head, {request.rows_begin, request.rows_end},
                    {request.columns_begin, request.columns_end});
  const int64_t rows = request.rows_end - request.rows_begin,
                columns = request.columns_end - request.columns_begin, lod = request.lod;
  const int64_t bytes = number_bytes(((rows + lod - 1) / lod) * ((columns + lod - 1) / lod));
  const size_t highest = staging.output(out.block_max, out.block_max ? bytes : 0),
               mass = staging.output(out.block_mass, out.block_mass ? bytes : 0);
  SACCADE_CHECK(staging.allocate());
  SACCADE_CHECK(staging.upload());
  const TileOutput device{out.block_max ? static_cast<float*>(staging.at(highest)) : nullptr,
                          out.block_mass ? static_cast<float*>(staging.at(mass)) : nullptr};
  SACCADE_CHECK(tile_on_device(slice.on_device(), request, device, cudaStreamPerThread));
  return staging.download();
}

Result<void> weights_at(const TileInput& in, int64_t head, std::span<const int32_t> query,
                        std::span<const int32_t> key, float* out) {
  SACCADE_CHECK(check_size(in.shape));
  if (query.empty()) return {};
  const auto range_of = [](std::span<const int32_t> positions) {
    const auto [low, high] = std::minmax_element(positions.begin(), positions.end());
    return KeyRange{*low, int64_t{*high} + 1};
  };
  void* const stream = cudaStreamPerThread;
  Staging staging(stream);
  StagedSlice slice(staging, in, head, range_of(query), range_of(key));
  const auto bytes = static_cast<int64_t>(query.size_bytes());
  const size_t queries = staging.input(query.data(), bytes), keys = staging.input(key.data(), bytes),
               weights = staging.output(out, bytes);
  SACCADE_CHECK(staging.allocate());
  SACCADE_CHECK(staging.upload());
  const TileInput device = slice.on_device();
  const TableBlock tables = TableBlock::of(device);
  SACCADE_TRY(const CallMemory memory,
              CallMemory::of(static_cast<int64_t>(tables.bytes().size()), 0, stream));
  SACCADE_CHECK(memory.upload(tables, stream));
  const CellParameters cells{static_cast<int32_t>(head), static_cast<int32_t>(query.size()),
                             static_cast<const int32_t*>(staging.at(queries)),
                             static_cast<const int32_t*>(staging.at(keys)),
                             static_cast<float*>(staging.at(weights))};
  const Parameters p = parameters_of(device, tables, memory.memory.data());
  SACCADE_CHECK(outcome(launches_for(device.q).cells(p, cells, stream)));
  return staging.download();
}

}  // namespace saccade::cuda
