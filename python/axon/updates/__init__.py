"""Updates: composable pairs of pure functions that turn gradients into what is added to the parameters.

    init(params) -> state
    update(gradients, state, params) -> (updates, state)

An Update is a pipeline of such steps. `a | b` runs a, then b; every constructor here also takes the pipeline before it
as its first argument, so `scale(scale_by_adam(), -0.001)` is `scale_by_adam() | scale(-0.001)`. What holds another
update takes that there instead, and is joined by `|` alone: `clip(1.0) | apply_if_finite(adam())`. The state is a tuple
of the states of the steps that have one, the newest step's first; a learning rate is in it (`with_rate`).

Updates keep their dtypes. What is computed of halves is computed in float32, numbers that no half holds among it, and
rounded once; what a step keeps of them (averages, sums) is float32.
"""

from .directions import centralize, clip, clip_by_global_norm, scale_by_trust_ratio
from .moments import (
    AdamState,
    StddevState,
    scale_by_adam,
    scale_by_belief,
    scale_by_radam,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
    scale_by_yogi,
    trace,
)
from .pipeline import Update, apply_updates, identity, stateful, stateless
from .rates import RateState, learning_rate, scale_by_learning_rate, with_rate
from .scaling import NoiseState, add_decayed_weights, add_noise, scale, scale_by_schedule
from .wrappers import FiniteState, apply_if_finite

__all__ = [
    "AdamState", "FiniteState", "NoiseState", "RateState", "StddevState", "Update", "add_decayed_weights", "add_noise",
    "apply_if_finite", "apply_updates", "centralize", "clip", "clip_by_global_norm", "identity", "learning_rate",
    "scale", "scale_by_adam", "scale_by_belief", "scale_by_learning_rate", "scale_by_radam", "scale_by_rms",
    "scale_by_rss", "scale_by_schedule", "scale_by_stddev", "scale_by_trust_ratio", "scale_by_yogi", "stateful",
    "stateless", "trace", "with_rate",
]  # fmt: skip
