"""Observations: what schedulers know when they decide, and what a dispatcher answers; equal ones are asked once.

An answer depends only on what the dispatcher has read of its view. So observations are told apart by what was read so
far, and all that is remembered is forgotten whenever more is read. SimPy decides for one scheduler at a time
(`OneByOne`), the compiled engine for all at once (`emulator.engines.compiled.numbering`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dispatchers.choice import Answer, Chosen, Drawn, Fixed, Rule, ask, checked_choice, cumulate, pick
from dispatchers.contract import Dispatcher, PerJobDispatcher, hidden_width
from dispatchers.information import declared
from dispatchers.remembered import Remembered
from dispatchers.view import BY_SERVER, FIELDS, OF_ONE_DECISION, Floats, View
from emulator.model.system import System

NARROW = 16
"""Accessible servers up to which views of all schedulers are padded to the same number of columns."""


class DecisionSource(Protocol):
    """What draws for decisions: the workload of an episode, or those of several as one."""

    def decision_coins(self, epoch: int) -> NDArray[np.float64]:
        """See `Workload.decision_coins`."""
        ...

    def decision_orders(self, epoch: int) -> NDArray[np.int64]:
        """See `Workload.decision_orders`."""
        ...


@dataclass
class EpochDraws:
    """What is drawn for the decisions of one epoch, made when first needed."""

    workload: DecisionSource
    epoch: int

    @cached_property
    def coins(self) -> NDArray[np.float64]:
        """One decision coin per scheduler."""
        return self.workload.decision_coins(self.epoch)

    @cached_property
    def orders(self) -> NDArray[np.int64]:
        """Each scheduler's order of its accessible servers: columns, laid out as `system.access`."""
        return self.workload.decision_orders(self.epoch)


class Observations:
    """Makes the views of a system's schedulers and has one dispatcher answer them."""

    draws: EpochDraws
    """Those of the epoch in which schedulers decide now."""

    def __init__(self, dispatcher: Dispatcher, system: System):
        self.dispatcher = dispatcher
        self.system = system
        self.scheduler_count = system.access.scheduler_count
        self.counts = system.access.counts
        """How many servers each scheduler can access."""
        self.widths = _widths(self.counts)
        """How many columns each scheduler's view has, padded ones included."""
        self.hidden = hidden_width(dispatcher)
        """How many numbers each scheduler carries from one decision to the next."""
        self.is_global = "global" in declared(dispatcher)
        """Whether the distribution of all queues is told."""
        self.read: set[str] = {"accessible", "hidden"}
        """The fields by which observations are told apart."""
        self.makers: dict[str, Callable[[Any], Any]] = {
            "sharing": lambda places: system.access.sharing[system.access.servers[places]],
            "coins": lambda schedulers: self.draws.coins[schedulers],
            "order": lambda places: self.draws.orders[places],
            "schedulers": lambda schedulers: schedulers,
        }
        """What makes the fields of views: those with a number per server of places in `system.access`, any other of
        the indices of schedulers. An engine adds those that messages and earlier decisions fill."""

    def view(self, schedulers: NDArray[np.int64]) -> View:
        """Return what some schedulers, whose views have the same number of columns, know now."""
        system, makers = self.system, self.makers
        columns = np.arange(self.widths[schedulers[0]])
        accessible = columns < self.counts[schedulers, None]
        places = np.where(accessible, system.access.offsets[schedulers, None] + columns, 0)

        def later(name: str) -> Any:
            field = FIELDS[name]
            if field.shape == BY_SERVER:
                return field.padded(makers[name](places), accessible)
            return makers[name](schedulers)

        return View(later, accessible=accessible, buffer=system.buffer, delta_t=system.delta_t)

    def answer(self, view: View) -> Answer:
        """Return the dispatcher's checked answer, its probabilities, unless it is a plan, made cumulative."""
        answer = ask(self.dispatcher, view)
        if isinstance(self.dispatcher, PerJobDispatcher):
            return answer
        return answer._replace(numbers=cumulate(answer.numbers))


