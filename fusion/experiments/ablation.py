"""Variants and their runs."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fusion.config import ExperimentConfig
from fusion.data.prepare import config_folds, folds_sha256, resolve_tokens
from fusion.experiments.cross_validate import bare_run
from fusion.tokens.embeddings import learned_embeddings
from fusion.tokens.kinds import DISEASE_SIMILARITIES, can_be_made, is_changed
from fusion.tokens.names import (
    GRAPH_TRANSFORMER,
    JOINT_GRAPH,
    NODE2VEC,
    TREES,
    TokenName,
    join_names,
    parse_joined,
)
from mirnagraph.config import dump_toml, require
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.scores import popularity_deciles
from mirnagraph.evaluation.splits import Folds
from mirnagraph.networks.build import DISEASE
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.parallel import Progress, map_parallel, report
from mirnagraph.runs.folder import RunFolder, open_run, read_run_json

FULL = "full"

HEADS = (2, 4, 8)

PARTS = ("graph-transformer", "attention")


@dataclass(frozen=True)
class Variant:
    """One variant of a model.

    Attributes:
        name: also that of its folder, e.g. ``"without-disease"``.
        what: what was done to the full model, in words.
        config: its settings; None where the variant does not apply.
        without: network or kind of association that is taken out of the data, or empty.
        left_out: tokens of the full model that are gone.
        rebuilt: tokens that are made anew without what was taken out.
        reason: why it does not apply, or empty.
        is_full: the full model is this variant already, so that nothing is trained.
    """

    name: str
    what: str
    config: ExperimentConfig | None = None
    without: str = ""
    left_out: tuple[str, ...] = ()
    rebuilt: tuple[str, ...] = ()
    reason: str = ""
    is_full: bool = False


def variants_of(networks: NetworkSet, config: ExperimentConfig) -> tuple[Variant, ...]:
    """All variants of a model, the full one first; those that do not apply to it say why.

    Args:
        config: any settings; wildcards of tokens are resolved here.
    """
    config = resolve_tokens(networks, config)
    names = list(dict.fromkeys((*networks.networks, *networks.dataset.associations)))
    found = [Variant(FULL, f"preset {config.preset} as it is", config)]
    found += [_without_network(networks, config, name) for name in names]
    found += [
        _without_graph_transformer(networks, config),
        _without_attention(config),
        _trees_alone(config),
        _attention_alone(config),
    ]
    return (*found, *(_heads(config, n) for n in HEADS))


def reduced_networks(networks: NetworkSet, name: str) -> NetworkSet:
    """The networks as if the named one had never been there; nothing for the empty name.

    A kind of association goes with its tables, its network, and, for diseases, with the similarities made of them (``functional``, ``semantic``,
    ``gip``). A similarity network goes with the dense similarity of its name.
    """
    if not name:
        return networks
    dataset = networks.dataset
    gone = {name}
    if name in dataset.associations:
        dataset = replace(
            dataset,
            associations={
                kind: table for kind, table in dataset.associations.items() if kind != name
            },
            partners={kind: table for kind, table in dataset.partners.items() if kind != name},
            supporting=tuple(kind for kind in dataset.supporting if kind != name),
        )
        gone |= set(DISEASE_SIMILARITIES) if name == DISEASE else set()
    return replace(
        networks,
        dataset=dataset,
        networks={n: network for n, network in networks.networks.items() if n not in gone},
        similarities={n: array for n, array in networks.similarities.items() if n not in gone},
    )


def _without_network(networks: NetworkSet, config: ExperimentConfig, name: str) -> Variant:
    called = f"without-network-{name}" if name in PARTS else f"without-{name}"
    fewer = reduced_networks(networks, name)
    tokens = _all_tokens(config)
    left_out = tuple(token for token in tokens if not can_be_made(fewer, token))
    rebuilt = tuple(
        token for token in tokens if token not in left_out and is_changed(networks, fewer, token)
    )
    what = f"the data hold no {name}" + (" and no similarity made of it" if name == DISEASE else "")
    if not left_out and not rebuilt:
        return Variant(called, what, reason="no token reads it")
    kept = _with_tokens(
        config,
        *(
            [t for t in part if t not in left_out]
            for part in (config.tokens.attention, config.tokens.trees)
        ),
    )
    if kept is None:
        return Variant(called, what, reason="no token is left without it")
    return Variant(called, what, kept, name, left_out, rebuilt)


def _all_tokens(config: ExperimentConfig) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*config.tokens.attention, *config.tokens.trees)))


def _with_tokens(
    config: ExperimentConfig, attention: Sequence[str], trees: Sequence[str]
) -> ExperimentConfig | None:
    """Settings with other tokens. Without trees there is nothing they say, and nothing for attention to start from; None where no token is left."""
    heard = tuple(dict.fromkeys(t for t in attention if trees or t != TREES))
    if not heard and not trees:
        return None
    tokens = replace(config.tokens, attention=heard, trees=tuple(dict.fromkeys(trees)))
    return replace(
        config,
        tokens=tokens,
        attention=replace(config.attention, residual=config.attention.residual and bool(trees)),
    )


def _without_graph_transformer(networks: NetworkSet, config: ExperimentConfig) -> Variant:
    what = "each graph transformer token is replaced by node2vec of the same network"
    gone = tuple(
        token
        for token in _all_tokens(config)
        if any(part.kind == GRAPH_TRANSFORMER for part in parse_joined(token))
    )
    if not gone:
        return Variant(
            "without-graph-transformer", what, reason="the model has no graph transformer"
        )

    def plain(names: Sequence[str]) -> list[str]:
        found: list[str] = []
        for token in names:
            if token == JOINT_GRAPH:
                found += [f"{NODE2VEC}:{network}" for network in networks.networks]
            elif token in gone:
                found.append(join_names([_as_node2vec(part) for part in parse_joined(token)]))
            else:
                found.append(token)
        return found

    return Variant(
        "without-graph-transformer",
        what,
        _with_tokens(config, plain(config.tokens.attention), plain(config.tokens.trees)),
        left_out=gone,
    )


def _as_node2vec(name: TokenName) -> TokenName:
    return replace(name, kind=NODE2VEC) if name.kind == GRAPH_TRANSFORMER else name


def _attends(config: ExperimentConfig) -> bool:
    return bool(config.tokens.attention) and (
        config.attention.n_layers > 0 or config.attention.readout == "queries"
    )


def _without_attention(config: ExperimentConfig) -> Variant:
    what = "the projected tokens are joined and read by one linear layer; nothing attends"
    if not _attends(config):
        return Variant("without-attention", what, reason="the model does not attend")
    return Variant(
        "without-attention",
        what,
        replace(config, attention=replace(config.attention, n_layers=0, readout="concat")),
    )


def _trees_alone(config: ExperimentConfig) -> Variant:
    what = "the trees without the attention part"
    if not (config.tokens.trees and config.tokens.attention):
        return Variant("trees-alone", what, reason="the model does not mix trees and attention")
    gone = tuple(token for token in config.tokens.attention if token not in config.tokens.trees)
    return Variant(
        "trees-alone", what, _with_tokens(config, (), config.tokens.trees), left_out=gone
    )


def _attention_alone(config: ExperimentConfig) -> Variant:
    what = "the attention part without trees: neither in the mean nor as what it starts from"
    alone = _with_tokens(config, config.tokens.attention, ())
    if not (config.tokens.trees and config.tokens.attention):
        return Variant("attention-alone", what, reason="the model does not mix trees and attention")
    if alone is None:
        return Variant("attention-alone", what, reason="attention reads nothing but the trees")
    gone = tuple(token for token in _all_tokens(config) if token not in alone.tokens.attention)
    return Variant("attention-alone", what, alone, left_out=gone)


def _heads(config: ExperimentConfig, n: int) -> Variant:
    name = f"heads-{n}"
    what = f"{n} heads of attention where the model has {config.attention.n_heads}"
    if not _attends(config):
        return Variant(name, what, reason="the model does not attend")
    if config.attention.dim % n:
        return Variant(
            name, what, reason=f"{n} heads cannot share a width of {config.attention.dim}"
        )
    if n == config.attention.n_heads:
        return Variant(name, f"{n} heads: the full model", config, is_full=True)
    return Variant(name, what, replace(config, attention=replace(config.attention, n_heads=n)))


@dataclass(frozen=True, eq=False)
class AblationWork:
    """What all runs of an ablation share.

    Attributes:
        folds: seed -> folds, the same for all variants.
        hashes: network taken out (or empty) -> sha256 of what is left.
        popularity: decile of every RNA in the whole data, for ``within``.
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
    """Where the run of a variant and a seed is kept."""
    return Path(out) / "variants" / variant / f"seed_{seed}"


