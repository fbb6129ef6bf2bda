"""Users' modules are read anew when a file of theirs has changed, and what they read is noted."""

import os
import sys
import textwrap
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dispatchers import catalogue
from dispatchers.checking import check_fit
from dispatchers.choice import ask
from dispatchers.errors import DispatcherError

RULE = """
from dispatchers import Dispatcher

class Mine(Dispatcher):
    def route(self, view):
        return view.{}()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return project


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def made(folder, class_="rule:Mine", **options):
    return catalogue.make(class_=class_, folder=folder, options=options)


def answer(folder, view, class_="rule:Mine", **options):
    return ask(made(folder, class_, **options).dispatcher, view).numbers


def files(folder, class_="rule:Mine", **options):
    """The files that a rule depends on, as seen from its folder."""
    return sorted(os.path.relpath(path, folder) for path in made(folder, class_, **options).hashes)


class TestReadAnew:
    def test_an_edited_rule_is_read_again_five_times(self, folder, view):
        # Of one size and within one second, which is all that __pycache__ looks at.
        for body in ("own", "any_neighbour", "own", "uniform", "own"):
            write(folder, "rule.py", RULE.format(body))
            assert np.array_equal(answer(folder, view), getattr(view, body)())

    def test_so_is_a_module_that_it_imports_though_python_has_kept_its_code(self, folder, view):
        write(folder, "rule.py", RULE.format("own").replace("view.own()", "aside.say(view)") + "import aside\n")
        for body in ("own()    ", "uniform()", "own()    "):
            write(folder, "aside.py", f"def say(view): return view.{body}\n")
            stamp = 1_000_000_000
            os.utime(folder / "aside.py", (stamp, stamp))
            assert np.array_equal(answer(folder, view), eval(f"view.{body}"))

    def test_a_package_beside_the_scenario_with_imports_of_its_own(self, folder, view):
        write(folder, "rules/__init__.py", "")
        write(
            folder,
            "rules/mine.py",
            "from .helper import body\n" + RULE.format("own").replace("view.own()", "body(view)"),
        )
        for name in ("own", "uniform"):
            write(folder, "rules/helper.py", f"def body(view): return view.{name}()\n")
            assert np.array_equal(answer(folder, view, "rules.mine:Mine"), getattr(view, name)())

    def test_what_has_not_changed_is_not_imported_again(self, folder):
        write(folder, "rule.py", "import pathlib\nwith open('log', 'a') as log: log.write('x')\n" + RULE.format("own"))
        kept = made(folder).dispatcher
        assert type(made(folder).dispatcher) is type(kept)
        assert (folder / "log").read_text() == "x"

    def test_two_folders_have_helpers_of_one_name(self, folder, view):
        for name in ("own", "uniform"):
            write(folder, f"{name}/aside.py", f"def say(view): return view.{name}()\n")
            write(
                folder,
                f"{name}/rule.py",
                "from aside import say\n" + RULE.format("own").replace("view.own()", "say(view)"),
            )
        for name in ("own", "uniform", "own"):
            assert np.array_equal(answer(folder / name, view), getattr(view, name)())

    def test_the_users_own_imports_are_left_alone(self, folder, monkeypatch):
        write(folder, "rule.py", RULE.format("own"))
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, "rule", raising=False)
        import rule  # type: ignore[import-not-found]

        before, path, finders = rule.Mine, list(sys.path), list(sys.meta_path)
        made(folder)
        assert sys.modules["rule"] is rule
        assert rule.Mine is before
        assert (sys.path, sys.meta_path) == (path, finders)
        del sys.modules["rule"]

    def test_a_name_of_a_standard_module_stays_what_it_is(self, folder, view):
        import statistics

        write(folder, "statistics.py", RULE.format("uniform"))
        assert np.array_equal(answer(folder, view, "statistics:Mine"), view.uniform())
        assert sys.modules["statistics"] is statistics


class TestInPlace:
    """What a class may do while it is made, tried out and asked."""

    @pytest.mark.parametrize(
        "does",
        [
            "pickle.loads(pickle.dumps(self))",
            "typing.get_type_hints(type(self))",
            "inspect.getsource(type(self))",
            "importlib.import_module('rule').Mine is type(self) or 1 / 0",
            "__import__('helper').SHARE",
        ],
    )
    def test_its_modules_are_there(self, folder, view, does):
        write(folder, "helper.py", "SHARE = 0.5\n")
        head = "import importlib, inspect, pickle, typing\n"
        text = RULE.format("own").replace("return", f"{does}\n        return")
        write(folder, "rule.py", head + text + f"\n    def __init__(self): {does}\n")
        found = made(folder)
        for _ in range(2):
            with found.world:
                assert np.array_equal(ask(found.dispatcher, view).numbers, view.own())
        assert "helper" not in sys.modules
        assert "rule" not in sys.modules

    def test_a_module_imported_in_a_method_is_read_anew(self, folder, view):
        write(
            folder, "rule.py", RULE.format("own").replace("return view.own()", "import helper; return helper.say(view)")
        )
        for body in ("own", "uniform", "own"):
            write(folder, "helper.py", f"def say(view): return view.{body}()\n")
            found = made(folder)
            with found.world:
                assert np.array_equal(ask(found.dispatcher, view).numbers, getattr(view, body)())

    def test_a_helper_is_there_once(self, folder):
        write(folder, "a.py", RULE.format("own").replace("Mine", "A"))
        write(
            folder, "rule.py", "import a\nfrom a import A\n\nclass Mine(A):\n    def __init__(self): assert a.A is A\n"
        )
        assert type(made(folder).dispatcher).__mro__[1].__name__ == "A"

    def test_what_others_have_imported_from_elsewhere_is_left_alone(self, folder, tmp_path, monkeypatch):
        """As a debugger, or `pip install --target`, brings."""
        write(tmp_path, "libs/library.py", "")
        write(tmp_path, "libs/library-1.dist-info/RECORD", "library.py,,\nlibrary-1.dist-info/RECORD,,\n")
        write(tmp_path, "debugger/tracer.py", "")
        for place in ("libs", "debugger"):
            monkeypatch.syspath_prepend(str(tmp_path / place))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "libs"))
        library, tracer = (__import__(name) for name in ("library", "tracer"))
        write(folder, "rule.py", "import library, tracer\nseen = library, tracer\n" + RULE.format("own"))
        found = made(folder)
        assert type(found.dispatcher).route.__globals__["seen"] == (library, tracer)
        for name in ("library", "tracer"):
            del sys.modules[name]

    def test_two_threads_take_turns(self, folder, view):
        write(folder, "rule.py", RULE.format("own"))
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: answer(folder, view), range(40)))
        assert all(np.array_equal(each, view.own()) for each in answers)

    def test_a_script_that_holds_its_rule_and_runs_it_is_told(self, folder):
        text = "from dispatchers import catalogue\ncatalogue.make(class_='rule:Mine')\n"
        write(folder, "rule.py", text + RULE.format("own"))
        with pytest.raises(DispatcherError, match=r"^rule:Mine: it runs a scenario while it is imported: put the call"):
            made(folder)


class TestFiles:
    def test_the_module_and_what_it_imports_that_is_not_installed(self, folder):
        write(folder, "rule.py", "import aside, numpy, json\nimport deep.below\n" + RULE.format("own"))
        write(folder, "aside.py", "")
        write(folder, "deep/below.py", "")
        write(folder, "study.py", "a driver that nobody imports")
        assert files(folder) == ["aside.py", "deep/below.py", "rule.py"]

    @pytest.mark.parametrize(
        "reads",
        [
            "io.open_code(os.path.abspath('w.txt')).close()",
            "pathlib.Path(__file__).with_name('w.txt').read_bytes()",
            "numpy.loadtxt('w.txt')",
        ],
    )
    @pytest.mark.parametrize("when", ["imported", "made"])
    def test_what_it_opens(self, folder, reads, when):
        write(folder, "w.txt", "0.3")
        if when == "imported":
            write(folder, "rule.py", f"import io, os, pathlib, numpy\nW = {reads}\n" + RULE.format("own"))
        else:
            init = f"\n    def __init__(self):\n        import io, os, pathlib, numpy\n        self.w = {reads}\n"
            write(folder, "rule.py", RULE.format("own") + init)
        assert files(folder) == ["rule.py", "w.txt"]
        before = made(folder).hashes
        write(folder, "w.txt", "0.9")
        assert made(folder).hashes != before

    def test_what_it_opens_while_it_is_tried_out(self, folder, view):
        write(folder, "w.txt", "0.3")
        text = RULE.format("own").replace("return", "__import__('pathlib').Path('w.txt').read_text(); return")
        write(folder, "rule.py", text)
        found = catalogue.make(class_="rule:Mine", folder=folder, try_out=lambda rule: ask(rule, view))
        assert (sorted(found.files), sorted(found.opened)) == (["rule.py"], ["w.txt"])

    def test_what_it_opened_only_once_in_the_session(self, folder):
        write(folder, "w.txt", "0.3")
        text = "import functools, pathlib\nread = functools.cache(lambda: float(pathlib.Path('w.txt').read_text()))\n"
        write(folder, "rule.py", text + RULE.format("own") + "\n    def __init__(self): self.share = read()\n")
        first, second = made(folder), made(folder)
        assert first.opened == second.opened
        assert list(first.opened) == ["w.txt"]
        write(folder, "w.txt", "0.9")
        assert made(folder).dispatcher.share == 0.9

    def test_what_it_writes_hides_or_finds_elsewhere_is_its_own_affair(self, folder):
        for name in ("log", ".hidden/x", "../elsewhere", "renamed"):
            write(folder, name, "text")
        text = "from pathlib import Path\nPath('log').rename('renamed')\n"
        text += "[Path(name).read_text() for name in ('renamed', '.hidden/x', '../elsewhere')]\n"
        text += "Path('log').write_text('more'); Path('log').read_text()\n"
        write(folder, "rule.py", text + RULE.format("own"))
        assert files(folder) == ["rule.py"]

    def test_a_log_that_an_option_names_is_its_own_affair(self, folder):
        init = "\n    def __init__(self, log):\n        with open(log, 'a') as file: file.write('x')\n"
        write(folder, "rule.py", RULE.format("own") + init)
        write(folder, "rule.log", "")
        assert files(folder, log="rule.log") == ["rule.py"]

    def test_a_library_beside_a_virtual_environment_is_no_project(self, folder, monkeypatch):
        """What is in the project's folder is the user's, also where that is the folder of the environment."""
        monkeypatch.setattr(sys, "prefix", str(folder))
        write(folder, "rule.py", RULE.format("own"))
        write(folder, "lib/python3.11/site-packages/other.py", "")
        monkeypatch.syspath_prepend(str(folder / "lib/python3.11/site-packages"))
        write(folder, "rule.py", "import other\n" + RULE.format("own"))
        assert files(folder) == ["rule.py"]

    def test_a_distribution_installed_beside_it_leaves_the_project_the_users(self, folder, monkeypatch):
        """As `pip install --target .` does."""
        write(folder, "foo-1.0.dist-info/RECORD", "foo/__init__.py,sha256=x,1\nfoo-1.0.dist-info/RECORD,,\n")
        write(folder, "foo/__init__.py", "")
        monkeypatch.syspath_prepend(str(folder))
        write(folder, "rule.py", "import foo\n" + RULE.format("own"))
        assert files(folder) == ["rule.py"]

    def test_an_archive_elsewhere_on_the_path(self, folder, tmp_path, view, monkeypatch):
        monkeypatch.syspath_prepend(str(tmp_path / "rules.zip"))
        for body in ("own", "uniform", "own"):
            with zipfile.ZipFile(tmp_path / "rules.zip", "w") as archive:
                archive.writestr("zipped.py", RULE.format(body))
            stamp = time.time() + {"own": 0, "uniform": 10}[body]
            os.utime(tmp_path / "rules.zip", (stamp, stamp))
            found = made(folder, "zipped:Mine")
            assert [os.path.basename(path) for path in found.hashes] == ["rules.zip"]
            with found.world:
                assert np.array_equal(ask(found.dispatcher, view).numbers, getattr(view, body)())

    def test_a_source_that_is_run_and_not_imported(self, folder):
        write(folder, "conf.py", "P = 0.3\n")
        write(folder, "rule.py", "import runpy\nP = runpy.run_path('conf.py')['P']\n" + RULE.format("own"))
        assert files(folder) == ["conf.py", "rule.py"]

    def test_files_that_options_name(self, folder):
        init = "\n    def __init__(self, deep, word):\n        pass\n"
        write(folder, "rule.py", RULE.format("own") + init)
        write(folder, "a.csv", "")
        write(folder, "b/c.csv", "")
        assert files(folder, deep={"x": ["a.csv", {"y": "b/c.csv"}]}, word="lazy") == ["a.csv", "b/c.csv", "rule.py"]

    def test_declared_files(self, folder):
        write(folder, "rule.py", RULE.format("own") + "\n    files = ['data/*.csv']\n")
        with pytest.raises(DispatcherError, match=r"rule:Mine: declares the file .*csv, but there is none"):
            made(folder)
        write(folder, "rule.py", RULE.format("own") + "\n    files = ['data/x.csv']\n")
        write(folder, "data/x.csv", "1")
        assert files(folder) == ["data/x.csv", "rule.py"]

    def test_options_that_are_names_of_files(self, folder, tmp_path):
        init = "\n    file_options = ('policy',)\n    def __init__(self, policy):\n        self.path = policy\n"
        write(folder, "rule.py", RULE.format("own") + init)
        write(tmp_path / "shipped", "p.onnx", "")
        found = catalogue.make(
            class_="rule:Mine", folder=folder, options={"policy": "p.onnx"}, shipped=tmp_path / "shipped"
        )
        assert found.dispatcher.path == str(tmp_path / "shipped/p.onnx")
        with pytest.raises(DispatcherError, match=r"rule:Mine: there is no policy lazy, looked for"):
            made(folder, policy="lazy")
        with pytest.raises(DispatcherError, match=r"rule:Mine: policy must be the name of a file, got 3"):
            made(folder, policy=3)
        os.mkfifo(folder / "pipe")
        with pytest.raises(DispatcherError, match=r"rule:Mine: policy must be the name of a regular file, got .*pipe"):
            made(folder, policy="pipe")

    def test_a_policy_of_a_users_is_no_file_unless_it_says_so(self, folder):
        init = "\n    def __init__(self, policy):\n        self.policy = policy\n"
        write(folder, "rule.py", RULE.format("own") + init)
        assert made(folder, policy="lazy").dispatcher.policy == "lazy"
        assert files(folder, policy="greedy") == ["rule.py"]

    def test_a_built_in_rule_depends_on_its_policy(self, folder):
        found = catalogue.make(name="MF-R", folder=folder, options={"policy": "torus_5.onnx"}, shipped=SHIPPED)
        assert [os.path.basename(path) for path in found.hashes] == ["torus_5.onnx"]
        assert list(found.files) == ["policy"]


SHIPPED = Path(__file__).resolve().parents[2] / "policies" / "trained"


@pytest.mark.parametrize(
    ("attribute", "told"),
    [
        ("name = 5", "name must be text, got 5"),
        ("draws = 'sometimes'", "draws must be job or epoch, got 'sometimes'"),
        ("observes = ['all']", r"observes must be accessible or all, got \['all'\]"),
        ("buffer = [1, 2]", r"buffer must be a whole number >= 1 or None, got \[1, 2\]"),
        ("nodes = __import__('numpy').zeros(3)", r"nodes must be a whole number >= 1 or None, got array"),
        ("graph_hash = 3", "graph_hash must be text or None, got 3"),
        ("files = 'weights.txt'", "files must be a list of names of files, got 'weights.txt'"),
        ("files = {'a': 1}", "files must be a list of names of files"),
        ("files = property(lambda self: 1 / 0)", "cannot be made: ZeroDivisionError"),
        ("name = property(lambda self: 1 / 0)", "cannot be made: ZeroDivisionError"),
        ("buffer = 10 ** 5000", "buffer must be a whole number >= 1 or None, got int"),
        ("file_options = ('nope',)", None),
        ("files = [3]", "files must be a list of names of files, got"),
        ("__new__ = lambda cls: 3", "rule:Mine: makes 3, which is no Dispatcher"),
        ("__signature__ = 3", "cannot be made: TypeError"),
        ("file_options = 'policy'", "file_options must be a tuple of names of options, got 'policy'"),
    ],
)
def test_an_attribute_of_the_contract_that_holds_something_else_is_refused(folder, attribute, told):
    write(folder, "rule.py", RULE.format("own") + f"\n    {attribute}\n")
    if told is None:
        made(folder)
        return
    with pytest.raises(DispatcherError, match=told) as refusal:
        catalogue.make(class_="rule:Mine", folder=folder, try_out=lambda rule: check_fit(rule, 5))
    assert len(str(refusal.value)) <= 300


def test_a_rule_is_recurrent_or_per_job_not_both(folder):
    text = """
    from dispatchers import PerJobDispatcher, RecurrentDispatcher

    class Mine(RecurrentDispatcher, PerJobDispatcher):
        hidden = 1
    """
    write(folder, "rule.py", text)
    with pytest.raises(DispatcherError, match="must be a PerJobDispatcher or a RecurrentDispatcher, not both"):
        made(folder)


def test_a_choice_that_no_engine_can_look_up_is_refused(folder):
    text = """
    from dispatchers import PerJobDispatcher

    class Choice:
        __hash__ = None
        def __call__(self, job): return 0

    class Mine(PerJobDispatcher):
        choose = Choice()
    """
    write(folder, "rule.py", text)
    with pytest.raises(DispatcherError, match="the attribute choose must be a static method, got"):
        made(folder)
