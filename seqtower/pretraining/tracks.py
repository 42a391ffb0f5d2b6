"""Signals along RNAs that an encoder can be pre-trained on: a table of measured binding, or sites of known motifs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from mirnagraph.config import require
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import read_table
from seqtower.data.kmers import LETTERS, letter_codes, one_hot

if TYPE_CHECKING:
    from seqtower.data.motifs import Motif

BOUNDED = "bounded"
COUNTS = "counts"

PLACE = ("rna_id", "start", "end")


@dataclass(frozen=True, eq=False)
class Tracks:
    """One signal per protein and nucleotide, made when it is read: all RNAs at once may not fit into memory.

    Attributes:
        names: of the tracks: proteins or motifs.
        kind: ``"bounded"`` for values in [0, 1] that mean a probability, ``"counts"`` for values of 0 or more of which only the shape along an
            RNA is learned, since their sum follows how much of the RNA there was.
        rows: RNAs that have a signal, ascending: int64.
        of: row -> float32 of shape (nucleotides, n_tracks).
    """

    names: tuple[str, ...]
    kind: str
    rows: np.ndarray
    of: Callable[[int], np.ndarray]


def motif_tracks(
    motifs: Sequence[Motif], sequences: Sequence[str], *, prior: float = 0.01
) -> Tracks:
    """Where motifs could be bound: the probability that a nucleotide is in a site of each motif.

    Each placement of a motif that lies within the RNA has log odds: the sum over its letters of ln(frequency in the motif / frequency in all
    `sequences`); an N adds 0. A nucleotide takes the highest of the placements that cover it, as 1 / (1 + exp(-(log odds + ln(prior / (1 - prior))))):
    Bayes' probability of a site where a share `prior` of the placements are sites. An RNA shorter than a motif has 0 there.

    Args:
        motifs: their frequencies are mixed with 1 % of the background, so that no letter is impossible.
        prior: share of the placements that are sites, in (0, 1).
    """
    require(0 < prior < 1, "prior", prior, "in (0, 1)")
    counts = sum(
        (
            np.bincount(letter_codes(s)[letter_codes(s) >= 0], minlength=len(LETTERS))
            for s in sequences
        ),
        np.ones(len(LETTERS)),
    )
    background = counts / counts.sum()
    by_width: dict[int, list[int]] = {}
    for number, motif in enumerate(motifs):
        by_width.setdefault(len(motif.frequencies), []).append(number)
    kernels = {}
    for width, members in by_width.items():
        odds = [
            np.log((0.99 * motifs[number].frequencies + 0.01 * background) / background)
            for number in members
        ]
        kernels[width] = torch.from_numpy(np.stack(odds).transpose(0, 2, 1)).float()
    shift = float(np.log(prior / (1 - prior)))

    def of(row: int) -> np.ndarray:
        letters = torch.from_numpy(one_hot(sequences[row])).T.unsqueeze(0)
        found = torch.zeros(letters.shape[2], len(motifs))
        for width, members in by_width.items():
            if letters.shape[2] >= width:
                scores = torch.nn.functional.conv1d(letters, kernels[width])
                wide = torch.nn.functional.pad(scores, (width - 1, width - 1), value=float("-inf"))
                found[:, members] = torch.sigmoid(
                    torch.nn.functional.max_pool1d(wide, width, stride=1)[0].T + shift
                )
        return found.numpy()

    return Tracks(tuple(motif.name for motif in motifs), BOUNDED, np.arange(len(sequences)), of)


def read_tracks(path: str | Path, ids: Sequence[str], sequences: Sequence[str]) -> Tracks:
    """Read signals from a table, of which each line is a stretch of an RNA, as in a bedGraph file with one column per protein.

    TSV, plain or gzip, with a header line. The columns ``rna_id``, ``start``, ``end`` (0-based on the RNA 5' to 3', end excluded, as in BED) come
    first; every other column is a protein, whose value holds for each nucleotide of the stretch: a number of 0 or more. Nucleotides that no
    line covers have 0; an RNA that no line names is not learned from; lines of RNAs that are not among the sequences are passed over. Where all values
    are at most 1 they are read as probabilities, and otherwise as counts (see `Tracks.kind`).

    Args:
        ids, sequences: of the RNAs, in one order.

    Raises:
        InputError: the first 20 of: a missing column, a place that is no whole number, stretches that leave their RNA or overlap, a value that is
            no number of 0 or more, a protein with one value throughout (with file, line and column); no RNA that is among the sequences.
    """
    path = Path(path)
    table = read_table(path, list(PLACE))
    names = [str(name) for name in table.columns if name not in PLACE]
    if not names:
        raise InputError("no column of a protein beside rna_id, start and end", file=path, line=1)
    row_of = {name: row for row, name in enumerate(ids)}
    table = table[table["rna_id"].isin(row_of)]
    if table.empty:
        raise InputError(
            "no RNA of the table is among the sequences",
            file=path,
            found=f"{ids[0]!r} in the sequences" if len(ids) else "no sequence",
        )
    lines = table.index.to_numpy()
    rows = table["rna_id"].map(row_of).to_numpy(dtype=np.int64)
    numbers = (
        table[[*PLACE[1:], *names]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    )
    places = numbers[:, :2]
    values = numbers[:, 2:]
    problems = _bad_places(
        table, places, lines, np.array([len(sequences[row]) for row in rows.tolist()]), path
    )
    for at, column in zip(*np.nonzero(~(np.isfinite(values) & (values >= 0))), strict=True):
        found = table[names[column]].iloc[at]
        problems.append(
            InputError(
                "not a signal",
                file=path,
                line=int(lines[at]),
                column=names[column],
                found=found,
                expected="a number of 0 or more",
            )
        )
    raise_problems(problems)
    starts, ends = places.astype(np.int64).T
    order = np.lexsort((starts, rows))
    clash = np.flatnonzero(
        (rows[order][1:] == rows[order][:-1]) & (starts[order][1:] < ends[order][:-1])
    )
    raise_problems(
        InputError("stretches of one RNA overlap", file=path, line=int(lines[order[at + 1]]), column="start", found=int(starts[order[at + 1]]),
                   expected=f"{ends[order[at]]} or more (line {lines[order[at]]})")
        for at in clash
    )  # fmt: skip
    stretches: dict[int, list[int]] = {}
    for at, row in enumerate(rows.tolist()):
        stretches.setdefault(row, []).append(at)
    covered = all(
        sum(int(ends[at] - starts[at]) for at in parts) == len(sequences[row])
        for row, parts in stretches.items()
    )
    for column, name in enumerate(names):
        if values[:, column].min() == values[:, column].max() and (
            covered or values[0, column] == 0
        ):
            raise InputError(
                "a track with one value throughout",
                file=path,
                column=name,
                found=f"{values[0, column]:g}",
                expected="a signal that varies",
            )

    def of(row: int) -> np.ndarray:
        found = np.zeros((len(sequences[row]), len(names)), dtype=np.float32)
        for at in stretches.get(row, ()):
            found[starts[at] : ends[at]] = values[at]
        return found

    return Tracks(tuple(names), BOUNDED if values.max() <= 1 else COUNTS, np.unique(rows), of)


def relative(values: np.ndarray) -> np.ndarray:
    """Counts along an RNA over their mean, 0 where there are none: shape (nucleotides, n_tracks), mean 1."""
    return np.asarray(values / np.maximum(values.mean(axis=0, keepdims=True), 1e-12))


def _bad_places(
    table: pd.DataFrame, places: np.ndarray, lines: np.ndarray, lengths: np.ndarray, path: Path
) -> list[InputError]:
    problems = []
    for number, column in enumerate(PLACE[1:]):
        for at in np.flatnonzero(~(places[:, number] % 1 == 0)):
            found = table[column].iloc[at]
            problems.append(
                InputError(
                    "not a place",
                    file=path,
                    line=int(lines[at]),
                    column=column,
                    found=found,
                    expected="a whole number",
                )
            )
    for at in np.flatnonzero(
        (places[:, 0] < 0) | (places[:, 1] <= places[:, 0]) | (places[:, 1] > lengths)
    ):
        found = f"{table['start'].iloc[at]} to {table['end'].iloc[at]}"
        expected = f"0 <= start < end <= {lengths[at]}, the length of {table['rna_id'].iloc[at]}"
        problems.append(
            InputError(
                "a stretch that does not lie within its RNA",
                file=path,
                line=int(lines[at]),
                column="end",
                found=found,
                expected=expected,
            )
        )
    return problems
