"""Dataset folders made by hand: what `Dataset.load` takes without a word, checked and named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS, ONTOLOGY_COLUMNS, Dataset
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import RNA_NUCLEOTIDES, read_table, to_rna
from mirnagraph.names import store

UNLISTED = "file that nothing lists"
"""``item`` of the rows of `Dataset.left_out` for files of the folder that were not read."""

_ALWAYS = {
    "dataset.toml", "rnas.tsv", "labels.tsv", "ontology.tsv", "left_out.tsv", "provenance.json",
}  # fmt: skip

_DISEASE = "disease"


def open_folder(folder: Path) -> Dataset:
    """Read a dataset folder, and check what is easily wrong in one made by hand.

    Matures are read as sequences are: upper case, T as U. Files that ``dataset.toml`` does not
    list, and columns of ``labels.tsv`` that it does not name, become rows of `Dataset.left_out`.

    Raises:
        InputError: see `Dataset.load`; or an invalid nucleotide of a mature, a tree number of two
            descriptors, an ontology of which no disease has a descriptor.
    """
    dataset = Dataset.load(folder)
    _check_sequences(folder / "rnas.tsv")
    if (folder / "ontology.tsv").is_file():
        _check_ontology(folder / "ontology.tsv")
        _check_descriptors(folder, dataset)
    rnas = dataset.rnas
    if "matures" in rnas.columns:
        rnas = rnas.assign(matures=_read_matures(folder / "rnas.tsv", rnas.index))
    rows = [(UNLISTED, name, why, "dataset.toml") for name, why in unlisted_files(folder, dataset)]
    unread = pd.DataFrame(rows, columns=LEFT_OUT_COLUMNS, dtype=object)
    left_out = pd.concat([dataset.left_out, unread], ignore_index=True)
    return replace(dataset, rnas=rnas, left_out=left_out if rows else dataset.left_out)


def unlisted_files(folder: Path, dataset: Dataset) -> list[tuple[str, str]]:
    """Name and reason of each file of a dataset folder that is not read.

    A compartment of ``labels.tsv`` that ``dataset.toml`` does not name counts too. Hidden files and
    folders are passed over.
    """
    listed = {*_ALWAYS, *(store.FILES if dataset.names is not None else ())}
    for kind in dataset.associations:
        listed |= {f"associations.{kind}.tsv", f"partners.{kind}.tsv"}
    for name, measurement in dataset.measurements.items():
        listed |= {f"measurements.{name}.tsv", f"samples.{name}.tsv"}
        listed |= {f"measurements.{name}.{arm}.tsv" for arm in measurement.arms}
    result = []
    for path in sorted(folder.iterdir()):
        if path.name in listed or path.name.startswith(".") or path.is_dir():
            continue
        what, _, rest = path.name.partition(".")
        why = "not a file of a dataset"
        if what in ("associations", "partners") and rest.endswith(".tsv"):
            why = f"{rest.removesuffix('.tsv')!r} is not in 'associations' of dataset.toml"
        elif what in ("measurements", "samples") and rest.endswith(".tsv"):
            why = f"dataset.toml has no table [measurements.{rest.removesuffix('.tsv')}]"
        result.append((path.name, why))
    known = {"rna_id", *dataset.compartments}
    for column in read_table(folder / "labels.tsv").columns:
        if column not in known:
            why = "not in 'compartments' of dataset.toml"
            result.append((f"labels.tsv, column {column}", why))
    return result


def _check_sequences(path: Path) -> None:
    """Refuse NA as a sequence: it is no value, not the nucleotides N and A."""
    table = read_table(path, ["rna_id", "sequence"])
    raise_problems(
        InputError(
            "a sequence is not given",
            file=path,
            line=line,
            column="sequence",
            found=cell,
            expected="nucleotides, or an empty cell",
        )
        for line, cell in zip(table.index.tolist(), table["sequence"], strict=True)
        if cell.strip().upper() == "NA"
    )


def _read_matures(path: Path, rnas: pd.Index) -> list[str]:
    """Cells of mature sequences, as RNA; InputError with line and position for other letters."""
    table = read_table(path, ["rna_id", "matures"]).reset_index().set_index("rna_id")
    cells = []
    problems: list[InputError] = []
    for rna_id, line, cell in table[["line", "matures"]].itertuples(name=None):
        matures = [to_rna(part) for part in cell.split(";")]
        problems += _mature_problems(matures, str(rna_id), int(line), path)
        cells.append(";".join(matures))
    raise_problems(problems)
    by_id = dict(zip(table.index, cells, strict=True))
    return [by_id[name] for name in rnas]


def _mature_problems(
    matures: list[str], rna_id: str, line: int, path: Path
) -> Iterator[InputError]:
    for number, mature in enumerate(matures, 1):
        wrong = sorted(set(mature) - RNA_NUCLEOTIDES, key=mature.index)
        if wrong:
            place = mature.index(wrong[0]) + 1
            yield InputError(
                f"invalid nucleotide in mature {number} of {rna_id} at position {place}",
                file=path,
                line=line,
                column="matures",
                found=wrong[0],
                expected="A, C, G, T, U or N; several matures separated by ;",
            )


def _check_ontology(path: Path) -> None:
    """Refuse a tree number that is there twice."""
    table = read_table(path, ONTOLOGY_COLUMNS)
    first: dict[str, tuple[int, str]] = {}
    problems = []
    for line, number, descriptor in table[ONTOLOGY_COLUMNS[:2]].itertuples(name=None):
        earlier, of_earlier = first.setdefault(number, (int(line), descriptor))
        if earlier != line:
            what = "one tree number with two descriptors"
            if of_earlier == descriptor:
                what = "a duplicate tree number"
            problems.append(
                InputError(
                    what,
                    file=path,
                    line=int(line),
                    column="tree_number",
                    found=f"{number} of {descriptor}",
                    expected=f"a number not seen before (line {earlier}: {of_earlier})",
                )
            )
    raise_problems(problems)


def _check_descriptors(folder: Path, dataset: Dataset) -> None:
    """Refuse an ontology of which no disease has a descriptor: every similarity would be 0."""
    if dataset.ontology.empty or _DISEASE not in dataset.partners:
        return
    partners = dataset.partners[_DISEASE]
    path = folder / f"partners.{_DISEASE}.tsv"
    cells = partners.get("descriptor_ids", pd.Series("", index=partners.index)).fillna("")
    known = set(dataset.ontology["descriptor_id"])
    is_matched = [bool(known & set(str(cell).split(";"))) for cell in cells]
    if any(is_matched) or not is_matched:
        return
    has_column = "descriptor_ids" in partners.columns
    raise InputError(
        "no disease has a descriptor of ontology.tsv",
        file=path,
        line=None if has_column else 1,
        column="descriptor_ids",
        found=f"0 of {len(partners)} diseases" + ("" if has_column else ", no such column"),
        expected="ids of its column descriptor_id, separated by ;",
        hint="`mirnagraph build-dataset` matches names of diseases with [mesh]; or remove "
        "ontology.tsv",
    )
