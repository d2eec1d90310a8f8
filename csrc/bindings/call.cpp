#include "bindings/call.h"

#include <new>
#include <utility>

#include "bindings/buffer.h"
#include "bindings/gil.h"

namespace py = pybind11;

namespace axon::python {
namespace {

// The memory of an exporter. NumPy's bfloat16 has no letter in the buffer protocol: it is read as 16-bit words.
int get_view(PyObject* object, Py_buffer* view) {
  if (PyObject_GetBuffer(object, view, PyBUF_FULL_RO) == 0) return 0;
  if (PyErr_ExceptionMatches(PyExc_ValueError) == 0) return -1;
  PyErr_Clear();
  PyObject* words = PyObject_CallMethod(object, "view", "s", "uint16");
  const int status = words == nullptr ? -1 : PyObject_GetBuffer(words, view, PyBUF_FULL_RO);
  Py_XDECREF(words);
  return status;
}

bool signal_raised(void*) {
  const Gil gil;
  return PyErr_CheckSignals() != 0;
}

// An array on the stack while it is short. Its elements are not initialised.
template <class T>
class Array {
 public:
  explicit Array(size_t size) : items_(size <= kShort ? short_ : new T[size]) {}
  ~Array() {
    if (items_ != short_) delete[] items_;
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  T& operator[](size_t i) { return items_[i]; }
  T* data() { return items_; }

 private:
  static constexpr size_t kShort = 32;
  T short_[kShort];
  T* items_;
};

// One call: what it borrowed, and what has to be undone at its end, whatever happened.
class Call {
 public:
  static thread_local Call* current;  // the innermost run of this thread

  Call(ProgramObject* self, PyObject* args)
      : self_(self), program_(*self->program), args_(args), inputs_(static_cast<size_t>(program_.description().inputs)),
        outputs_(static_cast<size_t>(program_.description().outputs)), arguments_(inputs_), input_pointers_(inputs_),
        output_pointers_(outputs_) {}

  ~Call() {
    for (size_t i = 0; i < bound_; ++i) {
      Argument& argument = arguments_[i];
      if (argument.buffer == nullptr) continue;
      --argument.buffer->exports;
      argument.buffer->offered = false;
      // The label is the program's for what this call took: now that the run is over, the memory may go.
      if (argument.state == State::taken) donate(argument.buffer, self_->label);
      if (argument.copied) Py_DECREF(argument.buffer);
    }
    for (Py_buffer& view : views_) PyBuffer_Release(&view);
    Py_XDECREF(results_);
    if (kept_ != nullptr) keep(PyCapsule_New(context_.release(), nullptr, [](PyObject* capsule) {
      delete static_cast<Context*>(PyCapsule_GetPointer(capsule, nullptr));
    }));
    Py_XDECREF(kept_);
  }

  // A list that looks at the arguments and results, and owns the context when the run is over: made when a host step's
  // view is kept. While it lives their memory is not donated.
  PyObject* keep_alive() {
    if (kept_ == nullptr) {
      kept_ = PyList_New(0);
      keep(Py_NewRef(args_));
      for (size_t i = 0; i < inputs_; ++i) {
        const Argument& argument = arguments_[i];
        // What this call took cannot be viewed any more: one export too many leaves its memory to the Buffer's end.
        if (argument.state == State::taken) ++argument.buffer->exports;
        else if (argument.copied) look_at(reinterpret_cast<PyObject*>(argument.buffer));
        else look_at(PyTuple_GET_ITEM(args_, static_cast<Py_ssize_t>(i)));
      }
      for (size_t j = 0; j < outputs_; ++j) look_at(PyTuple_GET_ITEM(results_, static_cast<Py_ssize_t>(j)));
    }
    return Py_NewRef(kept_);
  }

  PyObject* run(PyObject* donated, std::vector<double>* seconds) {
    // Before anything is bound: planning waits for another thread's library step, without the GIL.
    context_ = program_.reuse();
    if (context_ == nullptr) {
      const ReleasedGil gil;
      context_ = program_.acquire();
    }
    if (!bind_arguments() || !mark_donated(donated) || !make_outputs()) return nullptr;
    take_donated();
    RunOptions options;
    options.seconds = seconds;
    // A run that has taken its inputs goes on to its end: stopped half-way, it would leave neither old nor new state.
    if (!any_donated_) options.interrupted = signal_raised;
    {
      const Current running(this);
      const ReleasedGil gil;
      program_.run(*context_, input_pointers_.data(), output_pointers_.data(), options);
    }
    if (kept_ == nullptr) program_.give_back(std::move(context_));
    return std::exchange(results_, nullptr);
  }

 private:
  enum class State : unsigned char { reading, donated, taken };
  struct Argument {
    Buffer* buffer;  // null for memory borrowed from another exporter
    State state;
    bool copied;  // the buffer is this call's own, contiguous copy of an argument
  };

