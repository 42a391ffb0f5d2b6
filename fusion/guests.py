"""Guests: labelled RNAs of other sets (lncRNA, mRNA, circRNA …) that learn in one model with the RNAs of the networks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

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
from seqtower.clusters import cluster
from seqtower.descriptor_trees import DescriptorConfig
from seqtower.merge import MARK, read_sets
from seqtower.rna_types import RNA_TYPES
from seqtower.sequences import SequenceSet, sequences_sha256

KMER = "kmer"
Vectors = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Guests:
    """RNAs of one or more labelled sets.

    Attributes:
        data: merged (see `seqtower.merge.merge_sets`): labels NaN where a set does not speak of a compartment, a type for every RNA.
        groups: cluster of near-copies of each, shape (n,), which folds keep whole.
    """

    data: SequenceSet
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.data)

    @property
    def sha256(self) -> str:
        """Of everything a run reads of them."""
        return hashlib.sha256(sequences_sha256(self.data).encode() + self.groups.astype(np.int64).tobytes()).hexdigest()

    @property
    def partner_names(self) -> list[str]:
        """What each would be called as a partner of the networks: its group (a gene), without the name of its set."""
        names = self.data.groups or self.data.index.ids
        return [name.partition(MARK)[2] for name in names]


def read_guests(path: str | Path, *, iupac: str = "error", progress: Progress | None = None) -> Guests:
    """Read the sets that a TOML file names, ``[sets.NAME]`` (see `seqtower.merge.SetFile`), and cluster them by sequence.

    Raises:
        InputError, ConfigError: see `seqtower.merge.read_sets`.
    """
    data = read_sets(path, iupac=iupac, least=1)
    return Guests(data, cluster(data.sequences, progress=progress))


def check_settings(config: ExperimentConfig, guests: Guests | None) -> None:
    """Raise ConfigError where the settings and the presence of guests do not go together."""
    wanted = single_tokens((*config.tokens.attention, *config.tokens.trees))
    needs = [name for name in wanted if name == DESCRIPTORS or name.startswith(COLOCALIZED)]
    if guests is None:
        if needs:
            raise ConfigError(f"the token {needs[0]!r} is for several sets of RNAs in one model: name them with --sets FILE")
        return
    if config.folds.cold:
        raise ConfigError("a cold start hides edges of the networks' RNAs, which --sets does not go together with")
    if TYPE not in wanted or (config.tokens.trees and TYPE not in single_tokens(config.tokens.trees)):
        raise ConfigError(f"several types of RNAs need the token {TYPE!r} for attention and for trees, as the preset 'unified' has it")


def guest_folds(home: Folds, guests: Guests, seed: int) -> Folds:
    """The folds of the networks' RNAs as they are, and of the guests by cluster, as many of them."""
    table = guests.data.binary()
    groups = pd.Series([f"cluster {number}" for number in guests.groups], index=table.index)
    theirs = grouped_folds(table, groups, home.n_folds, seed)
    return Folds(pd.concat([home.assigned, theirs.assigned]), name=f"{home.name}, and sets by cluster")


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
        links={kind: partner_rows(dataset, kind, guests.partner_names) for kind in kinds},
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


def partner_rows(dataset: Dataset, kind: str, names: list[str]) -> np.ndarray:
    """Number of the partner of a kind that each name is, -1 for none: int64, shape (len(names),)."""
    place = {str(name): row for row, name in enumerate(dataset.partners[kind].index)}
    return np.array([place.get(name, -1) for name in names], dtype=np.int64)


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
        rows = partner_rows(networks.dataset, of, guests.partner_names)
        present = rows >= 0
        values = np.where(present[:, None], vectors[token.name][len(networks.dataset.index) + np.maximum(rows, 0)], 0).astype(np.float32)
    return Token(token.name, np.concatenate([token.values, values]), np.concatenate([token.present, present]))


def node_vectors(networks: NetworkSet, config: ExperimentConfig, cache: str | None = None) -> dict[str, np.ndarray]:
    """Embeddings of all nodes that the settings' tokens name, partners too; those that `cache` holds are not made again."""
    wanted = [name for name in single_tokens((*config.tokens.attention, *config.tokens.trees)) if name.partition(":")[0] in LEARNED]
    return learned_embeddings(networks, wanted, config.embedding, config.seed, cache=cache)
