"""Guests: labelled RNAs of other sets (lncRNA, mRNA, circRNA …) that learn in one model with the RNAs of the networks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from fusion.colocalized import COLOCALIZED
from fusion.embeddings import learned_embeddings
from fusion.modalities import LEARNED, home_types, kmer_frequencies, type_codes
from fusion.problem import DESCRIPTORS, Joined, Problem
from fusion.settings import ExperimentConfig
from fusion.tokens import Token, TokenTable, make_token, single_tokens
from fusion.typed_trees import TYPE
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.splits import Folds, grouped_folds
from mirnagraph.networks.types import NetworkSet
from mirnagraph.nodes import NodeIndex
from mirnagraph.progress import Progress
from mirnagraph.tables import to_rna
from seqtower.clusters import cluster
from seqtower.descriptor_trees import DescriptorConfig
from seqtower.merge import MARK, read_sets
from seqtower.rna_types import RNA_TYPES
from seqtower.sequences import LEFT_OUT_COLUMNS, SequenceSet, sequences_sha256

KMER = "kmer"
Vectors = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Guests:
    """RNAs of one or more labelled sets.

    Attributes:
        data: merged (see `seqtower.merge.merge_sets`): labels NaN where a set does not speak of a compartment, a type for every RNA.
        groups: what has to stay together (near-copies, transcripts of one gene) as numbers, shape (n,); folds part none.
    """

    data: SequenceSet
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.data)

    @property
    def sha256(self) -> str:
        """Of everything a run reads of them."""
        return hashlib.sha256(sequences_sha256(self.data).encode() + self.groups.astype(np.int64).tobytes()).hexdigest()

    def summary(self) -> dict[str, dict[str, object]]:
        """Name of each set -> type and number of its RNAs, as a run says them."""
        sets, types = self.data.sets or (), self.data.types or ()
        return {name: {"type": types[sets.index(name)], "n": sets.count(name)} for name in dict.fromkeys(sets)}

    @property
    def partner_names(self) -> list[str]:
        """What each would be called as a partner of the networks: its group (a gene), without the name of its set."""
        names = self.data.groups or self.data.index.ids
        return [name.partition(MARK)[2] for name in names]


def read_guests(path: str | Path, dataset: Dataset, *, iupac: str = "error", progress: Progress | None = None) -> Guests:
    """Read the sets that a TOML file names, ``[sets.NAME]`` (see `seqtower.merge.SetFile`), for one model with the RNAs of a dataset.

    Near-copies by sequence, and RNAs of one group of a set (transcripts of one gene), are to stay together. Near-copies of the dataset's own RNAs or of
    their mature forms are left out, with the reason: they are the same molecules, and their labels would tell of them. A transcript more than twice as
    long, of which a hairpin is a part, is another molecule and stays.

    Raises:
        InputError, ConfigError: see `seqtower.merge.read_sets`. InputError: every RNA is a near-copy of one of the dataset.
    """
    data = read_sets(path, iupac=iupac, least=1)
    own = {to_rna(text): str(name) for name, text in _molecules(dataset)}
    codes = cluster([*own, *data.sequences], progress=progress)
    longest: dict[int, str] = {}
    for code, text in zip(codes[: len(own)].tolist(), own, strict=True):
        longest[code] = max(longest.get(code, ""), text, key=len)
    near = [longest.get(int(code), "") for code in codes[len(own) :]]
    copies = [own[text] if len(sequence) <= 2 * len(text) else None for text, sequence in zip(near, data.sequences, strict=True)]
    kept = np.array([row for row, name in enumerate(copies) if name is None], dtype=np.int64)
    if not len(kept):
        raise InputError("every RNA of the sets is a near-copy of one of the networks", file=path, found=len(data), expected="RNAs of other types")
    reasons = [(data.index.ids[row], f"a near-copy of {name} of the networks") for row, name in enumerate(copies) if name is not None]
    left = pd.DataFrame(reasons, columns=LEFT_OUT_COLUMNS)
    data = replace(data.rows(kept), left_out=pd.concat([data.left_out, left], ignore_index=True))
    return Guests(data, together(codes[len(own) :][kept], data.groups))


def _molecules(dataset: Dataset) -> list[tuple[str, str]]:
    """Name and sequence of a dataset's RNAs, and of their mature forms."""
    found = []
    for column in ("sequence", "matures"):
        if column in dataset.rnas.columns:
            cells = dataset.rnas[column]
            found += [(str(name), part) for name, cell in cells.items() if isinstance(cell, str) for part in cell.split(";") if part]
    return found


