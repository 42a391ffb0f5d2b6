"""Audit and its facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import spearmanr

from fusion.baselines.models import COUNTS, BaselineSettings
from fusion.baselines.run import BaselineWork, cross_validate_baselines
from fusion.data.baseline_inputs import BaselineInputs, baseline_inputs, partner_counts
from fusion.data.inputs import FusionData
from fusion.experiments import audit as facts
from fusion.tokens.builders import build_tokens, shared_sequence
from fusion.tokens.table import TokenTable
from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation.scores import popularity_deciles
from mirnagraph.evaluation.splits import Folds, group_codes, grouped_folds, random_folds, used_rnas
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import Progress, report
from mirnagraph.seeds import child_seed, generator
from mirnagraph.trees import TreesConfig

SOURCES = {
    "popularity": "counts alone (how many partners of each kind)",
    "names": "names alone (number and prefix in the id)",
    "popularity_and_name": "counts and names",
    "sequence": "sequence alone (k-mers, labels of the nearest sequences)",
    "relatives": "how an id's counts compare with those of ids of the same molecule",
    "matching": "how the id was matched to its sequence",
    "trees": "a full model (trees on everything the networks hold)",
}

# beyond so many kinds of association their pairs are too many to read
PAIRS_UP_TO = 4

FEWER = ("popularity", "popularity_and_name", "trees")

SETTINGS = BaselineSettings(trees=TreesConfig(n_trees=150, rounds=60), thresholds=False)

PERMUTED = "permuted"

PERMUTED_FOLDS = 5

COLUMNS = ["section", "subject", "split", "rnas", "compartment", "measure", "value"]

NO_SEQUENCE = "no sequence"


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found.

    Attributes:
        dataset: name of the dataset.
        synthetic: made-up data.
        n_rnas, n_located: how many RNAs there are, and how many have a compartment.
        figures: every figure, one row each: ``section``, ``subject``, ``split`` (``random``, ``family``, ``permuted`` or empty),
            ``rnas`` (``all``, ``located`` or empty), ``compartment`` (``average`` or empty where it is of all), ``measure``, ``value``.
        notes: what could not be looked at, and why.
    """

    dataset: str
    synthetic: bool
    n_rnas: int
    n_located: int
    figures: pd.DataFrame
    notes: tuple[str, ...]

    def value(
        self,
        section: str,
        subject: str,
        measure: str,
        *,
        split: str = "",
        rnas: str = "",
        compartment: str = "",
    ) -> float:
        """One figure; NaN where it was not made."""
        wanted = {
            "section": section,
            "subject": subject,
            "split": split,
            "rnas": rnas,
            "compartment": compartment,
            "measure": measure,
        }
        found = self.figures
        for column, what in wanted.items():
            found = found[found[column] == what]
        return float(found["value"].iloc[0]) if len(found) else float("nan")

    def auc(
        self, source: str, split: str = "random", rnas: str = "all", measure: str = "AUC"
    ) -> float:
        """Average over compartments of what one source reaches: mean over folds (``within`` is pooled)."""
        return self.value("sources", source, measure, split=split, rnas=rnas, compartment="average")


