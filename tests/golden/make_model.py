"""Golden model of the current format and its predictions: `python tests/golden/make_model.py`.

Run it when `fusion.models.saved.FORMAT_VERSION` (or that of `seqtower.saved`, for the tower) has
gone up, and commit the new folder next to the old ones. Models of earlier versions are never made
again: they have to stay readable.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from fusion.config import ExperimentConfig, experiment_config
from fusion.data.prepare import prepare, resolve_tokens
from fusion.experiments.train import run_experiment
from fusion.export.export import export_run
from fusion.export.load import load
from fusion.models.ensemble import fit_fusion_model
from fusion.models.predict import predict_reference, predict_sequences, predict_with_tower
from fusion.models.saved import FORMAT_VERSION, SavedModel, load_model, save_model
from mirnagraph.networks.build import build_networks
from mirnagraph.synthetic import make_dataset
from seqtower.config import seq_config
from seqtower.data.synthetic import planted_sequences
from seqtower.run import run_seq
from seqtower.saved import FORMAT_VERSION as TOWER_VERSION
from seqtower.saved import SavedTower

HERE = Path(__file__).resolve().parent
NEW = {
    "new-1": "UGAGGUAGUAGGUUGUAUAGUUUUAGGGUCACACCCACCACUGGGAGAUAACUAUACAAUCUACUGUCUUUCC",
    "new-2": "ACGU" * 20,
    "new-3": "GGGAAAUUUCCCNACGUUGCA",
}
SMALL = {
    "tokens": {
        "attention": ["trees", "svd:disease", "degree"],
        "trees": ["kmer", "neighbours:sequence"],
        "svd_dim": 4,
    },
    "attention": {"dim": 8, "n_heads": 2},
    "training": {"epochs": 2, "n_members": 1, "n_students": 1},
    "trees": {"n_trees": 5, "rounds": 2},
    "newcomers": "",  # the preset's trees are too many to keep: fitted below
}
SMALL_NEW = {
    "tokens": {
        "attention": ["trees", "n_similar", "neighbour_profile:*"],
        "trees": ["kmer", "n_similar", "neighbours:sequence"],
        "svd_dim": 4,
    },
    **{name: SMALL[name] for name in ("attention", "training", "trees")},
}


def make_graph_model(folder: Path) -> None:
    """Export a small model of synthetic networks with its cold-start model."""
    networks = build_networks(make_dataset(30, 3))
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        config = _small("default", SMALL)
        run_experiment(
            networks, replace(config, folds=replace(config.folds, n_folds=3)), run, baselines=True
        )
        made = load_model(run / "model")
        assert made.reference is not None
        settings = resolve_tokens(networks, _small("cold", SMALL_NEW))
        newcomers = fit_fusion_model(
            prepare(networks, settings), np.arange(len(made.reference.index)), settings, 0
        )
        about = {
            name: made.about[name] for name in ("dataset", "synthetic", "protocol", "out_of_fold")
        }
        save_model(
            made.fusion_model(made.reference.tokens),
            made.reference,
            made.compartments,
            run / "model",
            about=about,
            cold_start=newcomers,
        )
        export_run(run, folder, overwrite=True)


def make_tower(folder: Path) -> None:
    """Export a small model of sequences with planted motifs: tower and trees on descriptors."""
    small = {
        "tower.settings": {"filters": 4, "units": 4, "attention_units": 4},
        "training": {"epochs": 1, "least_steps": 0},
    }
    toml = "".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
        for name, values in small.items()
    )
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "small.toml").write_text(
            toml + "[descriptors]\nweight = 0.5\n[descriptors.trees]\nn_trees = 3\nrounds = 2\n"
        )
        config = seq_config("rnatracker", Path(place) / "small.toml", n_folds=2)
        run_seq(
            planted_sequences(24, longest=120).data,
            config,
            Path(place) / "run",
            name="planted words",
            baselines=False,
        )
        export_run(Path(place) / "run", folder, overwrite=True)


def expected(folder: Path) -> dict[str, object]:
    """Probabilities of an exported model: new sequences, reference RNAs out-of-fold and final."""
    model = load(folder)
    if isinstance(model, SavedTower):
        return {
            "new": _by_name(
                list(NEW), predict_with_tower(model, list(NEW), list(NEW.values())).probabilities
            )
        }
    assert isinstance(model, SavedModel)
    assert model.reference is not None
    rows = np.arange(6)
    names = [model.reference.index.ids[row] for row in rows]
    return {
        "new": _by_name(
            list(NEW), predict_sequences(model, list(NEW), list(NEW.values())).probabilities
        ),
        "known": _by_name(names, predict_reference(model, rows).probabilities),
        "final": _by_name(names, model.fusion_model(model.reference.tokens).predict(rows)),
    }


def _by_name(names: list[str], probabilities: np.ndarray) -> dict[str, list[float]]:
    return {name: [float(p) for p in row] for name, row in zip(names, probabilities, strict=True)}


def _small(preset: str, over: dict[str, object]) -> ExperimentConfig:
    return experiment_config(preset, over=over)


def main() -> None:
    """Make the models that are not there yet."""
    for name, make in (
        (f"model_v{FORMAT_VERSION}", make_graph_model),
        (f"tower_v{TOWER_VERSION}", make_tower),
    ):
        folder = HERE / name
        if folder.exists():
            sys.stderr.write(
                f"{folder} exists and stays: delete it first if its format was never released\n"
            )
            continue
        make(folder)
        (HERE / f"{name}.expected.json").write_text(
            json.dumps(expected(folder), indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
