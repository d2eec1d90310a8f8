// The dtypes, in the order of their codes; macros alone, for kernels, tiles, library steps and bindings. A row is
//
//   ROW(name, short name, type, kind, bytes)
//
// The kind is what DLPack calls it, and the short name of a float what oneDNN does. The type is C++'s; that of a half is a
// struct of 16 bits, which each namespace that computes with it defines: in lanes.h and cpu/dtype.h. A test compares with
// the rows of python/axon/dtypes.py.
#ifndef AXON_DTYPES_H
#define AXON_DTYPES_H

#define AXON_INTEGERS(ROW)                   \
  ROW(int8, i8, signed char, Int, 1)         \
  ROW(int16, i16, short, Int, 2)             \
  ROW(int32, i32, int, Int, 4)               \
  ROW(int64, i64, long, Int, 8)              \
  ROW(uint8, u8, unsigned char, UInt, 1)     \
  ROW(uint16, u16, unsigned short, UInt, 2)  \
  ROW(uint32, u32, unsigned int, UInt, 4)    \
  ROW(uint64, u64, unsigned long, UInt, 8)

// Stored in 16 bits, computed in float.
#define AXON_HALVES(ROW)                     \
  ROW(float16, f16, f16, Float, 2)           \
  ROW(bfloat16, bf16, bf16, Bfloat, 2)

#define AXON_FLOATS(ROW)                     \
  ROW(float32, f32, float, Float, 4)         \
  ROW(float64, f64, double, Float, 8)

#define AXON_DTYPES(ROW)                     \
  ROW(bool, b8, bool, Bool, 1)               \
  AXON_INTEGERS(ROW)                         \
  AXON_HALVES(ROW)                           \
  AXON_FLOATS(ROW)

#endif
