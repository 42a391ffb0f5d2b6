"""Rules by which records become associations, their evidence, and a Dataset from made-up tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mirnagraph import sources
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.names import MirbaseNames
from mirnagraph.sources import evidence
from mirnagraph.sources import evidence as rebuild
from mirnagraph.sources.assemble import match_names
from mirnagraph.sources.hmdd import EVIDENCE_GROUPS

IDS = ["hsa-mir-2", "hsa-mir-1"]
HUMAN = rebuild.HUMAN


def targets() -> pd.DataFrame:
    rows = [
        ("hsa-miR-1-3p", HUMAN, "B", "20", HUMAN, "Functional MTI", "11", 2),
        ("hsa-miR-2-5p", HUMAN, "A", "10", HUMAN, "Non-Functional MTI", "12", 1),
        ("hsa-miR-1", HUMAN, "A", "10", HUMAN, "Functional MTI", "13", 0),
        ("hsa-miR-1-5p", HUMAN, "B", "20", HUMAN, "Functional MTI", "11", 1),
        ("hsa-miR-2", HUMAN, "C", "30", HUMAN, "Functional MTI (Weak)", "14", 0),
        ("mmu-miR-2", "Mus musculus", "C", "30", HUMAN, "Functional MTI", "15", 0),
        ("hsa-miR-2", HUMAN, "c", "31", "Mus musculus", "Functional MTI", "16", 0),
        ("hsa-miR-21", HUMAN, "C", "30", HUMAN, "Functional MTI", "", 0),
    ]
    columns = [
        "mirna",
        "mirna_species",
        "gene",
        "entrez_id",
        "gene_species",
        "support",
        "pmid",
        "n_strong",
    ]
    return pd.DataFrame(rows, columns=columns)


def drugs() -> pd.DataFrame:
    rows = [
        ("hsa-mir-1", "X", "Resistant", "UP", "1"),
        ("hsa-mir-1", "X", "Sensitive", "DOWN", "2"),
        ("hsa-miR-1", "Y", "Resistant", "UP", "3"),
        ("", "Y", "", "", ""),
    ]
    return pd.DataFrame(rows, columns=["mirna", "drug", "effect", "expression", "pmid"])


def diseases() -> pd.DataFrame:
    rows = [
        (0, "hsa-mir-2", "Flu", "genetics"),
        (1, "hsa-mir-1", "Flu, Bird", "target"),
        (2, "hsa-mir-2", "Flu, Bird", "target"),
        (3, "HSA-MIR-1", "Flu", ""),
        (4, "hsa-mir-1", "Cold", ""),
    ]
    return pd.DataFrame(rows, columns=["record", "mir", "disease", "group"]).assign(pmid="")


def test_mirtarbase_rule_order_and_reasons() -> None:
    used = rebuild.use_mirtarbase(targets(), IDS)
    assert used["reason"].tolist() == [
        "",
        "",
        "",
        "",
        "support is weak",
        "miRNA is not human",
        "target is not human",
        "miRNA is not among the ids",
    ]
    order = rebuild.gene_order(used, IDS)
    assert order == ["A", "B"]  # hsa-mir-2 is walked first and has A
    table = rebuild.matrix(used, IDS, order)
    assert table.to_numpy().tolist() == [[1, 0], [1, 1]]
    assert list(rebuild.matrix(used, IDS).columns) == ["B", "A"]  # first appearance in the records
    left = rebuild.unused(used, "mRNA", "file.tsv")
    assert len(left) == 4
    assert left.iloc[0].tolist() == [
        "mRNA records",
        "hsa-miR-2",
        "support is weak: 1 of 8 records",
        "file.tsv",
    ]
    with pytest.raises(InputError, match="names an unknown partner; found B"):
        rebuild.matrix(used, IDS, ["A"])


def test_ncdr_and_hmdd_rules_are_letter_for_letter() -> None:
    used = rebuild.use_ncdr(drugs(), IDS)
    assert used["reason"].tolist() == [
        "",
        "",
        "miRNA is not among the ids",
        "record without a miRNA",
    ]
    assert rebuild.matrix(used, IDS).to_dict("list") == {"X": [0, 1]}
    used = rebuild.use_hmdd(diseases(), IDS, {"Flu": "Flu", "Flu, Bird": "Flu"})
    assert used["reason"].tolist() == [
        "",
        "",
        "",
        "miRNA is not among the ids",
        "disease is in no column",
    ]
    assert rebuild.matrix(used, IDS, ["Flu"]).to_dict("list") == {"Flu": [1, 1]}
    assert rebuild.unused(used, "disease", "f")["id"].tolist() == ["HSA-MIR-1", "Cold"]
    assert list(rebuild.matrix(rebuild.use_hmdd(diseases(), IDS), IDS).columns) == [
        "Flu",
        "Flu, Bird",
        "Cold",
    ]


def test_evidence_is_counted_per_pair_in_the_order_of_the_pairs() -> None:
    pairs = pd.DataFrame(
        {
            "rna_id": ["hsa-mir-1", "hsa-mir-2", "hsa-mir-1", "hsa-mir-2"],
            "partner_id": ["A", "A", "B", "Z"],
        }
    )
    table = evidence.mrna_evidence(pairs, rebuild.use_mirtarbase(targets(), IDS))
    assert table[["rna_id", "partner_id"]].equals(pairs)
    assert table["n_records"].tolist() == [1, 1, 2, 0]
    assert table["n_strong"].tolist() == [0, 1, 3, 0]
    assert table["pmids"].tolist() == ["13", "12", "11", ""]
    one = pd.DataFrame({"rna_id": ["hsa-mir-1"], "partner_id": ["X"]})
    row = evidence.drug_evidence(one, rebuild.use_ncdr(drugs(), IDS)).iloc[0]
    assert row.to_dict() == {
        "rna_id": "hsa-mir-1",
        "partner_id": "X",
        "n_records": 2,
        "n_resistant": 1,
        "n_sensitive": 1,
        "n_associated": 0,
        "n_up": 1,
        "n_down": 1,
        "pmids": "1;2",
    }
    column_of = {"Flu": "Flu", "Flu, Bird": "Flu"}
    used = rebuild.use_hmdd(diseases(), IDS, column_of)
    both = pd.DataFrame({"rna_id": ["hsa-mir-1", "hsa-mir-2"], "partner_id": ["Flu", "Flu"]})
    table = evidence.disease_evidence(both, used)
    assert table["first_record"].tolist() == [1, 0]
    assert table["n_records"].tolist() == [1, 2]
    assert table["n_target"].tolist() == [1, 1]
    assert table["n_genetics"].tolist() == [0, 1]
    typed = pd.DataFrame(
        {
            "mir": ["hsa-mir-1", "hsa-mir-1", "hsa-mir-9"],
            "disease": ["Flu", "Flu, Bird", "Flu"],
            "type": ["genetics", "genetics", "target"],
        }
    )
    table = evidence.disease_evidence(both, used.assign(group=""), typed, column_of)
    assert table["n_genetics"].tolist() == [2, 0]
    assert table[[f"n_{group}" for group in EVIDENCE_GROUPS]].to_numpy().sum() == 2


def mirbase_names() -> MirbaseNames:
    hairpins = pd.DataFrame(
        [
            ("hsa-mir-1", "MI1", "ACGU"),
            ("hsa-mir-2-1", "MI2", "CCCC"),
            ("hsa-mir-2-2", "MI3", "GGGG"),
        ],
        columns=["id", "accession", "sequence"],
    )
    columns = [
        "hairpin_id",
        "family_id",
        "mature_acc",
        "mature_id",
        "mature_evidence",
        "mature_seq",
    ]
    rows = [
        ("hsa-mir-1", "f", "M1", "hsa-miR-1-3p", "experimental", "AC"),
        ("hsa-mir-2-1", "", "M2", "hsa-miR-2-5p", "", "CC"),
        ("hsa-mir-2-2", "", "M2", "hsa-miR-2-5p", "", "CC"),
    ]
    aliases = pd.DataFrame({"accession": ["MI1"], "name": ["hsa-mir-1a"]})
    return MirbaseNames.of(
        hairpins=hairpins, joined=pd.DataFrame(rows, columns=columns), aliases=aliases
    )


def test_names_belong_to_ids_by_name_stem_or_hairpin() -> None:
    ids = ["hsa-mir-1", "hsa-mir-2-2", "hsa-mir-2-1"]
    found = match_names(
        ["hsa-miR-1-3p", "hsa-mir-1a", "hsa-miR-2-5p", "hsa-mir-2", "hsa-mir-3", "HSA-MIR-1"],
        ids,
        mirbase_names(),
    )
    assert found == {
        "hsa-miR-1-3p": ["hsa-mir-1"],
        "hsa-mir-1a": ["hsa-mir-1"],
        "hsa-miR-2-5p": ["hsa-mir-2-1", "hsa-mir-2-2"],
        "hsa-mir-2": ["hsa-mir-2-1", "hsa-mir-2-2"],
        "HSA-MIR-1": ["hsa-mir-1"],
    }
    assert match_names(["hsa-miR-1-3p", "hsa-mir-1a"], ids) == {"hsa-miR-1-3p": ["hsa-mir-1"]}


def test_datasets_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirnagraph.catalog.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("MIRNAGRAPH_DATA", raising=False)
    with pytest.raises(
        ConfigError,
        match=r"dataset 'mirna1041' was not found; looked for .* in .*cache.*is not set.*get "
        r"it with: mirnagraph fetch mirna1041",
    ):
        sources.load_dataset("mirna1041")
    monkeypatch.setenv("MIRNAGRAPH_DATA", str(tmp_path / "data"))
    with pytest.raises(
        ConfigError,
        match=rf"in {tmp_path}/data, {tmp_path}/data/mirna1041, {tmp_path}/cache/mirna1041; get it",
    ):
        sources.load_dataset("mirna1041")
    (tmp_path / "data/mirna1041").mkdir(parents=True)
    (tmp_path / "data/mirna1041/miRNA_ID_1041.txt").write_text("x\n", encoding="utf-8")
    with pytest.raises(
        InputError,
        match=r"not a folder of the 1041-miRNA benchmark; found no "
        r"mirna1041/miRNA_localization.csv",
    ):
        sources.load_dataset("mirna1041")
    with pytest.raises(ConfigError, match="'mesh2017' is a table to build a dataset with"):
        sources.load_dataset("mesh2017")
    with pytest.raises(
        InputError,
        match="neither a name nor a folder, expected demo, mirna1041, circloc, rnalight",
    ):
        sources.load_dataset(tmp_path / "nowhere")
    index = pd.Index(["a"], name="rna_id")
    rnas = pd.DataFrame({"sequence": ["A"]}, index=index)
    made = Dataset("mine", rnas, {}, {}, pd.DataFrame({"Nucleus": [1]}, index=index))
    assert sources.load_dataset(made.save(tmp_path / "mine")).name == "mine"