def together(clusters: np.ndarray, groups: tuple[str, ...] | None) -> np.ndarray:
    """Numbers of what has to stay in one fold: RNAs that share a cluster or a group, and those that these share one with: int64, shape (n,)."""
    if groups is None:
        return np.unique(clusters, return_inverse=True)[1]
    by_name = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)[1]
    first = np.unique(clusters, return_inverse=True)[1]
    n_clusters = int(first.max()) + 1
    links = sparse.coo_array((np.ones(len(first)), (first, n_clusters + by_name)), shape=(n_clusters + int(by_name.max()) + 1,) * 2)
    return np.asarray(connected_components(links, directed=False)[1][first], dtype=np.int64)


def guest_folds(home: Folds, guests: Guests, seed: int) -> Folds:
    """The folds of the networks' RNAs as they are, and of the guests as many, which part nothing that `Guests.groups` keeps together.

    Where there is one fold, and the rest is trained on, about the same share of the guests is in it.

    Raises:
        ConfigError: fewer groups of guests than folds.
    """
    table = guests.data.binary()
    groups = pd.Series([f"group {number}" for number in guests.groups], index=table.index)
    values = home.assigned.to_numpy()
    n_folds = home.n_folds if home.n_folds > 1 else max(2, round(len(values) / max(1, int((values == 0).sum()))))
    n_groups = len(np.unique(guests.groups))
    if n_groups < n_folds:
        raise ConfigError(f"the sets hold {n_groups} groups of near-copies, which make no {n_folds} folds")
    theirs = grouped_folds(table, groups, n_folds, seed).assigned
    if home.n_folds == 1:
        theirs = theirs.where(theirs == 0, -1)
    return Folds(pd.concat([home.assigned, theirs]), name=f"{home.name}, and sets by near-copies")


def join_guests(problem: Problem, networks: NetworkSet, guests: Guests, config: ExperimentConfig, vectors: Vectors | None = None) -> Problem:
    """A problem whose rows are the RNAs of the networks and, behind them, the guests.

    A guest has the tokens ``type`` and ``kmer``, the ``descriptors`` that trees read, and where it is a partner in a network (an mRNA whose group is the
    name of a target) the embedding of that node. All other tokens are absent from it.

    Args:
        problem: of the networks alone.
        vectors: embeddings of all nodes by token (see `fusion.embeddings.learned_embeddings`).

    Raises:
        InputError: an id of a guest is one of the networks' RNAs.
    """
    dataset, data = networks.dataset, guests.data
    if any(name in problem.index for name in data.index.ids):
        raise InputError("an RNA of the sets has the id of an RNA of the networks", found=next(n for n in data.index.ids if n in problem.index))
    index = problem.index + NodeIndex.of(data.index.ids, "miRNA")
    compartments = tuple(dict.fromkeys((*problem.compartments, *data.compartments)))
    labels = np.full((len(index), len(compartments)), np.nan)
    labels[: problem.n_home, : len(problem.compartments)] = problem.labels
    labels[problem.n_home :, [compartments.index(name) for name in data.compartments]] = data.labels
    types = (*home_types(dataset), *(data.types or ()))
    wanted = single_tokens((*config.tokens.attention, *config.tokens.trees))
    kinds = [name.removeprefix(COLOCALIZED) for name in wanted if name.startswith(COLOCALIZED)]
    if dataset.name in (data.sets or ()):
        raise ConfigError(f"a set has the name of the dataset of the networks, {dataset.name!r}: give it another")
    lacking = [kind for kind in kinds if kind not in dataset.associations]
    if lacking:
        raise ConfigError(f"token '{COLOCALIZED}{lacking[0]}': no such kind of association; there are {', '.join(dataset.associations)}")
    tokens = tuple(_with_guests(token, guests, networks, vectors or {}) for token in problem.tokens)
    if DESCRIPTORS in wanted:
        read = guest_descriptors(data.sequences, data.types or ())
        tokens = (*tokens, make_token(DESCRIPTORS, np.concatenate([np.zeros((problem.n_home, read.shape[1]), np.float32), read])))
    joined = Joined(
        n_home=problem.n_home,
        n_labels=len(problem.compartments),
        types=types,
        sets=(*[dataset.name] * problem.n_home, *(data.sets or ())),
        associations={kind: dataset.association_matrix(kind) for kind in kinds},
        links={kind: partner_rows(dataset, kind, guests) for kind in kinds},
    )
    return replace(
        problem,
        index=index,
        compartments=compartments,
        labels=labels,
        groups=np.concatenate([problem.groups, guests.groups + problem.groups.max() + 1]),
        tokens=TokenTable(index, tokens),
        popularity=np.concatenate([problem.popularity, np.full(len(guests), -1)]),
        sequences=(*problem.sequences, *data.sequences),
        joined=joined,
    )


