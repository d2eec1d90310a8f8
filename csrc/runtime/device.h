// A device: where the memory of a program lies and its kernels run. The walk over the steps (run.cpp) touches no memory but
// through it. There is one object a device, which lives for ever.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/allocator.h"
#include "runtime/description.h"
#include "runtime/library.h"

namespace axon {

struct Context;

class Device {
 public:
  virtual ~Device() = default;
  virtual const char* name() const = 0;
  virtual bool host() const = 0;    // whether the host's own code may read and write its memory
  virtual int threads() const = 0;  // that use scratch memory of their own

  virtual char* allocate(int64_t nbytes) = 0;  // of a buffer; throws OutOfMemory
  virtual void release(char* memory, int64_t nbytes) noexcept = 0;
  virtual Memory lend(int64_t nbytes) = 0;  // of a run

  virtual void copy(char* to, const char* from, size_t nbytes) = 0;  // they may overlap
  virtual void read(void* to, const char* from, size_t nbytes) = 0;  // to the host, what the steps so far have written

  // Kernel steps: one, or one with the steps that may go along. Throws where a kernel fails.
  virtual void launch(std::span<const Step> steps, Context& context) = 0;
  virtual void run(LibraryStep& step, char* const* operands) = 0;
};

Device& cpu();

}  // namespace axon
