"""Training run of a fusion model: cross-validation, final model, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusion.baselines.models import baseline_names
from fusion.baselines.run import baseline_table, run_baselines
from fusion.config import ExperimentConfig
from fusion.data.inputs import FusionData
from fusion.data.leakage import leakage_section
from fusion.data.prepare import folds_sha256, resolve_tokens
from fusion.data.rna_sets import RnaSets, folds_of, prepare_all
from fusion.experiments.cross_validate import (
    BY_SET,
    PARTS,
    by_set,
    by_set_section,
    cross_validate,
    write_parts,
)
from fusion.models.ensemble import FusionModel, fit_fusion_model
from fusion.models.new_rnas import reads_sequence_alone
from fusion.models.reference import reference_rnas
from fusion.models.saved import save_model
from fusion.tokens.partners import partner_inputs
from mirnagraph.config import dump_toml
from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.evaluation.splits import Folds, write_folds
from mirnagraph.io import write_text, write_tsv
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.parallel import Progress, one_thread, report
from mirnagraph.runs.calibration_report import write_calibration
from mirnagraph.runs.folder import RunFolder, run_or_resume
from mirnagraph.runs.markdown import bullets, join_blocks, page, save_figure, section
from mirnagraph.runs.report import (
    TABLE,
    baseline_section,
    draw_curves,
    metric_section,
    part_names,
    part_rows,
    part_sentences,
    run_summary,
    weight_sentence,
)
from mirnagraph.runs.results import CrossValidationResult, write_results
from mirnagraph.seeds import child_seed
from mirnagraph.writing.contents import TRAIN_RUN
from mirnagraph.writing.targets import folder_name

LEFT_OUT = "left_out.tsv"

ROC = "![ROC and precision-recall curves](roc.png)"


def run_experiment(  # noqa: PLR0913 (one function for the command)
    networks: NetworkSet,
    config: ExperimentConfig,
    out: str | Path,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    baselines: bool = False,
    rna_sets: RnaSets | None = None,
    progress: Progress | None = None,
) -> tuple[CrossValidationResult | None, RunFolder]:
    """Cross-validate, fit the final model on all RNAs of the protocol, and write the run folder.

    Args:
        networks: of the dataset.
        config: its token wildcards are resolved here.
        out: run folder; an unfinished run of the same settings and data in it resumes.
        cache: folder for embeddings, shared between runs; None stores them in the run folder.
        workers: processes; changes no number.
        overwrite: see `mirnagraph.runs.folder.open_run`.
        resume: see `mirnagraph.runs.folder.open_run`.
        baselines: also fit the baselines on the same folds; with `rna_sets` always trees per set.
        rna_sets: additional labelled RNA sets, trained jointly with the RNAs of the networks.
        progress: callback.

    Returns:
        The result (None where `resume` kept a finished run), and the run folder.

    Raises:
        InputError: see `mirnagraph.runs.folder.open_run`.
        ConfigError: folds or tokens that the data do not allow.
    """
    dataset = networks.dataset
    config = resolve_tokens(networks, config, sets=rna_sets is not None)
    folds = folds_of(dataset, config, rna_sets)

    def body(run: RunFolder) -> CrossValidationResult:
        write_folds(folds, run.path / "folds.tsv")
        if rna_sets is not None:
            write_tsv(rna_sets.data.left_out, run.path / LEFT_OUT)
        how: dict[str, Any] = {"workers": workers, "progress": progress}
        place = cache or run.path / "embeddings"
        with_baselines = baselines and rna_sets is None
        data = prepare_all(networks, config, rna_sets, baselines=with_baselines, cache=place, **how)
        result = cross_validate(data, folds, config, folder=run.path, **how)
        write_results(result, run.path, parts=PARTS)
        write_parts(result, run.path)
        fit_final(data, folds, config, run.path / "model", result, progress=progress)
        table = None
        sets = ""
        if rna_sets is not None:
            sets = _rna_set_section(data, result, rna_sets, run.path)
        elif baselines:
            table = _fit_baselines(data, config, result, run.path, **how)
        write_report(run.path, result, dataset, config, table, sets)
        return result

    return run_or_resume(
        out,
        dump_toml(config),
        _input_hashes(networks, config, folds, rna_sets),
        body,
        seed=config.seed,
        overwrite=overwrite,
        resume=resume,
        about=_about(dataset, folds, rna_sets),
        content=TRAIN_RUN,
    )


def _input_hashes(
    networks: NetworkSet, config: ExperimentConfig, folds: Folds, rna_sets: RnaSets | None
) -> dict[str, str]:
    """sha256 of the inputs of a run, by name."""
    inputs = {"networks": networks_sha256(networks), "folds": folds_sha256(folds)}
    inputs |= partner_inputs(config.tower)
    if rna_sets is not None:
        inputs["sets"] = rna_sets.sha256
    return inputs


def _about(dataset: Dataset, folds: Folds, rna_sets: RnaSets | None) -> dict[str, Any]:
    """Entries of ``run.json``."""
    about: dict[str, Any] = {
        "dataset": dataset.name,
        "description": dataset.description,
        "synthetic": dataset.synthetic,
        "n_rnas": len(dataset.index),
        "n_tested": int((folds.assigned >= 0).sum()),
    }
    if rna_sets is not None:
        about["n_rnas"] += len(rna_sets)
        about["sets"] = rna_sets.summary()
    return about


def _fit_baselines(
    data: FusionData,
    config: ExperimentConfig,
    result: CrossValidationResult,
    folder: Path,
    **how: Any,
) -> pd.DataFrame:
    """Fit the baselines of a run and write ``baselines.tsv``."""
    names = baseline_names(cold=config.folds.cold)
    baselines = run_baselines(data, result.folds, config.seed, names=names, folder=folder, **how)
    table = baseline_table(baselines, result)
    write_tsv(table, folder / TABLE)
    return table


def _rna_set_section(
    data: FusionData, result: CrossValidationResult, rna_sets: RnaSets, folder: Path
) -> str:
    """Write the metrics within each set; return their section of the report."""
    table = by_set(data, result)
    write_tsv(table, folder / BY_SET)
    n_left_out = len(rna_sets.data.left_out)
    note = f"{n_left_out} RNAs of the sets were left out (`{LEFT_OUT}`)."
    return by_set_section(table, note)


def fit_final(
    data: FusionData,
    folds: Folds,
    config: ExperimentConfig,
    folder: Path,
    result: CrossValidationResult,
    *,
    progress: Progress | None = None,
) -> None:
    """Fit and save the final model and its cold-start model, trained on all RNAs of the protocol.

    Args:
        data: inputs of the cross-validation, labels included.
        folds: of the cross-validation; RNAs outside its protocol are not trained on.
        config: with resolved tokens.
        folder: to write the model to.
        result: of the cross-validation; its out-of-fold predictions are stored with the model.
        progress: callback.
    """
    report(progress, "final model", 0, 1)
    train = np.flatnonzero(folds.of_rows(data.index) >= -1)
    with one_thread():
        fusion_model = fit_fusion_model(data, train, config, child_seed(config.seed, "final"))
        cold_start: FusionModel | None = None
        if reads_sequence_alone(config):
            cold_start = fusion_model
        elif data.cold_start is not None:
            inputs, settings = data.cold_start
            network_rows = train[train < data.n_network_rnas]
            seed = child_seed(config.seed, "newcomers")
            cold_start = fit_fusion_model(inputs, network_rows, settings, seed)
    is_average = result.metrics["compartment"] == AVERAGE
    averages = result.metrics[is_average].set_index("metric")[["mean", "pooled"]].dropna()
    about = {
        "dataset": data.dataset,
        "synthetic": data.synthetic,
        "protocol": folds.name,
        "out_of_fold": averages.to_dict("index"),
    }
    reference = reference_rnas(data, fusion_model.tokens, train, result)
    save_model(
        fusion_model, reference, data.compartments, folder, about=about, cold_start=cold_start
    )
    report(progress, "final model", 1, 1)


def run_name(dataset: str, config: ExperimentConfig) -> str:
    """Name of a run's default folder, the same for the same command, so that it resumes."""
    split = config.folds.protocol or Path(config.folds.split).stem
    cold = "-cold" if config.folds.cold else ""
    folds = f"{split}-{config.folds.n_folds}fold-{config.folds.rnas}{cold}"
    return f"{folder_name(dataset)}-{config.preset}-{folds}-seed{config.seed}"


