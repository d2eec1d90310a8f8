// The token is the one of axon.tree: preorder, "*" for a leaf, else type, metadata, number of children. Types that are
// not built-in containers are leaves here; axon.tree knows the others.
#include "bindings/flatten.h"

namespace axon::python {
namespace {

PyObject* star = nullptr;
PyObject* fields_name = nullptr;

// Two lists that grow; false with an exception set when something fails.
class Flattening {
 public:
  Flattening() : leaves_(PyList_New(0)), token_(PyList_New(0)) {}
  ~Flattening() {
    Py_XDECREF(leaves_);
    Py_XDECREF(token_);
  }

  PyObject* run(PyObject* tree) {
    if (leaves_ == nullptr || token_ == nullptr || !visit(tree)) return nullptr;
    PyObject* token = PyList_AsTuple(token_);
    if (token == nullptr) return nullptr;
    PyObject* result = PyTuple_Pack(2, leaves_, token);
    Py_DECREF(token);
    return result;
  }

 private:
  bool visit(PyObject* tree) {
    PyTypeObject* type = Py_TYPE(tree);
    if (type == &PyDict_Type) return nested(&Flattening::dict, tree);
    if (type == &PyList_Type) return nested(&Flattening::list, tree);
    if (type == &PyTuple_Type || named_tuple(type)) return nested(&Flattening::tuple, tree);
    if (tree == Py_None) return node(type, Py_None, 0);
    return PyList_Append(leaves_, tree) == 0 && PyList_Append(token_, star) == 0;
  }

  static bool named_tuple(PyTypeObject* type) {
    return PyType_HasFeature(type, Py_TPFLAGS_TUPLE_SUBCLASS) && _PyType_Lookup(type, fields_name) != nullptr;
  }

  bool nested(bool (Flattening::*kind)(PyObject*), PyObject* tree) {
    if (Py_EnterRecursiveCall(" in a tree") != 0) return false;
    const bool done = (this->*kind)(tree);
    Py_LeaveRecursiveCall();
    return done;
  }

  bool node(PyTypeObject* type, PyObject* metadata, Py_ssize_t count) {
    PyObject* number = PyLong_FromSsize_t(count);
    const bool done = number != nullptr && PyList_Append(token_, reinterpret_cast<PyObject*>(type)) == 0 &&
                      PyList_Append(token_, metadata) == 0 && PyList_Append(token_, number) == 0;
    Py_XDECREF(number);
    return done;
  }

  bool dict(PyObject* tree) {
    PyObject* keys = PyTuple_New(PyDict_GET_SIZE(tree));
    if (keys == nullptr) return false;
    PyObject *key, *value;
    for (Py_ssize_t position = 0, i = 0; PyDict_Next(tree, &position, &key, &value); ++i)
      PyTuple_SET_ITEM(keys, i, Py_NewRef(key));
    const bool done = node(&PyDict_Type, keys, PyTuple_GET_SIZE(keys));
    Py_DECREF(keys);
    if (!done) return false;
    for (Py_ssize_t position = 0; PyDict_Next(tree, &position, &key, &value);)
      if (!visit(value)) return false;
    return true;
  }

  bool list(PyObject* tree) {
    if (!node(&PyList_Type, Py_None, PyList_GET_SIZE(tree))) return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(tree); ++i)
      if (!visit(PyList_GET_ITEM(tree, i))) return false;
    return true;
  }

  bool tuple(PyObject* tree) {
    if (!node(Py_TYPE(tree), Py_None, PyTuple_GET_SIZE(tree))) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tree); ++i)
      if (!visit(PyTuple_GET_ITEM(tree, i))) return false;
    return true;
  }

  PyObject* leaves_;
  PyObject* token_;
};

PyObject* flatten(PyObject*, PyObject* tree) { return Flattening().run(tree); }

PyMethodDef functions[] = {
    {"flatten", flatten, METH_O,
     "flatten(tree) -> (leaves, token)\n\nThe leaves of nested dicts, lists, tuples and NamedTuples in insertion order,\n"
     "and the rest as one hashable tuple, equal to the structure of axon.tree."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_flatten(PyObject* module) {
  star = PyUnicode_InternFromString("*");
  fields_name = PyUnicode_InternFromString("_fields");
  return star != nullptr && fields_name != nullptr && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace axon::python
