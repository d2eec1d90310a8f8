// Memory for buffers and runs: 64-byte aligned, huge pages for large blocks, freed blocks kept for reuse.
// A fresh mapping costs a page fault every 4 KiB, so a copy into it runs at a fifth of the speed of one into memory that
// was used before: hence the cache, and hence huge pages.
#pragma once
#include <cstdint>
#include <cstdio>
#include <new>
#include <utility>

namespace axon {

constexpr int64_t kAlignment = 64;
constexpr int64_t kLargestBlock = int64_t{1} << 46;

constexpr int64_t aligned(int64_t nbytes) { return (nbytes + kAlignment - 1) / kAlignment * kAlignment; }

struct OutOfMemory : std::bad_alloc {
  explicit OutOfMemory(int64_t nbytes) { std::snprintf(text, sizeof text, "%lld bytes", static_cast<long long>(nbytes)); }
  const char* what() const noexcept override { return text; }
  char text[32];
};

// At least nbytes of memory, never null; nbytes may be 0, and kLargestBlock at most. Throws OutOfMemory.
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

// Gives what is kept for reuse back to the system. What is kept later depends on what is used from now on.
void release_cached_memory();

// Memory owned by one C++ object.
class Memory {
 public:
  Memory() = default;
  explicit Memory(int64_t nbytes);
  // For a short time: a larger block that lies idle is taken before new memory is.
  static Memory lent(int64_t nbytes);
  // Memory of elsewhere, given back by `release`.
  using Release = void (*)(char* memory, int64_t nbytes, int64_t block) noexcept;
  Memory(char* data, int64_t nbytes, Release release) : data_(data), nbytes_(nbytes), block_(nbytes), release_(release) {}

  Memory(Memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), nbytes_(std::exchange(other.nbytes_, 0)), block_(other.block_), release_(other.release_) {}
  Memory& operator=(Memory other) noexcept {
    std::swap(data_, other.data_);
    std::swap(nbytes_, other.nbytes_);
    std::swap(block_, other.block_);
    std::swap(release_, other.release_);
    return *this;
  }
  ~Memory();
  char* data() const { return data_; }
  int64_t nbytes() const { return nbytes_; }

 private:
  Memory(int64_t nbytes, bool lent);

  char* data_ = nullptr;
  int64_t nbytes_ = 0;
  int64_t block_ = 0;  // bytes of the block it lies in
  Release release_ = nullptr;
};

}  // namespace axon
