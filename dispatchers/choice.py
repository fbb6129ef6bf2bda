"""From what a rule answers to where jobs go: it is asked and checked here, and its answer becomes a rule value.

`ask` returns an answer, which depends on what the scheduler observes alone, so engines remember it. With an epoch's
draws it becomes one of three rule values, which hold until the next decision: `Drawn`, `Fixed` or `Chosen`. All engines
take them: SimPy those of one scheduler, whose methods they have, the compiled engine those of all at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from dispatchers.contract import (
    Dispatcher,
    JobView,
    LeastCostDispatcher,
    PerJobDispatcher,
    RecurrentDispatcher,
    hidden_width,
    name_of,
)
from dispatchers.errors import DispatcherError, describe
from dispatchers.information import declared
from dispatchers.view import Floats, Reader, View

Said = TypeVar("Said")

TOLERANCE = 1e-9
"""How far from 1 the probabilities of a row may sum."""


class Answer(NamedTuple):
    """What a dispatcher says to a view."""

    numbers: Floats
    """Probabilities (rows x columns), or the plan of a per-job rule (rows x columns x fields)."""

    hidden: Floats
    """What is carried to the next decision (rows x hidden); no columns for rules that carry nothing."""

    def of(self, rows: Any) -> Answer:
        """Return the answer to some rows."""
        return Answer(self.numbers[rows], self.hidden[rows])


class Drawn(NamedTuple):
    """Each job draws a server with its own coin: scheduler i by the cumulative probabilities from `start[i]` on."""

    cumulative: Any
    """Of one observation after the other, as many as there are servers, without padding."""
    start: Any

    def column(self, number: int, coin: float, elapsed: float) -> int:
        """Return the column for the only scheduler's job of this number since the decision, `elapsed` ms after it."""
        return pick(self.cumulative, coin)

    @property
    def offload_probability(self) -> float:
        """The only scheduler's probability of sending a job to another server than the own one."""
        return 1.0 - self.cumulative[0]


class Fixed(NamedTuple):
    """One server for the whole epoch, drawn with the decision coin: scheduler i sends all jobs to `chosen[i]`."""

    chosen: Any

    def column(self, number: int, coin: float, elapsed: float) -> int:
        """See `Drawn.column`."""
        return self.chosen[0]

    @property
    def offload_probability(self) -> float:
        """See `Drawn.offload_probability`."""
        return float(self.chosen[0] != 0)


class Chosen(NamedTuple):
    """A per-job rule at work: scheduler i chooses by its plan, which begins at `start[i]`."""

    plan: Any
    """Of one observation after the other, servers x fields, without padding."""
    start: Any
    order: Any
    """Laid out as the access relation, like `sent`."""
    sent: Any
    choose: Any
    """What returns the column for a `JobView`; None where the kind of rule says it."""

    def column(self, number: int, coin: float, elapsed: float) -> int:
        """See `Drawn.column`; the job counts as sent."""
        column: int = self.choose(JobView(self.plan, self.order, self.sent, number, coin, elapsed))
        self.sent[column] += 1
        return column

    @property
    def offload_probability(self) -> float:
        """The share of the only scheduler's jobs sent elsewhere so far, NaN if there were none."""
        total = self.sent.sum()
        return float(1.0 - self.sent[0] / total) if total else np.nan


Rule = Drawn | Fixed | Chosen
"""Where jobs go until the next decision."""


def ask(dispatcher: Dispatcher, view: View) -> Answer:
    """Return what a dispatcher, which reads what it declares, says to a view, checked. Raises `DispatcherError`."""
    return _asked(dispatcher, view, _answer)


def _asked(dispatcher: Dispatcher, view: View, question: Callable[[Any, View, str], Said]) -> Said:
    name = name_of(dispatcher)
    view.reader = Reader(name, declared(dispatcher))
    try:
        with np.errstate(all="ignore"):  # what comes of it is told by the question
            return question(dispatcher, view, name)
    except DispatcherError:
        raise
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{name}: {describe(error)}") from error
    finally:
        view.reader = None


def says_of_each(dispatcher: Dispatcher) -> bool:
    """Return whether what a rule says of a server depends on that server alone; not if a subclass says other things."""
    if isinstance(dispatcher, PerJobDispatcher):
        owner = next(kind for kind in type(dispatcher).__mro__ if "plan" in vars(kind))
        return bool(vars(owner).get("plans_one_by_one", False))
    return isinstance(dispatcher, LeastCostDispatcher) and type(dispatcher).route is LeastCostDispatcher.route


def ask_of_each(dispatcher: Dispatcher, view: View) -> Floats:
    """Return what such a rule says of each server of a view: its cost, rows x columns, or plan, x fields.

    Raises `DispatcherError`.
    """
    return _asked(dispatcher, view, _said_of_each)


def _said_of_each(dispatcher: PerJobDispatcher | LeastCostDispatcher, view: View, name: str) -> Floats:
    if isinstance(dispatcher, PerJobDispatcher):
        return validate_plan(dispatcher.plan(view), view, name)
    cost = np.asarray(dispatcher.cost(view), dtype=np.float64)
    _check_form(cost, view.value("accessible").shape, "cost must return", name)
    return cost


