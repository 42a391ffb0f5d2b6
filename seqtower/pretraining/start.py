"""Whether a training may start from a pre-trained tower, and what it started from, in words."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.runs.model_file import HEADER
from seqtower.config import SeqConfig
from seqtower.data.sequences import SequenceSet
from seqtower.pretraining.checkpoint import TOWER_FOLDER, Pretrained, load_pretrained
from seqtower.pretraining.target import GENE, NEAR, SAME
from seqtower.training.health import HEALTH


def load_start(config: SeqConfig, data: SequenceSet) -> Pretrained | None:
    """Read the weights of ``config.pretrained`` for training on a set; None for a random start.

    Raises:
        CheckpointError: see `load_pretrained`; or the pre-training on labels served another set and
            read an RNA of this one.
        ConfigError: RNAs were described with their types in only one of pre-training and training.
    """
    if not config.pretrained:
        return None
    start = load_pretrained(config)
    if start.encoding is not None:
        check_rnas(start, data, Path(config.pretrained))
    return start


def check_rnas(start: Pretrained, data: SequenceSet, folder: Path) -> None:
    """Raise unless the RNAs of a set may be trained and tested from a pre-trained tower.

    Args:
        start: a tower that was pre-trained on labels.
        data: the set.
        folder: of the pre-training, for errors.

    Raises:
        CheckpointError, ConfigError: see `load_start`.
    """
    has_types = data.types is not None
    if bool(start.about["described_types"]) != has_types:
        how = ("with", "add") if has_types else ("without", "omit")
        raise ConfigError(
            f"the pre-training in {folder} and this training must both have RNA types or neither: "
            f"this one is {how[0]} (to `seq pretrain`, {how[1]} --rna-type)"
        )
    n_read = n_of(data, start.rnas)
    if n_read:
        raise CheckpointError(
            "the pre-training served another target and read RNAs of this set",
            file=folder / TOWER_FOLDER / HEADER,
            column="target_fingerprint",
            found=f"{n_read} of {len(data)} sequences among its RNAs",
            expected="none: pre-train with --target and the FASTA file of this set",
        )


def n_of(data: SequenceSet, hashes: frozenset[bytes]) -> int:
    """Return how many RNAs of a set have a sequence with one of these sha256."""
    return sum(hashlib.sha256(rna.encode()).digest() in hashes for rna in data.sequences)


def start_sentences(start: Pretrained, data: SequenceSet, folder: str) -> list[str]:
    """Say what every fold started from.

    Args:
        start: of `load_start`.
        data: the set that is trained.
        folder: of the pre-training.
    """
    if start.encoding is None:
        return [
            f"Every fold started from the pre-trained encoder in `{folder}`, which was trained "
            "without labels. If tested RNAs were among its sequences, the run is transductive for "
            "sequences."
        ]
    about = start.about
    score = "-" if about["score"] is None else f"{about['score']:.3f}"
    n_rnas = about["n_fit"] + about["n_stop"]
    cut = about["n_cut"]
    genes = f"{cut[GENE]} more of the same gene"
    if not about["genes_compared"]:
        genes = "genes were not compared"
    lines = [
        f"Every fold started from the tower in `{folder}`, pre-trained on the labels of {n_rnas} "
        f"RNAs of the sets {', '.join(about['sets'])} (validation AUC {score}), with the encoding "
        "and the kernels fitted there; head and RNA types start anew.",
        f"Cut from the pre-training for its target: {cut[SAME]} RNAs of the same sequence, "
        f"{cut[NEAR]} near-copies, {genes}.",
    ]
    n_target = n_of(data, start.target)
    if n_target < len(data):
        lines.append(
            f"{len(data) - n_target} of {len(data)} RNAs are not of the pre-training's target. "
            "None has the sequence of a pre-training RNA; near-copies and genes were not compared."
        )
    health = about[HEALTH]
    if health["status"] != "healthy":
        lines.append(f"The pre-training itself failed: {health['reason']}.")
    return lines
