// The own convolution: gathers patches of the source block by block and multiplies them as matrices. One thread computes
// a block of the result by itself, in an order that depends on the shape alone, so the same bits come out at any number
// of threads.
#include <algorithm>
#include <type_traits>

#include "cpu/conv.h"
#include "cpu/conv_gather.h"
#include "cpu/copy.h"
#include "cpu/gemm_tile.h"
#include "runtime/library.h"
#include "runtime/parallel.h"

namespace axon::cpu {
namespace {

// Forward and input gradient: a unit is some positions of one batch element and group.
template <class Stored, class Tiling> class PatchesConv : public LibraryStep {
  using T = computed<Stored>;
  static constexpr bool kSumInPlace = std::is_same_v<Stored, T>;
  static constexpr int64_t kRows = kTileRows<Tiling>;

 public:
  explicit PatchesConv(const ConvShape& s) : s_(s), x_(patches_of(s)), threads_(threads()) {
    transposed_ = s.direction == ConvDirection::input_gradient;
    out_pixel_ = transposed_ ? s.in_channels : s.out_channels;
    columns_ = out_pixel_ / s.groups;
    positions_ = x_.positions();
    row_ = x_.row();
    rows_ = std::min(kRows, positions_);
    const int64_t depth = std::min(row_, kTileDepth);
    patches_ = up(rows_ * depth, 16) * 16;
    sums_ = kSumInPlace ? 0 : rows_ * columns_;
    scratch_ = up(patches_ + sums_ + tile_scratch<Tiling, T>(rows_, columns_, depth), 16) * 16;
    memory_ = Scratch(scratch_ * threads_ * static_cast<int64_t>(sizeof(T)));
    if (transposed_) {
      const int64_t in = s.in_channels / s.groups, out = s.out_channels / s.groups;
      kernel_ = Scratch(product(s.kernel) * in * s.out_channels * static_cast<int64_t>(sizeof(Stored)));
      // [positions, in, groups, out] to [groups, positions, out, in]
      transpose_ = StridedCopy(sizeof(Stored), {s.groups, product(s.kernel), out, in},
                               {out, in * s.out_channels, 1, s.out_channels},
                               {product(s.kernel) * out * in, out * in, in, 1});
    }
  }

  void run(char* const* operands) override {
    if (transposed_) transpose_.run(operands[1], kernel_.data());
    const int64_t blocks = rows_ == 0 ? 0 : up(positions_, rows_);
    parallel(s_.batch * s_.groups * blocks, 1, threads_, [&](int64_t begin, int64_t end, int thread) noexcept {
      T* scratch = reinterpret_cast<T*>(memory_.data()) + thread * scratch_;
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t block = unit % blocks, group = unit / blocks % s_.groups, batch = unit / blocks / s_.groups;
        compute(operands, batch, group, block * positions_ / blocks, (block + 1) * positions_ / blocks, scratch);
      }
    });
  }

 private:
  void compute(char* const* operands, int64_t batch, int64_t group, int64_t first, int64_t last, T* scratch) const {
    const Stored* source = reinterpret_cast<const Stored*>(operands[0]) + batch * x_.source() + group * x_.channels;
    const Stored* kernel = transposed_ ? reinterpret_cast<const Stored*>(kernel_.data()) + group * row_ * columns_
                                       : reinterpret_cast<const Stored*>(operands[1]) + group * columns_;
    Stored* out = reinterpret_cast<Stored*>(s_.out(operands)) + (batch * positions_ + first) * out_pixel_ + group * columns_;
    const Stored* bias = s_.bias ? reinterpret_cast<const Stored*>(operands[2]) + group * columns_ : nullptr;
    const int64_t kernel_row = transposed_ ? columns_ : out_pixel_, rows = last - first;
    T* sums = scratch + patches_;
    int64_t sums_row = columns_;
    const T* sums_bias = nullptr;
    if constexpr (kSumInPlace) {
      sums = out;
      sums_row = out_pixel_;
      sums_bias = bias;
    }
    const int64_t depths = std::max<int64_t>(1, up(row_, kTileDepth));
    for (int64_t d = 0; d < depths; ++d) {
      const int64_t q = d * row_ / depths, depth = (d + 1) * row_ / depths - q;
      gather(x_, source, first, rows, q, q + depth, scratch);
      multiply_tile<Tiling>(Factors<T, Stored>{scratch, depth, 1, kernel + q * kernel_row, kernel_row, 1}, rows, columns_, depth,
                    sums, sums_row, d > 0, d + 1 == depths ? sums_bias : nullptr, scratch + patches_ + sums_);
    }
    if constexpr (!kSumInPlace)
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns_; ++j) {
          const T sum = sums[i * columns_ + j];
          out[i * out_pixel_ + j] = narrow<Stored>(bias ? static_cast<T>(sum + widen(bias[j])) : sum);
        }
  }

  ConvShape s_;
  Patches x_;
  int threads_;
  bool transposed_;
  int64_t out_pixel_, columns_, positions_, row_, rows_;
  int64_t patches_, sums_, scratch_;  // elements of a thread's memory
  Scratch memory_, kernel_;
  StridedCopy transpose_;
};

