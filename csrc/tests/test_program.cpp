#include "runtime/program.h"

#include <atomic>
#include <cstring>
#include <thread>

#include "runtime/parallel.h"
#include "test.h"

using namespace axon;

namespace {

// out[i] = in[i] + ints[0] over bytes
int add(char* const* operands, const int64_t* ints, const uint64_t*, int64_t begin, int64_t end, char*) {
  for (int64_t i = begin; i < end; ++i) operands[1][i] = static_cast<char>(operands[0][i] + ints[0]);
  return 0;
}
// Fails where in[i] is ints[0].
int refuse(char* const* operands, const int64_t* ints, const uint64_t*, int64_t begin, int64_t end, char*) {
  for (int64_t i = begin; i < end; ++i)
    if (operands[0][i] == ints[0]) return 3;
  return 0;
}
// Fails with a text, where there is room for one.
int explain(char* const*, const int64_t* ints, const uint64_t*, int64_t, int64_t, char* scratch) {
  if (ints[0] != 0) std::memset(scratch, 'x', static_cast<size_t>(kKernelText));
  return -1;
}
// out[0] = in[0] < ints[0]
int below(char* const* operands, const int64_t* ints, const uint64_t*, int64_t, int64_t, char*) {
  operands[1][0] = operands[0][0] < ints[0];
  return 0;
}

struct Halve : LibraryStep {
  explicit Halve(const LibraryCall& call) : count(call.nbytes[0]) {
    if (call.ints.size() != 0) throw std::invalid_argument("takes no ints");
    ++made;
  }
  void run(char* const* operands) override {
    if (operands[0][0] == 77) throw std::runtime_error("cannot halve 77");
    for (int64_t i = 0; i < count; ++i) operands[1][i] = static_cast<char>(operands[0][i] / 2);
  }
  int64_t count;
  static std::atomic<int> made;
};
std::atomic<int> Halve::made{0};
AXON_LIBRARY("test.halve", Halve)

// out = in, by way of scratch memory.
struct Through : LibraryStep {
  explicit Through(const LibraryCall& call) : count(static_cast<size_t>(call.nbytes[0])), unused(960), scratch(call.nbytes[0]) {}
  void run(char* const* operands) override {
    std::memcpy(scratch.data(), operands[0], count);
    std::memcpy(operands[1], scratch.data(), count);
  }
  size_t count;
  Scratch unused, scratch;
};
AXON_LIBRARY("test.through", Through)

Step kernel(axon_kernel function, std::vector<int32_t> slots, int64_t value, int64_t units, const char* label = "kernel") {
  KernelStep step{std::make_shared<Kernel>(function), {}, 16, 0, label};
  step.calls.push_back({std::move(slots), {value}, {}, units});
  return {step};
}

Step library(std::vector<int32_t> slots) { return {LibraryStepCall{"test.halve", std::move(slots), {}, {}, "halve"}}; }

Description description(std::vector<Slot> slots, Steps steps, int64_t arena = 0) {
  Description made;
  made.slots = std::move(slots);
  made.steps = std::move(steps);
  made.arena_bytes = arena;
  for (const Slot& slot : made.slots) {
    made.inputs += slot.kind == Slot::Kind::input;
    made.outputs += slot.kind == Slot::Kind::output;
  }
  made.label = "test";
  return made;
}

Slot input(int64_t i, int64_t nbytes) { return {Slot::Kind::input, i, 0, nbytes}; }
Slot output(int64_t j, int64_t nbytes) { return {Slot::Kind::output, j, -1, nbytes}; }
Slot arena(int64_t offset, int64_t nbytes) { return {Slot::Kind::arena, offset, 0, nbytes}; }
Slot slice(int64_t parent, int64_t stride, int64_t nbytes) { return {Slot::Kind::slice, parent, stride, nbytes}; }

// A device of another address space: whoever reads or writes its memory but through it, dies.
class Far final : public Device {
 public:
  const char* name() const override { return "far"; }
  bool host() const override { return false; }
  int threads() const override { return 1; }
  char* allocate(int64_t nbytes) override { return there(axon::allocate(nbytes)); }
  void release(char* memory, int64_t nbytes) noexcept override { axon::release(here(memory), nbytes); }
  Memory lend(int64_t nbytes) override {
    return Memory(allocate(nbytes), nbytes, [](char* memory, int64_t bytes, int64_t) noexcept { axon::release(here(memory), bytes); });
  }
  void copy(char* to, const char* from, size_t nbytes) override { std::memmove(here(to), here(from), nbytes); }
  void read(void* to, const char* from, size_t nbytes) override { std::memcpy(to, here(from), nbytes); }
  void launch(std::span<const Step> steps, Context& context) override {
    for (const Step& step : steps)
      for (const KernelCall& call : std::get<KernelStep>(step.kind).calls)
        std::get<KernelStep>(step.kind).kernel->function()(operands(context.table.data() + call.operands).data(), call.ints.data(),
                                                           call.literals.data(), 0, call.units, nullptr);
  }
  void run(LibraryStep& step, char* const* given) override { step.run(operands(given).data()); }

