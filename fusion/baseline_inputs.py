"""What the baselines read of every RNA: counts, names, flat label-free tokens and similarities, made once per dataset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fusion.modalities import build_tokens, expand_tokens
from fusion.neighbours import neighbour_similarity
from fusion.tokens import TokenTable
from mirnagraph.dataset import Dataset
from mirnagraph.networks.types import NetworkSet

MAX_PREFIXES = 8


@dataclass(frozen=True, eq=False)
class BaselineInputs:
    """Everything the baselines read, free of labels; rows in the order of the dataset.

    Attributes:
        counts: log(1 + number of partners), one column per kind of association that is not supporting: shape (n_rnas, n_kinds).
        kinds: names of the columns of `counts`.
        names: number and prefix in the RNA's id (see `name_features`): shape (n_rnas, width).
        tokens: label-free tokens.
        logistic: names of the tokens that logistic regression reads.
        trees: names of the tokens that the trees read beside the label averages over neighbours.
        similarities: name -> shape (n_rnas, n_rnas), in which neighbours are looked for; may be empty.
        groups: family number of every RNA, shape (n_rnas,).
        extra: further features by name, which an audit tries: name -> shape (n_rnas, width).
    """

    counts: np.ndarray
    kinds: tuple[str, ...]
    names: np.ndarray
    tokens: TokenTable
    logistic: tuple[str, ...]
    trees: tuple[str, ...]
    similarities: Mapping[str, np.ndarray]
    groups: np.ndarray
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)


def partner_counts(dataset: Dataset) -> pd.DataFrame:
    """Number of partners per RNA, one column per kind of association that is not supporting; index as the RNA table."""
    kinds = [kind for kind in dataset.associations if kind not in dataset.supporting]
    counts = {kind: np.diff(dataset.association_matrix(kind).indptr) for kind in kinds}
    return pd.DataFrame(counts, index=dataset.rnas.index)


def name_features(ids: Sequence[str]) -> np.ndarray:
    """What the ids alone give away, as log(1 + the first number), whether there is one, and which prefix stands before it.

    An artefact by construction: a low number means an RNA that was found early, and is well studied. Never part of a model.

    Returns:
        float64, shape (n, 2 + number of prefixes); of the prefixes (letters before the first digit, in lower case) those of two
        RNAs or more, the 8 most frequent at most, and none where all RNAs share one.
    """
    numbers, prefixes = np.zeros(len(ids)), []
    known = np.zeros(len(ids))
    for row, name in enumerate(ids):
        found = re.search(r"[0-9]+", name)
        prefixes.append(name[: found.start()].lower() if found else name.lower())
        if found:
            numbers[row], known[row] = np.log1p(float(found.group())), 1.0
    counted = pd.Series(prefixes).value_counts().sort_index().sort_values(ascending=False, kind="stable")
    common = [str(prefix) for prefix, n in counted.items() if 2 <= n < len(ids)][:MAX_PREFIXES]
    indicators = np.array([[float(prefix == name) for name in common] for prefix in prefixes]).reshape(len(ids), len(common))
    return np.column_stack([numbers, known, indicators])


def flat_tokens(networks: NetworkSet) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Label-free tokens that this dataset has: (those of logistic regression, those of the trees).

    Trees also read raw association rows, of kinds with no more partners than there are RNAs; wider tables are there as their
    truncated SVDs.
    """
    dataset = networks.dataset
    narrow = [n for n, network in networks.networks.items() if network.partners is not None and len(network.partners) <= len(dataset.index)]
    similar = [f"svd_similarity:{name}" for name in ("sequence", "gip") if name in networks.similarities]
    joined = any(not network.is_similarity for network in networks.networks.values())
    small = expand_tokens(networks, ["svd:*", *similar, "evidence:*", "partners:*", "attributes", "kmer", *(["degree"] if joined else [])])
    return small, (*(f"rows:{name}" for name in narrow), *small)


def baseline_inputs(networks: NetworkSet, groups: np.ndarray, *, svd_dim: int = 32) -> BaselineInputs:
    """Make what the baselines read; no label is looked at.

    Args:
        groups: family number of every RNA, shape (n_rnas,) (see `fusion.problem.Problem`).
        svd_dim: components of each truncated SVD.
    """
    dataset = networks.dataset
    logistic, trees = flat_tokens(networks)
    partners = partner_counts(dataset)
    kinds = tuple(partners.columns)
    similar = [name for name in ("sequence", "functional", "gip") if name in networks.similarities] + [f"cosine_{kind}" for kind in kinds]
    return BaselineInputs(
        counts=np.log1p(partners.to_numpy(dtype=np.float64)),
        kinds=kinds,
        names=name_features(dataset.index.ids),
        tokens=build_tokens(networks, trees, svd_dim=svd_dim),
        logistic=logistic,
        trees=trees,
        similarities={name: neighbour_similarity(networks, name) for name in similar},
        groups=np.asarray(groups),
    )
