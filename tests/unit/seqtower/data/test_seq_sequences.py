"""Labelled sequences: kinds of labels, what is left out, and every refusal by line and column."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mirnagraph.errors import ConfigError, InputError
from seqtower.config import SeqTrainConfig
from seqtower.data.labels import join, read_labels
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import EncoderConfig, fit_encoding
from seqtower.predict import kept_part, readings, remarks

FASTA = ">a one\nACGT\nac\r\n>b\nGGGU\n>c\nNNAC\n>d\nACRY\n"


@pytest.fixture
def files(tmp_path: Path):
    def write(labels: str, fasta: str = FASTA) -> tuple[Path, Path]:
        (tmp_path / "s.fa").write_text(fasta)
        (tmp_path / "l.tsv").write_text(labels)
        return tmp_path / "s.fa", tmp_path / "l.tsv"

    return write


def test_compartments_classes_and_fractions_are_told_apart(files) -> None:
    fasta, table = files("id\tNucleus\tCytosol\na\t1\t0\nb\t0\t1\n")
    found = join(fasta, read_labels(table), iupac="n")
    assert (found.kind, found.compartments, found.sequences) == (
        "multi-label",
        ("Nucleus", "Cytosol"),
        ("ACGUAC", "GGGU"),
    )
    np.testing.assert_array_equal(found.labels, [[1, 0], [0, 1]])

    fasta, table = files("id\tsymbol\twhere\na\tX\tnuclear\nb\tY\tcytoplasmic\n")
    found = join(fasta, read_labels(table, ["where"]), iupac="n")
    assert (found.kind, found.compartments) == ("class", ("cytoplasmic", "nuclear"))
    np.testing.assert_array_equal(found.labels, [[0, 1], [1, 0]])

    fasta, table = files("id\tgene\tin\tout\na\tg1\t0.25\t0.752\nb\tg1\t0.5\t.5\n")
    found = join(fasta, read_labels(table, ["in", "out"], group="gene"), iupac="n")
    assert (found.kind, found.groups) == ("fractions", ("g1", "g1"))
    np.testing.assert_allclose(found.labels.sum(axis=1), 1, atol=1e-15)
    np.testing.assert_array_equal(found.binary().to_numpy(), [[0, 1], [1, 1]])


def test_what_has_no_sequence_or_no_label_is_named(files) -> None:
    fasta, table = files("id\tN\tC\nd\t1\t0\na\t0\t1\nz\t1\t0\nb\t\t\n")
    found = join(fasta, read_labels(table), iupac="n")
    assert found.index.ids == ("a", "d")  # in the order of the sequences
    assert found.sequences == ("ACGUAC", "ACNN")
    left = {(row.id, row.reason) for row in found.left_out.itertuples()}
    assert left == {("c", "no label"), ("b", "every label cell is empty"), ("z", "no sequence")}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("id\n", "an id and one label column or more"),
        (
            "id\tN\na\t1\na\t0\n",
            (
                "line 3, column 'id': an id is duplicated; "
                "found a, expected each id once (first on line 2)"
            ),
        ),
        ("id\tN\n\t1\na\t0\n", "line 2, column 'id': an empty id"),
        (
            "id\tN\tname\na\t1\tx\nb\t0\ty\n",
            "line 2, column 'name': a label is not a number; found x",
        ),
        (
            "id\tN\tC\na\t1\t0\nb\t1\t1\n",
            "column 'N': a compartment with one kind of label; found only 1",
        ),
        (
            "id\tN\tC\na\t1\t0\nb\t\t1\nc\t0\t1\n",
            "line 3, column 'N': an empty cell in a row with other labels",
        ),
        ("id\tN\tC\na\t.5\t.5\nb\t.5\t.6\n", "line 3: labels do not sum to 1; found a sum of 1.1"),
        (
            "id\tN\tC\na\t0\t1\nb\t2\t0\nc\t1\t1\n",
            "line 3, column 'N': a label that is neither 0 nor 1; found 2.0, expected 0 and 1 in",
        ),
        ("id\tN\tC\na\t0\t0\nb\t.5\t0\nc\t1\t1\n", "line 3, column 'N': a label that is"),
        ("id\tN\tC\na\t-.5\t1.5\nb\t.5\t.5\n", "line 2, column 'N': negative fraction"),
        ("id\twhere\na\tnuclear\nb\tnuclear\n", "every RNA has the same class; found nuclear"),
    ],
)
def test_wrong_labels_are_refused_where_they_stand(files, labels: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_labels(files(labels)[1])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "labels",
    [
        "id\tN\tC\na\t1\t0\nb\t1\t1\nz\t0\t0\n",
        "id\twhere\na\tN\nb\tN\nz\tC\n",
        "id\tN\tC\na\t.5\t.5\nb\t.5\t.5\nz\t.2\t.8\n",
        "id\tN\tC\na\t.5\t.5\nb\t.5\t.5\n",
    ],
)
def test_labels_that_are_the_same_for_all_sequences_are_refused(files, labels: str) -> None:
    fasta, table = files(labels)
    found = (
        r"column '[NC]': a compartment with one kind of label; "
        r"found only .*expected labels that differ between RNAs with a sequence"
    )
    with pytest.raises(InputError, match=found):
        join(fasta, read_labels(table), iupac="n")


ENCODING = fit_encoding(EncoderConfig(), LengthPolicy(), [])


def test_what_a_reader_of_answers_should_know_is_said() -> None:
    config = SeqTrainConfig(batch_tokens=4)
    assert remarks(["ACGU", "AN"], ENCODING, config) == []
    ends = replace(ENCODING, lengths=LengthPolicy("both-ends", 5))
    # 5 of 8 and 2 of 2 nucleotides
    cut, long = remarks(["ACGUACGU", "AC"], ends, config)
    assert cut == (
        "1 of 2 RNAs were cut: the tower read the first 2 and the last 3 nt of each (70% of all "
        "nucleotides)"
    )
    assert long.startswith("1 of 2 RNAs are longer than 4 nt and read in windows")
    with_trees = remarks(["ACGUACGU", "AC"], ends, config, has_trees=True)
    assert with_trees[0] == f"{cut}; the trees on descriptors read whole RNAs"
    long, empty = remarks(["ACGUA", "NN", "A"], ENCODING, config)
    assert long.startswith("1 of 3 RNAs are longer than 4 nt and read in windows")
    assert empty.startswith("1 of 3 RNAs have no nucleotide but N")


def test_what_a_tower_reads_by_hand() -> None:
    config = SeqTrainConfig(batch_tokens=20)
    sequences = ["A" * length for length in (10, 20, 21, 38, 39)]
    table = readings(sequences, ENCODING, config)
    # windows of 20 that overlap by 2 or more: two reach 38
    assert table["length"].tolist() == table["read"].tolist() == [10, 20, 21, 38, 39]
    assert table["windows"].tolist() == [1, 1, 2, 2, 3]
    cut = replace(ENCODING, lengths=LengthPolicy("3-prime", 21))
    table = readings(sequences, cut, config)
    assert table["length"].tolist() == [10, 20, 21, 38, 39]
    assert table["read"].tolist() == [10, 20, 21, 21, 21]
    assert table["windows"].tolist() == [1, 1, 2, 2, 2]
    # k-mers of 5, 3 apart: of 62 nt 20, of 63 and 64 also 20, of 65 nt 21
    settings = EncoderConfig("geneticseq2vec", {"k": 5, "stride": 3, "dim": 2, "hops": 1})
    kmers = fit_encoding(settings, LengthPolicy(), ["ACGUACGGUACCA" * 9])
    table = readings(["ACGU" * 17], kmers, config)
    assert table.to_numpy().tolist() == [[68, 68, 2]]
    sequences = ["ACGU", "A" * 64, "A" * 65]
    table = readings(sequences, kmers, config)
    assert table["windows"].tolist() == [1, 1, 2]
    n_positions = [len(encoded) for encoded in kmers(sequences)]
    assert n_positions == [1, 20, 21]


def test_the_part_that_is_kept_in_words() -> None:
    assert kept_part(LengthPolicy()) == ""
    assert kept_part(LengthPolicy("3-prime", 400)) == "the last 400 nt"
    assert kept_part(LengthPolicy("5-prime", 400)) == "the first 400 nt"
    assert kept_part(LengthPolicy("both-ends", 400)) == "the first 200 and the last 200 nt"
    measured = LengthPolicy("both-ends", 400, "average")
    assert "as long as the average of the training RNAs" in kept_part(measured)


@pytest.mark.parametrize("labels", ["a\t1\t0\nb\t0\t1\nc\t1\t0\n", "a\tx\nb\ty\nc\tx\n"])
def test_a_table_without_header_does_not_lose_its_first_rna(files, labels: str) -> None:
    fasta, table = files(labels)
    message = r"l\.tsv, line 1: no header: its first line is an RNA with a sequence; found a, expec"
    with pytest.raises(InputError, match=message):
        join(fasta, read_labels(table), iupac="n")


def test_unknown_columns_foreign_ids_and_letters_are_refused(files) -> None:
    fasta, table = files("id\tN\nx\t1\ny\t0\n")
    with pytest.raises(ConfigError, match="no column 'M'; columns after the id: N"):
        read_labels(table, ["M"])
    with pytest.raises(
        InputError,
        match=(
            "no id is in both the sequences and the labels; "
            "found 'a' in the sequences, 'x' in the labels"
        ),
    ):
        join(fasta, read_labels(table), iupac="n")
    with pytest.raises(
        InputError,
        match=r"line 9, column 3: invalid nucleotide in the sequence of d; found R.*--iupac n",
    ):
        join(fasta, read_labels(table))


def test_na_is_no_class_and_a_cell_may_hold_several(files) -> None:
    fasta, table = files("id\twhere\na\tnucleus\nb\tNA\nc\tcytoplasm\n")
    found = join(fasta, read_labels(table), iupac="n")
    assert (found.kind, found.compartments) == ("class", ("cytoplasm", "nucleus"))
    assert found.index.ids == ("a", "c")

    fasta, table = files("id\twhere\na\tnucleus;cytoplasm\nb\tcytoplasm; nucleus\nc\tnucleus\n")
    found = read_labels(table)
    assert found.kind == "multi-label"
    assert list(found.values.columns) == ["cytoplasm", "nucleus"]
    np.testing.assert_array_equal(found.values.to_numpy(), [[1, 1], [1, 1], [0, 1]])


GENCODE = """\
>ENST1.2|ENSG7.1|-|A-201
ACGUACGU
>ENST2.1|ENSG7.1|-|A-202
GGGUACGU
>ENST3.1|ENSG9.1|-|B-201
CCCUACGU
"""


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (("ENST1.2", "ENST3.1"), ["ENST1.2", "ENST3.1"]),
        (("B-201", "A-202"), ["A-202", "B-201"]),
        (("ENST1.2|ENSG7.1|-|A-201", "ENST3.1"), ["ENST1.2|ENSG7.1|-|A-201"]),
    ],
)
def test_ids_of_gencode_are_joined_by_a_field(tmp_path, ids, expected):
    fasta = tmp_path / "a.fa"
    fasta.write_text(GENCODE)
    table = tmp_path / "a.tsv"
    other = "ENST2.1|ENSG7.1|-|A-202" if "|" in ids[0] else "ENST9.9"
    rows = [f"{ids[0]}\t1", f"{ids[1]}\t0", f"{other}\t0"]
    table.write_text("\n".join(["id\tNucleus", *rows]) + "\n")
    found = join(fasta, read_labels(table))
    wanted = [*expected, other] if "|" in ids[0] else expected
    assert list(found.index.ids) == wanted


def test_a_field_that_several_records_share_joins_nothing(tmp_path):
    fasta = tmp_path / "a.fa"
    fasta.write_text(GENCODE)
    table = tmp_path / "a.tsv"
    table.write_text("id\tNucleus\nENSG7.1\t1\nENSG9.1\t0\n")
    with pytest.raises(InputError, match="no id is in both the sequences and the labels"):
        join(fasta, read_labels(table))