def audit(
    networks: NetworkSet,
    *,
    seed: int = 0,
    n_folds: int = 10,
    workers: int = 1,
    settings: BaselineSettings = SETTINGS,
    progress: Progress | None = None,
) -> Audit:
    """Audit the dataset behind some networks.

    Args:
        seed: of folds, models and the permutation.
        n_folds: folds of each split; fewer where there are fewer RNAs or families.
        workers: processes; changes no number.
        settings: size of the full model.

    Raises:
        InputError: no compartment has both annotated and unannotated RNAs, so that there is nothing to predict.
    """
    dataset = networks.dataset
    labels = dataset.labels.to_numpy(dtype=np.float64)
    if not ((labels.sum(axis=0) > 0) & (labels.sum(axis=0) < len(labels))).any():
        raise InputError(
            f"dataset {dataset.name!r} has no compartment with both annotated and unannotated RNAs",
            expected="one or more to audit",
        )
    notes: list[str] = []
    families = dataset.rnas["family"] if "family" in dataset.rnas.columns else None
    groups = group_codes(
        families if families is not None else pd.Series([None] * len(labels), dtype=object)
    )
    data = FusionData(
        dataset.index,
        tuple(dataset.compartments),
        labels,
        groups,
        TokenTable(dataset.index, ()),
        {},
        popularity_deciles(dataset),
    )
    inputs = baseline_inputs(networks, groups)
    extra = {
        "relatives": build_tokens(networks, ["same_sequence"]).flat(),
        "matching": facts.match_features(dataset),
    }
    inputs = replace(inputs, extra=extra)
    protocols = list(_protocols(dataset, families, n_folds, seed, notes))
    shuffled = replace(
        data, labels=labels[generator(seed, "audit", "permutation").permutation(len(labels))]
    )
    rows = [*_source_rows(inputs, data, shuffled, protocols, settings, seed, workers, progress)]
    rows += _fact_rows(
        dataset,
        next(folds for split, rnas, folds in protocols if (split, rnas) == ("random", "all")),
    )
    rows.append(
        (
            "permutation",
            "chance",
            "",
            "",
            "",
            "standard error of an AUC",
            facts.chance_spread(labels),
        )
    )
    n_located = int(dataset.located.sum())
    return Audit(
        dataset.name,
        dataset.synthetic,
        len(labels),
        n_located,
        pd.DataFrame(rows, columns=COLUMNS),
        tuple(notes),
    )


def _protocols(
    dataset: Dataset, families: pd.Series | None, n_folds: int, seed: int, notes: list[str]
) -> Iterator[tuple[str, str, Folds]]:
    """(split, which RNAs, folds) of every combination that the dataset allows."""
    if families is None:
        notes.append(
            "The RNA table has no column 'family', so nothing was tested with families kept apart."
        )
    if dataset.located.all():
        notes.append("Every RNA has a compartment, so leaving out those without changes nothing.")
    for rnas in ("all", "located") if not dataset.located.all() else ("all",):
        labels = dataset.labels[used_rnas(dataset.labels, rnas)]
        if len(labels) < 2 * n_folds and rnas == "located":
            notes.append(
                f"Only {len(labels)} RNAs have a compartment: too few to test them by themselves."
            )
            continue
        yield (
            "random",
            rnas,
            random_folds(
                labels, min(n_folds, len(labels)), child_seed(seed, "audit", "random", rnas)
            ),
        )
        if families is not None:
            n_groups = len(np.unique(group_codes(families.loc[labels.index])))
            if n_groups < 2:
                notes.append(
                    "All RNAs are of one family, so nothing was tested with families kept apart."
                )
            else:
                yield (
                    "family",
                    rnas,
                    grouped_folds(
                        labels,
                        families,
                        min(n_folds, n_groups),
                        child_seed(seed, "audit", "family", rnas),
                    ),
                )


def _source_rows(
    inputs: BaselineInputs,
    data: FusionData,
    shuffled: FusionData,
    protocols: list[tuple[str, str, Folds]],
    settings: BaselineSettings,
    seed: int,
    workers: int,
    progress: Progress | None,
) -> Iterator[tuple[Any, ...]]:
    """Figures of every source on every protocol, and of the permuted labels."""
    table = pd.DataFrame(shuffled.labels, index=pd.Index(data.index.ids, dtype=object))
    permuted = random_folds(
        table.astype(np.int8), min(PERMUTED_FOLDS, len(table)), child_seed(seed, "audit", PERMUTED)
    )
    few = few_counts_names(inputs.kinds)
    work = {}
    base = BaselineWork(inputs, data, permuted, (), seed, settings)
    for split, rnas, folds in protocols:
        key = f"{split} {rnas}"
        names = (*(SOURCES if rnas == "all" else FEWER), *few)
        seed_of = child_seed(seed, "audit", key)
        work[key] = (split, rnas, replace(base, folds=folds, names=names, seed=seed_of))
    seed_of = child_seed(seed, "audit", PERMUTED)
    names = ("popularity", "sequence", "trees")
    of_permuted = replace(base, data=shuffled, names=names, seed=seed_of)
    work[PERMUTED] = (PERMUTED, "all", of_permuted)
    total = sum(part.folds.n_folds for _, _, part in work.values())
    n_done = 0
    for split, rnas, part in work.values():

        def count(_: str, done: int, __: int, before: int = n_done) -> None:
            report(progress, "audit", before + done, total)

        result = cross_validate_baselines(part, workers=workers, progress=count)
        n_done += part.folds.n_folds
        for name, metrics in result.metrics_of.items():
            yield from _metric_rows(name, metrics, split, rnas, is_few=name in few)


