"""Our metrics equal those of the benchmark's own scorer,
on made-up predictions for its four protocols.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.metrics import evaluate
from mirnagraph.evaluation.scores import popularity_deciles
from mirnagraph.evaluation.splits import read_folds

PROTOCOLS = {
    "random10_all1041": "folds_random.tsv",
    "random10_located901": "folds_random.tsv",
    "family10_all1041": "folds_family.tsv",
    "family10_located901": "folds_family.tsv",
}
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def bench():
    data = os.environ.get("MIRNAGRAPH_DATA")
    if not data:
        pytest.skip("MIRNAGRAPH_DATA is not set: no benchmark data to score on")
    folder = Path(data).resolve().parent / "bench"
    if not (folder / "score.py").is_file():
        pytest.skip(f"no scorer at {folder / 'score.py'}")
    return folder


@pytest.fixture(scope="module")
def scorer(bench):
    spec = importlib.util.spec_from_file_location("bench_score", bench / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def links(matrix, ids, prefix):
    rows, columns = np.nonzero(matrix)
    partners = [f"{prefix}{k}" for k in range(matrix.shape[1])]
    table = pd.DataFrame({"rna_id": np.array(ids)[rows], "partner_id": np.array(partners)[columns]})
    return table, pd.DataFrame(index=pd.Index(partners, name="partner_id"))


@pytest.fixture(scope="module")
def dataset(bench, scorer):
    """The benchmark's matrices as a Dataset, read here by position so that no reader of ours takes
    part in the comparison.
    """
    folder = bench.parent / "data" / "mirna1041"
    ids = (folder / "miRNA_ID_1041.txt").read_text().split()
    matrices = {
        "disease": np.loadtxt(folder / "miRNA_disease.csv", delimiter=",", dtype=int),
        "mRNA": np.loadtxt(folder / "miRNA_mRNA_matrix.txt.gz", dtype=int),
        "drug": np.loadtxt(folder / "miRNA_drug.csv", delimiter=",", dtype=int),
    }
    tables = {kind: links(matrix, ids, kind) for kind, matrix in matrices.items()}
    labels = np.loadtxt(folder / "miRNA_localization.csv", delimiter=",", dtype=int)
    index = pd.Index(ids, name="rna_id")
    return Dataset(
        name="benchmark",
        rnas=pd.DataFrame({"sequence": [None] * len(ids)}, index=index, dtype=object),
        associations={kind: table for kind, (table, _) in tables.items()},
        partners={kind: partners for kind, (_, partners) in tables.items()},
        labels=pd.DataFrame(labels, index=index, columns=scorer.COMPARTMENTS),
    )


def synthetic(dataset, seed, digits):
    """Probabilities that know something of the labels; few digits make ties."""
    rng = np.random.default_rng(seed)
    return np.round(
        0.4 * rng.random(dataset.labels.shape)
        + 0.2 * dataset.labels.to_numpy()
        + 0.2 * rng.random((len(dataset.labels), 1)),
        digits,
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("digits", [2, 12])
def test_equal_to_the_scorer(bench, scorer, dataset, protocol, digits):
    folds = read_folds(bench / PROTOCOLS[protocol], dataset.index, protocol)
    fold = folds.of_rows(dataset.index)
    prob = synthetic(dataset, len(protocol), digits)
    true = dataset.labels.to_numpy()
    got = evaluate(
        true, prob, fold, np.full(7, 0.5), dataset.compartments, decile=popularity_deciles(dataset)
    )
    tested = fold >= 0
    theirs = scorer.score(true[tested], prob[tested], fold[tested])
    decile = scorer.popularity_decile(
        bench.parent / "data" / "mirna1041", list(dataset.index)
    ).to_numpy()
    within = scorer.within_decile_auc(true[tested], prob[tested], decile[tested])
    expected = np.vstack([np.c_[theirs, within], np.r_[theirs.mean(0), within.mean()]])
    cells = got.set_index(["metric", "compartment"])
    names = [*dataset.compartments, "average"]
    wanted = [
        ("AUC", "mean"),
        ("AUC", "pooled"),
        ("AUPR", "mean"),
        ("AUPR", "pooled"),
        ("within", "pooled"),
    ]
    ours = np.column_stack([cells.loc[metric].loc[names, column] for metric, column in wanted])
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_scorer_run_on_a_predictions_file_prints_our_numbers(
    bench, dataset, protocol, tmp_path
):
    folds = read_folds(bench / PROTOCOLS[protocol], dataset.index, protocol)
    fold = folds.of_rows(dataset.index)
    prob = synthetic(dataset, 7, 12)
    table = pd.DataFrame(prob, columns=dataset.compartments)
    table.insert(0, "fold", fold)
    table.insert(0, "rna_id", list(dataset.index))
    table[fold >= 0].to_csv(tmp_path / "predictions.tsv", sep="\t", index=False)
    command = [sys.executable, str(bench / "score.py"), str(tmp_path / "predictions.tsv"), protocol]
    printed = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    got = evaluate(
        dataset.labels.to_numpy(),
        prob,
        fold,
        np.full(7, 0.5),
        dataset.compartments,
        decile=popularity_deciles(dataset),
    )
    cells = got.set_index(["compartment", "metric"])
    assert len(printed) == 9
    for line in printed[1:]:
        name, *numbers = re.split(r"\s{2,}|(?<=\d)\s", line.strip())
        auc, aupr, within = (cells.loc[(name, metric)] for metric in ("AUC", "AUPR", "within"))
        ours = [auc["mean"], auc["pooled"], aupr["mean"], aupr["pooled"], within["pooled"]]
        np.testing.assert_allclose([float(x) for x in numbers], ours, rtol=0, atol=5.1e-5)
