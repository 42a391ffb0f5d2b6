"""Tables of earlier labels: what is read, refused and joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.temporal.labels import join_molecules, read_earlier, with_labels
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError

IDS = ["a", "b", "c", "d"]


def dataset() -> Dataset:
    """a and b share a mature, b and c another; d has none."""
    return Dataset(
        name="tiny",
        rnas=pd.DataFrame(
            {"sequence": "ACGU", "matures": ["AA;CC", "CC;GG", "GG", ""]},
            index=pd.Index(IDS, name="rna_id"),
            dtype=object,
        ),
        associations={},
        partners={},
        labels=pd.DataFrame(
            {"Nucleus": [1, 0, 1, 0], "Outside": [1, 1, 0, 0]},
            index=pd.Index(IDS, name="rna_id"),
            dtype=np.int8,
        ),
    )


def write(folder: Path, text: str) -> Path:
    path = folder / "earlier.tsv"
    path.write_text(text)
    return path


def test_rnas_without_a_line_are_unlabelled(tmp_path: Path) -> None:
    path = write(tmp_path, "Outside\trna_id\tNucleus\n0\tc\t1\n1\ta\t0\n")
    earlier = read_earlier(path, dataset())
    assert earlier.n_absent == 2
    assert list(earlier.labels.columns) == ["Nucleus", "Outside"]
    assert earlier.labels.index.tolist() == IDS
    assert earlier.labels.to_numpy().tolist() == [[0, 1], [0, 0], [1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rna_id\tNucleus\na\t1\n", "missing column.*Outside"),
        ("rna_id\tNucleus\tOutside\tGolgi\na\t1\t0\t1\n", "'Golgi': a column that is no comp"),
        ("rna_id\tNucleus\tOutside\nx\t1\t0\n", r"line 2, column 'rna_id': a label for an unknown"),
        ("rna_id\tNucleus\tOutside\na\t1\t0\na\t1\t0\n", r"line 3.*duplicate id"),
        ("rna_id\tNucleus\tOutside\na\t1\t2\n", r"line 2, column 'Outside': not a label.*0 or 1"),
        ("rna_id\tNucleus\tOutside\na\t0\t0\n", "no label in the table"),
        ("rna_id\tNucleus\tOutside\na\t1\t1\nb\t0\t1\nc\t1\t0\n", "nothing to score"),
    ],
)
def test_tables_that_do_not_fit_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_earlier(write(tmp_path, text), dataset())


def test_ids_that_share_a_mature_share_labels_one_step_far() -> None:
    labels = pd.DataFrame(
        {"Nucleus": [1, 0, 0, 0], "Outside": [0, 0, 1, 1]}, index=pd.Index(IDS, name="rna_id")
    )
    joined = join_molecules(labels, dataset())
    assert joined["Nucleus"].tolist() == [1, 1, 0, 0]  # not from a through b to c
    assert joined["Outside"].tolist() == [0, 1, 1, 1]
    assert labels["Nucleus"].tolist() == [1, 0, 0, 0]
    assert with_labels(dataset(), labels, "id").labels["Nucleus"].tolist() == [1, 0, 0, 0]
    assert with_labels(dataset(), labels, "molecule").labels["Nucleus"].tolist() == [1, 1, 0, 0]
    with pytest.raises(ConfigError, match=r"labels by 'family'; expected id or molecule"):
        with_labels(dataset(), labels, "family")
