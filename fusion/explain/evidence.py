"""Supporting evidence of a prediction: enriched partners and the nearest training RNAs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import sparse

from fusion.explain.ranking import latest_pmids, nearest_rows
from fusion.models.reference import ReferenceRNAs
from mirnagraph.dataset import Dataset

MAX_ENRICHED = 5
MAX_DEPLETED = 2
MIN_SHARING = 3
N_NEAREST = 5
N_PMIDS = 3

PSEUDOCOUNT = 2.0
"""RNAs at base rate added to those that share a partner: one or two of them are no evidence."""


@dataclass(frozen=True)
class Partner:
    """A partner of the RNA, and the compartments of the training RNAs that share it.

    Attributes:
        kind: of association.
        log_odds: of the compartment among the training RNAs that share the partner, minus those of
            all training RNAs, smoothed.
        sharing: number of training RNAs that share it, without the RNA itself.
        located: number of those that are annotated in the compartment.
        n_records: of the RNA's own association, where the dataset counts them.
        pmids: the latest of it.
    """

    kind: str
    partner: str
    log_odds: float
    sharing: int
    located: int
    n_records: float | None
    pmids: tuple[str, ...]


@dataclass(frozen=True)
class Neighbour:
    """A training RNA near the RNA.

    Attributes:
        network: the similarity.
        weight: similarity, in [0, 1].
        located: whether it is annotated in the compartment.
    """

    network: str
    rna: str
    weight: float
    located: bool


def partners_of(
    dataset: Dataset,
    reference: ReferenceRNAs,
    row: int,
    column: int,
    *,
    min_sharing: int = MIN_SHARING,
) -> tuple[Partner, ...]:
    """Partners enriched, then depleted, among RNAs of a compartment, per kind of association.

    Args:
        dataset: rows in the order of `reference`.
        reference: the reference RNAs.
        row: of the RNA.
        column: of the compartment.
        min_sharing: training RNAs that have to share a partner.
    """
    is_training = reference.trained.copy()
    is_training[row] = False
    label = np.where(is_training, reference.labels[:, column], 0.0)
    base = float(label.sum() / max(1, is_training.sum()))
    partners: list[Partner] = []
    for kind in dataset.associations:
        matrix = _matrix(dataset, kind)
        columns = np.sort(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]])
        if not len(columns):
            continue
        shares = matrix[:, columns]
        sharing = np.asarray(shares.T @ is_training.astype(float))
        located = np.asarray(shares.T @ label)
        log_odds = smoothed_log_odds(located, sharing, base)
        order = np.argsort(-log_odds, kind="stable")
        order = order[sharing[order] >= min_sharing]
        enriched = order[log_odds[order] > 0][:MAX_ENRICHED]
        depleted = order[log_odds[order] < 0][-MAX_DEPLETED:]
        names = dataset.partner_index(kind).ids
        table = dataset.associations[kind]
        records = table[table["rna_id"] == dataset.index.ids[row]]
        records = records.fillna({"pmids": ""}).set_index("partner_id")
        for at in (*enriched, *depleted):
            name = names[columns[at]]
            counts = (float(log_odds[at]), int(sharing[at]), int(located[at]))
            partners.append(Partner(kind, name, *counts, *_citations(records.loc[name])))
    return tuple(partners)


@lru_cache(maxsize=8)
def _matrix(dataset: Dataset, kind: str) -> sparse.csr_array:
    """Association matrix, cached for the next compartment."""
    return dataset.association_matrix(kind)


def _citations(record: pd.Series) -> tuple[float | None, tuple[str, ...]]:
    """Number of records and latest PMIDs of an association, where the dataset has them."""
    n_records = float(record["n_records"]) if "n_records" in record else None
    return n_records, tuple(latest_pmids([record.get("pmids", "")])[:N_PMIDS])


def smoothed_log_odds(located: np.ndarray, sharing: np.ndarray, base: float) -> np.ndarray:
    """Log odds of shares minus those of the base rate, with `PSEUDOCOUNT` RNAs at base rate added.

    Args:
        located: annotated RNAs.
        sharing: all RNAs, same shape.
        base: base rate, in [0, 1].
    """
    base = min(max(base, 1e-3), 1 - 1e-3)
    share = (located + PSEUDOCOUNT * base) / (sharing + PSEUDOCOUNT)
    return np.asarray(np.log(share / (1 - share)) - np.log(base / (1 - base)))


def neighbours_of(
    similarities: Mapping[str, np.ndarray],
    reference: ReferenceRNAs,
    row: int | None,
    column: int,
) -> tuple[Neighbour, ...]:
    """The nearest training RNAs by each similarity, annotated in the compartment or not.

    Args:
        similarities: name -> similarity of the RNA to all reference RNAs, shape (n_reference,).
        reference: the reference RNAs.
        row: of the RNA itself, where it is a reference RNA.
        column: of the compartment.
    """
    is_training = reference.trained.copy()
    if row is not None:
        is_training[row] = False
    neighbours = []
    for name, weights in similarities.items():
        for near in nearest_rows(weights, is_training)[:N_NEAREST]:
            is_located = bool(reference.labels[near, column] > 0)
            rna = reference.index.ids[near]
            neighbours.append(Neighbour(name, rna, float(weights[near]), is_located))
    return tuple(neighbours)
