"""What has been worked out and will be asked for again: answers by what was observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 100_000
"""Distinct observations whose answers are kept; beyond that many, remembering starts anew."""


class Remembered(dict[bytes, Any]):
    """Answers by the bytes of what they depend on, at most `MOST` of them."""

    def __setitem__(self, observation: bytes, answer: Any) -> None:
        """Remember an answer."""
        if len(self) >= MOST:
            self.clear()
        super().__setitem__(observation, answer)

    def of_rows(self, function: Callable[[NDArray[Any]], NDArray[Any]], rows: NDArray[Any]) -> NDArray[Any]:
        """Return a function's rows for some rows; it is evaluated once for each distinct row."""
        keys = [row.tobytes() for row in rows]
        new = {key: row for row, key in enumerate(keys) if key not in self}
        if new:
            if len(self) + len(new) > MOST:
                self.clear()
                new = {key: row for row, key in enumerate(keys)}
            self.update(zip(new, function(rows[list(new.values())]), strict=True))
        return np.array([self[key] for key in keys])
