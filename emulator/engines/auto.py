"""Which engines emulate an episode: under `auto` the reference does the first replication, and another repeats it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from emulator.engines.comparison import check_equal
from emulator.engines.engine import ENGINES, REFERENCE, Engine
from emulator.engines.episode import UNTRACED, Episode, Traces

if TYPE_CHECKING:
    from dispatchers.contract import Dispatcher
    from emulator.scenario.scenario import Scenario
    from emulator.workload.workload import Workload

COMPARED_JOBS = 4_000_000
"""Expected jobs of an episode up to which `auto` lets SimPy emulate the first replication, in well under a minute."""

Names = Sequence[str]
"""Engines of one episode: that of the first one counts, the others have to agree."""


def quickest_for(scenario: Scenario) -> str:
    """Return the engine of most replications: the one by windows where schedulers are in step, without feedback."""
    return "compiled" if scenario.network().is_synchronous and not scenario.has_feedback() else "ordered"


def engines_of(
    scenario: Scenario, jobs: float, replication: int, obstacle: str | None = None, *, is_compared: bool = True
) -> Names:
    """Return the engines that emulate a replication of about `jobs` jobs.

    `obstacle` says why the quickest one cannot run the dispatcher, if so, and `is_compared` whether engines are
    compared at this point of the sweep.
    """
    if scenario.engine != "auto":
        return (scenario.engine,)
    if obstacle is not None:
        return (REFERENCE,)
    messages = replication < scenario.trace.messages  # they are objects, which travel in SimPy alone
    quickest = quickest_for(scenario)
    if replication == 0 and (messages or (is_compared and jobs <= COMPARED_JOBS)):
        return (REFERENCE, quickest)
    return (REFERENCE,) if messages else (quickest,)


def obstacle_to(dispatcher: Dispatcher, scenario: Scenario) -> str | None:
    """Return why the quickest engine for a scenario, or the one that it names, cannot run a dispatcher."""
    name = quickest_for(scenario) if scenario.engine in ("auto", REFERENCE) else scenario.engine
    return ENGINES[name].load().obstacle(dispatcher, scenario.network(), has_feedback=scenario.has_feedback())


def seconds_of(names: Names, jobs: float) -> float:
    """Return about how long an episode of about `jobs` jobs takes."""
    return jobs * ENGINES[names[0]].seconds_per_job


def emulate(
    names: Names,
    engine: Callable[[str], Engine],
    workload: Workload,
    traces: Traces = UNTRACED,
    progress: Callable[[float], None] | None = None,
) -> Episode:
    """Emulate one episode with the traces asked for; `engine` makes an engine by its name.

    Raises `EnginesDifferError` if several engines are asked and do not agree.
    """
    first, *others = names
    if not others:
        return engine(first).episode(workload, traces, progress)
    everything = Traces(jobs=True, epochs=True, nodes=traces.nodes)
    episode = engine(first).episode(workload, everything._replace(messages=traces.messages), progress)
    for name in others:
        check_equal(episode, engine(name).episode(workload, everything))
    return replace(
        episode, jobs=episode.jobs if traces.jobs else None, epochs=episode.epochs if traces.epochs else None
    )
