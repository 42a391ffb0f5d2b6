"""The README's example: another project builds a network from two small tables, with mirnagraph alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = """
import pandas as pd
from scipy import sparse

from mirnagraph.networks.sparsify import cut_off, top_k
from mirnagraph.nodes import NodeIndex
from mirnagraph.similarity.functional import blend, functional_similarity
from mirnagraph.similarity.disease_semantic import disease_semantic_similarity
from mirnagraph.similarity.gip import gip_similarity
from mirnagraph.similarity.smith_waterman import smith_waterman

rnas = pd.DataFrame(
    {"rna": ["a-1", "a-2", "b-1", "b-2"], "sequence": ["UGAGGUAGUAGGUUGU", "UGAGGUAGUAGGUUGC", "CAAAGUGCUUACAGUG", "CAAAGUGCUCAUAGUG"]}
)
found_in = pd.DataFrame({"rna": ["a-1", "a-2", "a-2", "b-1", "b-2"], "disease": ["flu", "flu", "cold", "gout", "gout"]})

index = NodeIndex.of(rnas["rna"], "miRNA")
diseases = NodeIndex.of(found_in["disease"].unique(), "disease")
pairs = (index.positions(found_in["rna"]), diseases.positions(found_in["disease"]))
associations = sparse.csr_array(([1.0] * len(found_in), pairs), shape=(len(index), len(diseases)))

by_sequence = cut_off(smith_waterman(rnas["sequence"].tolist()), 0.5)

tree = pd.DataFrame({"tree_number": ["1", "1.1", "1.2", "2"], "descriptor_id": ["infection", "flu", "cold", "gout"]})
semantic = disease_semantic_similarity(tree, pd.Series(list(diseases)))
by_disease = top_k(blend(functional_similarity(associations, semantic), gip_similarity(associations)), 1)
"""


def test_the_example_runs_and_joins_each_family() -> None:
    names: dict = {}
    exec(EXAMPLE, names)
    joined = {(0, 1), (1, 0), (2, 3), (3, 2)}
    for matrix in (names["by_sequence"], names["by_disease"]):
        assert set(zip(*(part.tolist() for part in matrix.nonzero()), strict=True)) == joined
    assert names["by_disease"].toarray()[2, 3] == 1.0
    assert 0.5 < names["by_disease"].toarray()[0, 1] < 1


def test_the_example_loads_neither_torch_nor_the_other_rooms(tmp_path: Path) -> None:
    code = EXAMPLE + "\nimport sys\nprint(sorted({'torch', 'seqtower', 'fusion', 'cli', 'typer'} & set(sys.modules)))\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
