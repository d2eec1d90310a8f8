"""What only repeats the declarations is written by this script: `PYTHONPATH=python python -m tools.write`.

It writes the re-exports of functions in `__init__.py` files, which Python reads, and the stubs of functions that are
attached where they are declared, which only editors and type checkers read. A function of nx or defn is public if its
docstring has an example, a layer if it is declared with `@layer`, an activation if it is in `__all__`.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import resolve_name
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from axon.layers import Layer

PACKAGE = Path(__file__).parents[1] / "axon"
NAMESPACES = {"random", "checkpoint_policies"}  # modules of nx and defn that users have as they are
ASIDE = {"__init__", "subscript", *NAMESPACES}  # of nx: what Tensor alone has
METHODS = {"to_device"}  # of Tensor only, in the array-API standard


def body(path: Path) -> list[ast.stmt]:
    return ast.parse(path.read_text()).body


def examples(path: Path) -> Iterator[str]:
    """The public functions of a file of nx or defn: those with an example, and those that a private one of it makes."""
    for node in body(path):
        match node:
            case ast.FunctionDef(name=name) if ">>> " in (ast.get_docstring(node) or ""):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=maker))) if maker[0] == "_":
                yield from [name] if name[0] != "_" else []


def layers(path: Path) -> Iterator[str]:
    """The functions of a file that are declared with `@layer`."""
    for node in body(path):
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(d).startswith("layer(") for d in node.decorator_list):
            yield node.name


def imported(path: Path) -> Iterator[str]:
    """What a file imports at its top, by the names that it gives to it."""
    for node in body(path):
        yield from [a.asname or a.name for a in node.names] if isinstance(node, ast.ImportFrom) else []


def dtypes(path: Path) -> Iterator[str]:
    """The rows of dtypes.py, and the function that finds one."""
    yield "dtype"
    for node in body(path):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=ast.Name(id="DType"))):
                yield name


def activations() -> list[str]:
    (names,) = [n.value for n in body(PACKAGE / "activations.py") if ast.unparse(n).startswith("__all__ = ")]  # type: ignore[attr-defined]
    return ast.literal_eval(names)


def by_module(folder: Path, find: Callable[[Path], Iterator[str]], *patterns: str) -> dict[str, set[str]]:
    """What is found in the files of a folder, by module."""
    paths = [path for pattern in patterns for path in folder.glob(pattern) if path.stem not in ASIDE]
    found = {".".join(path.relative_to(folder).with_suffix("").parts): set(find(path)) - METHODS for path in paths}
    return {module: names for module, names in found.items() if names}


def exports() -> dict[Path, str]:
    """The `__init__.py` files. They are made of texts alone: axon need not be fit to be imported."""
    parts = by_module(PACKAGE / "layers", layers, "*.py")
    definitions = by_module(PACKAGE / "defn", examples, "*.py")
    transformations = {name for names in definitions.values() for name in names} - {"defn"}
    transformations |= {path.stem for path in (PACKAGE / "defn").glob("*.py")} & NAMESPACES
    of_model = {*activations(), *(name for names in parts.values() for name in names)}
    of_model |= {*imported(PACKAGE / "__init__.py")} & {*imported(PACKAGE / "model" / "__init__.py")}
    wanted = {
        "": {"defn": transformations, "model": of_model},
        "defn": definitions,
        "nx": {".dtypes": {*dtypes(PACKAGE / "dtypes.py")}, **by_module(PACKAGE / "nx", examples, "*.py", "rows/*.py")},
        "layers": parts,
    }
    return {(path := PACKAGE / room / "__init__.py"): exporting(path, names) for room, names in wanted.items()}


def exporting(path: Path, exported: Mapping[str, set[str]]) -> str:
    """The text of an `__init__.py` whose block of relative imports re-exports these names of these modules; the
    lines of classes and of other modules stay, as long as there is such a module."""
    lines = path.read_text().splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if line.startswith("from .")]
    kept = []
    for line in lines[places[0] : places[-1] + 1]:
        _, module, _, name, *_ = line.split()
        module = module.removeprefix(".")
        place = path.parent / module.removeprefix(".").replace(".", "/")  # its own room's, or no room of ours to clear
        there = module.startswith(".") or place.is_dir() or Path(f"{place}.py").exists()
        if there and (module not in exported or name[0].isupper()):
            kept.append(line)
    made = [f"from .{module} import {name} as {name}\n" for module, names in exported.items() for name in names]
    lines[places[0] : places[-1] + 1] = sorted({*kept, *made}, key=_sorted)
    return "".join(lines)


def _sorted(line: str) -> tuple[Any, ...]:
    """The order of imports that the linter asks for: constants, classes, functions, and numbers by value."""
    _, module, _, name, *_ = line.split()
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return not module.startswith(".."), module, kind, [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)]


class Bare:
    """Text that stands in a signature as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Stub:
    """The text of a stub as it grows, and where the types that it speaks of are declared."""

    def __init__(self, package: str, title: str) -> None:
        self.package, self.title = package, title
        self.lines: list[str] = []
        self.types: dict[str, tuple[str, str]] = {}  # by name: the module, and what is imported from it

    def uses(self, text: str, module: str) -> Bare:
        """An annotation that stands in a module."""
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Name) and not hasattr(builtins, node.id):
                name, origin = node.id, declared(node.id, module)
                if self.types.setdefault(name, (origin, name))[0] != origin:  # two types of one name
                    name = f"{name}_{origin.rpartition('.')[2]}"
                    self.types[name] = origin, f"{node.id} as {name}"
                    text = re.sub(rf"\b{node.id}\b", name, text)
        return Bare(text)

    def text(self) -> str:
        imports: dict[str, list[str]] = {}
        for module, name in self.types.values():
            imports.setdefault(relative(module, self.package), []).append(name)
        lines = [f"from {module} import {', '.join(sorted(imports[module]))}\n" for module in sorted(imports)]
        ours = [line for line in lines if line.startswith("from .")]
        others = [line for line in lines if line not in ours]
        head = f'# ruff: noqa: E501\n# fmt: off\n"""{self.title} Written by python/tools/write.py."""\n\n'
        return head + "".join([*others, "\n", *ours, "\n", *self.lines])


