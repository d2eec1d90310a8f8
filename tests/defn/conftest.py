"""Fixtures of the definition tests: every compiled call runs under every compiler, by name."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["evaluate", "native"])
def compiler(request: pytest.FixtureRequest) -> str:
    return request.param
