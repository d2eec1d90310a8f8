// Convolutions by oneDNN. Activations keep their layout; the kernel is reordered into the layout the primitive likes best
// before each run (a kernel gradient out of it afterwards), because plain kernels run at half the speed or less. The work is
// cut into pieces of the batch, or of the rows where the batch has fewer elements than there are threads.
#include <algorithm>
#include <optional>

#include "cpu/conv_pieces.h"
#include "cpu/conv_plan.h"
#include "cpu/features.h"

namespace axon::cpu {
namespace {

using namespace onednn;

constexpr int64_t kPartialBytes = int64_t{64} << 20;  // at most, of kernel gradients over pieces of the batch
constexpr int64_t kReorderBytes = int64_t{1} << 19;   // that a part of a kernel should have at least when it is reordered
constexpr double kRowsWork = 1e5;                       // products that a piece of rows should have at least

// A kernel brought from one layout into another, in parts along its in or out channels, whichever lie in smaller blocks.
class Reorder {
 public:
  Reorder(const_dnnl_memory_desc_t from, const_dnnl_memory_desc_t to, int out_axis) {
    int rank = 0;
    const dnnl_dims_t* all = nullptr;
    check(dnnl_memory_desc_query(from, dnnl_query_ndims_s32, &rank), "layout");
    check(dnnl_memory_desc_query(from, dnnl_query_dims, &all), "layout");
    const auto block_along = [&](int axis) { return std::max(block_of(from, axis), block_of(to, axis)); };
    const int axis = block_along(out_axis) <= block_along(out_axis + 1) ? out_axis : out_axis + 1;
    const int64_t length = (*all)[axis], block = block_along(axis);
    const int64_t blocks = (length + block - 1) / block, bytes = static_cast<int64_t>(dnnl_memory_desc_get_size(from));
    const int64_t count = std::clamp<int64_t>(bytes / kReorderBytes, 1, blocks);
    const Attributes attributes = user_scratchpad();
    for (int64_t i = 0; i < count; ++i) {
      dnnl_dims_t first = {}, sizes;
      std::copy_n(*all, rank, sizes);
      first[axis] = i * blocks / count * block;
      sizes[axis] = std::min((i + 1) * blocks / count * block, length) - first[axis];
      const auto part = [&](const_dnnl_memory_desc_t layout) {
        dnnl_memory_desc_t made = nullptr;
        check(dnnl_memory_desc_create_submemory(&made, layout, sizes, first), "layout");
        return Description(made);
      };
      const Description source = part(from), target = part(to);
      dnnl_primitive_desc_t made = nullptr;
      check(dnnl_reorder_primitive_desc_create(&made, source.get(), engine(), target.get(), engine(), attributes.get()),
            "kernel reorder");
      const Plan plan(made);
      parts_.push_back({plan.get(), {{DNNL_ARG_FROM, source.get()}, {DNNL_ARG_TO, target.get()}}});
    }
  }

  void run(char* from, char* to) {
    run_all(parts_, "kernel reorder", [&](Primitive& part, int64_t) { return part.try_run({from, to}); });
  }

 private:
  // How many elements along `axis` lie in one block of the layout.
  static int64_t block_of(const_dnnl_memory_desc_t layout, int axis) {
    int count = 0;
    const dnnl_dims_t *sizes = nullptr, *axes = nullptr;
    check(dnnl_memory_desc_query(layout, dnnl_query_inner_nblks_s32, &count), "layout");
    check(dnnl_memory_desc_query(layout, dnnl_query_inner_blks, &sizes), "layout");
    check(dnnl_memory_desc_query(layout, dnnl_query_inner_idxs, &axes), "layout");
    int64_t result = 1;
    for (int i = 0; i < count; ++i)
      if ((*axes)[i] == axis) result *= (*sizes)[i];
    return result;
  }