def declared(name: str, module: str) -> str:
    """The module that declares a name which another one may import."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and name in [a.asname or a.name for a in node.names]:
            package = module if path.stem == "__init__" else module.rpartition(".")[0]
            origin = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            return declared(name, origin) if origin.startswith("axon") else origin
    return module


def relative(module: str, package: str) -> str:
    """A module's name as a file of a package imports it."""
    there, here = module.split("."), package.split(".")
    common = next((i for i, (a, b) in enumerate(zip(there, here)) if a != b), min(len(there), len(here)))
    return "." * (len(here) - common + 1) + ".".join(there[common:]) if common else module


def tensor_methods() -> str:
    """What declarations attach to Tensor, beyond its class body."""
    from axon import nx

    stub = Stub("axon.nx", "The functions attached to Tensor where they are declared.")
    (made,) = [n for n in body(PACKAGE / "nx/core/tensor.py") if isinstance(n, ast.ClassDef) and n.name == "Tensor"]
    own = {n.name for n in made.body if isinstance(n, ast.FunctionDef)}
    stub.lines += ["class Methods:\n", "    def __hash__(self) -> int: ...\n"]
    for name, value in sorted(vars(nx.Tensor).items()):
        if name not in own and (isinstance(value, property) or inspect.isfunction(value)):
            stub.lines.append(tensor_method(stub, name, value))
    return stub.text()


