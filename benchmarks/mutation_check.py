"""Mutation check: single changes of numeric code, each of which a fast test of its module should notice.

python benchmarks/mutation_check.py [--modules mirnagraph.similarity ...] [--sample N] [--workers N] [--list]

A mutant turns one sign (+ and -, * and /), changes one numeric constant, turns axis 0 and 1, removes one log, exp or sqrt, moves one
bound (> and >=, < and <=) or swaps one minimum and maximum, anywhere in a module but in messages, annotations and tolerances below
1e-6. The tests of a module are the fast tests under tests/unit and tests/property in files that import it.

All libraries are imported once; each mutant is a fork that loads the mutated module through an import hook, so the working tree is
never edited. cosmic-ray starts an interpreter per mutant (seconds of imports each), and neither it nor mutmut turns an axis or removes
a log by itself.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

MODULES = (
    "mirnagraph.similarity",
    "mirnagraph.evaluation",
    "seqtower.encoders.descriptors",
    "seqtower.encoders.junction",
    "seqtower.encoders.kmer",
    "seqtower.encoders.gapped_words",
    "seqtower.correlations",
    "seqtower.descriptor_trees",
    "fusion.tokens",
    "fusion.evidence",
    "fusion.neighbours",
    "fusion.partners",
    "fusion.colocalized",
    "fusion.svd",
)
"""Modules and packages that are checked unless others are named."""

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/unit", "tests/property")
SLOWEST = 1.5
"""Seconds above which a test takes no part."""
TOLERANCE = 1e-6
"""Constants other than 0 that are smaller are tolerances, and are left alone."""

OPERATORS: dict[type, type] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
BOUNDS: dict[type, type] = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}
REMOVED = {"log", "log1p", "log2", "log10", "exp", "expm1", "sqrt"}
_PAIRS = [("min", "max"), ("minimum", "maximum"), ("argmin", "argmax"), ("nanmin", "nanmax"), ("fmin", "fmax"), ("idxmin", "idxmax"), ("amin", "amax")]
SWAPPED = {**dict(_PAIRS), **{high: low for low, high in _PAIRS}}


@dataclass(frozen=True, eq=False)
class Mutant:
    """One change of one module.

    Attributes:
        module: its name.
        path: its file.
        tree: syntax tree of the module, unchanged.
        node: the node that is replaced.
        instead: what replaces it.
    """

    module: str
    path: Path
    tree: ast.Module
    node: ast.AST
    instead: ast.AST

    def __str__(self) -> str:
        line = getattr(self.node, "lineno", 0)
        return f"{self.path.relative_to(ROOT)}:{line}: {ast.unparse(self.node)}  ->  {ast.unparse(self.instead)}"

    def code(self) -> CodeType:
        """Compile the module with this change."""
        return compile(_Swap(self.node, self.instead).visit(self.tree), str(self.path), "exec")


class _Swap(ast.NodeTransformer):
    def __init__(self, node: ast.AST, instead: ast.AST) -> None:
        self.node = node
        self.instead = instead

    def visit(self, node: ast.AST) -> ast.AST:
        return self.instead if node is self.node else self.generic_visit(node)


def module_files(names: Sequence[str]) -> dict[str, Path]:
    """Files of modules, and of all modules below packages."""
    files: dict[str, Path] = {}
    for name in names:
        place = ROOT.joinpath(*name.split("."))
        single = place.with_suffix(".py")
        found = [single] if single.is_file() else sorted(place.rglob("*.py"))
        if not found:
            raise SystemExit(f"no module or package {name!r} under {ROOT}")
        for path in found:
            parts = path.relative_to(ROOT).with_suffix("").parts
            files[".".join(parts).removesuffix(".__init__")] = path
    return files


def mutants_of(module: str, path: Path) -> list[Mutant]:
    """All single changes of a module, in the order of its lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [Mutant(module, path, tree, node, instead) for node in _numeric_nodes(tree) for instead in _changes(node)]
    return sorted(found, key=lambda mutant: (getattr(mutant.node, "lineno", 0), getattr(mutant.node, "col_offset", 0)))


