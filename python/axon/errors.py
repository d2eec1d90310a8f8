"""The exceptions users meet, and notes. Every text says what was expected, what was got and what to do."""

from __future__ import annotations

import sys

CLEAR = "\r\x1b[K"  # on a terminal: go back to the line's beginning and wipe it


def note(text: str) -> None:
    """Print a remark on stderr; on a terminal in the place of a progress line, which is written again."""
    print(f"{CLEAR if sys.stderr.isatty() else ''}{text}", file=sys.stderr)


class AxonError(Exception):
    """Base of all errors raised on purpose by axon."""


class ShapeError(AxonError, ValueError):
    """Shapes, axes or axis names do not fit an operation."""


class DTypeError(AxonError, TypeError):
    """Dtypes do not fit an operation."""


class StructureError(AxonError, ValueError):
    """Two trees that must have one structure differ; the text names the place."""


class TraceError(AxonError, TypeError):
    """A traced value was used where a concrete one is needed, or outlived its trace."""


class GradientError(AxonError, TypeError):
    """A derivative was asked of something that has none."""


class DonationError(AxonError, RuntimeError):
    """A tensor was used after its memory was donated to a call."""


class CompileError(AxonError, RuntimeError):
    """The compiler or its cache failed; the text names the step."""


class MissingCompiler(CompileError):
    """There is no compiler on this machine for what kernels are emitted as."""


class CallbackError(AxonError, ValueError):
    """A Python function that a program calls returned what it had not said."""


class NonFiniteError(AxonError, FloatingPointError):
    """Under `debug`, an op made a NaN or an infinity."""
