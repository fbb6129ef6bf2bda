"""Imports run one way: policies -> emulator -> dispatchers, and inside the emulator from the command line down."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = ["dispatchers", "emulator", "policies"]
"""From the lowest layer to the highest."""

ROOMS = [
    "errors version",
    "machine text",
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
]
"""Folders and single modules of the emulator from the lowest layer to the highest."""

FORBIDDEN = {
    "dispatchers": {"torch", "simpy", "numba"},
    "emulator": {"torch", "stable_baselines3", "gymnasium"},
}

LATE = {"torch", "ray", "matplotlib", "pandas", "networkx", "onnx", "onnxruntime", "scipy", "duckdb", "polars"}
"""Slow to import, so the core imports them only inside functions."""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Return the dotted modules that a file imports, those only for type checking left out."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
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


def room(module: str) -> str:
    """Return the folder of `emulator`, or the module in it, to which a dotted name belongs."""
    return [*module.split("."), "__init__"][1]


def test_every_room_of_the_emulator_has_its_layer():
    named = {name for line in ROOMS for name in line.split()}
    assert named == {
        path.stem for path in (ROOT / "emulator").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))
    }


def test_rooms_of_the_emulator_import_only_lower_ones():
    rank = {name: number for number, line in enumerate(ROOMS) for name in line.split()}
    for path in modules("emulator"):
        own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for name in imports(path):
            if name.startswith("emulator.") and room(name) in rank and room(name) != own:
                assert rank[room(name)] < rank[own], f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("package", ["dispatchers", "emulator"])
def test_slow_libraries_are_imported_late(package):
    for path in modules(package):
        roots = {name.split(".")[0] for name in imports(path, top_level_only=True)}
        assert not roots & LATE, f"{path.name} imports {sorted(roots & LATE)} at the top"
