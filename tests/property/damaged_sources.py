"""Small files of sources and tables that commands read, for the tests of damaged files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fusion.experiments.search_space import read_space
from fusion.explain.confirmation import read_confirmations
from fusion.temporal.labels import read_earlier
from mirnagraph.dataset import Dataset
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.results import read_predictions
from mirnagraph.sources import mirbase, ncdr
from mirnagraph.sources.expression import read_measurement_table, read_mirmine
from mirnagraph.sources.organisms import read_organisms
from mirnagraph.synthetic import SyntheticConfig, make_synthetic
from seqtower.data.motifs import read_meme
from seqtower.data.sets import read_sets
from seqtower.pretraining.tracks import read_tracks

HAIRPINS = b">hsa-mir-1 MI0000001 Homo sapiens x\nACGUACGUACGU\n>hsa-mir-2 MI0000002 x\nGGGGCC\n"
ALIASES = b"MI0000001\thsa-mir-1;hsa-mir-1-1\nMIMAT0000001\thsa-miR-1\n"
FAMILIES = b"AC   MIPF0000001\nID   mir-1\nMI   MI0000001  hsa-mir-1\n//\n"
JOINED = (
    b"hairpin_acc\thairpin_id\tfamily_acc\tfamily_id\tmature_acc\tmature_id\tmature_evidence\t"
    b"mature_seq\nMI0000001\thsa-mir-1\tMIPF0000001\tmir-1\tMIMAT0000001\thsa-miR-1\t"
    b"experimental\tACGUAC\n"
)
RETIRED = (
    b"hairpin_acc\tlast_seen_release\tall_names\tsequence\tmatures(name:acc:seq)\n"
    b"MI0000009\t21\thsa-mir-9;hsa-mir-9-1\tACGU\thsa-miR-9:MIMAT0000009:ACG\n"
)
EMBL = b"""ID   hsa-mir-1         standard; RNA; HSA; 12 BP.
AC   MI0000001;
FT   miRNA           3..8
FT                   /accession="MIMAT0000001"
FT                   /product="hsa-miR-1"
FT                   /evidence=experimental
SQ   Sequence 12 BP; 3 A; 3 C; 3 G; 0 T; 3 other;
     acguacguac gu                                                            12
//
"""
NCDR = b"PMID\tmiRNA_ID\tDrug\tCID\tEffect\n11\thsa-mir-1\tcisplatin\t5\tResistant\n"
PAIRS = b"hsa-mir-1,cisplatin\nhsa-mir-2,taxol\n"
ORGANISMS = b"prefix\tname\tn_hairpin\nhsa\tHomo sapiens\t1917\nmmu\tMus musculus\t1234\n"
EXPRESSION = (
    b"mature_name\taccession\tprecursor_name\tr1\tr2\n"
    b"hsa-miR-1\tMIMAT0000001\thsa-mir-1\t1.5\t0\nhsa-miR-2\tMIMAT0000002\thsa-mir-2\t0\t7\n"
)
RUNS = (
    b"run\tsra_study\tpmid\ttissue\tcell_line\tcompartment_fraction\tbody_fluid\n"
    b"r1\ts\t5\tliver\t\t\t\nr2\ts\t5\t\tHeLa\tnucleus\t\n"
)
MEME = b"""MEME version 4

ALPHABET= ACGU

MOTIF one
letter-probability matrix: alength= 4 w= 2 nsites= 12 E= 0
  0.25 0.25 0.25 0.25
  0.10 0.20 0.30 0.40

MOTIF two
letter-probability matrix: alength= 4 w= 1 nsites= 3 E= 0
  0.7 0.1 0.1 0.1
