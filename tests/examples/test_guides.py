"""The examples in the guides run, and give what a reader is told: each page is one session."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

GUIDES = sorted((Path(__file__).parents[2] / "docs" / "guides").glob("*.md"))


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_every_block_runs_as_printed(page: Path) -> None:
    text = page.read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    session = "\n".join(blocks)
    assert session.count(">>> ") and all(block.startswith(">>> ") for block in blocks), "examples are sessions"
    example = doctest.DocTestParser().get_doctest(session, {}, page.stem, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert runner.run(example).failed == 0
