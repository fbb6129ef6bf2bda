"""Errors that a user can mend: each says all in one line, whatever stood in the input."""

LONGEST_LINE = 300
"""Characters of a message."""


class DispatcherError(ValueError):
    """A dispatcher that breaks the contract or cannot be made; the message says which, where and what is allowed."""

    def __init__(self, message: str):
        super().__init__(one_line(message))


def one_line(text: str, length: int = LONGEST_LINE) -> str:
    """Return a text on one line: white space folded, what cannot be printed escaped, the middle cut if it is long."""
    return shortened(" ".join(text.split()), length)


def shortened(text: str, length: int = LONGEST_LINE) -> str:
    """Return a text in which what cannot be printed is escaped, the middle cut if it is long."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    if len(text) <= length:
        return text
    tail = (length - 5) // 3
    return f"{text[: length - 5 - tail]} ... {text[-tail:]}"


def describe(error: BaseException) -> str:
    """Return one line that says what a user's code raised, and where."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    try:
        text = " ".join(str(error).split())
    except Exception:  # a user's error may fail to say what it is
        text = ""
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def describe_value(value: object) -> str:
    """Return how a message shows a user's value, whatever its `repr` does."""
    try:
        return one_line(repr(value), 60)
    except Exception:
        return type(value).__name__
