"""What an engine returns for one episode: every engine fills the same columns with the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from emulator.engines.account import Account, NodeTrace
from emulator.engines.news import Ages, Mail
from emulator.machine.compiling import compiled
from emulator.model.access import Access

COMPLETED, DROPPED, IN_SYSTEM, REFUSED, LOST_JOB, GAVE_UP = range(6)
OUTCOMES = ("completed", "dropped", "in system", "refused", "lost", "gave up")
"""What became of a job by the horizon, in the order of the codes above.

Servers drop jobs when their buffers are full, refuse them when they are down, and lose them when they fail.
"""

GONE = "completions", "drops", "refused", "lost", "gave_up"
"""The sums of jobs that are no longer in the system, by their names in `Totals`."""

RECEIVED, IGNORED, LOST, UNDER_WAY = range(4)
FATES = ("received", "ignored", "lost", "under way")
"""What became of a message by the horizon, in the order of the codes above; ignored ones were received, too."""


class Traces(NamedTuple):
    """Which traces of an episode are wanted."""

    jobs: bool = False
    epochs: bool = False
    messages: bool = False
    nodes: bool = False


UNTRACED = Traces()


@dataclass(frozen=True)
class JobTrace:
    """One entry per attempt of a job, numbered by epoch, then scheduler, then time.

    Times in ms; NaN where it did not happen.
    """

    epoch: NDArray[np.int32]
    scheduler: NDArray[np.int32]
    server: NDArray[np.int32]
    arrival_time: NDArray[np.float64]
    reached_time: NDArray[np.float64]
    """When the job reached its server: its arrival time, unless dispatch takes time."""
    start_time: NDArray[np.float64]
    departure_time: NDArray[np.float64]
    """When it left its server: completed, lost, or because it gave up."""
    work: NDArray[np.float64]
    queue_length_at_arrival: NDArray[np.int32]
    outcome: NDArray[np.int8]
    class_: NDArray[np.int32]
    attempt: NDArray[np.int32]
    """How often the job had been tried before."""


@dataclass(frozen=True)
class EpochTrace:
    """Epochs x nodes; a node is the server and the scheduler of its number, as far as there are such.

    `queue_length` is the server's at the epoch's start; `arrivals` and `drops` are jobs that reached the server in
    the epoch, and those of them dropped. `offload_probability` is the scheduler's: of sending a job elsewhere than to
    its own server; for a per-job rule the share of the epoch's jobs sent elsewhere, NaN if it had none. Where there
    is no such server or scheduler, whole numbers are -1 and probabilities NaN.
    """

    queue_length: NDArray[np.int32]
    arrivals: NDArray[np.int32]
    drops: NDArray[np.int32]
    offload_probability: NDArray[np.float64]


Trace = TypeVar("Trace", JobTrace, EpochTrace)


def joined(parts: Sequence[Trace]) -> Trace:
    """Return the traces of several epochs, one after another, as one."""
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    return type(parts[0])(**columns)


def epoch_trace(
    queue_length: NDArray[np.int32],
    offload_probability: NDArray[np.float64],
    epoch: NDArray[np.int32],
    server: NDArray[np.int32],
    outcome: NDArray[np.int8],
) -> EpochTrace:
    """Return the trace of some epochs, in which job i reached `server[i]` in `epoch[i]` with this `outcome`.

    `queue_length` is epochs x servers, `offload_probability` epochs x schedulers. A job that has reached no server has
    epoch -1.
    """
    shape = queue_length.shape
    place = epoch.astype(np.int64) * shape[1] + server
    nodes = max(shape[1], offload_probability.shape[1])

    def counted(those: NDArray[np.bool_]) -> NDArray[np.int32]:
        return np.bincount(place[those], minlength=shape[0] * shape[1]).reshape(shape).astype(np.int32)

    def of_nodes(values: NDArray[Any], nothing: float) -> NDArray[Any]:
        return np.pad(values, ((0, 0), (0, nodes - values.shape[1])), constant_values=nothing)

    return EpochTrace(
        of_nodes(queue_length, -1),
        of_nodes(counted(epoch >= 0), -1),
        of_nodes(counted(outcome == DROPPED), -1),
        of_nodes(offload_probability, np.nan),
    )


def reached_epoch(jobs: JobTrace, times: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the epoch in which each job reached its server, -1 for one on its way; `times` (ms) are epochs' starts."""
    if jobs.reached_time is jobs.arrival_time:
        return jobs.epoch
    epoch = (np.searchsorted(times, jobs.reached_time, side="right") - 1).astype(np.int32)
    epoch[np.isnan(jobs.reached_time)] = -1
    return epoch


