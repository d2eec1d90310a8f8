"""What `import axon` gives, and what it does not load yet."""

import subprocess
import sys

import axon
from axon.layers import TABLE


def test_every_layer_is_a_public_function() -> None:
    for name in TABLE:
        assert callable(getattr(axon, name)), name
        assert getattr(axon, name) is getattr(axon.model, name)


def test_parts_that_load_at_first_use() -> None:
    program = (
        "import sys, axon\n"
        "early = [m for m in ('axon.loop', 'axon.io', 'axon.datasets', 'ml_dtypes', 'safetensors', 'axon._core') "
        "if m in sys.modules]\n"
        "assert not early, early\n"
        "axon.Loop, axon.io.save, axon.datasets.digits\n"
        "assert 'safetensors' not in sys.modules and 'sklearn' not in sys.modules\n"
        "try:\n    axon.nothing\nexcept AttributeError as error:\n    assert 'nothing' in str(error)\n"
        "else:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
