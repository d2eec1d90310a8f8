// Matrix products: the problem, and the engines that solve it.
//   out[b, i, j] = sum over p of a[b, i, p] * b[b, p, j], + bias[j]        out is dense, a and b have any strides
#pragma once
#include <memory>

#include "cpu/arguments.h"

namespace axon::cpu {

struct GemmShape {
  DType dtype;
  int64_t batch, m, n, k;
  int64_t a_batch, a_row, a_col, b_batch, b_row, b_col;  // element strides; a is [m, k], b is [k, n]
  bool bias;

  explicit GemmShape(const LibraryCall& call);  // ints: the fields in order; operands: a, b[, bias], out
  char* out(char* const* operands) const { return operands[bias ? 3 : 2]; }
};

// Own kernels for registers of 256 or 512 bits: every dtype, every stride, the same bits at any thread count.
std::unique_ptr<LibraryStep> packed_gemm(const GemmShape& shape);

// Own loops for at most four rows (or one column) where b (or a) is contiguous along one axis, which skinny_takes asks.
bool skinny_takes(const GemmShape& shape);
std::unique_ptr<LibraryStep> skinny_gemm(const GemmShape& shape);

// Own kernels for AMX: bfloat16 with any strides, the same bits at any thread count.
bool amx_takes(const GemmShape& shape);
std::unique_ptr<LibraryStep> amx_gemm(const GemmShape& shape);

// oneDNN's matmul primitive, for the dtypes and strides it has, which onednn_takes asks.
bool onednn_takes(const GemmShape& shape);
std::unique_ptr<LibraryStep> onednn_gemm(const GemmShape& shape);

}  // namespace axon::cpu