  static char* there(const char* memory) { return reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(memory) ^ kFar); }
  static char* here(const char* memory) { return there(memory); }

 private:
  static constexpr uintptr_t kFar = uintptr_t{1} << 62;
  static std::vector<char*> operands(char* const* given) { return {here(given[0]), here(given[1])}; }
};

Far far;

std::string run(const Program& program, std::string in) {
  std::string out(static_cast<size_t>(program.output(0).nbytes), '?');
  const bool host = program.device().host();
  char* inputs[] = {host ? in.data() : far.there(in.data())};
  char* outputs[] = {host ? out.data() : far.there(out.data())};
  std::unique_ptr<Context> context = program.acquire();
  program.run(*context, inputs, outputs);
  program.give_back(std::move(context));
  return out;
}

const auto devices = {&cpu(), static_cast<Device*>(&far)};

}  // namespace

TEST("kernel and library steps run in order through the arena") {
  for (Device* device : devices) {
    const Program program(description({input(0, 3), arena(0, 3), output(0, 3)},
                                      {kernel(add, {0, 1}, 1, 3), library({1, 1}), kernel(add, {1, 2}, 'A', 3)}, 64), *device);
    CHECK(run(program, {1, 3, 5}) == "BCD");
  }
}

TEST("a failing step raises with its label") {
  const Program program(description({input(0, 100), output(0, 100)}, {kernel(refuse, {0}, 7, 100, "model.py:3")}));
  CHECK(run(program, std::string(100, 1)).size() == 100);
  CHECK_THROWS(run(program, std::string(99, 1) + '\7'), "model.py:3: kernel returned status 3");
  const Program halves(description({input(0, 1), output(0, 1)}, {library({0, 1})}));
  CHECK_THROWS(run(halves, "M"), "halve: cannot halve 77");
}

TEST("a kernel of negative status says why, where its scratch memory has room for a text") {
  Step step = kernel(explain, {0}, 0, 100, "model.py:3");
  CHECK_THROWS(run(Program(description({input(0, 1), output(0, 1)}, {step})), "M"), "model.py:3: kernel returned status -1");
  auto& explains = std::get<KernelStep>(step.kind);
  explains.scratch = kKernelText;
  explains.calls[0].ints = {1};
  const std::string text(static_cast<size_t>(kKernelText) - 1, 'x');  // it ends where the room does
  CHECK_THROWS(run(Program(description({input(0, 1), output(0, 1)}, {step})), "M"), ("model.py:3: " + text).c_str());
}

TEST("a library step is planned once a context, and anew for another number of threads") {
  const Program program(description({input(0, 1), output(0, 1)}, {library({0, 1})}));
  Halve::made = 0;
  for (int i = 0; i < 5; ++i) CHECK(run(program, "\10") == "\4");
  CHECK(Halve::made == 1);
  set_threads(threads());
  CHECK(run(program, "\10") == "\4");
  CHECK(Halve::made == 2);
}

TEST("memory belongs to a run, and steps share what they work in") {
  const Program program(description({input(0, 1), arena(0, 1), output(0, 1)},
                                    {kernel(add, {0, 1}, 2, 1), library({1, 1}), {LibraryStepCall{"test.through", {1, 2}, {}, {}, "through"}}}, 4096));
  const int64_t live = memory_statistics().live;
  CHECK(program.context_bytes() == 4096 + 1024);
  CHECK(memory_statistics().live == live);
  reset_memory_peak();
  CHECK(run(program, "\10") == "\5" && run(program, "\10") == "\5");
  CHECK(memory_statistics().live == live && memory_statistics().peak == live + 4096 + 1024);
  // Elsewhere than before: the pointers follow.
  std::unique_ptr<Context> first = program.acquire();
  CHECK(run(program, "\20") == "\11");
  program.give_back(std::move(first));
  CHECK(run(program, "\20") == "\11");
}

