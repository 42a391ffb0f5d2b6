"""Repeats of a run over seeds (`mirnagraph train --repeats N`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from fusion.config import ExperimentConfig
from fusion.data.prepare import config_folds, resolve_tokens
from fusion.experiments.cross_validate import bare_run
from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import MICRO
from mirnagraph.evaluation.splits import DRAWN
from mirnagraph.io import read_table, read_text, write_text, write_tsv
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.parallel import Progress, report
from mirnagraph.runs.folder import RunFolder, rewriting
from mirnagraph.runs.markdown import finite_or_dash, join_blocks
from mirnagraph.runs.markdown import table as markdown_table
from mirnagraph.runs.report import SHOWN
from mirnagraph.runs.results import read_metrics
from mirnagraph.runs.run_file import check_files, read_run_json

TABLE = "repeats.tsv"

BEGUN = "repeats"
"""Entry of ``run.json`` of the first seed: number of seeds that were asked for."""

HEADING = "## Over seeds"

MEAN = "mean over folds"
POOLED = "pooled"


def repeat_run(
    networks: NetworkSet,
    config: ExperimentConfig,
    folder: str | Path,
    n: int,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Repeat a finished run with the next n - 1 seeds, and summarise all n in its folder.

    Folds are drawn anew with every seed; those of a fold file stay, and only the model's randomness
    changes. Each further seed has a run folder ``repeats/seed_K``; finished ones are not trained
    again. Writes ``repeats.tsv`` and a section of ``report.md``.

    Args:
        networks: of the dataset.
        config: the settings of the run in `folder`; its seed is the first.
        folder: the run folder of the first seed, finished.
        n: number of seeds, 2 or more.
        cache: folder for embeddings; None stores them in the run folder.
        workers: processes; changes no number.
        progress: callback.

    Returns:
        The table of `over_seeds`.

    Raises:
        InputError: the run is not finished, is one of another seed, or a folder below it holds
            something else.
    """
    require(n >= 2, "repeats", n, "2 or more")
    path = Path(folder)
    dataset = networks.dataset
    config = resolve_tokens(networks, config)
    _check_first(path, config.seed)
    RunFolder(path).add(**{BEGUN: n})
    metrics = {config.seed: read_metrics(path)}
    data_sha256 = networks_sha256(networks)
    report(progress, "seeds", 1, n)
    for number in range(1, n):
        repeated = replace(config, seed=config.seed + number)
        place = path / "repeats" / f"seed_{repeated.seed}"
        bare_run(
            networks,
            repeated,
            config_folds(dataset, repeated),
            place,
            networks_sha256=data_sha256,
            cache=cache or path / "embeddings",
            workers=workers,
            about={"repeat_of_seed": config.seed},
        )
        metrics[repeated.seed] = read_metrics(place)
        report(progress, "seeds", number + 1, n)
    table = over_seeds(metrics)
    put_section(path / "report.md", HEADING, seeds_section(table, config))
    with rewriting(path, TABLE):
        write_tsv(table, path / TABLE)
    return table


def _check_first(folder: Path, seed: int) -> None:
    run = read_run_json(folder)
    if run["status"] != "done" or run["seed"] != seed:
        raise InputError(
            "only a finished run of the first seed can be repeated",
            file=folder,
            found=f"{run['status']}, seed {run['seed']}",
            expected=f"done, seed {seed}",
        )
    check_files(folder, run)


def repeats_done(folder: str | Path, seed: int, n: int) -> bool:
    """Whether a run folder holds the summary of exactly these n seeds."""
    path = Path(folder) / TABLE
    expected = [f"seed_{number}" for number in range(seed, seed + n)]
    return path.is_file() and _seed_columns(read_table(path)) == expected


def keeps_first_seed(folder: str | Path, seed: int, n: int, *, overwrite: bool) -> bool:
    """Whether the finished run of the first seed in a folder is kept, and the others follow.

    With `overwrite` only where its repeats by the same n seeds have begun, and are not done.
    """
    if repeats_done(folder, seed, n):
        return False
    if not overwrite:
        return True
    try:
        run = read_run_json(folder)
    except InputError:
        return False
    return (run.get("seed"), run.get(BEGUN)) == (seed, n)


