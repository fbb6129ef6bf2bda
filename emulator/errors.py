"""Errors that a user can mend: one clear line each, no traceback on the command line, exit status 2."""

from dispatchers.errors import one_line


class InputError(ValueError):
    """Something the user gave cannot be used; the message names the place, the value and what is allowed."""

    def __init__(self, *parts: str):
        super().__init__(*map(one_line, parts))
