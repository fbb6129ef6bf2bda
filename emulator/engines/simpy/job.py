"""A job, from its birth at a scheduler to its departure from a server."""

from __future__ import annotations

import numpy as np

from emulator.engines.episode import IN_SYSTEM


class Job:
    """One job and its fate; times in ms, NaN until they happen."""

    __slots__ = (
        "arrival_time",
        "coin",
        "departure_time",
        "outcome",
        "queue_length_at_arrival",
        "reached_time",
        "server",
        "start_time",
        "work",
    )

    def __init__(self, arrival_time: float, work: float, coin: float):
        self.arrival_time = arrival_time
        self.work = work
        self.coin = coin
        self.server = -1
        self.reached_time = arrival_time
        """When it reaches its server; for a job on its way NaN."""
        self.start_time = np.nan
        self.departure_time = np.nan
        self.queue_length_at_arrival = -1
        self.outcome = IN_SYSTEM
