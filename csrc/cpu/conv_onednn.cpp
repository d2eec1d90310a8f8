// Convolutions by oneDNN. Activations keep their layout; the kernel is reordered into the layout the primitive likes best
// before each run (a kernel gradient out of it afterwards), because plain kernels run at half the speed or less.
#include <algorithm>

#include "cpu/conv.h"
#include "cpu/features.h"
#include "cpu/onednn.h"

namespace axon::cpu {
namespace {

using namespace onednn;

// [batch, channels, spatial...] over channels-last memory.
Description activations(const ConvShape& s, int64_t channels, const std::vector<int64_t>& spatial) {
  std::vector<int64_t> sizes = {s.batch, channels}, strides = {channels * product(spatial), 1};
  int64_t stride = channels * product(spatial);
  for (int64_t size : spatial) {
    sizes.push_back(size);
    strides.push_back(stride /= size);
  }
  return describe(s.dtype, sizes, strides);
}

// [groups,] out, in, spatial... of a kernel in its own memory, or in whatever layout is best.
Description weights(const ConvShape& s, bool plain) {
  std::vector<int64_t> sizes = {s.out_channels / s.groups, s.in_channels / s.groups}, strides = {1, s.out_channels};
  if (s.groups > 1) {
    sizes.insert(sizes.begin(), s.groups);
    strides.insert(strides.begin(), s.out_channels / s.groups);
  }
  int64_t stride = s.in_channels / s.groups * s.out_channels * product(s.kernel);
  for (int64_t size : s.kernel) {
    sizes.push_back(size);
    strides.push_back(stride /= size);
  }
  return describe(s.dtype, sizes, plain ? strides : std::vector<int64_t>());
}

class OneDnnConv : public LibraryStep {
 public:
  explicit OneDnnConv(const ConvShape& s) : direction_(s.direction), bias_(s.bias) {
    if (!onednn_takes(s)) throw std::invalid_argument("conv: this dtype, padding or dilation is not for oneDNN");
    const Description x = activations(s, s.in_channels, s.input), y = activations(s, s.out_channels, s.output);
    const Description any = weights(s, false), plain = weights(s, true);
    const Description bias = s.bias ? describe(s.dtype, {s.out_channels}, {1}) : Description();
    const Attributes attributes = user_scratchpad();
    std::vector<int64_t> dilation = s.kernel_dilation;
    for (int64_t& d : dilation) --d;
    const auto low = s.pad_low.data(), high = s.pad_high.data();
    dnnl_primitive_desc_t made = nullptr;
    check(dnnl_convolution_forward_primitive_desc_create(
              &made, engine(), dnnl_forward_training, dnnl_convolution_direct, x.get(), any.get(), bias.get(), y.get(),
              s.strides.data(), dilation.data(), low, high, attributes.get()),
          "convolution");
    const Plan forward(made);
    Plan gradient;
    if (direction_ == ConvDirection::input_gradient) {
      check(dnnl_convolution_backward_data_primitive_desc_create(
                &made, engine(), dnnl_convolution_direct, x.get(), any.get(), y.get(), s.strides.data(), dilation.data(),
                low, high, forward.get(), attributes.get()),
            "convolution's input gradient");
      gradient.reset(made);
    } else if (direction_ == ConvDirection::kernel_gradient) {
      check(dnnl_convolution_backward_weights_primitive_desc_create(
                &made, engine(), dnnl_convolution_direct, x.get(), any.get(), nullptr, y.get(), s.strides.data(),
                dilation.data(), low, high, forward.get(), attributes.get()),
            "convolution's kernel gradient");
      gradient.reset(made);
    }

    const_dnnl_primitive_desc_t plan = gradient ? gradient.get() : forward.get();
    const bool to_plain = direction_ == ConvDirection::kernel_gradient;
    const const_dnnl_memory_desc_t best =
        dnnl_primitive_desc_query_md(plan, to_plain ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    if (!dnnl_memory_desc_equal(best, plain.get())) {
      const const_dnnl_memory_desc_t from = to_plain ? best : plain.get(), to = to_plain ? plain.get() : best;
      check(dnnl_reorder_primitive_desc_create(&made, from, engine(), to, engine(), attributes.get()), "kernel reorder");
      const Plan reorder(made);
      reorder_ = Primitive(reorder.get(), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
      kernel_ = Memory(static_cast<int64_t>(dnnl_memory_desc_get_size(best)));
    }
    switch (direction_) {
      case ConvDirection::forward:
        if (bias_)
          conv_ = Primitive(plan, {{DNNL_ARG_SRC, x.get()}, {DNNL_ARG_WEIGHTS, best}, {DNNL_ARG_DST, y.get()},
                                   {DNNL_ARG_BIAS, bias.get()}});
        else
          conv_ = Primitive(plan, {{DNNL_ARG_SRC, x.get()}, {DNNL_ARG_WEIGHTS, best}, {DNNL_ARG_DST, y.get()}});
        break;
      case ConvDirection::input_gradient:
        conv_ = Primitive(plan, {{DNNL_ARG_DIFF_DST, y.get()}, {DNNL_ARG_WEIGHTS, best}, {DNNL_ARG_DIFF_SRC, x.get()}});
        break;
      case ConvDirection::kernel_gradient:
        conv_ = Primitive(plan, {{DNNL_ARG_SRC, x.get()}, {DNNL_ARG_DIFF_DST, y.get()}, {DNNL_ARG_DIFF_WEIGHTS, best}});
    }
  }

  void run(char* const* operands) override {
    const bool from_plain = direction_ != ConvDirection::kernel_gradient;
    char* kernel = operands[from_plain ? 1 : 2];
    char* best = reorder_ ? kernel_.data() : kernel;
    if (reorder_ && from_plain) reorder_.run({kernel, best});
    if (!from_plain) conv_.run({operands[0], operands[1], best});
    else if (bias_) conv_.run({operands[0], best, operands[2], operands[3]});
    else conv_.run({operands[0], best, operands[2]});
    if (reorder_ && !from_plain) reorder_.run({best, kernel});
  }

 private:
  ConvDirection direction_;
  bool bias_;
  Memory kernel_;
  Primitive reorder_, conv_;
};

}  // namespace

bool onednn_takes(const ConvShape& s) {
  if (s.dtype != DType::f32 && !(s.dtype == DType::bf16 && cpu_has("avx512bf16")) &&
      !(s.dtype == DType::f16 && cpu_has("avx512fp16")))
    return false;
  const auto positive = [](int64_t size) { return size > 0; };
  const auto not_negative = [](int64_t size) { return size >= 0; };
  const auto one = [](int64_t size) { return size == 1; };
  return s.batch > 0 && s.in_channels > 0 && s.out_channels > 0 && std::ranges::all_of(s.input, positive) &&
         std::ranges::all_of(s.kernel, positive) && std::ranges::all_of(s.output, positive) &&
         std::ranges::all_of(s.pad_low, not_negative) && std::ranges::all_of(s.pad_high, not_negative) &&
         std::ranges::all_of(s.input_dilation, one);
}

std::unique_ptr<LibraryStep> onednn_conv(const ConvShape& shape) { return std::make_unique<OneDnnConv>(shape); }

}  // namespace axon::cpu
