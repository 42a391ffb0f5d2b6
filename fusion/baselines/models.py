"""Baseline models and their registry."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit

from fusion.data.baseline_inputs import BaselineInputs
from fusion.tokens.neighbours import neighbour_labels, neighbour_tokens
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.calibration import best_thresholds
from mirnagraph.evaluation.splits import inner_split
from mirnagraph.registry import Registry
from mirnagraph.seeds import child_seed
from mirnagraph.trees import TreesConfig, fit_boosting, fit_extra_trees

NEIGHBOURS_K = 20

THRESHOLD_FRACTION = 0.25
"""Share of the training rows on which decision thresholds are chosen."""

WIDE_C = 0.005
NARROW_C = 1.0
"""Inverse ridge penalties of logistic regression on many and on few features."""

RUN_BASELINES = (
    "frequency", "popularity", "popularity_and_name", "logistic", "neighbours",
    "extra_trees", "boosting", "trees",
)  # fmt: skip
"""Built-in baselines of a run."""

COLD_BASELINES = ("frequency", "words", "neighbour_transfer", "sequence")
"""Built-in baselines of a run with cold folds: all read nothing but the sequence."""

TREE_BASELINES = ("extra_trees", "boosting", "trees")
"""Baselines that share one fit."""

COUNTS = "counts:"
"""Prefix of a baseline on the partner counts of the named kinds: ``counts:drug+disease``."""

SMALL_FOREST = TreesConfig(n_trees=100, min_samples_leaf=3, max_features=0.3)

FitPredict = Callable[[BaselineInputs, np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
"""``fit_predict(inputs, labels, train, test, seed)``: probabilities, shape (n_test, n_labels).

`labels` has shape (n_rnas, n_labels), NaN where a label is masked or unknown; only rows of `train`
may be read.
"""

_BUILTIN = {
    "frequency": "frequency",
    "popularity": "partner_count_regression",
    "popularity_and_name": "count_and_name_regression",
    "logistic": "all_token_regression",
    "neighbours": "nearest",
    "extra_trees": "extra_trees",
    "boosting": "boosting",
    "trees": "mean_of_trees",
    "words": "kmer_forest",
    "neighbour_transfer": "nearest_by_sequence",
    "sequence": "sequence_alone",
}

BASELINES: Registry[Any] = Registry(
    "baseline",
    "mirnagraph.baselines",
    {name: f"{__name__}:{attribute}" for name, attribute in _BUILTIN.items()},
)
"""Baselines by name: a function `FitPredict`, or a class whose objects have it as a method.

