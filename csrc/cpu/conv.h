// Convolutions: the problem, and the engines that solve it.
//   out[b, o, j] = sum over kernel positions p and input channels i of
//                  x[b, (o*stride + p*kernel_dilation - pad_low) / input_dilation, i] * kernel[p, i, j] + bias[j]
// where x is zero outside its bounds and between dilated elements. Activations are [batch, spatial..., channels], kernels
// [spatial..., in channels of a group, out channels]; the out channels of a group lie side by side.
#pragma once
#include <memory>
#include <vector>

#include "cpu/arguments.h"

namespace axon::cpu {

enum class ConvDirection : int64_t { forward, input_gradient, kernel_gradient };

struct ConvShape {
  DType dtype;
  ConvDirection direction;
  int64_t rank, batch, in_channels, out_channels, groups;
  std::vector<int64_t> input, kernel, output;  // spatial sizes
  std::vector<int64_t> strides, pad_low, pad_high, input_dilation, kernel_dilation;
  bool bias;

  // ints: the fields in order; operands: x, kernel[, bias], out | gradient, kernel, out | x, gradient, out.
  explicit ConvShape(const LibraryCall& call);
  char* out(char* const* operands) const { return operands[bias ? 3 : 2]; }
  int64_t reach(size_t axis) const { return kernel[axis] == 0 ? 0 : (kernel[axis] - 1) * kernel_dilation[axis] + 1; }
  bool operator==(const ConvShape&) const = default;
};

int64_t product(const std::vector<int64_t>& sizes);

// Gathers the inputs of each result and multiplies matrices: every dtype, padding and dilation.
std::unique_ptr<LibraryStep> patches_conv(const ConvShape& shape);

// oneDNN's convolution, for what it has, which onednn_takes asks.
bool onednn_takes(const ConvShape& shape);
std::unique_ptr<LibraryStep> onednn_conv(const ConvShape& shape);

// The same by channels of the result, where channels_are_faster (of what oneDNN takes).
bool channels_are_faster(const ConvShape& shape);
std::unique_ptr<LibraryStep> channels_conv(const ConvShape& shape);

// Convolutions of one channel in and out of each group: every dtype, padding and dilation.
bool depthwise_takes(const ConvShape& shape);
std::unique_ptr<LibraryStep> depthwise_conv(const ConvShape& shape);

}  // namespace axon::cpu
