// Programs as Python writes them: tuples that begin with their kind (docs/design/runtime.md).
#include <optional>
#include <string>

#include "bindings/buffer.h"
#include "bindings/gil.h"
#include "bindings/program.h"

namespace py = pybind11;

namespace axon::python {
namespace {

// One tuple or list whose fields are taken in order; what does not fit is said with the place where it stood.
class Fields {
 public:
  Fields(py::handle object, std::string where, size_t count) : where_(std::move(where)) {
    if (!PyTuple_Check(object.ptr()) && !PyList_Check(object.ptr())) fail("expected a tuple, got " + repr(object));
    fields_ = py::reinterpret_steal<py::tuple>(PySequence_Tuple(object.ptr()));
    if (!fields_) throw py::error_already_set();
    if (count != 0 && fields_.size() != count)
      fail("expected " + std::to_string(count) + " fields, got " + std::to_string(fields_.size()));
  }

  size_t size() const { return fields_.size(); }
  const std::string& where() const { return where_; }
  py::handle next() { return fields_[next_++]; }

  int64_t integer() {
    const py::handle object = next();
    const int64_t value = PyLong_AsLongLong(object.ptr());
    if (value == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      fail("expected an integer of 64 bits, got " + repr(object));
    }
    return value;
  }

  int32_t slot() {
    const int64_t value = integer();
    if (value < 0 || value > INT32_MAX) fail("expected a slot number, got " + std::to_string(value));
    return static_cast<int32_t>(value);
  }

  uint64_t bits() {
    const py::handle object = next();
    const uint64_t value = PyLong_AsUnsignedLongLong(object.ptr());
    if (value == UINT64_MAX && PyErr_Occurred()) {
      PyErr_Clear();
      fail("expected the bits of a literal as an integer from 0 to 2**64-1, got " + repr(object));
    }
    return value;
  }

  double real() {
    const py::handle object = next();
    const double value = PyFloat_AsDouble(object.ptr());
    if (value == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      fail("expected a float, got " + repr(object));
    }
    return value;
  }

  std::string text() {
    const py::handle object = next();
    if (!PyUnicode_Check(object.ptr())) fail("expected a str, got " + repr(object));
    return object.cast<std::string>();
  }

  bool truth() {
    const int value = PyObject_IsTrue(next().ptr());
    if (value < 0) throw py::error_already_set();
    return value != 0;
  }

  Fields inner(size_t count = 0) {
    const size_t place = next_;
    return {next(), where_ + "[" + std::to_string(place) + "]", count};
  }

  template <class T>
  std::vector<T> list(T (Fields::*field)()) {
    Fields items = inner();
    std::vector<T> values;
    values.reserve(items.size());
    for (size_t i = 0; i < items.size(); ++i) values.push_back((items.*field)());
    return values;
  }

  [[noreturn]] void fail(const std::string& what) const { throw std::invalid_argument("Program: " + where_ + ": " + what); }

 private:
  static std::string repr(py::handle object) { return py::repr(object).cast<std::string>(); }

  std::string where_;
  py::tuple fields_;
  size_t next_ = 0;
};

// Calls back into Python with a memoryview of each operand, read-only for the program's inputs.
class HostFunction {
 public:
  HostFunction(py::handle callable, const std::vector<int32_t>& used, const std::vector<Slot>& slots)
      : callable_(callable.inc_ref().ptr(), [](PyObject* object) { Py_DECREF(object); }) {
    for (const int32_t index : used) {
      const Slot& slot = slots[static_cast<size_t>(index)];
      operands_.push_back({slot.nbytes, slot.kind == Slot::Kind::input});
    }
  }

  void operator()(char* const* pointers) const {
    const Gil gil;
    std::vector<py::object> lent;
    py::tuple views(operands_.size());
    for (size_t i = 0; i < operands_.size(); ++i) {
      lent.push_back(own(reinterpret_cast<PyObject*>(lend_buffer(pointers[i], operands_[i].nbytes, operands_[i].readonly))));
      views[i] = own(PyMemoryView_FromObject(lent[i].ptr()));
    }
    PyObject* result = PyObject_Call(callable_.get(), views.ptr(), nullptr);
    std::optional<py::error_already_set> error;
    if (result == nullptr) error.emplace();
    Py_XDECREF(result);
    views = py::tuple();
    // What the callable kept, or the traceback of its error, keeps the run's memory alive in turn.
    for (const py::object& buffer : lent) {
      Buffer* object = reinterpret_cast<Buffer*>(buffer.ptr());
      if (object->exports != 0) Py_SETREF(object->borrowed.obj, keep_run_alive());
    }
    if (error) throw std::move(*error);
  }

 private:
  static py::object own(PyObject* object) {
    if (object == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
  }

  struct Operand {
    int64_t nbytes;
    bool readonly;
  };
  std::shared_ptr<PyObject> callable_;
  std::vector<Operand> operands_;
};

class Parser {
 public:
  explicit Parser(const std::vector<Slot>& slots) : slots_(slots) {}

