"""The short examples run as they stand, and print what a reader is told."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import axon
import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

MODEL = """\
----------------------------------------------
                    Model
==============================================
 Layer                Shape        Parameters
==============================================
 pixels (input)       (None, 784)  0
 dense_0 (dense)      (None, 128)  100480
 relu_0 (relu)        (None, 128)  0
 dropout_0 (dropout)  (None, 128)  0
 dense_1 (dense)      (None, 10)   1290
 softmax_0 (softmax)  (None, 10)   0
----------------------------------------------
 Total parameters: 101770
 Total parameter memory: 407080 bytes
"""
RESIDUAL = """\
-----------------------------------------------------------------
                              Model
=================================================================
 Layer                            Shape               Parameters
=================================================================
 images (input)                   (None, 32, 32, 3)   0
 conv_0 (conv)                    (None, 30, 30, 32)  896
 relu_0 (relu)                    (None, 30, 30, 32)  0
 conv_1 (conv)                    (None, 30, 30, 32)  9248
 relu_1 (relu)                    (None, 30, 30, 32)  0
 add_0 (add: relu_1, relu_0)      (None, 30, 30, 32)  0
 max_pool_0 (max_pool)            (None, 10, 10, 32)  0
 conv_2 (conv)                    (None, 10, 10, 32)  9248
 relu_2 (relu)                    (None, 10, 10, 32)  0
 add_1 (add: relu_2, max_pool_0)  (None, 10, 10, 32)  0
 max_pool_1 (max_pool)            (None, 3, 3, 32)    0
 flatten_0 (flatten)              (None, 288)         0
 dense_0 (dense)                  (None, 10)          2890
 log_softmax_0 (log_softmax)      (None, 10)          0
-----------------------------------------------------------------
 Total parameters: 22282
 Total parameter memory: 89128 bytes
"""


def printed(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What an example prints."""
    text = (EXAMPLES / f"{name}.py").read_text()
    assert text.count("\n") <= 40, f"{name}: a short example is read at a glance"
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def numbers(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.\d+", line)]


def test_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    first, predicted, written, again = re.split(
        r"(?=float32\[2,10\])|(?=\{\"format)|(?<=\]\}\n)", printed("a_model", capsys)
    )
    assert first == again == MODEL
    assert predicted == "float32[2,10]\n[[{0}],\n [{0}]]\n".format(", ".join(["0.1"] * 10))
    assert str(axon.from_json(written)) + "\n" == MODEL


def test_a_residual_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed("a_residual_block", capsys) == RESIDUAL


def test_an_update_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline, *lines = printed("an_update_of_ones_own", capsys).splitlines()
    assert pipeline == "scale_by_stddev(decay=0.99) | stateless(relative) | scale(-0.01)"
    assert [line.split()[1] for line in lines] == ["0", "500", "1000", "1500", "2000"]
    (first, *_), *_, (last, x, y) = map(numbers, lines)
    assert first == 6.5 and last < 0.02 and abs(x - 1) < 0.05 and abs(y - 1) < 0.05


def test_a_step_of_two_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    *lines, found = printed("a_step_of_two_pairs", capsys).splitlines()
    assert [line.split()[1] for line in lines] == ["0", "100", "200", "300"]
    assert numbers(lines[0])[0] == pytest.approx(3.716, abs=2e-3)
    assert numbers(lines[-1])[0] == pytest.approx(2.0, abs=0.02), "a tenth of the points are 20 off"
    assert numbers(found) == pytest.approx([3, -2], abs=0.05)


def test_a_loop_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    *epochs, first, second, third = printed("a_loop_of_ones_own", capsys).splitlines()
    assert [line.split()[1] for line in epochs] == ["1", "2", "3"]
    assert numbers(epochs[-1])[0] == pytest.approx(0.5, abs=0.05), "twice the variance of a cloud"
    for line, centre in zip((first, second, third), ([0, 0], [1, 5], [4, 1]), strict=True):
        assert numbers(line) == pytest.approx(centre, abs=0.15)


def test_training_by_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    *epochs, found = printed("training_by_epochs", capsys).splitlines()
    forms = [rf"epoch {epoch}/5  44 batches  loss \d\.\d+  \d+\.\d\d s" for epoch in range(1, 6)]
    assert all(re.fullmatch(form, line) for form, line in zip(forms, epochs, strict=True)), epochs
    losses = [numbers(line)[0] for line in epochs]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.2
    right = re.fullmatch(r"(\d+) of 360 test digits are read right", found)
    assert right and int(right[1]) >= 335


def test_two_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.fullmatch(
        r"(\d+) of 360 test digits are read right, and drawn (\d\.\d+) off\n", printed("two_outputs", capsys)
    )
    assert found and int(found[1]) >= 325 and float(found[2]) < 0.12
