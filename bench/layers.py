"""`python -m bench.layers`: layers alone, forward, beside PyTorch's.

python -m bench.layers                  all of them
python -m bench.layers group_norm       only these
python -m bench.layers --threads 1      one thread each

Ours is one jitted call over channels-last images. PyTorch's is its eager function, over both of its layouts; `best` is
the ratio to the faster one, whichever it is. All run in this process, in blocks that take turns: a figure is the median
of the blocks, a ratio that of blocks side by side. `others` is what other processes used of the machine: it should be
quiet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .eager import table
from .machine import Others
from .turns import in_turns, milliseconds, parser, ratio

BATCH, SIDE = 8, 56


class Case(NamedTuple):
    """One layer: channels, shapes of its parameters, and what computes it, of ours (axon.layers, arrays) and of
    PyTorch's (torch.nn.functional, arrays), whose images and kernels have channels first."""

    channels: int
    shapes: tuple[tuple[int, ...], ...]
    ours: Callable[..., Any]
    theirs: Callable[..., Any]


def _norms(channels: int) -> tuple[tuple[int, ...], ...]:
    return ((channels,),) * 2


CASES: dict[str, Case] = {
    "depthwise_conv": Case(
        96,
        ((3, 3, 1, 96), (96,)),
        lambda layers, x, kernel, bias: layers.depthwise_conv(x, kernel, bias, padding="same"),
        lambda f, x, kernel, bias: f.conv2d(x, kernel, bias, padding=1, groups=96),
    ),
    "group_norm": Case(
        64,
        _norms(64),
        lambda layers, x, gamma, beta: layers.group_norm(x, gamma, beta, num_groups=8),
        lambda f, x, gamma, beta: f.group_norm(x, 8, gamma, beta),
    ),
    "instance_norm": Case(
        64,
        (*_norms(64), *_norms(64)),
        lambda layers, x, gamma, beta, mean, var: layers.instance_norm(x, gamma, beta, mean, var, mode="train").output,
        lambda f, x, gamma, beta, mean, var: f.instance_norm(x, None, None, gamma, beta),
    ),
    "layer_norm": Case(
        64,
        _norms(64),
        lambda layers, x, gamma, beta: layers.layer_norm(x, gamma, beta),
        lambda f, x, gamma, beta: f.layer_norm(x.permute(0, 2, 3, 1), (64,), gamma, beta).permute(0, 3, 1, 2),
    ),
    "lp_pool": Case(
        64,
        (),
        lambda layers, x: layers.lp_pool(x, kernel_size=2),
        lambda f, x: f.lp_pool2d(x, 2.0, 2),
    ),
    "avg_pool": Case(
        64,
        (),
        lambda layers, x: layers.avg_pool(x, kernel_size=2),
        lambda f, x: f.avg_pool2d(x, 2),
    ),
}


def row(name: str, seconds: float, blocks: int) -> tuple[str, ...]:
    import torch
    from axon import jit, layers, nx

    case = CASES[name]
    rng = np.random.default_rng(0)
    x, *parameters = (rng.normal(size=s).astype("f4") for s in ((BATCH, SIDE, SIDE, case.channels), *case.shapes))
    compiled = jit(lambda *arrays: case.ours(layers, *arrays))
    mine = [nx.tensor(a) for a in (x, *parameters)]
    own = [torch.from_numpy(a.transpose(3, 2, 0, 1).copy() if a.ndim == 4 else a) for a in parameters]
    last = torch.from_numpy(x).permute(0, 3, 1, 2)

    def theirs(images: Any) -> Callable[[], Any]:
        return lambda: case.theirs(torch.nn.functional, images, *own)

    calls = [lambda: compiled(*mine), theirs(last), theirs(last.contiguous())]
    others = Others()
    with torch.inference_mode():
        np.testing.assert_allclose(calls[0]().numpy(), calls[1]().permute(0, 2, 3, 1).numpy(), rtol=1e-3, atol=1e-4)
        times = in_turns(calls, seconds, blocks)
    ratios = [ratio(times[0], t) for t in times[1:]]
    return name, *map(milliseconds, times), f"{ratios[0]:.2f}", f"{max(ratios):.2f}", f"{others.percent():.0f} %"


def main() -> None:
    options = parser("layers", __doc__, seconds=0.1, blocks=15)
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args()
    import torch
    from axon._core import set_threads

    torch.set_num_threads(given.threads)
    set_threads(given.threads)
    head = ("layer", "ms", "torch, channels last", "channels first", "ratio", "best", "others")
    print(table(head, [row(n, given.seconds, given.blocks) for n in given.names or CASES]))


if __name__ == "__main__":
    main()
