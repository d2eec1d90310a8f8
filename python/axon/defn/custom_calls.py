"""custom_call: native code of a user's own as a function of tensors, and the row that its calls are nodes of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

from .. import config, tree
from ..errors import AxonError
from ..nx.core.call import call
from ..nx.core.kinds import CUSTOM
from ..nx.core.op import Inference, Op, keep
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from .by_lane import by_lane
from .custom import checked
from .region import callables

Types = tuple[TensorType, ...]


def custom_call(
    name: str,
    source: str | None = None,
    *,
    result: Any,
    library: str | None = None,
    gradient: Callable[..., Any] | None = None,
    units: int | Callable[..., int] = 1,
    grain: int = 1,
    **texts: str | None,
) -> Callable[..., Any]:
    """A function of tensors that native code computes: the C++ text `source`, compiled at the first call and cached as
    kernels are, or the shared `library` at that path. Either exports `name` by AXON_CUSTOM of custom.h.

    result: the TensorType of the result, or a tree of several; or a function of the operands' types that gives it, and
    raises where they do not fit: it runs before every call of other types, and the code sees nothing that it has not
    seen. units: how many parts the work has, a number or a function of the operands' types. Each thread calls the code
    for the units [begin, end), `grain` at least, which write to elements of their own. gradient: a function of the
    result's cotangent, the result and the operands that gives the gradient of the operand, or a tuple of one for each
    of several (None: zero); it may call anything. Without one, GradientError where a gradient is asked for.

    The code computes from its operands alone: equal calls are made once, unused ones never, and a checkpoint repeats
    them; vmap calls it lane by lane. It runs eagerly, under both compilers, and in saved programs. `call.fail("text")`
    raises RuntimeError, as does an exception that leaves it; CompileError where the text does not compile, or the
    library is not there or has no such symbol (one that AXON_CUSTOM did not make is called all the same). texts: the
    same for other devices, by their names: that of `cuda=` is kept, but programs for the device "cuda" do not run yet.
    TypeError for texts of no device that there is.

    Nobody watches the code: what it reads or writes outside of its operands may crash the process, and elements that it
    does not write hold anything.

    >>> text = '''
    ... #include "custom.h"
    ... AXON_CUSTOM(cube) {
    ...   const float* x = call.input<float>(0);
    ...   float* y = call.output<float>(0);
    ...   for (long i = call.begin; i < call.end; ++i) y[i] = x[i] * x[i] * x[i];
    ...   return 0;
    ... }'''
    >>> cube = custom_call(
    ...     "cube", text, result=lambda x: x, units=lambda x: x.size, gradient=lambda g, y, x: 3 * g * x * x
    ... )
    >>> cube(nx.tensor([1.0, 2.0])).tolist(), grad(cube)(nx.tensor(2.0)).item()
    ([1.0, 8.0], 12.0)
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"custom_call: expected the name of a C++ function, got {name!r}")
    devices = config.lookup("program", "single").DEVICES if texts else ()
    if unknown := [device for device in texts if device not in devices]:
        known = ", ".join(devices)
        raise TypeError(f"custom_call: expected a text for one of {known}, got one for {unknown[0]}; see its options")
    if not all(x is None or isinstance(x, str) for x in (source, library, *texts.values())):
        labels = ", ".join(["source", *texts])
        raise TypeError(f"custom_call: expected texts as {labels} and library of {name}; pass str(path) for a path")
    if (source is None) is (library is None):
        got = "neither" if source is None else "both"
        raise TypeError(f"custom_call: expected a source or a library for {name}, got {got}; give one")
    if gradient is not None:
        callables("custom_call", gradient=gradient)
    if not callable(result):
        _types_of(name, result)
    if type(grain) is not int or grain < 1:
        raise ValueError(f"custom_call: expected a grain of at least 1 unit, got {grain!r}")
    return Custom(name, source, library, result, gradient, units, grain, texts)


