"""Trees: nested dicts, lists, tuples, NamedTuples, dataclasses and registered types, with anything else as leaves.

A tree is its leaves, in insertion order, and a Structure: the flat, hashable token of everything else. None is a node
without leaves. A type that would be a node by its looks (a NamedTuple that is one value) says `@tree.atom`.
"""

from __future__ import annotations

import dataclasses
from builtins import map as each
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from .errors import StructureError
from .exact import Exact, exact, is_fixed

T = TypeVar("T", bound=type)
Path = tuple[Any, ...]  # keys, field names and positions from the root to a leaf

_LEAF = "*"
_NAMES = frozenset([str])  # types of keys that stand in a structure as they are


class Container(NamedTuple):
    """How values of one type come apart and together. The metadata is all that children do not say."""

    split: Callable[[Any], tuple[Collection[Any], Hashable]]  # value -> (children, metadata)
    rebuild: Callable[[Any, Sequence[Any]], Any]  # (metadata, children) -> value
    keys: Callable[[Any, int], Iterable[Any]]  # (metadata, number of children) -> their names in a path


class Structure(tuple):
    """A tree without its leaves, in preorder: "*" for a leaf, else type, metadata, number of children.

    One flat tuple, so that hashing and comparing it never leaves C.
    """

    __slots__ = ()

    @property
    def size(self) -> int:
        """The number of leaves."""
        return sum(1 for _ in self.paths())

    def paths(self) -> list[Path]:
        """The path of each leaf, in order."""
        found: list[Path] = []
        _paths(iter(self), (), found)
        return found

    def children(self) -> list[Structure]:
        """The structures of the root's children, none for a leaf."""
        found = []
        at = 3
        while at < len(self):
            start = at
            at = self._end(at)
            found.append(Structure(self[start:at]))
        return found

    def _end(self, at: int) -> int:
        """Where the subtree that starts at `at` ends."""
        missing = 1
        while missing:
            leaf = self[at] == _LEAF
            missing += -1 if leaf else self[at + 2] - 1
            at += 1 if leaf else 3
        return at

    def __repr__(self) -> str:
        return f"Structure({unflatten(self, [_Star()] * self.size)!r})"


def _entry(token: Iterator[Any]) -> tuple[Any, int]:
    """The metadata and the number of children of the node whose type was read."""
    meta = next(token)
    return (meta.value if type(meta) is Exact else meta), next(token)


class _Star:
    def __repr__(self) -> str:
        return "*"


def _dict_kind(make: Callable[[Any], Any]) -> Container:
    return Container(
        lambda x: (x.values(), tuple(x)),
        lambda keys, children: make(zip(keys, children)),
        lambda keys, _: keys,
    )


def _positions(_: Any, count: int) -> Iterable[Any]:
    return range(count)


# What each type seen is: a Container, or None for leaves. Types are added when first met.
_kinds: dict[type, Container | None] = {
    dict: _dict_kind(dict),
    OrderedDict: _dict_kind(OrderedDict),
    defaultdict: Container(
        lambda x: (x.values(), (x.default_factory, tuple(x))),
        lambda meta, children: defaultdict(meta[0], zip(meta[1], children)),
        lambda meta, _: meta[1],
    ),
    list: Container(lambda x: (x, None), lambda _, children: list(children), _positions),
    tuple: Container(lambda x: (x, None), lambda _, children: tuple(children), _positions),
    type(None): Container(lambda x: ((), None), lambda _, children: None, _positions),
}


def register(
    cls: type,
    split: Callable[[Any], tuple[Collection[Any], Hashable]],
    rebuild: Callable[[Any, Sequence[Any]], Any],
    keys: Callable[[Any, int], Iterable[Any]] = _positions,
) -> None:
    """Make values of `cls` nodes: split(value) gives (children, hashable metadata), rebuild(metadata, children) it.

    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> register(Pair, lambda p: ((p.a, p.b), None), lambda _, children: Pair(*children))
    >>> leaves({"x": Pair(1, [2, 3])})
    [1, 2, 3]
    """
    _kinds[cls] = Container(split, rebuild, keys)


