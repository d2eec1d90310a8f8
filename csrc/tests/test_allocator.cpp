#include "runtime/allocator.h"

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
