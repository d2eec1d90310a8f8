// A matrix product on one thread, the part that all threads of the own engines share. It packs what it reads into the
// order of its innermost loop. An element's sum runs over k in rising order, in blocks that depend on k alone: neither
// the tile nor what was packed changes its bits.
#pragma once
#include "cpu/gemm_blocks.h"
#include "cpu/gemm_pack.h"

namespace axon::cpu {

template <class Tiling> constexpr int64_t kPanel = Tiling::vectors * Tiling::lanes;  // columns of a panel of b
template <class Tiling> constexpr int64_t kTileRows = Tiling::panels * Tiling::rows;  // of a between two readings of b
template <class T> constexpr int64_t kTileColumns = 4096 / sizeof(T);  // of b that are packed before the next ones
constexpr int64_t kTileDepth = 384;  // a packed panel of b is 24 KiB with 256-bit registers, most of the first cache

// a is [m, k], b is [k, n], stored as these types and computed in T; strides in elements.
template <class Left, class Right> struct Factors {
  const Left* a;
  int64_t a_row, a_col;
  const Right* b;
  int64_t b_row, b_col;
};

// Elements of T that multiply_tile needs as scratch.
template <class Tiling, class T> int64_t tile_scratch(int64_t m, int64_t n, int64_t k) {
  const int64_t depth = std::min(k, kTileDepth), panel = kPanel<Tiling>;
  const int64_t columns = up(std::min(kTileColumns<T>, n), panel) * panel;
  return depth * (columns + std::min(up(m, Tiling::rows), Tiling::panels) * Tiling::rows) + kLanes<T>;
}

// Columns j0..j1 and depth k0..k1 of multiply_tile.
template <class Tiling, class Left, class Right, class T>
void multiply_depth(const Factors<Left, Right>& x, int64_t m, int64_t j0, int64_t j1, int64_t k0, int64_t k1, T* sums,
                    int64_t sums_row, bool accumulate, const T* bias, T* scratch) {
  constexpr bool left_computed = std::is_same_v<Left, T>, right_computed = std::is_same_v<Right, T>;
  constexpr int64_t kWidth = kPanel<Tiling>, kRows = Tiling::rows;
  const int64_t k = k1 - k0, panels = up(m, kRows);
  const auto row = [&](int64_t panel) { return panel * m / panels; };
  // What few panels share is read where it lies. The rest is packed right before its first use, while that brings it
  // into the first cache; panels of b are kept apart only if another block of rows will read them.
  const bool left_in_place = left_computed && j1 - j0 <= 8 * kWidth;
  const int64_t right_each = panels > Tiling::panels ? k : 0;
  T* const left_scratch = scratch + (right_each > 0 ? up(j1 - j0, kWidth) * kWidth : kWidth) * k;
  Block<T> block{};
  block.k = k;
  block.c_row = sums_row;
  block.accumulate = accumulate;
  for (int64_t first = 0; first < panels; first += Tiling::panels) {
    const int64_t last = std::min(first + Tiling::panels, panels);
    for (int64_t j = j0; j < j1; j += kWidth) {
      block.columns = std::min(kWidth, j1 - j);
      block.bias = bias ? bias + j : nullptr;
      const Right* right = x.b + k0 * x.b_row + j * x.b_col;
      const bool right_in_place = right_computed && x.b_col == 1 && block.columns % Tiling::lanes == 0;
      block.packed = scratch + (j - j0) * right_each;
      if (first == 0 && !right_in_place) pack<kWidth>(block.packed, right, x.b_row, x.b_col, k, block.columns);
      for (int64_t panel = first; panel < last; ++panel) {
        const Left* left = x.a + row(panel) * x.a_row + k0 * x.a_col;
        const int64_t rows = row(panel + 1) - row(panel);
        if (left_in_place) {
          block.a = reinterpret_cast<const T*>(left);
          block.a_row = x.a_row;
          block.a_col = x.a_col;
        } else {
          T* packed = left_scratch + (panel - first) * k * kRows;
          if (j == j0) pack<kRows>(packed, left, x.a_col, x.a_row, k, rows);
          block.a = packed;
          block.a_row = 1;
          block.a_col = kRows;
        }
        const bool whole = block.columns == kWidth;
        const bool from_source = right_in_place && (panel == 0 || !whole);
        block.b = from_source ? reinterpret_cast<const T*>(right) : block.packed;
        block.b_row = from_source ? x.b_row : kWidth;
        block.c = sums + row(panel) * sums_row + j;
        Tiling::block(rows, up(block.columns, Tiling::lanes), from_source && whole && panels > 1)(block);
      }
    }
  }
}

// sums[i*sums_row + j] = sum over p < k of a[i, p] * b[p, j], + bias[j] if there is one, + its old value to accumulate.
template <class Tiling, class Left, class Right, class T>
void multiply_tile(const Factors<Left, Right>& x, int64_t m, int64_t n, int64_t k, T* sums, int64_t sums_row,
                   bool accumulate, const T* bias, T* scratch) {
  const int64_t depths = std::max<int64_t>(1, up(k, kTileDepth));
  const auto begin = [&](int64_t d) { return d * (k / depths) + d * (k % depths) / depths; };  // d * k / depths, of any k
  for (int64_t j = 0; j < n; j += kTileColumns<T>)
    for (int64_t d = 0; d < depths; ++d)
      multiply_depth<Tiling>(x, m, j, std::min(j + kTileColumns<T>, n), begin(d), begin(d + 1), sums, sums_row,
                             accumulate || d > 0, d + 1 == depths ? bias : nullptr, scratch);
}

}  // namespace axon::cpu
