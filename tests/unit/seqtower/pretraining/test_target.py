"""What is cut from a pre-training for its target: equal sequences, near-copies, genes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import generator
from seqtower.data.sequences import LEFT_OUT_COLUMNS, SequenceSet
from seqtower.data.sets import merge_sets
from seqtower.pretraining.target import (
    GENE,
    NEAR,
    SAME,
    Target,
    cut_target,
    digests,
    gene_names,
    read_target,
    set_fingerprint,
    source_genes,
)

RNG = generator(0, "target")


def rna(length: int) -> str:
    return "".join(RNG.choice(list("ACGU"), length))


def changed(sequence: str, every: int) -> str:
    """Every so many nucleotides another one."""
    letters = list(sequence)
    for place in range(0, len(letters), every):
        letters[place] = "ACGU"[("ACGU".index(letters[place]) + 1) % 4]
    return "".join(letters)


def merged(rnas: dict[str, str], groups: tuple[str, ...] | None, **others: SequenceSet):
    data = of(list(rnas.values()), list(rnas), groups)
    return merge_sets({"a": data, **others}, dict.fromkeys(["a", *others], "mRNA"), least=1)


def of(sequences: list[str], ids: list[str], groups: tuple[str, ...] | None = None) -> SequenceSet:
    labels = np.arange(len(ids), dtype=float)[:, None] % 2
    left_out = pd.DataFrame(columns=LEFT_OUT_COLUMNS)
    index = NodeIndex.of(ids, "RNA")
    return SequenceSet(index, tuple(sequences), labels, ("Nucleus",), MULTI_LABEL, groups, left_out)


def test_each_reason_by_hand() -> None:
    first = rna(500)
    second = rna(400)
    target = Target(("t1", "t2"), (first, second), (gene_names(["GCLC"]), frozenset()))
    rnas = {
        "equal": second,
        "mutated": changed(first, 20),
        "part": first[100:350],
        "around": rna(90) + second + rna(90),
        "isoform": rna(300),
        "far": changed(first, 3),
        "other": rna(300),
    }
    genes = ("X1", "X2", "", "X4", "gclc", "X6", "X7")
    cut = cut_target(merged(rnas, genes), target)
    assert cut.table.to_numpy().tolist() == [
        ["a|equal", SAME, "t2"],
        ["a|mutated", NEAR, "t1"],
        ["a|part", NEAR, "t1"],
        ["a|around", NEAR, "t2"],
        ["a|isoform", GENE, "t1"],
    ]
    assert cut.kept.tolist() == [5, 6]
    assert cut.counts() == {SAME: 1, NEAR: 3, GENE: 1}
    assert cut.sentence() == (
        "5 of 7 RNAs were cut for the target: 1 of the same sequence, 3 near-copies, "
        "1 more of the same gene"
    )
    without = cut_target(
        merged(rnas, None), Target(target.ids, target.sequences, (frozenset(),) * 2)
    )
    assert without.kept.tolist() == [4, 5, 6]
    assert without.sentence().endswith("3 near-copies, genes were not compared")


def test_ids_stand_for_genes_in_a_set_without_groups() -> None:
    data = merged({"ENSG1.3": rna(50)}, None, b=of([rna(50)], ["r"], ("SYM",)))
    assert source_genes(data) == [{"ensg1"}, {"sym"}]
    target = Target(("t",), (rna(50),), (gene_names(["ENSG1.7", "Sym"]),))
    assert cut_target(data, target).table["reason"].tolist() == [GENE, GENE]


def test_names_of_genes_have_one_writing() -> None:
    assert gene_names([" Gclc", "ENSG00000001084.11", "", "NKX2.5"]) == {
        "gclc",
        "ensg00000001084",
        "nkx2.5",
    }


def test_the_target_and_its_genes_are_read(tmp_path: Path) -> None:
    fasta = tmp_path / "t.fa"
    fasta.write_text(">one\nACGT\n>two\nACGA\n")
    table = tmp_path / "t.tsv"
    table.write_text("id\tsymbol\tensembl\ttag\none\tA\tENSG1.2\t1\nelsewhere\tB\t\t0\n")
    target = read_target(fasta, table, ("symbol", "ensembl"))
    assert target.sequences == ("ACGU", "ACGA")
    assert target.genes == ({"a", "ensg1"}, frozenset())
    assert not read_target(fasta).has_genes
    with pytest.raises(ConfigError, match="no column 'gene'; columns after the id: symbol"):
        read_target(fasta, table, ("gene",))
    with pytest.raises(ConfigError, match="--target-labels and --gene belong together"):
        read_target(fasta, table)
    table.write_text("id\tsymbol\nelsewhere\tB\n")
    with pytest.raises(InputError, match="no id of the target's sequences is in its table; found"):
        read_target(fasta, table, ("symbol",))
    table.write_text("id\tsymbol\none\tB\none\tC\n")
    with pytest.raises(InputError, match="line 3, column 'id': an id is duplicated"):
        read_target(fasta, table, ("symbol",))


def test_a_fingerprint_is_that_of_the_set_whatever_its_order() -> None:
    hashes = digests(["ACGU", "AC", "ACGU"])
    each = sorted(hashlib.sha256(text).digest() for text in (b"ACGU", b"AC"))
    assert [row.tobytes() for row in hashes] == each
    assert set_fingerprint(hashes) == hashlib.sha256(b"".join(each)).hexdigest()
    assert set_fingerprint(digests(["AC", "ACGU"])) == set_fingerprint(hashes)
    assert digests([]).shape == (0, 32)
