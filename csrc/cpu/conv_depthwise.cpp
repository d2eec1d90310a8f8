// Depthwise convolutions and their gradients: each channel has a kernel of its own, so a vector of channels is computed at a
// time, and memory decides. Work is cut into rows of the result (of the gradient, for kernels) along the last axis. An
// element's sum has the same order with any registers and any number of threads.
#include <algorithm>
#include <cmath>
#include <utility>

#include "cpu/conv.h"
#include "cpu/conv_depthwise_kernel.h"
#include "cpu/conv_gather.h"
#include "runtime/features.h"
#include "runtime/library.h"
#include "runtime/parallel.h"

namespace axon::cpu {
namespace {

constexpr int64_t kUnitWork = 1 << 14;  // products that are worth a thread
constexpr int64_t kSlices = 32;         // of all rows, whose kernel gradients are summed apart
constexpr int64_t kBand = 16;           // rows that one block of positions goes down, while what it reads stays in the first cache

template <class Stored> struct Several {
  using T = computed<Stored>;
  using Vector = cpu::Vector<T>;
  static constexpr int lanes = kLanes<T>;
  static Vector load(const Stored* p) { return cpu::load(p); }
  static void store(Stored* p, Vector x) {
    if constexpr (std::is_same_v<Stored, T>) cpu::store(p, x);
    else
      for (int i = 0; i < lanes; ++i) p[i] = narrow<Stored>(x[i]);
  }
  static Vector load(const T* p) requires(!std::is_same_v<Stored, T>) { return cpu::load(p); }
  static void store(T* p, Vector x) requires(!std::is_same_v<Stored, T>) { cpu::store(p, x); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return cpu::multiply_add(a, b, c); }
};

template <class Stored> struct One {
  using T = computed<Stored>;
  using Vector = T;
  static constexpr int lanes = 1;
  static T load(const Stored* p) { return widen(*p); }
  static void store(Stored* p, T x) { *p = narrow<Stored>(x); }
  static T load(const T* p) requires(!std::is_same_v<Stored, T>) { return *p; }
  static void store(T* p, T x) requires(!std::is_same_v<Stored, T>) { *p = x; }
  static T multiply_add(T a, T b, T c) {
    if constexpr (std::is_floating_point_v<T>) return std::fma(a, b, c);
    else return a * b + c;
  }
};

template <class Stored> void compute(const Span<Stored>& span, int64_t width) {
  constexpr int64_t lanes = kLanes<computed<Stored>>;
  if constexpr (std::is_floating_point_v<Stored>)
    if (span.channels >= 2 * lanes && has_avx512()) return wide_span(span, width);
  span.channels >= lanes ? depthwise_positions<Several<Stored>>(span, width) : depthwise_positions<One<Stored>>(span, width);
}

// Rows along the last axis, and the positions of a row that meet the same columns of the kernel.
template <class Stored> class DepthwiseRows : public LibraryStep {
 protected:
  explicit DepthwiseRows(const ConvShape& s) : s_(s), x_(patches_of(s)), last_(x_.axes.back()), threads_(threads()) {
    taps_rows_ = product(s.kernel) / std::max<int64_t>(1, last_.kernel);
    rows_ = s.batch * x_.positions() / std::max<int64_t>(1, last_.positions);
    for (int64_t phase = 0; phase < std::min(last_.hole, last_.positions); ++phase)
      for (int64_t o = phase; o < last_.positions; o += runs_.back().count * last_.hole) runs_.push_back(alike(o));
  }

  // Positions that lie last_.hole apart, so that what they meet lies last_.stride apart.
  struct Run {
    int64_t position, count, columns, columns_end;
  };

  // Calls meet(p, source) for rows p of the kernel, along its last axis, and the rows of the source that the row of
  // positions meets.
  template <class Meet> void for_taps(const Stored* source, int64_t row, const Meet& meet) const {
    const size_t outer = x_.axes.size() - 1;
    int64_t position[2] = {}, batch = row;
    for (size_t axis = outer; axis-- > 0; batch /= x_.axes[axis].positions) position[axis] = batch % x_.axes[axis].positions;
    for (int64_t p = 0; p < taps_rows_; ++p) {
      int64_t at = 0, rest = p, rows = 1;
      for (size_t axis = outer; axis-- > 0 && at >= 0; rest /= x_.axes[axis].kernel) {
        const int64_t index = x_.axes[axis].at(position[axis], rest % x_.axes[axis].kernel);
        at = index < 0 ? -1 : at + index * rows;
        rows *= x_.axes[axis].source;
      }
      if (at >= 0) meet(p, source + batch * x_.source() + at * last_.source * x_.pixel);
    }
  }

  ConvShape s_;
  Patches x_;
  Patches::Axis last_;
  int threads_;
  int64_t taps_rows_, rows_;
  std::vector<Run> runs_;
  std::vector<Column> columns_;

 private:
  // The positions from o on, last_.hole apart, that meet the same columns: from the same first to the same last.
  Run alike(int64_t o) {
    const auto ends = [&](int64_t position) {
      int64_t first = 0, end = last_.kernel;
      while (first < end && last_.at(position, first) < 0) ++first;
      while (end > first && last_.at(position, end - 1) < 0) --end;
      return std::pair(first, end);
    };
    const auto [first, end] = ends(o);
    Run run{o, 1, static_cast<int64_t>(columns_.size()), 0};
    for (int64_t p = first; p < end; ++p)
      if (const int64_t at = last_.at(o, p); at >= 0) columns_.push_back({p * x_.pixel, at * x_.pixel});
    run.columns_end = static_cast<int64_t>(columns_.size());
    while (o + run.count * last_.hole < last_.positions && ends(o + run.count * last_.hole) == std::pair(first, end)) ++run.count;
    return run;
  }
};

// Forward and input gradient.
template <class Stored> class DepthwiseConv : public DepthwiseRows<Stored> {
  using DepthwiseRows<Stored>::s_, DepthwiseRows<Stored>::x_, DepthwiseRows<Stored>::last_, DepthwiseRows<Stored>::threads_;
  using DepthwiseRows<Stored>::taps_rows_, DepthwiseRows<Stored>::rows_;

 public:
  explicit DepthwiseConv(const ConvShape& s) : DepthwiseRows<Stored>(s) {
    band_ = std::clamp<int64_t>(rows_ / (4 * threads_), 1, kBand);
    memory_ = Scratch(band_ * taps_rows_ * threads_ * static_cast<int64_t>(sizeof(Tap<Stored>)));
  }

  void run(char* const* operands) override {
    const int64_t work = band_ * last_.positions * x_.pixel * product(s_.kernel);
    parallel(up(rows_, band_), std::max<int64_t>(1, kUnitWork / std::max<int64_t>(1, work)), threads_,
             [&](int64_t begin, int64_t end, int thread) noexcept {
               Tap<Stored>* taps = reinterpret_cast<Tap<Stored>*>(memory_.data()) + thread * band_ * taps_rows_;
               for (int64_t unit = begin; unit < end; ++unit)
                 compute_band(operands, unit * band_, std::min((unit + 1) * band_, rows_), taps);
             });
  }

 private:
  // Up to kSpan positions go down all rows: what they read stays in the first cache.
  void compute_band(char* const* operands, int64_t begin, int64_t end, Tap<Stored>* taps) const {
    int64_t counts[kBand] = {};
    const Stored* kernel = reinterpret_cast<const Stored*>(operands[1]);
    for (int64_t row = begin; row < end; ++row)
      this->for_taps(reinterpret_cast<const Stored*>(operands[0]), row, [&](int64_t p, const Stored* source) {
        taps[(row - begin) * taps_rows_ + counts[row - begin]++] = {kernel + p * last_.kernel * x_.pixel, source};
      });
    const int64_t pixel = x_.pixel;
    Span<Stored> span;
    span.step = last_.stride * pixel;
    span.out_step = last_.hole * pixel;
    span.channels = pixel;
    span.bias = s_.bias ? reinterpret_cast<const Stored*>(operands[2]) : nullptr;
    for (const auto& run : this->runs_) {
      span.columns = this->columns_.data() + run.columns;
      span.columns_count = run.columns_end - run.columns;
      for (int64_t i = 0, width = kSpan; i < run.count; i += width) {
        const int64_t left = run.count - i;
        if (i > 0 && left < width && left > width / 2) i -= width - left;  // some of them for the second time
        else
          while (width > left) width /= 2;
        span.offset = i * span.step;
        for (int64_t row = begin; row < end; ++row) {
          span.rows = taps + (row - begin) * taps_rows_;
          span.rows_count = counts[row - begin];
          span.out = reinterpret_cast<Stored*>(s_.out(operands)) + (row * last_.positions + run.position) * pixel + i * span.out_step;
          span.ahead = span.rows_count == 0 ? span.out : span.rows[span.rows_count - 1].source + span.offset + last_.source * pixel;
          compute<Stored>(span, width);
        }
      }
    }
  }

  int64_t band_;
  Scratch memory_;
};

// Kernel gradient: a unit is some rows, as few slices as depend on the shape alone. Their sums are added in rising order.
template <class Stored> class DepthwiseKernelGradient : public DepthwiseRows<Stored> {
  using T = computed<Stored>;
  using DepthwiseRows<Stored>::s_, DepthwiseRows<Stored>::x_, DepthwiseRows<Stored>::last_, DepthwiseRows<Stored>::threads_;
  using DepthwiseRows<Stored>::rows_;

 public:
  explicit DepthwiseKernelGradient(const ConvShape& s) : DepthwiseRows<Stored>(s) {
    count_ = product(s.kernel) * x_.pixel;
    slices_ = std::clamp<int64_t>(rows_, 1, kSlices);
    memory_ = Scratch(slices_ * count_ * static_cast<int64_t>(sizeof(T)));
  }

  void run(char* const* operands) override {
    T* const sums = reinterpret_cast<T*>(memory_.data());
    const int64_t work = rows_ / slices_ * last_.positions * count_;
    parallel(slices_, std::max<int64_t>(1, kUnitWork / std::max<int64_t>(1, work)), threads_,
             [&](int64_t begin, int64_t end, int) noexcept {
               for (int64_t slice = begin; slice < end; ++slice) {
                 std::fill_n(sums + slice * count_, count_, T{});
                 for (int64_t row = slice * rows_ / slices_; row < (slice + 1) * rows_ / slices_; ++row)
                   add_row(operands, row, sums + slice * count_);
               }
             });
    parallel(count_, 16384, threads_, [&](int64_t begin, int64_t end, int) noexcept {
      for (int64_t i = begin; i < end; ++i) {
        T sum = sums[i];
        for (int64_t slice = 1; slice < slices_; ++slice) sum += sums[slice * count_ + i];
        reinterpret_cast<Stored*>(operands[2])[i] = narrow<Stored>(sum);
      }
    });
  }

 private:
  void add_row(char* const* operands, int64_t row, T* sums) const {
    const int64_t pixel = x_.pixel;
    const Stored* gradient = reinterpret_cast<const Stored*>(operands[1]) + row * last_.positions * pixel;
    GradientSpan<Stored, T> span;
    span.step = last_.stride * pixel;
    span.gradient_step = last_.hole * pixel;
    span.ahead = last_.source * pixel;
    span.gradient_ahead = last_.positions * pixel;
    for (const auto& run : this->runs_) {
      span.gradient = gradient + run.position * pixel;
      span.positions = run.count;
      int64_t taps = 0;
      this->for_taps(reinterpret_cast<const Stored*>(operands[0]), row, [&](int64_t p, const Stored* source) {
        for (int64_t i = run.columns; i < run.columns_end; ++i) {
          const Column& column = this->columns_[static_cast<size_t>(i)];
          span.sums[taps] = sums + p * last_.kernel * pixel + column.kernel;
          span.sources[taps] = source + column.source;
          if (++taps == kTaps) add(span, std::exchange(taps, 0));
        }
      });
      if (taps > 0) add(span, taps);
    }
  }

  void add(GradientSpan<Stored, T>& span, int64_t taps) const {
    constexpr int64_t lanes = kLanes<T>;
    const int64_t channels = x_.pixel;
    int64_t done = 0;
    const auto run = [&](GradientFunction<Stored, T> function, int64_t width) {
      if (channels - done < width) return;
      span.channels = channels - done;
      function(span);
      const int64_t count = span.channels / width * width;
      done += count;
      for (int64_t t = 0; t < taps; ++t) span.sums[t] += count, span.sources[t] += count;
      span.gradient += count;
    };
    if constexpr (std::is_floating_point_v<Stored>)
      if (has_avx512()) run(wide_gradient(Stored{}, taps), 2 * lanes);
    run(gradient_of<Several<Stored>, Stored, T>(taps), lanes);
    run(gradient_of<One<Stored>, Stored, T>(taps), 1);
    span.gradient -= done;
  }

  int64_t count_, slices_;
  Scratch memory_;
};

}  // namespace

bool depthwise_takes(const ConvShape& s) { return s.groups == s.in_channels && s.groups == s.out_channels; }

std::unique_ptr<LibraryStep> depthwise_conv(const ConvShape& shape) {
  if (!depthwise_takes(shape)) throw std::invalid_argument("conv: not a convolution of groups with one channel in and out");
  return with_number(shape.dtype, [&]<class Stored>() -> std::unique_ptr<LibraryStep> {
    if (shape.direction == ConvDirection::kernel_gradient) return std::make_unique<DepthwiseKernelGradient<Stored>>(shape);
    return std::make_unique<DepthwiseConv<Stored>>(shape);
  });
}

}  // namespace axon::cpu
