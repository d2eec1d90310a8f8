// Copies between strided arrays of the same sizes: the one mover of data. Its plan is made once.
#pragma once
#include <cstdint>
#include <vector>

namespace axon::cpu {

class StridedCopy {
 public:
  StridedCopy() = default;

  // Strides in elements of `itemsize` (1, 2, 4 or 8) bytes; a source stride may be zero or negative, a destination's
  // negative. Destination elements must not coincide.
  StridedCopy(int64_t itemsize, const std::vector<int64_t>& sizes, const std::vector<int64_t>& source_strides,
              const std::vector<int64_t>& target_strides);

  // Source and target point at the element of index 0, 0, ...; they must not overlap. Uses the runtime's threads.
  void run(const char* source, char* target) const;

 private:
  struct Axis {
    int64_t size, source, target;  // strides in elements
  };
  template <class T> void run_as(const T* source, T* target) const;

  // How the two innermost axes are moved.
  enum class Kind { nothing, contiguous, transpose, strided };

  int64_t itemsize_ = 1;
  Kind kind_ = Kind::nothing;
  std::vector<Axis> axes_;  // merged where possible, the target's smallest stride last
  int64_t source_start_ = 0, target_start_ = 0;  // elements from index 0, 0, ... to where positive target strides begin
  int64_t units_ = 0, grain_ = 1;                // of work for the threads
  int64_t chunk_ = 1;                            // of the last axis but one, in a unit of a strided copy
  bool stream_ = false;                          // past the caches
};

}  // namespace axon::cpu
