"""Functions of the documented modules check their arguments at one door: `checked`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

DOORS = {"checked", "_checked_pair", "_of_choices"}

OTHERWISE = {
    # texts, checked by each function itself: a million names are asked
    "mirnagraph.names.spelling": "*",
    "mirnagraph.names.match": "listed",
    # tensors, modules and encoders of one's own
    "mirnagraph.embedding.graph_transformer": "*",
    "mirnagraph.embedding.graph_sampler": "*",
    "mirnagraph.embedding.graph_sampled": "*",
    "mirnagraph.embedding.label_attention": "*",
    "seqtower.encoders.base": "*",
    "seqtower.towers.base": "*",
    "seqtower.nn.layers": "*",
    # steps of a function of the same module that checks
    "mirnagraph.embedding.node2vec": "count_visits train_skip_gram",
    "mirnagraph.embedding.factorization": "log_proximity fix_signs",
    "mirnagraph.walks.graph": "walk_graph store_walk_graph open_walk_graph",
    "mirnagraph.walks.rounds": "map_rounds",
    "mirnagraph.evaluation.splits": "check_n_folds",
    "mirnagraph.similarity.blocks": "row_neighbours",
    "mirnagraph.similarity.best": "join_nearest",
    "mirnagraph.similarity.disease": "binary",
    "seqtower.data.sequences": "rna_type sequences_sha256",
}
"""Module -> functions that are not behind the door; ``*`` for all."""


def documented() -> Iterator[tuple[str, str, ast.FunctionDef]]:
    """Module, name and code of every function on a page of the API."""
    for page in sorted((ROOT / "docs" / "api").glob("*.md")):
        entries = re.split(r"^::: ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        for entry in entries:
            module = entry.split("\n", 1)[0].strip()
            path = ROOT / (module.replace(".", "/") + ".py")
            if not path.is_file():
                continue  # a class or a function by name
            members = re.findall(r"members: \[([^\]]*)\]|^ +- (\w+)$", entry, re.MULTILINE)
            listed = {name for cells in members for cell in cells for name in cell.split(", ")}
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                is_public = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
                if is_public and (not listed or node.name in listed):
                    yield module, node.name, node


def test_no_documented_function_goes_around_the_door() -> None:
    found = list(documented())
    assert len(found) > 100
    around = []
    for module, name, node in found:
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        others = OTHERWISE.get(module, "").split()
        if not decorators & DOORS and name not in others and "*" not in others:
            around.append(f"{module}.{name}")
    assert around == []


def test_every_exception_is_a_function() -> None:
    names = {f"{module}.{name}" for module, name, _ in documented()}
    modules = {name.rpartition(".")[0] for name in names}
    for module, functions in OTHERWISE.items():
        assert module in modules or functions == "*", module
        for function in functions.split():
            assert function == "*" or f"{module}.{function}" in names, function
