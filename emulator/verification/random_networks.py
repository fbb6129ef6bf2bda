"""Random systems whose messages take time: every key of the network is drawn, each system a function of one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from dispatchers.contract import Dispatcher
from dispatchers.rules.basic import Random
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue, ShortestExpectedDelay
from dispatchers.view import View
from emulator.model.access import Access
from emulator.model.arrivals import ByEpoch
from emulator.model.laws import Deterministic, Exponential, Gamma, Hyperexponential, Law
from emulator.model.network import Clock, Duration, Latency, Loss, Network, Phase
from emulator.model.system import System
from emulator.model.topology import AccessLists
from emulator.verification.random_systems import Case, Impatient, Levelling, random_case, random_measuring

MESSAGES = 6000.0
"""Expected messages of a system at most, or one from each sender."""


class Ageing(Dispatcher):
    """Probabilities that depend on how old what is known is."""

    def route(self, view: View) -> np.ndarray:
        """See `Dispatcher.route`."""
        weight = view.accessible * (1.0 + view.age) / (1.0 + view.queue_lengths)
        return weight / np.cumsum(weight, axis=1)[:, -1:]


class TickingStream(NamedTuple):
    """Gaps of whole ticks, often none."""

    mean_gap: float

    @staticmethod
    def compiled_next() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """See `emulator.model.arrivals.process.EpochStream.compiled_next`."""
        from emulator.randomness import exponential

        def next_arrival(stream: Any, scheduler: Any, number: Any, time: Any, bits: Any) -> Any:
            return time + 0.125 * np.floor(8.0 * exponential(bits) * stream.mean_gap)

        return next_arrival


class Ticking(ByEpoch):
    """Arrivals at the ticks of a common clock, so that many things happen at once."""

    kind: Literal["ticking"] = "ticking"
    rate: float = 1.0

    def expected_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.expected_rate`."""
        return self.rate

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`."""
        return self.rate

    def rates(self, seed: int, replication: int, epochs: int) -> np.ndarray:
        """See `ByEpoch.rates`."""
        return np.full(epochs, self.rate)

    def stream(self, rate: float) -> TickingStream:
        """See `ByEpoch.stream`."""
        return TickingStream(1.0 / rate)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Ticking:
        """See `ArrivalProcess.sample`."""
        return cls(rate=float(generator.uniform(0.1, 2.0)))


class CoarseNumbers(NamedTuple):
    """There are none."""

    @staticmethod
    def compiled_draw() -> Callable[[Any, Any], Any]:
        """See `emulator.model.laws.law.WorkNumbers.compiled_draw`."""

        def draw(numbers: Any, bits: Any) -> Any:
            return 0.5 * np.float64(np.int64(bits) % 5)

        return draw


class Coarse(Law):
    """0, 1/2, 1, 3/2 or 2, so that many things take equally long, or no time."""

    law: Literal["coarse"] = "coarse"

    def numbers(self) -> CoarseNumbers:
        """See `Law.numbers`."""
        return CoarseNumbers()

    def variance(self) -> float:
        """See `Law.variance`."""
        return 0.5

    def cdf(self, work: np.ndarray) -> np.ndarray:
        """See `Law.cdf`."""
        return np.minimum(0.2 * np.floor(2.0 * work + 1.0), 1.0)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Coarse:
        """See `Law.sample`."""
        return cls()


def random_network(number: int) -> Case:
    """Return the random system of a number: one of `random_case`, or one with other servers, with a random network."""
    generator = np.random.default_rng([number, 16])
    case = random_case(number)
    if generator.random() < 0.4:
        case = _with_other_servers(generator, case)
    elif generator.random() < 0.3:
        case = replace(case, system=_with_lengths(generator, case.system))
    elif generator.random() < 0.1:
        case = replace(case, dispatcher=Ageing())
    if is_coarse := bool(generator.random() < 0.4):
        case = replace(case, system=_on_ticks(generator, case.system))
    network = _network(generator, case.system, is_coarse)
    measuring = random_measuring(number, case.system.horizon)
    return replace(case, system=replace(case.system, network=network, measuring=measuring))


def _on_ticks(generator: np.random.Generator, system: System) -> System:
    """Return a system in which jobs arrive and depart at ticks."""
    rates = generator.choice([0.5, 1.0, 2.0], len(system.service_rates))
    schedulers = system.access.scheduler_count
    rate = float(generator.uniform(0.2, 1.5))
    return replace(
        system,
        delta_t=float(generator.choice([0.5, 1.0, 3.0, 4.5])),
        horizon=min(30.0, max(1.0, np.round(1500.0 / (rate * schedulers)))),
        service_rates=rates if (system.service_rates != 1.0).any() else np.ones(len(rates)),
        arrivals=Ticking(rate=rate),
        work=Coarse() if generator.random() < 0.5 else Deterministic(),
    )


def _with_lengths(generator: np.random.Generator, system: System) -> System:
    """Return a system whose edges have lengths, other ones in either direction."""
    access = system.access
    lengths = generator.choice([0.0, 0.5, 1.0, generator.random()], len(access.servers))
    lists = Access(access.offsets, access.servers, access.server_count, access.has_own, lengths)
    return replace(system, topology=AccessLists("graph with lengths", lists))


def _with_other_servers(generator: np.random.Generator, case: Case) -> Case:
    """Return a case in which each scheduler can access some of the servers, which are not as many as schedulers."""
    schedulers, servers = (int(count) for count in generator.integers(1, 41, 2))
    lists = [
        generator.permutation(servers)[: generator.integers(1, min(servers, 6) + 1)].astype(np.int32)
        for _ in range(schedulers)
    ]
    offsets = np.concatenate([[0], np.cumsum([len(some) for some in lists])])
    lengths = generator.choice([0.0, 0.5, generator.random()], offsets[-1]) if generator.random() < 0.5 else None
    access = Access(offsets, np.concatenate(lists), servers, bool(generator.random() < 0.5), lengths)
    rates = generator.choice([0.5, 1.0, 2.0], servers) if generator.random() < 0.5 else np.ones(servers)
    system = replace(case.system, topology=AccessLists("random access lists", access), service_rates=rates)
    rules: list[type[Dispatcher]] = [Random, JoinShortestQueue, ShortestExpectedDelay, Levelling, Ageing, RoundRobin]
    rules += [JoinShortestQueueWithMemory, Impatient]
    dispatcher = rules[generator.integers(len(rules))]()
    if isinstance(dispatcher, JoinShortestQueue) and generator.random() < 0.5:
        dispatcher = JoinShortestQueue("job")
    return replace(case, system=system, dispatcher=dispatcher)


def _network(generator: np.random.Generator, system: System, is_coarse: bool) -> Network:
    access, period = system.access, system.delta_t
    # Few instants, as SimPy makes an object of each message.
    shortest = system.horizon * len(access.servers) / MESSAGES
    if is_coarse:
        shortest = 2.0 ** np.ceil(np.log2(max(shortest, 0.125)))
    is_poll = bool(generator.random() < 0.4)
    senders = access.scheduler_count if is_poll else access.server_count
    samples = None
    if generator.random() < 0.8 or period < shortest:
        usual = max(shortest, period * float(generator.choice([0.25, 1.0, 1.0, 2.0])))
        samples = _clock(generator, usual, senders, is_coarse)
    decisions = None
    if generator.random() < 0.4:
        usual = max(shortest, period * float(generator.choice([0.25, 1.0, 2.0])))
        decisions = replace(_clock(generator, usual, access.scheduler_count, is_coarse), gaps=None)
    loss = Loss()
    if generator.random() < 0.5:
        share = float(generator.choice([0.05, 0.3, 0.9]))
        bad = share if generator.random() < 0.5 else float(generator.random())
        loss = Loss(share, bad, float(generator.random()) * 0.5, float(generator.random()))
    return Network(
        kind="poll" if is_poll else "broadcast",
        samples=samples,
        latency=_latency(generator, period, is_coarse),
        loss=loss,
        own_is_exact=bool(generator.random() < 0.7),
        keeps_newest=bool(generator.random() < 0.7),
        difference=int(generator.choice([0, 0, 1, 2])) if not is_poll else 0,
        decisions=decisions,
        dispatch=_latency(generator, 0.25 * period, is_coarse),
        own_dispatch_is_exact=bool(generator.random() < 0.6),
    )


def _law(generator: np.random.Generator, is_coarse: bool) -> Law:
    laws: list[Law] = [Deterministic(), Exponential(), Gamma(scv=2.0)]
    if is_coarse:
        laws = [Deterministic(), Coarse()]
    return laws[generator.integers(len(laws))]


def _clock(generator: np.random.Generator, period: float, senders: int, is_coarse: bool) -> Clock:
    """Return instants of so many senders about a period apart."""
    kind = generator.random()
    listed = (generator.integers(0, 9, senders) * 0.125 if is_coarse else generator.random(senders)) * period
    phases: list[Phase] = ["synchronous", "even", "random", tuple(listed.tolist())]
    phase = phases[generator.integers(2 if is_coarse else 0, 4)] if kind < 0.8 else "synchronous"
    if kind < 0.2:
        return Clock(tuple((period * generator.choice([0.5, 1.0, 1.5], senders)).tolist()), phase)
    if kind < 0.4 and not is_coarse:
        return Clock(Duration(period, Hyperexponential(scv=1.5)), phase)
    # A law of gaps that draws 0 now and then, but not for ever.
    return Clock(period, phase, _law(generator, is_coarse) if kind < 0.6 else None)


def _latency(generator: np.random.Generator, usual: float, is_coarse: bool) -> Latency:
    """Return latencies that are none, or shorter or longer than usual."""
    if generator.random() < 0.4:
        return Latency()
    mean = usual * float(generator.choice([0.125, 0.5, 1.0, 3.0]))
    per_length = mean if generator.random() < 0.5 else 0.0
    base = Duration(mean if generator.random() < 0.8 else 0.0, _law(generator, is_coarse))
    jitter = Duration(0.25 * mean if generator.random() < 0.3 else 0.0, _law(generator, is_coarse))
    return Latency(per_length, base, jitter)