  // Adds a new reference to what is kept. Without memory for that, keeping it for ever is what is left.
  void keep(PyObject* object) {
    if (PyList_Append(kept_, object) != 0) return PyErr_Clear();
    Py_DECREF(object);
  }

  // An exporter without a letter for its dtype (NumPy's bfloat16) cannot be viewed; the tuple of arguments keeps it.
  void look_at(PyObject* object) {
    if (PyObject* view = PyMemoryView_FromObject(object)) keep(view);
    else PyErr_Clear();
  }

  struct Current {
    explicit Current(Call* call) : outer(std::exchange(current, call)) {}
    ~Current() { current = outer; }
    Call* outer;
  };

  bool bind_arguments() {
    if (static_cast<size_t>(PyTuple_GET_SIZE(args_)) != inputs_) {
      PyErr_Format(PyExc_TypeError, "%U: expected %zd arguments, got %zd", self_->label, static_cast<Py_ssize_t>(inputs_),
                   PyTuple_GET_SIZE(args_));
      return false;
    }
    for (; bound_ < inputs_; ++bound_) {
      PyObject* object = PyTuple_GET_ITEM(args_, static_cast<Py_ssize_t>(bound_));
      Py_ssize_t nbytes = 0;
      if (is_buffer(object)) {
        Buffer* buffer = reinterpret_cast<Buffer*>(object);
        if (!check_alive(buffer, PyUnicode_AsUTF8(self_->label)) || !is_here(*buffer->device)) return false;
        ++buffer->exports;
        arguments_[bound_] = {buffer, State::reading, false};
        input_pointers_[bound_] = buffer->data;
        nbytes = buffer->nbytes;
      } else if (!borrow(object, nbytes)) {
        return false;
      }
      if (const int64_t expected = program_.input(static_cast<int32_t>(bound_)).nbytes; nbytes != expected) {
        PyErr_Format(PyExc_ValueError, "%U: expected argument %zd of %lld bytes, got %zd", self_->label,
                     static_cast<Py_ssize_t>(bound_++), static_cast<long long>(expected), nbytes);
        return false;
      }
    }
    return true;
  }

  bool is_here(const Device& device) const {
    if (&device == &program_.device()) return true;
    PyErr_Format(PyExc_ValueError, "%U: expected argument %zd on %s, got memory on %s; copy it there", self_->label,
                 static_cast<Py_ssize_t>(bound_), program_.device().name(), device.name());
    return false;
  }

  // Memory of a foreign exporter, for the time of the call; a copy where it is not dense or not aligned.
  bool borrow(PyObject* object, Py_ssize_t& nbytes) {
    if (!is_here(cpu())) return false;
    Py_buffer& view = views_.emplace_back();
    if (get_view(object, &view) != 0) return views_.pop_back(), false;
    nbytes = view.len;
    const Py_ssize_t alignment = view.itemsize > 0 && view.itemsize < 8 ? view.itemsize : 8;
    const bool aligned = view.itemsize == 0 || reinterpret_cast<size_t>(view.buf) % static_cast<size_t>(alignment) == 0;
    if (aligned && PyBuffer_IsContiguous(&view, 'C')) {
      arguments_[bound_] = {nullptr, State::reading, false};
      input_pointers_[bound_] = static_cast<char*>(view.buf);
      return true;
    }
    Buffer* copy = new_buffer(view.len, cpu());
    const bool failed = copy == nullptr || PyBuffer_ToContiguous(copy->data, &view, view.len, 'C') != 0;
    PyBuffer_Release(&view);
    views_.pop_back();
    if (failed) {
      Py_XDECREF(copy);
      return false;
    }
    ++copy->exports;
    arguments_[bound_] = {copy, State::reading, true};
    input_pointers_[bound_] = copy->data;
    return true;
  }

  bool mark_donated(PyObject* donated) {
    if (donated == nullptr) return true;
    if (!PyTuple_Check(donated) && !PyList_Check(donated)) {
      PyErr_Format(PyExc_TypeError, "%U: expected a tuple of argument numbers as donated, got %R", self_->label, donated);
      return false;
    }
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(donated); ++k) {
      const Py_ssize_t i = PyLong_AsSsize_t(PySequence_Fast_GET_ITEM(donated, k));
      if (i == -1 && PyErr_Occurred() != nullptr) return false;
      if (i < 0 || static_cast<size_t>(i) >= inputs_) {
        PyErr_Format(PyExc_ValueError, "%U: expected donated argument numbers below %zd, got %zd", self_->label,
                     static_cast<Py_ssize_t>(inputs_), i);
        return false;
      }
      Argument& argument = arguments_[static_cast<size_t>(i)];
      if (argument.buffer == nullptr || argument.copied) continue;  // borrowed for the call: nothing to take
      if (argument.buffer->offered) {
        PyErr_Format(PyExc_ValueError, "%U: argument %zd is donated twice", self_->label, i);
        return false;
      }
      argument.buffer->offered = true;
      argument.state = State::donated;
      any_donated_ = true;
    }
    return true;
  }

