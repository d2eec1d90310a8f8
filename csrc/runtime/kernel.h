// Compiled kernels: the calling convention of docs/design/runtime.md, libraries loaded from memory, and the handle
// through which a program reaches a kernel that may be replaced while it runs.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

extern "C" using axon_kernel = int (*)(char* const* operands, const int64_t* ints, const uint64_t* literals,
                                       int64_t begin, int64_t end, char* scratch);

namespace axon {

// A kernel whose status is negative has left a text of so many bytes, its last 0, at the start of its scratch memory, where
// that has the room.
constexpr int64_t kKernelText = 256;

// A shared library, loaded from bytes that no later change of a file can reach. It stays loaded: another thread may be
// inside it, and a kernel is a few pages. The bytes are kept because a saved program carries them.
struct KernelLibrary {
  explicit KernelLibrary(std::vector<char> bytes);  // throws std::invalid_argument for what is no shared library

  axon_kernel find(const std::string& symbol) const;  // throws std::invalid_argument

  std::vector<char> bytes;
  void* handle;
};

class Kernel {
 public:
  Kernel(std::shared_ptr<const KernelLibrary> library, std::string symbol)
      : function_(library->find(symbol)), origin_{std::move(library), std::move(symbol)} {}

  // A kernel of this program's own text; what has one cannot be saved.
  explicit Kernel(axon_kernel function) : function_(function) {}

  axon_kernel function() const { return function_.load(std::memory_order_acquire); }

  // From the next step on, this handle calls what `other` calls now. Both must compute the same bits.
  void swap(const Kernel& other) {
    const Origin origin = other.origin();
    std::lock_guard lock(mutex_);
    origin_ = origin;
    function_.store(other.function(), std::memory_order_release);
  }

  struct Origin {  // empty for a kernel of this program's own text
    std::shared_ptr<const KernelLibrary> library;
    std::string symbol;
  };
  Origin origin() const {
    std::lock_guard lock(mutex_);
    return origin_;
  }

 private:
  std::atomic<axon_kernel> function_;
  mutable std::mutex mutex_;
  Origin origin_;
};

}  // namespace axon
