"""Audit of a dataset: what its labels can be predicted from, and facts that inflate a score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from fusion.baselines.models import COUNTS, BaselineSettings
from fusion.baselines.run import BaselineWork, cross_validate_baselines
from fusion.data.baseline_inputs import BaselineInputs, baseline_inputs
from fusion.data.expression_samples import expression_inputs
from fusion.data.inputs import FusionData
from fusion.data.leakage import leakage_section
from fusion.experiments.audit_facts import AuditRow, fact_rows, match_features
from fusion.tokens.builders import build_tokens
from fusion.tokens.table import TokenTable
from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import AVERAGE, MICRO
from mirnagraph.evaluation.scores import popularity_deciles
from mirnagraph.evaluation.splits import (
    Folds,
    check_n_folds,
    group_codes,
    grouped_folds,
    random_folds,
    used_rnas,
)
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import Progress, report
from mirnagraph.seeds import child_seed, generator
from mirnagraph.trees import TreesConfig

SOURCES = {
    "popularity": "counts alone (number of partners of each kind)",
    "names": "names alone (number and prefix in the id)",
    "popularity_and_name": "counts and names",
    "sequence": "sequence alone (k-mers, labels of the nearest sequences)",
    "relatives": "counts of an id relative to those of ids with the same sequence",
    "matching": "how the id was matched to its sequence",
    "trees": "a full model (trees on all network features)",
}
"""Models of an audit, by name of the baseline -> the information that it reads."""

MAX_KINDS_FOR_PAIRS = 4
"""Pairs of kinds of association are only modelled up to this number of kinds."""

LOCATED_SOURCES = ("popularity", "popularity_and_name", "trees")
"""Sources that are also tested without the unannotated RNAs."""

PERMUTED_SOURCES = ("popularity", "sequence", "trees")

SETTINGS = BaselineSettings(trees=TreesConfig(n_trees=150, rounds=60), thresholds=False)

PERMUTED = "permuted"

PERMUTED_FOLDS = 5

EXPRESSION = "expression"
"""Section of the full model by samples of expression."""

COLUMNS = ["section", "subject", "split", "rnas", "compartment", "measure", "value"]


@dataclass(frozen=True, eq=False)
class Audit:
    """Results of an audit.

    Attributes:
        dataset: name of the dataset.
        synthetic: the data are synthetic.
        n_rnas: number of RNAs.
        n_located: number of RNAs with at least one compartment.
        values: one value a row: ``section``, ``subject``, ``split`` (``random``, ``family``,
            ``permuted`` or empty), ``rnas`` (``all``, ``located`` or empty), ``compartment``
            (``average``, or empty where it is of all), ``measure``, ``value``.
        notes: what could not be audited, and why.
        leakage: section on the samples of measurements; empty without measurements.
    """

    dataset: str
    synthetic: bool
    n_rnas: int
    n_located: int
    values: pd.DataFrame
    notes: tuple[str, ...]
    leakage: str = ""

    def section(self, section: str, **columns: str) -> pd.DataFrame:
        """Rows of one section with given values of other columns."""
        table = self.values
        for column, value in {"section": section, **columns}.items():
            table = table[table[column] == value]
        return table

    def value(self, section: str, subject: str, measure: str, **columns: str) -> float:
        """One value; NaN where there is none.

        Args:
            section: of the value.
            subject: of the value.
            measure: of the value.
            columns: ``split``, ``rnas`` and ``compartment`` where they are not empty.
        """
        place = {"split": "", "rnas": "", "compartment": "", **columns}
        rows = self.section(section, subject=subject, measure=measure, **place)
        return float(rows["value"].iloc[0]) if len(rows) else np.nan

    def auc(
        self, source: str, split: str = "random", rnas: str = "all", measure: str = "AUC"
    ) -> float:
        """Average of a metric over compartments: mean over folds, pooled for ``within``."""
        return self.value("sources", source, measure, split=split, rnas=rnas, compartment=AVERAGE)


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
        networks: of the dataset.
        seed: of folds, models and the permutation.
        n_folds: folds of each split; fewer where there are fewer annotated RNAs or families.
        workers: processes; changes no number.
        settings: size of the full model.
        progress: callback.

    Raises:
        InputError: no compartment has both annotated and unannotated RNAs.
        ConfigError: more folds than RNAs.
    """
    dataset = networks.dataset
    check_n_folds(n_folds, len(dataset.index), "RNAs")
    labels = dataset.labels.to_numpy(dtype=np.float64)
    n_annotated = labels.sum(axis=0)
    if not ((n_annotated > 0) & (n_annotated < len(labels))).any():
        raise InputError(
            f"dataset {dataset.name!r} has no compartment with both annotated and unannotated RNAs",
            expected="one or more to audit",
        )
    notes: list[str] = []
    families = dataset.rnas.get("family", pd.Series([None] * len(labels), dtype=object))
    groups = group_codes(families)
    tokens = TokenTable(dataset.index, ())
    compartments = tuple(dataset.compartments)
    deciles = popularity_deciles(dataset)
    data = FusionData(dataset.index, compartments, labels, groups, tokens, {}, deciles)
    extra = {
        "relatives": build_tokens(networks, ["same_sequence"]).flat(),
        "matching": match_features(dataset),
    }
    inputs = replace(baseline_inputs(networks, groups), extra=extra)
    protocols = list(_protocols(dataset, n_folds, seed, notes))
    order = generator(seed, "audit", "permutation").permutation(len(labels))
    shuffled = replace(data, labels=labels[order])
    works = _source_works(inputs, data, shuffled, protocols, settings, seed)
    works += _expression_works(networks, works[0])
    rows = list(_source_rows(works, workers, progress))
    rows += fact_rows(dataset, protocols[0][2])
    return Audit(
        dataset.name,
        dataset.synthetic,
        len(labels),
        int(dataset.located.sum()),
        pd.DataFrame(rows, columns=COLUMNS),
        tuple(notes),
        leakage_section(dataset),
    )


