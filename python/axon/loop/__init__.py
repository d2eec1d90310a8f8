"""Training loops: steps on the device, and around them events, metrics, progress and validation."""

from .handlers import early_stop as early_stop
from .handlers import log as log
from .loop import Loop as Loop
from .loop import Result as Result
from .loop import evaluate as evaluate
from .pairs import Stepped as Stepped
from .state import State as State
from .step import StepState as StepState
