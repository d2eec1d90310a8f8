"""Fixtures of the definition tests: every compiled call runs under every compiler, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axon.defn import jit


@pytest.fixture(params=["evaluate", "native"])
def compiler(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["eager", "evaluate", "native"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Call a function directly, or compiled."""
    if request.param == "eager":
        return lambda f, *args: f(*args)
    return lambda f, *args: jit(f, compiler=request.param)(*args)
