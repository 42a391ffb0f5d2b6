"""Label-free tokens, one builder each.

A token is asked for by a short text, ``"kind"`` or ``"kind:network"``, e.g. ``"svd:disease"``. None of the builders reads a
label; what they read of test RNAs (their sequence, their associations) is transductive and said to be so in the report.

A dataset may name, per association, the reports it rests on (column ``reports`` or ``pmids``: ``;``-separated numbers that grow with
time, such as PMIDs or places in a database). RNAs found in one report are related: often one experiment measured them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from fusion.tokens.names import JOIN, JOINT_GRAPH, LEARNED, N_SIMILAR, _start_and_kind
from fusion.tokens.partners import kinds_with_sequences
from fusion.tokens.table import Token, TokenTable, make_token
from mirnagraph.dataset import Dataset
from mirnagraph.embedding.factorization import svd_scores
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import Network, NetworkSet
from mirnagraph.similarity.profile import tf_idf
from seqtower.data.kmers import word_numbers
from seqtower.data.sequences import RNA_TYPES, the_type, type_numbers

Embeddings = Mapping[str, np.ndarray]

PRECURSOR = "precursor"

REPORTS = ("reports", "pmids")

TIME_BINS = 8

LEVELS = (0.25, 0.3, 0.4, 0.6, 0.8)
"""Smith-Waterman similarities beyond which another RNA counts as alike: from just above chance (0.25 among human hairpins) to near-copies."""


def build_tokens(
    networks: NetworkSet,
    names: Sequence[str],
    embeddings: Embeddings | None = None,
    *,
    svd_dim: int = 32,
) -> TokenTable:
    """Build the named tokens.

    Args:
        names: tokens as text: ``node2vec:N``, ``graph_transformer:N``, ``svd:N``, ``rows:N`` for a network N,
            ``graph_transformer:all`` for one graph encoder over all networks,
            ``svd_similarity:S`` for a dense similarity S, ``evidence:KIND``, ``reports:KIND``, ``weighted:KIND``,
            ``partners:KIND`` for a kind of association, ``kmer``, ``alike``, ``degree``, ``attributes``, ``relatives``, ``type``.
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
            raise ConfigError(
                f"unknown token {name!r}; kinds are {', '.join([*LEARNED, *BUILDERS])}"
            )
    return TokenTable(networks.dataset.index, tuple(tokens))


def _network(networks: NetworkSet, token: str, of: str) -> Network:
    if of not in networks.networks:
        raise ConfigError(
            f"token {token!r}: no network {of!r}; there are {', '.join(networks.networks)}"
        )
    return networks.networks[of]


def _has_edges(networks: NetworkSet, name: str) -> np.ndarray:
    return np.asarray(np.diff(networks[name].matrix.indptr) > 0)


def _learned(networks: NetworkSet, name: str, of: str, values: np.ndarray) -> Token:
    if name == JOINT_GRAPH:
        has_edges = [_has_edges(networks, network) for network in networks.networks]
        return make_token(name, values[: len(networks.dataset.index)], np.any(has_edges, axis=0))
    _network(networks, name, of)
    return make_token(name, values[: len(networks.dataset.index)], _has_edges(networks, of))


def _svd(networks: NetworkSet, name: str, of: str, dim: int) -> Token:
    return make_token(
        name, svd_scores(_network(networks, name, of).matrix, dim), _has_edges(networks, of)
    )


def _svd_similarity(networks: NetworkSet, name: str, of: str, dim: int) -> Token:
    if of not in networks.similarities:
        raise ConfigError(
            f"token {name!r}: no similarity {of!r}; there are {', '.join(networks.similarities)}"
        )
    array = np.asarray(networks.similarities[of], dtype=np.float64)
    known = array.sum(axis=1) > 1 + 1e-9
    return make_token(name, svd_scores(np.where(known[:, None], array, 0), dim), known)


def _rows(networks: NetworkSet, name: str, of: str, _dim: int) -> Token:
    return make_token(name, _network(networks, name, of).matrix.toarray(), _has_edges(networks, of))


