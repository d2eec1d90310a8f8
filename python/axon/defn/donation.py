"""What becomes of a tensor that was donated to a call, and which tensors cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..errors import DonationError
from ..nx.core.tensor import Tensor


class Donated:
    """The backend of a tensor whose memory was given to a call: it refuses everything. Its name is what repr shows."""

    compiler: str | None = None

    def __init__(self, label: str) -> None:
        self.label, self.name = label, f"donated to {label}"

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise DonationError(
            f"{self.label}: expected a live tensor, got one donated to a call of {self.label}; use that call's "
            "results, or do not donate the argument"
        )

    apply = constant = from_numpy = to_numpy = imported = exported = adopt = _refuse


def refuse_shared(
    label: str, inputs: Sequence[Tensor], donated: Sequence[int], names: Callable[[], Sequence[str]]
) -> None:
    """A donated tensor that is also another input would be overwritten while it is read."""
    ids = [id(t) for t in inputs]
    if len(set(ids)) == len(ids):
        return
    for i in donated:
        if ids.count(ids[i]) > 1:
            raise DonationError(
                f"{label}: expected argument {names()[i]!r} once, as it is donated, got the same tensor twice; pass a "
                f"copy (nx.tensor), or do not donate it"
            )
