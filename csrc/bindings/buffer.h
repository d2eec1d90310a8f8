// Buffer: memory with an owner, as Python sees it. Raw CPython, because a program call makes and takes many of them.
#pragma once
#include <Python.h>

#include "runtime/device.h"

namespace axon::python {

struct Buffer {
  PyObject_HEAD
  char* data;           // null when donated and gone
  Device* device;       // where it lies
  Py_ssize_t nbytes;
  Py_ssize_t exports;   // views of it, and runs that are reading it
  Py_buffer borrowed;   // what it wraps; borrowed.obj is null for memory of our own
  PyObject* donated_to; // the label of the call that took it, or null
  bool offered;         // a call that is being prepared is to take it
};

extern PyTypeObject* buffer_type;

inline bool is_buffer(PyObject* object) { return Py_TYPE(object) == buffer_type; }

// A Buffer of fresh memory of a device, or of memory it takes over (allocated there for this size). Null with an exception
// set when there is no memory.
Buffer* new_buffer(Py_ssize_t nbytes, Device& device);
Buffer* new_buffer(Py_ssize_t nbytes, Device& device, char* data);

// A Buffer over the host's memory of somebody else. Its borrowed.obj, None at first, is to be what keeps that memory alive.
Buffer* lend_buffer(char* data, Py_ssize_t nbytes, bool readonly);

// False, with DonationError set, for a buffer that was donated.
bool check_alive(const Buffer* buffer, const char* user);

// Marks the buffer as donated. Its memory is released, or handed on when the caller takes `data` first, unless
// something still looks at it: then it lives as long as the views.
void donate(Buffer* buffer, PyObject* label);

// May the memory be handed on: its own, and nobody else looks at it.
inline bool donatable(const Buffer* buffer) {
  return buffer->data != nullptr && buffer->exports == 0 && buffer->borrowed.obj == nullptr;
}

bool add_buffer_type(PyObject* module);

}  // namespace axon::python
