// A Program is a flat list of steps over numbered slots of memory (docs/design/runtime.md). It knows no op.
// A Description is plain data, as the compiler writes it; a Program is a description that was checked and laid out, and
// may be run by several threads at once, each with a Context of its own.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "runtime/allocator.h"
#include "runtime/kernel.h"
#include "runtime/library.h"

namespace axon {

struct Slot {
  enum class Kind : int32_t { input, output, arena, slice };
  Kind kind;
  int64_t a;  // input, output: position; arena: offset; slice: parent slot
  int64_t b;  // output: the input whose memory it may take over, or -1; slice: bytes an iteration
  int64_t nbytes;
};

// Where a step's operands lie in a context's table of pointers; set by Program.
using TableOffset = int32_t;

struct KernelCall {
  std::vector<int32_t> slots;
  std::vector<int64_t> ints;
  std::vector<uint64_t> literals;
  int64_t units;
  TableOffset operands = 0;
};

struct KernelStep {
  std::shared_ptr<Kernel> kernel;
  std::vector<KernelCall> calls;  // one region over the sum of their units
  int64_t grain;
  int64_t scratch;  // bytes a thread
  std::string label;
  // The `along` steps after this one, kernels of one call each as this one is, have units that can be cut into `parts` equal
  // parts, each of which needs nothing but the same part of the others: a thread may take a part through all of them.
  int64_t parts = 1, along = 0;
  std::vector<int64_t> ends = {};  // running sums of the calls' units; set by Program
};

struct LibraryStepCall {
  std::string symbol;
  std::vector<int32_t> slots;
  std::vector<int64_t> ints;
  std::vector<double> floats;
  std::string label;
  TableOffset operands = 0;
  size_t object = 0;  // its place among a context's library objects; set by Program
};

struct HostStep {
  std::function<void(char* const* operands)> function;
  std::vector<int32_t> slots;
  std::string label;
  TableOffset operands = 0;
};

constexpr int kDeepest = 200;  // steps within steps

struct Step;
using Steps = std::vector<Step>;

struct Move {
  int32_t destination, source;
};

struct Moves {
  std::vector<Move> list;
  bool staged = false;  // a source may share memory with a later move's destination; set by Program
};

struct WhileStep {
  Steps condition;
  int32_t predicate;
  Steps body;
  Moves moves;
};

struct CondStep {
  int32_t index;
  std::vector<Steps> branches;
};

struct ScanStep {
  int64_t length;
  bool reverse;
  Steps body;
  Moves moves;
  std::vector<int32_t> slices;  // the slice slots that this scan moves along
};

struct Step {
  std::variant<KernelStep, LibraryStepCall, HostStep, WhileStep, CondStep, ScanStep> kind;
};

struct Description {
  std::vector<Slot> slots;
  Steps steps;
  int64_t arena_bytes = 0;
  int32_t inputs = 0, outputs = 0;
  std::string label;
};

// What one run needs for itself. Made for a number of threads, which a set_threads or a fork outdates.
struct Context {
  Memory work;           // the arena, then what threads, moves and library steps work in; lent while there is a run
  int64_t nbytes = 0;    // that it takes
  char* base = nullptr;  // what the pointers into it were made for
  char *scratch = nullptr, *staging = nullptr;
  int64_t scratch_stride = 0;
  int threads = 1;
  uint64_t generation = 0;
  std::vector<char*> pointers;  // of each slot
  std::vector<char*> table;     // of each operand of each step
  ScratchArea library;
  std::vector<std::unique_ptr<LibraryStep>> objects;
};

// What a run asks of its caller.
struct RunOptions {
  bool (*interrupted)(void* state) = nullptr;  // asked about every 50 ms at an iteration's end; true ends the run
  void* state = nullptr;
  std::vector<double>* seconds = nullptr;  // filled with the time of each step of the outermost list
};

struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Program {
 public:
  // Checks everything a run relies on. Throws std::invalid_argument.
  explicit Program(Description description);

  const Description& description() const { return description_; }
  const Slot& input(int32_t i) const { return description_.slots[static_cast<size_t>(input_slots_[static_cast<size_t>(i)])]; }
  const Slot& output(int32_t j) const { return description_.slots[static_cast<size_t>(output_slots_[static_cast<size_t>(j)])]; }

  // A context that was given back, with memory for a run, or null.
  std::unique_ptr<Context> reuse() const;
  // A context nobody else uses. Making one plans the library steps; throws what they throw, with the step's label.
  std::unique_ptr<Context> acquire() const;
  void give_back(std::unique_ptr<Context> context) const;

  // Bytes that a run takes besides its outputs. Plans the context of the first run.
  int64_t context_bytes() const;

  // Runs the steps. inputs[i] and outputs[j] have the sizes of their slots. A failed step raises with its label; outputs
  // then hold anything.
  void run(Context& context, char* const* inputs, char* const* outputs, const RunOptions& options = {}) const;

 private:
  friend class Layout;
  friend class Run;

  std::unique_ptr<Context> idle() const;
  std::unique_ptr<Context> plan() const;
  void lend_memory(Context& context) const;

  Description description_;
  std::vector<int32_t> input_slots_, output_slots_;
  std::vector<std::vector<TableOffset>> uses_;  // of each slot: where it stands in a context's table
  std::vector<const LibraryStepCall*> library_calls_;
  TableOffset table_size_ = 0;
  int64_t scratch_bytes_ = 0, staging_bytes_ = 0;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Context>> free_;
};

}  // namespace axon