def choose(variants: Sequence[Variant], only: Sequence[str]) -> list[Variant]:
    """The full model and the named variants, in their own order; all where none is named.

    Raises:
        ConfigError: no such variant (names the nearest one).
    """
    known = [variant.name for variant in variants]
    for name in only:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"no variant {name!r}; "
                + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}")
            )
    return [
        variant for variant in variants if not only or variant.name in only or variant.name == FULL
    ]


def run_ablation(
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
) -> tuple[list[Variant], RunFolder]:
    """Train the variants of a model over several seeds; what is in the folder already is not trained again.

    Args:
        config: the full model; its seed is the first.
        out: the ablation's folder; more seeds and more variants are added to one of the same settings and data.
        repeats: number of seeds.
        only: names of variants (see `fusion.experiments.ablation.variants_of`); empty for all. The full model is always among them.
        cache: folder for embeddings; None keeps them in `out`.
        workers: processes; changes no number.

    Returns:
        The variants that a report can be made of (chosen, or finished for all these seeds before), those that do not apply among them, and
        the folder.

    Raises:
        ConfigError: no such variant, or folds that the data do not allow. InputError: the folder holds something else.
    """
    require(repeats >= 1, "repeats", repeats, "1 or more")
    config = resolve_tokens(networks, config)
    variants = variants_of(networks, config)
    chosen = choose(variants, only)
    seeds = [config.seed + number for number in range(repeats)]
    folds = {seed: config_folds(networks.dataset, replace(config, seed=seed)) for seed in seeds}
    hashes = {"": networks_sha256(networks)}
    inputs = {
        "networks": hashes[""],
        "folds": folds_sha256(folds[config.seed]),
        "purpose": hashlib.sha256(b"ablation").hexdigest(),
    }
    about = {
        "dataset": networks.dataset.name,
        "synthetic": networks.dataset.synthetic,
        "purpose": "ablation",
    }
    run = open_run(
        out,
        dump_toml(config),
        inputs,
        seed=config.seed,
        overwrite=overwrite,
        resume=True,
        about=about,
    )
    chosen = [
        v
        for v in variants
        if v in chosen
        or (
            v.config
            and not v.is_full
            and all(_finished(run_folder(out, v.name, seed)) for seed in seeds)
        )
    ]
    hashes |= {
        v.without: networks_sha256(reduced_networks(networks, v.without))
        for v in chosen
        if v.without
    }
    place = str(cache or run.path / "embeddings")
    jobs = [(v, seed) for seed in seeds for v in chosen if v.config and not v.is_full]
    waiting = [(v, seed) for v, seed in jobs if not _finished(run_folder(out, v.name, seed))]
    work = AblationWork(
        networks,
        folds,
        hashes,
        popularity_deciles(networks.dataset),
        place,
        str(run.path),
        workers if len(waiting) == 1 else 1,
    )
    # embeddings first: variants share most of them, and two that made the same one side by side would do its work twice
    for batch in (
        [(v, s) for v, s in waiting if not v.without],
        [(v, s) for v, s in waiting if v.without],
    ):
        for number, _ in enumerate(map_parallel(_embed, work, _by_data(batch), workers)):
            report(
                progress,
                "embeddings of " + ("fewer networks" if batch[0][0].without else "all networks"),
                number + 1,
                len(_by_data(batch)),
            )
    done = len(jobs) - len(waiting)
    report(progress, "runs", done, len(jobs))
    for number, _ in enumerate(map_parallel(_train, work, waiting, workers)):
        report(progress, "runs", done + number + 1, len(jobs))
    return chosen, run


