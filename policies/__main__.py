"""`python -m policies`."""

import sys

from emulator.starting import start

if __name__ == "__main__":
    start("dispatchers")
    from policies.command_line import main

    sys.exit(main())
