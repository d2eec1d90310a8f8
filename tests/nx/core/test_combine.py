"""How reductions combine: what each starts from changes nothing, and every reduction row has one of its own."""

import numpy as np
import pytest
from axon import nx
from axon.nx.core.combine import COMBINES, Combine
from axon.nx.core.op import TABLE, Op

from tests import cases


def reductions(how: Combine) -> list[Op]:
    return [op for op in TABLE.values() if op.combine is how and op.kind.reduces]


@pytest.mark.parametrize("how", COMBINES.values(), ids=lambda how: how.name)
def test_a_reduction_has_it(how: Combine) -> None:
    assert len(reductions(how)) == 1
    assert how.name in TABLE and (TABLE[how.name].kind.reduces if how.index else TABLE[how.name].kind.pointwise)
    assert how.further in ("", "greater", "less") and (how.further or not how.index)


@pytest.mark.parametrize("how", [how for how in COMBINES.values() if not how.index], ids=lambda how: how.name)
def test_what_it_starts_from_changes_no_bit(how: Combine) -> None:
    for dtype in cases.accepted(TABLE[how.name]):
        x = cases.sample(np.random.default_rng(1), dtype, (99,))
        start = nx.full((), how.identity(dtype), dtype)
        for made in (getattr(nx, how.name)(start, x), getattr(nx, how.name)(x, start)):
            want = nx.astype(x, made.dtype).numpy()
            np.testing.assert_array_equal(made.numpy(), want)
            np.testing.assert_array_equal(np.signbit(made.numpy()) & (want == want), np.signbit(want) & (want == want))
