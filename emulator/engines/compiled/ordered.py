"""The ordered engine: the SimPy engine's episodes to the last bit on any network, walked through in order of time.

All that is drawn does not depend on what happens: jobs, samples, and how long messages take. So for each slice of time
it is drawn and sorted before, and then one walk merges it. One thread walks; replications fill the cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatchers.choice import Chosen, Drawn, Fixed
from dispatchers.contract import Dispatcher, PerJobDispatcher, name_of
from dispatchers.errors import DispatcherError
from emulator.engines.account import Received
from emulator.engines.census import Census, usual_account
from emulator.engines.compiled import fates, feedback, rules, station, walk
from emulator.engines.compiled.answers import OnDemand
from emulator.engines.compiled.calendar import Calendar
from emulator.engines.compiled.in_parts import EngineInParts
from emulator.engines.compiled.nodes import Nodes
from emulator.engines.compiled.slices import Jobs, JobStreams, Slice
from emulator.engines.compiled.world import (
    ANSWERED,
    ASKED,
    BUSY,
    COMPLETIONS,
    DECISIONS,
    DROPS,
    GAVE_UP_UNDER_WAY,
    IGNORED,
    LOST,
    ON_ITS_WAY,
    RECEIVED,
    SCHEDULER,
    SENT,
    UNDER_WAY,
    Settings,
    new_world,
)
from emulator.engines.engine import Part
from emulator.engines.episode import (
    GONE,
    UNTRACED,
    Totals,
    Traces,
    epoch_trace,
    reached_epoch,
    share_elsewhere,
)
from emulator.engines.news import Ages, age_over, ages_of
from emulator.engines.service import scale_of
from emulator.machine.compiling import is_ours
from emulator.model.network import Network
from emulator.model.system import System
from emulator.workload.messages import MessageDraws
from emulator.workload.workload import Workload


class OrderedEngine(EngineInParts):
    """Emulates episodes of one system under one dispatcher; keeps the dispatcher's answers from one to the next."""

    name = "ordered"

    def __init__(self, system: System, dispatcher: Dispatcher, threads: int = 1):
        self.system = system
        self.dispatcher = dispatcher
        self.observations = OnDemand(dispatcher, system)
        self.chosen: Any = None
        """The kind of the rule values of a per-job dispatcher."""
        self.choose: Any = None
        if isinstance(dispatcher, PerJobDispatcher):
            self.chosen = rules.kind_of(dispatcher.choose)
            self.choose = rules.compiled_choice(dispatcher.choose) if self.chosen is Chosen else None
        self.walk, self.decide_all = walk.walk, walk.decide_all
        if self.chosen is Chosen:
            self.walk, self.decide_all = walk.walk_for_users, walk.decide_all_for_users
        elif self.chosen is not None and not is_ours(dispatcher):
            self.walk = walk.walk_counting

    @staticmethod
    def obstacle(
        dispatcher: Dispatcher, network: Network, traces: Traces = UNTRACED, *, has_feedback: bool = False
    ) -> str | None:
        """See `Engine.obstacle`: messages are no objects here, and numba cannot compile all users' per-job rules."""
        if traces.messages:
            return "messages travel in SimPy alone"
        return rules.obstacle_to(dispatcher)

    def begin(self, workload: Workload, traces: Traces) -> _Run:
        """See `EngineInParts.begin`."""
        return _Run(self, workload, traces)


