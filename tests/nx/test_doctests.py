"""The examples of the documentation are run, with nx at hand."""

import doctest
import importlib
import pkgutil
import sys

import pytest
from axon import dtypes, nx, testing

MODULES = [importlib.import_module(m.name) for m in pkgutil.walk_packages(nx.__path__, "axon.nx.")] + [dtypes, testing]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_examples(module):
    failed, _ = doctest.testmod(sys.modules[module.__name__], extraglobs={"nx": nx}, optionflags=doctest.ELLIPSIS)
    assert not failed


def test_every_public_function_has_an_example():
    functions = {k: v for k, v in vars(nx).items() if callable(v) and not isinstance(v, type) and not k.startswith("_")}
    bare = [k for k, v in functions.items() if ">>>" not in (v.__doc__ or "") and k not in ("e", "dtype")]
    assert not bare
