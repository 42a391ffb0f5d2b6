"""Names of miRBase 22.1: every mature, hairpin, symbol and earlier name, and other species."""

from __future__ import annotations

from collections import Counter
from importlib import resources
from pathlib import Path

import pandas as pd
import pytest

from fusion.api import predict
from fusion.export.load import load
from mirnagraph.dataset import Dataset
from mirnagraph.names import (
    MirbaseNames,
    NameResolver,
    ReferenceNames,
    hgnc_symbol,
    match_names,
    other_species,
    resolve,
)
from mirnagraph.names.store import load_names, save_names
from mirnagraph.sources import load_dataset, species_table
from mirnagraph.sources.mirbase import read_names

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def names(real_data: Path) -> MirbaseNames:
    return read_names(real_data / "mirbase")


@pytest.fixture(scope="module")
def dataset(real_data: Path) -> Dataset:
    return load_dataset("mirna1041")


def reference_of(dataset: Dataset, names: MirbaseNames | None) -> NameResolver:
    sequences = tuple(cell or None for cell in dataset.rnas["sequence"])
    matures = tuple(dataset.rnas["matures"])
    return NameResolver(ReferenceNames(dataset.index.ids, names, sequences, matures))


def test_the_benchmark_carries_the_names(dataset: Dataset, tmp_path: Path) -> None:
    assert dataset.names is not None
    assert (len(dataset.names.hairpins), dataset.names.matures["accession"].nunique()) == (
        1917,
        2656,
    )
    read = load_names(tmp_path, save_names(dataset.names, tmp_path))
    queries = [*read.aliases["name"], *read.retired.index, *read.hairpins["accession"]]
    assert match_names(queries, names=read) == match_names(queries, names=dataset.names)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 600_000


def test_every_mature_has_an_answer(names: MirbaseNames) -> None:
    matures = names.matures.drop_duplicates("accession")
    assert len(matures) == 2656
    for column in ("mature_id", "accession"):
        matches = match_names(matures[column], names=names)
        assert all(match.rna_id for match in matches)
        assert [match.accession for match in matches if match.kind == "exact_mature"] == [
            accession
            for accession, match in zip(matures["accession"], matches, strict=True)
            if match.kind == "exact_mature"
        ]


@pytest.mark.parametrize(("with_mirbase", "n_known"), [(True, 1294), (False, 1216)])
def test_by_sequence_and_by_name_the_same_rna_answers(
    dataset: Dataset, names: MirbaseNames, with_mirbase: bool, n_known: int
) -> None:
    resolver = reference_of(dataset, names if with_mirbase else None)
    matures = names.matures.drop_duplicates("accession")[["mature_id", "sequence"]]
    differing = []
    known = 0
    for name, sequence in matures.itertuples(index=False):
        by_name = resolver.match(name)
        if by_name.row is not None:
            known += 1
            by_sequence = resolver.match_sequence(name, sequence)
            if by_name.row != by_sequence.row or "another sequence" in by_sequence.warning:
                differing.append((name, by_name.rna_id, by_sequence.rna_id))
    assert differing == []
    # 1,216 are known by the ids alone; 219 of them were answered as another RNA by sequence.
    assert known == n_known


def test_by_sequence_and_by_name_the_shipped_model_predicts_the_same(names: MirbaseNames) -> None:
    """Of every mature of a reference RNA: probabilities, calls, and the kind of model."""
    model = load("shipped")
    matures = names.matures.drop_duplicates("accession")
    sequence_of = dict(zip(matures["mature_id"], matures["sequence"], strict=True))
    by_name = predict(model, list(sequence_of)).to_frame()
    by_sequence = predict(model, sequences=sequence_of).to_frame()
    is_reference = by_name["known_as"] != ""
    assert int(is_reference.sum()) == 1294
    same = ["query", "rna_id", *model.compartments, "called", "source", "known_as"]
    pd.testing.assert_frame_equal(
        by_name.loc[is_reference, same], by_sequence.loc[is_reference, same]
    )


def test_no_hairpin_is_said_to_have_another_sequence(dataset: Dataset, names: MirbaseNames) -> None:
    resolver = reference_of(dataset, names)
    sequences = names.hairpins["sequence"]
    matches = [resolver.match_sequence(str(name), text) for name, text in sequences.items()]
    assert not [match for match in matches if "another sequence" in match.warning]
    swapped = resolver.match_sequence("hsa-mir-375", sequences["hsa-mir-21"])
    assert swapped.rna_id == "hsa-mir-21"
    assert swapped.warning == "hsa-mir-375, the RNA of that name, has another sequence"


