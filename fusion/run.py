"""One call from networks to a finished run folder: what `mirnagraph train` does."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from fusion.baseline_models import BASELINES, COLD_BASELINES
from fusion.baselines import TABLE, baseline_table, run_baselines
from fusion.by_set import BY_SET, by_set, by_set_lines
from fusion.experiment import cross_validate
from fusion.guests import Guests, guest_folds, join_guests, node_vectors
from fusion.known import known_rnas
from fusion.learner import Learner, fit_learner
from fusion.model_files import save_model
from fusion.newcomers import reads_sequence_alone
from fusion.partners import partner_inputs
from fusion.problem import Problem, config_folds, folds_sha256, prepare, resolve_tokens
from fusion.report import write_report
from fusion.results import UNCERTAINTY, CrossValidationResult
from fusion.settings import ExperimentConfig, experiment_config
from mirnagraph.config import dump_toml
from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.fold_files import saved_folds
from mirnagraph.evaluation.predictions import LABELS, write_predictions
from mirnagraph.evaluation.splits import Folds, write_folds
from mirnagraph.networks.types import NetworkSet
from mirnagraph.progress import Progress, report
from mirnagraph.runs import RunFolder, left_when_begun, open_run
from mirnagraph.seeds import child_seed
from mirnagraph.side_by_side import one_thread
from mirnagraph.tables import write_tsv

LEFT_OUT = "left_out.tsv"


def networks_sha256(networks: NetworkSet) -> str:
    """sha256 over everything a run reads from its networks: row order, sequences, evidence, labels, matrices, similarities."""
    total, dataset = hashlib.sha256(), networks.dataset
    tables = [dataset.rnas, dataset.labels, *(t for kind in sorted(dataset.associations) for t in (dataset.associations[kind], dataset.partners[kind]))]
    for table in tables:
        total.update(table.to_csv().encode())
    for name, network in sorted(networks.networks.items()):
        total.update(f"{name}\0{network.nodes.checksum}".encode())
        for part in (network.matrix.indptr.astype(np.int64), network.matrix.indices.astype(np.int64), network.matrix.data):
            total.update(np.ascontiguousarray(part).tobytes())
    for name, similarity in sorted(networks.similarities.items()):
        total.update(name.encode() + np.ascontiguousarray(similarity).tobytes())
    return total.hexdigest()


def run_experiment(
    networks: NetworkSet,
    config: ExperimentConfig,
    out: str | Path,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    baselines: bool = False,
    guests: Guests | None = None,
    progress: Progress | None = None,
) -> tuple[CrossValidationResult | None, RunFolder]:
    """Cross-validate, fit the final model on all RNAs of the protocol, and write the run folder.

    Args:
        out: run folder; an unfinished run of the same settings and data in it is gone on with.
        cache: folder for embeddings, shared between runs; None keeps them in the run folder.
        workers: processes; changes no number.
        baselines: also fit the baselines on the same folds, for ``baselines.tsv``, ``baselines/`` and the report; of RNAs of the networks alone, whose
            features they read: with guests the trees of each type take their place, in ``metrics_by_set.tsv``.
        guests: labelled RNAs of other sets, which learn in one model with those of the networks.

    Returns:
        The result (None where a finished run was kept by `resume`), and the run folder.

    Raises:
        InputError: see `mirnagraph.runs.open_run`. ConfigError: folds or tokens that the data do not allow.
    """
    dataset, config = networks.dataset, resolve_tokens(networks, config, sets=guests is not None)
    folds = folds_of(dataset, config, guests)
    inputs = {"networks": networks_sha256(networks), "folds": folds_sha256(folds), **partner_inputs(config.tower)}
    if guests is not None:
        inputs["sets"] = guests.sha256
    n_rnas = len(dataset.index) + (0 if guests is None else len(guests))
    about = {"dataset": dataset.name, "synthetic": dataset.synthetic, "n_rnas": n_rnas, "n_tested": int((folds.assigned >= 0).sum())}
    if guests is not None:
        about["sets"] = guests.summary()
    run = open_run(out, dump_toml(config), inputs, seed=config.seed, overwrite=overwrite, resume=resume, about=about)
    if run.finished:
        return None, run
    with left_when_begun(run, lambda: saved_folds(run.path, folds.n_folds)):
        write_folds(folds, run.path / "folds.tsv")
        if guests is not None:
            write_tsv(guests.data.left_out, run.path / LEFT_OUT)
        problem = prepare_all(networks, config, guests, cache=cache or run.path / "embeddings", workers=workers, progress=progress)
        result = cross_validate(problem, folds, config, folder=run.path, workers=workers, progress=progress)
    write_predictions(result.to_frame(), run.path / "predictions.tsv")
    write_tsv(result.uncertainty_frame(), run.path / UNCERTAINTY)
    write_tsv(result.labels_frame(), run.path / LABELS)
    write_tsv(result.metrics, run.path / "metrics.tsv")
    fit_final(networks, problem, folds, config, run.path / "model", result, guests=guests, progress=progress)
    beside, more = None, []
    if guests is not None:
        table = by_set(problem, result)
        write_tsv(table, run.path / BY_SET)
        more = [*by_set_lines(table), f"{len(guests.data.left_out)} RNAs of the sets were left out (`{LEFT_OUT}`).", ""]
    elif baselines:
        names = tuple(COLD_BASELINES if config.folds.cold else BASELINES)
        found = run_baselines(networks, problem, folds, config.seed, names=names, folder=run.path, workers=workers, progress=progress)
        beside = baseline_table(problem, found, result.metrics)
        write_tsv(beside, run.path / TABLE)
    write_report(run.path, result, dataset, config, beside, more)
    run.finish()
    return result, run


def folds_of(dataset: Dataset, config: ExperimentConfig, guests: Guests | None = None) -> Folds:
    """Folds of the settings' protocol, and of guests by cluster."""
    folds = config_folds(dataset, config)
    return folds if guests is None else guest_folds(folds, guests, config.seed)


