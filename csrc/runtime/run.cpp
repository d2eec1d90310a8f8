// Running a program: contexts, and the walk over the steps.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>

#include "runtime/parallel.h"
#include "runtime/program.h"

namespace axon {
namespace {

constexpr size_t kContextsKept = 4;
constexpr int64_t kPollInterval = 50'000'000;

int64_t nanoseconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// One loop over the units of all calls of a kernel step.
struct KernelLoop {
  const KernelStep& step;
  axon_kernel function;
  const Context& context;
  std::atomic<int> status{0};

  KernelLoop(const KernelStep& of, axon_kernel with, const Context& in) : step(of), function(with), context(in) {}

  void operator()(int64_t begin, int64_t end, int thread) noexcept {
    char* scratch = context.scratch + thread * context.scratch_stride;
    size_t i = static_cast<size_t>(std::upper_bound(step.ends.begin(), step.ends.end(), begin) - step.ends.begin());
    while (begin < end) {
      const KernelCall& call = step.calls[i];
      const int64_t first = step.ends[i] - call.units, last = std::min(end, step.ends[i]);
      if (begin < last) {
        const int failed = function(context.table.data() + call.operands, call.ints.data(), call.literals.data(),
                                    begin - first, last - first, scratch);
        if (failed != 0) status.store(failed, std::memory_order_relaxed);
      }
      begin = last;
      ++i;
    }
  }
};

}  // namespace

class Run {
 public:
  Run(const Program& program, Context& context, const RunOptions& options)
      : program_(program), context_(context), options_(options), next_poll_(nanoseconds(CLOCK_MONOTONIC_COARSE) + kPollInterval) {}

  void bind(int32_t slot, char* pointer) {
    context_.pointers[static_cast<size_t>(slot)] = pointer;
    for (const TableOffset place : program_.uses_[static_cast<size_t>(slot)]) context_.table[static_cast<size_t>(place)] = pointer;
  }

  void timed_steps(const Steps& steps, std::vector<double>& seconds) {
    seconds.clear();
    for (const Step& step : steps) {
      const int64_t start = nanoseconds(CLOCK_MONOTONIC);
      run(step);
      seconds.push_back(static_cast<double>(nanoseconds(CLOCK_MONOTONIC) - start) * 1e-9);
    }
  }

  void steps(const Steps& steps) {
    for (size_t i = 0; i < steps.size(); ++i) {
      const auto* first = std::get_if<KernelStep>(&steps[i].kind);
      if (first != nullptr && first->along > 0 && shares_out(first->parts)) {
        part_by_part(steps, i, *first);
        i += static_cast<size_t>(first->along);
      } else {
        run(steps[i]);
      }
    }
  }

 private:
  void run(const Step& step) {
    std::visit([this](const auto& kind) { run_kind(kind); }, step.kind);
  }

  void run_kind(const KernelStep& step) {
    if (step.ends.empty()) return;
    KernelLoop loop{step, step.kernel->function(), context_};
    parallel(step.ends.back(), step.grain, context_.threads, loop, step.nbytes);
    check(loop);
  }

  static void check(const KernelLoop& loop) {
    if (const int status = loop.status.load(std::memory_order_relaxed); status != 0)
      throw std::runtime_error(loop.step.label + ": kernel returned status " + std::to_string(status));
  }

  // Whether no thread waits long for others that have a part more: for a sixth of the time at most.
  bool shares_out(int64_t parts) const {
    const int64_t turns = (parts + context_.threads - 1) / context_.threads;
    return turns * context_.threads * 5 <= parts * 6;
  }

  void part_by_part(const Steps& steps, size_t i, const KernelStep& first) {
    std::deque<KernelLoop> loops;
    for (size_t k = i; k <= i + static_cast<size_t>(first.along); ++k) {
      const auto& step = std::get<KernelStep>(steps[k].kind);
      loops.emplace_back(step, step.kernel->function(), context_);
    }
    parallel(first.parts, 1, context_.threads, [&](int64_t begin, int64_t end, int thread) noexcept {
      for (int64_t part = begin; part < end; ++part)
        for (KernelLoop& loop : loops) {
          const int64_t each = loop.step.ends.back() / first.parts;
          loop(part * each, (part + 1) * each, thread);
        }
    });
    for (const KernelLoop& loop : loops) check(loop);
  }

  void run_kind(const LibraryStepCall& step) {
    const AllThreads threads;
    try {
      context_.objects[step.object]->run(context_.table.data() + step.operands);
    } catch (const std::exception& error) {
      throw std::runtime_error(step.label + ": " + error.what());
    }
  }

  void run_kind(const HostStep& step) { step.function(context_.table.data() + step.operands); }

  void run_kind(const WhileStep& step) {
    for (;;) {
      steps(step.condition);
      if (*pointer(step.predicate) == 0) return;
      steps(step.body);
      moves(step.moves);
      poll();
    }
  }

  void run_kind(const CondStep& step) {
    int32_t index;
    std::memcpy(&index, pointer(step.index), sizeof index);
    steps(step.branches[static_cast<size_t>(std::clamp<int64_t>(index, 0, std::ssize(step.branches) - 1))]);
  }

