"""Variants of a model for an ablation, and their runs."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fusion.config import FUSION, ExperimentConfig
from fusion.data.prepare import config_folds, folds_sha256, resolve_tokens
from fusion.data.reduced import all_tokens, reduced_networks, with_tokens, without_tokens
from fusion.experiments.cross_validate import bare_run
from fusion.tokens.embeddings import learned_embeddings
from fusion.tokens.kinds import can_be_made, is_changed, modality_of
from fusion.tokens.names import (
    EXPRESSION,
    GRAPH_TRANSFORMER,
    JOIN,
    JOINT_GRAPH,
    LETTERS,
    NEAREST,
    NODE2VEC,
    PROFILE,
    SEQUENCE,
    TokenName,
    join_names,
    parse_joined,
    single_tokens,
)
from mirnagraph.config import dump_toml, require
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.scores import popularity_deciles
from mirnagraph.evaluation.splits import Folds
from mirnagraph.networks.build import DISEASE, coexpression_source
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.parallel import Progress, job_folder, map_parallel, report
from mirnagraph.runs.folder import finish_run, open_run
from mirnagraph.runs.run_file import read_run_json
from mirnagraph.writing.contents import ABLATE_RUN

FULL = "full"

HEADS = (2, 4, 8)

RESERVED = ("graph-transformer", "attention", "graph-tower", "sequence-tower", "trees", "kernel")
"""Names of model components; a network of such a name gets another variant name."""


@dataclass(frozen=True)
class Variant:
    """One variant of a model.

    Attributes:
        name: also that of its folder, e.g. ``"without-disease"``.
        what: the change to the full model, in words.
        config: its settings; None where the variant does not apply.
        without: network or kind of association that is removed from the data, or empty.
        left_out: tokens of the full model that are removed.
        rebuilt: tokens that are built again without the removed data.
        reason: why it does not apply, or empty.
        is_full: equals the full model, so that nothing is trained.
    """

    name: str
    what: str
    config: ExperimentConfig | None = None
    without: str = ""
    left_out: tuple[str, ...] = ()
    rebuilt: tuple[str, ...] = ()
    reason: str = ""
    is_full: bool = False

    @property
    def is_trained(self) -> bool:
        """Whether it has runs of its own: it applies, and is no second name of the full model."""
        return self.config is not None and not self.is_full


def variants_of(networks: NetworkSet, config: ExperimentConfig) -> tuple[Variant, ...]:
    """All variants of a model, the full one first; those that do not apply have a reason.

    Args:
        networks: of the dataset.
        config: any settings; wildcards of tokens are resolved here.
    """
    config = resolve_tokens(networks, config)
    dataset = networks.dataset
    names = dict.fromkeys((*networks.networks, *dataset.associations, *dataset.measurements))
    return (
        Variant(FULL, f"preset {config.preset}, unchanged", config),
        *(_without_network(networks, config, name) for name in names),
        _without_graph_transformer(networks, config),
        _without_attention(config),
        *(_without_parts_of_fusion(config) if config.neural == FUSION else ()),
        *_parts_alone(config),
        *(_heads(config, n) for n in HEADS),
    )


def _without_network(networks: NetworkSet, config: ExperimentConfig, name: str) -> Variant:
    variant = f"without-network-{name}" if name in RESERVED else f"without-{name}"
    what = f"data without {name}"
    if name == DISEASE:
        what += " and the similarities derived from it"
    elif name in networks.dataset.measurements and name == coexpression_source(networks):
        what += " and the co-expression made of it"
    reduced = reduced_networks(networks, name)
    left_out = []
    rebuilt = []
    for token in all_tokens(config):
        if not can_be_made(reduced, token):
            left_out.append(token)
        elif is_changed(networks, reduced, token):
            rebuilt.append(token)
    if not left_out and not rebuilt:
        return Variant(variant, what, reason="no token reads it")
    changed = without_tokens(config, left_out)
    if changed is None:
        return Variant(variant, what, reason="no token is left without it")
    return Variant(variant, what, changed, name, tuple(left_out), tuple(rebuilt))


def _without_graph_transformer(networks: NetworkSet, config: ExperimentConfig) -> Variant:
    name = "without-graph-transformer"
    what = "each graph transformer token is replaced by node2vec of the same network"
    replaced = tuple(token for token in all_tokens(config) if _is_graph_transformer(token))
    if not replaced:
        return Variant(name, what, reason="the model has no graph transformer")
    attention = _as_node2vec(networks, config.tokens.attention)
    trees = _as_node2vec(networks, config.tokens.trees)
    return Variant(name, what, with_tokens(config, attention, trees), left_out=replaced)


def _is_graph_transformer(token: str) -> bool:
    return any(part.kind == GRAPH_TRANSFORMER for part in parse_joined(token))


def _as_node2vec(networks: NetworkSet, tokens: Sequence[str]) -> list[str]:
    """Tokens with each graph transformer replaced by node2vec of its networks."""
    plain: list[str] = []
    for token in tokens:
        if token == JOINT_GRAPH:
            plain += [f"{NODE2VEC}:{network}" for network in networks.networks]
            continue
        parts = list(parse_joined(token))
        for number, part in enumerate(parts):
            if part.kind == GRAPH_TRANSFORMER:
                parts[number] = replace(part, kind=NODE2VEC)
        plain.append(join_names(parts) if _is_graph_transformer(token) else token)
    return plain


def _attends(config: ExperimentConfig) -> bool:
    if config.neural == FUSION:
        return bool(config.tokens.attention) and config.fusion.pooling == "attention"
    has_attention = config.attention.n_layers > 0 or config.attention.readout == "queries"
    return bool(config.tokens.attention) and has_attention


def _without_attention(config: ExperimentConfig) -> Variant:
    name = "without-attention"
    what = "the projected tokens are concatenated and read by one linear layer"
    if config.neural == FUSION:
        what = "the tokens are averaged"
    if not _attends(config):
        return Variant(name, what, reason="the model has no attention")
    if config.neural == FUSION:
        return Variant(name, what, replace(config, fusion=replace(config.fusion, pooling="mean")))
    attention = replace(config.attention, n_layers=0, readout="concat")
    return Variant(name, what, replace(config, attention=attention))


def _without_parts_of_fusion(config: ExperimentConfig) -> Iterator[Variant]:
    """A fusion of two towers without each tower, relation, modality and voice."""
    neural = single_tokens(config.tokens.attention)
    relations = [token for token in neural if TokenName.parse(token).kind == NEAREST]
    partners = [token for token in neural if TokenName.parse(token).kind == PROFILE]
    towers = (
        ("graph-tower", [*relations, *partners], "graph tower"),
        ("sequence-tower", [token for token in neural if token == LETTERS], "sequence tower"),
        *((f"relation-{token.partition(':')[2]}", [token], "") for token in relations),
        *((f"partners-{token.partition(':')[2]}", [token], "") for token in partners),
    )
    for name, left_out, part in towers:
        what = f"the neural part without {part or left_out[0]}"
        yield _without_neural_tokens(config, f"without-{name}", what, left_out)
    for modality in (SEQUENCE, EXPRESSION):
        every = single_tokens(all_tokens(config))
        left_out = [token for token in every if modality_of(token) == modality]
        what = f"all parts without tokens of {modality}"
        changed = without_tokens(config, left_out)
        if changed is None or not left_out:
            reason = f"the model has no token of {modality}, or no other"
            yield Variant(f"without-{modality}-tokens", what, reason=reason)
        else:
            left = tuple(left_out)
            yield Variant(f"without-{modality}-tokens", what, changed, left_out=left)
    tokens = config.tokens
    voices = (
        ("trees", "without trees", with_tokens(config, tokens.attention, ()), tokens.trees),
        ("kernel", "without the kernel model", _without_kernel(config), config.kernel.tokens),
        ("neural", "without the neural part", with_tokens(config, (), tokens.trees), neural),
    )
    for name, what, changed, removed in voices:
        if changed is None or not removed:
            reason = f"the model has no such part, or no other: {name}"
            yield Variant(f"without-{name}", what, reason=reason)
        else:
            yield Variant(f"without-{name}", what, changed)


def _without_kernel(config: ExperimentConfig) -> ExperimentConfig | None:
    """Settings without the kernel model; its kernels' components stay in the neural part."""
    if not config.tokens.names:
        return None
    return replace(config, mix=replace(config.mix, kernel=0.0))


