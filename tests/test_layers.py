"""Imports run one way: policies -> emulator -> dispatchers, and inside the two first from the command line down."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = ["dispatchers", "emulator", "policies"]
"""From the lowest layer to the highest."""

ROOMS = {
    "emulator": [
        "errors version",
        "machine text",
        "elementary",
        "randomness keys",
        "model",
        "workload",
        "scenario",
        "engines",
        "results",
        "report",
        "runs",
        "command_line",
        "verification",
        "__init__ __main__",
    ],
    "policies": [
        "export provenance",
        "process log",
        "algorithms curves card",
        "presets",
        "tasks",
        "learned",
        "table",
        "training",
        "__init__",
        "command_line",
        "__main__",
        "paper",
    ],
}
"""Folders and single modules of the packages that have rooms, from the lowest layer to the highest."""

FORBIDDEN = {
    "dispatchers": {"torch", "simpy", "numba"},
    "emulator": {"torch", "stable_baselines3", "gymnasium"},
}

LATE = {"torch", "ray", "matplotlib", "pandas", "networkx", "onnx", "onnxruntime", "scipy", "duckdb", "polars"}
"""Slow to import, so the core imports them only inside functions."""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def imports(path: Path, *, top_level_only: bool = False, for_types: bool = False) -> set[str]:
    """Return the dotted modules that a file imports, and names in them; those for type checking alone if asked."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        if not for_types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if top_level_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_lower_packages(package):
    higher = set(PACKAGES[PACKAGES.index(package) + 1 :]) | FORBIDDEN.get(package, set()) | {"tests", "benchmarks"}
    assert modules(package)
    for path in modules(package):
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & higher, f"{path.name} imports {sorted(roots & higher)}"


def name_of(path: Path) -> str:
    """Return the dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(module: str) -> str:
    """Return the folder of a package, or the module in it, to which a dotted name belongs."""
    return [*module.split("."), "__init__"][1]


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_has_its_layer(package):
    named = {name for line in ROOMS[package] for name in line.split()}
    assert named == {path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_only_lower_ones(package):
    rank = {name: number for number, line in enumerate(ROOMS[package]) for name in line.split()}
    for path in modules(package):
        own = room(name_of(path))
        for name in imports(path):
            if name.startswith(f"{package}.") and room(name) in rank and room(name) != own:
                assert rank[room(name)] < rank[own], f"{path.relative_to(ROOT)} imports {name}"


def test_no_modules_import_one_another_in_a_circle():
    """Neither late nor for types alone."""
    paths = {name_of(path): path for package in PACKAGES for path in modules(package)}
    TopologicalSorter(
        {name: imports(path, for_types=True) & paths.keys() - {name} for name, path in paths.items()}
    ).prepare()


@pytest.mark.parametrize("package", ["dispatchers", "emulator"])
def test_slow_libraries_are_imported_late(package):
    for path in modules(package):
        roots = {name.split(".")[0] for name in imports(path, top_level_only=True)}
        assert not roots & LATE, f"{path.name} imports {sorted(roots & LATE)} at the top"
