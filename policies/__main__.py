"""`python -m policies`."""

import sys

from emulator.__main__ import start

if __name__ == "__main__":
    start("dispatchers")
    from policies.command_line import main

    sys.exit(main())
