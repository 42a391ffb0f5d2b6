"""`mirnagraph export` as a person types it, and what loading an exported model refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w

import mirnagraph
from fusion.config import experiment_config
from fusion.experiments.train import run_experiment
from fusion.explain.evidence import partners_of
from fusion.explain.run import explain_query, name_queries
from fusion.export.evidence import _nearest, _pmids, add_evidence, stored_networks
from fusion.export.export import export_run, without_places
from fusion.export.files import CARD, EXPORT
from fusion.export.load import load
from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError
from seqtower.config import seq_config
from seqtower.data.synthetic import planted_sequences
from seqtower.run import run_seq

QUICK: dict[str, Any] = {
    "tokens": {"attention": ["svd:disease", "degree"], "trees": ["kmer"]},
    "attention": {"dim": 8, "n_heads": 2},
    "training": {"epochs": 2, "n_members": 1, "n_students": 0},
    "trees": {"n_trees": 5, "rounds": 2, "boosting_width": 20},
    "newcomers": "",
}
SEQUENCE = "UGAGGUAGUAGGUUGUAUAGUUUUAGGGUCACACCC"


@pytest.fixture(scope="module")
def finished(networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of `mirnagraph train` with three folds of a file,
    shared by the tests of this module: copy it before changing it.
    """
    place = tmp_path_factory.mktemp("finished")
    ids = list(networks.dataset.index)
    pd.DataFrame({"rna_id": ids, "fold": [row % 3 for row in range(len(ids))]}).to_csv(
        place / "mine.tsv", sep="\t", index=False
    )
    config = experiment_config(over=QUICK, split=str(place / "mine.tsv"))
    run_experiment(networks, config, place / "run", baselines=False)
    return place / "run"


@pytest.fixture
def kept(project: Path, in_empty_folder: Path) -> Path:
    """A copy of the kept model of networks, as ``model`` in the folder the test works in."""
    return Path(
        shutil.copytree(project / "tests" / "golden" / "model_v3", in_empty_folder / "model")
    )


@pytest.fixture
def tower(project: Path, in_empty_folder: Path) -> Path:
    """A copy of the kept tower, as ``tower`` in the folder the test works in."""
    return Path(
        shutil.copytree(project / "tests" / "golden" / "tower_v1", in_empty_folder / "tower")
    )


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("text", ["mit\ntags: [x]", "a b", "a: b"])
def test_a_licence_adds_no_settings_to_the_card(run, finished: Path, text: str) -> None:
    ended = run("export", str(finished), "model", "--license", text)
    assert (ended.returncode, Path("model").exists()) == (2, False)
    assert "expected its name on the hub, such as mit or cc-by-4.0" in ended.stderr


def test_graphs_do_not_go_into_the_folder_of_the_model(run, finished: Path) -> None:
    ended = run("export", str(finished), "model", "--graphml", "model/graphs")
    assert (ended.returncode, Path("model").exists()) == (3, False)
    assert "model/graphs: --graphml is inside --folder; choose another output" in ended.stderr


def test_a_run_becomes_a_model_to_hand_on(run, finished: Path, in_empty_folder: Path) -> None:
    ended = run("export", str(finished), "model", "--license", "cc-by-4.0")
    assert ended.returncode == 0, ended.stderr
    assert "Written to model" in ended.stderr
    folder = in_empty_folder / "model"
    assert sorted(p.name for p in folder.iterdir()) == [
        CARD,
        EXPORT,
        "known.safetensors",
        "known.tsv",
        "model.json",
        "model.safetensors",
    ]
    about = json.loads((folder / EXPORT).read_text())
    assert (
        about["training_set"]["inputs"] == json.loads((finished / "run.json").read_text())["inputs"]
    )
    assert set(about["files"]) == {
        "known.safetensors",
        "known.tsv",
        "model.json",
        "model.safetensors",
    }
    texts = "".join(
        p.read_text()
        for p in (folder / CARD, folder / EXPORT, folder / "model.json", folder / "known.tsv")
    )
    assert str(finished.parent) not in texts
    assert json.loads((folder / "model.json").read_text())["config"]["folds"]["split"] == "mine.tsv"
    card = (folder / CARD).read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\nlibrary_name: mirnagraph\n")
    assert "Folds of a file, 3 of them" in card
    assert "No baseline was run" in card
    assert "It has no cold-start model for new RNAs." in card
    (here, there) = (mirnagraph.predict(path) for path in (finished, folder))
    np.testing.assert_array_equal(here.probabilities, there.probabilities)
    again = run("export", str(finished), "model")
    assert (again.returncode, "exists and is not empty" in again.stderr) == (3, True)
    assert run("export", str(finished), "model", "--overwrite", "-q").stderr == ""
    assert (folder / CARD).read_text().startswith("---\n# license: choose one")