def _numeric_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that may carry a number: no messages, no annotations; an axis as a whole."""
    yield node
    if _is_axis(node):
        return
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_message(child):
                yield from _numeric_nodes(child)


def _is_message(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise | ast.JoinedStr):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = _name(node.func)
    return name.endswith("Error") or name == "warn"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_tolerance(node: ast.AST) -> bool:
    """A tiny constant, or a number moved by one."""
    if isinstance(node, ast.BinOp):
        return any(map(_is_tolerance, ast.iter_child_nodes(node)))
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < abs(node.value) <= TOLERANCE


def _is_axis(node: ast.AST) -> bool:
    return isinstance(node, ast.keyword) and node.arg == "axis" and isinstance(node.value, ast.Constant)


def _name(node: ast.AST) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "")


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """What replaces a node in its mutants."""
    if isinstance(node, ast.BinOp | ast.Compare) and any(_is_text(child) or _is_tolerance(child) for child in ast.iter_child_nodes(node)):
        return
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield _with(node, op=OPERATORS[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand
    elif isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            if type(operator) in BOUNDS:
                yield _with(node, ops=[*node.ops[:place], BOUNDS[type(operator)](), *node.ops[place + 1 :]])
    elif _is_axis(node):
        yield _with(node, value=ast.copy_location(ast.Constant(int(node.value.value == 0)), node.value))
    elif isinstance(node, ast.Call) and _name(node.func) in REMOVED:
        if node.args:
            yield node.args[0]
        elif isinstance(node.func, ast.Attribute):
            yield node.func.value
    elif isinstance(node, ast.Attribute) and node.attr in SWAPPED:
        yield _with(node, attr=SWAPPED[node.attr])
    elif isinstance(node, ast.Name) and node.id in SWAPPED:
        yield _with(node, id=SWAPPED[node.id])
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float) and not _is_tolerance(node):
        yield _with(node, value=node.value + 1 if isinstance(node.value, int) else node.value * 2 or 1.0)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def imported_modules(path: Path) -> set[str]:
    """Names that a file imports, anywhere in it: modules, and members of modules, which may be modules too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def tests_of(modules: Sequence[str]) -> dict[str, list[str]]:
    """Test files that import each module, relative to the root."""
    paths = [path for folder in TESTS for path in sorted((ROOT / folder).rglob("test_*.py"))]
    imported = {str(path.relative_to(ROOT)): imported_modules(path) for path in paths}
    return {module: [test for test, names in imported.items() if module in names] for module in modules}


class _Hook(MetaPathFinder, SourceFileLoader):
    """Loads the mutated module in place of the file's."""

    def __init__(self, mutant: Mutant) -> None:
        SourceFileLoader.__init__(self, mutant.module, str(mutant.path))
        self.mutant = mutant

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self.mutant.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        return self.mutant.code()


