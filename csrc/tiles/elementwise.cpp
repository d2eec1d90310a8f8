#include "tiles/elementwise.h"

#include <algorithm>
#include <cstring>

#include "runtime/parallel.h"

namespace axon {
namespace {

constexpr int64_t kChunk = 1024;   // elements computed at a time: with its operands a chunk stays in the first caches
constexpr int64_t kGrain = 16384;  // elements that are worth waking a thread for

// The axes of a result, and of its inputs, without those that are walked as one with the next.
struct Axes {
  size_t rank = 0;
  std::array<int64_t, kMostAxes> sizes;
  std::array<Strided, kMostInputs> inputs;

  Axes(std::span<const Strided> given, std::span<const int64_t> shape) {
    for (size_t i = 0; i < given.size(); ++i) inputs[i].data = given[i].data;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (shape[axis] == 1) continue;
      const bool joined = rank > 0 && std::all_of(given.begin(), given.end(), [&](const Strided& input) {
        return inputs[static_cast<size_t>(&input - given.data())].strides[rank - 1] == input.strides[axis] * shape[axis];
      });
      if (joined) sizes[rank - 1] *= shape[axis];
      else sizes[rank++] = shape[axis];
      for (size_t i = 0; i < given.size(); ++i) inputs[i].strides[rank - 1] = given[i].strides[axis];
    }
  }
};

template <class T>
char* copy_run(const char* from, int64_t stride, int64_t count, char* to) {
  for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * int64_t{sizeof(T)}, from + i * stride, sizeof(T));
  return to + count * int64_t{sizeof(T)};
}

char* copy_run(const char* from, int64_t stride, int64_t count, int64_t size, char* to) {
  switch (size) {
    case 1: return copy_run<uint8_t>(from, stride, count, to);
    case 2: return copy_run<uint16_t>(from, stride, count, to);
    case 4: return copy_run<uint32_t>(from, stride, count, to);
    default: return copy_run<uint64_t>(from, stride, count, to);
  }
}

// Elements [begin, end) of an input in the result's order, made dense.
void gather(const Axes& axes, const Strided& input, int64_t size, int64_t begin, int64_t end, char* to) {
  if (axes.rank == 0) {
    copy_run(input.data, 0, end - begin, size, to);
    return;
  }
  const size_t inner = axes.rank - 1;
  std::array<int64_t, kMostAxes> index;
  const char* row = input.data;
  int64_t rest = begin;
  for (size_t axis = axes.rank; axis-- > 0;) {
    index[axis] = rest % axes.sizes[axis];
    rest /= axes.sizes[axis];
    if (axis != inner) row += index[axis] * input.strides[axis];
  }
  while (begin < end) {
    const int64_t count = std::min(end - begin, axes.sizes[inner] - index[inner]);
    to = copy_run(row + index[inner] * input.strides[inner], input.strides[inner], count, size, to);
    begin += count;
    index[inner] = 0;
    for (size_t axis = inner; axis-- > 0;) {
      row += input.strides[axis];
      if (++index[axis] < axes.sizes[axis]) break;
      row -= index[axis] * input.strides[axis];
      index[axis] = 0;
    }
  }
}

enum class Form { dense, same, other };  // row-major and aligned, one element everywhere, anything else

Form form_of(const Axes& axes, const Strided& input, int64_t size) {
  bool dense = reinterpret_cast<uintptr_t>(input.data) % static_cast<uintptr_t>(size) == 0, same = true;
  int64_t stride = size;
  for (size_t axis = axes.rank; axis-- > 0; stride *= axes.sizes[axis]) {
    dense = dense && input.strides[axis] == stride;
    same = same && input.strides[axis] == 0;
  }
  return same ? Form::same : dense ? Form::dense : Form::other;
}

}  // namespace

std::optional<Elementwise> Elementwise::find(std::string_view name, std::span<const uint8_t> inputs, uint8_t output) {
  if (inputs.empty() || inputs.size() > kMostInputs) return std::nullopt;
  const auto computed = [](uint8_t dtype) -> uint8_t {
    switch (dtype) {
#define AXON_HALF(name, ...) case axon_##name: return axon_float32;
      AXON_HALVES(AXON_HALF)
#undef AXON_HALF
      default: return dtype;
    }
  };
  Elementwise made{};
  made.op_ = find_tile(name, inputs, output);
  made.output_ = output;
  std::copy(inputs.begin(), inputs.end(), made.inputs_.begin());
  if (made.op_ != nullptr) return made;
  std::array<uint8_t, kMostInputs> wide;
  for (size_t i = 0; i < inputs.size(); ++i) {
    wide[i] = computed(inputs[i]);
    if (wide[i] != inputs[i]) made.widen_[i] = find_tile("cast", {&inputs[i], 1}, wide[i]);
  }
  const uint8_t result = computed(output);
  if (result != output) made.narrow_ = find_tile("cast", {&result, 1}, output);
  made.op_ = find_tile(name, {wide.data(), inputs.size()}, result);
  return made.op_ != nullptr ? std::optional(made) : std::nullopt;
}

void Elementwise::run(std::span<const Strided> inputs, char* output, std::span<const int64_t> shape) const {
  int64_t total = 1;
  for (const int64_t size : shape) total *= size;
  if (total == 0) return;
  const Axes axes(inputs, shape);
  std::array<Form, kMostInputs> forms;
  for (size_t k = 0; k < arity(); ++k) forms[k] = form_of(axes, axes.inputs[k], input_size(k));
  parallel(total, kGrain, threads(), [&](int64_t begin, int64_t end, int) noexcept {
    alignas(64) char made[kMostInputs][kChunk * 8], wide[kMostInputs][kChunk * 4], result[kChunk * 4];
    const void* pointers[kMostInputs];
    for (int64_t at = begin; at < end; at += kChunk) {
      const int64_t count = std::min(kChunk, end - at);
      for (size_t k = 0; k < arity(); ++k) {
        const int64_t size = input_size(k);
        if (forms[k] == Form::same && at != begin) continue;  // still there from the first chunk, the longest
        const void* from = made[k];
        if (forms[k] == Form::dense) from = axes.inputs[k].data + at * size;
        else if (forms[k] == Form::same) copy_run(axes.inputs[k].data, 0, count, size, made[k]);
        else gather(axes, axes.inputs[k], size, at, at + count, made[k]);
        if (widen_[k] != nullptr) {
          widen_[k]->run(&from, wide[k], count);
          from = wide[k];
        }
        pointers[k] = from;
      }
      char* to = output + at * output_size();
      op_->run(pointers, narrow_ != nullptr ? result : to, count);
      if (narrow_ != nullptr) {
        const void* from = result;
        narrow_->run(&from, to, count);
      }
    }
  });
}

}  // namespace axon
