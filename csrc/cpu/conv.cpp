// The step "conv", and its engines by name for tests and measurements.
#include "cpu/conv.h"

#include <algorithm>

#include "cpu/features.h"
#include "runtime/parallel.h"

namespace axon::cpu {

int64_t product(const std::vector<int64_t>& sizes) {
  int64_t result = 1;
  for (int64_t size : sizes) result *= size;
  return result;
}

ConvShape::ConvShape(const LibraryCall& call) {
  Arguments arguments("conv", call);
  dtype = arguments.number();
  direction = static_cast<ConvDirection>(arguments.within("direction", 0, 2));
  rank = arguments.within("spatial rank", 1, 3);
  batch = arguments.size("batch");
  in_channels = arguments.size("in_channels");
  out_channels = arguments.size("out_channels");
  groups = arguments.within("groups", 1, INT32_MAX);
  input = arguments.list("an input size", rank, 0, INT32_MAX);
  kernel = arguments.list("a kernel size", rank, 0, INT32_MAX);
  output = arguments.list("an output size", rank, 0, INT32_MAX);
  strides = arguments.list("a stride", rank, 1, INT32_MAX);
  pad_low = arguments.list("pad_low", rank, -INT32_MAX, INT32_MAX);
  pad_high = arguments.list("pad_high", rank, -INT32_MAX, INT32_MAX);
  input_dilation = arguments.list("an input dilation", rank, 1, INT32_MAX);
  kernel_dilation = arguments.list("a kernel dilation", rank, 1, INT32_MAX);
  bias = arguments.flag("has_bias");
  arguments.end(bias ? 4 : 3);
  arguments.require(!bias || direction == ConvDirection::forward, "a gradient has no bias");
  arguments.require(in_channels % groups == 0 && out_channels % groups == 0, "groups must divide both channel counts");
  for (size_t axis = 0; axis < static_cast<size_t>(rank); ++axis) {
    const int64_t dilated = input[axis] == 0 ? 0 : (input[axis] - 1) * input_dilation[axis] + 1;
    const int64_t room = dilated + pad_low[axis] + pad_high[axis] - reach(axis);
    const int64_t expected = room < 0 ? 0 : room / strides[axis] + 1;
    arguments.require(output[axis] == expected, "expected output size " + std::to_string(expected) + ", got " +
                                                    std::to_string(output[axis]));
  }
  const auto activations = [&](const std::vector<int64_t>& sizes, int64_t channels) {
    int64_t count = arguments.product(batch, channels);
    for (int64_t size : sizes) count = arguments.product(count, size);
    return count;
  };
  const int64_t x = activations(input, in_channels), out = activations(output, out_channels);
  int64_t weights = arguments.product(in_channels / groups, out_channels);
  for (int64_t size : kernel) weights = arguments.product(weights, size);
  const int64_t counts[3][3] = {{x, weights, out}, {out, weights, x}, {x, out, weights}};
  if (bias) arguments.holds(2, out_channels, itemsize(dtype));
  for (size_t i = 0; i < 3; ++i)
    arguments.holds(i == 2 && bias ? 3 : i, counts[static_cast<size_t>(direction)][i], itemsize(dtype));
}

namespace {

// oneDNN's kernel gradient has a thread for each piece of the batch, and without AVX-512 is slower than the own one where a
// patch is long (library-steps.md).
bool patches_are_faster(const ConvShape& s) {
  if (s.direction != ConvDirection::kernel_gradient || s.groups > 1) return false;
  return s.batch < threads() || (product(s.kernel) * s.in_channels >= 512 && !cpu_has("avx512f"));
}

// oneDNN's depthwise convolutions reuse what they read of rows, which pays for large kernels and where halves are widened;
// its kernel gradients, lines and gradients of halves are many times slower (library-steps.md).
bool depthwise_is_faster(const ConvShape& s) {
  if (!depthwise_takes(s)) return false;
  if (s.direction == ConvDirection::kernel_gradient || s.rank == 1 || !onednn_takes(s)) return true;
  if (s.dtype == DType::f32) return product(s.kernel) <= 9;
  const bool strided = std::ranges::any_of(s.strides, [](int64_t stride) { return stride > 1; });
  return s.direction == ConvDirection::input_gradient && (strided || s.dtype == DType::f16);
}

std::unique_ptr<LibraryStep> best_conv(const ConvShape& s) {
  if (depthwise_is_faster(s)) return depthwise_conv(s);
  return onednn_takes(s) && !patches_are_faster(s) ? onednn_conv(s) : patches_conv(s);
}

template <std::unique_ptr<LibraryStep> (*make)(const ConvShape&)> class Conv : public LibraryStep {
 public:
  explicit Conv(const LibraryCall& call) : engine_(make(ConvShape(call))) {}
  void run(char* const* operands) override { engine_->run(operands); }

 private:
  std::unique_ptr<LibraryStep> engine_;
};

AXON_LIBRARY("conv", Conv<best_conv>)
AXON_LIBRARY("conv.depthwise", Conv<depthwise_conv>)
AXON_LIBRARY("conv.patches", Conv<patches_conv>)
AXON_LIBRARY("conv.onednn", Conv<onednn_conv>)

}  // namespace
}  // namespace axon::cpu
