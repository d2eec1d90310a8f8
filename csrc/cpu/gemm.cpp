// The step "gemm", and its engines by name for tests and measurements.
#include "cpu/gemm.h"

#include <algorithm>

#include "cpu/features.h"

namespace axon::cpu {

GemmShape::GemmShape(const LibraryCall& call) {
  Arguments arguments("gemm", call);
  dtype = arguments.number();
  batch = arguments.size("batch");
  m = arguments.size("m");
  n = arguments.size("n");
  k = arguments.size("k");
  for (int64_t* stride : {&a_batch, &a_row, &a_col, &b_batch, &b_row, &b_col}) *stride = arguments.any("a stride");
  bias = arguments.flag("has_bias");
  arguments.end(bias ? 4 : 3);
  const int64_t size = itemsize(dtype);
  arguments.reaches(0, 0, {batch, m, k}, {a_batch, a_row, a_col}, size);
  arguments.reaches(1, 0, {batch, k, n}, {b_batch, b_row, b_col}, size);
  if (bias) arguments.holds(2, n, size);
  arguments.holds(bias ? 3 : 2, arguments.product(arguments.product(batch, m), n), size);
  if (m == 0 || n == 0) batch = 0;  // no engine touches an operand then
}

namespace {

// What has instructions for bfloat16 and no AMX is left to oneDNN; the rest is no faster by it (library-steps.md).
std::unique_ptr<LibraryStep> best_gemm(const GemmShape& s) {
  if (skinny_takes(s) && s.k >= up(4096, std::max(s.m, s.n))) return skinny_gemm(s);
  if (amx_takes(s)) return amx_gemm(s);
  return s.dtype == DType::bf16 && cpu_has("avx512bf16") && onednn_takes(s) ? onednn_gemm(s) : packed_gemm(s);
}

template <std::unique_ptr<LibraryStep> (*make)(const GemmShape&)> class Gemm : public LibraryStep {
 public:
  explicit Gemm(const LibraryCall& call) : engine_(make(GemmShape(call))) {}
  void run(char* const* operands) override { engine_->run(operands); }

 private:
  std::unique_ptr<LibraryStep> engine_;
};

AXON_LIBRARY("gemm", Gemm<best_gemm>)
AXON_LIBRARY("gemm.packed", Gemm<packed_gemm>)
AXON_LIBRARY("gemm.skinny", Gemm<skinny_gemm>)
AXON_LIBRARY("gemm.amx", Gemm<amx_gemm>)
AXON_LIBRARY("gemm.onednn", Gemm<onednn_gemm>)

}  // namespace
}  // namespace axon::cpu