def atom(cls: T) -> T:
    """Declare that values of a NamedTuple or dataclass are leaves.

    >>> @atom
    ... class Interval(NamedTuple):
    ...     low: float
    ...     high: float
    >>> leaves([Interval(0, 1)])
    [Interval(low=0, high=1)]
    """
    _kinds[cls] = None
    return cls


def _meet(cls: type) -> Container | None:
    """The kind of a type met for the first time."""
    fields = getattr(cls, "_fields", None)
    if issubclass(cls, tuple) and fields is not None:
        kind = Container(lambda x: (x, None), lambda _, children: cls(*children), lambda _, __: fields)
    elif dataclasses.is_dataclass(cls):
        kind = _dataclass_kind(cls)
    else:
        kind = None
    return _kinds.setdefault(cls, kind)


def _dataclass_kind(cls: type) -> Container:
    """Fields with metadata {"static": True} are metadata, the others children. Rebuilding does not call __init__."""
    fields = dataclasses.fields(cls)
    static = tuple(f.name for f in fields if f.metadata.get("static"))
    names = tuple(f.name for f in fields if not f.metadata.get("static"))

    def rebuild(meta: tuple[Any, ...], children: Sequence[Any]) -> Any:
        made = object.__new__(cls)
        for name, value in (*zip(static, meta), *zip(names, children)):
            object.__setattr__(made, name, value)
        return made

    return Container(
        lambda x: ([getattr(x, n) for n in names], tuple(getattr(x, n) for n in static)), rebuild, lambda _, __: names
    )


def _node_kind(cls: type) -> Container:
    kind = _kinds[cls] if cls in _kinds else _meet(cls)
    assert kind is not None, cls
    return kind


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a tree in order, and its structure; StructureError where it is too deep for Python's stack.

    >>> flatten({"w": 1, "b": (2, None)})
    ([1, 2], Structure({'w': *, 'b': (*, None)}))
    """
    found: list[Any] = []
    token: list[Any] = []
    try:
        _flatten(tree, found, token)
    except RecursionError:
        raise StructureError(
            f"tree: expected containers a few hundred levels deep at most, got a {type(tree).__name__} that goes "
            f"deeper; does one hold itself?"
        ) from None
    return found, Structure(token)


def _flatten(tree: Any, found: list[Any], token: list[Any]) -> None:
    cls = type(tree)
    kind = _kinds[cls] if cls in _kinds else _meet(cls)
    if kind is None:
        found.append(tree)
        token.append(_LEAF)
        return
    children, meta = kind.split(tree)
    if meta is not None and not (type(meta) is tuple and _NAMES.issuperset(each(type, meta))):
        meta = Exact(meta)  # == would confuse a key 1 with True, a static 0.0 with -0.0
    token += (cls, meta, len(children))
    for child in children:
        _flatten(child, found, token)


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """The tree of that structure with those leaves; StructureError when there are too few or too many.

    >>> unflatten(structure([0, {"a": 0}]), [1, 2])
    [1, {'a': 2}]
    """
    supply = iter(leaves)
    try:
        made = _unflatten(iter(structure), supply)
    except StopIteration:
        raise StructureError(f"unflatten: expected {structure.size} leaves, got fewer") from None
    for _ in supply:
        raise StructureError(f"unflatten: expected {structure.size} leaves, got more")
    return made


def _unflatten(token: Iterator[Any], supply: Iterator[Any]) -> Any:
    cls = next(token)
    if cls == _LEAF:
        return next(supply)
    meta, count = _entry(token)
    kind = _node_kind(cls)
    return kind.rebuild(meta, [_unflatten(token, supply) for _ in range(count)])


def _paths(token: Iterator[Any], path: Path, found: list[Path]) -> None:
    cls = next(token)
    if cls == _LEAF:
        found.append(path)
        return
    meta, count = _entry(token)
    kind = _node_kind(cls)
    for key in kind.keys(meta, count):
        _paths(token, (*path, key), found)


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree in order.

    >>> leaves({"w": 1, "b": (2, None)})
    [1, 2]
    """
    return flatten(tree)[0]


def structure(tree: Any) -> Structure:
    """The structure of a tree: equal for trees that differ in leaves only.

    >>> structure({"w": 1, "b": [2]}) == structure({"w": 3, "b": [4]}) != structure({"b": [4], "w": 3})
    True
    """
    return flatten(tree)[1]