The attribute ``description`` of an entry, else the first line of its docstring, describes it in
reports. Entries of other packages are fitted in every run; in one with cold folds only where the
attribute ``reads_sequence_alone`` is true.
"""


@dataclass(frozen=True)
class BaselineSettings:
    """Sizes of the baselines.

    Attributes:
        trees: of `TREE_BASELINES`.
        thresholds: whether a threshold per compartment is chosen inside the training rows; 0.5
            otherwise, in half the time.
    """

    trees: TreesConfig = field(
        default_factory=lambda: TreesConfig(n_trees=200, boosting_width=120, boosting_features=0.2)
    )
    thresholds: bool = True


@dataclass(frozen=True, eq=False)
class Prediction:
    """Prediction of one baseline for the test rows of one fold.

    Attributes:
        probabilities: in [0, 1], shape (n_test, n_labels).
        thresholds: probability above which a compartment is called, chosen inside the training
            rows: shape (n_labels,).
    """

    probabilities: np.ndarray
    thresholds: np.ndarray


def baseline_names(*, cold: bool = False) -> tuple[str, ...]:
    """Names of the baselines of a run: the built-in ones, then those of other packages.

    Args:
        cold: whether test RNAs have nothing but their sequence.
    """
    builtin = COLD_BASELINES if cold else RUN_BASELINES
    added = [name for name in BASELINES.names() if name not in _BUILTIN]
    if cold:
        added = [n for n in added if getattr(BASELINES[n], "reads_sequence_alone", False)]
    return (*builtin, *added)


def describe(name: str) -> str:
    """One line on a baseline for reports; the name itself where there is no such entry."""
    if name not in BASELINES:
        return name
    entry = BASELINES[name]
    given = getattr(entry, "description", None)
    if given:
        return str(given)
    first = (inspect.getdoc(entry) or name).splitlines()[0].removesuffix(".")
    is_acronym = first[1:2].isupper()
    return first if is_acronym else first[:1].lower() + first[1:]


def frequency(
    _inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, test: np.ndarray, _seed: int
) -> np.ndarray:
    """Label frequency of the training rows, the same for every RNA."""
    return np.tile(labels[train].mean(axis=0), (len(test), 1))


def logistic_regression(
    features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, c: float
) -> np.ndarray:
    """Fit one ridge-penalised logistic regression per compartment.

    Features are standardised on the training rows. A compartment of one class in the training rows,
    and features that never vary, give the training frequency.

    Args:
        features: shape (n_rnas, width).
        labels: shape (n_rnas, n_labels); only rows of `train` are read.
        train: training rows.
        test: rows to predict.
        c: inverse strength of the ridge penalty.

    Returns:
        Probabilities, shape (n_test, n_labels).
    """
    from sklearn.linear_model import LogisticRegression

    mean = features[train].mean(axis=0)
    sd = features[train].std(axis=0)
    varies = sd > 1e-9
    scaled = (features[:, varies].astype(np.float64) - mean[varies]) / sd[varies]
    probabilities = np.tile(labels[train].mean(axis=0), (len(test), 1))
    if not varies.any():
        return probabilities
    for column in range(labels.shape[1]):
        target = labels[train, column]
        if target.min() < target.max():
            model = LogisticRegression(C=c, max_iter=500).fit(scaled[train], target)
            probabilities[:, column] = model.predict_proba(scaled[test])[:, 1]
    return probabilities


@dataclass(frozen=True)
class FeatureBaseline:
    """Baseline that fits one model on features that read no label.

    Attributes:
        description: one line for reports.
        features: of all RNAs, shape (n_rnas, width).
        penalty: `c` of `logistic_regression`; None for a small forest of extra trees.
    """

    description: str
    features: Callable[[BaselineInputs], np.ndarray]
    penalty: float | None = NARROW_C

    def __call__(
        self,
        inputs: BaselineInputs,
        labels: np.ndarray,
        train: np.ndarray,
        test: np.ndarray,
        seed: int,
    ) -> np.ndarray:
        """See `FitPredict`."""
        features = self.features(inputs)
        if self.penalty is None:
            return _small_forest(features, labels, train, test, seed)
        return logistic_regression(features, labels, train, test, self.penalty)


partner_count_regression = FeatureBaseline(
    "logistic regression on how many partners an RNA has, per kind of association",
    lambda inputs: inputs.counts,
)

count_and_name_regression = FeatureBaseline(
    "popularity plus number and prefix in the RNA's name (an artefact, never part of a model)",
    lambda inputs: np.hstack([inputs.counts, inputs.names]),
)

all_token_regression = FeatureBaseline(
    "logistic regression on all label-free features, concatenated",
    lambda inputs: inputs.tokens.flat(inputs.logistic),
    WIDE_C,
)

kmer_forest = FeatureBaseline(
    "extra trees on the k-mers of the sequence alone",
    lambda inputs: inputs.tokens.flat(["kmer"]),
    None,
)

AUDIT_BASELINES = {
    "names": FeatureBaseline("", lambda inputs: inputs.names),
    "relatives": FeatureBaseline("", lambda inputs: inputs.extra["relatives"], None),
    "matching": FeatureBaseline("", lambda inputs: inputs.extra["matching"]),
}
"""Baselines of `mirnagraph audit` alone: they read artefacts (`BaselineInputs.extra`)."""


def _counts_of(kinds: Sequence[str], inputs: BaselineInputs) -> np.ndarray:
    """Partner counts of some kinds of association."""
    unknown = [kind for kind in kinds if kind not in inputs.kinds]
    if unknown:
        expected = ", ".join(inputs.kinds)
        raise ConfigError(f"unknown kind {unknown[0]!r} in a baseline {COUNTS}…; known: {expected}")
    return inputs.counts[:, [inputs.kinds.index(kind) for kind in kinds]]


def nearest(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, test: np.ndarray, _seed: int
) -> np.ndarray:
    """Labels of the 20 nearest training RNAs, averaged over all similarities."""
    n_labels = labels.shape[1]
    total = np.zeros((len(test), n_labels))
    n_similarities = np.zeros((len(test), 1))
    for similarity in inputs.similarities.values():
        averages = neighbour_labels(similarity, labels, train, NEIGHBOURS_K)[test]
        averages = averages.astype(np.float64)
        has_neighbour = averages[:, -1:] > 0
        total += np.where(has_neighbour, averages[:, :n_labels], 0)
        n_similarities += has_neighbour
    mean = total / np.maximum(n_similarities, 1)
    probabilities = np.where(n_similarities > 0, mean, labels[train].mean(axis=0))
    return np.clip(probabilities, 0, 1)


def nearest_by_sequence(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    """Labels of the 20 training RNAs with the most similar sequences."""
    if "sequence" not in inputs.similarities:
        return frequency(inputs, labels, train, test, seed)
    averages = neighbour_labels(inputs.similarities["sequence"], labels, train, NEIGHBOURS_K)
    return np.clip(averages[test, : labels.shape[1]].astype(np.float64), 0, 1)


def sequence_alone(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    """Extra trees on k-mers and the labels of the training RNAs with the most similar sequences."""
    features = kmer_forest.features(inputs)
    if "sequence" in inputs.similarities:
        similarity = inputs.similarities["sequence"]
        averages = neighbour_labels(similarity, labels, train, NEIGHBOURS_K)
        features = np.hstack([features, averages])
    return _small_forest(features, labels, train, test, seed)


def _small_forest(
    features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    forest = fit_extra_trees(features[train], labels[train], SMALL_FOREST, seed)
    return np.clip(forest.trees(features[test]), 0, 1)


@dataclass(frozen=True)
class TreeBaseline:
    """One of `TREE_BASELINES`, fitted by itself.

    Attributes:
        name: one of `TREE_BASELINES`.
        description: one line for reports.
    """

    name: str
    description: str

    def __call__(
        self,
        inputs: BaselineInputs,
        labels: np.ndarray,
        train: np.ndarray,
        test: np.ndarray,
        seed: int,
    ) -> np.ndarray:
        """See `FitPredict`."""
        no_rows = (train[:0], train[:0])
        trees = BaselineSettings().trees
        predictions = _fit_trees(inputs, labels, train, test, no_rows, seed, trees)
        return predictions[self.name].probabilities


extra_trees = TreeBaseline(
    "extra_trees", "extra trees on all label-free features and the neighbours' labels"
)

boosting = TreeBaseline(
    "boosting", "gradient boosting on the features that the extra trees found most useful"
)

mean_of_trees = TreeBaseline("trees", "mean of extra trees and boosting")


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

    `TREE_BASELINES` are fitted once for all of them, with `settings`.

    Args:
        inputs: what the baselines read.
        labels: shape (n_rnas, n_labels), NaN outside `train` (see
            `fusion.data.inputs.FusionData.masked_labels`).
        train: training rows.
        test: rows to predict.
        seed: of this fold.
        settings: sizes of the baselines.
        names: of `BASELINES` or `AUDIT_BASELINES`, or ``counts:KIND+KIND…`` (see `COUNTS`).

    Raises:
        ConfigError: an unknown name, or an entry that does not return probabilities of the test
            rows.
    """
    models = {name: find_baseline(name) for name in names}
    fit_rows = train[:0]
    threshold_rows = train[:0]
    if settings.thresholds:
        fit_rows, threshold_rows = _threshold_split(inputs, labels, train, seed)
    predictions: dict[str, Prediction] = {}
    if any(name in TREE_BASELINES for name in names):
        rows = (fit_rows, threshold_rows)
        trees_seed = child_seed(seed, "trees")
        predictions |= _fit_trees(inputs, labels, train, test, rows, trees_seed, settings.trees)
    for name in names:
        if name in TREE_BASELINES:
            continue
        thresholds = np.full(labels.shape[1], 0.5)
        if len(threshold_rows):
            inner_seed = child_seed(seed, name, "inner")
            inner = models[name](inputs, labels, fit_rows, threshold_rows, inner_seed)
            _check_probabilities(name, inner, (len(threshold_rows), labels.shape[1]))
            thresholds = best_thresholds(labels[threshold_rows], inner)
        probabilities = models[name](inputs, labels, train, test, child_seed(seed, name))
        _check_probabilities(name, probabilities, (len(test), labels.shape[1]))
        predictions[name] = Prediction(probabilities, thresholds)
    return {name: predictions[name] for name in names}


