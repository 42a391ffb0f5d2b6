"""Settings of networks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from mirnagraph.config import Count, Rate, read_settings, require
from mirnagraph.dataset import Dataset
from mirnagraph.networks.similarities import DENSE_BELOW, NEAREST
from mirnagraph.reading.arguments import check_fields
from mirnagraph.similarity.candidates import KmerIndex
from mirnagraph.similarity.disease import FUNCTIONAL_METHODS, SEMANTIC_METHODS
from mirnagraph.similarity.kmer import KmerConfig
from mirnagraph.similarity.profile import CORRELATIONS
from mirnagraph.similarity.smith_waterman import ENGINES, AlignmentScores

WHICH = ("hairpin", "mature")

RULES = ("cutoff", "top_k")

AUTO = "auto"

KMER = "kmer"

SEQUENCE_ENGINES = (AUTO, *ENGINES, KMER)

LONGEST_MEAN = 500
"""Mean nucleotides of a sequence up to which engine ``"auto"`` aligns; the time of all alignments
grows with the square of the mean."""


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
        index: index of k-mers that proposes the pairs to align where there are more different
            sequences than `KmerIndex.above`; by default all pairs are aligned. Only for engine
            ``"pyopal"``, hairpins, and more RNAs than `NetworkConfig.dense_below`.
    """

    which: str = "hairpin"
    engine: str = AUTO
    rule: str = "cutoff"
    cutoff: Rate = 0.25
    kmer_cutoff: Rate = 0.02
    top_k: Count = 10
    weighted: bool = True
    scores: AlignmentScores = field(default_factory=AlignmentScores)
    kmer: KmerConfig = field(default_factory=KmerConfig)
    index: KmerIndex = field(default_factory=KmerIndex)

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
    lambda_: Annotated[float, "in [0, 1]"] = 0.5
    rule: str = "cutoff"
    cutoff: Rate = 0.6
    top_k: Count = 10
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
    cutoff: Rate = 0.6
    top_k: Count = 10
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
        dense_below: RNAs up to which similarities of all pairs are stored. Where there are more,
            they are computed in blocks, and only edges and the `nearest` RNAs of each are stored.
        nearest: most similar RNAs of each, 1 or more, that are stored then.
    """

    networks: tuple[str, ...] = ()
    sequence: SequenceNetworkConfig = field(default_factory=SequenceNetworkConfig)
    functional: FunctionalNetworkConfig = field(default_factory=FunctionalNetworkConfig)
    coexpression: CoexpressionNetworkConfig = field(default_factory=CoexpressionNetworkConfig)
    dense_below: int = DENSE_BELOW
    nearest: int = NEAREST

    def __post_init__(self) -> None:
        check_fields(self)
        require(self.dense_below >= 0, "dense_below", self.dense_below, "0 or more")
        require(self.nearest >= 1, "nearest", self.nearest, "1 or more")


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


def cutoff_of(
    config: SequenceNetworkConfig | FunctionalNetworkConfig | CoexpressionNetworkConfig,
) -> float:
    """Similarity that an edge must exceed by the rule ``"cutoff"``."""
    if isinstance(config, SequenceNetworkConfig) and config.engine == KMER:
        return config.kmer_cutoff
    return config.cutoff
