// Convolutions as oneDNN plans them for one thread, and the threads, which are ours: they claim pieces of the work. oneDNN's
// own threads get fixed shares and spin at the end, so a core that another process takes costs a time slice of the system in
// every call.
#pragma once
#include <atomic>

#include "cpu/conv.h"
#include "cpu/onednn.h"
#include "runtime/parallel.h"

namespace axon::cpu::onednn {

// [batch, channels, spatial...] over channels-last memory.
inline Description activations(DType dtype, int64_t batch, int64_t channels, const std::vector<int64_t>& spatial) {
  int64_t stride = channels * product(spatial);
  std::vector<int64_t> sizes = {batch, channels}, strides = {stride, 1};
  for (int64_t size : spatial) {
    sizes.push_back(size);
    strides.push_back(stride /= size);
  }
  return describe(dtype, sizes, strides);
}

// [groups,] out, in, spatial... of a kernel in whatever layout is best, or within the memory of the kernel of `whole`.
inline Description weights(const ConvShape& s, const ConvShape* whole = nullptr) {
  std::vector<int64_t> sizes = {s.out_channels / s.groups, s.in_channels / s.groups}, strides;
  if (s.groups > 1) sizes.insert(sizes.begin(), s.groups);
  sizes.insert(sizes.end(), s.kernel.begin(), s.kernel.end());
  if (whole != nullptr) {
    strides = {1, whole->out_channels};
    if (s.groups > 1) strides.insert(strides.begin(), s.out_channels / s.groups);
    int64_t stride = whole->in_channels / s.groups * whole->out_channels * product(s.kernel);
    for (int64_t size : s.kernel) strides.push_back(stride /= size);
  }
  return describe(s.dtype, sizes, strides);
}

// A convolution with the kernel in `layout`, planned for as many threads as OpenMP would give. Its arguments are those of
// the step.
struct Planned {
  ConvShape s;
  Plan forward, gradient;
  Description x, y, bias;
  const_dnnl_memory_desc_t kernel = nullptr;

  Planned(const ConvShape& shape, const_dnnl_memory_desc_t layout)
      : s(shape), x(activations(s.dtype, s.batch, s.in_channels, s.input)),
        y(activations(s.dtype, s.batch, s.out_channels, s.output)) {
    if (s.bias) bias = describe(s.dtype, {s.out_channels}, {1});
    const Attributes attributes = user_scratchpad();
    std::vector<int64_t> dilation = s.kernel_dilation;
    for (int64_t& d : dilation) --d;
    const auto low = s.pad_low.data(), high = s.pad_high.data();
    dnnl_primitive_desc_t made = nullptr;
    check(dnnl_convolution_forward_primitive_desc_create(
              &made, engine(), dnnl_forward_training, dnnl_convolution_direct, x.get(), layout, bias.get(), y.get(),
              s.strides.data(), dilation.data(), low, high, attributes.get()),
          "convolution");
    forward.reset(made);
    if (s.direction == ConvDirection::input_gradient) {
      check(dnnl_convolution_backward_data_primitive_desc_create(
                &made, engine(), dnnl_convolution_direct, x.get(), layout, y.get(), s.strides.data(), dilation.data(), low,
                high, forward.get(), attributes.get()),
            "convolution's input gradient");
      gradient.reset(made);
    } else if (s.direction == ConvDirection::kernel_gradient) {
      check(dnnl_convolution_backward_weights_primitive_desc_create(
                &made, engine(), dnnl_convolution_direct, x.get(), layout, nullptr, y.get(), s.strides.data(),
                dilation.data(), low, high, forward.get(), attributes.get()),
            "convolution's kernel gradient");
      gradient.reset(made);
    }
    kernel = dnnl_primitive_desc_query_md(
        plan(), s.direction == ConvDirection::kernel_gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
  }

  const_dnnl_primitive_desc_t plan() const { return gradient ? gradient.get() : forward.get(); }

  Primitive primitive() const {
    switch (s.direction) {
      case ConvDirection::input_gradient:
        return {plan(), {{DNNL_ARG_DIFF_DST, y.get()}, {DNNL_ARG_WEIGHTS, kernel}, {DNNL_ARG_DIFF_SRC, x.get()}}};
      case ConvDirection::kernel_gradient:
        return {plan(), {{DNNL_ARG_SRC, x.get()}, {DNNL_ARG_DIFF_DST, y.get()}, {DNNL_ARG_DIFF_WEIGHTS, kernel}}};
      default:
        if (!s.bias) return {plan(), {{DNNL_ARG_SRC, x.get()}, {DNNL_ARG_WEIGHTS, kernel}, {DNNL_ARG_DST, y.get()}}};
        return {plan(), {{DNNL_ARG_SRC, x.get()}, {DNNL_ARG_WEIGHTS, kernel}, {DNNL_ARG_BIAS, bias.get()},
                         {DNNL_ARG_DST, y.get()}}};
    }
  }
};

// Calls run(item, index) for each, by the threads that claim them, with oneDNN on one.
template <class Item, class Run> void run_all(std::vector<Item>& items, const char* what, const Run& run) {
  std::atomic<dnnl_status_t> status{dnnl_success};
  parallel(static_cast<int64_t>(items.size()), 1, threads(), [&](int64_t begin, int64_t end, int) noexcept {
    const OneThread one;
    for (int64_t i = begin; i < end; ++i)
      if (const dnnl_status_t got = run(items[static_cast<size_t>(i)], i); got != dnnl_success) status = got;
  });
  check(status, what);
}

}  // namespace axon::cpu::onednn
