"""Python in a process of its own, and the files that one leaves."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PATIENCE = 600
"""Seconds after which a process hangs: far more than any takes on a slow machine that does other things, too."""


def started(*arguments, folder=None, path=(), **options):
    """Start Python in a folder; it finds our packages, and before them what lies in the folders of `path`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT]))}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **(pipes | options))


def ended(process, text=None):
    """Return what a process ended with; its children have ended too once the pipes are closed."""
    try:
        out, error = process.communicate(text, timeout=PATIENCE)
    finally:
        process.kill()  # which is nothing to one that has ended
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def python(*arguments, text=None, **options):
    """Run Python, with a text on standard input if there is one, and return what it ended with."""
    pipe = {} if text is None else {"stdin": subprocess.PIPE}
    return ended(started(*arguments, **(pipe | options)), text)


def content(folder):
    """Return what stands in all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
