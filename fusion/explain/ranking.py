"""Case study of a finished run: its strongest out-of-fold predictions with their evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusion.config import RankingSettings
from fusion.export.load import kind_of, model_folder
from fusion.models.predict import QUERY_COLUMNS
from fusion.temporal.evaluate import POPULARITY, SCORE
from fusion.temporal.labels import read_earlier
from fusion.temporal.run import EARLIER, TEMPORAL, read_temporal
from fusion.temporal.score import ranking_scores
from mirnagraph.config import from_dict, load_toml, require
from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.evaluation.splits import read_folds
from mirnagraph.names import NameResolver, ReferenceNames, suggest
from mirnagraph.networks.build import build_networks, networks_or_demo
from mirnagraph.networks.network import SIMILARITY_NETWORKS, NetworkSet, networks_sha256
from mirnagraph.networks.similarities import similarity_row
from mirnagraph.reading.text import is_pmid
from mirnagraph.runs.results import MODEL, read_fold_entries, read_predictions
from mirnagraph.runs.run_file import check_written, read_finished_run, read_run_json
from seqtower.saved import FORMAT as TOWER_FORMAT

N_PARTNERS = 3
N_PMIDS = 5
N_NEIGHBOURS = 3
N_NEAREST = 10

PREDICTION_COLUMNS = (
    *QUERY_COLUMNS,
    "compartment",
    "score",
    "probability",
    "threshold",
    "call",
    "known",
    "fold",
)

OTHER_NETWORKS = "the run was made from other networks"


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """Out-of-fold predictions of a finished run.

    Attributes:
        networks: those the run was made from.
        fold: of each RNA: int64, shape (n_rnas,); -1 training only, -2 not used.
        probabilities, thresholds: shape (n_rnas, n_labels); NaN where an RNA was not tested.
        scores: by which unlabelled pairs are ranked (see `fusion.temporal.score.ranking_scores`),
            shape (n_rnas, n_labels); None for the probabilities.
        earlier: 0/1, shape (n_rnas, n_labels): labels that a temporal run was trained on; None
            for a run on the labels of the dataset.
    """

    networks: NetworkSet
    fold: np.ndarray
    probabilities: np.ndarray
    thresholds: np.ndarray
    scores: np.ndarray | None = None
    earlier: np.ndarray | None = None

    @property
    def is_annotated(self) -> np.ndarray:
        """Labels that the run was trained on: bool, shape (n_rnas, n_labels)."""
        labels = self.networks.dataset.labels.to_numpy() if self.earlier is None else self.earlier
        return np.asarray(labels > 0)


def finished_runs(folder: str | Path = "runs", model: str | None = None) -> list[Path]:
    """The finished run folders directly below `folder`, oldest first, without temporal runs.

    Args:
        folder: of the run folders.
        model: format of their models, e.g. `fusion.models.saved.FORMAT`, or no model; None for any.

    Raises:
        InputError: a run.json is damaged.
    """
    runs = []
    for run in sorted(path.parent for path in Path(folder).glob("*/run.json")):
        about = read_run_json(run)
        is_done = about.get("status") == "done" and not about.get("temporal")
        is_wanted = model is None or kind_of(model_folder(run)) in (model, None)
        if is_done and is_wanted and (run / "predictions.tsv").is_file():
            runs.append((_date(about, run), run))
    return [run for _, run in sorted(runs)]


def _date(about: Mapping[str, Any], run: Path) -> datetime:
    """When a run was finished."""
    found = about.get("finished")
    try:
        return datetime.fromisoformat(str(found)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            "no date", file=run / "run.json", column="finished", found=found, expected="a date"
        ) from None


def newest_run(folder: str | Path = "runs", model: str | None = None) -> Path:
    """The last of `finished_runs`.

    Raises:
        InputError: there is none, or a run.json is damaged.
    """
    runs = finished_runs(folder, model)
    command = "mirnagraph seq train" if model == TOWER_FORMAT else "mirnagraph train --fold 10"
    if not runs:
        raise InputError(
            "no finished run in this folder",
            file=Path(folder),
            expected=f"a run folder of `{command}`",
            hint=f"make one with `{command}`, or name a run folder",
        )
    return runs[-1]


def networks_of_run(run: str | Path, networks: str | Path | None = None) -> NetworkSet:
    """The networks that a run was made from, compared by the hash in its ``run.json``.

    Args:
        run: folder of the run.
        networks: their folder; None: ``./networks`` where it exists, else the demo, as for
            `mirnagraph train`. A run on the demo finds the demo even where ``./networks`` holds
            something else.

    Raises:
        CheckpointError: the run was made from other networks.
        InputError: not a run, or not a networks folder.
    """
    about = read_run_json(run)
    expected = str(about.get("inputs", {}).get("networks", ""))
    if not expected:
        raise InputError(
            "a run on sequences, not on networks", file=run, expected="a run of `mirnagraph train`"
        )
    loaded, folder = networks_or_demo(networks)
    if networks_sha256(loaded) == expected:
        return loaded
    if networks is None and folder is not None and about.get("synthetic"):
        from mirnagraph.synthetic import demo_dataset

        demo = build_networks(demo_dataset())
        if networks_sha256(demo) == expected:
            return demo
    raise CheckpointError(
        OTHER_NETWORKS,
        file=run,
        found=f"networks of {loaded.dataset.name} in {folder or 'the demo'}",
        expected=f"those of {about.get('dataset', 'its dataset')}",
        hint="name the folder the run was trained on: --networks FOLDER",
    )


def read_run(run: str | Path, networks: NetworkSet) -> FinishedRun:
    """Read predictions, folds and thresholds of a finished run.

    Raises:
        InputError: not a finished run, or a damaged file in it.
        CheckpointError: the networks are not those of the run.
        ConfigError: a run with additional RNA sets.
    """
    run = Path(run)
    about = read_finished_run(run, "predictions.tsv")
    if about.get("inputs", {}).get("networks") != networks_sha256(networks):
        raise CheckpointError(
            OTHER_NETWORKS,
            file=run,
            found=networks.dataset.name,
            expected="the networks its run.json names by hash",
        )
    if about.get("sets"):
        raise ConfigError(
            f"{run} is a run over several sets of RNAs (--sets); expected one of the networks alone"
        )
    index = networks.dataset.index
    names = tuple(networks.dataset.compartments)
    table = read_predictions(run / "predictions.tsv", index, names)
    fold = read_folds(run / "folds.tsv", index).of_rows(index)
    rows = index.positions(table["rna_id"])
    n_tested = int((fold >= 0).sum())
    if len(rows) != n_tested or not np.array_equal(fold[rows], table["fold"].to_numpy()):
        raise InputError(
            "the predictions do not fit folds.tsv",
            file=run / "predictions.tsv",
            column="fold",
            expected="the RNAs of folds.tsv",
        )
    probabilities = np.full((len(index), len(names)), np.nan)
    thresholds = probabilities.copy()
    probabilities[rows] = table[list(names)].to_numpy(dtype=float)
    for number in np.unique(fold[fold >= 0]):
        path = run / "folds" / f"fold_{number:02d}" / "fold.json"
        thresholds[fold == number] = _thresholds(path, len(names))
    labels = networks.dataset.labels.to_numpy()
    earlier = None
    if about.get("temporal"):
        earlier = read_earlier(run / EARLIER, networks.dataset).labels.to_numpy()
        labels = earlier
    scores = ranking_scores(probabilities, labels, networks.dataset, ranking_settings(run))
    return FinishedRun(networks, fold, probabilities, thresholds, scores, earlier)


def prediction_table(run: FinishedRun) -> pd.DataFrame:
    """Out-of-fold predictions of every RNA of a run.

    Returns:
        Index ``rna_id``, a column of probabilities per compartment, NaN where an RNA was not
        tested, and ``called``, the compartments whose probability reaches the threshold, separated
        by ``;``.
    """
    names = list(run.networks.dataset.compartments)
    index = pd.Index(run.networks.dataset.index.ids, name="rna_id")
    table = pd.DataFrame(run.probabilities, index=index, columns=names)
    is_called = run.probabilities >= run.thresholds
    texts = np.array(names, dtype=object)
    table["called"] = [";".join(texts[row]) for row in is_called]
    return table


def ranking_settings(run: Path) -> RankingSettings:
    """Table ``[ranking]`` of a run's settings; the defaults for a run of an older version.

    Raises:
        InputError, ConfigError: malformed settings.
    """
    path = run / "config.toml"
    if not path.is_file():
        return RankingSettings()
    return from_dict(RankingSettings, load_toml(path).get("ranking", {}), where="ranking")


def temporal_precision(run: str | Path) -> tuple[Path, pd.DataFrame] | None:
    """Precision at k of the ranking, as measured by a temporal run.

    Args:
        run: a run folder: of a temporal run, or with one in its subfolder ``temporal``.

    Returns:
        The folder of the temporal run, and ``compartment``, ``metric``, ``score``, ``low``,
        ``high`` (95 % interval), ``popularity`` (precision by popularity alone): of the ranking of
        each compartment, as a mean over compartments (``average``). None without a temporal run.

    Raises:
        InputError: its table is malformed.
    """
    for folder in (Path(run), Path(run) / "temporal"):
        if (folder / TEMPORAL).is_file():
            check_written(folder)
            table = read_temporal(folder)
            is_shown = table["metric"].str.startswith("precision")
            is_shown &= table["compartment"] == AVERAGE
            by_metric = table[is_shown].set_index(["compartment", "metric"])
            score = by_metric[by_metric["ranking"] == SCORE]
            shown = score[["value", "low", "high"]].rename(columns={"value": SCORE})
            is_popularity = by_metric["ranking"] == POPULARITY
            shown[POPULARITY] = by_metric.loc[is_popularity, "value"]
            return folder, shown.reset_index()
    return None


def _thresholds(path: Path, n_labels: int) -> np.ndarray:
    try:
        about = read_fold_entries(path.parent)
        if "thresholds" in about:
            values = about["thresholds"][MODEL]
        else:  # a run of an older version
            values = about["choices"]["thresholds"]
        return np.asarray(values, dtype=float).reshape(n_labels)
    except (OSError, ValueError, KeyError, TypeError, InputError) as error:
        raise InputError(
            "a finished fold is damaged",
            file=path,
            column="thresholds",
            found=str(error),
            expected=f"{n_labels} numbers",
        ) from None


def rank_order(run: FinishedRun, column: int, *, known: bool, novel: bool) -> np.ndarray:
    """Tested rows of a compartment, the strongest prediction first; ties in row order.

    Unlabelled RNAs alone are ordered by the score of the run, others by their probability.

    Args:
        run: the finished run.
        column: of the compartment.
        known: whether RNAs annotated there are ranked.
        novel: whether RNAs not annotated there are ranked.
    """
    is_annotated = run.is_annotated[:, column]
    is_ranked = (is_annotated & known) | (~is_annotated & novel)
    rows = np.flatnonzero((run.fold >= 0) & is_ranked)
    scores = run.probabilities
    if run.scores is not None and not known:
        scores = run.scores
    return rows[np.argsort(-scores[rows, column], kind="stable")]


def rank(
    run: FinishedRun,
    compartments: Sequence[str] | None = None,
    *,
    top: int = 10,
    known: bool = False,
    novel: bool = True,
    similarities: Sequence[str] = SIMILARITY_NETWORKS,
) -> pd.DataFrame:
    """The strongest predictions per compartment, as in Table 5 of GTMALoc.

    Each probability is out-of-fold. By default only RNAs without the annotation are ranked, by the
    score of the run: new predictions. Table 5: doi:10.3389/fgene.2025.1623008.

    Args:
        run: the finished run.
        compartments: names, compared without case; None: all, in column order.
        top: number per compartment, 1 or more.
        known: whether RNAs annotated there are ranked.
        novel: whether RNAs not annotated there are ranked.
        similarities: networks of the neighbours; those that the run does not have are left out.

    Returns:
        Columns ``rank`` (from 1), ``query``, ``rna_id``, ``accession`` and ``match`` as of
        `predict`, ``compartment``, ``score`` (in [0, 1]), ``probability``, ``threshold`` and
        ``call`` (1: the probability reaches it; chosen on training rows), ``known`` (1:
        annotated), ``fold``; of a temporal run ``later`` (1: the dataset has the annotation). Per
        kind of association ``n_KIND`` (partners) and ``strongest_KIND`` (the three with most
        records, with their number); ``n_pmids`` and
        ``pmids`` (the five highest, hence latest) of its associations. Per similarity
        ``neighbours_NAME`` (the three nearest training RNAs annotated there, with the similarity)
        and ``share_NAME`` (share annotated there of the ten nearest training RNAs, empty without
        any).

    Raises:
        ConfigError: an unknown compartment, nothing to rank, `top` below 1.
    """
    require(top >= 1, "top", top, "1 or more")
    if not (known or novel):
        raise ConfigError(
            "nothing to rank: neither annotated RNAs (known) nor others (novel) are selected"
        )
    dataset = run.networks.dataset
    names = dataset.compartments
    columns = compartment_columns(compartments or names, names)
    similarities = [name for name in similarities if name in run.networks.similarities]
    resolver = NameResolver(ReferenceNames(tuple(dataset.index.ids), dataset.names))
    rows = []
    for column in columns:
        order = rank_order(run, column, known=known, novel=novel)[:top]
        for place, row in enumerate(order.tolist(), 1):
            prediction = _prediction(run, row, column)
            neighbours = _neighbours(run, row, column, similarities)
            match = resolver.match(dataset.index.ids[row])
            found = (match.query, match.rna_id, match.accession, match.kind)
            cells = dict(zip(QUERY_COLUMNS, found, strict=True)) | prediction
            rows.append({"rank": place, **cells, **_associations(dataset, row), **neighbours})
    header = ["rank", *PREDICTION_COLUMNS]
    if run.earlier is not None:
        header.append("later")
    for kind in dataset.associations:
        header += [f"n_{kind}", f"strongest_{kind}"]
    header += ["n_pmids", "pmids"]
    for name in similarities:
        header += [f"neighbours_{name}", f"share_{name}"]
    return pd.DataFrame(rows, columns=header)


def compartment_columns(names: Sequence[str], compartments: Sequence[str]) -> list[int]:
    """Columns of compartments by name, compared without case, each once.

    Raises:
        ConfigError: an unknown name, with those that are near.
    """
    column_of = {name.lower(): column for column, name in enumerate(compartments)}
    columns = {}
    for name in names:
        column = column_of.get(name.strip().lower())
        if column is None:
            near = ", ".join(suggest(name, compartments))
            hint = f"; did you mean {near}?" if near else ""
            available = ", ".join(compartments)
            raise ConfigError(f"unknown compartment {name!r}; available: {available}{hint}")
        columns[column] = name
    return list(columns)


def _prediction(run: FinishedRun, row: int, column: int) -> dict[str, object]:
    dataset = run.networks.dataset
    probability = float(run.probabilities[row, column])
    threshold = float(run.thresholds[row, column])
    cells = {
        "compartment": dataset.compartments[column],
        "score": probability if run.scores is None else float(run.scores[row, column]),
        "probability": probability,
        "threshold": threshold,
        "call": int(probability >= threshold),
        "known": int(run.is_annotated[row, column]),
        "fold": int(run.fold[row]),
    }
    if run.earlier is not None:
        cells["later"] = int(dataset.labels.to_numpy()[row, column])
    return cells


def _associations(dataset: Dataset, row: int) -> dict[str, object]:
    """Partners and publications of an RNA, per kind of association; no label is read."""
    cells: dict[str, object] = {}
    cited: list[object] = []
    for kind, table in dataset.associations.items():
        records = table[table["rna_id"] == dataset.index.ids[row]]
        if "n_records" in records.columns:
            records = records.sort_values("n_records", ascending=False, kind="stable")
            pairs = zip(records["partner_id"], records["n_records"], strict=True)
            strongest = [f"{partner} ({n:g})" for partner, n in pairs]
        else:
            strongest = [str(partner) for partner in records["partner_id"]]
        cells[f"n_{kind}"] = len(records)
        cells[f"strongest_{kind}"] = "; ".join(strongest[:N_PARTNERS])
        if "pmids" in records.columns:
            cited += records["pmids"].fillna("").tolist()
    latest = latest_pmids(cited)
    cells["n_pmids"] = len(latest)
    cells["pmids"] = ";".join(latest[:N_PMIDS])
    return cells


def _neighbours(
    run: FinishedRun, row: int, column: int, similarities: Sequence[str]
) -> dict[str, object]:
    """Nearest RNAs among those that the model of this RNA's fold was trained on."""
    dataset = run.networks.dataset
    cells: dict[str, object] = {}
    is_annotated = run.is_annotated[:, column]
    is_training = (run.fold >= -1) & (run.fold != run.fold[row])
    for name in similarities:
        weights = similarity_row(run.networks.similarities[name], row)
        order = nearest_rows(weights, is_training)
        annotated = order[is_annotated[order]][:N_NEIGHBOURS]
        shown = [f"{dataset.index.ids[near]} ({weights[near]:.3f})" for near in annotated]
        nearest = is_annotated[order[:N_NEAREST]]
        cells[f"neighbours_{name}"] = "; ".join(shown)
        cells[f"share_{name}"] = float(nearest.mean()) if len(nearest) else np.nan
    return cells


def latest_pmids(cells: Iterable[object]) -> list[str]:
    """The PMIDs of ``;``-separated cells, each once, the highest number (the latest) first."""
    cited = {pmid for cell in cells for pmid in str(cell).split(";") if pmid}
    return sorted(cited, key=lambda pmid: (-int(pmid) if is_pmid(pmid) else 0, pmid))


def nearest_rows(weights: np.ndarray, is_training: np.ndarray) -> np.ndarray:
    """Training rows of positive similarity, the most similar first; ties in row order.

    Args:
        weights: similarity of one RNA to all, shape (n,).
        is_training: bool, shape (n,); False for the RNA itself.
    """
    masked = np.where(is_training, weights, 0.0)
    order = np.argsort(-masked, kind="stable")
    return order[masked[order] > 0]
