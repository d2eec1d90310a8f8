#include "tiles/interpret.h"

#include <algorithm>
#include <cstring>

#include "tiles/tiles.h"

namespace axon {
namespace {

struct Guard {
  int64_t axis, low, div, length;
};

struct Instruction {
  TileCode code;
  int64_t to, x, y, args[3];
};

struct Operand {
  const int64_t* fields;
  int64_t outer;
  int64_t pointer() const { return fields[0]; }
  int64_t size() const { return fields[1]; }
  int64_t offset() const { return fields[2]; }
  int64_t stride(int64_t axis) const { return fields[3 + 2 * axis]; }
  int64_t guard(int64_t axis) const { return fields[4 + 2 * axis]; }
  int64_t inner() const { return fields[3 + 2 * outer]; }
};

template <class T>
void copy_strided(const char* from, int64_t stride, char* to, int64_t step, int64_t count) {
  for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * step, from + i * stride, sizeof(T));
}

// strides and steps in bytes
void copy(const char* from, int64_t stride, char* to, int64_t step, int64_t size, int64_t count) {
  if (stride == size && step == size) {
    std::memcpy(to, from, static_cast<size_t>(size * count));
    return;
  }
  switch (size) {
    case 1: return copy_strided<uint8_t>(from, stride, to, step, count);
    case 2: return copy_strided<uint16_t>(from, stride, to, step, count);
    case 4: return copy_strided<uint32_t>(from, stride, to, step, count);
    default: return copy_strided<uint64_t>(from, stride, to, step, count);
  }
}

class Machine {
 public:
  Machine(char* const* memory, const int64_t* ints, const uint64_t* literals, char* scratch)
      : memory_(memory), literals_(literals), tiles_(tile_table().data()), registers_(scratch) {
    outer_ = *ints++;
    block_ = *ints++;
    chunk_ = *ints++;
    sizes_ = ints;
    ints += outer_ + 1;
    const int64_t guards = *ints++;
    guards_ = reinterpret_cast<const Guard*>(ints);
    ints += 4 * guards;
    const int64_t operands = *ints++;
    operands_ = ints;
    ints += operands * (4 + 2 * outer_);
    once_ = *ints++;
    each_ = *ints++;
    code_ = reinterpret_cast<const Instruction*>(ints);
  }

  void run(int64_t begin, int64_t end) {
    const int64_t inner = sizes_[outer_], blocks = (inner + block_ - 1) / block_;
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t low = unit % blocks * block_, high = std::min(low + block_, inner);
      outer_index_ = unit / blocks;
      count_ = 1;
      at_ = low;
      for (int64_t i = 0; i < once_; ++i) step(code_[i], std::min(chunk_, high - low));
      for (int64_t at = low; at < high; at += chunk_) {
        at_ = at;
        count_ = std::min(chunk_, high - at);
        for (int64_t i = once_; i < once_ + each_; ++i) step(code_[i], count_);
      }
    }
  }

 private:
  char* home(int64_t r) const { return registers_ + r * 8 * chunk_; }
  Operand operand(int64_t k) const { return {operands_ + k * (4 + 2 * outer_), outer_}; }
  template <class T> const T* read(int64_t r) const { return reinterpret_cast<const T*>(home(r)); }

  int64_t index(int64_t axis) const {
    int64_t rest = outer_index_;
    for (int64_t a = outer_ - 1; a > axis; --a) rest /= sizes_[a];
    return rest % sizes_[axis];
  }

  // Whether a guard's axis is inside, and its quotient there.
  bool inside(const Guard& guard, int64_t& quotient) const {
    const int64_t t = index(guard.axis) - guard.low;
    quotient = 0;
    if (t < 0 || t % guard.div != 0 || t / guard.div >= guard.length) return false;
    quotient = t / guard.div;
    return true;
  }

  // The element offset of an operand at the unit's outer indices.
  int64_t base(const Operand& operand) const {
    int64_t offset = operand.offset();
    for (int64_t a = 0; a < outer_; ++a) {
      if (operand.stride(a) == 0) continue;
      int64_t place = 0;
      if (operand.guard(a) >= 0) inside(guards_[operand.guard(a)], place);
      else place = index(a);
      offset += place * operand.stride(a);
    }
    return offset;
  }

  void step(const Instruction& s, int64_t whole) {
    char* const to = s.code == TileCode::store ? nullptr : home(s.to);
    switch (s.code) {
      case TileCode::tile: {
        const void* inputs[3];
        for (int64_t k = 0; k < s.y; ++k) inputs[k] = home(s.args[k]);
        tiles_[s.x].run(inputs, to, count_);
        break;
      }
      case TileCode::load: {
        const Operand from = operand(s.x);
        bool touched = true;
        for (int64_t k = 0; k < s.y; ++k) touched = touched && *read<bool>(s.args[k]);
        if (!touched) {
          std::memset(to, 0, static_cast<size_t>(from.size() * count_));
          break;
        }
        const char* at = memory_[from.pointer()] + (base(from) + at_ * from.inner()) * from.size();
        copy(at, from.inner() * from.size(), to, from.size(), from.size(), count_);
        break;
      }
      case TileCode::gather: {
        const Operand from = operand(s.x);
        const char* start = memory_[from.pointer()] + (base(from) + at_ * from.inner()) * from.size();
        const int64_t* offsets = read<int64_t>(s.args[0]);
        for (int64_t i = 0; i < count_; ++i) {
          const char* at = start + (offsets[i] + i * from.inner()) * from.size();
          copy(at, from.size(), to + i * from.size(), from.size(), from.size(), 1);
        }
        break;
      }
      case TileCode::offset: {
        const Operand from = operand(s.x);
        const int64_t start = base(from) + at_ * from.inner();
        for (int64_t i = 0; i < count_; ++i) reinterpret_cast<int64_t*>(to)[i] = start + i * from.inner();
        break;
      }
      case TileCode::literal:
        std::memcpy(to, literals_ + s.x, 8);
        break;
      case TileCode::guard: {
        int64_t quotient;
        *reinterpret_cast<bool*>(to) = inside(guards_[s.x], quotient);
        break;
      }
      case TileCode::store: {
        const Operand into = operand(s.x);
        char* at = memory_[into.pointer()] + (base(into) + at_ * into.inner()) * into.size();
        copy(home(s.args[0]), into.size(), at, into.inner() * into.size(), into.size(), into.inner() == 0 ? 1 : count_);
        return;
      }
      case TileCode::splat:
        copy(home(s.args[0]), 0, to, s.x, s.x, whole);
        break;
    }
  }

  char* const* memory_;
  const uint64_t* literals_;
  const axon_tile_entry* tiles_;
  int64_t outer_, block_, chunk_, once_, each_;
  const int64_t *sizes_, *operands_;
  const Guard* guards_;
  const Instruction* code_;
  char* registers_;
  int64_t outer_index_ = 0, at_ = 0, count_ = 1;  // the unit's outer index, where its chunk begins, how long it is
};

}  // namespace
}  // namespace axon

extern "C" int axon_run_tiles(char* const* operands, const int64_t* ints, const uint64_t* literals, int64_t begin, int64_t end,
                              char* scratch) noexcept {
  if (begin < end) axon::Machine(operands, ints, literals, scratch).run(begin, end);
  return 0;
}
