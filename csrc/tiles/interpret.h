// Kernels as data: a map kernel as a list of instructions, each a tile over a chunk of the inner axis. It has the calling
// convention of a compiled kernel and its bits, and needs no compiler; what it runs stands in the call's ints, with every
// size, stride and offset in its place (python/axon/compiler/tiled.py writes it):
//
//   outer, block, chunk, sizes of the outer axes, size of the inner axis
//   guards:    count, then (axis, low, div, length) each
//   operands:  count, then (pointer, item size, offset, (stride, guard or -1) an outer axis, inner stride) each
//   counts of the instructions executed once a unit, and once a chunk; then the instructions:
//   (code, register, x, y, three registers read)
#pragma once
#include <cstdint>

namespace axon {

enum class TileCode : int64_t {
  tile,     // x: entry of the tile table, y: arity
  load,     // x: operand, y: how many of the registers read are conditions under which memory may be touched
  gather,   // x: operand; reads an int64 element offset
  offset,   // x: operand whose element offset it is
  literal,  // x: number
  guard,    // x: number
  store,    // x: operand
  splat,    // x: item size; the first element of the register read, as often as a chunk is long
};

}  // namespace axon

// scratch: 8 * chunk bytes a register, in order.
extern "C" int axon_run_tiles(char* const* operands, const int64_t* ints, const uint64_t* literals, int64_t begin, int64_t end,
                              char* scratch) noexcept;
