"""Additional labelled RNA sets (lncRNA, mRNA, circRNA) for joint training with the networks' RNAs.

Frozen: kept working, not extended.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from fusion.config import ExperimentConfig
from fusion.data.inputs import ExtraRnas, FusionData
from fusion.data.prepare import config_folds, prepare, with_baselines, with_cold_start
from fusion.tokens.builders import kmer_frequencies, network_rna_types, texts, type_codes
from fusion.tokens.embeddings import learned_embeddings
from fusion.tokens.kinds import require_target
from fusion.tokens.names import (
    DESCRIPTORS,
    KMER,
    PARTNER_LABELS,
    TYPE,
    TokenName,
    single_tokens,
    tokens_of_kind,
)
from fusion.tokens.table import Token, TokenTable, make_token, token_kind
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.splits import Folds, grouped_folds
from mirnagraph.io import to_rna
from mirnagraph.networks.network import NetworkSet
from mirnagraph.nodes import NodeIndex
from mirnagraph.parallel import Progress
from seqtower.baselines.descriptor_trees import DescriptorConfig
from seqtower.data.clusters import cluster
from seqtower.data.sequences import LEFT_OUT_COLUMNS, RNA_TYPES, SequenceSet, sequences_sha256
from seqtower.data.sets import MARK, read_sets

Vectors = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class RnaSets:
    """RNAs of one or more labelled sets.

    Attributes:
        data: merged sets (see `seqtower.data.sets.merge_sets`): labels are NaN where a set has no
            labels for a compartment; every RNA has a type.
        groups: group number of every RNA (near-duplicates, transcripts of one gene), shape (n,);
            no fold splits a group.
    """

    data: SequenceSet
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.data)

    @property
    def sha256(self) -> str:
        """Hash of everything that a run reads of the sets."""
        groups = self.groups.astype(np.int64).tobytes()
        return hashlib.sha256(sequences_sha256(self.data).encode() + groups).hexdigest()

    def summary(self) -> dict[str, dict[str, object]]:
        """Name of each set -> RNA type and number of its RNAs, as in ``run.json``."""
        sets = self.data.sets or ()
        types = self.data.types or ()
        rows = {}
        for name in dict.fromkeys(sets):
            rows[name] = {"type": types[sets.index(name)], "n": sets.count(name)}
        return rows

    @property
    def partner_names(self) -> list[str]:
        """Name of every RNA as a partner in networks: its group (a gene), without its set."""
        names = self.data.groups or self.data.index.ids
        return [name.partition(MARK)[2] for name in names]


def read_rna_sets(
    path: str | Path, dataset: Dataset, *, iupac: str = "error", progress: Progress | None = None
) -> RnaSets:
    """Read the sets of a TOML file, ``[sets.NAME]`` (see `seqtower.data.sets.SetFile`).

    Near-duplicates by sequence, and RNAs of one group of a set (transcripts of one gene), make one
    group. Near-duplicates of the dataset's own RNAs or of their mature forms are left out, with
    the reason: they are the same molecules, and their labels would reveal the others. A transcript
    more than twice as long as a hairpin that it contains is another molecule and is kept.

    Raises:
        InputError, ConfigError: see `seqtower.data.sets.read_sets`.
        InputError: every RNA is a near-duplicate of one of the dataset.
    """
    data = read_sets(path, iupac=iupac, least=1)
    of_dataset = {to_rna(sequence): name for name, sequence in _molecules(dataset)}
    codes = cluster([*of_dataset, *data.sequences], progress=progress)
    n_molecules = len(of_dataset)
    longest: dict[int, str] = {}
    for code, sequence in zip(codes[:n_molecules].tolist(), of_dataset, strict=True):
        longest[code] = max(longest.get(code, ""), sequence, key=len)
    rows = []
    left_out = []
    for row, code in enumerate(codes[n_molecules:].tolist()):
        near = longest.get(code, "")
        if len(data.sequences[row]) > 2 * len(near):
            rows.append(row)
        else:
            reason = f"near-duplicate of {of_dataset[near]} of the networks"
            left_out.append((data.index.ids[row], reason))
    if not rows:
        raise InputError(
            "every RNA of the sets is a near-duplicate of one of the networks",
            file=path,
            found=len(data),
            expected="RNAs of other types",
        )
    table = pd.DataFrame(left_out, columns=LEFT_OUT_COLUMNS)
    remaining = data.rows(np.array(rows, dtype=np.int64))
    table = pd.concat([remaining.left_out, table], ignore_index=True)
    remaining = replace(remaining, left_out=table)
    clusters = codes[n_molecules:][rows]
    return RnaSets(remaining, merge_groups(clusters, remaining.groups))


def _molecules(dataset: Dataset) -> list[tuple[str, str]]:
    """Name and sequence of a dataset's RNAs, and of their mature forms."""
    pairs = []
    for column in ("sequence", "matures"):
        for name, cell in zip(dataset.index, texts(dataset, column), strict=True):
            pairs += [(name, sequence) for sequence in cell.split(";") if sequence]
    return pairs


