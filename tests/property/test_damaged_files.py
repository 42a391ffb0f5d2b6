"""Files with damaged bytes: read as they were, read as valid data, or refused in a sentence.

The fuzz run takes MIRNAGRAPH_FUZZ_SECONDS (default 60; 600 in `make stress`).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from damaged_sources import SOURCES, Subject, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from mirnagraph.config import load_toml
from mirnagraph.dataset import Dataset
from mirnagraph.errors import MirnagraphError
from mirnagraph.evaluation.splits import read_folds
from mirnagraph.measurements import read_samples, read_values
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.documents import read_json
from mirnagraph.reading.parquet import read_parquet_table
from mirnagraph.recipes.recipe import read_recipe
from mirnagraph.runs.arrays import load_arrays, save_arrays
from mirnagraph.runs.model_file import read_model, write_model
from mirnagraph.sources.fasta import read_fasta
from mirnagraph.sources.hmdd import read_records
from mirnagraph.sources.mesh import read_mesh
from mirnagraph.sources.mirtarbase import read_mirtarbase
from mirnagraph.sources.name_list import read_name_list
from mirnagraph.sources.rnalocate import read_rnalocate
from mirnagraph.synthetic import SyntheticConfig, make_synthetic
from seqtower.data.labels import read_labels

FASTA = b">hsa-mir-21 x\nUAGCUUAUCAGACUGAUG\nACGU\n>b|c\nACGUACGUNN\n>d\nGGGG\n"
NAMES = b'miRNA,log2FC\nhsa-mir-21,1.5\nhsa-let-7a-1,-2\n"MIR16-1",0\n'
CLASSES = b"id\tclass\na\tnucleus\nb\tcytoplasm\nc\tNA\nd\tnucleus;cytoplasm\n"
LABELS = b"id\tNucleus\tCytoplasm\na\t1\t0\nb\t0\t1\nc\t1\t1\n"
FRACTIONS = b"id\tA\tB\na\t0.25\t0.75\nb\t1\t0\n"
VALUES = b"rna\ts1\ts2\na\t100\t0\nb\t7\tNA\n"
SAMPLES = b"sample\ttissue\tkind\ns1\tliver\t\ns2\tplasma\tbody fluid\n"
MESH = b"Neoplasms;C04\nLung Neoplasms;C04.588\n"
FOLDS = b"rna_id\tfold\na\t0\nb\t1\nc\t-1\n"
HMDD = b"category\tmir\tdisease\tpmid\tdescription\ntarget gene\thsa-mir-21\tflu\t11\tx\xe9y\n"
TARBASE = (
    b"miRTarBase ID,miRNA,Species (miRNA),Target Gene,Species (Target Gene),Experiments,"
    b'Support Type,PMID\nM1,hsa-miR-21-5p,hsa,PTEN,hsa,"Reporter assay//qPCR",Functional MTI,9\n'
)
RNALOCATE = b"RNA Symbol\tSubcellular Localization\nhsa-miR-21\tNucleus\nhsa-let-7\texosome\n"
TOML = b'[trees]\nn_trees = 10\nrate = 0.5\nname = "x"\nlist = [1, 2]\n'
JSON = b'{"a": [1, 2.5, null], "b": {"c": "x"}}\n'
RECIPE = (
    b'name = "x"\nspecies = "hsa"\n[rnas]\nfrom = "list"\nfile = "ids.txt"\n[labels]\n'
    b'file = "l.tsv"\n'
    b'format = "table"\n'
)


def fasta(path: Path) -> object:
    table = read_fasta(path)
    assert all(set(text) <= set("ACGUN") and text for text in table["sequence"])
    assert table["id"].is_unique
    return table.to_numpy().tolist()


def names(path: Path) -> object:
    found = read_name_list(path)
    assert found
    assert all(name.strip() == name and name for name in found)
    return found


def labels(path: Path) -> object:
    read = read_labels(path)
    values = read.values.to_numpy()
    assert not np.isinf(values).any()
    known = values[~np.isnan(values).any(axis=1)]
    if read.kind == "fractions":
        assert np.allclose(known.sum(axis=1), 1)
    else:
        assert np.isin(known, (0, 1)).all()
    assert not read.values.index.duplicated().any()
    return [read.kind, list(read.values.columns), np.nan_to_num(values, nan=-1).tolist()]


def measured(path: Path) -> object:
    values = read_values(path, "RPM")
    assert not np.isinf(values.to_numpy()).any()
    return [list(values.columns), list(values.index), values.fillna(-1).to_numpy().tolist()]


TEXTS = (
    Subject("FASTA", FASTA, fasta),
    Subject("list of names", NAMES, names),
    Subject("classes", CLASSES, labels),
    Subject("labels", LABELS, labels),
    Subject("fractions", FRACTIONS, labels),
    Subject("values", VALUES, measured),
    Subject("samples", SAMPLES, rows(lambda path: read_samples(path, ["s1", "s2"]))),
    Subject("tree", MESH, rows(read_mesh)),
    Subject("folds", FOLDS, lambda path: read_folds(path, NodeIndex.of(list("abc"), "miRNA"))
            .assigned.to_dict()),
    Subject("HMDD", HMDD, rows(read_records)),
    Subject("miRTarBase", TARBASE, rows(read_mirtarbase)),
    Subject("RNALocate", RNALOCATE, rows(read_rnalocate)),
    Subject("TOML", TOML, load_toml),
    Subject("JSON", JSON, read_json),
    Subject("recipe", RECIPE, read_recipe),
)  # fmt: skip


def packed() -> Iterator[Subject]:
    """Compressed files; a checksum sees every change that matters."""
    for how, pack in (("gzip", gzip.compress), ("bzip2", bz2.compress), ("xz", lzma.compress)):
        yield Subject(f"FASTA by {how}", pack(FASTA * 1), fasta)


def models() -> Iterator[Subject]:
    """Files of a small model."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rng = np.random.default_rng(0)
        arrays = {
            "a": rng.normal(size=(40, 30)).astype(np.float32),
            "b": np.eye(60)[:, :50].repeat(2, axis=1),
            "c": np.arange(5),
        }
        header = {"compartments": ["x", "y"], "thresholds": [0.5, 0.4], "config": {"n": 3}}
        write_model(folder, "m", 1, header, arrays)
        save_arrays(arrays, folder / "alone.safetensors")
        content = {path.name: path.read_bytes() for path in folder.iterdir()}

    def model(changed: str) -> Callable[[Path], object]:
        def read(path: Path) -> object:
            folder = path.parent / "model"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name, text in content.items():
                (folder / name).write_bytes(path.read_bytes() if name == changed else text)
            file = read_model(folder, "m", (1,))
            values = {name: array.tobytes() for name, array in file.arrays.items()}
            versions = ("versions", "format_version")
            about = {name: v for name, v in file.header.items() if name not in versions}
            return [values, about]

        return read

    yield Subject("model.json", content["model.json"], model("model.json"))
    weights = "model.safetensors"
    yield Subject(weights, content[weights], model(weights), is_sealed=True)
    yield Subject("arrays", content["alone.safetensors"], lambda path: {
        name: array.shape for name, array in read_arrays(path).items()})  # fmt: skip


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays; errors of the library as ours, as `read_model` makes them."""
    from safetensors import SafetensorError

    try:
        return load_arrays(path)
    except SafetensorError as error:
        raise MirnagraphError(f"{path}: {error}") from None


def tables() -> Iterator[Subject]:
    """Parquet as networks and folds are stored: of few columns, and with text."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "t.parquet"
        for name, table in (
            ("edges", {"source": ["a", "b"], "target": ["b", "c"], "weight": [0.5, 1.0]}),
            ("fold", {"0": [0.25, 0.5], "1": [0.1, 0.2]}),
        ):
            pd.DataFrame(table).to_parquet(path)
            yield Subject(f"Parquet of {name}", path.read_bytes(), parquet)


