"""Baseline inputs and models; registry BASELINES."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from fusion.data.baseline_inputs import BaselineInputs
from fusion.tokens.neighbours import neighbour_labels, neighbour_tokens
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.calibration import best_thresholds
from mirnagraph.evaluation.splits import inner_split
from mirnagraph.seeds import child_seed
from mirnagraph.trees import TreesConfig, fit_boosting, fit_extra_trees

NEIGHBOURS_K = 20

HELD_OUT = 0.25

WIDE_C = 0.005
NARROW_C = 1.0

TREES = ("extra_trees", "boosting", "trees")

COUNTS = "counts:"

SMALL_FOREST = TreesConfig(n_trees=100, min_samples_leaf=3, max_features=0.3)

BASELINES = {
    "frequency": "label frequency of the training rows, the same for every RNA",
    "popularity": "logistic regression on how many partners an RNA has, per kind of association",
    "popularity_and_name": "the same and the number and prefix in the RNA's name: an artefact, never part of a model",
    "logistic": "logistic regression on all label-free features side by side",
    "neighbours": "labels of the 20 nearest training RNAs, averaged over all similarities",
    "extra_trees": "extra trees on all label-free features and the neighbours' labels",
    "boosting": "gradient boosting on the features that the extra trees found most useful",
    "trees": "mean of extra trees and boosting",
}

COLD_BASELINES = {
    "frequency": BASELINES["frequency"],
    "words": "extra trees on the words of the sequence, and nothing else",
    "neighbour_transfer": "labels of the 20 training RNAs with the most similar sequences",
    "sequence": "extra trees on the words of the sequence and the labels of the most similar training RNAs",
}


@dataclass(frozen=True)
class BaselineSettings:
    """Sizes of the baselines.

    Attributes:
        trees: of ``extra_trees``, ``boosting`` and ``trees``.
        thresholds: whether a threshold per compartment is chosen inside the training rows; 0.5 otherwise, in half the time.
    """

    trees: TreesConfig = field(
        default_factory=lambda: TreesConfig(n_trees=200, boosting_width=120, boosting_features=0.2)
    )
    thresholds: bool = True


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one baseline says of the test rows of one fold.

    Attributes:
        probabilities: in [0, 1], shape (n_test, n_labels).
        thresholds: probability above which a compartment is called, chosen inside the training rows: shape (n_labels,).
    """

    probabilities: np.ndarray
    thresholds: np.ndarray


