"""`python -m emulator`, and the console script."""

import sys

from emulator import interruption
from emulator.starting import start


def main() -> int:
    """Run the command line and return its exit status."""
    interruption.end_at_once()
    from emulator.command_line import main as run

    status = run()
    interruption.ignore()
    return status


if __name__ == "__main__":
    start("dispatchers")
    sys.exit(main())
