// The step "cumulative": running combinations along an axis, out[o, i, c] = x[o, 0, c] op ... op x[o, i, c]; with `reverse`
// from the end of the axis. The order, which depends on the sizes alone, is docs/design/reductions.md's: a lane a column
// where the axis is not the last; else segments of 16, blocks of 64 segments, and blocks, each one element after the other.
// Half types are combined in float and rounded where they are stored.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "cpu/arguments.h"
#include "cpu/vector.h"
#include "kernels/scalar.h"
#include "runtime/library.h"
#include "runtime/parallel.h"

namespace axon::cumulative {
namespace {

constexpr int64_t kSegment = 16, kSegments = 64, kBlock = kSegment * kSegments;
constexpr int64_t kRound = 512;    // blocks that are read twice, the second time out of a cache
constexpr int64_t kStrip = 512;    // columns side by side
constexpr int64_t kWork = 16384;   // elements that are worth a thread
constexpr int64_t kStreamed = 16 << 20;  // bytes of a result that no cache keeps
static_assert(W == 8, "the layout of a block is made for eight lanes");

// The operations, in the order of their codes, with the value that combines with any x to x.
struct Add {
  template <class V> static AXON_INLINE V of(V a, V b) { return add(a, b); }
  template <class C> static constexpr C identity = is_floating<C> ? C(-0.0) : C(0);
};
struct Multiply {
  template <class V> static AXON_INLINE V of(V a, V b) { return multiply(a, b); }
  template <class C> static constexpr C identity = C(1);
};
template <class C> constexpr C kLeast = [] {
  if constexpr (is_floating<C>) return C(-INFINITE);
  else return lowest<C>;
}();
template <class C> constexpr C kMost = [] {
  if constexpr (is_floating<C>) return C(INFINITE);
  else return highest<C>;
}();
struct Maximum {
  template <class V> static AXON_INLINE V of(V a, V b) { return maximum(a, b); }
  template <class C> static constexpr C identity = kLeast<C>;
};
struct Minimum {
  template <class V> static AXON_INLINE V of(V a, V b) { return minimum(a, b); }
  template <class C> static constexpr C identity = kMost<C>;
};
struct Logaddexp {
  template <class V> static AXON_INLINE V of(V a, V b) { return logaddexp(a, b); }
  template <class C> static constexpr C identity = kLeast<C>;
};
constexpr int64_t kOperations = 5;

struct Shape {
  cpu::DType dtype;
  int64_t operation, outer, axis, inner;
  bool reverse;

