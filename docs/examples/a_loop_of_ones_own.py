"""A loop of one's own pair, (init, step): no model, no loss and no gradient, but batches, metrics, events and progress.

Here it finds the centres of three clouds of points, each batch moving a centre to the mean of the points nearest to it.
"""

from typing import Any

import numpy as np
from axon import nx
from axon.loop import Loop, Stepped, log

rng = np.random.default_rng(0)
clouds = np.array([[0, 0], [4, 1], [1, 5]], np.float32)
points = (clouds[rng.integers(0, 3, 900)] + rng.normal(0, 0.5, (900, 2))).astype(np.float32)


def init(batch: nx.Tensor) -> Any:
    """Centres at the first batch's first points, and how many points each has seen."""
    return {"centres": nx.asarray(batch)[:3], "seen": nx.zeros(3)}


def step(batch: nx.Tensor, state: Any) -> Stepped:
    centres, seen = state["centres"], state["seen"]
    distances = nx.sum((batch[:, None] - centres) ** 2, axis=-1)
    nearest = (nx.argmin(distances, axis=-1)[:, None] == nx.arange(3)).astype("float32")
    counts = nx.sum(nearest, axis=0)
    moved = (nearest.mT @ batch - counts[:, None] * centres) / nx.maximum(seen + counts, 1)[:, None]
    distance = nx.mean(nx.min(distances, axis=-1))
    return Stepped({"centres": centres + moved, "seen": seen + counts}, {"distance": distance})


loop = Loop.of(init, step, progress=False).metric("distance")
loop = loop.handle("epoch_completed", log(lambda s: f"epoch {s.epoch}  distance {s.metrics['distance']:.3f}"))
result = loop.run([points[i : i + 100] for i in range(0, 900, 100)], epochs=3)
for centre in sorted(result.state["centres"].tolist()):
    print("a centre at ({:.1f}, {:.1f})".format(*centre))
