#include "runtime/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <vector>

namespace axon {

thread_local int64_t memory_taken = 0;

namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;
constexpr int64_t kCacheLimit = int64_t{1} << 30;
constexpr int64_t kLargest = int64_t{1} << 46;

// Blocks come in classes of eight steps a doubling, so at most an eighth is wasted and a block fits many requests.
struct SizeClass {
  int64_t nbytes;
  size_t index;
};

SizeClass size_class(int64_t nbytes) {
  if (nbytes <= kAlignment) return {kAlignment, 0};
  const int doubling = static_cast<int>(std::bit_width(static_cast<uint64_t>(nbytes - 1)));  // 2^(doubling-1) < nbytes <= 2^doubling
  const int64_t base = int64_t{1} << (doubling - 1);
  const int64_t step = std::max(base / 8, kAlignment);
  const int64_t steps = (nbytes - base + step - 1) / step;
  return {base + steps * step, static_cast<size_t>(doubling * 8 + steps)};
}

char* map_block(int64_t nbytes) {
  if (nbytes < kHugePage)
    return static_cast<char*>(std::aligned_alloc(static_cast<size_t>(kAlignment), static_cast<size_t>(nbytes)));
  // Map a huge page more than needed and cut the ends off, so that the block starts on a huge page.
  const size_t size = static_cast<size_t>(nbytes), slack = static_cast<size_t>(kHugePage);
  void* mapping = mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  char* start = static_cast<char*>(mapping);
  const size_t head = (slack - reinterpret_cast<size_t>(start) % slack) % slack;
  if (head != 0) munmap(start, head);
  if (head != slack) munmap(start + head + size, slack - head);
  madvise(start + head, size, MADV_HUGEPAGE);
  return start + head;
}

void unmap_block(char* block, int64_t nbytes) {
  if (nbytes < kHugePage)
    std::free(block);
  else
    munmap(block, static_cast<size_t>(nbytes));
}

class Allocator {
 public:
  char* allocate(int64_t nbytes) {
    if (nbytes < 0 || nbytes > kLargest) throw OutOfMemory(nbytes);
    const SizeClass size = size_class(nbytes);
    std::lock_guard lock(mutex_);
    char* block = nullptr;
    if (std::vector<char*>& free = free_[size.index]; !free.empty()) {
      block = free.back();
      free.pop_back();
      statistics_.cached -= size.nbytes;
    } else if (block = map_block(size.nbytes); block == nullptr) {
      drop_cache();
      block = map_block(size.nbytes);
      if (block == nullptr) throw OutOfMemory(nbytes);
    }
    statistics_.live += nbytes;
    statistics_.peak = std::max(statistics_.peak, statistics_.live);
    return block;
  }

  void release(char* block, int64_t nbytes) noexcept {
    const SizeClass size = size_class(nbytes);
    std::lock_guard lock(mutex_);
    statistics_.live -= nbytes;
    if (statistics_.cached + size.nbytes <= kCacheLimit) {
      try {
        free_[size.index].push_back(block);
        statistics_.cached += size.nbytes;
        return;
      } catch (const std::bad_alloc&) {  // no memory to remember the block by
      }
    }
    unmap_block(block, size.nbytes);
  }

  MemoryStatistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }

  void reset_peak() {
    std::lock_guard lock(mutex_);
    statistics_.peak = statistics_.live;
  }

 private:
  void drop_cache() {
    for (size_t index = 0; index < free_.size(); ++index) {
      // Classes are numbered as size_class does: doubling * 8 + steps, and class 0 for the smallest.
      for (char* block : free_[index]) unmap_block(block, class_nbytes(index));
      free_[index].clear();
    }
    statistics_.cached = 0;
  }

  static int64_t class_nbytes(size_t index) {
    if (index == 0) return kAlignment;
    // steps runs from 1 to 8, so the index of a class is one more than eight times its doubling plus steps - 1.
    const int doubling = static_cast<int>((index - 1) / 8), steps = static_cast<int>((index - 1) % 8) + 1;
    const int64_t base = int64_t{1} << (doubling - 1);
    return base + steps * std::max(base / 8, kAlignment);
  }

  std::mutex mutex_;
  std::array<std::vector<char*>, 48 * 8> free_;
  MemoryStatistics statistics_{};
};

// Never destroyed: buffers of other static objects may outlive it.
Allocator& allocator() {
  static Allocator* instance = new Allocator;
  return *instance;
}

}  // namespace

char* allocate(int64_t nbytes) { return allocator().allocate(nbytes); }
void release(char* memory, int64_t nbytes) noexcept { allocator().release(memory, nbytes); }
MemoryStatistics memory_statistics() { return allocator().statistics(); }
void reset_memory_peak() { allocator().reset_peak(); }

}  // namespace axon
