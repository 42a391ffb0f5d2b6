"""All explanations of a run for some RNAs, written as tables, tracks and plots: what `mirnagraph seq explain` does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError, import_extra
from mirnagraph.io import write_folder, write_text, write_tsv
from mirnagraph.parallel import Progress, report
from seqtower.data.motifs import Motif, write_meme
from seqtower.encoders.base import ONE_HOT
from seqtower.interpret.attribution import (
    EXTRA,
    Attribution,
    MaskingConfig,
    attribute,
    mask_scan,
    top_words,
    zipcodes,
)
from seqtower.interpret.motifs import filter_motifs, first_convolutions, match_motifs
from seqtower.saved import SavedTower

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOGO_WIDTH = 60

LONGEST_NAME = 100
"""Letters of an RNA's id that its picture's name keeps: file systems have a limit."""


@dataclass(frozen=True)
class ExplainConfig:
    """What is made.

    Attributes:
        masking: settings of the zipcodes.
        steps: of integrated gradients.
        plots: one picture per RNA.
    """

    masking: MaskingConfig = field(default_factory=MaskingConfig)
    steps: int = 64
    plots: bool = True


def explain_to_folder(
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
    """Explain RNAs and write everything into a folder, all or nothing.

    ``masking.tsv`` (every window), ``zipcodes.bed`` (significant regions: RNA, start, end, compartment, KL, ``.``, change, q), ``attribution.tsv`` (every
    nucleotide), ``attribution.bedgraph`` (one track per compartment), ``completeness.tsv`` (`Attribution.error`: a share), ``words.tsv`` (top 5-mers),
    ``motifs.meme`` and ``motif_matches.tsv`` where the tower has filters over letters, and ``RNA.png``.

    Args:
        model: one that was trained with types of RNAs is given as ``model.of_type(...)``.
        records: columns ``id``, ``sequence``.
        known: motifs that filters are compared with.
        background: sequences in which filters are looked for; those of `records` where empty.

    Returns:
        How many zipcodes, motifs and matches (q < .05) were found.

    Raises:
        MissingExtraError: a package of the extra ``interpret`` is not installed.
    """
    config = config or ExplainConfig()
    if records.empty:
        raise InputError("no RNA to explain")
    _check_extra()
    names = model.compartments
    scans = []
    regions = []
    tracks = []
    errors = []
    explained = []
    pictures = _file_names(records["id"])
    with write_folder(out, overwrite=overwrite) as folder:
        for number, (name, sequence) in enumerate(
            zip(records["id"], records["sequence"], strict=True)
        ):
            report(progress, "explained", number, len(records))
            scan = mask_scan(model, sequence, config.masking, seed=seed)
            found = zipcodes(scan, names, config.masking)
            attribution = attribute(model, sequence, steps=config.steps)
            explained.append((sequence, attribution))
            scans.append(scan.assign(rna_id=name))
            regions.append(found.assign(rna_id=name))
            track = pd.DataFrame(attribution.values, columns=list(names))
            track.insert(0, "letter", [sequence[i] for i in attribution.positions])
            track.insert(0, "position", attribution.positions)
            tracks.append(track.assign(rna_id=name))
            errors.append([name, *attribution.error])
            if config.plots:
                draw(name, sequence, scan, found, attribution, names).savefig(
                    folder / f"{pictures[name]}.png", dpi=110, metadata={"Software": None}
                )
        report(progress, "explained", len(records), len(records))
        write_tsv(_first(pd.concat(scans)), folder / "masking.tsv")
        zips = pd.concat(regions, ignore_index=True)
        write_text(folder / "zipcodes.bed", _bed(zips))
        write_tsv(_first(pd.concat(tracks)), folder / "attribution.tsv")
        write_text(folder / "attribution.bedgraph", _bedgraph(tracks, names))
        write_tsv(pd.DataFrame(errors, columns=["rna_id", *names]), folder / "completeness.tsv")
        words = pd.DataFrame(
            top_words(explained, names), columns=["compartment", "word", "attribution", "n_rnas"]
        )
        write_tsv(words, folder / "words.tsv")
        counts = {"zipcodes": len(zips), "motifs": 0, "matches": 0}
        if model.config.encoder.name == ONE_HOT and first_convolutions(model):
            motifs = filter_motifs(model, background or list(records["sequence"]))
            write_meme(motifs, folder / "motifs.meme")
            matches = (
                match_motifs(motifs, known)
                if known
                else pd.DataFrame(
                    columns=["motif", "known", "p_value", "q_value", "offset", "overlap"]
                )
            )
            write_tsv(matches, folder / "motif_matches.tsv")
            counts |= {"motifs": len(motifs), "matches": int((matches["q_value"] < 0.05).sum())}
    return counts


def draw(
    name: str,
    sequence: str,
    scan: pd.DataFrame,
    regions: pd.DataFrame,
    attribution: Attribution,
    compartments: tuple[str, ...],
) -> Figure:
    """What masking changes along the RNA, its zipcodes, the attributions, and a logo of the strongest stretch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1)
    center = (scan["start"] + scan["end"]) / 2
    for column in compartments:
        top.plot(center, scan[column], label=column, linewidth=1)
    for row in regions.itertuples():
        top.axvspan(row.start, row.end, color="0.85", zorder=0)
    top.axhline(0, color="0.6", linewidth=0.6)
    top.set(ylabel="change when hidden", title=name, xlim=(0, len(sequence)))
    top.legend(fontsize="x-small", ncols=4)
    for number, label in enumerate(compartments):
        middle.plot(
            attribution.positions, attribution.values[:, number], linewidth=0.8, label=label
        )
    middle.set(ylabel="attribution (logit)", xlabel="nucleotide, 5' to 3'", xlim=(0, len(sequence)))
    best = int(np.argmax(np.abs(attribution.values).max(axis=0)))
    values = attribution.values[:, best]
    width = min(LOGO_WIDTH, len(values))
    start = int(np.argmax(np.convolve(np.abs(values), np.ones(width), mode="valid")))
    shown = range(start, start + width)
    matrix = pd.DataFrame(
        [
            [
                values[i] if sequence[attribution.positions[i]] == letter else 0.0
                for letter in "ACGU"
            ]
            for i in shown
        ],
        columns=list("ACGU"),
    )
    if matrix.to_numpy().any():  # of letters that are all N there is no logo
        logomaker = import_extra("logomaker", EXTRA, "the picture of an explanation")
        logomaker.Logo(matrix, ax=bottom, color_scheme="classic")
    bottom.set(
        ylabel=compartments[best], xlabel=f"nucleotides from {attribution.positions[start] + 1}"
    )
    return figure


