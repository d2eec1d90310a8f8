"""What donated tensors show. What a call may do with their memory: test_jit.py."""

import pytest
from axon import jit, nx
from axon.errors import DonationError


def train_step(x: nx.Tensor) -> nx.Tensor:
    return x + 1


@pytest.mark.parametrize("shape, kind", [((4,), "float32[4]"), ((), "float32[]")])
def test_a_donated_tensor_says_where_it_went(shape: tuple[int, ...], kind: str) -> None:
    x = nx.ones(shape)
    jit(train_step, donate="x")(x)
    assert repr(x) == str(x) == f"{x}" == f"{kind} donated to train_step"
    assert f"{[x]}" == f"[{kind} donated to train_step]"
    with pytest.raises(DonationError, match="train_step: expected a live tensor"):
        x + 1


def test_a_format_asks_for_the_value() -> None:
    x = nx.ones(())
    jit(train_step, donate="x")(x)
    with pytest.raises(DonationError, match="train_step: expected a live tensor"):
        f"{x:.2f}"
