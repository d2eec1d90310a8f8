// float64 transcendentals: the C library's on the CPU, a lane at a time (declared here; nothing is included), and the
// device's own on CUDA.
#ifndef AXON_LIBM_H
#define AXON_LIBM_H

#define AXON_LIBM_LIST(ONE, TWO)                                                             \
  ONE(exp) ONE(exp2) ONE(expm1) ONE(log) ONE(log1p) ONE(log2) ONE(log10) ONE(sin) ONE(cos)   \
  ONE(tan) ONE(asin) ONE(acos) ONE(atan) ONE(sinh) ONE(cosh) ONE(tanh) ONE(asinh) ONE(acosh) \
  ONE(atanh) ONE(erf) ONE(erfc) ONE(cbrt) TWO(pow) TWO(atan2) TWO(hypot) TWO(fmod)

#ifndef AXON_CUDA
extern "C" {
#define AXON_ONE(f) double f(double) noexcept;
#define AXON_TWO(f) double f(double, double) noexcept;
AXON_LIBM_LIST(AXON_ONE, AXON_TWO)
#undef AXON_ONE
#undef AXON_TWO
}
#endif

namespace axon {

#if AXON_LANES == 1
#define AXON_ONE(f) AXON_FN F64 f(F64 x) { return ::f(x); }
#define AXON_TWO(f) AXON_FN F64 f(F64 x, F64 y) { return ::f(x, y); }
#else
#define AXON_ONE(f)                                   \
  static inline F64 f(F64 x) {                        \
    for (int i = 0; i < W; i++) x[i] = ::f(x[i]);     \
    return x;                                         \
  }
#define AXON_TWO(f)                                     \
  static inline F64 f(F64 x, F64 y) {                   \
    for (int i = 0; i < W; i++) x[i] = ::f(x[i], y[i]); \
    return x;                                           \
  }
#endif
AXON_LIBM_LIST(AXON_ONE, AXON_TWO)
#undef AXON_ONE
#undef AXON_TWO

AXON_FN F64 sigmoid(F64 x) {
  F64 e = exp(-abs(x));
  return pick(lt(x, all<F64>(0)), e, all<F64>(1)) / (1.0 + e);
}

}  // namespace axon
#endif
