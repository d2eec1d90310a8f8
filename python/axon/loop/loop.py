"""Loop: how a model is trained, as a value. Its methods give new loops; `run` carries one out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from .. import metrics as named
from .. import nx, tree
from ..io import save
from ..model import Model, ModelState, init, needs_template
from ..model.graph import check_model
from ..model.state import check_state
from ..nx import Tensor
from ..training import Loss, Optimizer, find_loss, find_optimizer, logits_of
from ..values import Value
from .handlers import Dispatcher, Handle, Handler, at_least_one
from .progress import in_words
from .run import Data, Runner, Steps, measure, of_epoch
from .state import Event, State, Status
from .step import Metric, first, make_evaluation_step, make_train_step


@dataclass(frozen=True, repr=False)
class Result:
    """What a run has reached: the model's state, one dict of metrics an epoch, and the loop's last state, from which
    `run(..., state=result.last)` goes on."""

    state: ModelState
    history: tuple[dict[str, float], ...]
    last: State

    @property
    def status(self) -> Status:
        """completed, halted (by a handler) or interrupted (by Ctrl-C)."""
        return self.last.status

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else {}
        reached = in_words({name: value for name, value in last.items() if name not in ("epoch", "seconds")})
        return f"<Result {', '.join([f'{self.status} at epoch {len(self.history)}', *reached])}>"

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model's state to a safetensors file."""
        save(path, self.state)


@dataclass(frozen=True, eq=False)
class Loop(Value):
    """How a model is trained. Made by `Loop.trainer`.

    A step is one jitted call (forward, backward, optimizer, metrics) that reads nothing back.

    >>> from axon.model import input
    >>> model = input("x", shape=(None, 2)).dense(1)
    >>> data = [(nx.ones((4, 2)), nx.ones((4, 1)))] * 50
    >>> loop = Loop.trainer(model, "mean_squared_error", "adam", progress=False)
    >>> result = loop.run(data, epochs=10)
    >>> result.history[-1]["loss"] < 0.1 * result.history[0]["loss"]
    True
    """

    model: Model
    loss: Loss
    optimizer: Any
    metrics: Mapping[str, Metric]
    handlers: tuple[Handler, ...] = ()
    validation: tuple[Data, int] | None = None
    progress: bool = True

    @staticmethod
    def trainer(model: Model, loss: Loss, optimizer: Optimizer, *, progress: bool = True) -> Loop:
        """A loop that trains a model.

        loss: a name (of reduction "mean") or a function (y_true, y_pred) -> number (floating, []); a model that ends in
        softmax or sigmoid is trained from its logits by the cross-entropies. optimizer: a name, an Update, or (init,
        update). ValueError for another loss or an unknown name, and for cross-entropy of what is no probability,
        TypeError for another model or optimizer.

        >>> from axon.model import input
        >>> model = input("x", shape=(None, 2)).dense(3, activation="softmax")
        >>> Loop.trainer(model, "categorical_cross_entropy", "sgd").optimizer
        scale(-0.01)
        """
        check_model(model, "trainer")
        function = find_loss(loss)
        logits_of(model, function)  # which refuses what does not go together
        return Loop(model, function, find_optimizer(optimizer), {}, progress=progress)

    def metric(self, metric: str | Metric, name: str | None = None) -> Loop:
        """Also report a metric: a name of `axon.metrics`, or a function (y_true, y_pred) -> number (any dtype, []),
        which needs a name. What is shown is its mean over the epoch's examples.

        ValueError for an unknown name, one that is taken, or none; the first step raises ShapeError when the metric is
        not one number.

        >>> from axon.model import input
        >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam")
        >>> list(loop.metric("mean_absolute_error", "error").metric(lambda y, p: nx.max(p), "highest").metrics)
        ['error', 'highest']
        """
        name, metric = find_metric(metric, name)
        if name == "loss" or name in self.metrics:
            raise ValueError(f"metric: expected a new name, got {name!r} again; pass another name=")
        return replace(self, metrics={**self.metrics, name: metric})

    def handle(self, event: Event, handle: Handle, **filters: Any) -> Loop:
        """Call handle(state) at an event; it returns None, or the state to go on with (`state.halt()` ends the loop).

        Events: started, epoch_started, iteration_started, iteration_completed, epoch_completed, epoch_halted, halted,
        completed. Filters, which hold together: every=n (each n-th time), after=n and before=n (times, from 1),
        once=True, when=function(state) -> bool. ValueError for another event or an `every` below 1, TypeError for no
        function; the run raises TypeError when the handler returns anything else.

        >>> from axon.model import input
        >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam", progress=False)
        >>> loop = loop.handle("iteration_completed", lambda state: print(state.iteration), every=2)
        >>> loop = loop.handle("iteration_completed", lambda state: state.halt(), after=4)
        >>> loop.run([(nx.ones((4, 2)), nx.ones((4, 1)))] * 9).status
        2
        4
        'halted'
        """
        return replace(self, handlers=(*self.handlers, Handler(event, handle, **filters)))

    def validate(self, data: Data, *, every: int = 1) -> Loop:
        """After every `every`-th epoch also measure loss and metrics on other data, as validation_<name>.

        ValueError when `every` is below 1.

        >>> from axon.model import input
        >>> data = [(nx.ones((4, 2)), nx.ones((4, 1)))]
        >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam", progress=False)
        >>> list(loop.validate(data).run(data).history[-1])
        ['epoch', 'loss', 'validation_loss', 'seconds']
        """
        at_least_one("validate: expected every", every)
        return replace(self, validation=(data, every))

    def run(
        self,
        data: Data,
        *,
        epochs: int = 1,
        iterations: int | None = None,
        state: ModelState | State | None = None,
        key: Tensor | None = None,
        compiler: str | None = None,
    ) -> Result:
        """Train on batches (x, y), going through `data` once an epoch (`iterations` batches at most) until there were
        `epochs`, those of a State to go on from included.

        x and y have the shapes that model and loss take. state: where to begin (a ModelState), or a run's last State to
        go on from; else the model is initialized with `key`. Ctrl-C ends the run after the step under way, with the
        state reached; a second one interrupts at once. ValueError when there are no batches, TypeError when data or
        state are of another form.

        >>> from axon.model import input
        >>> data = [(nx.ones((4, 2)), nx.ones((4, 1)))] * 3
        >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam", progress=False)
        >>> half = loop.run(data, epochs=2)
        >>> len(loop.run(data, epochs=4, state=half.last).history)
        4
        """
        at_least_one("run: expected iterations", iterations)
        if isinstance(state, State):
            now = state._replace(epochs=epochs, status="running", step=_copied(state.step))
        else:
            if state is None:
                model = init(self.model, self._template(data), key=key, compiler=compiler)
            else:
                check_state(state, "run")
                model = _copied(state)
            now = State(0, epochs, 0, first(model, self.optimizer, self.metrics, compiler))
        fire = Dispatcher(self.handlers)
        names = ("loss", *self.metrics)
        last = Runner(self.steps(compiler), data, iterations, self.validation, fire, self.progress, names).all(now)
        return Result(last.step.model, last.history, last)

    def steps(self, compiler: str | None = None) -> Steps:
        """The jitted steps, made once and kept by the loop."""
        kept: dict[str | None, Steps] = self.__dict__.setdefault("_kept", {})
        if compiler not in kept:
            kept[compiler] = Steps(
                make_train_step(self.model, self.loss, self.optimizer, self.metrics, compiler),
                make_evaluation_step(self.model, self.loss, self.metrics, compiler),
            )
        return kept[compiler]

    def _template(self, data: Data) -> Any:
        """The inputs of a batch, where the model does not say their shapes itself."""
        return next(of_epoch("run", data, 1))[0] if needs_template(self.model) else None


