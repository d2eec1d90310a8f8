// threefry2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
#ifndef AXON_RANDOM_H
#define AXON_RANDOM_H

namespace axon {

// Key, counter and result are pairs of words, the first in the upper half.
AXON_FN U64 threefry2x32(U64 key, U64 counter) {
  U32 k0 = convert<uint32>(key >> 32), k1 = convert<uint32>(key), k2 = k0 ^ k1 ^ 0x1bd11bdau;
  U32 x = convert<uint32>(counter >> 32) + k0, y = convert<uint32>(counter) + k1;
  auto mix = [&](int turn) {
    x = x + y;
    y = x ^ (y << turn | y >> (32 - turn));
  };
  auto even = [&] { mix(13); mix(15); mix(26); mix(6); };
  auto odd = [&] { mix(17); mix(29); mix(16); mix(24); };
  even();
  x = x + k1, y = y + (k2 + 1u);
  odd();
  x = x + k2, y = y + (k0 + 2u);
  even();
  x = x + k0, y = y + (k1 + 3u);
  odd();
  x = x + k1, y = y + (k2 + 4u);
  even();
  x = x + k2, y = y + (k0 + 5u);
  return convert<uint64>(x) << 32 | convert<uint64>(y);
}

}  // namespace axon
#endif

#ifdef AXON_OP
AXON_OP(threefry2x32, 2, counter)
#endif