TEST("a while moves its carry until the predicate is false") {
  for (Device* device : devices) {
    const Program program(description({input(0, 1), output(0, 1), arena(0, 1), arena(64, 1)},
                                      {kernel(add, {0, 1}, 0, 1),
                                       {WhileStep{{kernel(below, {1, 2}, 50, 1)}, 2, {kernel(add, {1, 3}, 7, 1)}, {{{1, 3}}}}}},
                                      128), *device);
    CHECK(run(program, {1}) == std::string(1, 50));
    CHECK(run(program, {2}) == std::string(1, 51));
  }
}

TEST("a scan moves its slices, backwards too, and its carries at once") {
  for (Device* device : devices)
    for (bool reverse : {false, true}) {
      // Carries a, b: (a, b) = (b, x); y = a. Forwards, b's move comes first in the list.
      const Moves moves{reverse ? std::vector<Move>{{2, 3}, {3, 4}} : std::vector<Move>{{3, 4}, {2, 3}}};
      ScanStep scan{4, reverse, {kernel(add, {2, 5}, 0, 1)}, moves, {4, 5}};
      const Program program(description({input(0, 4), output(0, 4), arena(0, 1), arena(64, 1), slice(0, 1, 1), slice(1, 1, 1)},
                                        {kernel(add, {0, 2}, 0, 1), kernel(add, {0, 3}, 0, 1), {scan}}, 128), *device);
      CHECK(run(program, "abcd") == (reverse ? "cdaa" : "aaab"));
    }
}

TEST("moves are staged only where no order of them will do") {
  const auto staged = [](std::vector<Move> moves) {
    Description made = description({output(0, 1), arena(0, 1), arena(64, 1)}, {{ScanStep{1, false, {}, {moves}, {}}}}, 128);
    const Program program(std::move(made));
    return std::get<ScanStep>(program.description().steps[0].kind).moves.staged;
  };
  CHECK(staged({{1, 2}, {2, 1}}));
  CHECK(!staged({{1, 2}, {0, 1}}));
  CHECK(!staged({{0, 1}, {1, 2}}));
}

TEST("contexts serve several threads at once") {
  const Program program(description({input(0, 4096), arena(0, 4096), output(0, 4096)},
                                    {kernel(add, {0, 1}, 1, 4096), library({1, 1}), kernel(add, {1, 2}, 3, 4096)}, 4096));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const char value = static_cast<char>(10 * t);
      for (int i = 0; i < 50; ++i)
        wrong += run(program, std::string(4096, value)) == std::string(4096, static_cast<char>((value + 1) / 2 + 3)) ? 0 : 1;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST("an interrupted loop ends with an exception") {
  const Program program(description({input(0, 1), output(0, 1)}, {{ScanStep{int64_t{1} << 40, false, {}, {}, {}}}}));
  RunOptions options;
  options.interrupted = [](void* asked) { return ++*static_cast<int*>(asked) == 2; };
  int asked = 0;
  options.state = &asked;
  char memory[2] = {};
  char *inputs[] = {memory}, *outputs[] = {memory + 1};
  std::unique_ptr<Context> context = program.acquire();
  CHECK_THROWS(program.run(*context, inputs, outputs, options), "test: interrupted");
}

TEST("descriptions that do not hold are refused") {
  CHECK_THROWS(Program(description({input(0, 1), input(0, 1)}, {})), "has the position of slot 0");
  CHECK_THROWS(Program(description({arena(0, 65)}, {}, 64)), "does not lie in the arena");
  CHECK_THROWS(Program(description({slice(0, 1, 1)}, {})), "earlier slot");
  CHECK_THROWS(Program(description({input(0, 1)}, {kernel(add, {0, 1}, 0, 1)})), "slot 1, which does not exist");
  CHECK_THROWS(Program(description({input(0, 4), slice(0, 2, 1)}, {{ScanStep{3, false, {}, {}, {1}}}})), "leaves its parent");
  CHECK_THROWS(Program(description({input(0, 4), arena(0, 4)}, {{ScanStep{3, false, {}, {{{0, 1}}}, {}}}}, 64)), "to an input");
}

TEST("bytes that are no shared library are refused") {
  CHECK_THROWS(KernelLibrary({}), "too few");
  CHECK_THROWS(KernelLibrary(std::vector<char>(1000, 'x')), "do not begin as ELF");
}
