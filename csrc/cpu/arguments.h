// A step's integers, read in order and checked when the step is made: a bad program is refused before it runs.
#pragma once
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu/dtype.h"
#include "runtime/library.h"

namespace axon::cpu {

constexpr int64_t kLargest = int64_t{1} << 40;  // of a size, so that sums of a few products cannot overflow

class Arguments {
 public:
  Arguments(const char* step, const LibraryCall& call) : step_(step), call_(call) {}

  [[noreturn]] void refuse(const std::string& why) const { throw std::invalid_argument(step_ + ": " + why); }
  void require(bool holds, const std::string& why) const { if (!holds) refuse(why); }

  int64_t any(const char* what) {
    require(next_ < call_.ints.size(), std::string("expected an int for ") + what + ", got only " +
                                           std::to_string(call_.ints.size()) + " ints");
    return call_.ints[next_++];
  }
  int64_t within(const char* what, int64_t low, int64_t high) {
    const int64_t value = any(what);
    require(low <= value && value <= high, std::string("expected ") + what + " in " + std::to_string(low) + ".." +
                                               std::to_string(high) + ", got " + std::to_string(value));
    return value;
  }
  int64_t size(const char* what) { return within(what, 0, kLargest); }
  bool flag(const char* what) { return within(what, 0, 1) != 0; }
  DType dtype() { return static_cast<DType>(within("dtype", 0, kDTypes - 1)); }
  DType number() { return static_cast<DType>(within("dtype of a number", 1, kDTypes - 1)); }
  std::vector<int64_t> list(const char* what, int64_t count, int64_t low, int64_t high) {
    std::vector<int64_t> values;
    while (count-- > 0) values.push_back(within(what, low, high));
    return values;
  }

  // All integers were read, and there are as many operands as the step needs.
  void end(size_t operands) const {
    require(next_ == call_.ints.size(), "expected " + std::to_string(next_) + " ints, got " +
                                            std::to_string(call_.ints.size()));
    require(operands == call_.nbytes.size(), "expected " + std::to_string(operands) + " operands, got " +
                                                 std::to_string(call_.nbytes.size()));
  }
  // Operand `index` holds at least `count` elements.
  void holds(size_t index, int64_t count, int64_t bytes_each) const {
    const int64_t needed = product(count, bytes_each);
    require(call_.nbytes[index] >= needed, "expected operand " + std::to_string(index) + " of at least " +
                                               std::to_string(needed) + " bytes, got " +
                                               std::to_string(call_.nbytes[index]));
  }
  // Operand `index` holds every element that offset + sum of i*stride, 0 <= i < size, can reach.
  void reaches(size_t index, int64_t offset, const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides,
               int64_t bytes_each) const {
    int64_t low = offset, high = offset;
    for (size_t axis = 0; axis < sizes.size(); ++axis) {
      if (sizes[axis] == 0) return;
      int64_t& end = strides[axis] < 0 ? low : high;
      require(!__builtin_add_overflow(end, product(strides[axis], sizes[axis] - 1), &end), "a stride is too large");
    }
    require(low >= 0, "operand " + std::to_string(index) + " would be read before its start");
    require(high < INT64_MAX, "an offset is too large");
    holds(index, high + 1, bytes_each);
  }
  int64_t product(int64_t a, int64_t b) const {
    int64_t result;
    require(!__builtin_mul_overflow(a, b, &result), "a size is too large");
    return result;
  }

 private:
  std::string step_;
  const LibraryCall& call_;
  size_t next_ = 0;
};

}  // namespace axon::cpu
