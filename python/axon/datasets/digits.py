"""Handwritten digits, 8 by 8: the 1,797 of the UCI test set (Alpaydin and Kaynak 1998) that scikit-learn bundles."""

from __future__ import annotations

import numpy as np

from .batches import permutation
from .split import Split

_SEED, _TEST = 0, 360


def digits() -> Split:
    """1,437 images to train on and 360 to test with, the last of a seeded permutation: float32 [n, 8, 8, 1] in [0, 1],
    with int32 [n] classes.

    ModuleNotFoundError says how to get scikit-learn where it is missing.

    >>> digits().x_train.shape
    (1437, 8, 8, 1)
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("digits: the data comes with scikit-learn; run: pip install scikit-learn") from error
    pixels, targets = load_digits(return_X_y=True)
    order = permutation(len(targets), _SEED)
    images = (pixels.reshape(-1, 8, 8, 1)[order] / 16).astype(np.float32)
    labels = targets[order].astype(np.int32)
    return Split(images[:-_TEST], labels[:-_TEST], images[-_TEST:], labels[-_TEST:], tuple(map(str, range(10))))