def _widths(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the columns of each scheduler's view, by how many servers it can access: a power of two, `NARROW` or more.

    So memory goes by the entries of the access relation. A function of one scheduler alone: numpy adds up rows of
    different lengths in different orders, and engines must agree.
    """
    powers = 2 ** np.ceil(np.log2(np.maximum(counts, NARROW))).astype(np.int64)
    return np.minimum(powers, counts.max())


class Knowledge:
    """What messages have told the schedulers, and what these carry.

    Arrays with one entry per scheduler and accessible server are laid out as `system.access`, the others have a row for
    each scheduler. Queues start empty, rates are taken as 1 and zeros are carried until something else is known.
    """

    def __init__(self, system: System, hidden: int):
        places = len(system.access.servers)
        self.queue_lengths = np.zeros(places, dtype=np.int64)
        self.service_rates = np.ones(places)
        self.sent_times = np.full(places, -np.inf)
        """When the last message of each server was sent, ms."""
        self.hidden = np.zeros((system.access.scheduler_count, hidden))
        self.distribution = np.zeros((system.access.scheduler_count, system.buffer + 1))


class OneByOne(Observations):
    """Decides for one scheduler at a time, on what its messages have told it."""

    now: float
    """When it decides, ms."""

    def __init__(self, dispatcher: Dispatcher, system: System):
        super().__init__(dispatcher, system)
        self.known = known = Knowledge(system, self.hidden)
        self.makers |= {
            "queue_lengths": lambda places: known.queue_lengths[places],
            "service_rates": lambda places: known.service_rates[places],
            "age": lambda places: self.now - known.sent_times[places],
            "hidden": lambda schedulers: known.hidden[schedulers],
            "distribution": lambda schedulers: known.distribution[schedulers][0],
        }
        self.offsets: list[int] = system.access.offsets.tolist()
        self.sharing = system.access.sharing[system.access.servers]
        self.choose = checked_choice(dispatcher) if isinstance(dispatcher, PerJobDispatcher) else None
        self.answers = Remembered()
        """Of each observation the numbers of the answer, without padding, and what is carried."""
        self.compared: dict[int, list[NDArray[Any]]] = {}
        """Of each scheduler the parts of `known` by which its observations differ."""

    def decide(self, scheduler: int, now: float, draws: EpochDraws) -> Rule:
        """Return where a scheduler's jobs go until its next decision, and let it carry what it says; `now` in ms."""
        self.now, self.draws = now, draws
        answer = self.answers.get(self._observation(scheduler))
        numbers, carried = answer if answer is not None else self._asked(scheduler)
        if self.hidden:
            self.known.hidden[scheduler] = carried
        if self.choose is not None:
            order = draws.orders[self.offsets[scheduler] : self.offsets[scheduler + 1]]
            return Chosen(numbers, (0,), order, np.zeros(len(order), dtype=np.int64), self.choose)
        if self.dispatcher.draws == "epoch":
            return Fixed((pick(numbers, draws.coins[scheduler]),))
        return Drawn(numbers, (0,))

    def _asked(self, scheduler: int) -> tuple[Any, Floats]:
        """Return the dispatcher's answer, and remember it unless it depends on what nobody else observes."""
        view = self.view(np.array([scheduler]))
        numbers, hidden = self.answer(view)
        numbers = numbers[0, : self.counts[scheduler]]
        answer = (numbers if self.choose is not None else numbers.tolist()), hidden[0]
        if not view.read <= self.read:
            self.read |= view.read
            self.answers.clear()
            self.compared.clear()
        if view.reusable:
            self.answers[self._observation(scheduler)] = answer
        return answer

    def _observation(self, scheduler: int) -> bytes:
        parts = self.compared.get(scheduler)
        if parts is None:
            parts = self.compared[scheduler] = self._parts(scheduler)
        return b"".join([part.tobytes() for part in parts])

    def _parts(self, scheduler: int) -> list[NDArray[Any]]:
        known, first, stop = self.known, self.offsets[scheduler], self.offsets[scheduler + 1]
        parts = {
            "accessible": self.counts[scheduler : scheduler + 1],
            "schedulers": np.array([scheduler]),
            "queue_lengths": known.queue_lengths[first:stop],
            "own_lengths": known.queue_lengths[first : first + 1],
            "service_rates": known.service_rates[first:stop],
            "sharing": self.sharing[first:stop],
            "hidden": known.hidden[scheduler],
        }
        shared = [known.distribution[scheduler]] if self.is_global else []
        return [parts[name] for name in sorted(self.read - OF_ONE_DECISION)] + shared
