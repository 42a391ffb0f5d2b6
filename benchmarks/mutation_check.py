"""Mutation check: single changes of numeric code, each of which a fast test should notice.

python benchmarks/mutation_check.py [--modules NAME ...] [--sample N] [--workers N] [--list]

The changes are those of `mutants.py`. The tests of a module are the fast tests in those files under
tests/unit and tests/property that import it. All libraries are imported once; each mutant is a fork
that loads the mutated module through an import hook, so the working tree is never edited. Mutants
that no test can notice are listed with the reason in `mutants_equivalent.tsv` and not counted. It
fails where more than 5 % survive.

cosmic-ray starts an interpreter, with seconds of imports, for every mutant; neither it nor mutmut
turns an axis or removes a log by itself.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mutants import ImportHook, Mutant, mutants_of, unchanged

MODULES = (
    "mirnagraph.similarity",
    "mirnagraph.evaluation",
    "seqtower.data.kmers",
    "seqtower.encoders.descriptors",
    "seqtower.baselines.descriptor_trees",
    "seqtower.towers.cnn",
    "mirnagraph.embedding.label_attention",
    "fusion.tokens",
    "fusion.nn",
    "fusion.models.kernel_features",
    "fusion.models.towers",
    "fusion.models.towers_training",
)
"""Modules and packages that are checked unless others are named."""
ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/unit", "tests/property")
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.tsv")
MOST_SURVIVORS = 0.05
"""Share of survivors above which the check fails."""
SLOWEST = 1.5
"""Seconds above which a test takes no part."""
FIXED = ("-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants", "--tb=no")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
KILLED, SLOW, SURVIVED, SAME = "killed", "slow", "survived", "equivalent"


def module_files(names: Sequence[str]) -> dict[str, Path]:
    """Files of modules, and of all modules below packages."""
    files: dict[str, Path] = {}
    for name in names:
        place = ROOT.joinpath(*name.split("."))
        single = place.with_suffix(".py")
        paths = [single] if single.is_file() else sorted(place.rglob("*.py"))
        if not paths:
            raise SystemExit(f"no module or package {name!r} under {ROOT}")
        for path in paths:
            parts = path.relative_to(ROOT).with_suffix("").parts
            files[".".join(parts).removesuffix(".__init__")] = path
    return files


def imported_names(path: Path) -> set[str]:
    """Modules that a file imports anywhere, and their members, which may be modules too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def tests_of(modules: Sequence[str]) -> dict[str, list[str]]:
    """Test files that import each module, relative to the root."""
    imported = {}
    for folder in TESTS:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            imported[str(path.relative_to(ROOT))] = imported_names(path)
    return {name: [test for test, names in imported.items() if name in names] for name in modules}


@dataclass(eq=False)  # pluggy wants plugins that can be hashed
class _Recorder:
    """Pytest plugin: seconds of each test, and which failed."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: object) -> None:
        name = report.nodeid  # type: ignore[attr-defined]
        before = self.seconds.get(name, 0.0)
        self.seconds[name] = before + report.duration  # type: ignore[attr-defined]
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
    """Exit status of pytest; property tests have fixed seeds and do not shrink what fails."""
    import pytest
    from hypothesis import Phase, settings

    phases = [Phase.explicit, Phase.generate]
    settings.register_profile(
        "mutants", deadline=None, database=None, derandomize=True, phases=phases
    )
    return int(pytest.main([*FIXED, *arguments], plugins=list(plugins)))


def measure(tests: Sequence[str], folder: Path) -> tuple[dict[str, float], list[str]]:
    """Run tests on the code as it is: seconds of each, and the libraries that they load."""
    if not tests:
        return {}, []
    answer = folder / "unchanged.json"

    def work() -> int:
        recorder = _Recorder()
        status = run_tests(tests, [recorder])
        files = {name: getattr(module, "__file__", "") for name, module in sys.modules.items()}
        outside = [name for name, file in files.items() if "site-packages" in (file or "")]
        answer.write_text(json.dumps([recorder.seconds, recorder.failed, outside]))
        return status

    _, status = os.waitpid(forked(work), 0)
    if not answer.is_file():
        raise SystemExit("the tests ended without an answer on unchanged code")
    seconds, failed, outside = json.loads(answer.read_text())
    if status:
        names = ", ".join(failed) or "while they are collected"
        raise SystemExit(f"tests fail on unchanged code: {names}")
    return seconds, outside


def plan(tests: Sequence[str], seconds: dict[str, float]) -> tuple[list[str], float]:
    """Arguments that run the fast tests, the fastest file first, and their limit in seconds."""
    total = dict.fromkeys(tests, 0.0)
    slow = []
    for name, taken in seconds.items():
        test = name.split("::")[0]
        if test not in total:
            continue
        if taken > SLOWEST:
            slow.append(f"--deselect={name}")
        else:
            total[test] += taken
    ordered = sorted(tests, key=lambda test: total[test])
    return [*ordered, *slow], 20 + 4 * sum(total.values())


def run_mutants(
    mutants: Sequence[Mutant], plans: dict[str, tuple[list[str], float]], workers: int
) -> list[str]:
    """What became of each mutant: killed by a test, ended after its limit, or survived."""
    outcome = [SURVIVED] * len(mutants)
    waiting = list(range(len(mutants)))[::-1]
    running: dict[int, tuple[int, float]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            number = waiting.pop()
            arguments, limit = plans[mutants[number].module]
            process = forked(lambda mutant=mutants[number], given=arguments: _try(mutant, given))
            running[process] = (number, time.monotonic() + limit)
        for process, (number, end) in list(running.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            if not ended and time.monotonic() < end:
                continue
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            if not ended:
                os.waitpid(process, 0)
                outcome[number] = SLOW
            elif status:
                outcome[number] = KILLED
            del running[process]
        time.sleep(0.01)
    return outcome


def _try(mutant: Mutant, arguments: Sequence[str]) -> int:
    sys.meta_path.insert(0, ImportHook(mutant))
    return run_tests(arguments) if arguments else 0


def equivalent_mutants() -> set[tuple[str, str]]:
    """Function and change of the mutants that no test can notice."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines()[1:]
    return {tuple(line.split("\t")[:2]) for line in lines}


