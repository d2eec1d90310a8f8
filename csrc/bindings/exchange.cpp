// axon._exchange: arrays of other libraries in and out, by DLPack, without a copy.
#include <nanobind/nanobind.h>

NB_MODULE(_exchange, module) { module.doc() = "DLPack exchange"; }
