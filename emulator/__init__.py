"""A discrete-event emulator of large, localized queueing networks with pluggable dispatchers."""

from emulator.errors import InputError
from emulator.version import __version__

__all__ = ["InputError", "__version__", "run"]


def run(*arguments, **options):  # type: ignore[no-untyped-def]
    """Run a scenario; see `emulator.running.run`."""
    # Imported late: the command line's --help must not wait for numba.
    from emulator.running import run as run_scenario

    return run_scenario(*arguments, **options)