def _without_neural_tokens(
    config: ExperimentConfig, name: str, what: str, left_out: Sequence[str]
) -> Variant:
    """A fusion whose neural part lacks some tokens; trees and kernel keep theirs."""
    attention = []
    for token in config.tokens.attention:
        parts = [part for part in single_tokens([token]) if part not in left_out]
        if parts:
            attention.append(JOIN.join(parts))
    if not left_out or not attention:
        return Variant(name, what, reason="the neural part has no such token, or no other")
    changed = with_tokens(config, attention, config.tokens.trees)
    return Variant(name, what, changed, left_out=tuple(left_out))


def _parts_alone(config: ExperimentConfig) -> Iterator[Variant]:
    """The trees and the attention part of a model that mixes them, each alone."""
    attention = config.tokens.attention
    trees = config.tokens.trees
    if config.neural == FUSION:
        reason = "`parts/` of the full model has this prediction"
        yield Variant("trees-alone", "the trees without the other parts", reason=reason)
        yield Variant("attention-alone", "the neural part without the others", reason=reason)
        return
    for name, what, alone in (
        (
            "trees-alone",
            "the trees without the attention part",
            with_tokens(config, (), trees),
        ),
        (
            "attention-alone",
            "the attention part without trees, in the mean and as residual",
            with_tokens(config, attention, ()),
        ),
    ):
        if not trees or not attention:
            yield Variant(name, what, reason="the model does not mix trees and attention")
        elif alone is None:
            yield Variant(name, what, reason="attention reads nothing but the trees")
        else:
            left = all_tokens(alone)
            removed = tuple(token for token in all_tokens(config) if token not in left)
            yield Variant(name, what, alone, left_out=removed)


