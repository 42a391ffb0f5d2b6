"""Pre-training of a tower on labelled sets, for transfer to a target set that it never reads.

One tower learns all sets at once. Each set has outputs of its own, ``SET:COMPARTMENT``, and the
labels of other sets are missing there, so that nothing is assumed of compartments of one name. RNAs
of the target, their near-copies and other transcripts of their genes are cut before anything is
fitted: one pre-training then serves every fold of the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from mirnagraph.config import dump_toml, require
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.evaluation.scores import auc, aupr
from mirnagraph.evaluation.splits import inner_split
from mirnagraph.io import write_tsv
from mirnagraph.parallel import Progress, one_thread, report
from mirnagraph.runs.folder import RunFolder, run_or_resume
from mirnagraph.seeds import child_seed
from mirnagraph.writing.contents import SEQ_PRETRAIN_RUN
from mirnagraph.writing.folders import remove_folder
from seqtower.config import SeqConfig
from seqtower.data.clusters import cluster
from seqtower.data.sequences import SequenceSet, sequences_sha256
from seqtower.encoders.base import ENCODERS, check_encoder, fit_encoding, warm_up
from seqtower.encoders.whole import fit_whole, whole_numbers
from seqtower.pretraining.checkpoint import TOWER_FOLDER, save_pretrained_tower
from seqtower.pretraining.target import Cut, Target, digests, set_fingerprint, source_genes
from seqtower.retry import CheckedTower, train_checked
from seqtower.training.health import HEALTH

METRICS = "figures.tsv"
CUT = "cut.tsv"
RNAS = "rnas.tsv"
CHECKPOINTS = "checkpoints"

TRAIN = "train"
VALIDATION = "validation"

STEP = "pre-training"


@dataclass(frozen=True)
class TransferConfig:
    """How a tower is pre-trained on labelled sets.

    Attributes:
        types: RNAs are described with their types, so that a circRNA is read as a circle; has to be
            as in the training that follows. The tower itself is not conditioned on the type.
        model: tower, seed, `training` and `group`: ``"cluster"`` keeps near-duplicates on one side
            of the validation split, ``"none"`` does not; transcripts of one gene always stay on
            one side. ``inner_fraction`` is the share of the validation split.
    """

    types: bool = False
    model: SeqConfig = field(default_factory=SeqConfig)

    def __post_init__(self) -> None:
        require(
            self.model.group in ("cluster", "none"),
            "group",
            self.model.group,
            "'cluster' or 'none': genes, the groups of the sets, are kept whole anyway",
        )
        require(
            not self.model.pretrained,
            "pretrained",
            self.model.pretrained,
            "nothing: pre-training starts from random weights",
        )


def own_outputs(data: SequenceSet) -> tuple[SequenceSet, list[str]]:
    """Give each set outputs of its own, and drop those that teach nothing.

    Args:
        data: of `seqtower.data.sets.read_sets`, whose sets share compartments of one name.

    Returns:
        The RNAs with a label of some output left, compartments named ``SET:COMPARTMENT``, NaN for
        RNAs of other sets; and a sentence on each output that was dropped.

    Raises:
        InputError: no set has a compartment whose labels differ between its RNAs.
    """
    sets = np.array(data.sets, dtype=object)
    columns = []
    names = []
    notes = []
    for name in dict.fromkeys(data.sets or ()):
        rows = np.flatnonzero(sets == name)
        for column in np.flatnonzero((~np.isnan(data.labels[rows])).any(axis=0)).tolist():
            values = np.full(len(data), np.nan)
            values[rows] = data.labels[rows, column]
            output = f"{name}:{data.compartments[column]}"
            if len(np.unique(values[~np.isnan(values)])) < 2:
                notes.append(f"{output} is left out: all of its RNAs have the same label.")
                continue
            names.append(output)
            columns.append(values)
    if not columns:
        raise InputError(
            "no labelled set is left to pre-train on",
            found=f"{len(data)} RNAs that are not of the target",
            expected="a set with a compartment whose labels differ between its RNAs",
        )
    joined = replace(data, labels=np.stack(columns, axis=1), compartments=tuple(names))
    is_labelled = (~np.isnan(joined.labels)).any(axis=1)
    return joined.rows(np.flatnonzero(is_labelled)), notes


def pretrain_tower(
    data: SequenceSet,
    target: Target,
    cut: Cut,
    config: TransferConfig,
    out: str | Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> tuple[pd.DataFrame | None, RunFolder]:
    """Pre-train a tower on labelled sets and write a run folder.

    The folder holds ``tower/`` (for `SeqConfig.pretrained`), ``figures.tsv``, ``cut.tsv``,
    ``rnas.tsv``, ``config.toml`` and ``run.json``. An unfinished run of the same settings, kept
    RNAs and target resumes.

    Args:
        data: merged sets of `seqtower.data.sets.read_sets`.
        target: the RNAs that are trained and tested later.
        cut: of `seqtower.pretraining.target.cut_target`.
        config: settings.
        out: run folder.
        overwrite: replace a run in the folder.
        resume: keep a finished run in the folder.
        progress: called after each step.

    Returns:
        Metrics on the validation split, which also chose the epoch, one row per output; None for a
        finished run that is kept; and the folder.

    Raises:
        InputError: no labelled set is left, too few RNAs for a validation split, or see
            `mirnagraph.runs.folder.open_run`.
        ConfigError: settings that the tower or the encoder does not allow.
    """
    kept, notes = own_outputs(data.rows(cut.kept))
    model = config.model
    of_target = digests(target.sequences)
    inputs = {"sets": sequences_sha256(kept), "target": set_fingerprint(of_target)}
    if ENCODERS[model.encoder.name].is_cached:
        inputs["encoder"] = check_encoder(model.encoder)
    about = {
        "kind": "seqtower-transfer",
        "tower": model.tower.name,
        "n_rnas": len(kept),
        "n_cut": len(cut.table),
        "notes": notes,
    }

    def body(run: RunFolder) -> pd.DataFrame:
        write_tsv(cut.table, run.path / CUT)
        return _train_and_save(run, kept, of_target, cut, config, progress)

    return run_or_resume(
        out,
        dump_toml(config),
        inputs,
        body,
        seed=model.seed,
        overwrite=overwrite,
        resume=resume,
        about=about,
        content=SEQ_PRETRAIN_RUN,
    )


def _train_and_save(
    run: RunFolder,
    data: SequenceSet,
    target: np.ndarray,
    cut: Cut,
    config: TransferConfig,
    progress: Progress | None,
) -> pd.DataFrame:
    """Train in an open run folder and write tower, metrics and RNAs; returns the metrics."""
    model = config.model
    rows = np.arange(len(data))
    groups = split_groups(data, by_sequence=model.group == "cluster", progress=progress)
    share = model.training.inner_fraction
    split_seed = child_seed(model.seed, "transfer", "inner")
    train, validation = inner_split(rows, data.labels, groups, share, split_seed)
    warm_up(model.encoder, model.lengths, data.sequences, progress)
    report(progress, STEP, 0, 1)
    seed = child_seed(model.seed, "transfer")
    with one_thread():
        of_train = [data.sequences[row] for row in train.tolist()]
        encoding = fit_encoding(model.encoder, model.lengths, of_train)
        types = data.types if config.types else None
        numbers = whole_numbers(data.sequences, model.whole, types=types, tis=model.tis)
        whole = fit_whole(numbers, train, model.whole, child_seed(seed, "whole"))
        checked = train_checked(
            encoding.when_read(data.sequences),
            data.labels,
            MULTI_LABEL,
            train,
            validation,
            model,
            seed,
            folder=run.path / CHECKPOINTS,
            numbers=whole(numbers),
            whole=whole.widths,
        )
    metrics = output_metrics(data, train, validation, checked.validation)
    write_tsv(metrics, run.path / METRICS)
    write_tsv(_rna_table(data, validation), run.path / RNAS)
    save_pretrained_tower(
        checked.trained.tower,
        encoding,
        whole,
        model,
        run.path / TOWER_FOLDER,
        target=target,
        rnas=digests(data.sequences),
        target_fingerprint=set_fingerprint(target),
        described_types=config.types,
        **_facts(data, train, validation, cut, metrics, checked),
    )
    remove_folder(run.path / CHECKPOINTS)
    report(progress, STEP, 1, 1)
    return metrics


def _facts(
    data: SequenceSet,
    train: np.ndarray,
    validation: np.ndarray,
    cut: Cut,
    metrics: pd.DataFrame,
    checked: CheckedTower,
) -> dict[str, object]:
    """Entries of ``model.json`` on the RNAs, the score and the training."""
    return {
        "sets": list(dict.fromkeys(data.sets or ())),
        "outputs": list(data.compartments),
        "n_fit": len(train),
        "n_stop": len(validation),
        "n_cut": cut.counts(),
        "genes_compared": cut.has_genes,
        "score": mean_auc(metrics),
        "figures": metrics.astype(object).where(metrics.notna(), None).to_dict("records"),
        "best_epoch": checked.trained.best_epoch,
        HEALTH: checked.health.to_dict(),
    }


def mean_auc(metrics: pd.DataFrame) -> float | None:
    """Return the pre-training score: the mean AUC over outputs; None where none has one."""
    values = metrics["auc"].dropna()
    return float(values.mean()) if len(values) else None


def output_metrics(
    data: SequenceSet, train: np.ndarray, validation: np.ndarray, predicted: np.ndarray
) -> pd.DataFrame:
    """Score each output on the validation RNAs of its set.

    Args:
        data: of `own_outputs`.
        train: row numbers of the training RNAs.
        validation: row numbers of the validation RNAs.
        predicted: probabilities of these, shape (n_validation, n_outputs).

    Returns:
        One row per output: ``output``, ``n_train``, ``n_validation``, ``n_positive`` (of the
        validation RNAs), ``auc`` and ``aupr``, NaN where they are not defined.
    """
    rows = []
    for column, output in enumerate(data.compartments):
        true = data.labels[validation, column]
        is_known = ~np.isnan(true)
        of_output = (true[is_known], predicted[is_known, column])
        rows.append(
            {
                "output": output,
                "n_train": int((~np.isnan(data.labels[train, column])).sum()),
                "n_validation": int(is_known.sum()),
                "n_positive": int(of_output[0].sum()),
                "auc": auc(*of_output),
                "aupr": aupr(*of_output),
            }
        )
    return pd.DataFrame(rows)


def split_groups(
    data: SequenceSet, *, by_sequence: bool, progress: Progress | None = None
) -> np.ndarray:
    """Number the groups that the validation split keeps whole: int64, shape (n,).

    RNAs of one gene are one group, and so are near-duplicates by sequence.

    Args:
        data: merged sets.
        by_sequence: look for near-duplicates, which takes minutes for ten thousand RNAs.
        progress: of that.
    """
    genes = [sorted(names) for names in source_genes(data)]
    links = [names[0] if names else row for row, names in enumerate(genes)]
    parts = [_numbered(links)]
    if by_sequence:
        parts.append(cluster(data.sequences, progress=progress))
    return _joined(parts)


def _numbered(names: Sequence[object]) -> np.ndarray:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Connected groups of several groupings: RNAs that share a group of any are in one."""
    n = len(parts[0])
    edges = []
    for groups in parts:
        _, first = np.unique(groups, return_index=True)
        edges.append(np.stack([np.arange(n), first[np.unique(groups, return_inverse=True)[1]]]))
    start, end = np.concatenate(edges, axis=1)
    graph = sparse.coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _rna_table(data: SequenceSet, validation: np.ndarray) -> pd.DataFrame:
    subset = np.full(len(data), TRAIN, dtype=object)
    subset[validation] = VALIDATION
    return pd.DataFrame({"rna_id": list(data.index.ids), "set": data.sets, "subset": subset})
