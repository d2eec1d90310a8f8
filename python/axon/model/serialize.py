"""Models as JSON: which layers, with which options, and who reads whom. No code, and no tensors.

A text is data and is read as nothing else: a layer is looked up in the table and made by its model function, so that a
text can ask for no more than the line of Python that it stands for, and is refused as that line would be.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from .. import initializers, layers, nx
from ..dtypes import DType
from ..names import none_of
from ..nx import Tensor
from ..options import plain
from ..values import Made
from .graph import Model, check_model, in_table, numbered, place
from .making import constant, contained, function_of, input
from .shapes import infer, needs_template
from .sources import SOURCES
from .unknown import no_layer

_HEAD = {"format": "axon model", "version": 1}  # what it could not hold before is refused by the versions before
_DEEPEST = 8  # lists in lists
_LARGEST = 2**63  # whole numbers are below
_INFINITE = ("inf", "-inf", "nan")  # in tensors; JSON has no such numbers
_MAKERS = {"input": input, "constant": constant, "container": contained}  # of rows outside the table
_KINDS = {str: "text", int: "a whole number", list: "a list", dict: "an object"}


def to_json(model: Model) -> str:
    """The model as JSON, a line a layer: its op, the numbers of the layers it reads (of a part: a list of that number
    and the part's place), its options, its name if given.

    `from_json` makes the model again, with the same names and parameters, so that a trained state fits; `axon.io.save`
    saves that. TypeError for anything but a Model; ValueError names the layer that is a function of your own, and the
    option that is no data, as a function or an infinite number.

    >>> from axon.model import input
    >>> print(to_json(input("x", shape=(None, 3)).dense(2, use_bias=False)))
    {"format": "axon model", "version": 1, "layers": [
      {"op": "input", "inputs": [], "options": {"shape": [null, 3], "dtype": "float32"}, "name": "x"},
      {"op": "dense", "inputs": [0], "options": {"units": 2, "use_bias": false}}
    ]}
    """
    check_model(model, "to_json")
    rows = []
    for node, parents in numbered(model).items():
        where = f"to_json: {place(node, model.names[node])}"
        if not in_table(node):
            raise ValueError(
                f"{where}: expected a layer of axon.layers.TABLE, got a function of your own, which is code; declare "
                f"it with @axon.layers.layer, or pickle the model"
            )
        options = {option: _data(f"{where}: {option}", value) for option, value in node.options.items()}
        name = {"name": node.given_name} if node.given_name else {}
        op = node.op if node.op in _MAKERS else node.layer.key
        read = [[number, *path] if path else number for number, *path in parents]
        rows.append("\n  " + json.dumps({"op": op, "inputs": read, "options": options, **name}))
    path = {"output": model.path} if model.path else {}
    return json.dumps({**_HEAD, "layers": [], **path}).replace("[]", f"[{','.join(rows)}\n]", 1)


def from_json(text: str) -> Model:
    """The model that `to_json` wrote: the same layers, options, names and parameters.

    Nothing in the text is executed. Options are checked as in a model's function, sizes as in `build`, and lists become
    tuples. A layer of your own is known once the module that declares it (`@axon.layers.layer`) is imported.
    ValueError says which layer is damaged, unknown, or does not fit; TypeError for anything but text.

    >>> from axon.model import input
    >>> from_json(to_json(input("x", shape=(None, 3)).dense(2, name="head")))
    <Model head (dense), 2 layers, inputs x>
    """
    if not isinstance(text, str):
        raise TypeError(f"from_json: expected text, got {type(text).__name__}; pass what to_json gave")
    made: list[Model] = []
    found = _parsed(text)
    for row in _rows(found):
        made.append(_layer(f"from_json: layer {len(made)}", row, made))
    model = _part("from_json: output", made[-1], found.get("output", []))
    read = set(model.nodes)
    first = next((number for number, layer in enumerate(made) if layer.node not in read), None)
    if first is not None:
        raise ValueError(f"from_json: expected layers that lead to the last one, got layer {first} too; remove it")
    _told("from_json", lambda: model.names if needs_template(model) else infer(model))
    return model


def _data(where: str, value: Any, depth: int = _DEEPEST) -> Any:
    """What JSON has for an option."""
    if isinstance(value, DType):
        return value.name
    if isinstance(value, Tensor):
        numbers = [_checked(where, n) if math.isfinite(n) else str(n) for n in value.reshape((-1,)).tolist()]
        return {"dtype": value.dtype.name, "shape": list(value.shape), "values": numbers}
    value = plain(value)
    if isinstance(value, (list, tuple)) and depth:
        return [_data(where, item, depth - 1) for item in value]
    if isinstance(value, Made) and getattr(initializers, value.call[0].__name__, None) is value.call[0] and depth:
        constructor, args, options = value.call
        named = inspect.signature(constructor).bind(*args, **options).arguments
        return {"initializer": constructor.__name__, **{k: _data(f"{where}: {k}", v, 0) for k, v in named.items()}}
    if value is not None and not isinstance(value, (bool, int, float, str)):
        what = "an initializer of axon.initializers, such as he_normal()" if callable(value) else "numbers or names"
        got = getattr(value, "__name__", type(value).__name__)
        raise ValueError(f"{where}: expected {what}, got {got}; write such, or pickle the model")
    return _checked(where, value)


def _checked(where: str, value: Any) -> Any:
    """A value, unless it is a number that JSON does not have or that no option can mean."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}: expected finite numbers, got {value}; JSON has no others")
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise ValueError(f"{where}: expected numbers of 64 bits, got one of {value.bit_length()}; choose another")
    return value


