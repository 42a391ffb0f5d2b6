"""Labels in FASTA headers: ids, families, and every refusal by line and column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirnagraph.errors import ConfigError, InputError
from seqtower.data.sets import families, join_headers

FASTA = """>110,Gene_ID:db:A1,Gene_Name:hsa-let-7a-1
ACGU
>101,Gene_ID:db:A2,Gene_Name:pre-let-7b
ACGA
>010,Gene_ID:db:A3,Gene_Name:ebv-miR-X1-5p
ACGC
>010,Gene_ID:db:A4,Gene_Name:ebv-miR-X1-5p
GGGU
>001,Gene_ID:db:A5,Gene_Name:C13orf25|hsa-mir-18a
ACCU
>111,a gene of no field
GGCC
"""
NAMES = ("Nucleus", "Exosome", "Cytosol")


def write(folder: Path, text: str) -> Path:
    (folder / "x.fa").write_text(text)
    return folder / "x.fa"


def test_digits_become_labels_and_the_rest_an_id(tmp_path: Path) -> None:
    found = join_headers(write(tmp_path, FASTA), NAMES)
    assert found.index.ids == (
        "hsa-let-7a-1",
        "pre-let-7b",
        "ebv-miR-X1-5p,db:A3",
        "ebv-miR-X1-5p,db:A4",
        "C13orf25|hsa-mir-18a",
        "a gene of no field",
    )
    np.testing.assert_array_equal(found.labels[:3], [[1, 1, 0], [1, 0, 1], [0, 1, 0]])
    assert (found.kind, found.compartments, found.sequences[3]) == ("multi-label", NAMES, "GGGU")
    part = join_headers(write(tmp_path, FASTA), NAMES, columns=["Cytosol", "Nucleus"])
    assert part.compartments == ("Cytosol", "Nucleus")
    np.testing.assert_array_equal(part.labels[:2], [[0, 1], [1, 1]])


def test_families_are_numbers_shared_sequences_and_their_relatives(tmp_path: Path) -> None:
    groups = join_headers(write(tmp_path, FASTA), NAMES).groups
    assert groups is not None
    assert groups[0] == groups[1] == "let-7"
    assert groups[2] == groups[3]
    assert len(set(groups)) == 4
    names = [
        "hsa-mir-1-1",
        "mmu-miR-1a",
        "hsa-miR-9-5p",
        "X|hsa-mir-9-2",
        "U6",
        "U7",
        "bart-miR-B1-3p",
        "bart-miR-B1*",
    ]
    found = families(names, ["A", "C", "G", "U", "AA", "AC", "AG", "AU"])
    assert [found.count(name) for name in found] == [2, 2, 2, 2, 1, 1, 2, 2]
    copies = families(names[:3], ["A", "C", "C"])
    assert len(set(copies)) == 1, "mir-1 and mir-9 meet in one sequence"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            ">110,Gene_Name:a\nAC\n>11,Gene_Name:b\nAC\n",
            (
                "line 3, column 2: the labels in a header do not fit the compartments; "
                "found 11, expected 3 digits"
            ),
        ),
        (
            ">1102,Gene_Name:a\nAC\n",
            "line 1, column 2: the labels in a header do not fit the compartments; found 1102",
        ),
        (
            ">gene one\nAC\n",
            "line 1, column 2: the labels in a header do not fit the compartments; found gene one",
        ),
        (">110\nAC\n", "line 1, column 5: a header without a name"),
        (
            ">110,Gene_Name:a\nAC\n>010,Gene_Name:a\nAC\n",
            (
                "line 3, column 'Gene_Name': an RNA is duplicated; "
                "found a, expected each Gene_Name, or Gene_Name with Gene_ID, once"
            ),
        ),
        (
            ">110,Gene_Name:a\nAC\n>010,Gene_Name:b\nAC\n",
            "column 'Exosome': a compartment with one kind of label; found only 1",
        ),
    ],
)
def test_wrong_headers_are_refused_where_they_stand(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        join_headers(write(tmp_path, text), NAMES)
    assert words in str(caught.value)


def test_compartments_are_named_once_each(tmp_path: Path) -> None:
    for names in (("Nucleus", "Nucleus", "Cytosol"), ("Nucleus", "", "Cytosol"), ()):
        with pytest.raises(ConfigError, match="need different compartment names"):
            join_headers(write(tmp_path, FASTA), names)
    with pytest.raises(
        ConfigError,
        match="no compartment 'Ribosome' among those of the headers: Nucleus, Exosome, Cytosol",
    ):
        join_headers(write(tmp_path, FASTA), NAMES, columns=["Ribosome"])
