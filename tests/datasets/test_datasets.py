"""Data: what is in it, how it is split, and batches as a pure function of seed and epoch."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.datasets import batches, digits, fashion_mnist
from axon.datasets.batches import permutation
from axon.tree import leaves
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from ..tables import DataFrame, Series


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.booleans(), st.one_of(st.none(), st.integers(0, 5)))
def test_every_example_once(n: int, size: int, drop_last: bool, seed: int | None) -> None:
    x = np.arange(n)
    data = batches(x[:, None], x, size, seed=seed, drop_last=drop_last)
    found = list(data.epoch(3))
    assert len(found) == len(data)
    assert all((a[:, 0] == b).all() for a, b in found)
    assert all(len(b) == size for _, b in found[:-1])
    seen = np.concatenate([b for _, b in found]) if found else np.array([])
    assert len(set(seen)) == len(seen) == (n - n % size if drop_last else n)


def test_batches_are_shown_by_their_sizes() -> None:
    assert repr(batches(np.zeros((10, 2)), np.zeros(10), 4)) == "<Batches of 4, 3 from 10 examples>"


def test_order_is_a_function_of_seed_and_epoch() -> None:
    x = np.arange(100)
    orders = {
        (seed, epoch): tuple(np.concatenate([b for _, b in batches(x, x, 7, seed=seed).epoch(epoch)]))
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    }
    assert len(set(orders.values())) == 6
    again = np.concatenate([b for _, b in batches(x, x, 7, seed=1).epoch(2)])
    assert tuple(again) == orders[1, 2]


def test_the_permutation_is_pinned() -> None:
    """Test sets are cut by it: it must never change."""
    assert permutation(10, seed=0).tolist() == PINNED


PINNED = [9, 3, 7, 1, 4, 2, 5, 6, 0, 8]  # argsort of JAX's bits for fold_in(key(0), 0), too


def test_trees_of_arrays_are_cut_leaf_by_leaf() -> None:
    n = np.arange(7)
    data = batches({"a": n, "b": (n[:, None], -n)}, n, 3)
    assert len(data) == 3
    for x, y in data:
        np.testing.assert_array_equal(x["a"], y)
        np.testing.assert_array_equal(x["b"][0], y[:, None])
        np.testing.assert_array_equal(x["b"][1], -y)


def test_rows_of_tables_and_lists_are_paired_by_position() -> None:
    """A table's own labels of its rows, here in another order, choose nothing."""
    n, labels = np.arange(20), np.random.default_rng(0).permutation(20)
    for x, y in (
        (n[:, None], Series(n, labels)),
        (DataFrame(n[:, None], labels, ["a"]), Series(n, np.arange(20))),
        (n[:, None].tolist(), n.tolist()),
        ({"a": Series(n, labels), "b": n.tolist()}, Series(n, labels + 100)),
    ):
        for a, b in batches(x, y, 6, seed=1):
            for leaf in leaves(a):
                np.testing.assert_array_equal(leaf.ravel(), b)


def test_tensors_stay_where_they_are() -> None:
    ((x, y),) = batches(nx.arange(4.0), np.arange(4), 4, seed=None)
    assert isinstance(x, nx.Tensor) and isinstance(y, np.ndarray)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": 4}, "batches: got an unknown option batch_size; write size="),
        ({"shuffle": False}, "batches: got an unknown option shuffle; write seed=None to keep the order"),
        ({"sizes": 4}, "batches: got an unknown option sizes; write size"),
        ({"quux": 4}, r"got an unknown option quux; write batches\(x, y, size=32, \*, seed=0, drop_last=False\)"),
    ],
)
def test_options_of_other_libraries(options: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        batches(np.zeros(3), np.zeros(3), **options)


@pytest.mark.parametrize(
    ("x", "y", "size", "text"),
    [
        (np.zeros((3, 2)), np.zeros(2), 1, r"expected arrays of one length, got \(3, 2\), \(2,\); pair them"),
        ((np.zeros(3), np.zeros(2)), np.zeros(3), 1, "expected arrays of one length"),
        ((np.zeros(2),) * 99, np.zeros(99), 1, r"expected arrays of one length, got \(2,\), \(99,\); pair them"),
        (1.0, 0, 1, r"expected arrays \[n, ...\], got numbers; give one row an example"),
        (np.zeros(3), np.zeros(3), 0, "expected a size of at least 1, got 0"),
        (np.zeros(3), np.zeros(3), 1.5, "expected a size of at least 1, got 1.5"),
        (np.zeros(3), np.zeros(3), None, "expected a size of at least 1, got None"),
    ],
)
def test_batches_refuse(x: Any, y: Any, size: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"^batches: {text}"):
        batches(x, y, size)


def test_digits() -> None:
    found = digits()
    assert found.x_train.shape == (1437, 8, 8, 1) and found.x_test.shape == (360, 8, 8, 1)
    assert found.x_train.dtype == np.float32 and found.y_test.dtype == np.int32
    assert found.x_train.min() == 0 and found.x_train.max() == 1
    together = sorted(map(bytes, np.concatenate([found.x_train, found.x_test])))
    assert together == sorted(map(bytes, (load_digits().images[..., None] / 16).astype(np.float32)))
    assert (np.bincount(found.y_test, minlength=10) > 20).all()


def write_idx(path: Path, array: np.ndarray) -> None:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))


def test_fashion_mnist_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, n in (("train", 6), ("t10k", 3)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (n, 28, 28)).astype(np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(n, dtype=np.uint8))
    found = fashion_mnist(tmp_path)
    assert found.x_train.shape == (6, 28, 28, 1) and found.x_test.shape == (3, 28, 28, 1)
    assert found.x_train.dtype == np.float32 and 0.9 < found.x_train.max() <= 1
    assert found.y_train.tolist() == list(range(6)) and found.classes[9] == "ankle boot"
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    whole = labels.read_bytes()
    short = gzip.compress(gzip.decompress(whole)[:-1])
    for damaged in (gzip.compress(b"not idx"), b"not gzip", whole[:-9], short, gzip.compress(b"\0\0\x08"), b""):
        labels.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"expected an idx file of bytes, got .*t10k-labels.* install"):
            fashion_mnist(str(tmp_path))
    labels.unlink()
    with pytest.raises(FileNotFoundError, match=r"no .*t10k-labels-idx1-ubyte.gz; run: apt-get install dataset-fas"):
        fashion_mnist(tmp_path)


def test_missing_files_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run: apt-get install dataset-fashion-mnist") as caught:
        fashion_mnist(tmp_path)
    assert "\n" not in str(caught.value)
