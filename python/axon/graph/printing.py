"""The stable text form of a Graph: what golden tests pin and `fn.lower(...).graph()` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .expr import INPUT, Graph, Value


def text(graph: Graph, *, sources: bool = False) -> str:
    """One line a node, `%3 = add(%1, %2): float32[3,4]`: inputs first, then the nodes in order; regions are indented
    under their call. Attributes follow the operands in the row's order. sources: append each node's `file:line`.
    """
    return "\n".join(_lines("graph", graph, "", sources))


def _lines(head: str, graph: Graph, pad: str, sources: bool) -> list[str]:
    names: dict[Value, str] = {}

    def define(value: Value) -> str:
        return names.setdefault(value, f"%{len(names)}")

    inputs = ", ".join(f"{define(v)}: {v.type}" for v in graph.inputs)
    lines = [f"{pad}{head}({inputs})"]
    pad += "  "
    for node in graph.nodes:
        if node.op is INPUT:
            continue
        arguments = [names[v] for v in node.inputs]
        regions: Sequence[Graph] = node.attrs.get("regions", ())
        arguments += [f"{k}={_shown(v)}" for k, v in node.attrs.items() if k != "regions"]
        results = ", ".join(define(Value(node, i)) for i in range(len(node.types)))
        types = ", ".join(map(str, node.types))
        results, types = (f"{results} = ", f": {types}") if node.types else ("", "")  # an effect may give nothing
        end = f"  # {node.source}" if sources and node.source else ""
        lines.append(f"{pad}{results}{node.op.name}({', '.join(arguments)}){types}{end}")
        for i, region in enumerate(regions):
            lines += _lines(f"region {i}", region, pad + "  ", sources)
    lines.append(f"{pad}return {', '.join(names[v] for v in graph.outputs)}".rstrip())
    return lines


def _shown(value: Any) -> str:
    """An attribute; a callable by its name, since its address would differ from run to run."""
    return getattr(value, "__name__", None) or repr(value) if callable(value) else repr(value)
