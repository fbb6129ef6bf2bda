"""A job, from its birth at a scheduler to its departure from a server."""

from __future__ import annotations

import numpy as np

from emulator.engines.episode import IN_SYSTEM


class Job:
    """One job and its fate; times in ms, NaN until they happen."""

    __slots__ = (
        "admission",
        "arrival_time",
        "attempt",
        "class_",
        "coin",
        "departure_time",
        "left",
        "number",
        "outcome",
        "patience",
        "place",
        "queue_length_at_arrival",
        "reached_time",
        "scheduler",
        "server",
        "start_time",
        "work",
    )

    admission: int
    """How many jobs its server had let in before; set like the next one where it has a meaning."""
    left: float
    """What is left of its work, or the server's clock when it will be done."""

    place: int
    """How many jobs had arrived at its scheduler before, further attempts among them."""

    def __init__(
        self,
        scheduler: int,
        number: int,
        arrival_time: float,
        work: float,
        coin: float,
        class_: int = 0,
        patience: float = np.inf,
        attempt: int = 0,
    ):
        self.scheduler = scheduler
        self.number = number
        """Of its scheduler's jobs in the episode; attempts of a job have one number."""
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
        self.class_ = class_
        """Which of the station's classes it is of."""
        self.patience = patience
        """How long it is ready to wait, or to be there."""
        self.attempt = attempt
        """How often it has been tried before."""