  std::vector<Primitive> parts_;
};

std::vector<ConvPiece> cut(const ConvShape& s) {
  const int64_t batches = std::min<int64_t>(s.batch, int64_t{threads()} * 4);
  const int64_t weights = product(s.kernel) * (s.in_channels / s.groups) * s.out_channels;
  if (threads() == 1) return cut_batch(s, 1);
  if (s.direction == ConvDirection::kernel_gradient) {  // its partials are float32
    const bool few = s.batch >= threads() && s.dtype == DType::f32 && batches * weights * itemsize(s.dtype) <= kPartialBytes;
    return cut_batch(s, few ? batches : 1);
  }
  if (s.batch >= threads()) return cut_batch(s, batches);
  // Every piece reads the whole kernel, so two a thread have to do.
  const double work = static_cast<double>(product(s.output)) * static_cast<double>(weights);
  const int64_t most = (int64_t{threads()} * 2 + s.batch - 1) / s.batch;
  return cut_rows(s, static_cast<int64_t>(std::clamp(work / kRowsWork, 1.0, static_cast<double>(most))));
}

class OneDnnConv : public LibraryStep {
 public:
  explicit OneDnnConv(const ConvShape& s) : s_(s), to_plain_(s.direction == ConvDirection::kernel_gradient) {
    const OneThread one;
    const Description any = weights(s), plain = weights(s, &s);
    std::vector<Planned> plans;
    std::vector<const_dnnl_memory_desc_t> layouts;
    for (const ConvPiece& piece : cut(s)) {
      auto plan = std::ranges::find(plans, piece.shape, &Planned::s);
      if (plan == plans.end())  // partial kernel gradients are added up, so they have one layout
        plan = plans.emplace(plan, piece.shape, to_plain_ && !layouts.empty() ? layouts[0] : any.get());
      const auto layout = std::ranges::find_if(
          layouts, [&](const_dnnl_memory_desc_t known) { return dnnl_memory_desc_equal(known, plan->kernel) != 0; });
      pieces_.push_back({piece.x * itemsize(s.dtype), piece.y * itemsize(s.dtype),
                         static_cast<size_t>(layout - layouts.begin()), plan->primitive()});
      if (layout == layouts.end()) layouts.push_back(plan->kernel);
    }
    for (const const_dnnl_memory_desc_t layout : layouts) {
      Kernel& kernel = kernels_.emplace_back();
      kernel.bytes = static_cast<int64_t>(dnnl_memory_desc_get_size(layout));
      const bool reordered = dnnl_memory_desc_equal(layout, plain.get()) == 0;
      const int64_t copies = to_plain_ ? static_cast<int64_t>(pieces_.size()) : 1;
      if (reordered || copies > 1) kernel.memory = Scratch(kernel.bytes * copies);
      if (reordered)
        kernel.reorder.emplace(to_plain_ ? layout : plain.get(), to_plain_ ? plain.get() : layout, s.groups > 1 ? 1 : 0);
    }
  }

  void run(char* const* operands) override {
    if (!to_plain_)
      for (Kernel& kernel : kernels_)
        if (kernel.reorder) kernel.reorder->run(operands[1], kernel.memory.data());
    run_all(pieces_, "convolution", [&](Piece& piece, int64_t index) { return compute(operands, piece, index); });
    if (to_plain_) {
      Kernel& kernel = kernels_[0];
      if (pieces_.size() > 1) add_partials(kernel.reorder ? kernel.memory.data() : operands[2]);
      if (kernel.reorder) kernel.reorder->run(kernel.memory.data(), operands[2]);
    }
  }

 private:
  struct Piece {
    int64_t x, y;   // where its activations begin, in bytes
    size_t kernel;  // which of the layouts
    Primitive conv;
  };
  struct Kernel {  // in a layout that some of the primitives like best
    int64_t bytes = 0;
    Scratch memory;  // none where the layout is the plain one; a kernel gradient's for each piece
    std::optional<Reorder> reorder;
  };

