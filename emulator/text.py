"""Values as text: data as YAML on one line, numbers as people write them, keys with their units."""

from __future__ import annotations

import re
from typing import Any

CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
}
"""Words that YAML 1.2 reads as something else than text."""

_PLAIN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9_./+-]*")

UNITS = {
    "delta_t": "ms",
    "horizon": "ms",
    "buffer": "jobs",
    "arrivals.high": "1/ms",
    "arrivals.low": "1/ms",
    "arrivals.rate": "1/ms",
    "arrivals.period": "ms",
    "arrivals.spread": "ms",
    "service.rate": "1/ms",
    "messages.period": "ms",
    "messages.period.mean": "ms",
    "messages.latency": "ms",
    "messages.latency.mean": "ms",
    "messages.jitter": "ms",
    "messages.jitter.mean": "ms",
    "decide.every": "ms",
    "dispatch.latency": "ms",
    "dispatch.latency.mean": "ms",
}
"""Units of the scenario's keys that have one."""


def to_text(value: Any) -> str:
    """Return plain data as YAML on one line; reading it gives the same data."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{to_text(key)}: {to_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_text, value)) + "]"
    if isinstance(value, str):
        if _PLAIN_TEXT.fullmatch(value) and value not in CONSTANTS:
            return value
        return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return repr(value).replace("inf", ".inf").replace("nan", ".nan")
    if value is None:
        return "null"
    return repr(value).lower()  # true and false; numbers as they are


def to_document(data: dict[str, Any]) -> str:
    """Return a mapping as YAML, a key to a line; a long list a line for each element."""
    lines = []
    for key, value in data.items():
        line = f"{to_text(key)}: {to_text(value)}"
        if len(line) > 100 and isinstance(value, list):
            line = "\n".join([f"{to_text(key)}:", *(f"  - {to_text(item)}" for item in value)])
        lines.append(line + "\n")
    return "".join(lines)


def show(value: Any, length: int = 60) -> str:
    """Return plain data as a message shows it: on one line, cut to `length` characters."""
    text = to_text(value)
    return text if len(text) <= length else text[: length - 3] + "..."


def text_of(value: object) -> str:
    """Return a value as people write it: 5 for 5.0, 0.5, 1e-07, JSQ; numbers are never rounded."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def setting_text(key: str, value: Any) -> str:
    """Return a key of the scenario with a value and its unit: delta_t = 5 ms."""
    return f"{key} = {text_of(value)} {UNITS.get(key, '')}".rstrip().replace(" 1/", "/")