def kmer_frequencies(sequences: Sequence[str | None], largest: int = 3) -> np.ndarray:
    """Frequencies of all 1- to `largest`-mers over ACGU, and the length in nucleotides as the last column.

    Returns:
        float64, shape (n, 4 + 16 + ... + 1). Each k block sums to 1 where no N is met; a missing sequence gives zeros.
    """
    letters = [sequence or "" for sequence in sequences]
    blocks = []
    for k in range(1, largest + 1):
        block = np.zeros((len(letters), 4**k))
        for row, sequence in enumerate(letters):
            found = word_numbers(sequence, k)
            block[row] = np.bincount(found[found >= 0], minlength=4**k) / max(1, len(found))
        blocks.append(block)
    return np.hstack([*blocks, np.array([[len(sequence)] for sequence in letters], dtype=float)])


def _sequences(networks: NetworkSet) -> list[str | None]:
    return [s if isinstance(s, str) and s else None for s in networks.dataset.rnas["sequence"]]


def _kmer(networks: NetworkSet, name: str, _of: str, _dim: int) -> Token:
    return make_token(name, kmer_frequencies(_sequences(networks)))


def _n_similar(networks: NetworkSet, name: str, _of: str, _dim: int) -> Token:
    if "sequence" not in networks.similarities:
        raise ConfigError(
            f"token {name!r}: no similarity 'sequence'; there are {', '.join(networks.similarities)}"
        )
    return n_similar_token(
        np.asarray(networks.similarities["sequence"]),
        np.array([s is not None for s in _sequences(networks)]),
    )


def _degree(networks: NetworkSet, name: str, _of: str, _dim: int) -> Token:
    """log(1 + number of partners) and its rank in [0, 1], per association network; always present: 0 is an answer too."""
    counts = [
        np.diff(network.matrix.indptr)
        for network in networks.networks.values()
        if not network.is_similarity
    ]
    values = [
        part for c in counts for part in (np.log1p(c), pd.Series(c).rank(pct=True).to_numpy())
    ]
    return make_token(
        name, np.column_stack(values), np.ones(len(networks.dataset.index), dtype=bool)
    )


def _kind(networks: NetworkSet, name: str, of: str) -> str:
    if of not in networks.dataset.associations:
        raise ConfigError(
            f"token {name!r}: no associations of kind {of!r}; there are {', '.join(networks.dataset.associations)}"
        )
    return of


def _has_partners(networks: NetworkSet, kind: str) -> np.ndarray:
    return np.asarray(
        networks.dataset.rnas.index.isin(networks.dataset.associations[kind]["rna_id"])
    )


def _evidence(networks: NetworkSet, name: str, of: str, _dim: int) -> Token:
    """Numeric evidence columns and, where reports are named, their times and sizes (see `fusion.tokens.builders`)."""
    dataset = networks.dataset
    numbers = numeric_evidence(dataset, _kind(networks, name, of)).to_numpy()
    return make_token(
        name, np.hstack([numbers, report_times(dataset, of)]), _has_partners(networks, of)
    )


def _reports(networks: NetworkSet, name: str, of: str, dim: int) -> Token:
    """SVD of RNAs x reports: RNAs that were reported together are near each other."""
    matrix = shared_reports(networks.dataset, _kind(networks, name, of))
    return make_token(name, svd_scores(matrix, dim), np.diff(matrix.indptr) > 0)


def _weighted(networks: NetworkSet, name: str, of: str, dim: int) -> Token:
    """SVD of the associations weighed by their number of records."""
    return make_token(
        name,
        svd_scores(weighted_matrix(networks.dataset, _kind(networks, name, of)), dim),
        _has_partners(networks, of),
    )


def type_codes(types: Sequence[str]) -> np.ndarray:
    """One-hot code of types of RNAs: float32, shape (n, len(RNA_TYPES)); raises ConfigError for a type that is none of them."""
    return np.eye(len(RNA_TYPES), dtype=np.float32)[type_numbers(types, RNA_TYPES)]


def network_rna_types(dataset: Dataset) -> list[str]:
    """Type of each RNA of a dataset: its column ``type`` where it has one, else precursors, whose hairpins the sequences are."""
    if "type" not in dataset.rnas.columns:
        return [PRECURSOR] * len(dataset.index)
    return [the_type(str(cell)) for cell in dataset.rnas["type"]]


