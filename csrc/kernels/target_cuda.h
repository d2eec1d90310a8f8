// CUDA, by NVRTC: a thread is one lane, and the lanes of a row are the threads of a warp.
#define AXON_LANES 1
#define AXON_WARP
#define AXON_FN static __device__ __forceinline__
#define AXON_SLOW static __device__ __noinline__
#define AXON_UNROLL _Pragma("unroll")
#define AXON_MATH(name) ::name
#define AXON_OWN_LIBM
#define AXON_PREFETCH(...)