def find_baseline(name: str) -> FitPredict:
    """The function of a baseline (see `predict_fold` for the names).

    Raises:
        ConfigError: an unknown name, or an entry that cannot be called.
    """
    entry: Any
    if name.startswith(COUNTS):
        kinds = name.removeprefix(COUNTS).split("+")
        entry = FeatureBaseline("", partial(_counts_of, kinds))
    elif name in AUDIT_BASELINES:
        entry = AUDIT_BASELINES[name]
    else:
        entry = BASELINES[name]
    if inspect.isclass(entry):
        entry = entry()
    function = getattr(entry, "fit_predict", entry)
    if not callable(function):
        raise ConfigError(
            f"baseline {name!r} is neither a function nor a class with a method fit_predict"
        )
    return function  # type: ignore[no-any-return]


def _check_probabilities(name: str, values: np.ndarray, expected: tuple[int, int]) -> None:
    """Raise ConfigError for what is not a matrix of probabilities of this shape."""
    values = np.asarray(values)
    if values.shape != expected:
        raise ConfigError(
            f"baseline {name!r} returned shape {values.shape}; "
            f"expected {expected} (RNAs, compartments)"
        )
    is_probability = (values >= 0) & (values <= 1)
    if not is_probability.all():
        raise ConfigError(f"baseline {name!r} returned values outside [0, 1]")


