// The own matrix product. The result is cut into tiles; one thread computes a tile from first to last k with memory of
// its own, so threads never wait for each other, and the same bits come out at any number of threads.
#include <algorithm>
#include <type_traits>

#include "cpu/gemm.h"
#include "cpu/gemm_tile.h"
#include "runtime/library.h"
#include "runtime/parallel.h"

namespace axon::cpu {
namespace {

template <class Stored, class Tiling> class PackedGemm : public LibraryStep {
  using T = computed<Stored>;
  static constexpr bool kSumInPlace = std::is_same_v<Stored, T>;
  static constexpr int64_t kSumRows = 480;  // of a tile whose sums are kept apart until they are rounded

 public:
  explicit PackedGemm(const GemmShape& shape) : s_(shape), threads_(threads()) {
    cut();
    const int64_t rows = up(s_.m, row_cuts_), columns = std::min(kTileColumns<T>, column_begin(1));
    product_ = tile_scratch<Tiling, T>(rows, column_begin(1), s_.k);
    scratch_ = up(product_ + (kSumInPlace ? 0 : rows * columns), 16) * 16;
    memory_ = Scratch(scratch_ * threads_ * static_cast<int64_t>(sizeof(T)));
  }

  void run(char* const* operands) override {
    const int64_t tiles = row_cuts_ * column_cuts_;
    parallel(s_.batch * tiles, 1, threads_, [&](int64_t begin, int64_t end, int thread) noexcept {
      T* scratch = reinterpret_cast<T*>(memory_.data()) + thread * scratch_;
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t row = unit % tiles / column_cuts_, column = unit % column_cuts_;
        multiply(operands, unit / tiles, row * s_.m / row_cuts_, (row + 1) * s_.m / row_cuts_, column_begin(column),
                 column_begin(column + 1), scratch);
      }
    });
  }

 private:
  // A tile for each thread if the work is worth them, two where it is long, to even out what the system takes away: more
  // tiles pack more. Of the cuts that give so many, the one that computes and packs least.
  void cut() {
    const double work = static_cast<double>(s_.m) * static_cast<double>(s_.n) * static_cast<double>(s_.k + 8) *
                        static_cast<double>(s_.batch);
    if (work < 1e5) threads_ = 1;
    const int64_t wanted = work > 1e8 * threads_ ? int64_t{threads_} * 2 : threads_;
    const int64_t tiles = threads_ == 1 ? 1 : up(wanted, std::max<int64_t>(1, s_.batch));
    double least = 0;
    for (int64_t rows = 1; rows <= tiles; ++rows) {
      const int64_t columns = up(tiles, rows);
      const double height = static_cast<double>(up(up(s_.m, rows), 4) * 4);
      const double width = static_cast<double>(std::min(up(up(s_.n, kPanel<Tiling>), columns) * kPanel<Tiling>,
                                                        up(s_.n, Tiling::lanes) * Tiling::lanes));
      const double cost = height * width + 16 * (height + width);
      if (rows > 1 && cost >= least) continue;
      least = cost;
      row_cuts_ = rows;
      column_cuts_ = columns;
    }
    if (!kSumInPlace) row_cuts_ = std::max(row_cuts_, up(s_.m, kSumRows));
  }
  int64_t column_begin(int64_t column) const {
    return std::min(s_.n, column * up(up(s_.n, kPanel<Tiling>), column_cuts_) * kPanel<Tiling>);
  }

  void multiply(char* const* operands, int64_t batch, int64_t i0, int64_t i1, int64_t j0, int64_t j1, T* scratch) const {
    const auto* a = reinterpret_cast<const Stored*>(operands[0]) + batch * s_.a_batch + i0 * s_.a_row;
    const auto* b = reinterpret_cast<const Stored*>(operands[1]) + batch * s_.b_batch;
    auto* out = reinterpret_cast<Stored*>(s_.out(operands)) + (batch * s_.m + i0) * s_.n;
    const auto* bias = s_.bias ? reinterpret_cast<const Stored*>(operands[2]) : nullptr;
    const auto factors = [&](int64_t j) {
      return Factors<Stored, Stored>{a, s_.a_row, s_.a_col, b + j * s_.b_col, s_.b_row, s_.b_col};
    };
    if constexpr (kSumInPlace) {
      multiply_tile<Tiling>(factors(j0), i1 - i0, j1 - j0, s_.k, out + j0, s_.n, false, bias ? bias + j0 : nullptr, scratch);
    } else {
      T* const sums = scratch + product_;
      for (int64_t j = j0; j < j1; j += kTileColumns<T>) {
        const int64_t columns = std::min(kTileColumns<T>, j1 - j);
        multiply_tile<Tiling>(factors(j), i1 - i0, columns, s_.k, sums, columns, false, static_cast<const T*>(nullptr), scratch);
        for (int64_t i = 0; i < i1 - i0; ++i)
          for (int64_t q = 0; q < columns; ++q) {
            const T sum = sums[i * columns + q];
            out[i * s_.n + j + q] = narrow<Stored>(bias ? static_cast<T>(sum + widen(bias[j + q])) : sum);
          }
      }
    }
  }

  GemmShape s_;
  int threads_;
  int64_t row_cuts_ = 1, column_cuts_ = 1;
  int64_t product_, scratch_;  // elements of a thread's memory: for the product, and with the sums kept apart
  Scratch memory_;
};

}  // namespace

std::unique_ptr<LibraryStep> packed_gemm(const GemmShape& shape) {
  return with_number(shape.dtype, [&]<class Stored>() -> std::unique_ptr<LibraryStep> {
    return with_tiling<computed<Stored>>([&]<class Tiling>() -> std::unique_ptr<LibraryStep> {
      return std::make_unique<PackedGemm<Stored, Tiling>>(shape);
    });
  });
}

}  // namespace axon::cpu
