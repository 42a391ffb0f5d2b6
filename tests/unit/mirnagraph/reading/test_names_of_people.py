"""Names as people have them: prints, symbols, headers of databases, truncated names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mirnagraph.errors import InputError
from mirnagraph.names import is_truncated, normalise
from mirnagraph.sources.evidence import is_non_functional
from mirnagraph.sources.fasta import read_fasta
from mirnagraph.sources.mesh import match_terms
from seqtower.data.labels import join, read_labels


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hsa\u2212miR\u221221\u22125p", "hsa-mir-21-5p"),
        *(
            (f"hsa{dash}miR{dash}21", "hsa-mir-21")
            for dash in "\u2010\u2011\u2012\u2013\u2014\u2015"
        ),
        ("miR-21\u00a0", "hsa-mir-21"),
        ("miR-21\u200b", "hsa-mir-21"),
        ("MIR125B1", "hsa-mir-125b-1"),
        ("MIRLET7A1", "hsa-let-7a-1"),
        ("MIR16-1", "hsa-mir-16-1"),
        ("MIR21", "hsa-mir-21"),
    ],
)
def test_names_of_print_and_symbols(name: str, expected: str) -> None:
    assert normalise(name) == expected


def test_truncated_names_name_nothing() -> None:
    assert [is_truncated(name) for name in ("hsa-mir-", "hsa-miR", "mir", "hsa-let-")] == [True] * 4
    assert not is_truncated("hsa-let-7")


@pytest.mark.parametrize("mark", "'\u2019\u00b4\u02bc\u2018`")
def test_apostrophes_of_diseases(mark: str) -> None:
    tree = pd.DataFrame(
        [("C1", "D1", "Crohn Disease"), ("C2", "D2", "Sjogren's Syndrome")],
        columns=["tree_number", "descriptor_id", "term"],
    )
    found = match_terms([f"Sjogren{mark}s Syndrome", f"Crohn{mark}s Disease"], tree)
    assert found["descriptor_ids"].tolist() == ["D2", "D1"]


def test_tested_and_no_target() -> None:
    kinds = ["Functional MTI", "Non-Functional MTI", "Non-Functional MTI (Weak)"]
    assert is_non_functional(pd.DataFrame({"support": kinds})).tolist() == [False, True, True]


@pytest.mark.parametrize("header", ["{}.2|ENSG1.1|x", "{}|chr1:1-2|x"])
def test_headers_of_databases_are_joined_by_their_first_field(tmp_path: Path, header: str) -> None:
    ids = ["RNA1", "RNA2"]
    shown = [header.format(name) for name in ids]
    fasta = tmp_path / "x.fa"
    fasta.write_text("".join(f">{name}\nACGU\n" for name in shown))
    table = tmp_path / "l.tsv"
    first = [name.split("|")[0] for name in shown]
    table.write_text(f"id\tA\tB\n{first[0]}\t1\t0\n{first[1]}\t0\t1\n")
    assert join(fasta, read_labels(table)).index.ids == tuple(first)


def test_a_protein_gets_no_hint_on_ambiguous_nucleotides(tmp_path: Path) -> None:
    path = tmp_path / "x.fa"
    path.write_text(">p1\nMKVLAAGIVGLLLAQ\n")
    with pytest.raises(InputError, match=r"line 2, column 1: .*found M") as error:
        read_fasta(path)
    assert "iupac" not in str(error.value)
    path.write_text(">r\nAC GU\n")
    with pytest.raises(InputError, match=r"line 2, column 3: .*found ' '") as error:
        read_fasta(path)
    assert "iupac" not in str(error.value)
    path.write_text(">r\nACG\u0410\n")
    with pytest.raises(InputError, match=r"column 4: .*found \u0410 \(U\+0410\), expected A, C"):
        read_fasta(path)
    path.write_text(">r\nACGR\n")
    with pytest.raises(InputError, match="--iupac n reads ambiguous nucleotides as N"):
        read_fasta(path)