def paths(tree: Any) -> list[Path]:
    """The path of each leaf: dict keys, field names, positions.

    >>> [show(p) for p in paths({"dense_0": {"kernel": 1, "bias": 2}, "rest": [3]})]
    ['dense_0.kernel', 'dense_0.bias', 'rest.0']
    """
    return structure(tree).paths()


def show(path: Path) -> str:
    """A path as error texts and file formats spell it: its parts joined by dots."""
    return ".".join(str(part) for part in path)


def map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """A tree of function(leaf, leaves of the other trees at the same place).

    The others must have the structure of the first, but dict entries are found by key, whatever their order, and may
    hold whole subtrees where the first has a leaf.

    >>> map(lambda a, b: a + b, {"x": 1, "y": 2}, {"y": 20, "x": 10})
    {'x': 11, 'y': 22}
    """
    found, token = flatten(tree)
    columns = [found, *(flatten_like(token, other) for other in rest)]
    return unflatten(token, [function(*row) for row in zip(*columns)])


def flatten_like(structure: Structure, tree: Any) -> list[Any]:
    """What a tree holds at each leaf of a structure (whole subtrees, where it goes deeper); StructureError where they
    part."""
    found: list[Any] = []
    _flatten_like(iter(structure), tree, (), found)
    return found


def _flatten_like(token: Iterator[Any], tree: Any, path: Path, found: list[Any]) -> None:
    cls = next(token)
    if cls == _LEAF:
        found.append(tree)
        return
    meta, count = _entry(token)
    kind = _node_kind(cls)
    keys = list(kind.keys(meta, count))
    where = f" at {show(path)}" if path else ""
    if type(tree) is not cls:
        raise StructureError(f"tree{where}: expected a {cls.__name__}, got a {type(tree).__name__}")
    children, other_meta = kind.split(tree)
    by_key = dict(zip(kind.keys(other_meta, count), children)) if issubclass(cls, dict) else None
    children = list(children)
    if len(children) != count or (exact(other_meta) != exact(meta) if by_key is None else by_key.keys() != set(keys)):
        want, have = (", ".join(str(k) for k in ks) for ks in (keys, kind.keys(other_meta, len(children))))
        raise StructureError(f"tree{where}: expected a {cls.__name__} of ({want}), got one of ({have})")
    for i, key in enumerate(keys):
        _flatten_like(token, children[i] if by_key is None else by_key[key], (*path, key), found)


def flatten_prefix(structure: Structure, prefix: Any, whole: Callable[[Any], bool]) -> list[Any]:
    """What a prefix of a tree says of each leaf: a value for which `whole` holds stands for all leaves below its place.
    StructureError where they part.

    >>> flatten_prefix(structure({"x": (1, 2), "y": 3}), {"x": 0, "y": None}, lambda v: v is None or v == 0)
    [0, 0, None]
    """
    return _flatten_prefix(structure, prefix, (), whole)


def _flatten_prefix(structure: Structure, prefix: Any, path: Path, whole: Callable[[Any], bool]) -> list[Any]:
    if whole(prefix):
        return [prefix] * structure.size
    if structure == (_LEAF,):
        where = f" at {show(path)}" if path else ""
        raise StructureError(f"tree{where}: expected no container, got a {type(prefix).__name__}")
    cls, meta, count = structure[:3]
    found: list[Any] = []
    _flatten_like(iter((cls, meta, count, *(_LEAF,) * count)), prefix, path, found)
    keys = _node_kind(cls).keys(meta.value if type(meta) is Exact else meta, count)
    return [
        leaf
        for key, below, part in zip(keys, structure.children(), found)
        for leaf in _flatten_prefix(below, part, (*path, key), whole)
    ]


# The same walks as straight-line code, for callers that meet one structure again and again.


def matcher(structure: Structure) -> Callable[[Any], list[Any] | None]:
    """A function that gives a tree's leaves if its containers are those of the structure, else None. It does not look
    at what stands in a leaf's place: that may be a container (`is_leaf` tells).

    >>> match = matcher(structure({"x": 0, "y": (0, 0)}))
    >>> match({"x": 1, "y": (2, 3)}), match({"x": 1}), match({"x": [1], "y": (2, 3)})
    ([1, 2, 3], None, [[1], 2, 3])
    """
    names: dict[str, Any] = {}
    lines, found = unpacking(structure, "t", names)
    return compiled("match(t)", [*lines, f"return [{', '.join(found)}]"], names)


