"""What is attached to Tensor: python/tools/write.py tells type checkers of it."""

import inspect

from axon import nx


def test_every_function_of_a_tensor_is_a_method():
    functions = {k: v for k, v in vars(nx).items() if inspect.isfunction(v) and not k.endswith("_like")}
    first = {k: next(iter(inspect.signature(v).parameters.values()), None) for k, v in functions.items()}
    takes = [k for k, p in first.items() if p and p.annotation in ("Tensor", "Operand") and p.kind is p.POSITIONAL_ONLY]
    assert len(takes) > 100 and not [k for k in takes if not hasattr(nx.Tensor, k.rstrip("_"))]
