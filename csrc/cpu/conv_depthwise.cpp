// Depthwise convolutions, forward and input gradient: each channel has a kernel of its own, so a vector of channels is
// computed at a time, and memory decides. A unit is one row of the result along the last axis. An element's sum runs over the
// kernel in rising order, whatever the registers.
#include <algorithm>
#include <cmath>

#include "cpu/conv.h"
#include "cpu/conv_depthwise_kernel.h"
#include "cpu/conv_gather.h"
#include "runtime/features.h"
#include "runtime/library.h"
#include "runtime/regions.h"

namespace axon::cpu {
namespace {

constexpr int64_t kUnitWork = 1 << 14;  // products that are worth a thread
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
  static Vector multiply_add(Vector a, Vector b, Vector c) { return cpu::multiply_add(a, b, c); }
};

template <class Stored> struct One {
  using T = computed<Stored>;
  using Vector = T;
  static constexpr int lanes = 1;
  static T load(const Stored* p) { return widen(*p); }
  static void store(Stored* p, T x) { *p = narrow<Stored>(x); }
  static T multiply_add(T a, T b, T c) {
    if constexpr (std::is_floating_point_v<T>) return std::fma(a, b, c);
    else return a * b + c;
  }
};

template <class Stored> void compute(const Span<Stored>& span, bool one) {
  constexpr int64_t lanes = kLanes<computed<Stored>>;
  if constexpr (std::is_floating_point_v<Stored>)
    if (span.channels >= 2 * lanes && has_avx512()) return wide_span(span, one);
  const auto run = [&]<class R>() { one ? depthwise_span<R, Stored, 1>(span) : depthwise_span<R, Stored, kSpan>(span); };
  span.channels >= lanes ? run.template operator()<Several<Stored>>() : run.template operator()<One<Stored>>();
}

template <class Stored> class DepthwiseConv : public LibraryStep {
 public:
  explicit DepthwiseConv(const ConvShape& s) : s_(s), x_(patches_of(s)), last_(x_.axes.back()), threads_(threads()) {
    taps_rows_ = product(s.kernel) / std::max<int64_t>(1, last_.kernel);
    rows_ = s.batch * x_.positions() / std::max<int64_t>(1, last_.positions);
    band_ = std::clamp<int64_t>(rows_ / (4 * threads_), 1, kBand);
    memory_ = Scratch(band_ * taps_rows_ * threads_ * static_cast<int64_t>(sizeof(Tap<Stored>)));
    for (int64_t phase = 0; phase < std::min(last_.hole, last_.positions); ++phase)
      for (int64_t o = phase; o < last_.positions;) o = cut_alike(o);
  }

  void run(char* const* operands) override {
    const int64_t work = band_ * last_.positions * x_.pixel * product(s_.kernel);
    parallel(up(rows_, band_), std::max<int64_t>(1, kUnitWork / std::max<int64_t>(1, work)), threads_, [&](int64_t begin, int64_t end, int thread) noexcept {
      Tap<Stored>* taps = reinterpret_cast<Tap<Stored>*>(memory_.data()) + thread * band_ * taps_rows_;
      for (int64_t unit = begin; unit < end; ++unit) compute_band(operands, unit * band_, std::min((unit + 1) * band_, rows_), taps);
    });
  }

 private:
  // One position of a row, or kSpan of them that lie last_.hole apart.
  struct Block {
    int64_t position, source;  // the first position, and how far what it meets lies from where its columns say
    int64_t columns, columns_end;
    bool one;
  };

  // Blocks of the positions from o on, last_.hole apart, that meet the same columns of the kernel; the next position after.
  int64_t cut_alike(int64_t o) {
    const int64_t begin = static_cast<int64_t>(columns_.size());
    const auto meets = [&](int64_t position, int64_t p) { return last_.at(position, p) >= 0; };
    for (int64_t p = 0; p < last_.kernel; ++p)
      if (meets(o, p)) columns_.push_back({p * x_.pixel, last_.at(o, p) * x_.pixel});
    const auto alike = [&](int64_t position) {
      for (int64_t p = 0; p < last_.kernel; ++p)
        if (meets(position, p) != meets(o, p)) return false;
      return true;
    };
    int64_t count = 1;
    while (o + count * last_.hole < last_.positions && alike(o + count * last_.hole)) ++count;
    const int64_t width = count >= kSpan ? kSpan : 1;
    for (int64_t i = 0; i < count; i += width) {
      i = std::min(i, count - width);  // the last ones, some of them for the second time
      blocks_.push_back({o + i * last_.hole, i * last_.stride * x_.pixel, begin, static_cast<int64_t>(columns_.size()), width == 1});
    }
    return o + count * last_.hole;
  }

  // A block of positions goes down all rows: what it reads stays in the first cache.
  void compute_band(char* const* operands, int64_t begin, int64_t end, Tap<Stored>* taps) const {
    int64_t counts[kBand];
    for (int64_t row = begin; row < end; ++row)
      counts[row - begin] = find_taps(operands, row, taps + (row - begin) * taps_rows_);
    const int64_t pixel = x_.pixel;
    Stored* out = reinterpret_cast<Stored*>(s_.out(operands));
    Span<Stored> span;
    span.step = last_.stride * pixel;
    span.out_step = last_.hole * pixel;
    span.channels = pixel;
    span.bias = s_.bias ? reinterpret_cast<const Stored*>(operands[2]) : nullptr;
    for (const Block& block : blocks_) {
      span.columns = columns_.data() + block.columns;
      span.columns_count = block.columns_end - block.columns;
      span.offset = block.source;
      for (int64_t row = begin; row < end; ++row) {
        span.rows = taps + (row - begin) * taps_rows_;
        span.rows_count = counts[row - begin];
        span.out = out + (row * last_.positions + block.position) * pixel;
        span.ahead = span.rows_count == 0 ? span.out : span.rows[span.rows_count - 1].source + block.source + last_.source * pixel;
        compute<Stored>(span, block.one);
      }
    }
  }

  // The rows of the kernel, along its last axis, that a row of the result meets, and those of the source.
  int64_t find_taps(char* const* operands, int64_t row, Tap<Stored>* taps) const {
    const size_t outer = x_.axes.size() - 1;
    int64_t position[2] = {}, batch = row, count = 0;
    for (size_t axis = outer; axis-- > 0; batch /= x_.axes[axis].positions) position[axis] = batch % x_.axes[axis].positions;
    const Stored* image = reinterpret_cast<const Stored*>(operands[0]) + batch * x_.source();
    const Stored* kernel = reinterpret_cast<const Stored*>(operands[1]);
    for (int64_t p = 0; p < taps_rows_; ++p) {
      int64_t at = 0, rest = p, rows = 1;
      for (size_t axis = outer; axis-- > 0 && at >= 0; rest /= x_.axes[axis].kernel) {
        const int64_t index = x_.axes[axis].at(position[axis], rest % x_.axes[axis].kernel);
        at = index < 0 ? -1 : at + index * rows;
        rows *= x_.axes[axis].source;
      }
      if (at >= 0) taps[count++] = {kernel + p * last_.kernel * x_.pixel, image + at * last_.source * x_.pixel};
    }
    return count;
  }

  ConvShape s_;
  Patches x_;
  Patches::Axis last_;
  int64_t taps_rows_, rows_, band_;
  int threads_;
  std::vector<Block> blocks_;
  std::vector<Column> columns_;
  Scratch memory_;
};

}  // namespace

bool depthwise_takes(const ConvShape& s) {
  return s.direction != ConvDirection::kernel_gradient && s.groups == s.in_channels && s.groups == s.out_channels;
}

std::unique_ptr<LibraryStep> depthwise_conv(const ConvShape& shape) {
  if (!depthwise_takes(shape)) throw std::invalid_argument("conv: not a convolution of groups with one channel in and out");
  return with_number(shape.dtype, [&]<class Stored>() -> std::unique_ptr<LibraryStep> {
    return std::make_unique<DepthwiseConv<Stored>>(shape);
  });
}

}  // namespace axon::cpu
