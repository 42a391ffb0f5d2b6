"""Label-free tokens, worked by hand: values, column order and presence of each builder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fusion.tokens.builders import (
    build_tokens,
    kmer_frequencies,
    n_similar_token,
    network_rna_types,
    shared_sequence,
    similar_counts,
    type_codes,
)
from fusion.tokens.kinds import binary_columns
from fusion.tokens.table import BuildSettings, Token
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import Network, NetworkSet

RNAS = ["a", "b", "c", "d"]
DRUG = {"rna_id": ["a", "a", "b", "c"], "partner_id": ["x", "y", "x", "y"]}


def dataset_of(
    columns: Mapping[str, list[object]] | None = None,
    pairs: Mapping[str, list[object]] = DRUG,
    partners: Mapping[str, list[object]] | None = None,
) -> Dataset:
    """Four RNAs; a has the partners x and y, b has x, c has y, d has none; nothing has z."""
    index = pd.Index(RNAS, name="rna_id", dtype=object)
    rnas = pd.DataFrame({"sequence": ["ACGU", "ACGU", "GG", None], **(columns or {})}, index=index)
    names = pd.Index(["x", "y", "z"], name="partner_id", dtype=object)
    table = pd.DataFrame(partners or {}, index=names)
    labels = pd.DataFrame({"Nucleus": [1, 0, 1, 0]}, index=index)
    return Dataset("hand", rnas, {"drug": pd.DataFrame(pairs)}, {"drug": table}, labels)


def networks_of(dataset: Dataset, **similarities: np.ndarray) -> NetworkSet:
    """The association network, its matrix as it is, and a network of RNAs that joins c and d."""
    drug = dataset.association_matrix("drug")
    alike = np.zeros((4, 4))
    alike[2, 3] = 0.5
    alike[3, 2] = 0.5
    networks = {
        "sequence": Network("sequence", dataset.index, None, sparse.csr_array(alike)),
        "drug": Network("drug", dataset.index, dataset.partner_index("drug"), drug),
    }
    return NetworkSet(dataset, networks, similarities)


def built(name: str, dataset: Dataset | None = None, **similarities: np.ndarray) -> Token:
    networks = networks_of(dataset or dataset_of(), **similarities)
    return build_tokens(networks, [name])[name]


def test_svd_of_a_network() -> None:
    found = built("svd:drug")
    # rows (1, 1), (1, 0), (0, 1), 0: M^T M = [[2, 1], [1, 2]], singular values sqrt(3) and 1 along
    # (1, 1) / sqrt(2) and (1, -1) / sqrt(2): scores 1.414214, 0.707107, 0.707107 and 0, +-0.707107
    assert found.values.shape == (4, 2)
    np.testing.assert_allclose(found.values[:, 0], [1.414214, 0.707107, 0.707107, 0], atol=1e-6)
    np.testing.assert_allclose(np.abs(found.values[:, 1]), [0, 0.707107, 0.707107, 0], atol=1e-6)
    assert found.values[1, 1] == pytest.approx(-found.values[2, 1], abs=1e-6)
    assert found.present.tolist() == [True, True, True, False]


def test_the_number_of_components_is_the_one_asked_for() -> None:
    tokens = build_tokens(
        networks_of(dataset_of()), ["svd:drug", "weighted:drug"], BuildSettings(svd_dim=1)
    )
    assert [token.width for token in tokens] == [1, 1]


def test_svd_of_a_similarity_leaves_out_rnas_similar_to_none() -> None:
    similarity = np.eye(4)
    similarity[0, 1] = similarity[1, 0] = 0.5
    found = built("svd_similarity:gip", gip=similarity)
    # the rows of c and d, with themselves alone, are taken as zeros; [[1, 0.5], [0.5, 1]] has the
    # singular values 1.5 and 0.5: 1.5 / sqrt(2) = 1.060660, 0.5 / sqrt(2) = 0.353553
    assert found.present.tolist() == [True, True, False, False]
    np.testing.assert_allclose(found.values[:2, 0], [1.060660, 1.060660], atol=1e-6)
    np.testing.assert_allclose(np.abs(found.values[:2, 1]), [0.353553, 0.353553], atol=1e-6)
    np.testing.assert_allclose(found.values[2:], 0, atol=1e-6)
    np.testing.assert_allclose(found.values[:, 2], 0, atol=1e-6)


def test_rows_are_those_of_the_network_with_its_weights() -> None:
    dataset = dataset_of()
    weighted = dataset.association_matrix("drug") * 0.25
    index = dataset.partner_index("drug")
    networks = NetworkSet(dataset, {"drug": Network("drug", dataset.index, index, weighted)}, {})
    found = build_tokens(networks, ["profile:drug"])["profile:drug"]
    expected = [[0.25, 0.25, 0], [0.25, 0, 0], [0, 0.25, 0], [0, 0, 0]]
    assert found.values.tolist() == expected
    assert found.present.tolist() == [True, True, True, False]


def test_a_learned_embedding_keeps_the_rows_of_the_rnas() -> None:
    # node2vec embeds RNAs and partners; the RNAs come first
    values = np.arange(14.0).reshape(7, 2)
    tokens = build_tokens(
        networks_of(dataset_of()),
        ["node2vec:drug"],
        BuildSettings(embeddings={"node2vec:drug": values}),
    )
    found = tokens["node2vec:drug"]
    assert found.values.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert found.present.tolist() == [True, True, True, False]
    with pytest.raises(ConfigError, match="node2vec:drug"):
        build_tokens(networks_of(dataset_of()), ["node2vec:drug"])


def test_kmers_of_an_unknown_sequence_are_absent() -> None:
    found = built("kmer")
    assert found.present.tolist() == [True, True, True, False]
    # the last column is the length
    assert found.values[:, -1].tolist() == [4, 4, 2, 0]
    # ACGU: each nucleotide a quarter
    assert found.values[0, :4].tolist() == [0.25, 0.25, 0.25, 0.25]
    # GG: G alone
    assert found.values[2, :4].tolist() == [0, 0, 1, 0]


def test_kmers_up_to_the_length_asked_for() -> None:
    found = kmer_frequencies(["AAC"], 2)
    # A 2/3, C 1/3; AA and AC one half each; length 3
    expected = np.zeros(21)
    expected[[0, 1, 4, 5, 20]] = [2 / 3, 1 / 3, 0.5, 0.5, 3]
    np.testing.assert_allclose(found[0], expected)


def test_counts_of_similar_sequences_are_above_each_level_not_at_it() -> None:
    similarity = np.full((2, 2), 0.5)
    similarity[0, 1] = similarity[1, 0] = 0.25
    # at 0.25 the other is not counted; itself never is
    assert similar_counts(similarity).tolist() == [[0] * 5, [0] * 5]
    # new RNAs count every reference RNA: of 0.9 and 0.5 two are above 0.25, 0.3 and 0.4, one above
    # 0.6 and 0.8: log 3 = 1.098612, log 2 = 0.693147
    found = similar_counts(np.array([[0.9, 0.5]]), is_new=True)
    expected = [[1.098612, 1.098612, 1.098612, 0.693147, 0.693147]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_number_of_similar_sequences_is_absent_without_a_sequence() -> None:
    similarity = np.eye(4)
    similarity[0, 1] = similarity[1, 0] = 0.5
    found = built("n_similar", sequence=similarity)
    # a and b are above 0.25, 0.3 and 0.4 to each other: log 2 = 0.693147
    expected = np.zeros((4, 5))
    expected[:2, :3] = 0.693147
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert found.present.tolist() == [True, True, True, False]
    # an RNA without any similar one is present all the same
    assert n_similar_token(np.eye(2), np.array([True, False])).present.tolist() == [True, False]


def test_degree_is_the_log_of_the_count_and_its_rank() -> None:
    found = built("degree")
    # partners 2, 1, 1, 0: log 3 = 1.098612, log 2 = 0.693147; ranks of four: 4, 2.5, 2.5, 1,
    # divided by 4; the network of RNAs has no columns
    expected = [[1.098612, 1], [0.693147, 0.625], [0.693147, 0.625], [0, 0.25]]
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert found.present.tolist() == [True, True, True, True]


def test_evidence_has_numeric_columns_then_reports() -> None:
    pairs = {**DRUG, "n_records": [1, 3, 7, 1], "reports": ["5", "6", "5", ""]}
    found = built("evidence:drug", dataset_of(pairs=pairs))
    # two numeric columns (log of the sum, mean), then 17 of reports
    assert found.values.shape == (4, 19)
    # log(1 + 4) = 1.609438, mean 2; log(1 + 7) = 2.079442, mean 7; log(1 + 1) = 0.693147, mean 1
    expected = [[1.609438, 2], [2.079442, 7], [0.693147, 1], [0, 0]]
    np.testing.assert_allclose(found.values[:, :2], expected, atol=1e-6)
    # smallest rank of two reports: a 0, b 0; c and d were never reported
    np.testing.assert_allclose(found.values[:, 2], [0, 0, 1, 1])
    # c has an association, though no report
    assert found.present.tolist() == [True, True, True, False]


def test_reports_are_present_where_another_rna_shares_one() -> None:
    pairs = {**DRUG, "reports": ["5", "6", "5", "7"]}
    found = built("co_reported:drug", dataset_of(pairs=pairs))
    # report 5 alone names two RNAs, a and b: one column is too small for a component
    assert found.values.tolist() == [[0], [0], [0], [0]]
    assert found.present.tolist() == [True, True, False, False]
    pairs = {**DRUG, "reports": ["5;8", "6", "5;8", "6"]}
    found = built("co_reported:drug", dataset_of(pairs=pairs))
    # columns 5, 6, 8 of two RNAs each, log(5 / 3) = 0.510826 = w: rows w (1, 1, 1), w (1, 0, 1), w
    # (0, 1, 0); M M^T = w^2 [[3, 2, 1], [2, 2, 0], [1, 0, 1]], of trace 6 w^2 = 1.565661;
    # eigenvalues w^2 (3 +- 1.732051) and 0, so the squares of all scores sum to 1.565661 and those
    # of the first column to 1.234797
    assert float((found.values**2).sum()) == pytest.approx(1.565661, abs=1e-5)
    assert float((found.values[:, 0] ** 2).sum()) == pytest.approx(1.234797, abs=1e-5)
    assert found.present.tolist() == [True, True, True, False]


def test_weighted_associations_as_components() -> None:
    pairs = {"rna_id": ["a", "b"], "partner_id": ["x", "y"], "n_records": [7, 1]}
    found = built("weighted:drug", dataset_of(pairs=pairs))
    # one partner each, so the components are the columns: log 8 = 2.079442 and log 2 = 0.693147
    expected = [[2.079442, 0], [0, 0.693147], [0, 0], [0, 0]]
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert found.present.tolist() == [True, True, False, False]


def test_types_are_one_hot_in_a_fixed_order() -> None:
    found = type_codes(["miRNA", "precursor", "lncRNA", "mRNA", "snoRNA", "circRNA", "other"])
    assert found.tolist() == np.eye(7).tolist()
    assert found.dtype == np.float32
    with pytest.raises(ConfigError, match="tRNA"):
        type_codes(["tRNA"])


def test_rnas_without_a_type_are_precursors() -> None:
    assert network_rna_types(dataset_of()) == ["precursor"] * 4
    assert built("type").values.tolist() == [[0, 1, 0, 0, 0, 0, 0]] * 4
    dataset = dataset_of({"type": ["mirna", "LNCRNA", "mRNA", "circRNA"]})
    assert network_rna_types(dataset) == ["miRNA", "lncRNA", "mRNA", "circRNA"]
    found = built("type", dataset)
    assert found.values.argmax(axis=1).tolist() == [0, 2, 3, 5]
    assert found.present.tolist() == [True, True, True, True]


def test_partners_are_averaged_over_their_binary_columns() -> None:
    partners = {
        "Nucleus": [1, 0, 1],
        "length": [1, 20, 30],
        "Cytosol": [0, 0, 1],
        "name": ["p", "q", "r"],
    }
    dataset = dataset_of(partners=partners)
    assert binary_columns(dataset.partners["drug"]) == ["Nucleus", "Cytosol"]
    found = built("partners:drug", dataset)
    # a: x and y, (1 + 0) / 2; b: x; c: y; z, of which no RNA is a partner, is in none
    assert found.values.tolist() == [[0.5, 0], [1, 0], [0, 0], [0, 0]]
    # c has a partner, of no compartment; d has none
    assert found.present.tolist() == [True, True, True, False]


def test_partners_without_binary_columns_are_absent() -> None:
    found = built("partners:drug", dataset_of(partners={"length": [10, 20, 30]}))
    assert found.values.tolist() == [[0], [0], [0], [0]]
    assert found.present.tolist() == [False, False, False, False]


def test_attributes_keep_their_sign_on_a_log_scale() -> None:
    dataset = dataset_of({"members": [3, 0, -7, 1], "name": ["p", "q", "r", "s"]})
    found = built("covariates", dataset)
    # log 4 = 1.386294, 0, -log 8 = -2.079442, log 2 = 0.693147; nothing is unknown: no column says
    # so
    np.testing.assert_allclose(found.values, [[1.386294], [0], [-2.079442], [0.693147]], atol=1e-6)
    assert found.present.tolist() == [True, True, True, True]


def test_unknown_attributes_are_zero_with_a_column_that_says_so() -> None:
    dataset = dataset_of(
        {"members": [3, None, None, 0], "reads": [1, 1, None, 1], "exons": [1, 1, np.nan, 1]}
    )
    found = built("covariates", dataset)
    log_2 = 0.693147
    log_4 = 1.386294
    expected = [
        [log_4, log_2, log_2, 0, 0, 0],
        [0, log_2, log_2, 1, 0, 0],
        [0, 0, 0, 1, 1, 1],
        [0, log_2, log_2, 0, 0, 0],
    ]
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    # c has no attribute at all
    assert found.present.tolist() == [True, True, False, True]


def test_no_numeric_attribute_is_an_absent_token() -> None:
    found = built("covariates")
    assert found.values.tolist() == [[0], [0], [0], [0]]
    assert found.present.tolist() == [False, False, False, False]


def test_rnas_share_a_sequence_when_any_of_theirs_is_equal() -> None:
    found = shared_sequence(["A;B", "B", "A;A", None, "", "AB", None])
    expected = np.zeros((7, 7))
    expected[0, [1, 2]] = 1
    expected[[1, 2], 0] = 1
    assert found.toarray().tolist() == expected.tolist()
    assert shared_sequence([None, None]).nnz == 0
    # two sequences in common count once
    assert shared_sequence(["A;B", "B;A"]).toarray().tolist() == [[0, 1], [1, 0]]


def relatives_dataset() -> Dataset:
    """RNAs a, b and e of one hairpin with 3, 1 and 2 partners; c has none and d two."""
    index = pd.Index(["a", "b", "c", "d", "e"], name="rna_id", dtype=object)
    rnas = pd.DataFrame(
        {
            "sequence": ["ACGU", "ACGU", "GGGG", None, "ACGU"],
            "matures": ["AC;CG", "UU", "CG", None, None],
        },
        index=index,
    )
    pairs = pd.DataFrame(
        list(zip("aaabddee", "xyzxxyxy", strict=True)), columns=["rna_id", "partner_id"]
    )
    partners = pd.DataFrame(index=pd.Index(["x", "y", "z"], name="partner_id", dtype=object))
    labels = pd.DataFrame({"Nucleus": [1, 0, 1, 0, 0]}, index=index)
    return Dataset("hand", rnas, {"drug": pairs}, {"drug": partners}, labels)


def test_relatives_compare_partners_of_one_sequence() -> None:
    dataset = relatives_dataset()
    networks = NetworkSet(dataset, {}, {})
    found = build_tokens(networks, ["same_sequence"])["same_sequence"]
    # of the hairpin: log(1 + relatives), log(1 + most partners of a relative), log((own + 1) /
    # (most + 1)): a: two relatives, at most 2 partners: log 3, log 3, log(4 / 3) = 0.287682 b: two,
    # at most 3: log 3 = 1.098612, log 4 = 1.386294, log(2 / 4) = -0.693147 e: two, at most 3: log(3
    # / 4) = -0.287682 c and d: no relative, though d has two partners
    expected = [
        [1.098612, 1.098612, 0.287682],
        [1.098612, 1.386294, -0.693147],
        [0, 0, 0],
        [0, 0, 0],
        [1.098612, 1.386294, -0.287682],
    ]
    np.testing.assert_allclose(found.values[:, :3], expected, atol=1e-6)
    # of a mature sequence, a and c share CG: a: log 2, log 1, log(4 / 1) = 1.386294;
    # c: log 2, log 4, log(1 / 4) = -1.386294
    expected = np.zeros((5, 3))
    expected[0] = [0.693147, 0, 1.386294]
    expected[2] = [0.693147, 1.386294, -1.386294]
    np.testing.assert_allclose(found.values[:, 3:], expected, atol=1e-6)
    assert found.present.tolist() == [True] * 5


@pytest.mark.parametrize(
    "name", ["svd:no", "profile:no", "svd_similarity:no", "evidence:no", "partners:no", "no"]
)
def test_a_token_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no"):
        built(name)