class _Run:
    """One episode on its way."""

    def __init__(self, engine: OrderedEngine, workload: Workload, traces: Traces):
        system = engine.system
        self.engine = engine
        self.system = system
        self.workload = workload
        self.traces = traces
        self.census = Census(system) if traces.nodes or system.measuring.needs_census else None
        self.is_traced = traces.jobs or traces.epochs or self.census is not None
        self.observations = engine.observations
        self.draws = MessageDraws(system, workload.replication)
        self.calendar = Calendar(system, self.draws, self.observations.is_global)
        self.streams = JobStreams(system, workload, self.draws)
        self.world = new_world(system, engine.chosen is not None)
        if system.network.decisions is not None:
            phases, periods = self.draws.decision_clock
            self.world = self.world._replace(decision_phase=phases, decision_period=periods)
            self.world.tick[:] = phases == 0.0  # time 0 comes first in any case
        self.nodes: Nodes | None = None
        """The stations, where servers are more than FIFO queues."""
        if not system.station.is_plain:
            is_reported = system.station.retries is not None
            self.nodes = self.streams.nodes = Nodes(
                system, workload.replication, is_traced=self.is_traced, is_reported=is_reported
            )
            if is_reported:
                heard = feedback.new_feedback(system, self.nodes.draws, self.draws)
                self.world = self.world._replace(feedback=heard)
        self.observations.begin(self.world, workload)
        self.settings = self._settings()
        self.column = np.zeros(system.access.scheduler_count, dtype=np.int32)
        """Where each scheduler sends its jobs, if a rule is drawn for all until the next decision."""
        self.is_whole = not system.network.dispatch.is_none or self.nodes is not None
        """Whether traces come for the whole episode at once: a job's fate can be known in a later epoch."""
        self.rows, self.traced = fates.empty_rows(0), 0
        """The jobs that are traced, and how many there are."""
        self.born: list[NDArray[np.int32]] = []
        """Of each traced epoch the jobs of each scheduler."""
        self.lengths: list[NDArray[np.int32]] = []
        self.offload_probability: list[NDArray[np.float64]] = []
        """Of each traced epoch."""
        self.drops_by_epoch = np.zeros(workload.epochs, dtype=np.int64)
        self.received = Received(*np.zeros((2, workload.epochs), dtype=np.int64))

    @property
    def hears(self) -> bool:
        """Whether somebody hears what becomes of jobs."""
        return self.system.station.retries is not None

    def _settings(self) -> Settings:
        system, network, access = self.system, self.system.network, self.system.access
        return Settings(
            horizon=float(system.horizon),
            seed=self.workload.seeds[0],
            replication=self.workload.seeds[1],
            own=int(access.has_own),
            own_is_near=access.has_own and network.own_dispatch_is_exact,
            difference=0 if self.calendar.is_poll else network.difference,
            keeps_newest=network.keeps_newest,
            is_poll=self.calendar.is_poll,
            is_instant=self.calendar.is_instant,
            has_clock=network.decisions is not None,
            has_dispatch=not network.dispatch.is_none,
            per_length=float(network.dispatch.per_length),
            lengths=np.empty(0) if access.lengths is None else access.lengths,
            is_traced=self.is_traced,
            ticks_per_ms=scale_of(system),
        )

    def parts(self, progress: Callable[[float], None] | None = None) -> Iterator[Part]:
        """Run epoch by epoch and yield the traces that are wanted, of each epoch or of all at the end."""
        for epoch in range(self.workload.epochs):
            if progress is not None:
                progress(self.workload.times[epoch])
            self._run_epoch(epoch)
            if epoch + 1 == self.workload.epochs:
                walk.close(self.world, self.settings, self.rows)
                if self.nodes is not None:
                    self.nodes.close()
            if not self.is_whole or epoch + 1 == self.workload.epochs:
                yield self._part(epoch)
        if progress is not None:
            progress(self.system.horizon)

    def _run_epoch(self, epoch: int) -> None:
        before = self._drops()
        self._look(epoch)
        for slice_ in self.streams.slices(epoch, self.calendar.rate):
            self._run_slice(slice_)
        if self.traces.epochs or epoch + 1 == self.workload.epochs:
            end = float(self.workload.times[epoch + 1])
            self._until_done(lambda: self.engine.decide_all(*self._rule(), end, self.traces.epochs))
            if self.traces.epochs:
                self.offload_probability.append(self._offload_probability())
        if self.is_traced:
            self.born.append(self.streams.cursor.number.copy())
        self.drops_by_epoch[epoch] = self._drops() - before
        of_epoch = walk.close_epoch(self.world) if self.nodes is None else station.close_epoch(self.nodes.stations)
        self.received.jobs[epoch], self.received.squares[epoch] = of_epoch

    def _drops(self) -> int:
        return int(self.world.tally[DROPS]) if self.nodes is None else self.nodes.count("dropped")

    def _look(self, epoch: int) -> None:
        """Note what is to be seen of all queues at an epoch's start."""
        start, end = (float(time) for time in self.workload.times[epoch : epoch + 2])
        if self.nodes is not None:
            self.nodes.begin(start, end)
            self.world = self.world._replace(stations=self.nodes.stations)
        if self.hears:
            feedback.replay_all(self.world.feedback, self.world.stations)
            self.world.feedback.tally[feedback.EPOCH] = epoch
        if not (self.is_traced or self.observations.is_global):
            return
        if self.nodes is None:
            lengths = told = walk.lengths_at(self.world, start)
        else:
            lengths, told = self.nodes.lengths.copy(), self.nodes.told.copy()
        self.lengths.append(lengths)
        if self.observations.is_global:
            self.observations.note_distribution(told)

    def _run_slice(self, slice_: Slice) -> None:
        jobs, events = self.streams.jobs(slice_), self.calendar.events(slice_)
        self._make_room(len(jobs.work))
        if self.is_traced:
            self._note(slice_, jobs)
        if self.hears:
            self.world.feedback.tally[feedback.FURTHER] = 0
        cursor = np.zeros(3, dtype=np.int64)
        first_row = self.traced
        self._until_done(lambda: self.engine.walk(*self._rule(), jobs, events, cursor, self.rows, first_row))
        if self.is_traced:
            self.traced += len(jobs.work)
            if self.hears:
                self.traced += int(self.world.feedback.tally[feedback.FURTHER])
        self.calendar.carry(slice_)

    def _until_done(self, go_on: Callable[[], int]) -> None:
        """Let a kernel go on until it is done, and ask the dispatcher whenever it lacks an answer."""
        tally = self.world.tally
        while (code := go_on()) != walk.DONE:
            if code == walk.WRONG_COLUMN:
                raise DispatcherError(
                    f"{name_of(self.engine.dispatcher)}: choose must return a column of an accessible server; "
                    "engine simpy says what it returned"
                )
            if code == walk.NO_ROOM:
                self._make_room_for_more()
            else:
                tally[ANSWERED] = self.observations.learn(int(tally[ASKED]))

    def _rule(self) -> tuple[Any, ...]:
        """Return the rule, its answers and what else every kernel takes."""
        observations, world, engine = self.observations, self.world, self.engine
        numbers, start = observations.numbers, world.schedulers["start"]
        rule: Any = Drawn(numbers, start)
        if engine.chosen is not None:
            rule = engine.chosen(numbers, start, world.order, world.sent, engine.choose)
        elif engine.dispatcher.draws == "epoch":
            rule = Fixed(self.column)
        return rule, numbers, world, self.settings, observations.table()

    def _make_room(self, jobs: int) -> None:
        """Make room for so many more jobs on their way, and in the rows of traced ones."""
        if self.settings.has_dispatch:
            room, needed = len(self.world.under_way), int(self.world.tally[UNDER_WAY]) + jobs
            if needed > room:
                more = 2 * needed - room
                self.world = self.world._replace(
                    reach_times=np.append(self.world.reach_times, np.zeros(more)),
                    on_their_way=np.append(self.world.on_their_way, np.arange(room, room + more, dtype=np.int32)),
                    under_way=np.append(self.world.under_way, np.zeros(more, dtype=ON_ITS_WAY)),
                )
        if self.is_traced and self.traced + jobs > len(self.rows.server):
            self.rows = fates.longer(self.rows, len(self.rows.server), 2 * (self.traced + jobs))
            if self.nodes is not None:
                self.nodes.make_room(len(self.rows.server))
                self.world = self.world._replace(stations=self.nodes.stations)

    def _make_room_for_more(self) -> None:
        """Make room where jobs that come again may have filled it."""
        self.world = self.world._replace(feedback=feedback.with_room(self.world.feedback))
        self._make_room(max(len(self.world.under_way), len(self.rows.server)) + 1)

    def _note(self, slice_: Slice, jobs: Jobs) -> None:
        """Write down what is known of a slice's jobs beforehand."""
        here = slice(self.traced, self.traced + len(jobs.work))
        rows = self.rows
        rows.scheduler[here], rows.number[here], rows.epoch[here] = jobs.scheduler, jobs.number, slice_.epoch
        rows.work[here], rows.arrival_time[here] = jobs.work, jobs.times[:-1]
        if len(jobs.class_):
            rows.class_[here] = jobs.class_

    def _part(self, epoch: int) -> Part:
        """Return the traces of the epochs since the last part, up to this one."""
        if not self.is_traced:
            return None, None
        rows = self.rows
        if self.nodes is not None:
            rows = rows._replace(**self.nodes.fates(self.traced))
        if self.census is not None:
            self.census.add(fates.first(rows, self.traced), float(self.workload.times[epoch + 1]))
        part = self._traces(epoch, rows) if self.traces.jobs or self.traces.epochs else (None, None)
        self.traced = 0
        self.born.clear()
        self.lengths.clear()
        self.offload_probability.clear()
        return part

    def _traces(self, epoch: int, rows: fates.Rows) -> Part:
        """Return those that are wanted of them."""
        jobs = fates.in_job_order(rows, self.traced, at_once=self.system.network.dispatch.is_none)
        first = epoch + 1 - len(self.born)
        epochs = None
        if self.traces.epochs:
            queue_length, probability = np.array(self.lengths), np.array(self.offload_probability)
            reached = reached_epoch(jobs, self.workload.times)
            if self.engine.chosen is not None:
                relative = replace(jobs, epoch=jobs.epoch - first)
                probability = share_elsewhere(relative, self.system.access, probability.shape)
            relative_epoch = np.where(reached < 0, reached, reached - first)
            epochs = epoch_trace(queue_length, probability, relative_epoch, jobs.server, jobs.outcome)
        return jobs if self.traces.jobs else None, epochs

    def _offload_probability(self) -> NDArray[np.float64]:
        """Return each scheduler's probability of sending a job elsewhere, if it has an own server and the rule one."""
        access = self.system.access
        if self.engine.chosen is not None or not access.has_own:
            return np.full(access.scheduler_count, np.nan)
        if self.engine.dispatcher.draws == "epoch":
            return (self.column != 0).astype(np.float64)
        return 1.0 - self.observations.numbers[self.world.schedulers["start"]]

    def totals(self) -> Totals:
        """Return the sums, when all epochs have been run."""
        world, tally = self.world, self.world.tally
        new = int(self.streams.cursor.jobs_so_far.sum())
        arrivals = int(self.world.feedback.arrived.sum()) if self.hears else new
        fingerprint = int(world.fingerprint[0])
        if self.nodes is None:
            sojourn_time = world.queues["sojourn_time"]
            time_here = world.time_here if self.settings.has_dispatch else sojourn_time
            sums: dict[str, Any] = {
                "completions": int(tally[COMPLETIONS]),
                "drops": int(tally[DROPS]),
                "sojourn_time": float(np.sum(np.ascontiguousarray(sojourn_time))),
                "presence_time": float(np.sum(time_here + world.waiting_time)),
            }
        else:
            sums = self.nodes.sums()
            sums["gave_up"] += int(tally[GAVE_UP_UNDER_WAY])
            fingerprint = (fingerprint + self.nodes.fingerprint()) % 2**64
        return Totals(
            arrivals=arrivals,
            in_system=arrivals - sum(sums.get(name, 0) for name in GONE),
            drops_by_epoch=self.drops_by_epoch,
            decisions=int(tally[DECISIONS]),
            mail=self.calendar.mail(*(int(tally[what]) for what in (SENT, RECEIVED, LOST, IGNORED))),
            ages=self._ages(),
            fingerprint=fingerprint,
            retries=arrivals - new,
            **sums,
        )

    def accounts(self, totals: Totals) -> dict[str, Any]:
        """Return what is counted beside the sums, by the names in `Episode`."""
        nodes, received = self.nodes, self.received
        if self.census is not None:
            service = None if nodes is None else nodes.service()
            return self.census.accounts(self.workload.times[:-1], self.drops_by_epoch, received, service)
        if nodes is not None:
            return {"account": nodes.account(self.system, totals, received)}
        busy_time = int(self.world.tally[BUSY]) / self.settings.ticks_per_ms
        return {"account": usual_account(self.system, totals, self.world.sojourn_counts, received, busy_time)}

    def _ages(self) -> Ages:
        others = self.system.access.others
        schedulers = {name: self.world.schedulers[name].copy() for name in SCHEDULER.names or ()}
        horizon = float(self.system.horizon)
        rest = age_over(others, schedulers["sampled"], schedulers["since"], horizon)
        return ages_of(
            others,
            horizon,
            schedulers["age_over_time"] + rest,
            schedulers["decisions"].astype(np.int64),
            schedulers["age_at_decisions"],
            self.world.feedback.arrived if self.hears else self.streams.cursor.jobs_so_far,
            schedulers["age_at_jobs"],
        )
