"""What a data set is: images and labels to train on, and others to test with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """float32 images [n, height, width, 1] in [0, 1], and int32 classes [n]."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
