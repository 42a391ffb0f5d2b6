"""Sequences of other species, told by the table of the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirnagraph.names import NameResolver, ReferenceNames, other_species
from mirnagraph.names.other_species import hash_of, species_of_sequence, write_species
from mirnagraph.sources.species_table import main

MMU_294_3P = "AAAGUGCUUCCCUUUUGUGUGU"
LET_7A_5P = "UGAGGUAGUAGGUUGUAUAGUU"


def test_species_of_known_sequences() -> None:
    assert "mmu" in species_of_sequence(MMU_294_3P)
    assert "hsa" not in species_of_sequence(MMU_294_3P)
    assert {"hsa", "mmu", "cel"} <= set(species_of_sequence(LET_7A_5P))
    assert species_of_sequence("ACGU") == ()


def test_a_sequence_of_another_species_is_said_to_be_one() -> None:
    resolver = NameResolver(ReferenceNames(("hsa-mir-1",), sequences=("ACGU",), matures=("",)))
    match = resolver.match_sequence("mine", MMU_294_3P)
    assert (match.kind, match.is_doubtful) == ("new", True)
    assert match.note.startswith("a sequence of another species (")
    assert match.note.endswith("; the reference RNAs: hsa)")
    assert "mmu" in match.note
    assert resolver.match_sequence("mine", LET_7A_5P).note == ""
    by_name = resolver.match_sequence("mmu-miR-294-3p", MMU_294_3P)
    assert by_name.note == (
        "'mmu-miR-294-3p' is a name of another species (mmu; the reference RNAs: hsa)"
    )
    long = NameResolver(ReferenceNames(("LNC1",), sequences=("ACGU",), matures=("",)))
    assert long.match_sequence("mine", MMU_294_3P).note == ""


def test_table_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hairpin.fa.gz").write_text(
        ">mmu-mir-1 MI1 x\nACGT\n>rno-mir-1 MI2 x\nACGU\n>hsa-mir-2 MI3 x\nGG\nCC\n", "utf-8"
    )
    (tmp_path / "mature.fa.gz").write_text(">cel-miR-1-3p MIMAT1 x\nACGU\n", "utf-8")
    path = tmp_path / "table.safetensors"
    main(str(tmp_path), path)
    monkeypatch.setattr(other_species, "FILE", str(path))  # an absolute path replaces the folder
    other_species._table.cache_clear()
    try:
        assert species_of_sequence("ACGU") == ("cel", "mmu", "rno")
        assert species_of_sequence("GGCC") == ("hsa",)
        assert species_of_sequence("GG") == ()
    finally:
        other_species._table.cache_clear()
    again = tmp_path / "again.safetensors"
    write_species({"GGCC": ["hsa"], "ACGU": ["rno", "mmu", "cel", "mmu"]}, again)
    assert again.read_bytes() == path.read_bytes()
    # sha256("ACGU") begins with these eight bytes
    assert f"{hash_of('ACGU'):016x}" == "a3c532aca6cd82dd"