def merge_groups(clusters: np.ndarray, groups: tuple[str, ...] | None) -> np.ndarray:
    """Connected components of RNAs that share a cluster or a group.

    Returns:
        int64, shape (n,).
    """
    cluster_of = np.unique(clusters, return_inverse=True)[1]
    if groups is None:
        return cluster_of
    group_of = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)[1]
    n_clusters = int(cluster_of.max()) + 1
    n_nodes = n_clusters + int(group_of.max()) + 1
    edges = (np.ones(len(cluster_of)), (cluster_of, n_clusters + group_of))
    links = sparse.coo_array(edges, shape=(n_nodes, n_nodes))
    components = connected_components(links, directed=False)[1]
    return components[cluster_of].astype(np.int64)


def rna_set_folds(network_folds: Folds, rna_sets: RnaSets, seed: int) -> Folds:
    """Folds of the networks' RNAs as they are, with as many folds of the additional RNAs.

    Where there is one fold, about the same share of the additional RNAs is in it.

    Raises:
        ConfigError: fewer groups of additional RNAs than folds.
    """
    table = rna_sets.data.binary()
    groups = pd.Series([f"group {number}" for number in rna_sets.groups], index=table.index)
    values = network_folds.assigned.to_numpy()
    n_folds = network_folds.n_folds
    if n_folds == 1:
        n_folds = max(2, round(len(values) / max(1, int((values == 0).sum()))))
    n_groups = len(np.unique(rna_sets.groups))
    if n_groups < n_folds:
        raise ConfigError(
            f"found {n_groups} groups of near-duplicates in the sets, expected {n_folds} or more "
            f"for {n_folds} folds"
        )
    assigned = grouped_folds(table, groups, n_folds, seed).assigned
    if network_folds.n_folds == 1:
        assigned = assigned.where(assigned == 0, -1)
    name = f"{network_folds.name}, and sets by near-duplicates"
    return Folds(pd.concat([network_folds.assigned, assigned]), name=name)


def add_rna_sets(
    data: FusionData,
    networks: NetworkSet,
    rna_sets: RnaSets,
    config: ExperimentConfig,
    vectors: Vectors | None = None,
) -> FusionData:
    """Append additional RNAs to the data of the networks' RNAs.

    An additional RNA has the tokens ``type`` and ``kmer``, the ``descriptors`` that trees read, and
    where it is a partner in a network (an mRNA whose group is the name of a target) the embedding
    of that node. All other tokens are absent.

    Args:
        data: of the networks alone.
        networks: with the dataset.
        rna_sets: the additional RNAs.
        config: settings with resolved tokens.
        vectors: embeddings of all nodes by token (see
            `fusion.tokens.embeddings.learned_embeddings`).

    Raises:
        InputError: an additional RNA has the id of an RNA of the networks.
        ConfigError: a set has the name of the dataset, or a token needs a missing kind.
    """
    dataset = networks.dataset
    extra = rna_sets.data
    duplicates = [name for name in extra.index.ids if name in data.index]
    if duplicates:
        raise InputError(
            "an RNA of the sets has the id of an RNA of the networks", found=duplicates[0]
        )
    if dataset.name in (extra.sets or ()):
        raise ConfigError(f"a set is named {dataset.name!r} as the dataset: rename the set")
    names = single_tokens(config.token_names)
    kinds = []
    for name in tokens_of_kind(names, PARTNER_LABELS):
        require_target(networks, name)
        kinds.append(name.target)
    n_network_rnas = data.n_network_rnas
    index = data.index + NodeIndex.of(extra.index.ids, "miRNA")
    compartments = tuple(dict.fromkeys((*data.compartments, *extra.compartments)))
    labels = np.full((len(index), len(compartments)), np.nan)
    labels[:n_network_rnas, : len(data.compartments)] = data.labels
    columns = [compartments.index(name) for name in extra.compartments]
    labels[n_network_rnas:, columns] = extra.labels
    tokens = [_with_rna_sets(token, rna_sets, networks, vectors or {}) for token in data.tokens]
    if DESCRIPTORS in names:
        values = rna_set_descriptors(extra.sequences, extra.types or ())
        nothing = np.zeros((n_network_rnas, values.shape[1]), np.float32)
        tokens.append(make_token(DESCRIPTORS, np.concatenate([nothing, values])))
    extra_rnas = ExtraRnas(
        n_network_rnas=n_network_rnas,
        n_labels=len(data.compartments),
        types=(*network_rna_types(dataset), *(extra.types or ())),
        sets=(*[dataset.name] * n_network_rnas, *(extra.sets or ())),
        associations={kind: dataset.association_matrix(kind) for kind in kinds},
        links={kind: partner_rows(dataset, kind, rna_sets) for kind in kinds},
    )
    return replace(
        data,
        index=index,
        compartments=compartments,
        labels=labels,
        groups=np.concatenate([data.groups, rna_sets.groups + data.groups.max() + 1]),
        tokens=TokenTable(index, tuple(tokens)),
        popularity=np.concatenate([data.popularity, np.full(len(rna_sets), -1)]),
        sequences=(*data.sequences, *extra.sequences),
        extra_rnas=extra_rnas,
    )