def _parsed(text: str) -> Any:
    """The JSON in a text. A key that stands twice in an object is an error."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ValueError(f"{_shown(key)} stands twice in an object")
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        why = "its brackets are too deep" if isinstance(error, RecursionError) else error
        raise ValueError(
            f"from_json: expected JSON, got {_shown(text[:80])} ({why}); pass what to_json gave, a file's text and not "
            f"its path"
        ) from None


def _rows(found: Any) -> Sequence[Any]:
    """The rows in what was parsed."""
    for field, known in _HEAD.items():
        if isinstance(found, dict) and found.get(field, known) != known:
            got = _shown(found[field])
            raise ValueError(f"from_json: expected {field} {_shown(known)}, got {got}; use the axon that wrote it")
    fields = {"format": str, "version": int, "layers": list, "output": list}
    _check_fields("from_json", found, fields, optional=["output"])
    if not found["layers"]:
        raise ValueError("from_json: expected layers, got none; the last one gives the model's output")
    return found["layers"]


def _check_fields(where: str, found: Any, known: Mapping[str, type], optional: Sequence[str] = ()) -> None:
    """Refuse anything but an object of these fields, each of its kind (`object` is any)."""
    if type(found) is not dict:
        raise ValueError(f"{where}: expected an object with {', '.join(known)}, got {_shown(found)}; mend the text")
    missing = [field for field in known if field not in found and field not in optional]
    unknown = [_shown(field) for field in found if field not in known]
    if missing or unknown:
        got = f"none called {missing[0]}" if missing else f"also {unknown[0]}"
        raise ValueError(f"{where}: expected the fields {', '.join(known)}, got {got}; mend the text")
    for field, value in found.items():
        if known[field] is not object and type(value) is not known[field]:
            raise ValueError(f"{where}: expected {_KINDS[known[field]]} as {field}, got {_shown(value)}; mend the text")


def _layer(where: str, found: Any, before: Sequence[Model]) -> Model:
    """The layer of a row, which reads some of those before it."""
    _check_fields(where, found, {"op": str, "inputs": list, "options": dict, "name": str}, optional=["name"])
    op, numbers = found["op"], found["inputs"]
    where = f"{where} ({_shown(found.get('name', op))[1:-1]})"
    row = SOURCES.get(op) or layers.find(op)
    if row is None:
        raise ValueError(f"{where}: {no_layer(op, layers.TABLE)}; your own are known once their module is imported")
    parents = [_parent(where, number, before) for number in numbers]
    wanted = max(len(numbers), 1) if row.variadic else len(row.inputs)
    if len(numbers) != wanted:
        raise ValueError(f"{where}: expected {wanted} inputs, got {len(numbers)}; say which layers it reads")
    if op in SOURCES:
        _check_fields(f"{where}: options", found["options"], dict.fromkeys(row.options, object))
    beside = ({"activation", "name"} - row.own) & found["options"].keys()
    if beside:
        raise ValueError(f"{where}: expected options, got {min(beside)}; an activation is a layer, a name a field")
    options = {option: _option(f"{where}: {option}", value) for option, value in found["options"].items()}
    make = _MAKERS.get(op) or function_of(row)
    return _told(where, lambda: make(*parents, **options, name=found.get("name")))


def _parent(where: str, found: Any, before: Sequence[Model]) -> Model:
    """What a row reads: one of the layers before by its number, or by a list of that and the place of a part."""
    number, *path = found if isinstance(found, list) and found else [found]
    if type(number) is not int or not 0 <= number < len(before):
        raise ValueError(f"{where}: expected inputs among the {len(before)} layers before, got {_shown(number)}")
    return _part(where, before[number], path)


def _part(where: str, model: Model, path: Sequence[Any]) -> Model:
    """A part of what a layer gives."""
    for key in path:
        if type(key) not in (int, str):
            raise ValueError(f"{where}: expected numbers and names as the place of a part, got {_shown(key)}")
        model = _told(where, lambda model=model, key=key: model[key])
    return model


def _option(where: str, value: Any, depth: int = _DEEPEST) -> Any:
    """The option that data stand for."""
    if isinstance(value, list) and depth:
        return tuple(_option(where, item, depth - 1) for item in value)
    if isinstance(value, dict) and "initializer" in value and depth:
        arguments = {key: _option(f"{where}: {key}", given, 0) for key, given in value.items()}
        name = arguments.pop("initializer")
        if name not in initializers.__all__:
            raise ValueError(none_of(f"{where}: initializer", initializers.__all__, name))
        return _told(where, lambda: _initializer(name, **arguments))
    if isinstance(value, dict) and "values" in value:
        _check_fields(where, value, {"dtype": str, "shape": list, "values": list})
        numbers = [float(n) if n in _INFINITE else _option(where, n, 0) for n in value["values"]]
        return _told(where, lambda: nx.tensor(numbers, value["dtype"]).reshape(tuple(value["shape"])))
    if isinstance(value, (list, dict)):
        raise ValueError(f"{where}: expected a number, a name or a list of such, got {_shown(value)}; mend the text")
    return _checked(where, value)


@lru_cache(typed=True)
def _initializer(name: str, /, **arguments: Any) -> Any:
    """One function for all layers that ask for the same, so that their parameters are known to be drawn alike."""
    return getattr(initializers, name)(**arguments)


def _told(where: str, make: Callable[[], Any]) -> Any:
    """What a call gives; what it raises as an error of the text."""
    try:
        return make()
    except Exception as error:
        notes = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
        raise ValueError(f"{where}: {error}{notes}") from error


def _shown(value: Any) -> str:
    """What was got, for an error's text: short, whatever it is."""
    if isinstance(value, (list, dict)):
        return _KINDS[type(value)]
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "a number of more than 64 bits"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:56]}..."
