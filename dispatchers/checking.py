"""Does a dispatcher keep the contract? The cheap check of every answer, and the thorough one on random views."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from dispatchers.contract import (
    Dispatcher,
    Floats,
    JobView,
    PerJobDispatcher,
    RecurrentDispatcher,
    View,
    hidden_width,
    name_of,
)
from dispatchers.errors import DispatcherError, one_line

TOLERANCE = 1e-9
"""How far from 1 the probabilities of a row may sum."""

EPOCHS = 3
"""How many decisions one after the other a recurrent rule is tried for."""

MOST_HIDDEN = 10_000
"""Numbers that a scheduler carries."""

BY_ROW = (
    "queue_lengths",
    "service_rates",
    "accessible",
    "sharing",
    "coins",
    "order",
    "age",
    "schedulers",
    "hidden",
)
"""What a view has one row of for each scheduler."""


class Answer(NamedTuple):
    """What a dispatcher says to a view."""

    numbers: Floats
    """Probabilities (rows x columns), or the plan of a per-job rule (rows x columns x fields)."""

    hidden: Floats
    """What is carried to the next decision (rows x hidden); no columns for rules that carry nothing."""

    def of(self, rows: Any) -> Answer:
        """Return the answer to some rows."""
        return Answer(self.numbers[rows], self.hidden[rows])


def ask(dispatcher: Dispatcher, view: View) -> Answer:
    """Return what a dispatcher says to a view, checked. Raises `DispatcherError`."""
    name = name_of(dispatcher)
    carried = np.empty((view.rows, 0))
    try:
        with np.errstate(all="ignore"):  # what comes of it is told below
            if isinstance(dispatcher, PerJobDispatcher):
                return Answer(validate_plan(dispatcher.plan(view), view, name), carried)
            if isinstance(dispatcher, RecurrentDispatcher):
                answer, carried = _pair(dispatcher.advance(view), name)
                validate(answer, view, name, "advance must return")
                shape = view.rows, hidden_width(dispatcher)
                _check_array(carried, shape, "hidden states must be", "hidden states", view, name)
            else:
                answer = dispatcher.route(view)
                validate(answer, view, name)
            return Answer(answer, carried)
    except DispatcherError:
        raise
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{name}: {describe(error)}") from error


def _pair(said: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(said, tuple) or len(said) != 2:
        raise DispatcherError(
            f"{name}: advance must return two arrays, probabilities and hidden states, got {type(said).__name__}"
        )
    return said


def validate(answer: Any, view: View, name: str, must: str = "route must return") -> None:
    """Check probabilities: float64, rows x columns, in [0, 1], 0 in padded columns, rows summing to 1."""
    what = "probabilities"
    _check_array(answer, view.accessible.shape, must, what, view, name)
    _refuse_row((answer < 0).any(axis=1), f"{what} are negative: {{row}}", answer, view, name)
    padded = np.where(view.accessible, 0.0, answer)
    _refuse_row(padded.any(axis=1), f"{what} lead to padded columns: {{row}}", answer, view, name)
    sums = answer.sum(axis=1)
    _refuse_row(np.abs(sums - 1.0) > TOLERANCE, f"{what} sum to {{sum:.12g}}, must be 1", answer, view, name)


def validate_plan(plan: Any, view: View, name: str) -> Floats:
    """Check a plan, float64, rows x columns x fields and finite, and return it."""
    shape = view.accessible.shape
    fields = plan.shape[2] if isinstance(plan, np.ndarray) and plan.ndim == 3 else "fields"
    _check_array(plan, (*shape, fields), "plan must return", "planned numbers", view, name)
    return plan


def check_declarations(dispatcher: Dispatcher, name: str | None = None) -> None:
    """Raise `DispatcherError` if an attribute of the contract holds something else than the contract says."""
    name = name or name_of(dispatcher)

    def refuse(attribute: str, allowed: str) -> NoReturn:
        got = describe_value(getattr(dispatcher, attribute))
        raise DispatcherError(f"{name}: the attribute {attribute} must be {allowed}, got {got}")

    if isinstance(dispatcher, PerJobDispatcher) and isinstance(dispatcher, RecurrentDispatcher):
        raise DispatcherError(f"{name}: must be a PerJobDispatcher or a RecurrentDispatcher, not both")
    if isinstance(dispatcher, PerJobDispatcher) and not isinstance(dispatcher.choose, Hashable):
        refuse("choose", "a static method")
    if not isinstance(dispatcher.name, str):
        refuse("name", "text")
    for attribute, allowed in (("draws", ("job", "epoch")), ("observes", ("accessible", "all"))):
        value = getattr(dispatcher, attribute)
        if not isinstance(value, str) or value not in allowed:
            refuse(attribute, " or ".join(allowed))
    for attribute in ("buffer", "nodes"):
        value = getattr(dispatcher, attribute)
        if value is not None and not (_is_whole(value) and 1 <= value < 2**31):
            refuse(attribute, "a whole number >= 1 or None")
    if not isinstance(dispatcher.graph_hash, str | None):
        refuse("graph_hash", "text or None")
    hidden = dispatcher.hidden if isinstance(dispatcher, RecurrentDispatcher) else 1
    if not _is_whole(hidden) or not 1 <= hidden <= MOST_HIDDEN:
        refuse("hidden", f"a whole number from 1 to {MOST_HIDDEN}")
    files: Any = dispatcher.files
    if not isinstance(files, list | tuple) or not all(isinstance(file, str | os.PathLike) for file in files):
        refuse("files", "a list of names of files")


def describe_value(value: object) -> str:
    """Return how a message shows a user's value, whatever its `repr` does."""
    try:
        return one_line(repr(value), 60)
    except Exception:
        return type(value).__name__


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_fit(
    dispatcher: Dispatcher,
    buffer: int,
    nodes: int | None = None,
    name: str | None = None,
    *,
    graph_hash: Callable[[], str] | None = None,
) -> None:
    """Raise `DispatcherError` if a dispatcher is made for another buffer, number of nodes or graph, as far as given.

    `graph_hash`, for which the graph has to be built, is called only if the dispatcher is made for a certain one.
    """
    name = name or name_of(dispatcher)
    if dispatcher.buffer not in (None, buffer):
        raise DispatcherError(f"{name}: was made for buffer {dispatcher.buffer}, the scenario has buffer {buffer}")
    if nodes is not None and dispatcher.nodes not in (None, nodes):
        raise DispatcherError(f"{name}: was made for {dispatcher.nodes} nodes, the scenario has {nodes}")
    if graph_hash is not None and dispatcher.graph_hash is not None and dispatcher.graph_hash != graph_hash():
        raise DispatcherError(f"{name}: was made for another graph than the scenario's")


