"""Where a new row of each family is to be told of, counted: `python -m tests.places` writes the table of docs/tour.md.

What is already there says it: a file is a place if it lists most of a family's members (in a table, a display, the keys
of a dict, a macro's lines), and so is a folder whose files declare most of them between them. Where a family is small,
what is said of one member by name has to be settled for the next: each file that compares with a member's name, or has
it as a key or a field, is a place, too. A use is none; nor is what python/tools writes, nor a test.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import axon
from axon import dtypes, initializers, layers, losses, metrics, optimizers
from axon.compiler.targets import target
from axon.nx.core.op import TABLE

ROOT = Path(__file__).parents[1]
PACKAGE = "python/axon/"
TOUR = ROOT / "docs" / "tour.md"
TARGETS = ROOT / "python" / "axon" / "compiler" / "targets" / "target.py"
HEAD, FOOT = "| to add | places | which |\n|---|---|---|\n", "\nThat table is counted"
ASIDE = {f"{PACKAGE}names.py"}  # other libraries' names for what we have, which need not have any
ASIDE |= {f"{PACKAGE}{room}__init__.py" for room in ("", "nx/", "defn/", "layers/")}


class Family(NamedTuple):
    """Rows of one kind. `members` have a name, or several spellings; a mention of a `telling` one counts; and most of
    a part, such as all floats, do as well as most of the whole."""

    name: str
    members: Collection[str]
    telling: Collection[str] = ()
    spellings: Mapping[str, str] = {}
    parts: Sequence[Collection[str]] = ()


def families() -> list[Family]:
    def of_kind(*kinds: str) -> list[str]:
        return [op.name for op in TABLE.values() if getattr(op.kind, "name", op.kind) in kinds]

    spelled = {d.short: d.name for d in dtypes.ALL} | {"bool_": "bool", "b8": "bool"}
    floats, halves = ([d.name for d in dtypes.ALL if getattr(d, f"is_{part}")] for part in ("float", "half"))
    parametric = [name for name in layers.TABLE if name not in axon.activations.__all__]
    symbols, regions = {op.extern for op in TABLE.values() if op.extern}, {*regions_made()}
    return [
        Family("an elementwise op", of_kind("elementwise")),
        Family("a movement", of_kind("movement")),
        Family("a reduction", of_kind("reduction")),
        Family("a library op", symbols, symbols),
        Family("a region kind", regions, regions - {"while"}),  # which is a word of C++, and of kernels
        Family("a dtype", [d.name for d in dtypes.ALL], (), spelled, [floats, halves]),
        Family("a layer", parametric),
        Family("an activation", axon.activations.__all__),
        Family("a loss", losses.__all__),
        Family("a metric", metrics.__all__),
        Family("an initializer", initializers.__all__),
        Family("an optimizer", optimizers.__all__),
    ]


def regions_made() -> Iterator[str]:
    """The kinds of call node."""
    for path in ROOT.glob("python/axon/defn/*.py"):
        yield from filter(None, map(_region, ast.parse(path.read_text()).body))


def _region(node: ast.stmt) -> str | None:
    """The kind of call node that a statement declares."""
    match node:
        case ast.Assign(value=ast.Call(func=ast.Name(id="Region"), args=[ast.Constant(value=str(name)), *_])):
            return name
    return None


class Said(NamedTuple):
    """The names that a file speaks of: what it declares, what it lists, and what it has as text."""

    declared: frozenset[str]
    listed: frozenset[str]
    texts: frozenset[str]


@cache
def files() -> dict[str, Said]:
    """What each source of the package and of csrc says, by its path."""
    found = {}
    for path in sorted([*ROOT.glob("python/axon/**/*.py"), *ROOT.glob("csrc/**/*.h"), *ROOT.glob("csrc/**/*.cpp")]):
        name = str(path.relative_to(ROOT))
        if name not in ASIDE and not name.startswith(("csrc/tests/", "csrc/bench/")):
            found[name] = (of_python if path.suffix == ".py" else of_cpp)(path.read_text())
    return found


def of_python(text: str) -> Said:
    declared, listed, texts = set(), set(), set()
    tree = ast.parse(text)
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                declared.add(name.rstrip("_"))
    declared |= {*filter(None, map(_region, tree.body))}
    passed = {id(arg) for node in ast.walk(tree) if isinstance(node, ast.Call) for arg in node.args}
    for node in ast.walk(tree):
        match node:
            case ast.Tuple(elts=held) | ast.List(elts=held) | ast.Set(elts=held):
                listed |= {*map(_name, held)}
            case ast.Dict(keys=keys, values=values):
                listed |= {*map(_name, keys), *map(_name, values)}
            case ast.Constant(value=str(value)) if re.fullmatch(r"\w+", value) and id(node) not in passed:
                texts.add(value)
            case ast.Constant(value=str(value)) if re.fullmatch(r"(\w+[ ,|]+)+\w+", value):
                listed |= {*re.findall(r"\w+", value)}
    return Said(frozenset(declared), frozenset(listed | texts), frozenset(texts))


def _name(node: ast.expr | None) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def of_cpp(text: str) -> Said:
    text = re.sub(r"//.*|(?s:/\*.*?\*/)", "", text)
    declared = {*re.findall(r"\b(\w+)\([^;\n]*\{", text)}
    texts = {*re.findall(r'"(\w+)"', text)}
    listed = {*re.findall(r"(?<![\w:.>])\w+(?![\w(])", text)}
    listed |= {*re.findall(r"\b(?:[A-Z]\w*::|axon_)(\w+)", text)}  # enumerators
    return Said(frozenset(declared), frozenset(listed), frozenset(texts))


def places(family: Family, sources: Mapping[str, Said]) -> list[str]:
    """The files, and the folders of files, that a new member of a family is to be told of."""

    def spoken(names: frozenset[str]) -> set[str]:
        return {family.spellings.get(n, n) for n in names} & {*family.members}

    found = []
    between: dict[str, dict[str, set[str]]] = {}  # by folder: files that speak of a member or two
    for path, said in sources.items():
        texts = spoken(said.texts) & {*family.telling}
        if most(family, spoken(said.declared | said.listed)):
            found.append(path)
        elif names := spoken(said.declared) | texts:
            between.setdefault(str(Path(path).parent), {})[path] = names
    for folder, own in between.items():
        whole = most(family, set().union(*own.values())) and len(own) > 1
        found += [f"{folder}/*"] if whole else [path for path in own if spoken(sources[path].texts) & {*family.telling}]
    return sorted(found)


def most(family: Family, names: Collection[str]) -> bool:
    """Whether names are most of a family, or of a part of it."""
    return any(2 * len({*names} & {*part}) > len(part) for part in (family.members, *family.parts))


def of_targets() -> list[str]:
    """The places of a new target: the file of the rows, the files of a target's own (what rows are made of), whoever
    outside imports one of these or a row, or has a row's name as text, the headers of a target's own, and others that
    ask which target they are compiled for. The device that is taken unless one is given is no place."""
    home, own = TARGETS.parent, own_modules()
    inside = {home / "target.py", *(home / f"{name}.py" for name in own)}
    names = [path for path in ROOT.glob("python/axon/**/*.py") if path not in inside and names_target(path.read_text())]
    words = "|".join(t.name.upper() for t in target.TARGETS)
    asking = [p for p in ROOT.glob("csrc/**/*.h") if re.search(rf"#\s*(el)?if.*({words})(?!\w*_H\b)", p.read_text())]
    headers = ROOT / "csrc" / "kernels" / "target_*"
    found = [home / "target.py", *(home / f"{name.partition('_')[0]}_*" for name in own), *names, headers, *asking]
    return sorted({str(path.relative_to(ROOT)) for path in found})


def own_modules() -> list[str]:
    (own,) = re.findall(r"(?m)^from \. import (.*)$", TARGETS.read_text())
    return own.split(", ")


def names_target(text: str) -> bool:
    """Whether a file imports a row or a target's own module, or has a row's name as text."""
    rows = [name for name, value in vars(target).items() if value in target.TARGETS]
    imported = rf"(?m)^ *from .*\b(target import .*\b({'|'.join(rows)})\b|({'|'.join(own_modules())})\b)"
    text = re.sub(r"(?m)^default_device = .*$", "", text)
    named = of_python(text).listed & {name for t in target.TARGETS for name in (t.name, t.device)}
    return bool(named or re.search(imported, text))


def table() -> str:
    counted = {family.name: places(family, files()) for family in families()} | {"a target": of_targets()}
    lines = [
        f"| {name} | {len(found)} | {', '.join(f'`{path.removeprefix(PACKAGE)}`' for path in found)} |\n"
        for name, found in counted.items()
    ]
    return HEAD + "".join(lines)


def tour() -> str:
    """The tour, with the table counted anew."""
    text = TOUR.read_text()
    return text[: text.index(HEAD)] + table() + text[text.index(FOOT) :]


if __name__ == "__main__":
    TOUR.write_text(tour())