def _threshold_split(
    inputs: BaselineInputs, labels: np.ndarray, train: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Training rows to fit on, and those to choose thresholds on; families are not split."""
    groups = inputs.groups if len(np.unique(inputs.groups[train])) > 1 else None
    split_seed = child_seed(seed, "thresholds")
    return inner_split(train, labels, groups, THRESHOLD_FRACTION, split_seed)


def _fit_trees(
    inputs: BaselineInputs,
    labels: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    inner_rows: tuple[np.ndarray, np.ndarray],
    seed: int,
    config: TreesConfig,
) -> dict[str, Prediction]:
    """Extra trees, boosting and their mean, from one fit.

    Thresholds are chosen by out-of-bag predictions of the extra trees, and by a boosting that is
    fitted without the rows of the thresholds.

    Args:
        inputs: what the baselines read.
        labels: shape (n_rnas, n_labels), NaN outside `train`.
        train: training rows.
        test: rows to predict.
        seed: of this fit.
        config: sizes of the trees.
        inner_rows: rows of `train` to fit that boosting on, and to choose thresholds on.
    """
    near = neighbour_tokens(inputs.tokens.index, inputs.similarities, labels, train, NEIGHBOURS_K)
    flat = inputs.tokens.flat(inputs.trees)
    if len(near):
        flat = np.hstack([flat, near.flat()])
    forest = fit_extra_trees(flat[train], labels[train], config, seed)
    boosted = fit_boosting(flat[train], labels[train], config, seed, forest.importance)
    from_forest = np.clip(forest.trees(flat[test]), 0, 1)
    probabilities = _with_mean(from_forest, expit(boosted(flat[test])))
    thresholds = {name: np.full(labels.shape[1], 0.5) for name in probabilities}
    fit_rows, threshold_rows = inner_rows
    if len(threshold_rows):
        inner_seed = child_seed(seed, "inner")
        inner = fit_boosting(
            flat[fit_rows], labels[fit_rows], config, inner_seed, forest.importance
        )
        out_of_bag = forest.out_of_bag[np.searchsorted(train, threshold_rows)]
        for name, values in _with_mean(out_of_bag, expit(inner(flat[threshold_rows]))).items():
            thresholds[name] = best_thresholds(labels[threshold_rows], values)
    return {name: Prediction(values, thresholds[name]) for name, values in probabilities.items()}


def _with_mean(forest: np.ndarray, boosted: np.ndarray) -> dict[str, np.ndarray]:
    mean = (forest + boosted) / 2
    return {"extra_trees": forest, "boosting": boosted, "trees": mean}
