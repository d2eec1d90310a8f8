// Convolutions by oneDNN where the kernel is larger than the images: its parts are brought into their layout and used by one
// thread each. Pieces are channels of the result, forward or input gradient, made in memory of their own and copied into
// their places.
#include <algorithm>
#include <cstring>

#include "cpu/conv_plan.h"

namespace axon::cpu {
namespace {

using namespace onednn;

constexpr int64_t kChannels = 32;  // that make a piece, or a multiple of them

int64_t result_channels(const ConvShape& s) {
  return s.direction == ConvDirection::forward ? s.out_channels : s.in_channels;
}

class OneDnnChannels : public LibraryStep {
 public:
  explicit OneDnnChannels(const ConvShape& s) : s_(s), bytes_(itemsize(s.dtype)), channels_(result_channels(s)) {
    const OneThread one;
    const Attributes attributes = user_scratchpad();
    const bool forward = s.direction == ConvDirection::forward;
    pixels_ = s.batch * product(forward ? s.output : s.input);
    const int64_t units = channels_ / kChannels, count = std::min<int64_t>(units, int64_t{threads()} * 2);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t first = i * units / count * kChannels;
      const int64_t end = i + 1 == count ? channels_ : (i + 1) * units / count * kChannels;
      ConvShape part = s;
      (forward ? part.out_channels : part.in_channels) = end - first;
      const Planned plan(part, weights(part).get());
      const Description plain = weights(part, &s);
      dnnl_primitive_desc_t made = nullptr;
      check(dnnl_reorder_primitive_desc_create(&made, plain.get(), engine(), plan.kernel, engine(), attributes.get()),
            "kernel reorder");
      const Plan reorder(made);
      pieces_.push_back({first, end - first, forward ? first : first * s.out_channels,
                         Scratch(static_cast<int64_t>(dnnl_memory_desc_get_size(plan.kernel))),
                         Scratch(pixels_ * (end - first) * bytes_),
                         {reorder.get(), {{DNNL_ARG_FROM, plain.get()}, {DNNL_ARG_TO, plan.kernel}}}, plan.primitive()});
    }
  }

  void run(char* const* operands) override {
    run_all(pieces_, "convolution", [&](Piece& piece, int64_t) { return compute(operands, piece); });
  }

 private:
  struct Piece {
    int64_t first, channels;  // of the result
    int64_t plain;            // where its part of the kernel begins, in elements
    Scratch kernel, result;
    Primitive reorder, conv;
  };

  dnnl_status_t compute(char* const* operands, Piece& piece) noexcept {
    char* const kernel = piece.kernel.data();
    char* const result = piece.result.data();
    dnnl_status_t status = piece.reorder.try_run({operands[1] + piece.plain * bytes_, kernel});
    if (status == dnnl_success)
      status = s_.bias ? piece.conv.try_run({operands[0], kernel, operands[2] + piece.first * bytes_, result})
                       : piece.conv.try_run({operands[0], kernel, result});
    const int64_t run = piece.channels * bytes_;
    char* const out = s_.out(operands) + piece.first * bytes_;
    for (int64_t pixel = 0; pixel < pixels_; ++pixel)
      std::memcpy(out + pixel * channels_ * bytes_, result + pixel * run, static_cast<size_t>(run));
    return status;
  }

  ConvShape s_;
  int64_t bytes_, channels_, pixels_;
  std::vector<Piece> pieces_;
};

}  // namespace

bool channels_are_faster(const ConvShape& s) {
  const int64_t weights = product(s.kernel) * s.in_channels * s.out_channels;
  const int64_t images = s.batch * (product(s.input) * s.in_channels + product(s.output) * s.out_channels);
  return s.direction != ConvDirection::kernel_gradient && s.groups == 1 && threads() > 1 && s.batch < threads() &&
         weights > images && result_channels(s) >= kChannels * threads();
}

std::unique_ptr<LibraryStep> channels_conv(const ConvShape& shape) { return std::make_unique<OneDnnChannels>(shape); }

}  // namespace axon::cpu
