"""The examples of axon.runtime; what it tells is tested in tests/runtime/test_memory.py."""

import doctest

import axon


def test_examples() -> None:
    assert not doctest.testmod(axon.runtime, extraglobs={"axon": axon, "nx": axon.nx}).failed
