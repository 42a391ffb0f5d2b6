"""Modalities: from a NetworkSet to label-free tokens, one builder per kind of token.

A token is asked for by a short text, ``"kind"`` or ``"kind:network"``, e.g. ``"svd:disease"``. None of the builders reads a
label; what they read of test RNAs (their sequence, their associations) is transductive and said to be so in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.decomposition import TruncatedSVD

from fusion.tokens import Token, TokenTable, make_token
from mirnagraph.errors import ConfigError
from mirnagraph.networks.types import NetworkSet

Embeddings = Mapping[str, np.ndarray]


def build_tokens(networks: NetworkSet, names: Sequence[str], embeddings: Embeddings | None = None, *, svd_dim: int = 32) -> TokenTable:
    """Build the named tokens.

    Args:
        names: tokens as text: ``node2vec:N``, ``graph_transformer:N``, ``svd:N``, ``rows:N`` for a network N,
            ``svd_similarity:S`` for a dense similarity S, ``kmer``, ``degree``, ``evidence:KIND``, ``partners:KIND``, ``attributes``.
        embeddings: token name -> (n_rnas, dim) array, for the learned ones.
        svd_dim: components of each truncated SVD.

    Raises:
        ConfigError: an unknown token, network, or an embedding that was not made.
    """
    tokens = []
    for name in names:
        kind, _, of = name.partition(":")
        if kind in LEARNED:
            if embeddings is None or name not in embeddings:
                raise ConfigError(f"token {name!r} needs an embedding that was not computed")
            tokens.append(_learned(networks, name, of, embeddings[name]))
        elif kind in BUILDERS:
            tokens.append(BUILDERS[kind](networks, name, of, svd_dim))
        else:
            raise ConfigError(f"unknown token {name!r}; kinds are {', '.join([*LEARNED, *BUILDERS])}")
    return TokenTable(networks.dataset.index, tuple(tokens))


def _has_edges(networks: NetworkSet, name: str) -> np.ndarray:
    return np.asarray(np.diff(networks[name].matrix.indptr) > 0)


def _learned(networks: NetworkSet, name: str, of: str, values: np.ndarray) -> Token:
    return make_token(name, values[: len(networks.dataset.index)], _has_edges(networks, of))


def _fixed_signs(values: np.ndarray) -> np.ndarray:
    """Components of an SVD are defined up to sign: the largest entry of each column is made positive."""
    signs = np.sign(values[np.abs(values).argmax(axis=0), np.arange(values.shape[1])])
    return values * np.where(signs == 0, 1, signs)


def svd_scores(matrix: sparse.csr_array | np.ndarray, dim: int) -> np.ndarray:
    """Left singular vectors times singular values: shape (n_rows, min(dim, rank bound)), signs fixed."""
    dim = min(dim, min(matrix.shape) - 1)
    if dim < 1:
        return np.zeros((matrix.shape[0], 1))
    return _fixed_signs(TruncatedSVD(dim, algorithm="arpack", random_state=0).fit_transform(sparse.csr_matrix(matrix)))


def _svd(networks: NetworkSet, name: str, of: str, dim: int) -> Token:
    return make_token(name, svd_scores(networks[of].matrix, dim), _has_edges(networks, of))


def _svd_similarity(networks: NetworkSet, name: str, of: str, dim: int) -> Token:
    if of not in networks.similarities:
        raise ConfigError(f"token {name!r}: no similarity {of!r}; there are {', '.join(networks.similarities)}")
    array = np.asarray(networks.similarities[of], dtype=np.float64)
    known = array.sum(axis=1) > 1 + 1e-9
    return make_token(name, svd_scores(np.where(known[:, None], array, 0), dim), known)


def _rows(networks: NetworkSet, name: str, of: str, _dim: int) -> Token:
    return make_token(name, networks[of].matrix.toarray(), _has_edges(networks, of))


def kmer_frequencies(sequences: Sequence[str | None], largest: int = 3) -> np.ndarray:
    """Frequencies of all 1- to `largest`-mers over ACGU, and the length in nucleotides as the last column.

    Returns:
        float64, shape (n, 4 + 16 + ... + 1). Each k block sums to 1 where no N is met; a missing sequence gives zeros.
    """
    blocks = []
    for k in range(1, largest + 1):
        column = {"".join(letters): number for number, letters in enumerate(product("ACGU", repeat=k))}
        block = np.zeros((len(sequences), len(column)))
        for row, sequence in enumerate(sequences):
            for start in range(len(sequence) - k + 1 if sequence else 0):
                found = column.get((sequence or "")[start : start + k])
                if found is not None:
                    block[row, found] += 1
        blocks.append(block / np.maximum(1, np.array([len(s or "") - k + 1 for s in sequences]))[:, None])
    return np.hstack([*blocks, np.array([[len(s or "")] for s in sequences], dtype=float)])


def _sequences(networks: NetworkSet) -> list[str | None]:
    return [s if isinstance(s, str) and s else None for s in networks.dataset.rnas["sequence"]]


def _kmer(networks: NetworkSet, name: str, _of: str, _dim: int) -> Token:
    return make_token(name, kmer_frequencies(_sequences(networks)))


def _degree(networks: NetworkSet, name: str, _of: str, _dim: int) -> Token:
    """log(1 + number of partners) and its rank in [0, 1], per association network; always present: 0 is an answer too."""
    counts = [np.diff(network.matrix.indptr) for network in networks.networks.values() if not network.is_similarity]
    values = [part for c in counts for part in (np.log1p(c), pd.Series(c).rank(pct=True).to_numpy())]
    return make_token(name, np.column_stack(values), np.ones(len(networks.dataset.index), dtype=bool))


def evidence_table(networks: NetworkSet, kind: str) -> pd.DataFrame:
    """Numeric evidence columns of one association kind, per RNA: log(1 + sum), mean, smallest and largest.

    RNAs without an association have zeros and are marked absent by the token.
    """
    dataset = networks.dataset
    table = dataset.associations[kind]
    numeric = [c for c in table.columns if c not in ("rna_id", "partner_id") and pd.api.types.is_numeric_dtype(table[c])]
    grouped = table.groupby("rna_id", sort=False)[numeric]
    parts = [
        np.log1p(grouped.sum().clip(lower=0)).add_prefix("sum_"),
        grouped.mean().add_prefix("mean_"),
        grouped.min().add_prefix("min_"),
        grouped.max().add_prefix("max_"),
    ]
    return pd.concat(parts, axis=1).reindex(dataset.rnas.index).fillna(0.0)


def _evidence(networks: NetworkSet, name: str, of: str, _dim: int) -> Token:
    if of not in networks.dataset.associations:
        raise ConfigError(f"token {name!r}: no associations of kind {of!r}")
    table = evidence_table(networks, of)
    values = table.to_numpy() if table.shape[1] else np.zeros((len(table), 1))
    return make_token(name, values, _has_edges(networks, of))


def _partners(networks: NetworkSet, name: str, of: str, _dim: int) -> Token:
    """Mean of the partners' 0/1 columns, e.g. the localization of target mRNAs (co-localization feature of PMiSLocMF)."""
    table = networks.dataset.partners.get(of)
    if table is None:
        raise ConfigError(f"token {name!r}: no associations of kind {of!r}")
    binary = [c for c in table.columns if pd.api.types.is_numeric_dtype(table[c]) and table[c].isin([0, 1]).all()]
    if not binary:
        return make_token(name, np.zeros((len(networks.dataset.index), 1)))
    matrix = networks.dataset.association_matrix(of)
    share = (matrix @ table[binary].to_numpy(dtype=float)) / np.maximum(1, np.diff(matrix.indptr))[:, None]
    return make_token(name, share, np.diff(matrix.indptr) > 0)


def _attributes(networks: NetworkSet, name: str, _of: str, _dim: int) -> Token:
    """Numeric columns of the RNA table, e.g. members of the family; unknown as 0, with a column that says so."""
    rnas = networks.dataset.rnas
    numeric = rnas[[c for c in rnas.columns if pd.api.types.is_numeric_dtype(rnas[c])]].astype(float)
    if numeric.shape[1] == 0:
        return make_token(name, np.zeros((len(rnas), 1)))
    unknown = numeric.isna().to_numpy(dtype=float)
    values = np.hstack([numeric.fillna(0.0).to_numpy(), unknown[:, unknown.any(axis=0)]])
    return make_token(name, values, ~numeric.isna().to_numpy().all(axis=1))


LEARNED = ("node2vec", "graph_transformer")
BUILDERS: dict[str, Callable[[NetworkSet, str, str, int], Token]] = {
    "svd": _svd, "svd_similarity": _svd_similarity, "rows": _rows, "kmer": _kmer, "degree": _degree,
    "evidence": _evidence, "partners": _partners, "attributes": _attributes,
}  # fmt: skip
