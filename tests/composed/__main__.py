"""Many composed programs: python -m tests.composed COUNT [FIRST] [native]."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator
from pprint import pformat
from random import Random

from .comparing import Unfit, check
from .making import Program, program
from .reading import Block, Step

UNFIT = "nothing can be compared"


def failure(made: Program, native: bool) -> str:
    """What goes wrong with a program, in a line; "" where nothing does."""
    try:
        check(made, 0, native)
    except Unfit:
        return UNFIT
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        first = (str(error).splitlines() or [""])[0]
        return f"{type(error).__name__} at {where.filename.split('/')[-1]}:{where.lineno}: {first[:300]}"
    return ""


def kind(text: str) -> str:
    return text.split(": ")[0] + (text.split(": ")[1].split(",")[0] if text.startswith("Assert") else "")


def simpler(block: Block) -> Iterator[Block]:
    """A block with less in it: a step whose values are numbers, fewer results, simpler blocks inside."""
    for k in range(len(block.results)):
        if len(block.results) > 1:
            yield block._replace(results=block.results[:k] + block.results[k + 1 :])
    for at, step in enumerate(block.steps):
        if step.kind not in ("unary", "fit", "number") and step.args:
            yield _with(block, at, Step("unary", step.args[:1], {"f": "sin"}))
        if step.kind not in ("number",):
            yield _with(block, at, Step("number", (), {"shape": (), "value": 0.5}))
        for k, inner in enumerate(step.blocks):
            for less in simpler(inner):
                yield _with(block, at, step._replace(blocks=(*step.blocks[:k], less, *step.blocks[k + 1 :])))


def _with(block: Block, at: int, step: Step) -> Block:
    return block._replace(steps=(*block.steps[:at], step, *block.steps[at + 1 :]))


def shrunk(made: Program, found: str, native: bool, seconds: float = 40.0) -> tuple[Program, str]:
    end = time.monotonic() + seconds
    going = True
    while going and time.monotonic() < end:
        going = False
        for body in simpler(made.body):
            less = made._replace(body=body)
            text = failure(less, native)
            if text not in ("", UNFIT) and kind(text) == kind(found):
                made, found, going = less, text, True
                break
            if time.monotonic() > end:
                break
    return made, found


def main() -> None:
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    native, met, failed, unfit = "native" in sys.argv, set[str](), 0, 0
    for seed in range(first, first + count):
        try:
            made = program(Random(seed))
        except Exception:
            print(f"seed {seed}: not made", flush=True)
            traceback.print_exc(limit=-3)
            failed += 1
            continue
        found = failure(made, native)
        if found == UNFIT:
            unfit += 1
        elif found:
            failed += 1
            print(f"seed {seed}: {found}", flush=True)
            if kind(found) not in met:
                met.add(kind(found))
                made, found = shrunk(made, found, native)
                print(found, pformat(made, width=150), sep="\n", flush=True)
    print(f"{count} programs from seed {first}: {failed} failed, with {unfit} nothing could be compared")
    sys.exit(failed > 0 or unfit == count)


if __name__ == "__main__":
    main()
