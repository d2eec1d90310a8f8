// A convolution cut into pieces, each a convolution of its own over a part of the activations.
#pragma once
#include <algorithm>

#include "cpu/conv.h"

namespace axon::cpu {

struct ConvPiece {
  ConvShape shape;
  int64_t x, y;  // where its input and its output begin within the whole ones, in elements
};

inline ConvPiece conv_piece(const ConvShape& whole, const ConvShape& part, int64_t element, int64_t x_row, int64_t y_row) {
  const auto begin = [element](const std::vector<int64_t>& sizes, int64_t row, int64_t channels) {
    return (element * sizes[0] + row) * (product(sizes) / sizes[0]) * channels;
  };
  return {part, begin(whole.input, x_row, whole.in_channels), begin(whole.output, y_row, whole.out_channels)};
}

// `count` parts of the batch, as even as can be: there are two sizes of them at most.
inline std::vector<ConvPiece> cut_batch(const ConvShape& s, int64_t count) {
  std::vector<ConvPiece> pieces;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t first = i * s.batch / count;
    ConvShape part = s;
    part.batch = (i + 1) * s.batch / count - first;
    pieces.push_back(conv_piece(s, part, first, 0, 0));
  }
  return pieces;
}

// Rows (of the first spatial axis) begin..end of one element's result, forward or input gradient, and the source's rows
// that take part in them; the padding is what they reach beyond those.
inline ConvPiece rows(const ConvShape& s, int64_t element, int64_t begin, int64_t end) {
  const int64_t stride = s.strides[0], low = s.pad_low[0], reach = s.reach(0);
  int64_t x = begin, x_end = end, y = begin, y_end = end;
  if (s.direction == ConvDirection::forward) {
    x = std::max<int64_t>(0, y * stride - low);
    x_end = std::min(s.input[0], (y_end - 1) * stride - low + reach);
  } else {  // one output row at least, even if it reaches none of these, whose gradient is zero
    y = std::clamp<int64_t>((x + low - reach + stride) / stride, 0, std::min(s.output[0] - 1, (x + low) / stride));
    y_end = std::clamp((x_end - 1 + low) / stride + 1, y + 1, s.output[0]);
  }
  ConvShape part = s;
  part.batch = 1;
  part.input[0] = x_end - x;
  part.output[0] = y_end - y;
  part.pad_low[0] = low + x - y * stride;
  part.pad_high[0] = std::max<int64_t>(0, (part.output[0] - 1) * stride + reach - part.input[0] - part.pad_low[0]);
  return conv_piece(s, part, element, x, y);
}

// Each element of the batch in `count` pieces of rows, or as many as there can be; the larger ones come first, so that
// threads that claim them end together. Rows of a gradient are cut at multiples of the stride, which leaves the pieces alike.
// Where padding alone can fill a kernel there are output rows without any input row, and no cut.
inline std::vector<ConvPiece> cut_rows(const ConvShape& s, int64_t count) {
  const bool forward = s.direction == ConvDirection::forward;
  const int64_t length = forward ? s.output[0] : s.input[0], unit = forward ? 1 : s.strides[0];
  const int64_t units = (length + unit - 1) / unit;
  count = std::max(s.pad_low[0], s.pad_high[0]) < s.reach(0) ? std::min(count, units) : 1;
  if (count == 1) return cut_batch(s, s.batch);
  const auto begin = [&](int64_t i) { return std::min(length, (i * (units / count) + std::min(i, units % count)) * unit); };
  std::vector<ConvPiece> pieces;
  for (int64_t element = 0; element < s.batch; ++element)
    for (int64_t i = 0; i < count; ++i) pieces.push_back(rows(s, element, begin(i), begin(i + 1)));
  return pieces;
}

}  // namespace axon::cpu