def test_a_family_never_answers_for_a_mature_of_another_rna(
    dataset: Dataset, names: MirbaseNames
) -> None:
    resolver = reference_of(dataset, names)
    match = resolver.match_sequence("hsa-let-7b-5p", "UGAGGUAGUAGGUUGUGUGGUU")
    assert (match.rna_id, match.accession) == ("hsa-let-7b", "MIMAT0000063")
    assert match.warning == "the sequence is also in hsa-let-7"


def test_every_symbol_of_hgnc_is_its_hairpin(names: MirbaseNames) -> None:
    hairpins = list(names.hairpins.index)
    symbols = [hgnc_symbol(hairpin) for hairpin in hairpins]
    assert len(set(symbols)) == len(hairpins) == 1917
    table = resolve(symbols, names)
    assert list(table["hairpin_ids"]) == hairpins
    assert set(table["match_kind"]) == {"exact_hairpin"}


def test_every_earlier_name_has_an_answer_or_a_reason(
    dataset: Dataset, names: MirbaseNames
) -> None:
    current = {*names.hairpins.index, *names.matures["mature_id"]}
    earlier = [name for name in dict.fromkeys(names.aliases["name"]) if name not in current]
    retired = [name for cell in names.retired["names"] for name in cell.split(";")]
    queries = list(dict.fromkeys([*earlier, *retired, *names.retired.index]))
    alone = Counter(match.kind for match in match_names(queries, names=names))
    assert len(queries) == 1120
    assert alone == {
        "exact_hairpin": 381,  # a mature that had the name of its hairpin, or in other capitals
        "alias_mature": 253,
        "alias_hairpin": 178,
        "multilocus_stem": 83,
        "withdrawn": 225,
    }
    resolver = reference_of(dataset, names)
    matches = [resolver.match(query) for query in queries]
    assert all(match.rna_id or match.note for match in matches)
    of_benchmark = Counter(match.kind if match.rna_id is None else "answered" for match in matches)
    assert of_benchmark == {"answered": 1011, "withdrawn": 107, "ambiguous": 2}
    withdrawn = [match for match in matches if match.kind == "withdrawn"]
    assert all("miRBase has withdrawn" in match.note for match in withdrawn)


def test_names_of_other_species(real_data: Path) -> None:
    mouse = read_names(real_data / "mirbase_all", "Mus musculus")
    assert (len(mouse.hairpins), mouse.matures["accession"].nunique()) == (1234, 1978)
    matches = match_names(["miR-21a-5p", "mmu-miR-21", "MIMAT0000530", "hsa-miR-21"], names=mouse)
    assert [match.rna_id for match in matches] == ["mmu-mir-21a"] * 3 + [None]
    human = read_names(real_data / "mirbase_all", "human")
    assert (len(human.hairpins), human.matures["accession"].nunique()) == (1917, 2656)


def test_names_of_all_species_are_distinct(real_data: Path, dataset: Dataset) -> None:
    names = read_names(real_data / "mirbase_all", "all")
    assert len(names.prefixes) == 271
    keys = Counter(names.normalise(hairpin) for hairpin in names.hairpins.index)
    assert len(keys) == sum(keys.values()) == 38589
    resolver = reference_of(dataset, names)
    # mmu-miR-344d-3p, which no human entry has
    match = resolver.match_sequence("x", "GAUAUAACCACUGCCAGACUGA")
    assert match.kind == "new"
    assert "of another species than the reference RNAs (mmu" in match.warning


def test_the_table_of_other_species_is_that_of_mirbase(real_data: Path, tmp_path: Path) -> None:
    """Of every species: the shipped table is the one that its command makes again."""
    made = tmp_path / "table.safetensors"
    species_table.main(str(real_data / "mirbase_all"), made)
    shipped = Path(str(resources.files("mirnagraph.names").joinpath(other_species.FILE)))
    assert made.read_bytes() == shipped.read_bytes()
    of_mouse = 0
    for sequence, species in species_table.species_of_sequences(real_data / "mirbase_all").items():
        found = other_species.species_of_sequence(sequence)
        assert set(found) == species
        of_mouse += "mmu" in found and "hsa" not in found
    assert of_mouse > 2_000
