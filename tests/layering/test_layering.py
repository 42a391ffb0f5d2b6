"""The shape of the tree: direction of imports, circles, sizes, light start, wheel contents,
no machine's paths.
"""

from __future__ import annotations

import ast
import functools
import importlib
import os
import re
import resource
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FLOORS = {"mirnagraph": 0, "seqtower": 1, "fusion": 2, "cli": 3}
BLIND_TO_SOURCES = ("similarity", "networks", "embedding", "evaluation")
UNCAPPED = {"cli", "mirnagraph/sources"}
MAX_MODULES = 13
MAX_LINES = 500
MAX_FUNCTION_LINES = 70
MODULES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path, tree: ast.AST | None = None) -> set[str]:
    """Every module that a file imports, at its top or inside a function, by full name."""
    package = path.relative_to(ROOT).parent.parts
    imported = set()
    for node in ast.walk(tree if tree is not None else tree_of(path)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            stem = ".".join(part for part in (base, node.module) if part)
            imported |= {stem} | {f"{stem}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in {"import_module", "__import__"}:
                texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                imported |= {text for text in texts if isinstance(text, str)}
    return imported


def wrong_way(path: Path, tree: ast.AST | None = None) -> list[str]:
    floor = FLOORS[path.relative_to(ROOT).parts[0]]
    imported = imports_of(path, tree)
    return sorted(name for name in imported if FLOORS.get(name.split(".")[0], -1) > floor)


@functools.cache
def module_graph() -> dict[str, frozenset[str]]:
    """Module -> modules of the project that it imports."""
    graph = {}
    for name, path in NAMES.items():
        imported = {found for found in imports_of(path) if found in NAMES and found != name}
        # `from a.b import c` of a module c does not import what the package a.b holds.
        submodules = {found.rpartition(".")[0] for found in imported}
        graph[name] = frozenset(
            found
            for found in imported
            if found not in submodules or NAMES[found].name != "__init__.py"
        )
    return graph


def room_of(name: str) -> str:
    """Room of a module: its subfolder, or the module itself where it lies in the package's
    folder.
    """
    if NAMES[name].name == "__init__.py":
        return name
    parent = name.rpartition(".")[0]
    return parent if "." in parent else name


def circles(graph: dict[str, frozenset[str]]) -> list[str]:
    """Imports that lie on a circle."""

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph.get(start, ()))
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph.get(name, ())
        return seen

    reached = {name: reachable(name) for name in graph}
    return sorted(
        f"{name} -> {imported}"
        for name, imports in graph.items()
        for imported in imports
        if name in reached.get(imported, ())
    )


def test_imports_go_one_way() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(FLOORS)
    inside = ROOT / "mirnagraph" / "networks" / "example.py"
    assert wrong_way(inside, ast.parse("def f():\n    from fusion import tokens\n")) == [
        "fusion",
        "fusion.tokens",
    ]
    assert wrong_way(inside, ast.parse("import_module('cli.main')")) == ["cli.main"]
    assert [f"{name_of(path)}: {wrong_way(path)}" for path in MODULES if wrong_way(path)] == []


def test_no_circle_between_modules() -> None:
    assert circles({"a": frozenset("b"), "b": frozenset("a"), "c": frozenset("a")}) == [
        "a -> b",
        "b -> a",
    ]
    assert circles(module_graph()) == []


def test_no_circle_between_rooms() -> None:
    rooms: dict[str, set[str]] = {}
    for name, imports in module_graph().items():
        others = {room_of(imported) for imported in imports} - {room_of(name)}
        rooms.setdefault(room_of(name), set()).update(others)
    assert circles({room: frozenset(others) for room, others in rooms.items()}) == []


def test_rooms_do_not_know_where_data_came_from() -> None:
    origins = ("mirnagraph.sources", "mirnagraph.catalog")
    offenders = [
        name
        for name, path in NAMES.items()
        if name.split(".")[:1] == ["mirnagraph"]
        and name.split(".")[1:2] in [[room] for room in BLIND_TO_SOURCES]
        and any(imported.startswith(origins) for imported in imports_of(path))
    ]
    assert offenders == []


def test_folders_modules_and_functions_stay_small() -> None:
    crowd: dict[str, int] = {}
    offenders = []
    for path in MODULES:
        folder = str(path.parent.relative_to(ROOT))
        crowd[folder] = crowd.get(folder, 0) + (path.name != "__init__.py")
        n_lines = path.read_text(encoding="utf-8").count("\n")
        if n_lines > MAX_LINES:
            offenders.append(f"{name_of(path)}: {n_lines} lines")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    offenders.append(f"{name_of(path)}.{node.name}: {length} lines")
    offenders += [
        f"{folder}: {n} modules"
        for folder, n in crowd.items()
        if n > MAX_MODULES and folder not in UNCAPPED
    ]
    assert offenders == []


def test_names_of_all_exist() -> None:
    offenders = []
    for name, path in NAMES.items():
        if not any(
            isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
            for node in tree_of(path).body
        ):
            continue
        module = importlib.import_module(name)
        offenders += [f"{name}.{entry}" for entry in module.__all__ if not hasattr(module, entry)]
        if len(set(module.__all__)) != len(module.__all__):
            offenders.append(f"{name}: a name is duplicated")
    assert offenders == []


def test_every_package_is_listed_for_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["setuptools"]["packages"]
    packages = sorted(name_of(path) for path in MODULES if path.name == "__init__.py")
    assert sorted(listed) == packages
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in MODULES}
    assert folders <= set(packages), "a folder with modules has no __init__.py"
    typed = project["tool"]["setuptools"]["package-data"]
    assert [floor for floor in FLOORS if "py.typed" not in typed.get(floor, [])] == []
    assert [floor for floor in FLOORS if not (ROOT / floor / "py.typed").is_file()] == []


