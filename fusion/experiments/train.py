"""Run_experiment, final model, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fusion.baselines.models import BASELINES, COLD_BASELINES
from fusion.baselines.run import baseline_table, run_baselines
from fusion.config import ExperimentConfig, experiment_config
from fusion.data.problem import FusionData, folds_sha256, prepare, resolve_tokens
from fusion.data.rna_sets import RnaSets, folds_of, prepare_all
from fusion.experiments.cross_validate import BY_SET, PARTS, by_set, by_set_lines, cross_validate
from fusion.models.ensemble import FusionModel, fit_fusion_model
from fusion.models.new_rnas import reads_sequence_alone
from fusion.models.reference import reference_rnas
from fusion.models.saved import save_model
from fusion.tokens.partners import partner_inputs
from mirnagraph.config import dump_toml
from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.splits import Folds, write_folds
from mirnagraph.io import write_file, write_text, write_tsv
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.parallel import Progress, one_thread, report
from mirnagraph.runs.calibration_report import write_calibration
from mirnagraph.runs.folder import RunFolder, run_or_resume
from mirnagraph.runs.report import (
    SHOWN,
    TABLE,
    baseline_section,
    draw_curves,
    own_trees_sentence,
    summary_table,
)
from mirnagraph.runs.results import CrossValidationResult, write_results
from mirnagraph.seeds import child_seed

LEFT_OUT = "left_out.tsv"


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
    rna_sets: RnaSets | None = None,
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
        InputError: see `mirnagraph.runs.folder.open_run`. ConfigError: folds or tokens that the data do not allow.
    """
    dataset = networks.dataset
    config = resolve_tokens(networks, config, sets=rna_sets is not None)
    folds = folds_of(dataset, config, rna_sets)
    inputs = {
        "networks": networks_sha256(networks),
        "folds": folds_sha256(folds),
        **partner_inputs(config.tower),
    }
    if rna_sets is not None:
        inputs["sets"] = rna_sets.sha256
    n_rnas = len(dataset.index) + (0 if rna_sets is None else len(rna_sets))
    about = {
        "dataset": dataset.name,
        "synthetic": dataset.synthetic,
        "n_rnas": n_rnas,
        "n_tested": int((folds.assigned >= 0).sum()),
    }
    if rna_sets is not None:
        about["sets"] = rna_sets.summary()

    def body(run: RunFolder) -> CrossValidationResult:
        write_folds(folds, run.path / "folds.tsv")
        if rna_sets is not None:
            write_tsv(rna_sets.data.left_out, run.path / LEFT_OUT)
        place = cache or run.path / "embeddings"
        data = prepare_all(
            networks, config, rna_sets, cache=place, workers=workers, progress=progress
        )
        result = cross_validate(
            data, folds, config, folder=run.path, workers=workers, progress=progress
        )
        write_results(result, run.path, parts=PARTS)
        model = run.path / "model"
        fit_final(networks, data, folds, config, model, result, rna_sets, progress=progress)
        table = None
        sections: list[str] = []
        if rna_sets is not None:
            sections = _rna_set_section(data, result, rna_sets, run.path)
        elif baselines:
            names = tuple(COLD_BASELINES if config.folds.cold else BASELINES)
            found = run_baselines(
                networks,
                data,
                folds,
                config.seed,
                names=names,
                folder=run.path,
                workers=workers,
                progress=progress,
            )
            table = baseline_table(found, result)
            write_tsv(table, run.path / TABLE)
        write_report(run.path, result, dataset, config, table, sections)
        return result

    return run_or_resume(
        out,
        dump_toml(config),
        inputs,
        body,
        seed=config.seed,
        overwrite=overwrite,
        resume=resume,
        about=about,
    )


def _rna_set_section(
    data: FusionData, result: CrossValidationResult, rna_sets: RnaSets, folder: Path
) -> list[str]:
    table = by_set(data, result)
    write_tsv(table, folder / BY_SET)
    n_left_out = len(rna_sets.data.left_out)
    note = f"{n_left_out} RNAs of the sets were left out (`{LEFT_OUT}`)."
    return [*by_set_lines(table), note, ""]


