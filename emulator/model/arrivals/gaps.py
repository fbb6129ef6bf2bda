"""Gaps of one law, in compiled code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.laws.drawing import work_of


class NoState(NamedTuple):
    """Nothing but the time of the last arrival is known of a scheduler."""


class Gaps(NamedTuple):
    """Independent gaps of one law."""

    mean: NDArray[np.float64]
    """Of each scheduler, ms; infinite where nothing arrives."""
    law: Any
    """See `emulator.model.laws.law.WorkNumbers`."""

    def state(self) -> NoState:
        """See `Stream.state`."""
        return NoState()

    @staticmethod
    def compiled_gap() -> Callable[[Any, Any, Any], Any]:
        """See `Stream.compiled_gap`."""

        def gap(stream: Any, bits: Any, more: Any) -> Any:
            return work_of(bits, stream.law, more)

        return gap

    @staticmethod
    def compiled_time() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """See `Stream.compiled_time`."""

        def next_time(stream: Any, state: Any, scheduler: Any, time: Any, gap: Any) -> Any:
            mean = stream.mean[scheduler]
            return time + gap * mean if mean < np.inf else np.inf

        return next_time
