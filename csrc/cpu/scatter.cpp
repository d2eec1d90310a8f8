// The step "scatter_add": out = target, then for rising i
//   out[o, indices[i], c] += updates[o, i, c]
// A negative index counts from the end; one that is out of range is dropped. An element's updates are added in rising i
// by one thread, so duplicates give the same bits always. Half types are summed in float and rounded once.
#include <algorithm>
#include <type_traits>

#include "cpu/arguments.h"
#include "cpu/vector.h"
#include "runtime/library.h"
#include "runtime/parallel.h"

namespace axon::cpu {
namespace {

constexpr int64_t kWork = 8192;  // updates that are worth a thread

struct ScatterShape {
  DType dtype, index;
  int64_t outer, axis, inner, n;

  // ints: the fields in order; operands: target, indices, updates, out.
  explicit ScatterShape(const LibraryCall& call) {
    Arguments arguments("scatter_add", call);
    dtype = arguments.number();
    index = arguments.dtype();
    arguments.require(index == DType::i32 || index == DType::i64, "expected int32 or int64 indices");
    outer = arguments.size("outer");
    axis = arguments.size("axis size");
    inner = arguments.size("inner");
    n = arguments.size("n");
    arguments.end(4);
    const int64_t result = arguments.product(arguments.product(outer, axis), inner);
    const int64_t updates = arguments.product(arguments.product(outer, n), inner);
    arguments.holds(0, result, itemsize(dtype));
    arguments.holds(1, n, itemsize(index));
    arguments.holds(2, updates, itemsize(dtype));
    arguments.holds(3, result, itemsize(dtype));
  }
};

template <class Sum, class Stored> void add_row(Sum* sums, const Stored* updates, int64_t count) {
  int64_t c = 0;
  if constexpr (std::is_same_v<Sum, computed<Stored>>)
    for (; c + kLanes<Sum> <= count; c += kLanes<Sum>) store(sums + c, load(sums + c) + load(updates + c));
  for (; c < count; ++c) sums[c] = static_cast<Sum>(sums[c] + static_cast<Sum>(updates[c]));
}

template <class Stored, class Index> class ScatterAdd : public LibraryStep {
  using Sum = std::conditional_t<is_half<Stored>, float, Stored>;

 public:
  explicit ScatterAdd(const ScatterShape& shape) : s_(shape) {
    // Threads share the outer elements, else cut the inner ones into cache lines, else watch a range of the axis each.
    const int64_t work = s_.outer * (s_.n + s_.axis) * s_.inner, wanted = std::clamp<int64_t>(work / kWork, 1, threads());
    if (s_.outer < wanted) inner_cuts_ = std::clamp<int64_t>(s_.inner / 16, 1, wanted);
    if (s_.outer * inner_cuts_ < wanted) axis_cuts_ = std::clamp<int64_t>(s_.axis, 1, wanted / std::max<int64_t>(1, s_.outer * inner_cuts_));
    threads_ = static_cast<int>(wanted);
    if (is_half<Stored>) sums_ = Scratch(s_.outer * s_.axis * s_.inner * static_cast<int64_t>(sizeof(Sum)));
  }

  void run(char* const* operands) override {
    parallel(s_.outer * inner_cuts_ * axis_cuts_, 1, threads_, [&](int64_t begin, int64_t end, int) noexcept {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t part = unit / inner_cuts_ % axis_cuts_, chunk = unit % inner_cuts_;
        add(operands, unit / inner_cuts_ / axis_cuts_, part * s_.axis / axis_cuts_, (part + 1) * s_.axis / axis_cuts_,
            chunk * s_.inner / inner_cuts_, (chunk + 1) * s_.inner / inner_cuts_);
      }
    });
  }

 private:
  // Result rows first..last of the axis, inner elements c0..c1.
  void add(char* const* operands, int64_t outer, int64_t first, int64_t last, int64_t c0, int64_t c1) const {
    const Stored* target = reinterpret_cast<const Stored*>(operands[0]) + outer * s_.axis * s_.inner;
    const auto* indices = reinterpret_cast<const Index*>(operands[1]);
    const Stored* updates = reinterpret_cast<const Stored*>(operands[2]) + outer * s_.n * s_.inner;
    Stored* out = reinterpret_cast<Stored*>(operands[3]) + outer * s_.axis * s_.inner;
    Sum* sums;
    if constexpr (is_half<Stored>) sums = reinterpret_cast<Sum*>(sums_.data()) + outer * s_.axis * s_.inner;
    else sums = out;

    for (int64_t row = first; row < last; ++row)
      for (int64_t c = row * s_.inner + c0; c < row * s_.inner + c1; ++c) sums[c] = static_cast<Sum>(target[c]);
    const auto row_of = [&](int64_t index) {
      const int64_t row = index < 0 ? index + s_.axis : index;
      return row >= first && row < last ? row : -1;
    };
    for (int64_t i = 0; i < s_.n; ++i)
      if (const int64_t row = row_of(indices[i]); row >= 0)
        add_row(sums + row * s_.inner + c0, updates + i * s_.inner + c0, c1 - c0);
    if constexpr (is_half<Stored>)
      for (int64_t row = first; row < last; ++row)
        for (int64_t c = row * s_.inner + c0; c < row * s_.inner + c1; ++c) out[c] = Stored::from(sums[c]);
  }

  ScatterShape s_;
  int64_t inner_cuts_ = 1, axis_cuts_ = 1;
  int threads_ = 1;
  Scratch sums_;
};

std::unique_ptr<LibraryStep> make_scatter(const ScatterShape& shape) {
  return with_number(shape.dtype, [&]<class Stored>() -> std::unique_ptr<LibraryStep> {
    if (shape.index == DType::i32) return std::make_unique<ScatterAdd<Stored, int32_t>>(shape);
    return std::make_unique<ScatterAdd<Stored, int64_t>>(shape);
  });
}

class Scatter : public LibraryStep {
 public:
  explicit Scatter(const LibraryCall& call) : step_(make_scatter(ScatterShape(call))) {}
  void run(char* const* operands) override { step_->run(operands); }

 private:
  std::unique_ptr<LibraryStep> step_;
};
AXON_LIBRARY("scatter_add", Scatter)

}  // namespace
}  // namespace axon::cpu
