"""From what a scheduler knows to where its jobs go: dispatchers are asked here, and their answers checked and kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dispatchers import checking
from dispatchers.checking import Answer, describe
from dispatchers.contract import (
    Dispatcher,
    Floats,
    JobView,
    PerJobDispatcher,
    View,
    cumulate,
    hidden_width,
    name_of,
    pick,
)
from dispatchers.errors import DispatcherError
from emulator.model.system import System
from emulator.workload.workload import Workload

REMEMBERED_ANSWERS = 100_000
"""Distinct observations whose answers are kept; beyond that many, remembering starts anew."""


@dataclass(slots=True)
class Knowledge:
    """What one scheduler knows of its accessible servers: set up at the start, then filled by messages alone.

    And what it carries from its last decision, by rules that carry anything.
    """

    scheduler: int
    sharing: tuple[int, ...]
    queue_lengths: list[int]
    service_rates: list[float]
    sent_times: list[float]
    hidden: Floats
    distribution: tuple[float, ...] | None = None

    @classmethod
    def at_start(cls, scheduler: int, sharing: tuple[int, ...], hidden: int = 0) -> Knowledge:
        """Return what is known before any message: queues start empty, rates are taken as 1, zeros are carried."""
        count = len(sharing)
        return cls(scheduler, sharing, [0] * count, [1.0] * count, [-np.inf] * count, np.zeros(hidden))


class Decision(Protocol):
    """Where the jobs of one scheduler go until its next decision."""

    def column(self, coin: float, elapsed: float) -> int:
        """Return the column of the server for a job with this routing coin, `elapsed` ms after the decision."""
        ...

    @property
    def offload_probability(self) -> float:
        """The probability of sending a job to another server than the own one."""
        ...


class DrawnForEachJob:
    """Probabilities, from which every job's coin draws its own server."""

    __slots__ = ("cumulative",)

    def __init__(self, cumulative: list[float]):
        self.cumulative = cumulative

    def column(self, coin: float, elapsed: float) -> int:
        """See `Decision.column`."""
        return pick(self.cumulative, coin)

    @property
    def offload_probability(self) -> float:
        """See `Decision.offload_probability`."""
        return 1.0 - self.cumulative[0]


class DrawnOnce:
    """One server for the whole epoch, drawn with the decision coin."""

    __slots__ = ("chosen",)

    def __init__(self, chosen: int):
        self.chosen = chosen

    def column(self, coin: float, elapsed: float) -> int:
        """See `Decision.column`."""
        return self.chosen

    @property
    def offload_probability(self) -> float:
        """See `Decision.offload_probability`."""
        return float(self.chosen != 0)


class ChosenForEachJob:
    """A per-job rule at work: what was planned, and what has been sent since."""

    __slots__ = ("dispatcher", "order", "plan", "sent", "total_sent")

    def __init__(self, dispatcher: PerJobDispatcher, plan: Floats, order: NDArray[np.int64]):
        self.dispatcher = dispatcher
        self.plan = plan
        self.order = order
        self.sent = np.zeros(len(order), dtype=np.int64)
        self.total_sent = 0

    def column(self, coin: float, elapsed: float) -> int:
        """See `Decision.column`."""
        job = JobView(self.plan, self.order, self.sent, self.total_sent, coin, elapsed)
        try:
            column = self.dispatcher.choose(job)
        except (Exception, SystemExit) as error:
            raise DispatcherError(f"{name_of(self.dispatcher)}: choose raised {describe(error)}") from error
        if not (isinstance(column, int | np.integer) and 0 <= column < len(self.sent)):
            raise DispatcherError(
                f"{name_of(self.dispatcher)}: choose must return a column "
                f"from 0 to {len(self.sent) - 1}, got {column!r}"
            )
        self.sent[column] += 1
        self.total_sent += 1
        return column

    @property
    def offload_probability(self) -> float:
        """The share of the jobs sent elsewhere so far, NaN if there were none."""
        if self.total_sent == 0:
            return np.nan
        return float(1.0 - self.sent[0] / self.total_sent)


