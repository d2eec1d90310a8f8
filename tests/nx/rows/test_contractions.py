"""Products and convolutions against einsum and JAX, in every dtype the rows accept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from axon import nx
from axon.errors import ShapeError

from tests import cases

LETTERS = "abcdefghij"


def close(got, want, dtype, terms):
    tolerance = cases.EPSILON.get(dtype.name, 0) * (4 + terms**0.5)
    assert got.dtype is dtype and got.shape == want.shape
    if dtype.is_float:
        np.testing.assert_allclose(
            got.numpy().astype(float), want, rtol=tolerance, atol=16 * tolerance * (1 + terms**0.5)
        )
    else:
        np.testing.assert_array_equal(got.numpy(), want.astype(np.int64).astype(dtype.numpy))


def wide(a):
    return a.astype(np.float64) if a.dtype.kind not in "iu" else a.astype(np.int64)


@pytest.mark.parametrize("dtype", cases.accepted(nx.dot_general.op), ids=str)
def test_dot_general(dtype):
    for case in cases.cases(nx.dot_general.op, dtype):
        a, b = case.args
        (ca, cb), (ba, bb) = case.attrs["contract"], case.attrs.get("batch", ((), ()))
        left = list(LETTERS[: a.ndim])
        right = list(LETTERS[a.ndim : a.ndim + b.ndim])
        for i, j in [*zip(ca, cb), *zip(ba, bb)]:
            right[j] = left[i]
        free = [x for i, x in enumerate(left) if i not in (*ca, *ba)] + [
            x for j, x in enumerate(right) if j not in (*cb, *bb)
        ]
        out = "".join([left[i] for i in ba] + free)
        want = np.einsum(f"{''.join(left)},{''.join(right)}->{out}", wide(a), wide(b))
        got = nx.dot_general(nx.asarray(a), nx.asarray(b), **case.attrs)
        close(got, want, dtype, np.prod([a.shape[i] for i in ca]))


@pytest.mark.parametrize(
    "a, b",
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
     ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (6, 3, 4)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)), ((0, 3), (3, 2))],
)  # fmt: skip
def test_matmul_is_numpys(a, b):
    x, y = np.arange(np.prod(a), dtype=float).reshape(a), np.arange(np.prod(b), dtype=float).reshape(b)
    np.testing.assert_array_equal((nx.asarray(x) @ nx.asarray(y)).numpy(), x @ y)
    np.testing.assert_array_equal((x @ nx.asarray(y)).numpy(), x @ y)


def test_products():
    x, y = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(nx.tensordot(x, y, axes=1).numpy(), np.tensordot(x, y, 1))
    for axes in (([1], [0]), (1, 0)):
        np.testing.assert_array_equal(nx.tensordot(x, y, axes=axes).numpy(), np.tensordot(x, y, axes))
    np.testing.assert_array_equal(nx.vecdot(x, np.ones(3)).numpy(), x.sum(-1))
    np.testing.assert_array_equal(nx.vecdot(x, x, axis=0).numpy(), (x * x).sum(0))
    np.testing.assert_array_equal(nx.outer(x, y).numpy(), np.outer(x, y))
    np.testing.assert_array_equal(nx.dot(x, y).numpy(), np.dot(x, y))


def test_dot_keeps_names():
    a = nx.tensor(np.ones((2, 3)), names=["batch", "in"])
    b = nx.tensor(np.ones((3, 4)), names=["in", "out"])
    assert (a @ b).names == ("batch", "out")
    with pytest.raises(ShapeError, match="names that agree"):
        a @ nx.rename(b, ["other", "out"])


def test_half_floats_are_summed_in_float32():
    ones = nx.ones((4096,), "float16")
    assert nx.vecdot(ones, ones).item() == 4096.0


CONVOLUTIONS = [nx.conv, nx.conv_input_gradient, nx.conv_kernel_gradient]
SPATIAL = "XYZ"


def jax_conv(x, kernel, *, strides=1, padding="valid", input_dilation=1, kernel_dilation=1, groups=1):
    rank = x.ndim - 2
    space = SPATIAL[:rank]
    many = lambda v: (v,) * rank if isinstance(v, int) else tuple(v)  # noqa: E731
    if not isinstance(padding, str):
        padding = list(padding)
    else:  # JAX's "SAME" splits likewise, but looks at the input before its dilation
        sizes = [(n - 1) * d + 1 for n, d in zip(x.shape[1:-1], many(input_dilation))]
        spans = [(k - 1) * d + 1 for k, d in zip(kernel.shape, many(kernel_dilation))]
        needed = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(sizes, many(strides), spans)]
        padding = [(p // 2, p - p // 2) if padding == "same" else (0, 0) for p in needed]
    return jax.lax.conv_general_dilated(
        x, kernel, many(strides), padding, many(input_dilation), many(kernel_dilation),
        (f"N{space}C", f"{space}IO", f"N{space}C"), feature_group_count=groups, precision="highest",
    )  # fmt: skip


def expected(row, a, b, **attrs):
    """JAX's convolution, or its transpose in one of the operands."""
    if row is nx.conv:
        return jax_conv(a, b, **attrs)
    if row is nx.conv_input_gradient:
        x = jnp.zeros(attrs.pop("input_shape"), a.dtype)
        return jax.linear_transpose(lambda x: jax_conv(x, b, **attrs), x)(a)[0]
    kernel = jnp.zeros(attrs.pop("kernel_shape"), a.dtype)
    return jax.linear_transpose(lambda k: jax_conv(a, k, **attrs), kernel)(b)[0]


