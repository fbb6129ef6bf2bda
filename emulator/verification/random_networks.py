"""Random systems whose messages take time: every key of the network is drawn, each system a function of one number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dispatchers.contract import Dispatcher
from dispatchers.rules.basic import Random
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue, ShortestExpectedDelay
from dispatchers.view import View
from emulator.model.access import Access
from emulator.model.laws import Deterministic, Exponential, Hyperexponential, Law
from emulator.model.network import Clock, Duration, Latency, Loss, Network, Phase
from emulator.model.system import System
from emulator.verification.agreement import Case, Impatient, Levelling, random_case

MESSAGES = 6000.0
"""Expected messages of a system at most, or one from each sender."""


class Ageing(Dispatcher):
    """Probabilities that depend on how old what is known is."""

    def route(self, view: View) -> np.ndarray:
        """See `Dispatcher.route`."""
        weight = view.accessible * (1.0 + view.age) / (1.0 + view.queue_lengths)
        return weight / np.cumsum(weight, axis=1)[:, -1:]


def random_network(number: int) -> Case:
    """Return the random system of a number: one of `random_case`, or one with other servers, with a random network."""
    generator = np.random.default_rng([number, 16])
    case = random_case(number)
    if generator.random() < 0.4:
        case = _with_other_servers(generator, case)
    elif generator.random() < 0.2:
        case = replace(case, dispatcher=Ageing())
    network = _network(generator, case.system)
    return replace(case, system=_copy(case.system, network=network, access=case.system.access))


def _copy(system: System, *, network: Network, access: Access) -> System:
    """Return a system with another network and another access relation."""
    copy = replace(system, network=network)
    vars(copy)["access"] = access
    return copy


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
    system = replace(case.system, service_rates=rates)
    vars(system)["access"] = access
    rules: list[type[Dispatcher]] = [Random, JoinShortestQueue, ShortestExpectedDelay, Levelling, Ageing, RoundRobin]
    rules += [JoinShortestQueueWithMemory, Impatient]
    dispatcher = rules[generator.integers(len(rules))]()
    if isinstance(dispatcher, JoinShortestQueue) and generator.random() < 0.5:
        dispatcher = JoinShortestQueue("job")
    return replace(case, system=system, dispatcher=dispatcher)


def _network(generator: np.random.Generator, system: System) -> Network:
    access, period = system.access, system.delta_t
    # Few instants, as SimPy makes an object of each message.
    shortest = system.horizon * len(access.servers) / MESSAGES
    is_poll = bool(generator.random() < 0.4)
    senders = access.scheduler_count if is_poll else access.server_count
    samples = None
    if generator.random() < 0.8 or period < shortest:
        samples = _clock(generator, max(shortest, period * float(generator.choice([0.3, 1.0, 1.0, 2.0]))), senders)
    decisions = None
    if generator.random() < 0.4:
        usual = max(shortest, period * float(generator.choice([0.3, 1.0, 2.0])))
        decisions = replace(_clock(generator, usual, access.scheduler_count), gaps=None)
    loss = Loss()
    if generator.random() < 0.5:
        share = float(generator.choice([0.05, 0.3, 0.9]))
        bad = share if generator.random() < 0.5 else float(generator.random())
        loss = Loss(share, bad, float(generator.random()) * 0.5, float(generator.random()))
    return Network(
        kind="poll" if is_poll else "broadcast",
        samples=samples,
        latency=_latency(generator, period),
        loss=loss,
        own_is_exact=bool(generator.random() < 0.7),
        keeps_newest=bool(generator.random() < 0.7),
        difference=int(generator.choice([0, 0, 1, 2])) if not is_poll else 0,
        decisions=decisions,
        dispatch=_latency(generator, 0.3 * period),
        own_dispatch_is_exact=bool(generator.random() < 0.6),
    )


def _law(generator: np.random.Generator) -> Law:
    laws = [Deterministic(), Exponential(), Hyperexponential(scv=4.0)]
    return laws[generator.integers(len(laws))]


def _clock(generator: np.random.Generator, period: float, senders: int) -> Clock:
    """Return instants of so many senders about a period apart."""
    kind = generator.random()
    phases: list[Phase] = ["synchronous", "even", "random", tuple((generator.random(senders) * period).tolist())]
    phase = phases[generator.integers(len(phases))]
    if kind < 0.2:
        return Clock(tuple((period * generator.choice([0.5, 1.0, 1.5], senders)).tolist()), phase)
    if kind < 0.4:
        # Not exponential: very short ones make very many instants.
        return Clock(Duration(period), phase)
    return Clock(period, phase, _law(generator) if kind < 0.6 else None)


def _latency(generator: np.random.Generator, usual: float) -> Latency:
    """Return latencies that are none, or shorter or longer than usual."""
    if generator.random() < 0.4:
        return Latency()
    mean = usual * float(generator.choice([0.1, 0.5, 1.0, 3.0]))
    per_length = mean if generator.random() < 0.5 else 0.0
    base = Duration(mean if generator.random() < 0.8 else 0.0, _law(generator))
    jitter = Duration(0.2 * mean if generator.random() < 0.3 else 0.0, _law(generator))
    return Latency(per_length, base, jitter)