"""
TRACKS = b"rna_id\tstart\tend\tA\tB\na\t0\t2\t0.5\t0\na\t2\t4\t0\t1\nb\t1\t3\t0.25\t0.5\n"
SPACE = (
    b"[space]\nfusion.dropout = { low = 0.05, high = 0.3, step = 0.05 }\nfusion.epochs = [2, 3]\n"
)
SETS = b'[sets.x]\nfasta = "x.fa"\ntype = "mRNA"\nlabels_in_header = "Nucleus,Cytoplasm"\n'
HEADERS = (
    b">10,Gene_ID:miRBase:MI0000060,Gene_Name:hsa-let-7a-1\nACGU\n>01,Gene_Name:x\nGGCC\n"
    b">11,Gene_Name:y\nACGG\n"
)
MEASURED = b"rna\ts1\ts2\na\t100\t0\nb\t7\tNA\n"


@dataclass(frozen=True)
class Subject:
    """A file, its reader, and whether every change of its content has to be seen."""

    name: str
    content: bytes
    read: Callable[[Path], object]
    is_sealed: bool = False


def rows(read: Callable[[Path], pd.DataFrame]) -> Callable[[Path], object]:
    return lambda path: read(path).to_numpy().tolist()


DATASET: Dataset = make_synthetic(
    SyntheticConfig(
        n_rnas=24, n_compartments=2, n_families=6, n_communities=3, n_partners=(8, 5, 6), seed=3
    )
)[0]
RNAS = [str(name) for name in DATASET.index]
EARLIER = "\t".join(["rna_id", *DATASET.compartments]) + f"\n{RNAS[0]}\t0\t0\n{RNAS[1]}\t1\t0\n"
EVIDENCE = (
    "rna_id\tcompartment\tpmid\tsource\n"
    f"{RNAS[0]}\t{DATASET.compartments[0]}\t17\tRNALocate\n{RNAS[1]}\tx\t\t\n"
)
PREDICTIONS = "rna_id\tfold\tNucleus\na\t0\t0.75\nb\t1\t0.25\n"


def embl(path: Path) -> object:
    hairpins, matures = mirbase.read_embl(path)
    return [hairpins.to_numpy().tolist(), matures.to_numpy().tolist()]


def mirmine(changed: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        for name, content in (("expression.tsv.gz", EXPRESSION), ("runs.tsv", RUNS)):
            (path.parent / name).write_bytes(path.read_bytes() if name == changed else content)
        measured = read_mirmine(path.parent)
        values = measured.values.to_numpy()
        assert np.isfinite(values).all()
        return [list(measured.values.index), values.tolist(), measured.samples.to_numpy().tolist()]

    return read


def motifs(path: Path) -> object:
    found = read_meme(path)
    for motif in found:
        assert np.allclose(motif.frequencies.sum(axis=1), 1)
        assert motif.sites > 0
    return [[motif.name, motif.frequencies.tolist(), motif.sites] for motif in found]


def tracks(path: Path) -> object:
    read = read_tracks(path, ["a", "b"], ["ACGU", "ACG"])
    signals = [read.of(row) for row in read.rows.tolist()]
    assert all(np.isfinite(signal).all() and (signal >= 0).all() for signal in signals)
    return [read.names, read.kind, [signal.tolist() for signal in signals]]


def sets(changed: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        for name, content in (("x.fa", HEADERS), ("sets.toml", SETS)):
            (path.parent / name).write_bytes(path.read_bytes() if name == changed else content)
        data = read_sets(path.parent / "sets.toml", least=1)
        assert np.isin(data.labels, (0, 1)).all()
        return [list(data.index.ids), data.sequences, data.labels.tolist(), data.compartments]

    return read


def measurement(path: Path) -> object:
    read = read_measurement_table(path)
    return [list(read.values.columns), read.values.fillna(-1).to_numpy().tolist()]


def confirmed(path: Path) -> object:
    evidence = read_confirmations(path, DATASET)
    return [evidence.confirmed.tolist(), evidence.unused.to_numpy().tolist(), evidence.sources]


SOURCES = (
    Subject("hairpins", HAIRPINS, rows(mirbase.read_mirbase_fasta)),
    Subject("aliases", ALIASES, rows(mirbase.read_aliases)),
    Subject("families", FAMILIES, rows(mirbase.read_families)),
    Subject("joined", JOINED, rows(mirbase.read_joined)),
    Subject("retired", RETIRED, rows(mirbase.read_retired)),
    Subject("EMBL", EMBL, embl),
    Subject("ncDR", NCDR, rows(ncdr.read_ncdr)),
    Subject("pairs", PAIRS, rows(ncdr.read_pairs)),
    Subject("organisms", ORGANISMS, rows(read_organisms)),
    Subject("expression", EXPRESSION, mirmine("expression.tsv.gz")),
    Subject("runs", RUNS, mirmine("runs.tsv")),
    Subject("measurement", MEASURED, measurement),
    Subject("motifs", MEME, motifs),
    Subject("tracks", TRACKS, tracks),
    Subject("search space", SPACE, read_space),
    Subject("headers", HEADERS, sets("x.fa")),
    Subject("sets", SETS, sets("sets.toml")),
    Subject("earlier labels", EARLIER.encode(), lambda path: read_earlier(path, DATASET)
            .labels.to_numpy().tolist()),
    Subject("evidence", EVIDENCE.encode(), confirmed),
    Subject("predictions", PREDICTIONS.encode(), rows(lambda path: read_predictions(
        path, NodeIndex.of(["a", "b"], "miRNA"), ("Nucleus",)))),
)  # fmt: skip