@dataclass
class _Recorder:
    """Pytest plugin: seconds of each test, and which failed."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: object) -> None:
        name = report.nodeid  # type: ignore[attr-defined]
        self.seconds[name] = self.seconds.get(name, 0.0) + report.duration  # type: ignore[attr-defined]
        if report.failed:  # type: ignore[attr-defined]
            self.failed.append(name)


def forked(work: Callable[[], int]) -> int:
    """Start `work` in a silent process group of its own, which ends with what it returns."""
    process = os.fork()
    if process:
        return process
    status = 70
    try:
        os.setpgid(0, 0)
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        status = work()
    finally:
        os._exit(status)


def run_tests(arguments: Sequence[str], plugins: Sequence[object] = ()) -> int:
    """Exit status of pytest, property tests with fixed seeds and without shrinking what fails."""
    import pytest
    from hypothesis import Phase, settings

    settings.register_profile("mutants", deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
    fixed = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants", "--no-header", "--tb=no"]
    return int(pytest.main([*fixed, *arguments], plugins=list(plugins)))


def measure(tests: Sequence[str], folder: Path) -> tuple[dict[str, float], list[str]]:
    """Run tests on the code as it is: seconds of each test, and the libraries that were loaded."""
    answer = folder / "unchanged.json"

    def work() -> int:
        recorder = _Recorder()
        status = run_tests(tests, [recorder])
        outside = [name for name, module in list(sys.modules.items()) if "site-packages" in (getattr(module, "__file__", None) or "")]
        answer.write_text(json.dumps([recorder.seconds, recorder.failed, outside]), encoding="utf-8")
        return status

    _, status = os.waitpid(forked(work), 0)
    if not answer.is_file():
        raise SystemExit("the tests ended without an answer on unchanged code")
    seconds, failed, outside = json.loads(answer.read_text(encoding="utf-8"))
    if status:
        raise SystemExit(f"tests fail on unchanged code: {', '.join(failed) or 'while they are collected'}")
    return seconds, outside


def plan(tests: Sequence[str], seconds: dict[str, float]) -> tuple[list[str], float]:
    """Arguments that run the fast tests of some files, the fastest file first, and how long they may take."""
    of_file = {test: {name: taken for name, taken in seconds.items() if name.split("::")[0] == test} for test in tests}
    slow = [name for names in of_file.values() for name, taken in names.items() if taken > SLOWEST]
    total = {test: sum(taken for taken in names.values() if taken <= SLOWEST) for test, names in of_file.items()}
    ordered = sorted(tests, key=lambda test: total[test])
    return [*ordered, *(f"--deselect={name}" for name in slow)], 20 + 4 * sum(total.values())


def run_mutants(mutants: Sequence[Mutant], plans: dict[str, tuple[list[str], float]], workers: int) -> list[str]:
    """What became of each mutant: ``killed``, ``slow`` (ended after its time) or ``survived``."""
    outcome = ["survived"] * len(mutants)
    waiting = list(range(len(mutants)))[::-1]
    running: dict[int, tuple[int, float]] = {}
    n_done = 0
    while waiting or running:
        while waiting and len(running) < workers:
            number = waiting.pop()
            running[forked(lambda mutant=mutants[number]: _try(mutant, plans[mutant.module][0]))] = (number, time.monotonic())
        for process, (number, start) in list(running.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            late = time.monotonic() - start > plans[mutants[number].module][1]
            if not ended and not late:
                continue
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            if not ended:
                os.waitpid(process, 0)
            outcome[number] = "slow" if not ended else "killed" if status else "survived"
            del running[process]
            if outcome[number] == "survived" and mutants[number].node is not mutants[number].tree:
                print(mutants[number], flush=True)
            n_done += 1
            if n_done % 50 == 0:
                print(f"{n_done} of {len(mutants)}", file=sys.stderr, flush=True)
        time.sleep(0.01)
    return outcome


def _try(mutant: Mutant, arguments: Sequence[str]) -> int:
    sys.meta_path.insert(0, _Hook(mutant))
    return run_tests(arguments) if arguments else 0


def main() -> None:
    """Make mutants, run the tests on each and print those that no test noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", nargs="+", default=list(MODULES), metavar="NAME", help="modules or packages")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="random sample of N mutants instead of all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="mutants at a time")
    parser.add_argument("--list", action="store_true", help="print the mutants and their test files, run nothing")
    given = parser.parse_args()

    files = module_files(given.modules)
    mutants = [mutant for module, path in files.items() for mutant in mutants_of(module, path)]
    if 0 < given.sample < len(mutants):
        chosen = sorted(random.Random(given.seed).sample(range(len(mutants)), given.sample))
        mutants = [mutants[number] for number in chosen]
    modules = list(dict.fromkeys(mutant.module for mutant in mutants))
    tests = tests_of(modules)
    if given.list:
        print(*(f"{module}: {', '.join(tests[module]) or 'no test file imports it'}" for module in modules), *mutants, sep="\n")
        return

    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(HYPOTHESIS_STORAGE_DIRECTORY=folder, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
        seconds, outside = measure(sorted({test for names in tests.values() for test in names}), Path(folder))
        for name in outside:
            with suppress(Exception):
                importlib.import_module(name)
        plans = {module: plan(names, seconds) for module, names in tests.items()}
        controls = [Mutant(module, files[module], tree, tree, tree) for module in modules for tree in [ast.parse(files[module].read_text(encoding="utf-8"))]]
        if set(run_mutants(controls, plans, given.workers)) != {"survived"}:
            raise SystemExit("tests fail on unchanged code that is loaded as a mutant is")
        start = time.monotonic()
        outcome = run_mutants(mutants, plans, given.workers)
    _report(mutants, outcome, time.monotonic() - start)


def _report(mutants: Sequence[Mutant], outcome: Sequence[str], seconds: float) -> None:
    print(f"\n{'module':40s} {'mutants':>8s} {'slow':>6s} {'survived':>9s}")
    for module in [*dict.fromkeys(mutant.module for mutant in mutants), "all"]:
        ends = [what for mutant, what in zip(mutants, outcome, strict=True) if module in (mutant.module, "all")]
        n_survived = ends.count("survived")
        print(f"{module:40s} {len(ends):8d} {ends.count('slow'):6d} {n_survived:5d} {n_survived / max(len(ends), 1):.0%}")
    print(f"{seconds:.0f} s, {seconds / max(len(mutants), 1):.2f} s a mutant")


if __name__ == "__main__":
    main()
