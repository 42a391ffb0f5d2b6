"""The audit end to end: on the demo, on planted artefacts, and on datasets that lack columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.baselines.models import BaselineSettings
from fusion.experiments.audit import Audit, audit
from fusion.experiments.audit_report import conclusions, draw, page, source_rows
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.networks.build import build_networks
from mirnagraph.networks.network import NetworkSet
from mirnagraph.trees import TreesConfig

pytestmark = pytest.mark.slow
SMALL = BaselineSettings(
    trees=TreesConfig(n_trees=10, rounds=2, boosting_width=20), thresholds=False
)


@pytest.fixture(scope="module", autouse=True)
def small_forests():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "fusion.baselines.models.SMALL_FOREST", TreesConfig(n_trees=15, min_samples_leaf=3)
        )
        yield


@pytest.fixture(scope="module")
def found(networks: NetworkSet) -> Audit:
    return audit(networks, n_folds=3, settings=SMALL)


def test_more_folds_than_rnas_are_refused(networks: NetworkSet) -> None:
    with pytest.raises(ConfigError, match="61 folds cannot be made from 60 RNAs, expected 2 to 60"):
        audit(networks, n_folds=61, settings=SMALL)


def test_every_value_is_there_and_in_range(found: Audit, small_dataset) -> None:
    values = found.values
    assert set(values["section"]) == {
        "sources",
        "few counts",
        "permutation",
        "duplicates",
        "compartments",
        "matching",
        "counts",
        "unannotated",
    }
    aucs = values[values["measure"].isin(["AUC", "AUPR"])]["value"].dropna()
    assert ((aucs >= 0) & (aucs <= 1)).all()
    assert set(values.loc[values["section"] == "sources", "split"]) == {"random", "family"}
    assert set(values.loc[values["section"] == "sources", "rnas"]) == {"all", "located"}
    assert found.value("unannotated", "RNAs", "n") == (~small_dataset.located).sum()
    text = page(found)
    assert "**Synthetic data**" in text
    assert "## Conclusions" in text
    assert all(f"- {line}" in text for line in conclusions(found))
    assert len(draw(found).axes) == 1
    assert len(source_rows(found)[1]) == 7


def test_the_same_seed_gives_the_same_values(found: Audit, small_dataset) -> None:
    pd.testing.assert_frame_equal(
        audit(build_networks(small_dataset), n_folds=3, settings=SMALL).values, found.values
    )


def test_planted_artefacts_are_found(small_dataset) -> None:
    """Labels follow the number in the name and the kind of match; an id and a compartment twice."""
    n = len(small_dataset.index)
    follows = (np.arange(n) < n // 2).astype(np.int8)
    labels = pd.DataFrame(
        {"One": follows, "Two": follows, "Three": np.roll(follows, 3)},
        index=small_dataset.labels.index,
    )
    sequences = small_dataset.rnas["sequence"].to_numpy(dtype=object).copy()
    sequences[: n // 2 : 2] = sequences[1 : n // 2 : 2]
    rnas = small_dataset.rnas.assign(
        match_kind=np.where(follows, "exact", "retired"), sequence=sequences
    ).drop(columns="family")
    found = audit(
        build_networks(replace(small_dataset, labels=labels, rnas=rnas)), n_folds=3, settings=SMALL
    )
    assert found.auc("names") > 0.9
    assert found.auc("matching") > 0.9
    assert found.value("duplicates", "sequence", "pairs", split="random", rnas="all") >= 10
    assert np.isnan(found.auc("trees", "family"))
    words = "\n".join(conclusions(found))
    assert "an artefact" in words
    assert "One and Two (jaccard 1.000, phi 1.000)" in words
    assert "no column 'family'" in words
    assert (
        abs(
            found.value(
                "permutation",
                "popularity",
                "AUC",
                split="permuted",
                rnas="all",
                compartment="average",
            )
            - 0.5
        )
        < 0.2
    )


def test_datasets_that_lack_something_are_audited_too(small_dataset) -> None:
    everywhere = small_dataset.labels.copy()
    everywhere.iloc[:, 0] = 1
    bare = replace(
        small_dataset,
        labels=everywhere,
        associations={},
        partners={},
        rnas=small_dataset.rnas.assign(family="one"),
    )
    found = audit(build_networks(bare), n_folds=3, settings=SMALL)
    assert "All RNAs are of one family" in "\n".join(found.notes)
    assert "Every RNA has a compartment" in "\n".join(found.notes)
    assert page(found)
    with pytest.raises(InputError, match="no compartment with both"):
        audit(build_networks(replace(bare, labels=everywhere.iloc[:, :1])), settings=SMALL)


def test_the_command_works_on_the_demo_without_arguments(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = audit
    monkeypatch.setattr(
        "fusion.experiments.audit.audit",
        lambda networks, **given: honest(networks, **{**given, "settings": SMALL, "workers": 1}),
    )
    code, out, err = run("audit", "--fold", "3")
    assert code == 0, err
    assert (
        out.splitlines()[0] == "source\trandom, all\tfamily, all\trandom, located\tfamily, located"
    )
    assert "permuted" in err
    assert sorted(path.name for path in Path("audit").iterdir()) == [
        "audit.md",
        "audit.png",
        "audit.tsv",
        "mirnagraph.jsonl",
    ]
    code, _, err = run("audit")
    assert code == 3
    assert "--overwrite" in err
    assert run("audit", "--networks", "nowhere", "--out", "other")[0] == 3
    assert not Path("other").exists()
