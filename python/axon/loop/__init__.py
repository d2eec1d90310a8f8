"""Loops: steps on the device, and around them events, metrics, progress and validation."""

from .evaluation import evaluate as evaluate
from .handlers import early_stop as early_stop
from .handlers import log as log
from .loop import Loop as Loop
from .pairs import Stepped as Stepped
from .result import Result as Result
from .state import State as State
from .step import StepState as StepState
