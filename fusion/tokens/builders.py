"""Label-free tokens, one builder each.

What builders read of test RNAs (sequences, associations) is transductive; reports say so.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from seqtower.data.kmers import word_numbers
from seqtower.data.sequences import RNA_TYPES, the_type, type_numbers

PRECURSOR = "precursor"

LEVELS = (0.25, 0.3, 0.4, 0.6, 0.8)
"""Smith-Waterman similarities of `similar_counts`, from just above chance (0.25 among human
hairpins) to near-duplicates."""


def build_tokens(
    networks: NetworkSet, names: Sequence[str], settings: BuildSettings | None = None
) -> TokenTable:
    """Build the named tokens.

    Args:
        names: single tokens of kinds that are built from networks (see `TOKENS`), without ``*``.

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


def _has_edges(networks: NetworkSet, network: str) -> np.ndarray:
    return np.asarray(np.diff(networks[network].matrix.indptr) > 0)


def _has_partners(networks: NetworkSet, kind: str) -> np.ndarray:
    table = networks.dataset.associations[kind]
    return np.asarray(networks.dataset.rnas.index.isin(table["rna_id"]))


def _association_networks(networks: NetworkSet, _name: TokenName) -> list[str]:
    return [name for name, network in networks.networks.items() if not network.is_similarity]


def _associations(networks: NetworkSet, _name: TokenName) -> list[str]:
    return list(networks.dataset.associations)


def _graph_inputs(networks: NetworkSet, name: TokenName) -> list[str]:
    """All networks for the joint encoder, otherwise the similarity that is a node feature."""
    if str(name) == JOINT_GRAPH:
        return list(networks.networks)
    return ["functional"] if "functional" in networks.similarities else []


