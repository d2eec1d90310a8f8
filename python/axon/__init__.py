"""Deep learning in the functional style of Axon: tensors, numerical definitions, models, optimizers and loops."""

from __future__ import annotations

from . import config


def _numpy_backend() -> object:
    from .backends.array_api import numpy_backend

    return numpy_backend()


def _cupy_backend() -> object:
    from .backends.array_api import cupy_backend

    return cupy_backend()


def _native() -> object:
    from .compiler.program import Native

    return Native()


def _evaluate() -> object:
    from .defn.evaluate import Evaluate

    return Evaluate()


config.register("backend", "numpy", _numpy_backend)
config.register("backend", "cupy", _cupy_backend)
config.register("compiler", "native", _native)
config.register("compiler", "evaluate", _evaluate)
