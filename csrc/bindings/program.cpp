// The Program type: the one entry of every compiled step, so raw CPython.
#include "bindings/program.h"

#include <pybind11/stl.h>
#include <structmember.h>

#include <memory>

#include "bindings/call.h"

namespace py = pybind11;

namespace axon::python {
namespace {

PyTypeObject* program_type = nullptr;

ProgramObject* cast(PyObject* object) { return reinterpret_cast<ProgramObject*>(object); }

// (args, donated=()): both calls have this one signature.
bool parse_call(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names, PyObject** donated) {
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  const bool by_name = named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "donated") == 0;
  if (count < 1 || count + named > 2 || (named != 0 && !by_name)) {
    PyErr_Format(PyExc_TypeError, "%U: expected (args, donated=())", cast(object)->label);
    return false;
  }
  *donated = count + named == 2 ? args[1] : nullptr;
  return true;
}

PyObject* program_call(PyObject* object, PyObject* const* args, size_t count, PyObject* names) {
  PyObject* donated;
  if (!parse_call(object, args, PyVectorcall_NARGS(count), names, &donated)) return nullptr;
  return run_program(cast(object), args[0], donated, nullptr);
}

PyObject* program_profile(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* donated;
  if (!parse_call(object, args, count, names, &donated)) return nullptr;
  std::vector<double> seconds;
  const py::object outputs = py::reinterpret_steal<py::object>(run_program(cast(object), args[0], donated, &seconds));
  if (!outputs) return nullptr;
  try {
    return py::make_tuple(outputs, py::cast(seconds)).release().ptr();
  } catch (...) {
    raise_current();
    return nullptr;
  }
}

PyObject* program_new(PyTypeObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"slots", "steps", "arena_bytes", "inputs", "outputs", "label", nullptr};
  PyObject *slots, *steps, *label = nullptr;
  long long arena_bytes;
  int inputs, outputs;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOLii|U:Program", const_cast<char**>(names), &slots, &steps,
                                   &arena_bytes, &inputs, &outputs, &label))
    return nullptr;
  try {
    const char* text = label != nullptr ? PyUnicode_AsUTF8(label) : "program";
    if (text == nullptr) return nullptr;
    return wrap_program(parse_description(slots, steps, arena_bytes, inputs, outputs, text)).release().ptr();
  } catch (...) {
    raise_current();
    return nullptr;
  }
}

void program_dealloc(PyObject* object) {
  delete cast(object)->program;
  Py_DECREF(cast(object)->label);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* program_repr(PyObject* object) {
  return PyUnicode_FromFormat("<Program %U: %d inputs, %d outputs>", cast(object)->label,
                              cast(object)->program->description().inputs, cast(object)->program->description().outputs);
}

PyObject* program_context_bytes(PyObject* object, PyObject*) {
  try {
    int64_t nbytes;
    {
      const py::gil_scoped_release released;
      nbytes = cast(object)->program->context_bytes();
    }
    return PyLong_FromLongLong(nbytes);
  } catch (...) {
    raise_current();
    return nullptr;
  }
}

PyMethodDef methods[] = {
    {"context_bytes", program_context_bytes, METH_NOARGS,
     "context_bytes() -> int\n\nBytes that a run takes besides its outputs: arena, scratch, and what library steps work in."},
    {"profile", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(program_profile)), METH_FASTCALL | METH_KEYWORDS,
     "profile(args, donated=()) -> (outputs, seconds)\n\nRun once, taking the time of each step of the outermost list."},
    {nullptr, nullptr, 0, nullptr}};

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(ProgramObject, call), READONLY, nullptr},
    {"label", T_OBJECT_EX, offsetof(ProgramObject, label), READONLY, "what error texts call the program"},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot type_slots[] = {
    {Py_tp_doc, const_cast<char*>("Program(slots, steps, arena_bytes, inputs, outputs, label=\"program\")\n\n"
                                  "A checked program; program(args, donated=()) runs it and returns a tuple of Buffers.")},
    {Py_tp_new, reinterpret_cast<void*>(program_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(program_dealloc)},
    {Py_tp_repr, reinterpret_cast<void*>(program_repr)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, nullptr}};

PyType_Spec type_spec = {"axon._core.Program", sizeof(ProgramObject), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_VECTORCALL, type_slots};

}  // namespace

py::object wrap_program(Description description) {
  auto program = std::make_unique<axon::Program>(std::move(description));
  const py::str label(program->description().label);
  ProgramObject* self = PyObject_New(ProgramObject, program_type);
  if (self == nullptr) throw py::error_already_set();
  self->call = program_call;
  self->program = program.release();
  self->label = Py_NewRef(label.ptr());
  self->warned = false;
  return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(self));
}

const axon::Program& program_of(py::handle object) {
  if (Py_TYPE(object.ptr()) != program_type) throw py::type_error("expected a Program");
  return *cast(object.ptr())->program;
}

void forbid_new(py::handle type) {
  reinterpret_cast<PyTypeObject*>(type.ptr())->tp_new = [](PyTypeObject* made, PyObject*, PyObject*) {
    return PyErr_Format(PyExc_TypeError, "%s: expected one made by axon._core, got a call of its type", made->tp_name);
  };
}

bool add_program_type(PyObject* module) {
  program_type = reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &type_spec, nullptr));
  return program_type != nullptr &&
         PyModule_AddObjectRef(module, "Program", reinterpret_cast<PyObject*>(program_type)) == 0;
}

}  // namespace axon::python
