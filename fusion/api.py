"""The commands as Python functions: cross-validate, fit, predict, explain, baselines."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from fusion.baselines.models import BASELINES, baseline_names
from fusion.baselines.run import baseline_table, run_baselines
from fusion.config import ExperimentConfig, FoldSettings, TokenSettings, experiment_config
from fusion.data.inputs import FusionData
from fusion.data.prepare import prepare, resolve_tokens, with_baselines
from fusion.data.rna_sets import RnaSets, folds_of, prepare_all, read_rna_sets
from fusion.experiments import cross_validate as experiment
from fusion.experiments.repeats import keeps_first_seed, repeat_run
from fusion.experiments.train import fit_final, run_experiment
from fusion.explain.result import Explanation
from fusion.explain.run import explain_query, name_queries, sequence_queries
from fusion.export.load import Model, load
from fusion.models.predict import (
    Predictions,
    predict_names,
    predict_reference,
    predict_sequences,
    predict_with_tower,
)
from fusion.models.saved import SavedModel, load_model
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.evaluation.splits import Folds
from mirnagraph.io import check_nucleotides, check_output_folder, to_rna
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import Progress
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.table import read_typed
from mirnagraph.runs.report import TABLE, summary_table
from mirnagraph.runs.results import CrossValidationResult, empty_result
from mirnagraph.sources.fasta import read_fasta
from mirnagraph.sources.name_list import read_name_list
from seqtower.data.sequences import the_type
from seqtower.saved import SavedTower

Sets: TypeAlias = str | Path | RnaSets | None

FIXED = ("preset", "source", "folds")
"""Fields of `ExperimentConfig` that are no table of settings."""


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """Result of `train_run`.

    Attributes:
        folder: run folder.
        result: cross-validation of the first seed; None where a finished run was kept.
        over_seeds: mean and SD over seeds (see `fusion.experiments.repeats.repeat_run`); None for
            one seed.
        n_seeds: number of seeds.
        baselines: as of `baselines`; None where none were fitted.
    """

    folder: Path
    result: CrossValidationResult | None
    over_seeds: pd.DataFrame | None
    n_seeds: int
    baselines: pd.DataFrame | None


@checked
def settings_of(
    preset: str | ExperimentConfig = "default", config: str | Path | None = None, **settings: Any
) -> ExperimentConfig:
    """Resolve settings in the order preset < file < arguments.

    Args:
        preset: name of a preset, or a complete configuration (of another call, or
            `SavedModel.config`), which takes neither `config` nor further settings.
        config: TOML file, as of ``mirnagraph train --config``.
        settings: ``seed``; fields of `FoldSettings` (``n_folds``, ``split``, ``rnas`` …); tables of
            settings as mappings.

    Raises:
        ConfigError: an unknown preset or setting (with the nearest name), or a value out of range.
        InputError: `config` is missing or no TOML.

    Example:
        >>> settings_of("gtmaloc", n_folds=5, trees={"n_trees": 100}).folds.n_folds
        5
    """
    if isinstance(preset, ExperimentConfig):
        if config is not None or settings:
            raise ConfigError(
                "`preset` is a complete configuration; do not pass `config` or further settings"
            )
        return preset
    fold_settings = [item.name for item in fields(FoldSettings)]
    tables = [item.name for item in fields(ExperimentConfig) if item.name not in FIXED]
    over = {}
    folds: dict[str, Any] = {}
    for name, value in settings.items():
        if name in fold_settings:
            folds[name] = str(value) if isinstance(value, Path) else value
        elif name in tables:
            over[name] = dict(value) if isinstance(value, Mapping) else value
        else:
            known = [*fold_settings, *tables]
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"unknown setting {name!r}; {hint}")
    return experiment_config(preset, config, over={**over, "folds": folds})


@checked
def cross_validate(
    networks: NetworkSet,
    preset: str | ExperimentConfig = "default",
    *,
    sets: Sets = None,
    config: str | Path | None = None,
    cache: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    **settings: Any,
) -> CrossValidationResult:
    """Cross-validate a model on networks, without writing a run folder.

    Every RNA gets an out-of-fold prediction. `train_run` and ``mirnagraph train`` write a run.

    Args:
        networks: of `mirnagraph.build_networks`, or loaded by `NetworkSet.load`.
        preset: see `settings_of`.
        config: see `settings_of`.
        **settings: see `settings_of`.
        sets: labelled sets of other RNAs for joint training: TOML file (see
            `fusion.data.rna_sets.read_rna_sets`) or what was read from it. The preset ``"default"``
            then stands for ``"unified"``.
        cache: folder of embeddings, shared between calls; None computes them anew.
        workers: number of processes; results do not depend on it.
        progress: called with the name of a step, the number of parts done, and of all parts.

    Returns:
        Out-of-fold predictions, labels, folds and metrics.

    Raises:
        ConfigError: see `settings_of`; folds or tokens that the data do not allow.
        InputError: `sets` is malformed.

    Example:
        >>> networks = mirnagraph.build_networks(mirnagraph.demo_dataset())
        >>> result = mirnagraph.cross_validate(networks, n_folds=5)
        >>> mirnagraph.summary(result)
    """
    resolved = settings_of(_joint_preset(preset, sets), config, **settings)
    data, folds, resolved = _prepared(networks, resolved, sets, cache, workers, progress)
    return experiment.cross_validate(data, folds, resolved, workers=workers, progress=progress)


@checked
def train_run(  # noqa: PLR0913  options of the command
    networks: NetworkSet,
    config: ExperimentConfig,
    out: str | Path,
    *,
    repeats: int = 1,
    rna_sets: RnaSets | None = None,
    baselines: bool = True,
    cache: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> TrainedRun:
    """Cross-validate and fit a model into a run folder, over several seeds if wanted.

    Args:
        networks: as of `cross_validate`.
        cache: as of `cross_validate`.
        workers: as of `cross_validate`.
        progress: as of `cross_validate`.
        config: complete settings; its seed is the first of the repeats.
        out: run folder; an unfinished run of the same settings and data in it resumes.
        repeats: number of seeds.
        rna_sets: additional RNA sets for joint training.
        baselines: also fit the baselines; without effect with `rna_sets`.
        overwrite: replace another or a finished run, once the new one is whole.
        resume: keep a finished run of the same settings and data.

    Raises:
        ConfigError: folds or tokens that the data do not allow.
        InputError: the run folder is not empty, and holds no run of these settings and data.
    """
    if repeats > 1 and keeps_first_seed(out, config.seed, repeats, overwrite=overwrite):
        resume = True
    result, run = run_experiment(
        networks,
        config,
        out,
        cache=cache,
        workers=workers,
        overwrite=overwrite,
        resume=resume,
        baselines=baselines,
        rna_sets=rna_sets,
        progress=progress,
    )
    over_seeds = None
    if repeats > 1:
        over_seeds = repeat_run(
            networks, config, run.path, repeats, cache=cache, workers=workers, progress=progress
        )
    table = None
    if result is not None and baselines and rna_sets is None:
        table = read_typed(run.path / TABLE)
    return TrainedRun(run.path, result, over_seeds, repeats, table)


@checked
def fit(  # noqa: PLR0913  options of the command
    networks: NetworkSet,
    preset: str | ExperimentConfig = "default",
    *,
    cross_validation: CrossValidationResult | None = None,
    folder: str | Path | None = None,
    sets: Sets = None,
    config: str | Path | None = None,
    cache: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    **settings: Any,
) -> SavedModel:
    """Fit a model on all RNAs of the protocol, with its cold-start model for new RNAs.

    Args:
        networks: as of `cross_validate`.
        preset: as of `cross_validate`.
        sets: as of `cross_validate`.
        config: as of `cross_validate`.
        cache: as of `cross_validate`.
        workers: as of `cross_validate`.
        progress: as of `cross_validate`.
        **settings: as of `cross_validate`.
        cross_validation: of the same networks and settings. With it, `predict` returns the
            out-of-fold predictions of the reference RNAs; without it, those of the fitted model,
            with a warning that it trained on their labels.
        folder: model folder to write, for `load`; None writes none.

    Raises:
        ConfigError: see `settings_of`; folds or tokens that the data do not allow; a
            cross-validation of other RNAs, compartments or folds.
        InputError: `folder` is not empty.
    """
    if folder is not None:
        check_output_folder(folder)
    resolved = settings_of(_joint_preset(preset, sets), config, **settings)
    data, folds, resolved = _prepared(networks, resolved, sets, cache, workers, progress)
    result = cross_validation
    if result is None:
        result = empty_result(data.index, data.compartments, folds, data.labels)
    if (result.index, result.compartments) != (data.index, data.compartments):
        raise ConfigError(
            "the cross-validation is of other RNAs or compartments than these networks"
        )
    if not result.folds.assigned.equals(folds.assigned):
        raise ConfigError(
            "the cross-validation has other folds than these settings give: use the same settings "
            "and seed for both"
        )
    with tempfile.TemporaryDirectory(prefix="mirnagraph-") as temporary:
        target = Path(folder) if folder is not None else Path(temporary) / "model"
        fit_final(data, folds, resolved, target, result, progress=progress)
        return load_model(target)


@checked
def predict(
    model: Model | str | Path,
    names: str | Iterable[str] | None = None,
    *,
    sequences: Mapping[str, str] | None = None,
    fasta: str | Path | None = None,
    iupac: str = "error",
    rna_type: str | None = None,
    strict: bool = False,
    workers: int = 1,
) -> Predictions:
    """Predict the compartments of RNAs, as ``mirnagraph predict`` does.

    Without names, sequences and file all reference RNAs are predicted.

    Args:
        model: of `fit` or `load`, or a path that `load` takes.
        names: one or several, of any kind: ids of reference RNAs; with a dataset of miRNAs also
            names and accessions of miRBase, predicted from their sequence where these are new.
        sequences: name -> sequence of ACGTUN, of reference or new RNAs.
        fasta: FASTA file of reference or new RNAs.
        iupac: ambiguous nucleotides of the file: ``"error"``, or ``"n"`` to read them as N.
        rna_type: of all new RNAs, for a sequence tower conditioned on the RNA type, or a model of
            ``mirnagraph train --sets``.
        strict: raise for names without an answer, all at once; else they are rows of NaN with the
            reason as their warning.
        workers: number of threads; results do not depend on it.

    Returns:
        Probabilities, uncertainty, calls and the origin of each prediction, in the order given.

    Raises:
        ConfigError: more than one of names, sequences and file; an unknown RNA type; no sequences
            for a sequence tower.
        InputError: a letter that is no nucleotide, an empty sequence, or a malformed file; with
            `strict`, names without an answer.
        CheckpointError: see `load`.

    Example:
        >>> model = mirnagraph.load("runs/mine")
        >>> mirnagraph.predict(model, "hsa-mir-21").to_frame()
        >>> mirnagraph.predict(model, sequences={"mine": "UAGCUUAUCAGACUG"})
    """
    if sum(given is not None for given in (names, sequences, fasta)) > 1:
        raise ConfigError("names, sequences and a FASTA file exclude each other: give one of them")
    opened = _opened(model)
    ids, letters = _sequences(sequences, fasta, iupac)
    if isinstance(opened, SavedTower):
        if ids is None:
            raise ConfigError(
                "a sequence tower has no reference RNAs: pass sequences with --fasta (in Python "
                "also sequences=…)"
            )
        tower = opened if rna_type is None else opened.of_type(rna_type)
        return predict_with_tower(tower, ids, letters)
    if rna_type is not None:
        has_types = opened.reference is not None and opened.reference.types is not None
        if ids is None or not has_types:
            raise ConfigError(
                "--rna-type is for new sequences and models of several RNA types (`seq train`, "
                "`train --sets`)"
            )
        rna_type = the_type(rna_type)
    if ids is not None:
        return predict_sequences(opened, ids, letters, rna_type=rna_type, workers=workers)
    if names is not None:
        several = [names] if isinstance(names, str) else list(names)
        return predict_names(opened, several, strict=strict, workers=workers)
    n_reference = 0 if opened.reference is None else len(opened.reference.index)
    return predict_reference(opened, np.arange(n_reference))


@checked
def explain(
    model: Model | str | Path,
    rna: str,
    compartments: str | Iterable[str] = (),
    *,
    sequence: str | None = None,
    rna_type: str | None = None,
    networks: NetworkSet | None = None,
    workers: int = 1,
) -> Explanation:
    """Explain the prediction of one RNA, as ``mirnagraph explain`` does.

    Args:
        model: of `fit` or `load`, fitted on networks, or a path that `load` takes.
        rna: name of a reference RNA or a hairpin of miRBase; any name with `sequence`.
        compartments: one or several names; empty for those called, or the most probable.
        sequence: of a new RNA, of ACGTUN. A sequence equal to that of a reference RNA is explained
            as that RNA.
        rna_type: of a new RNA, as of `predict`.
        networks: those the model was trained on, for supporting partners and neighbours; None
            leaves these out.
        workers: number of threads; results do not depend on it.

    Raises:
        ConfigError: an unknown compartment (with the nearest names), or a sequence tower, which
            `seqtower.interpret.report` explains.
        CheckpointError: see `load`; networks of other RNAs than the model's.
        InputError: an unknown RNA, a letter that is no nucleotide, or an empty sequence.
    """
    opened = _opened(model)
    if isinstance(opened, SavedTower):
        raise ConfigError("a sequence tower is explained by `mirnagraph seq explain`")
    if opened.reference is None:
        raise CheckpointError("the model has no reference RNAs")
    if networks is not None and networks.dataset.index != opened.reference.of_networks().index:
        raise CheckpointError("the networks hold other RNAs than the model's")
    if sequence is None:
        query = name_queries(opened, [rna])[0]
    else:
        _, letters = _sequences({rna: sequence}, None, "error")
        query = sequence_queries(opened, [rna], letters, rna_type)[0]
    names = [compartments] if isinstance(compartments, str) else list(compartments)
    return explain_query(opened, query, names, networks, rna_type=rna_type, workers=workers)


@checked
def baselines(
    networks: NetworkSet,
    cross_validation: CrossValidationResult,
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Cross-validate simpler models on the folds of a cross-validation.

    Args:
        networks: those of the cross-validation.
        cross_validation: not of a cold start, whose masked associations these baselines read.
        names: of `fusion.baselines.models.BASELINES`; None for those of a run.
        seed: as of the cross-validation.
        workers: as of `cross_validate`.
        progress: as of `cross_validate`.

    Returns:
        The row of the model, then one per baseline; columns ``model``, ``AUC``, ``AUC_sd`` …
        ``within``, ``what`` (see `fusion.baselines.run.baseline_table`).

    Raises:
        ConfigError: an unknown baseline.
    """
    names = baseline_names() if names is None else names
    for name in names:
        BASELINES.check(name)
    # Baselines make their own features; of the data they take labels, families and row order.
    data = prepare(networks, ExperimentConfig(TokenSettings(attention=("kmer",))))
    results = run_baselines(
        with_baselines(data, networks),
        cross_validation.folds,
        seed,
        names=names,
        workers=workers,
        progress=progress,
    )
    return baseline_table(results, cross_validation)