def partner_rows(dataset: Dataset, kind: str, rna_sets: RnaSets) -> np.ndarray:
    """Number of the partner of a kind that each additional RNA is by its name.

    Where the kind is an RNA type (``mRNA``), only RNAs of that type match: a circRNA of the same
    gene is another molecule.

    Returns:
        int64, shape (n_extra_rnas,), -1 for none.
    """
    row_of = {str(name): row for row, name in enumerate(dataset.partners[kind].index)}
    rows = np.full(len(rna_sets), -1, dtype=np.int64)
    types = rna_sets.data.types or ()
    for number, (name, rna_type) in enumerate(zip(rna_sets.partner_names, types, strict=True)):
        if kind not in RNA_TYPES or kind == rna_type:
            rows[number] = row_of.get(name, -1)
    return rows


def rna_set_descriptors(sequences: tuple[str, ...], types: tuple[str, ...]) -> np.ndarray:
    """Sequence descriptors of RNAs, without the code of their type.

    The width is the same for all types (see
    `seqtower.baselines.descriptor_trees.DescriptorConfig.features`).

    Returns:
        float32, shape (n, width).
    """
    return DescriptorConfig().features(sequences, types, RNA_TYPES)[:, : -len(RNA_TYPES)]


def _with_rna_sets(
    token: Token, rna_sets: RnaSets, networks: NetworkSet, vectors: Vectors
) -> Token:
    """A token of the networks' RNAs, followed by the rows of the additional RNAs."""
    name = TokenName.parse(token.name)
    values = np.zeros((len(rna_sets), token.width))
    present = np.full(len(rna_sets), name.kind in (TYPE, KMER))
    if name.kind == TYPE:
        values = type_codes(rna_sets.data.types or ())
    elif name.kind == KMER:
        values = kmer_frequencies(rna_sets.data.sequences)
    elif token.name in vectors and name.target in networks.dataset.partners:
        rows = partner_rows(networks.dataset, name.target, rna_sets)
        present = rows >= 0
        of_partner = vectors[token.name][len(networks.dataset.index) + np.maximum(rows, 0)]
        values = np.where(present[:, None], of_partner, 0)
    values = np.concatenate([token.values, values.astype(np.float32)])
    return Token(token.name, values, np.concatenate([token.present, present]))


def node_vectors(
    networks: NetworkSet, config: ExperimentConfig, cache: str | None = None
) -> dict[str, np.ndarray]:
    """Embeddings of all nodes, partners too, that the settings' tokens name; cached as others."""
    names = single_tokens(config.token_names)
    names = [name for name in names if token_kind(TokenName.parse(name).kind).is_embedding]
    return learned_embeddings(networks, names, config.embedding, config.seed, cache=cache)


def folds_of(dataset: Dataset, config: ExperimentConfig, rna_sets: RnaSets | None = None) -> Folds:
    """Folds of the settings' protocol, with those of the additional RNAs."""
    folds = config_folds(dataset, config)
    return folds if rna_sets is None else rna_set_folds(folds, rna_sets, config.seed)


def prepare_all(
    networks: NetworkSet,
    config: ExperimentConfig,
    rna_sets: RnaSets | None = None,
    *,
    baselines: bool = False,
    cache: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> FusionData:
    """Data of a whole run: folds, cold-start model, baselines where wanted, additional RNA sets.

    Args:
        networks: with the dataset.
        rna_sets: additional RNA sets; None for none.
        progress: called as ``progress(step, done, total)``.
        config: its tokens name kinds that the dataset has (see
            `fusion.data.prepare.resolve_tokens`).
        baselines: also make the inputs of the baselines.
        cache: folder for embeddings, shared between runs.
        workers: processes for embeddings; changes no number.
    """
    with ExitStack() as stack:
        if rna_sets is not None and cache is None:
            # The embeddings are read twice, for the networks' RNAs and for the additional ones.
            cache = stack.enter_context(tempfile.TemporaryDirectory(prefix="mirnagraph-"))
        data = prepare(networks, config, cache=cache, workers=workers, progress=progress)
        vectors = {} if rna_sets is None else node_vectors(networks, config, str(cache))
    data = with_cold_start(data, networks, config)
    if config.folds.cold:
        data = replace(data, networks=networks)
    if baselines:
        data = with_baselines(data, networks)
    if rna_sets is None:
        return data
    return add_rna_sets(data, networks, rna_sets, config, vectors)