def _type(networks: NetworkSet, name: str, _of: str, _dim: int) -> Token:
    return make_token(name, type_codes(network_rna_types(networks.dataset)))


def binary_columns(table: pd.DataFrame) -> list[str]:
    """Names of the columns that hold nothing but 0 and 1."""
    return [
        str(c)
        for c in table.columns
        if pd.api.types.is_numeric_dtype(table[c]) and table[c].isin([0, 1]).all()
    ]


def _partners(networks: NetworkSet, name: str, of: str, _dim: int) -> Token:
    """Mean of the partners' 0/1 columns, e.g. the localization of target mRNAs (co-localization feature of PMiSLocMF)."""
    table = networks.dataset.partners[_kind(networks, name, of)]
    binary = binary_columns(table)
    if not binary:
        return make_token(name, np.zeros((len(networks.dataset.index), 1)))
    matrix = networks.dataset.association_matrix(of)
    share = (matrix @ table[binary].to_numpy(dtype=float)) / np.maximum(1, np.diff(matrix.indptr))[
        :, None
    ]
    return make_token(name, share, np.asarray(np.diff(matrix.indptr) > 0))


def _attributes(networks: NetworkSet, name: str, _of: str, _dim: int) -> Token:
    """Numeric columns of the RNA table on a log scale, e.g. members of the family; unknown as 0, with a column that says so."""
    rnas = networks.dataset.rnas
    numeric = rnas[[c for c in rnas.columns if pd.api.types.is_numeric_dtype(rnas[c])]].astype(
        float
    )
    if numeric.shape[1] == 0:
        return make_token(name, np.zeros((len(rnas), 1)))
    unknown = numeric.isna().to_numpy(dtype=float)
    known = numeric.fillna(0.0).to_numpy()
    values = np.hstack([np.sign(known) * np.log1p(np.abs(known)), unknown[:, unknown.any(axis=0)]])
    return make_token(name, values, np.asarray(~numeric.isna().to_numpy().all(axis=1)))


def shared_sequence(sequences: Sequence[str | None]) -> sparse.csr_array:
    """Which RNAs share a sequence, among ``;``-separated ones: binary, shape (n, n), zero diagonal."""
    rows = []
    columns = []
    known = dict[str, int]()
    for row, cell in enumerate(sequences):
        for sequence in {part for part in (cell or "").split(";") if part}:
            rows.append(row)
            columns.append(known.setdefault(sequence, len(known)))
    holds = sparse.csr_array(
        (np.ones(len(rows)), (rows, columns)), shape=(len(sequences), max(1, len(known)))
    )
    together = (holds @ holds.T).tolil()
    together.setdiag(0)
    return sparse.csr_array(together.tocsr() > 0).astype(float)


def _same_sequence(networks: NetworkSet, name: str, _of: str, _dim: int) -> Token:
    """How an RNA's associations compare with those of RNAs of the same hairpin, and of the same mature sequence.

    Per relation: number of relatives; per association kind their largest number of partners, and the log ratio of its own
    to it. Databases spread the findings on one molecule over several of its ids, which these numbers show.
    """
    dataset = networks.dataset
    cells = [_sequences(networks)]
    if "matures" in dataset.rnas.columns:
        cells.append([m if isinstance(m, str) else None for m in dataset.rnas["matures"]])
    degrees = [
        np.diff(dataset.association_matrix(kind).indptr).astype(float)
        for kind in dataset.associations
    ]
    columns = []
    for together in map(shared_sequence, cells):
        count = np.asarray(together.sum(axis=1)).ravel()
        columns.append(np.log1p(count))
        for degree in degrees:
            largest = np.asarray(
                (together @ sparse.diags_array(degree)).max(axis=1).toarray()
            ).ravel()
            columns += [
                np.log1p(largest),
                np.where(count > 0, np.log((degree + 1) / (largest + 1)), 0.0),
            ]
    return make_token(name, np.column_stack(columns), np.ones(len(dataset.index), dtype=bool))


