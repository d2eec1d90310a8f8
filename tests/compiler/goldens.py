"""Golden texts of named models: the graph, the steps and the kernels. `python -m tests.compiler.goldens` writes them
again; the difference then is what a change did to compiled programs, and is reviewed like code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from axon.compiler.pipeline import Phases, lower
from axon.compiler.planning.memory import Plan
from axon.compiler.planning.regions import RegionStep
from axon.compiler.planning.schedule import HostStep, KernelStep
from axon.compiler.targets.target import CPU
from axon.dtypes import int32
from axon.graph.printing import text
from axon.graph.trace import trace

from .programs import (
    adam_step,
    cnn_loss,
    cnn_params,
    f32,
    layer_norm,
    lstm_loss,
    lstm_params,
    mlp_loss,
    mlp_params,
    sgd_step,
    softmax,
    typed,
)

FOLDER = Path(__file__).parent / "golden"
MLP, CNN, LSTM = mlp_params(784, 128, 10), cnn_params(16, 1024, 10), lstm_params(64, 256, 96)
MODELS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "softmax": (softmax, (f32(64, 1000),)),
    "layer_norm": (layer_norm, (f32(32, 768), f32(768), f32(768))),
    "mlp_train_step": (adam_step(mlp_loss), (MLP, MLP, MLP, f32(), f32(32, 784), typed(int32, 32))),
    "cnn_train_step": (sgd_step(cnn_loss), (CNN, f32(32, 16, 16, 1), typed(int32, 32))),
    "lstm_train_step": (sgd_step(lstm_loss), (LSTM, f32(64, 32, 64), typed(int32, 32))),
}


def golden(name: str) -> str:
    """A model's text: `p3` in a step is slot 3."""
    function, types = MODELS[name]
    graph = trace(function, types).graph
    plan = lower(graph, CPU, Phases())
    kernels = {k: f"kernel {n}" for n, k in enumerate(plan.schedule.kernels())}
    steps = [line for step in plan.schedule.steps for line in step_lines(step, kernels, plan)]
    parts = [text(graph), f"{len(steps)} calls", *steps]
    for kernel, named in kernels.items():
        parts += ["", f"{named}: {kernel}"]
    return "\n".join(parts) + "\n"


def step_lines(step: Any, kernels: dict[Any, str], plan: Plan | None) -> list[str]:
    """One line a call: what runs, over which slots (in a loop's body: over how many), with which numbers."""
    match step:
        case KernelStep():
            return [
                f"  {kernels[step.kernel]} {slots(c.memory, plan)} {c.parameters} {list(c.literals)}"
                for c in step.calls
            ]
        case HostStep():
            return [f"  {type(step).__name__} {step.node.op.name}"]
        case RegionStep():
            bodies = [[line for s in body.steps for line in step_lines(s, kernels, None)] for body in step.bodies]
            return [f"  {step.node.attrs['kind'].name}", *(f"    {line}" for body in bodies for line in body)]
        case _:
            return [f"  {step.symbol} {slots(step.memory, plan)} {list(step.ints)}"]


def slots(memory: Any, plan: Plan | None) -> str:
    if plan is None:
        return f"{len(memory)} operands"
    return " ".join(f"p{plan.of(m)}" for m in memory)


def renew() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in MODELS:
        (FOLDER / f"{name}.txt").write_text(golden(name))


if __name__ == "__main__":
    renew()
