"""Loop: how a model is trained, as a value. Its methods give new loops; `run` carries one out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from numbers import Integral
from typing import Any, NamedTuple

from .. import nx, tree
from ..defn import Definition
from ..errors import note
from ..model import Model
from ..model.graph import check_model
from ..names import guided
from ..nx import Tensor
from ..options import unfit
from ..training import Loss, Optimizer, find_loss, find_optimizer, is_pair, logits_of
from ..values import Value
from .data import Data, Source
from .handlers import Dispatcher, Handle, Handler, at_least
from .measures import ROWS, Measure, Measured, Metrics, find_metric, itself, measures, of_names
from .pairs import Evaluator, OwnPair, Pair, Trainer, copied
from .result import Result
from .run import Runner, Validation
from .state import Event, State
from .step import first, make_step, no_totals


class Steps(NamedTuple):
    """The jitted steps of a loop: its own, and that of its validation."""

    train: Definition
    evaluate: Definition | None


@dataclass(frozen=True, eq=False)
class Loop(Value):
    """How a model is trained, or anything else that goes step by step. Made by `Loop.trainer`, `Loop.evaluator` or, of
    any pair (init, step), `Loop.of`.

    A step is one jitted call (forward, backward, optimizer, metrics) that reads nothing back.

    >>> from axon.model import input
    >>> model = input("x", shape=(None, 2)).dense(1)
    >>> data = [(nx.ones((4, 2)), nx.ones((4, 1)))] * 50
    >>> loop = Loop.trainer(model, "mean_squared_error", "adam", progress=False)
    >>> result = loop.run(data, epochs=10)
    >>> result.history[-1]["loss"] < 0.1 * result.history[0]["loss"]
    True
    """

    pair: Pair
    metrics: Metrics = field(default_factory=dict)
    handlers: tuple[Handler, ...] = ()
    validation: tuple[Data, int, Loop | None] | None = None
    progress: bool = True

    @property
    def model(self) -> Model:
        """The model of a trainer or evaluator. AttributeError of other loops, as for `loss` and `optimizer`."""
        return self._part("model")

    @property
    def loss(self) -> Any:
        """Its loss, a function."""
        return self._part("loss")

    @property
    def optimizer(self) -> Any:
        """The optimizer of a trainer."""
        return self._part("optimizer")

    def _part(self, name: str) -> Any:
        if not hasattr(self.pair, name):
            raise AttributeError(f"{name}: expected a loop that has one, got one whose step is {self.pair.name}")
        return getattr(self.pair, name)

    @staticmethod
    @guided()
    def of(init: Callable[..., Any], step: Callable[[Any, Any], Any], *, progress: bool = True) -> Loop:
        """A loop of any pair: init() -> state, a tree of tensors, and step(batch, state) -> state, which is compiled.

        An init that takes an argument gets the first batch, one called `key` the run's key. Batches are what the data
        gives, trees of arrays of any form. The state keeps its structure, shapes and dtypes. A step with more to show
        returns `Stepped(state, named)`. What metrics and the watch over infinite losses ("loss") need is asked by name:
        of `named`, else of the state, an entry or a field. A state with an optimizer's in it shows its learning rate.
        TypeError for what is no such function; the first step raises StructureError or ShapeError for another state.

        >>> from axon.loop import Stepped
        >>> def step(batch, state):
        ...     return Stepped(state + nx.sum(batch), {"largest": nx.max(batch)})
        >>> loop = Loop.of(lambda: nx.tensor(0.0), step, progress=False).metric("largest")
        >>> result = loop.run([nx.tensor([1.0, 2.0]), nx.tensor([5.0, 0.0])])
        >>> result.state, result.metrics
        (float32[] 8., {'largest': 3.5})
        """
        for name, function in (("init", init), ("step", step)):
            if not callable(function):
                raise TypeError(f"of: expected a function as {name}, got {function!r}; see Loop.of")
        if odd := unfit(step, 2):
            raise TypeError(f"of: expected step(batch, state), got another function ({odd}); write of(init, step)")
        return Loop(OwnPair(init, step), progress=progress)

    @staticmethod
    @guided(
        metrics=".metric(name) after it",
        callbacks=".handle(event, function) after it",
        validation_data=".validate(batches) after it",
        verbose="progress=",
    )
    def trainer(
        model: Model | tuple[Callable[..., Any], Callable[..., Tensor]],
        loss: Loss | Optimizer,
        optimizer: Optimizer | None = None,
        *,
        progress: bool = True,
    ) -> Loop:
        """A loop that trains a model, or the parameters of an objective: the step of `training.step`, which takes the
        same, (model, loss, optimizer) or ((init, objective), optimizer).

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
        if not isinstance(model, Model) and is_pair(model):
            if loss is None or optimizer is not None:
                raise TypeError("trainer: expected ((init, objective), optimizer), got a loss besides, or no optimizer")
            return Loop(Trainer(model, None, find_optimizer(loss)), progress=progress)  # type: ignore[arg-type]
        check_model(model, "trainer")
        if optimizer is None:
            raise TypeError("trainer: expected (model, loss, optimizer) or two pairs, got a model without an optimizer")
        function = find_loss(loss)  # type: ignore[arg-type]
        logits_of(model, function)  # type: ignore[arg-type]  # which refuses what does not go together
        return Loop(Trainer(model, function, find_optimizer(optimizer)), progress=progress)  # type: ignore[arg-type]

    @staticmethod
    @guided(metrics=".metric(name) after it")
    def evaluator(
        model: Model | tuple[Callable[..., Any], Callable[..., Tensor]],
        loss: Loss | None = None,
        *,
        progress: bool = True,
    ) -> Loop:
        """A loop that measures a model in inference mode, and leaves its state as it is: `run(data, state=...)`. It has
        the events, handlers and metrics of any loop. A pair (init, objective) is measured by its objective.

        loss: as for `trainer`, or none. ValueError for another loss, TypeError for another model.

        >>> from axon.model import init, input
        >>> model = input("x", shape=(None, 3)).softmax()
        >>> loop = Loop.evaluator(model, progress=False).metric("accuracy")
        >>> loop.run([(nx.eye(3), nx.arange(3)), (nx.eye(3)[:1], nx.tensor([2]))], state=init(model)).metrics
        {'accuracy': 0.75}
        """
        if isinstance(model, Model) or not is_pair(model):
            check_model(model, "evaluator")
        return Loop(Evaluator(model, None if loss is None else find_loss(loss)), progress=progress)

    def metric(
        self, metric: str | Measure, name: str | None = None, *, of: str | Sequence[str] = ("y_true", "y_pred")
    ) -> Loop:
        """Also report a metric: a name of `axon.metrics`, a Metric, or a function (y_true, y_pred) -> number (any
        dtype, []), which needs a name.

        of: what a function or Metric takes, by the names that the step gives it ("batch" is the batch). A loop of a
        pair takes any such name as the metric, too: its mean over the batches' examples.

        A function is compiled into the step, and what is shown is the mean of its values over the epoch's examples.
        What is no such mean, as the quotients precision and recall, is a Metric (see axon.metrics.Metric for your own),
        and exact whatever the batches' sizes. `functools.partial` fixes options of both. ValueError for an unknown
        name, one that is taken, or none; the first step raises ShapeError when the metric is not one number.

        >>> from functools import partial
        >>> from axon import metrics
        >>> from axon.model import input
        >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam")
        >>> loop = loop.metric("mean_absolute_error", "error").metric(lambda y, p: nx.max(p), "highest")
        >>> list(loop.metric(partial(metrics.recall, threshold=0.2), "recall at 0.2").metrics)
        ['error', 'highest', 'recall at 0.2']
        """
        asked = of_names(of)
        if isinstance(metric, str) and metric not in ROWS and not self.pair.paired:
            name, metric, asked = name or metric, itself, (metric,)
        name, metric = find_metric(metric, name, () if self.pair.shown else ("loss",))
        if name in self.metrics:
            raise ValueError(f"metric: expected a new name, got {name!r} again; pass another name=")
        return replace(self, metrics={**self.metrics, name: Measured(metric, asked)})

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
        `state.step`: to keep weights, keep `copy.deepcopy(state.step.model)`; `state._replace(step=updates.with_rate(
        state.step, rate))` goes on with another learning rate. ValueError for another event or an
        `every` below 1, TypeError for another handler or count; the run raises TypeError when the handler
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

    def validate(self, data: Data, *, every: int = 1, by: Loop | None = None) -> Loop:
        """After every `every`-th epoch also measure loss and metrics on other data, as validation_<name>.

        data: as for `run`. by: the loop that measures, with its own metrics and handlers; it begins with the state that
        a result would have. Without it a trainer's model is evaluated, and measured as in training. ValueError when
        `every` is below 1, and for a pair of the user's without `by`.

        >>> from axon.model import input
        >>> data = [(nx.ones((4, 2)), nx.ones((4, 1)))]
        >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam", progress=False)
        >>> list(loop.validate(data).run(data).history[-1])
        ['epoch', 'loss', 'validation_loss', 'seconds']
        """
        at_least(1, "validate: expected every", every)
        if by is not None and not isinstance(by, Loop):
            raise TypeError(f"validate: expected a Loop as by, got {type(by).__name__}; Loop.evaluator makes one")
        if by is None and self.pair.evaluator is None:
            raise ValueError("validate: expected a loop that measures, got none; write by=Loop.of(init, step)")
        return replace(self, validation=(data, every, by))

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
        state: Any = None,
        key: Tensor | None = None,
        compiler: str | None = None,
    ) -> Result:
        """Train on batches (x, y), or run another pair's steps, going through `data` once an epoch (`iterations`
        batches at most) until there were `epochs`, those of a State to go on from included.

        data: what iterates over batches (a list, `datasets.batches`), or a function without arguments that makes it (a
        generator function, called anew each epoch); an iterator serves one epoch, or several of `iterations`. The run
        ends with what it has reached when there is no batch left for an epoch. x and y have the shapes that model and
        loss take, as arrays of any library or lists of numbers; in the first epoch the values of targets are looked at
        for what a named loss or metric cannot take. state: where to begin (a ModelState: a new optimizer, and schedules
        from their start; a pair's state, or what training.step gives, as a whole), or a run's last State to go on from;
        else the model is initialized with `key`.

        A run that goes on is as one that never stopped, also within an epoch: the batches that were trained on are
        skipped, so data must give the same ones again; an iterator cannot, and is refused there. Its learning rate is
        the state's; a line says where the loop's optimizer has another. Ctrl-C ends the run after the step under way,
        with the state reached; a second one interrupts at once. An error that ends a run after some steps has the state
        before it as `error.last`.

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
        before = state.epoch - state.mid_epoch if isinstance(state, State) else 0  # epochs that are over
        source = self.source("run", data, passes=epochs - before, iterations=iterations)
        validation = self._validation(data, before, epochs, compiler)
        now = self._begun(source, epochs, state, key, compiler)
        if before >= epochs:
            if before:
                text = f"run: expected epochs above the {before} that the state has behind it, got {epochs}"
                note(f"{text}: nothing is left")
            last = now._replace(status="completed" if before else "ready")
        else:
            last = self._runner(source, now, compiler, iterations, validation).all()
        return Result(self.pair.result(last.step.state), last.history, last)

    def source(self, name: str, data: Data, passes: int = 1, iterations: int | None = None) -> Source:
        """Data as a run goes through it, in the form that the pair takes; errors speak of `name`."""
        asking = [asked.metric for asked in self.metrics.values() if asked.of == Measured(itself).of]
        look = self.pair.check(asking)
        return Source(name, data, look, passes=passes, iterations=iterations, paired=self.pair.paired)

    def _runner(
        self, source: Source, now: State, compiler: str | None, iterations: int | None = None, validation: Any = None
    ) -> Runner:
        return Runner(
            pair=self.pair,
            steps=self.steps(compiler).train,
            data=source,
            iterations=iterations,
            validation=validation,
            fire=Dispatcher(self.handlers),
            progress=self.progress,
            metrics=measures(self.pair, self.metrics),
            reached=now,
        )

    def _validation(self, data: Data, before: int, epochs: int, compiler: str | None) -> tuple[Validation, int] | None:
        """What measures a state on the data of `validate`, and every how many epochs."""
        if self.validation is None:
            return None
        given, every, _ = self.validation
        if given is data and isinstance(data, Iterator):
            raise ValueError(
                f"run: expected data of its own beside that of validate, got one {type(data).__name__} as both, "
                f"whose batches either would take from the other; make two"
            )
        loop = self._validating
        assert loop is not None  # as `validate` saw to
        passes = epochs // every - before // every
        source = loop.source("validate", given, passes=passes)
        if passes > 0:
            source.peek()  # before an epoch is trained

        return partial(loop.measured, source, compiler), every

    def measured(
        self, source: Source, compiler: str | None, state: Any, interrupted: Callable[[], bool] = lambda: False
    ) -> dict[str, float]:
        """The metrics of one epoch over a source, from a state of the pair's; of what was seen when interrupted."""
        step = first(self.pair, self.pair.given(state, compiler), self.metrics)
        last = self._runner(source, State(0, 1, 0, step), compiler).epochs(interrupted)
        return Result(None, last.history, last).metrics

    @cached_property
    def _validating(self) -> Loop | None:
        """The loop that validates, where there can be one."""
        by = None if self.validation is None else self.validation[2]
        if by is not None:
            return replace(by, progress=False)
        evaluator = self.pair.evaluator
        return None if evaluator is None else Loop(evaluator, self.metrics, progress=False)

    def _begun(self, source: Source, epochs: int, state: Any, key: Tensor | None, compiler: str | None) -> State:
        """The state that a run begins with, for steps to use up."""
        pair = self.pair
        if not isinstance(state, State):
            if state is None:
                begun = pair.begin(source.first, key, compiler)
            else:
                begun = pair.given(state, compiler)
                _check_weights(pair.weights(begun))
            return State(0, epochs, 0, first(pair, begun, self.metrics))
        if not pair.holds(state.step.state):
            raise TypeError(
                f"run: expected a state of this loop, whose step is {pair.name}, got one of another loop, which holds "
                f"a {type(state.step.state).__name__}; pass the state of its result"
            )
        _check_weights(pair.weights(state.step.state))
        if rates := pair.another_rate(state.step.state):
            note(f"run: {rates}; state._replace(step=updates.with_rate(state.step, rate)) changes it")
        if state.mid_epoch:
            leave = "leave the rest of the epoch by state._replace(mid_epoch=False)"
            if not source.again:
                raise ValueError(
                    f"run: expected data that can be passed over from its beginning, as the state is within epoch "
                    f"{state.epoch}, got {source.data!r}; pass a list, axon.datasets.batches(x, y) or a function that "
                    f"makes it, or {leave}"
                )
            measured = measures(pair, self.metrics)
            wanted, got = (_types(t) for t in (no_totals(measured), state.step.totals))
            if wanted != got:
                names = ", ".join(state.step.totals.states)
                raise ValueError(
                    f"run: expected the metrics {names}, as the state is within epoch {state.epoch}, got a loop with "
                    f"{', '.join(measured)}; go on with the same, or {leave}"
                )
        return state._replace(epochs=epochs, status="running", step=copied(state.step))

    def steps(self, compiler: str | None = None) -> Steps:
        """The jitted steps, made once and kept by the loop."""
        kept: dict[str | None, Steps] = self.__dict__.setdefault("_kept", {})
        if compiler not in kept:
            own = make_step(self.pair, self.metrics, compiler)
            kept[compiler] = Steps(own, self._validating.steps(compiler).train if self._validating else None)
        return kept[compiler]


def check_epochs(epochs: Any) -> None:
    """Refuse anything but a count of epochs; 0 makes the first state."""
    if not isinstance(epochs, Integral) or epochs < 0:
        raise ValueError(f"run: expected a whole number of epochs, got {epochs!r}; 1 goes through the data once")


def _check_weights(weights: Any) -> None:
    """Refuse weights of which no step makes numbers again, as a run that diverged leaves them."""
    for path, weight in zip(tree.paths(weights), tree.leaves(weights)):
        if weight.dtype.is_float and nx.any(nx.isnan(weight)):
            raise ValueError(
                f"run: expected weights that are numbers in the state, got NaN in {tree.show(path)}, as a run that "
                f"diverged leaves them; begin without state, or with one from before"
            )


def _types(value: Any) -> tuple[Any, ...]:
    return tree.structure(value), *[t.type for t in tree.leaves(value)]
