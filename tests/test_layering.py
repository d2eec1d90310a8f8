"""Who may import whom, and that an op is named in its row only: the laws that keep the rooms apart."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest
from axon.nx.op import TABLE

PACKAGE = Path(importlib.util.find_spec("axon").origin).parent  # type: ignore[union-attr, arg-type]
FILES = sorted(p for p in PACKAGE.rglob("*.py"))

# What each room may import, besides itself. A dotted name allows that module only.
BASE = {"dtypes", "tree", "errors", "config"}
TOP = BASE | {"nx", "defn"}
PARTS = {"activations", "initializers", "losses", "metrics", "layers", "updates", "optimizers", "schedules"}
ALLOWED: dict[str, set[str]] = {
    "dtypes": BASE,
    "tree": BASE,
    "errors": set(),
    "config": set(),
    "nx": BASE | {"_exchange"},
    "backends": BASE | {"nx"},
    "defn": BASE | {"nx"},
    "compiler": BASE | {"nx", "defn"},
    **dict.fromkeys(PARTS, TOP | PARTS),
    "model": TOP | PARTS,
    "training": TOP | PARTS | {"model"},
    "loop": TOP | PARTS | {"model", "training", "io", "datasets"},
    "io": TOP | {"model"},
    "datasets": TOP,
    "testing": TOP,
}
RUNTIME = {"compiler/program.py", "compiler/target.py"}  # the only files that see axon._core


def imports(path: Path) -> set[str]:
    """Modules of axon that a file imports, as dotted names without the package's."""
    inside = path.relative_to(PACKAGE).parts
    here = list(inside[:-1])
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level + 1]
            module = [*base, *(node.module.split(".") if node.module else [])]
            if node.module:
                found.add(".".join(module))
            else:
                found |= {".".join([*module, a.name]) for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("axon.") for a in node.names if a.name.startswith("axon.")}
    return {name for name in found if name}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_obey_the_rooms(path: Path) -> None:
    name = str(path.relative_to(PACKAGE))
    room = name.split("/")[0].removesuffix(".py")
    if room == "__init__":
        return
    for module in imports(path):
        target = module.split(".")[0]
        if target == "_core":
            assert name in RUNTIME, f"{name} imports axon._core; only {sorted(RUNTIME)} may"
        elif target != room:
            assert target in ALLOWED[room], f"{name} imports axon.{module}, which {room} may not know"


def test_layers_and_below_use_the_public_numeric_api_only() -> None:
    for path in FILES:
        room = str(path.relative_to(PACKAGE)).split("/")[0].removesuffix(".py")
        if room in PARTS:
            private = {m for m in imports(path) if m.startswith(("nx.", "defn."))}
            names = {*dir(importlib.import_module("axon.nx")), *dir(importlib.import_module("axon.defn"))}
            assert all(m.split(".")[1] in names for m in private), f"{path}: {private}"


def test_an_op_is_named_in_no_other_list() -> None:
    """A file outside the op table may name an op where it has a rule for it, but holds no list of many."""
    names = {n for n in TABLE if len(n) > 3}
    for path in FILES:
        relative = str(path.relative_to(PACKAGE))
        if relative.startswith("nx/") or relative in ("testing.py", "backends/array_api.py"):  # NumPy's older names
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            elements = getattr(node, "elts", [])
            if isinstance(node, ast.Dict):  # from names to rules it may be
                elements = [k for k, v in zip(node.keys, node.values) if isinstance(v, ast.Constant)] + node.values
            if elements:
                held = {e.value for e in elements if isinstance(e, ast.Constant) and e.value in names}
                assert len(held) < 4, f"{relative}:{node.lineno} lists the ops {sorted(held)}; give their rows a field"


def test_bindings_name_no_op() -> None:
    folder = Path(__file__).parents[1] / "csrc" / "bindings"
    for path in folder.glob("*.cpp"):
        words = set(re.findall(r'"([a-z_0-9]+)"', path.read_text()))
        assert len(words & {n for n in TABLE if len(n) > 4}) < 2, f"{path.name}: {words & set(TABLE)}"