def write_report(
    folder: Path,
    result: CrossValidationResult,
    dataset: Dataset,
    config: ExperimentConfig,
    baselines: pd.DataFrame | None = None,
    rna_sets: str = "",
    *more: str,
) -> None:
    """Write ``report.md``, ``summary.tsv`` and the plots into a run folder.

    Args:
        folder: the run folder.
        result: of the cross-validation.
        dataset: of the networks.
        config: of the run.
        baselines: table of `fusion.baselines.run.baseline_table`; None where they were left out.
        rna_sets: section on the metrics within each RNA set, in place of that on baselines.
        more: further sections.
    """
    write_tsv(run_summary(result), folder / "summary.tsv")
    save_figure(draw_curves(result), folder / "roc.png")
    if rna_sets:
        pooled = (
            "These metrics are over the RNAs of all sets together and also reward telling the sets "
            "apart; the metrics within each set do not."
        )
        metrics = join_blocks(metric_section(result, pooled, ROC), rna_sets)
    else:
        notes = [*weight_sentence(result), *part_sentences(result, config.seed)]
        table = baselines
        if baselines is None and part_names(result):
            table = pd.DataFrame(part_rows(result))
        metrics = join_blocks(metric_section(result, ROC), baseline_section(table, notes))
    text = page(
        f"Run on {dataset.name}: preset {config.preset}, seed {config.seed}",
        _protocol_lines(result, config),
        metrics,
        write_calibration(folder, result, config.seed),
        leakage_section(dataset, config.token_names, body_fluids=config.tokens.body_fluids),
        _left_out_section(dataset),
        *more,
        synthetic=dataset.synthetic,
    )
    write_text(folder / "report.md", text)


def _protocol_lines(result: CrossValidationResult, config: ExperimentConfig) -> str:
    n_tested = int((result.of_row >= 0).sum())
    protocol = config.folds.protocol or config.folds.split
    return (
        f"{n_tested} of {len(result.index)} RNAs were tested once each, in {result.folds.n_folds} "
        f"folds (protocol {protocol}, RNAs: {config.folds.rnas}).\n"
        "Each was predicted by a model trained without the labels of its fold. Inputs of a tested "
        "RNA: its sequence and its associations\n(graph features are transductive); no label of "
        "a compartment, and no edge made from labels."
    )


def _left_out_section(dataset: Dataset) -> str:
    """Number of RNAs that the dataset leaves out, by reason."""
    reasons = dataset.left_out["reason"].str.replace(r": \d+ of \d+ records$", "", regex=True)
    lines = [
        f"{reason}: {count} (listed in left_out.tsv of the dataset)"
        for reason, count in reasons.value_counts().items()
    ]
    return section("Left out of the dataset", bullets(lines))
