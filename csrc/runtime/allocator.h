// Memory for buffers and arenas: 64-byte aligned, huge pages for large blocks, freed blocks kept for reuse.
// A fresh mapping costs a page fault every 4 KiB, so a copy into it runs at a fifth of the speed of one into memory that
// was used before: hence the cache, and hence huge pages.
#pragma once
#include <cstdint>
#include <cstdio>
#include <new>
#include <utility>

namespace axon {

constexpr int64_t kAlignment = 64;

struct OutOfMemory : std::bad_alloc {
  explicit OutOfMemory(int64_t nbytes) { std::snprintf(text, sizeof text, "%lld bytes", static_cast<long long>(nbytes)); }
  const char* what() const noexcept override { return text; }
  char text[32];
};

// At least nbytes of memory, never null; nbytes may be 0. Throws OutOfMemory.
char* allocate(int64_t nbytes);

// Gives back what allocate(nbytes) returned.
void release(char* memory, int64_t nbytes) noexcept;

struct MemoryStatistics {
  int64_t live;    // bytes asked for and not given back
  int64_t peak;    // the most that was ever live since the last reset
  int64_t cached;  // bytes kept for reuse
};
MemoryStatistics memory_statistics();
void reset_memory_peak();

// Bytes that this thread has taken as Memory so far: what is made meanwhile holds the difference.
extern thread_local int64_t memory_taken;

// Memory owned by one C++ object.
class Memory {
 public:
  Memory() = default;
  explicit Memory(int64_t nbytes) : data_(allocate(nbytes)), nbytes_(nbytes) { memory_taken += nbytes; }
  Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), nbytes_(std::exchange(other.nbytes_, 0)) {}
  Memory& operator=(Memory other) noexcept {
    std::swap(data_, other.data_);
    std::swap(nbytes_, other.nbytes_);
    return *this;
  }
  ~Memory() {
    if (data_ != nullptr) axon::release(data_, nbytes_);
  }
  char* data() const { return data_; }
  int64_t nbytes() const { return nbytes_; }

 private:
  char* data_ = nullptr;
  int64_t nbytes_ = 0;
};

}  // namespace axon