@pytest.mark.parametrize("dtype", [nx.float64, nx.float32, nx.float16, nx.bfloat16, nx.int32], ids=str)
@pytest.mark.parametrize("row", CONVOLUTIONS, ids=lambda r: r.op.name)
def test_convolution(row, dtype):
    with jax.enable_x64(True):
        for case in cases.cases(row.op, dtype):
            a, b = (jnp.asarray(x.astype(np.float64)) for x in case.args)
            got = row(nx.asarray(case.args[0]), nx.asarray(case.args[1]), **case.attrs)
            close(got, np.asarray(expected(row, a, b, **case.attrs)), dtype, 64)


def test_same_padding_has_the_odd_cell_on_the_high_side():
    x = nx.asarray(np.arange(4.0).reshape(1, 4, 1))
    np.testing.assert_array_equal(
        nx.conv(x, nx.ones((2, 1, 1), "float64"), padding="same").numpy().ravel(), [1, 3, 5, 3]
    )


@pytest.mark.parametrize(
    "shapes, options, said",
    [
        (((1, 4, 4, 3), (3, 3, 2, 5)), {}, "groups"),
        (((1, 4, 3), (3, 3, 3, 5)), {}, "one rank"),
        (((1, 2, 3), (3, 3, 5)), {}, "padded size"),
        (((1, 3), (3, 5)), {}, "1 to 3 spatial axes"),
        (((1, 2, 2, 2, 2, 3), (1, 1, 1, 1, 3, 5)), {}, "1 to 3 spatial axes"),
        (((1, 4, 3), (3, 3, 5)), {"padding": "full"}, "valid"),
        (((1, 4, 3), (3, 3, 5)), {"padding": [()]}, "1 pairs of padding"),
        (((1, 4, 3), (3, 3, 5)), {"padding": [(1, 2, 3)]}, "1 pairs of padding"),
        (((1, 4, 3), (3, 3, 5)), {"strides": 0}, "above 0"),
        (((1, 4, 3), (3, 3, 5)), {"strides": (1, 2)}, "1 values for strides"),
    ],
)
def test_convolution_errors(shapes, options, said):
    with pytest.raises(ShapeError, match=said):
        nx.conv(nx.zeros(shapes[0]), nx.zeros(shapes[1]), **options)
