"""Fashion-MNIST, 28 by 28 (Xiao et al. 2017), from the files of Debian's package dataset-fashion-mnist."""

from __future__ import annotations

import gzip
import struct
import zlib
from os import PathLike
from pathlib import Path

import numpy as np

from .split import Split

FOLDER = Path("/usr/share/datasets/fashion-mnist")
_CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def fashion_mnist(folder: str | PathLike[str] = FOLDER) -> Split:
    """60,000 images to train on and 10,000 to test with: float32 [n, 28, 28, 1] in [0, 1], with int32 [n] classes.

    FileNotFoundError says how to get the files where one is missing, ValueError which one is damaged.

    >>> fashion_mnist("nowhere")
    Traceback (most recent call last):
    FileNotFoundError: fashion_mnist: no nowhere/train-images-idx3-ubyte.gz; run: apt-get install dataset-fashion-mnist
    """
    return Split(*_part(Path(folder), "train"), *_part(Path(folder), "t10k"), _CLASSES)


def _part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    images = _idx(folder / f"{part}-images-idx3-ubyte.gz")[..., None] / np.float32(255)
    return images, _idx(folder / f"{part}-labels-idx1-ubyte.gz").astype(np.int32)


def _idx(path: Path) -> np.ndarray:
    """An array of bytes in the idx format: two zeros, type 8, the rank, the sizes as big-endian int32, the bytes."""
    try:
        content = gzip.decompress(path.read_bytes())
        if content[:3] != b"\x00\x00\x08":
            raise ValueError("another format")
        rank = content[3]
        shape = struct.unpack_from(f">{rank}i", content, 4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except FileNotFoundError:
        raise FileNotFoundError(f"fashion_mnist: no {path}; run: apt-get install dataset-fashion-mnist") from None
    except (gzip.BadGzipFile, EOFError, IndexError, ValueError, struct.error, zlib.error) as error:
        raise ValueError(
            f"fashion_mnist: expected an idx file of bytes, got {path} ({error}); install the package again"
        ) from error