def fit_final(
    networks: NetworkSet,
    data: FusionData,
    folds: Folds,
    config: ExperimentConfig,
    folder: Path,
    result: CrossValidationResult,
    rna_sets: RnaSets | None = None,
    *,
    progress: Progress | None = None,
) -> None:
    """Fit on every RNA of the protocol, and save the model that answers for RNAs without a label, with the one for newcomers beside it."""
    report(progress, "final model", 0, 1)
    train = np.flatnonzero(folds.of_rows(data.index) >= -1)
    with one_thread():
        fusion_model = fit_fusion_model(data, train, config, child_seed(config.seed, "final"))
        newcomers = (
            fusion_model
            if reads_sequence_alone(config)
            else _fit_cold_start_model(networks, train[train < data.n_network_rnas], config)
        )
    figures = (
        result.metrics[result.metrics["compartment"] == "average"]
        .set_index("metric")[["mean", "pooled"]]
        .dropna()
    )
    scores = {
        str(metric): {"mean": float(row["mean"]), "pooled": float(row["pooled"])}
        for metric, row in figures.to_dict("index").items()
    }
    about = {
        "dataset": networks.dataset.name,
        "synthetic": networks.dataset.synthetic,
        "protocol": folds.name,
        "out_of_fold": scores,
    }
    known = reference_rnas(
        networks.dataset,
        fusion_model.tokens,
        train,
        result,
        None if rna_sets is None else rna_sets.data,
    )
    save_model(fusion_model, known, data.compartments, folder, about=about, cold_start=newcomers)
    report(progress, "final model", 1, 1)


def _fit_cold_start_model(
    networks: NetworkSet, train: np.ndarray, config: ExperimentConfig
) -> FusionModel | None:
    """The model for RNAs of which the sequence alone is known; none where the settings want none or no sequence is known."""
    if not config.newcomers or "sequence" not in networks.similarities:
        return None
    settings = resolve_tokens(networks, experiment_config(config.newcomers, seed=config.seed))
    return fit_fusion_model(
        prepare(networks, settings), train, settings, child_seed(config.seed, "newcomers")
    )


def run_name(dataset: str, config: ExperimentConfig) -> str:
    """Name of a run's default folder, the same for the same command, so that a killed run is found again."""
    split = config.folds.protocol or Path(config.folds.split).stem
    return f"{dataset}-{config.preset}-{split}-{config.folds.n_folds}fold-{config.folds.rnas}{'-cold' if config.folds.cold else ''}-seed{config.seed}"


def write_report(
    folder: Path,
    result: CrossValidationResult,
    dataset: Dataset,
    config: ExperimentConfig,
    baselines: pd.DataFrame | None = None,
    more: Sequence[str] = (),
) -> None:
    """Write ``report.md``, ``summary.tsv`` and the plots into a run folder.

    Args:
        baselines: table of `fusion.baselines.run.baseline_table`; None where they were left out.
        more: lines in place of those on baselines.
    """
    table = summary_table(result.metrics, result.compartments)
    with write_file(folder / "summary.tsv") as part:
        table.to_csv(part, sep="\t", index=False)
    tested = result.folds.of_rows(result.index) >= 0
    lines = [f"# Run on {dataset.name}: preset {config.preset}, seed {config.seed}", ""]
    if dataset.synthetic:
        lines += [
            "**Made-up data**: this run shows how the tool works. Its figures say nothing about biology.",
            "",
        ]
    protocol = config.folds.protocol or config.folds.split
    lines += [
        f"{int(tested.sum())} of {len(result.index)} RNAs were tested once each, in {result.folds.n_folds} folds",
        f"(protocol {protocol}, RNAs: {config.folds.rnas}),",
        "each by a model that saw no label of its fold. What a model sees of the RNAs it is tested on: their sequence and their associations",
        "(features in the graph are transductive); never their compartments, and no edge made from compartments.",
        "",
        "| compartment | annotated | " + " | ".join(f"{m} (SD) pooled" for m in SHOWN) + " |",
        "|---|---|" + "---|" * len(SHOWN),
    ]
    annotated = {
        name: int(result.labels[result.tested(column), column].sum())
        for column, name in enumerate(result.compartments)
    }
    for row in table.to_dict("records"):
        cells = [
            f"{row[f'{m} mean']:.3f} ({row[f'{m} sd']:.3f}) {row[f'{m} pooled']:.3f}" for m in SHOWN
        ]
        lines.append(
            f"| {row['compartment']} | {annotated.get(str(row['compartment']), '')} | "
            + " | ".join(cells)
            + " |"
        )
    if more:
        lines += [
            "",
            "These figures are over RNAs of all sets together, where telling the sets apart counts too: what counts stands below, within each set.",
        ]
    lines += [
        "",
        "Mean and SD are over folds. F1 and MCC use the thresholds that were chosen inside each training part.",
        "",
        "![ROC](roc.png)",
        "",
    ]
    lines += more or baseline_section(baselines, own_trees_sentence(result, config.seed))
    lines += write_calibration(folder, result, config.seed)
    if len(dataset.left_out):
        counts = (
            dataset.left_out["reason"]
            .str.replace(r": \d+ of \d+ records$", "", regex=True)
            .value_counts()
        )
        lines += [
            "## Left out of the dataset",
            "",
            *(
                f"- {reason}: {count} (listed in left_out.tsv of the dataset)"
                for reason, count in counts.items()
            ),
            "",
        ]
    write_text(folder / "report.md", "\n".join(lines))
    with write_file(folder / "roc.png") as part:
        draw_curves(result).savefig(part, format="png", dpi=110, metadata={"Software": None})
