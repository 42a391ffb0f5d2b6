"""RNALocate 1 against the benchmark: what the reader matches, and popularity as the baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fusion.temporal.evaluate import Pairs, cell, evaluate
from mirnagraph.evaluation.scores import popularity
from mirnagraph.sources import load_dataset
from mirnagraph.sources.mirbase import read_names
from mirnagraph.sources.rnalocate import label_table, read_rnalocate

pytestmark = pytest.mark.real


def test_names_of_every_age_find_their_ids(real_data: Path) -> None:
    dataset = load_dataset("mirna1041")
    records = read_rnalocate(real_data / "rnalocate" / "rnalocate1_loc_mirna_pairs.tsv")
    names = read_names(real_data / "mirbase")
    labels, unused = label_table(records, list(dataset.index.ids), dataset.compartments, names)
    assert len(records) == 2151
    is_listed = unused["compartment"].isin(dataset.compartments)
    # 364 pairs are of other locations; of the 1,787 others 69 name RNAs that are not in the dataset
    assert (~is_listed).sum() == 364
    assert is_listed.sum() == 69
    assert labels.to_numpy().sum() == 1983
    assert labels.to_numpy().any(axis=1).sum() == 691
    for rna in ("hsa-mir-24-1", "hsa-mir-24-2"):
        assert labels.loc[rna, "Exosome"] == 1
    is_open = labels.to_numpy() == 0
    pairs = Pairs(tuple(dataset.compartments), is_open, dataset.labels.to_numpy())
    table = evaluate(pairs, {"popularity": popularity(dataset)}, n_resamples=100)
    assert cell(table, "popularity", "average", "AUC", "value") == pytest.approx(0.811, abs=0.001)
    assert np.isfinite(table["low"]).all()