// Kernel gradient: a unit is some elements of the kernel's rows, in one group, over one slice of all positions. Slices
// are few and depend on the shape alone; their sums are added in rising order.
template <class Stored, class Tiling> class PatchesKernelGradient : public LibraryStep {
  using T = computed<Stored>;
  static constexpr int64_t kRows = kTileRows<Tiling>;

 public:
  explicit PatchesKernelGradient(const ConvShape& s) : s_(s), x_(patches_of(s)), threads_(threads()) {
    columns_ = s.out_channels / s.groups;
    positions_ = x_.positions();
    row_ = x_.row();
    blocks_ = up(row_, kRows);
    each_ = up(positions_, std::max<int64_t>(1, up(positions_, kTileDepth)));  // positions gathered at a time
    const int64_t pieces = s.batch * (each_ == 0 ? 0 : up(positions_, each_));
    slices_ = std::clamp<int64_t>(16 / std::max<int64_t>(1, blocks_ * s.groups), 1, std::max<int64_t>(1, pieces / 4));
    patches_ = up(each_ * std::min(row_, kRows), 16) * 16;
    scratch_ = up(patches_ + tile_scratch<Tiling, T>(kRows, columns_, each_), 16) * 16;
    memory_ = Scratch(scratch_ * threads_ * static_cast<int64_t>(sizeof(T)));
    sums_ = Scratch(slices_ * row_ * s.out_channels * static_cast<int64_t>(sizeof(T)));
  }

  void run(char* const* operands) override {
    parallel(s_.groups * blocks_ * slices_, 1, threads_, [&](int64_t begin, int64_t end, int thread) noexcept {
      T* scratch = reinterpret_cast<T*>(memory_.data()) + thread * scratch_;
      for (int64_t unit = begin; unit < end; ++unit)
        compute(operands, unit / slices_ / blocks_, unit / slices_ % blocks_, unit % slices_, scratch);
    });
    const int64_t count = row_ * s_.out_channels;
    const T* sums = reinterpret_cast<const T*>(sums_.data());
    parallel(count, 16384, threads_, [&](int64_t begin, int64_t end, int) noexcept {
      for (int64_t i = begin; i < end; ++i) {
        T sum = sums[i];
        for (int64_t slice = 1; slice < slices_; ++slice) sum += sums[slice * count + i];
        reinterpret_cast<Stored*>(operands[2])[i] = narrow<Stored>(sum);
      }
    });
  }

 private:
  void compute(char* const* operands, int64_t group, int64_t block, int64_t slice, T* scratch) const {
    const int64_t q0 = block * row_ / blocks_, q1 = (block + 1) * row_ / blocks_, per_batch = each_ == 0 ? 0 : up(positions_, each_);
    const int64_t pieces = s_.batch * per_batch;
    T* sums = reinterpret_cast<T*>(sums_.data()) + (slice * row_ + q0) * s_.out_channels + group * columns_;
    const auto add = [&](const Factors<T, Stored>& factors, int64_t rows, bool accumulate) {
      multiply_tile<Tiling>(factors, q1 - q0, columns_, rows, sums, s_.out_channels, accumulate, static_cast<const T*>(nullptr),
                    scratch + patches_);
    };
    const int64_t begin = slice * pieces / slices_, end = (slice + 1) * pieces / slices_;
    if (begin == end) add({scratch, 1, 0, nullptr, 0, 1}, 0, false);
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t batch = piece / per_batch, part = piece % per_batch;
      const int64_t first = part * positions_ / per_batch, rows = (part + 1) * positions_ / per_batch - first;
      const Stored* source = reinterpret_cast<const Stored*>(operands[0]) + batch * x_.source() + group * x_.channels;
      const Stored* gradient = reinterpret_cast<const Stored*>(operands[1]) +
                               (batch * positions_ + first) * s_.out_channels + group * columns_;
      gather(x_, source, first, rows, q0, q1, scratch);
      add({scratch, 1, q1 - q0, gradient, s_.out_channels, 1}, rows, piece > begin);
    }
  }

  ConvShape s_;
  Patches x_;
  int threads_;
  int64_t columns_, positions_, row_, blocks_, each_, slices_;
  int64_t patches_, scratch_;  // elements of a thread's memory
  Scratch memory_, sums_;
};

}  // namespace

std::unique_ptr<LibraryStep> patches_conv(const ConvShape& shape) {
  return with_number(shape.dtype, [&]<class Stored>() -> std::unique_ptr<LibraryStep> {
    return with_tiling<computed<Stored>>([&]<class Tiling>() -> std::unique_ptr<LibraryStep> {
      if (shape.direction == ConvDirection::kernel_gradient)
        return std::make_unique<PatchesKernelGradient<Stored, Tiling>>(shape);
      return std::make_unique<PatchesConv<Stored, Tiling>>(shape);
    });
  });
}

}  // namespace axon::cpu
