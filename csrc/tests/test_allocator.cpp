#include "runtime/allocator.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include "test.h"

using axon::Memory;

TEST("memory is aligned, writable to its end, and huge pages start large blocks") {
  for (int64_t nbytes : {0, 1, 64, 65, 1000, 4096, 100'000, (2 << 20) - 1, 2 << 20, (5 << 20) + 3}) {
    const Memory memory(nbytes);
    const size_t address = reinterpret_cast<size_t>(memory.data());
    CHECK(memory.data() != nullptr && address % 64 == 0);
    CHECK(nbytes < (2 << 20) || address % (2 << 20) == 0);
    std::memset(memory.data(), 1, static_cast<size_t>(nbytes));
  }
}

TEST("a freed block serves the next request of its class, and only of its class") {
  char* first = axon::allocate(1000);
  axon::release(first, 1000);
  char* larger = axon::allocate(1500);
  CHECK(larger != first);
  char* second = axon::allocate(1024);
  CHECK(second == first);
  axon::release(second, 1024);
  axon::release(larger, 1500);
}

TEST("what is kept is bounded by what was in use, and the longest idle goes first") {
  axon::release_cached_memory();
  CHECK(axon::memory_statistics().cached == 0);
  constexpr int64_t mb = 1 << 20;
  { const Memory most(128 * mb); }
  CHECK(axon::memory_statistics().cached == 128 * mb);
  for (int64_t nbytes = 3 * mb; nbytes < 100 * mb; nbytes += nbytes / 8) const Memory memory(nbytes);
  const int64_t cached = axon::memory_statistics().cached;
  CHECK(cached > 90 * mb && cached <= 160 * mb);  // a quarter more than 128
  char* last = axon::allocate(90 * mb);
  axon::release(last, 90 * mb);
  CHECK(axon::memory_statistics().cached <= 160 * mb);
  const Memory again(90 * mb);
  CHECK(again.data() == last);
  axon::release_cached_memory();
  CHECK(axon::memory_statistics().cached == 0);
}

TEST("a run is lent a larger block that lies idle, a buffer is not") {
  axon::release_cached_memory();
  constexpr int64_t mb = 1 << 20;
  char* large = nullptr;
  {
    const Memory memory(40 * mb);
    large = memory.data();
  }
  {
    const Memory run = Memory::lent(11 * mb), buffer(11 * mb);
    CHECK(run.data() == large && buffer.data() != large && run.nbytes() == 11 * mb);
  }
  CHECK(axon::memory_statistics().cached == 51 * mb);
  const Memory memory(40 * mb);
  CHECK(memory.data() == large);
}

TEST("live and peak count what was asked for") {
  const int64_t live = axon::memory_statistics().live;
  axon::reset_memory_peak();
  {
    Memory memory(12'345);
    const Memory moved = std::move(memory);
    CHECK(memory.data() == nullptr);
    CHECK(axon::memory_statistics().live == live + 12'345);
  }
  CHECK(axon::memory_statistics().live == live);
  CHECK(axon::memory_statistics().peak == live + 12'345);
}

TEST("what cannot be had is refused") {
  bool refused = false;
  try {
    axon::allocate(int64_t{1} << 45);
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  CHECK(refused);
  CHECK_THROWS(axon::allocate(-1), "-1 bytes");
}

TEST("threads share the allocator") {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; ++i) {
        const int64_t nbytes = 64 * (1 + (i * 7 + t) % 40);
        const Memory memory(nbytes);
        std::memset(memory.data(), t, static_cast<size_t>(nbytes));
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST("a child of fork has memory, whatever other threads were doing") {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) const Memory memory(1000);
  });
  int failed = 0;
  for (int i = 0; i < 30; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(30);  // instead of waiting for ever
      { const Memory memory(1000); }
      _exit(0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    failed += status != 0;
  }
  stop = true;
  busy.join();
  CHECK(failed == 0);
}
