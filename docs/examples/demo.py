"""Train an MLP and a small CNN on real images, and show what happened.

    python docs/examples/demo.py                         scikit-learn's handwritten digits, under a minute
    python docs/examples/demo.py --data fashion-mnist    Fashion-MNIST, from Debian's package dataset-fashion-mnist

Prints each model's table, what compiling its train step cost, and a line an epoch; writes the learning curves (PNG) and
the parameters (safetensors) to --out. The exit status is 1 when a test accuracy is below its floor.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import axon
from axon import Model
from axon.datasets import Batches, Split, batches, digits, fashion_mnist
from axon.loop import Loop, Result


@dataclass(frozen=True)
class Recipe:
    """How one model is trained, and the test accuracy it has to reach."""

    epochs: int
    rate: float
    size: int  # of a batch
    floor: float


DATA = {"digits": digits, "fashion-mnist": fashion_mnist}
RECIPES = {
    ("digits", "mlp"): Recipe(epochs=12, rate=3e-3, size=32, floor=0.97),
    ("digits", "cnn"): Recipe(epochs=12, rate=3e-3, size=32, floor=0.98),
    ("fashion-mnist", "mlp"): Recipe(epochs=5, rate=1.5e-3, size=64, floor=0.88),
    ("fashion-mnist", "cnn"): Recipe(epochs=5, rate=2e-3, size=64, floor=0.905),
}


def mlp(shape: tuple[int, ...], classes: int) -> Model:
    return (
        axon.input("image", shape=(None, *shape))
        .flatten()
        .dense(256, activation="relu")
        .dropout(rate=0.1)
        .dense(128, activation="relu")
        .dense(classes, activation="softmax")
    )


def cnn(shape: tuple[int, ...], classes: int) -> Model:
    x = axon.input("image", shape=(None, *shape))
    for channels in (16, 32):
        x = x.conv(channels, kernel_size=3, padding="same").batch_norm().relu().max_pool(kernel_size=2)
    return x.flatten().dropout(rate=0.3).dense(128, activation="relu").dense(classes, activation="softmax")


MODELS = {"mlp": mlp, "cnn": cnn}


def prepare(data: Split, name: str, recipe: Recipe) -> tuple[Loop, Batches]:
    """The loop that trains a model, and its batches."""
    model = MODELS[name](data.x_train.shape[1:], len(data.classes))
    # The last batch is smaller: the step is traced a second time for it, as a line of each run says.
    train = batches(data.x_train, data.y_train, recipe.size)
    rate = axon.schedules.cosine_decay(recipe.rate, decay_steps=recipe.epochs * len(train))
    loop = Loop.trainer(model, "categorical_cross_entropy", axon.optimizers.adamw(rate, decay=0.01)).metric("accuracy")
    return loop.validate(batches(data.x_test, data.y_test, 500, seed=None)), train


def compile_line(loop: Loop, train: Batches) -> str:
    """What compiling the train step cost: trace, plan, codegen and compile milliseconds, and where its kernels came
    from. Takes one step to have a state of the right types."""
    last = loop.run(train, iterations=1).last
    x, y = next(iter(train))
    return loop.steps().train.lower(last.step, x, y).report().phases


def compile_report(dataset: str, name: str) -> None:
    """Print the compile line of a fresh process with an empty kernel cache, and of a second one that finds it full."""
    with tempfile.TemporaryDirectory(prefix="axon-demo-") as folder:
        for when in ("cold", "from cache"):
            command = [sys.executable, __file__, "--data", dataset, "--compile-only", name]
            ran = subprocess.run(
                command, env={**os.environ, "AXON_CACHE_DIR": folder}, stdout=subprocess.PIPE, text=True, check=True
            )
            print(f"compile, {when + ':':<12} {ran.stdout.strip()}")


def plot(results: dict[str, Result], dataset: str, path: Path) -> None:
    """The learning curves: loss and accuracy an epoch, of training (thin) and test (thick), labelled at their ends."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, MaxNLocator, MultipleLocator, NullLocator, PercentFormatter

    ink, colors = "#3a3f47", {"mlp": "#d1662f", "cnn": "#2a6f97"}
    plt.rcParams.update({"font.size": 11, "text.color": ink, "axes.edgecolor": "#b8bcc2", "axes.labelcolor": ink})
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for axis, metric, title in zip(axes, ("loss", "accuracy"), ("Loss", "Accuracy")):
        ends = []
        for name, result in results.items():
            epochs = [h["epoch"] for h in result.history]
            for prefix, width, alpha in (("", 1.2, 0.55), ("validation_", 2.6, 1.0)):
                values = [h[prefix + metric] for h in result.history]
                axis.plot(epochs, values, color=colors[name], lw=width, alpha=alpha, solid_capstyle="round")
            axis.plot(epochs[-1], values[-1], "o", color=colors[name], ms=5.5)
            ends.append((name, epochs[-1], values[-1]))
        axis.set_title(title, loc="left", fontweight="bold", pad=10)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(axis="y", color="#e6e8eb", lw=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(length=0, colors=ink)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.margins(x=0.03)
        if metric == "loss":
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_locator(NullLocator())
        else:
            axis.yaxis.set_major_locator(MultipleLocator(0.05))
            lowest = min(h["validation_accuracy"] for result in results.values() for h in result.history)
            axis.set_ylim(lowest - 0.03, 1.003)
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        label_ends(axis, ends, colors, metric)
    note = f"Learning curves on {dataset}. Thick: test set, thin: training."
    figure.suptitle(note, x=0.008, ha="left", fontsize=11, color="#6b7280")
    figure.savefig(path, dpi=160)
    plt.close(figure)


def label_ends(axis, ends: Sequence[tuple[str, float, float]], colors: dict[str, str], metric: str) -> None:
    """Write each curve's name and last value to its right, the labels pushed apart where curves end close together."""
    to_pixels = axis.transData.transform
    places = sorted((to_pixels((x, y))[1], name, x, y) for name, x, y in ends)
    gap, offsets = 16.0, []
    for pixel, *_ in places:
        offsets.append(max(pixel, offsets[-1] + gap) if offsets else pixel)
    shift = (sum(p for p, *_ in places) - sum(offsets)) / len(places)
    for offset, (pixel, name, x, y) in zip(offsets, places):
        shown = f"{y:.2%}" if metric == "accuracy" else f"{y:.3f}"
        axis.annotate(
            f"{name.upper()}  {shown}",
            (x, y),
            (9, (offset + shift - pixel) * 72 / axis.figure.dpi),
            textcoords="offset points",
            color=colors[name],
            fontweight="bold",
            va="center",
            annotation_clip=False,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", choices=DATA, default="digits")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--compile-only", choices=MODELS, help="print what compiling one model's train step costs")
    options = parser.parse_args(arguments)
    try:
        data = DATA[options.data]()
    except (FileNotFoundError, ModuleNotFoundError) as error:
        print(error)
        return 1
    if options.compile_only:
        loop, train = prepare(data, options.compile_only, RECIPES[options.data, options.compile_only])
        print(compile_line(replace(loop, progress=False, validation=None), train))
        return 0

    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Result] = {}
    for name in MODELS:
        recipe = RECIPES[options.data, name]
        loop, train = prepare(data, name, recipe)
        print(f"\n{name.upper()} on {options.data}\n{loop.model}\n", flush=True)
        compile_report(options.data, name)
        results[name] = loop.run(train, epochs=recipe.epochs)
        results[name].save(options.out / f"{options.data}-{name}.safetensors")
        if results[name].status == "interrupted":
            return 130
    picture = options.out / f"{options.data}-learning-curves.png"
    plot(results, options.data, picture)

    print()
    reached = []
    for name, result in results.items():
        accuracy, floor = result.history[-1]["validation_accuracy"], RECIPES[options.data, name].floor
        reached.append(accuracy >= floor)
        print(f"{name.upper()} test accuracy {accuracy:.2%} ({'reaches' if reached[-1] else 'BELOW'} {floor:.1%})")
    print(f"learning curves in {picture}, parameters in {options.out}/{options.data}-*.safetensors")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