  // The argument whose memory output j may take over, or null.
  const Argument* donor(size_t j) {
    const int64_t number = program_.output(static_cast<int32_t>(j)).b;
    const Argument* argument = number < 0 ? nullptr : &arguments_[static_cast<size_t>(number)];
    return argument != nullptr && argument->state == State::donated ? argument : nullptr;
  }

  // Its own, and only this call looks at it.
  static bool given(const Argument& argument) {
    return argument.buffer->borrowed.obj == nullptr && argument.buffer->exports == 1;
  }

  // The Buffer each output goes into. Only when all exist is anything taken from an argument.
  bool make_outputs() {
    results_ = PyTuple_New(static_cast<Py_ssize_t>(outputs_));
    if (results_ == nullptr) return false;
    // A warning runs Python, which may look at the arguments or donate them: from after the last one to the run none is run.
    for (size_t j = 0; j < outputs_; ++j)
      if (const Argument* from = donor(j); from != nullptr && !given(*from) && !warn_copy(from - arguments_.data()))
        return false;
    for (size_t i = 0; i < inputs_; ++i)
      if (arguments_[i].state == State::donated && !check_alive(arguments_[i].buffer, PyUnicode_AsUTF8(self_->label)))
        return false;
    Device& device = program_.device();
    for (size_t j = 0; j < outputs_; ++j) {
      const Slot& slot = program_.output(static_cast<int32_t>(j));
      const Argument* from = donor(j);
      const bool takes = from != nullptr && given(*from);
      Buffer* result = takes ? new_buffer(slot.nbytes, device, nullptr) : new_buffer(slot.nbytes, device);
      if (result == nullptr) return false;
      PyTuple_SET_ITEM(results_, static_cast<Py_ssize_t>(j), reinterpret_cast<PyObject*>(result));
      output_pointers_[j] = takes ? from->buffer->data : result->data;
    }
    return true;
  }

  bool warn_copy(int64_t argument) {
    if (std::exchange(self_->warned, true)) return true;
    return PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                            "%U: donated argument %lld is copied, because a view of it is still in use or its memory is "
                            "borrowed; drop the view (said once)",
                            self_->label, static_cast<long long>(argument)) == 0;
  }

  void take_donated() {
    for (size_t i = 0; i < inputs_; ++i) {
      if (arguments_[i].state != State::donated) continue;
      // Marked now, so that another thread cannot use it during the run; released when the run is over.
      Py_XSETREF(arguments_[i].buffer->donated_to, Py_NewRef(self_->label));
      arguments_[i].state = State::taken;
    }
    for (size_t j = 0; j < outputs_; ++j) {
      Buffer* result = reinterpret_cast<Buffer*>(PyTuple_GET_ITEM(results_, static_cast<Py_ssize_t>(j)));
      if (result->data != nullptr) continue;
      const int64_t donor = program_.output(static_cast<int32_t>(j)).b;
      result->data = std::exchange(arguments_[static_cast<size_t>(donor)].buffer->data, nullptr);
    }
  }

  ProgramObject* self_;
  const axon::Program& program_;
  PyObject* args_;
  size_t inputs_, outputs_;
  size_t bound_ = 0;  // arguments bound so far
  bool any_donated_ = false;
  Array<Argument> arguments_;
  Array<char*> input_pointers_, output_pointers_;
  std::vector<Py_buffer> views_;
  PyObject* results_ = nullptr;
  std::unique_ptr<Context> context_;
  PyObject* kept_ = nullptr;
};

thread_local Call* Call::current = nullptr;

}  // namespace

void raise_current() {
  try {
    throw;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const Interrupted&) {
    if (PyErr_Occurred() == nullptr) PyErr_SetNone(PyExc_KeyboardInterrupt);
  } catch (const std::bad_alloc& error) {
    PyErr_Format(PyExc_MemoryError, "no memory (%s)", error.what());
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}

PyObject* run_program(ProgramObject* self, PyObject* args, PyObject* donated, std::vector<double>* seconds) {
  if (!PyTuple_Check(args)) return PyErr_Format(PyExc_TypeError, "%U: expected a tuple of arguments, got %R", self->label, args);
  try {
    return Call(self, args).run(donated, seconds);
  } catch (const std::bad_alloc& error) {
    return PyErr_Format(PyExc_MemoryError, "%U: no memory for the run (%s)", self->label, error.what());
  } catch (...) {
    raise_current();
    return nullptr;
  }
}

PyObject* keep_run_alive() { return Call::current->keep_alive(); }

}  // namespace axon::python
