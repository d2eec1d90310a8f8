// Matrix products by oneDNN, which has code for the CPUs' instructions for bfloat16. The threads are ours: a primitive for
// one thread runs over parts of the result, which threads claim (conv_plan.h says why). The parts depend on the shape
// alone, and so do the blocks of k that oneDNN chooses for them: the same bits come out at any number of threads.
#include <algorithm>
#include <atomic>

#include "cpu/gemm.h"
#include "cpu/onednn.h"
#include "runtime/parallel.h"

namespace axon::cpu {
namespace {

using namespace onednn;

constexpr double kWork = 1.5e6;  // products that a part should have at least
constexpr double kParts = 8;  // at most

class OneDnnGemm : public LibraryStep {
 public:
  explicit OneDnnGemm(const GemmShape& s) : s_(s), threads_(threads()) {
    if (!onednn_takes(s)) throw std::invalid_argument("gemm: these strides or this dtype are not for oneDNN");
    cut();
    const OneThread one;
    plan(each_, whole_);
    if (length() % each_ != 0) plan(length() % each_, last_);
  }

  void run(char* const* operands) override {
    std::atomic<dnnl_status_t> status{dnnl_success};
    const auto compute = [&](int64_t begin, int64_t end, int thread) noexcept {
      const OneThread one;
      for (int64_t part = begin; part < end; ++part)
        if (const dnnl_status_t got = multiply(operands, part, thread); got != dnnl_success) status = got;
    };
    if (parts() > 1) parallel(parts(), 1, threads_, compute);
    else compute(0, 1, 0);
    check(status, "matrix product");
  }

 private:
  enum class Axis { batch, rows, columns };

  int64_t length() const { return axis_ == Axis::batch ? s_.batch : axis_ == Axis::rows ? s_.m : s_.n; }
  int64_t parts() const { return up(length(), each_) * (axis_ == Axis::batch ? 1 : s_.batch); }

  // Along the batch if that has enough parts, else along the longer side, at whole cache lines.
  void cut() {
    const double work = static_cast<double>(s_.batch) * static_cast<double>(s_.m) * static_cast<double>(s_.n) *
                        static_cast<double>(s_.k);
    const int64_t wanted = static_cast<int64_t>(std::clamp(work / kWork, 1.0, kParts));
    if (s_.batch >= wanted) {
      each_ = up(s_.batch, wanted);
      return;
    }
    axis_ = s_.n > s_.m ? Axis::columns : Axis::rows;
    const int64_t share = up(length(), up(wanted, s_.batch)), line = share >= 64 ? 64 : 16;
    each_ = std::min(length(), up(share, line) * line);
  }

  // The product of a part that is `size` long along the axis of the cut, for each thread.
  void plan(int64_t size, std::vector<Primitive>& primitives) const {
    const int64_t batch = axis_ == Axis::batch ? size : 1, m = axis_ == Axis::rows ? size : s_.m,
                  n = axis_ == Axis::columns ? size : s_.n;
    const auto matrix = [&](int64_t rows, int64_t columns, int64_t stride, int64_t row, int64_t column) {
      if (batch == 1) return describe(s_.dtype, {rows, columns}, {row, column});
      return describe(s_.dtype, {stride == 0 ? 1 : batch, rows, columns}, {stride == 0 ? 1 : stride, row, column});
    };
    const Description a = matrix(m, s_.k, s_.a_batch, s_.a_row, s_.a_col);
    const Description b = matrix(s_.k, n, s_.b_batch, s_.b_row, s_.b_col);
    const Description out = matrix(m, n, s_.m * s_.n, s_.n, 1);
    const Description bias = !s_.bias ? Description() : batch == 1 ? describe(s_.dtype, {1, n}, {n, 1})
                                                                   : describe(s_.dtype, {1, 1, n}, {n, n, 1});
    const Attributes attributes = user_scratchpad();
    dnnl_primitive_desc_t made = nullptr;
    check(dnnl_matmul_primitive_desc_create(&made, engine(), a.get(), b.get(), bias.get(), out.get(), attributes.get()),
          "matrix product");
    const Plan plan(made);
    for (int thread = 0; thread < std::min<int64_t>(parts(), threads_); ++thread)
      if (s_.bias)
        primitives.push_back({plan.get(), {{DNNL_ARG_SRC, a.get()}, {DNNL_ARG_WEIGHTS, b.get()},
                                           {DNNL_ARG_BIAS, bias.get()}, {DNNL_ARG_DST, out.get()}}});
      else
        primitives.push_back(
            {plan.get(), {{DNNL_ARG_SRC, a.get()}, {DNNL_ARG_WEIGHTS, b.get()}, {DNNL_ARG_DST, out.get()}}});
  }

  dnnl_status_t multiply(char* const* operands, int64_t part, int thread) noexcept {
    const int64_t pieces = up(length(), each_), first = part % pieces * each_;
    const int64_t batch = axis_ == Axis::batch ? first : part / pieces;
    const int64_t i = axis_ == Axis::rows ? first : 0, j = axis_ == Axis::columns ? first : 0;
    std::vector<Primitive>& primitives = first + each_ > length() ? last_ : whole_;
    Primitive& primitive = primitives[static_cast<size_t>(thread)];
    const auto at = [&](char* operand, int64_t elements) { return operand + elements * itemsize(s_.dtype); };
    char* const a = at(operands[0], batch * s_.a_batch + i * s_.a_row);
    char* const b = at(operands[1], batch * s_.b_batch + j * s_.b_col);
    char* const out = at(s_.out(operands), (batch * s_.m + i) * s_.n + j);
    return s_.bias ? primitive.try_run({a, b, at(operands[2], j), out}) : primitive.try_run({a, b, out});
  }

  GemmShape s_;
  int threads_;
  Axis axis_ = Axis::batch;  // along which the result is cut
  int64_t each_ = 1;         // of a part, along that axis; the last one may be shorter
  std::vector<Primitive> whole_, last_;  // of each thread
};

}  // namespace

bool onednn_takes(const GemmShape& s) {
  const bool dense = (s.a_row == 1 || s.a_col == 1) && (s.b_row == 1 || s.b_col == 1) && std::max(s.a_row, s.a_col) >= 1 &&
                     std::max(s.b_row, s.b_col) >= 1 && s.a_batch >= 0 && s.b_batch >= 0;
  return dense && s.batch > 0 && s.m > 0 && s.n > 0 && s.k > 0 && data_type(s.dtype) != dnnl_data_type_undef;
}

std::unique_ptr<LibraryStep> onednn_gemm(const GemmShape& shape) { return std::make_unique<OneDnnGemm>(shape); }

}  // namespace axon::cpu
