"""The shipped recipes on the public tables: the benchmarks cell for cell, the mouse, long RNAs."""

from __future__ import annotations

import functools
import gzip
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.catalog import entry
from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation.trainable import require_trainable
from mirnagraph.io import read_table
from mirnagraph.networks.build import build_networks
from mirnagraph.recipes.build import Built, build_dataset
from mirnagraph.recipes.opening import load_dataset
from mirnagraph.recipes.recipe import parse_recipe, read_recipe
from mirnagraph.sources import circloc, mirna1041
from mirnagraph.sources.delimited import read_binary

DATA = Path(os.environ.get("MIRNAGRAPH_DATA", "nowhere"))
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (DATA / "mirna1041").is_dir(),
        reason="MIRNAGRAPH_DATA does not name a folder with mirna1041/ in it",
    ),
]

MIRNAS = 'name = "x"\nspecies = "hsa"\n[rnas]\nfrom = "mirbase hairpins"\n'

PUBLISHED = {
    "mRNA": ("mirna1041/miRNA_mRNA_matrix.txt.gz", 2836, "\t", 8254),
    "drug": ("mirna1041/miRNA_drug.csv", 130, ",", 3305),
    "disease": ("mirna1041/miRNA_disease.csv", 640, ",", 15547),
}


@functools.cache
def built(name: str) -> Built:
    return build_dataset(read_recipe(name))


def assert_same(made: pd.DataFrame, loaded: pd.DataFrame) -> None:
    """Equal cells in the columns of `loaded`, rows in the same order."""
    assert list(made.index) == list(loaded.index)
    columns = list(loaded.columns)
    pd.testing.assert_frame_equal(made[columns], loaded, check_dtype=False)


@pytest.mark.parametrize("kind", list(PUBLISHED))
def test_matrices_of_the_benchmark_are_rebuilt_cell_for_cell(kind: str) -> None:
    path, n_columns, delimiter, n_ones = PUBLISHED[kind]
    made = built("mirna1041").dataset.association_matrix(kind).toarray()
    published = read_binary(DATA / path, 1041, n_columns, delimiter=delimiter)
    assert int((made != published).sum()) == 0
    assert int(made.sum()) == n_ones


def test_the_dataset_of_the_recipe_is_the_one_that_is_loaded() -> None:
    made = built("mirna1041").dataset
    loaded = mirna1041.load(DATA)
    assert_same(made.rnas, loaded.rnas)
    assert_same(made.labels, loaded.labels)
    assert_same(made.ontology, loaded.ontology)
    assert list(made.associations) == list(loaded.associations)
    assert made.supporting == loaded.supporting
    for kind in loaded.associations:
        assert_same(made.partners[kind], loaded.partners[kind])
        tables = [made.associations[kind], loaded.associations[kind]]
        if kind in loaded.supporting:  # pairs in the order of their records
            order = ["rna_id", "partner_id"]
            tables = [table.sort_values(order, ignore_index=True) for table in tables]
        if kind not in loaded.supporting:
            assert_same(*tables)
        else:  # PMIDs of a pair as well
            columns = [name for name in tables[1].columns if name != "pmids"]
            assert_same(tables[0][columns], tables[1][columns])
    for name, measurement in loaded.measurements.items():
        assert_same(made.measurements[name].values, measurement.values)
        assert_same(made.measurements[name].samples, measurement.samples)


def test_networks_of_the_recipe_are_those_of_the_benchmark() -> None:
    made = build_networks(built("mirna1041").dataset, workers=1)
    loaded = build_networks(mirna1041.load(DATA), workers=1)
    assert list(made.networks) == list(loaded.networks)
    for name, network in loaded.networks.items():
        assert (made.networks[name].adjacency != network.adjacency).nnz == 0, name


def test_every_source_of_the_benchmark_is_in_the_provenance() -> None:
    sources = {
        (source.path, source.used_for): source for source in built("mirna1041").provenance.sources
    }
    hmdd = sources["hmdd/hmdd_v3.2_mir_disease_records.tsv", "disease"]
    assert (hmdd.n_read, hmdd.n_used) == (35547, 35547 - 3154 - 196)
    assert hmdd.left_out == {"disease is in no column": 3154, "miRNA is not among the ids": 196}
    assert hmdd.sha256 == "66885930bbcf05af7bded37422d83e243087cea7012f16b60b56d156d29bb1d8"
    targets = sources["mirtarbase/mirtarbase_8.0_SE_WR_human.tsv", "mRNA"]
    assert targets.n_read == 11177
    assert targets.left_out["support is weak"] == 7
    assert "tested, and no target" not in targets.left_out  # as published
    for source in sources.values():
        assert source.n_used + sum(source.left_out.values()) == source.n_read


