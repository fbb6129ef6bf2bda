"""Which engine emulates an episode, and whether two engines did the same."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from emulator.engines.episode import Episode
from emulator.engines.simpy import engine as simpy_engine
from emulator.model.system import System
from emulator.scenario.scenario import Scenario
from emulator.workload.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from dispatchers.contract import Dispatcher
    from emulator.engines.compiled.windows import CompiledEngine

COMPARED_JOBS = 4_000_000
"""Expected jobs of an episode up to which `auto` lets SimPy emulate the first replication, in well under a minute."""

SECONDS_PER_JOB = {"simpy": 1e-5, "compiled": 5e-8}
"""About what an engine takes, for the time left and the number of processes."""


class EnginesDifferError(RuntimeError):
    """The engines did not do the same, which should never happen; the message says where they part."""


class Mode(Enum):
    """Who emulates an episode."""

    SIMPY = "simpy"
    COMPILED = "compiled"
    BOTH = "both"
    """SimPy, and the compiled engine repeats it and has to agree to the last bit."""


def mode_of(
    scenario: Scenario, jobs: float, replication: int, obstacle: str | None = None, *, is_compared: bool = True
) -> Mode:
    """Return who emulates a replication of about `jobs` jobs; `obstacle` says why it cannot be compiled, if so.

    `is_compared` says whether the engines are compared at this point of the sweep.
    """
    if scenario.engine == "compiled":
        return Mode.COMPILED
    if scenario.engine == "simpy" or obstacle is not None:
        return Mode.SIMPY
    messages = replication < scenario.trace.messages  # they are objects, which travel in SimPy alone
    if replication == 0 and (messages or (is_compared and jobs <= COMPARED_JOBS)):
        return Mode.BOTH
    return Mode.SIMPY if messages else Mode.COMPILED


def obstacle_to(dispatcher: Dispatcher) -> str | None:
    """Return why the compiled engine cannot run a dispatcher, None if it can."""
    from emulator.engines.compiled.windows import obstacle_to

    return obstacle_to(dispatcher)


def seconds_of(mode: Mode, jobs: float) -> float:
    """Return about how long an episode of about `jobs` jobs takes."""
    return jobs * SECONDS_PER_JOB["compiled" if mode is Mode.COMPILED else "simpy"]


def emulate(
    mode: Mode,
    system: System,
    dispatcher: Dispatcher,
    workload: Workload,
    compiled_engine: Callable[[], CompiledEngine],
    *,
    jobs: bool = False,
    epochs: bool = False,
    messages: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Episode:
    """Emulate one episode as `mode` says, with the traces asked for.

    Raises `EnginesDifferError` if both engines are asked and do not agree.
    """
    if mode is Mode.COMPILED:
        return compiled_engine().run_episode(workload, jobs=jobs, epochs=epochs, progress=progress)
    both = mode is Mode.BOTH
    episode = simpy_engine.run_episode(
        system,
        dispatcher,
        workload,
        jobs=jobs or both,
        epochs=epochs or both,
        messages=messages,
        progress=progress,
    )
    if both:
        check_equal(episode, compiled_engine().run_episode(workload, jobs=True, epochs=True))
    return replace(episode, jobs=episode.jobs if jobs else None, epochs=episode.epochs if epochs else None)


def check_equal(one: Episode, other: Episode) -> None:
    """Raise `EnginesDifferError` unless two episodes are the same in every bit of their jobs, epochs and sums."""
    for part in ("jobs", "epochs", "totals"):
        mine, theirs = getattr(one, part), getattr(other, part)
        if mine is None and theirs is None:
            continue
        if mine is None or theirs is None:
            raise EnginesDifferError(f"{one.engine} and {other.engine} differ in whether they trace {part}")
        for name, values in vars(mine).items():
            here, there = np.asarray(values), np.asarray(getattr(theirs, name))
            same_kind = (here.shape, here.dtype) == (there.shape, there.dtype)
            if not same_kind or here.tobytes() != there.tobytes():
                place = _first_difference(here, there)
                raise EnginesDifferError(f"{one.engine} and {other.engine} differ in {name} of the {part}{place}")


def _first_difference(here: np.ndarray, there: np.ndarray) -> str:
    if (here.shape, here.dtype) != (there.shape, there.dtype):
        return f": {here.shape} values of {here.dtype} and {there.shape} of {there.dtype}"
    differs = np.frombuffer(here.tobytes(), np.uint8) != np.frombuffer(there.tobytes(), np.uint8)
    place = int(np.flatnonzero(differs.reshape(here.size, -1).any(axis=1))[0])
    return f", first at {place}: {here.reshape(-1)[place].item()!r} and {there.reshape(-1)[place].item()!r}"
