"""An optimizer is a pipeline of updates: those of axon.updates, and steps of one's own among them.

It knows no model. Here it finds the lowest point of a narrow valley, which is at (1, 1).
"""

from typing import Any

from axon import jit, nx, tree, updates, value_and_grad


def relative(changes: Any, params: Any) -> Any:
    """Move each parameter in proportion to its own size."""
    return tree.map(lambda change, param: change * (nx.abs(param) + 0.1), changes, params)


optimizer = updates.scale_by_stddev(decay=0.99) | updates.stateless(relative) | updates.scale(-0.01)
print(optimizer)


def valley(params: Any) -> nx.Tensor:
    x, y = params["x"], params["y"]
    return (1 - x) ** 2 + 10 * (y - x**2) ** 2


@jit
def step(params: Any, state: Any) -> Any:
    height, slope = value_and_grad(valley)(params)
    changes, state = optimizer.update(slope, state, params)
    return updates.apply_updates(params, changes), state, height


params = {"x": nx.tensor(-1.0), "y": nx.tensor(1.5)}
state = optimizer.init(params)
for i in range(2001):
    params, state, height = step(params, state)
    if i % 500 == 0:
        print(f"step {i:4}  height {height.item():.4f}  at ({params['x'].item():.2f}, {params['y'].item():.2f})")
