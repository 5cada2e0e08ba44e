#include "tests/kernels/cuda_emulation/emulation.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <vector>

namespace cuda_emulation {
namespace {

constexpr unsigned warp_size = 32;
constexpr size_t stack_bytes = size_t{256} << 10;

struct Copy {
  void* to;
  const void* from;
};

enum class Waits { no, for_block, for_warp, done };

// A fiber begins by its ucontext; from then on it is left and entered by _setjmp and _longjmp, which, unlike
// swapcontext, ask nothing of the system.
struct Thread {
  ucontext_t begin{};
  jmp_buf resume{};
  bool started = false;
  Place place;
  Waits waits = Waits::no;
  std::vector<Copy> copies;              // not committed yet
  std::deque<std::vector<Copy>> groups;  // committed, not arrived yet
};

struct Warp {
  std::array<const void*, warp_size> lanes{};
  unsigned arrived = 0;
};

// One block's threads. They run on this system thread alone.
struct Block {
  jmp_buf scheduler{};
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<std::unique_ptr<char[]>> stacks;
  std::vector<float4> shared;
  unsigned at_barrier = 0, done = 0;
  size_t current = 0;
  const std::function<void()>* body = nullptr;
};
thread_local Block block;

Thread& running() { return block.threads[block.current]; }

void stop(Waits why) {
  Thread& thread = running();
  thread.waits = why;
  if (_setjmp(thread.resume) == 0) _longjmp(block.scheduler, 1);
}

// Until the thread waits or ends.
void run_on(Thread& thread) {
  if (_setjmp(block.scheduler) != 0) return;
  if (thread.started) _longjmp(thread.resume, 1);
  thread.started = true;
  setcontext(&thread.begin);
}

void release_block_if_complete() {
  if (block.at_barrier == 0 || block.at_barrier + block.done < block.threads.size()) return;
  block.at_barrier = 0;
  for (Thread& thread : block.threads)
    if (thread.waits == Waits::for_block) thread.waits = Waits::no;
}

void enter() {
  (*block.body)();
  running().waits = Waits::done;
  ++block.done;
  release_block_if_complete();
  _longjmp(block.scheduler, 1);
}

void prepare(EmulatedIndex index, EmulatedIndex grid, unsigned threads, size_t shared_bytes) {
  block.shared.assign(shared_bytes / sizeof(float4) + 1, float4{NAN, NAN, NAN, NAN});
  block.warps.assign(threads / warp_size, {});
  block.at_barrier = block.done = 0;
  block.threads.resize(threads);
  while (block.stacks.size() < threads) block.stacks.push_back(std::make_unique<char[]>(stack_bytes));
  for (unsigned n = 0; n < threads; ++n) {
    Thread& thread = block.threads[n];
    thread.place = {{n, 0, 0}, index, {threads, 1, 1}, grid};
    thread.waits = Waits::no;
    thread.copies.clear();
    thread.groups.clear();
    thread.started = false;
    getcontext(&thread.begin);
    thread.begin.uc_stack.ss_sp = block.stacks[n].get();
    thread.begin.uc_stack.ss_size = stack_bytes;
    thread.begin.uc_link = nullptr;
    makecontext(&thread.begin, enter, 0);
  }
}

void run_block(const std::vector<unsigned>& order) {
  while (block.done < block.threads.size()) {
    bool moved = false;
    for (const unsigned n : order) {
      if (block.threads[n].waits != Waits::no) continue;
      block.current = n;
      run_on(block.threads[n]);
      moved = true;
    }
    if (moved) continue;
    std::fputs("a thread block waits for threads that never come\n", stderr);
    std::abort();
  }
}

}  // namespace

const Place& place() { return running().place; }
void* shared_memory() { return block.shared.data(); }

void sync_threads() {
  ++block.at_barrier;
  running().waits = Waits::for_block;
  release_block_if_complete();
  if (running().waits == Waits::for_block) stop(Waits::for_block);
}

void meet_in_warp(const void* mine, void (*work)(const void* const* lanes)) {
  const size_t first = block.current / warp_size * warp_size;
  Warp& warp = block.warps[block.current / warp_size];
  warp.lanes[block.current - first] = mine;
  if (++warp.arrived < warp_size) {
    stop(Waits::for_warp);
    return;
  }
  work(warp.lanes.data());
  warp.arrived = 0;
  for (size_t lane = 0; lane < warp_size; ++lane)
    if (Thread& thread = block.threads[first + lane]; thread.waits == Waits::for_warp)
      thread.waits = Waits::no;
}

void copy_async(void* to, const void* from) {
  if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0) {
    std::fputs("cp.async takes addresses aligned to 16 bytes\n", stderr);
    std::abort();
  }
  running().copies.push_back({to, from});
}
void copy_commit() {
  running().groups.push_back(std::move(running().copies));
  running().copies.clear();
}
void copy_wait(int pending) {
  auto& groups = running().groups;
  for (; groups.size() > static_cast<size_t>(pending); groups.pop_front())
    for (const Copy& copy : groups.front()) std::memcpy(copy.to, copy.from, 16);
}

