"""Progress: lines in a pipe, a bar on a terminal, nothing if that is asked for."""

import io
import sys

from emulator.machine import progress
from emulator.machine.progress import progress_bar


def test_progress_in_a_pipe_is_a_line_now_and_then(monkeypatch, capsys):
    # Half is done from before, then much is compiled; the rest takes 1 s for each of its seconds.
    clock = iter([0.0, 1.0, 100.0, 105.0, 120.0, 125.0, 140.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress_bar(100.0) as advance:
        for step in (50.0, 10.0, 5.0, 15.0, 5.0, 15.0):
            advance(step)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "60% done, 100 s elapsed",
        "80% done, 120 s elapsed, about 20 s left",
        "100% done, 140 s elapsed, about 0 s left",
    ]


def test_quiet_says_nothing(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with progress_bar(100.0, quiet=True) as advance:
        advance(100.0)
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_on_a_terminal_is_a_bar_on_standard_error(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar(100.0) as advance:
        advance(60.0)
        advance(40.0)
    assert "100%" in terminal.getvalue()
    assert "left" in terminal.getvalue()
    assert capsys.readouterr().out == ""