def _check_array(answer: Any, shape: tuple[Any, ...], must: str, what: str, view: View, name: str) -> None:
    wanted = " x ".join(map(str, shape))
    if not isinstance(answer, np.ndarray):
        raise DispatcherError(f"{name}: {must} a float64 array, got {type(answer).__name__}")
    if answer.shape != shape or answer.dtype != np.float64:
        got = " x ".join(map(str, answer.shape))
        raise DispatcherError(f"{name}: {must} float64 {wanted}, got {answer.dtype} {got}")
    finite = np.isfinite(answer).reshape(len(answer), -1).all(axis=1)
    _refuse_row(~finite, f"{what} are not finite: {{row}}", answer, view, name)


def _refuse_row(wrong: Any, why: str, answer: Floats, view: View, name: str) -> None:
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    lengths = view.queue_lengths[row, view.accessible[row]].tolist()
    values = np.array2string(answer[row], precision=6, threshold=20).replace("\n", "")
    text = why.format(row=values, sum=float(answer[row].sum()))
    raise DispatcherError(f"{name}: {text} (queue lengths {lengths})")


def random_view(
    generator: np.random.Generator,
    *,
    rows: int = 32,
    degrees: Sequence[int] = (1, 2, 3, 5),
    buffer: int = 5,
    delta_t: float = 5.0,
    everything: bool = True,
    hidden: int = 0,
) -> View:
    """Return a view of random knowledge, in which each of `degrees` (accessible servers) occurs.

    With `everything` the distribution of all queues is known as well. The `hidden` numbers carried are zeros.
    """
    width = max(degrees)
    counts = np.array(degrees)[generator.permutation(np.arange(rows) % len(degrees))]
    accessible = np.arange(width) < counts[:, None]
    shares = generator.dirichlet(np.ones(buffer + 1))
    keys = np.where(accessible, generator.random((rows, width)), 2.0 + np.arange(width))
    return View(
        queue_lengths=np.where(accessible, generator.integers(0, buffer + 1, (rows, width)), 0),
        service_rates=np.where(accessible, generator.choice([0.5, 1.0, 2.0, 3.0], (rows, width)), 1.0),
        accessible=accessible,
        sharing=np.where(accessible, generator.integers(1, 7, (rows, width)), 1),
        buffer=buffer,
        delta_t=delta_t,
        coins=generator.random(rows),
        order=np.argsort(keys, axis=1),
        age=np.where(accessible, generator.choice([0.0, 1.5, np.inf], (rows, width)), 0.0),
        schedulers=generator.permutation(rows),
        hidden=np.zeros((rows, hidden)),
        distribution=shares if everything else None,
    )


def select_rows(view: View, rows: Any) -> View:
    """Return a view of some rows, in the order given."""
    return View(**_told(view) | {name: getattr(view, name)[rows] for name in BY_ROW})