def _heads(config: ExperimentConfig, n: int) -> Variant:
    name = f"heads-{n}"
    attention = config.fusion if config.neural == FUSION else config.attention
    what = f"{n} attention heads instead of {attention.n_heads}"
    if not _attends(config):
        return Variant(name, what, reason="the model has no attention")
    if attention.dim % n:
        return Variant(name, what, reason=f"{n} heads cannot share a width of {attention.dim}")
    if n == attention.n_heads:
        return Variant(name, f"{n} heads: the full model", config, is_full=True)
    if config.neural == FUSION:
        return Variant(name, what, replace(config, fusion=replace(config.fusion, n_heads=n)))
    changed = replace(config.attention, n_heads=n)
    return Variant(name, what, replace(config, attention=changed))


@dataclass(frozen=True, eq=False)
class Ablation:
    """A finished ablation.

    Attributes:
        folder: of the ablation.
        variants: to report, the full model first.
        dataset: of the networks.
        config: of the full model, with resolved tokens.
        seeds: that every variant was trained with.
    """

    folder: Path
    variants: tuple[Variant, ...]
    dataset: Dataset
    config: ExperimentConfig
    seeds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class AblationWork:
    """Inputs of all runs of an ablation.

    Attributes:
        networks: with everything in them.
        folds: seed -> folds, the same for all variants.
        hashes: removed network (or empty) -> sha256 of the remaining ones.
        popularity: decile of every RNA in the whole data, for ``within``.
        cache: folder for embeddings.
        out: the ablation's folder.
        workers: processes for the folds of one run.
    """

    networks: NetworkSet
    folds: dict[int, Folds]
    hashes: dict[str, str]
    popularity: np.ndarray
    cache: str
    out: str
    workers: int


def run_folder(out: str | Path, variant: str, seed: int) -> Path:
    """Folder of the run of a variant and a seed."""
    return Path(out) / "variants" / variant / f"seed_{seed}"


def choose(variants: Sequence[Variant], only: Sequence[str]) -> list[Variant]:
    """The full model and the named variants, in their own order; all where none is named.

    Raises:
        ConfigError: no such variant (names the nearest one).
    """
    names = [variant.name for variant in variants]
    for name in only:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"available: {', '.join(names)}"
            raise ConfigError(f"no variant {name!r}; {hint}")
    return [v for v in variants if not only or v.name in only or v.name == FULL]


