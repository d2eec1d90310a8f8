"""Numerical definitions: tracing, compilation on call, gradients, control flow."""

import sys as _sys
import typing as _typing
from types import ModuleType as _ModuleType

from ..graph.printing import text as text
from . import checkpoint_policies as checkpoint_policies
from . import evaluate as evaluate
from .associative import associative_scan as associative_scan
from .branches import cond as cond
from .branches import switch as switch
from .callbacks import hook as hook
from .callbacks import io_call as io_call
from .callbacks import print_value as print_value
from .checkpoints import checkpoint as checkpoint
from .checkpoints import name as name
from .custom import custom_grad as custom_grad
from .custom_calls import custom_call as custom_call
from .custom_tangents import custom_jvp as custom_jvp
from .debugging import debug as debug
from .forward import jvp as jvp
from .forward import linearize as linearize
from .grad import grad as grad
from .grad import stop_grad as stop_grad
from .grad import value_and_grad as value_and_grad
from .grad import vjp as vjp
from .jacobians import hessian as hessian
from .jacobians import hvp as hvp
from .jacobians import jacfwd as jacfwd
from .jacobians import jacobian as jacobian
from .jacobians import jacrev as jacrev
from .jit import Definition as Definition
from .jit import defn as defn
from .jit import jit as jit
from .loops import fori_loop as fori_loop
from .loops import while_loop as while_loop
from .lowered import Lowered as Lowered
from .scans import scan as scan
from .vmap import vmap as vmap


class _Definitions(_ModuleType):
    """This package, which says what to write where it is called for its decorator."""

    def __call__(self, *args: _typing.Any, **options: _typing.Any) -> _typing.Never:
        raise TypeError("axon.defn: expected a decorator, got the module; write from axon.defn import defn")


_sys.modules[__name__].__class__ = _Definitions