def tensor_method(stub: Stub, name: str, value: Any) -> str:
    if isinstance(value, property):
        result = stub.uses({"at": "At"}.get(name, "Tensor"), "axon.nx.subscript")
        return f"    @property\n    def {name}(self) -> {result}: ...\n"
    signature = inspect.signature(value)
    if value.__name__ != name and name.startswith("__"):  # an operator, whose function has a name of its own
        other = [p for p in [*signature.parameters.values()][1:] if p.kind is not p.VAR_POSITIONAL]
        operand = ", key: Any" if name == "__getitem__" else ", other: Operand" if other else ""
        for _, type_ in re.findall(r"(\w+): (\w+)", operand):
            stub.uses(type_, "axon.nx.rows.logic")
        ignored = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
        return f"    def {name}(self{operand}, /) -> Tensor: ...{ignored}\n"
    module = inspect.unwrap(value).__module__
    itself, *others = signature.parameters.values()
    parameters = [itself.replace(name="self", annotation=itself.empty)]
    parameters += [p.replace(annotation=stub.uses(p.annotation, module)) for p in others]
    result = stub.uses(signature.return_annotation, module)
    return f"    def {name}{inspect.Signature(parameters, return_annotation=result)}: ...\n"


def layer_stub(methods: bool) -> str:
    """The layers as functions of models, or as methods of Model."""
    from axon.layers import TABLE

    stub = Stub("axon.model", "Every layer as a " + ("method of Model." if methods else "function of models."))
    stub.lines += ["class Methods:\n"] if methods else []
    indent = "    " if methods else ""
    ours = {name: row.function for name, row in TABLE.items() if row.function.__module__.startswith("axon.")}
    for name, function in sorted(ours.items()):
        summary = re.split(r"(?<=\.)\s", " ".join((function.__doc__ or "").split()))[0]
        assert "\\" not in summary and '"""' not in summary
        signature = layer_signature(stub, name, methods)
        stub.lines.append(f'{indent}def {name}{signature}:\n{indent}    """{summary}"""\n')
    return stub.text()


def layer_signature(stub: Stub, name: str, method: bool) -> inspect.Signature:
    """The signature of a model function, with the types of its options."""
    from axon.layers import TABLE
    from axon.model import function

    row, model = TABLE[name], "axon.model.graph"
    types = {k: v for other in (*TABLE.values(), row) for k, v in option_types(other).items()}  # the row's own win
    types |= dict.fromkeys(row.inputs, ("Model", model))
    types |= {"inputs": ("Model" if method else "Model | Sequence[Model]", model), "name": ("str | None", model)}
    types |= {} if row.own else {"activation": ("str | Callable[..., Any] | None", model)}
    types |= {f"{row.option(p)}_initializer": ("str | Initializer | None", "axon.initializers") for p in row.parameters}
    types |= {f"use_{row.option(p)}": ("bool", model) for p in row.parameters}
    parameters = [
        p.replace(annotation=stub.uses(*types.get(p.name, ("int", model))))
        for p in inspect.signature(function(name)).parameters.values()
    ]
    if method:
        itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        parameters = [itself, *parameters[0 if row.variadic else 1 :]]
    return inspect.Signature(parameters, return_annotation=stub.uses("Model", model))


def option_types(row: Layer) -> dict[str, tuple[str, str]]:
    """The types of a layer's options, each with the module that it stands in: as the numerical function declares them,
    or the functions that give its parameters' shapes. Lambdas declare none."""
    return {
        p.name: (p.annotation, function.__module__)
        for function in (*(p.shape for p in row.parameters.values()), row.function)
        for p in inspect.signature(function).parameters.values()
        if p.annotation is not p.empty
    }


STUBS = {  # these need axon, as it is beside this script
    PACKAGE / "nx/methods.pyi": tensor_methods,
    PACKAGE / "model/functions.pyi": partial(layer_stub, methods=False),
    PACKAGE / "model/methods.pyi": partial(layer_stub, methods=True),
}


def write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        print(f"wrote {path.relative_to(PACKAGE.parent)}")


if __name__ == "__main__":
    for path, text in exports().items():
        write(path, text)
    for path, make in STUBS.items():  # after axon was made fit to be imported
        write(path, make())
