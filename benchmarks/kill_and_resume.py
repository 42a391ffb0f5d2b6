"""Kill commands at random moments, resume them, and compare with runs that were not killed.

    python benchmarks/kill_and_resume.py --kills 20      # 20 of each command: 80
    python benchmarks/kill_and_resume.py --kills 2       # 8, as the slow tests do
    python benchmarks/kill_and_resume.py --kills 4 --signals INT TERM
    python benchmarks/kill_and_resume.py --kills 4 --overwrite   # a finished run is there before

Prints one line per command: kills, resumed runs that are equal bit for bit, and what was left
behind; with --overwrite also in how many cases the finished run was whole after the kill. Ends
with code 1 where one differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MAIN = "import sys; from cli.main import main; sys.exit(main())"

SMALL = """
newcomers = ""
[tokens]
attention = ["svd:disease", "svd:drug", "degree"]
trees = []
[attention]
dim = 8
n_heads = 2
[fusion]
dim = 8
n_heads = 2
n_members = 1
epochs = 2
kernel_dim = 4
[training]
epochs = 2
n_members = 1
inner_fraction = 0.2
[trees]
n_trees = 5
rounds = 2
boosting_width = 20
"""

SPACE = """
[space]
fusion.dropout = { low = 0.05, high = 0.3, step = 0.05 }
fusion.epochs = [2, 3]
"""

SEQ = """
[training]
epochs = 2
"""

# Files of times, and lists in the order in which files were written.
UNEQUAL = {"run.json", "mirnagraph.jsonl", "search.sqlite", "mirnagraph.lock"}

SEAL = "sealed_sha256"

SECONDS = "seconds"
"""Column or entry that holds a time."""


@dataclass(frozen=True)
class Job:
    """A command to kill.

    Attributes:
        name: of the command.
        words: its arguments without --out.
        other: arguments that make other results.
    """

    name: str
    words: tuple[str, ...]
    other: tuple[str, ...] = ("--seed", "1")


def jobs(folder: Path) -> list[Job]:
    """Write settings and data into a folder: the commands that are killed."""
    from mirnagraph.networks.build import build_networks
    from mirnagraph.synthetic import SyntheticConfig, make_synthetic

    config = SyntheticConfig(
        n_rnas=60, n_compartments=3, n_families=12, n_communities=3, n_partners=(30, 15, 24), seed=7
    )
    dataset, _ = make_synthetic(config)
    dataset.save(folder / "ds")
    build_networks(dataset).save(folder / "nets")
    for name, text in (("small", SMALL), ("space", SPACE), ("seq", SEQ)):
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    train = ("train", "--networks", "nets", "--fold", "4", "--config", "small.toml")
    seq = ("seq", "train", "--data", "ds", "--fold", "2", "--config", "seq.toml")
    tune = ("tune", "--networks", "nets", "--fold", "2", "--config", "small.toml")
    return [
        Job("train", (*train, "--no-baselines", "--workers", "2")),
        Job("seq train", (*seq, "--no-baselines", "--workers", "1")),
        Job("tune", (*tune, "--space", "space.toml", "--trials", "3", "--workers", "1")),
        Job("build-networks", ("build-networks", "--data", "ds", "--workers", "1"), ()),
    ]


def act_as_in_a_terminal() -> None:
    """Let signals end a command also where this script runs in the background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(job: Job, folder: Path, out: str) -> subprocess.Popen[str]:
    """Start a command in a process group of its own."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *job.words, "-q", "--out", out],
        cwd=folder,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=act_as_in_a_terminal,
    )


def finish(job: Job, folder: Path, out: str) -> float:
    """Run a command to its end: seconds."""
    begin = time.monotonic()
    process = start(job, folder, out)
    said = process.communicate()[1]
    if process.returncode:
        raise SystemExit(f"{job.name}: code {process.returncode}: {said}")
    return time.monotonic() - begin


def contents(folder: Path) -> dict[str, bytes]:
    """Files that have to be equal, by name."""
    return {
        path.relative_to(folder).as_posix(): without_seconds(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in UNEQUAL
    }


def without_seconds(path: Path) -> bytes:
    """Content of a file without the times in it."""
    content = path.read_bytes()
    if path.name == "fold.json":
        about = json.loads(content)
        for name in (SECONDS, SEAL):  # the seal is of the time, too
            about.pop(name, None)
        return json.dumps(about).encode()
    rows = [line.split(b"\t") for line in content.split(b"\n")]
    if path.suffix == ".tsv" and SECONDS.encode() in rows[0]:
        place = rows[0].index(SECONDS.encode())
        return b"\n".join(b"\t".join(row[:place] + row[place + 1 :]) for row in rows)
    if path.suffix == ".md":
        return without_column(re.sub(rb"[\d.,]+ (s|min|h)\b", b"", content).decode()).encode()
    return content


def without_column(text: str) -> str:
    """Markdown without the cells of columns of times."""
    place = None
    lines = []
    for line in text.split("\n"):
        cells = [cell.strip() for cell in line.split("|")] if line.startswith("|") else []
        if SECONDS in cells:
            place = cells.index(SECONDS)
        elif not cells:
            place = None
        if place is not None:
            cells = cells[:place] + cells[place + 1 :]
        lines.append("|".join(cells) if cells else line)
    return "\n".join(lines)


def leftovers(folder: Path) -> list[str]:
    """Hidden files, locks and folders of unfinished runs in a folder."""
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.name.startswith(".")
        or path.name == "mirnagraph.lock"
        or path.name.endswith(".unfinished")
    ]


def kill_once(
    job: Job, folder: Path, seconds: float, chance: random.Random, number: signal.Signals
) -> bool:
    """Send a signal to a command at a random moment: whether it was still running."""
    process = start(job, folder, "killed")
    try:
        process.wait(chance.uniform(0.1, 1.0) * seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, number)
    process.communicate()
    # a shell reports the number that a signal ended a command with, which the others do themselves
    return process.returncode in (-number, 128 + number)


def is_finished(folder: Path, expected: dict[str, bytes]) -> bool:
    """Whether the signal came behind the last file, so that there is nothing to resume."""
    if contents(folder) != expected:
        return False
    about = folder / "run.json"
    return not about.exists() or json.loads(about.read_bytes())["status"] == "done"


def check(
    job: Job,
    folder: Path,
    n_kills: int,
    chance: random.Random,
    signals: list[signal.Signals],
    *,
    overwrite: bool,
) -> bool:
    """Kill and resume a command; print a line: whether all results are equal."""
    seconds = finish(job, folder, "whole")
    expected = contents(folder / "whole")
    before: dict[str, bytes] = {}
    if overwrite:
        finish(replace(job, words=(*job.words, *job.other)), folder, "before")
        before = contents(folder / "before")
        job = replace(job, words=(*job.words, "--overwrite"))
    n_killed = 0
    n_whole = 0
    differing: list[str] = []
    left: list[str] = []
    n_equal = 0
    while n_killed < n_kills:
        number = signals[n_killed % len(signals)]
        shutil.rmtree(folder / "killed", ignore_errors=True)
        if overwrite:
            shutil.copytree(folder / "before", folder / "killed")
        was_running = kill_once(job, folder, seconds, chance, number)
        after = contents(folder / "killed")
        is_resumed = (was_running and not is_finished(folder / "killed", expected)) or not after
        if is_resumed:
            finish(job, folder, "killed")
        if not was_running:
            continue
        n_killed += 1
        n_whole += after in (before, expected)
        found = contents(folder / "killed")
        wrong = [name for name in expected | found if expected.get(name) != found.get(name)]
        differing += wrong
        n_equal += not wrong
        if is_resumed:  # else the lock of a killed process, which the next command takes over
            left += leftovers(folder)
    for name in ("whole", "before", "killed"):
        shutil.rmtree(folder / name, ignore_errors=True)
    print(f"{job.name}: {n_killed} killed, {n_equal} resumed equal, {seconds:.1f} s whole")
    if overwrite:
        print(f"  a finished run was there after {n_whole} of {n_killed} kills")
    if differing or left:
        print(f"  differ: {sorted(set(differing))}; left: {sorted(set(left))}")
    return n_equal == n_kills and not left and (n_whole == n_kills or not overwrite)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="kills of each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", help="one command")
    parser.add_argument(
        "--signals", nargs="+", default=["KILL"], help="KILL, INT, TERM, HUP, by turns"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="over a finished run, which has to be there or new"
    )
    given = parser.parse_args()
    chance = random.Random(given.seed)
    signals = [signal.Signals[f"SIG{name}"] for name in given.signals]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        chosen = [job for job in jobs(folder) if given.only in (None, job.name)]
        are_equal = [
            check(job, folder, given.kills, chance, signals, overwrite=given.overwrite)
            for job in chosen
        ]
    sys.exit(0 if all(are_equal) else 1)


if __name__ == "__main__":
    main()
