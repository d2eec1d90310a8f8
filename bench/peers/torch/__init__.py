"""PyTorch: modules and torch.optim.

eager          one kernel an op; what a mode does not say otherwise
fused          the optimizer's fused form
channels_last  images and kernels in that layout, and the fused optimizer
compile        torch.compile of the loss and of the optimizer's step, or of the function
one_graph      gradient and update of plain tensors, compiled together
"""

from __future__ import annotations

from ...data import Table
from . import arrays, decoder, lstm, resnet, training

TABLE: Table = {**training.TABLE, **resnet.TABLE, **lstm.TABLE, **decoder.TABLE, **arrays.TABLE}
