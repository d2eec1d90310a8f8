// The GIL for threads of ours. Before Python 3.14 a daemon thread that asks for it while the interpreter ends is unwound by
// pthread_exit, which aborts the process at the first frame that may not throw: ours waits for the process to end instead.
#pragma once
#include <Python.h>
#include <cxxabi.h>
#include <unistd.h>

namespace axon::python {

template <class Take>
auto take_gil(Take take) {
  try {
    return take();
  } catch (abi::__forced_unwind&) {
    for (;;) pause();
  }
}

class Gil {
 public:
  Gil() : state_(take_gil(PyGILState_Ensure)) {}
  ~Gil() { PyGILState_Release(state_); }
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

 private:
  PyGILState_STATE state_;
};

class ReleasedGil {
 public:
  ReleasedGil() : state_(PyEval_SaveThread()) {}
  ~ReleasedGil() {
    take_gil([this] { PyEval_RestoreThread(state_); });
  }
  ReleasedGil(const ReleasedGil&) = delete;
  ReleasedGil& operator=(const ReleasedGil&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace axon::python