def test_circloc_of_the_recipe_is_the_one_that_is_loaded() -> None:
    made = built("circloc").dataset
    loaded = circloc.load(DATA)
    assert_same(made.rnas, loaded.rnas)
    assert_same(made.labels, loaded.labels)
    assert_same(made.ontology, loaded.ontology)
    assert list(made.associations) == list(loaded.associations)
    for kind in loaded.associations:
        assert_same(made.associations[kind], loaded.associations[kind])
        assert_same(made.partners[kind], loaded.partners[kind])
    items = ["item", "id"]
    assert set(map(tuple, made.left_out[items].to_numpy())) == set(
        map(tuple, loaded.left_out[items].to_numpy())
    )


def test_mouse_can_be_built_and_not_be_trained_on() -> None:
    made = built("mouse")
    dataset = made.dataset
    assert len(dataset.index) == 1234
    assert all(name.startswith("mmu-") for name in dataset.index)
    assert dataset.rnas["sequence"].notna().all()
    assert dataset.compartments == ["Extracellular vesicle"]
    (labels,) = [source for source in made.provenance.sources if source.used_for == "labels"]
    assert (labels.n_read, labels.n_used) == (270, 270)
    n_located = int(dataset.located.sum())
    assert n_located >= 250
    with pytest.raises(
        InputError, match=rf"'Extracellular vesicle' has one class.*{n_located} of {n_located}"
    ):
        require_trainable(dataset)


def test_a_target_that_was_tested_and_is_none_is_no_edge() -> None:
    text = MIRNAS + (
        '[[associations]]\nkind = "mRNA"\nformat = "mirtarbase"\n'
        'file = "mirtarbase/mirtarbase_8.0_SE_WR_human.tsv"\n'
    )
    built_of = build_dataset(parse_recipe(text, "r", None))
    source = built_of.provenance.sources[-1]
    raw = read_table(DATA / source.path)
    n_negative = int(raw["Support Type"].str.startswith("Non-Functional").sum())
    assert source.left_out["tested, and no target"] == n_negative == 416


def test_negative_records_change_no_edge(tmp_path: Path) -> None:
    """Edges and their records are those of the file without its negative lines."""
    path = DATA / "mirtarbase" / "mirtarbase_8.0_SE_WR_human.tsv"
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    place = header.split("\t").index("Support Type")
    used = [line for line in lines if not line.split("\t")[place].startswith("Non-Functional")]
    assert len(lines) - len(used) == 416
    (tmp_path / "positive.tsv").write_text("\n".join([header, *used]) + "\n", encoding="utf-8")
    edges = []
    for file in (path, tmp_path / "positive.tsv"):
        text = MIRNAS + (
            f'[[associations]]\nkind = "mRNA"\nformat = "mirtarbase"\nfile = "{file}"\n'
        )
        edges.append(build_dataset(parse_recipe(text, "r", None)).dataset.associations["mRNA"])
    pd.testing.assert_frame_equal(*edges)
    assert len(edges[0]) > 5000


@pytest.mark.parametrize(
    ("name", "n_rnas", "positives"),
    [
        ("rnalight", 3792, {"cytoplasmic": 1806, "nuclear": 1986}),
        (
            "cldp",
            2242,
            {"Exosome": 2177, "Nucleus": 684, "Cytosol": 211, "Membrane": 104, "Cytoplasm": 94},
        ),
        ("circrna", 4301, None),
    ],
)
def test_long_rnas(name: str, n_rnas: int, positives: dict[str, int] | None) -> None:
    dataset = built(name).dataset
    assert len(dataset.index) == n_rnas
    assert dataset.rnas["sequence"].notna().all()
    assert dataset.located.all()
    if positives is not None:
        assert dataset.labels.sum().to_dict() == positives
    require_trainable(dataset)


