"""Disease semantic similarity: a tree by hand, several tree numbers, merged names, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.similarity.disease import descriptor_graph, disease_semantic_similarity

# R has the children A and B; C is below A at one place and below B at another; E is a far child of
# B; X stands alone
TREE = pd.DataFrame(
    [
        ("C1", "R"),
        ("C1.1", "A"),
        ("C1.2", "B"),
        ("C1.1.5", "C"),
        ("C1.2.5", "C"),
        ("C1.2.6.1", "E"),
        ("F9", "X"),
    ],
    columns=["tree_number", "descriptor_id"],
)


def plain_similarity(
    tree: pd.DataFrame, groups: list[list[str]], decay: float, method: str
) -> np.ndarray:
    """Wang's recursion with dictionaries, edge by edge until no contribution grows."""
    of = dict(zip(tree["tree_number"], tree["descriptor_id"], strict=True))
    parents: dict[str, set[str]] = {name: set() for name in of.values()}
    for number, name in of.items():
        parts = number.split(".")
        above = [
            of[".".join(parts[:n])]
            for n in range(len(parts) - 1, 0, -1)
            if ".".join(parts[:n]) in of
        ]
        parents[name] |= set(above[:1])
    shares = []
    for group in groups:
        steps = dict.fromkeys(group, 0)
        waiting = list(group)
        while waiting:
            child = waiting.pop()
            for parent in parents[child]:
                if steps.get(parent, 10**9) > steps[child] + 1:
                    steps[parent] = steps[child] + 1
                    waiting.append(parent)
        shares.append(
            {
                t: 1.0 if n == 0 else decay**n if method == "wang" else decay / n
                for t, n in steps.items()
            }
        )
    result = np.eye(len(groups))
    for i, a in enumerate(shares):
        for j, b in enumerate(shares):
            if i != j and a and b:
                result[i, j] = sum(a[t] + b[t] for t in a.keys() & b.keys()) / (
                    sum(a.values()) + sum(b.values())
                )
    return result


def test_wang_worked_by_hand() -> None:
    result = disease_semantic_similarity(TREE, pd.Series(["A", "C", "E", "R", "X"]))
    # A: A 1, R .5 = 1.5.  C: C 1, A .5, B .5, R .25 = 2.25.  E (C1.2.6 is not listed, so B is
    # next): E 1, B .5, R .25 = 1.75
    assert result[0, 1] == pytest.approx((1 + 0.5 + 0.5 + 0.25) / (1.5 + 2.25))
    assert result[1, 2] == pytest.approx((0.5 + 0.5 + 0.25 + 0.25) / (2.25 + 1.75))
    assert result[0, 3] == pytest.approx((0.5 + 1) / (1.5 + 1))
    assert result[0, 4] == 0
    assert np.diag(result).tolist() == [1] * 5


def test_gtmaloc_worked_by_hand() -> None:
    result = disease_semantic_similarity(
        TREE, pd.Series(["C", "E", "A"]), method="gtmaloc", decay=0.6
    )
    # C: C 1, A .6, B .6, R .3 = 2.5.  E: E 1, B .6, R .3 = 1.9.  A: A 1, R .6 = 1.6
    assert result[0, 1] == pytest.approx((0.6 + 0.6 + 0.3 + 0.3) / (2.5 + 1.9))
    assert result[0, 2] == pytest.approx((0.6 + 1 + 0.3 + 0.6) / (2.5 + 1.6))


def test_the_shorter_of_two_ways_counts() -> None:
    tree = pd.DataFrame(
        {"tree_number": ["C1", "C1.1", "C1.1.1", "C1.9"], "descriptor_id": ["R", "A", "D", "D"]}
    )
    result = disease_semantic_similarity(tree, pd.Series(["D", "R"]))
    # D: D 1, A .5, R .5 by C1.9 (not .25 by C1.1.1) = 2; R: 1
    assert result[0, 1] == pytest.approx((0.5 + 1) / (2 + 1))


def test_merged_names_have_the_union_of_their_dags() -> None:
    result = disease_semantic_similarity(TREE, pd.Series(["A;B", "A", " B ; A;", "C"]))
    # A;B: A 1, B 1, R .5 = 2.5
    assert result[0, 1] == pytest.approx((1 + 0.5 + 1 + 0.5) / (2.5 + 1.5))
    assert result[0, 2] == 1
    assert result[0, 3] == pytest.approx((2.5 + 0.5 + 0.5 + 0.25) / (2.5 + 2.25))


def test_without_descriptor_alike_only_to_itself() -> None:
    result = disease_semantic_similarity(
        TREE, pd.Series(["A", "", None, float("nan"), pd.NA], dtype=object)
    )
    assert result.tolist() == np.eye(5).tolist()


def test_empty_and_single() -> None:
    empty = pd.DataFrame(columns=["tree_number", "descriptor_id", "term"])
    assert disease_semantic_similarity(TREE, pd.Series([], dtype=object)).shape == (0, 0)
    assert disease_semantic_similarity(TREE, pd.Series(["C"])).tolist() == [[1.0]]
    assert (
        disease_semantic_similarity(empty, pd.Series(["", None], dtype=object)).tolist()
        == np.eye(2).tolist()
    )


def test_two_terms_above_each_other_do_not_hang() -> None:
    tree = pd.DataFrame(
        {"tree_number": ["C1", "C1.1", "C2", "C2.1"], "descriptor_id": ["A", "B", "B", "A"]}
    )
    assert disease_semantic_similarity(tree, pd.Series(["A", "B"])).tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("method", ["wang", "gtmaloc"])
def test_equals_the_plain_recursion_on_a_random_tree(method: str) -> None:
    rng = np.random.default_rng(5)
    numbers = ["C1", "C2"]
    for _ in range(120):
        numbers.append(f"{numbers[rng.integers(len(numbers))]}.{len(numbers)}")
    tree = pd.DataFrame(
        {"tree_number": numbers, "descriptor_id": [f"D{rng.integers(70)}" for _ in numbers]}
    )
    names = sorted(set(tree["descriptor_id"]))
    groups = [
        sorted(rng.choice(names, size=rng.integers(0, 4), replace=False).tolist())
        for _ in range(40)
    ]
    result = disease_semantic_similarity(
        tree, pd.Series([";".join(g) for g in groups]), decay=0.7, method=method
    )
    np.testing.assert_allclose(result, plain_similarity(tree, groups, 0.7, method), atol=1e-12)
    assert (result == result.T).all()


def test_descriptor_graph_joins_child_and_parent() -> None:
    terms, parents = descriptor_graph(TREE)
    pairs = {(terms[i], terms[j]) for i, j in np.argwhere(parents.toarray())}
    assert pairs == {("A", "R"), ("B", "R"), ("C", "A"), ("C", "B"), ("E", "B")}


def test_bad_input_is_named() -> None:
    with pytest.raises(
        InputError,
        match=r"disease 'Flu' names an unknown descriptor; found D99, expected a descriptor_id "
        r"of the ontology",
    ):
        disease_semantic_similarity(TREE, pd.Series(["A", "B;D99"], index=["Cold", "Flu"]))
    with pytest.raises(InputError, match=r"ontology, column 'tree_number': missing column"):
        disease_semantic_similarity(TREE[["descriptor_id"]], pd.Series(["A"]))
    with pytest.raises(ConfigError, match="'decay' is 0"):
        disease_semantic_similarity(TREE, pd.Series(["A"]), decay=0)
    with pytest.raises(ConfigError, match="'method' is 'lin'"):
        disease_semantic_similarity(TREE, pd.Series(["A"]), method="lin")
