"""Pre-training objective, held-out metrics.

DeepLocRNA (section 2.2) starts from a network that predicts the eCLIP signal of RNA-binding proteins at each nucleotide, and fine-tunes it on
compartments. No labels are seen here. Where RNAs of later test folds are among the sequences, the later run is transductive: their sequences were
known to the encoder, their compartments never are. Leave them out where that matters.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import Dataset

from mirnagraph.config import dump_toml, require
from mirnagraph.errors import InputError
from mirnagraph.evaluation.splits import inner_split
from mirnagraph.io import write_tsv
from mirnagraph.parallel import Progress, one_thread
from mirnagraph.runs.folder import RunFolder, open_run
from mirnagraph.seeds import child_seed, torch_generator, torch_scope
from seqtower.config import SeqConfig
from seqtower.data.batches import Batch, Plan, collate, windows
from seqtower.data.clusters import cluster
from seqtower.data.kmers import LETTERS, letter_codes, one_hot
from seqtower.encoders.base import ONE_HOT
from seqtower.pretraining.checkpoint import FOLDER, save_pretrained
from seqtower.pretraining.tracks import BOUNDED, COUNTS, Tracks, relative
from seqtower.towers.base import Tower, make_tower
from seqtower.training.lightning import StepModule, fit_module

TRACKS = "tracks"
MASKED = "masked"

METRICS = "figures.tsv"

Said = Sequence[tuple[np.ndarray, np.ndarray, int, int, int]]
"""Per piece of an RNA: what was predicted, shape (nucleotides, outputs); what is true or which places are hidden; row, start and end of the piece."""


@dataclass(frozen=True)
class PretrainConfig:
    """How an encoder is pre-trained.

    Attributes:
        objective: ``"tracks"`` to predict signals, ``"masked"`` to predict hidden letters.
        hidden: share of the letters that a step hides, with ``"masked"`` only: in (0, 1).
        model: tower, seed, `group` (``"cluster"`` keeps near-copies on one side of the split, ``"none"`` does not) and `training`. Its
            ``inner_fraction`` is held out twice: once to stop by, once for the figures. RNAs are read whole, whatever `lengths` says.
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
            f"{ONE_HOT!r}: only letters can be pre-trained on",
        )
        require(
            self.model.group in ("cluster", "none"),
            "group",
            self.model.group,
            "'cluster' or 'none': there are no labels with columns",
        )
        require(
            not self.model.pretrained,
            "pretrained",
            self.model.pretrained,
            "nothing: pre-training starts at random",
        )


@dataclass(frozen=True, eq=False)
class TrackBatch(Batch):
    """A batch with the signals that are to be predicted: float32, shape (n, width, n_tracks), 0 at padding; None where letters are hidden."""

    targets: torch.Tensor | None = None