def _check_extra() -> None:
    """Raise MissingExtraError where a package of the extra is missing, before any work is done."""
    for module in ("captum.attr", "memelite", "logomaker"):
        import_extra(module, EXTRA, "`seq explain`")


def _first(table: pd.DataFrame) -> pd.DataFrame:
    return table[["rna_id", *(c for c in table.columns if c != "rna_id")]].reset_index(drop=True)


def _bed(regions: pd.DataFrame) -> str:
    lines = [
        f"{r.rna_id}\t{r.start}\t{r.end}\t{r.compartment}\t{r.kl:.6g}\t.\t{r.change:.6g}\t{r.q_value:.3g}"
        for r in regions.itertuples()
    ]
    return "\n".join([*lines, ""])


def _bedgraph(tracks: list[pd.DataFrame], compartments: tuple[str, ...]) -> str:
    lines = []
    for name in compartments:
        lines.append(f'track type=bedGraph name="{name}"')
        for track in tracks:
            lines += [
                f"{rna}\t{at}\t{int(at) + 1}\t{value:.6g}"
                for rna, at, value in track[["rna_id", "position", name]].itertuples(index=False)
            ]
    return "\n".join([*lines, ""])


def _file_names(names: Iterable[str]) -> dict[str, str]:
    """A file name for each RNA: its id where that is one, also where capitals are not told apart; else what can be kept of it, and a number."""
    found = dict[str, str]()
    taken = set[str]()
    for name in names:
        plain = (
            "".join(
                letter if letter.isalnum() or letter in "-_." else "_" for letter in name
            ).strip(".")[:LONGEST_NAME]
            or "rna"
        )
        kept = plain
        number = 1
        while kept.casefold() in taken:
            number += 1
            kept = f"{plain}_{number}"
        taken.add(kept.casefold())
        found[name] = kept
    return found
