"""A signal at any moment: one line, status 130, whole files; the same command goes on and ends with the same bytes."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from own_process import content, ended, python, started

from emulator.machine import interruption

SCENARIO = """
topology: {kind: torus, side: 5}
delta_t: [2, 5]
horizon: 20
dispatchers:
  - JSQ
  - {name: JSQ, label: per job, ties: job}
  - {name: MF-R, policy: "trained/torus_5.onnx"}
  - {name: MF-G, policy: "trained/torus_mf_g_5.onnx"}
  - {class: "mine:Anywhere"}
replications: 40
trace: {jobs: 2, epochs: 2, messages: 2}
"""

MINE = """
from dispatchers import Dispatcher

class Anywhere(Dispatcher):
    def route(self, view):
        return view.uniform()
"""

COMMANDS = {
    "module": ["-m", "emulator"],
    "console script": ["-c", "import sys; from emulator.__main__ import main; sys.exit(main())"],
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to see when signals are looked after")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a scenario and what comes of it undisturbed, after which all code is compiled."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "s.yaml").write_text(SCENARIO)
    (folder / "mine.py").write_text(MINE)
    done = ended(start(folder, "module", "undisturbed", 1))
    assert (done.returncode, done.stderr) == (0, ""), done
    return folder


def start(folder, command, out, workers):
    arguments = [*COMMANDS[command], "s.yaml", "--quiet", "--workers", workers, "--out", out]
    return started(*arguments, folder=folder, start_new_session=True)


def wait_for_the_first_instruction(process):
    """Wait until SIGTERM is looked after, which Python itself does not do."""
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
    raise AssertionError(f"it ended at once: {process.communicate()}")


def disturb(process, numbers, moment, *, is_for_all):
    """Send signals a few ms one after another, to a process or, as a terminal does, to its group."""
    wait_for_the_first_instruction(process)
    time.sleep(moment)
    for number in numbers:
        if process.poll() is None:
            (os.killpg if is_for_all else os.kill)(process.pid, number)
            time.sleep(0.005)


def check_end(process, told):
    """Check that a process that got a signal ended as it should."""
    done = ended(process)
    out, error = done.stdout, done.stderr
    told = f"{told}: {done}"
    if done.returncode == 0:  # it had finished
        assert error == "", told
        assert "per job" in out, told
        return
    assert done.returncode == 130, told
    assert error.startswith("interrupted: "), told
    assert error.count("\n") == 1, told
    assert error.endswith("\n"), told
    kept = error.split()[1]
    assert ("JSQ" in out) == (kept.isdecimal() and int(kept) > 0), told


def check_resumption(place, command, out, workers, told):
    done = ended(start(place, command, out, workers))
    assert (done.returncode, done.stderr) == (0, ""), f"{told}: {done}"
    assert content(place / out) == content(place / "undisturbed"), told
    assert not [path for path in (place / out).rglob("*") if path.name.startswith(".")], told


@pytest.mark.parametrize(
    ("command", "workers", "numbers", "moments"),
    [
        ("module", 1, [signal.SIGINT], (0.0, 1.5)),
        ("console script", 2, [signal.SIGTERM, signal.SIGINT, signal.SIGTERM], (0.1, 1.0)),
    ],
)
def test_a_signal_ends_a_run_with_one_line_and_the_same_command_goes_on(place, command, workers, numbers, moments):
    out = f"{command}_{workers}_{len(numbers)}"
    for moment in moments:
        process = start(place, command, out, workers)
        disturb(process, numbers, moment, is_for_all=workers == 2)
        check_end(process, (command, workers, numbers, moment))
    check_resumption(place, command, out, workers, numbers)


def in_a_block(folder, text):
    """Run a text in a `raised` block of a module; return what it said and its exit status."""
    lines = [
        "import os, signal, sys",
        "from emulator.machine import interruption",
        "interruption.end_at_once()",
        "try:",
    ]
    lines += ["    with interruption.raised():", *(f"        {line}" for line in text.strip().splitlines())]
    lines += [
        "except KeyboardInterrupt:",
        "    print('told', file=sys.stderr)",
        "    signal.raise_signal(signal.SIGINT)",
    ]
    lines += ["    interruption.ignore()", "    sys.exit(130)"]
    (folder / "block.py").write_text("\n".join(lines))
    # With -m, Python looks in the end whether a KeyboardInterrupt has been left over.
    process = python("-m", "block", folder=folder)
    return process.stdout, process.stderr, process.returncode


@pytest.mark.parametrize(
    "text",
    [
        "signal.raise_signal(signal.SIGINT)",
        "signal.raise_signal(signal.SIGTERM)",
        """exec("signal.raise_signal(signal.SIGINT)")""",
        """
class Resource:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
Resource()
interruption.raise_if_requested()
""",
        """
try:
    signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt:
    raise ImportError("initialization failed")
""",
        """
with interruption.deferred():
    signal.raise_signal(signal.SIGINT)
    print("here")
print("not here")
""",
        """
with interruption.undisturbed():
    signal.raise_signal(signal.SIGINT)
signal.raise_signal(signal.SIGINT)
print("here")
interruption.heed()
""",
        """
for number in 2 * [signal.SIGINT, signal.SIGTERM]:
    try:
        signal.raise_signal(number)
    finally:
        continue
interruption.raise_if_requested()
""",
        """
signal.pthread_sigmask(signal.SIG_BLOCK, [2, 15])
os.kill(os.getpid(), 15)
os.kill(os.getpid(), 2)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [2, 15])
""",
    ],
)
def test_whatever_code_makes_of_a_signal_it_is_told_once(tmp_path, text):
    out, error, status = in_a_block(tmp_path, text)
    assert (out, error, status) == ("here\n" if '"here"' in text else "", "told\n", 130)


def test_two_signals_at_once_while_a_command_starts_are_told_once():
    both = """
import os, signal
from emulator.machine import interruption
interruption.end_at_once()
signal.pthread_sigmask(signal.SIG_BLOCK, [2, 15])
os.kill(os.getpid(), 15)
os.kill(os.getpid(), 2)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [2, 15])
"""
    process = python("-c", both)
    assert (process.returncode, process.stderr) == (130, "interrupted: nothing was written\n")


def test_in_a_script_a_signal_counts_when_the_files_are_in_place():
    said = []
    with interruption.kept():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
        with pytest.raises(KeyboardInterrupt), interruption.undisturbed():  # noqa: PT012
            signal.raise_signal(signal.SIGINT)
            said.append("here")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert said == ["here"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_three_signals_at_random_moments_change_nothing_of_the_result(place, seed):
    generator = random.Random(seed)
    out, told = f"random_{seed}", []
    workers = 1 + seed % 2
    for _ in range(3):
        command = generator.choice(list(COMMANDS))
        first = generator.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
        more = generator.choices([signal.SIGINT, signal.SIGTERM], k=generator.choice([0, 0, 1, 2]))
        moment = generator.uniform(0.0, generator.choice([0.3, 1.0, 3.0]))
        is_for_all = generator.random() < 0.5
        told.append((command, workers, first, more, moment, is_for_all))
        process = start(place, command, out, workers)
        disturb(process, [first, *more], moment, is_for_all=is_for_all)
        if first is signal.SIGKILL:
            ended(process)
        else:
            check_end(process, told)
    check_resumption(place, "module", out, workers, told)
