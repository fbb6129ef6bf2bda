"""Files in the current folder that have a name of ours, or of a library's."""

import pytest
from own_process import python

SCENARIO = """\
topology: {kind: cycle, nodes: 5}
delta_t: 2
horizon: 12
engine: simpy
dispatchers: [RND, {class: "dispatchers:Mine"}]
replications: 2
"""

RULES = """\
from dispatchers.contract import Dispatcher

class Mine(Dispatcher):
    def route(self, view):
        return view.own()
"""

CONSOLE_SCRIPT = """\
import sys
from emulator.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""

SHADOWING = ["numpy", "queue", "random", "simpy", "statistics", "signal", "typing", "tempfile", "socket", "argparse"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "s.yaml").write_text(SCENARIO)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/load-balancing-emulator").write_text(CONSOLE_SCRIPT)
    return tmp_path


@pytest.mark.parametrize("file", ["dispatchers.py", "dispatchers/__init__.py"])
@pytest.mark.parametrize("program", ["emulator", "policies", "policies.paper"])
def test_a_file_that_hides_a_package_of_ours_is_named(folder, program, file):
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(RULES)
    result = python("-m", program, "s.yaml", folder=folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"{folder / file}: hides a package of this software")
    assert ("the console script load-balancing-emulator" in result.stderr) == (program == "emulator")


@pytest.mark.parametrize("program", ["policies", "policies.paper"])
def test_so_is_one_that_hides_the_emulator_from_policies(folder, program):
    (folder / "emulator.py").write_text("raise RuntimeError('this was imported')\n")
    result = python("-m", program, "s.yaml", folder=folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"{folder / 'emulator.py'}: hides a package of this software")


@pytest.mark.parametrize(
    ("how", "module"), [(["-m", "emulator"], "rules"), (["bin/load-balancing-emulator"], "dispatchers")]
)
def test_other_files_do_no_harm_and_to_the_console_script_not_even_this_one(folder, how, module):
    for name in SHADOWING:
        (folder / f"{name}.py").write_text("raise RuntimeError('this was imported')\n")
    (folder / f"{module}.py").write_text(RULES)
    (folder / "s.yaml").write_text(SCENARIO.replace("dispatchers:Mine", f"{module}:Mine"))
    result = python(*how, "s.yaml", "--quiet", "--workers", "2", folder=folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert "\nMine " in result.stdout


def test_nor_do_they_to_trainings(folder):
    for name in SHADOWING:
        (folder / f"{name}.py").write_text("raise RuntimeError('this was imported')\n")
    result = python("-m", "policies", "s.yaml", "--set", "delta_t=0", folder=folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert "delta_t must be > 0, got 0" in result.stderr
