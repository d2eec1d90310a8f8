// axon._core.tile: the scalar tile table for the interpreter.
#pragma once
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace axon::python {

void add_tiles(pybind11::module_& module);
void add_elementwise(pybind11::module_& module);

}  // namespace axon::python
