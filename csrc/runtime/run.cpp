// Running a program: contexts, and the walk over the steps.
#include <time.h>

#include <algorithm>

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

}  // namespace

class Run {
 public:
  Run(const Program& program, Context& context, const RunOptions& options)
      : program_(program), device_(program.device()), context_(context), options_(options),
        next_poll_(nanoseconds(CLOCK_MONOTONIC_COARSE) + kPollInterval) {}

  void bind(int32_t slot, char* pointer) {
    context_.pointers[static_cast<size_t>(slot)] = pointer;
    for (const TableOffset place : program_.uses_[static_cast<size_t>(slot)]) context_.table[static_cast<size_t>(place)] = pointer;
  }

  void timed_steps(const Steps& steps, std::vector<double>& seconds) {
    seconds.clear();
    for (const Step& step : steps) {
      const int64_t start = nanoseconds(CLOCK_MONOTONIC);
      run({&step, 1});
      seconds.push_back(static_cast<double>(nanoseconds(CLOCK_MONOTONIC) - start) * 1e-9);
    }
  }

  // What may go along with a kernel step runs with it.
  void steps(const Steps& steps) {
    for (size_t i = 0, count; i < steps.size(); i += count) {
      const auto* kernel = std::get_if<KernelStep>(&steps[i].kind);
      count = kernel != nullptr ? 1 + static_cast<size_t>(kernel->along) : 1;
      run(std::span(steps).subspan(i, count));
    }
  }

 private:
  void run(std::span<const Step> steps) {
    if (std::holds_alternative<KernelStep>(steps[0].kind)) return device_.launch(steps, context_);
    std::visit([this](const auto& kind) { run_kind(kind); }, steps[0].kind);
  }

  void run_kind(const KernelStep&) {}  // launched

  void run_kind(const LibraryStepCall& step) {
    try {
      device_.run(*context_.objects[step.object], context_.table.data() + step.operands);
    } catch (const std::exception& error) {
      throw std::runtime_error(step.label + ": " + error.what());
    }
  }

  void run_kind(const HostStep& step) { step.function(context_.table.data() + step.operands); }

  void run_kind(const WhileStep& step) {
    for (;;) {
      steps(step.condition);
      char going;
      device_.read(&going, pointer(step.predicate), sizeof going);
      if (going == 0) return;
      steps(step.body);
      moves(step.moves);
      poll();
    }
  }

  void run_kind(const CondStep& step) {
    int32_t index;
    device_.read(&index, pointer(step.index), sizeof index);
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
        device_.copy(stage, pointer(move.source), nbytes(move));
        stage += aligned(static_cast<int64_t>(nbytes(move)));
      }
    stage = context_.staging;
    for (const Move& move : moves.list) {
      const char* source = moves.staged ? stage : pointer(move.source);
      stage += moves.staged ? aligned(static_cast<int64_t>(nbytes(move))) : 0;
      if (pointer(move.destination) != source) device_.copy(pointer(move.destination), source, nbytes(move));
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
  Device& device_;
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
  context->threads = device_.threads();
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
  if (context.nbytes > 0) context.work = device_.lend(context.nbytes);
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
