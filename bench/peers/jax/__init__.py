"""JAX: pure functions, optax, donated state. `jit` is a step a call, `scan` many steps in a call."""

from __future__ import annotations

from ...data import Table
from . import arrays, decoder, lstm, resnet, training

TABLE: Table = {**training.TABLE, **resnet.TABLE, **lstm.TABLE, **decoder.TABLE, **arrays.TABLE}
