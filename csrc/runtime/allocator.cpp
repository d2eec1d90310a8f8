#include "runtime/allocator.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

namespace axon {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

// What is kept for reuse: with what is in use, a quarter more than was ever in use, and nothing that lay idle for so long
// that fresh pages cost nothing beside it (docs/design/runtime.md).
constexpr int64_t kSpare = int64_t{16} << 20;  // or so much more, if that is more
constexpr int64_t kIdleSeconds = 10;

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

void unmap_block(void* block, int64_t nbytes) {
  if (nbytes < kHugePage)
    std::free(block);
  else
    munmap(block, static_cast<size_t>(nbytes));
}

int64_t seconds() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return time.tv_sec;
}

// A free block begins with its place among the others, so that keeping it needs no memory and cannot fail.
struct Free {
  Free *newer, *older;   // of all, as they were given back
  Free *before, *after;  // of its class, the newest first: its pages are likeliest to be in cache
  int64_t nbytes, since;
};
static_assert(sizeof(Free) <= kAlignment);

class Allocator {
 public:
  // A block of nbytes or, `lent`, any that is large enough and free; its size is what `block` becomes.
  char* allocate(int64_t nbytes, bool lent, int64_t& block) {
    if (nbytes < 0 || nbytes > kLargestBlock) throw OutOfMemory(nbytes);
    const SizeClass size = size_class(nbytes);
    std::lock_guard lock(mutex_);
    Free* found = free_[size.index];
    if (lent && size.nbytes >= kHugePage)
      for (size_t index = size.index + 1; found == nullptr && index < free_.size(); ++index) found = free_[index];
    char* memory = reinterpret_cast<char*>(found);
    if (found != nullptr) {
      block = found->nbytes;
      remove(found);
    } else {
      block = size.nbytes;
      if (memory = map_block(block); memory == nullptr) {
        drop_cache();
        if (memory = map_block(block); memory == nullptr) throw OutOfMemory(nbytes);
      }
    }
    used_ += block;
    needed_ += size.nbytes;
    most_needed_ = std::max(most_needed_, needed_);
    statistics_.live += nbytes;
    statistics_.peak = std::max(statistics_.peak, statistics_.live);
    if (found == nullptr) trim();
    return memory;
  }

  void release(char* memory, int64_t nbytes, int64_t block) noexcept {
    std::lock_guard lock(mutex_);
    statistics_.live -= nbytes;
    used_ -= block;
    needed_ -= size_class(nbytes).nbytes;
    statistics_.cached += block;
    Free*& head = free_[size_class(block).index];
    if (block >= kHugePage) now_ = seconds();  // small blocks come often, and say little
    Free* added = new (memory) Free{nullptr, newest_, nullptr, head, block, now_};
    if (head != nullptr) head->before = added;
    head = added;
    (newest_ != nullptr ? newest_->newer : oldest_) = added;
    newest_ = added;
    trim();
  }

  MemoryStatistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }

  void reset_peak() {
    std::lock_guard lock(mutex_);
    statistics_.peak = statistics_.live;
  }

  void release_cached() {
    std::lock_guard lock(mutex_);
    drop_cache();
    malloc_trim(0);
    most_needed_ = needed_;
  }

  // A child of fork has its one thread, and this lock as it was.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  void remove(Free* block) noexcept {
    (block->before != nullptr ? block->before->after : free_[size_class(block->nbytes).index]) = block->after;
    if (block->after != nullptr) block->after->before = block->before;
    (block->newer != nullptr ? block->newer->older : newest_) = block->older;
    (block->older != nullptr ? block->older->newer : oldest_) = block->newer;
    statistics_.cached -= block->nbytes;
  }

  void drop(Free* block) noexcept {
    remove(block);
    unmap_block(block, block->nbytes);
  }

  void drop_cache() noexcept {
    while (oldest_ != nullptr) drop(oldest_);
  }

  void trim() noexcept {
    const int64_t most = most_needed_ + std::max(most_needed_ / 4, kSpare);
    while (oldest_ != nullptr && (used_ + statistics_.cached > most || oldest_->since < now_ - kIdleSeconds)) drop(oldest_);
  }

  std::mutex mutex_;
  std::array<Free*, 48 * 8> free_{};
  Free *newest_ = nullptr, *oldest_ = nullptr;
  int64_t now_ = 0;  // seconds, when a large block was last given back
  int64_t used_ = 0;                      // bytes of the blocks that are not free
  int64_t needed_ = 0, most_needed_ = 0;  // the same, were no block larger than it has to be
  MemoryStatistics statistics_{};
};

// Never destroyed: buffers of other static objects may outlive it.
Allocator& allocator() {
  static Allocator* instance = [] {
    pthread_atfork([] { allocator().lock(); }, [] { allocator().unlock(); }, [] { allocator().unlock(); });
    return new Allocator;
  }();
  return *instance;
}

}  // namespace

char* allocate(int64_t nbytes) {
  int64_t block;
  return allocator().allocate(nbytes, false, block);
}
void release(char* memory, int64_t nbytes) noexcept { allocator().release(memory, nbytes, size_class(nbytes).nbytes); }
MemoryStatistics memory_statistics() { return allocator().statistics(); }
void reset_memory_peak() { allocator().reset_peak(); }
void release_cached_memory() { allocator().release_cached(); }

Memory::Memory(int64_t nbytes) : Memory(nbytes, false) {}
Memory::Memory(int64_t nbytes, bool lent) : nbytes_(nbytes) {
  data_ = allocator().allocate(nbytes, lent, block_);
  release_ = [](char* memory, int64_t bytes, int64_t block) noexcept { allocator().release(memory, bytes, block); };
}

Memory Memory::lent(int64_t nbytes) { return Memory(nbytes, true); }

Memory::~Memory() {
  if (data_ != nullptr) release_(data_, nbytes_, block_);
}

}  // namespace axon
