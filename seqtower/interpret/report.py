"""Tables, tracks and plots of `mirnagraph seq explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mirnagraph.config import require
from mirnagraph.errors import InputError, import_extra
from mirnagraph.io import file_names, write_folder, write_text, write_tsv
from mirnagraph.parallel import Progress, report
from mirnagraph.writing.contents import SEQ_EXPLANATIONS
from seqtower.data.kmers import LETTERS, one_hot
from seqtower.data.motifs import Motif, write_meme
from seqtower.encoders.base import ONE_HOT
from seqtower.interpret.attribution import (
    EXTRA,
    Attribution,
    MaskingConfig,
    attribute,
    mask_scan,
    no_windows,
    top_kmers,
    zipcodes,
)
from seqtower.interpret.gradient import gradient_attribution
from seqtower.interpret.motifs import filter_motifs, first_convolutions, match_motifs
from seqtower.saved import SavedTower

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRADIENT = "gradient"
INTEGRATED = "integrated"
METHODS = (GRADIENT, INTEGRATED)
"""How a logit is attributed to nucleotides."""

LOGO_WIDTH = 60
"""Nucleotides of the logo in a picture."""


@dataclass(frozen=True)
class ExplainConfig:
    """Settings of `explain_to_folder`.

    Attributes:
        masking: windows and shuffles of the zipcodes; None to mask nothing, so that the table of
            windows and the zipcodes are empty.
        method: of the attributions: ``"gradient"`` (see `gradient_attribution`), ``"integrated"``
            (see `attribute`), or ``""`` for gradients through a pretrained transformer and
            integrated ones otherwise.
        steps: of integrated gradients.
        plots: whether to draw a picture per RNA.
    """

    masking: MaskingConfig | None = field(default_factory=MaskingConfig)
    method: str = ""
    steps: int = 64
    plots: bool = True

    def __post_init__(self) -> None:
        require(self.method in ("", *METHODS), "method", self.method, f"one of {METHODS}")


@dataclass(frozen=True, eq=False)
class SequenceExplanation:
    """Explanation of the predictions of one RNA.

    Attributes:
        rna_id: of the RNA.
        sequence: its nucleotides.
        scan: table of `mask_scan`, ``rna_id`` before it.
        regions: table of `zipcodes` and ``rna_id``.
        attribution: of each nucleotide.
    """

    rna_id: str
    sequence: str
    scan: pd.DataFrame
    regions: pd.DataFrame
    attribution: Attribution


def explain_to_folder(  # noqa: PLR0913 (one function for the command)
    model: SavedTower,
    records: pd.DataFrame,
    out: str | Path,
    *,
    config: ExplainConfig | None = None,
    known: Sequence[Motif] = (),
    background: Sequence[str] = (),
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Explain the predictions of RNAs and write tables, tracks and plots into a folder.

    ``masking.tsv`` (every window), ``zipcodes.bed`` (significant regions: RNA, start, end,
    compartment, KL, ``.``, change, q), ``attribution.tsv`` (every nucleotide),
    ``attribution.bedgraph`` (one track per compartment), ``completeness.tsv``
    (`Attribution.error`: a share), ``words.tsv`` (top 5-mers), ``motifs.meme`` and
    ``motif_matches.tsv`` for towers with filters over nucleotides, and ``RNA.png``.

    Args:
        model: the tower; of one conditioned on the RNA type ``model.of_type(...)``.
        records: columns ``id``, ``sequence``.
        out: output folder, written as a whole or not at all.
        config: settings; None for the defaults.
        known: motifs to compare those of the filters with.
        background: sequences in which sites of filters are looked for; empty for `records`.
        seed: of the shuffled RNAs.
        overwrite: replace the content of the folder.
        progress: called after each RNA.

    Returns:
        Number of ``zipcodes``, ``motifs`` and ``matches`` (q < 0.05).

    Raises:
        InputError: no RNA, or the folder is not empty.
        MissingExtraError: a package of the extra ``interpret`` is not installed.
    """
    config = config or ExplainConfig()
    if records.empty:
        raise InputError("no RNA to explain")
    _check_extra()
    names = file_names(records["id"])
    explanations = []
    with write_folder(out, overwrite=overwrite, content=SEQ_EXPLANATIONS) as folder:
        pairs = zip(records["id"], records["sequence"], strict=True)
        for number, (rna_id, sequence) in enumerate(pairs):
            report(progress, "explained", number, len(records))
            explanation = _explain(model, rna_id, sequence, config, seed, progress)
            explanations.append(explanation)
            if config.plots:
                figure = draw(explanation, model.compartments)
                path = folder / f"{names[number]}.png"
                figure.savefig(path, dpi=110, metadata={"Software": None})
        report(progress, "explained", len(records), len(records))
        n_regions = _write_tables(explanations, model.compartments, folder)
        n_motifs, n_matches = _write_motifs(
            model, background or list(records["sequence"]), known, folder
        )
    return {"zipcodes": n_regions, "motifs": n_motifs, "matches": n_matches}


