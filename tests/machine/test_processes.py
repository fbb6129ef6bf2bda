"""Scripts that start several processes: one without the usual guard is refused in one line before anything runs."""

import os
import sys

import pytest
from own_process import python

from emulator.errors import InputError
from emulator.machine.processes import check_main_module
from policies.training import run_all

SCENARIO = """\
topology: {kind: cycle, nodes: 5}
delta_t: 2
horizon: 12
engine: simpy
dispatchers: [RND, OWN]
replications: 2
"""

DOING = """\
from emulator.machine.processes import check_main_module, run_in_processes

def done():
    check_main_module()
    return sorted(task for task, _ in run_in_processes(prepare, iter(["one", "two"]), 2, float))

def prepare():
    return work

def work(task, report):
    return task
"""
"""A module that starts processes as a run does, but for little."""

GUARDED = """\
import doing

if __name__ == "__main__":
    print(len(doing.done()))
"""

IN_A_FUNCTION = """\
import doing

def study():
    return doing.done()

def main():
    print(len(study()))

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(SCENARIO)
    (tmp_path / "doing.py").write_text(DOING)
    return tmp_path


def check_refusal(result, place):
    """Check for the traceback of one script, whose last line says what to mend."""
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("Traceback") == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"emulator.errors.InputError: {place}: ")
    assert 'below `if __name__ == "__main__":`' in last


@pytest.mark.parametrize("how", [["study.py"], ["-m", "study"]], ids=" ".join)
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import doing; doing.done()\n", 1),
        ("import doing\n\ndef f():\n    doing.done()\n\nf()\n", 6),
        ('import doing\nif __name__ == "__main__":\n    pass\ndoing.done()\n', 4),
        ("import doing\nif __name__:\n    doing.done()\n", 3),
    ],
)
def test_a_script_without_a_guard_is_refused(folder, how, text, line):
    (folder / "study.py").write_text(text)
    check_refusal(python(*how), f"{folder / 'study.py'}:{line}")


@pytest.mark.parametrize("workers", ["2", "None"])
def test_a_run_is_refused_before_it_begins(folder, workers):
    """Where the number is left open, it is refused if processes would be started."""
    big = SCENARIO.replace("nodes: 5", "nodes: 1000").replace("replications: 2", "replications: 10000")
    (folder / "s.yaml").write_text(big)
    (folder / "study.py").write_text(f'import emulator; emulator.run("s.yaml", workers={workers})\n')
    result = python("study.py")
    if workers == "2" or ("PYTHON_CPU_COUNT" not in os.environ and (os.cpu_count() or 1) > 1):
        check_refusal(result, f"{folder / 'study.py'}:1")
        assert not (folder / "runs").exists()


def test_trainings_are_refused_too(folder):
    (folder / "study.py").write_text("from policies.training import run_all\nlist(run_all([1, 2], print, 2, print))\n")
    check_refusal(python("study.py"), f"{folder / 'study.py'}:2")


def test_a_script_needs_no_guard_for_one_process(folder):
    runs = ", ".join(f'len(emulator.run("s.yaml", workers={workers}, fresh=True))' for workers in ("1", "None"))
    (folder / "study.py").write_text(f"import emulator; print({runs})\n")
    result = python("study.py")
    assert (result.returncode, result.stdout, result.stderr) == (0, "2 2\n", "")


def test_a_guarded_script_runs_in_several_processes(folder):
    text = 'import emulator\nif __name__ == "__main__":\n    print(len(emulator.run("s.yaml", workers=2)))\n'
    (folder / "study.py").write_text(text)
    result = python("study.py")
    assert (result.returncode, result.stdout, result.stderr) == (0, "2\n", "")


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (GUARDED, ["study.py"]),
        (GUARDED, ["-m", "study"]),
        (IN_A_FUNCTION, ["study.py"]),
        ("import doing; print(len(doing.done()))\n", ["-m", "package"]),
        ("import doing; print(len(doing.done()))\n", ["package"]),
        ("import doing\nprint(len(doing.done()))\n", ["-"]),
        ("import doing\nprint(len(doing.done()))\n", ["-c"]),
        ("import doing\nprint(len(doing.done()))\n", ["-i", "-q"]),
    ],
    ids=["script", "module", "function", "package", "folder", "standard input", "command", "prompt"],
)
def test_where_no_process_would_run_it_once_more_it_works(folder, text, how):
    (folder / "package").mkdir()
    for name in ("study.py", "package/__main__.py"):
        (folder / name).write_text(text)
    result = python(*how, *([text] if how == ["-c"] else []), text=text, path=[folder])
    assert (result.returncode, result.stdout) == (0, "2\n")
    assert "Traceback" not in result.stderr


def test_it_works_in_a_notebook(monkeypatch):
    """There the main module has no file."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    exec("check_main_module()", vars(sys.modules["__main__"]) | {"check_main_module": check_main_module})


def test_one_training_needs_none(folder):
    assert list(run_all(["one"], lambda: lambda task, report: task, 2, print)) == ["one"]


def test_what_is_no_script_of_pythons_is_let_be(tmp_path, monkeypatch):
    """Such as a program that holds Python, or a script that has been changed since."""
    main = sys.modules["__main__"]
    call = compile("check_main_module()", "study.py", "exec")
    space = vars(main)
    monkeypatch.setitem(space, "check_main_module", check_main_module)
    for text in ("no (python", None):
        file = tmp_path / "study.py"
        file.write_text(text) if text is not None else file.unlink()
        monkeypatch.setattr(main, "__file__", str(file), raising=False)
        exec(call, space)
    file.write_text("check_main_module()\n")
    with pytest.raises(InputError, match="several workers need this call below"):
        exec(call, space)
