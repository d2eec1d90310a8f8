// Patches: for each position of a result, the elements of the source that take part in it, as a row of a matrix.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/conv.h"
#include "cpu/vector.h"

namespace axon::cpu {

// Position o and kernel position p read the source at (o*stride + p*dilation + offset) / hole along each axis, if that
// is a whole number within bounds, and zero otherwise.
struct Patches {
  struct Axis {
    int64_t source, positions, kernel;  // sizes
    int64_t stride, dilation, offset, hole;

    // The source's coordinate, or -1.
    int64_t at(int64_t position, int64_t p) const {
      const int64_t x = position * stride + p * dilation + offset;
      if (hole == 1) return x < 0 || x >= source ? -1 : x;
      return x < 0 || x % hole != 0 || x / hole >= source ? -1 : x / hole;
    }
  };
  std::vector<Axis> axes;
  int64_t channels;  // of a group; a row is [kernel positions..., channels]
  int64_t pixel;     // elements from one source pixel to the next

  int64_t positions() const {
    int64_t count = 1;
    for (const Axis& axis : axes) count *= axis.positions;
    return count;
  }
  int64_t row() const {
    int64_t count = channels;
    for (const Axis& axis : axes) count *= axis.kernel;
    return count;
  }
  int64_t source() const {
    int64_t count = pixel;
    for (const Axis& axis : axes) count *= axis.source;
    return count;
  }
};

// The input gradient is a convolution too: of the gradient, with strides and input dilation exchanged, and the kernel
// running backwards with its channels exchanged.
inline Patches patches_of(const ConvShape& s) {
  const bool gradient = s.direction == ConvDirection::input_gradient;
  Patches x;
  for (size_t i = 0; i < static_cast<size_t>(s.rank); ++i) {
    if (gradient)
      x.axes.push_back({s.output[i], s.input[i], s.kernel[i], s.input_dilation[i], -s.kernel_dilation[i], s.pad_low[i],
                        s.strides[i]});
    else
      x.axes.push_back({s.input[i], s.output[i], s.kernel[i], s.strides[i], s.kernel_dilation[i], -s.pad_low[i],
                        s.input_dilation[i]});
  }
  x.pixel = gradient ? s.out_channels : s.in_channels;
  x.channels = x.pixel / s.groups;
  return x;
}

template <class T, class Stored> void widen_into(T* out, const Stored* from, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes<T> <= count; i += kLanes<T>) store(out + i, load(from + i));
  for (; i < count; ++i) out[i] = widen(from[i]);
}

// Columns column..column_end of one position's row. `base` is the source at the outer axes' coordinates, or null if they
// are out of bounds; the run is what one kernel position of the outer axes contributes, at columns run..run_end.
template <class T, class Stored>
void gather_run(const Patches& x, const Stored* base, int64_t position, int64_t begin, int64_t end, T* out) {
  const Patches::Axis& last = x.axes.back();
  if (base == nullptr) {
    std::fill(out, out + (end - begin), T{});
    return;
  }
  if (last.dilation == 1 && last.hole == 1 && x.channels == x.pixel) {  // the run is contiguous in the source
    const int64_t start = position * last.stride + last.offset;
    const int64_t low = std::clamp(-start * x.channels, begin, end);
    const int64_t high = std::clamp((last.source - start) * x.channels, low, end);
    std::fill(out, out + (low - begin), T{});
    widen_into(out + (low - begin), base + start * x.pixel + low, high - low);
    std::fill(out + (high - begin), out + (end - begin), T{});
    return;
  }
  for (int64_t q = begin; q < end;) {
    const int64_t p = q / x.channels, next = std::min(end, (p + 1) * x.channels), at = last.at(position, p);
    if (at < 0) std::fill(out + (q - begin), out + (next - begin), T{});
    else widen_into(out + (q - begin), base + at * x.pixel + q - p * x.channels, next - q);
    q = next;
  }
}

// Rows [first, first + rows) and columns [column, column_end) of the matrix of patches, row by row into out.
template <class T, class Stored>
void gather(const Patches& x, const Stored* source, int64_t first, int64_t rows, int64_t column, int64_t column_end, T* out) {
  const size_t rank = x.axes.size();
  const int64_t run = x.axes.back().kernel * x.channels;
  for (int64_t row = first; row < first + rows; ++row) {
    int64_t position[3] = {}, rest = row;
    for (size_t axis = rank; axis-- > 0; rest /= x.axes[axis].positions) position[axis] = rest % x.axes[axis].positions;
    for (int64_t q = column; q < column_end;) {
      const int64_t outer = q / run, end = std::min(column_end, (outer + 1) * run);
      const Stored* base = source;
      int64_t pixels = x.source(), remaining = outer, kernel[3] = {};
      for (size_t axis = rank - 1; axis-- > 0; remaining /= x.axes[axis].kernel) kernel[axis] = remaining % x.axes[axis].kernel;
      for (size_t axis = 0; axis + 1 < rank && base != nullptr; ++axis) {
        const int64_t at = x.axes[axis].at(position[axis], kernel[axis]);
        if (at >= 0) pixels /= x.axes[axis].source;
        base = at < 0 ? nullptr : base + at * pixels;
      }
      gather_run(x, base, position[rank - 1], q - outer * run, end - outer * run, out);
      out += end - q;
      q = end;
    }
  }
}

}  // namespace axon::cpu
