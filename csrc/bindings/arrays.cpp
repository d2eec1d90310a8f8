// NumPy arrays in our memory: aligned as buffers are, from the same cache of used pages, counted with the rest (NumPy's
// NEP 49). NumPy remembers for every array whose memory it is, so arrays may outlive the time that ours is asked for.
#include "bindings/arrays.h"

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include <algorithm>
#include <cstring>

#include "runtime/allocator.h"

namespace axon::python {
namespace {

// The size of a block stands before it: what NumPy says when it gives memory back is that of the array by then.
constexpr size_t kHeader = kAlignment;

int64_t& size_before(void* memory) { return *reinterpret_cast<int64_t*>(static_cast<char*>(memory) - kHeader); }

void* array_malloc(void*, size_t nbytes) {
  if (nbytes > static_cast<size_t>(INT64_MAX) - kHeader) return nullptr;
  const int64_t whole = static_cast<int64_t>(nbytes + kHeader);
  try {
    char* memory = allocate(whole) + kHeader;
    size_before(memory) = whole;
    return memory;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void* array_calloc(void* context, size_t count, size_t each) {
  size_t nbytes;
  if (__builtin_mul_overflow(count, each, &nbytes)) return nullptr;
  void* memory = array_malloc(context, nbytes);
  return memory == nullptr ? nullptr : std::memset(memory, 0, nbytes);
}

void array_free(void*, void* memory, size_t) {
  if (memory != nullptr) release(static_cast<char*>(memory) - kHeader, size_before(memory));
}

void* array_realloc(void* context, void* memory, size_t nbytes) {
  void* larger = array_malloc(context, nbytes);
  if (larger == nullptr || memory == nullptr) return larger;
  std::memcpy(larger, memory, std::min(nbytes, static_cast<size_t>(size_before(memory)) - kHeader));
  array_free(context, memory, 0);
  return larger;
}

PyDataMem_Handler handler = {"axon", 1, {nullptr, array_malloc, array_calloc, array_realloc, array_free}};

PyObject* set_array_memory(PyObject*, PyObject* chosen) { return PyDataMem_SetHandler(chosen); }

PyMethodDef methods[] = {{"set_array_memory", set_array_memory, METH_O,
                          "set_array_memory(whose) -> whose\n\nWhere this thread's new NumPy arrays get their memory: "
                          "`array_memory`, or what an earlier call returned."},
                         {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_array_memory(PyObject* module) {
  if (PyArray_ImportNumPyAPI() < 0) return false;
  PyObject* capsule = PyCapsule_New(&handler, "mem_handler", nullptr);
  const bool added = capsule != nullptr && PyModule_AddObjectRef(module, "array_memory", capsule) == 0;
  Py_XDECREF(capsule);
  return added && PyModule_AddFunctions(module, methods) == 0;
}

}  // namespace axon::python
