#include "runtime/parallel.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "test.h"

namespace {

// Sets the number of threads for a scope.
struct Threads {
  explicit Threads(int count) : before(axon::threads()) { axon::set_threads(count); }
  ~Threads() { axon::set_threads(before); }
  int before;
};

bool covers_once(int64_t units, int64_t grain, int limit) {
  std::vector<std::atomic<int>> seen(static_cast<size_t>(units));
  std::atomic<bool> fits{true};
  axon::parallel(units, grain, limit, [&](int64_t begin, int64_t end, int thread) noexcept {
    if (begin >= end || thread < 0 || thread >= limit) fits = false;
    for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
  });
  for (const std::atomic<int>& count : seen)
    if (count != 1) return false;
  return fits;
}

}  // namespace

TEST("a loop covers its units once, whatever the grain and the number of threads") {
  for (int count : {1, 2, 16}) {
    const Threads threads(count);
    for (int64_t units : {0, 1, 2, 7, 1000})
      for (int64_t grain : {0, 1, 3, 5000}) CHECK(covers_once(units, grain, count));
    CHECK(covers_once(1000, 1, 1));
  }
}

TEST("each thread has as many pieces") {
  const auto pieces = [](int count, int64_t units, int64_t grain) {
    const Threads threads(count);
    std::atomic<int> seen{0};
    axon::parallel(units, grain, count, [&](int64_t, int64_t, int) noexcept { ++seen; });
    return seen.load();
  };
  CHECK(pieces(2, 32, 10) == 2);
  CHECK(pieces(2, 32, 6) == 4);
  CHECK(pieces(3, 32, 16) == 2);
  CHECK(pieces(3, 32, 4) == 6);
}

TEST("a caller's loops go back and forth over their pieces") {
  const Threads threads(1);
  const auto begins = [] {
    std::vector<int64_t> seen;
    axon::parallel(1000, 10, 1, [&](int64_t begin, int64_t, int) noexcept { seen.push_back(begin); });
    return seen;
  };
  std::vector<int64_t> forth = begins(), back = begins();
  CHECK(forth.size() > 1 && forth != back);
  std::reverse(back.begin(), back.end());
  CHECK(forth == back && forth == begins());
}

TEST("callers at once each cover their own loop") {
  const Threads threads(2);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) wrong += covers_once(100, 1, 2) ? 0 : 1;
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST("loops and claims on all threads nest") {
  const Threads threads(2);
  const axon::AllThreads outer;
  const axon::AllThreads inner;
  CHECK(covers_once(100, 1, 2));
  std::atomic<int> wrong{0};
  axon::parallel(4, 1, 2, [&](int64_t begin, int64_t end, int) noexcept {
    for (int64_t i = begin; i < end; ++i) wrong += covers_once(50, 1, 2) ? 0 : 1;
  });
  CHECK(wrong == 0);
}

TEST("one caller at a time holds all threads") {
  const Threads threads(2);
  std::atomic<int> holders{0}, most{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const axon::AllThreads all;
        const int now = ++holders;
        if (now > most) most = now;
        std::this_thread::yield();
        --holders;
      }
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(most == 1);
}

TEST("a loop has the default floating-point mode and gives the caller's back") {
  const Threads threads(2);
  const unsigned caller = __builtin_ia32_stmxcsr(), flushing = caller | 0x8040;
  __builtin_ia32_ldmxcsr(flushing);
  std::atomic<bool> kept{true};
  for (int64_t units : {1, 64})
    axon::parallel(units, 1, 2, [&](int64_t, int64_t, int) noexcept {
      volatile float smallest = 1.17549435e-38f;
      if (smallest * 0.5f == 0) kept = false;
    });
  const unsigned after = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(caller);
  CHECK(kept);
  CHECK((after & 0x8040) == 0x8040);
}

TEST("a new number of threads makes a new generation") {
  const uint64_t before = axon::threads_generation();
  const Threads threads(3);
  CHECK(axon::threads() == 3 && axon::threads_generation() != before);
}

TEST("the caller's OpenMP count comes back even where the number of threads changed meanwhile") {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  {
    const Threads threads(2);
    const axon::AllThreads all;
    axon::set_threads(1);
  }
  const int after = omp_get_max_threads();
  omp_set_num_threads(before);
  CHECK(after == 1);
}
