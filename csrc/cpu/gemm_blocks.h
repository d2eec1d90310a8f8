// The widths of registers that products are computed with. A tiling says how large the block in registers is, and how many
// panels of the left matrix are read between two readings of the right one. An element's sum has the same order in all.
#pragma once
#include "cpu/gemm_kernel.h"
#include "cpu/vector.h"
#include "runtime/features.h"

namespace axon::cpu {

// 256-bit registers, of which there are 16: 12 accumulators, two vectors of b and one element of a.
template <class T> struct Narrow {
  static constexpr int64_t lanes = kLanes<T>, rows = 6, vectors = 2, panels = 16;  // 144 KiB of a float matrix
  static BlockFunction<T> block(int64_t rows, int64_t vectors, bool copying);
};

// 512-bit registers, of which there are 32: 24 accumulators, three vectors of b and one element of a. float and double.
template <class T> struct Wide {
  static constexpr int64_t lanes = 2 * kLanes<T>, rows = 8, vectors = 3, panels = 21;  // 252 KiB of a float matrix
  static BlockFunction<T> block(int64_t rows, int64_t vectors, bool copying) { return wide_block(T{}, rows, vectors, copying); }
};

template <class T> struct NarrowRegister {
  using Vector = cpu::Vector<T>;
  static constexpr int lanes = kLanes<T>;
  static Vector load(const T* p) { return cpu::load(p); }
  static void store(T* p, Vector x) { cpu::store(p, x); }
  static Vector splat(T x) { return cpu::splat(x); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return cpu::multiply_add(a, b, c); }
  static __m256i first_lanes(int64_t n) { return cpu::first_lanes<T>(n); }
  static Vector load_first(const T* p, __m256i mask) { return cpu::load_first(p, mask); }
  static void store_first(T* p, Vector x, __m256i mask) { cpu::store_first(p, x, mask); }
};

template <class T> BlockFunction<T> Narrow<T>::block(int64_t rows, int64_t vectors, bool copying) {
  return Blocks<NarrowRegister<T>, T, Narrow::rows, Narrow::vectors>::find(rows, vectors, copying);
}

// f.template operator()<Tiling>() with the widest tiling that this CPU has for T.
template <class T, class F> decltype(auto) with_tiling(F&& f) {
  if constexpr (std::is_floating_point_v<T>)
    if (has_avx512()) return f.template operator()<Wide<T>>();
  return f.template operator()<Narrow<T>>();
}

}  // namespace axon::cpu
