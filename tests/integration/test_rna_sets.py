"""Additional RNA sets in one model: masks, unknown labels, partner labels, leakage, commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion import api
from fusion.config import ExperimentConfig, FoldSettings, TokenSettings, TowerSettings
from fusion.data.inputs import FusionData
from fusion.data.prepare import check_settings, prepare, resolve_tokens
from fusion.data.rna_sets import (
    RnaSets,
    add_rna_sets,
    merge_groups,
    node_vectors,
    partner_rows,
    read_rna_sets,
    rna_set_folds,
)
from fusion.experiments.cross_validate import run_fold
from fusion.experiments.train import run_experiment
from fusion.explain.explain import explain_reference, explain_sequence
from fusion.explain.occlusion import model_for_row
from fusion.explain.ranking import read_run
from fusion.export.load import load
from fusion.model_config import AttentionConfig, MixSettings, TrainConfig
from fusion.models.ensemble import fit_fusion_model
from fusion.models.predict import predict_reference, predict_sequences, resolve_names
from fusion.models.saved import load_model
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.splits import Folds, make_folds
from mirnagraph.nodes import NodeIndex
from mirnagraph.trees import TreesConfig
from seqtower.data.sequences import SequenceSet
from seqtower.data.sets import merge_sets

CONFIG = ExperimentConfig(
    tokens=TokenSettings(
        attention=(
            "trees",
            "svd:disease",
            "kmer",
            "type",
            "partner_labels:mRNA",
            "neighbours:sequence",
        ),
        trees=("kmer", "degree", "type", "descriptors", "neighbours:sequence"),
        svd_dim=4,
    ),
    preset="test",
    folds=FoldSettings(n_folds=3),
    attention=AttentionConfig(dim=8, n_heads=2, n_layers=0, residual=True, token_dropout=0.2),
    training=TrainConfig(epochs=2, n_members=1, n_students=1, inner_fraction=0.0),
    trees=TreesConfig(n_trees=8, rounds=3, min_samples_leaf=1, boosting_width=20),
    guest_trees=TreesConfig(n_trees=8, rounds=3, min_samples_leaf=2, boosting_width=20),
    mix=MixSettings(calibration_part=0.25),
)


def a_set(
    n: int, compartments: tuple[str, ...], groups: tuple[str, ...] | None, seed: int
) -> SequenceSet:
    """RNAs of which those rich in G have the first compartment."""
    rng = np.random.default_rng(seed)
    rich = np.arange(n) % 2 == 0
    sequences = tuple(
        "".join(
            rng.choice(list("ACGU"), 120, p=[0.1, 0.1, 0.7, 0.1] if yes else [0.3, 0.3, 0.1, 0.3])
        )
        for yes in rich
    )
    labels = np.column_stack([rich, *(rng.random((len(compartments) - 1, n)) < 0.5)]).astype(float)

    return SequenceSet(
        NodeIndex.of([f"r{i}" for i in range(n)], "RNA"),
        sequences,
        labels,
        compartments,
        "multi-label",
        groups,
        pd.DataFrame(columns=["id", "reason"]),
    )


@pytest.fixture(scope="module")
def rna_sets(networks) -> RnaSets:
    """40 lncRNAs and 30 mRNAs (10 are targets in the networks); each set has a label of its own."""
    first = networks.dataset.compartments[0]
    targets = [str(name) for name in networks.dataset.partners["mRNA"].index[:10]]
    groups = tuple(targets + [f"other {i}" for i in range(20)])
    sets = {
        "lnc": a_set(40, (first, "Chromatin"), None, 1),
        "mrna": a_set(30, ("Granule", first), groups, 2),
    }
    data = merge_sets(sets, {"lnc": "lncRNA", "mrna": "mRNA"})
    return RnaSets(data, np.arange(len(data)))


@pytest.fixture(scope="module")
def extra_rnas(networks, rna_sets: RnaSets) -> FusionData:
    return add_rna_sets(prepare(networks, CONFIG), networks, rna_sets, CONFIG)


@pytest.fixture(scope="module")
def folds(networks, rna_sets: RnaSets):
    return rna_set_folds(make_folds(networks.dataset, n_folds=3), rna_sets, 0)


def test_rows_compartments_and_labels(extra_rnas: FusionData, networks, rna_sets: RnaSets) -> None:
    n, own = len(networks.dataset.index), tuple(networks.dataset.compartments)
    assert extra_rnas.compartments == (*own, "Chromatin", "Granule")
    assert len(extra_rnas.index) == n + 70
    assert extra_rnas.n_network_rnas == n
    assert np.isnan(extra_rnas.labels[:n, -2:]).all()
    assert not np.isnan(extra_rnas.labels[:n, :-2]).any()
    lnc = extra_rnas.labels[n : n + 40]
    assert not np.isnan(lnc[:, [0, -2]]).any()
    assert np.isnan(np.delete(lnc, [0, len(own)], axis=1)).all()
    np.testing.assert_array_equal(
        extra_rnas.labels[n + 40 :, -1],
        rna_sets.data.labels[40:, rna_sets.data.compartments.index("Granule")],
    )


def test_tokens_of_networks_are_absent_from_guests_and_the_type_is_told(
    extra_rnas: FusionData, networks
) -> None:
    n = extra_rnas.n_network_rnas
    assert not extra_rnas.tokens["svd:disease"].present[n:].any()
    assert not extra_rnas.tokens["degree"].present[n:].any()
    assert extra_rnas.tokens["kmer"].present[n:].all()
    assert not extra_rnas.tokens["descriptors"].present[:n].any()
    kinds = extra_rnas.tokens["type"].values.argmax(axis=1)
    assert len(set(kinds[:n])) == 1
    assert set(kinds[n:]) == {2, 3}
    assert extra_rnas.tokens["type"].present.all()


def test_attention_is_zero_on_absent_tokens_and_sums_to_one(extra_rnas: FusionData, folds) -> None:
    train, test = folds.rows(extra_rnas.index, 0)
    fusion_model = fit_fusion_model(
        replace(extra_rnas, labels=extra_rnas.masked_labels(train)), train, CONFIG, 0
    )
    assert fusion_model.attention is not None
    tokens = fusion_model.tokens.select(CONFIG.tokens.attention)
    weights = fusion_model.attention.attention(tokens, test)
    present = np.stack([token.present[test] for token in tokens], axis=1)
    assert (~present).any()
    assert present.any(axis=1).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert (
        weights[:, :, :-1][np.broadcast_to(~present[:, None], weights[:, :, :-1].shape)] == 0
    ).all()
    # values of absent tokens are never read
    absent = {name: ~tokens[name].present for name in ("svd:disease", "partner_labels:mRNA")}
    spoilt = []
    for token in fusion_model.tokens:
        values = token.values
        if token.name in absent:
            values = np.where(absent[token.name][:, None], 7, values).astype(np.float32)
        spoilt.append(replace(token, values=values))
    table = replace(fusion_model.tokens, tokens=tuple(spoilt))
    np.testing.assert_array_equal(
        fusion_model.predict(test), replace(fusion_model, tokens=table).predict(test)
    )


def test_labels_of_test_rnas_change_no_bit(extra_rnas: FusionData, folds) -> None:
    _, test = folds.rows(extra_rnas.index, 0)
    other = extra_rnas.labels.copy()
    other[test] = 1 - other[test]
    first, again = (
        run_fold(replace(extra_rnas, labels=labels), folds, CONFIG, 0)
        for labels in (extra_rnas.labels, other)
    )
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    assert np.isfinite(first.probabilities).all()
    np.testing.assert_array_equal(first.thresholds["model"], again.thresholds["model"])
    assert first.choices["temperature"] == again.choices["temperature"]


def test_what_is_not_known_is_not_learned_as_no(extra_rnas: FusionData, folds) -> None:
    """Unknown labels are no negatives: the share of a compartment is that within its own set."""
    train, _ = folds.rows(extra_rnas.index, 0)
    hidden = replace(extra_rnas, labels=extra_rnas.masked_labels(train))
    fusion_model = fit_fusion_model(hidden, train, CONFIG, 0)
    column = extra_rnas.compartments.index("Granule")
    share = np.nanmean(hidden.labels[:, column])
    assert 0.3 < share < 0.7
    said = fusion_model.predict(np.arange(extra_rnas.n_network_rnas))[
        :, column
    ]  # of miRNAs nothing is known here
    assert abs(said.mean() - share) < 0.2


def test_each_side_of_the_network_sees_where_the_other_sits(
    extra_rnas: FusionData, folds, networks
) -> None:
    train, _ = folds.rows(extra_rnas.index, 0)
    fusion_model = fit_fusion_model(
        replace(extra_rnas, labels=extra_rnas.masked_labels(train)),
        train,
        replace(CONFIG, mix=MixSettings()),
        0,
    )
    token = fusion_model.tokens["partner_labels:mRNA"]
    matrix = networks.dataset.association_matrix("mRNA").toarray() != 0
    n = extra_rnas.n_network_rnas
    seen = np.array([train[(train < n)][matrix[train[train < n], k]].size for k in range(10)])
    np.testing.assert_allclose(token.values[n + 40 : n + 50, -1], np.log1p(seen), rtol=1e-6)
    assert not token.present[n : n + 40].any()
    assert not token.present[n + 50 :].any()
    learned = [k for k in range(10) if n + 40 + k in set(train)]
    np.testing.assert_allclose(
        token.values[:n, -1], np.log1p(matrix[:, learned].sum(axis=1)), rtol=1e-6
    )
    # by hand: the share of one target's labelled miRNAs, smoothed by one RNA
    k = int(np.argmax(seen))
    known = extra_rnas.labels[train]
    share = (np.nansum(known, axis=0) + 0.5) / ((~np.isnan(known)).sum(axis=0) + 1)
    mine = train[train < n][matrix[train[train < n], k]]
    smooth = (extra_rnas.labels[mine, 0].sum() + share[0]) / (len(mine) + 1)
    expected = np.clip(np.log(smooth / (1 - smooth)) - np.log(share[0] / (1 - share[0])), -3, 3)
    assert token.values[n + 40 + k, 0] == pytest.approx(expected, abs=1e-5)


def test_targets_carry_the_embedding_of_their_node(networks, rna_sets: RnaSets) -> None:
    config = replace(
        CONFIG, tokens=replace(CONFIG.tokens, attention=("type", "node2vec:mRNA"), trees=())
    )
    vectors = node_vectors(networks, config)
    token = add_rna_sets(prepare(networks, config), networks, rna_sets, config, vectors).tokens[
        "node2vec:mRNA"
    ]
    n = len(networks.dataset.index)
    assert token.present[n + 40 : n + 50].all()
    assert not token.present[n : n + 40].any()
    assert not token.present[n + 50 :].any()
    np.testing.assert_array_equal(
        token.values[n + 40 : n + 50], vectors["node2vec:mRNA"][n : n + 10]
    )


def test_clusters_stay_in_one_fold_and_the_networks_keep_theirs(
    networks, rna_sets: RnaSets
) -> None:
    together = replace(rna_sets, groups=np.arange(len(rna_sets)) // 2)
    network_rows = make_folds(networks.dataset, n_folds=3)
    found = rna_set_folds(network_rows, together, 0)
    assert found.assigned.loc[network_rows.assigned.index].equals(network_rows.assigned)
    theirs = found.assigned.loc[list(rna_sets.data.index.ids)].to_numpy().reshape(-1, 2)
    assert (theirs[:, 0] == theirs[:, 1]).all()
    assert found.n_folds == 3


@pytest.mark.slow
def test_transcripts_of_a_gene_stay_together_and_copies_of_the_networks_rnas_are_left_out(
    networks, in_empty_folder: Path
) -> None:
    rng = np.random.default_rng(0)
    letters = ["".join(rng.choice(list("ACGU"), 150)) for _ in range(12)]
    own = str(networks.dataset.rnas["sequence"].dropna().iloc[3])
    sequences = [
        *letters,
        own,
        "".join(rng.choice(list("ACGU"), 400)) + own,
    ]  # a copy of a hairpin, and a transcript that holds it
    Path("m.fa").write_text("".join(f">r{i}\n{text}\n" for i, text in enumerate(sequences)))
    Path("m.tsv").write_text(
        "id\tNucleus\tgene\n" + "".join(f"r{i}\t{i % 2}\tg{i // 3}\n" for i in range(14))
    )
    Path("sets.toml").write_text(
        '[sets.m]\nfasta = "m.fa"\nlabels = "m.tsv"\nlabel = ["Nucleus"]\n'
        'group = "gene"\ntype = "mRNA"\n'
    )
    found = read_rna_sets("sets.toml", networks.dataset)
    assert list(found.data.index.ids) == [f"m|r{i}" for i in (*range(12), 13)]
    twin = networks.dataset.rnas["sequence"].dropna().index[3]
    assert found.data.left_out.to_numpy().tolist() == [
        ["m|r12", f"near-duplicate of {twin} of the networks"]
    ]
    assert len(set(found.groups)) == 5
    assert (found.groups[:12].reshape(4, 3) == found.groups[:12:3, None]).all()
    assert found.summary() == {"m": {"type": "mRNA", "n": 13}}


def test_what_shares_a_cluster_or_a_group_is_together() -> None:
    found = merge_groups(np.array([0, 0, 1, 2, 3, 3]), ("a", "b", "b", "c", "d", "e"))
    assert [found[0] == one for one in found] == [True, True, True, False, False, False]
    assert found[4] == found[5] != found[3]
    np.testing.assert_array_equal(merge_groups(np.array([5, 2, 5]), None), [1, 0, 1])


def test_a_part_that_is_held_out_once_and_sets_too_small(networks, rna_sets: RnaSets) -> None:
    network_rows = make_folds(networks.dataset, n_folds=4).assigned
    once = Folds(network_rows.where(network_rows == 0, -1))
    found = rna_set_folds(once, rna_sets, 0)
    theirs = found.assigned.loc[list(rna_sets.data.index.ids)]
    assert found.n_folds == 1
    assert 0.15 < (theirs == 0).mean() < 0.35
    with pytest.raises(
        ConfigError, match="found 2 groups of near-duplicates in the sets, expected 4"
    ):
        rna_set_folds(
            Folds(network_rows), replace(rna_sets, groups=np.arange(len(rna_sets)) % 2), 0
        )


def test_a_circle_of_a_gene_is_no_messenger_and_a_set_has_a_name_of_its_own(
    networks, rna_sets: RnaSets
) -> None:
    circles = replace(rna_sets, data=replace(rna_sets.data, types=("circRNA",) * len(rna_sets)))
    assert (partner_rows(networks.dataset, "mRNA", circles) == -1).all()
    assert (partner_rows(networks.dataset, "mRNA", rna_sets) >= 0).sum() == 10
    same = replace(
        rna_sets, data=replace(rna_sets.data, sets=(networks.dataset.name,) * len(rna_sets))
    )
    with pytest.raises(ConfigError, match="rename the set"):
        add_rna_sets(prepare(networks, CONFIG), networks, same, CONFIG)


@pytest.mark.slow
def test_a_run_learns_is_kept_and_answers_for_all_types(
    networks, rna_sets: RnaSets, run_dir: Path
) -> None:
    config = replace(
        CONFIG,
        trees=TreesConfig(n_trees=20, rounds=2, min_samples_leaf=1),
        guest_trees=TreesConfig(n_trees=20, rounds=10),
    )
    result, run = run_experiment(networks, config, run_dir, rna_sets=rna_sets)
    assert result is not None
    table = pd.read_csv(run.path / "metrics_by_set.tsv", sep="\t").set_index(
        ["set", "model", "compartment", "metric"]
    )["pooled"]
    assert (
        table["lnc", "model", networks.dataset.compartments[0], "AUC"] > 0.8
    )  # frequency, and words of RNAs in other sets, say .5
    assert table["mrna", "model", "Granule", "AUC"] > 0.8
    assert ("lnc", "model", "Granule", "AUC") not in table.index
    assert {"model", "attention", "trees"} == set(table.index.get_level_values("model"))
    model = load_model(run.path / "model")
    known = predict_reference(
        model, resolve_names(model, ["lnc|r3", networks.dataset.index.ids[0]])
    )
    granule = model.compartments.index("Granule")
    assert np.isnan(known.probabilities[:, granule]).all()
    assert np.isfinite(known.probabilities[:, 0]).all()
    np.testing.assert_array_equal(
        known.probabilities[0, 0], result.probabilities[len(networks.dataset.index) + 3, 0]
    )
    assert known.to_dicts()[0]["compartments"]["Granule"]["probability"] is None
    rich, poor = "G" * 80 + "ACGU" * 10, "ACAU" * 30
    new = predict_sequences(model, ["rich", "poor"], [rich, poor], rna_type="mRNA")
    assert new.probabilities[0, granule] > new.probabilities[1, granule]
    assert np.isnan(new.probabilities[:, model.compartments.index("Chromatin")]).all()
    assert (new.about["modalities"] == "sequence;mRNA").all()
    hairpin = predict_sequences(model, ["h"], ["GGGAAACCCUUUGGGAAACCCUUUAGCUAGCUAG"])
    assert np.isfinite(hairpin.probabilities[0, 0])
    assert np.isnan(hairpin.probabilities[0, granule])
    with pytest.raises(ConfigError, match=r"no training RNA of type 'circRNA'.*lncRNA, mRNA"):
        predict_sequences(model, ["x"], [rich], rna_type="circRNA")
    for name in ("lnc|r3", "mrna|r0", networks.dataset.index.ids[0]):
        row = model.reference.index.position(name)
        kept, unseen = model_for_row(model, row)
        replayed, _ = model_for_row(replace(model, in_bag=None), row)
        assert unseen
        np.testing.assert_array_equal(
            kept.trees["extra_trees"].roots, replayed.trees["extra_trees"].roots
        )
        np.testing.assert_array_equal(
            kept.trees["extra_trees"].value, replayed.trees["extra_trees"].value
        )
    why = explain_reference(model, model.reference.index.position("mrna|r0")).to_dict()[
        "compartments"
    ][0]
    assert {"sequence"} <= {one["modality"] for one in why["modalities"]}
    assert sum(one["extra_trees"] or 0 for one in why["tokens"]) != 0
    known_long = explain_reference(model, model.reference.index.position("mrna|r0"), [granule])
    assert known_long.unseen_trees
    assert any("its type alone" in note for note in known_long.notes)
    assert len(known_long.compartments[0].sequence.support) == len(known_long.sequence)
    asked = explain_sequence(model, "rich", rich, [granule], rna_type="mRNA")
    one = asked.compartments[0]
    assert one.probability == pytest.approx(new.probabilities[0, granule], abs=1e-6)
    assert sum(one.sequence.support[:80]) > 0  # G makes a granule; a window of G is exchanged for C
    assert [(m.modality, m.present) for m in one.modalities if m.present] == [("sequence", True)]
    long = explain_sequence(model, "long", rich * 5, [granule], rna_type="mRNA")
    text = long.to_text(full=True)
    assert "One sign stands for 6 nt" in text
    assert rich not in text
    assert len(long.to_text().splitlines()) < 25
    assert asked.notes[0].endswith("It has no partners.")
    with pytest.raises(ConfigError, match="no training labels of Chromatin for RNAs of type mRNA"):
        explain_sequence(
            model, "rich", rich, [model.compartments.index("Chromatin")], rna_type="mRNA"
        )
    with pytest.raises(ConfigError, match="no training RNA of type 'circRNA'"):
        explain_sequence(model, "rich", rich, rna_type="circRNA")
    assert explain_reference(model, 0, networks=networks).compartments[0].neighbours
    with pytest.raises(ConfigError, match="no training labels of Granule"):
        explain_sequence(model, "new", "GGGAAACCCUUUGGGAAACCC", [granule])
    with pytest.raises(ConfigError, match="several sets"):
        read_run(run.path, networks)
    assert (run.path / "left_out.tsv").is_file()
    again, _ = run_experiment(networks, config, run_dir, rna_sets=rna_sets, resume=True)
    assert again is None
    with pytest.raises(InputError):
        run_experiment(
            networks,
            config,
            run_dir,
            rna_sets=replace(rna_sets, groups=rna_sets.groups // 2),
            resume=True,
        )


def test_settings_and_sets_have_to_go_together(rna_sets: RnaSets, networks) -> None:
    with pytest.raises(ConfigError, match=r"'descriptors' needs additional RNA sets.*--sets"):
        check_settings(CONFIG, sets=False)
    with pytest.raises(ConfigError, match=r"--sets"):
        resolve_tokens(networks, CONFIG)
    plain = replace(CONFIG, tokens=TokenSettings(attention=("kmer",)))
    check_settings(plain, sets=False)
    with pytest.raises(ConfigError, match="'type'"):
        check_settings(plain, sets=True)
    with pytest.raises(ConfigError, match="cold start"):
        check_settings(replace(CONFIG, folds=FoldSettings(cold=True)), sets=True)
    twice = replace(
        rna_sets,
        data=replace(
            rna_sets.data,
            index=type(rna_sets.data.index).of(
                [networks.dataset.index.ids[0], *rna_sets.data.index.ids[1:]], "RNA"
            ),
        ),
    )
    with pytest.raises(InputError, match="has the id of an RNA of the networks"):
        add_rna_sets(prepare(networks, plain), networks, twice, CONFIG)


def test_in_python_it_is_one_call_each(networks, rna_sets: RnaSets) -> None:
    config = replace(
        CONFIG, tokens=TokenSettings(attention=("kmer", "type"), trees=()), newcomers=""
    )
    found = api.cross_validate(networks, config, sets=rna_sets)
    model = api.fit(networks, config, sets=rna_sets, cross_validation=found)
    said = api.predict(model, sequences={"new": "GGGGA" * 30}, rna_type="lncRNA")
    assert np.isfinite(said.probabilities[0]).sum() == 2
    with pytest.raises(ConfigError, match="rna-type"):
        api.predict(model, "lnc|r0", rna_type="lncRNA")


@pytest.mark.slow
def test_the_command(
    run: Callable, quick: Callable[..., Path], in_empty_folder: Path, rna_sets: RnaSets
) -> None:
    data = rna_sets.data
    Path("l.fa").write_text("".join(f">r{i}\n{data.sequences[i]}\n" for i in range(40)))
    Path("l.tsv").write_text(
        "id\tBoth\n" + "".join(f"r{i}\t{int(data.labels[i, 0])}\n" for i in range(40))
    )
    Path("sets.toml").write_text('[sets.lnc]\nfasta = "l.fa"\nlabels = "l.tsv"\ntype = "lncRNA"\n')
    settings = quick(tokens={"attention": ["svd:disease", "type"], "trees": []})
    done = run(
        "train",
        "--sets",
        "sets.toml",
        "--config",
        str(settings),
        "--preset",
        "unified",
        "--fold",
        "3",
        "--out",
        "r",
    )
    assert done.returncode == 0, done.stderr
    assert "lnc 40" in done.stderr + done.stdout
    assert "lnc\tattention\t" in done.stdout
    labels = pd.read_csv("r/labels.tsv", sep="\t").set_index("rna_id")
    assert labels.loc["lnc|r0", "Both"] == data.labels[0, 0]
    assert labels.loc["lnc|r0"].isna().sum() == labels.shape[1] - 1
    said = run(
        "predict", "--run", "r", "--fasta", "l.fa", "--rna-type", "lncRNA", "--format", "tsv"
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("query\trna_id\t")
    assert "no partners" not in said.stdout, "these RNAs are in no network"
    assert load("r").compartments[-1] == "Both"
    refused = run("train", "--sets", "sets.toml", "--repeats", "2", "--out", "other")
    assert refused.returncode == 2
    assert "--sets goes neither" in refused.stderr
    refused = run("train", "--preset", "unified", "--out", "other")
    assert refused.returncode == 2
    assert "--sets" in refused.stderr
    told = run("explain", "--run", "r", "--rna", "lnc|r0", "--out", "why")
    assert told.returncode == 0, told.stderr
    Path("new.fa").write_text(">fresh\n" + "GACGGU" * 30 + "\n")
    told = run("explain", "--run", "r", "--fasta", "new.fa", "--rna-type", "lncRNA")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("fresh: Both, probability ")
    assert "its type, lncRNA," in " ".join(told.stdout.split())
    refused = run(
        "explain",
        "--run",
        "r",
        "--rna",
        "lnc|r0",
        "--compartment",
        load("r").compartments[0],
        "--out",
        "why2",
    )
    assert refused.returncode == 2
    assert "no training labels of" in refused.stderr


def test_the_sequence_tower_reads_all_types_where_it_is_a_token(
    extra_rnas: FusionData, folds
) -> None:
    tokens = replace(CONFIG.tokens, attention=("trees", "type", "tower"), trees=("kmer", "type"))
    tower = TowerSettings(epochs=1, parts=2)
    config = replace(CONFIG, tokens=tokens, tower=tower, mix=MixSettings())
    train, test = folds.rows(extra_rnas.index, 0)
    fusion_model = fit_fusion_model(
        replace(extra_rnas, labels=extra_rnas.masked_labels(train)), train, config, 0
    )
    has = np.array([bool(sequence) for sequence in extra_rnas.sequences])
    np.testing.assert_array_equal(fusion_model.tokens["tower"].present, has)
    assert np.isfinite(fusion_model.predict(test)).all()
