// Convolutions by oneDNN. Activations keep their layout; the kernel is reordered into the layout the primitive likes best
// before each run (a kernel gradient out of it afterwards), because plain kernels run at half the speed or less.
//
// Where the batch is large enough the threads are ours: a primitive for one thread runs over pieces of the batch, which
// threads claim. oneDNN's own threads get fixed shares and spin at the end, so a core that another process takes costs a
// time slice of the system in every call; and the results of pieces do not depend on who computed them.
#include <algorithm>
#include <atomic>
#include <optional>

#include "cpu/conv.h"
#include "cpu/features.h"
#include "cpu/onednn.h"
#include "runtime/regions.h"

namespace axon::cpu {
namespace {

using namespace onednn;

constexpr int64_t kPartialBytes = int64_t{64} << 20;  // at most, of kernel gradients over pieces of the batch
constexpr int64_t kReorderBytes = int64_t{1} << 20;   // from here on a reorder is worth oneDNN's threads

// [batch, channels, spatial...] over channels-last memory.
Description activations(DType dtype, int64_t batch, int64_t channels, const std::vector<int64_t>& spatial) {
  int64_t stride = channels * product(spatial);
  std::vector<int64_t> sizes = {batch, channels}, strides = {stride, 1};
  for (int64_t size : spatial) {
    sizes.push_back(size);
    strides.push_back(stride /= size);
  }
  return describe(dtype, sizes, strides);
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

// A convolution over `batch` elements with the kernel in `layout`, planned for as many threads as OpenMP would give.
// Its arguments are those of the step.
struct Planned {
  Plan forward, gradient;
  Description x, y, bias;
  const_dnnl_memory_desc_t kernel = nullptr;

  Planned(const ConvShape& s, int64_t batch, const_dnnl_memory_desc_t layout)
      : x(activations(s.dtype, batch, s.in_channels, s.input)), y(activations(s.dtype, batch, s.out_channels, s.output)) {
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

  Primitive primitive(const ConvShape& s) const {
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

class OneDnnConv : public LibraryStep {
 public:
  explicit OneDnnConv(const ConvShape& s) : s_(s), threads_(threads()) {
    if (!onednn_takes(s)) throw std::invalid_argument("conv: this dtype, padding or dilation is not for oneDNN");
    to_plain_ = s.direction == ConvDirection::kernel_gradient;
    const int64_t pieces = std::min<int64_t>(s.batch, int64_t{threads_} * 4);
    const int64_t bytes = product(s.kernel) * (s.in_channels / s.groups) * s.out_channels * itemsize(s.dtype);
    const bool split = threads_ > 1 && s.batch >= threads_ &&
                       (!to_plain_ || (s.dtype == DType::f32 && pieces * bytes <= kPartialBytes));
    pieces_ = split ? pieces : 1;

    // A kernel gradient relies on as many threads as were planned, which OpenMP does not promise: it has one.
    one_thread_ = split || to_plain_;
    const Description any = weights(s, false), plain = weights(s, true);
    std::optional<OneThread> one;
    if (one_thread_) one.emplace();
    const int64_t smaller = s.batch / pieces_, larger = (s.batch + pieces_ - 1) / pieces_;
    const Planned most(s, smaller, any.get());
    for (int thread = 0; thread < (split ? threads_ : 1); ++thread) smaller_.push_back(most.primitive(s));
    if (larger > smaller) {
      const Planned rest(s, larger, most.kernel);
      for (int thread = 0; thread < threads_; ++thread) larger_.push_back(rest.primitive(s));
    }

    one.reset();
    kernel_bytes_ = static_cast<int64_t>(dnnl_memory_desc_get_size(most.kernel));
    const bool reordered = dnnl_memory_desc_equal(most.kernel, plain.get()) == 0;
    if (reordered || (split && to_plain_)) kernel_ = Memory(kernel_bytes_ * (to_plain_ ? pieces_ : 1));
    if (reordered) plan_reorder(to_plain_ ? most.kernel : plain.get(), to_plain_ ? plain.get() : most.kernel);
  }

  void run(char* const* operands) override {
    char* const plain = operands[to_plain_ ? 2 : 1];
    char* const kernel = kernel_.data() != nullptr ? kernel_.data() : plain;
    if (reorder_ && !to_plain_) reorder(plain, kernel);
    if (pieces_ == 1) {
      std::optional<OneThread> one;
      if (one_thread_) one.emplace();
      check(compute(operands, kernel, 0, 0), "convolution");
    } else {
      std::atomic<dnnl_status_t> status{dnnl_success};
      parallel(pieces_, 1, threads_, [&](int64_t begin, int64_t end, int thread) noexcept {
        const OneThread one;
        for (int64_t piece = begin; piece < end; ++piece)
          if (const dnnl_status_t got = compute(operands, kernel, piece, thread); got != dnnl_success) status = got;
      });
      check(status, "convolution");
      if (to_plain_) add_partials(reorder_ ? kernel : plain);
    }
    if (reorder_ && to_plain_) reorder(kernel, plain);
  }

 private:
  // Pieces of the batch are as even as can be, so there are two sizes of them at most.
  int64_t batch_begin(int64_t piece) const { return piece * s_.batch / pieces_; }

  dnnl_status_t compute(char* const* operands, char* kernel, int64_t piece, int thread) noexcept {
    const int64_t first = batch_begin(piece), count = batch_begin(piece + 1) - first;
    std::vector<Primitive>& primitives = count > s_.batch / pieces_ ? larger_ : smaller_;
    Primitive& conv = primitives[static_cast<size_t>(thread)];
    const auto part = [&](char* data, int64_t channels, const std::vector<int64_t>& spatial) {
      return data + first * channels * product(spatial) * itemsize(s_.dtype);
    };
    const auto x = [&](char* data) { return part(data, s_.in_channels, s_.input); };
    const auto y = [&](char* data) { return part(data, s_.out_channels, s_.output); };
    switch (s_.direction) {
      case ConvDirection::input_gradient: return conv.try_run({y(operands[0]), kernel, x(operands[2])});
      case ConvDirection::kernel_gradient:
        return conv.try_run({x(operands[0]), y(operands[1]), kernel + piece * kernel_bytes_});
      default:
        if (!s_.bias) return conv.try_run({x(operands[0]), kernel, y(operands[2])});
        return conv.try_run({x(operands[0]), kernel, operands[2], y(operands[3])});
    }
  }

  // The kernel gradients over the pieces, in rising order, whatever their layout.
  void add_partials(char* target) const {
    const int64_t count = kernel_bytes_ / static_cast<int64_t>(sizeof(float));
    parallel(count, 16384, threads_, [&](int64_t begin, int64_t end, int) noexcept {
      const float* partials = reinterpret_cast<const float*>(kernel_.data());
      for (int64_t i = begin; i < end; ++i) {
        float sum = partials[i];
        for (int64_t piece = 1; piece < pieces_; ++piece) sum += partials[piece * count + i];
        reinterpret_cast<float*>(target)[i] = sum;
      }
    });
  }

  void plan_reorder(const_dnnl_memory_desc_t from, const_dnnl_memory_desc_t to) {
    std::optional<OneThread> one;
    if (kernel_bytes_ < kReorderBytes) one.emplace();
    const Attributes attributes = user_scratchpad();
    dnnl_primitive_desc_t made = nullptr;
    check(dnnl_reorder_primitive_desc_create(&made, from, engine(), to, engine(), attributes.get()), "kernel reorder");
    const Plan plan(made);
    reorder_ = Primitive(plan.get(), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  }
  void reorder(char* from, char* to) {
    std::optional<OneThread> one;
    if (kernel_bytes_ < kReorderBytes) one.emplace();
    check(reorder_.try_run({from, to}), "kernel reorder");
  }

  ConvShape s_;
  int threads_;
  bool to_plain_;    // the kernel is the result
  bool one_thread_;  // what a primitive is planned for; else it has oneDNN's own
  int64_t pieces_;   // of the batch; 1 where oneDNN's own threads are used
  std::vector<Primitive> smaller_, larger_;  // of each thread, for the two sizes of pieces
  Primitive reorder_;
  int64_t kernel_bytes_;  // in the primitive's layout
  Memory kernel_;         // in the primitive's layout; a kernel gradient's for each piece
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
