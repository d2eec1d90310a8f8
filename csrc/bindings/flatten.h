// axon._core.flatten: the leaves and the structure of a tree of built-in containers, for the path of every jitted call.
#pragma once
#include <Python.h>

namespace axon::python {

bool add_flatten(PyObject* module);

}  // namespace axon::python
