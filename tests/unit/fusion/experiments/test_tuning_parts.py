"""Parts of a search by hand: score, inner folds, store of finished trials, networks."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fusion.config import ExperimentConfig, TokenSettings
from fusion.data.prepare import prepare
from fusion.experiments.search_space import space_from, suggest
from fusion.experiments.study import (
    PRUNED,
    REFUSED,
    Trial,
    best_of,
    keep_trial,
    next_draw,
    open_study,
    read_trials,
)
from fusion.experiments.tuning import TuneSettings, fold_table, inner_folds, mean_score, rebuild
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.networks.build import NetworkConfig, build_networks

CONFIG = ExperimentConfig(tokens=TokenSettings(attention=("degree",)))
SPACE = space_from(
    {
        "attention.n_heads": [2, 4, 8],
        "training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    }
)


def test_the_score_is_the_mean_over_compartments_of_their_means_over_folds() -> None:
    true = np.array([[1, 0], [0, 0], [1, 0], [0, 0]])
    said = np.array([[0.9, 0.5], [0.2, 0.5], [0.1, 0.5], [0.3, 0.5]])
    table = fold_table(true, said, "AUC")
    # first compartment: 2 of 4 pairs in order; second: nobody annotated, so no answer
    assert table[0, 0] == 0.5
    assert math.isnan(table[0, 1])
    other = np.array([[1.0, 0.8]])
    assert mean_score([table]) == 0.5
    assert mean_score([table, other]) == pytest.approx(((0.5 + 1.0) / 2 + 0.8) / 2)
    assert math.isnan(mean_score([np.array([[np.nan, np.nan]])]))
    both = fold_table(true[:, :1], said[:, :1], "AUC+AUPR")
    # sorted: 1, 0, 0, 1: precision at the annotated ones 1/1 and 2/4
    assert both[:, 0].tolist() == [0.5, pytest.approx(0.75)]
    assert mean_score([both]) == pytest.approx(0.625)


def test_wrong_search_settings_are_refused() -> None:
    for wrong in ({"trials": 0}, {"inner_folds": 1}, {"metric": "F1"}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            TuneSettings(**wrong)


def test_inner_folds_are_of_training_rows_and_part_no_family(small_dataset) -> None:
    data = prepare(build_networks(small_dataset), CONFIG)
    train = np.flatnonzero(data.groups % 4 != 0)
    hidden = replace(data, labels=data.masked_labels(train))
    inner = inner_folds(hidden, train, 3, seed=4)
    of_row = inner.of_rows(data.index)
    assert sorted(np.flatnonzero(of_row >= 0)) == sorted(train)
    assert set(of_row[train]) == {0, 1, 2}
    for group in np.unique(data.groups[train]):
        assert len(set(of_row[train][data.groups[train] == group])) == 1
    assert not np.array_equal(inner_folds(hidden, train, 3, seed=5).of_rows(data.index), of_row)
    with pytest.raises(ConfigError, match="groups"):
        inner_folds(hidden, train, 40, seed=4)


def test_the_best_trial_is_the_first_of_equals_and_never_a_stopped_one() -> None:
    trials = [
        Trial(0, {}, 0.5),
        Trial(1, {}, 0.7),
        Trial(2, {}, 0.7),
        Trial(3, {}, 0.9, state=PRUNED),
        Trial(4, {}, float("nan"), state=REFUSED),
    ]
    assert best_of(trials).number == 1
    with pytest.raises(ConfigError, match="none of the 1 trials could be run; the first: no heads"):
        best_of([Trial(0, {}, float("nan"), state=REFUSED, note="no heads")])


def finish(path: Path, n: int) -> list[Trial]:
    """Trials of a made-up score until there are `n`, those that the file holds included."""
    with open_study(path, "x") as study:
        found = read_trials(study, SPACE, path)
        while len(found) < n:
            draw = next_draw(study, {}, 100 + len(found))
            values = suggest(draw, SPACE)
            score = 1 - abs(math.log10(values["training.learning_rate"]) + 2.5) / 4
            scores, state = ((score,), PRUNED) if len(found) % 5 == 4 else ((score, score), "done")
            trial = Trial(len(found), values, score, scores, scores, state, 0.0, "")
            keep_trial(study, draw, trial)
            found.append(trial)
    return found


@pytest.mark.slow
def test_trials_are_kept_and_the_next_draw_depends_on_them_alone(tmp_path: Path) -> None:
    whole = finish(tmp_path / "a.sqlite", 14)
    finish(tmp_path / "b.sqlite", 12)
    assert finish(tmp_path / "b.sqlite", 14) == whole
    with open_study(tmp_path / "a.sqlite", "x") as study:
        assert read_trials(study, SPACE, tmp_path) == whole
    # after ten trials draws are made by what was found: other scores, other draws
    with open_study(tmp_path / "a.sqlite", "x") as study:
        drawn = [
            suggest(next_draw(study, {}, seed), SPACE)["training.learning_rate"]
            for seed in range(20)
        ]
    near = np.mean(np.abs(np.log10(drawn) + 2.5) < 0.75)
    assert near > 0.6  # half of the space lies so near


def test_a_damaged_or_foreign_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    finish(path, 2)
    with open_study(path, "x") as study, pytest.raises(InputError, match="another search"):
        read_trials(study, space_from({"attention.dim": [4]}), path)
    with sqlite3.connect(path) as connection:
        connection.execute("delete from trial_user_attributes where key = 'values'")
    connection.close()
    with open_study(path, "x") as study, pytest.raises(InputError, match="trial 0 is damaged"):
        read_trials(study, SPACE, path)
    path.write_bytes(b"no database " * 400)
    with pytest.raises(InputError, match="cannot be read"), open_study(path, "x"):
        pass


@pytest.mark.parametrize("values", [{"lambda_": 0.9}, {"cutoff": 0.3}])
def test_networks_with_other_settings_equal_those_built_with_them(
    small_dataset, values: dict[str, float]
) -> None:
    before = NetworkConfig()
    wanted = replace(before, functional=replace(before.functional, **values))
    base = build_networks(small_dataset, before)
    made, whole = rebuild(base, before, wanted), build_networks(small_dataset, wanted)
    assert list(made.networks) == list(whole.networks)
    assert made.networks["sequence"] is base.networks["sequence"]
    assert (made["functional"].matrix != base["functional"].matrix).nnz > 0
    for name in whole.networks:
        assert (made[name].matrix != whole[name].matrix).nnz == 0
    for name, matrix in whole.similarities.items():
        np.testing.assert_array_equal(made.similarities[name], matrix)
    assert made.settings == whole.settings
    assert rebuild(base, before, before) is base
