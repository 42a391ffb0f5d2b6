"""Token builders of another package, by entry points, in settings, ablate and explain."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from fusion.config import experiment_config
from fusion.data.prepare import prepare, resolve_tokens
from fusion.experiments.ablation import variants_of
from fusion.experiments.cross_validate import run_fold
from fusion.explain.occlusion import tokens_by_modality
from fusion.models.ensemble import fit_fusion_model
from fusion.models.predict import modalities
from fusion.tokens.builders import build_tokens
from fusion.tokens.names import TokenName
from fusion.tokens.table import TOKENS, BuildSettings, Target, Token, TokenTable
from mirnagraph import registry
from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.splits import make_folds
from mirnagraph.networks.network import NetworkSet

SETTINGS = """
newcomers = ""
[tokens]
trees = ["kmer", "{tokens}"]
attention = ["trees", "{tokens}"]
svd_dim = 4
[training]
epochs = 1
n_members = 1
n_students = 0
[trees]
n_trees = 5
rounds = 0
[mix]
calibration_part = 0.0
"""


def gc_token(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    """GC content; a plain function, as in docs/extending.md."""
    sequences = networks.dataset.rnas["sequence"].fillna("")
    share = sequences.str.count("[GC]") / sequences.str.len().clip(lower=1)
    values = share.to_numpy(dtype=np.float32)[:, None]
    return Token(str(name), values, (sequences != "").to_numpy())


def partner_share(networks: NetworkSet, name: TokenName, settings: BuildSettings) -> Token:
    """Share of all partners of a kind; states what it accepts, its modality and what it reads."""
    counts = np.diff(networks.dataset.association_matrix(name.target).indptr)
    values = np.full((len(counts), settings.svd_dim), (counts / counts.max())[:, None])
    return Token(str(name), values.astype(np.float32), counts > 0)


def _reads_drugs(networks: NetworkSet, _name: TokenName) -> Sequence[str]:
    return ["drug"] if "drug" in networks.dataset.associations else []


partner_share.accepts = Target.ASSOCIATION  # type: ignore[attr-defined]
partner_share.modality = "partners in all"  # type: ignore[attr-defined]
partner_share.reads = _reads_drugs  # type: ignore[attr-defined]


def misnamed(networks: NetworkSet, _name: TokenName, _settings: BuildSettings) -> Token:
    n_rnas = len(networks.dataset.index)
    return Token("other", np.zeros((n_rnas, 1), np.float32), np.ones(n_rnas, dtype=bool))


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = []
    for name, value in (("gc", "gc_token"), ("share", "partner_share"), ("misnamed", "misnamed")):
        points.append(EntryPoint(name, f"{__name__}:{value}", "mirnagraph.tokens"))

    def entry_points(*, group: str) -> list[EntryPoint]:
        return points if group == "mirnagraph.tokens" else []

    monkeypatch.setattr(registry, "entry_points", entry_points)


def test_an_outside_token_is_trained_on_and_explained(tmp_path: Path, networks: NetworkSet) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS.format(tokens='gc", "share:*'))
    config = resolve_tokens(networks, experiment_config("trees", file))
    shares = ("share:mRNA", "share:drug", "share:disease")
    assert config.tokens.trees == ("kmer", "gc", *shares)
    data = prepare(networks, config)
    assert data.tokens.sources == {"kmer": 85, "gc": 1, **dict.fromkeys(shares, 4)}
    result = run_fold(data, make_folds(networks.dataset, n_folds=3), config, 0)
    assert np.isfinite(result.probabilities).all()
    model = fit_fusion_model(data, np.arange(len(data.index)), config, 0)
    assert tokens_by_modality(model, model.tokens.sources) == {
        "sequence": ("kmer",),
        "gc": ("gc",),
        "partners in all": shares,
    }
    assert "gc" in modalities(TokenTable(data.index, (data.tokens["gc"],)), 0)


def test_ablate_takes_out_what_an_outside_token_reads(tmp_path: Path, networks: NetworkSet) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS.format(tokens='gc", "share:*'))
    found = {
        variant.name: variant for variant in variants_of(networks, experiment_config("trees", file))
    }
    assert found["without-mRNA"].left_out == ("share:mRNA",)
    assert found["without-mRNA"].rebuilt == ()
    drug = found["without-drug"]
    assert drug.left_out == ("share:drug",)
    assert set(drug.rebuilt) == {"share:mRNA", "share:disease"}
    assert found["without-sequence"].reason == "no token reads it"


def test_wrong_targets_and_names_of_outside_tokens_are_refused(networks: NetworkSet) -> None:
    with pytest.raises(ConfigError, match="'share:no': no associations of kind 'no'"):
        build_tokens(networks, ["share:no"])
    with pytest.raises(ConfigError, match="'misnamed': found a token named 'other'"):
        build_tokens(networks, ["misnamed"])
    with pytest.raises(ConfigError, match="made in each fold"):
        build_tokens(networks, ["tower"])
    assert {"gc", "share"} <= set(TOKENS.names())