def prepare_all(
    networks: NetworkSet,
    config: ExperimentConfig,
    guests: Guests | None = None,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Problem:
    """What every fold reads: of the networks' RNAs (see `fusion.problem.prepare`), and of guests behind them."""
    if guests is not None and cache is None:
        with tempfile.TemporaryDirectory(prefix="mirnagraph-") as kept:  # guests read the same embeddings again
            return prepare_all(networks, config, guests, cache=kept, workers=workers, progress=progress)
    place = None if cache is None else str(cache)
    problem = prepare(networks, config, cache=place, workers=workers, progress=progress)
    if config.folds.cold:
        problem = replace(problem, networks=networks)
    return problem if guests is None else join_guests(problem, networks, guests, config, node_vectors(networks, config, place))


def fit_final(
    networks: NetworkSet,
    problem: Problem,
    folds: Folds,
    config: ExperimentConfig,
    folder: Path,
    result: CrossValidationResult,
    *,
    guests: Guests | None = None,
    progress: Progress | None = None,
) -> None:
    """Fit on every RNA of the protocol, and save the model that answers for RNAs without a label, with the one for newcomers beside it."""
    report(progress, "final model", 0, 1)
    train = np.flatnonzero(folds.of_rows(problem.index) >= -1)
    with one_thread():
        learner = fit_learner(problem, train, config, child_seed(config.seed, "final"))
        newcomers = learner if reads_sequence_alone(config) else _fit_newcomers(networks, train[train < problem.n_home], config)
    figures = result.metrics[result.metrics["compartment"] == "average"].set_index("metric")[["mean", "pooled"]].dropna()
    scores = {str(metric): {"mean": float(row["mean"]), "pooled": float(row["pooled"])} for metric, row in figures.to_dict("index").items()}
    about = {"dataset": networks.dataset.name, "synthetic": networks.dataset.synthetic, "protocol": folds.name, "out_of_fold": scores}
    known = known_rnas(networks.dataset, learner.tokens, train, result, None if guests is None else guests.data)
    save_model(learner, known, problem.compartments, folder, about=about, newcomers=newcomers)
    report(progress, "final model", 1, 1)


def _fit_newcomers(networks: NetworkSet, train: np.ndarray, config: ExperimentConfig) -> Learner | None:
    """The model for RNAs of which the sequence alone is known; none where the settings want none or no sequence is known."""
    if not config.newcomers or "sequence" not in networks.similarities:
        return None
    settings = resolve_tokens(networks, experiment_config(config.newcomers, seed=config.seed))
    return fit_learner(prepare(networks, settings), train, settings, child_seed(config.seed, "newcomers"))


def networks_or_demo(folder: str | Path | None) -> tuple[NetworkSet, Path | None]:
    """Networks of a folder; without one those in ``./networks``, and where there are none those of the demo dataset."""
    from mirnagraph.networks.build import build_networks
    from mirnagraph.synthetic import demo_dataset

    chosen = Path(folder) if folder is not None else Path("networks")
    if folder is None and not (chosen / "networks.json").exists():
        return build_networks(demo_dataset()), None
    return NetworkSet.load(chosen), chosen


def run_name(dataset: str, config: ExperimentConfig) -> str:
    """Name of a run's default folder, the same for the same command, so that a killed run is found again."""
    split = config.folds.protocol or Path(config.folds.split).stem
    return f"{dataset}-{config.preset}-{split}-{config.folds.n_folds}fold-{config.folds.rnas}{'-cold' if config.folds.cold else ''}-seed{config.seed}"