def test_a_run_on_sequences_too(run, in_empty_folder: Path) -> None:
    small = {
        "rnatracker": {"filters": 4, "units": 4, "attention_units": 4},
        "training": {"epochs": 1, "least_steps": 0},
    }
    (in_empty_folder / "small.toml").write_text(tomli_w.dumps(small))
    config = seq_config("rnatracker", in_empty_folder / "small.toml", n_folds=2)
    run_seq(
        planted_sequences(24, longest=120).data,
        config,
        in_empty_folder / "run",
        name="planted",
        baselines=False,
    )
    ended = run("export", "run", "model")
    assert ended.returncode == 0, ended.stderr
    about = json.loads((in_empty_folder / "model" / EXPORT).read_text())
    assert (about["model"], about["vocabulary"]["letters"], about["nodes"]) == (
        "seqtower",
        "ACGUN",
        None,
    )
    assert (
        about["training_set"]["inputs"]
        == json.loads((in_empty_folder / "run" / "run.json").read_text())["inputs"]
    )
    card = (in_empty_folder / "model" / CARD).read_text()
    assert "2 folds, grouped by near-duplicate sequences" in card
    assert "- rnatracker\n---" in card
    here, there = (
        mirnagraph.predict(in_empty_folder / name, sequences={"mine": SEQUENCE})
        for name in ("run", "model")
    )
    np.testing.assert_array_equal(here.probabilities, there.probabilities)


def test_wrong_use_ends_in_one_sentence(run, finished: Path, in_empty_folder: Path) -> None:
    (in_empty_folder / "mine").mkdir()
    (in_empty_folder / "mine" / "letter.txt").write_text("dear")
    for words, code, sentence in (
        ((str(finished),), 2, "no target: give an output folder, or --push OWNER/NAME"),
        ((str(finished), "model", "--private"), 2, "--private needs --push OWNER/NAME"),
        (
            (str(finished), "--push", "nowhere"),
            2,
            "'nowhere' is no repository of the Hugging Face hub",
        ),
        (("mine", "model"), 3, "not a run folder (no run.json)"),
        (
            (str(finished), "mine", "--overwrite"),
            3,
            "was not written by mirnagraph, so it is not replaced; found letter.txt",
        ),
        ((str(finished), "mine"), 3, "the output folder exists and is not empty"),
    ):
        ended = run("export", *words)
        assert (ended.returncode, sentence in ended.stderr) == (code, True), ended.stderr
    assert [p.name for p in in_empty_folder.iterdir()] == ["mine"]


def unfinished(folder: Path) -> None:
    change(folder / "run.json", status="running")


def without_model(folder: Path) -> None:
    shutil.rmtree(folder / "model")


def cut_weights(folder: Path) -> None:
    path = folder / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (unfinished, "the run is not finished; found running"),
        (without_model, "the run has no model"),
        (cut_weights, "model.safetensors: damaged or missing weights"),
    ],
)
def test_what_is_not_a_whole_run_is_not_exported(
    run, finished: Path, in_empty_folder: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    folder = Path(shutil.copytree(finished, in_empty_folder / "run"))
    damage(folder)
    ended = run("export", "run", "model")
    assert (ended.returncode, sentence in ended.stderr) == (3, True), ended.stderr
    assert [p.name for p in in_empty_folder.iterdir()] == ["run"]


def test_an_exported_model_predicts_from_the_command_line(run, kept: Path, tower: Path) -> None:
    (kept.parent / "new.fa").write_text(f">mine\n{SEQUENCE}\n")
    for words in (
        ("predict", "--run", "model"),
        ("predict", "--run", "tower"),
        ("seq", "predict", "--run", "tower"),
    ):
        ended = run(*words, "--fasta", "new.fa")
        assert ended.returncode == 0, ended.stderr
        assert "mine\t" in ended.stdout
    ended = run("seq", "predict", "--run", "model", "--fasta", "new.fa")
    assert (ended.returncode, "a model of networks, not of sequences" in ended.stderr) == (3, True)


def flip(folder: Path) -> None:
    path = folder / "newcomers" / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))


