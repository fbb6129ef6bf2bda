"""Instants in order: of a slice of time, known beforehand, by buckets of about one each."""

from __future__ import annotations

import numpy as np

from emulator.machine.compiling import compiled

CROWD = 64
"""Instants in one bucket from which on sorting all is quicker: a burst, or many things at once."""


@compiled(nogil=True, error_model="numpy")
def in_order(times, indices, start, end):  # type: ignore[no-untyped-def]
    """Return instants from `start` on and before `end` in order, infinity last, and from which place each comes.

    Equal instants go by index, and those of equal indices, too, as they stand.
    """
    count = len(times)
    sorted_times = np.empty(count + 1)
    places = np.empty(count, dtype=np.int32)
    sorted_times[count] = np.inf
    buckets = count + 1
    scale = count / (end - start)
    ends = np.zeros(buckets + 1, dtype=np.int32)
    for place in range(count):
        ends[min(int((times[place] - start) * scale), count) + 1] += 1
    if count > 0 and np.max(ends) > CROWD:
        by_index = np.argsort(indices, kind="mergesort")
        places[:] = by_index[np.argsort(times[by_index], kind="mergesort")]
        sorted_times[:count] = times[places]
        return sorted_times, places
    for bucket in range(buckets):
        ends[bucket + 1] += ends[bucket]
    for place in range(count):
        time = times[place]
        bucket = min(int((time - start) * scale), count)
        sorted_times[ends[bucket]], places[ends[bucket]] = time, place
        ends[bucket] += 1
    # A bucket's instants stand together and before those of the next: few places lie between any and its own.
    for i in range(1, count):
        time, place = sorted_times[i], places[i]
        k = i
        while k > 0 and (
            sorted_times[k - 1] > time or (sorted_times[k - 1] == time and indices[places[k - 1]] > indices[place])
        ):
            sorted_times[k], places[k] = sorted_times[k - 1], places[k - 1]
            k -= 1
        sorted_times[k], places[k] = time, place
    return sorted_times, places
