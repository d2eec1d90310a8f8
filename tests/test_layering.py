"""Who may import whom, and that an op is named in its row only: the laws that keep the rooms apart."""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest
from axon.nx.core.op import TABLE

PACKAGE = Path(importlib.util.find_spec("axon").origin).parent  # type: ignore[union-attr, arg-type]
FILES = sorted(p for p in PACKAGE.rglob("*.py"))

# What each room may import, besides itself. A package's name allows what it makes public, `nx.*` all of its modules,
# and a dotted name that module.
BASE = {"dtypes", "tree", "errors", "config", "names", "exact", "runtime", "values"}
TOP = BASE | {"nx", "defn"}
PARTS = {"activations", "initializers", "losses", "metrics", "layers", "updates", "optimizers", "schedules", "options"}
PARTS |= {"rows", "streams"}
ALLOWED: dict[str, set[str]] = {
    "dtypes": BASE,
    "tree": BASE,
    "errors": set(),
    "config": set(),
    "runtime": set(),
    "values": set(),
    "names": set(),
    "exact": set(),
    "nx": BASE | {"_exchange"},
    "backends": BASE | {"nx.*"},
    "defn": BASE | {"nx.*"},
    "compiler": BASE | {"nx.op", "nx.tensor", "defn.expr", "nx.backend", "defn.trace"},  # the last two: to decompose
    **dict.fromkeys(PARTS, TOP | PARTS),
    "arrays": TOP,
    "model": TOP | PARTS | {"arrays", "defn.trace"},  # traces layers for their shapes, and names the user's line
    "targets": TOP | PARTS | {"model", "model.shapes", "defn.trace"},  # the last: to see what a loss broadcasts
    "training": TOP | PARTS | {"arrays", "model", "model.state", "targets"},
    "loop": TOP
    | PARTS
    | {"arrays", "model", "model.graph", "model.state", "targets", "training", "io", "datasets", "datasets.batches"},
    "io": TOP | {"model"},
    "datasets": TOP | {"arrays"},
    "testing": TOP | {"nx.op", "nx.tensor"},
}
RUNTIME = {"runtime.py", "compiler/program.py", "compiler/target.py"}  # the only files that see axon._core


@cache
def public(package: str) -> set[str]:
    """The names that a package's __init__ exports: those of __all__ and those imported `as` themselves."""
    init = PACKAGE / package / "__init__.py"
    body = ast.parse(init.read_text()).body if init.exists() else []
    shown = {a.asname for node in body if isinstance(node, ast.ImportFrom) for a in node.names if a.asname}
    listed = [node.value for node in body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
    return shown | {name for value in listed for name in ast.literal_eval(value)}


def module_of(name: str) -> str:
    """The module that a dotted name is or comes from: the package where that makes it public."""
    parts = name.split(".")
    if len(parts) > 1 and (PACKAGE / parts[0]).is_dir():
        inner = PACKAGE / parts[0] / parts[1]
        exported = len(parts) == 2 and parts[1] in public(parts[0])  # a longer name leads through a module
        if not exported and (inner.is_dir() or inner.with_suffix(".py").exists()):
            return f"{parts[0]}.{parts[1]}"
    return parts[0]


def imports(name: str, text: str) -> set[str]:
    """Modules of axon that a file uses: by relative import, by absolute import, or as an attribute of a package."""
    here = ["axon", *name.split("/")[:-1]]
    found: set[str] = set()
    packages: dict[str, str] = {}
    nodes = list(ast.walk(ast.parse(text)))
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            named = {a.asname or a.name: ".".join([*module, a.name]) for a in node.names}
            packages |= named
            found |= set(named.values())
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            package = packages.get(node.value.id, "")
            found |= {f"{package}.{node.attr}"} if package.count(".") == 1 else set()
    return {module_of(f.removeprefix("axon.")) for f in found if f.startswith("axon.")}


def refused(name: str, text: str) -> list[str]:
    """What a file imports and may not."""
    room = name.split("/")[0].removesuffix(".py")
    if room == "__init__":
        return []
    wrong = []
    for module in sorted(imports(name, text)):
        target = module.split(".")[0]
        if target == "_core":
            fits = name in RUNTIME
        else:
            fits = target == room or bool({module, f"{target}.*"} & ALLOWED[room])
        wrong += [] if fits else [module]
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_obey_the_rooms(path: Path) -> None:
    name = str(path.relative_to(PACKAGE))
    wrong = refused(name, path.read_text())
    assert not wrong, f"{name} uses axon.{', axon.'.join(wrong)}, which its room may not know"


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("nx/fft.py", "from axon.compiler import cache", ["compiler.cache"]),
        ("nx/fft.py", "import axon.compiler.cache", ["compiler.cache"]),
        ("nx/fft.py", "from .. import config\nfrom .op import TABLE", []),
        ("defn/jit.py", "from axon._core import Program", ["_core"]),
        ("defn/jit.py", "from ..nx.op import TABLE", []),
        ("compiler/lower.py", "from .. import _core", ["_core"]),
        ("compiler/lower.py", "from axon import _core", ["_core"]),
        ("compiler/program.py", "from .. import _core", []),
        ("compiler/lower.py", "from ..nx.elementwise import tanh", ["nx.elementwise"]),
        ("compiler/lower.py", "from ..nx.op import TABLE\nfrom ..defn.expr import Graph", []),
        ("layers/dense.py", "from ..nx.op import TABLE", ["nx.op"]),
        ("layers/dense.py", "from ..nx import op", ["nx.op"]),
        ("layers/dense.py", "from .. import nx\nnx.backend.recording", ["nx.backend"]),
        ("layers/dense.py", "from .. import nx\nfrom ..nx import Tensor, random\nnx.random.key(0)", []),
        ("losses.py", "from .defn.trace import trace", ["defn.trace"]),
        ("losses.py", "from .model import graph", ["model.graph"]),
    ],
)
def test_what_is_no_part_of_a_room_is_seen(name: str, text: str, wrong: list[str]) -> None:
    assert refused(name, text) == wrong


