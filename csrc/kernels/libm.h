// float64 transcendentals: those that the target's compiler knows, or the C library's, a lane at a time (declared here;
// nothing is included).
#ifndef AXON_LIBM_H
#define AXON_LIBM_H

#define AXON_LIBM_LIST(ONE, TWO)                                                             \
  ONE(exp) ONE(exp2) ONE(expm1) ONE(log) ONE(log1p) ONE(log2) ONE(log10) ONE(sin) ONE(cos)   \
  ONE(tan) ONE(asin) ONE(acos) ONE(atan) ONE(sinh) ONE(cosh) ONE(tanh) ONE(asinh) ONE(acosh) \
  ONE(atanh) ONE(erf) ONE(erfc) ONE(cbrt) TWO(pow) TWO(atan2) TWO(hypot) TWO(fmod)

#ifndef AXON_OWN_LIBM
extern "C" {
#define AXON_ONE(f) double f(double) noexcept;
#define AXON_TWO(f) double f(double, double) noexcept;
AXON_LIBM_LIST(AXON_ONE, AXON_TWO)
#undef AXON_ONE
#undef AXON_TWO
}
#endif

namespace axon {

#ifdef AXON_OWN_LIBM
#define AXON_ONE(f) AXON_FN F64 f(F64 x) { return ::f(x); }
#define AXON_TWO(f) AXON_FN F64 f(F64 x, F64 y) { return ::f(x, y); }
#else
AXON_FN F64 each(double (*f)(double), F64 x) {
  for (int i = 0; i < W; i++) set(x, i, f(get(x, i)));
  return x;
}
AXON_FN F64 each(double (*f)(double, double), F64 x, F64 y) {
  for (int i = 0; i < W; i++) set(x, i, f(get(x, i), get(y, i)));
  return x;
}
#define AXON_ONE(f) AXON_FN F64 f(F64 x) { return each(::f, x); }
#define AXON_TWO(f) AXON_FN F64 f(F64 x, F64 y) { return each(::f, x, y); }
#endif
AXON_LIBM_LIST(AXON_ONE, AXON_TWO)
#undef AXON_ONE
#undef AXON_TWO

// Three Halley steps on erf, or on erfc near 1, from an approximation good to 0.2 %.
template <class V> requires same<V, F64> AXON_FN V erf_inv(V x) {
  V a = abs(x), one = all<V>(1), half = all<V>(0.5);
  auto far = lt(half, a);
  V l = pick(far, log((1.0 - a) * (1.0 + a)), log1p(-a * a));
  V b = 4.3307467508 + 0.5 * l, e = l * -6.8027210884;  // 2 / (pi c) and 1 / c with c = 0.147
  V y = sqrt(e / (sqrt(b * b + e) + b));
  for (int i = 0; i < 3; i++) {
    V miss = pick(far, (1.0 - a) - erfc(y), erf(y) - a);
    V step = miss * 0.88622692545275801365 * exp(y * y);
    y = y - step / (1.0 + y * step);
  }
  y = pick(eq(a, all<V>(0)), a, pick(eq(a, one), all<V>(INFINITE), y));
  return copysign(y, x);
}

}  // namespace axon
#endif
