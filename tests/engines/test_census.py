"""The census: what it counts is what a plain look at the trace of jobs gives, and what engines count without it."""

from dataclasses import replace

import numpy as np
import pytest

from emulator.engines.compiled.ordered import OrderedEngine
from emulator.engines.compiled.windows import WindowEngine
from emulator.engines.episode import COMPLETED, DROPPED, IN_SYSTEM, Traces
from emulator.engines.simpy.engine import SimpyEngine
from emulator.engines.ticks import tick_at, ticks_per_ms
from emulator.model.measuring import Measuring
from emulator.verification.random_networks import random_network
from emulator.verification.random_systems import random_case
from emulator.workload.workload import Workload


def episode_of(case, traces=Traces(), engine=SimpyEngine, **measuring):  # noqa: B008 (it is a constant)
    system = replace(case.system, measuring=Measuring(**measuring))
    return engine(system, case.dispatcher).episode(Workload(system, case.replication), traces)


def close(one, other):
    return one == pytest.approx(other, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("number", range(12))
def test_without_a_warm_up_it_counts_what_engines_count_anyway(number):
    case = random_network(number)
    usual, every = (episode_of(case, everything=everything).account for everything in (False, True))
    for name in ("span", "arrivals", "completions", "drops", "in_system", "losses"):
        assert getattr(usual, name) == getattr(every, name)
    for name in ("sojourn_time", "presence_time", "busy_time"):
        assert close(getattr(usual, name), getattr(every, name)), name
    assert np.array_equal(usual.sojourn_counts, every.sojourn_counts)
    assert (usual.waiting_time, usual.time_at_length, usual.schedulers) == (None, None, None)
    assert close(every.time_at_length.sum(), every.span * case.system.servers)
    assert close(every.time_at_length[1:].sum(), every.busy_time)
    assert close(every.time_at_length @ np.arange(case.system.buffer + 1), every.presence_time)


@pytest.mark.parametrize("number", range(12))
def test_after_a_warm_up_it_counts_what_the_trace_of_jobs_says(number):
    case = random_network(number)
    horizon = case.system.horizon
    warmup = float(np.random.default_rng(number).uniform(0.0, 0.8)) * horizon
    episode = episode_of(case, Traces(jobs=True, nodes=True), warmup=warmup)
    jobs, account, nodes = episode.jobs, episode.account, episode.nodes
    born = jobs.arrival_time >= warmup
    done = born & (jobs.outcome == COMPLETED)
    counts = [int((born & (jobs.outcome == outcome)).sum()) for outcome in (COMPLETED, DROPPED, IN_SYSTEM)]
    assert [account.completions, account.drops, account.in_system] == counts
    assert account.arrivals == sum(counts) == nodes.jobs.sum()
    assert close(account.sojourn_time, (jobs.departure_time - jobs.arrival_time)[done].sum())
    assert close(account.waiting_time, (jobs.start_time - jobs.reached_time)[done].sum())
    assert account.sojourn_counts.sum() == account.waiting_counts.sum() == account.completions
    here = (jobs.outcome != DROPPED) & ~np.isnan(jobs.reached_time)

    def after(times):
        return np.maximum(np.where(np.isnan(times), horizon, times), warmup)

    present = (after(jobs.departure_time) - after(jobs.reached_time))[here]
    served = (after(jobs.departure_time) - after(jobs.start_time))[here]
    assert close(account.presence_time, present.sum())
    assert close(account.busy_time, served.sum())
    by_server = np.bincount(jobs.server[here], present, minlength=case.system.servers)
    assert nodes.mean_queue_length * account.span == pytest.approx(by_server, rel=1e-9, abs=1e-9)
    assert nodes.busy_time.sum() == pytest.approx(account.busy_time)
    reached = jobs.reached_time >= warmup
    assert nodes.arrivals.tolist() == np.bincount(jobs.server[reached], minlength=case.system.servers).tolist()
    assert nodes.drops.sum() == (reached & (jobs.outcome == DROPPED)).sum()


@pytest.mark.parametrize("number", range(6))
def test_batches_add_up(number):
    case = random_case(number)
    warmup = 0.3 * case.system.horizon
    episode = episode_of(case, warmup=warmup, batches=5)
    account, batches = episode.account, episode.batches
    assert len(batches) == 5
    for name in ("arrivals", "completions", "drops", "in_system"):
        assert sum(getattr(batch, name) for batch in batches) == getattr(account, name)
    for name in ("span", "sojourn_time", "waiting_time", "presence_time", "busy_time"):
        assert close(sum(getattr(batch, name) for batch in batches), getattr(account, name)), name
    for name in ("sojourn_counts", "waiting_counts"):
        assert np.array_equal(sum(getattr(batch, name) for batch in batches), getattr(account, name))
    assert sum(batch.time_at_length for batch in batches) == pytest.approx(account.time_at_length)


def test_time_at_a_length_is_what_one_sees_at_random_times():
    case = random_case(3)
    episode = episode_of(case, Traces(jobs=True), everything=True)
    jobs, system = episode.jobs, case.system
    times = np.random.default_rng(1).uniform(0.0, system.horizon, 2000)
    lengths = np.zeros((len(times), system.servers), dtype=int)
    for job in np.flatnonzero(jobs.outcome != DROPPED):
        gone = jobs.departure_time[job] if jobs.outcome[job] == COMPLETED else np.inf
        lengths[(times >= jobs.reached_time[job]) & (times < gone), jobs.server[job]] += 1
    seen = np.bincount(lengths.ravel(), minlength=system.buffer + 1) / lengths.size
    spent = episode.account.time_at_length / episode.account.time_at_length.sum()
    assert seen == pytest.approx(spent, abs=0.02)


def test_a_trace_of_nodes_is_there_on_request_alone():
    case = random_case(0)
    assert episode_of(case).nodes is None
    for engine in (SimpyEngine, WindowEngine, OrderedEngine):
        nodes = episode_of(case, Traces(nodes=True), engine).nodes
        assert len(nodes.arrivals) == case.system.servers


def test_ticks_are_powers_of_two_and_sums_of_them_have_room():
    for horizon in (1e-300, 1e-3, 50.0, 1e6, 1e300):
        for spans in (1, 30_000, 10**11):
            per_ms = ticks_per_ms(horizon, spans)
            assert np.log2(per_ms) % 1 == 0
            assert horizon * per_ms * spans < 2.0**62
    per_ms = ticks_per_ms(50.0, 24_500)
    span = int(tick_at(np.float64(31.25), per_ms)) - int(tick_at(np.float64(0.1), per_ms))
    assert span / per_ms == pytest.approx(31.15, abs=1e-9)
