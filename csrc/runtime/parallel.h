// Parallel loops over libgomp, the one thread pool that oneDNN and other libraries of the process also use.
//
//   axon::parallel(units, grain, axon::threads(), [&](int64_t begin, int64_t end, int thread) noexcept { ... });
//
// The body is called with pieces of [0, units) that do not overlap and cover it. Pieces are claimed, not assigned, so a
// thread that the system does not run holds nothing back but the end of the loop. Only one caller at a time gets
// the threads: any other runs its whole loop itself. The cut never changes a result, so neither shows.
#pragma once
#include <cstdint>
#include <type_traits>

namespace axon {

// How many threads a loop may use: read once at start from OMP_NUM_THREADS or the CPUs this process may run on; 1 in
// a child process after fork, where libgomp's pool is gone. Setting it goes no further than OMP_THREAD_LIMIT and that 1.
int threads();
void set_threads(int count);

// Changes with the number of threads and after fork; what was planned for a number of threads is remade then.
uint64_t threads_generation();

using LoopBody = void (*)(void* data, int64_t begin, int64_t end, int thread) noexcept;

// At least `grain` units a piece; `thread` is in [0, limit). Work below two grains stays on the calling thread. nbytes: how
// much memory the loop goes over, where that is known.
void parallel(int64_t units, int64_t grain, int limit, LoopBody body, void* data, int64_t nbytes) noexcept;

template <class Body>
void parallel(int64_t units, int64_t grain, int limit, Body&& body, int64_t nbytes = 0) noexcept {
  using Callable = std::remove_reference_t<Body>;
  parallel(
      units, grain, limit,
      [](void* data, int64_t begin, int64_t end, int thread) noexcept {
        (*static_cast<Callable*>(data))(begin, end, thread);
      },
      const_cast<void*>(static_cast<const void*>(&body)), nbytes);
}

// Holds all threads for one caller, waiting for them: library steps promise bits only for one number of threads, so
// they cannot do with fewer. Nested use on one thread is free.
class AllThreads {
 public:
  AllThreads();
  ~AllThreads();
  AllThreads(const AllThreads&) = delete;
  AllThreads& operator=(const AllThreads&) = delete;

 private:
  bool outermost_;
  int callers_threads_, callers_levels_;  // OpenMP settings of the calling thread, which other libraries also use
};

// The default floating-point mode (round to nearest, denormals kept, no traps) for a scope; the caller's comes back.
class DefaultFloatingPoint {
 public:
  DefaultFloatingPoint() : caller_(__builtin_ia32_stmxcsr()) {
    if (caller_ != kDefault) __builtin_ia32_ldmxcsr(kDefault);
  }
  ~DefaultFloatingPoint() { __builtin_ia32_ldmxcsr(caller_); }
  DefaultFloatingPoint(const DefaultFloatingPoint&) = delete;
  DefaultFloatingPoint& operator=(const DefaultFloatingPoint&) = delete;

 private:
  static constexpr unsigned kDefault = 0x1f80;
  unsigned caller_;
};

}  // namespace axon
