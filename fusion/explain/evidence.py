"""Whom an answer may rest on: partners that are common among RNAs of a compartment, and the nearest training RNAs with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse

from fusion.explain.ranking import latest_pmids, nearest_rows
from fusion.models.reference import ReferenceRNAs
from mirnagraph.dataset import Dataset

TOP = 5
AGAINST = 2
FEWEST = 3
N_NEAREST = 5
N_PMIDS = 3

PSEUDO = 2.0
"""RNAs of average kind that are added to those that share a partner: one or two that share it are no evidence."""


@dataclass(frozen=True)
class Partner:
    """A partner of the RNA, and how the training RNAs that share it are located.

    Attributes:
        kind: of association. log_odds: of the compartment among the training RNAs that share the partner, against all others, smoothed.
        sharing: training RNAs that share it, the RNA itself not counted. located: how many of them are in the compartment.
        n_records: of the RNA's own association, where the dataset counts them. pmids: the latest of it.
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
        network: the similarity. weight: how similar, in [0, 1]. located: whether it is annotated in the compartment.
    """

    network: str
    rna: str
    weight: float
    located: bool


def partners_of(
    dataset: Dataset, known: ReferenceRNAs, row: int, column: int, *, fewest: int = FEWEST
) -> tuple[Partner, ...]:
    """Per kind of association the partners most common among RNAs of the compartment, then the least common ones.

    Args:
        dataset: rows in the order of `known`.
        column: the compartment.
        fewest: training RNAs that must share a partner for it to be named.
    """
    train = known.trained.copy()
    train[row] = False
    label = np.where(train, known.labels[:, column], 0.0)
    base = float(label.sum() / max(1, train.sum()))
    found: list[Partner] = []
    for kind, table in dataset.associations.items():
        matrix = _matrix(dataset, kind)
        own = np.sort(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]])
        if not len(own):
            continue
        shares = matrix[:, own]
        sharing = np.asarray(shares.T @ train.astype(float))
        located = np.asarray(shares.T @ label)
        odds = smoothed_log_odds(located, sharing, base)
        order = np.argsort(-odds, kind="stable")
        order = order[sharing[order] >= fewest]
        chosen = [int(i) for i in order[odds[order] > 0][:TOP]] + [
            int(i) for i in order[odds[order] < 0][-AGAINST:]
        ]
        records = (
            table[table["rna_id"] == dataset.index.ids[row]]
            .fillna({"pmids": ""})
            .set_index("partner_id")
        )
        names = dataset.partner_index(kind).ids
        for at in chosen:
            record = records.loc[names[own[at]]]
            n_records = float(record["n_records"]) if "n_records" in records.columns else None
            pmids = (
                tuple(latest_pmids([record["pmids"]])[:N_PMIDS])
                if "pmids" in records.columns
                else ()
            )
            found.append(
                Partner(
                    kind,
                    names[own[at]],
                    float(odds[at]),
                    int(sharing[at]),
                    int(located[at]),
                    n_records,
                    pmids,
                )
            )
    return tuple(found)


@lru_cache(maxsize=8)
def _matrix(dataset: Dataset, kind: str) -> sparse.csr_array:
    """Kept, since it is asked for again for every compartment."""
    return dataset.association_matrix(kind)


def smoothed_log_odds(located: np.ndarray, sharing: np.ndarray, base: float) -> np.ndarray:
    """Log odds of a share against those of `base`, after `PSEUDO` RNAs of which `base` are located were added.

    Args:
        located, sharing: counts, same shape. base: share of all, in [0, 1].
    """
    base = min(max(base, 1e-3), 1 - 1e-3)
    share = (located + PSEUDO * base) / (sharing + PSEUDO)
    return np.asarray(np.log(share / (1 - share)) - np.log(base / (1 - base)))


def neighbours_of(
    similarities: Mapping[str, np.ndarray], known: ReferenceRNAs, row: int | None, column: int
) -> tuple[Neighbour, ...]:
    """The nearest training RNAs by each similarity, annotated in the compartment or not.

    Args:
        similarities: name -> similarity of the RNA to all known ones, shape (n_known,).
        row: of the RNA itself, where it is known.
    """
    train = known.trained.copy()
    if row is not None:
        train[row] = False
    return tuple(
        Neighbour(
            name, known.index.ids[near], float(weights[near]), bool(known.labels[near, column] > 0)
        )
        for name, weights in similarities.items()
        for near in nearest_rows(weights, train)[:N_NEAREST]
    )