@checked
def summary(cross_validation: CrossValidationResult) -> pd.DataFrame:
    """Tabulate AUC, AUPR, F1 and MCC of a cross-validation.

    Returns:
        One row per compartment and one for the average; per metric the columns ``mean`` and ``sd``
        over folds, and ``pooled`` over all RNAs, e.g. ``AUC mean``.
    """
    return summary_table(cross_validation.metrics, cross_validation.compartments)


@checked
def read_names(path: str | Path) -> list[str]:
    """Read the names of RNAs from the first column of a table, as ``mirnagraph predict --ids``.

    Raises:
        InputError: see `mirnagraph.sources.name_list.read_name_list`.
    """
    return read_name_list(path)


def _opened(model: Model | str | Path) -> Model:
    return load(model) if isinstance(model, str | Path) else model


def _joint_preset(preset: str | ExperimentConfig, sets: Sets) -> str | ExperimentConfig:
    """The preset, `unified` for the default one where there are additional RNA sets."""
    return "unified" if sets is not None and preset == "default" else preset


def _prepared(
    networks: NetworkSet,
    config: ExperimentConfig,
    sets: Sets,
    cache: str | Path | None,
    workers: int,
    progress: Progress | None,
) -> tuple[FusionData, Folds, ExperimentConfig]:
    """Data, folds and settings with resolved tokens."""
    config = resolve_tokens(networks, config, sets=sets is not None)
    if isinstance(sets, str | Path):
        sets = read_rna_sets(sets, networks.dataset)
    data = prepare_all(networks, config, sets, cache=cache, workers=workers, progress=progress)
    return data, folds_of(networks.dataset, config, sets), config


def _sequences(
    sequences: Mapping[str, str] | None, fasta: str | Path | None, iupac: str
) -> tuple[list[str] | None, list[str]]:
    """Ids and checked sequences of ACGUN; None and an empty list where none are given."""
    if fasta is not None:
        records = read_fasta(fasta, iupac=iupac)
        return list(records["id"]), list(records["sequence"])
    if sequences is None:
        return None, []
    letters = [to_rna(text) for text in sequences.values()]
    for name, text in zip(sequences, letters, strict=True):
        check_nucleotides(text, rna_id=str(name))
    return [str(name) for name in sequences], letters
