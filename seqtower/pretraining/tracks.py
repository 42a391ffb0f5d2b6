"""Signal tracks along RNAs for pre-training: measured binding or sites of known motifs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirnagraph.config import require
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.table import read_table
from seqtower.data.kmers import LETTERS, letter_codes, one_hot
from seqtower.data.labels import cell_problems
from seqtower.data.motifs import Motif

BOUNDED = "bounded"
COUNTS = "counts"

PLACE = ("rna_id", "start", "end")


@dataclass(frozen=True, eq=False)
class Tracks:
    """One signal per protein and nucleotide, computed on access to save memory.

    Attributes:
        names: of the tracks: proteins or motifs.
        kind: ``"bounded"`` for probabilities, ``"counts"`` for values of 0 or more, of which only
            the shape along an RNA is predicted, since their sum depends on the coverage.
        rows: row numbers of RNAs with a signal, ascending: int64.
        of: row -> float32 of shape (nucleotides, n_tracks).
    """

    names: tuple[str, ...]
    kind: str
    rows: np.ndarray
    of: Callable[[int], np.ndarray]


def motif_tracks(
    motifs: Sequence[Motif], sequences: Sequence[str], *, prior: float = 0.01
) -> Tracks:
    """Return the probability that a nucleotide is in a site of each motif.

    The log odds of a placement are the sum over its nucleotides of ln(frequency in the motif /
    frequency in all `sequences`); an N adds 0. A nucleotide takes the highest log odds of the
    placements that cover it, as 1 / (1 + exp(-(log odds + ln(prior / (1 - prior))))): Bayes'
    probability of a site if a share `prior` of the placements are sites. An RNA shorter than a
    motif has 0.

    Args:
        motifs: their frequencies are mixed with 1 % of the background, so that none is 0.
        sequences: nucleotides A, C, G, U, N.
        prior: share of the placements that are sites, in (0, 1).
    """
    require(0 < prior < 1, "prior", prior, "in (0, 1)")
    background = _frequencies(sequences)
    by_width: dict[int, list[int]] = {}
    for number, motif in enumerate(motifs):
        by_width.setdefault(len(motif.frequencies), []).append(number)
    kernels = {}
    for width, numbers in by_width.items():
        log_odds = []
        for number in numbers:
            mixed = 0.99 * motifs[number].frequencies + 0.01 * background
            log_odds.append(np.log(mixed / background))
        kernels[width] = torch.from_numpy(np.stack(log_odds).transpose(0, 2, 1)).float()
    prior_logit = float(np.log(prior / (1 - prior)))

    def of(row: int) -> np.ndarray:
        nucleotides = torch.from_numpy(one_hot(sequences[row])).T.unsqueeze(0)
        probabilities = torch.zeros(nucleotides.shape[2], len(motifs))
        for width, numbers in by_width.items():
            if nucleotides.shape[2] < width:
                continue
            scores = torch.nn.functional.conv1d(nucleotides, kernels[width])
            margin = (width - 1, width - 1)
            padded = torch.nn.functional.pad(scores, margin, value=float("-inf"))
            highest = torch.nn.functional.max_pool1d(padded, width, stride=1)[0].T
            probabilities[:, numbers] = torch.sigmoid(highest + prior_logit)
        return probabilities.numpy()

    names = tuple(motif.name for motif in motifs)
    return Tracks(names, BOUNDED, np.arange(len(sequences)), of)


def read_tracks(path: str | Path, ids: Sequence[str], sequences: Sequence[str]) -> Tracks:
    """Read signals from a table of intervals, like a bedGraph file with a column per protein.

    TSV, plain or gzip, with a header line. The columns ``rna_id``, ``start``, ``end`` (0-based on
    the RNA 5' to 3', end excluded, as in BED) give the interval; every other column is a protein
    whose value, a number of 0 or more, holds for each nucleotide of the interval. Nucleotides
    without an interval have 0. RNAs without an interval are not used, and intervals of RNAs that
    are not among the sequences are ignored. Values of at most 1 throughout are read as
    probabilities, others as counts (see `Tracks.kind`).

    Args:
        path: the table.
        ids: of the RNAs.
        sequences: of the same RNAs.

    Raises:
        InputError: the first 20 of: a missing column, a position that is no whole number, intervals
            that leave their RNA or overlap, a value that is no number of 0 or more, a protein with
            one value throughout; or no RNA that is among the sequences.
    """
    path = Path(path)
    table = read_table(path, list(PLACE))
    names = [str(name) for name in table.columns if name not in PLACE]
    if not names:
        raise InputError("no column of a protein besides rna_id, start and end", file=path, line=1)
    row_of = {name: row for row, name in enumerate(ids)}
    table = table[table["rna_id"].isin(row_of)]
    if table.empty:
        raise InputError(
            "no RNA of the table is among the sequences",
            file=path,
            found=f"{ids[0]!r} in the sequences" if len(ids) else "no sequence",
        )
    lengths = np.array([len(sequence) for sequence in sequences])
    rows = table["rna_id"].map(row_of).to_numpy(dtype=np.int64)
    numbers = table[[*PLACE[1:], *names]].apply(pd.to_numeric, errors="coerce")
    places = numbers[list(PLACE[1:])].to_numpy(dtype=np.float64)
    values = numbers[names].to_numpy(dtype=np.float64)
    is_whole = places % 1 == 0
    is_signal = np.isfinite(values) & (values >= 0)
    positions = table[list(PLACE[1:])]
    problems = cell_problems("not a position", ~is_whole, positions, path, "a whole number")
    problems += _outside(table, places, lengths[rows], path)
    expected = "a number of 0 or more"
    problems += cell_problems("not a signal", ~is_signal, table[names], path, expected)
    raise_problems(problems)
    starts, ends = places.astype(np.int64).T
    raise_problems(_overlaps(table.index, rows, starts, ends, path))
    n_covered = np.bincount(rows, weights=ends - starts, minlength=len(sequences))
    is_covered = bool((n_covered == lengths)[np.unique(rows)].all())
    _refuse_constant(names, values, path, is_covered=is_covered)
    lines_of: dict[int, list[int]] = {}
    for line, row in enumerate(rows.tolist()):
        lines_of.setdefault(row, []).append(line)

    def of(row: int) -> np.ndarray:
        signal = np.zeros((len(sequences[row]), len(names)), dtype=np.float32)
        for line in lines_of.get(row, ()):
            signal[starts[line] : ends[line]] = values[line]
        return signal

    kind = BOUNDED if values.max() <= 1 else COUNTS
    return Tracks(tuple(names), kind, np.unique(rows), of)


def relative(values: np.ndarray) -> np.ndarray:
    """Divide counts by their mean along an RNA, 0 for none: shape (nucleotides, n_tracks)."""
    return values / np.maximum(values.mean(axis=0, keepdims=True), 1e-12)


def _frequencies(sequences: Sequence[str]) -> np.ndarray:
    """Nucleotide frequencies with a pseudocount of 1: shape (4,)."""
    counts = np.ones(len(LETTERS))
    for sequence in sequences:
        codes = letter_codes(sequence)
        counts += np.bincount(codes[codes >= 0], minlength=len(LETTERS))
    return counts / counts.sum()


def _outside(
    table: pd.DataFrame, places: np.ndarray, lengths: np.ndarray, path: Path
) -> list[InputError]:
    starts, ends = places.T
    problems = []
    for at in np.flatnonzero((starts < 0) | (ends <= starts) | (ends > lengths)).tolist():
        cells = table.iloc[at]
        problems.append(
            InputError(
                "an interval outside its RNA",
                file=path,
                line=int(table.index[at]),
                column="end",
                found=f"{cells['start']} to {cells['end']}",
                expected=f"0 <= start < end <= {lengths[at]}, the length of {cells['rna_id']}",
            )
        )
    return problems


def _overlaps(
    lines: pd.Index, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, path: Path
) -> list[InputError]:
    problems = []
    for before, after in pairwise(np.lexsort((starts, rows)).tolist()):
        if rows[before] == rows[after] and starts[after] < ends[before]:
            problems.append(
                InputError(
                    "intervals of one RNA overlap",
                    file=path,
                    line=int(lines[after]),
                    column="start",
                    found=int(starts[after]),
                    expected=f"{ends[before]} or more (line {lines[before]})",
                )
            )
    return problems


def _refuse_constant(
    names: Sequence[str], values: np.ndarray, path: Path, *, is_covered: bool
) -> None:
    """Raise InputError for a track of one value; uncovered nucleotides, which are 0, count."""
    for name, column in zip(names, values.T, strict=True):
        is_constant = column.min() == column.max()
        if is_constant and (is_covered or column[0] == 0):
            raise InputError(
                "a track with one value throughout",
                file=path,
                column=name,
                found=f"{column[0]:g}",
                expected="a signal that varies",
            )
