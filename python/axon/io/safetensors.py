"""Trees of tensors in safetensors files: a tensor's name is its path, joined by dots.

Files hold no code. Writing is atomic: a reader sees the old file or the whole new one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from os import PathLike
from typing import Any

import numpy as np

from .. import dtypes, nx, tree
from ..errors import DTypeError, StructureError
from ..nx import Tensor, TensorType

_DTYPES = {d.short.upper(): d for d in dtypes.ALL}  # by what the format calls them


def save(path: str | PathLike[str], tensors: Any, metadata: Mapping[str, str] | None = None) -> None:
    """Write a tree of tensors (nested dicts, a ModelState, ...) to a file, replacing it whole.

    The file is the one that opening the path would find: links are followed, and an old file's mode stays. ValueError
    where two leaves would have one name, DTypeError where one is no tensor, OSError where the path cannot be written.

    >>> save("example.safetensors", {"dense_0": {"kernel": nx.ones((2, 3))}})
    >>> load("example.safetensors")["dense_0"]["kernel"].shape
    (2, 3)
    """
    from safetensors.numpy import save as serialize

    where = _path("save", "(path, tree)", path)
    arrays: dict[str, np.ndarray] = {}
    for place, leaf in zip(tree.paths(tensors), tree.leaves(tensors)):
        name = tree.show(place)
        if name in arrays:
            raise ValueError(f"save: expected one tensor of a name, got {name!r} twice; rename a key with a dot in it")
        try:
            arrays[name] = np.asarray(nx.asarray(leaf), order="C")
        except DTypeError:
            raise DTypeError(
                f"save: expected tensors, got {type(leaf).__name__} as {name}; save the part that holds tensors, such "
                f"as a result's .state"
            ) from None
    _write(where, serialize(arrays, metadata=dict(metadata) if metadata else None))


def load(path: str | PathLike[str], like: Any = None) -> Any:
    """The tensors of a file: as nested dicts, or, with `like`, as that tree with its leaves replaced.

    With `like` (a ModelState of the model, say) names, shapes and dtypes must be exactly those of its leaves;
    StructureError lists the missing, the unexpected and those of another type. ValueError when the file is damaged.

    >>> save("example.safetensors", {"w": nx.ones(2)})
    >>> load("example.safetensors", like={"w": nx.zeros(2)})
    {'w': float32[2] [1., 1.]}
    """
    where = _path("load", "a path", path)
    found = _read(where)
    if like is None:
        return _nested(found)
    names = [tree.show(p) for p in tree.paths(like)]
    _check(where, dict(zip(names, tree.leaves(like))), found)
    return tree.unflatten(tree.structure(like), [found[name] for name in names])


def _path(name: str, arguments: str, path: Any) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{name}: expected {arguments}, got {type(path).__name__} as the path") from None


def _write(path: str, content: bytes) -> None:
    """Write where opening the path would: through links, with an old file's mode and owner. Errors name the path."""
    try:
        target = os.path.realpath(path)
        if os.path.islink(target):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        old = os.stat(target) if os.path.exists(target) else None
        if old is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if old is not None and not stat.S_ISREG(old.st_mode):  # a device, a pipe: there is nothing to replace
            with open(target, "wb") as file:
                file.write(content)
        else:
            _replace(target, content, old)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, path) from None


def _replace(target: str, content: bytes, old: os.stat_result | None) -> None:
    folder, name = os.path.split(target)
    handle, temporary = tempfile.mkstemp(prefix=f".{name[:32]}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            if old is not None:
                with contextlib.suppress(PermissionError):  # only root may give files away
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), 0o666 & ~_umask() if old is None else stat.S_IMODE(old.st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)  # so that the new name survives a power failure, too
    finally:
        os.close(directory)


def _umask() -> int:
    """The permissions that new files of this process do not get; there is no way to ask but to set."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read(path: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError, deserialize

    try:
        with open(path, "rb") as file:
            entries = deserialize(file.read())  # kept by no name: it is as large as all that is made of it
    except SafetensorError as error:
        raise ValueError(
            f"load: expected a safetensors file, got {path} ({error}); it is damaged or another format"
        ) from error
    found = {}
    for name, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"load: expected one of {', '.join(_DTYPES)}, got {entry['dtype']} for {name} in {path}")
        array = np.frombuffer(entry["data"], dtype=_DTYPES[entry["dtype"]].numpy).reshape(entry["shape"])
        found[name] = nx.asarray(array, copy=True)
    return found


def _nested(found: Mapping[str, Tensor]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in sorted(found, key=lambda name: name.count(".")):
        *folders, last = name.split(".")
        here = made
        for folder in folders:
            here = here.setdefault(folder, {})
            if not isinstance(here, dict):
                raise ValueError(f"load: expected {folder} to be a tensor or a folder, {name} makes it both; use like=")
        here[last] = found[name]
    return made


def _check(path: str, wanted: Mapping[str, Any], found: Mapping[str, Tensor]) -> None:
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in found if name not in wanted]
    likes = {name: leaf if isinstance(leaf, TensorType) else nx.asarray(leaf) for name, leaf in wanted.items()}
    types = {name: TensorType(like.dtype, like.shape) for name, like in likes.items()}
    others = [name for name in wanted if name in found and types[name] != found[name].type]
    if not (missing or unexpected or others):
        return
    lines = [f"load: expected the names, shapes and dtypes of `like`, got others in {path}"]
    lines += [f"  missing: {name}{_near(name, unexpected)}" for name in missing]
    lines += [f"  unexpected: {name}" for name in unexpected]
    lines += [f"  type: {name}: {types[name]} expected, {found[name].type} found" for name in others]
    raise StructureError(
        "\n".join([*lines, "load without `like` and pick what you need, or build the model that was saved"])
    )


def _near(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f" (the file has {near[0]})" if near else ""
