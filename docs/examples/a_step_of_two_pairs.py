"""A train step of two pairs, (init, objective) and (init, update): no model, and any objective that has a gradient.

Here it is a line through points, some of them far off, by the mean absolute distance, which forgives these.
"""

import numpy as np
from axon import losses, nx, optimizers, training

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, 100).astype(np.float32)
y = 3 * x - 2
y[::10] += 20


def init() -> dict[str, nx.Tensor]:
    return {"slope": nx.zeros(()), "offset": nx.zeros(())}


def objective(params: dict[str, nx.Tensor], x: nx.Tensor, y: nx.Tensor) -> nx.Tensor:
    return losses.mean_absolute_error(y, params["slope"] * x + params["offset"], reduction="mean")


init_update, update = optimizers.adam(0.05)
init_fn, step_fn = training.step((init, objective), (init_update, update))

state = init_fn()
for i in range(301):
    state, loss = step_fn(state, x, y)
    if i % 100 == 0:
        print(f"step {i:3}  loss {loss.item():.3f}")
print("slope {slope:.2f}, offset {offset:.2f}".format(**{name: t.item() for name, t in state.model.items()}))
