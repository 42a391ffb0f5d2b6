"""The header file of DeepLocRNA's miRNAs: every record read, and families that no fold parts."""

from __future__ import annotations

import pytest

from seqtower.config import seq_config
from seqtower.data.sets import join_headers
from seqtower.experiment import groups_of, make_seq_folds

COMPARTMENTS = (
    "Nucleus",
    "Exosome",
    "Cytosol",
    "Cytoplasm",
    "Ribosome",
    "Membrane",
    "Endoplasmic reticulum",
)
pytestmark = pytest.mark.real


def test_all_records_of_the_published_file_are_read(real_data) -> None:
    path = real_data / "rnalocate" / "rnalocate2_miRNA_DeepLocRNA.fasta"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    data = join_headers(path, COMPARTMENTS, columns=("Nucleus", "Exosome", "Cytoplasm"))
    assert len(data) == 2063
    assert data.labels.sum(axis=0).tolist() == [511, 1732, 263]
    assert data.groups is not None
    assert (
        len(
            {
                group
                for name, group in zip(data.index.ids, data.groups, strict=True)
                if "let-7" in name
            }
        )
        == 1
    )
    config = seq_config("rnatracker", group="family")
    groups = groups_of(data, config)
    folds = make_seq_folds(data, config, groups).of_rows(data.index)
    assert all(len(set(folds[groups == number])) == 1 for number in set(groups.tolist()))
