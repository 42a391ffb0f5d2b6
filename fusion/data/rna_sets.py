"""Additional labelled RNA sets (frozen)."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from fusion.config import ExperimentConfig
from fusion.data.problem import ExtraRnas, FusionData, config_folds, prepare
from fusion.tokens.builders import kmer_frequencies, network_rna_types, type_codes
from fusion.tokens.embeddings import learned_embeddings
from fusion.tokens.names import COLOCALIZED, DESCRIPTORS, KMER, LEARNED, TYPE, single_tokens
from fusion.tokens.table import Token, TokenTable, make_token
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
        data: merged (see `seqtower.data.sets.merge_sets`): labels NaN where a set does not speak of a compartment, a type for every RNA.
        groups: what has to stay together (near-copies, transcripts of one gene) as numbers, shape (n,); folds part none.
    """

    data: SequenceSet
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.data)

    @property
    def sha256(self) -> str:
        """Of everything a run reads of them."""
        return hashlib.sha256(
            sequences_sha256(self.data).encode() + self.groups.astype(np.int64).tobytes()
        ).hexdigest()

    def summary(self) -> dict[str, dict[str, object]]:
        """Name of each set -> type and number of its RNAs, as a run says them."""
        sets = self.data.sets or ()
        types = self.data.types or ()
        return {
            name: {"type": types[sets.index(name)], "n": sets.count(name)}
            for name in dict.fromkeys(sets)
        }

    @property
    def partner_names(self) -> list[str]:
        """What each would be called as a partner of the networks: its group (a gene), without the name of its set."""
        names = self.data.groups or self.data.index.ids
        return [name.partition(MARK)[2] for name in names]


def read_rna_sets(
    path: str | Path, dataset: Dataset, *, iupac: str = "error", progress: Progress | None = None
) -> RnaSets:
    """Read the sets that a TOML file names, ``[sets.NAME]`` (see `seqtower.data.sets.SetFile`), for one model with the RNAs of a dataset.

    Near-copies by sequence, and RNAs of one group of a set (transcripts of one gene), are to stay together. Near-copies of the dataset's own RNAs or of
    their mature forms are left out, with the reason: they are the same molecules, and their labels would tell of them. A transcript more than twice as
    long, of which a hairpin is a part, is another molecule and stays.

    Raises:
        InputError, ConfigError: see `seqtower.data.sets.read_sets`. InputError: every RNA is a near-copy of one of the dataset.
    """
    data = read_sets(path, iupac=iupac, least=1)
    own = {to_rna(text): str(name) for name, text in _molecules(dataset)}
    codes = cluster([*own, *data.sequences], progress=progress)
    longest: dict[int, str] = {}
    for code, text in zip(codes[: len(own)].tolist(), own, strict=True):
        longest[code] = max(longest.get(code, ""), text, key=len)
    near = [longest.get(int(code), "") for code in codes[len(own) :]]
    copies = [
        own[text] if len(sequence) <= 2 * len(text) else None
        for text, sequence in zip(near, data.sequences, strict=True)
    ]
    kept = np.array([row for row, name in enumerate(copies) if name is None], dtype=np.int64)
    if not len(kept):
        raise InputError(
            "every RNA of the sets is a near-copy of one of the networks",
            file=path,
            found=len(data),
            expected="RNAs of other types",
        )
    reasons = [
        (data.index.ids[row], f"a near-copy of {name} of the networks")
        for row, name in enumerate(copies)
        if name is not None
    ]
    left = pd.DataFrame(reasons, columns=LEFT_OUT_COLUMNS)
    data = replace(data.rows(kept), left_out=pd.concat([data.left_out, left], ignore_index=True))
    return RnaSets(data, together(codes[len(own) :][kept], data.groups))


def _molecules(dataset: Dataset) -> list[tuple[str, str]]:
    """Name and sequence of a dataset's RNAs, and of their mature forms."""
    found = []
    for column in ("sequence", "matures"):
        if column in dataset.rnas.columns:
            cells = dataset.rnas[column]
            found += [
                (str(name), part)
                for name, cell in cells.items()
                if isinstance(cell, str)
                for part in cell.split(";")
                if part
            ]
    return found


def together(clusters: np.ndarray, groups: tuple[str, ...] | None) -> np.ndarray:
    """Numbers of what has to stay in one fold: RNAs that share a cluster or a group, and those that these share one with: int64, shape (n,)."""
    if groups is None:
        return np.unique(clusters, return_inverse=True)[1]
    by_name = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)[1]
    first = np.unique(clusters, return_inverse=True)[1]
    n_clusters = int(first.max()) + 1
    links = sparse.coo_array(
        (np.ones(len(first)), (first, n_clusters + by_name)),
        shape=(n_clusters + int(by_name.max()) + 1,) * 2,
    )
    return np.asarray(connected_components(links, directed=False)[1][first], dtype=np.int64)


