"""Label-free tokens, one builder each.

What builders read of test RNAs (sequences, associations) is transductive; reports say so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from fusion.tokens.evidence import (
    numeric_evidence,
    report_times,
    shared_reports,
    weighted_matrix,
)
from fusion.tokens.kinds import binary_columns, check_name, require_target
from fusion.tokens.names import JOINT_GRAPH, N_SIMILAR, SEQUENCE, TokenName
from fusion.tokens.table import (
    TOKENS,
    BuildSettings,
    Target,
    Token,
    TokenKind,
    TokenTable,
    make_token,
)
from mirnagraph.dataset import Dataset
from mirnagraph.embedding.factorization import svd_scores
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.networks.similarities import Similarity, both_ways
from seqtower.data.kmers import word_numbers
from seqtower.data.sequences import RNA_TYPES, the_type, type_numbers

PRECURSOR = "precursor"

logger = logging.getLogger(__name__)

LEVELS = (0.25, 0.3, 0.4, 0.6, 0.8)
"""Smith-Waterman similarities of `similar_counts`, from just above chance (0.25 among human
hairpins) to near-duplicates."""


def build_tokens(
    networks: NetworkSet, names: Sequence[str], settings: BuildSettings | None = None
) -> TokenTable:
    """Build the named tokens.

    Args:
        networks: what the tokens are built from.
        names: single tokens of kinds that are built from networks (see `TOKENS`), without ``*``.
        settings: further inputs; defaults where None.

    Raises:
        ConfigError: see `fusion.tokens.kinds.check_name`; a target that the networks lack, an
            embedding that was not computed, or a builder that returns a token of another name.
    """
    settings = settings or BuildSettings()
    tokens = []
    for text in names:
        name = TokenName.parse(text)
        check_name(name)
        require_target(networks, name)
        token = TOKENS[name.kind](networks, name, settings)
        if token.name != str(name):
            raise ConfigError(
                f"token kind {name.kind!r}: found a token named {token.name!r}, "
                f"expected '{name}'; a builder names its token str(name)"
            )
        tokens.append(token)
    return TokenTable(networks.dataset.index, tuple(tokens))


@dataclass(frozen=True, eq=False)
class _Inputs:
    """What one token is built from."""

    networks: NetworkSet
    name: TokenName
    settings: BuildSettings

    @property
    def dataset(self) -> Dataset:
        return self.networks.dataset

    @property
    def matrix(self) -> sparse.csr_array:
        """Matrix of the network that the token names."""
        return self.networks[self.name.target].matrix

    def svd(self, matrix: sparse.csr_array | np.ndarray) -> np.ndarray:
        return svd_scores(matrix, self.settings.svd_dim)

    def has_partners(self) -> np.ndarray:
        table = self.dataset.associations[self.name.target]
        return self.dataset.rnas.index.isin(table["rna_id"])

    def all_present(self) -> np.ndarray:
        return np.ones(len(self.dataset.index), dtype=bool)


# Values, and whether each RNA has the token; None where it has none for a row of zeros.
_Values: TypeAlias = tuple[np.ndarray, np.ndarray | None]


def _kind(
    build: Callable[[_Inputs], _Values], accepts: Target = Target.NOTHING, **attributes: Any
) -> TokenKind:
    """Make the kind of a builder that returns values and presence."""

    def token(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
        return make_token(str(name), *build(_Inputs(networks, name, settings)))

    return TokenKind(token, accepts, **attributes)


def _is_filled(matrix: sparse.csr_array) -> np.ndarray:
    """Whether each row has an entry."""
    return np.diff(matrix.indptr) > 0


def _association_networks(networks: NetworkSet, _name: TokenName) -> list[str]:
    return [name for name, network in networks.networks.items() if not network.is_similarity]


def _associations(networks: NetworkSet, _name: TokenName) -> list[str]:
    return list(networks.dataset.associations)


def _graph_inputs(networks: NetworkSet, name: TokenName) -> list[str]:
    """All networks for the joint encoder, otherwise the similarity that is a node feature."""
    if str(name) == JOINT_GRAPH:
        return list(networks.networks)
    return ["functional"] if "functional" in networks.similarities else []


def _embedding(inputs: _Inputs) -> _Values:
    networks = inputs.networks
    vectors = inputs.settings.embeddings.get(str(inputs.name))
    if vectors is None:
        raise ConfigError(f"token '{inputs.name}' needs an embedding that was not computed")
    is_joint = str(inputs.name) == JOINT_GRAPH
    read = list(networks.networks) if is_joint else [inputs.name.target]
    has_edges = np.any([_is_filled(networks[network].matrix) for network in read], axis=0)
    return vectors[: len(inputs.dataset.index)], has_edges


def _svd(inputs: _Inputs) -> _Values:
    return inputs.svd(inputs.matrix), _is_filled(inputs.matrix)


def _svd_similarity(inputs: _Inputs) -> _Values:
    """SVD of a dense similarity; present where an RNA is similar to another one than itself."""
    similarity = inputs.networks.similarities[inputs.name.target]
    if not isinstance(similarity, np.ndarray):
        return _sparse_svd(inputs, similarity)
    array = np.asarray(similarity, dtype=np.float64)
    is_similar = array.sum(axis=1) > 1 + 1e-9
    return inputs.svd(np.where(is_similar[:, None], array, 0)), is_similar


def _sparse_svd(inputs: _Inputs, similarity: sparse.csr_array) -> _Values:
    """SVD of the nearest RNAs of each; its error is logged."""
    joined = both_ways(similarity)
    is_similar = np.diff(joined.indptr) > 1
    matrix = sparse.csr_array(sparse.diags_array(is_similar * 1.0) @ joined)
    scores = inputs.svd(matrix)
    total = float((matrix.data**2).sum())
    left = max(total - float((scores**2).sum()), 0.0)
    logger.warning(
        "token '%s': SVD of the nearest RNAs of each in place of all pairs; %d components leave %s "
        "of the squared similarity",
        inputs.name,
        scores.shape[1],
        f"{left / max(total, 1e-12):.1%}",
    )
    return scores, is_similar


def _profile(inputs: _Inputs) -> _Values:
    """Raw rows of a network."""
    return inputs.matrix.toarray(), _is_filled(inputs.matrix)


def texts(dataset: Dataset, column: str) -> tuple[str, ...]:
    """Texts of a column of the RNA table, empty where there is none."""
    if column not in dataset.rnas.columns:
        return ("",) * len(dataset.index)
    return tuple(cell if isinstance(cell, str) else "" for cell in dataset.rnas[column])


def kmer_frequencies(sequences: Sequence[str | None], largest: int = 3) -> np.ndarray:
    """Frequencies of all 1- to `largest`-mers over ACGU; last column: length in nucleotides.

    Returns:
        float64, shape (n, 4 + 16 + ... + 1). The block of each k sums to 1 where there is no N; a
        missing sequence gives zeros.
    """
    letters = [sequence or "" for sequence in sequences]
    blocks = []
    for k in range(1, largest + 1):
        block = np.zeros((len(letters), 4**k))
        for row, sequence in enumerate(letters):
            numbers = word_numbers(sequence, k)
            counts = np.bincount(numbers[numbers >= 0], minlength=4**k)
            block[row] = counts / max(1, len(numbers))
        blocks.append(block)
    lengths = np.array([[len(sequence)] for sequence in letters], dtype=float)
    return np.hstack([*blocks, lengths])


def _kmer(inputs: _Inputs) -> _Values:
    return kmer_frequencies(texts(inputs.dataset, SEQUENCE)), None


def similar_counts(similarity: Similarity, *, is_new: bool = False) -> np.ndarray:
    """Number of reference RNAs that are more similar than each of `LEVELS`, as log(1 + n).

    Large families are old, and old families are expressed in more compartments.

    Args:
        similarity: in [0, 1], shape (n, n_reference). Sparse where the nearest RNAs of each alone
            are stored: then no more than these are counted.
        is_new: the rows are new RNAs; otherwise they are the reference RNAs, and the diagonal is
            not counted.

    Returns:
        float32, shape (n, 5).
    """
    counts = [np.asarray((similarity > level).sum(axis=1)).ravel() for level in LEVELS]
    n_similar = np.stack(counts, axis=1).astype(np.float32)
    if isinstance(similarity, np.ndarray) and not is_new:
        n_similar -= np.diagonal(similarity)[:, None] > np.array(LEVELS, dtype=np.float32)
    return np.log1p(n_similar)


def n_similar_token(
    similarity: np.ndarray, has_sequence: np.ndarray, *, is_new: bool = False
) -> Token:
    """The token ``n_similar`` (see `similar_counts`), absent for an RNA without a sequence.

    Args:
        similarity: in [0, 1], shape (n, n_reference).
        has_sequence: bool, shape (n,).
        is_new: see `similar_counts`.
    """
    return make_token(N_SIMILAR, similar_counts(similarity, is_new=is_new), has_sequence)


def _n_similar(inputs: _Inputs) -> _Values:
    similarities = inputs.networks.similarities
    if SEQUENCE not in similarities:
        available = ", ".join(similarities)
        raise ConfigError(
            f"token '{inputs.name}': no similarity 'sequence'; available: {available}"
        )
    has_sequence = np.array(texts(inputs.dataset, SEQUENCE)) != ""
    return similar_counts(similarities[SEQUENCE]), has_sequence


def _degree(inputs: _Inputs) -> _Values:
    """log(1 + number of partners) and its rank in [0, 1], per association network.

    Always present: 0 partners is a value too.
    """
    columns = []
    for network in _association_networks(inputs.networks, inputs.name):
        n_partners = np.diff(inputs.networks[network].matrix.indptr)
        columns += [np.log1p(n_partners), pd.Series(n_partners).rank(pct=True)]
    return np.column_stack(columns), inputs.all_present()


def _evidence(inputs: _Inputs) -> _Values:
    """Numeric evidence columns, and times and sizes of the reports where these are named."""
    numbers = numeric_evidence(inputs.dataset, inputs.name.target)
    times = report_times(inputs.dataset, inputs.name.target)
    return np.hstack([numbers, times]), inputs.has_partners()


def _co_reported(inputs: _Inputs) -> _Values:
    """SVD of RNAs x reports: RNAs that were reported together are near each other."""
    matrix = shared_reports(inputs.dataset, inputs.name.target)
    return inputs.svd(matrix), _is_filled(matrix)


def _weighted(inputs: _Inputs) -> _Values:
    """SVD of the associations weighted by their number of records."""
    matrix = weighted_matrix(inputs.dataset, inputs.name.target)
    return inputs.svd(matrix), inputs.has_partners()


def _partners(inputs: _Inputs) -> _Values:
    """Mean of the partners' 0/1 columns, e.g. the localization of target mRNAs.

    With mRNAs this is the co-localization feature of PMiSLocMF.
    """
    table = inputs.dataset.partners[inputs.name.target]
    binary = binary_columns(table)
    if not binary:
        return np.zeros((len(inputs.dataset.index), 1)), None
    matrix = inputs.dataset.association_matrix(inputs.name.target)
    n_partners = np.diff(matrix.indptr)
    total = matrix @ table[binary].to_numpy(dtype=float)
    return total / np.maximum(1, n_partners)[:, None], n_partners > 0


def _covariates(inputs: _Inputs) -> _Values:
    """Numeric columns of the RNA table on a signed log scale, e.g. members of the family.

    Unknown values are 0; a column that has some is followed by its 0/1 mask at the end.
    """
    rnas = inputs.dataset.rnas
    numeric = [c for c in rnas.columns if pd.api.types.is_numeric_dtype(rnas[c])]
    if not numeric:
        return np.zeros((len(rnas), 1)), None
    table = rnas[numeric].astype(float)
    is_unknown = table.isna().to_numpy()
    values = table.fillna(0.0).to_numpy()
    masks = is_unknown[:, is_unknown.any(axis=0)]
    columns = np.hstack([np.sign(values) * np.log1p(np.abs(values)), masks])
    return columns, np.logical_not(is_unknown.all(axis=1))


def shared_sequence(sequences: Sequence[str | None]) -> sparse.csr_array:
    """Which RNAs share a sequence, among ``;``-separated ones.

    Returns:
        Binary, shape (n, n), zero diagonal.
    """
    rows = []
    columns = []
    numbers = dict[str, int]()
    for row, cell in enumerate(sequences):
        for sequence in {part for part in (cell or "").split(";") if part}:
            rows.append(row)
            columns.append(numbers.setdefault(sequence, len(numbers)))
    shape = (len(sequences), max(1, len(numbers)))
    contains = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    pairs = (contains @ contains.T).tolil()
    pairs.setdiag(0)
    return sparse.csr_array(pairs.tocsr() > 0).astype(float)


def _same_sequence(inputs: _Inputs) -> _Values:
    """Associations of an RNA compared with RNAs of the same hairpin or mature sequence.

    Databases spread the findings on one molecule over several of its ids. Per relation: log(1 +
    number of RNAs of the same sequence); per kind of association log(1 + their largest number of
    partners), and the log ratio of the RNA's own number to it.
    """
    dataset = inputs.dataset
    degrees = []
    for kind in dataset.associations:
        degrees.append(np.diff(dataset.association_matrix(kind).indptr).astype(float))
    columns = []
    for cells in (SEQUENCE, "matures"):
        if cells not in dataset.rnas.columns:
            continue
        related = shared_sequence(texts(dataset, cells))
        count = related.sum(axis=1)
        columns.append(np.log1p(count))
        for degree in degrees:
            of_related = (related @ sparse.diags_array(degree)).max(axis=1)
            largest = of_related.toarray().ravel()
            ratio = np.log((degree + 1) / (largest + 1))
            columns += [np.log1p(largest), np.where(count > 0, ratio, 0.0)]
    return np.column_stack(columns), inputs.all_present()


def type_codes(types: Sequence[str]) -> np.ndarray:
    """One-hot code of RNA types.

    Returns:
        float32, shape (n, len(RNA_TYPES)).

    Raises:
        ConfigError: not an RNA type.
    """
    return np.eye(len(RNA_TYPES), dtype=np.float32)[type_numbers(types, RNA_TYPES)]


def network_rna_types(dataset: Dataset) -> list[str]:
    """RNA type of every RNA of a dataset: its column ``type``, precursors without one.

    Sequences of a dataset of miRNAs are those of the hairpins.
    """
    if "type" not in dataset.rnas.columns:
        return [PRECURSOR] * len(dataset.index)
    return [the_type(str(cell)) for cell in dataset.rnas["type"]]


def _type(inputs: _Inputs) -> _Values:
    return type_codes(network_rna_types(inputs.dataset)), None


node2vec = _kind(_embedding, Target.NETWORK, is_embedding=True)
graph_transformer = _kind(_embedding, Target.NETWORK, reads=_graph_inputs, is_embedding=True)
svd = _kind(_svd, Target.NETWORK)
svd_similarity = _kind(_svd_similarity, Target.SIMILARITY)
profile = _kind(_profile, Target.NETWORK)
kmer = _kind(_kmer, modality=SEQUENCE, is_from_sequence=True)
n_similar = _kind(_n_similar, modality=SEQUENCE, is_from_sequence=True)
degree = _kind(_degree, modality="", reads=_association_networks, needs_reads=True)
evidence = _kind(_evidence, Target.ASSOCIATION)
co_reported = _kind(_co_reported, Target.REPORTED)
weighted = _kind(_weighted, Target.ASSOCIATION)
partners = _kind(_partners, Target.PARTNER_COLUMNS)
covariates = _kind(_covariates, modality="")
same_sequence = _kind(_same_sequence, modality="", reads=_associations)
rna_type = _kind(_type, modality="")
