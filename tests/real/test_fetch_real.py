"""`fetch` as typed, from a server of the published files as far as they can be made again."""

from __future__ import annotations

import csv
import functools
import gzip
import http.server
import io
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from mirnagraph import catalog
from mirnagraph.dataset import Dataset
from mirnagraph.published.conversions import CLDP_COMPARTMENTS
from mirnagraph.recipes.opening import load_dataset
from mirnagraph.sources import mirna1041

DATA = Path(os.environ.get("MIRNAGRAPH_DATA", "nowhere"))
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (DATA / "mirna1041").is_dir(),
        reason="MIRNAGRAPH_DATA does not name a folder with mirna1041/ in it",
    ),
]

N_COLUMNS_BEFORE_SMILES = 5


def content(path: str) -> str:
    raw = (DATA / path).read_bytes()
    return (gzip.decompress(raw) if path.endswith(".gz") else raw).decode("utf-8")


def rows_of(path: str) -> list[list[str]]:
    return [line.split("\t") for line in content(path).splitlines()]


def as_csv(rows: list[list[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def raw_embl() -> str:
    """``miRNA.dat`` of every species, of hairpins and the places of their matures."""
    matures = defaultdict(list)
    for row in rows_of("mirbase_all/hairpin_mature.tsv.gz")[1:]:
        matures[row[0]].append(row)
    records = []
    for record in content("mirbase_all/hairpin.fa.gz").split(">")[1:]:
        header, sequence = record.strip().split("\n")
        name, accession, about = header.split(" ", 2)
        lines = [f"ID   {name}   standard; RNA; {len(sequence)} BP.", f"AC   {accession};"]
        lines.append(f"DE   {about}")
        for _, _, _, _, mature, mature_accession, start, end, evidence in matures[name]:
            lines.append(f"FT   miRNA           {start}..{end}")
            keys = (("accession", mature_accession), ("product", mature))
            lines += [f'FT                   /{key}="{value}"' for key, value in keys]
            lines.append(f"FT                   /evidence={evidence.replace(' ', '_')}")
        lines.append("SQ   Sequence")
        for start in range(0, len(sequence), 60):
            cells = sequence[start : start + 60].lower()
            blocks = " ".join(cells[at : at + 10] for at in range(0, len(cells), 10))
            lines.append(f"     {blocks} {start + len(cells)}")
        records.append("\n".join([*lines, "//"]))
    return "\n".join(records) + "\n"


def raw_ncdr() -> str:
    at = N_COLUMNS_BEFORE_SMILES
    header, *rows = rows_of("ncdr/ncdr_curated_miRNA.tsv")
    return as_csv(
        [[*header[:at], "SMILES", *header[at:]]]
        + [[*row[:at], "N.N.Cl[Pt]Cl", *row[at:]] for row in rows]
    )


def raw_cldp(cell_line: str) -> str:
    """A table of CLDP-lncLoc, with its columns in their order."""
    records = content("longrna/lncrna/cldp_lncrna_2242.fa.gz").split(">")[1:]
    sequence_of = dict(record.strip().split("\n") for record in records)
    ids = ["Gene_ID", "Refseq_ID", "Species", "RNA_category", "Source", "Sequence", "Gene_Name"]
    rows = [[*CLDP_COMPARTMENTS, *ids, "Tissue/Cell Line", "RNA Symbol"]]
    for row in rows_of("longrna/lncrna/cldp_lncrna_2242_labels.tsv")[1:]:
        refseq, gene, symbol, species, *labels, lines = row
        if cell_line in lines.split(";"):
            sequence = sequence_of[f"{refseq} {gene}"]
            about = [gene, refseq, species, "lncRNA", "AllSeq", sequence, symbol, cell_line]
            rows.append([*labels, *about, symbol])
    return as_csv(rows)


def raw_mesh() -> str:
    header, *lines = content("mesh/mesh2017_tree_C_F03.tsv").splitlines()
    return "\n".join([header, "A01\tD001829\tBody Regions", *lines]) + "\n"


def raw_records() -> str:
    rows = rows_of("hmdd/hmdd_v3.2_mir_disease_records.tsv")[1:]
    return "".join(f"{mir};{disease}\n" for _, mir, disease in rows)


def raw_aliases() -> str:
    return "MI0000001\tcel-let-7\n" + content("mirbase/hsa_aliases_v22.1.tsv")


MADE: dict[str, Callable[[], str]] = {
    "miRNA.dat.gz": raw_embl,
    "ncDR_Curated_DRmiRNA.csv": raw_ncdr,
    "miRTarBase_SE_WR.csv": lambda: as_csv(
        [*rows_of("mirtarbase/mirtarbase_8.0_SE_WR_human.tsv"), ["1", "mmu-miR-1", "Mus musculus"]]
    ),
    "HMDD_new.csv": raw_records,
    "2017MeshTree.txt": raw_mesh,
    "aliases.txt": raw_aliases,
}


@functools.cache
def published(name: str) -> bytes:
    """A published file by its name: made again, else the one of the same name here."""
    if name in MADE:
        raw = MADE[name]().encode()
        return gzip.compress(raw) if name.endswith(".gz") else raw
    if name.endswith("_seq_label.csv"):
        return raw_cldp(name.split("_")[1]).encode()
    here = {"miFam.dat": "mirbase/miFam_v21.dat"}.get(name, f"mirna1041/{name}")
    return (DATA / here).read_bytes()


class Published(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = published(unquote(self.path).rsplit("/", 1)[-1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Published)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def fetch(name: str, mirror: str, cache: Path, patch: pytest.MonkeyPatch) -> None:
    """`mirnagraph fetch NAME` as typed, without $MIRNAGRAPH_DATA."""
    from cli.main import main

    patch.setenv("NO_PROXY", "127.0.0.1")
    patch.setenv("MIRNAGRAPH_CACHE", str(cache))
    patch.delenv("MIRNAGRAPH_DATA", raising=False)
    patch.setattr("sys.argv", ["mirnagraph", "fetch", name, "--base-url", mirror])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def test_fetch_mirna1041_ends_with_the_benchmark(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = mirna1041.load(DATA)
    fetch("mirna1041", mirror, tmp_path, monkeypatch)
    said = capsys.readouterr().err
    assert "--data mirna1041 opens now" in said
    assert "Note: without types of disease evidence" in said
    dataset = load_dataset("mirna1041")
    assert list(dataset.index) == list(expected.index)
    np.testing.assert_array_equal(dataset.labels.to_numpy(), expected.labels.to_numpy())
    for kind in ("mRNA", "drug", "disease"):
        made = dataset.association_matrix(kind)
        assert (made != expected.association_matrix(kind)).nnz == 0, kind
    # Withdrawn hairpins are the ones whose sequences are only there by hand.
    differ = dataset.rnas["sequence"].fillna("") != expected.rnas["sequence"].fillna("")
    assert set(expected.rnas.loc[differ, "match_kind"]) == {"retired"}
    assert int(differ.sum()) == 33


def test_fetch_cldp_ends_with_its_dataset(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = load_dataset("cldp")  # of the files in $MIRNAGRAPH_DATA
    fetch("cldp", mirror, tmp_path, monkeypatch)
    assert (
        "--data cldp opens now. Next: mirnagraph seq train --data cldp" in capsys.readouterr().err
    )
    dataset = load_dataset("cldp")
    assert isinstance(dataset, Dataset)
    assert dataset.rnas["sequence"].equals(expected.rnas["sequence"])
    assert dataset.labels.equals(expected.labels)
    assert dataset.labels.sum().tolist() == [2177, 684, 211, 104, 94]


@pytest.mark.parametrize(
    ("name", "n_rnas", "n_compartments"),
    [("rnalight", 3792, 2), ("circrna", 4301, 9), ("cefra", 2258, 0), ("circloc", 1486, 7)],
)
def test_files_in_the_data_folder_open_by_name(
    name: str, n_rnas: int, n_compartments: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path))
    dataset = load_dataset(name)
    assert (len(dataset.index), len(dataset.compartments)) == (n_rnas, n_compartments)


@pytest.mark.parametrize("name", ["mirna1041", "cldp", "rnalight", "mesh2017", "ray2013"])
def test_every_pinned_file_is_found_by_hash_and_not_fetched(name: str, tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"
    folder = catalog.fetch(name, tmp_path, base_url=nobody, folders=[DATA])
    assert not folder.exists()