def main() -> None:
    """Make mutants, run the tests on each and print those that no test noticed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--modules", nargs="+", default=MODULES, metavar="NAME", help="modules or packages"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="random sample of N mutants")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample; default 0")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="mutants at a time")
    parser.add_argument("--list", action="store_true", help="print mutants and tests, run nothing")
    given = parser.parse_args()

    files = module_files(given.modules)
    mutants = [mutant for name, path in files.items() for mutant in mutants_of(name, path)]
    if given.sample is not None and given.sample < len(mutants):
        mutants = random.Random(given.seed).sample(mutants, given.sample)
        mutants.sort(key=lambda mutant: (mutant.module, mutant.line))
    modules = list(dict.fromkeys(mutant.module for mutant in mutants))
    tests = tests_of(modules)
    if given.list:
        for module in modules:
            print(f"{module}: {', '.join(tests[module]) or 'no test file imports it'}")
        for mutant in mutants:
            print(_where(mutant))
        return

    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(dict.fromkeys(THREADS, "1"), HYPOTHESIS_STORAGE_DIRECTORY=folder)
        all_tests = sorted({test for names in tests.values() for test in names})
        seconds, outside = measure(all_tests, Path(folder))
        for name in outside:
            with suppress(Exception):
                importlib.import_module(name)
        plans = {module: plan(names, seconds) for module, names in tests.items()}
        controls = [unchanged(module, files[module]) for module in modules]
        outcome = run_mutants(controls, plans, given.workers)
        failed = [
            f"{mutant.module} ({what})"
            for mutant, what in zip(controls, outcome, strict=True)
            if what != SURVIVED
        ]
        if failed:
            names = ", ".join(failed)
            raise SystemExit(f"tests fail on unchanged code that is loaded as a mutant is: {names}")
        rate = _check(mutants, plans, given.workers)
    sys.exit(0 if rate <= MOST_SURVIVORS else f"more than {MOST_SURVIVORS:.0%} survived")


def _check(
    mutants: Sequence[Mutant], plans: dict[str, tuple[list[str], float]], workers: int
) -> float:
    """Run module by module, printing survivors; at the end print a row for each module.

    Returns:
        The share that survived.
    """
    equivalent = equivalent_mutants()
    start = time.monotonic()
    rows = []
    for module in plans:
        chosen = [mutant for mutant in mutants if mutant.module == module]
        print(f"{module}: {len(chosen)} mutants", file=sys.stderr, flush=True)
        outcome = run_mutants(chosen, plans, workers)
        for number, mutant in enumerate(chosen):
            if outcome[number] == SURVIVED and (mutant.function, mutant.change) in equivalent:
                outcome[number] = SAME
            if outcome[number] == SURVIVED:
                print(_where(mutant), flush=True)
        rows.append([module, *(outcome.count(what) for what in (KILLED, SLOW, SAME, SURVIVED))])
    rows.append(["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])])
    print(f"\n{'module':40s} {'killed':>7s} {'slow':>5s} {'equivalent':>10s} {'survived':>8s}")
    for module, n_killed, n_slow, n_same, n_survived in rows:
        rate = n_survived / max(n_killed + n_slow + n_survived, 1)
        print(f"{module:40s} {n_killed:7d} {n_slow:5d} {n_same:10d} {n_survived:8d} {rate:5.1%}")
    print(f"{time.monotonic() - start:.0f} s, {len(mutants)} mutants")
    return rate


def _where(mutant: Mutant) -> str:
    path = mutant.path.relative_to(ROOT)
    return f"{path}:{mutant.line}: {mutant.function}: {mutant.change}"


if __name__ == "__main__":
    main()
