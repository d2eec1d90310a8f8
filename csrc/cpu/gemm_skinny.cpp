// Products with at most four rows: each element of b is used a few times only, so reading b decides. It is streamed
// along its memory: whole rows of it where n is contiguous, dot products where k is.
#include <algorithm>
#include <utility>

#include "cpu/gemm.h"
#include "cpu/vector.h"
#include "runtime/library.h"
#include "runtime/parallel.h"

namespace axon::cpu {
namespace {

constexpr int64_t kMaxRows = 4;
constexpr int64_t kColumns = 1024;  // of one unit of work; their sums, at most 32 KiB, stay in the first cache

template <class T> T sum_of(Vector<T> x) {
  for (int half = kLanes<T> / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) x[i] += x[i + half];
  return x[0];
}

// sums[i*kColumns + j] = sum over p of a[i*k + p] * b[p*b_row + j], for j < columns.
template <class Stored, int rows, class T>
void stream_rows(const T* a, const Stored* b, int64_t b_row, int64_t k, int64_t columns, T* sums) {
  constexpr int64_t lanes = kLanes<T>;
  constexpr int64_t together = 4;  // rows of b: a sum is loaded and stored once for all of them
  for (int i = 0; i < rows; ++i) std::fill_n(sums + i * kColumns, columns, T{});
  const auto add = [&]<int64_t count>(int64_t p) {
    int64_t j = 0;
    for (; j + lanes <= columns; j += lanes) {
      Vector<T> right[count];
#pragma GCC unroll 4
      for (int64_t q = 0; q < count; ++q) right[q] = load(b + (p + q) * b_row + j);
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i) {
        Vector<T> sum = load(sums + i * kColumns + j);
#pragma GCC unroll 4
        for (int64_t q = 0; q < count; ++q) sum = multiply_add(splat(a[i * k + p + q]), right[q], sum);
        store(sums + i * kColumns + j, sum);
      }
    }
    for (; j < columns; ++j)
      for (int i = 0; i < rows; ++i)
        for (int64_t q = 0; q < count; ++q) sums[i * kColumns + j] += a[i * k + p + q] * widen(b[(p + q) * b_row + j]);
  };
  int64_t p = 0;
  for (; p + together <= k; p += together) add.template operator()<together>(p);
  for (; p < k; ++p) add.template operator()<1>(p);
}

// The same where b[p + j*b_col] runs along k.
template <class Stored, int rows, class T>
void dot_products(const T* a, const Stored* b, int64_t b_col, int64_t k, int64_t columns, T* sums) {
  constexpr int64_t lanes = kLanes<T>;
  const auto dot = [&]<int64_t count>(int64_t j) {
    Vector<T> total[rows][count] = {};
    int64_t p = 0;
    for (; p + lanes <= k; p += lanes) {
      Vector<T> left[rows];
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i) left[i] = load(a + i * k + p);
#pragma GCC unroll 4
      for (int64_t q = 0; q < count; ++q) {
        const Vector<T> right = load(b + (j + q) * b_col + p);
#pragma GCC unroll 4
        for (int i = 0; i < rows; ++i) total[i][q] = multiply_add(left[i], right, total[i][q]);
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
      for (int64_t q = 0; q < count; ++q) {
        T sum = sum_of<T>(total[i][q]);
        for (int64_t r = p; r < k; ++r) sum += a[i * k + r] * widen(b[(j + q) * b_col + r]);
        sums[i * kColumns + j + q] = sum;
      }
  };
  constexpr int64_t together = rows == 1 ? 4 : 2;
  int64_t j = 0;
  for (; j + together <= columns; j += together) dot.template operator()<together>(j);
  for (; j < columns; ++j) dot.template operator()<1>(j);
}

// The column a*b is computed as the row of the transposed product.
bool turned(const GemmShape& s) { return s.n == 1 && s.m > 1; }

template <class Stored> class SkinnyGemm : public LibraryStep {
  using T = computed<Stored>;

 public:
  explicit SkinnyGemm(const GemmShape& shape) : s_(shape), threads_(threads()) {
    if (turned(shape)) {
      std::swap(s_.m, s_.n);
      std::swap(s_.a_batch, s_.b_batch);
      std::swap(s_.a_row, s_.b_col);
      std::swap(s_.a_col, s_.b_row);
      swapped_ = true;
    }
    // A few units a thread, each a few pages of b.
    const int64_t batch = std::max<int64_t>(1, s_.batch), blocks = (threads_ + batch - 1) / batch;
    const int64_t each = (s_.n + blocks - 1) / blocks, aligned = (each + 31) / 32 * 32;
    columns_ = std::clamp<int64_t>(aligned, std::min(least_columns(), kColumns), kColumns);
    left_ = (s_.m * s_.k + 15) / 16 * 16;
    each_ = left_ + s_.m * kColumns;
    memory_ = Scratch(each_ * threads_ * static_cast<int64_t>(sizeof(T)));
  }

  void run(char* const* operands) override {
    const int64_t blocks = (s_.n + columns_ - 1) / columns_;
    parallel(s_.batch * blocks, 1, threads_, [&](int64_t begin, int64_t end, int thread) noexcept {
      T* scratch = reinterpret_cast<T*>(memory_.data()) + thread * each_;
      for (int64_t unit = begin, last = -1; unit < end; ++unit) {
        const int64_t batch = unit / blocks, j = unit % blocks * columns_;
        if (batch != last) copy_left(reinterpret_cast<const Stored*>(operands[swapped_]) + batch * s_.a_batch, scratch);
        last = batch;
        block(operands, batch, j, std::min(columns_, s_.n - j), scratch);
      }
    });
  }

 private:
  // So many that a unit is worth a thread: about 32 Ki products.
  int64_t least_columns() const { return 32768 / std::max<int64_t>(1, s_.m * s_.k) / 32 * 32 + 32; }

  void copy_left(const Stored* a, T* left) const {
    for (int64_t i = 0; i < s_.m; ++i)
      for (int64_t p = 0; p < s_.k; ++p) left[i * s_.k + p] = widen(a[i * s_.a_row + p * s_.a_col]);
  }

  void block(char* const* operands, int64_t batch, int64_t j, int64_t columns, T* scratch) const {
    T* sums = scratch + left_;
    const Stored* b = reinterpret_cast<const Stored*>(operands[!swapped_]) + batch * s_.b_batch + j * s_.b_col;
    const auto multiply = [&]<int rows>() {
      if (s_.b_col == 1) stream_rows<Stored, rows>(scratch, b, s_.b_row, s_.k, columns, sums);
      else dot_products<Stored, rows>(scratch, b, s_.b_col, s_.k, columns, sums);
    };
    switch (s_.m) {
      case 1: multiply.template operator()<1>(); break;
      case 2: multiply.template operator()<2>(); break;
      case 3: multiply.template operator()<3>(); break;
      default: multiply.template operator()<4>();
    }
    Stored* out = reinterpret_cast<Stored*>(s_.out(operands)) + batch * s_.m * s_.n + j;
    const Stored* bias = s_.bias ? reinterpret_cast<const Stored*>(operands[2]) + (swapped_ ? 0 : j) : nullptr;
    for (int64_t i = 0; i < s_.m; ++i)
      for (int64_t q = 0; q < columns; ++q) {
        const T sum = sums[i * kColumns + q];
        out[i * s_.n + q] = narrow<Stored>(bias ? static_cast<T>(sum + widen(bias[swapped_ ? 0 : q])) : sum);
      }
  }

  GemmShape s_;
  int threads_;
  bool swapped_ = false;
  int64_t columns_, left_, each_;
  Scratch memory_;
};

}  // namespace

bool skinny_takes(const GemmShape& s) {
  if (turned(s)) return s.a_col == 1 || s.a_row == 1;
  return s.m >= 1 && s.m <= kMaxRows && (s.b_col == 1 || s.b_row == 1);
}

std::unique_ptr<LibraryStep> skinny_gemm(const GemmShape& shape) {
  if (!skinny_takes(shape)) throw std::invalid_argument("gemm: not a product with few rows and a contiguous axis");
  return with_number(shape.dtype, [&]<class Stored>() -> std::unique_ptr<LibraryStep> {
    return std::make_unique<SkinnyGemm<Stored>>(shape);
  });
}

}  // namespace axon::cpu
