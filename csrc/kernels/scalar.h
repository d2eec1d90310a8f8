// Every scalar op, once: what `tanh` is, for compiled kernels, the tile table and CUDA alike. An op is a function
// axon::<name> overloaded by lane type, and one line of the list at the end.
#ifndef AXON_SCALAR_H
#define AXON_SCALAR_H

#include "lanes.h"
#include "arithmetic.h"
#include "libm.h"
#include "exponential.h"
#include "logarithm.h"
#include "trigonometric.h"
#include "special.h"
#include "power.h"
#include "division.h"
#include "integers.h"
#include "random.h"

#endif

// The list, for whoever defines AXON_OP: name, arity and the class of dtypes it is for. `masked` is where's: a bool, then
// two of any dtype. Comparisons, is*, signbit and logical_* give bool, bits and from_bits the type of the same width.
#ifdef AXON_OP
AXON_OP(add, 2, number)
AXON_OP(subtract, 2, number)
AXON_OP(gap, 2, floating)
AXON_OP(multiply, 2, number)
AXON_OP(divide, 2, floating)
AXON_OP(floor_divide, 2, number)
AXON_OP(remainder, 2, number)
AXON_OP(negative, 1, number)
AXON_OP(positive, 1, number)
AXON_OP(abs, 1, number)
AXON_OP(sign, 1, number)
AXON_OP(square, 1, number)
AXON_OP(reciprocal, 1, floating)
AXON_OP(sqrt, 1, floating)
AXON_OP(rsqrt, 1, floating)
AXON_OP(fma, 3, floating)
AXON_OP(floor, 1, floating)
AXON_OP(ceil, 1, floating)
AXON_OP(trunc, 1, floating)
AXON_OP(round, 1, floating)
AXON_OP(equal, 2, any)
AXON_OP(not_equal, 2, any)
AXON_OP(less, 2, number)
AXON_OP(less_equal, 2, number)
AXON_OP(greater, 2, number)
AXON_OP(greater_equal, 2, number)
AXON_OP(maximum, 2, number)
AXON_OP(minimum, 2, number)
AXON_OP(where, 3, masked)
AXON_OP(logical_and, 2, boolean)
AXON_OP(logical_or, 2, boolean)
AXON_OP(logical_xor, 2, boolean)
AXON_OP(logical_not, 1, boolean)
AXON_OP(bitwise_and, 2, bits)
AXON_OP(bitwise_or, 2, bits)
AXON_OP(bitwise_xor, 2, bits)
AXON_OP(bitwise_invert, 1, bits)
AXON_OP(bitwise_left_shift, 2, integer)
AXON_OP(bitwise_right_shift, 2, integer)
AXON_OP(population_count, 1, integer)
AXON_OP(count_leading_zeros, 1, integer)
AXON_OP(threefry2x32, 2, counter)
AXON_OP(bits, 1, floating)
AXON_OP(from_bits, 1, words)
AXON_OP(isfinite, 1, floating)
AXON_OP(isinf, 1, floating)
AXON_OP(isnan, 1, floating)
AXON_OP(signbit, 1, floating)
AXON_OP(hypot, 2, floating)
AXON_OP(pow, 2, number)
AXON_OP(copysign, 2, floating)
AXON_OP(nextafter, 2, floating)
AXON_OP(exp, 1, floating)
AXON_OP(exp2, 1, floating)
AXON_OP(expm1, 1, floating)
AXON_OP(log, 1, floating)
AXON_OP(sigmoid, 1, floating)
AXON_OP(tanh, 1, floating)
AXON_OP(log2, 1, floating)
AXON_OP(log10, 1, floating)
AXON_OP(log1p, 1, floating)
AXON_OP(sin, 1, floating)
AXON_OP(cos, 1, floating)
AXON_OP(tan, 1, floating)
AXON_OP(asin, 1, floating)
AXON_OP(acos, 1, floating)
AXON_OP(atan, 1, floating)
AXON_OP(atan2, 2, floating)
AXON_OP(sinh, 1, floating)
AXON_OP(cosh, 1, floating)
AXON_OP(asinh, 1, floating)
AXON_OP(acosh, 1, floating)
AXON_OP(atanh, 1, floating)
AXON_OP(logaddexp, 2, floating)
AXON_OP(erf, 1, floating)
AXON_OP(cbrt, 1, floating)
AXON_OP(erf_inv, 1, floating)
AXON_OP(erfc, 1, floating)
#endif