def rna_set_folds(network_rows: Folds, rna_sets: RnaSets, seed: int) -> Folds:
    """The folds of the networks' RNAs as they are, and of the guests as many, which part nothing that `RnaSets.groups` keeps together.

    Where there is one fold, and the rest is trained on, about the same share of the guests is in it.

    Raises:
        ConfigError: fewer groups of guests than folds.
    """
    table = rna_sets.data.binary()
    groups = pd.Series([f"group {number}" for number in rna_sets.groups], index=table.index)
    values = network_rows.assigned.to_numpy()
    n_folds = (
        network_rows.n_folds
        if network_rows.n_folds > 1
        else max(2, round(len(values) / max(1, int((values == 0).sum()))))
    )
    n_groups = len(np.unique(rna_sets.groups))
    if n_groups < n_folds:
        raise ConfigError(
            f"the sets hold {n_groups} groups of near-copies, which make no {n_folds} folds"
        )
    theirs = grouped_folds(table, groups, n_folds, seed).assigned
    if network_rows.n_folds == 1:
        theirs = theirs.where(theirs == 0, -1)
    return Folds(
        pd.concat([network_rows.assigned, theirs]),
        name=f"{network_rows.name}, and sets by near-copies",
    )


def add_rna_sets(
    fusion_data: FusionData,
    networks: NetworkSet,
    rna_sets: RnaSets,
    config: ExperimentConfig,
    vectors: Vectors | None = None,
) -> FusionData:
    """A problem whose rows are the RNAs of the networks and, behind them, the guests.

    A guest has the tokens ``type`` and ``kmer``, the ``descriptors`` that trees read, and where it is a partner in a network (an mRNA whose group is the
    name of a target) the embedding of that node. All other tokens are absent from it.

    Args:
        problem: of the networks alone.
        vectors: embeddings of all nodes by token (see `fusion.tokens.embeddings.learned_embeddings`).

    Raises:
        InputError: an id of a guest is one of the networks' RNAs.
    """
    dataset = networks.dataset
    data = rna_sets.data
    if any(name in fusion_data.index for name in data.index.ids):
        raise InputError(
            "an RNA of the sets has the id of an RNA of the networks",
            found=next(n for n in data.index.ids if n in fusion_data.index),
        )
    index = fusion_data.index + NodeIndex.of(data.index.ids, "miRNA")
    compartments = tuple(dict.fromkeys((*fusion_data.compartments, *data.compartments)))
    labels = np.full((len(index), len(compartments)), np.nan)
    labels[: fusion_data.n_network_rnas, : len(fusion_data.compartments)] = fusion_data.labels
    labels[
        fusion_data.n_network_rnas :, [compartments.index(name) for name in data.compartments]
    ] = data.labels
    types = (*network_rna_types(dataset), *(data.types or ()))
    wanted = single_tokens((*config.tokens.attention, *config.tokens.trees))
    kinds = [name.removeprefix(COLOCALIZED) for name in wanted if name.startswith(COLOCALIZED)]
    if dataset.name in (data.sets or ()):
        raise ConfigError(
            f"a set has the name of the dataset of the networks, {dataset.name!r}: give it another"
        )
    lacking = [kind for kind in kinds if kind not in dataset.associations]
    if lacking:
        raise ConfigError(
            f"token '{COLOCALIZED}{lacking[0]}': no such kind of association; there are {', '.join(dataset.associations)}"
        )
    tokens = tuple(
        _with_rna_sets(token, rna_sets, networks, vectors or {}) for token in fusion_data.tokens
    )
    if DESCRIPTORS in wanted:
        read = rna_set_descriptors(data.sequences, data.types or ())
        tokens = (
            *tokens,
            make_token(
                DESCRIPTORS,
                np.concatenate(
                    [np.zeros((fusion_data.n_network_rnas, read.shape[1]), np.float32), read]
                ),
            ),
        )
    extra_rnas = ExtraRnas(
        n_network_rnas=fusion_data.n_network_rnas,
        n_labels=len(fusion_data.compartments),
        types=types,
        sets=(*[dataset.name] * fusion_data.n_network_rnas, *(data.sets or ())),
        associations={kind: dataset.association_matrix(kind) for kind in kinds},
        links={kind: partner_rows(dataset, kind, rna_sets) for kind in kinds},
    )
    return replace(
        fusion_data,
        index=index,
        compartments=compartments,
        labels=labels,
        groups=np.concatenate([fusion_data.groups, rna_sets.groups + fusion_data.groups.max() + 1]),
        tokens=TokenTable(index, tokens),
        popularity=np.concatenate([fusion_data.popularity, np.full(len(rna_sets), -1)]),
        sequences=(*fusion_data.sequences, *data.sequences),
        extra_rnas=extra_rnas,
    )


