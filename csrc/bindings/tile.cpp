// Tiles: the scalars of scalar.h as callables over dense arrays, found by name and dtypes.
#include "bindings/tile.h"

#include <array>
#include <vector>

#include "bindings/buffer.h"
#include "bindings/program.h"
#include "runtime/parallel.h"
#include "tiles/tiles.h"

namespace py = pybind11;

namespace axon::python {
namespace {

struct Tile {
  const axon_tile_entry* entry;

  void call(const py::args& args) const;
};

class View {
 public:
  View(py::handle object, int flags) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags | PyBUF_C_CONTIGUOUS) != 0) throw py::error_already_set();
  }
  View(View&& other) noexcept : view_(other.view_) { other.view_.obj = nullptr; }
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() { PyBuffer_Release(&view_); }

  // The number of elements of a dtype.
  int64_t count(const char* op, uint8_t dtype) const {
    const Py_ssize_t size = kItemSizes[dtype];
    if (view_.len % size != 0 || reinterpret_cast<size_t>(view_.buf) % static_cast<size_t>(size) != 0)
      throw py::value_error(std::string(op) + ": expected aligned memory of whole elements of " + std::to_string(size) +
                            " bytes, got " + std::to_string(view_.len) + " bytes");
    return view_.len / size;
  }
  void* data() const { return view_.buf; }

 private:
  Py_buffer view_{};
};

void Tile::call(const py::args& args) const {
  if (args.size() != entry->arity + size_t{1})
    throw py::type_error(std::string(entry->name) + ": expected " + std::to_string(entry->arity) +
                         " inputs and an output, got " + std::to_string(args.size()) + " arguments");
  std::vector<View> inputs;
  inputs.reserve(entry->arity);
  const View output(args[entry->arity], PyBUF_WRITABLE);
  const int64_t count = output.count(entry->name, entry->output);
  std::array<const void*, 4> pointers{};
  for (size_t i = 0; i < entry->arity; ++i) {
    inputs.emplace_back(args[i], PyBUF_SIMPLE);
    if (inputs[i].count(entry->name, entry->inputs[i]) != count)
      throw py::value_error(std::string(entry->name) + ": expected arguments of one number of elements, got " +
                            std::to_string(inputs[i].count(entry->name, entry->inputs[i])) + " and " + std::to_string(count));
    pointers[i] = inputs[i].data();
  }
  const DefaultFloatingPoint mode;
  entry->run(pointers.data(), output.data(), count);
}

Tile tile_of(const std::string& name, const std::vector<uint8_t>& inputs, uint8_t output) {
  if (const axon_tile_entry* entry = axon::find_tile(name, inputs, output)) return {entry};
  std::string codes;
  for (const uint8_t code : inputs) codes += std::to_string(code) + ", ";
  throw py::key_error("tile: none is named " + name + " with input dtypes (" + codes + ") and output dtype " +
                      std::to_string(output));
}

}  // namespace

void add_tiles(py::module_& module) {
  py::class_<Tile> type(module, "Tile");
  forbid_new(type);
  type
      .def("__call__", &Tile::call, "tile(*inputs, output): compute every element of output.")
      .def_property_readonly("name", [](const Tile& tile) { return tile.entry->name; })
      .def_property_readonly("index", [](const Tile& tile) { return tile.entry - tile_table().data(); });
  module.def("tile", &tile_of, py::arg("name"), py::arg("input_dtypes").noconvert(),
             py::arg("output_dtype").noconvert(),
             "The compiled loop of a scalar over dense arrays; dtypes by their codes (csrc/kernels/dtypes.h).");
}

}  // namespace axon::python
