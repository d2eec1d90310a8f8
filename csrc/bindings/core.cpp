// axon._core: the runtime as Python sees it. No op is named here.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>

#include "bindings/arrays.h"
#include "bindings/buffer.h"
#include "bindings/program.h"
#include "bindings/tile.h"
#include "runtime/allocator.h"
#include "runtime/features.h"
#include "runtime/parallel.h"
#include "runtime/saved.h"
#include "tiles/interpret.h"

namespace py = pybind11;

namespace axon::python {
namespace {

py::frozenset cpu_features() {
  py::set features;
  for (std::string_view name : axon::cpu_features()) features.add(py::str(name.data(), name.size()));
  return py::frozenset(features);
}

py::list load_library(const py::bytes& bytes, const std::vector<std::string>& symbols) {
  const std::string_view view = bytes;
  const auto library = std::make_shared<KernelLibrary>(std::vector<char>(view.begin(), view.end()));
  py::list kernels;
  for (const std::string& symbol : symbols) kernels.append(std::make_shared<Kernel>(library, symbol));
  return kernels;
}

py::dict memory() {
  const MemoryStatistics statistics = memory_statistics();
  py::dict result;
  result["live"] = statistics.live;
  result["peak"] = statistics.peak;
  result["cached"] = statistics.cached;
  return result;
}

// `with DefaultFloatingPoint():` for Python that computes with NumPy.
struct FloatingPointScope {
  std::optional<axon::DefaultFloatingPoint> mode;
};

}  // namespace
}  // namespace axon::python

PYBIND11_MODULE(_core, module) {
  using namespace axon::python;
  module.doc() = "Buffers, kernels and programs: the C++ runtime.";
  axon::max_isa();  // refuses a bad AXON_MAX_ISA here, where whoever set it looks

  py::class_<axon::Kernel, std::shared_ptr<axon::Kernel>> kernel(module, "Kernel");
  forbid_new(kernel);
  kernel
      .def_property_readonly("symbol", [](const axon::Kernel& kernel) { return kernel.origin().symbol; })
      .def("swap", &axon::Kernel::swap, py::arg("other"),
           "From the next step on, programs with this kernel call what `other` calls now: the same bits, sooner.");
  if (!add_buffer_type(module.ptr()) || !add_program_type(module.ptr()) || !add_array_memory(module.ptr()))
    throw py::error_already_set();

  py::class_<FloatingPointScope>(module, "DefaultFloatingPoint", "A block in the default floating-point mode.")
      .def(py::init<>())
      .def("__enter__", [](FloatingPointScope& scope) { scope.mode.emplace(); })
      .def("__exit__", [](FloatingPointScope& scope, const py::args&) { scope.mode.reset(); });
  add_tiles(module);
  add_elementwise(module);
  module.def(
      "tile_kernel", [] { return std::make_shared<axon::Kernel>(&axon_run_tiles); },
      "The kernel that runs what its ints describe over tiles (csrc/tiles/interpret.h).");
  module.def("load_library", &load_library, py::arg("bytes"), py::arg("symbols"),
             "The kernels of a shared library, loaded from its bytes, whose code runs: whoever reads them from somewhere "
             "makes sure first that they are what was written.");
  module.def(
      "save_program",
      [](const std::string& path, py::handle program) { axon::save_program(path, program_of(program).description()); },
      py::arg("path"), py::arg("program"), "Write a Program with its kernels to a file that axon-bench can run.");
  module.def(
      "load_program", [](const std::string& path) { return wrap_program(axon::load_program(path)); }, py::arg("path"),
      "The Program of a file; refuses one that is foreign, damaged, or for another CPU.");
  module.def("cpu_features", &cpu_features, "Names of this CPU's features that AXON_MAX_ISA does not hide, as in GCC's -m flags.");
  module.def("threads", &axon::threads, "How many threads a program may use.");
  module.def(
      "set_threads",
      [](int count) {
        if (count < 1 || count > 1024) throw py::value_error("set_threads: expected 1 to 1024 threads");
        axon::set_threads(count);
      },
      py::arg("count").noconvert());
  module.def("memory", &memory, "Bytes of buffers and runs: live, peak since reset_peak(), cached for reuse.");
  module.def("reset_peak", &axon::reset_memory_peak);
  module.def("release_memory", &axon::release_cached_memory, "Give what is cached back to the system.");
}
