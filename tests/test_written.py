"""Files of the package that a script writes from declarations are what it would write now."""

import runpy
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).parents[1] / "python" / "tools" / "write.py"))
AGAIN = "PYTHONPATH=python python -m tools.write writes it again"


@pytest.mark.parametrize("path", [*TOOL["exports"](), *TOOL["STUBS"]], ids=lambda p: "/".join(p.parts[-2:]))
def test_files_are_as_written(path: Path) -> None:
    made = TOOL["STUBS"][path]() if path in TOOL["STUBS"] else TOOL["exports"]()[path]
    assert path.read_text() == made, AGAIN


def test_exports_follow_declarations(tmp_path: Path) -> None:
    """What is declared is exported, what is gone is not, and what is written by hand stays."""
    (tmp_path / "linear.py").write_text("@layer(bias=1)\ndef dense(x): ...\n\ndef helper(x): ...\n")
    (tmp_path / "declare.py").write_text("")
    before = '"""Layers."""\n\nfrom .. import nx as nx\nfrom .declare import TABLE as TABLE\n'
    init = tmp_path / "__init__.py"
    init.write_text(before + "from .gone import conv as conv\nfrom .linear import old as old\n\nx = 1\n")
    found = TOOL["by_module"](tmp_path, TOOL["layers"], "*.py")
    assert found == {"linear": {"dense"}}
    assert TOOL["exporting"](init, found) == before + "from .linear import dense as dense\n\nx = 1\n"


def test_public_functions_of_nx_are_those_with_an_example(tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    path.write_text(
        'def shown(x):\n    """Shown.\n\n    >>> shown(1)\n    """\n\n\ndef helper(x):\n    """Not shown."""\n\n\n'
        "shown_like = _like(shown)\n_own = _like(shown)\nkind = partial(shown)\n"
    )
    assert [*TOOL["examples"](path)] == ["shown", "shown_like"]