Model = Callable[[BaselineInputs, np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
"""``model(inputs, labels, train, rows, seed)``: probabilities of `rows`, shape (len(rows), n_labels); reads labels of `train` only."""


def frequency(
    _inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, _seed: int
) -> np.ndarray:
    """Share of the training rows that are annotated."""
    return np.tile(labels[train].mean(axis=0), (len(rows), 1))


def logistic_regression(
    features: np.ndarray, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, c: float
) -> np.ndarray:
    """One regularised logistic regression per compartment on features standardised on the training rows.

    A compartment of one class in the training rows, and features that never vary, give the training frequency.

    Args:
        features: shape (n_rnas, width). labels: shape (n_rnas, n_labels); only rows of `train` are read.
        c: inverse strength of the ridge penalty.

    Returns:
        Shape (len(rows), n_labels).
    """
    from sklearn.linear_model import LogisticRegression

    mean = features[train].mean(axis=0)
    sd = features[train].std(axis=0)
    varies = sd > 1e-9
    scaled = (features[:, varies].astype(np.float64) - mean[varies]) / sd[varies]
    found = np.tile(labels[train].mean(axis=0), (len(rows), 1))
    for column in range(labels.shape[1]):
        target = labels[train, column]
        if varies.any() and target.min() < target.max():
            found[:, column] = (
                LogisticRegression(C=c, max_iter=500)
                .fit(scaled[train], target)
                .predict_proba(scaled[rows])[:, 1]
            )
    return found


def nearest(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, _seed: int
) -> np.ndarray:
    """Label averages over the nearest training neighbours, averaged over the similarities in which an RNA has a neighbour."""
    n_labels = labels.shape[1]
    total = np.zeros((len(rows), n_labels))
    seen = np.zeros((len(rows), 1))
    for similarity in inputs.similarities.values():
        said = neighbour_labels(similarity, labels, train, NEIGHBOURS_K)[rows].astype(np.float64)
        near = said[:, -1:] > 0
        total += np.where(near, said[:, :n_labels], 0)
        seen += near
    return np.clip(
        np.where(seen > 0, total / np.maximum(seen, 1), labels[train].mean(axis=0)), 0, 1
    )


def sequence_alone(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, seed: int
) -> np.ndarray:
    """Extra trees on k-mers and the labels of the nearest training RNAs by sequence."""
    features = inputs.tokens.flat(["kmer"])
    if "sequence" in inputs.similarities:
        features = np.hstack(
            [
                features,
                neighbour_labels(inputs.similarities["sequence"], labels, train, NEIGHBOURS_K),
            ]
        )
    return _small_forest(features, labels, train, rows, seed)


def _words(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, seed: int
) -> np.ndarray:
    return _small_forest(inputs.tokens.flat(["kmer"]), labels, train, rows, seed)


def _by_sequence(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, seed: int
) -> np.ndarray:
    if "sequence" not in inputs.similarities:
        return frequency(inputs, labels, train, rows, seed)
    near = neighbour_labels(inputs.similarities["sequence"], labels, train, NEIGHBOURS_K)
    return np.clip(near[rows, : labels.shape[1]].astype(np.float64), 0, 1)


def _small_forest(
    features: np.ndarray, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, seed: int
) -> np.ndarray:
    return np.clip(
        fit_extra_trees(features[train], labels[train], SMALL_FOREST, seed).trees(features[rows]),
        0,
        1,
    )


def _of_counts(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, _seed: int
) -> np.ndarray:
    return logistic_regression(inputs.counts, labels, train, rows, NARROW_C)


def few_counts(inputs: BaselineInputs, kinds: Sequence[str]) -> Model:
    """Logistic regression on how many partners an RNA has, of these kinds of association only."""
    columns = [inputs.kinds.index(kind) for kind in kinds]
    return lambda _inputs, labels, train, rows, _seed: logistic_regression(
        inputs.counts[:, columns], labels, train, rows, NARROW_C
    )


def _of_names(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, _seed: int
) -> np.ndarray:
    return logistic_regression(inputs.names, labels, train, rows, NARROW_C)


def _of_counts_and_names(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, _seed: int
) -> np.ndarray:
    return logistic_regression(
        np.hstack([inputs.counts, inputs.names]), labels, train, rows, NARROW_C
    )


def _of_everything(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, _seed: int
) -> np.ndarray:
    return logistic_regression(inputs.tokens.flat(inputs.logistic), labels, train, rows, WIDE_C)


def _same_sequence(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, seed: int
) -> np.ndarray:
    return _small_forest(inputs.extra["relatives"], labels, train, rows, seed)


def _matching(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, rows: np.ndarray, _seed: int
) -> np.ndarray:
    return logistic_regression(inputs.extra["matching"], labels, train, rows, NARROW_C)


MODELS: dict[str, Model] = {
    "frequency": frequency, "popularity": _of_counts, "popularity_and_name": _of_counts_and_names, "logistic": _of_everything,
    "neighbours": nearest, "names": _of_names, "sequence": sequence_alone, "relatives": _same_sequence, "matching": _matching,
    "words": _words, "neighbour_transfer": _by_sequence,
}  # fmt: skip


def predict_fold(
    inputs: BaselineInputs,
    labels: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    names: Sequence[str],
    seed: int,
    settings: BaselineSettings,
) -> dict[str, Prediction]:
    """Fit the named baselines on the training rows and predict the test rows.

    Args:
        labels: shape (n_rnas, n_labels), NaN outside `train` (see `fusion.data.inputs.FusionData.masked_labels`).
        names: keys of `MODELS`, any of ``extra_trees``, ``boosting``, ``trees``, and ``counts:KIND+KIND…``, see `few_counts`.

    Raises:
        ConfigError: an unknown name.
    """
    models = MODELS | {
        name: few_counts(inputs, name.removeprefix(COUNTS).split("+"))
        for name in names
        if name.startswith(COUNTS)
    }
    unknown = [name for name in names if name not in models and name not in TREES]
    if unknown:
        raise ConfigError(f"unknown baseline {unknown[0]!r}; known: {', '.join([*MODELS, *TREES])}")
    fit, stop = (
        _held_out(inputs, labels, train, seed) if settings.thresholds else (train[:0], train[:0])
    )
    found = {}
    for name in (n for n in names if n in models):
        cuts = np.full(labels.shape[1], 0.5)
        if len(stop):
            cuts = best_thresholds(
                labels[stop],
                models[name](inputs, labels, fit, stop, child_seed(seed, name, "inner")),
            )
        found[name] = Prediction(
            models[name](inputs, labels, train, test, child_seed(seed, name)), cuts
        )
    if any(name in TREES for name in names):
        found |= _trees(
            inputs, labels, train, test, (fit, stop), child_seed(seed, "trees"), settings.trees
        )
    return {name: found[name] for name in names}


def _held_out(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    groups = inputs.groups if len(np.unique(inputs.groups[train])) > 1 else None
    return inner_split(train, labels, groups, HELD_OUT, child_seed(seed, "thresholds"))


def _trees(
    inputs: BaselineInputs,
    labels: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    parts: tuple[np.ndarray, np.ndarray],
    seed: int,
    config: TreesConfig,
) -> dict[str, Prediction]:
    """Extra trees, boosting and their mean; thresholds by what both say of training rows that they did not learn from."""
    fit, stop = parts
    near = neighbour_tokens(inputs.tokens.index, inputs.similarities, labels, train, NEIGHBOURS_K)
    flat = np.hstack([inputs.tokens.flat(inputs.trees), *([near.flat()] if len(near) else [])])
    forest = fit_extra_trees(flat[train], labels[train], config, seed)
    boosted = fit_boosting(flat[train], labels[train], config, seed, forest.importance)
    said = {
        "extra_trees": np.clip(forest.trees(flat[test]), 0, 1),
        "boosting": expit(boosted(flat[test])),
    }
    said["trees"] = (said["extra_trees"] + said["boosting"]) / 2
    cuts = {name: np.full(labels.shape[1], 0.5) for name in said}
    if len(stop):
        inner = expit(
            fit_boosting(
                flat[fit], labels[fit], config, child_seed(seed, "inner"), forest.importance
            )(flat[stop])
        )
        outside = forest.out_of_bag[np.searchsorted(train, stop)]
        for name, guess in (
            ("extra_trees", outside),
            ("boosting", inner),
            ("trees", (outside + inner) / 2),
        ):
            cuts[name] = best_thresholds(labels[stop], guess)
    return {name: Prediction(said[name], cuts[name]) for name in said}
