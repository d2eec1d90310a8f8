// axon._core as Python finds it: looks at the machine, then hands over to libaxon_python.so beside it. What is missing is
// said in one line that helps, where the loader would only name a file, and an old CPU would stop at an instruction.
#include <Python.h>
#include <dlfcn.h>

#include <string>

#define AXON_BASELINE(FEATURE) \
  FEATURE("avx2") FEATURE("bmi") FEATURE("bmi2") FEATURE("f16c") FEATURE("fma") FEATURE("lzcnt") FEATURE("movbe")

extern "C" PyObject* PyInit__core();

namespace {

PyObject* fail(const std::string& what) {
  PyErr_SetString(PyExc_ImportError, what.c_str());
  return nullptr;
}

}  // namespace

PyMODINIT_FUNC PyInit__core() {
  __builtin_cpu_init();
#define AXON_REQUIRE(name) \
  if (!__builtin_cpu_supports(name)) return fail("axon needs an x86-64-v3 CPU (AVX2, FMA); this one lacks " name);
  AXON_BASELINE(AXON_REQUIRE)
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
