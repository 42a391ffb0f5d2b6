"""Expansion of ``*`` and ``?`` in names of tokens, on a dataset of three kinds of association."""

from __future__ import annotations

import pandas as pd
import pytest
from scipy import sparse

from fusion.tokens.kinds import expand_tokens
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import Network, NetworkSet


def networks() -> NetworkSet:
    """Networks of drug and mRNA; lncRNA is supporting and has none.

    Reports are named for drug and lncRNA; partners of mRNA have a sequence, those of lncRNA a
    0/1 column.
    """
    index = pd.Index(["a", "b"], name="rna_id", dtype=object)
    names = pd.Index(["x"], name="partner_id", dtype=object)
    pair = pd.DataFrame({"rna_id": ["a"], "partner_id": ["x"]})
    kinds = {
        "drug": pair.assign(reports="1"),
        "lncRNA": pair.assign(pmids="2"),
        "mRNA": pair,
    }
    partners = {
        "drug": pd.DataFrame({"weight": [3.5]}, index=names),
        "lncRNA": pd.DataFrame({"Nucleus": [1]}, index=names),
        "mRNA": pd.DataFrame({"sequence": ["ACGU"]}, index=names),
    }
    rnas = pd.DataFrame({"sequence": ["ACGU", "GG"]}, index=index)
    labels = pd.DataFrame({"Nucleus": [0, 1]}, index=index)
    dataset = Dataset("hand", rnas, kinds, partners, labels, supporting=("lncRNA",))
    found = {"sequence": Network("sequence", dataset.index, None, sparse.csr_array((2, 2)))}
    for kind in ("drug", "mRNA"):
        matrix = dataset.association_matrix(kind)
        found[kind] = Network(kind, dataset.index, dataset.partner_index(kind), matrix)
    return NetworkSet(dataset, found, {})


@pytest.mark.parametrize(
    "start",
    [
        "svd:",
        "profile:",
        "node2vec:",
        "graph_transformer:",
        "neighbour_profile:",
        "neighbours:gip_",
    ],
)
def test_a_star_of_networks_stands_for_the_association_networks(start: str) -> None:
    assert expand_tokens(networks(), [start + "*"]) == (start + "drug", start + "mRNA")


@pytest.mark.parametrize(
    "start", ["evidence:", "weighted:", "neighbours:cosine_", "neighbours:weighted_"]
)
def test_a_star_of_associations_stands_for_supporting_ones_too(start: str) -> None:
    assert expand_tokens(networks(), [start + "*"]) == (
        start + "drug",
        start + "lncRNA",
        start + "mRNA",
    )


@pytest.mark.parametrize("start", ["co_reported:", "neighbours:co_reported_"])
def test_a_star_of_reports_stands_for_kinds_that_name_them(start: str) -> None:
    assert expand_tokens(networks(), [start + "*"]) == (start + "drug", start + "lncRNA")


def test_a_star_of_partners_stands_for_those_with_what_is_read() -> None:
    assert expand_tokens(networks(), ["partners:*"]) == ("partners:lncRNA",)
    assert expand_tokens(networks(), ["partner_sequences:*"]) == ("partner_sequences:mRNA",)


def test_joined_stars_are_of_one_kind_each_with_the_parts_it_has() -> None:
    found = expand_tokens(networks(), ["svd:*+co_reported:*+partners:*"])
    assert found == ("svd:drug+co_reported:drug", "co_reported:lncRNA+partners:lncRNA", "svd:mRNA")


def test_a_question_mark_leaves_out_what_the_dataset_does_not_have() -> None:
    asked = [
        "svd:lncRNA?",
        "svd:drug?",
        "svd:sequence?",
        "co_reported:mRNA?",
        "neighbours:co_reported_lncRNA?",
        "neighbours:gip_lncRNA?",
    ]
    assert expand_tokens(networks(), asked) == ("svd:drug", "neighbours:co_reported_lncRNA")


def test_order_is_kept_and_nothing_is_duplicated() -> None:
    assert expand_tokens(networks(), ["kmer", "svd:mRNA", "svd:*", "kmer"]) == (
        "kmer",
        "svd:mRNA",
        "svd:drug",
    )


def test_a_joined_token_with_one_star_is_refused() -> None:
    with pytest.raises(ConfigError, match="kmer"):
        expand_tokens(networks(), ["svd:*+kmer"])
