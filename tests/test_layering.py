"""Who may import whom, and that an op is named in its row only: the laws that keep the rooms apart."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Container, Iterator
from functools import cache
from pathlib import Path

import pytest
from axon.nx.core.op import TABLE

PACKAGE = Path(importlib.util.find_spec("axon").origin).parent  # type: ignore[union-attr, arg-type]
FILES = sorted(p for p in PACKAGE.rglob("*.py"))

# What each room may import, besides itself. A package's name allows what it makes public, `nx.*` all of its modules,
# and a dotted name that module. The compiler traces where it decomposes, on a backend that records.
BASE = {"dtypes", "tree", "errors", "config", "names", "exact", "runtime", "values"}
TOP = BASE | {"nx", "defn"}
PARTS = {"activations", "initializers", "losses", "metrics", "layers", "updates", "optimizers", "schedules", "options"}
PARTS |= {"asks", "rows", "streams", "terms"}
ALLOWED: dict[str, set[str]] = {
    "dtypes": BASE,
    "tree": BASE,
    "errors": set(),
    "config": set(),
    "runtime": set(),
    "values": set(),
    "names": set(),
    "exact": set(),
    "nx": BASE,
    "backends": BASE | {"nx.*", "_exchange"},
    "graph": BASE | {"nx.*"},
    "defn": BASE | {"nx.*", "graph.*"},
    "compiler": BASE
    | {
        "nx.core.op",
        "nx.core.combine",
        "nx.core.tensor",
        "nx.core.backend",
        "graph.compilers",
        "graph.expr",
        "graph.trace",
    },
    **dict.fromkeys(PARTS, TOP | PARTS),
    "arrays": TOP,
    "model": TOP | PARTS | {"arrays", "graph.trace"},  # traces layers for their shapes, and names the user's line
    "targets": TOP | PARTS | {"model", "model.shapes", "graph.trace"},  # the last: to see what a loss broadcasts
    "training": TOP | PARTS | {"arrays", "model", "model.state", "targets"},
    "loop": TOP
    | PARTS
    | {"arrays", "model", "model.graph", "model.state", "targets", "training", "io", "datasets", "datasets.batches"},
    "io": TOP | {"model"},
    "datasets": TOP | {"arrays"},
    "testing": TOP,
}
# The only files that see axon._core.
RUNTIME = {"runtime.py", "compiler/targets/compile_cpp.py", "compiler/targets/target.py"}


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
    if len(parts) == 2 and parts[1] in public(parts[0]):  # a longer name leads through a module
        return parts[0]
    return longest(name)


def longest(name: str) -> str:
    """The module that a dotted name is or lies in."""
    parts = name.split(".")
    for count in range(len(parts), 1, -1):
        place = PACKAGE.joinpath(*parts[:count])
        if place.is_dir() or place.with_suffix(".py").exists():
            return ".".join(parts[:count])
    return parts[0]


def statements(node: ast.AST, when: str = "at once") -> Iterator[tuple[ast.AST, str]]:
    """Every node of a file, and when an import that it is takes place: at once, in a call, or for types only."""
    for inner in ast.iter_child_nodes(node):
        now = when
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            now = "in a call"
        elif isinstance(inner, ast.If) and "TYPE_CHECKING" in ast.unparse(inner.test):
            now = "types"
        yield inner, when
        yield from statements(inner, now)


def dotted(name: str, node: ast.AST) -> dict[str, str]:
    """The dotted names that an import of a file brings in, by the names that they get there."""
    here = ["axon", *name.split("/")[:-1]]
    if isinstance(node, ast.Import):
        return {a.asname or a.name: a.name for a in node.names}
    if not isinstance(node, ast.ImportFrom):
        return {}
    base = here[: len(here) - node.level + 1] if node.level else []
    module = [*base, *(node.module.split(".") if node.module else [])]
    return {a.asname or a.name: ".".join([*module, a.name]) for a in node.names}


def imports(name: str, text: str, times: Container[str] = ("at once", "in a call", "types")) -> set[str]:
    """Modules of axon that a file uses: by relative import, by absolute import, or as an attribute of a package."""
    nodes = [node for node, when in statements(ast.parse(text)) if when in times]
    packages: dict[str, str] = {}
    for node in nodes:
        packages |= dotted(name, node)
    found = set(packages.values())
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
        ("nx/fft.py", "from axon.compiler import pipeline", ["compiler.pipeline"]),
        ("nx/fft.py", "from axon.compiler.targets import cache", ["compiler.targets.cache"]),
        ("nx/fft.py", "import axon.compiler.targets.cache", ["compiler.targets.cache"]),
        ("nx/fft.py", "from .. import config\nfrom .core.op import TABLE", []),
        ("nx/rows/sorting.py", "from ... import config\nfrom ..core.op import TABLE", []),
        ("nx/rows/sorting.py", "from ...defn import jit", ["defn"]),
        ("graph/expr.py", "from ..nx.core.op import TABLE", []),
        ("graph/expr.py", "from ..defn.evaluate import replay", ["defn.evaluate"]),
        ("graph/expr.py", "from ..compiler.pipeline import compile", ["compiler.pipeline"]),
        ("defn/jit.py", "from axon._core import Program", ["_core"]),
        ("defn/jit.py", "from ..nx.core.op import TABLE\nfrom ..graph.trace import trace", []),
        ("compiler/kernels/lower.py", "from ... import _core", ["_core"]),
        ("compiler/kernels/lower.py", "from axon import _core", ["_core"]),
        ("compiler/program.py", "from .. import _core", ["_core"]),
        ("compiler/targets/target.py", "from ... import _core", []),
        ("compiler/kernels/lower.py", "from ...nx.rows.elementwise import tanh", ["nx.rows.elementwise"]),
        ("compiler/kernels/lower.py", "from ...nx.core.op import TABLE\nfrom ...graph.expr import Graph", []),
        ("compiler/kernels/lower.py", "from ...defn.evaluate import replay", ["defn.evaluate"]),
        ("layers/dense.py", "from ..nx.core.op import TABLE", ["nx.core.op"]),
        ("layers/dense.py", "from ..nx.core import op", ["nx.core.op"]),
        ("layers/dense.py", "from .. import nx\nnx.core.backend.recording", ["nx.core"]),
        ("layers/dense.py", "from .. import nx\nfrom ..nx import Tensor, random\nnx.random.key(0)", []),
        ("losses.py", "from .graph.trace import trace", ["graph.trace"]),
        ("losses.py", "from .model import graph", ["model.graph"]),
    ],
)
def test_what_is_no_part_of_a_room_is_seen(name: str, text: str, wrong: list[str]) -> None:
    assert refused(name, text) == wrong


# The floors of the rooms that have inner ones, lowest first: modules stand on those of lower floors, and on their own.
FLOORS = {
    "nx": "core | rows | *",
    "compiler": "fusion.index tuning | decompose simplify | library | fusion | kernels | targets | planning | *",
}
# What looks upward, and is to come down.
UPWARD: dict[str, set[str]] = {}


def floor(module: str) -> int:
    """The floor that a module of a room with floors is on: that of the longest name that leads to it."""
    room, _, inner = module.partition(".")
    names = {name: i for i, floor in enumerate(FLOORS[room].split("|")) for name in floor.split()}
    parts = inner.split(".")
    for count in range(len(parts), 0, -1):
        if (name := ".".join(parts[:count])) in names:
            return names[name]
    return names["*"]


def name_of(path: Path) -> str:
    """A file's module, without the package's name; that is the package's own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "axon"


