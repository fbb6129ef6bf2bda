"""The cores at hand are the least of what the machine, the scheduler, a container and the user say."""

import os

import pytest

from emulator.machine.cores import cores_at_hand


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files below a root of the test's, on a machine with 8 cores of which the user says nothing."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.delenv("PYTHON_CPU_COUNT", raising=False)

    def files(texts):
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    return files


def old(folder, quota, period="100000"):
    """Return the files of a control group of the old kind."""
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


NEW = {"proc/self/cgroup": "0::/pod/box\n"}
OLD = {"proc/self/cgroup": "12:memory:/pod\n4:cpu,cpuacct:/pod/box\n1:name=systemd:/pod\n0::/\n"}
TOP = "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("texts", "cores"),
    [
        ({}, 8),
        (NEW, 8),
        (NEW | {f"{TOP}/cpu.max": "max 100000\n"}, 8),
        (NEW | {f"{TOP}/pod/box/cpu.max": "300000 100000\n"}, 3),
        (NEW | {f"{TOP}/pod/cpu.max": "300000 100000\n", f"{TOP}/pod/box/cpu.max": "max 100000\n"}, 3),
        (NEW | {f"{TOP}/pod/cpu.max": "200000 100000\n", f"{TOP}/pod/box/cpu.max": "500000 100000\n"}, 2),
        (NEW | {f"{TOP}/cpu.max": "400000 100000\n"}, 4),  # a container, to which the path says nothing
        (NEW | {f"{TOP}/pod/other/cpu.max": "100000 100000\n"}, 8),
        (NEW | {f"{TOP}/cpu.max": "150000 100000\n"}, 2),
        (NEW | {f"{TOP}/cpu.max": "1000 100000\n"}, 1),
        (NEW | {f"{TOP}/cpu.max": "0 100000\n"}, 1),
        (NEW | {f"{TOP}/cpu.max": "9900000 100000\n"}, 8),
        (NEW | {f"{TOP}/cpu.max": "100000 0\n"}, 8),
        (NEW | {f"{TOP}/cpu.max": f"{'9' * 400} 1\n"}, 8),
        (NEW | {f"{TOP}/cpu.max": "one 100000\n"}, 8),
        (NEW | {f"{TOP}/cpu.max": "100000\n"}, 8),
        (NEW | {f"{TOP}/cpu.max": ""}, 8),
        (NEW | {f"{TOP}/cpu.max": b"\xff\xfe"}, 8),
        (NEW | {f"{TOP}/cpu.max/x": "a folder"}, 8),
        ({f"{TOP}/cpu.max": "100000 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/../../pod\n", f"{TOP}/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": b"\xff\n", f"{TOP}/cpu.max": "200000 100000\n"}, 8),
        ({"proc/self/cgroup": "\n:\n0:\nx::/\n0::/\n", f"{TOP}/cpu.max": "200000 100000\n"}, 2),
        (OLD, 8),
        (OLD | old(f"{TOP}/cpu/pod/box", "-1") | old(f"{TOP}/cpu/pod", "250000"), 3),
        (OLD | old(f"{TOP}/cpu", "100000"), 1),
        (OLD | old(f"{TOP}/cpu/pod", "50000", "25000") | old(f"{TOP}/cpu/pod/box", "60000", "20000"), 2),
        (OLD | {f"{TOP}/cpu/pod/cpu.cfs_quota_us": "100000\n"}, 8),
        (OLD | old(f"{TOP}/memory/pod", "100000"), 8),
        (OLD | old(f"{TOP}/cpu", "many"), 8),
        (OLD | {f"{TOP}/pod/cpu.max": "100000 100000\n"}, 8),  # where systemd's group stands
        (OLD | old(f"{TOP}/cpu", "500000") | {f"{TOP}/cpu.max": "400000 100000\n"}, 4),
    ],
)
def test_control_groups(tmp_path, write, texts, cores):
    write(texts)
    assert cores_at_hand(tmp_path) == cores


@pytest.mark.parametrize(
    ("said", "cores"), [("3", 3), ("16", 4), ("0", 4), ("-1", 4), ("default", 4), ("", 4), ("2.5", 4)]
)
def test_the_user_can_say_fewer(tmp_path, write, monkeypatch, said, cores):
    write(NEW | {f"{TOP}/cpu.max": "400000 100000\n"})
    monkeypatch.setenv("PYTHON_CPU_COUNT", said)
    assert cores_at_hand(tmp_path) == cores


def test_the_scheduler_can_say_fewer(tmp_path, write, monkeypatch):
    write(NEW | {f"{TOP}/cpu.max": "400000 100000\n"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 3, 5})
    assert cores_at_hand(tmp_path) == 3


@pytest.mark.parametrize(("count", "cores"), [(6, 6), (None, 1)])
def test_where_there_is_no_affinity_the_machine_counts(tmp_path, write, monkeypatch, count, cores):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert cores_at_hand(tmp_path) == cores


def test_here_it_is_at_least_one():
    assert 1 <= cores_at_hand() <= (os.cpu_count() or 1)
