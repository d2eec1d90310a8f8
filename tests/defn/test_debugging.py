"""axon.debug() over eager code, in backward passes and over definitions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import jit, nx
from axon.defn import cond, custom_grad, debug, defn, grad, scan
from axon.errors import NonFiniteError

X = nx.tensor([0.0, 1.0])


def root(x: nx.Tensor) -> nx.Tensor:
    return nx.sqrt(x).sum()


def ratio(x: nx.Tensor) -> nx.Tensor:
    return cond(x[0] > -1, lambda x: (x**1.5).sum(), lambda x: x.sum(), x)


@custom_grad
def broken(x: nx.Tensor) -> Any:
    return x.sum(), lambda g: g / (X * 0)


BAD: dict[str, tuple[Callable[[], Any], str]] = {  # what is run, and how the error begins
    "an op": (lambda: nx.log(nx.tensor(-1.0)), "log at"),
    "an operator": (lambda: X / X, "divide at"),
    "a composed function": (lambda: nx.var(X * nx.inf), "multiply at"),
    "a region": (lambda: scan(lambda c, r: (c / r, None), 1.0, X)[0], "divide at"),
    "forward": (lambda: grad(lambda x: nx.log(x).sum())(X), "log at"),
    "backward": (lambda: grad(root)(X), "divide, in the gradient of sqrt, at"),
    "backward, compiled": (lambda: jit(grad(root))(X), "divide, in the gradient of sqrt, at"),
    "twice backward": (lambda: grad(lambda x: grad(ratio)(x).sum())(X), "pow, in the gradient of pow, at"),
    "by a rule of its own": (lambda: grad(broken)(X), "divide at"),
}


@pytest.mark.parametrize("name", BAD)
def test_the_first_bad_op_is_named(name: str) -> None:
    run, said = BAD[name]
    run()  # nobody looks
    with pytest.raises(NonFiniteError, match=rf"^{said} .*test_debugging.py:\d+: expected finite values"), debug():
        run()


def test_the_line_is_that_of_the_op() -> None:
    here = sys._getframe().f_lineno
    with pytest.raises(NonFiniteError, match=rf"^log at .*test_debugging.py:{here + 2}: "), debug():
        nx.log(nx.tensor(-1.0))


def test_good_values_pass() -> None:
    with debug():
        assert nx.window_max(nx.ones(4), window=3, padding="same").tolist() == [1] * 4  # pads with -inf inside
        assert nx.tensor([1.0, nx.nan]).size == 2 and nx.literal(value=nx.inf, dtype="float32").shape == ()
        assert np.isnan(nx.full(2, nx.nan).reshape((1, 2)).numpy()).all()
        assert jit(lambda x: (x, nx.full(2, nx.inf)[None]))(X)[1].shape == (1, 2)
        assert np.isfinite(grad(lambda x: nx.logsumexp(x))(X).numpy()).all()
    with debug(inf=False):
        assert nx.log(X).tolist() == [-nx.inf, 0]


# Definitions


def test_debug_names_the_first_bad_op_and_line(compiler: str) -> None:
    @defn(compiler=compiler)
    def f(x: nx.Tensor) -> nx.Tensor:
        y = x + 1
        z = nx.log(y)
        return z * 0

    x = nx.tensor([0.0, -3.0])
    assert np.isnan(f(x).numpy()[1])
    with (
        debug(),
        pytest.raises(NonFiniteError, match=r"log at .*test_debugging.py:\d+: expected finite values, got 1 NaN and 0"),
    ):
        f(x)
    with debug():
        assert f(nx.tensor([0.0])).tolist() == [0]
    assert f.traces == 1
    assert np.isnan(f(x).numpy()[1])


def test_debug_may_allow_infinities(compiler: str) -> None:
    f = jit(lambda x: nx.exp(-(1 / x)), compiler=compiler)
    with debug(), pytest.raises(NonFiniteError, match=r"divide at .* 0 NaN and 1 infinite"):
        f(nx.tensor(0.0))
    with debug(inf=False):
        assert f(nx.tensor(0.0)).item() == 0


def test_debug_leaves_literals_to_their_readers(compiler: str) -> None:
    f = jit(lambda x: nx.where(x > 0, x, -nx.inf), compiler=compiler)
    with debug(), pytest.raises(NonFiniteError, match=r"^where at .*test_debugging.py"):
        f(nx.tensor([1.0, -1.0]))


def test_debug_looks_into_regions(compiler: str) -> None:
    f = jit(lambda x: scan(lambda c, r: (c / r, None), 1.0, x)[0], compiler=compiler)
    with debug(), pytest.raises(NonFiniteError, match=r"divide at .*test_debugging.py"):
        f(nx.tensor([1.0, 0.0, 1.0]))