def expand_tokens(networks: NetworkSet, names: Sequence[str]) -> tuple[str, ...]:
    """Replace ``*`` at the end of a token by every kind of association it can be made for, in the dataset's order.

    ``svd:*``, ``rows:*`` and the learned embeddings stand for the association networks; ``reports…*`` for kinds that name
    their reports; ``partners:*`` for kinds whose partners have 0/1 columns, ``partner_sequences:*`` for those that have sequences; all
    others for every kind, supporting ones too.
    ``gip_*`` is for association networks. A token that ends in ``?`` is left out where the dataset has no such kind of association.
    In a joined token the ``*`` of all parts is one kind: ``svd:*+evidence:*`` gives one token per kind, of the parts it has.
    """
    found: list[str] = []
    for name in names:
        parts = name.split(JOIN)
        if name.endswith("?"):
            start, of = _start_and_kind(name[:-1])
            found += [name[:-1]] if of in _kinds_of(networks, start) else []
            continue
        if "*" not in name:
            found.append(name)
            continue
        kinds = {part: _kinds_of(networks, part[:-1]) for part in parts if part.endswith("*")}
        if len(kinds) < len(parts):
            raise ConfigError(f"token {name!r}: either all joined parts end in '*' or none")
        for kind in networks.dataset.associations:
            extra_rnas = [part[:-1] + kind for part in parts if kind in kinds[part]]
            found += [JOIN.join(extra_rnas)] if extra_rnas else []
    return tuple(dict.fromkeys(found))


def _kinds_of(networks: NetworkSet, start: str) -> list[str]:
    dataset = networks.dataset
    if start in (
        "svd:",
        "rows:",
        "transfer:",
        "neighbours:gip_",
        *(f"{kind}:" for kind in LEARNED),
    ):
        return [n for n, network in networks.networks.items() if not network.is_similarity]
    if start in ("reports:", "neighbours:reports_"):
        return [
            k
            for k, table in dataset.associations.items()
            if any(c in table.columns for c in REPORTS)
        ]
    if start == "partner_sequences:":
        return kinds_with_sequences(dataset)
    if start == "partners:":
        return [k for k, table in dataset.partners.items() if binary_columns(table)]
    return list(dataset.associations)


BUILDERS: dict[str, Callable[[NetworkSet, str, str, int], Token]] = {
    "svd": _svd, "svd_similarity": _svd_similarity, "rows": _rows, "kmer": _kmer, "alike": _n_similar, "degree": _degree,
    "evidence": _evidence, "reports": _reports, "weighted": _weighted, "partners": _partners, "attributes": _attributes,
    "relatives": _same_sequence, "type": _type,
}  # fmt: skip


def report_matrix(dataset: Dataset, kind: str) -> tuple[sparse.csr_array, np.ndarray]:
    """Which RNA is named in which report of one association kind.

    Returns:
        Binary CSR matrix, shape (n_rnas, n_reports), columns in the order of the report numbers; and those numbers, float64.
        Without a column ``reports`` or ``pmids`` there are no columns.
    """
    table = dataset.associations[kind]
    n_rnas = len(dataset.index)
    named = next((c for c in REPORTS if c in table.columns), None)
    if named is None:
        return sparse.csr_array((n_rnas, 0)), np.zeros(0)
    pairs = pd.DataFrame(
        {
            "rna": dataset.index.positions(table["rna_id"]),
            "report": table[named].astype(str).str.split(";"),
        }
    ).explode("report")
    numbers = pd.to_numeric(pairs["report"], errors="coerce")
    pairs = pairs.assign(report=numbers)[numbers.notna()].drop_duplicates()
    reports, column = np.unique(pairs["report"].to_numpy(dtype=float), return_inverse=True)
    matrix = sparse.csr_array(
        (np.ones(len(pairs)), (pairs["rna"].to_numpy(), column)), shape=(n_rnas, len(reports))
    )
    return matrix, reports


def shared_reports(dataset: Dataset, kind: str) -> sparse.csr_array:
    """Tf-idf matrix of the reports that name two RNAs or more: shape (n_rnas, n_shared)."""
    matrix, _ = report_matrix(dataset, kind)
    shared = np.flatnonzero(np.asarray(matrix.sum(axis=0)).ravel() >= 2)
    return tf_idf(sparse.csr_array(matrix[:, shared]))


