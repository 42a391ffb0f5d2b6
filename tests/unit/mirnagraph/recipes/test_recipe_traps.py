"""Sources that cannot be right: one sentence each, with file, line, column, found and expected."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mirnagraph.errors import InputError, MirnagraphError
from mirnagraph.recipes.build import Built, check_out
from mirnagraph.recipes.recipe import read_recipe

Build = Callable[..., Built]

HEAD = 'name = "x"\nspecies = "hsa"\n'
LIST = HEAD + '[rnas]\nfrom = "list"\nfile = "ids.txt"\n'
SEQUENCES = (
    HEAD + '[rnas]\nfrom = "list"\nfile = "ids.tsv"\n'
    'columns = { rna = "who", sequence = "sequence" }\n'
)
FASTA = HEAD + '[rnas]\nfrom = "fasta"\nfile = "s.fa"\n'
LABELS = '[labels]\nformat = "table"\nfile = "l.tsv"\n'
TABLE = '[[associations]]\nkind = "protein"\nformat = "table"\nfile = "p.tsv"\n'
EXPRESSION = '[[expression]]\nformat = "table"\nfile = "e.tsv"\n'
DISEASE = '[[associations]]\nkind = "disease"\nformat = "hmdd3"\nfile = "hmdd.tsv"\n'
MESH = '[mesh]\nfile = "mesh.tsv"\n'

TRAPS = [
    (LIST, {"ids.txt": " \n\n"}, "ids.txt: the file is empty"),
    (LIST, {"ids.txt": "rna_id\n"}, "ids.txt: an empty list of RNAs; expected one RNA or more"),
    (LIST, {"ids.txt": "hsa-mir-1\nhsa-mir-1\n"}, "ids.txt, line 2, column 'id': duplicate id"),
    (LIST, {"ids.txt": "a,b\n"}, "ids.txt, line 1, column 'id': not one name; found a,b"),
    (FASTA, {"s.fa": "\n"}, "s.fa: the file is empty"),
    (FASTA, {"s.fa": "ACGU\n"}, "s.fa, line 1, column 1: not a FASTA file; found ACGU"),
    (FASTA, {"s.fa": ">a\nACGJ\n"}, "line 2, column 4: invalid nucleotide in the sequence of a"),
    (FASTA, {"s.fa": ">a\nAC\n>a\nGG\n"}, "line 3, column 2: same id with two sequences"),
    (
        LIST + 'mirbase = "mirbase"\nsequences = "s.fa"\n',
        {"s.fa": ">x\nAC\n>hsa-mir-1\nGGGG\n"},
        "s.fa, line 3: the FASTA file and miRBase disagree on the sequence of hsa-mir-1; "
        'found GGGG, expected ACGUACGUAC; say whose counts with prefer = "fasta"',
    ),
    (
        FASTA + 'sequences = "t.fa"\n',
        {"s.fa": ">a\nACGU\n>b\nAC\n", "t.fa": ">b\nAC\n>a\nACGG\n"},
        "t.fa, line 3: the FASTA file and s.fa disagree on the sequence of a; found ACGG, expected "
        "ACGU",
    ),
    (
        SEQUENCES + 'sequences = "s.fa"\n',
        {"ids.tsv": "who\tsequence\na\tAC\nb\tacgt\n", "s.fa": ">b\nACGG\n"},
        "s.fa, line 1: the FASTA file and ids.tsv disagree on the sequence of b; found ACGG, "
        "expected ACGU",
    ),
    (
        SEQUENCES + 'mirbase = "mirbase"\n',
        {"ids.tsv": "who\tsequence\nhsa-mir-9\tuuuuutaaaa\nhsa-mir-1\tGGGG\n"},
        "ids.tsv, line 2, column 'sequence': the table and miRBase disagree on the sequence of "
        "hsa-mir-9 and 1 others; found UUUUUUAAAA, expected UUUUUAAAAA; say whose counts with "
        'prefer = "table" or "mirbase" in [rnas]',
    ),
    (
        SEQUENCES,
        {"ids.tsv": "who\tsequence\na\tAC\nb\tAXGT\n"},
        "ids.tsv, line 3, column 'sequence': invalid nucleotide in the sequence of b at "
        "position 2; found X",
    ),
    (
        LIST + 'sequences = "s.fa"\n',
        {"s.fa": ">x\nAC\n"},
        "s.fa: no sequence is of an RNA of the list; found x and 0 others, expected ids such as "
        "hsa-mir-2-2",
    ),
    (
        FASTA + LABELS,
        {"s.fa": ">a\nAC\n", "l.tsv": "id\tNucleus\nb\t1\n"},
        "l.tsv: no name of the labels is an RNA of the dataset; found b (RNA is not in the "
        "dataset: 1), expected names such as a",
    ),
    (
        FASTA + LABELS,
        {"s.fa": ">ENST1|ENSG1\nAC\n", "l.tsv": "id\tNucleus\nENST1\t1\n"},
        "the first field of the RNAs' ids, up to |, would match: cut the ids there",
    ),
    (
        FASTA + LABELS,
        {"s.fa": ">a\nAC\n", "l.tsv": "id\tNucleus\tGolgi\na\t1\t1\nb\t1\t0\nc\t0\t2\n"},
        "l.tsv, line 4, column 'Golgi': not a label; found 2, expected 0, 1, or NA",
    ),
    (
        FASTA + LABELS,
        {"s.fa": ">a\nAC\n", "l.tsv": "id\tlength\na\t80\n"},
        "l.tsv, line 1: no column of labels; found id, length, expected columns of 0 and 1",
    ),
    (
        FASTA + LABELS + 'compartments = ["Golgi"]\n',
        {"s.fa": ">a\nAC\n", "l.tsv": "id\tclass\na\tNucleus\n"},
        "l.tsv: no label of a compartment of the recipe; found Nucleus, expected Golgi",
    ),
    (
        FASTA + LABELS,
        {"s.fa": ">a\nAC\n", "l.tsv": "who\tNucleus\na\t1\n"},
        "l.tsv, line 1, column 'rna_id': missing column; found who, Nucleus, expected rna_id or",
    ),
    (
        FASTA + LABELS + 'columns = { rna = "nme" }\n',
        {"s.fa": ">a\nAC\n", "l.tsv": "name\tNucleus\na\t1\n"},
        "l.tsv, line 1, column 'nme': missing column; found name, Nucleus, expected nme",
    ),
    (
        FASTA + TABLE,
        {"s.fa": ">a\nAC\n", "p.tsv": "id\tprotein\nb\tP\n"},
        "p.tsv: no protein association of an RNA of the dataset; found RNA is not in the "
        "dataset: 1, expected records of RNAs such as a",
    ),
    (
        FASTA + TABLE + 'evidence = ["score"]\n',
        {"s.fa": ">a\nAC\n", "p.tsv": "id\tprotein\tscore\na\tP\t1\na\tQ\t-2\n"},
        "p.tsv, line 3, column 'score': not a number of evidence; found -2, expected a number of 0",
    ),
    (
        LIST + TABLE + '[associations.partners]\nfile = "q.tsv"\n',
        {"p.tsv": "id\tprotein\nhsa-mir-1\tP\n", "q.tsv": "protein\nP\nP\n"},
        "q.tsv, line 3, column 'partner': a partner is listed twice; found P",
    ),
    (
        LIST + TABLE + '[associations.partners]\nsequences = "q.fa"\n',
        {"p.tsv": "id\tprotein\nhsa-mir-1\tP\n", "q.fa": ">R\nAC\n"},
        "q.fa: no sequence is of a partner; found 1 others, the first R, expected ids such as P",
    ),
    (
        LIST + DISEASE + MESH,
        {"mesh.tsv": "tree_number\tdescriptor_ui\tterm\nC01\tD1\tGout\n"},
        "mesh.tsv: no partner of kind 'disease' is a term of the ontology; found 0 of 3, the first "
        "Flu, expected names such as Gout",
    ),
    (
        LIST + EXPRESSION,
        {"e.tsv": "id\ts1\nhsa-mir-1\thigh\n"},
        "e.tsv, line 2, column 's1': not a number; found high, expected a number, or NA",
    ),
    (
        LIST + EXPRESSION + 'unit = "x"\n',
        {"e.tsv": "id\ts1\nhsa-mir-77\t1\n"},
        "e.tsv: no row of the measurement is of an RNA of the dataset; found 1 names",
    ),
    (
        LIST + TABLE,
        {},
        "p.tsv: no such file or folder, named by associations.protein.file of the recipe; expected "
        "in one of ",
    ),
    (
        LIST + '[labels]\nformat = "bits"\nfile = "b.fa"\ncompartments = ["a", "b"]\n',
        {"b.fa": ">10,Gene_Name:hsa-mir-1\nAC\n>1,Gene_Name:x\nAC\n"},
        "b.fa, line 3, column 2: no bits in a header; found 1,Gene_Name:x, expected 2 times",
    ),
    (
        LIST + '[labels]\nformat = "table"\nfile = "l.tsv"\n',
        {"l.tsv": "id\ta\tb\nhsa-mir-1\t0\t1\nhsa-mir-2\t1\t0\nhsa-mir-1\t0\t0\n"},
        "l.tsv, line 4, column 'b': two rows of hsa-mir-1 contradict each other; found 0, expected "
        "the label of line 2",
    ),
    (
        LIST + '[labels]\nformat = "matrix"\nfile = "m.csv"\ncompartments = ["a", "b"]\n',
        {"m.csv": "0,1\n1,0\n"},
        "m.csv, line 3: the matrix does not fit its names; found 2 lines, expected 4",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("recipe", "files", "message"), TRAPS, ids=range(len(TRAPS)))
def test_traps_end_in_a_sentence(
    build: Build, recipe: str, files: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        build(recipe, files)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_an_unknown_species_is_refused_before_a_file_is_read(build: Build) -> None:
    with pytest.raises(InputError, match=r"unknown species; found Mus muscullus, expected such"):
        build(LIST.replace('"hsa"', '"Mus muscullus"'))


def test_all_missing_files_are_named_at_once(build: Build) -> None:
    recipe = (
        LIST.replace("ids.txt", "none.txt") + LABELS + TABLE + MESH.replace("mesh.tsv", "m.tsv")
    )
    with pytest.raises(InputError) as caught:
        build(recipe.replace("[mesh]", '[mesh]\nkind = "protein"'))
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["none.txt", "l.tsv", "p.tsv", "m.tsv"]


def workbook() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        archive.writestr("xl/workbook.xml", "<x/>")
    return stream.getvalue()


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("targets.tsv", "x")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (workbook(), "found an Excel workbook, .*save the sheet as tab-separated text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "found an Excel workbook"),
        (archive(), "found a zip archive, expected text, plain or compressed .*; unpack it first"),
        (b"%PDF-1.7\n%x", "found a PDF, .*copy its table into tab-separated text"),
        (b"BZh91AY&SY\x01", "truncated bzip2 file"),
        (b"\xfd7zXZ\x00\x00", "truncated xz file"),
        (b"\x28\xb5\x2f\xfd\x04", "truncated zstd file"),
    ],
)
@pytest.mark.parametrize("name", ["targets.tsv", "located.tsv", "hmdd.tsv", "ids.txt", "mesh.tsv"])
def test_binary_files_given_as_tables_are_named(
    build: Build, sources: Path, content: bytes, message: str, name: str
) -> None:
    recipe = build().provenance.recipe
    (sources / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: (not a text file; )?{message}"):
        build(recipe)


def test_an_output_folder_of_something_else_or_of_the_sources_is_refused(
    build: Build, sources: Path, tmp_path: Path
) -> None:
    build()
    recipe = read_recipe(sources / "recipe.toml")
    other = tmp_path / "thesis"
    other.mkdir()
    check_out(recipe, other)
    (other / "chapter.tex").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="exists and is not empty"):
        check_out(recipe, other)
    with pytest.raises(InputError, match=r"was not written by mirnagraph.*found chapter"):
        check_out(recipe, other, overwrite=True)
    (sources / "dataset.toml").write_text("x", encoding="utf-8")
    for folder in (sources, sources.parent):
        (folder / "dataset.toml").write_text("x", encoding="utf-8")
        with pytest.raises(MirnagraphError, match="holds the sources of the recipe"):
            check_out(recipe, folder, overwrite=True)
