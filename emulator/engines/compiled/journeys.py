"""Jobs on their way to servers: a heap of the times when they get there, as where they go is not known beforehand."""

from __future__ import annotations

from numba import njit

from emulator.engines.compiled.deciding import INLINED


@njit(**INLINED)
def _comes_first(jobs, one, other):  # type: ignore[no-untyped-def]
    """Return whether a job comes before another one that comes at the same time."""
    if jobs[one].scheduler != jobs[other].scheduler:
        return jobs[one].scheduler < jobs[other].scheduler
    if jobs[one].number != jobs[other].number:
        return jobs[one].number < jobs[other].number
    return jobs[one].attempt < jobs[other].attempt


@njit(**INLINED)
def push(times, whose, jobs, count, time, who):  # type: ignore[no-untyped-def]
    """Let a job on its way find its place in a heap of `count` others."""
    place = count
    while place > 0:
        parent = (place - 1) >> 1
        if not (time < times[parent] or (time == times[parent] and _comes_first(jobs, who, whose[parent]))):
            break
        times[place], whose[place] = times[parent], whose[parent]
        place = parent
    times[place], whose[place] = time, who


@njit(**INLINED)
def pop(times, whose, jobs, count):  # type: ignore[no-untyped-def]
    """Remove the first job of a heap of `count`, and note behind the others that its place among the jobs is free."""
    first, last, place = whose[0], count - 1, 0
    time, who = times[last], whose[last]
    while True:
        child = 2 * place + 1
        if child >= last:
            break
        if child + 1 < last:
            one, other = times[child], times[child + 1]
            child += other < one or (other == one and _comes_first(jobs, whose[child + 1], whose[child]))
        if not (times[child] < time or (times[child] == time and _comes_first(jobs, whose[child], who))):
            break
        times[place], whose[place] = times[child], whose[child]
        place = child
    times[place], whose[place] = time, who
    whose[last] = first
