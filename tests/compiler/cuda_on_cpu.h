// Runs an emitted CUDA kernel on the CPU: the threads of a warp are fibers that take turns, so that shuffles work.
// A lane that misses a shuffle which others do is reported as status 1.
#include <math.h>
#include <ucontext.h>

#define AXON_TARGET "target_cuda.h"
#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))

static struct { unsigned x; } threadIdx, blockIdx, blockDim, gridDim;

struct Warp {
  ucontext_t scheduler, lanes[32];
  alignas(64) char stacks[32][1 << 16];
  unsigned long slots[32];
  long shuffles[32];
  bool done[32];
  int lane;
  unsigned first;
  void (*body)();

  static void start();
  void yield() { swapcontext(&lanes[lane], &scheduler); }
  // Runs all lanes to their ends, each until its next shuffle in turn.
  bool run() {
    for (int l = 0; l < 32; l++) {
      getcontext(&lanes[l]);
      lanes[l].uc_stack = {stacks[l], 0, sizeof stacks[l]};
      lanes[l].uc_link = &scheduler;
      done[l] = false, shuffles[l] = 0;
      makecontext(&lanes[l], start, 0);
    }
    for (bool more = true; more;) {
      more = false;
      for (lane = 0; lane < 32; lane++)
        if (!done[lane]) {
          threadIdx.x = first + unsigned(lane);
          swapcontext(&scheduler, &lanes[lane]);
          more = more || !done[lane];
        }
    }
    for (int l = 1; l < 32; l++)
      if (shuffles[l] != shuffles[0]) return false;
    return true;
  }
};
static Warp warp;
void Warp::start() {
  warp.body();
  warp.done[warp.lane] = true;
}

template <class T> static T shuffle(T x, int from) {
  __builtin_memcpy(&warp.slots[warp.lane], &x, sizeof x);
  warp.shuffles[warp.lane]++;
  warp.yield();
  T y;
  __builtin_memcpy(&y, &warp.slots[from & 31], sizeof y);
  warp.yield();
  return y;
}
template <class T> static T __shfl_down_sync(unsigned, T x, int h) {
  const int lane = warp.lane;
  return shuffle(x, lane + h < 32 ? lane + h : lane);
}
template <class T> static T __shfl_sync(unsigned, T x, int from) { return shuffle(x, from); }

// A launch of `blocks` blocks of `threads` threads, warp after warp.
static int launch(void (*body)(), unsigned blocks, unsigned threads) {
  gridDim.x = blocks, blockDim.x = threads, warp.body = body;
  for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)
    for (warp.first = 0; warp.first < threads; warp.first += 32)
      if (!warp.run()) return 1;
  return 0;
}