def _types_of(name: str, result: Any) -> tuple[Types, tree.Structure]:
    """The types that a result is promised to have, and their structure."""
    leaves, structure = tree.flatten(result)
    odd = [x for x in leaves if not isinstance(x, TensorType)]
    if odd or not leaves:
        got = "no leaf" if not odd else "a Tensor" if isinstance(odd[0], Tensor) else repr(odd[0])
        raise TypeError(f"{name}: expected types as result, got {got}; write nx.template(shape, dtype)")
    return tuple(leaves), structure


class Custom:
    """What `custom_call` gives: a function of tensors, and its row's native code."""

    def __init__(
        self,
        name: str,
        source: str | None,
        library: str | None,
        result: Any,
        gradient: Callable[..., Any] | None,
        units: int | Callable[..., int],
        grain: int,
        texts: Mapping[str, str | None],
    ) -> None:
        self.__name__, self.source, self.library = name, source, library
        self.texts = {device: text for device, text in texts.items() if text is not None}
        self.grain, self._result, self._units, self._gradient = grain, result, units, gradient
        self._handles: dict[str, Any] = {}  # by device
        self._results: dict[Types, tuple[Types, tree.Structure]] = {}  # what calls of these types give
        self.op = Op(
            name=name,
            kind=CUSTOM,
            infer=self._infer,
            eager=self._eager,
            batch=lambda lanes, *operands: by_lane(self.op, lanes, operands, {}),
            vjp=None if gradient is None else self._pull,
            nondifferentiable=None if gradient else "it has no gradient; give custom_call one, or use stop_grad",
            function=self,
        )

    def __repr__(self) -> str:
        return f"<custom_call {self.__name__}>"

    def __call__(self, *operands: Any) -> Any:
        """The results for these operands: tensors, or what can be such."""
        tensors = [asarray(x) for x in operands]
        made = call(self.op, tensors, {})
        structure = self._made(tuple([t.type for t in tensors]))[1]
        return tree.unflatten(structure, list(made) if isinstance(made, tuple) else [made])

    def handle(self, target: Any) -> Any:
        """The code, as a target's steps call it."""
        if target.device not in self._handles:
            self._handles[target.device] = target.custom(self.__name__, self.source, self.library, self.texts)
        return self._handles[target.device]

    def count(self, types: Sequence[TensorType]) -> int:
        """The units of a call."""
        units = self._units(*types) if callable(self._units) else self._units
        if not isinstance(units, Integral) or isinstance(units, bool) or units < 0:
            raise ValueError(f"{self.__name__}: expected a number of units of at least 0, got {units!r}; mend units=")
        return int(units)

    def _infer(self, operands: Sequence[Any], attrs: dict[str, Any]) -> Inference:
        return Inference(tuple([t.dtype for t in operands]), self._made(tuple(operands))[0], attrs)

    def _made(self, types: Types) -> tuple[Types, tree.Structure]:
        found = self._results.get(types)
        if found is None:
            made = _types_of(self.__name__, self._result(*types) if callable(self._result) else self._result)
            if not self.count(types) and any(t.size for t in made[0]):
                raise ValueError(
                    f"{self.__name__}: expected units for results of {', '.join(map(str, made[0]))}, got 0; mend units="
                )
            found = keep(self._results, types, made)
        return found

    def _eager(self, xp: Any, *arrays: Any) -> Any:
        raise AxonError(f"{self.__name__}: expected operands on the CPU, got {xp.__name__} arrays; move them there")

    def _pull(self, g: Any, y: Any, *operands: Tensor) -> list[Tensor]:
        assert self._gradient is not None
        structure = self._made(tuple([t.type for t in operands]))[1]
        parts = [tree.unflatten(structure, list(x) if isinstance(x, tuple) else [x]) for x in (g, y)]
        made = self._gradient(*parts, *operands)
        given = made if len(operands) != 1 else (made,)
        _, places = tree.flatten(operands)
        return checked(self.__name__, "a gradient function", places, [t.type for t in operands], given)
