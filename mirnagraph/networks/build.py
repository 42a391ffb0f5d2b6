"""Networks of a Dataset: settings and construction."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.config import from_dict, read_settings, require, to_dict
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.measurements import default_names
from mirnagraph.networks.network import COEXPRESSION, SIMILARITY_NETWORKS, Network, NetworkSet
from mirnagraph.networks.sparsify import cut_off, top_k
from mirnagraph.parallel import Progress, report
from mirnagraph.reading.arguments import check_fields, checked
from mirnagraph.similarity.disease import (
    FUNCTIONAL_METHODS,
    SEMANTIC_METHODS,
    blend,
    disease_semantic_similarity,
    functional_similarity,
)
from mirnagraph.similarity.kmer import KmerConfig, kmer_similarity
from mirnagraph.similarity.profile import CORRELATIONS, correlation_similarity, gip_similarity
from mirnagraph.similarity.smith_waterman import (
    ENGINES,
    AlignmentScores,
    mature_similarity,
    smith_waterman,
)

DISEASE = "disease"

RESERVED = (*SIMILARITY_NETWORKS, "miRNA")

WHICH = ("hairpin", "mature")

RULES = ("cutoff", "top_k")

AUTO = "auto"

KMER = "kmer"

SEQUENCE_ENGINES = (AUTO, *ENGINES, KMER)

LONGEST_MEAN = 500
"""Mean nucleotides of a sequence up to which engine ``"auto"`` aligns; the time of all alignments
grows with the square of the mean."""

CIRCULAR = "circRNA"


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SequenceNetworkConfig:
    """Settings of the sequence network.

    Attributes:
        which: compare ``"hairpin"`` (column ``sequence``) or ``"mature"`` (best pair over column
            ``matures``).
        engine: ``"pyopal"`` or ``"parasail"``, Smith-Waterman with equal scores; ``"kmer"``, shared
            k-mers, for sequences too long to align (column ``sequence`` only); ``"auto"`` for
            ``"kmer"`` where the mean sequence is longer than `LONGEST_MEAN`, else ``"pyopal"``.
        rule: ``"cutoff"`` or ``"top_k"``.
        cutoff: similarity an edge must exceed, in [0, 1). On 997 human hairpins 0.25 gives 6,608
            edges (1,089 between shuffled sequences), and 0.3 gives 3,491 (57 shuffled), but leaves
            a third of the RNAs isolated. Matures are short and similar by chance: use about 0.5
            (3,358 edges, 414 shuffled).
        kmer_cutoff: the same for engine ``"kmer"``. On the 1,486 circRNAs of CircLoc, k = 11, 0.02
            gives 610 edges (53 between random sequences of the same dinucleotides).
        top_k: neighbours of each RNA, 1 or more.
        weighted: edges have the similarity as weight; otherwise 1.
        scores: scores of the alignment.
        kmer: k-mers of engine ``"kmer"``.
    """

    which: str = "hairpin"
    engine: str = AUTO
    rule: str = "cutoff"
    cutoff: float = 0.25
    kmer_cutoff: float = 0.02
    top_k: int = 10
    weighted: bool = True
    scores: AlignmentScores = field(default_factory=AlignmentScores)
    kmer: KmerConfig = field(default_factory=KmerConfig)

    def __post_init__(self) -> None:
        require(self.which in WHICH, "which", self.which, " or ".join(WHICH))
        engines: tuple[str, ...] = SEQUENCE_ENGINES
        if self.which == "mature":
            engines = (AUTO, *ENGINES)
        require(self.engine in engines, "engine", self.engine, " or ".join(engines))
        _check_rule(self.rule, self.cutoff, self.top_k)
        in_range = 0 <= self.kmer_cutoff < 1
        require(in_range, "kmer_cutoff", self.kmer_cutoff, "at least 0, below 1")

    def for_dataset(self, dataset: Dataset) -> SequenceNetworkConfig:
        """Settings with the engine that ``"auto"`` stands for on a dataset."""
        if self.engine != AUTO:
            return self
        engine = ENGINES[0]
        if self.which == "hairpin" and mean_length(dataset) > LONGEST_MEAN:
            engine = KMER
        return replace(self, engine=engine)


@dataclass(frozen=True)
class FunctionalNetworkConfig:
    """Settings of the functional network. Defaults are those of GTMALoc where it gives one.

    Attributes:
        semantic_method: ``"wang"`` or ``"gtmaloc"`` (see `disease_semantic_similarity`).
        decay: contribution of a parent term, in (0, 1].
        method: ``"best_match"`` or ``"gtmaloc"`` (see `functional_similarity`).
        gamma: bandwidth of the interaction profile kernel, above 0.
        lambda_: weight of functional similarity against the kernel (Eq. 5), in [0, 1].
        rule: ``"cutoff"`` or ``"top_k"``.
        cutoff: T of Eq. 6, in [0, 1).
        top_k: neighbours of each RNA, 1 or more.
        weighted: edges have the similarity as weight; otherwise 1, as in Eq. 6.
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
        for name, methods in (
            ("semantic_method", SEMANTIC_METHODS),
            ("method", FUNCTIONAL_METHODS),
        ):
            value = getattr(self, name)
            require(value in methods, name, value, " or ".join(methods))
        require(0 < self.decay <= 1, "decay", self.decay, "above 0, at most 1")
        require(self.gamma > 0, "gamma", self.gamma, "above 0")
        require(0 <= self.lambda_ <= 1, "lambda_", self.lambda_, "a number in [0, 1]")
        _check_rule(self.rule, self.cutoff, self.top_k)


