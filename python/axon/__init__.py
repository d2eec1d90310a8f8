"""Deep learning in the functional style of Axon: tensors, numerical definitions, models, optimizers and loops."""

import typing as _typing
from importlib import import_module as _import_module

from . import activations as activations
from . import config
from . import defn as defn
from . import initializers as initializers
from . import layers as layers
from . import losses as losses
from . import metrics as metrics
from . import nx as nx
from . import optimizers as optimizers
from . import schedules as schedules
from . import training as training
from . import tree as tree
from . import updates as updates
from .defn import associative_scan as associative_scan
from .defn import checkpoint as checkpoint
from .defn import checkpoint_policies as checkpoint_policies
from .defn import cond as cond
from .defn import custom_call as custom_call
from .defn import custom_grad as custom_grad
from .defn import custom_jvp as custom_jvp
from .defn import debug as debug
from .defn import fori_loop as fori_loop
from .defn import grad as grad
from .defn import hessian as hessian
from .defn import hook as hook
from .defn import hvp as hvp
from .defn import io_call as io_call
from .defn import jacfwd as jacfwd
from .defn import jacobian as jacobian
from .defn import jacrev as jacrev
from .defn import jit as jit
from .defn import jvp as jvp
from .defn import linearize as linearize
from .defn import name as name
from .defn import print_value as print_value
from .defn import scan as scan
from .defn import stop_grad as stop_grad
from .defn import switch as switch
from .defn import value_and_grad as value_and_grad
from .defn import vjp as vjp
from .defn import vmap as vmap
from .defn import while_loop as while_loop
from .model import Model as Model
from .model import ModelState as ModelState
from .model import adaptive_avg_pool as adaptive_avg_pool
from .model import adaptive_lp_pool as adaptive_lp_pool
from .model import adaptive_max_pool as adaptive_max_pool
from .model import add as add
from .model import alpha_dropout as alpha_dropout
from .model import avg_pool as avg_pool
from .model import batch_norm as batch_norm
from .model import build as build
from .model import celu as celu
from .model import compile as compile
from .model import concatenate as concatenate
from .model import constant as constant
from .model import container as container
from .model import conv as conv
from .model import conv_transpose as conv_transpose
from .model import dense as dense
from .model import depthwise_conv as depthwise_conv
from .model import dropout as dropout
from .model import elu as elu
from .model import exp as exp
from .model import feature_alpha_dropout as feature_alpha_dropout
from .model import flatten as flatten
from .model import from_json as from_json
from .model import gelu as gelu
from .model import global_avg_pool as global_avg_pool
from .model import global_lp_pool as global_lp_pool
from .model import global_max_pool as global_max_pool
from .model import group_norm as group_norm
from .model import hard_sigmoid as hard_sigmoid
from .model import hard_silu as hard_silu
from .model import hard_tanh as hard_tanh
from .model import init as init
from .model import input as input
from .model import instance_norm as instance_norm
from .model import layer_norm as layer_norm
from .model import leaky_relu as leaky_relu
from .model import linear as linear
from .model import log_sigmoid as log_sigmoid
from .model import log_softmax as log_softmax
from .model import log_sumexp as log_sumexp
from .model import lp_pool as lp_pool
from .model import max_pool as max_pool
from .model import mish as mish
from .model import multiply as multiply
from .model import predict as predict
from .model import relu as relu
from .model import relu6 as relu6
from .model import selu as selu
from .model import separable_conv2d as separable_conv2d
from .model import separable_conv3d as separable_conv3d
from .model import sigmoid as sigmoid
from .model import silu as silu
from .model import softmax as softmax
from .model import softplus as softplus
from .model import softsign as softsign
from .model import spatial_dropout as spatial_dropout
from .model import subtract as subtract
from .model import tanh as tanh
from .model import to_json as to_json
from .runtime import memory as memory
from .runtime import release_memory as release_memory

if _typing.TYPE_CHECKING:
    from . import datasets as datasets
    from . import io as io
    from . import loop as loop
    from .loop import Loop as Loop

__version__ = "0.1.0"

_AT_FIRST_USE = {  # name -> the module it needs
    "Loop": "loop", "datasets": "datasets", "io": "io", "loop": "loop", "testing": "testing"
}  # fmt: skip


def __getattr__(name: str) -> _typing.Any:
    if name not in _AT_FIRST_USE:
        from .model.unknown import no_layer

        text = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(text if name.startswith("_") else f"{text}: {no_layer(name, layers.TABLE)}")
    module = _import_module(f".{_AT_FIRST_USE[name]}", __name__)
    return module if name == _AT_FIRST_USE[name] else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_AT_FIRST_USE})


def _numpy_backend() -> object:
    from .backends.array_api import numpy_backend

    try:
        from ._core import elementwise
    except ImportError:  # the runtime does not run on this machine
        return numpy_backend()
    return numpy_backend(elementwise, "tiled", lambda *row: config.lookup("program", "single").native_step(*row))


def _cupy_backend() -> object:
    from .backends.array_api import cupy_backend

    return cupy_backend()


def _compiler(name: str) -> _typing.Callable[[], object]:
    def load() -> object:
        from .compiler.pipeline import Compiler

        return Compiler(name)

    return load


def _single() -> object:
    from .compiler import single

    return single


def _inner() -> object:
    from .defn.inner import program

    return program


def _evaluate() -> object:
    from .defn.evaluate import Evaluate

    return Evaluate()


config.register("backend", "numpy", _numpy_backend)
config.register("backend", "cupy", _cupy_backend)
config.register("compiler", "native", _compiler("native"))
config.register("compiler", "tiled", _compiler("tiled"))
config.register("definition", "inner", _inner)
config.register("program", "single", _single)
config.register("compiler", "evaluate", _evaluate)
