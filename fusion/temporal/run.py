"""Temporal run: trained on the labels of an earlier release, tested on later ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusion.config import ExperimentConfig
from fusion.data.prepare import config_folds, folds_sha256, prepare, resolve_tokens
from fusion.experiments.cross_validate import PARTS, cross_validate
from fusion.temporal.evaluate import MODEL, POPULARITY, SCORE, Pairs, evaluate
from fusion.temporal.labels import EarlierLabels, with_labels
from fusion.temporal.report import temporal_page
from fusion.temporal.score import ranking_scores, with_base_rates
from fusion.tokens.partners import partner_inputs
from mirnagraph.config import dump_toml
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.scores import popularity
from mirnagraph.evaluation.splits import Folds, write_folds
from mirnagraph.io import read_table, write_text, write_tsv
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.parallel import Progress
from mirnagraph.runs.folder import RunFolder, run_or_resume
from mirnagraph.runs.results import CrossValidationResult, write_results
from mirnagraph.writing.contents import TRAIN_RUN

TEMPORAL = "temporal.tsv"

EARLIER = "earlier.tsv"

SCORES = "scores.tsv"

DISEASE = "disease"


@dataclass(frozen=True, eq=False)
class TemporalRun:
    """A finished temporal run.

    Attributes:
        folder: run folder.
        table: of `fusion.temporal.evaluate.evaluate`.
        result: cross-validation on the earlier labels; None where a finished run was kept.
    """

    folder: Path
    table: pd.DataFrame
    result: CrossValidationResult | None


def run_temporal(  # noqa: PLR0913  options of the command
    networks: NetworkSet,
    config: ExperimentConfig,
    earlier: EarlierLabels,
    out: str | Path,
    *,
    labels_by: str,
    cache: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> TemporalRun:
    """Cross-validate on earlier labels, and score the ranking of what they leave open.

    Args:
        networks: of the dataset, whose own labels are the later ones. Associations are those of
            the dataset: of today, not of the time of the earlier labels.
        config: settings; folds are drawn with the earlier labels.
        earlier: labels to train on.
        out: run folder; an unfinished run of the same settings and data in it resumes.
        labels_by: ``"id"``, or ``"molecule"`` to train on labels joined over ids that share a
            mature sequence. The pairs that are scored are those without a label of the id itself.
        cache: folder for embeddings, shared between runs; None stores them in the run folder.
        workers: processes; changes no number.
        overwrite: see `mirnagraph.runs.folder.open_run`.
        resume: see `mirnagraph.runs.folder.open_run`.
        progress: callback.

    Raises:
        InputError: see `mirnagraph.runs.folder.open_run`.
        ConfigError: folds or tokens that the data do not allow; another `labels_by`.
    """
    if config.folds.cold:
        raise ConfigError("a temporal run has no cold start: leave out --cold-start")
    later = networks.dataset
    dataset = with_labels(later, earlier.labels, labels_by)
    trained = replace(networks, dataset=dataset)
    config = resolve_tokens(trained, config)
    folds = config_folds(dataset, config)

    def body(run: RunFolder) -> CrossValidationResult:
        write_folds(folds, run.path / "folds.tsv")
        write_tsv(earlier.labels.rename_axis("rna_id").reset_index(), run.path / EARLIER)
        how: dict[str, Any] = {"workers": workers, "progress": progress}
        data = prepare(trained, config, cache=cache or run.path / "embeddings", **how)
        result = cross_validate(data, folds, config, folder=run.path, **how)
        write_results(result, run.path, parts=PARTS)
        _write_evaluation(run.path, result, later, earlier, config, labels_by)
        return result

    inputs = {
        "networks": networks_sha256(networks),
        "folds": folds_sha256(folds),
        "earlier": _sha256(earlier.labels),
        "labels by": labels_by,
    }
    result, run = run_or_resume(
        out,
        dump_toml(config),
        inputs | partner_inputs(config.tower),
        body,
        seed=config.seed,
        overwrite=overwrite,
        resume=resume,
        about=_about(later, folds, earlier, labels_by),
        content=TRAIN_RUN,
    )
    return TemporalRun(run.path, read_temporal(run.path), result)


def _sha256(labels: pd.DataFrame) -> str:
    return hashlib.sha256(labels.to_csv().encode()).hexdigest()


def _about(
    dataset: Dataset, folds: Folds, earlier: EarlierLabels, labels_by: str
) -> dict[str, Any]:
    """Entries of ``run.json``."""
    return {
        "dataset": dataset.name,
        "synthetic": dataset.synthetic,
        "n_rnas": len(dataset.index),
        "n_tested": int((folds.assigned >= 0).sum()),
        "temporal": {
            "labels_by": labels_by,
            "n_labels": int(earlier.labels.to_numpy().sum()),
            "n_absent": earlier.n_absent,
        },
    }


def _write_evaluation(
    folder: Path,
    result: CrossValidationResult,
    later: Dataset,
    earlier: EarlierLabels,
    config: ExperimentConfig,
    labels_by: str,
) -> None:
    """Write ``temporal.tsv``, ``scores.tsv`` and ``report.md``."""
    is_tested = result.of_row >= 0
    is_open = (earlier.labels.to_numpy() == 0) & is_tested[:, None]
    pairs = Pairs(result.compartments, is_open, later.labels.to_numpy())
    rankings = all_rankings(result, later, earlier, config)
    table = evaluate(pairs, rankings, seed=config.seed)
    write_tsv(table, folder / TEMPORAL)
    scores = pd.DataFrame(rankings[SCORE], columns=list(result.compartments))
    scores.insert(0, "rna_id", list(result.index.ids))
    write_tsv(scores[is_tested], folder / SCORES)
    write_text(folder / "report.md", temporal_page(table, pairs, earlier, later, config, labels_by))


def all_rankings(
    result: CrossValidationResult,
    dataset: Dataset,
    earlier: EarlierLabels,
    config: ExperimentConfig,
) -> dict[str, np.ndarray]:
    """The rankings of a temporal run: the score, the model alone, and baselines without a model.

    Returns:
        ``score``, ``model``, ``popularity`` and, where the dataset has them, ``number of
        diseases`` and the mean of each measurement over its samples, such as ``mean expression``;
        shape (n_rnas, n_labels).
    """
    levels = {POPULARITY: popularity(dataset)}
    if DISEASE in dataset.associations:
        counts = np.asarray(dataset.association_matrix(DISEASE).sum(axis=1))
        levels["number of diseases"] = counts.ravel()
    measurements: Mapping[str, Any] = getattr(dataset, "measurements", {})
    for name, measurement in measurements.items():
        if not measurement.is_label_like:
            level = measurement.log_values().loc[:, measurement.used()].mean(axis=1)
            levels[f"mean {name}"] = level.reindex(dataset.rnas.index).fillna(0.0).to_numpy()
    labels = earlier.labels.to_numpy()
    return {
        SCORE: ranking_scores(result.probabilities, labels, dataset, config.ranking),
        MODEL: result.probabilities,
        **{name: with_base_rates(values, labels) for name, values in levels.items()},
    }


def read_temporal(folder: str | Path) -> pd.DataFrame:
    """Read ``temporal.tsv`` of a run folder (see `fusion.temporal.evaluate.evaluate`).

    Raises:
        InputError: it is missing or malformed.
    """
    table = read_table(Path(folder) / TEMPORAL, ["ranking", "compartment", "metric", "value"])
    table = table.reset_index(drop=True)
    numbers = [name for name in table.columns if name not in ("ranking", "compartment", "metric")]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    return table