  void run_kind(const ScanStep& step) {
    for (int64_t i = 0; i < step.length; ++i) {
      const int64_t place = step.reverse ? step.length - 1 - i : i;
      for (const int32_t index : step.slices) {
        const Slot& slice = program_.description_.slots[static_cast<size_t>(index)];
        bind(index, pointer(static_cast<int32_t>(slice.a)) + place * slice.b);
      }
      steps(step.body);
      moves(step.moves);
      poll();
    }
  }

  void moves(const Moves& moves) {
    char* stage = context_.staging;
    if (moves.staged)
      for (const Move& move : moves.list) {
        std::memcpy(stage, pointer(move.source), nbytes(move));
        stage += aligned(static_cast<int64_t>(nbytes(move)));
      }
    stage = context_.staging;
    for (const Move& move : moves.list) {
      const char* source = moves.staged ? stage : pointer(move.source);
      stage += moves.staged ? aligned(static_cast<int64_t>(nbytes(move))) : 0;
      if (pointer(move.destination) != source) std::memmove(pointer(move.destination), source, nbytes(move));
    }
  }

  void poll() {
    if (options_.interrupted == nullptr || nanoseconds(CLOCK_MONOTONIC_COARSE) < next_poll_) return;
    next_poll_ = nanoseconds(CLOCK_MONOTONIC_COARSE) + kPollInterval;
    if (options_.interrupted(options_.state)) throw Interrupted(program_.description_.label + ": interrupted");
  }

  char* pointer(int32_t slot) const { return context_.pointers[static_cast<size_t>(slot)]; }
  size_t nbytes(const Move& move) const {
    return static_cast<size_t>(program_.description_.slots[static_cast<size_t>(move.source)].nbytes);
  }

  const Program& program_;
  Context& context_;
  const RunOptions& options_;
  int64_t next_poll_;
};

std::unique_ptr<Context> Program::idle() const {
  std::lock_guard lock(mutex_);
  while (!free_.empty()) {
    std::unique_ptr<Context> context = std::move(free_.back());
    free_.pop_back();
    if (context->generation == threads_generation()) return context;
  }
  return nullptr;
}

std::unique_ptr<Context> Program::plan() const {
  auto context = std::make_unique<Context>();
  context->generation = threads_generation();
  context->threads = threads();
  context->scratch_stride = aligned(scratch_bytes_);
  context->pointers.resize(description_.slots.size());
  context->table.resize(static_cast<size_t>(table_size_));
  const DefaultFloatingPoint mode;
  const AllThreads threads;  // a library plans for as many threads as it sees
  for (const LibraryStepCall* call : library_calls_) {
    std::vector<int64_t> sizes;
    for (const int32_t slot : call->slots) sizes.push_back(description_.slots[static_cast<size_t>(slot)].nbytes);
    try {
      context->objects.push_back(context->library.make(find_library_factory(call->symbol.c_str()), {sizes, call->ints, call->floats}));
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      throw std::invalid_argument(call->label + ": " + error.what());
    }
  }
  context->nbytes = aligned(description_.arena_bytes) + context->scratch_stride * context->threads + aligned(staging_bytes_) +
                    context->library.nbytes();
  return context;
}

// Memory belongs to a run, not to a context: otherwise every program of a process, one for each shape that a function has
// met, would keep its own.
void Program::lend_memory(Context& context) const {
  alignas(kAlignment) static char nothing[kAlignment];
  if (context.nbytes > 0) context.work = Memory::lent(context.nbytes);
  char* const base = context.nbytes > 0 ? context.work.data() : nothing;
  if (base == context.base) return;
  context.base = base;
  context.scratch = base + aligned(description_.arena_bytes);
  context.staging = context.scratch + context.scratch_stride * context.threads;
  context.library.place(context.staging + aligned(staging_bytes_));
  const RunOptions none;
  Run binder(*this, context, none);
  for (size_t i = 0; i < description_.slots.size(); ++i)
    if (const Slot& slot = description_.slots[i]; slot.kind == Slot::Kind::arena)
      binder.bind(static_cast<int32_t>(i), base + slot.a);
}

std::unique_ptr<Context> Program::reuse() const {
  std::unique_ptr<Context> context = idle();
  if (context != nullptr) lend_memory(*context);
  return context;
}

std::unique_ptr<Context> Program::acquire() const {
  std::unique_ptr<Context> context = idle();
  if (context == nullptr) context = plan();
  lend_memory(*context);
  return context;
}

int64_t Program::context_bytes() const {
  std::unique_ptr<Context> context = idle();
  if (context == nullptr) context = plan();
  const int64_t nbytes = context->nbytes;
  give_back(std::move(context));
  return nbytes;
}

void Program::give_back(std::unique_ptr<Context> context) const {
  context->work = Memory();
  std::lock_guard lock(mutex_);
  if (context->generation == threads_generation() && free_.size() < kContextsKept) free_.push_back(std::move(context));
}

void Program::run(Context& context, char* const* inputs, char* const* outputs, const RunOptions& options) const {
  Run run(*this, context, options);
  for (size_t i = 0; i < input_slots_.size(); ++i) run.bind(input_slots_[i], inputs[i]);
  for (size_t j = 0; j < output_slots_.size(); ++j) run.bind(output_slots_[j], outputs[j]);
  const DefaultFloatingPoint mode;
  if (options.seconds != nullptr)
    run.timed_steps(description_.steps, *options.seconds);
  else
    run.steps(description_.steps);
}

}  // namespace axon
