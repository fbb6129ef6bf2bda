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
from emulator.workload.workload import Workload

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


BLOCK = 64
"""Schedulers whose coins or orders are drawn together."""


class DrawsOfDecisions:
    """What is drawn for the decisions of single schedulers, each numbering its own."""

    def __init__(self, workload: Workload):
        self.workload = workload
        self.offsets: list[int] = workload.system.access.offsets.tolist()
        self.schedulers = workload.system.access.scheduler_count
        self._coins: dict[tuple[int, int], list[float]] = {}
        self._orders: dict[tuple[int, int], NDArray[np.int64]] = {}

    def coin(self, scheduler: int, number: int) -> float:
        """Return the coin of a scheduler's decision of this number."""
        block, place = divmod(scheduler, BLOCK)
        coins = self._coins.get((number, block))
        if coins is None:
            coins = self.workload.decision_coins(number, *self._of(block)).tolist()
            _keep(self._coins, (number, block), coins)
        return coins[place]

    def order(self, scheduler: int, number: int) -> NDArray[np.int64]:
        """Return the order of a scheduler's accessible servers for its decision of this number: columns."""
        block = scheduler // BLOCK
        orders = self._orders.get((number, block))
        if orders is None:
            orders = self.workload.decision_orders(number, *self._of(block))
            _keep(self._orders, (number, block), orders)
        before = self.offsets[block * BLOCK]
        return orders[self.offsets[scheduler] - before : self.offsets[scheduler + 1] - before]

    def _of(self, block: int) -> tuple[int, int]:
        return block * BLOCK, min((block + 1) * BLOCK, self.schedulers)


def _keep(drawn: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep what was drawn for a while: schedulers that are in step need it at once, others within a few decisions."""
    if len(drawn) >= 4096:
        drawn.clear()
    drawn[key] = value


class Observations:
    """Makes the views of a system's schedulers and has one dispatcher answer them."""

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

        has_own = system.access.has_own
        return View(later, has_own=has_own, accessible=accessible, buffer=system.buffer, delta_t=system.delta_t)

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
        self.sampled_times = np.zeros(places)
        """When what is known of each server was so, ms."""
        schedulers = system.access.scheduler_count
        self.hidden = np.zeros((schedulers, hidden))
        self.distribution = np.zeros((schedulers, system.buffer + 1))
        self.distribution[:, 0] = 1.0
        self.told_times = np.zeros(schedulers)
        """When the distribution that each scheduler knows was so, ms."""


class OneByOne(Observations):
    """Decides for one scheduler at a time, on what its messages have told it."""

    def __init__(self, dispatcher: Dispatcher, system: System, workload: Workload):
        super().__init__(dispatcher, system)
        self.known = known = Knowledge(system, self.hidden)
        self.draws = DrawsOfDecisions(workload)
        self.now, self.scheduler, self.number = 0.0, 0, 0
        """When which scheduler makes which of its decisions."""
        self.makers |= {
            "coins": lambda schedulers: np.array([self.draws.coin(self.scheduler, self.number)]),
            "order": lambda places: self._padded_order(places.shape),
            "queue_lengths": lambda places: known.queue_lengths[places],
            "service_rates": lambda places: known.service_rates[places],
            "age": lambda places: self.now - known.sampled_times[places],
            "hidden": lambda schedulers: known.hidden[schedulers],
            "distribution": lambda schedulers: known.distribution[schedulers][0],
        }
        self.offsets: list[int] = system.access.offsets.tolist()
        self.sharing = system.access.sharing[system.access.servers]
        self.choose = checked_choice(dispatcher) if isinstance(dispatcher, PerJobDispatcher) else None
        self.remembers = self.choose is not None
        """Whether the rule wants to know what a scheduler has sent."""
        self.answers = Remembered()
        """Of each observation the numbers of the answer, without padding, and what is carried."""
        self.compared: dict[int, list[NDArray[Any]]] = {}
        """Of each scheduler the parts of `known` by which its observations differ."""

    def decide(self, scheduler: int, now: float, number: int, sent: list[int]) -> Rule:
        """Return where a scheduler's jobs go until its next decision, and let it carry what it says; `now` in ms.

        `number` counts its decisions from 0; `sent` says how many jobs it has sent to each server since the last news,
        if the rule wants to know.
        """
        self.now, self.scheduler, self.number = now, scheduler, number
        answer = self.answers.get(self._observation(scheduler))
        numbers, carried = answer if answer is not None else self._asked(scheduler)
        if self.hidden:
            self.known.hidden[scheduler] = carried
        if self.choose is not None:
            order = self.draws.order(scheduler, number)
            return Chosen(numbers, (0,), order, np.array(sent, dtype=np.int64), self.choose)
        if self.dispatcher.draws == "epoch":
            return Fixed((pick(numbers, self.draws.coin(scheduler, number)),))
        return Drawn(numbers, (0,))

    def _padded_order(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        order = np.zeros(shape, dtype=np.int64)
        drawn = self.draws.order(self.scheduler, self.number)
        order[0, : len(drawn)] = drawn
        return order

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