def _answer(dispatcher: Dispatcher, view: View, name: str) -> Answer:
    nothing = np.empty((view.rows, 0))
    if isinstance(dispatcher, PerJobDispatcher):
        return Answer(validate_plan(dispatcher.plan(view), view, name), nothing)
    if not isinstance(dispatcher, RecurrentDispatcher):
        answer = dispatcher.route(view)
        validate(answer, view, name)
        return Answer(answer, nothing)
    said: Any = dispatcher.advance(view)
    if not isinstance(said, tuple) or len(said) != 2:
        raise DispatcherError(
            f"{name}: advance must return two arrays, probabilities and hidden states, got {type(said).__name__}"
        )
    answer, hidden = said
    validate(answer, view, name, "advance must return")
    _check_form(hidden, (view.rows, hidden_width(dispatcher)), "hidden states must be", name)
    _check_finite(hidden, "hidden states", view, name)
    return Answer(answer, hidden)


def checked_choice(dispatcher: PerJobDispatcher) -> Callable[[JobView], int]:
    """Return a rule's `choose` that raises `DispatcherError` for anything but the column of an accessible server."""
    name = name_of(dispatcher)

    def choose(job: JobView) -> int:
        try:
            column = dispatcher.choose(job)
        except DispatcherError:
            raise
        except (Exception, SystemExit) as error:
            raise DispatcherError(f"{name}: choose raised {describe(error)}") from error
        is_column = isinstance(column, int | np.integer) and not isinstance(column, bool)
        if not is_column or not 0 <= column < len(job.order):
            raise DispatcherError(f"{name}: choose must return a column from 0 to {len(job.order) - 1}, got {column!r}")
        return column

    return choose


def validate(answer: Any, view: View, name: str, must: str = "route must return") -> None:
    """Check probabilities: float64, rows x columns, in [0, 1], 0 in padded columns, rows summing to 1."""
    accessible = view.value("accessible")
    _check_form(answer, accessible.shape, must, name)
    padded = np.where(accessible, 0.0, answer)
    errors = np.abs(answer.sum(axis=1) - 1.0)
    if answer.min() >= 0.0 and not padded.any() and errors.max() <= TOLERANCE:
        return  # which takes a third of the time of telling what is wrong, and where
    _check_finite(answer, "probabilities", view, name)
    _refuse_row((answer < 0).any(axis=1), "probabilities are negative: {row}", answer, view, name)
    _refuse_row(padded.any(axis=1), "probabilities lead to padded columns: {row}", answer, view, name)
    _refuse_row(errors > TOLERANCE, "probabilities sum to {sum:.12g}, must be 1", answer, view, name)


def validate_plan(plan: Any, view: View, name: str) -> Floats:
    """Check a plan, float64, rows x columns x fields and finite, and return it."""
    fields = plan.shape[2] if isinstance(plan, np.ndarray) and plan.ndim == 3 else "fields"
    _check_form(plan, (*view.value("accessible").shape, fields), "plan must return", name)
    _check_finite(plan, "planned numbers", view, name)
    return plan


def _check_form(answer: Any, shape: tuple[Any, ...], must: str, name: str) -> None:
    if not isinstance(answer, np.ndarray):
        raise DispatcherError(f"{name}: {must} a float64 array, got {type(answer).__name__}")
    if answer.shape != shape or answer.dtype != np.float64:
        wanted, got = (" x ".join(map(str, each)) for each in (shape, answer.shape))
        raise DispatcherError(f"{name}: {must} float64 {wanted}, got {answer.dtype} {got}")


def _check_finite(answer: Floats, what: str, view: View, name: str) -> None:
    finite = np.isfinite(answer).reshape(len(answer), -1).all(axis=1)
    _refuse_row(~finite, f"{what} are not finite: {{row}}", answer, view, name)


def _refuse_row(wrong: Any, why: str, answer: Floats, view: View, name: str) -> None:
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    lengths = view.value("queue_lengths")[row, view.value("accessible")[row]].tolist()
    values = np.array2string(answer[row], precision=6, threshold=20).replace("\n", "")
    text = why.format(row=values, sum=float(answer[row].sum()))
    raise DispatcherError(f"{name}: {text} (queue lengths {lengths})")


def cumulate(probabilities: Floats) -> Floats:
    """Return the cumulative probabilities (rows x columns) from which `pick` chooses.

    Every column from the last possible one on gets exactly 1, so that rounding can never lead to an impossible
    server.
    """
    cumulative = np.cumsum(probabilities, axis=1)
    possible = probabilities > 0
    last = probabilities.shape[1] - 1 - possible[:, ::-1].argmax(axis=1)
    columns = np.arange(probabilities.shape[1])
    return np.where(columns >= last[:, None], 1.0, np.minimum(cumulative, 1.0))


def pick(cumulative: Any, coin: float) -> int:
    """Return the first column whose cumulative probability exceeds `coin`, a number in [0, 1).

    The only place where probabilities and a coin become a server; engines call it or compile it. It counts, because a
    loop that ends at the column is one that a processor cannot predict: 10 ns per job.
    """
    column = 0
    for bound in cumulative:
        column += coin >= bound
    return column