def partner_rows(dataset: Dataset, kind: str, rna_sets: RnaSets) -> np.ndarray:
    """Number of the partner of a kind that each guest is by its name, -1 for none: int64, shape (n_guests,).

    Where the kind is a type of RNA (``mRNA``), only guests of that type are: a circRNA of the same gene is another molecule.
    """
    place = {str(name): row for row, name in enumerate(dataset.partners[kind].index)}
    meant = [kind not in RNA_TYPES or kind == name for name in rna_sets.data.types or ()]
    return np.array(
        [
            place.get(name, -1) if yes else -1
            for name, yes in zip(rna_sets.partner_names, meant, strict=True)
        ],
        dtype=np.int64,
    )


def rna_set_descriptors(sequences: tuple[str, ...], types: tuple[str, ...]) -> np.ndarray:
    """What trees read of RNAs beside their type (see `seqtower.baselines.descriptor_trees.DescriptorConfig.features`): float32, shape (n, width).

    The width is one for all types, so that a model reads RNAs of any type it knows.
    """
    return DescriptorConfig().features(sequences, types, RNA_TYPES)[:, : -len(RNA_TYPES)]


def _with_rna_sets(
    token: Token, rna_sets: RnaSets, networks: NetworkSet, vectors: Vectors
) -> Token:
    """A token of the networks' RNAs, and of the guests behind them."""
    kind, _, of = token.name.partition(":")
    values = np.zeros((len(rna_sets), token.width), dtype=np.float32)
    present = np.zeros(len(rna_sets), dtype=bool)
    if token.name == TYPE:
        values = type_codes(rna_sets.data.types or ())
        present = ~present
    elif token.name == KMER:
        values = kmer_frequencies(rna_sets.data.sequences).astype(np.float32)
        present = ~present
    elif kind in LEARNED and token.name in vectors and of in networks.dataset.partners:
        rows = partner_rows(networks.dataset, of, rna_sets)
        present = rows >= 0
        values = np.where(
            present[:, None],
            vectors[token.name][len(networks.dataset.index) + np.maximum(rows, 0)],
            0,
        ).astype(np.float32)
    return Token(
        token.name, np.concatenate([token.values, values]), np.concatenate([token.present, present])
    )


def node_vectors(
    networks: NetworkSet, config: ExperimentConfig, cache: str | None = None
) -> dict[str, np.ndarray]:
    """Embeddings of all nodes that the settings' tokens name, partners too; those that `cache` holds are not made again."""
    wanted = [
        name
        for name in single_tokens((*config.tokens.attention, *config.tokens.trees))
        if name.partition(":")[0] in LEARNED
    ]
    return learned_embeddings(networks, wanted, config.embedding, config.seed, cache=cache)


def folds_of(dataset: Dataset, config: ExperimentConfig, rna_sets: RnaSets | None = None) -> Folds:
    """Folds of the settings' protocol, and of guests by cluster."""
    folds = config_folds(dataset, config)
    return folds if rna_sets is None else rna_set_folds(folds, rna_sets, config.seed)


def prepare_all(
    networks: NetworkSet,
    config: ExperimentConfig,
    rna_sets: RnaSets | None = None,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> FusionData:
    """What every fold reads: of the networks' RNAs (see `fusion.data.problem.prepare`), and of guests behind them."""
    if rna_sets is not None and cache is None:
        with tempfile.TemporaryDirectory(
            prefix="mirnagraph-"
        ) as kept:  # guests read the same embeddings again
            return prepare_all(
                networks, config, rna_sets, cache=kept, workers=workers, progress=progress
            )
    place = None if cache is None else str(cache)
    fusion_data = prepare(networks, config, cache=place, workers=workers, progress=progress)
    if config.folds.cold:
        fusion_data = replace(fusion_data, networks=networks)
    return (
        fusion_data
        if rna_sets is None
        else add_rna_sets(
            fusion_data, networks, rna_sets, config, node_vectors(networks, config, place)
        )
    )
