// Buffers that begin at a cache line, so that no vector straddles two. Private to kernels/.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace saccade::cpu {

template <class T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::align_val_t alignment{64};
  AlignedAllocator() = default;
  template <class U>
  explicit AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), alignment)); }
  void deallocate(T* at, size_t) { ::operator delete(at, alignment); }
  bool operator==(const AlignedAllocator&) const { return true; }
  // Numbers that are about to be written are not cleared first.
  template <class U>
  void construct(U* at) {
    ::new (static_cast<void*>(at)) U;
  }
  template <class U, class... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    ::new (static_cast<void*>(at)) U(static_cast<Arguments&&>(arguments)...);
  }
};

template <class T>
using Buffer = std::vector<T, AlignedAllocator<T>>;

}  // namespace saccade::cpu