def an_epoch_later(generator: np.random.Generator, view: View, hidden: Floats) -> View:
    """Return a view of the same schedulers, which now carry `hidden`, with their random knowledge redistributed."""
    lengths = view.queue_lengths.copy()
    lengths[view.accessible] = generator.permutation(lengths[view.accessible])
    shares = view.distribution_if_known
    return View(
        **_told(view)
        | {
            "queue_lengths": lengths,
            "coins": generator.permutation(view.coins),
            "hidden": hidden,
            "distribution": None if shares is None else generator.permutation(shares),
        }
    )


def _told(view: View) -> dict[str, Any]:
    """Return what a view was made of."""
    others = {"buffer": view.buffer, "delta_t": view.delta_t, "distribution": view.distribution_if_known}
    return {name: getattr(view, name) for name in BY_ROW} | others


def check_dispatcher(
    dispatcher: Dispatcher,
    *,
    buffer: int | None = None,
    degrees: Sequence[int] = (1, 2, 3, 5),
    rows: int = 64,
    seed: int = 0,
) -> None:
    """Raise `DispatcherError` unless a dispatcher keeps the contract on random views.

    Answers must have the right form, be the same to the last bit when asked again, alone or in other company, and
    leave the view as it is. A recurrent rule is asked for several epochs, each time with the hidden states that it
    returned before. A per-job rule must choose an accessible column for each of many jobs, and the same when asked
    again. `degrees` counts accessible servers.
    """
    if not isinstance(dispatcher, Dispatcher):
        raise DispatcherError(f"{type(dispatcher).__name__}: must be a subclass of Dispatcher")
    name = name_of(dispatcher)
    check_declarations(dispatcher)
    if buffer is None:
        buffer = dispatcher.buffer or 5
    check_fit(dispatcher, buffer)
    rows = min(rows, dispatcher.nodes or rows)
    hidden = hidden_width(dispatcher)
    generator = np.random.default_rng(seed)
    view = random_view(
        generator,
        rows=rows,
        degrees=degrees,
        buffer=buffer,
        everything=dispatcher.observes == "all",
        hidden=hidden,
    )
    answer = _check_answers(dispatcher, view, generator)
    if isinstance(dispatcher, PerJobDispatcher):
        for row in range(min(rows, 16)):
            _check_choices(dispatcher, view, answer.numbers[row], row, generator, name)
    for _ in range(EPOCHS - 1 if hidden else 0):
        view = an_epoch_later(generator, view, answer.hidden)
        answer = _check_answers(dispatcher, view, generator)


def _check_answers(dispatcher: Dispatcher, view: View, generator: np.random.Generator) -> Answer:
    """Return the answer to a view, after comparing it with those to the same rows asked in other ways."""
    whole = ask(dispatcher, view)
    company = generator.permutation(view.rows)
    asked = [("asked again", slice(None)), ("rows reordered", company)]
    asked += [(f"row {row} asked alone", [row]) for row in range(min(view.rows, 16))]
    for how, rows in asked:
        answer = ask(dispatcher, select_rows(view, rows))
        if not all(map(np.array_equal, whole.of(rows), answer)):
            raise DispatcherError(
                f"{name_of(dispatcher)}: {how}, it answered something else, though each row must be answered by "
                "itself, and always with the same bits"
            )
    return whole


def describe(error: BaseException) -> str:
    """Return one line that says what a user's code raised, and where."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    try:
        text = " ".join(str(error).split())
    except Exception:  # a user's error may fail to say what it is
        text = ""
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def _locked(array: Any) -> Any:
    """Return a copy that cannot be written."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _check_choices(
    dispatcher: PerJobDispatcher,
    view: View,
    plan: Floats,
    row: int,
    generator: np.random.Generator,
    name: str,
) -> None:
    count = int(view.degrees[row])
    order = np.ascontiguousarray(view.order[row, :count])
    plan = np.ascontiguousarray(plan[:count])
    sent = np.zeros(count, dtype=np.int64)
    for total in range(30):
        job = JobView(_locked(plan), _locked(order), _locked(sent), total, generator.random(), total * 0.1)
        try:
            column, again = dispatcher.choose(job), dispatcher.choose(job)
        except DispatcherError:
            raise
        except (Exception, SystemExit) as error:
            raise DispatcherError(f"{name}: choose raised {describe(error)}") from error
        is_column = isinstance(column, int | np.integer) and not isinstance(column, bool)
        if not is_column or not 0 <= column < count:
            raise DispatcherError(f"{name}: choose must return a column from 0 to {count - 1}, got {column!r}")
        if column != again:
            raise DispatcherError(f"{name}: choose returned {column} and then {again} for the same job")
        sent[column] += 1
