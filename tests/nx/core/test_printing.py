"""What tensors print as: repr, str and formats."""

import ml_dtypes
import numpy as np
import pytest
from axon import nx
from axon.defn import jit
from axon.errors import ShapeError


@pytest.mark.parametrize(
    "value, text",
    [
        (1.5, "float32[] 1.5"),
        ([1, 2], "int32[2] [1, 2]"),
        ([[True], [False]], "bool[2,1]\n[[ True],\n [False]]"),
        (np.zeros((0, 2), np.float32), "float32[0,2]\n[]"),
        (np.array([1, 2], ml_dtypes.bfloat16), "bfloat16[2] [1., 2.]"),
    ],
)
def test_repr(value, text):
    assert repr(nx.tensor(value)) == text


def test_format():
    loss = nx.tensor(2.34567)
    assert f"{loss:.2f} {loss:8.1e} {nx.tensor([3]):>3}" == "2.35  2.3e+00   3" and f"{loss}" == str(loss)
    with pytest.raises(ShapeError, match="one element"):
        f"{nx.ones(2):.2f}"


def test_repr_of_many_and_of_traced():
    text = repr(nx.rename(nx.zeros((100, 100)), ["row", "column"]))
    assert text.startswith("float32[row=100,column=100]\n[[0., 0., 0., ...") and len(text) < 400
    seen = []
    jit(lambda x: seen.append(repr(x)) or x, compiler="evaluate")(nx.ones(2))
    assert seen == ["float32[2] traced"]


@pytest.mark.parametrize(
    "value, dtype, text",
    [
        (9, None, "9"),
        (0.1, None, "0.1"),
        (1.0, "float64", "1.0"),
        (True, None, "True"),
        (0.5, "bfloat16", "0.5"),
        ([9], None, "int32[1] [9]"),
    ],
)
def test_str_of_rank_0_is_the_number(value, dtype, text):
    t = nx.tensor(value, dtype)
    assert str(t) == f"{t}" == text and repr(t).startswith(f"{t.type} ")