def ask(dispatcher: Dispatcher, view: View) -> Answer:
    """Return what a dispatcher says, checked, with its probabilities, unless it is a plan, made cumulative."""
    answer = checking.ask(dispatcher, view)
    if isinstance(dispatcher, PerJobDispatcher):
        return answer
    return Answer(cumulate(answer.numbers), answer.hidden)


@dataclass
class EpochDraws:
    """What the workload draws for the decisions of one epoch, made when first needed."""

    workload: Workload
    epoch: int

    @cached_property
    def coins(self) -> NDArray[np.float64]:
        """One decision coin per scheduler."""
        return self.workload.decision_coins(self.epoch)

    @cached_property
    def orders(self) -> NDArray[np.int64]:
        """Each scheduler's order of its accessible servers, laid out as `system.access.offsets`."""
        return self.workload.decision_orders(self.epoch)


@dataclass
class Decider:
    """Asks one dispatcher, one scheduler at a time; equal observations are evaluated once."""

    dispatcher: Dispatcher
    system: System
    answers: dict[tuple[object, ...], Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.width = self.system.access.width
        self.hidden = hidden_width(self.dispatcher)
        """How many numbers each scheduler carries from one decision to the next."""

    def decide(self, known: Knowledge, now: float, draws: EpochDraws) -> Decision:
        """Return what `known.scheduler` does until its next decision, and note what it carries there; `now` in ms."""
        answer, known.hidden = self._answer(known, now, draws)
        dispatcher = self.dispatcher
        if isinstance(dispatcher, PerJobDispatcher):
            return ChosenForEachJob(dispatcher, answer, self._order(known, draws))
        cumulative = answer.tolist()
        if dispatcher.draws == "epoch":
            return DrawnOnce(pick(cumulative, draws.coins[known.scheduler]))
        return DrawnForEachJob(cumulative)

    def _answer(self, known: Knowledge, now: float, draws: EpochDraws) -> Answer:
        observation = (
            tuple(known.queue_lengths),
            tuple(known.service_rates),
            known.sharing,
            known.distribution,
            known.hidden.tobytes(),
        )
        answer = self.answers.get(observation)
        if answer is None:
            view = self.view(known, now, draws)
            numbers, hidden = ask(self.dispatcher, view).of(0)
            answer = Answer(numbers[: len(known.sharing)], hidden)
            if view.reusable:
                if len(self.answers) >= REMEMBERED_ANSWERS:
                    self.answers.clear()
                self.answers[observation] = answer
        return answer

    def _order(self, known: Knowledge, draws: EpochDraws) -> NDArray[np.int64]:
        start, stop = self.system.access.offsets[known.scheduler : known.scheduler + 2]
        return draws.orders[start:stop]

    def view(self, known: Knowledge, now: float, draws: EpochDraws) -> View:
        """Return what one scheduler knows as a view of one row, padded to the largest degree of the topology."""
        count, width = len(known.sharing), self.width

        def padded(values: object, padding: float, dtype: type) -> Any:
            row: Any = np.full((1, width), padding, dtype=dtype)
            row[0, :count] = values
            return row

        def padded_order() -> NDArray[np.int64]:
            order = np.arange(width)
            order[:count] = self._order(known, draws)
            return order.reshape(1, width)

        scheduler = known.scheduler
        return View(
            queue_lengths=padded(known.queue_lengths, 0, np.int64),
            service_rates=padded(known.service_rates, 1.0, np.float64),
            accessible=np.arange(width).reshape(1, width) < count,
            sharing=padded(known.sharing, 1, np.int64),
            buffer=self.system.buffer,
            delta_t=self.system.delta_t,
            coins=lambda: draws.coins[scheduler : scheduler + 1],
            order=padded_order,
            age=lambda: padded(now - np.array(known.sent_times), 0.0, np.float64),
            schedulers=np.array([scheduler]),
            hidden=known.hidden[None, :],
            distribution=None if known.distribution is None else np.array(known.distribution),
        )
