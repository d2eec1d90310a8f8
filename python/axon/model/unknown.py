"""What is said of a layer that does not exist: the name that was meant, what does it instead, or how to write it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..names import nearest

# Layers that other libraries have and this one does not, yet.
_MISSING = frozenset(
    "attention bidirectional bilinear cross_attention einsum embed embedding gru "
    "linear_attention lstm masking max_unpool "
    "multi_head_attention pad permute positional_encoding prelu recurrent repeat_vector reshape resize rms_norm rnn "
    "self_attention spectral_norm squeeze stack time_distributed transformer transpose unflatten "
    "upsample upsampling zero_padding".split()
)
# What is no layer here, and what is written for it.
_INSTEAD = {
    **dict.fromkeys(
        ("fit", "train", "compile"), "axon.Loop.trainer(model, loss, optimizer).run(batches) trains a model"
    ),
    "separable_conv1d": "along one axis it is depthwise_conv",
    "evaluate": "axon.loop.evaluate(model, state, batches) measures a model",
    **dict.fromkeys(("predict", "forward", "apply"), "axon.predict(model, state, x) runs a model"),
    **dict.fromkeys(("summary", "describe", "layers"), "print(model) shows its layers"),
    **dict.fromkeys(
        ("save", "to_json", "serialize"),
        "axon.to_json(model) gives a model's layers as text, axon.io.save(path, state) saves tensors",
    ),
    **dict.fromkeys(("parameters", "weights", "state_dict"), "a model's tensors are a state: axon.init makes it"),
}


def no_layer(name: str, known: Iterable[str], own: Iterable[str] = ()) -> str:
    """The text of an error for a layer of this name. `own` are the keys of layers that users declared.

    >>> no_layer("lstm", ["dense"])
    "no layer is called 'lstm' yet; write one with axon.layers.layer"
    """
    known = list(known)
    if "." in name:
        return f"no layer is called {name!r}"
    alike = [key for key in own if key.rpartition(".")[2] == name]
    if alike:
        return f"no method is called {name!r}; {' and '.join(alike)} is a function of models: write {name}(model)"
    plain = re.sub(r"_|[123]d", "", name.lower())
    if plain in {missing.replace("_", "") for missing in _MISSING.difference(known)}:
        return f"no layer is called {name!r} yet; write one with axon.layers.layer"
    near = nearest(name, known)
    advice = _INSTEAD.get(name) or (f"did you mean {near}?" if near else f"the layers are {', '.join(sorted(known))}")
    return f"no layer is called {name!r}; {advice}"
