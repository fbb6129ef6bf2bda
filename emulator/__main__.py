"""`python -m emulator`, and the console script."""

import sys

from emulator.machine.starting import run, start


def main() -> int:
    """Run the command line and return its exit status."""
    return run("emulator.command_line")


if __name__ == "__main__":
    start("dispatchers", advice="the console script load-balancing-emulator runs here all the same")
    sys.exit(main())