  Steps steps(Fields list) {
    if (++depth_ > kDeepest)  // said without the place, which is as long as it is deep
      throw std::invalid_argument("Program: expected steps nested at most " + std::to_string(kDeepest) + " deep");
    Steps parsed;
    for (size_t i = 0; i < list.size(); ++i) parsed.push_back({step(list.inner())});
    --depth_;
    return parsed;
  }

 private:
  decltype(Step::kind) step(Fields fields) {
    if (fields.size() == 0) fields.fail("expected a step, got ()");
    const std::string kind = fields.text();
    const auto counted = [&fields](size_t count) {
      if (fields.size() != count)
        fields.fail("expected " + std::to_string(count) + " fields, got " + std::to_string(fields.size()));
    };
    if (kind == "kernel") return counted(fields.size() == 6 ? 6 : 8), kernel(fields);
    if (kind == "library") return counted(6), library(fields);
    if (kind == "host") return counted(4), host(fields);
    if (kind == "while") return counted(5), loop(fields);
    if (kind == "cond") return counted(3), cond(fields);
    if (kind == "scan") return counted(6), scan(fields);
    fields.fail("expected kernel, library, host, while, cond or scan, got " + kind);
  }

  KernelStep kernel(Fields& fields) {
    KernelStep step{};
    const py::handle handle = fields.next();
    if (!py::isinstance<Kernel>(handle)) fields.fail("expected a Kernel of load_library");
    step.kernel = handle.cast<std::shared_ptr<Kernel>>();
    Fields calls = fields.inner();
    for (size_t i = 0; i < calls.size(); ++i) {
      Fields call = calls.inner(4);
      KernelCall parsed{};
      parsed.slots = call.list(&Fields::slot);
      parsed.ints = call.list(&Fields::integer);
      parsed.literals = call.list(&Fields::bits);
      parsed.units = call.integer();
      step.calls.push_back(std::move(parsed));
    }
    step.grain = fields.integer();
    step.scratch = fields.integer();
    step.label = fields.text();
    if (fields.size() == 8) {
      step.parts = fields.integer();
      step.along = fields.integer();
    }
    return step;
  }

  LibraryStepCall library(Fields& fields) {
    LibraryStepCall step{};
    step.symbol = fields.text();
    step.slots = fields.list(&Fields::slot);
    step.ints = fields.list(&Fields::integer);
    step.floats = fields.list(&Fields::real);
    step.label = fields.text();
    return step;
  }

  HostStep host(Fields& fields) {
    HostStep step{};
    const py::handle callable = fields.next();
    if (!PyCallable_Check(callable.ptr())) fields.fail("expected a callable");
    step.slots = fields.list(&Fields::slot);
    step.label = fields.text();
    for (const int32_t slot : step.slots)
      if (static_cast<size_t>(slot) >= slots_.size()) fields.fail("no slot is numbered " + std::to_string(slot));
    step.function = HostFunction(callable, step.slots, slots_);
    return step;
  }

  WhileStep loop(Fields& fields) {
    WhileStep step{};
    step.condition = steps(fields.inner());
    step.predicate = fields.slot();
    step.body = steps(fields.inner());
    step.moves = moves(fields.inner());
    return step;
  }

  CondStep cond(Fields& fields) {
    CondStep step{};
    step.index = fields.slot();
    Fields branches = fields.inner();
    for (size_t i = 0; i < branches.size(); ++i) step.branches.push_back(steps(branches.inner()));
    return step;
  }

  ScanStep scan(Fields& fields) {
    ScanStep step{};
    step.length = fields.integer();
    step.reverse = fields.truth();
    step.body = steps(fields.inner());
    step.moves = moves(fields.inner());
    step.slices = fields.list(&Fields::slot);
    return step;
  }

  static Moves moves(Fields list) {
    Moves moves;
    for (size_t i = 0; i < list.size(); ++i) {
      Fields move = list.inner(2);
      const int32_t destination = move.slot();
      moves.list.push_back({destination, move.slot()});
    }
    return moves;
  }

  const std::vector<Slot>& slots_;
  int depth_ = 0;
};

Slot parse_slot(Fields fields) {
  const std::string kind = fields.text();
  Slot slot{};
  if (kind == "input") slot.kind = Slot::Kind::input;
  else if (kind == "output") slot.kind = Slot::Kind::output;
  else if (kind == "arena") slot.kind = Slot::Kind::arena;
  else if (kind == "slice") slot.kind = Slot::Kind::slice;
  else fields.fail("expected input, output, arena or slice, got " + kind);
  slot.a = fields.integer();
  slot.b = fields.integer();
  slot.nbytes = fields.integer();
  return slot;
}

}  // namespace

Description parse_description(py::handle slots, py::handle steps, int64_t arena_bytes, int32_t inputs, int32_t outputs,
                              std::string label) {
  Description description;
  description.arena_bytes = arena_bytes;
  description.inputs = inputs;
  description.outputs = outputs;
  description.label = std::move(label);
  Fields list(slots, "slots", 0);
  for (size_t i = 0; i < list.size(); ++i) description.slots.push_back(parse_slot(list.inner(4)));
  description.steps = Parser(description.slots).steps(Fields(steps, "steps", 0));
  return description;
}

}  // namespace axon::python