def parquet(path: Path) -> object:
    table = read_parquet_table(path)
    return [list(table.columns), table.map(str).to_numpy().tolist()]


SUBJECTS = (*TEXTS, *SOURCES, *packed(), *models(), *tables())


def check(subject: Subject, content: bytes, place: Path, expected: object) -> str:
    """How a damaged file is read: equal, other or refused; AssertionError for anything else."""
    path = place / "file.txt"
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = subject.read(path)
    except MirnagraphError as error:
        text = str(error)
        assert text.strip()
        assert str(place) in text, f"{subject.name}: no place in {text!r}"
        return "refused"
    if found == expected:
        return "equal"
    assert not subject.is_sealed, f"{subject.name}: other data without a word"
    return "other"


BYTES = (0, 9, 10, 13, 27, 32, 34, 44, 45, 48, 59, 62, 78, 92, 127, 128, 194, 239, 255)


def damaged(content: bytes, kind: str, where: float, byte: int) -> bytes:
    at = int(where * len(content))
    if kind == "replace":
        return content[:at] + bytes([byte]) + content[at + 1 :]
    if kind == "insert":
        return content[:at] + bytes([byte]) + content[at:]
    if kind == "delete":
        return content[:at] + content[at + 1 :]
    return content[:at]


KINDS = ("replace", "insert", "delete", "cut")


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_one_damaged_byte(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(subject.content)
    expected = subject.read(path)

    @settings(max_examples=25, deadline=None)
    @given(
        st.sampled_from(KINDS),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.sampled_from(BYTES), st.integers(0, 255)),
    )
    def run(kind: str, where: float, byte: int) -> None:
        check(subject, damaged(subject.content, kind, where, byte), tmp_path, expected)

    run()


