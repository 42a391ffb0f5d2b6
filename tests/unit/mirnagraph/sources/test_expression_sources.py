"""Readers of expression and vesicle evidence: loci, matures, arms, kinds of runs, bad files."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import InputError
from mirnagraph.measurements import Measurement
from mirnagraph.names import MirbaseNames
from mirnagraph.sources import expression
from mirnagraph.sources.expression import (
    mark_overlap,
    of_rnas,
    read_evmirna2,
    read_measurement_table,
    read_mirmine,
    read_vesiclepedia,
)

EXPRESSION = (
    "mature_name\taccession\tprecursor_name\tR1\tR2\tR3\n"
    "hsa-miR-1-3p\tMIMAT1\thsa-mir-1-1\t10\t0\t5\n"
    "hsa-miR-1-3p\tMIMAT1\thsa-mir-1-2\t8\t2\t5\n"
    "hsa-miR-1-5p\tMIMAT2\thsa-mir-1-1\t1\t90\t0\n"
    "hsa-miR-old\tMIMAT3\thsa-mir-7\t4\t4\t4\n"
    "hsa-miR-99-5p\tMIMAT9\thsa-mir-99\t1\t1\t1\n"
)

RUNS = (
    "run\tsra_study\tpmid\ttissue\tcell_line\tcompartment_fraction\tbody_fluid\n"
    "R2\tS1\t23302638\tSaliva\t\texosome\tsaliva\n"
    "R1\tS1\t5\t\tHeLa\t\t\n"
    "R3\tS2\t6\tPlasma\t\t\tplasma\n"
)

RNAS = pd.DataFrame(
    {"mature_ids": ["hsa-miR-1-5p;hsa-miR-1-3p", "hsa-miR-7-5p", ""]},
    index=pd.Index(["hsa-mir-1", "hsa-mir-7", "hsa-mir-8"], name="rna_id"),
)


@pytest.fixture
def names() -> MirbaseNames:
    hairpins = pd.DataFrame(
        {"id": ["hsa-mir-1", "hsa-mir-7"], "accession": ["MI1", "MI7"], "sequence": ["ACG", "CCC"]}
    )
    joined = pd.DataFrame(
        [
            ("MI1", "hsa-mir-1", "", "", "MIMAT1", "hsa-miR-1-3p", "experimental", "ACG"),
            ("MI1", "hsa-mir-1", "", "", "MIMAT2", "hsa-miR-1-5p", "experimental", "ACG"),
            ("MI7", "hsa-mir-7", "", "", "MIMAT3", "hsa-miR-7-5p", "experimental", "CCC"),
        ],
        columns=[
            "hairpin_acc", "hairpin_id", "family_acc", "family_id",
            "mature_acc", "mature_id", "mature_evidence", "mature_seq",
        ],
    )  # fmt: skip
    return MirbaseNames.of(hairpins=hairpins, joined=joined)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "expression.tsv.gz").write_bytes(gzip.compress(EXPRESSION.encode()))
    (tmp_path / "runs.tsv").write_text(RUNS)
    return tmp_path


def test_mirmine_takes_the_largest_value_over_loci(folder: Path) -> None:
    table = read_mirmine(folder)
    assert table.values.loc["hsa-miR-1-3p"].tolist() == [10.0, 2.0, 5.0]
    assert len(table.values) == 4
    assert (table.unit, table.is_label_like, table.source) == ("RPM", False, "miRmine")


def test_kinds_of_mirmine_runs(folder: Path) -> None:
    samples = read_mirmine(folder).samples
    assert samples.index.tolist() == ["R1", "R2", "R3"]
    assert samples["kind"].tolist() == ["", "isolated fraction", "body fluid"]
    assert samples["tissue"].tolist() == ["HeLa", "Saliva", "Plasma"]
    assert samples["study"].tolist() == ["S1", "S1", "S2"]
    assert samples["pmid"].tolist() == ["5", "23302638", "6"]


def test_rows_of_an_rna_are_the_largest_of_its_matures_and_arms(
    folder: Path, names: MirbaseNames
) -> None:
    measured, left_out = of_rnas(read_mirmine(folder, names), RNAS)
    assert measured.values.index.tolist() == ["hsa-mir-1", "hsa-mir-7"]
    assert measured.values.loc["hsa-mir-1"].tolist() == [10.0, 90.0, 5.0]
    assert measured.values.loc["hsa-mir-7"].tolist() == [4.0, 4.0, 4.0]  # by its accession
    assert measured.arms["5p"].loc["hsa-mir-1"].tolist() == [1.0, 90.0, 0.0]
    assert measured.arms["3p"].loc["hsa-mir-1"].tolist() == [10.0, 2.0, 5.0]
    assert measured.arms["3p"].index.tolist() == ["hsa-mir-1"]
    assert left_out[["item", "id", "source"]].to_numpy().tolist() == [
        ["measurement", "hsa-miR-99-5p", "miRmine"]
    ]


def test_without_mirbase_old_names_match_nothing(folder: Path) -> None:
    measured, left_out = of_rnas(read_mirmine(folder), RNAS)
    assert measured.values.index.tolist() == ["hsa-mir-1"]
    assert set(left_out["id"]) == {"hsa-miR-old", "hsa-miR-99-5p"}


def test_an_rna_without_matures_is_found_by_its_own_name() -> None:
    values = pd.DataFrame({"s": [1.0, 40.0]}, index=["hsa-MIR-8", "hsa-miR-7-5p"])
    table = Measurement(values, pd.DataFrame(index=["s"]))
    measured, left_out = of_rnas(table, RNAS)
    assert measured.values["s"].to_dict() == {"hsa-mir-7": 40.0, "hsa-mir-8": 1.0}
    assert left_out.empty
    plain, _ = of_rnas(table, RNAS[[]])
    assert plain.values["s"].to_dict() == {"hsa-mir-8": 1.0}


def test_a_measurement_of_other_ids_is_refused() -> None:
    table = Measurement(
        pd.DataFrame({"s": [1.0]}, index=["ENSG1"]), pd.DataFrame(index=["s"]), source="x.tsv"
    )
    message = r"x.tsv: no row of the measurement is of an RNA.*found 1 names, the first ENSG1"
    with pytest.raises(InputError, match=message):
        of_rnas(table, RNAS)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("expression.tsv.gz", lambda t: t.replace("\t90\t", "\t-9\t"), r"line 4, column 'R2': not"),
        ("expression.tsv.gz", lambda t: t.replace("\t90\t", "\t\t"), r"line 4, column 'R2': not a"),
        (
            "expression.tsv.gz",
            lambda t: t.replace("\t90\t", "\tx\t"),
            r"found x, expected a number",
        ),
        ("expression.tsv.gz", lambda t: t.replace("accession", "acc"), r"column 'accession': miss"),
        ("runs.tsv", lambda t: t.replace("R3\t", "R4\t"), r"found 3 samples, 2 of them in one ta"),
        ("runs.tsv", lambda t: t.replace("R3\t", "R1\t"), r"samples are not those of the table"),
        ("runs.tsv", lambda t: t.replace("body_fluid", "fluid"), r"column 'body_fluid': missing"),
    ],
)
def test_damaged_mirmine_files_are_named(
    folder: Path, file: str, change: Callable[[str], str], message: str
) -> None:
    texts = {"expression.tsv.gz": EXPRESSION, "runs.tsv": RUNS}
    changed = change(texts[file])
    assert changed != texts[file]
    (folder / file).write_text(changed)  # plain text is read too
    with pytest.raises(InputError, match=message):
        read_mirmine(folder)


def test_samples_of_label_sources_are_marked(folder: Path) -> None:
    marked = mark_overlap(read_mirmine(folder), {**expression.LABEL_PMIDS, "6": "in Vesiclepedia"})
    assert marked.samples["overlap"].tolist() == [
        "",
        "exosomes of saliva, cited by RNALocate",
        "in Vesiclepedia",
    ]


def test_evmirna2_is_label_like_and_gives_back_the_published_numbers(
    tmp_path: Path, names: MirbaseNames
) -> None:
    (tmp_path / "project_mean_log2cpm.tsv.gz").write_text(
        "mirna\tP1\tP2\nhsa-miR-old\t3.5\t0\nhsa-x-3p\t1\t20\n"
    )
    (tmp_path / "mirna_summary.tsv").write_text("mirna\taccession\nhsa-miR-old\tMIMAT3\n")
    (tmp_path / "projects.tsv").write_text(
        "project\tpmid\tsource_group\nP0\t1\turine\nP2\t2\tserum\nP1\t\tsaliva\n"
    )
    table = read_evmirna2(tmp_path, names)
    assert table.is_label_like
    assert table.log_values().loc["hsa-miR-7-5p"].tolist() == pytest.approx([3.5, 0.0])
    assert table.samples["tissue"].tolist() == ["saliva", "serum"]
    assert table.samples["study"].tolist() == ["P1", "P2"]
    joined, _ = of_rnas(table, RNAS)
    assert joined.is_label_like
    assert joined.arms == {}


def test_vesiclepedia_counts_experiments_pmids_and_records(
    tmp_path: Path, names: MirbaseNames
) -> None:
    (tmp_path / "mirna_records_to_2020.tsv.gz").write_text(
        "mirna\tmimat\tspecies\texperiment_id\tpmid\tvesicle_type\n"
        "miR-1-3p\tMIMAT1\tHomo sapiens\t1\t7\tExosomes\n"
        "miR-1\tMIMAT1\tHomo sapiens\t1\t7\tExosomes\n"
        "miR-1\tMIMAT1\tHomo sapiens\t2\t7\tExosomes\n"
        "miR-1\tMIMAT1\tMus musculus\t3\t8\tExosomes\n"
        "let-7x\t\tHomo sapiens\t4\t9\tMicrovesicles\n"
    )
    table = read_vesiclepedia(tmp_path, names)
    assert table.is_label_like
    assert table.unit == "count"
    row = table.values.loc["hsa-miR-1-3p"]
    assert row[["Exosomes, experiments", "Exosomes, PMIDs", "Exosomes, records"]].tolist() == [
        2.0,
        1.0,
        3.0,
    ]
    assert row["Microvesicles, records"] == 0.0
    assert table.values.loc["hsa-let-7x", "Microvesicles, records"] == 1.0
    assert table.samples.loc["Microvesicles, PMIDs", "tissue"] == "Microvesicles"
    assert expression.vesiclepedia_pmids(tmp_path) == ["7", "8", "9"]


def test_any_table_of_the_ids_of_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("gene\tx\ty\na\t100\t0\nb\t7\t3\n")
    (tmp_path / "s.tsv").write_text("sample\tkind\ttissue\ny\tbody fluid\turine\nx\t\tliver\n")
    table = read_measurement_table(
        tmp_path / "t.tsv", tmp_path / "s.tsv", rna_ids=["a", "b", "c"], unit="TPM"
    )
    assert table.samples["kind"].tolist() == ["", "body fluid"]
    assert table.source == "t.tsv"
    assert np.array_equal(table.values.to_numpy(), [[100, 0], [7, 3]])
    message = r"t.tsv, column 1: rows of unknown RNAs; found 1 of 2, the first b, expected ids of"
    with pytest.raises(InputError, match=message):
        read_measurement_table(tmp_path / "t.tsv", rna_ids=["a"])
