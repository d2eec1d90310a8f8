// What a program is made from: a flat list of steps over numbered slots of memory (docs/design/runtime.md), as the compiler
// writes it. Plain data; it knows no op. A few fields are set by Program when it lays the steps out.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "runtime/kernel.h"

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
  std::vector<KernelCall> calls;  // one parallel loop over the sum of their units
  int64_t grain;
  int64_t scratch;  // bytes a thread
  std::string label;
  // The `along` steps after this one, kernels of one call each as this one is, have units that can be cut into `parts` equal
  // parts, each of which needs nothing but the same part of the others: a thread may take a part through all of them.
  int64_t parts = 1, along = 0;
  std::vector<int64_t> ends = {};  // running sums of the calls' units; set by Program
  int64_t nbytes = 0;              // of all that the calls have pointers to; set by Program
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

}  // namespace axon