class Pieces(Dataset[TrackBatch]):
    """RNAs, those of more than `limit` nucleotides in windows, of which a list of rows is one item."""

    def __init__(
        self, sequences: Sequence[str], rows: np.ndarray, tracks: Tracks | None, limit: int
    ) -> None:
        self.sequences = sequences
        self.tracks = tracks
        self.places = [
            (row, start, end)
            for row in rows.tolist()
            for start, end in windows(len(sequences[row]), limit, limit // 10)
        ]
        self.owner = np.array([row for row, _, _ in self.places], dtype=np.int64)
        self.lengths = np.array([end - start for _, start, end in self.places], dtype=np.int64)

    def __getitem__(self, rows: np.ndarray) -> TrackBatch:
        places = [self.places[row] for row in rows.tolist()]
        batch = collate(
            [one_hot(self.sequences[row][start:end]) for row, start, end in places], rows
        )
        targets = None
        if self.tracks is not None:
            targets = collate(
                [self.tracks.of(row)[start:end] for row, start, end in places], rows
            ).inputs
        return TrackBatch(batch.inputs, batch.mask, batch.rows, targets=targets)


class Pretraining(StepModule):
    """An encoder and a linear head over its values per nucleotide.

    The loss of bounded signals is the binary cross-entropy, whose least value is reached where a prediction is the probability that the signal
    states. Of counts it is the cross-entropy between the shape of the observed and of the predicted track along the RNA (the multinomial loss of
    RBPnet, Horlacher et al. 2023, divided by the number of counts): each RNA and track counts once, however much there was of the RNA. Of hidden
    letters it is the cross-entropy over four letters, at hidden places alone.
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
        """Shape (n, width, outputs)."""
        found: torch.Tensor = self.head(self.tower.features(inputs, mask))
        return found

    def hide(self, batch: Batch, part: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs with letters hidden (as an N) and where: drawn anew in training, the same for ever elsewhere. An N is never asked for."""
        draws = (
            None
            if part == "train"
            else torch_generator(self.seed, "hidden", part, *batch.rows.tolist())
        )
        chosen = torch.rand(batch.mask.shape, generator=draws).to(batch.mask.device) < self.hidden
        chosen &= batch.inputs.sum(dim=-1) > 0
        return batch.inputs.masked_fill(chosen.unsqueeze(-1), 0.0), chosen

    def loss_of(self, batch: TrackBatch, part: str) -> torch.Tensor:
        """See the class."""
        if batch.targets is None:
            inputs, chosen = self.hide(batch, part)
            each = nn.functional.cross_entropy(
                self.logits(inputs, batch.mask)[chosen],
                batch.inputs.argmax(dim=-1)[chosen],
                reduction="sum",
            )
            return each / chosen.sum().clamp_min(1)
        logits = self.logits(batch.inputs, batch.mask)
        mask = batch.mask.unsqueeze(-1)
        if self.kind == BOUNDED:
            each = (
                nn.functional.binary_cross_entropy_with_logits(
                    logits, batch.targets, reduction="none"
                )
                * mask
            )
            return each.sum() / (mask.sum() * logits.shape[-1])
        total = batch.targets.sum(dim=1, keepdim=True)
        shape = batch.targets / total.clamp_min(1e-12)
        each = -(
            shape
            * torch.log_softmax(logits.masked_fill(~mask, float("-inf")), dim=1).masked_fill(
                ~mask, 0.0
            )
        ).sum(dim=1)
        return each.sum() / (total > 0).sum().clamp_min(1)


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
    """Pre-train an encoder and write a run folder: ``encoder/`` (what `SeqConfig.pretrained` names), ``figures.tsv``, ``config.toml``, ``run.json``.

    An unfinished run of the same settings and data in the folder is gone on with, epoch by epoch.

    Args:
        records: columns ``id``, ``sequence``; no labels.
        tracks: signals of the sequences, in their order; None with the objective ``"masked"``.
        sources: name -> sha256 of what the tracks were made from.

    Returns:
        Figures on RNAs that were neither learned from nor stopped by (None where a finished run was kept), and the folder: see
        `seqtower.pretraining.pretrain.track_metrics` and `masking_metrics`.

    Raises:
        ConfigError: a tower without values per nucleotide. InputError: fewer than three RNAs (or groups of near-copies); see `open_run`.
    """
    require(
        (tracks is None) == (config.objective == MASKED),
        "objective",
        config.objective,
        "tracks with the objective 'tracks', and none with 'masked'",
    )
    model = config.model
    sequences = list(records["sequence"])
    with torch_scope(model.seed, "weights"):
        tower = make_tower(model.tower.name, model.tower.settings, len(LETTERS), 1)
        tower.features(
            torch.zeros(1, 1, len(LETTERS)), torch.ones(1, 1, dtype=torch.bool)
        )  # refuses before any work is done
        head = nn.Linear(tower.feature_dim, len(LETTERS if tracks is None else tracks.names))
    text = "\n".join(
        f"{name}\t{sequence}" for name, sequence in zip(records["id"], sequences, strict=True)
    )
    inputs = {"sequences": hashlib.sha256(text.encode()).hexdigest(), **(sources or {})}
    about = {
        "kind": "seqtower-pretraining",
        "objective": config.objective,
        "tower": model.tower.name,
        "n_rnas": len(sequences),
    }
    run = open_run(
        out,
        dump_toml(config),
        inputs,
        seed=model.seed,
        overwrite=overwrite,
        resume=resume,
        about=about,
    )
    if run.finished:
        return None, run
    fit, stop, test = _parts(sequences, tracks, model, progress)
    limit = model.training.batch_tokens
    data = Pieces(sequences, np.concatenate([fit, stop, test]), tracks, limit)
    plans = [
        Plan(
            np.flatnonzero(np.isin(data.owner, part)),
            data.lengths,
            model.training.batch_tokens,
            model.training.batch_rnas,
            draws,
        )
        for part, draws in ((fit, model.seed), (stop, None), (test, None))
    ]
    simple = FirstOrder(sequences, fit, tracks)
    kind = MASKED if tracks is None else tracks.kind
    with torch.no_grad():  # the head starts at what is known without any sequence
        if kind != "counts":
            mean = torch.from_numpy(simple.mean).float().clamp(1e-4, 1 - 1e-4)
            head.bias.copy_(torch.logit(mean) if kind == BOUNDED else torch.log(mean))
    for name, weight in tower.named_parameters():
        weight.requires_grad_(name.split(".")[0] in tower.feature_parts)
    module = Pretraining(tower, head, kind, config.hidden, model, plans[0])
    with one_thread():
        best = fit_module(
            module,
            data,
            plans[1],
            folder=run.path / "checkpoints",
            progress=progress,
            step="epochs",
        )
        module.load_state_dict(best["state_dict"])
        module = module.eval().cpu()
        figures = _metrics(module, data, plans[2], simple, tracks)
    write_tsv(figures, run.path / METRICS)
    save_pretrained(
        tower, head, model, LETTERS if tracks is None else tracks.names, run.path / FOLDER,
        objective=config.objective, kind=kind, inputs=inputs, n_fit=len(fit), n_stop=len(stop), n_test=len(test), best_epoch=int(best["epoch"]),
        figures=figures.astype(object).where(figures.notna(), None).to_dict("records"),
    )  # fmt: skip
    shutil.rmtree(run.path / "checkpoints", ignore_errors=True)
    run.finish()
    return figures, run


def _parts(
    sequences: Sequence[str], tracks: Tracks | None, model: SeqConfig, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to fit, to stop by, and to be judged by: near-copies in one of them."""
    rows = np.arange(len(sequences)) if tracks is None else tracks.rows
    groups = np.arange(len(sequences))
    if model.group == "cluster":
        groups[rows] = cluster([sequences[row] for row in rows.tolist()], progress=progress)
    if len(np.unique(groups[rows])) < 3:
        raise InputError(
            "too few RNAs to learn from, stop by and judge by",
            found=len(np.unique(groups[rows])),
            expected="3 that are no near-copies, or more",
        )
    nothing = np.zeros((len(sequences), 1), dtype=np.int64)
    share = model.training.inner_fraction
    rest, test = inner_split(
        rows, nothing, groups, share, child_seed(model.seed, "pre-training", "test")
    )
    fit, stop = inner_split(
        rest, nothing, groups, share, child_seed(model.seed, "pre-training", "inner")
    )
    return fit, stop, test


def _metrics(
    module: Pretraining, data: Pieces, plan: Plan, simple: FirstOrder, tracks: Tracks | None
) -> pd.DataFrame:
    """What the encoder says of held-out RNAs beside what two neighbouring letters say."""
    said = []
    with torch.inference_mode():
        for rows in plan:
            batch = data[rows]
            inputs, chosen = (
                module.hide(batch, "test") if tracks is None else (batch.inputs, batch.mask)
            )
            logits = module.logits(inputs, batch.mask).double()
            for number in range(len(rows)):
                inside = batch.mask[number]
                row, start, end = data.places[int(rows[number])]
                if batch.targets is None:
                    said.append(
                        (
                            torch.softmax(logits[number, inside], dim=-1).numpy(),
                            chosen[number, inside].numpy(),
                            row,
                            start,
                            end,
                        )
                    )
                else:
                    one = logits[number, inside]
                    true = batch.targets[number, inside].numpy()
                    if module.kind == BOUNDED:
                        said.append((torch.sigmoid(one).numpy(), true, row, start, end))
                    else:
                        said.append(
                            (
                                relative(torch.softmax(one, dim=0).numpy()),
                                relative(true),
                                row,
                                start,
                                end,
                            )
                        )
    return (
        masking_metrics(said, simple)
        if tracks is None
        else track_metrics(said, simple, tracks.names)
    )


class FirstOrder:
    """What two neighbouring letters say: of a signal its mean over learned RNAs where they stand, of a hidden letter how often it follows the one before.

    Attributes:
        mean: of every output over the RNAs learned from, letters uncounted: shape (outputs,).
    """

    def __init__(self, sequences: Sequence[str], fit: np.ndarray, tracks: Tracks | None) -> None:
        self.sequences = sequences
        self.tracks = tracks
        width = len(LETTERS) if tracks is None else len(tracks.names)
        sums = np.zeros((25, width))
        counts = np.zeros(25)
        for row in fit.tolist():
            place = self._context(row)
            values = self._values(row)
            counts += np.bincount(place, minlength=25)
            for column in range(width):
                sums[:, column] += np.bincount(place, weights=values[:, column], minlength=25)
        self.mean = sums.sum(axis=0) / max(counts.sum(), 1)
        prior = self.mean / max(self.mean.sum(), 1e-12) if tracks is None else self.mean
        self.table = (sums + prior) / (counts + 1)[:, None]
        if tracks is None:  # an unknown letter counts nowhere
            self.mean = prior
            self.table = (sums + prior) / (sums.sum(axis=1, keepdims=True) + 1)

    def __call__(self, row: int, start: int, end: int) -> np.ndarray:
        """Prediction for a stretch of an RNA: shape (nucleotides, outputs)."""
        return np.asarray(self.table[self._context(row)[start:end]])

    def letters(self, row: int, start: int, end: int) -> np.ndarray:
        """0 to 3 per letter, -1 for N."""
        return letter_codes(self.sequences[row])[start:end]

    def _context(self, row: int) -> np.ndarray:
        codes = letter_codes(self.sequences[row]).astype(np.int64) + 1
        before = np.concatenate([[0], codes[:-1]])
        return before if self.tracks is None else 5 * before + codes

    def _values(self, row: int) -> np.ndarray:
        if self.tracks is None:
            codes = letter_codes(self.sequences[row])
            return np.asarray((codes[:, None] == np.arange(len(LETTERS))).astype(np.float64))
        values = self.tracks.of(row).astype(np.float64)
        return relative(values) if self.tracks.kind == COUNTS else values


def track_metrics(said: Said, simple: FirstOrder, names: Sequence[str]) -> pd.DataFrame:
    """Pearson correlation over all nucleotides of held-out RNAs (of counts over their mean along each RNA).

    Returns:
        One row per track: ``track``, ``measure`` (``correlation``), ``held_out`` of the encoder and ``first_order`` of two letters; NaN where a track does
        not vary on them.
    """
    sums = [_Sums(len(names)), _Sums(len(names))]
    for predicted, true, row, start, end in said:
        sums[0].add(predicted, true)
        sums[1].add(simple(row, start, end), true)
    columns = {
        "track": list(names),
        "measure": "correlation",
        "held_out": sums[0].pearson(),
        "first_order": sums[1].pearson(),
    }
    return pd.DataFrame(columns)


def masking_metrics(said: Said, simple: FirstOrder) -> pd.DataFrame:
    """Share of hidden letters named right, and their cross-entropy (nats), on held-out RNAs.

    Returns:
        Rows ``accuracy`` and ``cross-entropy`` of the track ``hidden letters``: ``held_out`` of the encoder, ``first_order`` of the letter before, which
        that model sees even where it is hidden from the encoder.
    """
    right = np.zeros(2)
    nats = np.zeros(2)
    n = 0
    for predicted, hidden, row, start, end in said:
        true = simple.letters(row, start, end)[hidden]
        n += len(true)
        for number, shares in enumerate((predicted[hidden], simple(row, start, end)[hidden])):
            right[number] += (shares.argmax(axis=1) == true).sum()
            nats[number] -= np.log(np.maximum(shares[np.arange(len(true)), true], 1e-12)).sum()
    rows = [
        ("hidden letters", name, *(total / n if n else np.full(2, np.nan)))
        for name, total in (("accuracy", right), ("cross-entropy", nats))
    ]
    return pd.DataFrame(rows, columns=["track", "measure", "held_out", "first_order"])


class _Sums:
    """Sums from which correlations come, so that no RNA has to be kept."""

    def __init__(self, width: int) -> None:
        self.n = 0
        self.sums = np.zeros((5, width))

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        x = x.astype(np.float64)
        y = y.astype(np.float64)
        self.n += len(x)
        self.sums += np.stack(
            [
                x.sum(axis=0),
                y.sum(axis=0),
                (x * x).sum(axis=0),
                (y * y).sum(axis=0),
                (x * y).sum(axis=0),
            ]
        )

    def pearson(self) -> np.ndarray:
        x, y, xx, yy, xy = self.sums / max(self.n, 1)
        spread = np.sqrt(np.maximum(xx - x * x, 0) * np.maximum(yy - y * y, 0))
        return np.asarray(
            np.where(spread > 1e-15, (xy - x * y) / np.maximum(spread, 1e-15), np.nan)
        )
