// The step "copy".
#include "cpu/copy.h"

#include <algorithm>
#include <cstring>

#include "cpu/arguments.h"
#include "cpu/transpose.h"
#include "runtime/parallel.h"

namespace axon::cpu {
namespace {

constexpr int64_t kGrainBytes = 64 << 10;          // that are worth a thread
constexpr int64_t kChunk = 4096;                   // elements that one unit of a strided copy moves, where rows are short
constexpr int64_t kShortRow = 32;                  // shorter rows are moved across rather than along
constexpr int64_t kStreamBytes = int64_t{8} << 20;  // from here on the target is not read back soon

template <class T> void copy_row(const T* source, T* target, int64_t count, int64_t source_stride, int64_t target_stride) {
  if (source_stride == 1 && target_stride == 1) {
    std::memcpy(target, source, static_cast<size_t>(count) * sizeof(T));
  } else if (source_stride == 0 && target_stride == 1) {
    std::fill_n(target, count, *source);
  } else {
    for (int64_t i = 0; i < count; ++i) target[i * target_stride] = source[i * source_stride];
  }
}

}  // namespace

StridedCopy::StridedCopy(int64_t itemsize, const std::vector<int64_t>& sizes, const std::vector<int64_t>& source_strides,
                         const std::vector<int64_t>& target_strides)
    : itemsize_(itemsize) {
  int64_t count = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    count *= sizes[i];
    if (sizes[i] == 1) continue;
    Axis axis{sizes[i], source_strides[i], target_strides[i]};
    if (axis.target < 0) {
      source_start_ += (axis.size - 1) * axis.source;
      target_start_ += (axis.size - 1) * axis.target;
      axis.source = -axis.source;
      axis.target = -axis.target;
    }
    axes_.push_back(axis);
  }
  if (count == 0) return;
  std::ranges::stable_sort(axes_, [](const Axis& a, const Axis& b) { return a.target > b.target; });
  for (size_t i = 1; i < axes_.size();) {
    Axis &outer = axes_[i - 1], inner = axes_[i];
    if (outer.source == inner.source * inner.size && outer.target == inner.target * inner.size) {
      outer = {outer.size * inner.size, inner.source, inner.target};
      axes_.erase(axes_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  if (axes_.empty()) axes_.push_back({1, 1, 1});

  Axis& last = axes_.back();
  if (axes_.size() == 1 && last.source == 1 && last.target == 1) {
    kind_ = Kind::contiguous;
    units_ = count;
    grain_ = kGrainBytes / itemsize;
    return;
  }
  if (last.target == 1 && last.source != 1) {
    const int64_t square = square_side(itemsize), side = tile_side(itemsize);
    const auto along = std::ranges::find_if(axes_, [](const Axis& a) { return a.source == 1; });
    if (along != axes_.end() && along->size >= square && last.size >= square) {
      kind_ = Kind::transpose;
      std::rotate(along, along + 1, axes_.end() - 1);  // ..., contiguous in the source, contiguous in the target
      const int64_t length = axes_[axes_.size() - 2].size, strips = (axes_.back().size + side - 1) / side;
      units_ = count / (length * axes_.back().size) * strips;
      grain_ = std::max<int64_t>(1, kGrainBytes / (side * length * itemsize));
      stream_ = count * itemsize >= kStreamBytes &&
                std::all_of(axes_.begin(), axes_.end() - 1,
                            [&](const Axis& axis) { return axis.target * itemsize % kLine == 0; });
      return;
    }
  }
  kind_ = Kind::strided;
  if (axes_.size() == 1) axes_.insert(axes_.begin(), {1, 0, 0});
  const Axis& along = axes_[axes_.size() - 2];
  chunk_ = std::clamp<int64_t>(kChunk / axes_.back().size, 1, along.size);
  units_ = count / (along.size * axes_.back().size) * ((along.size + chunk_ - 1) / chunk_);
  grain_ = std::max<int64_t>(1, kGrainBytes / (chunk_ * axes_.back().size * itemsize));
}

template <class T> void StridedCopy::run_as(const T* source, T* target) const {
  source += source_start_;
  target += target_start_;
  if (kind_ == Kind::contiguous) {
    parallel(units_, grain_, threads(), [&](int64_t begin, int64_t end, int) noexcept {
      std::memcpy(target + begin, source + begin, static_cast<size_t>(end - begin) * sizeof(T));
    });
    return;
  }
  constexpr int64_t side = kSide<T>;
  const bool transposed = kind_ == Kind::transpose;
  const size_t outer = axes_.size() - 2;
  const Axis along = axes_[outer], last = axes_.back();
  const int64_t parts = transposed ? (last.size + side - 1) / side : (along.size + chunk_ - 1) / chunk_;
  const bool stream = stream_ && reinterpret_cast<uintptr_t>(target) % kLine == 0;
  parallel(units_, grain_, threads(), [&](int64_t begin, int64_t end, int) noexcept {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t part = unit % parts;
      const T* from = source;
      T* to = target;
      int64_t rest = unit / parts;
      for (size_t i = outer; i-- > 0; rest /= axes_[i].size) {
        from += rest % axes_[i].size * axes_[i].source;
        to += rest % axes_[i].size * axes_[i].target;
      }
      if (transposed) {
        transpose_strip(from + part * side * last.source, last.source, to + part * side, along.target,
                        std::min(side, last.size - part * side), along.size, stream);
        continue;
      }
      Axis inner = last, rows = along;
      rows.size = std::min(chunk_, along.size - part * chunk_);
      from += part * chunk_ * along.source;
      to += part * chunk_ * along.target;
      if (inner.size < rows.size && inner.size < kShortRow) std::swap(inner, rows);
      for (int64_t i = 0; i < rows.size; ++i)
        copy_row(from + i * rows.source, to + i * rows.target, inner.size, inner.source, inner.target);
    }
  });
}

void StridedCopy::run(const char* source, char* target) const {
  if (kind_ == Kind::nothing) return;
  switch (itemsize_) {
    case 1: return run_as(reinterpret_cast<const uint8_t*>(source), reinterpret_cast<uint8_t*>(target));
    case 2: return run_as(reinterpret_cast<const uint16_t*>(source), reinterpret_cast<uint16_t*>(target));
    case 4: return run_as(reinterpret_cast<const uint32_t*>(source), reinterpret_cast<uint32_t*>(target));
    default: return run_as(reinterpret_cast<const uint64_t*>(source), reinterpret_cast<uint64_t*>(target));
  }
}

namespace {

int64_t read_itemsize(Arguments& arguments) {
  const int64_t size = arguments.any("itemsize");
  arguments.require(size == 1 || size == 2 || size == 4 || size == 8, "expected itemsize 1, 2, 4 or 8, got " +
                                                                          std::to_string(size));
  return size;
}

// ints: itemsize, rank, sizes..., source offset, source strides..., target offset, target strides... (elements).
class Copy : public LibraryStep {
 public:
  explicit Copy(const LibraryCall& call) {
    Arguments arguments("copy", call);
    const int64_t itemsize = read_itemsize(arguments), rank = arguments.within("rank", 0, 64);
    const std::vector<int64_t> sizes = arguments.list("a size", rank, 0, kLargest);
    int64_t count = 1;
    for (int64_t size : sizes) count = arguments.product(count, size);
    const int64_t source_offset = arguments.within("source offset", 0, kLargest);
    const std::vector<int64_t> source_strides = arguments.list("a source stride", rank, -kLargest, kLargest);
    const int64_t target_offset = arguments.within("target offset", 0, kLargest);
    const std::vector<int64_t> target_strides = arguments.list("a target stride", rank, -kLargest, kLargest);
    arguments.end(2);
    arguments.reaches(0, source_offset, sizes, source_strides, itemsize);
    arguments.reaches(1, target_offset, sizes, target_strides, itemsize);
    for (size_t i = 0; i < sizes.size(); ++i)
      arguments.require(count == 0 || sizes[i] == 1 || target_strides[i] != 0, "a target stride of 0 writes an element several times");
    source_bytes_ = source_offset * itemsize;
    target_bytes_ = target_offset * itemsize;
    copy_ = StridedCopy(itemsize, sizes, source_strides, target_strides);
  }
  void run(char* const* operands) override { copy_.run(operands[0] + source_bytes_, operands[1] + target_bytes_); }

 private:
  int64_t source_bytes_, target_bytes_;
  StridedCopy copy_;
};
AXON_LIBRARY("copy", Copy)

}  // namespace
}  // namespace axon::cpu