def _metric_rows(
    name: str, metrics: pd.DataFrame, split: str, rnas: str, *, is_few: bool
) -> Iterator[tuple[Any, ...]]:
    section = "sources"
    if split == PERMUTED:
        section = "permutation"
    elif is_few:
        section = "few counts"
    shown = metrics["metric"].isin(["AUC", "AUPR", "within"])
    for row in metrics[shown & (metrics["compartment"] != "micro")].to_dict("records"):
        value = row["pooled"] if row["metric"] == "within" else row["mean"]
        yield section, name, split, rnas, row["compartment"], row["metric"], float(value)


def few_counts_names(kinds: Sequence[str]) -> tuple[str, ...]:
    """Names of the models that read the counts of one kind of association, or of two."""
    pairs = combinations(kinds, 2) if 2 < len(kinds) <= PAIRS_UP_TO else ()
    return tuple(COUNTS + "+".join(some) for some in (*((kind,) for kind in kinds), *pairs))


def _fact_rows(dataset: Dataset, folds: Folds) -> Iterator[tuple[Any, ...]]:
    """Figures that need no model."""
    labels = dataset.labels.to_numpy()
    of_row = folds.of_rows(dataset.index)
    for name, together in facts.duplicates(dataset).items():
        for measure, value in facts.duplicate_metrics(together, labels, of_row).items():
            yield "duplicates", name, "random", "all", "", measure, value
    for pair in facts.compartment_pairs(dataset.labels).to_dict("records"):
        for measure in ("jaccard", "phi"):
            yield (
                "compartments",
                f"{pair['first']} and {pair['second']}",
                "",
                "",
                "",
                measure,
                float(pair[measure]),
            )
    for kind, match in facts.match_table(dataset).iterrows():
        for measure in ("n", "compartments", "unannotated"):
            yield "matching", str(kind), "", "", "", measure, float(match[measure])
    for kind, value in facts.count_correlations(dataset).items():
        yield "counts", kind, "", "", "", "Spearman with number of compartments", value
    yield "unannotated", "RNAs", "", "", "", "n", float((~dataset.located).sum())
    for column, name in enumerate(dataset.compartments):
        negative = labels[:, column] == 0
        share = (
            float((negative & ~dataset.located).sum() / negative.sum())
            if negative.any()
            else float("nan")
        )
        yield "unannotated", "share of the negatives", "", "", name, "share", share


def duplicates(dataset: Dataset) -> dict[str, sparse.csr_array]:
    """Which RNAs are one molecule under several ids: ``sequence`` (equal whole sequence) and, where there are matures, ``mature``
    (a shared mature sequence): binary, shape (n_rnas, n_rnas), zero diagonal.
    """
    cells = {"sequence": dataset.rnas["sequence"]}
    if "matures" in dataset.rnas.columns:
        cells["mature"] = dataset.rnas["matures"]
    return {
        name: shared_sequence([cell if isinstance(cell, str) else None for cell in column])
        for name, column in cells.items()
    }


def duplicate_metrics(
    together: sparse.csr_array, labels: np.ndarray, fold: np.ndarray
) -> dict[str, float]:
    """How many duplicates there are, how many a split parts, and how alike their labels are.

    Args:
        together: see `duplicates`. labels: 0/1, shape (n_rnas, n_labels). fold: shape (n_rnas,); rows below 0 are not tested.

    Returns:
        ``rnas`` (ids with a duplicate), ``pairs``, ``pairs apart`` (tested in different folds, so that one helps predict the other),
        ``same labels`` (share of the pairs with exactly the same compartments) and ``same labels, any two RNAs``; NaN without pairs.
    """
    together = sparse.csr_array(together != 0)
    upper = sparse.triu(together, k=1).tocoo()
    one = upper.row
    other = upper.col
    tested = (fold[one] >= 0) & (fold[other] >= 0)
    same = (labels[one] == labels[other]).all(axis=1)
    sizes = np.unique(labels, axis=0, return_counts=True)[1]
    n = len(labels)
    return {
        "rnas": float((np.diff(together.indptr) > 0).sum()),
        "pairs": float(len(one)),
        "pairs apart": float((tested & (fold[one] != fold[other])).sum()),
        "same labels": float(same.mean()) if len(one) else np.nan,
        "same labels, any two RNAs": float((sizes * (sizes - 1)).sum() / (n * (n - 1)))
        if n > 1
        else np.nan,
    }


