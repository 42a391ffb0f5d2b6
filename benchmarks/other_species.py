"""Models of human RNAs on RNAs of the mouse: AUC on labelled lncRNAs, and answers on hairpins.

For each RUN of `mirnagraph seq train` on human lncRNAs it predicts the 75 labelled mouse lncRNAs
(RNALocate 2) and prints the AUC of every compartment that both have, with its 95 % interval over
resampled RNAs, and the AUC of the length alone. Then it predicts the mouse hairpins of miRBase with
the model that ships and prints which of its models answered, and how many have which warning.

Data: $MIRNAGRAPH_DATA, folders mouse and mirbase_all.

usage: python benchmarks/other_species.py [RUN ...] [--rename nuclear=Nucleus ...]
                                          [--resamples 2000] [--seed 0] [--no-hairpins]
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from fusion.api import predict
from fusion.export.load import SHIPPED, load
from mirnagraph.evaluation.compare import interval
from mirnagraph.evaluation.scores import auc
from mirnagraph.io import read_table
from mirnagraph.seeds import generator
from mirnagraph.sources.fasta import read_fasta
from mirnagraph.sources.mirbase import read_names

LENGTH = "length alone"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", help="runs of `seq train` on human lncRNAs")
    parser.add_argument("--rename", nargs="*", default=["nuclear=Nucleus", "cytoplasmic=Cytoplasm"])
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-hairpins", action="store_true")
    args = parser.parse_args()
    data = Path(os.environ["MIRNAGRAPH_DATA"])
    records = read_fasta(data / "mouse" / "lncRNA_75.fa.gz", iupac="n")
    labels = read_table(data / "mouse" / "lncRNA_75_labels.tsv").set_index("refseq")
    labels = labels.loc[records["id"]]
    options = {"resamples": args.resamples, "seed": args.seed}
    rename = dict(pair.split("=") for pair in args.rename)
    for run in args.runs:
        sequences = dict(zip(records["id"], records["sequence"], strict=True))
        predictions = predict(load(run), sequences=sequences)
        names = [rename.get(name, name) for name in predictions.compartments]
        values = pd.DataFrame(predictions.probabilities, columns=names)
        print(f"{run}, {len(records)} mouse lncRNAs")
        print_aucs(labels, values, **options)
    lengths = records["sequence"].str.len().to_numpy(dtype=float)
    print(LENGTH)
    names = [name for name in ("Nucleus", "Cytoplasm", "Exosome") if name in labels]
    print_aucs(labels, pd.DataFrame(dict.fromkeys(names, lengths)), **options)
    if not args.no_hairpins:
        print_hairpins(data)


def print_aucs(labels: pd.DataFrame, values: pd.DataFrame, *, resamples: int, seed: int) -> None:
    for name in values.columns:
        if name in labels.columns:
            true = labels[name].astype(int).to_numpy()
            value, low, high = auc_interval(true, values[name].to_numpy(), resamples, seed)
            print(f"  {name}: AUC {value:.3f} [{low:.3f}, {high:.3f}], {true.sum()} positives")


def auc_interval(
    true: np.ndarray, values: np.ndarray, n_resamples: int, seed: int
) -> tuple[float, float, float]:
    """AUC and its 95 % interval over resampled RNAs."""
    rng = generator(seed, "resamples of RNAs")
    draws = []
    for _ in range(n_resamples):
        rows = rng.integers(len(true), size=len(true))
        draws.append(auc(true[rows], values[rows]))
    low, high, _ = interval(np.array(draws))
    return auc(true, values), low, high


def print_hairpins(data: Path) -> None:
    names = read_names(data / "mirbase_all", "mmu")
    sequences = {str(name): str(text) for name, text in names.hairpins["sequence"].items()}
    table = predict(load(SHIPPED), sequences=sequences).to_frame()
    print(f"the model that ships, {len(table)} mouse hairpins")
    for source, n in table["source"].value_counts().items():
        print(f"  {source}: {n}")
    kinds: Counter[str] = Counter()
    for warning in table["warning"]:
        kinds["of another species"] += "another species" in warning
        is_alone = "no similar" in warning or "no related" in warning
        kinds["nothing similar or related known"] += is_alone
        kinds["no warning"] += not warning
    for kind, n in kinds.items():
        print(f"  warning, {kind}: {n}")


if __name__ == "__main__":
    main()