def attribution_method(model: SavedTower, config: ExplainConfig) -> str:
    """One of `METHODS`: that of the settings, or what suits the encoder."""
    encoder = model.encoding.encoder
    is_passed = encoder.has_gradient and encoder.reads_whole
    return config.method or (GRADIENT if is_passed else INTEGRATED)


def _explain(
    model: SavedTower,
    rna_id: str,
    sequence: str,
    config: ExplainConfig,
    seed: int,
    progress: Progress | None,
) -> SequenceExplanation:
    """Explain the predictions of one RNA by masking and attribution."""
    if config.masking is None:
        scan = no_windows(model.compartments)
    else:
        scan = mask_scan(model, sequence, config.masking, seed=seed)
    regions = zipcodes(scan, model.compartments, config.masking)
    scan.insert(0, "rna_id", rna_id)
    if attribution_method(model, config) == GRADIENT:
        attribution = gradient_attribution(model, sequence, progress=progress)
    else:
        attribution = attribute(model, sequence, steps=config.steps, progress=progress)
    regions["rna_id"] = rna_id
    return SequenceExplanation(rna_id, sequence, scan, regions, attribution)


def draw(explanation: SequenceExplanation, compartments: tuple[str, ...]) -> Figure:
    """Draw masking effects with zipcodes, attributions, and a logo of the strongest region."""
    from matplotlib.figure import Figure

    sequence = explanation.sequence
    scan = explanation.scan
    attribution = explanation.attribution
    n_panels = 2 if scan.empty else 3
    figure = Figure(figsize=(9, 2 * n_panels), layout="constrained")
    figure.suptitle(explanation.rna_id)
    *above, middle, bottom = figure.subplots(n_panels, 1)
    for top in above:
        center = (scan["start"] + scan["end"]) / 2
        for column in compartments:
            top.plot(center, scan[column], label=column, linewidth=1)
        for row in explanation.regions.itertuples():
            top.axvspan(row.start, row.end, color="0.85", zorder=0)
        top.axhline(0, color="0.6", linewidth=0.6)
        top.set(ylabel="change when masked", xlim=(0, len(sequence)))
    for number, label in enumerate(compartments):
        values = attribution.values[:, number]
        middle.plot(attribution.positions, values, linewidth=0.8, label=label)
    middle.legend(fontsize="x-small", ncols=4)
    middle.set(ylabel="attribution (logit)", xlabel="nucleotide, 5' to 3'", xlim=(0, len(sequence)))
    strongest = int(np.argmax(np.abs(attribution.values).max(axis=0)))
    start, heights = _logo(sequence, attribution.positions, attribution.values[:, strongest])
    if heights.to_numpy().any():  # logomaker refuses a region of N alone
        logomaker = import_extra("logomaker", EXTRA, "the picture of an explanation")
        logomaker.Logo(heights, ax=bottom, color_scheme="classic")
    bottom.set(
        ylabel=compartments[strongest],
        xlabel=f"nucleotides from {attribution.positions[start] + 1}",
    )
    return figure


