"""JAX: pure functions, optax, donated state.

jit    a step a call
scan   many steps in a call; not where there are convolutions, which take 40 times as long inside one
"""

from __future__ import annotations

from ...data import Table
from . import arrays, decoder, lstm, resnet, training

TABLE: Table = {**training.TABLE, **resnet.TABLE, **lstm.TABLE, **decoder.TABLE, **arrays.TABLE}
