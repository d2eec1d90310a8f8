"""Models: immutable graphs of layers, and the pure functions made of them. Every layer is a function here, too."""

from collections.abc import Callable as _Callable
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from .build import ModelFunctions as ModelFunctions
from .build import Prediction as Prediction
from .build import build as build
from .build import compile as compile
from .build import forward as forward
from .build import init as init
from .build import predict as predict
from .display import table as table
from .graph import Model as Model
from .graph import Node as Node
from .making import constant as constant
from .making import container as container
from .making import function as function
from .making import input as input
from .serialize import from_json as from_json
from .serialize import to_json as to_json
from .shapes import needs_template as needs_template
from .state import ModelState as ModelState

if _TYPE_CHECKING:
    from .functions import *  # noqa: F403


def __getattr__(name: str) -> _Callable[..., _Any]:
    return function(name)
