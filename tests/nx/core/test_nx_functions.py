"""Functions made of rows: what their signatures say of the arguments, and how errors speak of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from axon import nx
from axon.errors import DTypeError, ShapeError
from axon.nx.core.backend import home
from axon.nx.core.functions import function
from axon.nx.core.tensor import Tensor


@pytest.fixture
def shown() -> Iterator[Any]:
    @function(method=True)
    def shown_(x: Tensor, count: int, y: Tensor, /, *, scale: Any = None) -> Any:
        return x, count, y, scale

    yield shown_
    delattr(Tensor, "shown")


def test_what_is_given_for_tensors_is_converted(shown: Any) -> None:
    x, count, y, scale = shown([1, 2], 3, 4.0, scale=5)
    assert (x.type, count, y.type, scale) == (nx.template(2, "int32"), 3, nx.template((), "float32"), 5)


def test_a_number_takes_its_dtype_from_the_tensors(shown: Any) -> None:
    x, _, y, _ = shown(2, 3, nx.ones(2, "float16"))
    assert (x.dtype, y.dtype) == (nx.float16, nx.float16)


def test_a_method_is_attached_by_name(shown: Any) -> None:
    x: Any = nx.ones(2)
    assert x.shown(1, 2.0)[1:2] == (1,)
    assert not hasattr(Tensor, "without")


def test_device_says_where_tensors_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from axon import config
    from axon.backends.array_api import numpy_backend

    other = numpy_backend()
    monkeypatch.setitem(config._loaded, ("backend", "other"), other)

    @function
    def without(*, device: str | None = None) -> Any:
        return home()

    assert without(device="other") is other
    assert without() is without(device=None) is home()


@pytest.mark.parametrize("error", [ShapeError, DTypeError, IndexError])
def test_errors_begin_with_the_functions_name_once(error: Any) -> None:
    @function
    def outer_(text: str) -> None:
        raise error(text)

    @function
    def over(x: Tensor, /, text: str) -> None:
        outer_(text)

    with pytest.raises(error, match=r"^outer: add: wrong$"):
        outer_("add: wrong")
    with pytest.raises(error, match=r"^outer: wrong$"):
        outer_("outer: wrong")
    with pytest.raises(error, match=r"^over: outer: wrong$"):
        over(nx.ones(1), "wrong")
