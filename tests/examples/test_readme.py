"""README's example runs as printed, and soon."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_example() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    ran = subprocess.run([sys.executable, "-c", example], stdout=subprocess.PIPE, text=True, check=True, timeout=50)
    table, epochs, rest = re.split(r"(?=epoch 1/5)|(?<=examples/s\n)(?=int32)", ran.stdout)
    assert "conv_0 (conv)" in table and epochs.count("\n") == 5
    assert float(epochs.split("accuracy ")[-1].split()[0]) > 0.85
    assert rest.startswith("int32[3] [") and "float32[5] [" in rest and "tanh" in rest