def _logo(sequence: str, positions: np.ndarray, values: np.ndarray) -> tuple[int, pd.DataFrame]:
    """Start of the strongest region, and the heights of its nucleotides, columns A, C, G, U."""
    width = min(LOGO_WIDTH, len(values))
    strength = np.convolve(np.abs(values), np.ones(width), mode="valid")
    start = int(np.argmax(strength))
    region = slice(start, start + width)
    read = "".join(sequence[position] for position in positions[region])
    heights = one_hot(read) * values[region, None]
    return start, pd.DataFrame(heights, columns=list(LETTERS))


def _write_tables(
    explanations: Sequence[SequenceExplanation], compartments: tuple[str, ...], folder: Path
) -> int:
    """Write the tables of all RNAs; returns the number of zipcodes."""
    scan = pd.concat([explanation.scan for explanation in explanations], ignore_index=True)
    regions = pd.concat([explanation.regions for explanation in explanations], ignore_index=True)
    track = pd.concat([_track(each, compartments) for each in explanations], ignore_index=True)
    errors = [[each.rna_id, *each.attribution.error] for each in explanations]
    pairs = [(each.sequence, each.attribution) for each in explanations]
    write_tsv(scan, folder / "masking.tsv")
    write_text(folder / "zipcodes.bed", _bed(regions))
    write_tsv(track, folder / "attribution.tsv")
    write_text(folder / "attribution.bedgraph", _bedgraph(track, compartments))
    completeness = pd.DataFrame(errors, columns=["rna_id", *compartments])
    write_tsv(completeness, folder / "completeness.tsv")
    kmers = pd.DataFrame(
        top_kmers(pairs, compartments), columns=["compartment", "word", "attribution", "n_rnas"]
    )
    write_tsv(kmers, folder / "words.tsv")
    return len(regions)


def _track(explanation: SequenceExplanation, compartments: tuple[str, ...]) -> pd.DataFrame:
    """Attributions of one RNA, one row per nucleotide."""
    positions = explanation.attribution.positions
    track = pd.DataFrame(explanation.attribution.values, columns=list(compartments))
    track.insert(0, "rna_id", explanation.rna_id)
    track.insert(1, "position", positions)
    track.insert(2, "letter", [explanation.sequence[position] for position in positions])
    return track


def _write_motifs(
    model: SavedTower, sequences: Sequence[str], known: Sequence[Motif], folder: Path
) -> tuple[int, int]:
    """Write motifs and matches of towers with filters over nucleotides; returns both counts."""
    if model.config.encoder.name != ONE_HOT or not first_convolutions(model):
        return 0, 0
    motifs = filter_motifs(model, sequences)
    write_meme(motifs, folder / "motifs.meme")
    matches = match_motifs(motifs, known)
    write_tsv(matches, folder / "motif_matches.tsv")
    return len(motifs), int((matches["q_value"] < 0.05).sum())


def _check_extra() -> None:
    """Raise MissingExtraError where a package of the extra is missing, before any work is done."""
    for module in ("captum.attr", "memelite", "logomaker"):
        import_extra(module, EXTRA, "`seq explain`")


def _bed(regions: pd.DataFrame) -> str:
    lines = []
    for row in regions.itertuples():
        place = f"{row.rna_id}\t{row.start}\t{row.end}"
        scores = f"{row.kl:.6g}\t.\t{row.change:.6g}\t{row.q_value:.3g}"
        lines.append(f"{place}\t{row.compartment}\t{scores}")
    return "\n".join([*lines, ""])


def _bedgraph(track: pd.DataFrame, compartments: tuple[str, ...]) -> str:
    lines = []
    for name in compartments:
        lines.append(f'track type=bedGraph name="{name}"')
        rows = track[["rna_id", "position", name]].itertuples(index=False)
        for rna_id, position, value in rows:
            lines.append(f"{rna_id}\t{position}\t{int(position) + 1}\t{value:.6g}")
    return "\n".join([*lines, ""])
