"""From what schedulers decide to the jobs per ms that come to each server in an epoch (section 1.2.4).

A decision is an offload probability, in training; or a dispatcher's rule value. `Drawn` sends each accessible server
its probability times the arrival rate, `Fixed` sends one of them all jobs.
"""

from __future__ import annotations

import numpy as np

from emulator.machine.compiling import compiled
from emulator.randomness import DECISION, random_uniform


@compiled()
def received_of_offload(offload, arrival_rates, graph_of, offsets, neighbours):  # type: ignore[no-untyped-def]
    """Return the jobs per ms that come to each server, copies x nodes.

    `offload` (copies x nodes) is the probability that a scheduler sends a job to a random neighbour,
    `arrival_rates` the jobs per ms of each scheduler of a copy. Copy c has the graph `graph_of[c]`, whose row of
    `offsets` says where each node's neighbours stand.
    """
    copies, nodes = offload.shape
    received = np.empty((copies, nodes))
    share = np.empty(nodes)
    for copy in range(copies):
        here = offsets[graph_of[copy]]
        for node in range(nodes):
            share[node] = offload[copy, node] / max(here[node + 1] - here[node], 1)
        for node in range(nodes):
            total = 1.0 - share[node] * (here[node + 1] - here[node])  # without neighbours a scheduler keeps its jobs
            for place in range(here[node], here[node + 1]):
                total += share[neighbours[place]]
            received[copy, node] = arrival_rates[copy] * total
    return received


@compiled()
def draw_actions(offload, seed, replications, epoch):  # type: ignore[no-untyped-def]
    """Return 1 for each scheduler that offloads all jobs of the epoch and 0 for the others, copies x nodes."""
    copies, nodes = offload.shape
    actions = np.empty((copies, nodes))
    for copy in range(copies):
        for node in range(nodes):
            # The epoch's number 0 is the coin of a copy, see `draw_coins`.
            actions[copy, node] = (
                random_uniform(node, epoch, 1, DECISION, seed, replications[copy]) < offload[copy, node]
            )
    return actions


@compiled()
def received_of_drawn(cumulative, start, access, offsets, arrival_rates):  # type: ignore[no-untyped-def]
    """Return the jobs per ms that come to each server, copies x nodes, when each job's server is drawn.

    Scheduler i of all copies, one copy after the other, has the cumulative probabilities from `start[i]` on.
    `access` holds the accessible servers of a copy's schedulers, from `offsets` on.
    """
    copies, nodes = len(arrival_rates), len(offsets) - 1
    received = np.zeros((copies, nodes))
    for copy in range(copies):
        for node in range(nodes):
            first = offsets[node]
            answer = start[copy * nodes + node]
            before = 0.0
            for column in range(offsets[node + 1] - first):
                bound = cumulative[answer + column]
                received[copy, access[first + column]] += arrival_rates[copy] * (bound - before)
                before = bound
    return received


@compiled()
def receive(columns, access, offsets, arrival_rate, received):  # type: ignore[no-untyped-def]
    """Write the jobs per ms that come to each server when each scheduler sends all its jobs to one column."""
    received[:] = 0.0
    for node in range(len(columns)):
        received[access[offsets[node] + columns[node]]] += arrival_rate


@compiled()
def received_of_fixed(columns, access, offsets, arrival_rates):  # type: ignore[no-untyped-def]
    """Return the same, copies x nodes, for the columns of the schedulers of all copies, one copy after the other."""
    copies, nodes = len(arrival_rates), len(offsets) - 1
    received = np.empty((copies, nodes))
    for copy in range(copies):
        receive(columns[copy * nodes : (copy + 1) * nodes], access, offsets, arrival_rates[copy], received[copy])
    return received


@compiled()
def dispatched_drops(drops, received, offload, arrival_rates, graph_of, offsets, neighbours):  # type: ignore[no-untyped-def]
    """Return the expected drops among the jobs that each scheduler has sent, copies x nodes.

    `drops` are those of each server in an epoch; a job is dropped with the share of its server's arrivals that are.
    """
    copies, nodes = drops.shape
    sent = np.empty((copies, nodes))
    share = np.empty(nodes)
    for copy in range(copies):
        here = offsets[graph_of[copy]]
        for node in range(nodes):
            arrivals = received[copy, node]
            share[node] = drops[copy, node] / arrivals if arrivals > 0.0 else 0.0
        for node in range(nodes):
            degree = here[node + 1] - here[node]
            away = 0.0
            for place in range(here[node], here[node + 1]):
                away += share[neighbours[place]] / degree
            kept = 1.0 - offload[copy, node] if degree > 0 else 1.0
            sent[copy, node] = arrival_rates[copy] * (kept * share[node] + (1.0 - kept) * away)
    return sent
