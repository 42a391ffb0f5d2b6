"""Repeats of a run over seeds: how much of a figure is the luck of one seed (`mirnagraph train --repeats N`)."""

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
from mirnagraph.io import read_table, read_text, write_text, write_tsv
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.parallel import Progress, report
from mirnagraph.runs.folder import read_run_json
from mirnagraph.runs.report import SHOWN, finite_or_dash
from mirnagraph.runs.results import read_metrics

TABLE = "repeats.tsv"

HEADING = "## Over seeds"

MEAN = "mean over folds"
POOLED = "pooled"

DRAWN = ("random", "family")


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
    """Repeat a finished run with the next n - 1 seeds, and sum all n up in its folder.

    Folds are drawn anew with every seed; those of a fold file stay, and only the model's randomness changes. Each further seed is kept under
    ``repeats/seed_K``; finished ones are not trained again. Writes ``repeats.tsv`` and a section of ``report.md``.

    Args:
        config: the settings of the run in `folder`; its seed is the first.
        folder: the run folder of the first seed, finished.
        n: number of seeds, 2 or more.
        cache: folder for embeddings; None keeps them in the run folder.

    Returns:
        The table of `over_seeds`.

    Raises:
        InputError: the run is not finished, is one of another seed, or a folder below it holds something else.
    """
    require(n >= 2, "repeats", n, "2 or more")
    path = Path(folder)
    config = resolve_tokens(networks, config)
    about = read_run_json(path)
    if about["status"] != "done" or about["seed"] != config.seed:
        found = f"{about['status']}, seed {about['seed']}"
        raise InputError(
            "only a finished run of the first seed can be repeated",
            file=path,
            found=found,
            expected=f"done, seed {config.seed}",
        )
    metrics = {config.seed: read_metrics(path)}
    data = networks_sha256(networks)
    report(progress, "seeds", 1, n)
    for number in range(1, n):
        again = replace(config, seed=config.seed + number)
        folds = config_folds(networks.dataset, again)
        place = path / "repeats" / f"seed_{again.seed}"
        about = {
            "dataset": networks.dataset.name,
            "synthetic": networks.dataset.synthetic,
            "repeat_of_seed": config.seed,
        }
        bare_run(
            networks,
            again,
            folds,
            place,
            networks_sha256=data,
            cache=cache or path / "embeddings",
            workers=workers,
            about=about,
        )
        metrics[again.seed] = read_metrics(place)
        report(progress, "seeds", number + 1, n)
    table = over_seeds(metrics)
    put_section(path / "report.md", HEADING, section(table, config))
    write_tsv(table, path / TABLE)
    return table


def repeats_done(folder: str | Path, seed: int, n: int) -> bool:
    """Whether a run folder holds the summary of just these n seeds."""
    path = Path(folder) / TABLE
    return path.is_file() and _seed_columns(read_table(path)) == [
        f"seed_{k}" for k in range(seed, seed + n)
    ]


def _seed_columns(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if str(name).startswith("seed_")]


def over_seeds(metrics: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Mean and SD over seeds of every figure.

    Args:
        metrics: seed -> table of `mirnagraph.evaluation.metrics.evaluate`.

    Returns:
        One row per compartment, metric and ``over`` (``"mean over folds"`` or ``"pooled"``; the metric ``within`` is pooled only): ``mean``
        and ``sd`` (n - 1) over the seeds that have an answer, their number ``n``, and one column ``seed_K`` per seed. NaN means no answer.
    """
    keys = ["compartment", "metric"]
    columns = {f"seed_{seed}": table.set_index(keys) for seed, table in metrics.items()}
    first = next(iter(metrics.values()))
    rows: list[dict[str, object]] = []
    for compartment, metric in zip(first["compartment"], first["metric"], strict=True):
        for over, column in ((MEAN, "mean"), (POOLED, "pooled")):
            if metric == "within" and over == MEAN:
                continue
            values = {
                name: float(str(table.at[(compartment, metric), column]))
                for name, table in columns.items()
            }
            known = np.array([v for v in values.values() if np.isfinite(v)])
            mean = float(known.mean()) if len(known) else float("nan")
            sd = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
            rows.append(
                {
                    "compartment": compartment,
                    "metric": metric,
                    "over": over,
                    "mean": mean,
                    "sd": sd,
                    "n": len(known),
                    **values,
                }
            )
    return pd.DataFrame(rows)


def shown_rows(table: pd.DataFrame) -> list[list[str]]:
    """Per compartment and for the average "mean ± SD" of the main metrics, as text: first the name, then one cell per metric of `SHOWN`."""
    part = table[(table["over"] == MEAN) & table["metric"].isin(SHOWN)].set_index(
        ["compartment", "metric"]
    )
    names = [
        name
        for name in dict.fromkeys(table["compartment"])
        if (name, "MCC") in part.index and name != "micro"
    ]
    cell = {
        key: f"{finite_or_dash(float(row['mean']))} ± {finite_or_dash(float(row['sd']))}"
        for key, row in part.iterrows()
    }
    return [[name, *(cell[(name, metric)] for metric in SHOWN)] for name in names]


def section(table: pd.DataFrame, config: ExperimentConfig) -> list[str]:
    """Lines of the report's section, without its heading."""
    seeds = [name.removeprefix("seed_") for name in _seed_columns(table)]
    drawn = (
        "folds were drawn anew with each"
        if config.folds.split in DRAWN
        else "the folds are those of the file each time, so that only the model's randomness changes"
    )
    return [
        f"Mean ± SD over {len(seeds)} seeds ({seeds[0]} to {seeds[-1]}) of each run's mean over folds; {drawn}. The SD says how far one run's figure",
        "may lie from another's on the same RNAs; other RNAs would differ by more. Every metric and every seed: `repeats.tsv`.",
        "",
        "| compartment | " + " | ".join(SHOWN) + " |",
        "|---|" + "---|" * len(SHOWN),
        *("| " + " | ".join(row) + " |" for row in shown_rows(table)),
        "",
    ]


def put_section(path: Path, heading: str, lines: list[str]) -> None:
    """Write a section into a Markdown file: in place of the one with this heading, else at the end."""
    before = read_text(path).split("\n")
    start = before.index(heading) if heading in before else len(before)
    stop = next(
        (i for i in range(start + 1, len(before)) if before[i].startswith("## ")), len(before)
    )
    while start and not before[start - 1]:
        start -= 1
    write_text(path, "\n".join([*before[:start], "", heading, "", *lines, *before[stop:]]))
