// axon._core.Program and Kernel: programs written down as tuples, run by a call in raw CPython.
#pragma once
#include <pybind11/pybind11.h>

#include "runtime/program.h"

namespace axon::python {

// The description written as Python tuples; throws std::invalid_argument naming the step that is wrong.
Description parse_description(pybind11::handle slots, pybind11::handle steps, int64_t arena_bytes, int32_t inputs,
                              int32_t outputs, std::string label);

// The Program that a Python Program object holds; throws pybind11::type_error for any other object.
const axon::Program& program_of(pybind11::handle object);

// A Python Program of a description.
pybind11::object wrap_program(Description description);

// A new reference to what keeps all memory of the run on this thread alive, for a host step whose views are kept.
PyObject* keep_run_alive();

// Makes objects of a pybind11 type come from the runtime only: made by its __new__, they would have no value.
void forbid_new(pybind11::handle type);

bool add_program_type(PyObject* module);

}  // namespace axon::python
