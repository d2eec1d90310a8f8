"""Numerical definitions: tracing, compilation on call, gradients, control flow."""

import sys as _sys
import typing as _typing
from types import ModuleType as _ModuleType

from ..graph.printing import text
from . import evaluate as evaluate
from .branches import cond, switch
from .checkpoints import checkpoint
from .custom import custom_grad
from .debugging import debug
from .grad import grad, stop_grad, value_and_grad, vjp
from .jit import Definition, Lowered, defn, jit
from .loops import fori_loop, scan, while_loop

__all__ = [
    "Definition",
    "Lowered",
    "checkpoint",
    "cond",
    "custom_grad",
    "debug",
    "defn",
    "fori_loop",
    "grad",
    "jit",
    "scan",
    "stop_grad",
    "switch",
    "text",
    "value_and_grad",
    "vjp",
    "while_loop",
]


class _Definitions(_ModuleType):
    """This package, which says what to write where it is called for its decorator."""

    def __call__(self, *args: _typing.Any, **options: _typing.Any) -> _typing.Never:
        raise TypeError("axon.defn: expected a decorator, got the module; write from axon.defn import defn")


_sys.modules[__name__].__class__ = _Definitions
