// The Elementwise type: the one call of every eager elementwise op, so raw CPython.
#include <Python.h>
#include <structmember.h>

#include <algorithm>
#include <string>

#include "bindings/gil.h"
#include "bindings/tile.h"
#include "tiles/elementwise.h"

namespace py = pybind11;

namespace axon::python {
namespace {

constexpr int64_t kShort = 4096;  // elements that are computed before another thread could have taken the GIL

struct ElementwiseObject {
  PyObject_HEAD
  vectorcallfunc call;
  Elementwise scalar;
};

PyTypeObject* elementwise_type = nullptr;

ElementwiseObject* cast(PyObject* object) { return reinterpret_cast<ElementwiseObject*>(object); }

// The buffers of a call.
struct Views {
  Py_buffer of[kMostInputs + 1];
  size_t count = 0;

  Views() = default;
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;
  ~Views() {
    while (count > 0) PyBuffer_Release(&of[--count]);
  }
  bool add(PyObject* object, int flags) {
    if (PyObject_GetBuffer(object, &of[count], flags | PyBUF_STRIDES) != 0) return false;
    ++count;
    return true;
  }
};

PyObject* refuse(const Elementwise& scalar, const char* expected) {
  return PyErr_Format(PyExc_ValueError, "%s: expected %s", scalar.name(), expected);
}

PyObject* elementwise_call(PyObject* object, PyObject* const* args, size_t given, PyObject* names) {
  const Elementwise& scalar = cast(object)->scalar;
  const size_t arity = scalar.arity();
  if (static_cast<size_t>(PyVectorcall_NARGS(given)) != arity + 1 || names != nullptr)
    return PyErr_Format(PyExc_TypeError, "%s: expected %zu inputs and an output", scalar.name(), arity);
  Views views;
  if (!views.add(args[arity], PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)) return nullptr;
  const Py_buffer& output = views.of[0];
  if (output.itemsize != scalar.output_size() || reinterpret_cast<size_t>(output.buf) % static_cast<size_t>(output.itemsize) != 0)
    return refuse(scalar, "an aligned output of the scalar's dtype");
  const auto rank = static_cast<size_t>(output.ndim);
  if (rank > kMostAxes) return refuse(scalar, "at most 64 axes");
  int64_t shape[kMostAxes];
  std::copy_n(output.shape, rank, shape);
  Strided inputs[kMostInputs];
  for (size_t k = 0; k < arity; ++k) {
    if (!views.add(args[k], PyBUF_SIMPLE)) return nullptr;
    const Py_buffer& view = views.of[k + 1];
    if (view.itemsize != scalar.input_size(k)) return refuse(scalar, "inputs of the scalar's dtypes");
    const auto missing = output.ndim - view.ndim;
    if (missing < 0) return refuse(scalar, "inputs that broadcast to the output");
    inputs[k].data = static_cast<const char*>(view.buf);
    std::fill_n(inputs[k].strides.data(), missing, 0);
    for (int axis = 0; axis < view.ndim; ++axis) {
      const auto at = static_cast<size_t>(axis + missing);
      const bool whole = view.shape[axis] == shape[at];
      if (!whole && view.shape[axis] != 1) return refuse(scalar, "inputs that broadcast to the output");
      inputs[k].strides[at] = whole && view.shape[axis] != 1 ? view.strides[axis] : 0;
    }
  }
  char* const data = static_cast<char*>(output.buf);
  if (output.len <= kShort * output.itemsize) {
    scalar.run({inputs, arity}, data, {shape, rank});
  } else {
    const ReleasedGil released;
    scalar.run({inputs, arity}, data, {shape, rank});
  }
  Py_RETURN_NONE;
}

void elementwise_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* elementwise_repr(PyObject* object) { return PyUnicode_FromFormat("<Elementwise %s>", cast(object)->scalar.name()); }

PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(ElementwiseObject, call), READONLY, nullptr},
                         {nullptr, 0, 0, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>("scalar(*inputs, output): compute every element of output, a dense array; inputs broadcast to it.")},
                       {Py_tp_dealloc, reinterpret_cast<void*>(elementwise_dealloc)},
                       {Py_tp_repr, reinterpret_cast<void*>(elementwise_repr)},
                       {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                       {Py_tp_members, members},
                       {0, nullptr}};

PyType_Spec spec = {"axon._core.Elementwise", sizeof(ElementwiseObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

py::object elementwise(const std::string& name, const std::vector<uint8_t>& inputs, uint8_t output) {
  const auto known = [](uint8_t dtype) { return dtype < std::size(kItemSizes); };
  const auto found = std::all_of(inputs.begin(), inputs.end(), known) && known(output)
                         ? Elementwise::find(name, inputs, output)
                         : std::nullopt;
  if (!found) return py::none();
  auto* self = PyObject_New(ElementwiseObject, elementwise_type);
  if (self == nullptr) throw py::error_already_set();
  self->call = elementwise_call;
  self->scalar = *found;
  return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(self));
}

}  // namespace

void add_elementwise(py::module_& module) {
  elementwise_type = reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module.ptr(), &spec, nullptr));
  if (elementwise_type == nullptr || PyModule_AddObjectRef(module.ptr(), "Elementwise", reinterpret_cast<PyObject*>(elementwise_type)) != 0)
    throw py::error_already_set();
  module.def("elementwise", &elementwise, py::arg("name"), py::arg("input_dtypes"), py::arg("output_dtype"),
             "A scalar over whole arrays, or None where there is none of these dtypes; 16-bit floats are computed in float32.");
}

}  // namespace axon::python