@pytest.fixture(scope="module")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset, saved."""
    config = SyntheticConfig(
        n_rnas=24, n_compartments=3, n_families=6, n_communities=3, n_partners=(8, 5, 6), seed=3
    )
    return make_synthetic(config)[0].save(tmp_path_factory.mktemp("data") / "ds")


def check_dataset(folder: Path, work: Path, rng: np.random.Generator) -> str:
    """Read a dataset folder in which some bytes of one file are damaged."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(folder, work)
    files = sorted(path for path in work.iterdir())
    path = files[int(rng.integers(len(files)))]
    content = path.read_bytes()
    for _ in range(int(rng.integers(1, 4))):
        byte = int(rng.choice(BYTES)) if rng.random() < 0.7 else int(rng.integers(256))
        content = damaged(content, str(rng.choice(KINDS[:3])), float(rng.random()), byte)
    path.write_bytes(content)
    try:
        dataset = Dataset.load(work)
    except MirnagraphError as error:
        text = str(error)
        if str(work) not in text and "dataset" not in text:
            raise AssertionError(f"no place in {text!r}") from error
        return "refused"
    assert np.isin(dataset.labels.to_numpy(), (0, 1)).all()
    for kind, table in dataset.associations.items():
        assert np.isfinite(dataset.association_matrix(kind).data).all()
        numbers = table.select_dtypes("number").to_numpy(dtype=float)
        assert not np.isinf(numbers).any()
    return "read"


def test_a_damaged_dataset_folder(dataset_folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found = {check_dataset(dataset_folder, tmp_path / "ds", rng) for _ in range(12)}
    assert found <= {"refused", "read"}


@pytest.mark.slow
def test_fuzz(dataset_folder: Path, tmp_path: Path) -> None:
    """Several damages at once, in files and dataset folders, for a given time."""
    end = time.monotonic() + float(os.environ.get("MIRNAGRAPH_FUZZ_SECONDS", "60"))
    rng = np.random.default_rng(int(os.environ.get("MIRNAGRAPH_FUZZ_SEED", "0")))
    expected = {}
    for subject in SUBJECTS:
        (tmp_path / "file.txt").write_bytes(subject.content)
        expected[subject.name] = subject.read(tmp_path / "file.txt")
    counts: dict[str, int] = {}
    while time.monotonic() < end:
        for subject in SUBJECTS:
            content = subject.content
            if rng.random() < 0.1:
                content = bytes(rng.integers(0, 256, int(rng.integers(1, 60)), dtype=np.uint8))
            for _ in range(int(rng.integers(1, 6))):
                byte = int(rng.choice(BYTES)) if rng.random() < 0.7 else int(rng.integers(256))
                content = damaged(content, str(rng.choice(KINDS)), float(rng.random()), byte)
            how = check(subject, content, tmp_path, expected[subject.name])
            counts[how] = counts.get(how, 0) + 1
        how = check_dataset(dataset_folder, tmp_path / "ds", rng)
        counts[how] = counts.get(how, 0) + 1
    assert counts["refused"] > 0
    print(f"fuzz: {counts}")  # noqa: T201  shown with -s
