"""Training without a loop: `step` makes the two functions of a train step, `train` runs them over data."""

from .epochs import train as train
from .objectives import Loss as Loss
from .objectives import find_loss as find_loss
from .objectives import logits_of as logits_of
from .objectives import objective as objective
from .steps import Optimizer as Optimizer
from .steps import TrainPair as TrainPair
from .steps import TrainState as TrainState
from .steps import begun as begun
from .steps import find_optimizer as find_optimizer
from .steps import is_pair as is_pair
from .steps import model_step as model_step
from .steps import step as step
from .steps import train_pair as train_pair

__all__ = ["TrainState", "step", "train"]
