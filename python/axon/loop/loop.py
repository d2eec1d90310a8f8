"""Loop: how a model is trained, as a value. Its methods give new loops; `run` carries one out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from os import PathLike
from typing import Any

from .. import metrics as axon_metrics
from .. import nx, tree
from ..errors import note
from ..io import save
from ..metrics import Metric
from ..model import Model, ModelState, init, needs_template
from ..model.graph import check_model
from ..model.state import check_state
from ..names import guided, named
from ..nx import Tensor
from ..targets import Check
from ..training import Loss, Optimizer, find_loss, find_optimizer, logits_of
from ..values import Value
from .data import Data, Source
from .divergence import explained, look
from .handlers import Dispatcher, Handle, Handler, at_least
from .progress import in_words
from .run import Runner, Steps, measure
from .state import Event, State, Status
from .step import (
    Measure,
    Metrics,
    first,
    make_evaluation_step,
    make_train_step,
    measures,
    no_totals,
)


@dataclass(frozen=True, repr=False)
class Result:
    """What a run has reached: the model's state, one dict an epoch (its metrics, the last step's learning_rate where a
    schedule gives it), and the loop's last state, from which `run(..., state=result.last)` goes on."""

    state: ModelState
    history: tuple[dict[str, float], ...]
    last: State

    @property
    def status(self) -> Status:
        """completed; halted (by a handler); interrupted (by Ctrl-C); diverged (the loss became infinite or NaN); ready
        (epochs=0: nothing was trained)."""
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
    metrics: Metrics
    handlers: tuple[Handler, ...] = ()
    validation: tuple[Data, int] | None = None
    progress: bool = True

    @staticmethod
    @guided(
        metrics=".metric(name) after it",
        callbacks=".handle(event, function) after it",
        validation_data=".validate(batches) after it",
        verbose="progress=",
    )
    def trainer(model: Model, loss: Loss, optimizer: Optimizer, *, progress: bool = True) -> Loop:
        """A loop that trains a model.

        loss: a name (of reduction "mean") or a function (y_true, y_pred) -> number (floating, []); a model that ends in
        softmax or sigmoid is trained from its logits by the cross-entropies. optimizer: a name, an Update, or (init,
        update). ValueError for another loss or an unknown name, and for a model whose last layer does not fit a named
        loss (a partial of one, too): categorical cross-entropy wants softmax, the binary one sigmoid, unless told
        from_logits. TypeError for another model or optimizer.

        >>> from axon.model import input
        >>> model = input("x", shape=(None, 2)).dense(3, activation="softmax")
        >>> Loop.trainer(model, "categorical_cross_entropy", "sgd").optimizer
        scale_by_learning_rate(0.01)
        """
        check_model(model, "trainer")
        function = find_loss(loss)
        logits_of(model, function)  # which refuses what does not go together
        return Loop(model, function, find_optimizer(optimizer), {}, progress=progress)

    def metric(self, metric: str | Measure, name: str | None = None) -> Loop:
        """Also report a metric: a name of `axon.metrics`, a Metric, or a function (y_true, y_pred) -> number (any
        dtype, []), which needs a name.

        A function is compiled into the step, and what is shown is the mean of its values over the epoch's examples.
        What is no such mean, as the quotients precision and recall, is a Metric (see axon.metrics.Metric for your own),
        and exact whatever the batches' sizes. `functools.partial` fixes options of both. ValueError for an unknown
        name, one that is taken, or none; the first step raises ShapeError when the metric is not one number.

        >>> from functools import partial
        >>> from axon.model import input
        >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam")
        >>> loop = loop.metric("mean_absolute_error", "error").metric(lambda y, p: nx.max(p), "highest")
        >>> list(loop.metric(partial(axon_metrics.recall, threshold=0.2), "recall at 0.2").metrics)
        ['error', 'highest', 'recall at 0.2']
        """
        name, metric = find_metric(metric, name)
        if name in self.metrics:
            raise ValueError(f"metric: expected a new name, got {name!r} again; pass another name=")
        return replace(self, metrics={**self.metrics, name: metric})

    @guided()
    def handle(
        self,
        event: Event,
        handle: Handle,
        *,
        every: int = 1,
        after: int = 0,
        before: int | None = None,
        once: bool = False,
        when: Callable[[State], bool] | None = None,
    ) -> Loop:
        """Call handle(state) at an event; it returns None, or the state to go on with (`state.halt()` ends the loop).

        Events: started, epoch_started, iteration_started, iteration_completed, epoch_completed, epoch_halted, halted
        (also when the loss diverged), completed. Filters, which hold together: every=n (each n-th time), after=n and
        before=n (times in this run, from 1), once=True, when=function(state) -> bool. A step uses up the tensors of
        `state.step`: to keep weights, keep `copy.deepcopy(state.step.model)`. ValueError for another event or an
        `every` below 1, TypeError for no function or what is no integer; the run raises TypeError when the handler
        returns anything else.

        >>> from axon.model import input
        >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam", progress=False)
        >>> loop = loop.handle("iteration_completed", lambda state: print(state.iteration), every=2)
        >>> loop = loop.handle("iteration_completed", lambda state: state.halt(), after=4)
        >>> loop.run([(nx.ones((4, 2)), nx.ones((4, 1)))] * 9).status
        2
        4
        'halted'
        """
        return replace(self, handlers=(*self.handlers, Handler(event, handle, every, after, before, once, when)))

    def validate(self, data: Data, *, every: int = 1) -> Loop:
        """After every `every`-th epoch also measure loss and metrics on other data, as validation_<name>.

        data: as for `run`. ValueError when `every` is below 1.

        >>> from axon.model import input
        >>> data = [(nx.ones((4, 2)), nx.ones((4, 1)))]
        >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam", progress=False)
        >>> list(loop.validate(data).run(data).history[-1])
        ['epoch', 'loss', 'validation_loss', 'seconds']
        """
        at_least(1, "validate: expected every", every)
        return replace(self, validation=(data, every))

    @guided(
        "run(batches(x, y), epochs=..., ...)",
        validation_data="loop.validate(batches).run(...)",
        callbacks="loop.handle(event, function).run(...)",
        seed="key=axon.nx.random.key(seed)",
        batch_size="batches(x, y, size)",
        shuffle="batches(x, y, seed=...)",
        steps_per_epoch="iterations=",
        initial_state="state=",
    )
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

        data: what iterates over batches (a list, `datasets.batches`), or a function without arguments that makes it
        (a generator function, called anew each epoch); an iterator serves one epoch, or several of `iterations`. The
        run ends with what it has reached when there is no batch left for an epoch. x and y have the shapes that model
        and loss take, as arrays of any library or lists of numbers; in the first epoch the values of targets are looked
        at for what a named loss or metric cannot take. state: where to begin (a ModelState: a new optimizer, and
        schedules from their start), or a run's last State to go on from; else the model is initialized with `key`.

        A run that goes on is as one that never stopped, also within an epoch: the batches that were trained on are
        skipped, so data must give the same ones again; an iterator cannot, and is refused there. Ctrl-C ends the run
        after the step under way, with the state reached; a second one interrupts at once. An error that ends a run
        after some steps has the state before it as `error.last`.

        A loss that becomes infinite or NaN ends the run: at the epoch's end, or when the live progress line notices;
        the result's weights are those of the last step, NaN perhaps. A batch without examples changes nothing.
        epochs=0 trains nothing: its `last` has the structure of a state to load.

        ValueError when there are no batches, for an iterator of more than one epoch or in training and validation, for
        targets that do not fit and for a state whose weights are NaN; TypeError when data or state are of another form.

        >>> from axon.model import input
        >>> data = [(nx.ones((4, 2)), nx.ones((4, 1)))] * 3
        >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam", progress=False)
        >>> half = loop.run(data, epochs=2)
        >>> len(loop.run(data, epochs=4, state=half.last).history)
        4
        """
        at_least(1, "run: expected iterations", iterations)
        check_epochs(epochs)
        check = Check(self.model, (find_loss(self.loss), *self.metrics.values()))
        before = state.epoch - state.mid_epoch if isinstance(state, State) else 0  # epochs that are over
        source = Source("run", data, check, passes=epochs - before, iterations=iterations)
        validation = None
        if self.validation is not None:
            given, every = self.validation
            if given is data and isinstance(data, Iterator):
                raise ValueError(
                    f"run: expected data of its own beside that of validate, got one {type(data).__name__} as both, "
                    f"whose batches either would take from the other; make two"
                )
            passes = epochs // every - before // every
            validation = Source("validate", given, check, passes=passes), every
            if passes > 0:
                validation[0].peek()  # before an epoch is trained
        now = self._begun(source, epochs, state, key, compiler)
        if before >= epochs:
            if before:
                text = f"run: expected epochs above the {before} that the state has behind it, got {epochs}"
                note(f"{text}: nothing is left")
            last = now._replace(status="completed" if before else "ready")
        else:
            last = Runner(
                steps=self.steps(compiler),
                data=source,
                iterations=iterations,
                validation=validation,
                fire=Dispatcher(self.handlers),
                progress=self.progress,
                metrics=measures(self.metrics),
                explain=partial(explained, self.model, self.loss),
                look=partial(look, self.model, self.loss),
                scheduled=getattr(self.optimizer, "scheduled", False),
                reached=now,
            ).all()
        return Result(last.step.model, last.history, last)

    def _begun(self, source: Source, epochs: int, state: Any, key: Tensor | None, compiler: str | None) -> State:
        """The state that a run begins with, for steps to use up."""
        if not isinstance(state, State):
            if state is None:
                template = source.first()[0] if needs_template(self.model) else None
                model = init(self.model, template, key=key, compiler=compiler)
            else:
                check_state(state, "run")
                _check_weights(state)
                model = _copied(state)
            return State(0, epochs, 0, first(model, self.optimizer, self.metrics, compiler))
        _check_weights(state.step.model)
        if state.mid_epoch:
            leave = "leave the rest of the epoch by state._replace(mid_epoch=False)"
            if not source.again:
                raise ValueError(
                    f"run: expected data that can be passed over from its beginning, as the state is within epoch "
                    f"{state.epoch}, got {source.data!r}; pass a list, axon.datasets.batches(x, y) or a function that "
                    f"makes it, or {leave}"
                )
            wanted, got = (_types(t) for t in (no_totals(measures(self.metrics)), state.step.totals))
            if wanted != got:
                names = ", ".join(state.step.totals.states)
                raise ValueError(
                    f"run: expected the metrics {names}, as the state is within epoch {state.epoch}, got a loop with "
                    f"{', '.join(('loss', *self.metrics))}; go on with the same, or {leave}"
                )
        return state._replace(epochs=epochs, status="running", step=_copied(state.step))

    def steps(self, compiler: str | None = None) -> Steps:
        """The jitted steps, made once and kept by the loop."""
        kept: dict[str | None, Steps] = self.__dict__.setdefault("_kept", {})
        if compiler not in kept:
            kept[compiler] = Steps(
                make_train_step(self.model, self.loss, self.optimizer, self.metrics, compiler),
                make_evaluation_step(self.model, self.loss, self.metrics, compiler),
            )
        return kept[compiler]


def evaluate(
    model: Model,
    state: ModelState,
    data: Data,
    metrics: str | Metric | Iterable[str | Metric] | Mapping[str, str | Measure] = "accuracy",
    loss: Loss | None = None,
    *,
    compiler: str | None = None,
) -> dict[str, float]:
    """Some metrics (see Loop.metric), and the loss where given, over all examples of `data`, batches (x, y), in
    inference mode.

    data: as for `Loop.run`; x and y have the shapes that model, metrics and loss take. ValueError for an unknown name,
    when there are no batches and for targets that do not fit, TypeError when model, state or data are of another form.

    >>> from axon.model import input
    >>> model = input("x", shape=(None, 3)).softmax()
    >>> evaluate(model, init(model), [(nx.eye(3), nx.arange(3)), (nx.eye(3)[:1], nx.tensor([2]))])
    {'accuracy': 0.75}
    """
    check_model(model, "evaluate")
    check_state(state, "evaluate")
    asked = (metrics,) if isinstance(metrics, (str, Metric)) else metrics
    pairs: Any = asked.items() if isinstance(asked, Mapping) else [(None, metric) for metric in asked]
    found = dict(find_metric(metric, name) for name, metric in pairs)
    source = Source("evaluate", data, Check(model, (*([] if loss is None else [find_loss(loss)]), *found.values())))
    step = make_evaluation_step(model, loss, found, compiler)
    return measure(step, state, source, found if loss is None else measures(found))


def check_epochs(epochs: Any) -> None:
    """Refuse what is no count of epochs; 0 makes the first state."""
    if not isinstance(epochs, Integral) or epochs < 0:
        raise ValueError(f"run: expected a whole number of epochs, got {epochs!r}; 1 goes through the data once")


def _check_weights(state: ModelState) -> None:
    """Refuse weights of which no step makes numbers again, as a run that diverged leaves them."""
    for path, weight in zip(tree.paths(state.parameters), tree.leaves(state.parameters)):
        if weight.dtype.is_float and nx.any(nx.isnan(weight)):
            raise ValueError(
                f"run: expected weights that are numbers in the state, got NaN in {tree.show(path)}, as a run that "
                f"diverged leaves them; begin without state, or with one from before"
            )


def _copied(state: Any) -> Any:
    """A state for steps to use up, while the user keeps the one given."""
    return tree.map(lambda t: nx.asarray(t, copy=True), state)


def _types(value: Any) -> tuple[Any, ...]:
    return tree.structure(value), *[t.type for t in tree.leaves(value)]


ROWS = {name: getattr(axon_metrics, name) for name in axon_metrics.__all__ if name != "Metric"}
COLUMNS = ("loss", "learning_rate", "epoch", "seconds")  # of the history, beside the metrics


def find_metric(metric: str | Measure, name: str | None = None) -> tuple[str, Measure]:
    """(name, metric) of a metric given by name, as a Metric, or as a function with a name."""
    name = name or (metric if isinstance(metric, str) else getattr(metric, "name", None))
    metric = named("metric", ROWS, metric, " or a function")
    if name is None:
        raise ValueError(
            "metric: expected a name beside a function, got none; write (function, name=...) or {name: function}"
        )
    if name in COLUMNS or name.startswith("validation_"):
        raise ValueError(f"metric: expected a new name, got {name!r}, which the history has; pass another name=")
    return name, metric  # type: ignore[return-value]
