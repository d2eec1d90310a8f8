#include "runtime/parallel.h"

#include <omp.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <new>

namespace axon {
namespace {

std::atomic<int> thread_count{1};
std::atomic<int> thread_limit{1};
std::atomic<uint64_t> generation{1};
std::atomic<int64_t> alone_until{0};  // see run_loop
alignas(std::mutex) unsigned char pool_storage[sizeof(std::mutex)];
thread_local int holding = 0;          // this thread owns the pool: depth of AllThreads and loops
thread_local bool workers_ready = false;

std::mutex& pool() { return *std::launder(reinterpret_cast<std::mutex*>(pool_storage)); }

// After fork only the calling thread exists: libgomp would wait for workers that do not, and another thread may have
// held the mutex.
void after_fork_in_child() {
  new (pool_storage) std::mutex;
  thread_count = thread_limit = 1;
  ++generation;
  holding = 0;
}

const int initialized = [] {
  new (pool_storage) std::mutex;
  thread_limit = omp_get_thread_limit();
  set_threads(omp_get_max_threads());
  return pthread_atfork(nullptr, nullptr, after_fork_in_child);
}();

int64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Four pieces a thread even out what the system takes away, at a claim of some 20 ns each.
constexpr int64_t kPieces = 4, kMostPieces = 1024;

// Each thread begins with pieces of its own, and a caller's loops go through them back and forth: what a thread touched
// last in one loop is in its cache, and is what it begins with in the next. Then it takes what others have left. Of far
// more than the caches hold nothing is left, and threads do best side by side: each takes the next piece.
constexpr int64_t kStream = int64_t{64} << 20;  // bytes

struct Loop {
  int64_t units, pieces;
  bool own, back;
  LoopBody body;
  void* data;
  std::array<std::atomic<bool>, kMostPieces> claimed;

  Loop(int64_t units, int64_t pieces, bool own, bool back, LoopBody body, void* data)
      : units(units), pieces(pieces), own(own), back(back), body(body), data(data) {
    for (int64_t k = 0; k < pieces; ++k) claimed[static_cast<size_t>(k)].store(false, std::memory_order_relaxed);
  }

  void work(int thread, int team) noexcept {
    const DefaultFloatingPoint mode;
    const int64_t each = units / pieces, more = units % pieces;
    const int64_t first = own ? pieces * thread / team : 0;
    const int64_t last = own ? pieces * (thread + 1) / team - 1 : pieces - 1;
    for (int64_t k = 0; k < pieces; ++k) {
      const int64_t piece = (back ? last - k + pieces : first + k) % pieces;
      if (claimed[static_cast<size_t>(piece)].exchange(true, std::memory_order_relaxed)) continue;
      const int64_t begin = piece * each + std::min(piece, more);
      body(data, begin, begin + each + (piece < more ? 1 : 0), thread);
    }
  }
};

// A loop begins and ends only when every thread has arrived, even one that comes too late to claim anything. Where other
// processes take the cores, those waits are time slices of the system, and a hundred times the work. So when the caller
// waited longer than it worked, and longer than kLate, it works alone for kAlone times as long and then tries again:
// trying costs one part in kAlone.
constexpr int64_t kLate = 200'000, kAlone = 20;

void run_loop(Loop& loop, int team) noexcept {
  const int64_t start = now_ns();
  int64_t worked = 0;
#pragma omp parallel num_threads(team)
  {
    const int thread = omp_get_thread_num();
    const int64_t begin = thread == 0 ? now_ns() : 0;
    loop.work(thread, omp_get_num_threads());
    if (thread == 0) worked = now_ns() - begin;
  }
  const int64_t end = now_ns(), waited = end - start - worked;
  if (waited > kLate + worked) alone_until.store(end + kAlone * waited, std::memory_order_relaxed);
}

// Workers inherit the floating-point mode of whoever made the pool. Loops of ours set it each time; a library's
// do not, so the workers of this thread's pool get the default for good before the first library step.
void prepare_workers() {
  if (workers_ready || threads() == 1) return;
#pragma omp parallel num_threads(threads())
  {
    if (omp_get_thread_num() != 0) __builtin_ia32_ldmxcsr(0x1f80);
  }
  workers_ready = true;
}

}  // namespace

int threads() { return thread_count.load(std::memory_order_relaxed); }

void set_threads(int count) {
  thread_count = std::clamp(count, 1, thread_limit.load());
  ++generation;
}

uint64_t threads_generation() { return generation.load(std::memory_order_relaxed); }

void parallel(int64_t units, int64_t grain, int limit, LoopBody body, void* data, int64_t nbytes) noexcept {
  if (units <= 0) return;
  const int team_limit = std::min(limit, threads());
  const int64_t most = std::min({units / std::max<int64_t>(grain, 1), team_limit * kPieces, kMostPieces});
  const int64_t team = std::min<int64_t>(team_limit, std::max<int64_t>(most, 1));
  const int64_t pieces = most / team * team;  // as many for each thread: of three pieces, one of two threads had two
  if (pieces <= 1 || omp_in_parallel()) {
    const DefaultFloatingPoint mode;
    body(data, 0, units, 0);
    return;
  }
  thread_local bool back = false;
  const bool own = nbytes < kStream;
  back = own && !back;
  Loop loop(units, pieces, own, back, body, data);
  const bool together = team_limit > 1 && now_ns() >= alone_until.load(std::memory_order_relaxed) &&
                        (holding > 0 || pool().try_lock());
  if (!together) {
    loop.work(0, 1);
    return;
  }
  ++holding;
  run_loop(loop, static_cast<int>(team));
  if (--holding == 0) pool().unlock();
}

AllThreads::AllThreads()
    : outermost_(holding == 0), callers_threads_(omp_get_max_threads()), callers_levels_(omp_get_max_active_levels()) {
  if (outermost_) pool().lock();
  ++holding;
  if (callers_threads_ != threads()) omp_set_num_threads(threads());
  // Zero levels keep a library that asks for more threads than the default on one; one level is a plain one.
  omp_set_max_active_levels(threads() == 1 ? 0 : 1);
  prepare_workers();
}

AllThreads::~AllThreads() {
  omp_set_max_active_levels(callers_levels_);
  omp_set_num_threads(callers_threads_);
  --holding;
  if (outermost_) pool().unlock();
}

}  // namespace axon
