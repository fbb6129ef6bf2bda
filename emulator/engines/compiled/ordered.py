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
from emulator.engines.compiled import fates, rules, walk
from emulator.engines.compiled.answers import OnDemand
from emulator.engines.compiled.calendar import Calendar
from emulator.engines.compiled.slices import Jobs, JobStreams, Slice
from emulator.engines.compiled.world import (
    ANSWERED,
    ASKED,
    BUSY,
    COMPLETIONS,
    DECISIONS,
    DROPS,
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
    UNTRACED,
    Episode,
    Totals,
    Traces,
    epoch_trace,
    joined,
    reached_epoch,
    share_elsewhere,
)
from emulator.engines.news import Ages, age_over, ages_of
from emulator.engines.ticks import ticks_per_ms
from emulator.machine.compiling import is_ours
from emulator.model.network import Network
from emulator.model.system import System
from emulator.workload.messages import MessageDraws
from emulator.workload.workload import Workload


class OrderedEngine:
    """Emulates episodes of one system under one dispatcher; keeps the dispatcher's answers from one to the next."""

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
    def obstacle(dispatcher: Dispatcher, network: Network, traces: Traces = UNTRACED) -> str | None:
        """See `Engine.obstacle`: messages are no objects here, and numba cannot compile all users' per-job rules."""
        if traces.messages:
            return "messages travel in SimPy alone"
        return rules.obstacle_to(dispatcher)

    def episode(
        self, workload: Workload, traces: Traces = UNTRACED, progress: Callable[[float], None] | None = None
    ) -> Episode:
        """See `Engine.episode`. Raises `DispatcherError` if the dispatcher's answers break the contract."""
        run = _Run(self, workload, traces)
        parts = list(run.parts(progress))
        totals = run.totals()
        return Episode(
            engine="ordered",
            totals=totals,
            **run.accounts(totals),
            jobs=joined([jobs for jobs, _ in parts if jobs is not None]) if traces.jobs else None,
            epochs=joined([epochs for _, epochs in parts if epochs is not None]) if traces.epochs else None,
        )

    def parts(self, workload: Workload, traces: Traces) -> Iterator[Part]:
        """See `Engine.parts`; an epoch's traces are gone before the next, unless jobs can be on their way then."""
        yield from _Run(self, workload, traces).parts()


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
        self.observations.begin(self.world, workload)
        self.settings = self._settings()
        self.column = np.zeros(system.access.scheduler_count, dtype=np.int32)
        """Where each scheduler sends its jobs, if a rule is drawn for all until the next decision."""
        self.is_whole = not system.network.dispatch.is_none
        """Whether traces come for the whole episode at once: a job can reach its server in a later epoch."""
        self.rows, self.traced = fates.empty_rows(0), 0
        """The jobs that are traced, and how many there are."""
        self.born: list[NDArray[np.int64]] = []
        """Of each traced epoch the jobs of each scheduler."""
        self.lengths: list[NDArray[np.int32]] = []
        self.offload_probability: list[NDArray[np.float64]] = []
        """Of each traced epoch."""
        self.drops_by_epoch = np.zeros(workload.epochs, dtype=np.int64)
        self.received = Received(*np.zeros((2, workload.epochs), dtype=np.int64))

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
            ticks_per_ms=ticks_per_ms(system.horizon, system.servers),
        )

    def parts(self, progress: Callable[[float], None] | None = None) -> Iterator[Part]:
        """Run epoch by epoch and yield the traces that are wanted, of each epoch or of all at the end."""
        for epoch in range(self.workload.epochs):
            if progress is not None:
                progress(self.workload.times[epoch])
            self._run_epoch(epoch)
            if epoch + 1 == self.workload.epochs:
                walk.close(self.world, self.settings, self.rows)
            if not self.is_whole or epoch + 1 == self.workload.epochs:
                yield self._part(epoch)
        if progress is not None:
            progress(self.system.horizon)

    def _run_epoch(self, epoch: int) -> None:
        before = int(self.world.tally[DROPS])
        if self.is_traced or self.observations.is_global:
            lengths = walk.lengths_at(self.world, float(self.workload.times[epoch]))
            self.lengths.append(lengths)
            if self.observations.is_global:
                self.observations.note_distribution(lengths)
        for slice_ in self.streams.slices(epoch, self.calendar.rate):
            self._run_slice(slice_)
        if self.traces.epochs or epoch + 1 == self.workload.epochs:
            end = float(self.workload.times[epoch + 1])
            self._until_done(lambda: self.engine.decide_all(*self._rule(), end, self.traces.epochs))
            if self.traces.epochs:
                self.offload_probability.append(self._offload_probability())
        if self.is_traced:
            self.born.append(self.streams.number.copy())
        self.drops_by_epoch[epoch] = self.world.tally[DROPS] - before
        self.received.jobs[epoch], self.received.squares[epoch] = walk.close_epoch(self.world)

    def _run_slice(self, slice_: Slice) -> None:
        jobs, events = self.streams.jobs(slice_), self.calendar.events(slice_)
        self._make_room(len(jobs.work))
        if self.is_traced:
            self._note(slice_, jobs)
        cursor = np.zeros(3, dtype=np.int64)
        first_row = self.traced
        self._until_done(lambda: self.engine.walk(*self._rule(), jobs, events, cursor, self.rows, first_row))
        if self.is_traced:
            self.traced += len(jobs.work)
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
            self.rows = fates.longer(self.rows, self.traced, 2 * (self.traced + jobs))

    def _note(self, slice_: Slice, jobs: Jobs) -> None:
        """Write down what is known of a slice's jobs beforehand."""
        here = slice(self.traced, self.traced + len(jobs.work))
        rows = self.rows
        rows.scheduler[here], rows.number[here], rows.epoch[here] = jobs.scheduler, jobs.number, slice_.epoch
        rows.work[here], rows.arrival_time[here] = jobs.work, jobs.times[:-1]

    def _part(self, epoch: int) -> Part:
        """Return the traces of the epochs since the last part, up to this one."""
        if not self.is_traced:
            return None, None
        if self.census is not None:
            known = fates.Rows(*(column[: self.traced] for column in self.rows))
            self.census.add(known, float(self.workload.times[epoch + 1]))
        part = self._traces(epoch) if self.traces.jobs or self.traces.epochs else (None, None)
        self.traced = 0
        self.born.clear()
        self.lengths.clear()
        self.offload_probability.clear()
        return part

    def _traces(self, epoch: int) -> Part:
        """Return those that are wanted of them."""
        jobs = fates.in_job_order(self.rows, self.traced, at_once=not self.is_whole)
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
        arrivals = int(self.streams.before.sum() + self.streams.number.sum())
        drops, completions = int(tally[DROPS]), int(tally[COMPLETIONS])
        sojourn_time = world.queues["sojourn_time"]
        time_here = world.time_here if self.settings.has_dispatch else sojourn_time
        return Totals(
            arrivals=arrivals,
            completions=completions,
            drops=drops,
            in_system=arrivals - completions - drops,
            drops_by_epoch=self.drops_by_epoch,
            sojourn_time=float(np.sum(np.ascontiguousarray(sojourn_time))),
            presence_time=float(np.sum(time_here + world.waiting_time)),
            decisions=int(tally[DECISIONS]),
            mail=self.calendar.mail(*(int(tally[what]) for what in (SENT, RECEIVED, LOST, IGNORED))),
            ages=self._ages(),
            fingerprint=int(world.fingerprint[0]),
        )

    def accounts(self, totals: Totals) -> dict[str, Any]:
        """Return what is counted beside the sums, by the names in `Episode`."""
        if self.census is not None:
            return self.census.accounts(self.workload.times[:-1], self.drops_by_epoch, self.received)
        busy_time = int(self.world.tally[BUSY]) / self.settings.ticks_per_ms
        return {"account": usual_account(self.system, totals, busy_time, self.world.sojourn_counts, self.received)}

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
            self.streams.before + self.streams.number,
            schedulers["age_at_jobs"],
        )
