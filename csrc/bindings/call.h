// One call of a Program from Python: arguments borrowed, outputs made, donations taken, the run, and everything undone.
#pragma once
#include <vector>

#include "bindings/program.h"

namespace axon::python {

struct ProgramObject {
  PyObject_HEAD
  vectorcallfunc call;
  axon::Program* program;
  PyObject* label;
  bool warned;  // about a donation that had to copy
};

// A tuple of Buffers, or null with an exception set. `donated` and `seconds` may be null.
PyObject* run_program(ProgramObject* self, PyObject* args, PyObject* donated, std::vector<double>* seconds);

// Turns the C++ exception being handled into a Python one.
void raise_current();

}  // namespace axon::python
