"""Axon's side of the table: every workload in each mode that makes sense of it.

native       compiled, one call a step
evaluate     the same definitions op by op
native_loop  many training steps in one compiled call
"""

from __future__ import annotations

from ..data import Table
from . import arrays, decoder, lstm, resnet, training

TABLE: Table = {**training.TABLE, **resnet.TABLE, **lstm.TABLE, **decoder.TABLE, **arrays.TABLE}
