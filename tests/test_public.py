"""What `import axon` gives, and what it does not load yet."""

import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import axon
import pytest
from axon.layers import TABLE


def test_every_layer_is_a_public_function() -> None:
    for name in TABLE:
        assert callable(getattr(axon, name)), name
        assert getattr(axon, name) is getattr(axon.model, name)


def test_names_are_those_that_users_want() -> None:
    program = "import axon; print(*dir(axon))"
    shown = set(
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    )
    assert {"Loop", "Model", "datasets", "io", "loop", "nx", "__version__", *TABLE} <= shown
    assert not shown & {"Any", "TYPE_CHECKING", "annotations", "import_module"}


def test_defn_is_the_module_of_its_decorator() -> None:
    assert axon.defn.grad is axon.grad and isinstance(axon.defn, ModuleType)
    with pytest.raises(TypeError, match=r"^axon\.defn: expected a decorator, got the module; write from axon"):
        axon.defn(lambda x: x)  # type: ignore[operator]


def test_the_version_is_the_package_s() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert axon.__version__ == project["version"]


def test_parts_that_load_at_first_use() -> None:
    program = (
        "import sys, axon\n"
        "late = ('axon.loop', 'axon.io', 'axon.datasets', 'numpy', 'ml_dtypes', 'safetensors', 'axon._core')\n"
        "early = [m for m in late if m in sys.modules]\n"
        "assert not early, early\n"
        "axon.Loop, axon.io.save, axon.datasets.digits\n"
        "assert 'safetensors' not in sys.modules and 'sklearn' not in sys.modules\n"
        "try:\n    axon.nothing\nexcept AttributeError as error:\n    assert 'nothing' in str(error)\n"
        "else:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
