"""Random numbers of what is no key, no seed, no bound and no probability."""

import math

import numpy as np
import pytest
from axon import nx
from axon.defn import jit
from axon.errors import DTypeError, ShapeError

random = nx.random


DRAWERS = {
    "uniform": lambda key: random.uniform(key),
    "normal": lambda key: random.normal(key),
    "bits": lambda key: random.bits(key),
    "split": lambda key: random.split(key),
    "fold_in": lambda key: random.fold_in(key, 1),
    "bernoulli": lambda key: random.bernoulli(key),
    "randint": lambda key: random.randint(key, 3, 0, 9),
    "truncated_normal": lambda key: random.truncated_normal(key, 0.0, 1.0),
}


@pytest.mark.parametrize("name", DRAWERS)
def test_what_is_no_key(name):
    key = random.key(0)
    for wrong in (0, 1.5, [0, 1], nx.tensor([1, 2]), key.astype("uint64"), random.split(key), key[0]):
        with pytest.raises(ShapeError, match=rf"^{name}: expected a key uint32\[2\], got .* make one with random.key"):
            DRAWERS[name](wrong)
    for wrong in (None, "key"):
        with pytest.raises(DTypeError, match=f"^{name}: expected numbers, got"):
            DRAWERS[name](wrong)


@pytest.mark.parametrize("name", ["key", "fold_in"])
@pytest.mark.parametrize(
    "wrong", [1.7, 1.0, "5", True, np.True_, np.float32(2), None, [1], np.array([1, 2]), 2**64, -(2**63) - 1]
)
def test_seeds_and_data_are_integers_that_fit(name, wrong):
    make = random.key if name == "key" else lambda data: random.fold_in(random.key(0), data)
    with pytest.raises((TypeError, ValueError), match=f"^{name}: expected"):
        make(wrong)
    for tensor in (nx.tensor(1.5), nx.tensor(True), nx.tensor([1, 2])):
        with pytest.raises(DTypeError, match=f"^{name}: expected an integer of rank 0"):
            make(tensor)


three = nx.tensor([0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda k: random.fold_in(k, 2**32), ValueError, r"fold_in: expected data in \[-2147483648, 4294967295\]"),
        (lambda k: random.bits(k, (), "int32"), DTypeError, "bits: expected an unsigned dtype"),
        (lambda k: random.normal(k, (), "int32"), DTypeError, "normal: expected a floating dtype"),
        (lambda k: random.uniform(k, -1), ShapeError, "uniform: expected a shape of non-negative sizes"),
        (lambda k: random.uniform(k, 2.5), TypeError, "uniform: expected an integer for shape"),
        (lambda k: random.uniform(k, 3, "bool"), DTypeError, "uniform: expected a floating dtype"),
        (lambda k: random.uniform(k, 3, minval=2), ValueError, "uniform: expected minval <= maxval"),
        (lambda k: random.uniform(k, 3, minval=math.nan), ValueError, "uniform: expected minval <= maxval"),
        (lambda k: random.uniform(k, 3, maxval=math.inf), ValueError, "uniform: expected minval <= maxval"),
        (lambda k: random.uniform(k, 3, maxval=np.array([1, 2, -1])), ValueError, "uniform: expected minval <= maxval"),
        (lambda k: random.uniform(k, 3, minval=-3e38, maxval=3e38), ValueError, "that is finite in float32"),
        (lambda k: random.uniform(k, 3, "float16", maxval=7e4), ValueError, "uniform: expected minval <= maxval"),
        (lambda k: random.uniform(k, maxval=three), ShapeError, r"uniform: expected maxval to broadcast to \(\)"),
        (lambda k: random.uniform(k, (3, 1), minval=-three), ShapeError, "uniform: expected minval to broadcast"),
        (lambda k: random.randint(k, 3, 0.5, 2), DTypeError, "randint: expected integer bounds"),
        (lambda k: random.randint(k, 3, nx.tensor(0.5), 2), DTypeError, "randint: expected integer bounds"),
        (lambda k: random.randint(k, 3, 0, True), TypeError, "randint: expected an integer for a bound"),
        (lambda k: random.randint(k, 3, 3, 3), ValueError, "randint: expected minval < maxval with .*, got 3 and 3"),
        (lambda k: random.randint(k, 3, 3, np.array([4, 2, 5])), ValueError, "randint: expected minval < maxval"),
        (lambda k: random.randint(k, 3, 2**80, 2**70), ValueError, "randint: expected minval < maxval"),
        (lambda k: random.randint(k, 3, 300, 400, "uint8"), ValueError, "with integers of uint8 between them"),
        (lambda k: random.randint(k, 3, -400, -128, "int8"), ValueError, "with integers of int8 between them"),
        (lambda k: random.randint(k, (), 0, nx.tensor([3, 4])), ShapeError, "randint: expected maxval to broadcast"),
        (lambda k: random.randint(k, 3, 0, 3, "float32"), DTypeError, "randint: expected an integer dtype"),
        (lambda k: random.truncated_normal(k, 2, 1), ValueError, "truncated_normal: expected numbers lower <= upper"),
        (lambda k: random.truncated_normal(k, math.nan, 1), ValueError, "truncated_normal: expected numbers"),
        (
            lambda k: random.truncated_normal(k, nx.tensor(1.0), 2),
            TypeError,
            "expected Python numbers as ends, got float32",
        ),
        (lambda k: random.truncated_normal(k, "1", 2), ValueError, "truncated_normal: expected numbers"),
        (lambda k: random.truncated_normal(k, math.inf, math.inf), ValueError, "truncated_normal: expected numbers"),
        (lambda k: random.truncated_normal(k, 1e5, 2e5, 3, "float16"), ValueError, "that float16 does not overflow"),
        (lambda k: random.bernoulli(k, 1.5), ValueError, r"bernoulli: expected p in \[0, 1\], got 1.5"),
        (lambda k: random.bernoulli(k, -0.1), ValueError, "bernoulli: expected p in"),
        (lambda k: random.bernoulli(k, math.nan), ValueError, "bernoulli: expected p in"),
        (lambda k: random.bernoulli(k, [0.5, 2]), ValueError, "bernoulli: expected p in"),
        (lambda k: random.bernoulli(k, three, ()), ShapeError, r"bernoulli: expected p to broadcast to \(\)"),
        (lambda k: nx.threefry2x32(nx.tensor(1), nx.tensor(2)), DTypeError, "uint64 words"),
    ],
)
def test_errors(make, error, text):
    for run in (lambda f: f, jit):
        with pytest.raises(error, match=text):
            run(make)(random.key(0))