def another_order(folder: Path) -> None:
    change(
        folder / EXPORT,
        compartments=json.loads((folder / EXPORT).read_text())["compartments"][::-1],
    )


def another_order_in_the_model(folder: Path) -> None:
    change(
        folder / "model.json",
        compartments=json.loads((folder / "model.json").read_text())["compartments"][::-1],
    )


def outside(folder: Path) -> None:
    files = json.loads((folder / EXPORT).read_text())["files"]
    (folder.parent / "other.json").write_text("{}")
    change(folder / EXPORT, files={**files, "../other.json": files["model.json"]})


def link(folder: Path) -> None:
    (folder.parent / "known.tsv").write_bytes((folder / "known.tsv").read_bytes())
    (folder / "known.tsv").unlink()
    (folder / "known.tsv").symlink_to(folder.parent / "known.tsv")


def linked_folder(folder: Path) -> None:
    (folder / "newcomers").rename(folder.parent / "newcomers")
    (folder / "newcomers").symlink_to(folder.parent / "newcomers")


DAMAGES: list[tuple[Callable[[Path], Any], str]] = [
    (flip, "newcomers/model.safetensors: the file is not the one that export.json lists"),
    (another_order, "column 'compartments': export.json does not describe this model"),
    (another_order_in_the_model, "model.json: the file is not the one that export.json lists"),
    (outside, "a name that may not be in an exported model; found ../other.json"),
    (link, "known.tsv: a link in an exported model"),
    (linked_folder, "newcomers: a link in an exported model"),
    (
        lambda folder: (folder / "more.json").write_text("{}"),
        "more.json: a file that export.json does not list",
    ),
    (
        lambda folder: (folder / "model.pkl").write_bytes(b"\x80\x04."),
        "model.pkl: not a file of an exported model",
    ),
    (
        lambda folder: (folder / "newcomers" / ".hidden").write_text("x"),
        ".hidden: not a file of an exported model",
    ),
    (
        lambda folder: (folder / "known.tsv").unlink(),
        "known.tsv: a file that export.json lists is missing",
    ),
    (lambda folder: (folder / EXPORT).write_text("{"), "damaged export.json"),
    (
        lambda folder: change(folder / EXPORT, format_version=99),
        "unknown format of an exported model",
    ),
    (
        lambda folder: change(folder / EXPORT, files=["model.json"]),
        "no list of files with their sha256",
    ),
    (
        lambda folder: change(folder / EXPORT, temperature=2.0),
        "column 'temperature': export.json does not describe this model",
    ),
    (
        lambda folder: change(folder / EXPORT, nodes={"n": 30, "checksum": "0"}),
        "column 'nodes': export.json does not describe this model",
    ),
]


@pytest.mark.parametrize(
    ("damage", "sentence"), DAMAGES, ids=[f"{number}" for number in range(len(DAMAGES))]
)
def test_a_model_that_is_not_whole_is_refused(
    run, kept: Path, damage: Callable[[Path], Any], sentence: str
) -> None:
    damage(kept)
    ended = run("predict", "--run", "model")
    assert (ended.returncode, sentence in ended.stderr) == (3, True), ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"format_version": 4},
            "a model of another format version; found format_version 4, expected format_version 3",
        ),
        ({"format": "pickle"}, "not a model of this program; found pickle"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"weights": {}}, "weights of nothing for attention, extra_trees, boosting"),
        ({"compartments": ["Cytoplasm"]}, "the model's files do not fit each other"),
        ({"tokens": {"kmer": 3}}, "the model's files do not fit each other"),
    ],
)
def test_a_model_folder_without_a_list_is_checked_too(
    kept: Path, values: dict[str, Any], sentence: str
) -> None:
    (kept / EXPORT).unlink()
    load(kept)
    change(kept / "model.json", **values)
    with pytest.raises(CheckpointError, match=sentence):
        load(kept)


