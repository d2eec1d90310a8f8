"""Handwritten digits, 8 by 8: the 1,797 of the UCI test set (Alpaydin and Kaynak 1998) that scikit-learn bundles."""

from __future__ import annotations

import numpy as np

from .batches import permutation
from .split import Split

_SEED, _TEST = 0, 360


def digits() -> Split:
    """The images in [0, 1] of shape [n, 8, 8, 1]; the test set is the last 360 of a seeded permutation.

    ModuleNotFoundError says how to get scikit-learn where it is missing.
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
