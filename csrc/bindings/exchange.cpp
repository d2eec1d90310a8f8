// axon._exchange: arrays of other libraries in and out, by DLPack, without a copy.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kernels/dtypes.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Array = nb::ndarray<nb::ro>;

struct DType {
  const char* name;
  nb::dlpack::dtype_code code;
  uint8_t bits;
};
using enum nb::dlpack::dtype_code;
#define AXON_DTYPE(name, code, type, kind, bytes) {#name, kind, 8 * bytes},
constexpr DType kDTypes[] = {AXON_DTYPES(AXON_DTYPE)};
#undef AXON_DTYPE

const DType* find_dtype(nb::dlpack::dtype dtype) {
  const auto* found = std::find_if(std::begin(kDTypes), std::end(kDTypes), [&](const DType& candidate) {
    return static_cast<uint8_t>(candidate.code) == dtype.code && candidate.bits == dtype.bits && dtype.lanes == 1;
  });
  return found == std::end(kDTypes) ? nullptr : found;
}

const DType& find_dtype(const std::string& name) {
  const auto* found = std::find_if(std::begin(kDTypes), std::end(kDTypes), [&](const DType& d) { return d.name == name; });
  if (found == std::end(kDTypes)) throw nb::value_error(("to_dlpack: unknown dtype " + name).c_str());
  return *found;
}

// Imported memory as a buffer of bytes, so that Buffer.wrap keeps it and its owner alive.
struct Imported {
  Array array;  // the owner
  char* data;
  Py_ssize_t nbytes;
  bool readonly;
};

int imported_get(PyObject* self, Py_buffer* view, int flags) {
  const Imported* imported = nb::inst_ptr<Imported>(self);
  return PyBuffer_FillInfo(view, self, imported->data, imported->nbytes, imported->readonly, flags);
}

PyType_Slot imported_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(imported_get)}, {0, nullptr}};

struct Import {
  Array array;
  bool readonly;
  std::string dtype;  // where the memory was seen through another dtype
};

nb::object export_memory(const nb::object& object) {
  const nb::object method = object.attr("__dlpack__");
  try {
    return method("max_version"_a = nb::make_tuple(1, 0));
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_TypeError)) throw;  // a library from before versions
  }
  return method();
}

Import import_array(const nb::object& object, bool bits = false) {
  // nanobind would call __dlpack__ itself, drop what it raises (an interrupt, or why there is no export), and then ask the
  // library in ways that export what it has just refused. Of an exporter that refuses only its buffer is looked at.
  nb::object source = object;
  std::string why;
  try {
    if (nb::hasattr(object, "__dlpack__")) source = export_memory(object);
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_Exception)) throw;
    why = std::string(" (") + nb::str(error.value()).c_str() + ")";
    source = nb::steal(PyMemoryView_FromObject(object.ptr()));
    if (!source.is_valid()) PyErr_Clear();
  }
  // A flag of PyTorch's that its capsules do not tell of: the values are those of the memory times -1.
  if (nb::hasattr(object, "is_neg") && nb::cast<bool>(object.attr("is_neg")())) {
    source.reset();
    why = " (it is a negative view: resolve_neg() gives its values)";
  }
  if (nb::ndarray<> writable; source.is_valid() && nb::try_cast(source, writable)) return {Array(writable), false, ""};
  if (Array readonly; source.is_valid() && nb::try_cast(source, readonly)) return {readonly, true, ""};
  // NumPy exports no dtype that it did not define itself: bfloat16 travels as the integers of its bits.
  const nb::str dtype(nb::getattr(object, "dtype", nb::str("")));
  if (!bits && dtype.equal(nb::str("bfloat16")) && nb::hasattr(object, "view")) {
    Import imported = import_array(object.attr("view")("uint16"), true);
    imported.dtype = "bfloat16";
    return imported;
  }
  const std::string of = nb::len(dtype) == 0 ? "" : std::string(" of dtype ") + dtype.c_str();
  throw nb::type_error(("from_dlpack: expected an array that exports its memory by DLPack, got " +
                        std::string(nb::repr(object.type()).c_str()) + of + why + "; detach, copy or convert it first").c_str());
}