  // ints: the dtype, the operation, outer, axis size, inner, reverse; operands: x, out.
  explicit Shape(const LibraryCall& call) {
    cpu::Arguments arguments("cumulative", call);
    dtype = arguments.number();
    operation = arguments.within("operation", 0, kOperations - 1);
    outer = arguments.size("outer");
    axis = arguments.size("axis size");
    inner = arguments.size("inner");
    reverse = arguments.flag("reverse");
    arguments.end(2);
    arguments.require(operation != 4 || dtype >= cpu::DType::f16, "expected a floating dtype for the sum of exponentials");
    const int64_t count = arguments.product(arguments.product(outer, axis), inner);
    arguments.holds(0, count, cpu::itemsize(dtype));
    arguments.holds(1, count, cpu::itemsize(dtype));
  }
};

// A square of eight rows becomes its transpose.
template <class V> AXON_FN void turn(V (&rows)[W]) {
  typedef element<V> C;
  if constexpr (sizeof(C) == 4) {
    cpu::Vector<float> r[W];
    AXON_UNROLL for (int i = 0; i < W; ++i) r[i] = reinterpret_cast<cpu::Vector<float>>(rows[i]);
    cpu::transpose<float>(r);
    AXON_UNROLL for (int i = 0; i < W; ++i) rows[i] = reinterpret_cast<V>(r[i]);
  } else if constexpr (sizeof(C) == 8) {
    typedef lanes<double> D;
    cpu::Vector<double> a[4], b[4], c[4], d[4];
    AXON_UNROLL for (int i = 0; i < 4; ++i) {
      a[i] = lower(reinterpret_cast<D>(rows[i])), b[i] = upper(reinterpret_cast<D>(rows[i]));
      c[i] = lower(reinterpret_cast<D>(rows[i + 4])), d[i] = upper(reinterpret_cast<D>(rows[i + 4]));
    }
    cpu::transpose<double>(a), cpu::transpose<double>(b), cpu::transpose<double>(c), cpu::transpose<double>(d);
    AXON_UNROLL for (int i = 0; i < 4; ++i) {
      rows[i] = reinterpret_cast<V>(join(a[i], c[i]));
      rows[i + 4] = reinterpret_cast<V>(join(b[i], d[i]));
    }
  } else {
    for (int i = 0; i < W; ++i)
      for (int k = i + 1; k < W; ++k) {
        const C kept = rows[i][k];
        rows[i][k] = rows[k][i], rows[k][i] = kept;
      }
  }
}

// A store that does not read what it overwrites, where there is one: of whole registers.
template <class T> AXON_FN void past_caches(T* to, lanes<T> x) {
  if constexpr (sizeof(T) >= 4) {
    __m256i parts[sizeof x / sizeof(__m256i)];
    std::memcpy(parts, &x, sizeof x);
    for (size_t i = 0; i < std::size(parts); ++i) _mm256_stream_si256(reinterpret_cast<__m256i*>(to) + i, parts[i]);
  } else store<T>(to, x);
}

// The elements of one block, a lane a segment: places_[j][s] is element j of segment s, in the order of memory. In reverse
// the last element of the last segment is the first.
template <class Op, class T, bool reverse> class Block {
  typedef lanes<T> V;
  typedef element<V> C;
  static constexpr int64_t kFirst = reverse ? kSegment - 1 : 0, kLast = kSegment - 1 - kFirst, kStep = reverse ? -1 : 1;

 public:
  // Combines the elements of every segment, then the totals of segments. The number of segments is one of whole vectors.
  void read(const T* from, int64_t segments) {
    segments_ = segments;
    for (int64_t s = 0; s < segments; s += W) {
      V made[kSegment];
      for (int64_t j = 0; j < kSegment; j += W) {
        V square[W];
        AXON_UNROLL for (int i = 0; i < W; ++i) square[i] = load<T>(from + (s + i) * kSegment + j);
        turn(square);
        AXON_UNROLL for (int i = 0; i < W; ++i) made[j + i] = square[i];
      }
      V last = made[kFirst];
      store<C>(&places_[kFirst][s], last);
      AXON_UNROLL for (int64_t k = 1; k < kSegment; ++k) {
        const int64_t j = kFirst + k * kStep;
        last = Op::of(last, made[j]);
        store<C>(&places_[j][s], last);
      }
    }
    V sum = broadcast<C>(Op::template identity<C>);
    for (int64_t k = 0; k < segments; ++k) {
      const int64_t s = reverse ? segments - 1 - k : k;
      const V total = broadcast<C>(places_[kLast][s]);
      before_[s] = sum[0];
      sum = k == 0 ? total : Op::of(sum, total);
    }
    total_ = sum;
  }

  V total() const { return total_; }

  // What is there after `carry`, the combination of all blocks before, if there are any.
  template <bool carried> void write(T* to, V carry, bool stream) const {
    for (int64_t s = 0; s < segments_; s += W) {
      const V before = load<C>(before_ + s);
      for (int64_t j = 0; j < kSegment; j += W) {
        V square[W];
        AXON_UNROLL for (int i = 0; i < W; ++i) {
          V y = Op::of(before, load<C>(&places_[j + i][s]));
          if constexpr (carried) y = Op::of(carry, y);
          square[i] = y;
        }
        turn(square);
        if (stream) AXON_UNROLL for (int i = 0; i < W; ++i) past_caches(to + (s + i) * kSegment + j, square[i]);
        else AXON_UNROLL for (int i = 0; i < W; ++i) store<T>(to + (s + i) * kSegment + j, square[i]);
      }
    }
  }

 private:
  alignas(64) C places_[kSegment][kSegments];
  alignas(64) C before_[kSegments];
  V total_;
  int64_t segments_ = 0;
};

// A row: n elements side by side.
template <class Op, class T, bool reverse> class Row {
  typedef lanes<T> V;
  typedef element<V> C;

 public:
  Row(const T* x, T* out, int64_t n, bool stream) : x_(x), out_(out), n_(n), stream_(stream) {}
  ~Row() {
    if (stream_) _mm_sfence();
  }

  V total(int64_t index) {
    read(index);
    return block_.total();
  }
  // Blocks first..last, after a carry where they are not the row's first.
  void write(int64_t first, int64_t last, V carry) {
    for (int64_t index = first; index < last; ++index) {
      read(index);
      T* const to = count_ == kBlock ? out_ + begin_ : part_;
      const bool stream = stream_ && reinterpret_cast<uintptr_t>(to) % sizeof(__m256i) == 0 && to != part_;
      if (index == 0) block_.template write<false>(to, carry, stream);
      else block_.template write<true>(to, carry, stream);
      if (count_ != kBlock) std::memcpy(out_ + begin_, part_ + skipped_, bytes());
      carry = index == 0 ? block_.total() : Op::of(carry, block_.total());
    }
  }

 private:
  size_t bytes() const { return static_cast<size_t>(count_) * sizeof(T); }

  // Of the last block as many segments as hold its elements; what is behind them comes after them and changes nothing.
  void read(int64_t index) {
    count_ = std::min(kBlock, n_ - index * kBlock);
    begin_ = reverse ? n_ - index * kBlock - count_ : index * kBlock;
    const T* from = x_ + begin_;
    int64_t segments = kSegments;
    if (count_ != kBlock) {
      segments = cpu::up(count_, kSegment * W) * W;
      skipped_ = reverse ? segments * kSegment - count_ : 0;
      std::memset(static_cast<void*>(part_), 0, static_cast<size_t>(segments * kSegment) * sizeof(T));
      std::memcpy(part_ + skipped_, from, bytes());
      from = part_;
    }
    block_.read(from, segments);
  }

  const T* x_;
  T* out_;
  int64_t n_, begin_ = 0, count_ = 0, skipped_ = 0;
  bool stream_;
  Block<Op, T, reverse> block_;
  alignas(64) T part_[kBlock];
};

template <class Op, class T, bool reverse> class Cumulative : public LibraryStep {
  typedef lanes<T> V;
  typedef element<V> C;

 public:
  explicit Cumulative(const Shape& shape) : s_(shape) {
    stream_ = s_.outer * s_.axis * static_cast<int64_t>(sizeof(T)) >= kStreamed;
    threads_ = static_cast<int>(std::clamp<int64_t>(s_.outer * s_.axis * s_.inner / kWork, 1, threads()));
    if (s_.inner == 1 && s_.outer < 2 * threads_ && threads_ > 1) totals_.resize(kRound);
    if (s_.outer < 2 * threads_) cuts_ = std::clamp<int64_t>(s_.inner / 16, 1, 2 * threads_);
  }

  void run(char* const* operands) override {
    const T* x = reinterpret_cast<const T*>(operands[0]);
    T* out = reinterpret_cast<T*>(operands[1]);
    if (s_.axis == 0) return;
    if (s_.inner != 1) return columns(x, out);
    if (!totals_.empty()) {
      for (int64_t o = 0; o < s_.outer; ++o) together(x + o * s_.axis, out + o * s_.axis);
      return;
    }
    if (s_.axis <= kSegment) return shorts(x, out);
    parallel(s_.outer, cpu::up(kWork, s_.axis), threads_, [&](int64_t begin, int64_t end, int) noexcept {
      for (int64_t o = begin; o < end; ++o)
        Row<Op, T, reverse>(x + o * s_.axis, out + o * s_.axis, s_.axis, stream_).write(0, cpu::up(s_.axis, kBlock), V{});
    });
  }

 private:
  // All threads along one row: the totals of some blocks, what comes before each, then their elements.
  void together(const T* x, T* out) {
    const int64_t blocks = cpu::up(s_.axis, kBlock);
    V carry = {};
    for (int64_t first = 0; first < blocks; first += kRound) {
      const int64_t count = std::min(kRound, blocks - first), grain = kWork / kBlock;
      parallel(count, grain, threads_, [&](int64_t begin, int64_t end, int) noexcept {
        Row<Op, T, reverse> row(x, out, s_.axis, false);
        for (int64_t i = begin; i < end; ++i) totals_[static_cast<size_t>(i)] = row.total(first + i)[0];
      });
      for (int64_t i = 0; i < count; ++i) {
        const V total = broadcast<C>(totals_[static_cast<size_t>(i)]);
        totals_[static_cast<size_t>(i)] = carry[0];
        carry = first + i == 0 ? total : Op::of(carry, total);
      }
      parallel(count, grain, threads_, [&](int64_t begin, int64_t end, int) noexcept {
        Row<Op, T, reverse>(x, out, s_.axis, stream_).write(first + begin, first + end, broadcast<C>(totals_[static_cast<size_t>(begin)]));
      });
    }
  }

  // Rows of one segment: a lane a row.
  void shorts(const T* x, T* out) const {
    parallel(cpu::up(s_.outer, W), cpu::up(kWork, W * s_.axis), threads_, [&](int64_t begin, int64_t end, int) noexcept {
      for (int64_t o = begin * W; o < std::min(end * W, s_.outer); o += W) {
        const int n = static_cast<int>(std::min<int64_t>(W, s_.outer - o));
        V sum = {};
        for (int64_t i = 0; i < s_.axis; ++i) {
          const int64_t at = o * s_.axis + (reverse ? s_.axis - 1 - i : i);
          const V y = load_strided<T>(x + at, s_.axis, n);
          sum = i == 0 ? y : Op::of(sum, y);
          store_strided<T>(out + at, s_.axis, sum, n);
        }
      }
    });
  }

  void columns(const T* x, T* out) const {
    parallel(s_.outer * cuts_, 1, threads_, [&](int64_t begin, int64_t end, int) noexcept {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t at = unit / cuts_ * s_.axis * s_.inner, cut = unit % cuts_;
        const int64_t last = (cut + 1) * s_.inner / cuts_;
        for (int64_t c = cut * s_.inner / cuts_; c < last; c += kStrip) strip(x + at + c, out + at + c, std::min(kStrip, last - c));
      }
    });
  }

