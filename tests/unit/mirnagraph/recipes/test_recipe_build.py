"""Datasets of small recipes, worked out by hand: rows, labels, pairs, evidence, rows left out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.io import sha256_of
from mirnagraph.recipes.build import Built, write_dataset
from mirnagraph.recipes.provenance import read_provenance

Build = Callable[..., Built]

HEAD = 'name = "x"\nspecies = "hsa"\n'
FASTA = HEAD + '[rnas]\nfrom = "fasta"\nfile = "s.fa"\n'
TABLE = '[[associations]]\nkind = "protein"\nformat = "table"\nfile = "p.tsv"\n'


def left_out(built: Built, used_for: str) -> dict[str, int]:
    (source,) = [source for source in built.provenance.sources if source.used_for == used_for]
    assert source.n_used + sum(source.left_out.values()) == source.n_read
    return dict(source.left_out)


def test_types_of_evidence_are_joined_by_the_names_of_the_records(build: Build) -> None:
    recipe = HEAD + '[rnas]\nfrom = "list"\nfile = "ids.txt"\n'
    recipe += '[[associations]]\nkind = "disease"\nformat = "hmdd3"\nfile = "h.tsv"\n'
    recipe += 'types = "t.tsv"\n'
    records = "mir\tdisease\nhsa-mir-2-1\tFlu\nhsa-mir-1\tCold\n"
    typed = "mir\tdisease\ttype\nhsa-miR-2-5p\tFlu\tgenetics\nhsa-mir-1a\tCold\tcirculation\n"
    files = {"h.tsv": records, "t.tsv": typed + "hsa-mir-77\tFlu\tgenetics\n"}
    built = build(recipe, files)
    table = built.dataset.associations["disease"].set_index("rna_id")
    # hsa-miR-2-5p is the mature of both hairpins, of which one is with Flu; -1a was -1
    assert table["n_genetics"].to_dict() == {"hsa-mir-1": 0, "hsa-mir-2-1": 1}
    assert table["n_circulation"].to_dict() == {"hsa-mir-1": 1, "hsa-mir-2-1": 0}
    assert left_out(built, "disease: types") == {"miRNA is not among the ids": 1}
    none = build(recipe, files | {"t.tsv": "mir\tdisease\ttype\nhsa-mir-77\tFlu\tgenetics\n"})
    assert none.dataset.associations["disease"]["n_genetics"].tolist() == [0, 0]


def test_rnas_and_labels_of_a_list(build: Build) -> None:
    built = build()
    dataset = built.dataset
    assert list(dataset.index) == ["hsa-mir-2-2", "hsa-mir-1", "hsa-mir-2-1", "hsa-mir-8"]
    assert dataset.rnas["sequence"].tolist() == ["GGGGCCCCAA", "ACGUACGUAC", "CCCCGGGGAA", None]
    # Cytoplasm and cytoplasm are one compartment; a cell holds two; NA is none.
    assert dataset.compartments == ["Cytoplasm", "Nucleus", "Exosome"]
    assert dataset.labels.to_numpy().tolist() == [[0, 1, 1], [1, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert left_out(built, "labels") == {
        "another species": 1,
        "RNA is not in the dataset": 1,
        "no compartment, or not known": 1,
    }
    left = dataset.left_out.set_index(["item", "id"])["reason"]
    assert "no entry of that name" in left["sequence", "hsa-mir-8"]
    assert left["compartment records", "mmu-miR-9"].startswith("another species: 1 of")
    assert left_out(built, "names, sequences") == {"hairpin of no RNA": 1}


def test_targets_without_weak_and_negative_records(build: Build) -> None:
    built = build()
    table = built.dataset.associations["mRNA"]
    pairs = table[["rna_id", "partner_id"]].to_numpy().tolist()
    assert pairs == [
        ["hsa-mir-2-2", "B"],
        ["hsa-mir-1", "B"],
        ["hsa-mir-1", "A"],
        ["hsa-mir-2-1", "B"],
    ]
    assert table["n_strong"].tolist() == [1, 2, 0, 1]
    assert table["pmids"].tolist() == ["11", "11", "13", "11"]
    assert built.dataset.partners["mRNA"].to_dict("index") == {
        "B": {"entrez_id": "20", "n": 3},
        "A": {"entrez_id": "10", "n": 1},
    }
    assert left_out(built, "mRNA") == {
        "tested, and no target": 1,
        "support is weak": 1,
        "another species": 1,
        "RNA is not in the dataset": 1,
    }


@pytest.mark.parametrize(
    ("setting", "gained"),
    [("weak = true", "C"), ("non_functional = true", "A")],
)
def test_weak_and_negative_records_count_where_the_recipe_says_so(
    build: Build, sources: Path, setting: str, gained: str
) -> None:
    del sources
    plain = build().provenance.recipe
    recipe = plain.replace('file = "targets.tsv"', f'file = "targets.tsv"\n{setting}')
    before = build().dataset.association_matrix("mRNA").sum()
    dataset = build(recipe).dataset
    of_mir_2 = dataset.associations["mRNA"].query("rna_id == 'hsa-mir-2-1'")["partner_id"]
    assert gained in set(of_mir_2)
    assert dataset.association_matrix("mRNA").sum() == before + 2  # both hairpins


def test_drugs_diseases_and_their_descriptors(build: Build) -> None:
    built = build()
    drug = built.dataset.associations["drug"].iloc[0]
    assert drug.to_dict() == {
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
    assert left_out(built, "drug") == {"RNA is not in the dataset": 1}
    assert built.dataset.partners["disease"].to_dict("index") == {
        "Flu": {"descriptor_ids": "D1", "match": "exact", "n": 1},
        "Flu, Bird": {"descriptor_ids": "D2", "match": "inverted", "n": 1},
        "Cold": {"descriptor_ids": "", "match": "", "n": 1},
    }
    assert left_out(built, "ontology") == {"term of no disease": 1}  # Gout
    left = built.dataset.left_out.set_index(["item", "id"])["reason"]
    assert left["disease term", "Cold"] == "no MeSH descriptor of that name"


def test_published_rules_are_letter_for_letter(build: Build) -> None:
    recipe = build().provenance.recipe
    recipe = recipe.replace('file = "targets.tsv"', 'file = "targets.tsv"\nmatch = "published"')
    table = build(recipe).dataset.associations["mRNA"]
    # hsa-miR-2-5p becomes hsa-mir-2, which is no id; hsa-miR-1-3p and hsa-miR-1 become hsa-mir-1.
    assert table[["rna_id", "partner_id"]].to_numpy().tolist() == [
        ["hsa-mir-1", "B"],
        ["hsa-mir-1", "A"],
    ]


def test_partners_of_a_file_set_order_and_merge_names(build: Build) -> None:
    recipe = build().provenance.recipe.replace(
        'file = "hmdd.tsv"',
        'file = "hmdd.tsv"\n[associations.partners]\nfile = "partners.tsv"\n'
        'columns = { partner = "anchor", merged = "others" }\nmatrix = "flags.txt"\n'
        'matrix_columns = ["a", "b"]\nsequences = "partners.fa"',
    )
    files = {
        "partners.tsv": "anchor\tothers\nGout\t\nFlu\tFlu, Bird|Swine Flu\n",
        "flags.txt": "0\t1\n1\t0\n",
        "partners.fa": ">Flu\nACGT\n>Spare\nAC\n",
    }
    built = build(recipe, files)
    partners = built.dataset.partners["disease"]
    assert list(partners.index) == ["Gout", "Flu"]
    assert partners["n"].tolist() == [0, 2]
    assert partners["merged_names"].tolist() == ["", "Flu, Bird;Swine Flu"]
    assert partners[["a", "b"]].to_numpy().tolist() == [[0, 1], [1, 0]]
    assert partners["sequence"].tolist() == ["", "ACGU"]
    reasons = left_out(built, "disease")
    assert reasons["partner is not in the list of partners"] == 1  # Cold
    assert left_out(built, "disease: partners, sequences") == {"not a partner": 1}


def test_hairpins_and_matures_of_mirbase(build: Build) -> None:
    hairpins = build(HEAD + '[rnas]\nfrom = "mirbase hairpins"\n').dataset
    assert list(hairpins.index) == ["hsa-mir-1", "hsa-mir-2-1", "hsa-mir-2-2", "hsa-mir-9"]
    matures = build(HEAD + '[rnas]\nfrom = "mirbase matures"\n').dataset
    assert list(matures.index) == ["hsa-miR-1-3p", "hsa-miR-2-5p", "hsa-miR-9-5p"]
    assert matures.rnas["sequence"].tolist() == ["ACGU", "CCCC", "UUUU"]


def test_no_labels_is_said(build: Build) -> None:
    built = build(HEAD + '[rnas]\nfrom = "mirbase hairpins"\n')
    assert built.provenance.notes == ("no labels: it can be predicted on, not trained on",)
    assert built.dataset.compartments == []


def test_fasta_with_a_table_of_labels_and_a_plain_table(build: Build) -> None:
    files = {
        "s.fa": ">r1 one\nacgt\n>r2\nGGCC\n>r3\nUUUU\n",
        "l.tsv": "name\tnucleus\tcytosol\tlength\nr1\t1\t0\t90\nr2\tNA\t1\t80\nr3\t0\t0\t70\n"
        "r9\t1\t1\t10\n",
        "p.tsv": "RNA,Protein,score,PMID\nr1,P1,2.5,7;8\nr1,P1,4,8\nr2,P2,1,\nr9,P2,1,\n",
    }
    recipe = FASTA + 'type = "lncRNA"\n[labels]\nformat = "table"\nfile = "l.tsv"\n'
    built = build(recipe + TABLE + 'evidence = ["score"]\n', files)
    dataset = built.dataset
    assert dataset.rnas.to_dict("list") == {
        "sequence": ["ACGU", "GGCC", "UUUU"],
        "type": ["lncRNA"] * 3,
    }
    # The column of lengths is no compartment; NA is not known, so not annotated.
    assert dataset.compartments == ["nucleus", "cytosol"]
    assert dataset.labels.to_numpy().tolist() == [[1, 0], [0, 1], [0, 0]]
    assert left_out(built, "labels") == {
        "no compartment, or not known": 1,
        "RNA is not in the dataset": 1,
    }
    table = dataset.associations["protein"]
    assert table["partner_id"].tolist() == ["P1", "P2"]
    assert table["score"].tolist() == [4.0, 1.0]
    assert table["n_records"].tolist() == [2, 1]
    assert table["pmids"].tolist() == ["7;8", ""]
    assert left_out(built, "protein") == {"RNA is not in the dataset": 1}


def test_columns_are_mapped_and_classes_renamed(build: Build) -> None:
    files = {
        "s.fa": ">r1\nACGU\n>r2\nGGCC\n>r3\nGGCC\n",
        "l.tsv": "gene\twhere\nr1\tnucleus; cytoplasm\nr2\tCytoplasm\nr3\tNA\n",
        "p.tsv": "who\twith\tnote\nr1\tP1\tx\n",
    }
    recipe = FASTA + (
        '[labels]\nformat = "table"\nfile = "l.tsv"\n'
        'columns = { rna = "gene", compartment = "where" }\nrename = { nucleus = "Nucleus" }\n'
    )
    recipe += TABLE + 'columns = { rna = "who", partner = "with" }\n'
    dataset = build(recipe, files).dataset
    assert dataset.compartments == ["Nucleus", "cytoplasm"]
    assert dataset.labels.to_numpy().tolist() == [[1, 1], [0, 1], [0, 0]]
    assert dataset.associations["protein"].to_numpy().tolist() == [["r1", "P1"]]


def test_labels_in_the_headers_of_a_fasta(build: Build) -> None:
    fasta = ">10,Gene_ID:miRBase:MI1,Gene_Name:hsa-mir-1\nAC\n>00,Gene_Name:hsa-miR-2-5p\nAC\n"
    recipe = HEAD + '[rnas]\nfrom = "list"\nfile = "ids.txt"\n[labels]\nformat = "bits"\n'
    recipe += 'file = "bits.fa"\ncompartments = ["Nucleus", "Exosome"]\n'
    built = build(recipe, {"bits.fa": fasta + ">01,Gene_Name:hsa-mir-2-2\nAC\n"})
    assert built.dataset.labels.to_numpy().tolist() == [[0, 1], [1, 0], [0, 0], [0, 0]]
    assert left_out(built, "labels") == {"no compartment, or not known": 1}


def test_a_matrix_without_names_is_in_the_order_of_the_rnas(build: Build) -> None:
    recipe = HEAD + '[rnas]\nfrom = "list"\nfile = "ids.txt"\n[labels]\nformat = "matrix"\n'
    recipe += 'file = "m.csv"\ncompartments = ["a", "b"]\n'
    built = build(recipe, {"m.csv": "1,0\n0,0\n1,1\n0,1\n"})
    assert built.dataset.labels.to_numpy().tolist() == [[1, 0], [0, 0], [1, 1], [0, 1]]
    assert left_out(built, "labels") == {"no compartment": 1}


def test_vesiclepedia_records_are_labels(build: Build) -> None:
    table = "mirna\tspecies\tvesicle_type\nhsa-miR-1-3p\tHomo sapiens\tExosomes\n"
    recipe = HEAD + '[rnas]\nfrom = "list"\nfile = "ids.txt"\n[labels]\nformat = "vesiclepedia"\n'
    recipe += 'file = "v.tsv"\nrename = { Exosomes = "Exosome" }\n'
    dataset = build(recipe, {"v.tsv": table + "cow-1\tBos taurus\tExosomes\n"}).dataset
    assert dataset.compartments == ["Exosome"]
    assert dataset.labels["Exosome"].tolist() == [0, 1, 0, 0]


def test_expression_of_a_plain_table_belongs_to_the_rnas_of_the_matures(build: Build) -> None:
    recipe = build().provenance.recipe
    recipe += '[[expression]]\nformat = "table"\nfile = "e.tsv"\nunit = "count"\n'
    table = "id\ts1\ts2\nhsa-miR-1-3p\t5\t0\nhsa-miR-2-5p\t7\t1\nhsa-miR-9-5p\t1\t1\n"
    built = build(recipe, {"e.tsv": table})
    values = built.dataset.measurements["expression"].values
    assert values.to_dict("index") == {
        "hsa-mir-2-2": {"s1": 7.0, "s2": 1.0},
        "hsa-mir-1": {"s1": 5.0, "s2": 0.0},
        "hsa-mir-2-1": {"s1": 7.0, "s2": 1.0},
    }
    assert left_out(built, "expression") == {"no RNA of the dataset": 1}


def test_expression_of_a_plain_table_by_ids_and_names_without_an_arm(build: Build) -> None:
    recipe = build().provenance.recipe
    recipe += '[[expression]]\nformat = "table"\nfile = "e.tsv"\nunit = "count"\n'
    table = "id\ts1\nHSA-MIR-2-1\t3\nhsa-miR-1\t4\nhsa-miR-2\t2\nhsa-mir-1a\t6\nhsa-mir-9\t1\n"
    built = build(recipe, {"e.tsv": table})
    measured = built.dataset.measurements["expression"]
    # hsa-miR-2 is the mature of both hairpins; hsa-mir-1a is the earlier name of hsa-mir-1
    assert measured.values["s1"].to_dict() == {
        "hsa-mir-2-2": 2.0,
        "hsa-mir-1": 6.0,
        "hsa-mir-2-1": 3.0,
    }
    assert left_out(built, "expression") == {"no RNA of the dataset": 1}


def test_optional_parts_are_left_out_with_a_note_where_their_file_is_not_there(
    build: Build,
) -> None:
    optional = TABLE + 'optional = true\n[[expression]]\nformat = "mirmine"\nfile = "mirmine"\n'
    built = build(HEAD + '[rnas]\nfrom = "mirbase hairpins"\n' + optional + "optional = true\n")
    assert built.provenance.notes[1:] == (
        "without protein: no file p.tsv",
        "without expression: no file mirmine",
    )
    assert not built.dataset.associations
    assert not built.dataset.measurements


def test_whose_sequence_counts(build: Build) -> None:
    recipe = HEAD + '[rnas]\nfrom = "list"\nfile = "ids.txt"\nmirbase = "mirbase"\n'
    recipe += 'sequences = "s.fa"\nprefer = "{}"\n'
    files = {"s.fa": ">hsa-mir-1\nGGGG\n>hsa-mir-8\nCC\n>spare\nA\n"}
    fasta = build(recipe.format("fasta"), files).dataset
    assert fasta.rnas["sequence"].tolist() == ["GGGGCCCCAA", "GGGG", "CCCCGGGGAA", "CC"]
    mirbase = build(recipe.format("mirbase"), files).dataset
    assert mirbase.rnas["sequence"].tolist() == ["GGGGCCCCAA", "ACGUACGUAC", "CCCCGGGGAA", "CC"]
    left = mirbase.left_out.set_index(["item", "id"])["reason"]
    assert left["sequence", "spare"] == "not among the RNAs"
    assert ("sequence", "hsa-mir-8") not in left.index


def test_sequences_of_a_table_and_of_two_files(build: Build) -> None:
    recipe = HEAD + '[rnas]\nfrom = "list"\nfile = "ids.tsv"\n'
    recipe += 'columns = { rna = "who", sequence = "seq", note = "note" }\n'
    files = {
        "ids.tsv": "who\tseq\tnote\na\tacgt\tx\nb\tNA\ty\nhsa-mir-1\tGG\tz\n",
        "s.fa": ">a\nACGU\n>b\nCC\n",
    }
    alone = build(recipe, files).dataset
    assert alone.rnas["sequence"].tolist() == ["ACGU", None, "GG"]
    assert alone.rnas["note"].tolist() == ["x", "y", "z"]
    assert alone.left_out["id"].tolist() == ["b"]
    both = build(recipe + 'sequences = "s.fa"\n', files).dataset
    assert both.rnas["sequence"].tolist() == ["ACGU", "CC", "GG"]
    assert both.left_out.empty
    mirbase = recipe + 'mirbase = "mirbase"\n'
    of_table = build(mirbase + 'prefer = "table"\n', files).dataset.rnas
    assert of_table["sequence"].tolist() == ["ACGU", None, "GG"]
    of_mirbase = build(mirbase + 'prefer = "mirbase"\n', files).dataset.rnas
    assert of_mirbase["sequence"].tolist() == ["ACGU", None, "ACGUACGUAC"]
    fasta = HEAD + '[rnas]\nfrom = "fasta"\nfile = "s.fa"\nsequences = "t.fa"\n'
    two = build(fasta, {"t.fa": ">b\nCC\n>spare\nA\n"})
    assert two.dataset.rnas["sequence"].tolist() == ["ACGU", "CC"]
    spare = [dict(source.left_out) for source in two.provenance.sources]
    assert spare == [{}, {"not among the RNAs": 1}]


def test_long_sequences_that_disagree_are_shown_where_they_differ(build: Build) -> None:
    recipe = HEAD + '[rnas]\nfrom = "fasta"\nfile = "s.fa"\nsequences = "t.fa"\n'
    first = "A" * 100 + "C" + "G" * 50
    files = {"s.fa": f">a\n{first}\n>b\nA\n", "t.fa": f">a\n{first[:100]}U{first[101:]}\n"}
    # 20 nt before the difference at 101, and 20 from it
    shown = "found {}U{} at 81 of 151 nt, expected {}C{} at 81 of 151 nt"
    text = re.escape(shown.format("A" * 20, "G" * 19, "A" * 20, "G" * 19))
    with pytest.raises(InputError, match=text):
        build(recipe, files)
    with pytest.raises(InputError, match=r"found A{20} at 61 of 80 nt, expected A{40} at 61 of"):
        build(recipe, files | {"t.fa": f">a\n{first[:80]}\n"})


def test_families_come_from_a_file_where_mirbase_has_none(build: Build) -> None:
    joined = "hairpin_acc hairpin_id family_acc family_id mature_acc mature_id mature_evidence"
    row = "MI0000001 hsa-mir-1 - - MIMAT0000001 hsa-miR-1-3p x ACGU"
    text = f"{joined} mature_seq\n{row}\n".replace(" ", "\t").replace("-\t-", "\t")
    families = "AC   MIPF1\nID   f1\nMI   MI0000001  hsa-mir-1\nMI   MI0000077  mmu-mir-1\n//\n"
    recipe = HEAD + '[rnas]\nfrom = "list"\nfile = "ids.txt"\nfamilies = "fam.dat"\n'
    name = "mirbase/hsa_hairpin_mature_family_v22.1.tsv"
    rnas = build(recipe, {name: text, "fam.dat": families}).dataset.rnas
    assert rnas.loc["hsa-mir-1", "family_ids"] == "f1"
    assert rnas.loc["hsa-mir-1", "family_members"] == 2
    assert rnas.loc["hsa-mir-1", "family_own"] == 1


def test_the_folder_holds_every_source_with_its_hash(build: Build, sources: Path) -> None:
    built = build()
    folder = write_dataset(built, sources / "out")
    about = read_provenance(folder)
    assert about == json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert about["recipe"] == (sources / "recipe.toml").read_text(encoding="utf-8")
    assert about["version"]
    of_path = {source["path"]: source for source in about["sources"]}
    assert set(of_path) == {
        "ids.txt", "mirbase", "located.tsv", "targets.tsv", "ncdr.tsv", "hmdd.tsv", "mesh.tsv",
    }  # fmt: skip
    assert of_path["hmdd.tsv"]["sha256"] == sha256_of(sources / "hmdd.tsv")
    assert of_path["hmdd.tsv"]["n_read"] == 4
    assert of_path["hmdd.tsv"]["left_out"] == {"RNA is not in the dataset": 1}
    again = Dataset.load(folder)
    assert again.labels.equals(built.dataset.labels)
    for kind, table in built.dataset.associations.items():
        pd.testing.assert_frame_equal(again.associations[kind], table, check_dtype=False)
    assert read_provenance(sources) == {}


HMDD4 = """category|mir|disease|pmid|description
genetics_GWAS|hsa-mir-1|Flu|11|x
circulation_biomarker_diagnosis_up|hsa-mir-1|Flu|12|x
target gene|hsa-mir-2-1|Cold|13|x
transcription_factor_target|hsa-mir-77|Cold|14|x
""".replace("|", "\t")


def test_hmdd4_by_its_published_columns_is_said_to_be_untested(build: Build) -> None:
    rnas = f'{HEAD}[rnas]\nfrom = "list"\nfile = "ids.txt"\n'
    part = '[[associations]]\nkind = "disease"\nformat = "hmdd4"\nfile = "hmdd4.txt"\n'
    made = build(rnas + part, {"hmdd4.txt": HMDD4})
    table = made.dataset.associations["disease"]
    assert table[["rna_id", "partner_id"]].to_numpy().tolist() == [
        ["hsa-mir-1", "Flu"],
        ["hsa-mir-2-1", "Cold"],
    ]
    assert table["n_records"].tolist() == [2, 1]
    assert table["pmids"].tolist() == ["11;12", "13"]
    assert left_out(made, "disease") == {"RNA is not in the dataset": 1}
    (source,) = [of for of in made.provenance.sources if of.used_for == "disease"]
    assert source.note == (
        "hmdd4: read by its published column names; not tested on the download itself"
    )
