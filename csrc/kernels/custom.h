// What a user's own kernel is written with (axon.custom_call). It includes no system header, so that any compiler takes it.
//
//   #include "custom.h"
//   AXON_CUSTOM(scale) {                       // (const axon::Call& call) -> int
//     const float* x = call.input<float>(0);
//     float* y = call.output<float>(0);
//     for (long i = call.begin; i < call.end; ++i) y[i] = 2 * x[i];
//     return 0;                                // or call.fail("why")
//   }
//
// The function that this exports has C's calling convention, that of every kernel (docs/design/runtime.md):
//
//   int scale(char* const* operands, const long* ints, const unsigned long*, long begin, long end, char* scratch);
//
// operands: the inputs' elements, then the outputs', dense in row-major order, aligned to an element only; begin and end:
// the units of this call, of those that `units` counts, other threads having others; scratch: 256 bytes for the text of an
// error. ints: the numbers of inputs and of outputs, then for each operand where its record begins, which is dtype code
// (the place in AXON_DTYPES), rank, sizes. What a kernel is given is what the shape rule was given and gave.
#ifndef AXON_CUSTOM_H
#define AXON_CUSTOM_H

#include "dtypes.h"

namespace axon {

// The bits of a half: its arithmetic is the kernel's own.
#define AXON_HALF(name, short_name, type, ...) struct type { unsigned short bits; };
AXON_HALVES(AXON_HALF)
#undef AXON_HALF

constexpr long kText = 256;
constexpr const char* kNames[] = {
#define AXON_NAME(name, ...) #name,
    AXON_DTYPES(AXON_NAME)
#undef AXON_NAME
};

template <class T> constexpr long kCode = -1;  // of void and char: any dtype
enum : long {
#define AXON_CODE(name, short_name, ...) code_##short_name,
  AXON_DTYPES(AXON_CODE)
#undef AXON_CODE
};
#define AXON_CODE_OF(name, short_name, type, ...) template <> constexpr long kCode<type> = code_##short_name;
AXON_DTYPES(AXON_CODE_OF)
#undef AXON_CODE_OF

struct Failure { char text[kText]; };

struct Call {
  char* const* operands;
  const long* ints;
  long begin, end;
  char* scratch;

  long inputs() const { return ints[0]; }
  long outputs() const { return ints[1]; }
  // Of operand i, the outputs after the inputs.
  long dtype(long i) const { return record(i)[0]; }
  long rank(long i) const { return record(i)[1]; }
  const long* shape(long i) const { return record(i) + 2; }
  long size(long i) const {
    long product = 1;
    for (long axis = 0; axis < rank(i); ++axis) product *= shape(i)[axis];
    return product;
  }

  // The elements of an input or output. A number or a dtype other than this call's ends the kernel with an error.
  template <class T> const T* input(long i) const {
    check("input", i, inputs(), i, kCode<T>);
    return reinterpret_cast<const T*>(operands[i]);
  }
  template <class T> T* output(long i) const {
    check("output", i, outputs(), inputs() + i, kCode<T>);
    return reinterpret_cast<T*>(operands[inputs() + i]);
  }

  // return call.fail("why"): the error's text, of at most 255 bytes.
  int fail(const char* why) const {
    long n = 0;
    for (; n < kText - 1 && why[n] != 0; ++n) scratch[n] = why[n];
    scratch[n] = 0;
    return -1;
  }

 private:
  const long* record(long i) const { return ints + ints[2 + i]; }

  void check(const char* what, long i, long count, long operand, long code) const {
    if (i < 0 || i >= count) {
      Failure failure{};
      add(add(add(failure.text, "expected the number of an "), what), ", got one of an operand that is not there");
      throw failure;
    }
    if (code < 0 || code == dtype(operand)) return;
    Failure failure{};
    char* end = add(add(add(failure.text, "expected "), kNames[code]), " as ");
    end = add(end, what);
    *end++ = ' ';
    *end++ = static_cast<char>(i < 10 ? '0' + i : '?');
    add(add(end, ", got "), kNames[dtype(operand)]);
    throw failure;
  }

  static char* add(char* end, const char* text) {
    while (*text != 0) *end++ = *text++;
    return end;
  }
};

}  // namespace axon

#ifdef __EXCEPTION__  // <exception> was included
#define AXON_CATCH catch (const std::exception& error) { return call.fail(error.what()); }
#else
#define AXON_CATCH
#endif

#define AXON_CUSTOM(name)                                                                                        \
  static int name##_of(const axon::Call& call);                                                                  \
  extern "C" __attribute__((visibility("default"))) int name(char* const* operands, const long* ints,            \
                                                             const unsigned long*, long begin, long end,         \
                                                             char* scratch) noexcept {                           \
    const axon::Call call{operands, ints, begin, end, scratch};                                                  \
    try {                                                                                                        \
      return name##_of(call);                                                                                    \
    } catch (const axon::Failure& failure) {                                                                     \
      return call.fail(failure.text);                                                                            \
    } AXON_CATCH catch (...) {                                                                                   \
      return call.fail("an exception left the kernel");                                                          \
    }                                                                                                            \
  }                                                                                                              \
  static int name##_of(const axon::Call& call)

#endif