@pytest.mark.parametrize(
    ("settings", "n_compartments"),
    [
        ('format = "rnalocate"\nfile = "rnalocate/rnalocate1_loc_mirna_pairs.tsv"', 9),
        ('format = "table"\nfile = "rnalocate/rnalocate1_miRNA_6loc_seq.csv"', 6),
        (
            'format = "bits"\nfile = "rnalocate/rnalocate2_miRNA_DeepLocRNA.fasta"\ncompartments = '
            '["Nucleus", "Exosome", "Cytosol", "Cytoplasm", "Ribosome", "Membrane", "ER"]',
            7,
        ),
        ('format = "vesiclepedia"\nfile = "vesiclepedia/mirna_records_to_2020.tsv.gz"', 6),
    ],
)
def test_layouts_of_labels_are_read_as_they_lie(settings: str, n_compartments: int) -> None:
    """RNALocate 1 as records and as 0/1 columns, 2 as bits of headers; Vesiclepedia."""
    recipe = parse_recipe(f"{MIRNAS}[labels]\n{settings}\n", "r", None)
    dataset = build_dataset(recipe).dataset
    assert len(dataset.compartments) == n_compartments
    assert int(dataset.located.sum()) > 400


def test_records_of_rnalocate_3_label_the_rnas_of_a_fasta(tmp_path: Path) -> None:
    records = read_table(DATA / "longrna/circrna/circexor_2102_rnalocate3.tsv")
    human = records[records["Species"] == "Homo sapiens"]
    (tmp_path / "ids.txt").write_text("\n".join(human["RNA_Symbol"].unique()), encoding="utf-8")
    (tmp_path / "s.fa").write_text(f">{human['RNA_Symbol'].iloc[0]}\nACGU\n", encoding="utf-8")
    text = (
        'name = "x"\nspecies = "Homo sapiens"\n[rnas]\nfrom = "list"\nfile = "ids.txt"\n'
        'sequences = "s.fa"\n[labels]\nformat = "rnalocate"\n'
        'file = "longrna/circrna/circexor_2102_rnalocate3.tsv"\n'
    )
    made = build_dataset(parse_recipe(text, "r", tmp_path))
    source = made.provenance.sources[-1]
    assert (source.n_read, source.n_used) == (2102, 2007)
    assert source.left_out == {"another species": 95}
    assert made.dataset.located.all()


class RawTables(http.server.BaseHTTPRequestHandler):
    """Serves RNAlight's two tables, made again from the FASTA and labels that came of them."""

    def do_GET(self) -> None:
        label = "cytoplasmic" if "cyto" in self.path else "nuclear"
        body = raw_rnalight()[label]
        start = int((self.headers.get("Range") or "bytes=0-")[len("bytes=") : -1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:])

    def log_message(self, *args: object) -> None:
        pass


@functools.cache
def raw_rnalight() -> dict[str, bytes]:
    folder = DATA / "longrna/lncrna"
    labels = read_table(folder / "rnalight_lncrna_3792_labels.tsv")
    about = labels.set_index("ensembl_transcript_id")[["name", "class"]]
    lines = {label: ["ensembl_transcript_id\tname\tcdna"] for label in about["class"].unique()}
    text = gzip.decompress((folder / "rnalight_lncrna_3792.fa.gz").read_bytes()).decode()
    for record in text.split(">")[1:]:
        header, sequence = record.split("\n", 1)
        name, label = about.loc[header.split()[0]]
        lines[label].append(f"{header.split()[0]}\t{name}\t{sequence.strip()}")
    return {label: ("\n".join(rows) + "\n").encode() for label, rows in lines.items()}


@pytest.fixture
def mirror() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RawTables)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_fetch_rnalight_as_typed_ends_with_a_dataset(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cli.main import main

    # The sizes of the tables at the pinned commit.
    assert {len(body) for body in raw_rnalight().values()} == {2112413, 3705569}
    assert entry("rnalight").files[0].bytes == 2112413
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["mirnagraph", "fetch", "rnalight", "--base-url", mirror])
    expected = built("rnalight").dataset
    monkeypatch.delenv("MIRNAGRAPH_DATA")
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "Dataset rnalight: 3792 RNAs, built in" in capsys.readouterr().err
    dataset = load_dataset("rnalight")
    assert isinstance(dataset, Dataset)
    assert_same(dataset.rnas, expected.rnas)
    np.testing.assert_array_equal(dataset.labels.to_numpy(), expected.labels.to_numpy())
