"""Numerical definitions: tracing, compilation on call, gradients, control flow."""

from ..graph.printing import text
from . import evaluate as evaluate
from .control import cond, fori_loop, scan, switch, while_loop
from .debugging import debug
from .grad import custom_grad, grad, stop_grad, value_and_grad, vjp
from .jit import Definition, Lowered, defn, jit

__all__ = [
    "Definition",
    "Lowered",
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
