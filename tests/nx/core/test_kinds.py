"""Kinds of op: each is a set of flags of its own, and nothing but these flags tells them apart."""

import re
from pathlib import Path

import axon
from axon.compiler.decompose import decompose
from axon.dtypes import float32
from axon.graph.expr import CALL, INPUT, Builder, Graph, Value
from axon.nx.core import kinds
from axon.nx.core.kinds import Kind
from axon.nx.core.op import TABLE, Inference, Op
from axon.nx.core.tensor import TensorType

KINDS = [kind for kind in vars(kinds).values() if isinstance(kind, Kind)]
PACKAGE = Path(axon.__file__).parent


def test_every_row_is_of_a_listed_kind() -> None:
    assert {op.kind for op in (*TABLE.values(), INPUT, CALL)} <= set(KINDS)
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(kind.name.upper() == name for name, kind in vars(kinds).items() if isinstance(kind, Kind))


def test_a_fused_kind_is_one_that_a_kernel_can_write() -> None:
    for kind in KINDS:
        assert sum((kind.pointwise, kind.moves, kind.reduces, kind.creates)) == kind.fused
        assert not kind.free or kind.moves or kind.creates


def test_no_pass_asks_for_the_name_of_a_kind() -> None:
    name = re.compile(r"op\.kind(\.name)? (==|!=|is|in|not) ")
    told = {str(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.py") if name.search(p.read_text())}
    assert told == set(), "ask for a flag of nx/core/kinds.py"


def test_effects_are_never_merged_and_stay_without_elements() -> None:
    nothing = TensorType(float32, (0,))
    builder = Builder()
    x = builder.input(nothing)
    for kind, count in ((kinds.EFFECT, 2), (kinds.ELEMENTWISE, 1)):
        op = Op(name="told", kind=kind, infer=lambda *_: Inference((float32,), (nothing,), {}))
        made = [builder.node(op, (x,), {}, (nothing,)) for _ in range(2)]
        assert len(set(made)) == count
        left = decompose(Graph((x,), tuple([Value(node, 0) for node in made])))
        assert sum(node.op is op for node in left.nodes) == (count if kind.opaque else 0)
