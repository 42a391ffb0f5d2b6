"""Pre-training of a tower's encoder on signal tracks or masked nucleotides.

DeepLocRNA (section 2.2) starts from a network that predicts the eCLIP signal of RNA-binding
proteins at each nucleotide, and fine-tunes it on compartments. No labels are read here. If RNAs of
later test folds are among the sequences, the later run is transductive: the encoder has seen their
sequences, never their compartments. Leave them out where that matters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from mirnagraph.config import dump_toml, require
from mirnagraph.errors import InputError
from mirnagraph.evaluation.splits import inner_split
from mirnagraph.io import write_tsv
from mirnagraph.parallel import Progress, one_thread
from mirnagraph.runs.folder import RunFolder, finish_run, open_run
from mirnagraph.seeds import child_seed, torch_generator, torch_scope
from mirnagraph.writing.contents import SEQ_PRETRAIN_RUN
from mirnagraph.writing.folders import remove_folder
from seqtower.config import SeqConfig
from seqtower.data.batches import Batch, collate, windows
from seqtower.data.clusters import cluster
from seqtower.data.kmers import LETTERS, one_hot
from seqtower.encoders.base import ONE_HOT
from seqtower.pretraining.checkpoint import FOLDER, save_pretrained
from seqtower.pretraining.metrics import FirstOrder, Predicted, masking_metrics, track_metrics
from seqtower.pretraining.tracks import BOUNDED, COUNTS, Tracks, relative
from seqtower.towers.base import Tower
from seqtower.training.lightning import fit_module
from seqtower.training.pieces import PieceData
from seqtower.training.plans import Plan
from seqtower.training.steps import StepModule

TRACKS = "tracks"
MASKED = "masked"

METRICS = "figures.tsv"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class PretrainConfig:
    """How an encoder is pre-trained.

    Attributes:
        objective: ``"tracks"`` to predict signals, ``"masked"`` to predict masked nucleotides.
        hidden: share of nucleotides masked per step, for ``"masked"`` only, in (0, 1).
        model: tower, seed, `training` and `group` (``"cluster"`` keeps near-duplicates in one
            subset, ``"none"`` does not). ``inner_fraction`` is the share of each of two subsets:
            one for early stopping, one for the metrics. RNAs are read whole, whatever `lengths`.
    """

    objective: str = TRACKS
    hidden: float = 0.15
    model: SeqConfig = field(default_factory=SeqConfig)

    def __post_init__(self) -> None:
        require(
            self.objective in (TRACKS, MASKED),
            "objective",
            self.objective,
            f"{TRACKS!r} or {MASKED!r}",
        )
        require(0 < self.hidden < 1, "hidden", self.hidden, "in (0, 1)")
        require(
            self.model.encoder.name == ONE_HOT,
            "encoder.name",
            self.model.encoder.name,
            f"{ONE_HOT!r}: pre-training reads single nucleotides",
        )
        require(
            self.model.group in ("cluster", "none"),
            "group",
            self.model.group,
            "'cluster' or 'none': there is no label table with group columns",
        )
        require(
            not self.model.pretrained,
            "pretrained",
            self.model.pretrained,
            "nothing: pre-training starts from random weights",
        )


@dataclass(frozen=True, eq=False)
class TrackBatch(Batch):
    """A batch with the signals to predict.

    Attributes:
        targets: float32, shape (n, width, n_tracks), 0 at padding; None for masked nucleotides.
    """

    targets: torch.Tensor | None = None


class Pieces(PieceData):
    """RNAs in windows of at most `limit` nucleotides; an item is the batch of a list of windows."""

    def __init__(
        self, sequences: Sequence[str], rows: np.ndarray, tracks: Tracks | None, limit: int
    ) -> None:
        self.sequences = sequences
        self.tracks = tracks
        self.places: list[tuple[int, int, int]] = []
        for row in rows.tolist():
            for start, end in windows(len(sequences[row]), limit, limit // 10):
                self.places.append((row, start, end))
        self.owner = np.array([row for row, _, _ in self.places], dtype=np.int64)
        self.lengths = np.array([end - start for _, start, end in self.places], dtype=np.int64)

    def __getitem__(self, numbers: np.ndarray) -> TrackBatch:
        places = [self.places[number] for number in numbers.tolist()]
        encoded = [one_hot(self.sequences[row][start:end]) for row, start, end in places]
        batch = collate(encoded, numbers)
        targets = None
        if self.tracks is not None:
            signals = [self.tracks.of(row)[start:end] for row, start, end in places]
            targets = collate(signals, numbers).inputs
        return TrackBatch(batch.inputs, batch.mask, batch.rows, targets=targets)


class Pretraining(StepModule):
    """An encoder and a linear head on its features per nucleotide.

    The loss of bounded signals is the binary cross-entropy. The loss of counts is the cross-entropy
    between the shapes of the observed and the predicted track along the RNA (the multinomial loss
    of RBPnet, Horlacher et al. 2023, divided by the number of counts), so that each RNA and track
    counts once, whatever its coverage. The loss of masked nucleotides is the cross-entropy over the
    four nucleotides at masked positions.
    """

    def __init__(
        self, tower: Tower, head: nn.Module, kind: str, hidden: float, model: SeqConfig, train: Plan
    ) -> None:
        super().__init__(model.training, model.seed, train)
        self.tower = tower
        self.head = head
        self.kind = kind
        self.hidden = hidden

    def logits(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Predict logits per nucleotide, shape (n, width, outputs)."""
        return self.head(self.tower.features(inputs, mask))

    def mask_nucleotides(self, batch: Batch, subset: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Mask random nucleotides other than N.

        Args:
            batch: one-hot encoded RNAs.
            subset: ``"train"`` draws anew in every step, any other name always draws the same.

        Returns:
            Inputs with masked nucleotides as N, and where they are: bool, shape (n, width).
        """
        draws = None
        if subset != "train":
            draws = torch_generator(self.seed, "hidden", subset, *batch.rows.tolist())
        random = torch.rand(batch.mask.shape, generator=draws).to(batch.mask.device)
        is_masked = random < self.hidden
        is_masked &= batch.inputs.sum(dim=-1) > 0
        return batch.inputs.masked_fill(is_masked.unsqueeze(-1), 0.0), is_masked

    def loss_of(self, batch: TrackBatch, subset: str) -> torch.Tensor:
        """Return the mean loss of a batch, see the class."""
        if batch.targets is None:
            inputs, is_masked = self.mask_nucleotides(batch, subset)
            logits = self.logits(inputs, batch.mask)[is_masked]
            true = batch.inputs.argmax(dim=-1)[is_masked]
            total = nn.functional.cross_entropy(logits, true, reduction="sum")
            return total / is_masked.sum().clamp_min(1)
        logits = self.logits(batch.inputs, batch.mask)
        mask = batch.mask.unsqueeze(-1)
        if self.kind == BOUNDED:
            each = nn.functional.binary_cross_entropy_with_logits(
                logits, batch.targets, reduction="none"
            )
            return (each * mask).sum() / (mask.sum() * logits.shape[-1])
        counts = batch.targets.sum(dim=1, keepdim=True)
        shape = batch.targets / counts.clamp_min(1e-12)
        log_shape = torch.log_softmax(logits.masked_fill(~mask, float("-inf")), dim=1)
        each = -(shape * log_shape.masked_fill(~mask, 0.0)).sum(dim=1)
        return each.sum() / (counts > 0).sum().clamp_min(1)


def pretrain(
    records: pd.DataFrame,
    tracks: Tracks | None,
    config: PretrainConfig,
    out: str | Path,
    *,
    sources: Mapping[str, str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> tuple[pd.DataFrame | None, RunFolder]:
    """Pre-train an encoder and write a run folder.

    The folder holds ``encoder/`` (for `SeqConfig.pretrained`), ``figures.tsv``, ``config.toml`` and
    ``run.json``. An unfinished run of the same settings and data resumes.

    Args:
        records: columns ``id``, ``sequence``; no labels.
        tracks: signals of the sequences, in their order; None with the objective ``"masked"``.
        config: objective, tower and training.
        out: run folder.
        sources: name -> sha256 of the files that the tracks are from.
        overwrite: replace a run in the folder.
        resume: keep a finished run in the folder.
        progress: called after each epoch.

    Returns:
        Metrics on RNAs used neither for training nor for early stopping (see
        `seqtower.pretraining.metrics`), None for a finished run that is kept; and the folder.

    Raises:
        ConfigError: a tower without features per nucleotide.
        InputError: fewer than three RNAs (or clusters of near-duplicates), or see `open_run`.
    """
    fits = (tracks is None) == (config.objective == MASKED)
    expected = "tracks with the objective 'tracks', and none with 'masked'"
    require(fits, "objective", config.objective, expected)
    model = config.model
    tower, head = _fresh_encoder(model, len(LETTERS if tracks is None else tracks.names))
    inputs = {"sequences": _records_sha256(records), **(sources or {})}
    about = {
        "kind": "seqtower-pretraining",
        "objective": config.objective,
        "tower": model.tower.name,
        "n_rnas": len(records),
    }
    settings = dump_toml(config)
    run = open_run(
        out,
        settings,
        inputs,
        seed=model.seed,
        overwrite=overwrite,
        resume=resume,
        about=about,
        content=SEQ_PRETRAIN_RUN,
    )
    if run.finished:
        return None, run
    return finish_run(
        run,
        lambda run: _train_and_save(run, tower, head, records, tracks, config, inputs, progress),
    )


def _train_and_save(
    run: RunFolder,
    tower: Tower,
    head: nn.Linear,
    records: pd.DataFrame,
    tracks: Tracks | None,
    config: PretrainConfig,
    inputs: Mapping[str, str],
    progress: Progress | None,
) -> pd.DataFrame:
    """Train in an open run folder and write encoder and metrics; returns the metrics."""
    model = config.model
    settings = model.training
    sequences = list(records["sequence"])
    train, validation, test = _split(sequences, tracks, model, progress)
    rows = np.concatenate([train, validation, test])
    data = Pieces(sequences, rows, tracks, settings.batch_tokens)
    baseline = FirstOrder(sequences, train, tracks)
    kind = MASKED if tracks is None else tracks.kind
    _start_at_mean(head, baseline.mean, kind)
    train_plan = data.plan(train, settings, model.seed)
    module = Pretraining(tower, head, kind, config.hidden, model, train_plan)
    checkpoints = run.path / CHECKPOINTS
    with one_thread():
        validation_plan = data.plan(validation, settings)
        best = fit_module(module, data, validation_plan, folder=checkpoints, progress=progress)
        module.load_state_dict(best["state_dict"])
        pieces = _predict(module.eval().cpu(), data, data.plan(test, settings))
        if tracks is None:
            metrics = masking_metrics(pieces, baseline)
        else:
            metrics = track_metrics(pieces, baseline, tracks.names)
    write_tsv(metrics, run.path / METRICS)
    save_pretrained(
        tower,
        head,
        model,
        LETTERS if tracks is None else tracks.names,
        run.path / FOLDER,
        objective=config.objective,
        kind=kind,
        inputs=dict(inputs),
        best_epoch=int(best["epoch"]),
        figures=metrics.astype(object).where(metrics.notna(), None).to_dict("records"),
        n_fit=len(train),
        n_stop=len(validation),
        n_test=len(test),
    )
    remove_folder(checkpoints)
    return metrics


def _records_sha256(records: pd.DataFrame) -> str:
    pairs = zip(records["id"], records["sequence"], strict=True)
    text = "\n".join(f"{name}\t{sequence}" for name, sequence in pairs)
    return hashlib.sha256(text.encode()).hexdigest()


def _fresh_encoder(model: SeqConfig, n_outputs: int) -> tuple[Tower, nn.Linear]:
    """A tower and a head with random weights; ConfigError for one without nucleotide features."""
    with torch_scope(model.seed, "weights"):
        tower = model.make_tower(len(LETTERS), 1)
        nucleotide = torch.zeros(1, 1, len(LETTERS))
        tower.features(nucleotide, torch.ones(1, 1, dtype=torch.bool))
        head = nn.Linear(tower.feature_dim, n_outputs)
    for name, weight in tower.named_parameters():
        weight.requires_grad_(name.split(".")[0] in tower.feature_parts)
    return tower, head


def _split(
    sequences: Sequence[str], tracks: Tracks | None, model: SeqConfig, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with a signal for training, early stopping and metrics; near-duplicates in one."""
    rows = np.arange(len(sequences)) if tracks is None else tracks.rows
    groups = np.arange(len(sequences))
    if model.group == "cluster":
        groups[rows] = cluster([sequences[row] for row in rows.tolist()], progress=progress)
    n_groups = len(np.unique(groups[rows]))
    if n_groups < 3:
        raise InputError(
            "too few RNAs for training, early stopping and metrics",
            found=n_groups,
            expected="3 or more that are no near-duplicates",
        )
    no_labels = np.zeros((len(sequences), 1), dtype=np.int64)
    share = model.training.inner_fraction
    test_seed = child_seed(model.seed, "pre-training", "test")
    validation_seed = child_seed(model.seed, "pre-training", "inner")
    rest, test = inner_split(rows, no_labels, groups, share, test_seed)
    return *inner_split(rest, no_labels, groups, share, validation_seed), test


def _start_at_mean(head: nn.Linear, mean: np.ndarray, kind: str) -> None:
    """Set the bias of the head to the training mean of each output, where that is defined."""
    if kind == COUNTS:  # only their shape is predicted
        return
    clamped = torch.from_numpy(mean).float().clamp(1e-4, 1 - 1e-4)
    with torch.no_grad():
        head.bias.copy_(torch.logit(clamped) if kind == BOUNDED else torch.log(clamped))


def _predict(module: Pretraining, data: Pieces, plan: Plan) -> Iterator[Predicted]:
    """Predict every piece of a plan."""
    with torch.inference_mode():
        for numbers in plan:
            batch = data[numbers]
            inputs = batch.inputs
            is_masked = batch.mask
            if batch.targets is None:
                inputs, is_masked = module.mask_nucleotides(batch, "test")
            logits = module.logits(inputs, batch.mask).double()
            for number, piece in enumerate(numbers.tolist()):
                inside = batch.mask[number]
                values = logits[number, inside]
                if batch.targets is None:
                    predicted = torch.softmax(values, dim=-1).numpy()
                    observed = is_masked[number, inside].numpy()
                else:
                    observed = batch.targets[number, inside].numpy()
                    if module.kind == BOUNDED:
                        predicted = torch.sigmoid(values).numpy()
                    else:
                        predicted = relative(torch.softmax(values, dim=0).numpy())
                        observed = relative(observed)
                yield Predicted(predicted, observed, *data.places[piece])
