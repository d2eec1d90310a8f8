// The CPU: memory of the allocator, kernels as parallel loops.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>

#include "runtime/device.h"
#include "runtime/parallel.h"
#include "runtime/program.h"

namespace axon {
namespace {

// One loop over the units of all calls of a kernel step.
struct KernelLoop {
  const KernelStep& step;
  axon_kernel function;
  const Context& context;
  std::atomic<int> status{0};   // of the first unit that failed
  char text[kKernelText] = {};  // that it left, where its status is negative

  KernelLoop(const Step& of, const Context& in)
      : step(std::get<KernelStep>(of.kind)), function(step.kernel->function()), context(in) {}

  void operator()(int64_t begin, int64_t end, int thread) noexcept {
    char* scratch = context.scratch + thread * context.scratch_stride;
    size_t i = static_cast<size_t>(std::upper_bound(step.ends.begin(), step.ends.end(), begin) - step.ends.begin());
    while (begin < end) {
      const KernelCall& call = step.calls[i];
      const int64_t first = step.ends[i] - call.units, last = std::min(end, step.ends[i]);
      if (begin < last) {
        const int failed = function(context.table.data() + call.operands, call.ints.data(), call.literals.data(),
                                    begin - first, last - first, scratch);
        if (failed != 0) fail(failed, scratch);
      }
      begin = last;
      ++i;
    }
  }

  void fail(int failed, const char* scratch) noexcept {
    int none = 0;
    if (status.compare_exchange_strong(none, failed, std::memory_order_relaxed) && failed < 0 && step.scratch >= kKernelText)
      std::memcpy(text, scratch, kKernelText - 1);
  }

  void check() const {
    if (const int failed = status.load(std::memory_order_relaxed); failed != 0)
      throw std::runtime_error(step.label + ": " + (*text != 0 ? text : "kernel returned status " + std::to_string(failed)));
  }
};

class Cpu final : public Device {
 public:
  const char* name() const override { return "cpu"; }
  bool host() const override { return true; }
  int threads() const override { return axon::threads(); }

  char* allocate(int64_t nbytes) override { return axon::allocate(nbytes); }
  void release(char* memory, int64_t nbytes) noexcept override { axon::release(memory, nbytes); }
  Memory lend(int64_t nbytes) override { return Memory::lent(nbytes); }

  void copy(char* to, const char* from, size_t nbytes) override { std::memmove(to, from, nbytes); }
  void read(void* to, const char* from, size_t nbytes) override { std::memcpy(to, from, nbytes); }

  void launch(std::span<const Step> steps, Context& context) override {
    const auto& first = std::get<KernelStep>(steps[0].kind);
    if (steps.size() > 1 && shares_out(first.parts, context.threads)) return part_by_part(steps, first.parts, context);
    for (const Step& step : steps) {
      KernelLoop loop{step, context};
      if (loop.step.ends.empty()) continue;
      parallel(loop.step.ends.back(), loop.step.grain, context.threads, loop, loop.step.nbytes);
      loop.check();
    }
  }

  void run(LibraryStep& step, char* const* operands) override {
    const AllThreads threads;
    step.run(operands);
  }

 private:
  // Whether no thread waits long for others that have a part more: for a sixth of the time at most.
  static bool shares_out(int64_t parts, int threads) {
    const int64_t turns = (parts + threads - 1) / threads;
    return turns * threads * 5 <= parts * 6;
  }

  static void part_by_part(std::span<const Step> steps, int64_t parts, Context& context) {
    std::deque<KernelLoop> loops;
    for (const Step& step : steps) loops.emplace_back(step, context);
    parallel(parts, 1, context.threads, [&](int64_t begin, int64_t end, int thread) noexcept {
      for (int64_t part = begin; part < end; ++part)
        for (KernelLoop& loop : loops) {
          const int64_t each = loop.step.ends.back() / parts;
          loop(part * each, (part + 1) * each, thread);
        }
    });
    for (const KernelLoop& loop : loops) loop.check();
  }
};

}  // namespace

// Never destroyed: buffers of static objects may outlive it.
Device& cpu() {
  static Cpu* const instance = new Cpu;
  return *instance;
}

}  // namespace axon
