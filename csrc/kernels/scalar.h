// Every scalar op, once: what `tanh` is, for compiled kernels, the tile table and CUDA alike. An op is a function
// axon::<name> overloaded by lane type, and a line at the end of the header that has it.
//
// Whoever defines AXON_OP and includes this again has the lines: name, arity and the class of dtypes it is for. `masked`
// is where's: a bool, then two of any dtype. Comparisons, is*, signbit and logical_* give bool, bits and from_bits the
// type of the same width.
#include "lanes.h"
#include "arithmetic.h"
#include "logic.h"
#include "libm.h"
#include "exponential.h"
#include "logarithm.h"
#include "trigonometric.h"
#include "special.h"
#include "power.h"
#include "division.h"
#include "integers.h"
#include "random.h"