void run_grid(EmulatedIndex grid, unsigned threads, size_t shared_bytes, Order order,
              const std::function<void()>& body) {
  std::vector<unsigned> turns(threads);
  for (unsigned n = 0; n < threads; ++n) turns[n] = order == Order::backwards ? threads - 1 - n : n;
  std::mt19937 random(7);
  block.body = &body;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        if (order == Order::shuffled) std::shuffle(turns.begin(), turns.end(), random);
        prepare({x, y, z}, grid, threads, shared_bytes);
        run_block(turns);
      }
}

}  // namespace cuda_emulation

namespace saccade::cuda {
namespace {

float widened(uint32_t bits) { return emulated_bits<float>(bits << 16); }

// Lanes as the PTX ISA numbers them: group = lane / 4 (a row of A and D, a column of B), member = lane % 4.
struct Multiply {
  float* d;
  const uint32_t* a;
  uint32_t b[2];
};
struct Load {
  uint32_t* r;
  const void* row;
  bool transposed;
};

void multiply(const void* const* lanes) {
  float a[16][16], b[16][8];
  const auto lane_of = [&](int lane) -> const Multiply& {
    return *static_cast<const Multiply*>(lanes[lane]);
  };
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, member = lane % 4;
    const Multiply& mine = lane_of(lane);
    for (int i = 0; i < 8; ++i) {  // a0 .. a7 of the ISA
      const int row = group + ((i / 2) % 2 == 0 ? 0 : 8), column = member * 2 + i % 2 + (i < 4 ? 0 : 8);
      a[row][column] = widened(mine.a[i / 2] >> (i % 2 * 16) & 0xffffU);
    }
    for (int i = 0; i < 4; ++i)  // b0 .. b3
      b[member * 2 + i % 2 + (i < 2 ? 0 : 8)][group] = widened(mine.b[i / 2] >> (i % 2 * 16) & 0xffffU);
  }
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {  // c0 .. c3
      const int row = lane / 4 + (i < 2 ? 0 : 8), column = lane % 4 * 2 + i % 2;
      for (int k = 0; k < 16; ++k) lane_of(lane).d[i] = fmaf(a[row][k], b[k][column], lane_of(lane).d[i]);
    }
}

void load(const void* const* lanes) {
  const auto lane_of = [&](int lane) -> const Load& { return *static_cast<const Load*>(lanes[lane]); };
  for (int lane = 0; lane < 32; ++lane)
    for (int matrix = 0; matrix < 4; ++matrix) {
      const auto element = [&](int row, int column) -> uint32_t {
        return static_cast<const uint16_t*>(lane_of(matrix * 8 + row).row)[column];
      };
      const int group = lane / 4, pair = lane % 4 * 2;
      const bool turned = lane_of(lane).transposed;
      const uint32_t low = turned ? element(pair, group) : element(group, pair),
                     high = turned ? element(pair + 1, group) : element(group, pair + 1);
      lane_of(lane).r[matrix] = low | high << 16;
    }
}

uint32_t narrowed(float value) {
  const auto bits = emulated_bits<uint32_t>(value);
  if (isnan(value)) return 0x7fffU;
  return (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16;
}

}  // namespace

uint32_t pack_bfloat16(float low, float high) { return narrowed(low) | narrowed(high) << 16; }

void load_matrices(uint32_t (&r)[4], const void* row) {
  const Load mine{r, row, false};
  cuda_emulation::meet_in_warp(&mine, load);
}
void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  const Load mine{r, row, true};
  cuda_emulation::meet_in_warp(&mine, load);
}
void multiply_accumulate(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const Multiply mine{d, a, {b0, b1}};
  cuda_emulation::meet_in_warp(&mine, multiply);
}

}  // namespace saccade::cuda
