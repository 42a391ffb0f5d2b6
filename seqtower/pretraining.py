"""Pre-training of a tower's encoder without labels: on signals per nucleotide (DeepLocRNA), or on letters that are hidden from it.

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
from mirnagraph.progress import Progress
from mirnagraph.runs import RunFolder, open_run
from mirnagraph.seeds import child_seed, torch_generator, torch_scope
from mirnagraph.side_by_side import one_thread
from mirnagraph.tables import write_tsv
from seqtower.batches import Batch, Plan, collate, windows
from seqtower.clusters import cluster
from seqtower.encoders.one_hot import LETTERS, one_hot
from seqtower.pretrained import FOLDER, save_pretrained
from seqtower.pretraining_figures import FirstOrder, letter_figures, track_figures
from seqtower.settings import ONE_HOT, SeqConfig
from seqtower.towers.base import Tower
from seqtower.towers.make import make_tower
from seqtower.tracks import BOUNDED, Tracks, relative
from seqtower.training import StepModule, fit_module

TRACKS, MASKED = "tracks", "masked"
FIGURES = "figures.tsv"


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
        require(self.objective in (TRACKS, MASKED), "objective", self.objective, f"{TRACKS!r} or {MASKED!r}")
        require(0 < self.hidden < 1, "hidden", self.hidden, "in (0, 1)")
        require(self.model.encoder.kind == ONE_HOT, "encoder.kind", self.model.encoder.kind, f"{ONE_HOT!r}: only letters can be pre-trained on")
        require(self.model.group in ("cluster", "none"), "group", self.model.group, "'cluster' or 'none': there are no labels with columns")
        require(not self.model.pretrained, "pretrained", self.model.pretrained, "nothing: pre-training starts at random")


@dataclass(frozen=True, eq=False)
class TrackBatch(Batch):
    """A batch with the signals that are to be predicted: float32, shape (n, width, n_tracks), 0 at padding; None where letters are hidden."""

    targets: torch.Tensor | None = None


class Pieces(Dataset[TrackBatch]):
    """RNAs, those of more than `limit` nucleotides in windows, of which a list of rows is one item."""

    def __init__(self, sequences: Sequence[str], rows: np.ndarray, tracks: Tracks | None, limit: int) -> None:
        self.sequences, self.tracks = sequences, tracks
        self.places = [(row, start, end) for row in rows.tolist() for start, end in windows(len(sequences[row]), limit, limit // 10)]
        self.owner = np.array([row for row, _, _ in self.places], dtype=np.int64)
        self.lengths = np.array([end - start for _, start, end in self.places], dtype=np.int64)

    def __getitem__(self, rows: np.ndarray) -> TrackBatch:
        places = [self.places[row] for row in rows.tolist()]
        batch = collate([one_hot(self.sequences[row][start:end]) for row, start, end in places], rows)
        targets = None
        if self.tracks is not None:
            targets = collate([self.tracks.of(row)[start:end] for row, start, end in places], rows).inputs
        return TrackBatch(batch.inputs, batch.mask, batch.rows, targets=targets)


class Pretraining(StepModule):
    """An encoder and a linear head over its values per nucleotide.

    The loss of bounded signals is the binary cross-entropy, whose least value is reached where a prediction is the probability that the signal
    states. Of counts it is the cross-entropy between the shape of the observed and of the predicted track along the RNA (the multinomial loss of
    RBPnet, Horlacher et al. 2023, divided by the number of counts): each RNA and track counts once, however much there was of the RNA. Of hidden
    letters it is the cross-entropy over four letters, at hidden places alone.
    """

    def __init__(self, tower: Tower, head: nn.Module, kind: str, hidden: float, model: SeqConfig, train: Plan) -> None:
        super().__init__(model.training, model.seed, train)
        self.tower, self.head, self.kind, self.hidden = tower, head, kind, hidden

    def logits(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Shape (n, width, outputs)."""
        found: torch.Tensor = self.head(self.tower.features(inputs, mask))
        return found

    def hide(self, batch: Batch, part: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs with letters hidden (as an N) and where: drawn anew in training, the same for ever elsewhere. An N is never asked for."""
        draws = None if part == "train" else torch_generator(self.seed, "hidden", part, *batch.rows.tolist())
        chosen = torch.rand(batch.mask.shape, generator=draws).to(batch.mask.device) < self.hidden
        chosen &= batch.inputs.sum(dim=-1) > 0
        return batch.inputs.masked_fill(chosen.unsqueeze(-1), 0.0), chosen

    def loss_of(self, batch: TrackBatch, part: str) -> torch.Tensor:
        """See the class."""
        if batch.targets is None:
            inputs, chosen = self.hide(batch, part)
            each = nn.functional.cross_entropy(self.logits(inputs, batch.mask)[chosen], batch.inputs.argmax(dim=-1)[chosen], reduction="sum")
            return each / chosen.sum().clamp_min(1)
        logits, mask = self.logits(batch.inputs, batch.mask), batch.mask.unsqueeze(-1)
        if self.kind == BOUNDED:
            each = nn.functional.binary_cross_entropy_with_logits(logits, batch.targets, reduction="none") * mask
            return each.sum() / (mask.sum() * logits.shape[-1])
        total = batch.targets.sum(dim=1, keepdim=True)
        shape = batch.targets / total.clamp_min(1e-12)
        each = -(shape * torch.log_softmax(logits.masked_fill(~mask, float("-inf")), dim=1).masked_fill(~mask, 0.0)).sum(dim=1)
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
        `seqtower.pretraining_figures.track_figures` and `letter_figures`.

    Raises:
        ConfigError: a tower without values per nucleotide. InputError: fewer than three RNAs (or groups of near-copies); see `open_run`.
    """
    require((tracks is None) == (config.objective == MASKED), "objective", config.objective, "tracks with the objective 'tracks', and none with 'masked'")
    model, sequences = config.model, list(records["sequence"])
    with torch_scope(model.seed, "weights"):
        tower = make_tower(model, len(LETTERS), 1)
        tower.features(torch.zeros(1, 1, len(LETTERS)), torch.ones(1, 1, dtype=torch.bool))  # refuses before any work is done
        head = nn.Linear(tower.feature_dim, len(LETTERS if tracks is None else tracks.names))
    text = "\n".join(f"{name}\t{sequence}" for name, sequence in zip(records["id"], sequences, strict=True))
    inputs = {"sequences": hashlib.sha256(text.encode()).hexdigest(), **(sources or {})}
    about = {"kind": "seqtower-pretraining", "objective": config.objective, "tower": model.tower, "n_rnas": len(sequences)}
    run = open_run(out, dump_toml(config), inputs, seed=model.seed, overwrite=overwrite, resume=resume, about=about)
    if run.finished:
        return None, run
    fit, stop, test = _parts(sequences, tracks, model, progress)
    limit = model.training.batch_tokens
    data = Pieces(sequences, np.concatenate([fit, stop, test]), tracks, limit)
    plans = [
        Plan(np.flatnonzero(np.isin(data.owner, part)), data.lengths, model.training.batch_tokens, model.training.batch_rnas, draws)
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
        best = fit_module(module, data, plans[1], folder=run.path / "checkpoints", progress=progress, step="epochs")
        module.load_state_dict(best["state_dict"])
        module = module.eval().cpu()
        figures = _figures(module, data, plans[2], simple, tracks)
    write_tsv(figures, run.path / FIGURES)
    save_pretrained(
        tower, head, model, LETTERS if tracks is None else tracks.names, run.path / FOLDER,
        objective=config.objective, kind=kind, inputs=inputs, n_fit=len(fit), n_stop=len(stop), n_test=len(test), best_epoch=int(best["epoch"]),
        figures=figures.astype(object).where(figures.notna(), None).to_dict("records"),
    )  # fmt: skip
    shutil.rmtree(run.path / "checkpoints", ignore_errors=True)
    run.finish()
    return figures, run


def _parts(sequences: Sequence[str], tracks: Tracks | None, model: SeqConfig, progress: Progress | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to fit, to stop by, and to be judged by: near-copies in one of them."""
    rows = np.arange(len(sequences)) if tracks is None else tracks.rows
    groups = np.arange(len(sequences))
    if model.group == "cluster":
        groups[rows] = cluster([sequences[row] for row in rows.tolist()], progress=progress)
    if len(np.unique(groups[rows])) < 3:
        raise InputError("too few RNAs to learn from, stop by and judge by", found=len(np.unique(groups[rows])), expected="3 that are no near-copies, or more")
    nothing = np.zeros((len(sequences), 1), dtype=np.int64)
    share = model.training.inner_fraction
    rest, test = inner_split(rows, nothing, groups, share, child_seed(model.seed, "pre-training", "test"))
    fit, stop = inner_split(rest, nothing, groups, share, child_seed(model.seed, "pre-training", "inner"))
    return fit, stop, test


def _figures(module: Pretraining, data: Pieces, plan: Plan, simple: FirstOrder, tracks: Tracks | None) -> pd.DataFrame:
    """What the encoder says of held-out RNAs beside what two neighbouring letters say."""
    said = []
    with torch.inference_mode():
        for rows in plan:
            batch = data[rows]
            inputs, chosen = module.hide(batch, "test") if tracks is None else (batch.inputs, batch.mask)
            logits = module.logits(inputs, batch.mask).double()
            for number in range(len(rows)):
                inside = batch.mask[number]
                row, start, end = data.places[int(rows[number])]
                if batch.targets is None:
                    said.append((torch.softmax(logits[number, inside], dim=-1).numpy(), chosen[number, inside].numpy(), row, start, end))
                else:
                    one, true = logits[number, inside], batch.targets[number, inside].numpy()
                    if module.kind == BOUNDED:
                        said.append((torch.sigmoid(one).numpy(), true, row, start, end))
                    else:
                        said.append((relative(torch.softmax(one, dim=0).numpy()), relative(true), row, start, end))
    return letter_figures(said, simple) if tracks is None else track_figures(said, simple, tracks.names)
