"""What the engines are measured against: the same system under RND by other means, one function each.

They take the system and return how many jobs arrived. All but Ciw emulate one arrival rate path of the scenario's law;
none records a job's fate, so they do less than the engines.
"""

from __future__ import annotations

import numpy as np
import simpy

from emulator.engines.compiled.routing import BLOCK, block, draw_next, draw_work
from emulator.machine.compiling import compiled
from emulator.model.system import System
from emulator.workload.workload import Workload


def plain_simpy(system: System, replication: int) -> int:
    """SimPy as one writes it first: a Store for each server, a process for each stream and each message's inbox."""
    environment = simpy.Environment()
    generator = np.random.default_rng([system.seed, replication])
    workload = Workload(system, replication)
    offsets, access = system.access.offsets, system.access.servers
    queues = [simpy.Store(environment) for _ in range(system.nodes)]
    busy = [0] * system.nodes
    inboxes = [simpy.Store(environment) for _ in range(system.nodes)]
    arrivals = 0

    def serve(server):  # type: ignore[no-untyped-def]
        while True:
            work = yield queues[server].get()
            busy[server] = 1
            yield environment.timeout(work / system.service_rates[server])
            busy[server] = 0

    def broadcast(server, receivers):  # type: ignore[no-untyped-def]
        while True:
            length = len(queues[server].items) + busy[server]
            for receiver in receivers:
                yield inboxes[receiver].put((server, length))
            yield environment.timeout(system.delta_t)

    def listen(scheduler, known):  # type: ignore[no-untyped-def]
        while True:
            server, length = yield inboxes[scheduler].get()
            known[server] = length

    def arrive(scheduler, reachable):  # type: ignore[no-untyped-def]
        nonlocal arrivals
        while True:
            epoch = min(int(environment.now / system.delta_t), workload.epochs - 1)
            yield environment.timeout(generator.exponential(1.0 / workload.arrival_rates[epoch]))
            arrivals += 1
            server = reachable[generator.integers(len(reachable))]
            if len(queues[server].items) + busy[server] < system.buffer:
                yield queues[server].put(generator.exponential())

    for node in range(system.nodes):
        reachable = access[offsets[node] : offsets[node + 1]].tolist()
        environment.process(serve(node))
        environment.process(broadcast(node, reachable))
        environment.process(listen(node, {}))
        environment.process(arrive(node, reachable))
    environment.run(until=system.horizon)
    return arrivals


@compiled()
def _gillespie(seed, times, rates, offsets, access, buffer):  # type: ignore[no-untyped-def]
    np.random.seed(seed)
    nodes = len(offsets) - 1
    lengths = np.zeros(nodes, np.int64)
    busy, place = np.empty(nodes, np.int64), np.full(nodes, -1)
    count, arrivals, epoch, time = 0, 0, 0, 0.0
    while True:
        total = nodes * rates[epoch] + count
        time += np.random.exponential(1.0 / total)
        if time >= times[epoch + 1]:  # no memory: the next epoch starts anew
            epoch += 1
            time = times[epoch]
            if epoch == len(rates):
                return arrivals
            continue
        if np.random.random() * total < count:
            index = np.random.randint(count)
            server = busy[index]
            lengths[server] -= 1
            if lengths[server] == 0:
                count -= 1
                busy[index] = busy[count]
                place[busy[index]] = index
        else:
            arrivals += 1
            scheduler = np.random.randint(nodes)
            first = offsets[scheduler]
            server = access[first + np.random.randint(offsets[scheduler + 1] - first)]
            if lengths[server] == 0:
                busy[count], place[server] = server, count
                count += 1
            if lengths[server] < buffer:
                lengths[server] += 1


def gillespie(system: System, replication: int) -> int:
    """Gillespie's direct method, compiled: draw the time to the next event, then which; service rates are all 1."""
    workload = Workload(system, replication)
    offsets, access = system.access.offsets, system.access.servers
    return int(_gillespie(replication, workload.times, workload.arrival_rates, offsets, access, system.buffer))


def ciw_queues(system: System, replication: int) -> int:
    """Ciw on as many M/M/1/B queues at the mean arrival rate, which is RND's law without messages and schedulers."""
    import ciw

    nodes = system.nodes
    rate = float(np.mean(Workload(system, replication).arrival_rates))
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=rate)] * nodes,
        service_distributions=[ciw.dists.Exponential(rate=1.0)] * nodes,
        number_of_servers=[1] * nodes,
        queue_capacities=[system.buffer - 1] * nodes,
        routing=[[0.0] * nodes] * nodes,
    )
    ciw.seed(replication)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(system.horizon)
    records = simulation.get_all_records()
    return len(records)


@compiled(nogil=True, error_model="numpy")
def _sample(source, rate, nodes, block, work):  # type: ignore[no-untyped-def]
    """Draw as many jobs as an epoch has on average, with their works and coins, and no queue behind them."""
    drawn = 0
    target = np.int64(rate * nodes)
    while drawn < target:
        count = min(BLOCK, target - drawn)
        for i in range(count):
            block.scheduler[i] = drawn + i
        draw_next(source, block, count)
        draw_work(source, block, count, work, 0)
        drawn += count
    return drawn


def sampling_floor(system: System, replication: int) -> int:
    """The engine's random numbers and logarithms alone: below this no engine that draws its jobs can come."""
    workload, room = Workload(system, replication), block()
    room.clock[:], room.number[:] = 0.0, 0
    drawn = 0
    for epoch in range(workload.epochs):
        expected = workload.arrival_rates[epoch] * np.diff(workload.times)[epoch]
        drawn += _sample(workload.source(epoch), expected, system.nodes, room, np.zeros(BLOCK))
    return drawn
