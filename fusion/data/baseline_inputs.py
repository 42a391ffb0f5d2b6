"""Inputs of the baselines: partner counts, names, label-free tokens and similarities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fusion.tokens.builders import build_tokens
from fusion.tokens.kinds import can_be_made, expand_tokens
from fusion.tokens.names import COVARIATES, EXPRESSION, EXPRESSION_PROFILE, KMER, PROFILE
from fusion.tokens.neighbours import neighbour_similarity
from fusion.tokens.table import BuildSettings, TokenTable
from mirnagraph.dataset import Dataset
from mirnagraph.networks.network import COEXPRESSION, NetworkSet
from mirnagraph.networks.similarities import Similarity

MAX_PREFIXES = 8


@dataclass(frozen=True, eq=False)
class BaselineInputs:
    """Everything the baselines read, free of labels; rows in the order of the dataset.

    Attributes:
        counts: log(1 + number of partners), one column per kind of association that is not
            supporting: shape (n_rnas, n_kinds).
        kinds: names of the columns of `counts`.
        names: number and prefix in the RNA's id (see `name_features`): shape (n_rnas, width).
        tokens: label-free tokens.
        logistic: names of the tokens that logistic regression reads.
        trees: names of the tokens that the trees read together with the neighbours' labels.
        similarities: name -> shape (n_rnas, n_rnas), for neighbours; may be empty.
        groups: family number of every RNA, shape (n_rnas,).
        extra: further features by name, for an audit: name -> shape (n_rnas, width).
    """

    counts: np.ndarray
    kinds: tuple[str, ...]
    names: np.ndarray
    tokens: TokenTable
    logistic: tuple[str, ...]
    trees: tuple[str, ...]
    similarities: Mapping[str, Similarity]
    groups: np.ndarray
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)


def partner_counts(dataset: Dataset) -> pd.DataFrame:
    """Number of partners per RNA (index), one column per kind that is not supporting."""
    kinds = [kind for kind in dataset.associations if kind not in dataset.supporting]
    counts = {kind: np.diff(dataset.association_matrix(kind).indptr) for kind in kinds}
    return pd.DataFrame(counts, index=dataset.rnas.index)


def name_features(ids: Sequence[str]) -> np.ndarray:
    """log(1 + first number) in an id, whether there is one, and the prefix before it.

    An artefact by construction: a low number means an RNA that was discovered early and is well
    studied. Never part of a model.

    Returns:
        float64, shape (n, 2 + number of prefixes). Of the prefixes (before the first digit, in
        lower case) those of two RNAs or more, the 8 most frequent at most; none where all RNAs
        share one.
    """
    names = pd.Series(ids, dtype=object)
    digits = names.str.extract(r"([0-9]+)", expand=False)
    prefixes = names.str.split(r"[0-9]", n=1, regex=True).str[0].str.lower()
    counts = prefixes.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    common = counts.index[counts.between(2, len(ids) - 1)][:MAX_PREFIXES]
    numbers = np.log1p(digits.astype(float).fillna(0.0))
    indicators = [prefixes == prefix for prefix in common]
    return np.column_stack([numbers, digits.notna(), *indicators])


def flat_tokens(networks: NetworkSet) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Label-free tokens that this dataset has.

    Returns:
        Those of logistic regression, and those of the trees, which also read the raw rows of
        association networks with no more partners than there are RNAs; wider networks are read as
        their truncated SVDs.
    """
    n_rnas = len(networks.dataset.index)
    narrow = []
    for name, network in networks.networks.items():
        if network.partners is not None and len(network.partners) <= n_rnas:
            narrow.append(f"{PROFILE}:{name}")
    similar = ["svd_similarity:sequence?", "svd_similarity:gip?"]
    degree = ["degree"] if can_be_made(networks, "degree") else []
    measured = [f"{EXPRESSION}:*", f"{EXPRESSION_PROFILE}:*"]
    wanted = ["svd:*", *similar, "evidence:*", "partners:*", COVARIATES, KMER, *degree, *measured]
    logistic = expand_tokens(networks, wanted)
    return logistic, (*narrow, *logistic)


def baseline_inputs(
    networks: NetworkSet, groups: np.ndarray, *, svd_dim: int = 32
) -> BaselineInputs:
    """Make what the baselines read; no label is read.

    Args:
        networks: with the dataset.
        groups: family number of every RNA, shape (n_rnas,).
        svd_dim: components of each truncated SVD.
    """
    dataset = networks.dataset
    logistic, trees = flat_tokens(networks)
    partners = partner_counts(dataset)
    kinds = tuple(partners.columns)
    stored = ("sequence", "functional", "gip", COEXPRESSION)
    similar = [name for name in stored if name in networks.similarities]
    similar += [f"cosine_{kind}" for kind in kinds]
    return BaselineInputs(
        counts=np.log1p(partners.to_numpy(dtype=np.float64)),
        kinds=kinds,
        names=name_features(dataset.index.ids),
        tokens=build_tokens(networks, trees, BuildSettings(svd_dim)),
        logistic=logistic,
        trees=trees,
        similarities={name: neighbour_similarity(networks, name) for name in similar},
        groups=groups,
    )
