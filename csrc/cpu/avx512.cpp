// The innermost loops for 512-bit registers, compiled for AVX-512: nothing here may run, or be shared with code that runs,
// on a CPU without it. Hence the local names, and headers without functions of their own.
#include <immintrin.h>

#include "cpu/conv_depthwise_kernel.h"
#include "cpu/gemm_kernel.h"

namespace axon::cpu {
namespace {

struct Floats {
  typedef float Vector __attribute__((vector_size(64)));
  static constexpr int lanes = 16;
  static Vector load(const float* p) { return reinterpret_cast<Vector>(_mm512_loadu_ps(p)); }
  static void store(float* p, Vector x) { _mm512_storeu_ps(p, reinterpret_cast<__m512>(x)); }
  static Vector splat(float x) { return reinterpret_cast<Vector>(_mm512_set1_ps(x)); }
  static Vector multiply_add(Vector a, Vector b, Vector c) {
    return reinterpret_cast<Vector>(_mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
  }
  static __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
  static Vector load_first(const float* p, __mmask16 mask) { return reinterpret_cast<Vector>(_mm512_maskz_loadu_ps(mask, p)); }
  static void store_first(float* p, Vector x, __mmask16 mask) { _mm512_mask_storeu_ps(p, mask, reinterpret_cast<__m512>(x)); }
};

struct Doubles {
  typedef double Vector __attribute__((vector_size(64)));
  static constexpr int lanes = 8;
  static Vector load(const double* p) { return reinterpret_cast<Vector>(_mm512_loadu_pd(p)); }
  static void store(double* p, Vector x) { _mm512_storeu_pd(p, reinterpret_cast<__m512d>(x)); }
  static Vector splat(double x) { return reinterpret_cast<Vector>(_mm512_set1_pd(x)); }
  static Vector multiply_add(Vector a, Vector b, Vector c) {
    return reinterpret_cast<Vector>(_mm512_fmadd_pd(reinterpret_cast<__m512d>(a), reinterpret_cast<__m512d>(b), reinterpret_cast<__m512d>(c)));
  }
  static __mmask8 first_lanes(int64_t n) { return static_cast<__mmask8>((1u << n) - 1); }
  static Vector load_first(const double* p, __mmask8 mask) { return reinterpret_cast<Vector>(_mm512_maskz_loadu_pd(mask, p)); }
  static void store_first(double* p, Vector x, __mmask8 mask) { _mm512_mask_storeu_pd(p, mask, reinterpret_cast<__m512d>(x)); }
};

}  // namespace

BlockFunction<float> wide_block(float, int64_t rows, int64_t vectors, bool copying) {
  return Blocks<Floats, float, 8, 3>::find(rows, vectors, copying);
}

BlockFunction<double> wide_block(double, int64_t rows, int64_t vectors, bool copying) {
  return Blocks<Doubles, double, 8, 3>::find(rows, vectors, copying);
}

void wide_span(const Span<float>& span, int64_t width) { depthwise_positions<Floats>(span, width); }

void wide_span(const Span<double>& span, int64_t width) { depthwise_positions<Doubles>(span, width); }

GradientFunction<float, float> wide_gradient(float, int64_t taps) { return gradient_of<Floats, float, float>(taps); }

GradientFunction<double, double> wide_gradient(double, int64_t taps) { return gradient_of<Doubles, double, double>(taps); }

}  // namespace axon::cpu
