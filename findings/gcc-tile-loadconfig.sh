#!/bin/bash
# GCC 12's _tile_loadconfig says that it reads one pointer's worth of the 64 bytes of a tile configuration.
#
# Found with: Debian's cpp-12 and libgcc-12-dev, both 12.2.0-14+deb12u1 (compiled only; any x86-64 CPU will do). It prints:
#   gcc 12.2.0-14+deb12u1: row sizes stored before ldtilecfg: 8 of 8 at -O0, 0 of 8 at -O2
# The intrinsic is an asm statement whose operand is `*(const void**)config`. So with optimisation the compiler drops what a
# local configuration holds beyond those 8 bytes, the shapes of all tiles, as never read: at -O0 every row and byte count is
# stored before LDTILECFG, at -O2 none is, without a warning. The instruction then takes what the stack happens to hold,
# and faults where reserved bytes are not 0. A configuration in static memory is written whole.
# Exits with 1 when the compiler behaves otherwise.
set -eu
version=12.2.0-14+deb12u1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 .
apt-get download -q "cpp-12=$version" "libgcc-12-dev=$version" >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x "$package" root; done
compiler=$(find root -name cc1)
headers=$(dirname "$(find root -name immintrin.h)")

cat > tiles.c <<'SOURCE'
#define _MM_MALLOC_H_INCLUDED
#include <immintrin.h>
struct shapes { unsigned char palette, start, reserved[14]; unsigned short bytes[16]; unsigned char rows[16]; };
void configure(void) {
  struct shapes shapes = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
  _tile_loadconfig(&shapes);
}
SOURCE

# How often the byte count of a tile's row, 64, is stored.
stored() {
  "$compiler" -quiet "$1" -mamx-tile -isystem "$headers" tiles.c -o tiles.s
  grep -c -E 'mov[a-z]*\s+\$64,' tiles.s || true
}
plain=$(stored -O0) optimised=$(stored -O2)
echo "gcc $version: row sizes stored before ldtilecfg: $plain of 8 at -O0, $optimised of 8 at -O2"
test "$plain" = 8 && test "$optimised" = 0
