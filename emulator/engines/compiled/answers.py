"""The answers of one dispatcher to single schedulers: known by number of what they observe, or asked for.

What a scheduler observes is numbered as `emulator.engines.compiled.numbering` does it for all at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatchers.choice import ask_of_each, says_of_each
from dispatchers.contract import Dispatcher, PerJobDispatcher, name_of
from dispatchers.errors import DispatcherError
from dispatchers.view import Floats, View
from emulator.engines.compiled.numbering import LARGEST_TABLE, NUMBERED, classes_of
from emulator.engines.compiled.world import Table, World
from emulator.engines.observations import DrawsOfDecisions, Observations
from emulator.model.system import System
from emulator.workload.workload import Workload

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]

MOST = 2**18
"""Numbers of answers that are kept beside those that hold, in any case."""


class OnDemand(Observations):
    """One dispatcher's answers for single schedulers, remembered from decision to decision and episode to episode."""

    def __init__(self, dispatcher: Dispatcher, system: System):
        super().__init__(dispatcher, system)
        self.base = system.buffer + (2 if (system.service_rates != 1.0).any() else 1)
        """How many different things a scheduler can know of a server: a length, or, if rates differ, nothing yet."""
        self.entries = len(system.access.servers)
        self.numbers: Floats = np.empty((0,) * (2 if isinstance(dispatcher, PerJobDispatcher) else 1))
        """Cumulative probabilities, or plans (x fields), without padding: room for one of each scheduler, laid out as
        the access relation, for those whose observations are not numbered; behind it those of numbered ones."""
        self.filled = self.entries
        """How much of `numbers` is in use."""
        self.equal: dict[bytes, int] = {}
        """Where each answer begins: many observations have the same, and few answers stay in a cache."""
        self.carried = np.zeros((self.scheduler_count, self.hidden))
        """What each scheduler carries to its next decision."""
        self.distributions: list[Floats] = []
        """The shares of lengths that the monitor saw at the start of each epoch."""
        self.empty = np.append(1.0, np.zeros(system.buffer))
        self._tell_apart()

    def begin(self, world: World, workload: Workload) -> None:
        """Begin an episode in its world."""
        self.world = world
        self.carried[:] = 0.0
        self.distributions.clear()
        draws, rates = DrawsOfDecisions(workload), self.system.service_rates
        access, buffer, decisions = self.system.access, self.system.buffer, world.schedulers["decisions"]
        self.makers |= {
            "coins": lambda schedulers: np.array([draws.coin(one, int(decisions[one])) for one in schedulers.tolist()]),
            "order": lambda places: self._order(draws, places),
            "queue_lengths": lambda places: np.where(world.known[places] > buffer, 0, world.known[places]),
            "service_rates": lambda places: np.where(world.known[places] > buffer, 1.0, rates[access.servers[places]]),
            "age": lambda places: world.asked_at[0] - world.sampled[places],
            "hidden": lambda schedulers: self.carried[schedulers],
            "distribution": lambda schedulers: self._distribution(int(world.heard_of[schedulers[0]])),
        }
        if self.is_global:
            self._forget()

    def _order(self, draws: DrawsOfDecisions, places: Integers) -> Integers:
        """Return the order drawn for the decision of the only scheduler of a view, padded."""
        scheduler = int(np.searchsorted(self.system.access.offsets, places[0, 0], side="right")) - 1
        order = np.zeros(places.shape, dtype=np.int64)
        drawn = draws.order(scheduler, int(self.world.schedulers["decisions"][scheduler]))
        order[0, : len(drawn)] = drawn
        return order

    def _distribution(self, number: int) -> Floats:
        return self.distributions[number] if number >= 0 else self.empty

    def note_distribution(self, lengths: Indices) -> None:
        """Take note of all lengths at an epoch's start."""
        self.distributions.append(np.bincount(lengths, minlength=self.system.buffer + 1) / len(lengths))

    def table(self) -> Table:
        """Return what the walk needs to find answers."""
        return Table(
            self.first,
            self.columns_read,
            self.base,
            self.start,
            self.version,
            self.of_servers,
            self.kinds,
            all_count=self.hidden > 0,
        )

    def learn(self, scheduler: int) -> int:
        """Ask for a scheduler, which is about to decide, and return where in `numbers` the answer begins."""
        view = self.view(np.array([scheduler]))
        answer = self.answer(view)
        if not view.read <= self.read:
            self.read |= view.read
            self._tell_apart()
        if self.hidden:
            self.carried[scheduler] = answer.hidden[0]
        numbers = answer.numbers[0, : self.counts[scheduler]]
        self._make_room(numbers)
        if self.first[scheduler] < 0:
            start = int(self.system.access.offsets[scheduler])
            self.numbers[start : start + len(numbers)] = numbers
            return start
        start = self.equal.setdefault(numbers.tobytes(), self.filled)
        if start == self.filled:
            self.filled += len(numbers)
            self.numbers[start : self.filled] = numbers
        observation = self._observation(scheduler)
        self.start[observation] = start
        if self.is_global:
            self.version[observation] = self.world.heard_of[scheduler]
        return start

    def _make_room(self, answer: Floats) -> None:
        """Let there be room for an answer: in a longer table, or in place of those that hold for no scheduler."""
        fields = answer.shape[1:]
        if len(self.numbers) == 0:
            self.numbers = np.empty((self.entries + 256, *fields))
        if self.numbers.shape[1:] != fields:
            raise DispatcherError(f"{name_of(self.dispatcher)}: plan must return as many fields each time")
        if self.filled + len(answer) <= len(self.numbers):
            return
        if self.filled > 4 * self.entries + MOST:
            self._keep_what_holds()
        else:
            self.numbers = np.concatenate([self.numbers, np.empty_like(self.numbers)])
            self._make_room(answer)

    def _keep_what_holds(self) -> None:
        """Forget all answers but those that hold for a scheduler now, each of which becomes its own."""
        holds: Any = self.world.schedulers["start"]
        offsets = self.system.access.offsets[:-1]
        self.numbers[: self.entries] = self.numbers[np.arange(self.entries) + np.repeat(holds - offsets, self.counts)]
        holds[:] = offsets
        self.filled = self.entries
        self._forget()

    def _observation(self, scheduler: int) -> int:
        """Return the number of what a scheduler observes."""
        offsets = self.system.access.offsets
        number = 0
        for known in self.world.known[offsets[scheduler] : offsets[scheduler + 1]][: self.columns_read].tolist():
            number = number * self.base + known
        return number + int(self.first[scheduler])

    def _tell_apart(self) -> None:
        """Number what schedulers can observe, by what has been read so far."""
        self.columns_read = int("own_lengths" in self.read)
        if "queue_lengths" in self.read or ("service_rates" in self.read and self.base > self.system.buffer + 1):
            self.columns_read = int(self.counts.max())
        _, places, classes = np.unique(classes_of(self), return_index=True, return_inverse=True)
        seen = np.minimum(self.columns_read, self.counts)[places]
        sizes = np.array([min(self.base**count, LARGEST_TABLE + 1) for count in seen.tolist()])
        smallest_first = np.argsort(sizes, kind="stable")
        before = np.cumsum([0, *sizes[smallest_first]])
        # Small classes are numbered, while there is room; schedulers of the others are asked at each decision.
        room = LARGEST_TABLE if self.hidden == 0 and self.read <= NUMBERED else 0
        numbered = int(np.searchsorted(before, room, side="right")) - 1
        firsts = np.full(len(sizes), -1)
        firsts[smallest_first[:numbered]] = before[:numbered]
        self.first = firsts[classes]
        """For each scheduler the number of the first observation of its class, -1 if they are not numbered."""
        self.observations = int(before[numbered])
        self.of_servers, self.kinds = self.numbers[:0], np.empty(0, dtype=np.int32)
        if (self.first < 0).any() and says_of_each(self.dispatcher) and not self.is_global:
            self._ask_of_servers()
        self._forget()

    def _ask_of_servers(self) -> None:
        """Ask what the rule says of each kind of server alone, whatever may be known of it.

        A server's kind is its rate, how many share it, and whether it is its scheduler's own. Two servers are shown,
        of which the one in question is the second, unless it is the own one.
        """
        access, system = self.system.access, self.system
        is_own = np.zeros(self.entries)
        is_own[access.offsets[:-1]] = access.has_own
        lasting = np.stack([system.service_rates[access.servers], access.sharing[access.servers], is_own], axis=1)
        kinds, kind = np.unique(lasting, axis=0, return_inverse=True)
        rates, sharing, own = np.repeat(kinds, self.base, axis=0).T
        known = np.tile(np.arange(self.base), len(kinds))
        is_untold = known > system.buffer
        fields = {
            "queue_lengths": np.where(is_untold, 0, known),
            "service_rates": np.where(is_untold, 1.0, rates),
            "sharing": sharing.astype(np.int64),
        }
        both = {name: np.stack([values, values], axis=1) for name, values in fields.items()}
        accessible = np.ones((len(known), 2), dtype=np.bool_)
        told = both | {"accessible": accessible, "buffer": system.buffer, "delta_t": system.delta_t}
        view = View(has_own=access.has_own, **told)
        says = ask_of_each(self.dispatcher, view)
        if view.read <= fields.keys() | {"accessible"} and np.isfinite(says).all():
            self.of_servers = np.ascontiguousarray(says[np.arange(len(known)), np.where(own > 0, 0, 1)])
            self.kinds = (kind.ravel() * self.base).astype(np.int32)

    def _forget(self) -> None:
        """Let no answer be known."""
        self.equal.clear()
        self.start = np.full(self.observations, -1, dtype=np.int32)
        """Where the answer to each observation begins, -1 if it has not been asked."""
        self.version = np.zeros(self.observations if self.is_global else 0, dtype=np.int32)
        """Which distribution was known when each observation was asked."""
