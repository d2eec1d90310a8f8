"""Effects: Python functions that run where a value is computed, in order, in eager and in compiled code. `io_call` is
the mechanism; `print_value` and `hook` are callbacks that give nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from .. import tree
from ..errors import AxonError, CallbackError
from ..graph.trace import Trace, line
from ..nx.core.backend import tracing
from ..nx.core.call import call
from ..nx.core.convert import is_array
from ..nx.core.kinds import EFFECT
from ..nx.core.number import Number
from ..nx.core.op import Inference, Op
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from .by_lane import by_lane
from .custom import custom_grad
from .region import callables


class Callback:
    """The attribute of a node that calls Python: the function, what it is given and gives, and the user's line. Two are
    never equal, so that calls of different functions stay apart."""

    def __init__(self, name: str, function: Callable[..., Any], args: Any, result: Any) -> None:
        self.name, self.function, self.source = name, function, _line()
        self.leaves, self.given = tree.flatten(args)
        self.places = [i for i, x in enumerate(self.leaves) if is_array(x) or type(x) is Number]
        self.operands = [asarray(self.leaves[i]) for i in self.places]
        self.types = [t.type for t in self.operands]
        results, self.made = tree.flatten(result)
        self.results = tuple([_type(name, x) for x in results])
        self.leaves = [None if i in self.places else x for i, x in enumerate(self.leaves)]  # holds no tensor alive
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def run(self) -> Any:
        """Record the call in the open trace, or make it at once."""
        operands, self.operands = self.operands, []
        made = call(ROWS[self.name], operands, {"callback": self})
        return tree.unflatten(self.made, list(made) if isinstance(made, tuple) else [made])

    def __call__(self, backend: Any, arrays: tuple[Any, ...]) -> list[Any]:
        """The results of the function, checked, in arrays of their own; so are those that it is given."""
        leaves, xp = list(self.leaves), backend.xp
        for i, array, type_ in zip(self.places, arrays, self.types):
            leaves[i] = Tensor(type_, backend, xp.array(array))
        try:
            made = self.function(*tree.unflatten(self.given, leaves))
        except Exception as error:
            error.add_note(f"in the callback of {self}")
            raise
        return [xp.array(t.numpy()) for t in self._checked(made)] if self.results else []

    def _checked(self, made: Any) -> list[Tensor]:
        try:
            leaves = tree.flatten_like(self.made, made)
            typed = [x if hasattr(x, "dtype") else asarray(x, t.dtype) for x, t in zip(leaves, self.results)]
            found = [asarray(x) for x in typed]
        except (AxonError, TypeError, ValueError) as error:
            raise CallbackError(
                f"{self}: expected {self.__name__} to return what result= says, {self._promised()}, got "
                f"a {type(made).__name__} ({error}); return that, or change result"
            ) from error
        for path, t, wanted in zip(self.made.paths(), found, self.results):
            if (t.dtype, t.shape) != (wanted.dtype, wanted.shape):
                where = f" at {tree.show(path)}" if path else ""
                raise CallbackError(
                    f"{self}: expected {self.__name__} to return {wanted}{where}, got {t.type}; "
                    f"reshape or cast it, or change result"
                )
        return found

    def _promised(self) -> str:
        return ", ".join(map(str, self.results))

    def __str__(self) -> str:
        return f"{self.name} at {self.source}" if self.source else self.name


def _line() -> str:
    trace = tracing.get()
    return (trace.source if isinstance(trace, Trace) else "") or line()


def _type(name: str, given: Any) -> TensorType:
    if isinstance(given, Tensor):
        return given.type
    if not isinstance(given, TensorType):
        raise TypeError(
            f"{name}: expected None, or types as result, got a {type(given).__name__}; write nx.template(shape, dtype)"
        )
    return given


def _row(name: str) -> Op:
    return Op(
        name=name,
        kind=EFFECT,
        infer=lambda operands, attrs: Inference(tuple([t.dtype for t in operands]), attrs["callback"].results, attrs),
        eager=lambda backend, *arrays, callback: callback(backend, arrays),
        batch=lambda lanes, *operands, callback: by_lane(ROWS[name], lanes, operands, {"callback": callback}),
        nondifferentiable="what Python returns has no gradient; take it through stop_grad, or write a custom_grad",
    )


ROWS = {name: _row(name) for name in ("io_call", "print_value", "hook")}


def io_call(function: Callable[..., Any], *args: Any, result: Any = None) -> Any:
    """Call a Python function when its arguments are computed, and give what it returns: None, or tensors of the types
    of `result`, a TensorType (`nx.template`) or a tree of them.

    args are trees; tensors and arrays reach the function as concrete tensors with memory of their own, which it may
    keep; anything else as it is. Numbers that it returns take the dtype of `result`. Each call runs once, in the order
    of the program, whether its results are used or not; a branch or a loop's body runs it as often as it is run.
    Under vmap it runs once a lane, in order, if an argument is mapped.
    Whatever the function raises reaches the caller of the compiled function, an Exception with a note that names this
    line; donated arguments of that call are lost. CallbackError where it returns anything else than `result` says.

    The results have no gradient (GradientError; stop_grad keeps them out). A gradient calls nothing again:
    GradientError where that of a checkpoint or branch needs results that were made inside it; a scan keeps them.

    >>> seen = []
    >>> jit(lambda x: [io_call(seen.append, x), x * 2][1])(nx.tensor(3.0)).item(), seen
    (6.0, [float32[] 3.])
    >>> import numpy
    >>> io_call(numpy.sort, nx.tensor([3.0, 1.0]), result=nx.template(2)).tolist()
    [1.0, 3.0]
    """
    callables("io_call", function=function)
    return Callback("io_call", function, args, result).run()


def print_value(value: Any, label: str = "") -> Any:
    """Give `value`, a tree of tensors, back, and print it when it is computed, leaf by leaf after the label.

    As of `io_call`: in order, in compiled code, too; a gradient prints it once and flows through.

    >>> _ = jit(lambda x: print_value(x + 1, "next") * 2)(nx.tensor([1.0, 2.0]))
    next: float32[2] [2., 3.]
    """

    if not isinstance(label, str):
        raise TypeError(
            f'print_value: expected a text as label, got a {type(label).__name__}; write print_value(value, "label")'
        )

    def show(made: Any) -> None:
        leaves, structure = tree.flatten(made)
        for path, leaf in zip(structure.paths(), leaves):
            place = " ".join(filter(None, (label, tree.show(path))))
            print(f"{place}: {leaf!r}" if place else repr(leaf), flush=True)

    Callback("print_value", show, (value,), None).run()
    return value


def hook(value: Any, function: Callable[[Any], Any], *, on: Literal["forward", "backward"] = "forward") -> Any:
    """Give `value`, a tree of tensors, back, and call function(value) when it is computed; its result is dropped.

    on="backward": call it with the gradient of `value` instead, when that is computed; not at all where nothing is
    differentiated, or no gradient reaches `value`. (vmap refuses it all the same where lanes choose a branch.)
    Otherwise as of `io_call`; the gradient flows through unchanged.

    >>> seen = []
    >>> grad(lambda x: hook(x * x, seen.append, on="backward") * 3)(nx.tensor(2.0)).item(), seen
    (12.0, [float32[] 3.])
    """
    callables("hook", function=function)
    if on not in ("forward", "backward"):
        raise ValueError(f'hook: expected on="forward" or "backward", got {on!r}')
    if on == "backward":
        return custom_grad(lambda x: (x, lambda g: hook(g, function)))(value)
    Callback("hook", lambda made: function(made), (value,), None).run()
    return value