// (Buffer, dtype name, shape, strides): the memory of an array, and strides in elements where it is not dense row-major.
nb::tuple from_dlpack(nb::object object) {
  const Import import = import_array(object);
  const Array& array = import.array;
  if (array.device_type() != nb::device::cpu::value)
    throw nb::value_error(("from_dlpack: expected memory of the CPU, got device type " +
                           std::to_string(array.device_type()) + "; copy it to the CPU first").c_str());
  const DType* dtype = find_dtype(array.dtype());
  if (dtype == nullptr) {
    const nb::str given(nb::getattr(object, "dtype", nb::str("another")));
    PyErr_Format(nb::module_::import_("axon.errors").attr("DTypeError").ptr(),
                 "from_dlpack: expected a dtype of axon (bool, an integer or a float), got %s; convert it first", given.c_str());
    throw nb::python_error();
  }
  nb::list shape, strides;
  bool dense = true, empty = false;
  int64_t last = 0, expected = 1;
  for (size_t axis = array.ndim(); axis-- > 0;) {
    const int64_t size = static_cast<int64_t>(array.shape(axis)), stride = array.stride(axis);
    if (stride < 0 && size > 1) throw nb::value_error("from_dlpack: expected no negative strides; copy the array first");
    dense = dense && (size == 1 || stride == expected);
    empty = empty || size == 0;
    last += size > 0 ? (size - 1) * stride : 0;
    expected *= size;
  }
  for (size_t axis = 0; axis < array.ndim(); ++axis) {
    shape.append(array.shape(axis));
    strides.append(array.stride(axis));
  }
  const int64_t itemsize = dtype->bits / 8;
  const nb::object memory = nb::cast(Imported{array, static_cast<char*>(const_cast<void*>(array.data())),
                                              empty ? 0 : (last + 1) * itemsize, import.readonly});
  const nb::object buffer = nb::module_::import_("axon._core").attr("Buffer").attr("wrap")(memory);
  const std::string name = import.dtype.empty() ? dtype->name : import.dtype;
  return nb::make_tuple(buffer, name, nb::tuple(shape), dense || empty ? nb::object(nb::none()) : nb::object(nb::tuple(strides)));
}

// An object with __dlpack__ over a Buffer, which counts it among its exports while it lives.
nb::object to_dlpack(nb::object buffer, const std::string& dtype_name, const std::vector<int64_t>& shape) {
  const DType& dtype = find_dtype(dtype_name);
  const nb::object view = nb::steal(PyMemoryView_FromObject(buffer.ptr()));
  if (!view.is_valid()) throw nb::python_error();
  const Py_buffer* memory = PyMemoryView_GET_BUFFER(view.ptr());
  int64_t nbytes = dtype.bits / 8;
  std::vector<size_t> sizes;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(nbytes, size, &nbytes)) throw nb::value_error("to_dlpack: bad shape");
    sizes.push_back(static_cast<size_t>(size));
  }
  if (!PyBuffer_IsContiguous(memory, 'C') || memory->len != nbytes)
    throw nb::value_error(("to_dlpack: expected a buffer of " + std::to_string(nbytes) + " bytes, got " +
                           std::to_string(memory->len)).c_str());
  const nb::dlpack::dtype type{static_cast<uint8_t>(dtype.code), dtype.bits, 1};
  if (memory->readonly)
    return nb::cast(nb::ndarray<nb::array_api, nb::ro>(memory->buf, sizes.size(), sizes.data(), view, nullptr, type));
  return nb::cast(nb::ndarray<nb::array_api>(memory->buf, sizes.size(), sizes.data(), view, nullptr, type));
}

}  // namespace

NB_MODULE(_exchange, module) {
  module.doc() = "DLPack exchange with other array libraries, without a copy.";
  nb::class_<Imported>(module, "Imported", nb::type_slots(imported_slots), "Memory of another library's array.");
  module.def("from_dlpack", &from_dlpack, "array"_a.none(),
             "(Buffer, dtype name, shape, strides or None): the memory of an array with __dlpack__, shared.");
  module.def("to_dlpack", &to_dlpack, "buffer"_a, "dtype"_a, "shape"_a.noconvert(),
             "An object with __dlpack__ and __dlpack_device__ over the memory of a Buffer, shared.");
}
