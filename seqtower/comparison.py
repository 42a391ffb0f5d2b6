"""Runs of the sequence tower side by side, and beside their own k-mer baselines, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.compare import compare, compare_fractions
from mirnagraph.evaluation.metrics import FRACTIONS
from mirnagraph.io import read_table
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.folder import read_run_json
from mirnagraph.runs.results import LABELS, PREDICTIONS, read_predictions
from seqtower.baselines.kmer import BASELINES, TOWER


def compare_seq_runs(
    folders: Sequence[str | Path],
    baselines: Sequence[str] = (),
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every run with the first, or, with `baselines`, every run with these baselines of its own.

    Returns:
        The table of `mirnagraph.evaluation.compare.compare` (of `compare_fractions` where labels are fractions) with ``reference`` and
        ``run`` in front; differences are run - reference.

    Raises:
        ConfigError: nothing to compare with, an unknown baseline. InputError: runs on other RNAs, folds or labels.
    """
    unknown = [name for name in baselines if name not in (TOWER, *BASELINES)]
    if unknown:
        raise ConfigError(
            f"unknown baseline {unknown[0]!r}; known: {', '.join((TOWER, *BASELINES))}"
        )
    if len(folders) < 2 and not baselines:
        raise ConfigError("a comparison needs two runs or more, or --baseline")
    kind, labels = _labels(folders[0])
    names = tuple(str(c) for c in labels.columns)
    index = NodeIndex.of(labels.index, "RNA")
    against = compare_fractions if kind == FRACTIONS else compare
    found = []
    for number, folder in enumerate(folders):
        theirs = _labels(folder)
        if (
            theirs[0] != kind
            or list(theirs[1].columns) != list(names)
            or not theirs[1].sort_index().equals(labels.sort_index())
        ):
            raise InputError(
                "the runs were made on other RNAs or labels",
                file=folder,
                expected=f"those of {folders[0]}",
            )
        mine = read_predictions(Path(folder) / PREDICTIONS, index, names)
        references = {name: Path(folder) / "baselines" / name / PREDICTIONS for name in baselines}
        if not baselines and number:
            references = {Path(folders[0]).name: Path(folders[0]) / PREDICTIONS}
        for name, path in references.items():
            part = against(
                read_predictions(path, index, names),
                mine,
                labels,
                n_resamples=n_resamples,
                seed=seed,
            )
            part.insert(0, "run", Path(folder).name)
            part.insert(0, "reference", name)
            found.append(part)
    return pd.concat(found, ignore_index=True)


def _labels(folder: str | Path) -> tuple[str, pd.DataFrame]:
    """Kind and true labels of a finished run."""
    about = read_run_json(folder)
    if about.get("kind") != "seqtower":
        raise InputError(
            "not a run of the sequence tower",
            file=folder,
            hint="for runs of `mirnagraph train` use `mirnagraph compare`",
        )
    if about["status"] != "done":
        raise InputError(
            "the run is not finished",
            file=folder,
            found=about["status"],
            expected="done",
            hint="run its command again",
        )
    path = Path(folder) / LABELS
    table = read_table(path, ["rna_id"]).set_index("rna_id")
    numbers = table.replace("", np.nan).apply(pd.to_numeric, errors="coerce")
    wrong = (numbers.isna() & (table != "")).to_numpy()
    if wrong.any():
        row, column = (int(i[0]) for i in np.nonzero(wrong))
        raise InputError(
            "not a label",
            file=path,
            line=row + 2,
            column=str(table.columns[column]),
            found=table.iloc[row, column],
            expected="a number",
        )
    return str(about["labels"]), numbers
