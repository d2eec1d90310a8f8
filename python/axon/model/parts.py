"""Parts of what a layer gives: tuples, lists and dicts, at any depth, taken apart by number and by name. Before a layer
has run, `...` stands for an unknown part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import tree
from ..names import none_of

Path = tuple[int | str, ...]  # from a layer's results to one part of them: numbers and names


def show(path: Path) -> str:
    """A path as Python has it.

    >>> show((1, "cell"))
    "[1]['cell']"
    """
    return "".join(f"[{key!r}]" for key in path)


def key_of(results: Any, key: Any, where: Callable[[], str], path: Path = ()) -> int | str:
    """The key as it stands in a path: a number from 0, or a name. TypeError, IndexError or KeyError say where there is
    no such part (`path`, of the layer that `where` gives), and what there is."""
    if results is ... and isinstance(key, (int, str)):
        return key
    if not is_several(results):
        raise TypeError(
            f"{where()}{show(path)}: expected a layer of several results, got one tensor{_of(results)}, at "
            f"{show((key,))}; a layer of your own takes elements of it: model.nx(lambda x: x[0])"
        )
    if isinstance(results, dict):
        if isinstance(key, str) and key in results:
            return key
        raise KeyError(none_of(where() + show(path), results, key))
    if key in (names := getattr(results, "_fields", ())):
        return names.index(key)
    if isinstance(key, bool) or not hasattr(key, "__index__"):
        raise TypeError(
            f"{where()}{show(path)}: expected a number, 0 to {len(results) - 1}, got {key!r}; take one part at a time"
        )
    number = key.__index__()
    if not -len(results) <= number < len(results):
        raise IndexError(
            f"{where()}{show(path)}: expected a number from 0 to {len(results) - 1}, got {number}; it gives "
            f"{counted(results)}"
        )
    return number % len(results)


def pick(results: Any, path: Path, where: Callable[[], str]) -> Any:
    """The part at the end of a path. Errors as those of `key_of`."""
    for at, key in enumerate(path):
        if results is not ...:
            results = results[key_of(results, key, where, path[:at])]
    return results


def fits(results: Any, declared: Any) -> bool:
    """Whether results stand in the containers that were declared for them. None and `...` declare nothing."""
    if declared is None or declared is ...:
        return True
    if not is_several(declared) or not is_several(results) or len(declared) != len(results):
        return not is_several(declared) and not is_several(results)
    if isinstance(declared, dict) or isinstance(results, dict):
        both = isinstance(declared, dict) and isinstance(results, dict) and declared.keys() == results.keys()
        return both and all(fits(results[key], declared[key]) for key in declared)
    return all(map(fits, results, declared))


def is_several(results: Any) -> bool:
    """Whether there are parts, in a tuple, a list or a dict with names."""
    if isinstance(results, dict):
        return all(type(key) is str for key in results)
    return isinstance(results, (tuple, list)) and not tree.is_leaf(results)


def counted(results: Any) -> str:
    """How many parts there are."""
    return f"{len(results)} results" + (f": {', '.join(results)}" if isinstance(results, dict) else "")


def _of(result: Any) -> str:
    """The shape of a result, in words, where it has one."""
    return f" of shape {result.shape}" if hasattr(result, "shape") else ""


def paths_of(parts: Any) -> Iterator[tuple[Path, Any]]:
    """The leaves of nested tuples, lists and dicts, each with its path; also containers without parts."""
    stack: list[tuple[Path, Any]] = [((), parts)]
    while stack:
        path, value = stack.pop()
        if is_several(value) and value:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            stack += reversed([((*path, key), item) for key, item in items])
        else:
            yield path, value


DEEPEST = 100  # containers within containers


def _is_path(path: Any) -> bool:
    return isinstance(path, (tuple, list)) and len(path) <= DEEPEST and {*map(type, path)} <= {int, str}


def assembled(leaves: Sequence[Any], paths: Sequence[Path]) -> Any:
    """The nested tuples (lists are tuples) and dicts that have these leaves at these paths. ValueError where paths are
    none, leave out a number, or lead through another leaf.

    >>> assembled([1, 2, 3], [("a", 0), ("a", 1), ("b",)])
    {'a': (1, 2), 'b': 3}
    """
    if not isinstance(paths, (tuple, list)) or not all(map(_is_path, paths)):
        raise ValueError(
            f"container: expected paths of numbers and names, at most {DEEPEST} of them in one; a path is a list"
        )
    if len(leaves) != len(paths):
        raise ValueError(f"container: expected a path for each of {len(leaves)} models, got {len(paths)}")
    if list(paths) == [()]:
        return leaves[0]
    below: dict[int | str, tuple[list[Any], list[Path]]] = {}
    for leaf, path in zip(leaves, paths):
        if not path:
            raise ValueError("container: expected one part at a path, got several")
        found = below.setdefault(path[0], ([], []))
        found[0].append(leaf)
        found[1].append(path[1:])
    parts = {key: assembled(*inner) for key, inner in below.items()}
    if all(type(key) is str for key in parts):
        return parts
    if [*parts] != [*range(len(parts))]:
        raise ValueError(f"container: expected names, or the numbers from 0, got {', '.join(map(repr, parts))}")
    return tuple(parts.values())
