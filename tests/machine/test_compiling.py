"""Compiled code is kept for the sources it was made of, and for no others."""

import ast
import os
import re
from pathlib import Path

import numba
import pytest

from emulator import randomness
from emulator.engines.compiled import fifo, routing
from emulator.machine import compiling
from emulator.machine.compiling import compiled

ROOT = Path(__file__).resolve().parents[2]


def folders():
    return [Path(kernel._cache.cache_path) for kernel in (routing.draw, fifo.serve, randomness.random_uniform)]


def sources():
    return compiling.sources_hash(ROOT)


def test_all_kernels_are_kept_in_the_folder_of_these_sources():
    for folder in folders():
        assert f"compiled-{sources()}" in folder.parts


class TestSources:
    @pytest.fixture
    def root(self, tmp_path):
        write(tmp_path, "dispatchers/rules/mine.py", "class Mine:\n    @staticmethod\n    def choose(job): ...\n")
        write(tmp_path, "emulator/deep/below/kernels.py", "@compiled()\ndef f(): ...\n")
        write(tmp_path, "policies/law.py", "f = numba.njit(inline='always')(g)\n")
        write(tmp_path, "emulator/deep/text.py", "from emulator.deep.below import kernels\n")
        return tmp_path

    @pytest.mark.parametrize(
        "changed", ["dispatchers/rules/mine.py", "emulator/deep/below/kernels.py", "policies/law.py"]
    )
    def test_another_source_of_kernels_is_another_folder(self, root, changed):
        before = compiling.sources_hash(root)
        write(root, changed, (root / changed).read_text() + "# changed\n")
        assert compiling.sources_hash(root) != before

    def test_a_change_elsewhere_compiles_nothing_anew(self, root):
        before = compiling.sources_hash(root)
        write(root, "emulator/deep/text.py", "# another comment\n")
        assert compiling.sources_hash(root) == before


def module_of(module, name):
    """The module that a name is imported from, or is itself."""
    whole = f"{module}.{name}"
    return whole if (ROOT / whole.replace(".", "/")).with_suffix(".py").exists() else module


def imported_by_kernels(path):
    """Yield the modules of ours whose names stand in the compiled functions of a module."""
    tree = ast.parse(path.read_text())
    homes = {
        alias.asname or alias.name: module_of(node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module.split(".")[0] in compiling.PACKAGES
    }
    passed = set(re.findall(r"(?:njit\(.*?\)|uncounted)\((\w+)\)", path.read_text()))
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        marks = " ".join(map(ast.unparse, function.decorator_list))
        if function.name in passed or re.search(r"compiled|kernel|njit|overload|uncounted", marks):
            used = {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)}
            yield from (homes[name] for name in used & homes.keys())


def test_whatever_compiled_functions_use_counts():
    held = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in compiling.holders(ROOT)}
    assert {"emulator.randomness", "emulator.engines.compiled.routing", "dispatchers.rules.memory"} <= held
    kernels = [path for path in compiling.holders(ROOT) if "numba" in path.read_text()]
    used = {module for path in kernels for module in imported_by_kernels(path)}
    assert used > {"emulator.randomness", "dispatchers.contract"}
    assert used <= held


def write(root, name, text):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_only_the_latest_folders_are_left(tmp_path):
    for number in range(7):
        (tmp_path / f"compiled-{number}").mkdir()
        os.utime(tmp_path / f"compiled-{number}", (number, number))
    (tmp_path / "other").mkdir()
    compiling._remove_old(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"compiled-{number}" for number in range(3, 7)),
        "other",
    ]


@pytest.mark.parametrize("usual", ["", "elsewhere"])
def test_where_others_keep_theirs_is_left_as_it_was(monkeypatch, tmp_path, usual):
    usual = str(tmp_path / usual) if usual else ""
    monkeypatch.setattr(numba.config, "CACHE_DIR", usual)

    @compiled(nogil=True)
    def twice(x):
        return 2 * x

    assert usual == numba.config.CACHE_DIR
    assert twice(21) == 42
    assert Path(twice._cache.cache_path).is_relative_to(usual or Path(compiling.__file__).parent)
