"""Simple models of the CircLoc benchmark, the published predictions, and runs beside them.

It prints the mean AUC and AUPR over compartments and folds (a fold in which a compartment has one
label is left out), the same with such a fold counted as 0 (as published), and both pooled; then the
pooled differences of each run, and of the published predictions, from the extra trees, with their
95 % intervals over RNAs. Simple models read training labels alone and are fitted on the same folds:

  degrees      logistic regression on the numbers of diseases, miRNAs and drugs
  length       extra trees on the length alone
  neighbours   mean label of the 20 nearest training RNAs, by sequence and by each table
  trees        extra trees on k-mers (1 to 4), length, degrees, and SVDs of the three tables
  published    CircLoc's own predictions (--split published_fold only): the best of 100 repeats

Data: $MIRNAGRAPH_DATA. Runs are folders of `mirnagraph train` on the same folds:

usage: python benchmarks/circloc.py [--split published_fold|cluster] [--fold 5] [--seed 0]
                                    [--out FILE.tsv] [RUN ...]
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from fusion.baselines.models import logistic_regression
from fusion.data.prepare import sequence_clusters
from fusion.tokens.neighbours import neighbour_labels
from mirnagraph import catalog
from mirnagraph.dataset import Dataset
from mirnagraph.embedding.factorization import svd_scores
from mirnagraph.evaluation.compare import compare
from mirnagraph.evaluation.metrics import (
    AVERAGE,
    UndefinedMetricWarning,
    evaluate,
    undefined_as_zero,
)
from mirnagraph.evaluation.splits import CLUSTER, Folds, make_folds
from mirnagraph.io import read_table, write_tsv
from mirnagraph.networks.build import circular_rnas
from mirnagraph.runs.results import PREDICTIONS, baseline_files, read_predictions
from mirnagraph.seeds import child_seed
from mirnagraph.similarity.kmer import kmer_similarity
from mirnagraph.similarity.profile import cosine, tf_idf
from mirnagraph.sources import circloc, load_dataset
from mirnagraph.trees import TreesConfig, fit_extra_trees
from seqtower.data.kmers import kmer_counts

TREES = TreesConfig(n_trees=500, min_samples_leaf=2, max_features=0.1)

SVD_DIM = 32

NEIGHBOURS_K = 20

DEGREES_C = 1.0

PUBLISHED = "published"

TREES_NAME = "trees"

METRICS = ("AUC", "AUPR")


def blocks(dataset: Dataset) -> dict[str, np.ndarray]:
    """Label-free features of every RNA by name, shape (n_rnas, width)."""
    sequences = list(dataset.rnas["sequence"])
    circular = circular_rnas(dataset)
    tables = [dataset.association_matrix(kind) for kind in dataset.associations]
    degrees = [np.log1p(np.diff(table.indptr)) for table in tables]
    profiles = [svd_scores(table, SVD_DIM) for table in tables]
    return {
        "length": np.log([[len(sequence)] for sequence in sequences]),
        "kmers": kmer_counts(sequences, 4, circular=circular, length=False),
        "degrees": np.column_stack(degrees),
        "profiles": np.hstack(profiles),
    }


def similarities(dataset: Dataset) -> list[np.ndarray]:
    """Similarity by sequence, and by each kind of association."""
    by_sequence = kmer_similarity(list(dataset.rnas["sequence"]), circular=circular_rnas(dataset))
    tables = [dataset.association_matrix(kind) for kind in dataset.associations]
    matrices = [by_sequence, *(cosine(tf_idf(table)) for table in tables)]
    for matrix in matrices:
        np.fill_diagonal(matrix, 0.0)
    return matrices


def mean_of_neighbours(
    matrices: list[np.ndarray], labels: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Label averages over the nearest training RNAs, averaged over the similarities that have any.

    Returns:
        Probabilities, shape (n_test, n_labels); the training frequency without a neighbour.
    """
    n_labels = labels.shape[1]
    total = np.zeros((len(test), n_labels))
    n_used = np.zeros((len(test), 1))
    for matrix in matrices:
        near = neighbour_labels(matrix, labels, train, NEIGHBOURS_K)[test].astype(np.float64)
        has_any = near[:, -1:] > 0
        total += np.where(has_any, near[:, :n_labels], 0.0)
        n_used += has_any
    return np.where(n_used > 0, total / np.maximum(n_used, 1), labels[train].mean(axis=0))


