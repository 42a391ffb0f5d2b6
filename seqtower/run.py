"""Training run of a sequence tower: cross-validation, final model, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.config import dump_toml
from mirnagraph.evaluation.metrics import FRACTIONS
from mirnagraph.evaluation.splits import write_folds
from mirnagraph.io import write_text, write_tsv
from mirnagraph.parallel import (
    Progress,
    check_job_answer,
    job_folder,
    one_thread,
    report,
)
from mirnagraph.runs.folder import RunFolder, run_or_resume
from mirnagraph.runs.markdown import bullets, finite_or_dash, join_blocks, page, section, table
from mirnagraph.runs.model_file import read_header
from mirnagraph.runs.report import (
    THIS_RUN,
    average_row,
    baseline_section,
    metric_section,
    set_section,
    shown_metrics,
)
from mirnagraph.runs.results import MODEL, CrossValidationResult, write_results
from mirnagraph.seeds import child_seed
from mirnagraph.writing.contents import SEQ_TRAIN_RUN
from mirnagraph.writing.folders import remove_folder
from seqtower.baselines.kmer import BASELINES, DESCRIPTORS, TOWER
from seqtower.config import SeqConfig
from seqtower.data.conflicts import find_conflicts
from seqtower.data.coverage import check_labels, fold_gaps, gap_sentences
from seqtower.data.sequences import SequenceSet, sequences_sha256, vocabulary
from seqtower.encoders.base import ENCODERS, check_encoder, warm_up
from seqtower.experiment import (
    Fitted,
    Work,
    by_set,
    cross_validate,
    fit_rows,
    groups_of,
    prepare_work,
)
from seqtower.predict import kept_part, longest_at_once, read_in_windows
from seqtower.pretraining.start import load_start, start_sentences
from seqtower.saved import FORMAT, FORMAT_VERSION, SavedTower, save_tower
from seqtower.training.health import (
    ANSWERED_BY,
    BY_TREES,
    HEALTH,
    LEAST_AUC,
    LEAST_PEARSON,
    LEAST_SD,
    MOST_SCORED,
    RETRY_SHARE,
    Health,
    answered_by,
    health_sentence,
    model_warning,
)

GROUPS = "groups.tsv"
LEFT_OUT = "left_out.tsv"
BY_SET = "metrics_by_set.tsv"
CONFLICTS = "conflicts.tsv"

HEALTH_TABLE = "health.tsv"
"""Health of the tower of each fold and of the final model."""

FINAL = "final model"

LAST_ROWS = (TOWER, MODEL)
"""Last rows of the baseline table: the tower alone, and the model, a mix of tower and trees."""


def run_seq(  # noqa: PLR0913 (one function for the command)
    data: SequenceSet,
    config: SeqConfig,
    out: str | Path,
    *,
    name: str = "sequences",
    synthetic: bool = False,
    baselines: bool = True,
    workers: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> tuple[CrossValidationResult | None, RunFolder]:
    """Cross-validate a tower and k-mer baselines, fit the final model, and write the run folder.

    Args:
        data: labelled sequences.
        config: settings.
        out: run folder; an unfinished run of the same settings and data resumes, epoch by epoch.
        name: of the data, for the report.
        synthetic: the data are synthetic, which report and exported model then state.
        baselines: fit the baselines on the same folds.
        workers: processes for folds; changes no number.
        overwrite: see `mirnagraph.runs.folder.open_run`.
        resume: see `mirnagraph.runs.folder.open_run`.
        progress: callback.

    Returns:
        The result, None where `resume` kept a finished run; and the folder.

    Raises:
        InputError: labels that do not differ between RNAs, or between the training RNAs of a fold;
            or see `mirnagraph.runs.folder.open_run`.
        ConfigError: settings that the data do not allow.
        CheckpointError: a pre-trained encoder that does not fit the settings.
    """
    check_labels(data.labels, data.compartments)
    about = {
        "kind": "seqtower",
        "labels": data.kind,
        "tower": config.tower.name,
        "dataset": name,
        "synthetic": synthetic,
        "n_rnas": len(data),
    }

    def body(run: RunFolder) -> CrossValidationResult:
        work = _prepared(run.path, data, config, baselines, progress)
        _write_inputs(work)
        result = cross_validate(work, workers, progress)
        write_results(result, run.path, baselines=[n for n in result.predictions if n != MODEL])
        if data.sets is not None:
            write_tsv(by_set(data, result), run.path / BY_SET)
        health = health_of(result, _final(work, name, progress).health)
        _write_health(health, run.path / HEALTH_TABLE)
        write_seq_report(work, result, name, health, synthetic=synthetic)
        return result

    return run_or_resume(
        out,
        dump_toml(config),
        _input_hashes(data, config),
        body,
        seed=config.seed,
        overwrite=overwrite,
        resume=resume,
        about=about,
        content=SEQ_TRAIN_RUN,
    )


def _prepared(
    folder: Path,
    data: SequenceSet,
    config: SeqConfig,
    baselines: bool,
    progress: Progress | None,
) -> Work:
    """Inputs of the folds, which may run where run folder and encoder are not to be seen.

    Raises:
        ConfigError: they are not, see `mirnagraph.parallel.job_folder`.
    """
    if ENCODERS[config.encoder.name].is_cached:
        check_job_answer(check_encoder, config.encoder)
    folder = job_folder(folder)
    groups = groups_of(data, config, progress)
    warm_up(config.encoder, config.lengths, data.sequences, progress)
    return prepare_work(data, config, folder, groups, baselines=baselines)


def _input_hashes(data: SequenceSet, config: SeqConfig) -> dict[str, str]:
    """sha256 of the inputs of a run, by name."""
    inputs = {"sequences": sequences_sha256(data)}
    if ENCODERS[config.encoder.name].is_cached:
        # Also fails here, before the folder is made, where the encoder lacks a package or a file.
        inputs["encoder"] = check_encoder(config.encoder)
    start = load_start(config, data)
    if start is not None:
        inputs["pretrained"] = start.sha256
    return inputs


def _write_inputs(work: Work) -> None:
    """Write folds, groups, the ids that were left out, and conflicts between sets.

    Raises:
        InputError: a fold whose training RNAs teach no compartment.
    """
    data = work.data
    fold_gaps(data.labels, data.compartments, work.folds, data.index)
    write_folds(work.folds, work.folder / "folds.tsv")
    by_rna = pd.DataFrame({"rna_id": list(data.index.ids), "group": work.groups})
    write_tsv(by_rna, work.folder / GROUPS)
    write_tsv(data.left_out, work.folder / LEFT_OUT)
    if data.sets is not None:
        write_tsv(find_conflicts(data).table, work.folder / CONFLICTS)


def _final(work: Work, name: str, progress: Progress | None) -> Fitted:
    """Fit the final model on all RNAs and save it."""
    report(progress, FINAL, 0, 1)
    checkpoints = work.folder / "checkpoints" / "final"
    data = work.data
    seed = child_seed(work.config.seed, "final")
    without_baselines = replace(work, baselines=False)
    with one_thread():
        fitted = fit_rows(without_baselines, np.arange(len(data)), seed, checkpoints)
    parts = answered_by(fitted.trees is not None, fitted.weight)
    model = SavedTower(
        work.config,
        data.compartments,
        data.kind,
        fitted.trained.tower,
        fitted.encoding,
        fitted.thresholds,
        {},
        vocabulary(data.types),
        whole=fitted.whole,
        trees=fitted.trees,
        weight=fitted.weight,
    )
    save_tower(
        model,
        work.folder / "model",
        dataset=name,
        n_rnas=len(data),
        data_sha256=sequences_sha256(data),
        best_epoch=fitted.trained.best_epoch,
        **{HEALTH: fitted.health.to_dict(), ANSWERED_BY: parts},
    )
    remove_folder(checkpoints.parent)
    report(progress, FINAL, 1, 1)
    return fitted


def comparison_table(result: CrossValidationResult) -> pd.DataFrame:
    """Baseline table of a run (see `mirnagraph.runs.report.average_row`).

    Rows from the simplest model to the model of the run: base rate, length, k-mers, trees, tower,
    model.
    """
    described = {**BASELINES, TOWER: "the tower of the model, alone", MODEL: _about_model(result)}
    shown = shown_metrics(result.kind)
    rows = []
    for name in (*BASELINES, *LAST_ROWS):
        if name in result.metrics_of:
            row_name = THIS_RUN if name == MODEL else name
            rows.append(average_row(row_name, result.metrics_of[name], described[name], shown))
    return pd.DataFrame(rows)


def _about_model(result: CrossValidationResult) -> str:
    about = "the model of this run, "
    if any(fold.choices["weight"] for fold in result.results):
        return f"{about}a mix of `{TOWER}` and `{DESCRIPTORS}`"
    return f"{about}its tower alone"


def parts_of_model(result: CrossValidationResult) -> tuple[str, ...]:
    """Rows of `comparison_table` that are parts of the model: the tower, and trees of weight 1."""
    if all(fold.choices["weight"] == 1 for fold in result.results):
        return (TOWER, DESCRIPTORS)
    return (TOWER,)


def health_of(result: CrossValidationResult, final: Health) -> dict[str, Health]:
    """Health of the towers of a run: ``"fold 0"``, …, ``"final model"`` -> health.

    Folds of a run that an earlier version began have none.
    """
    health = {}
    for fold in result.results:
        if HEALTH in fold.choices:
            health[f"fold {fold.fold}"] = Health.from_dict(fold.choices[HEALTH])
    return {**health, FINAL: final}


def _write_health(health: Mapping[str, Health], path: Path) -> None:
    """Write ``health.tsv``: ``tower``, then the fields of `Health`."""
    rows = [{"tower": name, **entry.to_dict()} for name, entry in health.items()]
    write_tsv(pd.DataFrame(rows), path)


def health_notes(result: CrossValidationResult, folder: Path) -> list[str]:
    """Sentences on the towers that failed in training, and on a saved model of trees alone.

    Args:
        result: of the cross-validation.
        folder: the run folder, with the saved model.
    """
    header = read_header(folder / "model", FORMAT, (FORMAT_VERSION,))
    final = Health.from_dict(header[HEALTH])
    notes = []
    for name, health in health_of(result, final).items():
        where = f"the {name}" if name == FINAL else name
        notes.append(health_sentence(where, health))
    if final.has_failed:
        notes.append(f"The saved model carries this verdict; its parts: {header[ANSWERED_BY]}.")
    elif header[ANSWERED_BY] == BY_TREES:
        notes.append(f"Saved model: {model_warning(header)}")
    return [note for note in notes if note]


def gap_notes(result: CrossValidationResult) -> list[str]:
    """Sentences on compartments that the training RNAs of some fold cannot teach."""
    gaps = fold_gaps(result.labels, result.compartments, result.folds, result.index)
    return gap_sentences(gaps)


def model_notes(result: CrossValidationResult) -> list[str]:
    """Sentence on the weight of the trees in the model; none for a tower alone."""
    if not any(fold.choices["weight"] for fold in result.results):
        return []
    weights = ", ".join(f"{fold.choices['weight']:g}" for fold in result.results)
    note = (
        f"The model blends `{TOWER}` and `{DESCRIPTORS}`; weight of the trees per fold: {weights}."
    )
    if DESCRIPTORS in parts_of_model(result):
        note = (
            "The selected weight of the trees is 1 in every fold: the predictions of the model "
            f"are those of `{DESCRIPTORS}`."
        )
    return [note]


def write_seq_report(
    work: Work,
    result: CrossValidationResult,
    name: str,
    health: Mapping[str, Health],
    *,
    synthetic: bool = False,
) -> None:
    """Write ``report.md``.

    Args:
        work: of the run, whose folder holds the saved model.
        result: of the cross-validation.
        name: of the data.
        health: of `health_of`.
        synthetic: the data are synthetic.
    """
    set_text = ""
    if work.data.sets is not None:
        sentences = bullets(find_conflicts(work.data).sentences())
        about = f"RNAs of equal sequence or id are the same; each conflict is in {CONFLICTS}."
        set_text = join_blocks(
            section("Conflicts between sets", sentences, about),
            set_section(by_set(work.data, result)),
        )
    baselines = comparison_table(result)
    config = work.config
    text = page(
        f"Run on {name}: tower {config.tower.name}, seed {config.seed}",
        "\n".join(_data_lines(work)),
        bullets([*gap_notes(result), *health_notes(result, work.folder)]),
        metric_section(result),
        baseline_section(baselines, model_notes(result), parts_of_model(result)),
        set_text,
        _training_section(result, health),
        synthetic=synthetic,
    )
    write_text(work.folder / "report.md", text)


def _training_section(result: CrossValidationResult, health: Mapping[str, Health]) -> str:
    """The section on epochs, time and health of every tower."""
    folds = {f"fold {fold.fold}": fold for fold in result.results}
    rows = []
    for name, entry in health.items():
        fold = folds.get(name)
        cells = ["-", "-"]
        if fold is not None:
            cells = [str(fold.choices["epochs"]), f"{fold.seconds:.0f}"]
        tried = "twice" if entry.retried else "once"
        status = entry.status.upper() if entry.has_failed else entry.status
        numbers = [finite_or_dash(entry.sd, 4), finite_or_dash(entry.score)]
        rows.append([name, str(entry.best_epoch), *cells, status, *numbers, tried])
    score = "Pearson" if result.kind == FRACTIONS else "AUC"
    header = ["tower", "best epoch", "epochs", "seconds", "health", "SD", f"training {score}"]
    about = (
        "SD: of the predictions over the validation RNAs, the largest of the compartments. "
        f"Training {score}: mean over compartments on the RNAs trained on, at most {MOST_SCORED}. "
        f"A tower fails with an SD below {LEAST_SD:g}, a training AUC below {LEAST_AUC:g} (Pearson "
        f"below {LEAST_PEARSON:g}), or its best epoch the first; it is then trained again with "
        f"{RETRY_SHARE:g} of the learning rate."
    )
    return section("Training", table([*header, "trained"], rows), about)


def _data_lines(work: Work) -> list[str]:
    """Sentences on the sequences, their groups and what the model reads."""
    data = work.data
    config = work.config
    lengths = data.lengths
    sizes = np.bincount(work.groups)
    n_joined = int((sizes > 1).sum())
    median = int(np.median(lengths))
    lines = [
        f"{len(data)} RNAs of {lengths.min()} to {lengths.max()} nt (median {median}), "
        f"{work.folds.n_folds} folds.",
        f"Groups kept in one fold (`{config.group}`): {len(sizes)}, of which {n_joined} have two "
        f"RNAs or more (largest: {sizes.max()}).",
        f"{len(data.left_out)} ids were left out (left_out.tsv).",
    ]
    if data.types is not None:
        counts = ", ".join(f"{data.types.count(t)} {t}" for t in vocabulary(data.types))
        lines.append(f"Tower and baselines are conditioned on the types of RNAs: {counts}.")
    if work.pretrained is not None:
        lines.extend(start_sentences(work.pretrained, data, config.pretrained))
    part = kept_part(config.lengths)
    if part:
        lines.append(
            f"Of a longer RNA the tower reads {part} (`lengths`){_share_read(lengths, config)}. "
            "Baselines and trees read whole RNAs."
        )
    n_long = read_in_windows(data.sequences, config)
    if n_long:
        longest = longest_at_once(config.encoder.settings, config.training.batch_tokens)
        lines.append(f"{n_long} RNAs are longer than {longest} nt: they were read in windows.")
    return lines


def _share_read(lengths: np.ndarray, config: SeqConfig) -> str:
    """How many RNAs are cut; empty where the length is measured anew in each training part."""
    if config.lengths.measure:
        return ""
    read = np.minimum(lengths, config.lengths.length)
    n_cut = int((read < lengths).sum())
    return f": {n_cut} of {len(lengths)} are cut, {read.sum() / lengths.sum():.0%} of all nt read"
