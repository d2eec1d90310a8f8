// Memory of ours for NumPy's arrays.
#pragma once
#include <Python.h>

namespace axon::python {

bool add_array_memory(PyObject* module);

}  // namespace axon::python
