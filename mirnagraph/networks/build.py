"""Dataset to networks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.config import read_settings, require, to_dict
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.networks.network import SIMILARITY_NETWORKS, Network, NetworkSet
from mirnagraph.networks.sparsify import cut_off, top_k
from mirnagraph.parallel import Progress
from mirnagraph.parallel import report as tell
from mirnagraph.similarity.disease import blend, disease_semantic_similarity, functional_similarity
from mirnagraph.similarity.profile import gip_similarity
from mirnagraph.similarity.smith_waterman import (
    ENGINES,
    AlignmentScores,
    mature_similarity,
    smith_waterman,
)

DISEASE = "disease"

RESERVED = (*SIMILARITY_NETWORKS, "miRNA")


@dataclass(frozen=True)
class SequenceNetworkConfig:
    """How RNAs are joined by their sequences.

    Attributes:
        which: compare ``"hairpin"`` (column ``sequence``) or ``"mature"`` (best pair over column ``matures``).
        engine: ``"pyopal"`` or ``"parasail"``, which give equal scores.
        rule: ``"cutoff"`` or ``"top_k"``.
        cutoff: similarity an edge must exceed, in [0, 1). On 997 human hairpins 0.25 gives 6,608 edges where the same
            sequences shuffled give 1,089, and 0.3 gives 3,491 where shuffled ones give 57, but leaves a third of the
            RNAs isolated. Matures are short and alike by chance: take about 0.5 (3,358 edges, shuffled 414).
        top_k: neighbours each RNA chooses, 1 or more.
        weighted: edges weigh the similarity; otherwise 1.
        scores: scores of the alignment.
    """

    which: str = "hairpin"
    engine: str = "pyopal"
    rule: str = "cutoff"
    cutoff: float = 0.25
    top_k: int = 10
    weighted: bool = True
    scores: AlignmentScores = field(default_factory=AlignmentScores)

    def __post_init__(self) -> None:
        require(self.which in ("hairpin", "mature"), "which", self.which, "hairpin or mature")
        require(self.engine in ENGINES, "engine", self.engine, " or ".join(ENGINES))
        _check_rule(self.rule, self.cutoff, self.top_k)


@dataclass(frozen=True)
class FunctionalNetworkConfig:
    """How RNAs are joined by their diseases. Defaults are those of GTMALoc where it gives one.

    Attributes:
        semantic_method: ``"wang"`` or ``"gtmaloc"`` (see `disease_semantic_similarity`).
        decay: contribution of a parent term, in (0, 1].
        method: ``"best_match"`` or ``"gtmaloc"`` (see `functional_similarity`).
        gamma: bandwidth of the interaction profile kernel, above 0.
        lambda_: weight of functional similarity beside the kernel (Eq. 5), in [0, 1].
        rule: ``"cutoff"`` or ``"top_k"``.
        cutoff: T of Eq. 6, in [0, 1).
        top_k: neighbours each RNA chooses, 1 or more.
        weighted: edges weigh the similarity; otherwise 1, as in Eq. 6.
    """

    semantic_method: str = "wang"
    decay: float = 0.5
    method: str = "best_match"
    gamma: float = 1.0
    lambda_: float = 0.5
    rule: str = "cutoff"
    cutoff: float = 0.6
    top_k: int = 10
    weighted: bool = False

    def __post_init__(self) -> None:
        require(
            self.semantic_method in ("wang", "gtmaloc"),
            "semantic_method",
            self.semantic_method,
            "wang or gtmaloc",
        )
        require(
            self.method in ("best_match", "gtmaloc"), "method", self.method, "best_match or gtmaloc"
        )
        require(0 < self.decay <= 1, "decay", self.decay, "above 0, at most 1")
        require(self.gamma > 0, "gamma", self.gamma, "above 0")
        require(0 <= self.lambda_ <= 1, "lambda_", self.lambda_, "a number in [0, 1]")
        _check_rule(self.rule, self.cutoff, self.top_k)


@dataclass(frozen=True)
class NetworkConfig:
    """Settings of `build_networks`.

    Attributes:
        networks: which to build: ``"sequence"``, ``"functional"`` and association kinds; empty: all the dataset allows, but for its supporting kinds.
        sequence: how RNAs are joined by their sequences.
        functional: how RNAs are joined by their diseases.
    """

    networks: tuple[str, ...] = ()
    sequence: SequenceNetworkConfig = field(default_factory=SequenceNetworkConfig)
    functional: FunctionalNetworkConfig = field(default_factory=FunctionalNetworkConfig)


def _check_rule(rule: str, cutoff: float, k: int) -> None:
    require(rule in ("cutoff", "top_k"), "rule", rule, "cutoff or top_k")
    require(0 <= cutoff < 1, "cutoff", cutoff, "at least 0, below 1")
    require(k >= 1, "top_k", k, "1 or more")


DEFAULT_CONFIG = NetworkConfig()


def network_config(
    path: str | Path | None = None,
    *,
    functional_cutoff: float | None = None,
    lambda_: float | None = None,
) -> NetworkConfig:
    """Settings of a TOML file (or the defaults), with single values laid over them.

    Args:
        path: TOML file; what it leaves out keeps its default.
        functional_cutoff: T of Eq. 6; also sets the rule of the functional network to ``"cutoff"``.
        lambda_: weight of functional similarity in Eq. 5.

    Raises:
        ConfigError: an unknown setting or a value out of range.
        InputError: the file is missing or is not TOML.
    """
    config = DEFAULT_CONFIG if path is None else read_settings(NetworkConfig, path)
    functional = config.functional
    if functional_cutoff is not None:
        functional = replace(functional, rule="cutoff", cutoff=functional_cutoff)
    if lambda_ is not None:
        functional = replace(functional, lambda_=lambda_)
    return replace(config, functional=functional)


def build_networks(
    dataset: Dataset,
    config: NetworkConfig = DEFAULT_CONFIG,
    *,
    progress: Progress | None = None,
    workers: int | None = None,
) -> NetworkSet:
    """Build the similarity and association networks of a dataset.

    Similarities are kept as float32 and cut as kept, so that cutting a loaded NetworkSet again gives the same edges.

    Args:
        dataset: RNAs with sequences and associations. Functional similarity reads the association kind ``"disease"``
            and the ``descriptor_ids`` of its partners; without that column a disease is similar only to itself.
        config: which networks, and how.
        progress: called with (step, done, total).
        workers: threads, default all processors; the result does not depend on it.

    Returns:
        NetworkSet in the order sequence, functional, association kinds. A network left out because the dataset has
        nothing to build it from stands in `left_out` with the reason.

    Raises:
        ConfigError: a network is asked for by name that the dataset cannot give.
        InputError: an association kind has the name of something else.
    """
    threads = os.cpu_count() or 1 if workers is None else workers
    wanted, left_out = _choose(dataset, config)
    networks: dict[str, Network] = {}
    similarities: dict[str, np.ndarray] = {}
    if "sequence" in wanted:
        similarities["sequence"] = _sequence_similarity(dataset, config.sequence, threads, progress)
        matrix = _cut(similarities["sequence"], config.sequence)
        networks["sequence"] = Network("sequence", dataset.index, None, matrix)
    if "functional" in wanted:
        similarities.update(_functional_similarities(dataset, config.functional, progress))
        matrix = _cut(similarities["functional"], config.functional)
        networks["functional"] = Network("functional", dataset.index, None, matrix)
    for kind in dataset.associations:
        if kind in wanted:
            networks[kind] = Network(
                kind, dataset.index, dataset.partner_index(kind), dataset.association_matrix(kind)
            )
    return NetworkSet(dataset, networks, similarities, to_dict(config), left_out)


def _choose(dataset: Dataset, config: NetworkConfig) -> tuple[list[str], dict[str, str]]:
    """Names of the networks to build, and why others are left out."""
    for kind in dataset.associations:
        if kind in RESERVED:
            raise InputError(
                "an association kind has a reserved name",
                file=f"dataset {dataset.name!r}",
                found=kind,
                expected=f"none of {RESERVED}",
            )
    reasons = {}
    column = "sequence" if config.sequence.which == "hairpin" else "matures"
    if column not in dataset.rnas.columns or not any(map(_filled, dataset.rnas[column])):
        reasons["sequence"] = f"no RNA of the dataset has a value in the column {column!r}"
    if DISEASE not in dataset.associations or not len(dataset.associations[DISEASE]):
        reasons["functional"] = f"the dataset has no associations of the kind {DISEASE!r}"
    known = [*SIMILARITY_NETWORKS, *dataset.associations]
    for name in config.networks:
        require(name in known, "networks", name, f"names among {', '.join(known)}")
        if name in reasons:
            raise ConfigError(f"network {name!r} cannot be built: {reasons[name]}")
    usual = config.networks or [name for name in known if name not in dataset.supporting]
    wanted = [name for name in known if name not in reasons and name in usual]
    return wanted, {} if config.networks else reasons


def _filled(cell: object) -> bool:
    return cell is not None and cell is not pd.NA and cell == cell and cell != ""


def _sequence_similarity(
    dataset: Dataset, config: SequenceNetworkConfig, workers: int, progress: Progress | None
) -> np.ndarray:
    def rows(done: int, total: int) -> None:
        tell(progress, "sequence similarity", done, total)

    column = dataset.rnas["sequence" if config.which == "hairpin" else "matures"]
    cells = [str(cell) if _filled(cell) else None for cell in column]
    if config.which == "hairpin":
        dense = smith_waterman(
            cells, config.scores, engine=config.engine, workers=workers, progress=rows
        )
    else:
        matures = [[text for text in (cell or "").split(";") if text] for cell in cells]
        dense = mature_similarity(
            matures, config.scores, engine=config.engine, workers=workers, progress=rows
        )
    return dense.astype(np.float32)


def _functional_similarities(
    dataset: Dataset, config: FunctionalNetworkConfig, progress: Progress | None
) -> dict[str, np.ndarray]:
    """``functional`` (the blend), ``semantic`` and ``gip``, float32, shape (n_rnas, n_rnas)."""
    tell(progress, "functional similarity", 0, 3)
    partners = dataset.partners[DISEASE]
    descriptors = (
        partners["descriptor_ids"]
        if "descriptor_ids" in partners.columns
        else pd.Series([None] * len(partners), index=partners.index)
    )
    diseases = disease_semantic_similarity(
        dataset.ontology, descriptors, decay=config.decay, method=config.semantic_method
    )
    tell(progress, "functional similarity", 1, 3)
    matrix = dataset.association_matrix(DISEASE)
    semantic = functional_similarity(matrix, diseases, method=config.method)
    tell(progress, "functional similarity", 2, 3)
    gip = gip_similarity(matrix, gamma=config.gamma)
    blended = blend(semantic, gip, lambda_=config.lambda_)
    tell(progress, "functional similarity", 3, 3)
    return {
        name: array.astype(np.float32)
        for name, array in (("functional", blended), ("semantic", semantic), ("gip", gip))
    }


def _cut(
    similarity: np.ndarray, config: SequenceNetworkConfig | FunctionalNetworkConfig
) -> sparse.csr_array:
    if config.rule == "cutoff":
        return cut_off(similarity, config.cutoff, weighted=config.weighted)
    return top_k(similarity, config.top_k, weighted=config.weighted)


def networks_or_demo(folder: str | Path | None) -> tuple[NetworkSet, Path | None]:
    """Networks of a folder; without one those in ``./networks``, and where there are none those of the demo dataset."""
    from mirnagraph.synthetic import demo_dataset

    chosen = Path(folder) if folder is not None else Path("networks")
    if folder is None and not (chosen / "networks.json").exists():
        return build_networks(demo_dataset()), None
    return NetworkSet.load(chosen), chosen