def partner_rows(dataset: Dataset, kind: str, guests: Guests) -> np.ndarray:
    """Number of the partner of a kind that each guest is by its name, -1 for none: int64, shape (n_guests,).

    Where the kind is a type of RNA (``mRNA``), only guests of that type are: a circRNA of the same gene is another molecule.
    """
    place = {str(name): row for row, name in enumerate(dataset.partners[kind].index)}
    meant = [kind not in RNA_TYPES or kind == name for name in guests.data.types or ()]
    return np.array([place.get(name, -1) if yes else -1 for name, yes in zip(guests.partner_names, meant, strict=True)], dtype=np.int64)


def guest_descriptors(sequences: tuple[str, ...], types: tuple[str, ...]) -> np.ndarray:
    """What trees read of RNAs beside their type (see `seqtower.descriptor_trees.DescriptorConfig.features`): float32, shape (n, width).

    The width is one for all types, so that a model reads RNAs of any type it knows.
    """
    return DescriptorConfig().features(sequences, types, RNA_TYPES)[:, : -len(RNA_TYPES)]


def _with_guests(token: Token, guests: Guests, networks: NetworkSet, vectors: Vectors) -> Token:
    """A token of the networks' RNAs, and of the guests behind them."""
    kind, _, of = token.name.partition(":")
    values, present = np.zeros((len(guests), token.width), dtype=np.float32), np.zeros(len(guests), dtype=bool)
    if token.name == TYPE:
        values, present = type_codes(guests.data.types or ()), ~present
    elif token.name == KMER:
        values, present = kmer_frequencies(guests.data.sequences).astype(np.float32), ~present
    elif kind in LEARNED and token.name in vectors and of in networks.dataset.partners:
        rows = partner_rows(networks.dataset, of, guests)
        present = rows >= 0
        values = np.where(present[:, None], vectors[token.name][len(networks.dataset.index) + np.maximum(rows, 0)], 0).astype(np.float32)
    return Token(token.name, np.concatenate([token.values, values]), np.concatenate([token.present, present]))


def node_vectors(networks: NetworkSet, config: ExperimentConfig, cache: str | None = None) -> dict[str, np.ndarray]:
    """Embeddings of all nodes that the settings' tokens name, partners too; those that `cache` holds are not made again."""
    wanted = [name for name in single_tokens((*config.tokens.attention, *config.tokens.trees)) if name.partition(":")[0] in LEARNED]
    return learned_embeddings(networks, wanted, config.embedding, config.seed, cache=cache)