@dataclass(frozen=True)
class CoexpressionNetworkConfig:
    """Settings of the co-expression network.

    Attributes:
        measurement: of the dataset; empty for its first that is not label-like.
        method: ``"spearman"`` or ``"pearson"`` correlation of log2(1 + value) over the samples
            used; negative ones count as 0.
        body_fluids: whether samples of body fluids are read. Isolated fractions never are.
        rule: ``"cutoff"`` or ``"top_k"``.
        cutoff: correlation an edge must exceed, in [0, 1).
        top_k: neighbours of each RNA, 1 or more.
        weighted: edges have the correlation as weight; otherwise 1.
    """

    measurement: str = ""
    method: str = "spearman"
    body_fluids: bool = False
    rule: str = "top_k"
    cutoff: float = 0.6
    top_k: int = 10
    weighted: bool = True

    def __post_init__(self) -> None:
        require(self.method in CORRELATIONS, "method", self.method, " or ".join(CORRELATIONS))
        _check_rule(self.rule, self.cutoff, self.top_k)


@dataclass(frozen=True)
class NetworkConfig:
    """Settings of `build_networks`.

    Attributes:
        networks: which to build: ``"sequence"``, ``"functional"``, ``"coexpression"`` and
            association kinds; empty for all that the dataset allows, except its supporting kinds.
        sequence: settings of the sequence network.
        functional: settings of the functional network.
        coexpression: settings of the co-expression network.
    """

    networks: tuple[str, ...] = ()
    sequence: SequenceNetworkConfig = field(default_factory=SequenceNetworkConfig)
    functional: FunctionalNetworkConfig = field(default_factory=FunctionalNetworkConfig)
    coexpression: CoexpressionNetworkConfig = field(default_factory=CoexpressionNetworkConfig)

    def __post_init__(self) -> None:
        check_fields(self)


def mean_length(dataset: Dataset) -> float:
    """Mean nucleotides of the sequences of a dataset that are known; 0 without any."""
    lengths = dataset.rnas["sequence"].dropna().str.len()
    return float(lengths.mean()) if len(lengths) else 0.0


def _check_rule(rule: str, cutoff: float, k: int) -> None:
    require(rule in RULES, "rule", rule, " or ".join(RULES))
    require(0 <= cutoff < 1, "cutoff", cutoff, "at least 0, below 1")
    require(k >= 1, "top_k", k, "1 or more")


DEFAULT_CONFIG = NetworkConfig()