def test_floors_stand_on_lower_ones() -> None:
    upward: dict[str, set[str]] = {}
    for path in FILES:
        module, room = name_of(path), path.relative_to(PACKAGE).parts[0]
        if room in FLOORS:
            used = imports(str(path.relative_to(PACKAGE)), path.read_text(), ("at once", "in a call"))
            higher = {m for m in used if m.split(".")[0] == room and floor(m) > floor(module)}
            upward |= {module: higher} if higher else {}
    assert upward == UPWARD


def circles(uses: dict[str, set[str]]) -> list[str]:
    """A circle through each module that is in one, as text."""
    found: dict[frozenset[str], str] = {}
    for start in uses:
        paths = [[start]]
        seen: set[str] = set()
        while paths:
            path = paths.pop(0)
            for module in sorted(uses.get(path[-1], set()) - seen):
                if module == start:
                    found.setdefault(frozenset(path), " -> ".join([*path, start]))
                seen.add(module)
                paths.append([*path, module])
    return sorted(found.values())


def test_modules_import_each_other_in_no_circle() -> None:
    """Types aside, and what a function imports when it is called."""
    uses: dict[str, set[str]] = {}
    for path in FILES:
        nodes = [node for node, when in statements(ast.parse(path.read_text())) if when == "at once"]
        names = {f for node in nodes for f in dotted(str(path.relative_to(PACKAGE)), node).values()}
        module = name_of(path)
        uses[module] = {longest(f.removeprefix("axon.")) for f in names if f.startswith("axon.")} - {module}
    assert not circles(uses)


def test_circles_are_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b -> d -> b"]
    assert circles({"a": {"b", "c"}, "b": {"c"}}) == []


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("from .core import op", ("at once",)),
        ("if TYPE_CHECKING:\n    from .core import op", ("types",)),
        ("def f():\n    from .core import op", ("in a call",)),
        ("class C:\n    from .core import op", ("at once",)),
    ],
)
def test_when_an_import_takes_place_is_seen(text: str, times: tuple[str, ...]) -> None:
    every = ("at once", "in a call", "types")
    assert [when for when in every if imports("nx/fft.py", text, (when,)) == {"nx.core.op"}] == list(times)


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


def test_files_that_docs_name_are_there() -> None:
    root = Path(__file__).parents[1]
    folders = (root, PACKAGE.parent, PACKAGE, PACKAGE / "compiler")
    pages = [*(root / "docs").rglob("*.md"), root / "README.md"]
    named = [(page, path) for page in pages for path in re.findall(r"\w[\w/]*/\w+\.pyi?\b", page.read_text())]
    assert len(named) > 20
    assert not [(page.name, path) for page, path in named if not any((folder / path).exists() for folder in folders)]
