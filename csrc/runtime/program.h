// A Program is a Description that was checked and laid out. Several threads may run it at once, each with a Context of its
// own.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "runtime/allocator.h"
#include "runtime/description.h"
#include "runtime/device.h"
#include "runtime/library.h"

namespace axon {

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
  explicit Program(Description description, Device& device = cpu());

  const Description& description() const { return description_; }
  Device& device() const { return device_; }
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
  Device& device_;
  std::vector<int32_t> input_slots_, output_slots_;
  std::vector<std::vector<TableOffset>> uses_;  // of each slot: where it stands in a context's table
  std::vector<const LibraryStepCall*> library_calls_;
  TableOffset table_size_ = 0;
  int64_t scratch_bytes_ = 0, staging_bytes_ = 0;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Context>> free_;
};

}  // namespace axon