def network_config(
    path: str | Path | None = None,
    *,
    functional_cutoff: float | None = None,
    lambda_: float | None = None,
) -> NetworkConfig:
    """Read settings of a TOML file (or the defaults), with single values laid over them.

    Args:
        path: TOML file; settings that it lacks keep their default.
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


@checked
def build_networks(
    dataset: Dataset,
    config: NetworkConfig = DEFAULT_CONFIG,
    *,
    progress: Progress | None = None,
    workers: int | None = None,
) -> NetworkSet:
    """Build the similarity and association networks of a dataset.

    Similarities are stored as float32 and cut as stored, so that cutting a loaded NetworkSet again
    gives the same edges.

    Args:
        dataset: RNAs with sequences and associations. Functional similarity reads the association
            kind ``"disease"`` and the ``descriptor_ids`` of its partners; without that column a
            disease is similar only to itself.
        config: networks to build, and their settings.
        progress: called with (step, done, total).
        workers: threads, default all processors; the result does not depend on it.

    Returns:
        NetworkSet in the order sequence, functional, coexpression, association kinds. A network
        that the dataset has no data for is in `left_out` with the reason.

    Raises:
        ConfigError: a network is named that the dataset has no data for.
        InputError: an association kind has a reserved name.
    """
    if workers is None:
        workers = os.cpu_count() or 1
    names, left_out = _choose(dataset, config)
    if "sequence" in names:
        config = replace(config, sequence=config.sequence.for_dataset(dataset))
    networks: dict[str, Network] = {}
    similarities: dict[str, np.ndarray] = {}
    for name in names:
        partners = None
        if name == "sequence":
            similarities[name] = _sequence_similarity(dataset, config.sequence, workers, progress)
            matrix = _cut(similarities[name], config.sequence)
        elif name == "functional":
            similarities.update(_functional_similarities(dataset, config.functional, progress))
            matrix = _cut(similarities[name], config.functional)
        elif name == COEXPRESSION:
            report(progress, "co-expression", 0, 1)
            similarities[name] = coexpression_similarity(dataset, config.coexpression)
            matrix = _cut(similarities[name], config.coexpression)
            report(progress, "co-expression", 1, 1)
        else:
            matrix = dataset.association_matrix(name)
            partners = dataset.partner_index(name)
        networks[name] = Network(name, dataset.index, partners, matrix)
        logger.info("network %s: %d links", name, matrix.nnz)
    for name, reason in left_out.items():
        logger.info("network %s is left out: %s", name, reason)
    return NetworkSet(dataset, networks, similarities, to_dict(config), left_out)


def _choose(dataset: Dataset, config: NetworkConfig) -> tuple[list[str], dict[str, str]]:
    """Names of the networks to build, and the reason for each that is left out."""
    for kind in dataset.associations:
        if kind in RESERVED:
            raise InputError(
                "an association kind has a reserved name",
                file=f"dataset {dataset.name!r}",
                found=kind,
                expected=f"none of {RESERVED}",
            )
    reasons = {}
    column = _sequence_column(config.sequence)
    if column not in dataset.rnas.columns or not any(map(_is_filled, dataset.rnas[column])):
        reasons["sequence"] = f"no RNA of the dataset has a value in the column {column!r}"
    if DISEASE not in dataset.associations or not len(dataset.associations[DISEASE]):
        reasons["functional"] = f"the dataset has no associations of the kind {DISEASE!r}"
    if not config.coexpression.measurement:
        reasons |= _no_coexpression(dataset, config.coexpression)
    known = [*SIMILARITY_NETWORKS, *dataset.associations]
    for name in config.networks:
        require(name in known, "networks", name, f"names among {', '.join(known)}")
        if name in reasons:
            raise ConfigError(f"network {name!r} cannot be built: {reasons[name]}")
    if config.networks:
        return [name for name in known if name in config.networks], {}
    optional = {*reasons, *dataset.supporting}
    if not dataset.measurements:
        reasons.pop(COEXPRESSION, None)  # most datasets have none: not worth a remark
    return [name for name in known if name not in optional], reasons


def _no_coexpression(dataset: Dataset, config: CoexpressionNetworkConfig) -> dict[str, str]:
    """Why no co-expression can be made of the dataset's first measurement; empty where it can."""
    names = default_names(dataset.measurements)
    if not names:
        return {COEXPRESSION: "the dataset has no measurement other than label-like ones"}
    is_used = dataset.measurements[names[0]].used(body_fluids=config.body_fluids)
    if is_used.sum() < 2:
        return {COEXPRESSION: f"measurement {names[0]!r} has {is_used.sum()} samples to be used"}
    return {}


def _sequence_column(config: SequenceNetworkConfig) -> str:
    return "sequence" if config.which == "hairpin" else "matures"


def _is_filled(cell: object) -> bool:
    return cell is not None and cell is not pd.NA and cell == cell and cell != ""


def _sequence_similarity(
    dataset: Dataset, config: SequenceNetworkConfig, workers: int, progress: Progress | None
) -> np.ndarray:
    def report_rows(done: int, total: int) -> None:
        report(progress, "sequence similarity", done, total)

    cells = dataset.rnas[_sequence_column(config)].astype(object)
    sequences = cells.where(cells.map(_is_filled), None).tolist()
    if config.engine == KMER:
        return kmer_similarity(
            sequences, config.kmer, circular=circular_rnas(dataset), progress=report_rows
        ).astype(np.float32)
    similarity: Callable[..., np.ndarray] = smith_waterman
    if config.which == "mature":
        similarity = mature_similarity
        sequences = [list(filter(None, (cell or "").split(";"))) for cell in sequences]
    return similarity(
        sequences, config.scores, engine=config.engine, workers=workers, progress=report_rows
    ).astype(np.float32)