def _finished(folder: Path) -> bool:
    return (folder / "run.json").is_file() and read_run_json(folder)["status"] == "done"


def _by_data(jobs: Sequence[tuple[Variant, int]]) -> list[tuple[tuple[Variant, ...], int]]:
    """Variants that read the same data together, per seed."""
    found: dict[tuple[str, int], list[Variant]] = {}
    for variant, seed in jobs:
        found.setdefault((variant.without, seed), []).append(variant)
    return [(tuple(variants), seed) for (_, seed), variants in found.items()]


def _embed(work: AblationWork, job: tuple[tuple[Variant, ...], int]) -> None:
    """Put the embeddings that some variants of the same data ask for into the cache."""
    variants, seed = job
    configs = [variant.config for variant in variants if variant.config]
    names = dict.fromkeys(
        token for config in configs for token in (*config.tokens.attention, *config.tokens.trees)
    )
    networks = reduced_networks(work.networks, variants[0].without)
    learned_embeddings(
        networks, list(names), configs[0].embedding, seed, cache=work.cache, workers=work.workers
    )


def _train(work: AblationWork, job: tuple[Variant, int]) -> None:
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
        about={
            "variant": variant.name,
            "without": variant.without,
            "dataset": work.networks.dataset.name,
            "synthetic": work.networks.dataset.synthetic,
        },
    )