def listed(text: str) -> list[tuple[int, set[str]]]:
    """Lines that name four ops or more: in a display, in words of a string, in the patterns of a case."""
    found = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Dict():  # from names to rules it may be
                held = [k for k, v in zip(node.keys, node.values) if isinstance(v, ast.Constant)] + node.values
            case ast.List() | ast.Tuple() | ast.Set():
                held = node.elts
            case ast.MatchOr():
                held = [p.value for p in node.patterns if isinstance(p, ast.MatchValue)]
            case _:
                held = []
        names = {e.value for e in held if isinstance(e, ast.Constant)}
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = set(re.split(r"[ ,|]+", node.value.strip()))
            names = words if words <= TABLE.keys() else set()  # prose has other words too
        if len(names & TABLE.keys()) >= 4:
            found.append((getattr(node, "lineno", 0), names & TABLE.keys()))
    return found


def test_an_op_is_named_in_no_other_list() -> None:
    """A file outside the op table may name an op where it has a rule for it, but holds no list of many."""
    for path in FILES:
        relative = str(path.relative_to(PACKAGE))
        if relative.startswith("nx/") or relative in ("testing.py", "backends/array_api.py"):  # NumPy's older names
            continue
        for line, names in listed(path.read_text()):
            raise AssertionError(f"{relative}:{line} lists the ops {sorted(names)}; give their rows a field")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("x = ['tanh', 'exp', 'add', 'max']", 1),
        ("x = {'tanh': 1, 'exp': 1, 'add': 1, 'max': 1}", 1),
        ("x = {'tanh': f, 'exp': f, 'add': f, 'max': f}", 0),
        ("x = 'tanh exp add max'.split()", 1),
        ("x = 'tanh, exp, add and max are prose'", 0),
        ("match x:\n    case 'tanh' | 'exp' | 'add' | 'max': y", 1),
        ("x = ('tanh', 'exp', 'add')", 0),
    ],
)
def test_lists_of_ops_are_seen(text: str, count: int) -> None:
    assert len(listed(text)) == count


def test_bindings_name_no_op() -> None:
    folder = Path(__file__).parents[1] / "csrc" / "bindings"
    for path in folder.glob("*.cpp"):
        words = set(re.findall(r'"([a-z_0-9]+)"', path.read_text()))
        assert len(words & {n for n in TABLE if len(n) > 4}) < 2, f"{path.name}: {words & set(TABLE)}"
