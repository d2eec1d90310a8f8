"""What all tests share.

Property tests: the same examples at every run, so that a red test is a change's doing and not luck's. `make fuzz` tries
new ones, from a seed that it prints; what fails is printed with a line that repeats it.
"""

import signal
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("fixed")


@cache
def has_gpu() -> bool:
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount() > 0
    except Exception:  # not installed, no driver, no device
        return False


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Ctrl-C is heard even where a shell started the tests in the background, with the signal ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not has_gpu():
        pytest.skip("needs an NVIDIA GPU and cupy")


@pytest.fixture(scope="session", autouse=True)
def verified_graphs() -> Iterator[None]:
    """Every graph that a test compiles is verified, as it was traced and after each pass."""
    from axon.compiler import pipeline
    from axon.graph.expr import Graph
    from axon.graph.verify import verify

    plain = pipeline.Phases.__call__

    def checked(self: Any, name: str, function: Callable[..., Any], *given: Any) -> Any:
        for graph in given:
            if isinstance(graph, Graph):
                verify(graph, self.__dict__.setdefault("typed", set()))
        return plain(self, name, function, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.Phases, "__call__", checked)
        yield
