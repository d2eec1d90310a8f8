"""Errors of the float32 scalars in units of the last place, against float64; run as a module it prints the table.

python -m tests.kernels.accuracy
"""

import time
from collections.abc import Callable

import numpy as np
import scipy.special

from .tiles import Tile, tile

Function = Callable[..., np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1 + e)


# Op: its float64 reference, the greatest error allowed in ulp, and ranges worth a closer look than all floats get.
UNARY: dict[str, tuple[Function, float, tuple[tuple[float, float], ...]]] = {
    "sqrt": (np.sqrt, 0.5, ()),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5, ((0, 10),)),
    "reciprocal": (lambda x: 1 / x, 0.5, ()),
    "exp": (np.exp, 1.1, ((-1, 1), (-104, 89))),
    "exp2": (np.exp2, 1.0, ((-1, 1), (-150, 128))),
    "expm1": (np.expm1, 1.5, ((-1, 1), (-18, 89))),
    "log": (np.log, 1.0, ((0.3, 3), (0, 100))),
    "log1p": (np.log1p, 2.0, ((-1, 1), (-0.1, 0.1), (0, 100))),
    "log2": (np.log2, 2.0, ((0.3, 3), (0, 100))),
    "log10": (np.log10, 2.0, ((0.3, 3), (0, 100))),
    "sin": (np.sin, 1.5, ((-4, 4), (-100, 100), (-(2**20), 2**20))),
    "cos": (np.cos, 1.5, ((-4, 4), (-100, 100), (-(2**20), 2**20))),
    "tan": (np.tan, 2.0, ((-4, 4), (-100, 100), (-(2**20), 2**20))),
    "asin": (np.arcsin, 2.0, ((-1, 1),)),
    "acos": (np.arccos, 1.5, ((-1, 1),)),
    "atan": (np.arctan, 1.5, ((-5, 5),)),
    "sinh": (np.sinh, 2.0, ((-2, 2), (-90, 90))),
    "cosh": (np.cosh, 2.0, ((-2, 2), (-90, 90))),
    "tanh": (np.tanh, 1.5, ((-1, 1), (-10, 10))),
    "asinh": (np.arcsinh, 1.5, ((-3, 3),)),
    "acosh": (np.arccosh, 2.0, ((1, 2), (1, 100))),
    "atanh": (np.arctanh, 2.0, ((-1, 1),)),
    "erf": (scipy.special.erf, 1.5, ((-4, 4),)),
    "erfc": (scipy.special.erfc, 3.0, ((-1, 1), (-4, 10.1))),
    "erf_inv": (lambda x: np.copysign(scipy.special.erfinv(x), x), 2.5, ((-1, 1), (0.99, 1))),
    "cbrt": (np.cbrt, 0.6, ((-8, 8),)),
    "sigmoid": (sigmoid, 2.5, ((-8, 8), (-104, 20))),
}
BINARY: dict[str, tuple[Function, float, tuple[tuple[float, float], ...]]] = {
    "divide": (np.divide, 0.5, ()),
    "pow": (np.power, 1.0, ((0, 3), (0.9, 1.1))),
    "atan2": (np.arctan2, 2.0, ((-3, 3),)),
    "hypot": (np.hypot, 1.0, ((-3, 3),)),
}


def all_floats(n: int, seed: int = 0) -> np.ndarray:
    """n float32 values, one from each of n equal ranges of bit patterns: every magnitude, infinities and NaNs too."""
    step = 2**32 // n
    words = np.arange(n, dtype=np.uint64) * step + np.random.default_rng(seed).integers(0, step, n, dtype=np.uint64)
    return words.astype(np.uint32).view(np.float32)


def between(low: float, high: float, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, n).astype(np.float32)


def samples(name: str, n: int) -> list[tuple[np.ndarray, ...]]:
    """Arguments for op `name`: all floats, and its ranges of interest."""
    if name in UNARY:
        return [(all_floats(n),), *((between(a, b, n),) for a, b in UNARY[name][2])]
    mixed = np.random.default_rng(1).permutation(all_floats(n, 2))
    sets = [(all_floats(n), mixed), *((between(a, b, n), between(a, b, n, 3)) for a, b in BINARY[name][2])]
    if name == "pow":  # exponents for which the result is a float at all
        base = np.abs(all_floats(n))
        with np.errstate(all="ignore"):
            power = np.random.default_rng(4).uniform(-104, 89, n) / np.log(base.astype(np.float64))
            sets.append((base, power.astype(np.float32)))
    return sets


def error_in_ulp(got: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """How far float32 `got` is from float64 `exact`, in the spacing of float32 at exact; inf where only one is NaN or
    infinite. Overflowing a hair too early or too late counts as the distance to 2^128."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(np.float32)
        exponent = np.maximum(np.frexp(exact)[1] - 1, -126)
        spacing = np.ldexp(1.0, np.minimum(exponent, 127) - 23)
        clamp = np.nan_to_num(got.astype(np.float64), nan=np.nan, posinf=2.0**128, neginf=-(2.0**128))
        error = np.abs(clamp - np.clip(exact, -(2.0**128), 2.0**128)) / spacing
    same = (got == rounded) | (np.isnan(got) & np.isnan(exact))
    error[np.isnan(got) != np.isnan(exact)] = np.inf
    return np.where(same & ~np.isfinite(exact), 0.0, np.where(np.isnan(error) & same, 0.0, error))


def worst(name: str, n: int = 1 << 19) -> tuple[float, tuple[float, ...]]:
    """The greatest error of op `name` over its samples, in ulp, and where."""
    reference, _, _ = UNARY.get(name) or BINARY[name]
    found: tuple[float, tuple[float, ...]] = (0.0, ())
    for args in samples(name, n):
        with np.errstate(all="ignore"):
            exact = reference(*(a.astype(np.float64) for a in args))
        error = error_in_ulp(tile(name, *["float32"] * len(args))(*args), exact)
        i = int(np.argmax(error))
        if error[i] > found[0] or np.isnan(error[i]):
            found = float(error[i]), tuple(float(a[i]) for a in args)
    return found


def nanoseconds(name: str, n: int = 4096) -> float:
    """Time an element, one thread, 8 lanes, arrays in the first cache; what a call of nothing takes is taken off."""
    arity = 1 if name in UNARY else 2
    low, high = {"acosh": (1, 10), "log": (0, 10), "pow": (0, 3)}.get(name, (-1, 1))
    op, args = tile(name, *["float32"] * arity), [between(low, high, n, k) for k in range(arity)]
    out = np.empty(n, np.float32)
    return (best_time(op, out, args) - best_time(op, out[:0], [a[:0] for a in args])) / n * 1e9


def best_time(op: Tile, out: np.ndarray, args: list[np.ndarray]) -> float:
    best = np.inf
    for _ in range(500):
        start = time.perf_counter()
        op.into(out, *args)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    print("| op | max ulp | ns/element |\n|---|---|---|")
    for name in UNARY | BINARY:
        print(f"| {name} | {worst(name, 1 << 20)[0]:.2f} | {nanoseconds(name):.2f} |", flush=True)


if __name__ == "__main__":
    main()
