"""The compile cache: from kernel texts to loaded functions. An entry is (key -> library digest); a library is named by
its SHA-256, read, checked, and loaded from the checked bytes, so a damaged or foreign file is only a miss."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

SYMBOL = "axon_kernel"  # stands for the function's name in a text; the key takes its place
BATCH = 12  # kernels a source file, so that both cores compile

_loaded: dict[str, Any] = {}
_building: dict[str, threading.Event] = {}  # keys that a thread is making now; what it makes is loaded when it is set
_lock = threading.Lock()  # of _building; never held while something is read or compiled


def _forked() -> None:
    """A child has none of the threads that were making kernels."""
    global _lock
    _lock = threading.Lock()
    _building.clear()


os.register_at_fork(after_in_child=_forked)


class Toolchain(NamedTuple):
    """What makes functions of texts: what a library depends on besides them; libraries of sources, each of which may
    hold several kernels; and the functions of a library, by their names."""

    identity: Callable[[], str]  # raises MissingCompiler where there is none
    build: Callable[[Sequence[str]], list[bytes]]
    open: Callable[[bytes, list[str]], list[Any]]


class Statistics:
    """What the last compilation did; `fn.lower().report()` shows it."""

    def __init__(self) -> None:
        self.memory = self.disk = self.compiled = 0
        self.seconds = 0.0


@cache
def folder() -> str | None:
    """The cache's folder, private to the user; None where AXON_CACHE_DIR is empty or the folder cannot be trusted."""
    chosen = os.environ.get("AXON_CACHE_DIR")
    if chosen == "":
        return None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = chosen or os.path.join(base, "axon")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        info = os.lstat(path)
    except OSError:
        return None
    owned = stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid()
    if owned and info.st_mode & 0o077:
        os.chmod(path, 0o700)
    return path if owned else None


def load(texts: Sequence[str], toolchain: Toolchain) -> tuple[list[Any], Statistics]:
    """The functions of these kernel texts: from this process, from disk, or compiled now, each by one thread while
    others that want it wait. MissingCompiler without a compiler."""
    if not texts:
        return [], Statistics()
    base, counts = toolchain.identity(), Statistics()
    keys = [hashlib.sha256((base + t).encode()).hexdigest()[:40] for t in texts]
    wanted = dict(zip(keys, texts))
    while absent := [k for k in wanted if k not in _loaded]:  # again where another thread's build failed
        done = threading.Event()
        with _lock:
            others = [_building[k] for k in absent if k in _building]
            mine = [k for k in absent if k not in _building and k not in _loaded]
            _building.update(dict.fromkeys(mine, done))
        try:
            make({k: wanted[k] for k in mine}, toolchain, counts)
        finally:
            with _lock:
                for key in mine:
                    _building.pop(key, None)
            done.set()
        for other in others:
            other.wait()
    counts.memory = len(wanted) - counts.disk - counts.compiled
    return [_loaded[k] for k in keys], counts


def make(missing: dict[str, str], toolchain: Toolchain, counts: Statistics) -> None:
    """Load texts from disk, and compile those that are not there."""
    found = {key: kernel for key in missing if (kernel := from_disk(key, toolchain)) is not None}
    _loaded.update(found)
    counts.disk += len(found)
    if len(found) < len(missing):
        start = time.perf_counter()
        build({k: t for k, t in missing.items() if k not in found}, toolchain)
        counts.compiled += len(missing) - len(found)
        counts.seconds += time.perf_counter() - start


def from_disk(key: str, toolchain: Toolchain) -> Any:
    """The function of a key if its library is there and whole, else None."""
    where = folder()
    if where is None:
        return None
    try:
        digest = read(os.path.join(where, f"{key}.key"), 64).decode("ascii")
        if len(digest) != 64 or not all(c in "0123456789abcdef" for c in digest):
            return None
        image = read(os.path.join(where, f"{digest}.so"), 1 << 28)
        if hashlib.sha256(image).hexdigest() != digest:
            return None
        return toolchain.open(image, [f"axon_{key}"])[0]
    except (OSError, UnicodeError, ValueError, RuntimeError):
        return None


def read(path: str, limit: int) -> bytes:
    """A regular file of this user, not through a symlink."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_size > limit:
            raise OSError(f"{path} is not a file of the cache")
        return file.read()


def write(path: str, content: bytes) -> None:
    """A whole file or none: a temporary name, then a rename."""
    import tempfile  # what is there already is read without

    handle, name = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except OSError:
        os.unlink(name)


def build(missing: dict[str, str], toolchain: Toolchain) -> None:
    """Compile texts in batches over the cores, load them, and keep them on disk."""
    keys = list(missing)
    count = min(len(keys), max(min(os.cpu_count() or 1, 16), -(-len(keys) // BATCH)))
    batches: list[list[str]] = [[] for _ in range(count)]
    for key in sorted(keys, key=lambda k: -len(missing[k])):  # long texts take long: the shortest batch gets the next
        min(batches, key=lambda batch: sum(len(missing[k]) for k in batch)).append(key)
    sources = ["\n".join(missing[k].replace(SYMBOL, f"axon_{k}") for k in batch) for batch in batches]
    for image, batch in zip(toolchain.build(sources), batches):
        _loaded.update(zip(batch, toolchain.open(image, [f"axon_{k}" for k in batch])))
        keep(image, batch)


def keep(image: bytes, keys: Sequence[str]) -> None:
    """Write a library and its entries; a full or read-only disk only costs the next process a compilation."""
    where = folder()
    if where is None:
        return
    digest = hashlib.sha256(image).hexdigest()
    try:
        write(os.path.join(where, f"{digest}.so"), image)
        for key in keys:
            write(os.path.join(where, f"{key}.key"), digest.encode())
    except OSError:
        return
