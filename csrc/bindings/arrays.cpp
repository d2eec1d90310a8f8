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

PyObject* ours = nullptr;  // the handler as NumPy takes it

PyObject* set_array_memory(PyObject*, PyObject* chosen) { return PyDataMem_SetHandler(chosen); }

PyObject* empty(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 2 || !PyTuple_Check(args[0]) || !PyArray_DescrCheck(args[1])) {
    PyErr_SetString(PyExc_TypeError, "empty: expected a shape as a tuple and a NumPy dtype");
    return nullptr;
  }
  npy_intp sizes[NPY_MAXDIMS];
  const Py_ssize_t rank = PyTuple_GET_SIZE(args[0]);
  if (rank > NPY_MAXDIMS) {
    PyErr_SetString(PyExc_ValueError, "empty: expected at most 64 axes");
    return nullptr;
  }
  for (Py_ssize_t i = 0; i < rank; ++i) {
    sizes[i] = PyLong_AsSsize_t(PyTuple_GET_ITEM(args[0], i));
    if (sizes[i] == -1 && PyErr_Occurred() != nullptr) return nullptr;
  }
  auto* dtype = reinterpret_cast<PyArray_Descr*>(args[1]);
  if (PyDataType_REFCHK(dtype)) {
    PyErr_SetString(PyExc_TypeError, "empty: expected a dtype of numbers");
    return nullptr;
  }
  size_t nbytes = static_cast<size_t>(PyDataType_ELSIZE(dtype));
  for (Py_ssize_t i = 0; i < rank; ++i)
    if (sizes[i] < 0 || __builtin_mul_overflow(nbytes, sizes[i], &nbytes)) return PyErr_NoMemory();
  void* const memory = array_malloc(nullptr, nbytes);
  if (memory == nullptr) return PyErr_NoMemory();
  Py_INCREF(dtype);
  PyObject* made = PyArray_NewFromDescr(&PyArray_Type, dtype, static_cast<int>(rank), sizes, nullptr, memory, NPY_ARRAY_DEFAULT, nullptr);
  if (made == nullptr) {
    array_free(nullptr, memory, 0);
    return nullptr;
  }
  // Setting the handler, as for NumPy to allocate, takes longer than all of this.
  auto* array = reinterpret_cast<PyArrayObject*>(made);
  Py_INCREF(ours);
  reinterpret_cast<PyArrayObject_fields*>(array)->mem_handler = ours;
  PyArray_ENABLEFLAGS(array, NPY_ARRAY_OWNDATA);
  return made;
}

PyMethodDef methods[] = {{"empty", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(empty)), METH_FASTCALL,
                          "empty(shape, dtype) -> array\n\nA new NumPy array in our memory, of any values."},
                         {"set_array_memory", set_array_memory, METH_O,
                          "set_array_memory(whose) -> whose\n\nWhere this thread's new NumPy arrays get their memory: "
                          "`array_memory`, or what an earlier call returned."},
                         {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_array_memory(PyObject* module) {
  if (PyArray_ImportNumPyAPI() < 0) return false;
  ours = PyCapsule_New(&handler, "mem_handler", nullptr);
  return ours != nullptr && PyModule_AddObjectRef(module, "array_memory", ours) == 0 && PyModule_AddFunctions(module, methods) == 0;
}

}  // namespace axon::python
