// Loads and stores of lanes.h as plain functions, for test_memory.py.
#include "lanes.h"

using namespace axon;

#define FUNCTIONS(T)                                                                                         \
  extern "C" void copy_##T(const T* in, T* out) { store<T>(out, load<T>(in)); }                              \
  extern "C" void copy_first_##T(const T* in, T* out, int n) { store<T>(out, load<T>(in, n), n); }           \
  extern "C" void spill_##T(const T* in, T* out, int n) { store<T>(out, load<T>(in, n)); }                   \
  extern "C" void copy_strided_##T(const T* in, int64 from, T* out, int64 to, int n) {                       \
    store_strided<T>(out, to, load_strided<T>(in, from, n), n);                                              \
  }                                                                                                          \
  extern "C" void fill_##T(const T* value, T* out) { store<T>(out, broadcast<T>(*value)); }
FUNCTIONS(int8) FUNCTIONS(int16) FUNCTIONS(int32) FUNCTIONS(int64)
FUNCTIONS(uint8) FUNCTIONS(uint16) FUNCTIONS(uint32) FUNCTIONS(uint64)
FUNCTIONS(float) FUNCTIONS(double) FUNCTIONS(bool)

#define COUNT(T) extern "C" void count_##T(const T* start, T* out) { store<T>(out, iota<T>(*start)); }
COUNT(int8) COUNT(int32) COUNT(int64) COUNT(uint32) COUNT(uint64)

extern "C" bool any_of(const bool* in) { return any(load<bool>(in)); }