def run_ablation(  # noqa: PLR0913 (one function for the command)
    networks: NetworkSet,
    config: ExperimentConfig,
    out: str | Path,
    *,
    repeats: int = 3,
    only: Sequence[str] = (),
    cache: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Ablation:
    """Train the variants of a model over several seeds; finished runs are not trained again.

    Args:
        networks: of the dataset.
        config: the full model; its seed is the first.
        out: the ablation's folder; more seeds and variants are added to an ablation of the same
            settings and data.
        repeats: number of seeds.
        only: names of variants (see `variants_of`) besides the full model; empty for all.
        cache: folder for embeddings; None stores them in `out`.
        workers: processes; changes no number.
        overwrite: see `mirnagraph.runs.folder.open_run`.
        progress: callback.

    Returns:
        The ablation; its variants are those selected now or finished for all these seeds before.

    Raises:
        ConfigError: no such variant, or folds that the data do not allow.
        InputError: the folder holds something else.
    """
    require(repeats >= 1, "repeats", repeats, "1 or more")
    dataset = networks.dataset
    config = resolve_tokens(networks, config)
    variants = variants_of(networks, config)
    selected = choose(variants, only)
    seeds = [config.seed + number for number in range(repeats)]
    folds = {seed: config_folds(dataset, replace(config, seed=seed)) for seed in seeds}
    hashes = {"": networks_sha256(networks)}
    inputs = {
        "networks": hashes[""],
        "folds": folds_sha256(folds[config.seed]),
        "purpose": hashlib.sha256(b"ablation").hexdigest(),
    }
    about = {"dataset": dataset.name, "synthetic": dataset.synthetic, "purpose": "ablation"}
    run = open_run(
        out,
        dump_toml(config),
        inputs,
        seed=config.seed,
        overwrite=overwrite,
        resume=not overwrite,
        about=about,
        content=ABLATE_RUN,
    )
    if run.finished:
        run = run.reopen()
    reported = [v for v in variants if v in selected or _is_complete(run.path, v, seeds)]
    for name in {variant.without for variant in reported} - {""}:
        hashes[name] = networks_sha256(reduced_networks(networks, name))
    place = str(cache or run.path / "embeddings")
    deciles = popularity_deciles(dataset)
    work = AblationWork(networks, folds, hashes, deciles, place, str(run.path), workers=1)
    jobs = [(v, seed) for seed in seeds for v in reported if v.is_trained]
    _, run = finish_run(run, lambda _: _train_all(work, jobs, workers, progress))
    return Ablation(run.path, tuple(reported), dataset, config, tuple(seeds))


def _is_complete(out: Path, variant: Variant, seeds: Sequence[int]) -> bool:
    """Whether a variant was trained with all seeds."""
    folders = [run_folder(out, variant.name, seed) for seed in seeds]
    return variant.is_trained and all(_is_finished(folder) for folder in folders)


def _is_finished(folder: Path) -> bool:
    return (folder / "run.json").is_file() and read_run_json(folder)["status"] == "done"


def _train_all(
    work: AblationWork,
    jobs: Sequence[tuple[Variant, int]],
    workers: int,
    progress: Progress | None,
) -> None:
    """Train the variants and seeds that are not finished."""
    waiting = [(v, s) for v, s in jobs if not _is_finished(run_folder(work.out, v.name, s))]
    work = replace(work, out=str(job_folder(work.out)), cache=str(job_folder(work.cache)))
    map_runs: Callable[..., Iterator[None]] = map_parallel
    if len(waiting) == 1:
        work = replace(work, workers=workers)
        map_runs = _map_here
    # Embeddings first: variants share most of them, and runs in parallel would compute them twice.
    of_all = [(v, seed) for v, seed in waiting if not v.without]
    of_reduced = [(v, seed) for v, seed in waiting if v.without]
    for step, batch in (("all networks", of_all), ("fewer networks", of_reduced)):
        groups = _by_data(batch)
        for number, _ in enumerate(map_runs(_embed, work, groups, workers), 1):
            report(progress, f"embeddings of {step}", number, len(groups))
    n_done = len(jobs) - len(waiting)
    report(progress, "runs", n_done, len(jobs))
    for number, _ in enumerate(map_runs(_train, work, waiting, workers), 1):
        report(progress, "runs", n_done + number, len(jobs))


def _map_here(
    function: Callable[[AblationWork, Any], None],
    work: AblationWork,
    jobs: Sequence[Any],
    _workers: int,
) -> Iterator[None]:
    """As `map_parallel` in this process, so that the folds of a run are the jobs."""
    for job in jobs:
        function(work, job)
        yield None


def _by_data(jobs: Sequence[tuple[Variant, int]]) -> list[tuple[tuple[Variant, ...], int]]:
    """Variants that read the same data together, per seed."""
    groups: dict[tuple[str, int], list[Variant]] = {}
    for variant, seed in jobs:
        groups.setdefault((variant.without, seed), []).append(variant)
    return [(tuple(variants), seed) for (_, seed), variants in groups.items()]


def _embed(work: AblationWork, job: tuple[tuple[Variant, ...], int]) -> None:
    """Compute the embeddings that some variants of the same data read, into the cache."""
    variants, seed = job
    configs = [variant.config for variant in variants if variant.config]
    names = list(dict.fromkeys(token for config in configs for token in all_tokens(config)))
    reduced = reduced_networks(work.networks, variants[0].without)
    settings = configs[0].embedding
    learned_embeddings(reduced, names, settings, seed, cache=work.cache, workers=work.workers)


def _train(work: AblationWork, job: tuple[Variant, int]) -> None:
    """Cross-validate one variant with one seed."""
    variant, seed = job
    if variant.config is None:
        raise ValueError(f"variant {variant.name} does not apply")
    bare_run(
        reduced_networks(work.networks, variant.without),
        replace(variant.config, seed=seed),
        work.folds[seed],
        run_folder(work.out, variant.name, seed),
        networks_sha256=work.hashes[variant.without],
        cache=work.cache,
        workers=work.workers,
        popularity=work.popularity,
        about={"variant": variant.name, "without": variant.without},
    )
