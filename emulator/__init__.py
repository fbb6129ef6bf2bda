"""A discrete-event emulator of large, localized queueing networks with pluggable dispatchers."""

from importlib import import_module

from emulator.version import __version__

TYPE_CHECKING = False  # that of typing, which is slow to import
if TYPE_CHECKING:
    from typing import Any

__all__ = ["InputError", "Results", "__version__", "run"]


# Imported late: the command line looks after signals before anything slow is imported.
_LATE = {"InputError": "emulator.errors", "Results": "emulator.results.reader"}


def __getattr__(name: str) -> "Any":
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def run(*arguments, **options):  # type: ignore[no-untyped-def]
    """Run a scenario; see `emulator.runs.run.run`."""
    from emulator.runs.run import run as run_scenario

    return run_scenario(*arguments, **options)
