// The innermost loop of a depthwise convolution: some positions of a row of the result, all channels. It includes nothing of
// ours: it is compiled once for each width of registers, and no function may be shared by code for different CPUs.
#pragma once
#include <cstdint>

namespace axon::cpu {

// Where the channels of one position of the kernel lie, and of the source's pixel that it meets at the first position.
template <class Stored> struct Tap {
  const Stored *kernel, *source;
};

// The same, as distances: in elements.
struct Column {
  int64_t kernel, source;
};

// out[w*out_step + c] = bias[c] + sum over rows and then columns, in their order, of row.source[offset + column.source + w*step + c] *
// row.kernel[column.kernel + c], for w < the width.
template <class Stored> struct Span {
  const Tap<Stored>* rows;
  int64_t rows_count;
  const Column* columns;
  int64_t columns_count;
  int64_t offset, step, out_step, channels;
  const Stored* bias;  // or null
  Stored* out;
  const Stored* ahead;  // of the source, laid out as a row: to be fetched for the next span
};

constexpr int64_t kSpan = 8;  // positions that share what they read of the kernel

// R is a register: Vector, lanes, load, store, multiply_add. There are as many channels as lanes, at least; the last
// vector may overlap the one before.
template <class R, class Stored, int width> void depthwise_span(const Span<Stored>& span) {
  using Vector = typename R::Vector;
  const int64_t channels = span.channels, step = span.step, out_step = span.out_step;
  const Column *const columns = span.columns, *const columns_end = columns + span.columns_count;
  for (int64_t c = 0; c < channels; c += R::lanes) {
    if (c + R::lanes > channels) c = channels - R::lanes;
    Vector sums[width];
#pragma GCC unroll 8
    for (int w = 0; w < width; ++w) sums[w] = span.bias ? R::load(span.bias + c) : Vector{};
#pragma GCC unroll 8
    for (int w = 0; w < width; ++w) __builtin_prefetch(span.ahead + w * step + c);
    for (const Tap<Stored>*row = span.rows, *end = row + span.rows_count; row < end; ++row)
      for (const Column* column = columns; column < columns_end; ++column) {
        const Vector kernel = R::load(row->kernel + column->kernel + c);
        const Stored* source = row->source + span.offset + column->source + c;
#pragma GCC unroll 8
        for (int w = 0; w < width; ++w) sums[w] = R::multiply_add(R::load(source + w * step), kernel, sums[w]);
      }
#pragma GCC unroll 8
    for (int w = 0; w < width; ++w) R::store(span.out + w * out_step + c, sums[w]);
  }
}

// The loops for AVX-512.
void wide_span(const Span<float>& span, bool one);
void wide_span(const Span<double>& span, bool one);

}  // namespace axon::cpu
