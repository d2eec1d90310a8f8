"""Stand-ins for a data frame library's types: rows have labels, and [] picks by label, not by position."""

from __future__ import annotations

from typing import Any

import numpy as np


class Series:
    def __init__(self, values: Any, index: Any) -> None:
        self.values, self.index = np.asarray(values), list(index)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def iloc(self) -> Any:
        return self.values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, labels: Any) -> Any:
        if isinstance(labels, slice):
            return Series(self.values[labels], self.index[labels])
        return self.values[[self.index.index(label) for label in labels]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype, copy=copy)


class DataFrame(Series):
    def __init__(self, values: Any, index: Any, columns: list[str]) -> None:
        super().__init__(values, index)
        self.columns = columns

    def __getitem__(self, labels: Any) -> Any:
        raise KeyError(f"None of {labels} are in the columns")

    def __iter__(self) -> Any:
        return iter(self.columns)
