"""Names of miRBase in files: of a dataset, of a model, and damaged ones."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import tomli_w
from test_name_resolver import mirbase

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.io import sha256_of_folder
from mirnagraph.names import MirbaseNames, match_names
from mirnagraph.names.store import CURRENT, EARLIER, load_names, save_names


def same(left: MirbaseNames, right: MirbaseNames) -> bool:
    """Whether all tables are equal; raises where they are not."""
    for name in ("hairpins", "matures", "aliases", "retired"):
        tables = [getattr(names, name).astype(object) for names in (left, right)]
        pd.testing.assert_frame_equal(*tables, check_index_type=False, check_column_type=False)
    return (left.species, left.release) == (right.species, right.release)


def test_names_are_read_back_as_they_were(tmp_path: Path) -> None:
    names = mirbase()
    about = save_names(names, tmp_path)
    assert about == {"species": "hsa", "release": "22.1"}
    assert {path.name for path in tmp_path.iterdir()} == {CURRENT, EARLIER}
    assert same(load_names(tmp_path, about), names)
    lines = (tmp_path / CURRENT).read_text(encoding="utf-8").splitlines()
    # The sequence of a hairpin stands in its first row alone.
    assert lines[1].split("\t")[3:7] == ["AAAACCCC", "hsa-miR-21-5p", "MIMAT0000076", "AAAA"]
    assert lines[2].split("\t")[3:7] == ["", "hsa-miR-21-3p", "MIMAT0004494", "CCCC"]


def test_a_hairpin_without_a_mature_is_kept(tmp_path: Path) -> None:
    names = mirbase([("hsa-mir-1", "MI0000001", "ACGU"), ("hsa-mir-2", "MI0000002", "AC")], [])
    about = save_names(names, tmp_path)
    read = load_names(tmp_path, about)
    assert list(read.hairpins.index) == ["hsa-mir-1", "hsa-mir-2"]
    assert read.matures.empty
    assert match_names(["hsa-mir-2"], names=read)[0].sequence == "AC"


def test_damaged_files(tmp_path: Path) -> None:
    about = save_names(mirbase(), tmp_path)
    with pytest.raises(InputError, match="the names have no species"):
        load_names(tmp_path, {})
    text = (tmp_path / CURRENT).read_text(encoding="utf-8")
    (tmp_path / CURRENT).write_text(text.replace("AAAACCCC", "", 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"names.tsv, line 2, column 'hairpin_sequence'"):
        load_names(tmp_path, about)
    (tmp_path / EARLIER).unlink()
    (tmp_path / CURRENT).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"names_earlier.tsv: no such file"):
        load_names(tmp_path, about)


def test_a_dataset_carries_its_names(small_dataset: Dataset, tmp_path: Path) -> None:
    plain = small_dataset.save(tmp_path / "plain")
    assert not (plain / CURRENT).exists()
    assert Dataset.load(plain).names is None
    folder = replace(small_dataset, names=mirbase()).save(tmp_path / "named")
    read = Dataset.load(folder)
    assert read.names is not None
    assert same(read.names, mirbase())
    assert sha256_of_folder(folder) != sha256_of_folder(plain)
    about = tomllib.loads((folder / "dataset.toml").read_text(encoding="utf-8"))
    del about["names"]
    (folder / "dataset.toml").write_text(tomli_w.dumps(about), encoding="utf-8")
    assert Dataset.load(folder).names is None
    broken = tomli_w.dumps(about | {"names": "hsa"})
    (folder / "dataset.toml").write_text(broken, encoding="utf-8")
    with pytest.raises(InputError, match="column 'names'"):
        Dataset.load(folder)
