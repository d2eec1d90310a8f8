"""The compile cache: damaged, foreign or contested files only cost a compilation; with no compiler all still runs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.compiler.targets import cache
from axon.compiler.targets.compile_cpp import TOOLCHAIN
from axon.defn import jit
from axon.errors import CompileError

SCRIPT = """
import sys
import numpy as np
from axon import nx
from axon.compiler.targets import cache
from axon.defn import jit
f = jit(lambda x: nx.tanh(x) * {factor} + nx.exp(x))
x = np.linspace(-1, 1, 9, dtype=np.float32)
np.testing.assert_allclose(f(x).numpy(), np.tanh(x) * {factor} + np.exp(x), rtol=1e-5)
r = f.lower(x).report()
print(r.compiled, r.from_disk)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and a process that has loaded nothing."""
    monkeypatch.setenv("AXON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_loaded", {})
    cache.folder.cache_clear()
    yield tmp_path / "cache"
    cache.folder.cache_clear()


def kernel_source(name: str) -> str:
    """A kernel that no other test compiles, in the emitters' form."""
    made = jit(lambda x: nx.tanh(x) + 1.0)
    return made.lower(nx.zeros((3,))).source() + f"\n// {name}\n"


def load(text: str) -> cache.Statistics:
    cache._loaded.clear()
    return cache.load([text], TOOLCHAIN)[1]


def test_a_second_process_finds_the_kernel(folder: Path) -> None:
    text = kernel_source("second process")
    assert load(text).compiled == 1
    assert load(text).disk == 1
    assert (folder.stat().st_mode & 0o777) == 0o700


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign", "not a digest", "missing"])
def test_damaged_files_are_compiled_again(folder: Path, damage: str) -> None:
    text = kernel_source(damage)
    assert load(text).compiled == 1
    (library,) = [p for p in folder.glob("*.so") if text_key(text) in keys_of(folder, p)]
    image = library.read_bytes()
    if damage == "truncate":
        library.write_bytes(image[: len(image) // 2])
    elif damage == "flip":
        library.write_bytes(image[:-1] + bytes([image[-1] ^ 1]))
    elif damage == "empty":
        library.write_bytes(b"")
    elif damage == "missing":
        library.unlink()
    else:
        entry = folder / f"{text_key(text)}.key"
        entry.write_text("../../etc/passwd" if damage == "not a digest" else hashlib.sha256(b"other").hexdigest())
    assert load(text).compiled == 1
    assert load(text).disk == 1  # and mended


def test_a_library_with_the_right_digest_but_no_such_function_is_a_miss(folder: Path) -> None:
    first, second = kernel_source("one"), kernel_source("other")
    load(first), load(second)
    (folder / f"{text_key(second)}.key").write_text((folder / f"{text_key(first)}.key").read_text())
    assert load(second).compiled == 1


def test_symlinks_are_not_followed(folder: Path, tmp_path: Path) -> None:
    text = kernel_source("symlink")
    load(text)
    (library,) = [p for p in folder.glob("*.so") if text_key(text) in keys_of(folder, p)]
    elsewhere = tmp_path / "elsewhere.so"
    library.rename(elsewhere)
    library.symlink_to(elsewhere)
    assert load(text).compiled == 1


def test_a_folder_that_is_a_link_or_cannot_be_made_turns_the_cache_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("")
    for chosen in ("", str(tmp_path / "link"), str(tmp_path / "file" / "below")):
        monkeypatch.setenv("AXON_CACHE_DIR", chosen)
        cache.folder.cache_clear()
        assert cache.folder() is None
    cache.folder.cache_clear()


def test_processes_that_compile_the_same_kernel_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "AXON_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", SCRIPT.format(factor=3)]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [p.communicate(timeout=120)[0].split() for p in running]
    assert all(p.returncode == 0 for p in running)
    assert all(int(a) + int(b) == 1 for a, b in said)
    after = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    assert after.stdout.split() == ["0", "1"]
    assert not list((tmp_path / "cache").glob(".new-*"))


@pytest.mark.parametrize(
    ("name", "builds", "compiled"),
    [("loaded", 1, 0), ("same", 1, 0), ("same, and the first build fails", 2, 1), ("other", 2, 1)],
)
def test_threads_wait_for_the_kernels_they_want_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, builds: int, compiled: int
) -> None:
    text, loaded = kernel_source(name), kernel_source(f"loaded {name}")
    load(loaded)
    real, begun, go, called = cache.build, threading.Event(), threading.Event(), []

    def build(*args: Any) -> None:
        called.append(args)
        if len(called) == 1:
            begun.set()
            assert go.wait(60)
            if "fails" in name:
                raise CompileError("no memory")
        real(*args)

    monkeypatch.setattr(cache, "build", build)
    wanted = {"loaded": loaded, "other": kernel_source("third")}.get(name, text)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.load, [text], TOOLCHAIN)
        assert begun.wait(60)
        second = pool.submit(cache.load, [wanted], TOOLCHAIN)
        try:
            if wanted == text:
                assert not second.done()
            else:
                second.result(30)
        finally:
            go.set()
        assert second.result()[1].compiled == compiled
        assert bool(first.exception()) == ("fails" in name)
    assert len(called) == builds and not cache._building


