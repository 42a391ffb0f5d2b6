"""Runs of an ablation: every variant over the same seeds and folds, each kept in a folder of its own, side by side, resumable."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fusion.ablation import FULL, Variant, reduced_networks, variants_of
from fusion.bare_run import bare_run
from fusion.embeddings import learned_embeddings
from fusion.problem import config_folds, folds_sha256, resolve_tokens
from fusion.run import networks_sha256
from fusion.settings import ExperimentConfig
from mirnagraph.config import dump_toml, require
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.scores import popularity_deciles
from mirnagraph.evaluation.splits import Folds
from mirnagraph.networks.types import NetworkSet
from mirnagraph.progress import Progress, report
from mirnagraph.runs import RunFolder, open_run, read_run_json
from mirnagraph.side_by_side import side_by_side


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
            raise ConfigError(f"no variant {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"))
    return [variant for variant in variants if not only or variant.name in only or variant.name == FULL]


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
        only: names of variants (see `fusion.ablation.variants_of`); empty for all. The full model is always among them.
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
    inputs = {"networks": hashes[""], "folds": folds_sha256(folds[config.seed]), "purpose": hashlib.sha256(b"ablation").hexdigest()}
    about = {"dataset": networks.dataset.name, "synthetic": networks.dataset.synthetic, "purpose": "ablation"}
    run = open_run(out, dump_toml(config), inputs, seed=config.seed, overwrite=overwrite, resume=True, about=about)
    chosen = [v for v in variants if v in chosen or (v.config and not v.is_full and all(_finished(run_folder(out, v.name, seed)) for seed in seeds))]
    hashes |= {v.without: networks_sha256(reduced_networks(networks, v.without)) for v in chosen if v.without}
    place = str(cache or run.path / "embeddings")
    jobs = [(v, seed) for seed in seeds for v in chosen if v.config and not v.is_full]
    waiting = [(v, seed) for v, seed in jobs if not _finished(run_folder(out, v.name, seed))]
    work = AblationWork(networks, folds, hashes, popularity_deciles(networks.dataset), place, str(run.path), workers if len(waiting) == 1 else 1)
    # embeddings first: variants share most of them, and two that made the same one side by side would do its work twice
    for batch in ([(v, s) for v, s in waiting if not v.without], [(v, s) for v, s in waiting if v.without]):
        for number, _ in enumerate(side_by_side(_embed, work, _by_data(batch), workers)):
            report(progress, "embeddings of " + ("fewer networks" if batch[0][0].without else "all networks"), number + 1, len(_by_data(batch)))
    done = len(jobs) - len(waiting)
    report(progress, "runs", done, len(jobs))
    for number, _ in enumerate(side_by_side(_train, work, waiting, workers)):
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
    names = dict.fromkeys(token for config in configs for token in (*config.tokens.attention, *config.tokens.trees))
    networks = reduced_networks(work.networks, variants[0].without)
    learned_embeddings(networks, list(names), configs[0].embedding, seed, cache=work.cache, workers=work.workers)


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
        about={"variant": variant.name, "without": variant.without, "dataset": work.networks.dataset.name, "synthetic": work.networks.dataset.synthetic},
    )
