// The innermost loops of a depthwise convolution and of its kernel gradient. It includes nothing of ours: it is compiled once
// for each width of registers, and no function may be shared by code for different CPUs.
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
constexpr int64_t kTaps = 9;  // of the kernel that share what they read of the gradient

// R is a register: Vector, lanes, load, store, multiply_add. Channels c and on, so many vectors.
template <class R, class Stored, int width, int vectors>
[[gnu::always_inline]] inline void depthwise_channels(const Span<Stored>& span, int64_t c) {
  const Column *const columns = span.columns, *const columns_end = columns + span.columns_count;
  const int64_t step = span.step, out_step = span.out_step;
  typename R::Vector sums[width][vectors];
#pragma GCC unroll 8
  for (int w = 0; w < width; ++w) {
    __builtin_prefetch(span.ahead + w * step + c);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) sums[w][v] = span.bias ? R::load(span.bias + c + v * R::lanes) : typename R::Vector{};
  }
  for (const Tap<Stored>*row = span.rows, *end = row + span.rows_count; row < end; ++row)
    for (const Column* column = columns; column < columns_end; ++column) {
      const Stored *kernel = row->kernel + column->kernel + c, *source = row->source + span.offset + column->source + c;
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) {
        const typename R::Vector tap = R::load(kernel + v * R::lanes);
#pragma GCC unroll 8
        for (int w = 0; w < width; ++w)
          sums[w][v] = R::multiply_add(R::load(source + w * step + v * R::lanes), tap, sums[w][v]);
      }
    }
#pragma GCC unroll 8
  for (int w = 0; w < width; ++w)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) R::store(span.out + w * out_step + c + v * R::lanes, sums[w][v]);
}

// There are as many channels as lanes, at least; the last vector may overlap the one before.
template <class R, class Stored, int width> void depthwise_span(const Span<Stored>& span) {
  constexpr int vectors = kSpan / width;  // as many sums, whatever the width
  int64_t c = 0;
  for (; c + vectors * R::lanes <= span.channels; c += vectors * R::lanes) depthwise_channels<R, Stored, width, vectors>(span, c);
  for (; c < span.channels; c += R::lanes)
    depthwise_channels<R, Stored, width, 1>(span, c + R::lanes <= span.channels ? c : span.channels - R::lanes);
}

// For this many positions: kSpan, half of it, and so on to 1.
template <class R, class Stored> void depthwise_positions(const Span<Stored>& span, int64_t width) {
  switch (width) {
    case 8: return depthwise_span<R, Stored, 8>(span);
    case 4: return depthwise_span<R, Stored, 4>(span);
    case 2: return depthwise_span<R, Stored, 2>(span);
    default: return depthwise_span<R, Stored, 1>(span);
  }
}

// sums[t][c] += sum over positions i of sources[t][i*step + c] * gradient[i*gradient_step + c], for the channels that whole
// vectors hold.
template <class Stored, class T> struct GradientSpan {
  T* sums[kTaps];
  const Stored* sources[kTaps];
  const Stored* gradient;
  int64_t positions, step, gradient_step, channels;
  int64_t ahead;  // from what is read of the last source, and of the gradient, to what is read next
  int64_t gradient_ahead;
};

template <class Stored, class T> using GradientFunction = void (*)(const GradientSpan<Stored, T>&);

template <class R, class Stored, class T, int taps> void depthwise_gradient(const GradientSpan<Stored, T>& span) {
  for (int64_t c = 0; c + R::lanes <= span.channels; c += R::lanes) {
    typename R::Vector sums[taps];
#pragma GCC unroll 9
    for (int t = 0; t < taps; ++t) sums[t] = R::load(span.sums[t] + c);
    for (int64_t i = 0; i < span.positions; ++i) {
      const int64_t at = i * span.step + c;
      const Stored* gradient = span.gradient + i * span.gradient_step + c;
      __builtin_prefetch(span.sources[taps - 1] + at + span.ahead);
      __builtin_prefetch(gradient + span.gradient_ahead);
      const typename R::Vector g = R::load(gradient);
#pragma GCC unroll 9
      for (int t = 0; t < taps; ++t) sums[t] = R::multiply_add(R::load(span.sources[t] + at), g, sums[t]);
    }
#pragma GCC unroll 9
    for (int t = 0; t < taps; ++t) R::store(span.sums[t] + c, sums[t]);
  }
}

template <class R, class Stored, class T, int most = kTaps> GradientFunction<Stored, T> gradient_of(int64_t taps) {
  if constexpr (most > 1)
    if (taps < most) return gradient_of<R, Stored, T, most - 1>(taps);
  return depthwise_gradient<R, Stored, T, most>;
}

// The loops for AVX-512.
void wide_span(const Span<float>& span, int64_t width);
void wide_span(const Span<double>& span, int64_t width);
GradientFunction<float, float> wide_gradient(float, int64_t taps);
GradientFunction<double, double> wide_gradient(double, int64_t taps);

}  // namespace axon::cpu