def _embedding(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    vectors = settings.embeddings.get(str(name))
    if vectors is None:
        raise ConfigError(f"token '{name}' needs an embedding that was not computed")
    read = list(networks.networks) if str(name) == JOINT_GRAPH else [name.target]
    has_edges = np.any([_has_edges(networks, network) for network in read], axis=0)
    return make_token(str(name), vectors[: len(networks.dataset.index)], has_edges)


def _svd(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    scores = svd_scores(networks[name.target].matrix, settings.svd_dim)
    return make_token(str(name), scores, _has_edges(networks, name.target))


def _svd_similarity(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    """SVD of a dense similarity; present where an RNA is similar to another one than itself."""
    array = np.asarray(networks.similarities[name.target], dtype=np.float64)
    is_similar = array.sum(axis=1) > 1 + 1e-9
    scores = svd_scores(np.where(is_similar[:, None], array, 0), settings.svd_dim)
    return make_token(str(name), scores, is_similar)


def _profile(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    """Raw rows of a network."""
    rows = networks[name.target].matrix.toarray()
    return make_token(str(name), rows, _has_edges(networks, name.target))


def _sequences(networks: NetworkSet) -> list[str | None]:
    return [_text(cell) for cell in networks.dataset.rnas["sequence"]]


def _text(cell: object) -> str | None:
    return cell if isinstance(cell, str) and cell else None


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


def _kmer(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    return make_token(str(name), kmer_frequencies(_sequences(networks)))


def similar_counts(similarity: np.ndarray, *, is_new: bool = False) -> np.ndarray:
    """Number of reference RNAs that are more similar than each of `LEVELS`, as log(1 + n).

    Large families are old, and old families are expressed in more compartments.

    Args:
        similarity: in [0, 1], shape (n, n_reference).
        is_new: the rows are new RNAs; otherwise they are the reference RNAs, and the diagonal is
            not counted.

    Returns:
        float32, shape (n, 5).
    """
    counts = [(similarity > level).sum(axis=1) for level in LEVELS]
    n_similar = np.stack(counts, axis=1).astype(np.float32)
    if not is_new:
        n_similar -= np.diagonal(similarity)[:, None] > np.array(LEVELS, dtype=np.float32)
    return np.asarray(np.log1p(n_similar), dtype=np.float32)


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


def _n_similar(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    if SEQUENCE not in networks.similarities:
        available = ", ".join(networks.similarities)
        raise ConfigError(f"token '{name}': no similarity 'sequence'; available: {available}")
    similarity = np.asarray(networks.similarities[SEQUENCE])
    has_sequence = np.array([sequence is not None for sequence in _sequences(networks)])
    return n_similar_token(similarity, has_sequence)


def _degree(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    """log(1 + number of partners) and its rank in [0, 1], per association network.

    Always present: 0 partners is a value too.
    """
    columns = []
    for network in _association_networks(networks, name):
        n_partners = np.diff(networks[network].matrix.indptr)
        columns.append(np.log1p(n_partners))
        columns.append(pd.Series(n_partners).rank(pct=True).to_numpy())
    present = np.ones(len(networks.dataset.index), dtype=bool)
    return make_token(str(name), np.column_stack(columns), present)


def _evidence(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    """Numeric evidence columns, and times and sizes of the reports where these are named."""
    numbers = numeric_evidence(networks.dataset, name.target).to_numpy()
    times = report_times(networks.dataset, name.target)
    return make_token(str(name), np.hstack([numbers, times]), _has_partners(networks, name.target))


def _co_reported(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    """SVD of RNAs x reports: RNAs that were reported together are near each other."""
    matrix = shared_reports(networks.dataset, name.target)
    is_shared = np.diff(matrix.indptr) > 0
    return make_token(str(name), svd_scores(matrix, settings.svd_dim), is_shared)


def _weighted(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    """SVD of the associations weighted by their number of records."""
    matrix = weighted_matrix(networks.dataset, name.target)
    scores = svd_scores(matrix, settings.svd_dim)
    return make_token(str(name), scores, _has_partners(networks, name.target))


def _partners(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    """Mean of the partners' 0/1 columns, e.g. the localization of target mRNAs.

    With mRNAs this is the co-localization feature of PMiSLocMF.
    """
    table = networks.dataset.partners[name.target]
    binary = binary_columns(table)
    if not binary:
        return make_token(str(name), np.zeros((len(networks.dataset.index), 1)))
    matrix = networks.dataset.association_matrix(name.target)
    n_partners = np.diff(matrix.indptr)
    total = matrix @ table[binary].to_numpy(dtype=float)
    mean = total / np.maximum(1, n_partners)[:, None]
    return make_token(str(name), mean, np.asarray(n_partners > 0))


def _covariates(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    """Numeric columns of the RNA table on a signed log scale, e.g. members of the family.

    Unknown values are 0; a column that has some is followed by its 0/1 mask at the end.
    """
    rnas = networks.dataset.rnas
    numeric = [c for c in rnas.columns if pd.api.types.is_numeric_dtype(rnas[c])]
    if not numeric:
        return make_token(str(name), np.zeros((len(rnas), 1)))
    table = rnas[numeric].astype(float)
    is_unknown = table.isna().to_numpy()
    values = table.fillna(0.0).to_numpy()
    masks = is_unknown[:, is_unknown.any(axis=0)].astype(float)
    columns = np.hstack([np.sign(values) * np.log1p(np.abs(values)), masks])
    is_known = np.asarray(~is_unknown.all(axis=1))
    return make_token(str(name), columns, is_known)


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


def _same_sequence(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    """Associations of an RNA compared with RNAs of the same hairpin or mature sequence.

    Databases spread the findings on one molecule over several of its ids. Per relation: log(1 +
    number of RNAs of the same sequence); per kind of association log(1 + their largest number of
    partners), and the log ratio of the RNA's own number to it.
    """
    dataset = networks.dataset
    cells = [_sequences(networks)]
    if "matures" in dataset.rnas.columns:
        cells.append([_text(cell) for cell in dataset.rnas["matures"]])
    degrees = []
    for kind in dataset.associations:
        degrees.append(np.diff(dataset.association_matrix(kind).indptr).astype(float))
    columns = []
    for related in map(shared_sequence, cells):
        count = np.asarray(related.sum(axis=1)).ravel()
        columns.append(np.log1p(count))
        for degree in degrees:
            of_related = (related @ sparse.diags_array(degree)).max(axis=1)
            largest = np.asarray(of_related.toarray()).ravel()
            ratio = np.log((degree + 1) / (largest + 1))
            columns += [np.log1p(largest), np.where(count > 0, ratio, 0.0)]
    present = np.ones(len(dataset.index), dtype=bool)
    return make_token(str(name), np.column_stack(columns), present)


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


def _type(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    return make_token(str(name), type_codes(network_rna_types(networks.dataset)))


node2vec = TokenKind(_embedding, Target.NETWORK, is_embedding=True)
graph_transformer = TokenKind(_embedding, Target.NETWORK, reads=_graph_inputs, is_embedding=True)
svd = TokenKind(_svd, Target.NETWORK)
svd_similarity = TokenKind(_svd_similarity, Target.SIMILARITY)
profile = TokenKind(_profile, Target.NETWORK)
kmer = TokenKind(_kmer, modality=SEQUENCE, is_from_sequence=True)
n_similar = TokenKind(_n_similar, modality=SEQUENCE, is_from_sequence=True)
degree = TokenKind(_degree, modality="", reads=_association_networks, needs_reads=True)
evidence = TokenKind(_evidence, Target.ASSOCIATION)
co_reported = TokenKind(_co_reported, Target.REPORTED)
weighted = TokenKind(_weighted, Target.ASSOCIATION)
partners = TokenKind(_partners, Target.PARTNER_COLUMNS)
covariates = TokenKind(_covariates, modality="")
same_sequence = TokenKind(_same_sequence, modality="", reads=_associations)
rna_type = TokenKind(_type, modality="")