def test_a_child_forked_while_threads_compile_compiles_for_itself(tmp_path: Path) -> None:
    script = """
import os, signal, threading
from axon import nx
from axon.compiler.targets import cache
from axon.defn import jit
real, begun = cache.build, threading.Event()
cache.build = lambda *args: (begun.set(), threading.Event().wait())
f = jit(lambda x: nx.tanh(x) * 2.0)
threading.Thread(target=f, args=(nx.zeros(3),), daemon=True).start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(30)
    cache.build = real
    os._exit(jit(lambda x: nx.tanh(x) * 2.0)(nx.zeros(3)).tolist() != [0, 0, 0] or f(nx.zeros(3)).tolist() != [0, 0, 0])
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
"""
    environment = {**os.environ, "AXON_CACHE_DIR": str(tmp_path / "cache")}
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", script], env=environment, timeout=90)
    assert ran.returncode == 0


def test_without_a_compiler_functions_are_evaluated_and_it_is_said_once(tmp_path: Path) -> None:
    script = """
import numpy as np
from axon import nx
from axon.defn import jit
for f in (jit(lambda x: nx.tanh(x)), jit(lambda x: nx.exp(x))):
    f(np.zeros(3, np.float32))
print(jit(lambda x: x + 1)(nx.zeros(2)).tolist())
"""
    environment = {**os.environ, "PATH": str(tmp_path), "CXX": "", "AXON_CACHE_DIR": str(tmp_path / "cache")}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split("\n")[0] == "[1.0, 1.0]", ran.stderr
    assert ran.stderr.count("\n") == 1 and "install g++" in ran.stderr


def test_what_the_compiler_complains_about_is_said(folder: Path) -> None:
    with pytest.raises(CompileError, match=r"expected status 0, got 1; it said: (?s:.*)invalid use"):
        cache.load(['extern "C" int axon_kernel( this is not C++'], TOOLCHAIN)


def text_key(text: str) -> str:
    return hashlib.sha256((TOOLCHAIN.identity() + text).encode()).hexdigest()[:40]


def keys_of(folder: Path, library: Path) -> list[str]:
    return [p.stem for p in folder.glob("*.key") if p.read_text() == library.stem]


def test_results_are_the_same_from_disk(folder: Path) -> None:
    f = lambda x: nx.sin(x) * 2.0 + nx.sqrt(nx.abs(x))  # noqa: E731
    x = np.linspace(-3, 3, 100, dtype=np.float32)
    first = jit(f)(x).numpy().copy()
    cache._loaded.clear()
    np.testing.assert_array_equal(jit(f)(x).numpy(), first)
