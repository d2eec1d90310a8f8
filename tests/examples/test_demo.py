"""The demo from end to end: what it prints, writes and returns."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from axon import io, model
from axon.datasets import Split, digits, fashion_mnist

FILE = Path(__file__).parents[2] / "docs" / "examples" / "demo.py"


def little() -> Split:
    d = digits()
    return Split(d.x_train[:192], d.y_train[:192], d.x_test[:64], d.y_test[:64], d.classes)


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    monkeypatch.setitem(module.DATA, "digits", little)
    for name, floor in (("mlp", 0.0), ("cnn", 1.1)):
        recipe = module.Recipe(epochs=2, rate=3e-3, size=32, floor=floor)
        monkeypatch.setitem(module.RECIPES, ("digits", name), recipe)
    return module


@pytest.mark.slow
def test_the_demo_reaches_its_floors(demo: ModuleType, tmp_path: Path) -> None:
    """As it is run: on all the digits, and with the compile report of fresh processes."""
    ran = subprocess.run([sys.executable, FILE, "--out", tmp_path], stdout=subprocess.PIPE, text=True, timeout=300)
    printed = ran.stdout
    assert ran.returncode == 0, printed
    assert " dense_0 (dense)      (None, 256)      16640\n" in printed and "batch_norm_1 (batch_norm)" in printed
    assert len(re.findall(r"compile, cold: .* ms; kernels: \d+ compiled\n", printed)) == 2
    assert len(re.findall(r"compile, from cache: .* ms; kernels: \d+ from disk\n", printed)) == 2
    assert printed.count("epoch 12/12   batch 45/45   loss ") == 2
    assert "(reaches 97.0%)" in printed and "(reaches 98.0%)" in printed
    assert (tmp_path / "digits-learning-curves.png").read_bytes().startswith(b"\x89PNG")
    for name in ("mlp", "cnn"):
        m = demo.MODELS[name]((8, 8, 1), 10)
        io.load(tmp_path / f"digits-{name}.safetensors", like=model.init(m, compiler="evaluate"))


def test_a_floor_that_is_missed(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(demo, "compile_report", lambda dataset, name: asked.append(f"{dataset} {name}"))
    assert demo.main(["--out", str(tmp_path)]) == 1, "a floor above one cannot be reached"
    printed = capsys.readouterr().out
    assert asked == ["digits mlp", "digits cnn"]
    assert "(reaches 0.0%)" in printed and "(BELOW 110.0%)" in printed


def test_the_compile_line(demo: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--compile-only", "mlp"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("trace ") and ", plan " in line and " ms; kernels: " in line and line.count("\n") == 1


def test_missing_data_is_one_line(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(demo.DATA, "fashion-mnist", lambda: fashion_mnist(tmp_path))
    assert demo.main(["--data", "fashion-mnist"]) == 1
    assert capsys.readouterr().out.endswith("run: apt-get install dataset-fashion-mnist\n")
