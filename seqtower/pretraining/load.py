"""Sequences and tracks of `mirnagraph seq pretrain`: from files or synthetic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.io import sha256_of
from mirnagraph.sources.fasta import read_fasta
from seqtower.data import synthetic
from seqtower.data.motifs import read_meme
from seqtower.pretraining.tracks import Tracks, motif_tracks, read_tracks


def read_records(files: Sequence[Path] = (), *, iupac: str = "error") -> pd.DataFrame:
    """Sequences of FASTA files in one table, each id once.

    Args:
        files: FASTA files; none for 150 synthetic RNAs with planted motifs.
        iupac: see `mirnagraph.sources.fasta.read_fasta`.

    Returns:
        Columns ``id`` and ``sequence``.

    Raises:
        InputError: an id with two sequences; see `mirnagraph.sources.fasta.read_fasta`.
    """
    if not files:
        data = synthetic.planted_sequences(150, longest=300).data
        return pd.DataFrame({"id": list(data.index.ids), "sequence": list(data.sequences)})
    tables = [read_fasta(path, iupac=iupac).assign(file=str(path)) for path in files]
    records = pd.concat(tables, ignore_index=True)
    records = records.drop_duplicates(["id", "sequence"], ignore_index=True)
    repeated = records[records["id"].duplicated()]
    if len(repeated):
        first = repeated.iloc[0]
        raise InputError(
            "same id with two sequences",
            file=first["file"],
            line=int(first["line"]),
            column=2,
            found=first["id"],
            expected="an id of no other file",
        )
    return records[["id", "sequence"]]


def read_signal(
    records: pd.DataFrame, motifs: Path | None = None, tracks: Path | None = None
) -> tuple[Tracks, dict[str, str]]:
    """Tracks over the sequences of `read_records`, and the sha256 of the file they come from.

    Args:
        records: columns ``id`` and ``sequence``.
        motifs: MEME file, whose matches become tracks.
        tracks: TSV file of measured signals; none of both for the planted motifs.

    Raises:
        InputError: see `read_meme` and `read_tracks`.
    """
    sequences = list(records["sequence"])
    if tracks is not None:
        return read_tracks(tracks, list(records["id"]), sequences), {"tracks": sha256_of(tracks)}
    if motifs is not None:
        return motif_tracks(read_meme(motifs), sequences), {"motifs": sha256_of(motifs)}
    return motif_tracks(synthetic.planted_motifs(), sequences), {}
