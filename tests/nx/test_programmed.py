"""`programmed`: functions that run as one program when called eagerly; what one depends on, when there is none."""

import inspect

import numpy as np
import pytest
from axon import config, nx
from axon.backends.array_api import ArrayBackend
from axon.compiler.targets import compile_cpp
from axon.defn import grad, jit
from axon.errors import CompileError, DTypeError, ShapeError
from axon.nx import random
from axon.nx.core.functions import function, programmed
from axon.nx.core.op import attribute_key

DRAWS = {
    "normal": lambda k: random.normal(k, (7, 301)),
    "uniform": lambda k: random.uniform(k, (33,), minval=-2.0, maxval=3.0),
    "bfloat16": lambda k: random.normal(k, (50,), "bfloat16"),
    "randint": lambda k: random.randint(k, (5, 5), -3, 300),
    "bernoulli": lambda k: random.bernoulli(k, 0.3, (400,)),
    "truncated_normal": lambda k: random.truncated_normal(k, -1.0, 2.0, (64,)),
    "bits": lambda k: random.bits(k, (9,), "uint8"),
    "split": lambda k: random.split(k, (2, 3)),
    "fold_in": lambda k: random.fold_in(k, 2**32 - 1),
}


@pytest.fixture
def made(monkeypatch):
    """The calls for which a program was made."""
    calls, build = [], config.lookup("definition", "inner")

    def counting(function, args, options, backend):
        calls.append((function.__name__, args, options))
        return build(function, args, options, backend)

    monkeypatch.setitem(config._loaded, ("definition", "inner"), counting)
    return calls


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_eager_draws_are_the_bits_of_compiled_ones(draw):
    key = random.key(5)
    eager, compiled = draw(key), jit(draw)(key)
    assert eager.type == compiled.type and eager.numpy().tobytes() == compiled.numpy().tobytes()


def test_no_compiler_is_needed(monkeypatch):
    def refuse(*_):
        raise AssertionError("a compiler was asked for")

    monkeypatch.setattr(compile_cpp, "found", refuse)
    assert random.normal(random.key(0), (1, 2, 3, 5)).shape == (1, 2, 3, 5)


def test_a_program_is_made_once_a_signature(made):
    scaled = programmed(lambda x, by=1.0: x * by)
    x = nx.arange(3.0)
    for _ in range(2):
        assert scaled(x).tolist() == [0, 1, 2] and scaled(x + 1).tolist() == [1, 2, 3]
    assert len(made) == 1
    assert scaled(nx.arange(2.0)).tolist() == [0, 1] and scaled(x, by=3.0).tolist() == [0, 3, 6] and len(made) == 3
    key = random.key(0)
    random.fold_in(key, 0)
    count = len(made)
    assert len({tuple(random.fold_in(key, i).tolist()) for i in range(20)}) == 20 and len(made) == count


def test_values_that_are_equal_and_differ():
    signs = programmed(lambda x, y: nx.copysign(x, y))
    x = nx.ones(1)
    assert signs(x, 0.0).item() == 1 and signs(x, -0.0).item() == -1
    names = programmed(lambda x, value: nx.full((1,), len(repr(value))) + x)
    assert [names(x, v).item() for v in (1, True, 1.0, "1", (1,), (True,))] == [2, 5, 4, 4, 5, 8]
    assert attribute_key([1, (2, "a")]) == attribute_key((1, (2, "a"))) != attribute_key((True, (2, "a")))
    with pytest.raises(TypeError, match="tuple of such, got ndarray"):
        attribute_key((1, np.ones(2)))


def test_what_is_neither_tensor_nor_plain_runs_op_by_op(made):
    added = programmed(lambda x, y: x + y)
    assert added(nx.ones(2), np.array([1.0, 2.0], "f4")).tolist() == [2, 3] and not made


def test_a_tensor_made_on_the_way_and_several_results():
    held = nx.tensor([1.0, 2.0])
    both = programmed(lambda x: {"sum": x + held, "twice": (x * 2, held)})
    for _ in range(2):
        found = both(nx.tensor([10.0, 20.0]))
        assert found["sum"].tolist() == [11, 22] and [t.tolist() for t in found["twice"]] == [[20, 40], [1, 2]]


def test_what_the_compiler_refuses_runs_op_by_op(made):
    total = programmed(lambda x: nx.sum(x * 2))
    assert total(nx.arange(4.0)).item() == 12 and total(nx.arange(4.0)).item() == 12 and len(made) == 1
    with pytest.raises(CompileError):
        config.lookup("definition", "inner")(inspect.unwrap(total), (nx.ones(2),), {}, nx.ones(2).backend)


def test_in_a_trace_it_is_recorded(made):
    square = programmed(lambda x: x * x)
    x = nx.tensor([1.0, 3.0])
    assert "multiply" in str(jit(square).lower(x).graph()) and not made
    assert grad(lambda x: nx.sum(square(x)))(x).tolist() == [2, 6]


def test_another_backend_runs_op_by_op(made):
    other = ArrayBackend("other", np)
    x = nx.Tensor(nx.template(2), other, np.array([1, 2], "f4"))
    assert programmed(lambda x: x + 1)(x).backend is other and not made


def test_errors_are_those_of_the_function():
    draw = function(programmed(inspect.unwrap(random.normal)))
    with pytest.raises(ShapeError, match=r"^normal: .*expected a key uint32\[2\], got float32\[3\]"):
        random.normal(nx.ones(3), (2,))
    with pytest.raises(DTypeError, match=r"^normal: expected a floating dtype, got int32"):
        random.normal(random.key(0), 2, "int32")
    with pytest.raises(ShapeError, match=r"^fold_in: expected a key"):
        random.fold_in(nx.ones(3), 1)
    with pytest.raises(ValueError, match=r"^fold_in: expected data"):
        random.fold_in(random.key(0), 2**33)
    assert draw(np.array([0, 7], "uint32"), 3).tolist() == random.normal(random.key(7), [3]).tolist()
