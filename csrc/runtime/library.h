// Library steps: work that a program hands to native code of csrc/cpu by a symbol (gemm, convolution, sort, copies).
//
//   struct Gemm : axon::LibraryStep {
//     explicit Gemm(const axon::LibraryCall& call);            // plan: checks ints and sizes, makes primitives
//     void run(char* const* operands) override;                // operands[i] is the memory of the step's i-th slot
//   };
//   AXON_LIBRARY("gemm", Gemm)                                  // at namespace scope of one .cpp file
//
// A step object belongs to one context: it is made before the context's first run and run by one thread at a time, so
// it may hold primitives. Memory that it works in is Scratch, which its constructor asks for. Both functions report
// trouble by throwing std::exception. The runtime gives a running step all threads to itself (OpenMP regions inside are
// fine, so is axon::parallel).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace axon {

struct LibraryCall {
  std::span<const int64_t> nbytes;  // the size of each operand
  std::span<const int64_t> ints;
  std::span<const double> floats;
};

class LibraryStep {
 public:
  virtual ~LibraryStep() = default;
  virtual void run(char* const* operands) = 0;
};

// Memory of a step while it runs. A program's steps run one after the other, so theirs is the same; what lies there is lost
// between runs.
class ScratchArea;
class Scratch {
 public:
  Scratch() = default;
  explicit Scratch(int64_t nbytes);  // in the constructor of a step that a ScratchArea makes
  char* data() const;                // while the step runs
  int64_t nbytes() const { return nbytes_; }

 private:
  const ScratchArea* area_ = nullptr;
  int64_t offset_ = 0, nbytes_ = 0;
};

using LibraryFactory = std::unique_ptr<LibraryStep> (*)(const LibraryCall&);

// The library of that name in this library's folder, loaded. Throws std::runtime_error where it cannot be.
void* load_neighbour(const char* file);

// The factory registered under `symbol`; loads libaxon_cpu.so when the symbol is not yet known.
// Throws std::runtime_error when nothing registers it.
LibraryFactory find_library_factory(const char* symbol);

// Makes steps that share their scratch memory, and has to outlive them.
class ScratchArea {
 public:
  std::unique_ptr<LibraryStep> make(LibraryFactory factory, const LibraryCall& call);
  int64_t nbytes() const { return nbytes_; }       // of the step that needs most
  void place(char* memory) { memory_ = memory; }   // so many bytes, before a step runs

 private:
  friend class Scratch;
  char* memory_ = nullptr;
  int64_t nbytes_ = 0, next_ = 0;
};

// A symbol may be registered once; static objects of this type fill the registry before main or during dlopen.
struct LibraryRegistration {
  LibraryRegistration(const char* symbol, LibraryFactory factory);
};

}  // namespace axon

#define AXON_LIBRARY(symbol, Step) AXON_LIBRARY_AT(symbol, Step, __COUNTER__)
#define AXON_LIBRARY_AT(symbol, Step, unique) AXON_LIBRARY_NAMED(symbol, Step, unique)
#define AXON_LIBRARY_NAMED(symbol, Step, unique)                                                   \
  static const ::axon::LibraryRegistration axon_library_##unique{                                  \
      symbol, [](const ::axon::LibraryCall& call) -> std::unique_ptr<::axon::LibraryStep> {        \
        return std::make_unique<Step>(call);                                                       \
      }};