def project_texts() -> Iterator[tuple[Path, str]]:
    skipped = {"build", "dist", "__pycache__"}
    for folder, inner, files in os.walk(ROOT):
        here = Path(folder)
        skipped_here = skipped | ({"networks", "runs"} if here == ROOT else set())
        inner[:] = sorted(
            name
            for name in inner
            if name not in skipped_here
            and not name.endswith(".egg-info")
            and (not name.startswith(".") or name == ".ci")
        )
        for name in sorted(files):
            is_text = Path(name).suffix not in {".pyc", ".png", ".gz", ".parquet", ".safetensors"}
            if is_text and name != ".git":
                yield here / name, (here / name).read_bytes().decode("utf-8", errors="replace")


MACHINE = re.compile(
    r"(?<![\w.\-/])/(?:work|root|home|Users|mnt|scratch)/[A-Za-z_]|[A-Z]:\\\\?Users"
)


def test_no_file_names_a_path_of_someones_machine() -> None:
    assert MACHINE.search("open('/" + "home/me/x')")
    assert not MACHINE.search("https://example.org/home/me and ../home/x")
    offenders = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path, text in project_texts()
        for match in MACHINE.finditer(text)
    ]
    assert offenders == []


def loaded_after(code: str, *arguments: str) -> tuple[set[str], str]:
    """Names of top-level modules loaded in a new process after some code, and what it printed."""
    report = (
        "\nimport sys as _s\n"
        "_s.stderr.write('LOADED ' + ' '.join(sorted({m.split('.')[0] for m in _s.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + report, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return set(done.stderr.rsplit("LOADED ", 1)[1].split()), done.stdout


def test_importing_the_library_loads_nothing_heavy() -> None:
    heavy = {"torch", "pandas", "scipy", "sklearn", "numba", "gensim", "matplotlib", "lightning"}
    loaded, _ = loaded_after(
        "import mirnagraph, mirnagraph.names; mirnagraph.__version__; dir(mirnagraph)"
    )
    assert "mirnagraph" in loaded
    assert not loaded & (heavy | {"fusion", "seqtower", "cli"})


def test_the_upper_packages_are_offered_by_name_alone() -> None:
    """`mirnagraph.load` and its like lie in packages above: one table names them."""
    import mirnagraph

    upper = {name for name, module in mirnagraph._WHERE.items() if FLOORS[module.split(".")[0]] > 0}
    assert {"load", "fit", "predict", "cross_validate"} <= upper
    assert sorted([*mirnagraph._WHERE, "__version__"]) == mirnagraph.__all__
    assert set(mirnagraph.__all__) <= set(dir(mirnagraph))
    others = [
        name_of(path)
        for path in MODULES
        if path.parent.name != "cli"
        and name_of(path) != "mirnagraph"
        and "_WHERE" in path.read_text(encoding="utf-8")
    ]
    assert others == [], "one table is enough"


@pytest.mark.slow
def test_optional_packages_are_loaded_by_those_who_use_them_only() -> None:
    # Lightning is left out: its metrics load transformers themselves, wherever it is installed.
    loaded, _ = loaded_after("import seqtower.config, seqtower.encoders.base, seqtower.towers.base")
    assert not loaded & {"RNA", "fm", "transformers", "huggingface_hub"}


def test_help_is_quick_and_loads_neither_torch_nor_pandas() -> None:
    code = (
        "import sys\n"
        "from cli.main import main\n"
        "sys.argv = ['mirnagraph', '--help']\n"
        "try:\n"
        "    code = main()\n"
        "except SystemExit as end:\n"
        "    code = end.code\n"
        "assert not code, code"
    )
    loaded, shown = loaded_after(code)
    assert "build-networks" in shown
    assert "train" in shown
    heavy = {"torch", "pandas", "sklearn", "gensim", "numba", "RNA", "transformers"}
    assert not loaded & heavy
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", "from cli.main import main; main()", "--help"],
            capture_output=True,
            cwd=ROOT,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time, not the clock: tests run side by side on busy machines.
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds.append(used)
        if used < 0.5:
            break
    assert min(seconds) < 1.0, seconds