def _protocols(
    dataset: Dataset, n_folds: int, seed: int, notes: list[str]
) -> Iterator[tuple[str, str, Folds]]:
    """Split, RNAs and folds of every combination that the dataset allows; adds to `notes`.

    The first is the random split of all RNAs.
    """
    families = dataset.rnas.get("family")
    if families is None:
        notes.append("The RNA table has no column 'family': no family-grouped folds.")
    for rnas in ("all", "located"):
        labels = dataset.labels[used_rnas(dataset.labels, rnas)]
        n = len(labels)
        if rnas == "located" and n == len(dataset.labels):
            notes.append("Every RNA has a compartment: leaving out those without changes nothing.")
            return
        if rnas == "located" and n < 2 * n_folds:
            notes.append(f"{n} RNAs have a compartment: too few to test them separately.")
            return
        split_seed = child_seed(seed, "audit", "random", rnas)
        yield "random", rnas, random_folds(labels, min(n_folds, n), split_seed)
        if families is None:
            continue
        n_groups = len(np.unique(group_codes(families.loc[labels.index])))
        if n_groups < 2:
            notes.append("All RNAs are of one family: no family-grouped folds.")
            continue
        split_seed = child_seed(seed, "audit", "family", rnas)
        yield "family", rnas, grouped_folds(labels, families, min(n_folds, n_groups), split_seed)


class _Work(NamedTuple):
    """Models on one protocol; `variant` names the samples of expression that they read."""

    split: str
    rnas: str
    work: BaselineWork
    variant: str = ""


def _source_works(
    inputs: BaselineInputs,
    data: FusionData,
    shuffled: FusionData,
    protocols: list[tuple[str, str, Folds]],
    settings: BaselineSettings,
    seed: int,
) -> list[_Work]:
    """Split, which RNAs, and models of every protocol, and of the permuted labels."""
    table = pd.DataFrame(shuffled.labels, index=pd.Index(data.index.ids, dtype=object))
    permuted_seed = child_seed(seed, "audit", PERMUTED)
    n_folds = min(PERMUTED_FOLDS, len(table))
    permuted = random_folds(table.astype(np.int8), n_folds, permuted_seed)
    few = few_counts_names(inputs.kinds)
    of_permuted = BaselineWork(
        inputs, shuffled, permuted, PERMUTED_SOURCES, permuted_seed, settings
    )
    works = []
    for split, rnas, folds in protocols:
        names = (*SOURCES, *few) if rnas == "all" else (*LOCATED_SOURCES, *few)
        split_seed = child_seed(seed, "audit", f"{split} {rnas}")
        work = BaselineWork(inputs, data, folds, names, split_seed, settings)
        works.append(_Work(split, rnas, work))
    return [*works, _Work(PERMUTED, "all", of_permuted)]


def _expression_works(networks: NetworkSet, first: _Work) -> list[_Work]:
    """The full model by samples of expression, with the folds and seeds of the first protocol."""
    work = replace(first.work, names=("trees",))
    variants = expression_inputs(networks, work.data.groups)
    return [
        first._replace(work=replace(work, inputs=inputs), variant=name)
        for name, inputs in variants.items()
    ]


def _source_rows(works: list[_Work], workers: int, progress: Progress | None) -> Iterator[AuditRow]:
    """Metrics of every source on every protocol."""
    total = sum(entry.work.folds.n_folds for entry in works)
    n_done = 0
    for split, rnas, work, variant in works:

        def count(_: str, done: int, __: int, before: int = n_done) -> None:
            report(progress, "audit", before + done, total)

        result = cross_validate_baselines(work, workers=workers, progress=count)
        n_done += work.folds.n_folds
        for name, metrics in result.metrics_of.items():
            section = _section_of(name, split)
            if variant:
                section = EXPRESSION
                name = variant
            yield from _metric_rows(section, name, metrics, split, rnas)


def _section_of(name: str, split: str) -> str:
    """Section of a model that reads no other samples of expression than usual."""
    if split == PERMUTED:
        return "permutation"
    return "few counts" if name.startswith(COUNTS) else "sources"


def _metric_rows(
    section: str, name: str, metrics: pd.DataFrame, split: str, rnas: str
) -> Iterator[AuditRow]:
    is_shown = metrics["metric"].isin(["AUC", "AUPR", "within"]) & (metrics["compartment"] != MICRO)
    for row in metrics[is_shown].to_dict("records"):
        column = "pooled" if row["metric"] == "within" else "mean"
        yield section, name, split, rnas, row["compartment"], row["metric"], row[column]


def few_counts_names(kinds: Sequence[str]) -> tuple[str, ...]:
    """Names of the models that read the counts of one kind of association, or of two."""
    subsets: list[tuple[str, ...]] = [(kind,) for kind in kinds]
    if 2 < len(kinds) <= MAX_KINDS_FOR_PAIRS:
        subsets += combinations(kinds, 2)
    return tuple(COUNTS + "+".join(subset) for subset in subsets)