def share_elsewhere(jobs: JobTrace, access: Access, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the share of each scheduler's jobs of an epoch sent elsewhere than to its own server; epochs x nodes.

    NaN where there were none, or where schedulers have no own server.
    """
    if not access.has_own:
        return np.full(shape, np.nan)
    place = jobs.epoch.astype(np.int64) * shape[1] + jobs.scheduler
    kept = jobs.server == access.servers[access.offsets[:-1]][jobs.scheduler]
    born, stayed = (np.bincount(places, minlength=shape[0] * shape[1]) for places in (place, place[kept]))
    share = np.full(born.shape, np.nan)
    np.divide(stayed, born, out=share, where=born > 0)
    return (1.0 - share).reshape(shape)


@dataclass(slots=True)
class MessageRecord:
    """One message and what became of it; server or scheduler is -1 where the monitor of global state is meant.

    Times in ms, NaN where it was not received.
    """

    kind: str
    """`state` of a server, `question` of a scheduler, `answer` to one, or `distribution` of all lengths."""
    number: int
    """Which sample of the sender it tells, or which question of the scheduler it asks or answers."""
    sent_time: float
    received_time: float
    server: int
    scheduler: int
    queue_length: int
    """-1 where none is told."""
    age: float
    """How old its news was when it was received."""
    fate: int
    """See `FATES`."""


@dataclass(frozen=True)
class Totals:
    """The sums of an episode over all nodes.

    Arrivals are attempts, each of which has one of the outcomes. `drops_by_epoch` has one number per epoch.
    `sojourn_time` adds up the completed jobs' times from arrival to departure, `presence_time` all accepted jobs' times
    from reaching their server to leaving it or the horizon (ms).
    """

    arrivals: int
    completions: int
    drops: int
    in_system: int
    drops_by_epoch: NDArray[np.int64]
    sojourn_time: float
    presence_time: float
    decisions: int
    mail: Mail
    ages: Ages
    fingerprint: int
    refused: int = 0
    lost: int = 0
    gave_up: int = 0
    retries: int = 0
    """Attempts that are not the first of their job."""


@dataclass(frozen=True)
class Episode:
    """One episode: its sums always, its traces where they were asked for."""

    engine: str
    totals: Totals
    """Of the whole episode."""
    account: Account
    """Of what follows the warm-up; and of each batch, if there are any."""
    batches: tuple[Account, ...] = ()
    jobs: JobTrace | None = None
    epochs: EpochTrace | None = None
    messages: list[MessageRecord] | None = None
    nodes: NodeTrace | None = None


@compiled(inline="always")
def outcome_word(outcome):  # type: ignore[no-untyped-def]
    """Return what stands for an outcome in a fingerprint: no other than 3 goes with the 3 of one in four."""
    return outcome if outcome < REFUSED else REFUSED + ((outcome - REFUSED) << 40)


@compiled(inline="always")
def job_fingerprint(server, outcome, arrival_time, start_time, departure_time):  # type: ignore[no-untyped-def]
    """Return 64 bits that stand for the fate of one job; an episode's fingerprint is their sum modulo 2**64.

    Times that did not happen are -1, and outcomes are told by `outcome_word`. A sum, so that jobs may be met in any
    order; the arrival time says which job it is. A linear form of odd multipliers, then a bijection that no sum undoes.
    """
    word = uint64(np.float64(arrival_time).view(np.int64)) * uint64(0x9E3779B97F4A7C15)
    word += uint64(np.float64(start_time).view(np.int64)) * uint64(0xC2B2AE3D27D4EB4F)
    word += uint64(np.float64(departure_time).view(np.int64)) * uint64(0x165667B19E3779F9)
    word += uint64(server * 4 + outcome) * uint64(0xD6E8FEB86659FD93)
    word = (word ^ (word >> uint64(32))) * uint64(0xD6E8FEB86659FD93)
    return word ^ (word >> uint64(29))


@compiled()
def fingerprint_of(server, outcome, arrival_time, start_time, departure_time):  # type: ignore[no-untyped-def]
    """Return the fingerprint of an episode from whole columns, in which NaN is a time that did not happen."""
    total = uint64(0)
    for job in range(len(server)):
        start = start_time[job] if start_time[job] >= 0.0 else -1.0
        departure = departure_time[job] if departure_time[job] >= 0.0 else -1.0
        total += job_fingerprint(server[job], outcome_word(np.int64(outcome[job])), arrival_time[job], start, departure)
    return total