  void strip(const T* x, T* out, int64_t count) const {
    C sums[kStrip];
    for (int64_t i = 0; i < s_.axis; ++i) {
      const int64_t at = (reverse ? s_.axis - 1 - i : i) * s_.inner;
      for (int64_t c = 0; c < count; c += W) {
        const bool whole = count - c >= W;
        const int n = whole ? W : static_cast<int>(count - c);
        V y = whole ? load<T>(x + at + c) : load<T>(x + at + c, n);
        if (i != 0) y = Op::of(load<C>(sums + c), y);
        store<C>(sums + c, y);
        if (whole) store<T>(out + at + c, y);
        else store<T>(out + at + c, y, n);
      }
    }
  }

  Shape s_;
  int64_t cuts_ = 1;  // of the columns
  int threads_ = 1;
  bool stream_;
  std::vector<C> totals_;  // where threads share a row: of its blocks, then what comes before each
};

template <class Op, class T> std::unique_ptr<LibraryStep> directed(const Shape& s) {
  if (s.reverse) return std::make_unique<Cumulative<Op, T, true>>(s);
  return std::make_unique<Cumulative<Op, T, false>>(s);
}

template <class T> std::unique_ptr<LibraryStep> typed(const Shape& s) {
  switch (s.operation) {
    case 0: return directed<Add, T>(s);
    case 1: return directed<Multiply, T>(s);
    case 2: return directed<Maximum, T>(s);
    case 3: return directed<Minimum, T>(s);
  }
  if constexpr (is_floating<element<lanes<T>>>) return directed<Logaddexp, T>(s);
  else __builtin_unreachable();
}

std::unique_ptr<LibraryStep> made(const Shape& s) {
  switch (s.dtype) {
#define AXON_CASE(name, code, type, ...) case cpu::DType::code: return typed<type>(s);
    AXON_INTEGERS(AXON_CASE)
    AXON_HALVES(AXON_CASE)
    AXON_FLOATS(AXON_CASE)
#undef AXON_CASE
    default: __builtin_unreachable();
  }
}

class Step : public LibraryStep {
 public:
  explicit Step(const LibraryCall& call) : step_(made(Shape(call))) {}
  void run(char* const* operands) override { step_->run(operands); }

 private:
  std::unique_ptr<LibraryStep> step_;
};
AXON_LIBRARY("cumulative", Step)

}  // namespace
}  // namespace axon::cumulative