def test_the_card_is_its_owners_and_what_the_hub_adds_is_passed_over(kept: Path) -> None:
    (kept / CARD).write_text("mine\n")
    (kept / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    (kept / ".cache" / "huggingface").mkdir(parents=True)
    (kept / ".cache" / "huggingface" / "x.metadata").write_text("")
    assert load(kept).compartments == ("Cytoplasm", "Exosome", "Nucleolus")


def test_compartments_are_the_ones_asked_for(kept: Path, tower: Path) -> None:
    assert (
        load(kept, compartments=["Cytoplasm", "Exosome", "Nucleolus"]).about["format_version"] == 3
    )
    with pytest.raises(
        CheckpointError,
        match="another order of them; found Cytoplasm, Exosome, Nucleolus, expected Exosome",
    ):
        load(kept, compartments=["Exosome", "Cytoplasm", "Nucleolus"])
    with pytest.raises(CheckpointError, match="another order"):
        load(tower, compartments=["Exosome"])


def test_paths_are_cut_and_nothing_else() -> None:
    said = {
        "split": "/data/mine/f.tsv",
        "list": ["../a/b.tsv", "~/c", "C:\\me\\d.tsv", "svd:*", "a/b"],
        "n": 1,
        "source": "half / half",
    }
    assert without_places(said) == {
        "split": "f.tsv",
        "list": ["b.tsv", "c", "d.tsv", "svd:*", "a/b"],
        "n": 1,
        "source": "half / half",
    }


def test_evidence_of_the_networks_is_stored_with_the_model(
    run, finished: Path, networks, tmp_path: Path
) -> None:
    """Partners, PMIDs and the nearest RNAs are those of the networks; predictions stay."""
    networks.save(tmp_path / "networks")
    ended = run("export", str(finished), "model", "--networks", str(tmp_path / "networks"))
    assert ended.returncode == 0, ended.stderr
    card = Path("model", CARD).read_text(encoding="utf-8")
    n_diseases = len(networks.dataset.associations["disease"])
    assert f"disease {n_diseases}" in card
    assert card.index("## Data") < card.index("## Evidence") < card.index("## Protocol")
    model = load("model")
    plain = load(finished)
    assert stored_networks(plain) is None
    stored = stored_networks(model)
    assert stored is not None
    for kind, table in networks.dataset.associations.items():
        made = stored.dataset.association_matrix(kind)
        assert (made != networks.dataset.association_matrix(kind)).nnz == 0, kind
        assert len(stored.dataset.associations[kind]) == len(table)
    for row in (0, 5, 17):
        for column in range(len(model.compartments)):
            of_stored = partners_of(stored.dataset, model.reference, row, column)
            assert of_stored == partners_of(networks.dataset, model.reference, row, column)
    query = name_queries(model, [model.reference.index.ids[5]])[0]
    with_networks = explain_query(plain, query, (), networks)
    assert explain_query(model, query) == with_networks
    assert any(of.partners for of in with_networks.compartments)
    assert explain_query(plain, query).compartments[0].partners == ()
    add_evidence("model", networks, model)  # again: the card has one section
    assert Path("model", CARD).read_text(encoding="utf-8") == card
    assert load("model").thresholds.tolist() == plain.thresholds.tolist()


def test_evidence_of_other_rnas_or_damaged_is_refused(
    finished: Path, networks, tmp_path: Path
) -> None:
    out = export_run(finished, tmp_path / "model", networks=networks)
    ids = list(networks.dataset.index)
    other = replace(
        networks, dataset=renamed(networks.dataset, dict(zip(ids, ids[::-1], strict=True)))
    )
    with pytest.raises(CheckpointError, match="other RNAs than the model"):
        add_evidence(out, other, load(out))
    path = shutil.copytree(out, tmp_path / "damaged") / "evidence.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match=r"not the one that export.json lists"):
        load(path.parent)
    (path.parent / EXPORT).unlink()
    with pytest.raises(CheckpointError, match="the evidence of the model is damaged"):
        stored_networks(load(path.parent))


def renamed(dataset: Dataset, new: dict[str, str]) -> Dataset:
    """The dataset with other names of its RNAs."""
    associations = {
        kind: table.assign(rna_id=table["rna_id"].map(new))
        for kind, table in dataset.associations.items()
    }
    return replace(
        dataset,
        rnas=dataset.rnas.rename(index=new),
        labels=dataset.labels.rename(index=new),
        associations=associations,
        measurements={},
    )


def test_latest_pmids_by_hand() -> None:
    cells = pd.Series(["9;100;30;5", "", None, "7;x"])
    assert _pmids(cells).tolist() == [[100, 30, 9], [0, 0, 0], [0, 0, 0], [7, 0, 0]]
    similarity = np.array([[1, 0.2, 0.9], [0.2, 1, 0.4], [0.9, 0.4, 1]], dtype=np.float32)
    near, weights = _nearest(similarity)
    assert near.tolist() == [[2, 1], [2, 0], [0, 1]]
    np.testing.assert_allclose(weights, [[0.9, 0.2], [0.4, 0.2], [0.9, 0.4]], rtol=1e-6)
