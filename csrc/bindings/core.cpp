// axon._core: the runtime as Python sees it.
#include <pybind11/pybind11.h>

#include "runtime/features.h"

namespace py = pybind11;

PYBIND11_MODULE(_core, module) {
  if (const char* missing = axon::missing_baseline_feature())
    throw py::import_error(std::string("axon needs an x86-64-v3 CPU (AVX2, FMA); this one lacks ") + missing);
  module.def("cpu_features", [] {
    py::set features;
    for (std::string_view name : axon::cpu_features()) features.add(py::str(name.data(), name.size()));
    return py::frozenset(features);
  });
}
