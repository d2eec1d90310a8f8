"""What composite functions compute in."""

import pytest
from axon import nx


@pytest.mark.parametrize(
    ("given", "within", "result"),
    [
        (["float16"], "float32", "float16"),
        (["bfloat16", "bfloat16"], "float32", "bfloat16"),
        (["float16", "bfloat16"], "float32", "float32"),
        (["float16", "float32"], "float32", "float32"),
        (["float64", "float16"], "float64", "float64"),
        (["int8"], "float32", "float32"),
        (["uint64", "int32"], "float32", "float32"),  # which have no common dtype
        (["bool", "bfloat16"], "float32", "bfloat16"),
        (["int64", "float64"], "float64", "float64"),
    ],
    ids=str,
)
def test_dtypes(given: list[str], within: str, result: str) -> None:
    tensors, rounded = nx.widened(*[nx.ones((2,), d) for d in given])
    assert [str(t.dtype) for t in tensors] == [within] * len(given)
    assert str(rounded(tensors[0]).dtype) == result


def test_what_has_its_dtype_is_not_copied() -> None:
    x = nx.ones((2,))
    (wide,), rounded = nx.widened(x)
    assert wide is x and rounded(x) is x