def compartment_pairs(labels: pd.DataFrame) -> pd.DataFrame:
    """How alike every two compartments are: columns ``first``, ``second``, ``jaccard`` (both / either) and ``phi`` (correlation of 0/1).

    NaN where no RNA is in either, or where a compartment has one class.
    """
    rows = []
    values = labels.to_numpy(dtype=float)
    names = [str(c) for c in labels.columns]
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            a = values[:, i]
            b = values[:, j]
            either = float(np.maximum(a, b).sum())
            varies = a.std() > 0 and b.std() > 0
            rows.append(
                (
                    names[i],
                    names[j],
                    float((a * b).sum() / either) if either else np.nan,
                    float(np.corrcoef(a, b)[0, 1]) if varies else np.nan,
                )
            )
    return pd.DataFrame(rows, columns=["first", "second", "jaccard", "phi"])


def match_kinds(dataset: Dataset) -> pd.Series:
    """How each id came by its sequence: column ``match_kind`` where there is one, else whether there is a sequence at all."""
    known = (
        dataset.rnas["sequence"].map(lambda s: isinstance(s, str) and bool(s)).to_numpy(dtype=bool)
    )
    if "match_kind" in dataset.rnas.columns:
        kinds = dataset.rnas["match_kind"].fillna("").astype(str)
        return kinds.where(kinds != "", NO_SEQUENCE)
    return pd.Series(
        np.where(known, "sequence known", NO_SEQUENCE), index=dataset.rnas.index, dtype=object
    )


def match_features(dataset: Dataset) -> np.ndarray:
    """One 0/1 column per kind of match, and one for a missing sequence: float64, shape (n_rnas, n_kinds + 1)."""
    kinds = pd.get_dummies(match_kinds(dataset)).to_numpy(dtype=float)
    missing = (
        dataset.rnas["sequence"].map(lambda s: not (isinstance(s, str) and s)).to_numpy(dtype=float)
    )
    return np.column_stack([kinds, missing])


def match_table(dataset: Dataset) -> pd.DataFrame:
    """Per kind of match: ``n`` RNAs, mean number of ``compartments``, share ``unannotated``; the most frequent first."""
    table = pd.DataFrame(
        {"n": 1, "compartments": dataset.labels.sum(axis=1), "unannotated": ~dataset.located},
        index=dataset.rnas.index,
    )
    grouped = table.groupby(match_kinds(dataset).to_numpy()).agg(
        {"n": "sum", "compartments": "mean", "unannotated": "mean"}
    )
    return grouped.sort_index().sort_values("n", ascending=False, kind="stable")


def count_correlations(dataset: Dataset) -> dict[str, float]:
    """Spearman's correlation of the number of partners with the number of compartments, per kind of association and for their sum.

    NaN where one of the two never varies.
    """
    counts = partner_counts(dataset)
    n_labels = dataset.labels.sum(axis=1).to_numpy()
    columns = {str(kind): counts[kind].to_numpy() for kind in counts.columns}
    if len(columns) > 1:
        columns["all kinds together"] = counts.sum(axis=1).to_numpy()
    found = {}
    for name, column in columns.items():
        varies = len(np.unique(column)) > 1 and len(np.unique(n_labels)) > 1
        found[name] = float(spearmanr(column, n_labels).statistic) if varies else np.nan
    return found


def chance_spread(labels: np.ndarray) -> float:
    """Standard error of an AUC under chance, as a mean over compartments of both classes (Mann-Whitney): sqrt((n + 1) / (12 n1 n0)).

    >>> round(chance_spread(np.array([[1], [1], [0], [0]])), 3)
    0.323
    """
    n = len(labels)
    ones = labels.sum(axis=0).astype(float)
    both = (ones > 0) & (ones < n)
    return (
        float(np.sqrt((n + 1) / (12 * ones[both] * (n - ones[both]))).mean())
        if both.any()
        else float("nan")
    )