def _seed_columns(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.filter(regex="^seed_")]


def mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and SD (n - 1) of the finite values; NaN where there are too few."""
    defined = values[np.isfinite(values)]
    mean = float(defined.mean()) if len(defined) else np.nan
    sd = float(defined.std(ddof=1)) if len(defined) > 1 else np.nan
    return mean, sd


def over_seeds(metrics: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Mean and SD over seeds of every metric.

    Args:
        metrics: seed -> table of `mirnagraph.evaluation.metrics.evaluate`.

    Returns:
        One row per compartment, metric and ``over`` (``"mean over folds"`` or ``"pooled"``; the
        metric ``within`` is pooled only): ``mean`` and ``sd`` (n - 1) over the seeds in which it is
        defined, their number ``n``, and one column ``seed_K`` per seed (NaN: undefined).
    """
    keys = ["compartment", "metric"]
    tables = {f"seed_{seed}": table.set_index(keys) for seed, table in metrics.items()}
    parts = []
    for over, column in ((MEAN, "mean"), (POOLED, "pooled")):
        values = pd.DataFrame({name: table[column] for name, table in tables.items()})
        rows = [(over, *mean_and_sd(row), np.isfinite(row).sum()) for row in values.to_numpy()]
        summary = pd.DataFrame(rows, index=values.index, columns=["over", "mean", "sd", "n"])
        parts.append(summary.join(values).reset_index())
    table = pd.concat(parts).sort_index(kind="stable")
    is_left_out = (table["metric"] == "within") & (table["over"] == MEAN)
    return table[~is_left_out].reset_index(drop=True)


def shown_rows(table: pd.DataFrame) -> list[list[str]]:
    """Compartment and mean ± SD of each metric of `SHOWN`, as text; compartments, then average."""
    is_shown = (table["over"] == MEAN) & table["metric"].isin(SHOWN)
    part = table[is_shown & (table["compartment"] != MICRO)]
    rows = []
    for name, metrics in part.groupby("compartment", sort=False):
        if "MCC" not in set(metrics["metric"]):
            continue
        by_metric = metrics.set_index("metric").loc[list(SHOWN)]
        pairs = zip(by_metric["mean"], by_metric["sd"], strict=True)
        cells = [f"{finite_or_dash(mean)} ± {finite_or_dash(sd)}" for mean, sd in pairs]
        rows.append([str(name), *cells])
    return rows


def seeds_section(table: pd.DataFrame, config: ExperimentConfig) -> str:
    """The report's section on seeds, without its heading."""
    seeds = [name.removeprefix("seed_") for name in _seed_columns(table)]
    drawn = "the folds are those of the file, and only the model's randomness changes"
    if config.folds.split in DRAWN:
        drawn = "folds were drawn anew with each seed"
    about = (
        f"Mean ± SD over {len(seeds)} seeds ({seeds[0]} to {seeds[-1]}) of each run's mean over "
        f"folds; {drawn}.\n"
        "The SD is that of runs on the same RNAs; other RNAs differ by more. All metrics and "
        "seeds: `repeats.tsv`."
    )
    return join_blocks(about, markdown_table(["compartment", *SHOWN], shown_rows(table)))


def put_section(path: Path, heading: str, text: str) -> None:
    """Write a section into a Markdown file, in place of the one with this heading or at the end."""
    lines = read_text(path).split("\n")
    start = lines.index(heading) if heading in lines else len(lines)
    after = [i for i in range(start + 1, len(lines)) if lines[i].startswith("## ")]
    stop = after[0] if after else len(lines)
    before = "\n".join(lines[:start]).rstrip("\n")
    following = "\n".join(lines[stop:]).rstrip("\n")
    write_text(path, join_blocks(before, heading, text, following) + "\n")