def circular_rnas(dataset: Dataset) -> list[bool]:
    """Whether each RNA is circular: column ``type`` of the RNA table is circRNA."""
    if "type" not in dataset.rnas.columns:
        return [False] * len(dataset.rnas)
    types = dataset.rnas["type"].astype(str).str.strip().str.lower()
    return [name == CIRCULAR.lower() for name in types]


@dataclass(frozen=True)
class SequenceKmers:
    """k-mer similarity of the sequences of a dataset.

    Attributes:
        config: length of a k-mer and measure.
        circular: whether each RNA is circular.
    """

    config: KmerConfig
    circular: tuple[bool, ...]


def sequence_kmers(networks: NetworkSet) -> SequenceKmers | None:
    """How the sequence similarity was made, if of shared k-mers; None for alignments."""
    settings = networks.settings.get("sequence")
    if not isinstance(settings, Mapping) or settings.get("engine") != KMER:
        return None
    config = from_dict(KmerConfig, settings["kmer"], where="sequence.kmer")
    return SequenceKmers(config, tuple(circular_rnas(networks.dataset)))


def _functional_similarities(
    dataset: Dataset, config: FunctionalNetworkConfig, progress: Progress | None
) -> dict[str, np.ndarray]:
    """``functional`` (the blend), ``semantic`` and ``gip``, float32, shape (n_rnas, n_rnas)."""
    step = "functional similarity"
    report(progress, step, 0, 3)
    partners = dataset.partners[DISEASE]
    no_descriptors = pd.Series(None, index=partners.index, dtype=object)
    descriptors = partners.get("descriptor_ids", no_descriptors)
    diseases = disease_semantic_similarity(
        dataset.ontology, descriptors, decay=config.decay, method=config.semantic_method
    )
    report(progress, step, 1, 3)
    matrix = dataset.association_matrix(DISEASE)
    semantic = functional_similarity(matrix, diseases, method=config.method)
    report(progress, step, 2, 3)
    gip = gip_similarity(matrix, gamma=config.gamma)
    blended = blend(semantic, gip, lambda_=config.lambda_)
    report(progress, step, 3, 3)
    arrays = {"functional": blended, "semantic": semantic, "gip": gip}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def coexpression_similarity(dataset: Dataset, config: CoexpressionNetworkConfig) -> np.ndarray:
    """Compute the correlation of expression profiles (see `correlation_similarity`).

    Returns:
        float32, shape (n_rnas, n_rnas); 0 to all others for an RNA that was not measured.

    Raises:
        ConfigError: no such measurement, or it has fewer than two samples to be used.
    """
    known = default_names(dataset.measurements)
    name = config.measurement or known[0]
    require(name in dataset.measurements, "coexpression.measurement", name, ", ".join(known))
    measurement = dataset.measurements[name]
    is_used = measurement.used(body_fluids=config.body_fluids)
    if is_used.sum() < 2:
        raise ConfigError(
            f"co-expression needs two samples or more: measurement {name!r} has {is_used.sum()} "
            "that are no isolated fraction or body fluid"
        )
    profiles = measurement.log_values().loc[:, is_used].reindex(dataset.rnas.index)
    return correlation_similarity(profiles.to_numpy(), method=config.method)


def coexpression_source(networks: NetworkSet) -> str:
    """Name of the measurement that the co-expression of some networks was made of; may be empty."""
    if COEXPRESSION not in networks.similarities:
        return ""
    settings = networks.settings.get(COEXPRESSION, {})
    named = settings.get("measurement", "") if isinstance(settings, dict) else ""
    known = default_names(networks.dataset.measurements)
    return str(named) or (known[0] if known else "")


def _cut(
    similarity: np.ndarray,
    config: SequenceNetworkConfig | FunctionalNetworkConfig | CoexpressionNetworkConfig,
) -> sparse.csr_array:
    if config.rule == "cutoff":
        cutoff = config.cutoff
        if isinstance(config, SequenceNetworkConfig) and config.engine == KMER:
            cutoff = config.kmer_cutoff
        return cut_off(similarity, cutoff, weighted=config.weighted)
    return top_k(similarity, config.top_k, weighted=config.weighted)


def networks_or_demo(folder: str | Path | None) -> tuple[NetworkSet, Path | None]:
    """Load networks of a folder, by default ``./networks``, else build those of the demo dataset.

    Returns:
        The networks, and their folder (None for the demo).
    """
    from mirnagraph.synthetic import demo_dataset

    path = Path(folder) if folder is not None else Path("networks")
    if folder is None and not (path / "networks.json").exists():
        return build_networks(demo_dataset()), None
    return NetworkSet.load(path), path