  dnnl_status_t compute(char* const* operands, Piece& piece, int64_t index) noexcept {
    const Kernel& own = kernels_[piece.kernel];
    char* const kernel = own.memory.nbytes() > 0 ? own.memory.data() : operands[to_plain_ ? 2 : 1];
    switch (s_.direction) {
      case ConvDirection::input_gradient: return piece.conv.try_run({operands[0] + piece.y, kernel, operands[2] + piece.x});
      case ConvDirection::kernel_gradient:
        return piece.conv.try_run({operands[0] + piece.x, operands[1] + piece.y, kernel + index * own.bytes});
      default:
        if (!s_.bias) return piece.conv.try_run({operands[0] + piece.x, kernel, operands[2] + piece.y});
        return piece.conv.try_run({operands[0] + piece.x, kernel, operands[2], operands[3] + piece.y});
    }
  }

  // The kernel gradients over the pieces, in rising order, whatever their layout.
  void add_partials(char* target) const {
    const int64_t count = kernels_[0].bytes / static_cast<int64_t>(sizeof(float));
    const int64_t pieces = static_cast<int64_t>(pieces_.size());
    parallel(count, 16384, threads(), [&](int64_t begin, int64_t end, int) noexcept {
      const float* partials = reinterpret_cast<const float*>(kernels_[0].memory.data());
      for (int64_t i = begin; i < end; ++i) {
        float sum = partials[i];
        for (int64_t piece = 1; piece < pieces; ++piece) sum += partials[piece * count + i];
        reinterpret_cast<float*>(target)[i] = sum;
      }
    });
  }

  ConvShape s_;
  bool to_plain_;  // the kernel is the result
  std::vector<Piece> pieces_;
  std::vector<Kernel> kernels_;
};

}  // namespace

namespace {

// oneDNN 3.2's kernel gradients leave elements unset, or wrong in bfloat16, for some shapes of dilated groups; and in
// bfloat16 those of kernel positions that meet padding alone.
bool kernel_gradient_is_right(const ConvShape& s) {
  for (size_t axis = 0; axis < static_cast<size_t>(s.rank); ++axis) {
    if (s.kernel_dilation[axis] > 1) return false;
    if (s.dtype != DType::bf16) continue;
    for (int64_t p = 0; p < s.kernel[axis]; ++p) {  // the first output whose input is not before the image, if there is one
      const int64_t first = std::max<int64_t>(0, up(s.pad_low[axis] - p, s.strides[axis]));
      if (first >= s.output[axis] || first * s.strides[axis] + p - s.pad_low[axis] >= s.input[axis]) return false;
    }
  }
  return true;
}

// Whether the CPU multiplies numbers of a dtype.
bool has_instructions(DType dtype) {
  switch (dtype) {
#define AXON_CASE(name, code, type, ...) case DType::code: return cpu_has(type::instructions);
    AXON_HALVES(AXON_CASE)
#undef AXON_CASE
    default: return dtype == DType::f32;
  }
}

}  // namespace

bool onednn_takes(const ConvShape& s) {
  if (!has_instructions(s.dtype)) return false;
  if (s.direction == ConvDirection::kernel_gradient && !kernel_gradient_is_right(s)) return false;
  const auto positive = [](int64_t size) { return size > 0; };
  const auto not_negative = [](int64_t size) { return size >= 0; };
  const auto one = [](int64_t size) { return size == 1; };
  return s.batch > 0 && s.in_channels > 0 && s.out_channels > 0 && std::ranges::all_of(s.input, positive) &&
         std::ranges::all_of(s.kernel, positive) && std::ranges::all_of(s.output, positive) &&
         std::ranges::all_of(s.pad_low, not_negative) && std::ranges::all_of(s.pad_high, not_negative) &&
         std::ranges::all_of(s.input_dilation, one);
}

std::unique_ptr<LibraryStep> onednn_conv(const ConvShape& shape) {
  if (!onednn_takes(shape)) throw std::invalid_argument("conv: this dtype, padding or dilation is not for oneDNN");
  if (channels_are_faster(shape)) return channels_conv(shape);
  return std::make_unique<OneDnnConv>(shape);
}

}  // namespace axon::cpu
