"""The nodes of an episode, for the engines that let stations serve: their state, what is drawn for them, their sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.engines.account import Account, Received
from emulator.engines.census import usual_account
from emulator.engines.compiled import station
from emulator.engines.episode import Totals
from emulator.engines.histogram import PLACES
from emulator.engines.service import Service, added, emptied
from emulator.model.system import System
from emulator.workload.marks import StationDraws

WORK_TOLERANCE = 1e-6
"""By which share the work that servers gave may differ from what was done of jobs, as numbers are rounded."""

EachPart = Callable[[int, Callable[[int, int, int], Any]], list[Any]]
"""(how many, work(part, first, last)) -> what the work returns for each thread's part of so many."""


def _at_once(count: int, work: Callable[[int, int, int], Any]) -> list[Any]:
    return [work(0, 0, count)]


class Nodes:
    """The nodes of one episode."""

    def __init__(
        self,
        system: System,
        replication: int,
        *,
        is_traced: bool,
        is_reported: bool = False,
        each_part: EachPart = _at_once,
        threads: int = 1,
    ):
        self.system = system
        self.draws = StationDraws(system, replication)
        self.each_part = each_part
        self.stations = station.new_stations(system, is_traced=is_traced, is_reported=is_reported)
        times = self.stations.times
        self.sheets = [(times, self.stations.sojourn_counts)]
        """What each thread adds up."""
        self.sheets += [(emptied(times), np.zeros(PLACES, dtype=np.int64)) for _ in range(threads - 1)]
        self.lengths = np.zeros(system.servers, dtype=np.int32)
        """How many jobs each node has at the epoch's start."""
        self.told = np.zeros(system.servers, dtype=np.int32)
        """How many it says that it has."""
        ranks = [one.priority if system.station.has_priorities else 0 for one in system.station.classes] or [0]
        self.priorities = np.array(ranks, dtype=np.int32)
        """Of each class; zeros where jobs are served in order of arrival."""
        failures = system.station.failures
        group = 1 if failures is None else failures.group
        groups = 0 if failures is None else -(-system.servers // group)
        self.group_of = np.arange(system.servers) // group
        self.next_toggle = np.array([next(self.draws.times_up_and_down(number * group))[0] for number in range(groups)])
        """When each group of nodes fails or is repaired next, as seen from the epoch's end."""
        self.toggled = np.zeros(groups, dtype=np.int64)
        """How often it has done so before."""
        if groups:
            nodes = self.stations.nodes
            nodes["toggle"] = nodes["time"] = self.next_toggle[self.group_of]
            nodes["step"] = station.FAILS
            self._list_failures(0.0)

    def begin(self, start: float, end: float) -> None:
        """Begin an epoch: catch up until its start, samples not yet taken; look at all nodes; list its failures."""
        self._catch_up(start, int(station.LOSES_PATIENCE))
        self.each_part(
            len(self.lengths), lambda part, *some: station.look(self.stations, self.lengths, self.told, *some)
        )
        if len(self.toggled):
            self._list_failures(end)

    def _list_failures(self, end: float) -> None:
        first = np.empty(len(self.toggled), dtype=np.int64)
        times = np.empty(max(2 * len(first), len(self.stations.toggles)))
        while self.draws.toggles(end, self.next_toggle, self.toggled, first, times) < 0:
            times = np.empty(2 * len(times))
        self.stations.nodes["first_toggle"] = first[self.group_of]
        self.stations = self.stations._replace(toggles=times)

    def _catch_up(self, time: float, last_step: int) -> None:
        self.each_part(len(self.lengths), lambda part, *some: station.catch_up(self.of(part), time, last_step, *some))

    def of(self, part: int) -> station.Stations:
        """Return the stations as one of the threads sees them."""
        times, sojourn_counts = self.sheets[part]
        return self.stations._replace(times=times, sojourn_counts=sojourn_counts)

    def close(self) -> None:
        """End the episode. Raises `RuntimeError` if servers have given other work than was done of jobs."""
        station.close_all(self.stations._replace(is_reported=False))  # nobody hears of what comes at the horizon
        nodes = self.stations.nodes
        differ = np.abs(nodes["given"] - nodes["done"]) > WORK_TOLERANCE * (1.0 + nodes["given"])
        if differ.any():
            server = int(np.flatnonzero(differ)[0])
            given, done = nodes["given"][server], nodes["done"][server]
            raise RuntimeError(f"server {server} has given {given:.9g} of work, but {done:.9g} was done of its jobs")

    def make_room(self, jobs: int) -> None:
        """Make room for the fates of so many traced jobs."""
        fates = self.stations.fates
        if jobs > len(fates):
            self.stations = self.stations._replace(fates=np.zeros(2 * jobs, dtype=station.FATE))
            self.stations.fates[: len(fates)] = fates

    def fates(self, jobs: int) -> dict[str, Any]:
        """Return the columns of a trace that say what has become of so many jobs."""
        return {name: self.stations.fates[name][:jobs].copy() for name in station.FATE.names or ()}

    def marks(
        self, scheduler: NDArray[np.int32], number: NDArray[np.int64], work: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
        """Return class, priority and patience of some jobs, and make works of bits where jobs are of classes."""
        class_, patience = self.draws.mark_all(scheduler, number, work)
        return class_, self.priorities[class_], patience

    def count(self, what: str) -> int:
        """Return how many jobs were completed, dropped, refused or lost, or gave_up, at all nodes."""
        return int(self.stations.nodes[what].sum(dtype=np.int64))

    def sums(self) -> dict[str, Any]:
        """Return the sums of an episode's totals that are a node's affair."""
        nodes = self.stations.nodes
        times_here, sojourns = (np.ascontiguousarray(nodes[name]) for name in ("time_here", "sojourn_time"))
        return {
            "completions": self.count("completed"),
            "drops": self.count("dropped"),
            "refused": self.count("refused"),
            "lost": self.count("lost"),
            "gave_up": self.count("gave_up"),
            "sojourn_time": float(np.sum(sojourns)),
            "presence_time": float(np.sum(times_here + nodes["waiting_time"])),
        }

    def service(self) -> Service:
        """Return what the nodes have done."""
        nodes, times = self.stations.nodes, added([times for times, _ in self.sheets])
        return Service(times, *(nodes[name].copy() for name in ("presence", "busy", "down")))

    def account(self, system: System, totals: Totals, received: Received) -> Account:
        """Return the account of the whole episode."""
        times, counts = self.service().times, np.sum([counts for _, counts in self.sheets], axis=0)
        spent = (int(ticks.sum()) / times.per_ms for ticks in (times.busy, times.down))
        return usual_account(system, totals, counts, received, *spent)

    def fingerprint(self) -> int:
        """Return the sum of the jobs' fingerprints."""
        return int(np.sum(self.stations.nodes["fingerprint"], dtype=np.uint64))
