"""Token names: grammar, older names, targets and modalities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.config import TokenSettings
from fusion.tokens.builders import build_tokens
from fusion.tokens.kinds import (
    accepted_targets,
    can_be_made,
    expand_tokens,
    is_changed,
    is_from_sequence,
    modality_of,
)
from fusion.tokens.names import (
    ALIASES,
    MEASURES,
    TokenName,
    current_name,
    current_settings,
    parse_joined,
    tokens_of_kind,
)
from fusion.tokens.table import TOKENS, token_kind
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import NetworkSet

NAMES = st.text("abcdefgh_", min_size=1).filter(
    lambda text: not text.startswith(tuple(f"{name}_" for name in (*MEASURES, *ALIASES)))
)


def test_a_name_is_read_part_by_part() -> None:
    assert TokenName.parse("kmer") == TokenName("kmer")
    assert TokenName.parse("svd:drug?") == TokenName("svd", target="drug", optional=True)
    assert TokenName.parse("svd:cosine_drug") == TokenName("svd", target="cosine_drug")
    cosine = TokenName.parse("neighbours:cosine_extra cell")
    assert cosine == TokenName("neighbours", "cosine", "extra cell")
    assert cosine.similarity == "cosine_extra cell"
    assert TokenName.parse("neighbours:gip") == TokenName("neighbours", "", "gip")
    assert TokenName.parse("neighbours:co_reported_*").measure == "co_reported"


@given(st.sampled_from([k for k in TOKENS.names() if k not in ALIASES]), NAMES, st.booleans())
def test_a_name_is_written_as_it_was_read(kind: str, target: str, optional: bool) -> None:
    text = f"{kind}:{target}" + "?" * optional
    assert str(TokenName.parse(text)) == text
    assert current_name(text) == text


@pytest.mark.parametrize(
    "text", ["", ":drug", "svd:", "svd:dr*", "svd:a:b", "s*d:x", "svd:a?b", "neighbours:gip_"]
)
def test_names_outside_the_grammar_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected 'kind'"):
        TokenName.parse(text)


def test_an_unknown_kind_is_refused_with_the_nearest(networks: NetworkSet) -> None:
    with pytest.raises(ConfigError, match="'neighbour'; did you mean 'neighbours'"):
        expand_tokens(networks, ["neighbour:sequence"])
    with pytest.raises(ConfigError, match="'kmers'; did you mean 'kmer'"):
        build_tokens(networks, ["kmers"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kmer:*", "found token 'kmer:\\*', expected 'kmer'"),
        ("trees:drug", "expected 'trees', which has no target"),
        ("svd", "expected 'svd:' followed by a network"),
        ("neighbours", "expected 'neighbours:' followed by a similarity"),
    ],
)
def test_a_target_is_given_where_the_kind_has_one(
    networks: NetworkSet, text: str, message: str
) -> None:
    for make in (expand_tokens, build_tokens):
        with pytest.raises(ConfigError, match=message):
            make(networks, [text])


@pytest.mark.parametrize(
    ("older", "name"),
    [
        ("alike", "n_similar"),
        ("relatives", "same_sequence"),
        ("attributes", "covariates"),
        ("reports:drug?", "co_reported:drug?"),
        ("rows:*", "profile:*"),
        ("transfer:drug", "neighbour_profile:drug"),
        ("colocalized:mRNA", "partner_labels:mRNA"),
        ("neighbours:reports_drug", "neighbours:co_reported_drug"),
        ("svd:*+reports:*", "svd:*+co_reported:*"),
    ],
)
def test_older_names_give_those_of_today(older: str, name: str) -> None:
    assert current_name(older) == name
    assert current_name(name) == name
    settings = current_settings(TokenSettings(attention=(older,), trees=(older, "kmer")))
    assert settings.attention == (name,)
    assert settings.trees == (name, "kmer")


def test_an_older_settings_file_gives_the_tokens_of_today(networks: NetworkSet) -> None:
    older = ["alike", "rows:drug", "svd:*+reports:*", "neighbours:reports_*", "attributes"]
    today = ["n_similar", "profile:drug", "svd:*+co_reported:*", "neighbours:co_reported_*"]
    assert expand_tokens(networks, older) == expand_tokens(networks, [*today, "covariates"])
    before = build_tokens(networks, ["relatives", "rows:drug"])
    after = build_tokens(networks, ["same_sequence", "profile:drug"])
    assert before.sources == after.sources
    np.testing.assert_array_equal(before.flat(), after.flat())


def test_expansion_of_one_name() -> None:
    assert TokenName("svd", target="*").expand(["a", "b"]) == [
        TokenName("svd", target="a"),
        TokenName("svd", target="b"),
    ]
    assert TokenName("svd", target="a", optional=True).expand(["b"]) == []
    assert TokenName("svd", target="b", optional=True).expand(["b"]) == [
        TokenName("svd", target="b")
    ]
    assert all(part.optional for part in parse_joined("svd:a+svd:b?"))


def test_tokens_of_a_kind_are_found_in_joined_names() -> None:
    names = ["kmer+svd:a", "svd:b", "svd:a"]
    assert [str(name) for name in tokens_of_kind(names, "svd")] == ["svd:a", "svd:b"]


def test_a_similarity_is_optional_too(networks: NetworkSet) -> None:
    names = ["svd_similarity:sequence?", "neighbours:functional?", "neighbours:no?", "kmer?"]
    assert expand_tokens(networks, names) == (
        "svd_similarity:sequence",
        "neighbours:functional",
        "kmer",
    )
    assert accepted_targets(networks, TokenName("kmer")) == [""]


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("kmer", "sequence"),
        ("n_similar", "sequence"),
        ("tower", "sequence"),
        ("descriptors", "sequence"),
        ("neighbours:sequence", "sequence"),
        ("node2vec:sequence", "sequence"),
        ("svd_similarity:functional", "disease"),
        ("neighbours:gip", "disease"),
        ("neighbours:gip_drug", "drug"),
        ("neighbours:co_reported_drug", "drug"),
        ("evidence:extra cell", "extra cell"),
        ("graph_transformer:all", "networks"),
        ("graph_transformer:mRNA", "mRNA"),
        ("degree", ""),
        ("trees", ""),
        ("covariates", ""),
        ("same_sequence", ""),
        ("type", ""),
        ("not_installed", "not_installed"),
    ],
)
def test_modality_of_every_kind(name: str, modality: str) -> None:
    assert modality_of(name) == modality


def test_every_built_in_kind_can_be_loaded() -> None:
    for name in TOKENS.names():
        assert token_kind(name).is_embedding == (name in ("node2vec", "graph_transformer"))


def test_tokens_of_a_new_rna() -> None:
    names = ["kmer", "n_similar", "trees", "neighbours:sequence", "neighbour_profile:drug"]
    assert all(is_from_sequence(name) for name in names)
    others = ["neighbours:functional", "neighbours:gip_sequence", "svd:drug", "tower", "unknown"]
    assert not any(is_from_sequence(name) for name in others)


def test_a_joined_token_needs_all_its_parts(networks: NetworkSet) -> None:
    assert can_be_made(networks, "svd:drug+evidence:drug")
    assert not can_be_made(networks, "svd:drug+evidence:no")
    assert not is_changed(networks, networks, "degree+same_sequence")
