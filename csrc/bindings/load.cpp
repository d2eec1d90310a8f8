// axon._core as Python finds it: looks at the machine, then hands over to libaxon_python.so beside it. What is missing is
// said in one line that helps, where the loader would only name a file, and an old CPU would stop at an instruction.
#include <Python.h>
#include <dlfcn.h>

#include <string>

#include "runtime/baseline.h"

extern "C" PyObject* PyInit__core();

namespace {

PyObject* fail(const std::string& what) {
  PyErr_SetString(PyExc_ImportError, what.c_str());
  return nullptr;
}

}  // namespace

PyMODINIT_FUNC PyInit__core() {
  // The types of the bindings, and the GIL that a run takes back, are those of one interpreter.
  if (PyInterpreterState_Get() != PyInterpreterState_Main())
    return fail("axon._core: expected the main interpreter, got a sub-interpreter; import axon in the main one");
  if (const char* feature = axon::missing_feature()) return fail(std::string(axon::kNeeds) + feature);
  if (dlopen("libgomp.so.1", RTLD_NOW | RTLD_LOCAL) == nullptr)
    return fail("axon needs libgomp.so.1, GCC's OpenMP runtime; install the Debian package libgomp1");
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&PyInit__core), &self) == 0) return fail("axon._core: dladdr failed");
  std::string path = self.dli_fname;
  path.replace(path.rfind('/') + 1, std::string::npos, "libaxon_python.so");
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* init = library == nullptr ? nullptr : dlsym(library, "PyInit__core");
  if (init == nullptr) return fail(std::string("axon._core: ") + dlerror());
  return reinterpret_cast<PyObject* (*)()>(init)();
}
