"""From a model to its two pure functions: init (key -> state) and predict (state, inputs -> output)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, NamedTuple

from .. import nx
from ..defn import Definition, jit
from ..errors import ShapeError
from ..layers import Mode, Spec, trains
from ..names import guided
from ..nx import Tensor
from .graph import Model, check_model, where
from .initial import Draws, first_state
from .inputs import checked
from .parts import pick
from .run import Outputs, run
from .shapes import infer, needs_template
from .state import ModelState, Tensors, check_state


class Prediction(NamedTuple):
    """What predict gives in training: the output, and the new state of the layers that have one."""

    output: Any
    state: Tensors


class ModelFunctions(NamedTuple):
    """The two pure functions of a model. They may be called anywhere; inside a traced function they are part of it."""

    init: Callable[..., ModelState]
    predict: Definition


def build(model: Model, *, mode: Mode = "inference", compiler: str | None = None) -> ModelFunctions:
    """(init_fn, predict_fn) of a model.

    init_fn(template=None, key=nx.random.key(0)) -> ModelState. The template (inputs, or their types) is needed only
    where an input's shape is unknown apart from the batch.
    predict_fn(state, inputs) -> output, or with mode "train" Prediction(output, new layer states). `inputs` is one
    tensor, a tuple in the order of the model's inputs, or a dict by name; output one tensor, or what a container or a
    layer of several results gives.
    ShapeError names the layer that does not fit, and the line that made it; ValueError an unknown mode, TypeError what
    is no Model.

    >>> from axon.model import input
    >>> init_fn, predict_fn = build(input("x", shape=(None, 3)).dense(2))
    >>> predict_fn(init_fn(), nx.ones((1, 3))).shape
    (1, 2)
    """
    training = trains("build", mode)
    check_model(model, "build")
    if not needs_template(model):
        infer(model)

    def predict(state: ModelState, inputs: Any) -> Any:
        done = forward(model, state, inputs, mode)
        output = done.values[model]
        return Prediction(output, done.state) if training else output

    draws = Draws(compiler)

    def init_fn(template: Any = None, key: Tensor | None = None) -> ModelState:
        for number in (template, key):
            if isinstance(number, Integral):
                raise TypeError(f"init: expected a key uint32[2], got {number}; write key=axon.nx.random.key({number})")
        layouts = infer(model, template)
        pick(layouts[model.name].output, model.path, where(model))
        specs = {name: layout.parameters for name, layout in layouts.items() if layout.parameters}
        return first_state(specs, nx.random.key(0) if key is None else key, draws)

    return ModelFunctions(init_fn, jit(predict, compiler=compiler))


def compile(model: Model, *, compiler: str | None = None) -> ModelFunctions:
    """(init_fn, predict_fn) for inference, as `build` gives them, with its errors.

    >>> from axon.model import input
    >>> init_fn, predict_fn = compile(input("x", shape=(None, 3)).dense(2))
    """
    return build(model, compiler=compiler)


@guided(seed="key=axon.nx.random.key(seed)")
def init(model: Model, template: Any = None, *, key: Tensor | None = None, compiler: str | None = None) -> ModelState:
    """The model's first state: parameters drawn by their initializers, each from a key of its own that depends on `key`
    and on the parameter's name alone. ShapeError where a shape is unknown and there is no template.

    >>> from axon.model import input
    >>> init(input("x", shape=(None, 3)).dense(2), compiler="evaluate")
    ModelState
      parameters: 8 values, 32 bytes
        dense_0.kernel: float32[3,2]
        dense_0.bias: float32[2]
    """
    check_model(model, "init")
    return _built(model, compiler).init(template, key)


def predict(model: Model, state: ModelState, inputs: Any, *, compiler: str | None = None) -> Any:
    """The model's output for inference (of a container: tuples and dicts of tensors); `inputs` as for `build`'s
    predict_fn, in the shapes the model declares, or lists of numbers.

    TypeError unless `model` is a Model and `state` a ModelState, and for inputs that are no arrays, such as batches;
    ValueError, ShapeError or DTypeError name an input that does not fit.

    >>> from axon.model import input
    >>> model = input("x", shape=(None, 3)).dense(2)
    >>> predict(model, init(model), nx.ones((1, 3))).shape
    (1, 2)
    """
    from ..arrays import arrays  # at first use: NumPy comes with it, and is most of what an import takes

    check_model(model, "predict")
    check_state(state, "predict")  # before the call's own check, which knows trees alone
    return _built(model, compiler).predict(state, arrays("predict", inputs))


def _built(model: Model, compiler: str | None) -> ModelFunctions:
    """The model's functions for inference, made once and kept by the model itself."""
    kept: dict[str | None, ModelFunctions] = model.__dict__.setdefault("_built", {})
    if compiler not in kept:
        kept[compiler] = build(model, compiler=compiler)
    return kept[compiler]


def forward(model: Model, state: ModelState, inputs: Any, mode: Mode) -> Outputs:
    """What all layers of the model give with the parameters of a state, meant for a trace. Raises what predict raises.

    >>> from axon.model import input
    >>> model = input("x", shape=(None, 3)).dense(2)
    >>> forward(model, init(model), nx.ones((1, 3)), "inference").values[model].shape
    (1, 2)
    """
    check_state(state, "predict")

    def fetch(name: str, specs: Mapping[str, Spec]) -> Mapping[str, Tensor]:
        found = state.of(name)
        for parameter, spec in specs.items():
            if parameter not in found:
                raise ShapeError(f"expected a parameter {parameter}, found none in the state; init the model again")
            if found[parameter].shape != spec.shape:
                raise ShapeError(
                    f"expected {parameter} of shape {spec.shape}, got {found[parameter].type}; "
                    f"the state is of another model: init this one, or load its own"
                )
        return found

    return run(model, checked(model, inputs), fetch, mode)
