"""A model as text: the table of its layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .graph import Model, Node, Shape
from .parts import pick, show
from .shapes import Layout, Shaped, infer, needs_template


def table(model: Model, template: Any = None) -> str:
    """Layer, output shape and parameters of every layer, then the totals. With a template no shape is unknown.

    >>> from axon.model import input
    >>> print(table(input("x", shape=(None, 4)).dense(2, activation="relu")))
    ----------------------------------------
                     Model
    ========================================
     Layer            Shape      Parameters
    ========================================
     x (input)        (None, 4)  0
     dense_0 (dense)  (None, 2)  10
     relu_0 (relu)    (None, 2)  0
    ----------------------------------------
     Total parameters: 10
     Total parameter memory: 40 bytes
    """
    layouts = {} if template is None and needs_template(model) else infer(model, template)
    rows, total, memory = [], 0, 0
    for node, name in model.names.items():
        layout = layouts.get(name)
        read = ", ".join(model.names[p.node] + show(p.path) for p in node.parents)
        more = f": {read}" if len(node.parents) > 1 or any(p.path for p in node.parents) else ""
        more += _windows(node, model, layouts)
        shown = f"{name} ({node.op}{more})"
        if layout is None:
            rows.append((shown, "unknown", "unknown"))
            continue
        specs = [s for s in layout.parameters.values() if s.kind == "parameter"]
        count = sum(math.prod(s.shape) for s in specs)
        total += count
        memory += sum(math.prod(s.shape) * s.dtype.itemsize for s in specs)
        rows.append((shown, _shapes(layout.output), str(count)))
    header = ("Layer", "Shape", "Parameters")
    widths = [max(len(row[i]) for row in (header, *rows)) + 2 for i in range(3)]
    lines = [" " + "".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in (header, *rows)]
    width = sum(widths)
    rule = "=" * width
    totals = [f" Total parameters: {total}", f" Total parameter memory: {memory} bytes"] if layouts else []
    totals += [f" Output: {model.name}{show(model.path)}"] if model.path else []
    return "\n".join(
        ["-" * width, "Model".center(width).rstrip(), rule, lines[0], rule, *lines[1:], "-" * width, *totals]
    )


def _windows(node: Node, model: Model, layouts: Mapping[str, Layout]) -> str:
    """Over what a layer with a window moves it, where that is not an image of two axes: [batch, 8, 8] is easily meant
    as one channel."""
    if "kernel_size" not in node.options or not layouts:
        return ""
    parent = node.parents[0]
    shape = pick(layouts[model.names[parent.node]].output, parent.path, node.op.__str__).shape
    channels = shape[1 if node.options.get("channels") == "first" else -1]
    return "" if len(shape) == 4 else f", {len(shape) - 2}-d over {channels} channels"


def _shapes(output: Any) -> str:
    """The shape of a result, or those of several in their containers."""
    if isinstance(output, Shaped):
        return _shape(output.shape)
    if isinstance(output, dict):
        return "{" + ", ".join(f"{name}: {_shapes(part)}" for name, part in output.items()) + "}"
    return "[" + ", ".join(map(_shapes, output)) + "]"


def _shape(shape: Shape) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
