"""The examples in the guides run, and give what a reader is told: each section by itself."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

GUIDES = sorted((Path(__file__).parents[2] / "docs" / "guides").glob("*.md"))


SECTIONS = [
    pytest.param(page, section, id=f"{page.stem}, {section.splitlines()[0]}")
    for page in GUIDES
    for section in re.split(r"^## ", page.read_text(), flags=re.M)
    if "```python" in section
]


@pytest.mark.parametrize(("page", "section"), SECTIONS)
def test_every_block_runs_as_printed(page: Path, section: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", section, re.M | re.S)
    session = "\n".join(blocks)
    assert session.count(">>> ") and all(block.startswith(">>> ") for block in blocks), "examples are sessions"
    example = doctest.DocTestParser().get_doctest(session, {}, page.stem, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert runner.run(example).failed == 0
