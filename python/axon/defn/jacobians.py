"""Whole Jacobians and Hessians: the derivative along, or by, every element."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..dtypes import int32
from ..errors import GradientError
from ..graph.trace import Traced
from ..nx.core.tensor import Tensor
from ..nx.layout import moveaxis
from ..nx.ranges import arange
from ..nx.rows.conversion import astype
from ..nx.rows.creation import iota_
from ..nx.rows.logic import equal
from ..nx.rows.movement import reshape, take_slice
from .forward import along, linear_of
from .grad import Argnums, Run, first_of, gradient_of, picked_of, run_of, several
from .region import callables
from .vmap import vmap

Back = Callable[[int, int], bool]  # the number of elements of arguments, and of results -> whether in reverse mode
_never: Back = lambda inputs, outputs: False  # noqa: E731
_always: Back = lambda inputs, outputs: True  # noqa: E731
_fewer: Back = lambda inputs, outputs: outputs < inputs  # noqa: E731


def jacfwd(function: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """The Jacobian of a function, in forward mode: one run along each element of the arguments, so the way where these
    are few.

    argnums and has_aux are those of `grad`. The Jacobian has the result's structure, and in it, for each tensor, the
    argument's (a tuple of several arguments'): tensors of shape result + argument. GradientError where an argument or a
    result is not float, or an op on the way has no derivative.

    >>> jacfwd(lambda x: x * x)(nx.tensor([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    return _of("jacfwd", function, argnums, has_aux, _never)


def jacrev(function: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """The Jacobian of a function as `jacfwd` gives it, in reverse mode: one run by each element of the result, so the
    way where this has few.

    >>> jacrev(lambda x: (x * x).sum(axis=1))(nx.tensor([[1.0, 2.0]])).tolist()
    [[[2.0, 4.0]]]
    """
    return _of("jacrev", function, argnums, has_aux, _always)


def jacobian(function: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """The Jacobian of a function as `jacfwd` gives it, in the mode that takes fewer runs; forward if both take as many.

    >>> jacobian(lambda x, y: x * y, (0, 1))(nx.tensor(2.0), nx.tensor(5.0))
    (float32[] 5., float32[] 2.)
    """
    return _of("jacobian", function, argnums, has_aux, _fewer)


def hessian(function: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """The second derivatives of a function that returns a float scalar, forward over reverse: in the argument's
    structure, for each tensor, the argument's again, with tensors of shape argument + argument.

    argnums and has_aux are those of `grad`, and so are the errors.

    >>> hessian(lambda x: (x**3).sum())(nx.tensor([1.0, 2.0])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """
    return _of("hessian", gradient_of("hessian", function, argnums, has_aux), argnums, has_aux, _never, function)


def hvp(function: Callable[..., Any], x: Any, v: Any) -> Any:
    """The Hessian at `x` of a function that returns a float scalar, times `v`, which has the structure and types of x:
    at the cost of a few gradients, without the Hessian. The errors are those of `grad` and `jvp`.

    >>> hvp(lambda x: (x**3).sum(), nx.tensor([1.0, 2.0]), nx.tensor([1.0, 10.0])).tolist()
    [6.0, 120.0]
    """
    return along("hvp", gradient_of("hvp", function, 0, False), (x,), (v,), False)[1]


def _of(
    name: str,
    function: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    back: Back,
    named: Any = None,
) -> Callable[..., Any]:
    callables(name, function=function)

    @functools.wraps(function)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        picked, rebuild = picked_of(name, function, argnums, args, kwargs)

        def reverse(traced: Traced, count: int) -> bool:
            parts = traced.structure.children()
            results = parts[0].size if has_aux and parts else len(traced.graph.outputs)
            values = traced.graph.inputs[:count], traced.graph.outputs[:results]
            return back(*[sum(v.type.size for v in vs) for vs in values])

        run = run_of(name, rebuild, picked, named or function, reverse)
        result = first_of(name, run.value) if has_aux else run.value
        leaves, structure = tree.flatten(result)
        for path, y in zip(structure.paths(), leaves, strict=True):
            if not y.dtype.is_float:
                where = f" at {tree.show(path)}" if path else ""
                raise GradientError(
                    f"{name}: expected float results, got {y.type}{where}; return it through has_aux=True"
                )
        made = (_reverse if run.back else _forward)(run, leaves)
        arguments = [[tree.unflatten(s, part) for s, part in zip(run.structures, _parted(row, run))] for row in made]
        found = tree.unflatten(structure, [tuple(each) if several(argnums) else each[0] for each in arguments])
        return (found, run.value[1]) if has_aux else found

    return jacobian_of


def _parted(row: Sequence[Tensor], run: Run) -> list[list[Tensor]]:
    """The tensors of a row by argument."""
    rest = iter(row)
    return [[next(rest) for _ in range(s.size)] for s in run.structures]


def _forward(run: Run, results: Sequence[Tensor]) -> list[list[Tensor]]:
    """A row of blocks for each result, by columns: along every element of the arguments."""
    points = [run.record.env[v] for v in run.record.wrt]
    linear = linear_of(run, run.outputs[: len(results)])
    columns = _each(lambda i: linear(_unit(points, i)), points)
    rows = [moveaxis(column, 0, -1) for column in columns]
    return [
        [reshape(part, (*y.shape, *x.shape)) for part, x in zip(_split(row, y.ndim, points), points)]
        for row, y in zip(rows, results)
    ]


def _reverse(run: Run, results: Sequence[Tensor]) -> list[list[Tensor]]:
    """A row of blocks for each result, by rows: by every element of the results."""
    points = [run.record.env[v] for v in run.record.wrt]

    def gradients(i: Tensor) -> list[Tensor]:
        return tree.leaves(run.pull(list(zip(run.outputs, _unit(results, i)))))

    blocks = [_split(column, 0, results) for column in _each(gradients, results)]
    return [
        [reshape(part, (*y.shape, *x.shape)) for part, x in zip(row, points)] for y, row in zip(results, zip(*blocks))
    ]


def _split(x: Tensor, axis: int, like: Sequence[Tensor]) -> list[Tensor]:
    """An axis in pieces, of as many elements as these tensors have."""
    ends = [0, *itertools.accumulate(t.size for t in like)]
    return [take_slice(x, a, b, axis) for a, b in itertools.pairwise(ends)]


def _unit(like: Sequence[Tensor], i: Tensor) -> list[Tensor]:
    """Tensors of these types that are 1 at the i-th element of all, and 0 elsewhere."""
    ends = itertools.accumulate((t.size for t in like), initial=0)
    return [astype(reshape(equal(iota_(t.size, 0) + end, i), t.shape), t.dtype) for t, end in zip(like, ends)]


def _each(function: Callable[[Tensor], list[Any]], like: Sequence[Tensor]) -> list[Tensor]:
    """function(i) for the int32 number i of every element of these tensors, stacked on a new axis 0."""
    return vmap(function)(arange(sum(t.size for t in like), dtype=int32))
