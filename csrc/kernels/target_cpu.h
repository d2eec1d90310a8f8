// The CPU, by g++: 16 lanes (AVX-512), 8 (AVX2, or plain loops elsewhere) or 1, as AXON_LANES says.
#ifndef AXON_LANES
#define AXON_LANES 8
#endif
#define AXON_FN static inline __attribute__((always_inline))
#define AXON_INLINE inline __attribute__((always_inline))
#define AXON_SLOW static __attribute__((noinline, cold, unused))
#define AXON_CALL static __attribute__((noinline, unused))
#define AXON_UNROLL _Pragma("GCC unroll 16")
#define AXON_MATH(name) __builtin_##name
#define AXON_PREFETCH(...) __builtin_prefetch(__VA_ARGS__)
