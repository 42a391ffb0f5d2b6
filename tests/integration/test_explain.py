"""Explanations of a small run: equal to the model by hand, exact sums, the command, its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captum.attr import IntegratedGradients
from matplotlib.figure import Figure
from scipy.special import logit

from fusion.config import experiment_config
from fusion.data.prepare import prepare, resolve_tokens
from fusion.explain.explain import (
    explain_reference,
    explain_sequence,
    named_compartments,
    strongest_rna,
)
from fusion.explain.figure import draw_explanation
from fusion.explain.occlusion import (
    WELL_STUDIED,
    model_for_row,
    occlude,
    occlude_modalities,
)
from fusion.explain.result import Explanation, to_text
from fusion.explain.sequence import scan_sequence, sequence_model
from fusion.explain.tokens import STEPS, _attention_logit, integrated_gradients
from fusion.models.ensemble import fit_fusion_model, safe_logit
from fusion.models.new_rnas import tokens_of_new_rnas
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel, load_model, save_model
from fusion.tokens.names import TREES
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.seeds import child_seed

NEW = "ACGUUAGCUAGGAUCCGAUUAGCGAUUCGAGGCUAUCGAUUUAGCGCGAUAUCGGCUAUAGCGGC"


@pytest.fixture(scope="module")
def model(finished_run: Path) -> SavedModel:
    return load_model(finished_run / "model")


@pytest.fixture(scope="module")
def explanation(model: SavedModel, networks: NetworkSet) -> Explanation:
    return explain_reference(model, 5, (0, 2), networks)


def test_trees_that_drew_an_rna_are_left_out(model: SavedModel) -> None:
    assert model.reference is not None
    for row in range(5):
        fusion_model, unseen = model_for_row(model, row)
        assert unseen
        assert 0 < len(fusion_model.trees["extra_trees"].roots) < 20
        np.testing.assert_allclose(
            fusion_model.tokens["trees"].values[0],
            model.reference.tokens["trees"].values[row],
            atol=1e-4,
        )
    # with nothing but these trees in its place, the model is the one that was saved
    whole = model.fusion_model(model.reference.tokens)
    np.testing.assert_allclose(
        fusion_model.parts(np.arange(1))["attention"][0],
        whole.parts(np.array([4]))["attention"][0],
        atol=1e-5,
    )
    np.testing.assert_array_equal(
        fusion_model.parts(np.arange(1))["boosting"][0], whole.parts(np.array([4]))["boosting"][0]
    )


def test_trees_that_do_not_say_what_was_kept_are_not_believed(model: SavedModel) -> None:
    assert model.in_bag is not None
    older = replace(
        model, in_bag=None, config=replace(model.config, seed=77)
    )  # reproduced from another seed
    moved = replace(model, in_bag=~model.in_bag)
    for other in (older, moved):
        fusion_model, unseen = model_for_row(other, 3)
        assert not unseen
        assert len(fusion_model.trees["extra_trees"].roots) == 20
        assert "with all of its extra trees" in explain_reference(other, 3, (0,)).notes[0]


def test_bootstrap_samples_are_kept_with_the_model_and_reproduced_for_older_ones(
    model: SavedModel,
) -> None:
    assert model.reference is not None
    assert model.in_bag is not None
    assert model.in_bag.shape == (20, model.reference.trained.sum())
    assert 0.5 < model.in_bag.mean() < 0.75  # 1 - 1/e of the rows are drawn
    kept, _ = model_for_row(model, 5)
    replayed, unseen = model_for_row(replace(model, in_bag=None), 5)
    assert unseen
    np.testing.assert_array_equal(
        kept.trees["extra_trees"].roots, replayed.trees["extra_trees"].roots
    )
    for other in (model.in_bag[:-1], model.in_bag[:, :-1]):
        assert not model_for_row(replace(model, in_bag=other), 5)[1], (
            "samples of other trees or other rows are not read"
        )


def test_bootstrap_samples_that_do_not_fit_the_trees_are_refused(
    finished_run: Path, tmp_path: Path
) -> None:
    model = load_model(finished_run / "model")
    assert model.reference is not None
    assert model.in_bag is not None
    fusion_model = replace(model.fusion_model(model.reference.tokens), in_bag=model.in_bag[:8])
    save_model(fusion_model, model.reference, model.compartments, tmp_path / "model", about={})
    with pytest.raises(
        CheckpointError, match=r"bootstrap samples of shape \(1, \d+\) for 20 trees"
    ):
        load_model(tmp_path / "model")


def test_without_a_modality_is_the_whole_model_asked_again(
    model: SavedModel, explanation: Explanation
) -> None:
    fusion_model, _ = model_for_row(model, 5)
    groups, predicted = occlude_modalities(fusion_model)
    assert set(groups) == {"drug", "mRNA", "disease", "sequence", WELL_STUDIED}
    assert list(groups)[-1] == WELL_STUDIED
    assert sorted(t for group in groups.values() for t in group) == sorted(
        t.name for t in fusion_model.tokens if t.name != "trees"
    )
    np.testing.assert_allclose(predicted[0], fusion_model.predict(np.arange(1))[0], atol=1e-7)
    for number, group in enumerate(groups.values(), 1):
        by_hand = []
        for token in fusion_model.tokens:
            if token.name == "trees":
                continue
            gone = token.name in group
            by_hand.append(
                make_token(
                    token.name,
                    token.values * 0 if gone else token.values,
                    token.present & (not gone),
                )
            )
        table = TokenTable(fusion_model.tokens.index, tuple(by_hand))
        trees = np.clip(
            fusion_model.trees["extra_trees"](table.flat(fusion_model.config.tokens.trees)), 0, 1
        )
        again = replace(
            fusion_model,
            tokens=table
            + TokenTable(
                table.index, (make_token("trees", safe_logit(trees), np.ones(1, dtype=bool)),)
            ),
        )
        np.testing.assert_allclose(again.predict(np.arange(1))[0], predicted[number], atol=1e-6)
    one = explanation.compartments[1]
    assert one.probability == pytest.approx(predicted[0, 2])
    drug = next(m for m in one.modalities if m.modality == "drug")
    without = predicted[1 + list(groups).index("drug"), 2]
    assert (drug.probability, drug.change) == pytest.approx((without, without - predicted[0, 2]))
    assert drug.change_logit == pytest.approx(logit(without) - logit(predicted[0, 2]))


def test_an_absent_modality_changes_nothing_and_is_shown_as_absent(
    model: SavedModel, small_dataset
) -> None:
    assert model.reference is not None
    row = next(
        r
        for r in range(60)
        if not any(
            model.reference.tokens[f"svd:{k}"].present[r] for k in small_dataset.associations
        )
    )
    for one in explain_reference(model, row, (0,)).compartments:
        absent = [m for m in one.modalities if not m.present]
        assert {m.modality for m in absent} >= {"drug", "mRNA", "disease"}
        assert all(m.change == 0 for m in absent)
        assert one.modalities[-len(absent) :] == tuple(absent)
        assert not any(t.gradients for t in one.tokens if not t.present)
    explanation = explain_reference(model, row, (0,))
    assert "absent" in explanation.to_text(full=True)
    assert "unknown of this RNA: " in to_text(explanation)


def test_tokens_sum_to_what_the_parts_say(explanation: Explanation, model: SavedModel) -> None:
    fusion_model, _ = model_for_row(model, 5)
    parts = fusion_model.parts(np.arange(1))
    for one, column in zip(explanation.compartments, (0, 2), strict=True):
        about = {part.part: part for part in one.parts}
        assert sum(part.weight for part in one.parts) == pytest.approx(1)
        for name, part in about.items():
            assert part.probability == pytest.approx(parts[name][0, column], abs=1e-6)
        assert about["attention"].end == pytest.approx(
            safe_logit(parts["attention"])[0, column], abs=1e-5
        )
        assert abs(about["attention"].error) < 0.02 * max(
            1, abs(about["attention"].end - about["attention"].start)
        )
        for name, field in (
            ("attention", "gradients"),
            ("extra_trees", "extra_trees"),
            ("boosting", "boosting"),
        ):
            total = sum(getattr(token, field) or 0.0 for token in one.tokens)
            assert total == pytest.approx(
                about[name].end - about[name].start + about[name].error, abs=1e-5
            ), name
        assert max(abs(about[name].error) for name in ("extra_trees", "boosting")) < 1e-6
        assert sum(token.attention or 0.0 for token in one.tokens) == pytest.approx(1, abs=1e-5)
    by_name = {token.token: token for token in explanation.compartments[0].tokens}
    assert by_name["trees"].extra_trees is None
    assert by_name["svd:mRNA"].attention is None
    assert by_name["svd:drug+neighbours:gip_drug"].boosting is None


def test_integrated_gradients_equal_captums(model: SavedModel) -> None:
    fusion_model, _ = model_for_row(model, 5)
    prior = np.zeros(len(model.compartments))
    found, sums = integrated_gradients(fusion_model, [0, 2], prior)
    answer, inputs, start, widths = _attention_logit(fusion_model, prior)
    for number, column in enumerate((0, 2)):
        values = (
            IntegratedGradients(answer)
            .attribute(inputs, start, target=column, n_steps=STEPS)[0]
            .detach()
            .double()
            .numpy()
        )
        parts = [part.sum() for part in np.split(values, np.cumsum(widths)[:-1])]
        assert found[:, number].sum() == pytest.approx(sum(parts), abs=1e-4)
        names = list(fusion_model.config.tokens.attention)
        alone = [
            at for at, name in enumerate(names) if name != TREES
        ]  # what the trees say moves along and counts as theirs
        np.testing.assert_allclose(found[alone, number], np.array(parts)[alone], atol=1e-4)
        assert abs(sums[number][2]) < 0.05


def test_out_of_fold_and_final_predictions_are_both_shown(
    explanation: Explanation, model: SavedModel
) -> None:
    assert model.reference is not None
    one = explanation.compartments[0]
    assert one.out_of_fold == pytest.approx(model.reference.probabilities[5, 0])
    assert one.called == (one.out_of_fold >= model.reference.thresholds[5, 0])
    assert one.located == bool(model.reference.labels[5, 0])
    assert "trained on this RNA's label" in explanation.notes[0]
    # without compartments: those called, the most probable first, else the most probable one
    best = explain_reference(model, strongest_rna(model))
    predicted = [c.out_of_fold for c in best.compartments]
    assert predicted == sorted(predicted, reverse=True)
    assert all(c.called for c in best.compartments) or len(best.compartments) == 1
    assert max(predicted) == np.nanmax(model.reference.probabilities)


def test_an_rna_that_no_fold_tested_is_explained_by_the_final_model(
    model: SavedModel,
) -> None:
    assert model.reference is not None
    labels, tokens = model.reference.labels.copy(), model.reference.tokens
    labels[3] = np.nan
    # of an RNA that was not learned from, all trees are asked
    logits = safe_logit(
        np.clip(model.trees["extra_trees"](tokens.flat(model.config.tokens.trees)), 0, 1)
    )
    tokens = TokenTable(
        tokens.index,
        tuple(make_token("trees", logits, t.present) if t.name == "trees" else t for t in tokens),
    )
    known = replace(
        model.reference,
        probabilities=np.full(labels.shape, np.nan),
        trained=np.arange(60) != 3,
        labels=labels,
        tokens=tokens,
    )
    other = replace(model, reference=known)
    found = explain_reference(other, 3)
    assert not found.learned
    assert found.compartments[0].out_of_fold is None
    assert found.compartments[0].located is None
    np.testing.assert_allclose(
        found.compartments[0].probability,
        other.fusion_model(known.tokens).predict(np.array([3])).max(),
        atol=1e-6,
    )


def test_partners_need_the_networks_and_neighbours_do_not(
    explanation: Explanation, model: SavedModel, networks: NetworkSet
) -> None:
    one = explanation.compartments[0]
    assert {p.kind for p in one.partners} <= set(networks.dataset.associations)
    table = networks.dataset.associations["disease"]
    own = set(table.loc[table["rna_id"] == explanation.rna_id, "partner_id"])
    assert {p.partner for p in one.partners if p.kind == "disease"} <= own
    assert {n.network for n in one.neighbours} == {"sequence", "functional"}
    alone = explain_reference(model, 5, (0,), missing="they are away.")
    assert alone.compartments[0].partners == ()
    assert any("they are away" in note for note in alone.notes)
    near = [n for n in alone.compartments[0].neighbours if n.network == "sequence"]
    assert [n.rna for n in near][:3] == [n.rna for n in one.neighbours if n.network == "sequence"][
        :3
    ]


def test_a_stretch_of_the_sequence_by_hand(model: SavedModel) -> None:
    assert model.reference is not None
    fusion_model = sequence_model(model, None)
    assert fusion_model is not None
    scan = scan_sequence(fusion_model, model.reference, NEW, window=6)
    assert scan.support.shape == (len(NEW), 3)
    changed = "UGCAAU" + NEW[6:]
    _, extra_rnas = tokens_of_new_rnas(
        ["whole", "changed"], [NEW, changed], model.reference, fusion_model
    )
    logits = logit(extra_rnas.predict(np.arange(2)))
    np.testing.assert_allclose(scan.probabilities, extra_rnas.predict(np.arange(1))[0], atol=1e-6)
    # the first nucleotide is in the first window alone
    np.testing.assert_allclose(scan.support[0], logits[0] - logits[1], atol=1e-5)


def test_a_reference_rna_is_masked_for_the_cold_start_model(model: SavedModel) -> None:
    """Its own label in the known ones must not be read as that of a relative."""
    assert model.reference is not None
    row = 5
    sequence = str(model.reference.sequences[row])
    fusion_model = sequence_model(model, row)
    assert fusion_model is not None
    labels = model.reference.labels.copy()
    labels[row] = 1 - labels[row]
    scan = scan_sequence(fusion_model, model.reference, sequence, row)
    other = scan_sequence(fusion_model, replace(model.reference, labels=labels), sequence, row)
    # the mean over all training RNAs, with which neighbours are compared, does hold it
    assert np.abs(other.probabilities - scan.probabilities).max() < 0.05
    seen = scan_sequence(fusion_model, model.reference, sequence, None)
    assert not np.allclose(seen.probabilities, scan.probabilities)


def test_a_new_rna_is_explained_by_its_sequence(model: SavedModel) -> None:
    found = explain_sequence(model, "stranger", NEW.replace("U", "t"), (1,))
    one = found.compartments[0]
    assert model.reference is not None
    assert model.cold_start is not None
    _, fusion_model = tokens_of_new_rnas(
        ["x"], [NEW], model.reference, model.cold_start.on(TokenTable(model.reference.index, ()))
    )
    assert one.probability == pytest.approx(fusion_model.predict(np.arange(1))[0, 1], abs=1e-6)
    assert {m.modality for m in one.modalities} >= {
        "k-mers",
        "number of similar RNAs",
        "compartments of similar RNAs",
        "disease of similar RNAs",
    }
    assert one.sequence is not None
    assert len(one.sequence.support) == len(NEW)
    assert (found.known_as, one.partners, one.out_of_fold) == ("", (), None)
    assert {n.network for n in one.neighbours} == {"sequence"}
    about = {part.part: part for part in one.parts}
    assert sum(t.extra_trees or 0 for t in one.tokens) == pytest.approx(
        about["extra_trees"].end - about["extra_trees"].start, abs=1e-6
    )
    with pytest.raises(ConfigError, match="no cold-start model"):
        explain_sequence(replace(model, cold_start=None), "stranger", NEW)
    assert explain_sequence(model, "short", "A", (1,)).compartments[0].sequence is not None


KINDS: dict[str, dict[str, Any]] = {
    "attention alone": {
        "tokens": {"attention": ("svd:disease", "degree"), "trees": ()},
        "attention": {"readout": "concat", "n_layers": 1, "residual": False},
    },
    "no attention weights": {
        "tokens": {"attention": ("svd:disease", "degree"), "trees": ()},
        "attention": {"readout": "mean", "residual": False},
    },
    "trees alone": {"tokens": {"attention": (), "trees": ("svd:disease", "degree")}},
    "trees not read as a token": {"tokens": {"attention": ("svd:disease",), "trees": ("degree",)}},
    "towers of their own": {
        "tokens": {"attention": ("trees", "tower"), "trees": ("degree", "tower")},
        "tower": {"epochs": 1, "parts": 2},
    },
    "sequence alone": {
        "tokens": {
            "attention": ("trees", "kmer", "n_similar", "neighbour_profile:*"),
            "trees": ("kmer", "n_similar", "neighbours:sequence"),
        }
    },
}


def small_model(networks: NetworkSet, kind: str) -> SavedModel:
    """A model of other parts, fitted without a run; its own cold-start model for sequences."""
    config = experiment_config("trees")
    training = replace(
        config.training, epochs=2, n_members=1, n_students=int(kind == "sequence alone")
    )
    trees, mix = (
        replace(config.trees, n_trees=12, rounds=4),
        replace(config.mix, calibration_part=0.0),
    )
    config = replace(
        config,
        tokens=replace(config.tokens, **KINDS[kind]["tokens"]),
        training=training,
        trees=trees,
        mix=mix,
    )
    config = replace(config, tower=replace(config.tower, **KINDS[kind].get("tower", {})))
    config = resolve_tokens(
        networks,
        replace(config, attention=replace(config.attention, **KINDS[kind].get("attention", {}))),
    )
    data = prepare(networks, config)
    fusion_model = fit_fusion_model(data, np.arange(60), config, child_seed(config.seed, "final"))
    nothing, sequences = (
        np.full(data.labels.shape, np.nan),
        tuple(s if isinstance(s, str) else None for s in networks.dataset.rnas["sequence"]),
    )
    known = ReferenceRNAs(
        data.index,
        sequences,
        ("",) * 60,
        np.ones(60, dtype=bool),
        data.labels,
        fusion_model.tokens,
        nothing,
        nothing,
        nothing,
    )
    model = SavedModel(
        config,
        data.compartments,
        dict(fusion_model.tokens.sources),
        fusion_model.attention,
        dict(fusion_model.trees),
        dict(fusion_model.weights),
        fusion_model.thresholds,
        fusion_model.temperature,
        {},
        dict(fusion_model.profiles),
        towers=fusion_model.towers,
    )
    return replace(model, reference=known, cold_start=model if kind == "sequence alone" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_models_of_other_parts(networks: NetworkSet, kind: str) -> None:
    model = small_model(networks, kind)
    row = next(
        r
        for r in range(60)
        if model.reference is not None
        and model.reference.sequences[r]
        and all(t.present[r] for t in model.reference.tokens)
    )
    found = explain_reference(model, row, (0, 1), networks)
    one = found.compartments[0]
    fusion_model, unseen = model_for_row(model, row)
    assert unseen == found.unseen_trees == bool(model.trees)
    assert one.probability == pytest.approx(fusion_model.predict(np.arange(1))[0, 0], abs=1e-6)
    for part in one.parts:
        field = "gradients" if part.part == "attention" else part.part
        total = sum(getattr(token, field) or 0.0 for token in one.tokens)
        if kind != "trees not read as a token" or part.part != "attention":
            assert total == pytest.approx(part.end - part.start + part.error, abs=1e-5)
        assert abs(part.error) < 0.05 * max(1, abs(part.end - part.start))
    weights = [token.attention for token in one.tokens if token.attention is not None]
    if kind in ("attention alone", "sequence alone"):
        assert sum(weights) == pytest.approx(1, abs=1e-5)
    if "tower" in kind:
        tower = next(token for token in one.tokens if token.token == "tower")
        assert tower.present
        assert tower.gradients
        assert ("sequence", ("tower",)) in [(m.modality, m.tokens) for m in one.modalities]
    if kind in ("no attention weights", "trees alone"):
        assert weights == []
    if kind == "sequence alone":
        # the tokens of an RNA that is hidden from the known ones are those that it had in training
        assert one.sequence is not None
        assert one.sequence.probability == pytest.approx(one.probability, abs=1e-4)
    else:
        assert one.sequence is None
        assert any("no cold-start model" in note for note in found.notes)
    assert to_text(found)
    assert draw_explanation(found)


def test_compartments_by_name(model: SavedModel) -> None:
    names = model.compartments
    assert named_compartments(model, [names[2].upper(), f" {names[0]} ", names[2]]) == [2, 0]
    with pytest.raises(
        ConfigError, match=f"available: {', '.join(names)}; did you mean {names[0]}"
    ):
        named_compartments(model, [names[0][:-1]])


def test_it_is_plain_data_text_and_a_picture(explanation: Explanation) -> None:
    back = json.loads(json.dumps(explanation.to_dict(), allow_nan=False))
    assert (
        back["compartments"][0]["modalities"][0]["modality"]
        == explanation.compartments[0].modalities[0].modality
    )
    text = explanation.to_text(full=True)
    for word in (
        "out-of-fold",
        "without it",
        "weight",
        "Attention is not attribution",
        "Nearest training RNAs",
        "sequence alone predicts",
        "annotated",
    ):
        assert word in text.replace("\n  ", " "), word
    assert max(map(len, text.splitlines())) <= 130
    figure = draw_explanation(explanation)
    # bars, probability and sequence of two compartments
    assert len(figure.axes) == 6
    no_sequence = replace(
        explanation, compartments=tuple(replace(c, sequence=None) for c in explanation.compartments)
    )
    assert len(draw_explanation(no_sequence).axes) == 4


def test_effects_are_those_of_the_model_without_the_tokens_of_a_source(
    model: SavedModel, networks: NetworkSet
) -> None:
    """Drop-one by hand: the tokens of a source are made absent, and the model predicts again."""
    explanation = explain_reference(model, 5, (0,), networks)
    (compartment,) = explanation.compartments
    assert {of.source for of in compartment.effects} >= {"targets", "diseases", "drugs", "sequence"}
    fusion_model, _ = model_for_row(model, 5)
    for of in compartment.effects:
        probabilities = occlude(fusion_model, [of.tokens])[:, 0]
        assert probabilities[0] == pytest.approx(compartment.probability, abs=1e-6)
        if of.present:
            difference = probabilities[0] - probabilities[1]
            assert of.effect == pytest.approx(difference, abs=1e-6)
            assert of.probability == pytest.approx(probabilities[1], abs=1e-6)
    assert any(of.effect != 0 for of in compartment.effects)
    # the older changes of modalities: without minus with
    drug = next(of for of in compartment.effects if of.source == "drugs")
    older = next(of for of in compartment.modalities if of.modality == "drug")
    assert older.change == pytest.approx(-drug.effect, abs=1e-6)


def test_the_short_text_of_a_compartment(explanation: Explanation, model: SavedModel) -> None:
    one = replace(explanation, compartments=explanation.compartments[:1])
    lines = to_text(one).splitlines()
    assert len(lines) < 25
    name = explanation.compartments[0].compartment
    assert lines[0].startswith(f"{explanation.rna_id}: {name}, probability ")
    assert len(to_text(explanation).splitlines()) < 50
    assert not any("No partners" in line for line in lines)
    alone = explain_reference(model, 5, (0,))
    (missing,) = [line for line in to_text(alone).splitlines() if "No partners" in line]
    assert missing == ("No partners, and neighbours by sequence alone: no networks were given.")


def test_the_command_as_a_person_types_it(
    run,
    finished_run: Path,
    networks: NetworkSet,
    model: SavedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert model.reference is not None
    networks.save(tmp_path / "nets")
    first = run("explain", "--run", str(finished_run), "--networks", str(tmp_path / "nets"))
    best = model.reference.index.ids[strongest_rna(model)]
    assert first.returncode == 0, first.stderr
    assert f"{best} is the RNA predicted most surely" in first.stderr
    assert first.stdout.startswith(f"{best}: ")
    assert ", probability " in first.stdout.splitlines()[0]
    assert "share it are annotated there" in first.stdout
    assert "\n  token " not in first.stdout
    full = run(
        "explain", "--run", str(finished_run), "--networks", str(tmp_path / "nets"), "--full"
    )
    assert full.stdout.startswith(first.stdout.splitlines()[0])
    assert "\n  token " in full.stdout
    name, compartment = model.reference.index.ids[7], model.compartments[1]
    words = (
        "explain",
        "--run",
        str(finished_run / "model"),
        "--rna",
        name.upper(),
        "--compartment",
        compartment.lower(),
    )
    asked = run(*words, "--format", "json")
    output = json.loads(asked.stdout)
    assert (
        output["query"],
        output["known_as"],
        [c["compartment"] for c in output["compartments"]],
    ) == (
        name.upper(),
        name,
        [compartment],
    )
    assert any("not at hand" in note or "at hand are not" in note for note in output["notes"])
    fasta = tmp_path / "x.fa"
    fasta.write_text(f">mine\n{NEW}\n>copy\n{model.reference.sequences[7]}\n>MINE\n{NEW}A\n")
    with (
        monkeypatch.context() as patch
    ):  # empty pictures for three RNAs; that of one is drawn below
        patch.setattr("fusion.explain.figure.draw_explanation", lambda _: Figure())
        out = run(
            "explain",
            "--run",
            str(finished_run),
            "--fasta",
            str(fasta),
            "--compartment",
            compartment,
            "--out",
            "why",
        )
    assert out.returncode == 0, out.stderr
    assert out.stdout == ""
    assert sorted(str(p.relative_to("why")) for p in Path("why").rglob("explanation.*")) == [
        f"{folder}/explanation.{end}"
        for folder in ("MINE_2", "copy", "mine")
        for end in ("json", "png", "txt")
    ]
    assert json.loads(Path("why/copy/explanation.json").read_text())["known_as"] == name
    assert json.loads(Path("why/mine/explanation.json").read_text())["source"] == "sequence alone"
    assert run("explain", "--run", str(finished_run), "--rna", name, "--out", "why").returncode == 3
    again = run(
        "explain",
        "--run",
        str(finished_run),
        "--rna",
        name,
        "--out",
        "why",
        "--overwrite",
        "--compartment",
        compartment,
    )
    assert again.returncode == 0
    assert sorted(p.name for p in Path("why").glob("explanation.*")) == [
        "explanation.json",
        "explanation.png",
        "explanation.txt",
    ]


def test_wrong_words_end_in_a_sentence(
    run, finished_run: Path, networks: NetworkSet, tmp_path: Path
) -> None:
    here = ("explain", "--run", str(finished_run))
    wrong = run(*here, "--rna", "syn-mir-006")
    assert wrong.returncode == 3
    assert "did you mean syn-mir-00" in wrong.stderr
    assert run(*here, "--compartment", "Golgi").returncode == 2
    assert "exclude each other" in run(*here, "--rna", "x", "--fasta", "y").stderr
    assert "expected text or json" in run(*here, "--format", "yaml").stderr
    tower = tmp_path / "tower" / "model"
    tower.mkdir(parents=True)
    (tower / "model.json").write_text(json.dumps({"format": "seqtower"}))
    output = run("explain", "--run", str(tower.parent))
    assert output.returncode == 2
    assert "mirnagraph seq explain" in output.stderr
    fewer = replace(networks, similarities={"sequence": networks.similarities["sequence"] * 0.5})
    fewer.save(tmp_path / "other")
    assert run(*here, "--networks", str(tmp_path / "other")).returncode == 3
    with pytest.raises(CheckpointError, match="no reference RNAs"):
        strongest_rna(replace(load_model(finished_run / "model"), reference=None))


def test_an_unknown_name_does_not_stop_a_list(run, finished_run: Path) -> None:
    words = ("explain", "--run", str(finished_run / "model"), "syn-mir-0002", "nonsense")
    ended = run(*words, "--format", "json")
    assert ended.returncode == 0, ended.stderr
    known, unknown = json.loads(ended.stdout)
    assert [known[name] for name in ("query", "rna_id", "match")] == [
        "syn-mir-0002",
        "syn-mir-0002",
        "id",
    ]
    assert (unknown["query"], unknown["rna_id"], unknown["match"]) == ("nonsense", "", "unknown")
    assert "unknown RNA 'nonsense'" in unknown["reason"]
    assert "1 name without an explanation: nonsense" in ended.stderr
    assert "nonsense: unknown RNA 'nonsense'" in run(*words).stdout
    assert run(*words, "--strict").returncode == 3
    assert run("explain", "--run", str(finished_run / "model"), "nonsense").returncode == 3