def evaluate(
    model: Model,
    state: ModelState,
    data: Data,
    metrics: str | Iterable[str] | Mapping[str, str | Metric] = "accuracy",
    loss: Loss | None = None,
    *,
    compiler: str | None = None,
) -> dict[str, float]:
    """The means over all examples of `data`, batches (x, y), of some metrics and of the loss where given, in inference
    mode.

    x and y have the shapes that model, metrics and loss take. ValueError for an unknown name and when there are no
    batches, TypeError when model, state or data are of another form.

    >>> from axon.model import input
    >>> model = input("x", shape=(None, 3)).softmax()
    >>> evaluate(model, init(model), [(nx.eye(3), nx.arange(3)), (nx.eye(3)[:1], nx.tensor([2]))])
    {'accuracy': 0.75}
    """
    check_model(model, "evaluate")
    check_state(state, "evaluate")
    names = (metrics,) if isinstance(metrics, str) else metrics
    pairs = names.items() if isinstance(names, Mapping) else ((None, name) for name in names)
    found = dict(find_metric(metric, name) for name, metric in pairs)
    step = make_evaluation_step(model, loss, found, compiler)
    return measure("evaluate", step, state, data, [*(("loss",) if loss is not None else ()), *found])


def _copied(state: Any) -> Any:
    """A state for steps to use up, while the user keeps the one given."""
    return tree.map(lambda t: nx.asarray(t, copy=True), state)


def find_metric(metric: str | Metric, name: str | None = None) -> tuple[str, Metric]:
    """(name, function) of a metric given by name or as a function with a name."""
    if callable(metric):
        if name is None:
            raise ValueError(
                "metric: expected a name beside a function, got none; write (function, name=...) or {name: function}"
            )
        return name, metric
    if metric not in named.__all__:
        raise ValueError(f"metric: expected one of {', '.join(named.__all__)} or a function, got {metric!r}")
    return name or metric, getattr(named, metric)