def weighted_matrix(dataset: Dataset, kind: str) -> sparse.csr_array:
    """Associations weighed by log(1 + number of records): shape (n_rnas, n_partners)."""
    table = dataset.associations[kind]
    records = (
        table["n_records"].to_numpy(dtype=float)
        if "n_records" in table.columns
        else np.ones(len(table))
    )
    place = (
        dataset.index.positions(table["rna_id"]),
        dataset.partner_index(kind).positions(table["partner_id"]),
    )
    return sparse.csr_array(
        (np.log1p(records), place), shape=(len(dataset.index), len(dataset.partners[kind]))
    )


def report_times(dataset: Dataset, kind: str) -> np.ndarray:
    """When and in what company an RNA was reported: quantiles of its report numbers, sizes of its reports, counts over time.

    Returns:
        shape (n_rnas, 5 + 3 + 1 + 8): smallest, quartiles and largest report number as a rank in [0, 1] (1 for an RNA never reported);
        log sizes (RNAs named) of its smallest, median and largest report; log number of reports; log counts in 8 bins of
        equally many reports.
    """
    matrix, _ = report_matrix(dataset, kind)
    n_rnas, n_reports = matrix.shape
    times = np.full((n_rnas, 5), 1.0)
    sizes = np.zeros((n_rnas, 3))
    bins = np.zeros((n_rnas, TIME_BINS))
    size_of = np.asarray(matrix.sum(axis=0)).ravel()
    for row in range(n_rnas):
        named = np.sort(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]])
        if len(named):
            times[row] = np.quantile(named, [0, 0.25, 0.5, 0.75, 1]) / n_reports
            sizes[row] = np.log1p(np.quantile(size_of[named], [0, 0.5, 1]))
            bins[row] = np.bincount(named * TIME_BINS // n_reports, minlength=TIME_BINS)
    return np.hstack([times, sizes, np.log1p(np.diff(matrix.indptr))[:, None], np.log1p(bins)])


def numeric_evidence(dataset: Dataset, kind: str) -> pd.DataFrame:
    """Numeric evidence columns of one association kind per RNA: log(1 + sum), and the mean over its associations.

    RNAs without an association have zeros.
    """
    table = dataset.associations[kind]
    numeric = [
        c
        for c in table.columns
        if c not in ("rna_id", "partner_id", *REPORTS) and pd.api.types.is_numeric_dtype(table[c])
    ]
    if not numeric:
        return pd.DataFrame(index=dataset.rnas.index)
    grouped = table.groupby("rna_id", sort=False)[numeric]
    total = grouped.sum().clip(lower=0).transform(np.log1p).add_prefix("sum_")
    return (
        pd.concat([total, grouped.mean().add_prefix("mean_")], axis=1)
        .reindex(dataset.rnas.index)
        .fillna(0.0)
    )


def similar_counts(similarity: np.ndarray, *, newcomers: bool = False) -> np.ndarray:
    """How many known RNAs are more similar than each of `LEVELS`, as log(1 + n): float32, shape (n, 5).

    A large family is an old one, and an old one is expressed in more places: the sequences of relatives say so, whatever is known of them.

    Args:
        similarity: shape (n, n_known), in [0, 1]; of the known RNAs themselves, whose diagonal is not counted, unless they are `newcomers`.
    """
    counts = np.stack([(similarity > level).sum(axis=1) for level in LEVELS], axis=1).astype(
        np.float32
    )
    if not newcomers:
        counts -= np.diagonal(similarity)[:, None] > np.array(LEVELS, dtype=np.float32)
    return np.asarray(np.log1p(counts), dtype=np.float32)


def n_similar_token(similarity: np.ndarray, known: np.ndarray, *, newcomers: bool = False) -> Token:
    """The token ``alike``; absent for an RNA whose sequence is not known (`known`: bool, shape (n,))."""
    return make_token(N_SIMILAR, similar_counts(similarity, newcomers=newcomers), known)
