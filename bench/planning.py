"""`python -m bench.planning`: what large programs take before they run: tracing, planning, compiling.

python -m bench.planning                    every row, axon and JAX in turns, three rounds
python -m bench.planning --rows jacobian    only this one (init, update, jacobian, resnet)
python -m bench.planning --scale 0.1        at a tenth of the sizes

Each row is measured in a fresh process. A cell shows seconds by the clock and, in brackets, of processors (the process
and its compilers), which a busy machine changes little: of the first round, which finds empty compile caches, and the
least of the later ones, which find what it left.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from .machine import used_seconds
from .run import ALWAYS, ROOT, caches

Seconds = tuple[float, float]  # by the clock, and of processors
Rows = Iterator[tuple[str, Seconds]]
FRAMEWORKS = ("axon", "jax")


def timed(call: Callable[[], Any]) -> Seconds:
    """What a call takes."""
    wall, (_, used) = time.perf_counter(), used_seconds()
    call()
    return time.perf_counter() - wall, used_seconds()[1] - used


def tensors(count: int) -> list[tuple[int, int]]:
    """Their shapes."""
    return [(4 + i % 5, 8) for i in range(count)]


def axon_init(n: int) -> Rows:
    import axon

    model = axon.input("x", shape=(None, 8))
    for _ in range(n):
        model = model.dense(8)
    yield f"init of {n} dense layers", timed(lambda: axon.init(model))
    yield "the same model's init again", timed(lambda: axon.init(model))


def axon_update(n: int) -> Rows:
    from axon import jit, nx, optimizers

    optimizer, p = optimizers.adam(1e-3), [nx.ones(shape) for shape in tensors(n)]
    state = optimizer.init(p)
    yield f"Adam over {n} tensors, lowered", timed(lambda: jit(lambda *a: optimizer.update(*a)).lower(p, state, p))


def jax_update(n: int) -> Rows:
    import jax
    import optax

    optimizer, p = optax.adam(1e-3), [jax.numpy.ones(shape) for shape in tensors(n)]
    state = optimizer.init(p)
    yield f"Adam over {n} tensors, lowered", timed(lambda: jax.jit(lambda *a: optimizer.update(*a)).lower(p, state, p))


def axon_jacobian(n: int) -> Rows:
    import axon
    from axon import jit, nx

    def jacobian(p: Any) -> Any:
        y, back = axon.vjp(lambda p: nx.tanh(nx.outer(p, p).reshape((-1,))), p)
        rows = nx.eye(y.shape[0])
        return nx.stack([back(rows[i])[0] for i in range(y.shape[0])])

    x = nx.ones(n)
    yield f"Jacobian of {n * n} x {n}, first call", timed(lambda: jit(jacobian)(x))


def jax_jacobian(n: int) -> Rows:
    import jax

    numpy = jax.numpy
    function = jax.jit(jax.jacrev(lambda p: numpy.tanh(numpy.outer(p, p).reshape(-1))))
    x = numpy.ones(n)
    yield f"Jacobian of {n * n} x {n}, first call", timed(lambda: function(x).block_until_ready())


def axon_resnet(_: int) -> Rows:
    from axon import jit, nx, optimizers

    from . import models
    from .data import BATCHES, CLASSES, FULL
    from .workloads import resnet
    from .workloads.trainer import Trainer, train_step

    optimizer = optimizers.sgd(0.01, momentum=0.9)
    step = train_step(resnet.loss, optimizer)
    state = Trainer(step, optimizer, *models.resnet("small", CLASSES), compiler="native").state
    batch = [nx.tensor(array) for array in BATCHES["W3_train"](FULL)]
    lower = lambda: jit(lambda *a: step(*a), donate=0).lower(state, *batch)  # noqa: E731
    lower()  # makes the kernels
    yield "ResNet-18 train step, traced and planned", min(timed(lower) for _ in range(5))


def jax_resnet(_: int) -> Rows:
    import jax
    import optax

    from . import models
    from .data import BATCHES, CLASSES, FULL
    from .peers.jax import resnet
    from .peers.jax.trainer import Trainer

    trainer: Any = Trainer(resnet.loss, optax.sgd(0.01, momentum=0.9), *models.resnet("small", CLASSES))
    batch = [jax.numpy.asarray(array) for array in BATCHES["W3_train"](FULL)]
    step = trainer.step.__wrapped__
    lower = lambda: jax.jit(lambda *a: step(*a), donate_argnums=0).lower(trainer.state, *batch)  # noqa: E731
    lower()
    yield "ResNet-18 train step, traced and planned", min(timed(lower) for _ in range(5))


SIZES = {"init": 800, "update": 4000, "jacobian": 15, "resnet": 1}


def measure(framework: str, row: str, scale: float) -> dict[str, Seconds]:
    """One row in this process, after something small."""
    if framework == "axon":
        from axon import jit, nx

        jit(lambda x: x + 1)(nx.ones(3))
    else:
        import jax

        jax.jit(lambda x: x + 1)(jax.numpy.ones(3)).block_until_ready()
    return dict(globals()[f"{framework}_{row}"](max(2, int(SIZES[row] * scale))))


def run(framework: str, row: str, scale: float, folder: str) -> dict[str, Seconds]:
    """One row in a fresh process."""
    command = [sys.executable, "-m", "bench.planning", "--child", framework, "--rows", row, "--scale", str(scale)]
    environment = os.environ | ALWAYS | caches(folder)
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def cell(seconds: Seconds | None) -> str:
    return "" if seconds is None else f"{seconds[0]:.3g} ({seconds[1]:.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.planning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(SIZES))
    parser.add_argument("--frameworks", default=",".join(FRAMEWORKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes")
    parser.add_argument("--child", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(given.child, given.rows, given.scale)))
        return
    chosen = given.frameworks.split(",")
    print("| seconds |", " | ".join(f"{f}, first | {f}, later" for f in chosen), "|")
    print("|---|" + "---|---|" * len(chosen))
    for row in given.rows.split(","):
        found: dict[str, dict[str, list[Seconds]]] = {}
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            for _ in range(given.rounds):
                for framework in chosen:
                    if f"{framework}_{row}" not in globals():
                        continue
                    place = os.path.join(folder, framework)
                    os.makedirs(place, exist_ok=True)
                    for title, seconds in run(framework, row, given.scale, place).items():
                        found.setdefault(title, {}).setdefault(framework, []).append(seconds)
        for title, by in found.items():
            rounds = [by.get(f, []) for f in chosen]
            cells = [c for r in rounds for c in (cell(r[0] if r else None), cell(min(r[1:], default=None)))]
            print(f"| {title} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
