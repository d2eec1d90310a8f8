// Matrix products by oneDNN, which has AVX-512 and AMX code for them.
#include <algorithm>

#include "cpu/gemm.h"
#include "cpu/onednn.h"

namespace axon::cpu {
namespace {

class OneDnnGemm : public LibraryStep {
 public:
  explicit OneDnnGemm(const GemmShape& s) : bias_(s.bias) {
    if (!onednn_takes(s)) throw std::invalid_argument("gemm: these strides or this dtype are not for oneDNN");
    using namespace onednn;
    const bool batched = s.batch > 1;
    const auto matrix = [&](int64_t rows, int64_t columns, int64_t batch, int64_t row, int64_t column) {
      if (!batched) return describe(s.dtype, {rows, columns}, {row, column});
      return describe(s.dtype, {batch == 0 ? 1 : s.batch, rows, columns}, {batch == 0 ? 1 : batch, row, column});
    };
    const Description a = matrix(s.m, s.k, s.a_batch, s.a_row, s.a_col), b = matrix(s.k, s.n, s.b_batch, s.b_row, s.b_col);
    const Description out = matrix(s.m, s.n, s.m * s.n, s.n, 1);
    const Description bias = !s.bias   ? Description()
                             : batched ? describe(s.dtype, {1, 1, s.n}, {s.n, s.n, 1})
                                       : describe(s.dtype, {1, s.n}, {s.n, 1});
    const Attributes attributes = user_scratchpad();
    dnnl_primitive_desc_t made = nullptr;
    check(dnnl_matmul_primitive_desc_create(&made, engine(), a.get(), b.get(), bias.get(), out.get(), attributes.get()),
          "matrix product");
    const Plan plan(made);
    if (s.bias)
      product_ = Primitive(plan.get(), {{DNNL_ARG_SRC, a.get()}, {DNNL_ARG_WEIGHTS, b.get()}, {DNNL_ARG_DST, out.get()},
                                        {DNNL_ARG_BIAS, bias.get()}});
    else
      product_ = Primitive(plan.get(), {{DNNL_ARG_SRC, a.get()}, {DNNL_ARG_WEIGHTS, b.get()}, {DNNL_ARG_DST, out.get()}});
  }

  void run(char* const* operands) override {
    onednn::check(bias_ ? product_.try_run({operands[0], operands[1], operands[2], operands[3]})
                        : product_.try_run({operands[0], operands[1], operands[2]}),
                  "matrix product");
  }

 private:
  bool bias_;
  onednn::Primitive product_;
};

}  // namespace

bool onednn_takes(const GemmShape& s) {
  const bool dense = (s.a_row == 1 || s.a_col == 1) && (s.b_row == 1 || s.b_col == 1) && std::max(s.a_row, s.a_col) >= 1 &&
                     std::max(s.b_row, s.b_col) >= 1 && s.a_batch >= 0 && s.b_batch >= 0;
  return dense && s.batch > 0 && s.m > 0 && s.n > 0 && s.k > 0 &&
         (s.dtype == DType::f32 || s.dtype == DType::f16 || s.dtype == DType::bf16);
}

std::unique_ptr<LibraryStep> onednn_gemm(const GemmShape& shape) { return std::make_unique<OneDnnGemm>(shape); }

}  // namespace axon::cpu
