"""The commands as Python: cross-validate, fit, predict and compare, each one call with a typed result; `mirnagraph` offers them by name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusion.baselines.models import BASELINES
from fusion.baselines.run import baseline_table, run_baselines
from fusion.config import ExperimentConfig, FoldSettings, TokenSettings, experiment_config
from fusion.data.problem import prepare, resolve_tokens
from fusion.data.rna_sets import RnaSets, folds_of, prepare_all, read_rna_sets
from fusion.experiments import cross_validate as experiment
from fusion.experiments.train import fit_final
from fusion.export.load import Model, load
from fusion.models.predict import (
    Predictions,
    exact_matches,
    predict_reference,
    predict_sequences,
    predict_with_tower,
    resolve_names,
)
from fusion.models.saved import SavedModel, load_model
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.io import check_nucleotides, check_output_folder, to_rna
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import Progress
from mirnagraph.runs.report import summary_table
from mirnagraph.runs.results import CrossValidationResult, empty_result
from mirnagraph.sources.fasta import read_fasta
from seqtower.data.sequences import the_type
from seqtower.saved import SavedTower

if TYPE_CHECKING:
    from fusion.explain.result import Explanation

FIXED = ("preset", "source", "folds")


def settings_of(
    preset: str | ExperimentConfig = "default", config: str | Path | None = None, **settings: Any
) -> ExperimentConfig:
    """Settings as the functions here take them, in the order preset < file < arguments.

    Args:
        preset: name, or settings that are complete already (of another call, of `SavedModel.config`), beside which nothing else is taken.
        config: TOML file, as of `mirnagraph train --config`.
        settings: ``seed``; fields of `FoldSettings` (``n_folds``, ``split``, ``rnas`` …); tables of settings as mappings, e.g. ``trees={"n_trees": 100}``.

    Raises:
        ConfigError: an unknown preset or setting (with the nearest name), or a value that cannot be. InputError: a file that is no TOML.
    """
    if isinstance(preset, ExperimentConfig):
        if config is not None or settings:
            raise ConfigError("complete settings were given, and beside them nothing else is taken")
        return preset
    of_folds = [f.name for f in fields(FoldSettings)]
    tables = [f.name for f in fields(ExperimentConfig) if f.name not in FIXED]
    wrong = next((name for name in settings if name not in (*of_folds, *tables)), None)
    if wrong is not None:
        near = get_close_matches(wrong, [*of_folds, *tables], n=1)
        raise ConfigError(
            f"unknown setting {wrong!r}; "
            + (
                f"did you mean {near[0]!r}?"
                if near
                else f"known: {', '.join([*of_folds, *tables])}"
            )
        )
    over: dict[str, Any] = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if name in tables
    }
    folds = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in settings.items()
        if name in of_folds
    }
    return experiment_config(preset, config, over={**over, "folds": folds})


def cross_validate(
    networks: NetworkSet,
    preset: str | ExperimentConfig = "default",
    *,
    sets: str | Path | RnaSets | None = None,
    config: str | Path | None = None,
    cache: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    **settings: Any,
) -> CrossValidationResult:
    """Predict every RNA by a model that did not train on it; nothing is written (`mirnagraph train` and `fusion.experiments.train.run_experiment` keep a run).

    Args:
        preset, config, settings: see `settings_of`.
        sets: labelled RNAs of other types, which learn in one model with those of the networks: TOML file (see `fusion.data.rna_sets.read_rna_sets`), or read before;
            the preset is then ``"unified"`` where none is named.
        cache: folder for embeddings, which another call then need not make again.
        workers: processes; changes no number.
        progress: called with the name of a step, how much is done, and of how much.

    Raises:
        ConfigError: see `settings_of`; folds or tokens that the data do not allow.
    """
    chosen, rna_sets = _settings_and_rna_sets(networks, preset, sets, config, settings)
    data = prepare_all(networks, chosen, rna_sets, cache=cache, workers=workers, progress=progress)
    folds = folds_of(networks.dataset, chosen, rna_sets)
    return experiment.cross_validate(data, folds, chosen, workers=workers, progress=progress)


def fit(
    networks: NetworkSet,
    preset: str | ExperimentConfig = "default",
    *,
    cross_validation: CrossValidationResult | None = None,
    folder: str | Path | None = None,
    sets: str | Path | RnaSets | None = None,
    config: str | Path | None = None,
    cache: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    **settings: Any,
) -> SavedModel:
    """Fit one model on all RNAs of the protocol, with the one for new RNAs beside it.

    Args:
        preset, sets, config, settings, cache, workers, progress: as of `cross_validate`.
        cross_validation: of the same networks and settings. With it the model answers for RNAs that a fold tested as `mirnagraph predict` does, by the model
            that did not train on them; without it by itself, and says in a warning that it learned from their own label.
        folder: model folder to write, which `load` opens; None keeps none.

    Raises:
        ConfigError: see `settings_of`; folds or tokens that the data do not allow; a cross-validation of other RNAs. InputError: the folder holds something.
    """
    if folder is not None:
        check_output_folder(folder)
    chosen, rna_sets = _settings_and_rna_sets(networks, preset, sets, config, settings)
    data = prepare_all(networks, chosen, rna_sets, cache=cache, workers=workers, progress=progress)
    folds = folds_of(networks.dataset, chosen, rna_sets)
    if cross_validation is None:
        result = empty_result(data.index, data.compartments, folds, data.labels)
    elif (cross_validation.index, cross_validation.compartments) != (
        data.index,
        data.compartments,
    ):
        raise ConfigError(
            "the cross-validation is of other RNAs or compartments than these networks"
        )
    elif not cross_validation.folds.assigned.equals(folds.assigned):
        raise ConfigError(
            "the cross-validation has other folds than these settings give: use the same settings and seed for both"
        )
    else:
        result = cross_validation
    with tempfile.TemporaryDirectory(prefix="mirnagraph-") as place:
        target = Path(folder) if folder is not None else Path(place) / "model"
        fit_final(
            networks, data, folds, chosen, target, result, rna_sets=rna_sets, progress=progress
        )
        return load_model(target)


def predict(
    model: Model | str | Path,
    names: str | Iterable[str] | None = None,
    *,
    sequences: Mapping[str, str] | None = None,
    fasta: str | Path | None = None,
    iupac: str = "error",
    rna_type: str | None = None,
    workers: int = 1,
) -> Predictions:
    """Say in which compartments RNAs sit, as `mirnagraph predict` does.

    Args:
        model: of `fit` or `load`, or what `load` takes.
        names: of RNAs that the model knows; one, or several.
        sequences: name -> sequence, known or new, of ACGTUN.
        fasta: file of such. Without names, sequences and file: all RNAs that the model knows.
        iupac: letters of several bases in the file: ``"error"``, or ``"n"`` to read them as N.
        rna_type: of all new RNAs, for a sequence tower that was told types, or a model of `mirnagraph train --sets`.
        workers: threads; changes no number.

    Raises:
        ConfigError: more than one of names, sequences and file; a name that the model does not know; none for a model of sequences.
        InputError: a letter that is no base, an empty sequence, or a file that is no FASTA. CheckpointError: see `load`.
    """
    if sum(given is not None for given in (names, sequences, fasta)) > 1:
        raise ConfigError("names, sequences and a FASTA file exclude each other: give one of them")
    opened = load(model) if isinstance(model, str | Path) else model
    ids, letters = _sequences(sequences, fasta, iupac)
    if isinstance(opened, SavedTower):
        if ids is None:
            raise ConfigError(
                "this is a model of sequences: it knows no RNA by name, give --fasta (in Python also sequences=…)"
            )
        return predict_with_tower(
            opened if rna_type is None else opened.of_type(rna_type), ids, letters
        )
    if rna_type is not None and (
        opened.reference is None or opened.reference.types is None or ids is None
    ):
        raise ConfigError(
            "a type of RNA (--rna-type) is for new sequences and models of several types: `seq train`, or `train --sets`"
        )
    if ids is not None:
        return predict_sequences(
            opened,
            ids,
            letters,
            rna_type=None if rna_type is None else the_type(rna_type),
            workers=workers,
        )
    if names is not None:
        return predict_reference(
            opened, resolve_names(opened, [names] if isinstance(names, str) else list(names))
        )
    return predict_reference(
        opened, np.arange(len(opened.reference.index) if opened.reference is not None else 0)
    )


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
    """Say what an answer rests on, as `mirnagraph explain` does.

    Args:
        model: of `fit` or `load` (of networks), or what `load` takes.
        rna: name of an RNA that the model knows; of a new one with `sequence`, any name.
        rna_type: of a new one, for a model that learned of sets of other RNAs (see `predict`).
        compartments: one or several; without them those that are called, or the most probable.
        networks: those the model was trained on, for the partners and neighbours that carry the answer; left out without them.

    Raises:
        ConfigError: an RNA or compartment that the model does not know (with the nearest names), or a model of sequences, which
            `seqtower.interpret.report` explains. CheckpointError: see `load`; networks of other RNAs than the model's. InputError: a letter that is no base.
    """
    from fusion.explain.explain import explain_reference, explain_sequence, named_compartments

    opened = load(model) if isinstance(model, str | Path) else model
    if isinstance(opened, SavedTower):
        raise ConfigError(
            "this is a model of sequences: `mirnagraph seq explain` says why it answers"
        )
    if opened.reference is None:
        raise CheckpointError("the model does not say which RNAs it knows")
    if networks is not None and networks.dataset.index != opened.reference.network_rows().index:
        raise CheckpointError("these networks are of other RNAs than the model's")
    columns = named_compartments(
        opened, [compartments] if isinstance(compartments, str) else list(compartments)
    )
    if sequence is None:
        return explain_reference(
            opened, int(resolve_names(opened, [rna])[0]), columns, networks, workers=workers
        )
    letters = _sequences({rna: sequence}, None, "error")[1][0]
    row = exact_matches(opened.reference, rna_type).get(
        letters
    )  # answered as that RNA, hence explained as that RNA
    if row is not None:
        return explain_reference(opened, row, columns, networks, name=rna, workers=workers)
    return explain_sequence(opened, rna, letters, columns, rna_type=rna_type, workers=workers)


def baselines(
    networks: NetworkSet,
    cross_validation: CrossValidationResult,
    *,
    names: Sequence[str] = tuple(BASELINES),
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """What simpler models reach on the same folds: the model's own row first, then one per baseline.

    Args:
        cross_validation: of these networks; not one whose folds are cold, of which these baselines would see more than the model did.
        names: which (see `fusion.baselines.models.BASELINES`).
        seed: as of the cross-validation.

    Returns:
        Columns ``model``, ``AUC``, ``AUC_sd`` … ``within``, ``what`` (see `fusion.baselines.run.baseline_table`).
    """
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise ConfigError(f"no baseline {unknown[0]!r}; there are {', '.join(BASELINES)}")
    # baselines bring their own features: the problem lends them labels, families and row order
    data = prepare(networks, ExperimentConfig(TokenSettings(attention=("degree",))))
    found = run_baselines(
        networks,
        data,
        cross_validation.folds,
        seed,
        names=names,
        workers=workers,
        progress=progress,
    )
    return baseline_table(found, cross_validation)


def summary(cross_validation: CrossValidationResult) -> pd.DataFrame:
    """Mean, SD over folds and pooled value of AUC, AUPR, F1 and MCC: one row per compartment and one for the average."""
    return summary_table(cross_validation.metrics, cross_validation.compartments)


def _settings_and_rna_sets(
    networks: NetworkSet,
    preset: str | ExperimentConfig,
    sets: str | Path | RnaSets | None,
    config: str | Path | None,
    settings: Mapping[str, Any],
) -> tuple[ExperimentConfig, RnaSets | None]:
    chosen = settings_of(
        "unified" if sets is not None and preset == "default" else preset, config, **settings
    )
    resolved = resolve_tokens(networks, chosen, sets=sets is not None)
    return resolved, read_rna_sets(sets, networks.dataset) if isinstance(sets, str | Path) else sets


def _sequences(
    sequences: Mapping[str, str] | None, fasta: str | Path | None, iupac: str
) -> tuple[list[str] | None, list[str]]:
    """Ids and sequences, checked; None where none are given."""
    if fasta is not None:
        records = read_fasta(fasta, iupac=iupac)
        return list(records["id"]), list(records["sequence"])
    if sequences is None:
        return None, []
    letters = [to_rna(text) for text in sequences.values()]
    for name, text in zip(sequences, letters, strict=True):
        check_nucleotides(text, rna_id=str(name))
    return [str(name) for name in sequences], letters
