"""Compiled code is kept for the sources it was made of, and for no others."""

import os
from pathlib import Path

import numba
import pytest

from emulator import compiled_kernels, compiling, randomness
from emulator.compiling import compiled


def folders():
    return [Path(kernel._cache.cache_path) for kernel in (compiled_kernels.draw, randomness.random_uniform)]


def sources():
    return compiling.sources_hash(Path(compiling.__file__).parent.parent)


def test_all_kernels_are_kept_in_the_folder_of_these_sources():
    for folder in folders():
        assert f"compiled-{sources()}" in folder.parts


class TestSources:
    @pytest.fixture
    def root(self, tmp_path):
        write(tmp_path, "dispatchers/rule.py", "one = 1\n")
        write(tmp_path, "dispatchers/deep/below.py", "two = 2\n")
        write(
            tmp_path,
            "emulator/kernels.py",
            "from dispatchers.rule import (\n    one,\n)\n\n@compiled()\ndef f(): pass\n",
        )
        write(tmp_path, "emulator/text.py", "text = 1\n")
        write(tmp_path, "policies/engines/law.py", "import numba\nfrom dispatchers.deep import below as b\n")
        return tmp_path

    @pytest.mark.parametrize(
        "changed",
        ["dispatchers/rule.py", "dispatchers/deep/below.py", "emulator/kernels.py", "policies/engines/law.py"],
    )
    def test_another_source_of_kernels_is_another_folder(self, root, changed):
        before = compiling.sources_hash(root)
        write(root, changed, (root / changed).read_text() + "# changed\n")
        assert compiling.sources_hash(root) != before

    def test_a_change_elsewhere_compiles_nothing_anew(self, root):
        before = compiling.sources_hash(root)
        write(root, "emulator/text.py", "text = 2\n")
        assert compiling.sources_hash(root) == before


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
