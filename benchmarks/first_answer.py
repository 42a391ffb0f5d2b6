"""Names that the model that ships answers, and the time to its first answer.

It prints the seconds of `mirnagraph predict hsa-miR-21-5p` in a process of its own, then how every
human mature of miRBase 22.1 (by name and by accession) and every earlier or retired name is
answered. --out lists each earlier name with the RNA that answers, or the reason why none does.

Data: $MIRNAGRAPH_DATA, folder mirbase.

usage: python benchmarks/first_answer.py [--repeats 3] [--out earlier_names.tsv]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from fusion.export.load import SHIPPED, load
from fusion.models.predict import match_queries
from fusion.models.saved import SavedModel
from mirnagraph.io import write_tsv
from mirnagraph.names import MirbaseNames
from mirnagraph.sources.mirbase import read_names

ROOT = Path(__file__).resolve().parent.parent

NAME = "hsa-miR-21-5p"

COMMAND = "import sys; from cli.main import main; sys.argv[1:] = ['predict', NAME, '-q']; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="table of the earlier names")
    args = parser.parse_args()
    before = os.times()
    seconds = [seconds_of_first_answer() for _ in range(args.repeats)]
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    print(f"mirnagraph predict {NAME}: {min(seconds):.1f} to {max(seconds):.1f} s")
    print(f"  processor: {used / args.repeats:.1f} s")
    model = load(SHIPPED)
    assert isinstance(model, SavedModel)
    names = read_names(Path(os.environ["MIRNAGRAPH_DATA"]) / "mirbase")
    matures = names.matures.drop_duplicates("accession")
    for column in ("mature_id", "accession"):
        print_answers(f"matures by {column}", answers(model, list(matures[column])))
    table = answers(model, earlier_names(names))
    print_answers("earlier names", table)
    if args.out is not None:
        write_tsv(table, args.out)


def seconds_of_first_answer() -> float:
    """Of a new process, without a dataset or run at hand."""
    unset = ("MIRNAGRAPH_DATA", "MIRNAGRAPH_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment["PYTHONPATH"] = str(ROOT)
    start = time.monotonic()
    command = [sys.executable, "-c", COMMAND.replace("NAME", repr(NAME))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[1].startswith(f"{NAME}\t")
    return time.monotonic() - start


def earlier_names(names: MirbaseNames) -> list[str]:
    """Aliases that are no current name, and the names and ids of retired entries."""
    current = {*names.hairpins.index, *names.matures["mature_id"]}
    earlier = [name for name in names.aliases["name"] if name not in current]
    retired = [name for cell in names.retired["names"] for name in cell.split(";")]
    return list(dict.fromkeys([*earlier, *retired, *names.retired.index]))


def answers(model: SavedModel, queries: list[str]) -> pd.DataFrame:
    """One row per query: ``query``, ``rna_id``, ``accession``, ``match``, ``note``."""
    rows = [
        (match.query, match.rna_id or "", match.accession, match.kind, match.note)
        for match in match_queries(model, queries)
    ]
    return pd.DataFrame(rows, columns=["query", "rna_id", "accession", "match", "note"])


def print_answers(what: str, table: pd.DataFrame) -> None:
    is_answered = table["rna_id"] != ""
    print(f"{what}: {is_answered.sum()} of {len(table)} answered")
    for kind, n in Counter(table.loc[~is_answered, "match"]).items():
        print(f"  no answer, {kind}: {n}")
    n_without_reason = int((~is_answered & (table["note"] == "")).sum())
    print(f"  no answer and no reason: {n_without_reason}")


if __name__ == "__main__":
    main()
