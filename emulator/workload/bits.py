"""Works that are not drawn yet: where jobs are of classes, a work's law is known later than its bits."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class BitsNumbers(NamedTuple):
    """There are none: where jobs are of classes, the bits that their works are made of stand for works at first."""

    @staticmethod
    def compiled_draw() -> Any:
        """See `emulator.model.laws.law.WorkNumbers.compiled_draw`."""

        def draw(numbers: Any, bits: Any) -> Any:
            return np.float64(np.int64(bits))

        return draw