def unpacking(structure: Structure, this: str, names: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What `matcher` does with the variable `this`, as lines of a function that returns None where containers differ,
    and the variables that then hold the leaves. The lines speak of `names`, which are added to."""
    lines: list[str] = []
    found: list[str] = []
    names["exact"] = exact

    def visit(token: Iterator[Any], this: str) -> None:
        cls = next(token)
        if cls == _LEAF:
            found.append(this)
            return
        meta, count = _entry(token)
        kind = _node_kind(cls)
        i = len(names)
        names.update({f"cls{i}": cls, f"meta{i}": meta, f"split{i}": kind.split, f"exact{i}": exact(meta)})
        lines.append(f"if type({this}) is not cls{i}: return None")
        if cls is dict:  # the keys are the same objects nearly always
            lines.append(f"if len({this}) != {count}: return None")
            names.update({f"key{i}_{k}": key for k, key in enumerate(meta)})
            same = " and ".join(["True", *[f"k{k} is key{i}_{k}" for k in range(count)]]) if is_fixed(meta) else "False"
            lines.append(f"{''.join(f'k{k}, ' for k in range(count))}= {this}" if count else "pass")
            lines.append(f"if not ({same}) and exact(tuple({this})) != exact{i}: return None")
            children = f"{this}.values()"
        elif issubclass(cls, (list, tuple)):
            lines.append(f"if len({this}) != {count}: return None")
            children = this
        else:
            lines.append(f"of{i}, also{i} = split{i}({this})")
            lines.append(f"if len(of{i}) != {count}: return None")
            same = f"also{i} is meta{i}" if is_fixed(meta) else "False"
            lines.append(f"if not ({same}) and exact(also{i}) != exact{i}: return None")
            children = f"of{i}"
        parts = [f"{this}_{k}" for k in range(count)]
        if parts:
            lines.append(f"{', '.join(parts)}, = {children}")
        for part in parts:
            visit(token, part)

    visit(iter(structure), this)
    return lines, found


def builder(structure: Structure) -> Callable[[Sequence[Any]], Any]:
    """`unflatten` for one structure: a function of exactly as many leaves as it has.

    >>> builder(structure({"x": 0, "y": (0, 0)}))([1, 2, 3])
    {'x': 1, 'y': (2, 3)}
    """
    names: dict[str, Any] = {}
    lines: list[str] = []
    leaves: list[str] = []

    def visit(token: Iterator[Any], this: str) -> str:
        cls = next(token)
        if cls == _LEAF:
            leaves.append(this)
            return this
        meta, count = _entry(token)
        parts = [visit(token, f"{this}_{k}") for k in range(count)]
        i = len(names)  # after the parts, whose names it must not take
        if cls is dict:
            names.update({f"key{i}_{k}": key for k, key in enumerate(meta)})
            made = f"{{{', '.join(f'key{i}_{k}: {part}' for k, part in enumerate(parts))}}}"
        elif cls in (list, tuple):
            made = f"{cls.__name__}(({''.join(part + ', ' for part in parts)}))"
        else:
            names[f"meta{i}"], names[f"rebuild{i}"] = meta, _node_kind(cls).rebuild
            made = f"rebuild{i}(meta{i}, [{', '.join(parts)}])"
        lines.append(f"{this} = {made}")
        return this

    last = visit(iter(structure), "t")
    unpack = [f"{', '.join(leaves)}, = leaves"] if leaves else []
    return compiled("build(leaves)", [*unpack, *lines, f"return {last}"], names)


def is_leaf(value: Any) -> bool:
    """Whether a value is a leaf by its type."""
    cls = type(value)
    return (_kinds[cls] if cls in _kinds else _meet(cls)) is None


def compiled(head: str, lines: Sequence[str], names: dict[str, Any]) -> Callable[..., Any]:
    """The function `head` (its name and parameters) of these lines, in which `names` are known."""
    exec(f"def {head}:\n" + "".join(f"  {line}\n" for line in lines), names)
    return names[head.partition("(")[0]]