def trees(
    features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    """Extra trees: probabilities, shape (n_test, n_labels)."""
    values = features.astype(np.float32)
    forest = fit_extra_trees(values[train], labels[train], TREES, seed)
    return np.clip(forest.trees(values[test]), 0, 1)


def simple_models(dataset: Dataset, folds: Folds, seed: int) -> dict[str, np.ndarray]:
    """Out-of-fold probabilities of the simple models, NaN where an RNA is not tested."""
    labels = dataset.labels.to_numpy(dtype=np.float64)
    features = blocks(dataset)
    near = similarities(dataset)
    names = ("degrees", "length", "neighbours", TREES_NAME)
    predicted = {name: np.full(labels.shape, np.nan) for name in names}
    everything = np.hstack([features[n] for n in ("kmers", "length", "degrees", "profiles")])
    for fold in range(folds.n_folds):
        train, test = folds.rows(dataset.index, fold)
        masked = np.full_like(labels, np.nan)
        masked[train] = labels[train]
        fold_seed = child_seed(seed, "circloc", fold)
        predicted["degrees"][test] = logistic_regression(
            features["degrees"], masked, train, test, DEGREES_C
        )
        predicted["length"][test] = trees(features["length"], masked, train, test, fold_seed)
        predicted["neighbours"][test] = mean_of_neighbours(near, masked, train, test)
        predicted[TREES_NAME][test] = trees(everything, masked, train, test, fold_seed)
    return predicted


def published_predictions(dataset: Dataset, folds: Folds) -> pd.DataFrame:
    """CircLoc's predictions in the form of a run's ``predictions.tsv``."""
    path = catalog.find("circloc") / "circloc/published_repeat73_predictions.tsv.gz"
    table = read_table(path, ["circRNA", "fold", *circloc.COMPARTMENTS]).set_index("circRNA")
    values = table[list(circloc.COMPARTMENTS)].astype(float)
    return _as_table(dataset, folds, values.reindex(dataset.rnas.index).to_numpy())


def _as_table(dataset: Dataset, folds: Folds, predicted: np.ndarray) -> pd.DataFrame:
    """Predictions of tested RNAs in the form of a run's ``predictions.tsv``."""
    table = pd.DataFrame(predicted, columns=dataset.compartments)
    table.insert(0, "fold", folds.of_rows(dataset.index))
    table.insert(0, "rna_id", list(dataset.index))
    return table[table["fold"] >= 0].reset_index(drop=True)


def scores(table: pd.DataFrame, dataset: Dataset) -> dict[str, float]:
    """Averages of one model by both conventions, and pooled."""
    names = dataset.compartments
    true = dataset.labels.loc[table["rna_id"]].to_numpy()
    fold = table["fold"].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        metrics = evaluate(true, table[names].to_numpy(), fold, np.full(len(names), 0.5), names)
    average = metrics[metrics["compartment"] == AVERAGE].set_index("metric")
    zero = undefined_as_zero(metrics, len(np.unique(fold)))
    of_zero = zero[zero["compartment"] == AVERAGE].set_index("metric")["mean"]
    row = {}
    for metric in METRICS:
        row[metric] = average.loc[metric, "mean"]
        row[f"{metric} SD"] = average.loc[metric, "sd"]
        row[f"{metric} as published"] = of_zero[metric]
        row[f"{metric} pooled"] = average.loc[metric, "pooled"]
    return row


def run_predictions(runs: list[Path], dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Predictions of each run, and of its parts, by name."""
    tables = {}
    how = (dataset.index, tuple(dataset.compartments))
    for run in runs:
        tables[run.name] = read_predictions(run / PREDICTIONS, *how)
        for name, path in baseline_files(run).items():
            if path.parent.name == "parts":
                tables[f"{run.name} {name}"] = read_predictions(path, *how)
    return tables


def differences(
    tables: dict[str, pd.DataFrame], reference: str, dataset: Dataset, seed: int
) -> pd.DataFrame:
    """Pooled differences of every other model from one, averaged over compartments."""
    rows = []
    for name, table in tables.items():
        if name == reference:
            continue
        result = compare(tables[reference], table, dataset.labels, seed=seed)
        for row in result[result["compartment"] == AVERAGE].to_dict("records"):
            columns = ("metric", "first", "second", "difference", "low", "high", "p")
            rows.append({"model": name, **{column: row[column] for column in columns}})
    return pd.DataFrame(rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--split", default=circloc.PUBLISHED_FOLD)
    parser.add_argument("--fold", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    dataset = load_dataset("circloc")
    clusters = sequence_clusters(dataset) if args.split == CLUSTER else None
    folds = make_folds(dataset, args.split, n_folds=args.fold, seed=args.seed, clusters=clusters)
    tables = {
        name: _as_table(dataset, folds, values)
        for name, values in simple_models(dataset, folds, args.seed).items()
    }
    if args.split == circloc.PUBLISHED_FOLD:
        tables[PUBLISHED] = published_predictions(dataset, folds)
    tables |= run_predictions(args.runs, dataset)
    summary = pd.DataFrame({name: scores(table, dataset) for name, table in tables.items()}).T
    summary = summary.rename_axis("model").reset_index()
    print(f"{folds.name}: {folds.n_folds} folds, {len(tables[TREES_NAME])} tested RNAs\n")
    print(summary.to_string(index=False, float_format="{:.4f}".format))
    print(f"\nPooled difference from {TREES_NAME}, 95 % interval over RNAs\n")
    table = differences(tables, TREES_NAME, dataset, args.seed)
    print(table.to_string(index=False, float_format="{:.4f}".format))
    if args.out is not None:
        write_tsv(summary, args.out)


if __name__ == "__main__":
    main()
