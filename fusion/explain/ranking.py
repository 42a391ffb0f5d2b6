"""Case study of a finished run: its strongest out-of-fold predictions per compartment, each with the evidence the dataset's tables offer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.config import require
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.evaluation.splits import read_folds
from mirnagraph.networks.build import networks_or_demo
from mirnagraph.networks.network import SIMILARITY_NETWORKS, NetworkSet, networks_sha256
from mirnagraph.runs.folder import read_run_json
from mirnagraph.runs.results import read_predictions

N_PARTNERS = 3
N_PMIDS = 5
N_NEIGHBOURS = 3
N_NEAREST = 10


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """What a finished run said about the RNAs of its networks.

    Attributes:
        networks: those the run was made from.
        fold: of each RNA: int64, shape (n_rnas,); -1 trained on only, -2 not used.
        probabilities, thresholds: shape (n_rnas, n_labels); NaN where an RNA was not tested.
    """

    networks: NetworkSet
    fold: np.ndarray
    probabilities: np.ndarray
    thresholds: np.ndarray


def newest_run(folder: str | Path = "runs") -> Path:
    """The run folder directly below `folder` that was finished last.

    Raises:
        InputError: there is none, or a run.json is damaged.
    """
    found = []
    for path in sorted(Path(folder).glob("*/run.json")):
        about = read_run_json(path.parent)
        if about.get("status") == "done" and (path.parent / "predictions.tsv").is_file():
            found.append((datetime.fromisoformat(about["finished"]), path.parent))
    if not found:
        hint = "make one with `mirnagraph train --fold 10`, or name a run folder"
        raise InputError(
            "no finished run in this folder",
            file=Path(folder),
            expected="what `mirnagraph train` writes",
            hint=hint,
        )
    return max(found)[1]


def networks_of_run(run: str | Path, networks: str | Path | None = None) -> NetworkSet:
    """The networks a run was made from, known by the hash that its ``run.json`` keeps.

    Args:
        networks: their folder; None: ``./networks`` where it exists, else the demo, as `mirnagraph train` has it (a run on the demo
            finds the demo even beside a ``./networks`` of something else).

    Raises:
        CheckpointError: these networks are not the ones the run was made from. InputError: not a run, or not a networks folder.
    """
    about = read_run_json(run)
    expected = str(about.get("inputs", {}).get("networks", ""))
    loaded, folder = networks_or_demo(networks)
    if networks_sha256(loaded) == expected:
        return loaded
    if networks is None and folder is not None and about.get("synthetic"):
        from mirnagraph.networks.build import build_networks
        from mirnagraph.synthetic import demo_dataset

        demo = build_networks(demo_dataset())
        if networks_sha256(demo) == expected:
            return demo
    found = f"networks of {loaded.dataset.name} in {folder or 'the demo'}"
    hint = "name the folder the run was trained on: --networks FOLDER"
    raise CheckpointError(
        "the run was made from other networks",
        file=run,
        found=found,
        expected=f"those of {about.get('dataset', 'its dataset')}",
        hint=hint,
    )


def read_run(run: str | Path, networks: NetworkSet) -> FinishedRun:
    """Read a finished run's predictions, folds and thresholds.

    Raises:
        InputError: not a finished run, or a damaged file in it. CheckpointError: the networks are not those of the run.
    """
    run = Path(run)
    about = read_run_json(run)
    if about["status"] != "done":
        raise InputError(
            "the run is not finished",
            file=run,
            found=about["status"],
            expected="done",
            hint="run its command again",
        )
    if about.get("inputs", {}).get("networks") != networks_sha256(networks):
        raise CheckpointError(
            "the run was made from other networks",
            file=run,
            found=networks.dataset.name,
            expected="the networks its run.json names by hash",
        )
    if about.get("sets"):
        raise ConfigError(
            f"{run} is a run over several sets of RNAs (--sets): rank takes runs of the networks alone"
        )
    dataset = networks.dataset
    names = tuple(dataset.compartments)
    table = read_predictions(run / "predictions.tsv", dataset.index, names)
    fold = read_folds(run / "folds.tsv", dataset.index).of_rows(dataset.index)
    rows = dataset.index.positions(table["rna_id"])
    if not np.array_equal(fold[rows], table["fold"].to_numpy()) or len(rows) != int(
        (fold >= 0).sum()
    ):
        raise InputError(
            "the predictions do not fit the folds beside them",
            file=run / "predictions.tsv",
            column="fold",
            expected="the RNAs of folds.tsv",
        )
    probabilities = np.full((len(dataset.index), len(names)), np.nan)
    thresholds = probabilities.copy()
    probabilities[rows] = table[list(names)].to_numpy(dtype=float)
    for number in np.unique(fold[fold >= 0]):
        thresholds[fold == number] = _thresholds(
            run / "folds" / f"fold_{number:02d}" / "fold.json", len(names)
        )
    return FinishedRun(networks, fold, probabilities, thresholds)


def _thresholds(path: Path, n_labels: int) -> np.ndarray:
    try:
        found = np.asarray(
            json.loads(path.read_text(encoding="utf-8"))["choices"]["thresholds"], dtype=float
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "a finished fold is damaged",
            file=path,
            found=str(error),
            expected="the thresholds it chose",
        ) from None
    if found.shape != (n_labels,):
        raise InputError(
            "a finished fold is damaged",
            file=path,
            column="thresholds",
            found=found.shape,
            expected=(n_labels,),
        )
    return found


def rank_order(run: FinishedRun, column: int, *, known: bool, novel: bool) -> np.ndarray:
    """Tested rows from the highest probability for a compartment to the lowest; equals stay in row order.

    Args:
        known, novel: whether RNAs annotated there, and RNAs not annotated there, take part.
    """
    annotated = run.networks.dataset.labels.to_numpy()[:, column] > 0
    rows = np.flatnonzero((run.fold >= 0) & ((annotated & known) | (~annotated & novel)))
    return rows[np.argsort(-run.probabilities[rows, column], kind="stable")]


def rank(
    run: FinishedRun,
    compartments: Sequence[str] | None = None,
    *,
    top: int = 10,
    known: bool = False,
    novel: bool = True,
    similarities: Sequence[str] = SIMILARITY_NETWORKS,
) -> pd.DataFrame:
    """The strongest predictions per compartment, as in Table 5 of GTMALoc (doi:10.3389/fgene.2025.1623008).

    Each probability comes from the model that did not train on the RNA. By default only RNAs without the annotation are ranked:
    new predictions.

    Args:
        compartments: names, compared without case; None: all, in column order.
        top: how many per compartment, 1 or more.
        known, novel: rank RNAs annotated there, and RNAs not annotated there; both: all in one ranking.
        similarities: where neighbours are looked for; those that the networks do not have are left out.

    Returns:
        Columns ``rank`` (from 1), ``rna_id``, ``compartment``, ``probability``, ``threshold`` and ``call`` (1: the probability
        reaches it; it was chosen in the training part), ``known`` (1: annotated), ``fold``; per association kind ``n_KIND``
        (partners) and ``strongest_KIND`` (the three with most records, their number behind them); ``n_pmids`` and ``pmids`` (the
        five highest numbers, hence latest) of its associations; per similarity ``neighbours_NAME`` (the three nearest training RNAs
        annotated there, with the similarity) and ``share_NAME`` (share annotated there of the ten nearest training RNAs, empty without one).

    Raises:
        ConfigError: an unknown compartment, nothing to rank, `top` below 1.
    """
    require(top >= 1, "top", top, "1 or more")
    if not (known or novel):
        raise ConfigError(
            "nothing to rank: neither annotated RNAs (known) nor others (novel) are asked for"
        )
    names = run.networks.dataset.compartments
    wanted = names if not compartments else [_named(name, names) for name in compartments]
    rows = []
    for name in dict.fromkeys(wanted):
        column = names.index(name)
        for place, row in enumerate(rank_order(run, column, known=known, novel=novel)[:top], 1):
            rows.append(
                {
                    "rank": place,
                    **_prediction(run, int(row), column),
                    **_records(run.networks, int(row)),
                    **_near(run, int(row), column, similarities),
                }
            )
    dataset = run.networks.dataset
    columns = ["rank", "rna_id", "compartment", "probability", "threshold", "call", "known", "fold"]
    columns += [
        f"{what}_{kind}" for kind in dataset.associations for what in ("n", "strongest")
    ] + ["n_pmids", "pmids"]
    columns += [
        f"{what}_{name}"
        for name in similarities
        if name in run.networks.similarities
        for what in ("neighbours", "share")
    ]
    return pd.DataFrame(rows, columns=columns)


def _named(name: str, names: list[str]) -> str:
    found = next((known for known in names if known.lower() == name.strip().lower()), None)
    if found is None:
        raise ConfigError(f"no compartment {name!r}; there are {', '.join(names)}")
    return found


def _prediction(run: FinishedRun, row: int, column: int) -> dict[str, object]:
    dataset = run.networks.dataset
    probability = float(run.probabilities[row, column])
    threshold = float(run.thresholds[row, column])
    return {
        "rna_id": dataset.index.ids[row],
        "compartment": dataset.compartments[column],
        "probability": probability,
        "threshold": threshold,
        "call": int(probability >= threshold),
        "known": int(dataset.labels.to_numpy()[row, column]),
        "fold": int(run.fold[row]),
    }


def _records(networks: NetworkSet, row: int) -> dict[str, object]:
    """What is on record about an RNA, kind by kind; no label is read."""
    dataset = networks.dataset
    found: dict[str, object] = {}
    cited: list[object] = []
    for kind, table in dataset.associations.items():
        own = table[table["rna_id"] == dataset.index.ids[row]]
        if "n_records" in own.columns:
            own = own.sort_values("n_records", ascending=False, kind="stable")
            strongest = [
                f"{partner} ({n:g})"
                for partner, n in own[["partner_id", "n_records"]]
                .head(N_PARTNERS)
                .itertuples(index=False)
            ]
        else:
            strongest = [str(partner) for partner in own["partner_id"].head(N_PARTNERS)]
        found |= {f"n_{kind}": len(own), f"strongest_{kind}": "; ".join(strongest)}
        if "pmids" in own.columns:
            cited += own["pmids"].fillna("").tolist()
    latest = latest_pmids(cited)
    return {**found, "n_pmids": len(latest), "pmids": ";".join(latest[:N_PMIDS])}


def _near(
    run: FinishedRun, row: int, column: int, similarities: Sequence[str]
) -> dict[str, object]:
    """Nearest RNAs among those the model that predicted this RNA was trained on."""
    dataset = run.networks.dataset
    found: dict[str, object] = {}
    annotated = dataset.labels.to_numpy()[:, column] > 0
    train = (run.fold >= -1) & (run.fold != run.fold[row])
    for name in similarities:
        if name not in run.networks.similarities:
            continue
        weights = run.networks.similarities[name][row]
        order = nearest_rows(weights, train)
        chosen = order[annotated[order]][:N_NEIGHBOURS]
        nearest = order[:N_NEAREST]
        found[f"neighbours_{name}"] = "; ".join(
            f"{dataset.index.ids[k]} ({weights[k]:.3f})" for k in chosen
        )
        found[f"share_{name}"] = float(annotated[nearest].mean()) if len(nearest) else float("nan")
    return found


def latest_pmids(cells: Iterable[object]) -> list[str]:
    """The PMIDs of ``;``-separated cells, each once, the highest number first, which is the latest."""
    cited = {pmid for cell in cells for pmid in str(cell).split(";") if pmid}
    return sorted(cited, key=lambda pmid: (-int(pmid) if pmid.isdecimal() else 0, pmid))


def nearest_rows(weights: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Training rows from the most similar on, those of no similarity left out; equals stay in row order.

    Args:
        weights: similarity of one RNA to all, shape (n,). train: bool, shape (n,); the RNA itself is not among them.
    """
    seen = np.where(train, weights, 0.0)
    order = np.argsort(-seen, kind="stable")
    return order[seen[order] > 0]
