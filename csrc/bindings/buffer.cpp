#include "bindings/buffer.h"

#include <utility>


namespace axon::python {

PyTypeObject* buffer_type = nullptr;

namespace {

Buffer* allocate_object(Device& device) {
  Buffer* self = PyObject_New(Buffer, buffer_type);
  if (self == nullptr) return nullptr;
  self->data = nullptr;
  self->device = &device;
  self->nbytes = 0;
  self->exports = 0;
  self->borrowed.obj = nullptr;
  self->donated_to = nullptr;
  self->offered = false;
  return self;
}

Buffer* cast(PyObject* object) { return reinterpret_cast<Buffer*>(object); }

PyObject* buffer_new(PyTypeObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"nbytes", nullptr};
  Py_ssize_t nbytes = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n:Buffer", const_cast<char**>(names), &nbytes)) return nullptr;
  if (nbytes < 0) return PyErr_Format(PyExc_ValueError, "Buffer: expected a size of at least 0 bytes, got %zd", nbytes);
  return reinterpret_cast<PyObject*>(new_buffer(nbytes, cpu()));
}

void buffer_dealloc(PyObject* object) {
  Buffer* self = cast(object);
  if (self->borrowed.obj != nullptr)
    PyBuffer_Release(&self->borrowed);
  else if (self->data != nullptr)
    self->device->release(self->data, self->nbytes);
  Py_XDECREF(self->donated_to);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* buffer_wrap(PyObject*, PyObject* exporter) {
  Buffer* self = allocate_object(cpu());
  if (self == nullptr) return nullptr;
  if (PyObject_GetBuffer(exporter, &self->borrowed, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) != 0) {
    PyErr_Clear();
    if (PyObject_GetBuffer(exporter, &self->borrowed, PyBUF_C_CONTIGUOUS) != 0) {
      self->borrowed.obj = nullptr;
      Py_DECREF(self);
      return nullptr;
    }
  }
  self->data = static_cast<char*>(self->borrowed.buf);
  self->nbytes = self->borrowed.len;
  return reinterpret_cast<PyObject*>(self);
}

PyObject* buffer_donate(PyObject* object, PyObject* label) {
  if (!check_alive(cast(object), "donate")) return nullptr;
  if (!PyUnicode_Check(label)) return PyErr_Format(PyExc_TypeError, "Buffer.donate: expected a str, got %R", label);
  donate(cast(object), label);
  Py_RETURN_NONE;
}

int buffer_get(PyObject* object, Py_buffer* view, int flags) {
  Buffer* self = cast(object);
  view->obj = nullptr;
  if (!check_alive(self, "view")) return -1;
  if (!self->device->host()) {
    PyErr_Format(PyExc_BufferError, "expected memory of the host, got a buffer on %s; copy it there", self->device->name());
    return -1;
  }
  const int readonly = self->borrowed.obj != nullptr && self->borrowed.readonly;
  if (PyBuffer_FillInfo(view, object, self->data, self->nbytes, readonly, flags) != 0) return -1;
  ++self->exports;
  return 0;
}

void buffer_release(PyObject* object, Py_buffer*) { --cast(object)->exports; }

PyObject* get_device(PyObject* object, void*) { return PyUnicode_FromString(cast(object)->device->name()); }
PyObject* get_nbytes(PyObject* object, void*) { return PyLong_FromSsize_t(cast(object)->nbytes); }
PyObject* get_exports(PyObject* object, void*) { return PyLong_FromSsize_t(cast(object)->exports); }
PyObject* get_donatable(PyObject* object, void*) { return PyBool_FromLong(donatable(cast(object))); }
PyObject* get_address(PyObject* object, void*) {
  if (!check_alive(cast(object), "address")) return nullptr;
  return PyLong_FromVoidPtr(cast(object)->data);
}
PyObject* get_donated_to(PyObject* object, void*) {
  PyObject* label = cast(object)->donated_to;
  return Py_NewRef(label != nullptr ? label : Py_None);
}
PyObject* get_readonly(PyObject* object, void*) {
  const Buffer* self = cast(object);
  return PyBool_FromLong(self->borrowed.obj != nullptr && self->borrowed.readonly);
}

PyObject* buffer_repr(PyObject* object) {
  const Buffer* self = cast(object);
  if (self->donated_to != nullptr) return PyUnicode_FromFormat("<Buffer donated to %U>", self->donated_to);
  return PyUnicode_FromFormat("<Buffer of %zd bytes%s>", self->nbytes, self->borrowed.obj != nullptr ? ", borrowed" : "");
}

PyMethodDef methods[] = {
    {"wrap", buffer_wrap, METH_O | METH_STATIC,
     "wrap(exporter) -> Buffer\n\nThe memory of a C-contiguous buffer exporter, kept alive and never donated."},
    {"donate", buffer_donate, METH_O, "donate(label)\n\nGive the memory up; later uses raise an error naming `label`."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef properties[] = {
    {"nbytes", get_nbytes, nullptr, "size in bytes", nullptr},
    {"device", get_device, nullptr, "where the memory lies", nullptr},
    {"address", get_address, nullptr, "where the memory is", nullptr},
    {"exports", get_exports, nullptr, "views of the memory and runs reading it", nullptr},
    {"donatable", get_donatable, nullptr, "owned, alive, and looked at by nobody", nullptr},
    {"donated_to", get_donated_to, nullptr, "label of the call that took the memory, or None", nullptr},
    {"readonly", get_readonly, nullptr, "borrowed from an exporter that forbids writing", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Buffer(nbytes)\n\n64-byte aligned memory that is not initialised; buffer protocol of writable bytes.")},
    {Py_tp_new, reinterpret_cast<void*>(buffer_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(buffer_dealloc)},
    {Py_tp_repr, reinterpret_cast<void*>(buffer_repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_bf_getbuffer, reinterpret_cast<void*>(buffer_get)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(buffer_release)},
    {0, nullptr}};

PyType_Spec spec = {"axon._core.Buffer", sizeof(Buffer), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};

// axon.errors.DonationError, looked up where it is raised: the runtime imports nothing of the package when it loads.
PyObject* donation_error() {
  if (PyObject* errors = PyImport_ImportModule("axon.errors")) {
    PyObject* found = PyObject_GetAttrString(errors, "DonationError");
    Py_DECREF(errors);
    if (found != nullptr) return found;
  }
  PyErr_Clear();
  return Py_NewRef(PyExc_RuntimeError);
}

}  // namespace

Buffer* new_buffer(Py_ssize_t nbytes, Device& device, char* data) {
  Buffer* self = allocate_object(device);
  if (self == nullptr) {
    if (data != nullptr) device.release(data, nbytes);
    return nullptr;
  }
  self->data = data;
  self->nbytes = nbytes;
  return self;
}

Buffer* new_buffer(Py_ssize_t nbytes, Device& device) {
  try {
    return new_buffer(nbytes, device, device.allocate(nbytes));
  } catch (const std::bad_alloc&) {
    PyErr_Format(PyExc_MemoryError, "no memory for a buffer of %zd bytes", nbytes);
    return nullptr;
  }
}

Buffer* lend_buffer(char* data, Py_ssize_t nbytes, bool readonly) {
  Buffer* self = allocate_object(cpu());
  if (self == nullptr) return nullptr;
  self->data = data;
  self->nbytes = nbytes;
  self->borrowed.obj = Py_NewRef(Py_None);
  self->borrowed.readonly = readonly;
  return self;
}

bool check_alive(const Buffer* buffer, const char* user) {
  if (buffer->donated_to == nullptr) return true;
  PyObject* error = donation_error();
  PyErr_Format(error, "%s: expected a tensor that holds memory, got one that was donated to %U; use what that call "
               "returned, or do not donate it", user, buffer->donated_to);
  Py_DECREF(error);
  return false;
}

void donate(Buffer* buffer, PyObject* label) {
  Py_XSETREF(buffer->donated_to, Py_NewRef(label));
  if (buffer->exports != 0) return;
  char* data = std::exchange(buffer->data, nullptr);
  if (buffer->borrowed.obj != nullptr)
    PyBuffer_Release(&buffer->borrowed);
  else if (data != nullptr)
    buffer->device->release(data, buffer->nbytes);
}

bool add_buffer_type(PyObject* module) {
  buffer_type = reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
  return buffer_type != nullptr && PyModule_AddObjectRef(module, "Buffer", reinterpret_cast<PyObject*>(buffer_type)) == 0;
}

}  // namespace axon::python
