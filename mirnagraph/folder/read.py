"""Reader of dataset folders, as `Dataset.save` wrote them or made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mirnagraph.config import load_toml
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.folder.columns import (
    LABELS,
    LEFT_OUT_COLUMNS,
    ONTOLOGY_COLUMNS,
    PAIR,
    PARTNER_COLUMNS,
    RNA_COLUMNS,
    RNAS,
    association_columns,
    check_compartments,
    check_file_part,
    check_kind,
    label_columns,
)
from mirnagraph.measurements import Measurement, load_measurement
from mirnagraph.names import store
from mirnagraph.reading.entries import EVERY, check_entries, check_keys
from mirnagraph.reading.schema import NUMBER, NUMERAL, Column, check_table, exactly
from mirnagraph.reading.table import read_table
from mirnagraph.reading.text import has_control
from mirnagraph.writing.contents import what_is_at
from mirnagraph.writing.marker import is_unhashed

FORMAT_VERSION = 1

ABOUT = "dataset.toml"

UNLISTED = "file that nothing lists"
"""``item`` of the rows of `Dataset.left_out` for files of the folder that were not read."""

KEYS = (
    "format_version",
    "name",
    "description",
    "synthetic",
    "compartments",
    "associations",
    "supporting",
    "text_columns",
    "measurements",
    "names",
)
"""Keys of ``dataset.toml``; all but the first, the name and the two lists may be absent."""

KINDS: dict[str, Any] = {
    "description": str,
    "measurements": {EVERY: {"unit": str, "is_label_like": bool, "source": str, "arms": [str]}},
    "names": {"species": str, "release": str},
}
"""Kinds of values of ``dataset.toml`` (see `mirnagraph.reading.entries`)."""

_ALWAYS = {ABOUT, RNAS, LABELS, "ontology.tsv", "left_out.tsv", "provenance.json"}

_DISEASE = "disease"

_TEXT = ("matures", "family", "pmids", "reports", "*_ids")
"""Columns that are text although they may hold digits only."""


def read_folder(folder: Path) -> dict[str, Any]:
    """Read and check a dataset folder; ``ontology.tsv`` and ``left_out.tsv`` may be absent.

    Cells are read as they are where ``dataset.toml`` has ``text_columns``, as `Dataset.save` writes
    it; otherwise they are cleaned as those of any table (`mirnagraph.reading.table.read_rows`).
    Files that ``dataset.toml`` does not list, and columns of ``labels.tsv`` that it does not name,
    become rows of ``left_out``.

    Returns:
        Arguments of `mirnagraph.dataset.Dataset`.

    Raises:
        InputError: names the file, line and column of the first 20 problems: a wrong cell (see
            `mirnagraph.folder.columns`), a tree number of two descriptors, an ontology of which no
            disease has a descriptor.
    """
    about = _read_about(folder)
    is_saved = "text_columns" in about
    text = about.get("text_columns", {})
    read = partial(read_table, as_written=is_saved)

    def typed(name: str, required: Sequence[str], columns: Sequence[Column]) -> pd.DataFrame:
        path = folder / f"{name}.tsv"
        table = read(path, required)
        _check_names(text.get(name, []), table, name, folder / ABOUT)
        every = (*columns, *_other_columns(table, text.get(name) if is_saved else None))
        return check_table(table, every, path, ids)

    ids: dict[str, pd.Index] = {}
    rnas = typed("rnas", ["rna_id", "sequence"], RNA_COLUMNS).set_index("rna_id")
    ids[RNAS] = rnas.index
    partners = {}
    associations = {}
    for kind in about["associations"]:
        name = f"partners.{kind}"
        partners[kind] = typed(name, ["partner_id"], PARTNER_COLUMNS).set_index("partner_id")
        ids[f"{name}.tsv"] = partners[kind].index
        name = f"associations.{kind}"
        table = typed(name, PAIR, association_columns(kind))
        _check_pairs(table, folder / f"{name}.tsv")
        associations[kind] = table.reset_index(drop=True)
    labels = read(folder / LABELS, ["rna_id", *about["compartments"]])
    unread = _unlisted(folder, about, [str(column) for column in labels.columns])
    optional = _read_optional(folder, read, partners)
    if unread:
        rows = [(UNLISTED, name, why, ABOUT) for name, why in unread]
        table = pd.DataFrame(rows, columns=LEFT_OUT_COLUMNS, dtype=object)
        tables = [optional["left_out"], table] if "left_out" in optional else [table]
        optional["left_out"] = pd.concat(tables, ignore_index=True).drop_duplicates()
    return {
        "name": about["name"],
        "rnas": rnas,
        "associations": associations,
        "partners": partners,
        "labels": _labels(labels, folder / LABELS, rnas.index, about["compartments"]),
        "description": str(about.get("description", "")),
        "synthetic": bool(about.get("synthetic", False)),
        "supporting": tuple(str(kind) for kind in about.get("supporting", [])),
        "measurements": _read_measurements(folder, about, rnas.index),
        "names": store.load_names(folder, about["names"]) if "names" in about else None,
        **optional,
    }


def _read_about(folder: Path) -> dict[str, Any]:
    """Settings of ``dataset.toml``, checked; ``measurements`` is always present."""
    path = folder / ABOUT
    if not path.is_file():
        raise InputError(
            "not a dataset folder",
            file=folder,
            found=what_is_at(folder, ABOUT),
            expected="dataset.toml, rnas.tsv, labels.tsv, associations.*.tsv",
        )
    about = load_toml(path)
    if about.get("format_version") != FORMAT_VERSION:
        raise InputError(
            "unknown dataset format",
            file=path,
            column="format_version",
            found=about.get("format_version"),
            expected=FORMAT_VERSION,
        )

    def check(is_valid: bool, key: str, expected: str) -> None:
        if not is_valid:
            what = "missing or wrong setting"
            raise InputError(what, file=path, column=key, found=about.get(key), expected=expected)

    name = about.get("name")
    is_name = isinstance(name, str) and bool(name.strip()) and not has_control(name)
    check(is_name, "name", "a name")
    check(isinstance(about.get("synthetic", False), bool), "synthetic", "true or false")
    for key in ("compartments", "associations"):
        check(isinstance(about.get(key), list), key, "list")
        are_names = all(isinstance(name, str) and name for name in about[key])
        check(are_names, key, "a list of names")
        check(len(set(about[key])) == len(about[key]), key, "each name once")
    check_compartments(about["compartments"], path)
    for kind in about["associations"]:
        check_kind(kind, path)
    check(_are_texts(about.get("supporting", [])), "supporting", "a list of names")
    text = about.get("text_columns", {})
    are_lists = isinstance(text, dict) and all(map(_are_texts, text.values()))
    check(are_lists, "text_columns", "lists of column names, one per table")
    measured = about.setdefault("measurements", {})
    are_tables = isinstance(measured, dict) and all(isinstance(m, dict) for m in measured.values())
    check(are_tables, "measurements", "one table of settings per measurement")
    check(isinstance(about.get("names", {}), dict), "names", "a table: species and release")
    for name in measured:
        check_file_part(name, path, "measurement", "measurements")
    _check_keys(about, path)
    return about


def _check_keys(about: Mapping[str, Any], path: Path) -> None:
    """Refuse keys of ``dataset.toml`` that nothing reads, and values of a wrong kind."""
    check_keys(about, KEYS, path)
    tables = ["rnas"]
    for kind in about["associations"]:
        tables += [f"associations.{kind}", f"partners.{kind}"]
    check_keys(about.get("text_columns", {}), tables, path, "text_columns.")
    for name, entry in about["measurements"].items():
        check_keys(entry, KINDS["measurements"][EVERY], path, f"measurements.{name}.")
    check_keys(about.get("names", {}), KINDS["names"], path, "names.")
    check_entries(about, KINDS, path)


def _are_texts(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _check_names(names: Sequence[str], table: pd.DataFrame, table_name: str, path: Path) -> None:
    """Refuse a name that the table lacks: the column that was meant may be read as numbers."""
    for name in names:
        if name not in table.columns:
            raise InputError(
                f"{table_name}.tsv has no such column",
                file=path,
                column=f"text_columns.{table_name}",
                found=name,
                expected=", ".join(table.columns),
            )


def _other_columns(table: pd.DataFrame, text: Sequence[str] | None) -> list[Column]:
    """Numeric columns of a table.

    These are the columns that `text` does not list, unless they hold no number at all; without
    `text`, those in which every filled cell is a number.
    """
    columns = [Column(name) for name in (_TEXT if text is None else map(exactly, text))]
    for name in table.columns:
        filled = table.loc[table[name] != "", name]
        is_number = filled.str.fullmatch(NUMERAL).astype(bool)
        is_numeric = is_number.all() if text is None else is_number.any() or filled.empty
        if is_numeric and (text is not None or len(filled)):
            columns.append(Column(exactly(name), NUMBER))
    return columns


def _check_pairs(table: pd.DataFrame, path: Path) -> None:
    """Refuse a pair that is there twice."""
    problems = []
    for line, *pair in table.loc[table.duplicated(PAIR), PAIR].itertuples(name=None):
        names = " - ".join(pair)
        problems.append(InputError("a duplicate association", file=path, line=line, found=names))
    raise_problems(problems)


def _labels(
    table: pd.DataFrame, path: Path, rnas: pd.Index, compartments: list[str]
) -> pd.DataFrame:
    """Labels of all RNAs, in their order: int8 0/1."""
    used = table[["rna_id", *compartments]]
    labels = check_table(used, label_columns(compartments), path, {RNAS: rnas})
    labels = labels.set_index("rna_id")
    absent = rnas.difference(labels.index)
    if len(absent):
        raise InputError(
            "RNAs without a line in the label table",
            file=path,
            found=f"{len(absent)}, the first {absent[0]}",
            expected="one line per RNA, all 0 without annotation",
        )
    return labels.reindex(rnas)


def _read_optional(folder: Path, read: Any, partners: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """``ontology`` and ``left_out``, where there are such files."""
    optional = {}
    for name, columns in (("ontology", ONTOLOGY_COLUMNS), ("left_out", LEFT_OUT_COLUMNS)):
        path = folder / f"{name}.tsv"
        if path.is_file():
            table = read(path, columns)
            if name == "ontology":
                _check_ontology(table, path)
            optional[name] = table.reset_index(drop=True)
    if "ontology" in optional:
        _check_descriptors(folder, optional["ontology"], partners)
    elif _names_descriptors(partners):
        what = f"no such file, of which partners.{_DISEASE}.tsv names descriptors"
        raise InputError(what, file=folder / "ontology.tsv")
    return optional


def _names_descriptors(partners: Mapping[str, pd.DataFrame]) -> bool:
    """Whether a disease has a descriptor of an ontology."""
    table = partners.get(_DISEASE, pd.DataFrame())
    return "descriptor_ids" in table.columns and bool((table["descriptor_ids"] != "").any())


def _check_ontology(table: pd.DataFrame, path: Path) -> None:
    """Refuse a tree number that is there twice."""
    first: dict[str, tuple[int, str]] = {}
    problems = []
    for line, number, descriptor in table[ONTOLOGY_COLUMNS[:2]].itertuples(name=None):
        earlier, of_earlier = first.setdefault(number, (int(line), descriptor))
        if earlier == line:
            continue
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


def _check_descriptors(
    folder: Path, ontology: pd.DataFrame, every: Mapping[str, pd.DataFrame]
) -> None:
    """Refuse an ontology of which no disease has a descriptor: every similarity would be 0."""
    if ontology.empty or _DISEASE not in every or not len(every[_DISEASE]):
        return
    partners = every[_DISEASE]
    cells = partners.get("descriptor_ids", pd.Series("", index=partners.index)).fillna("")
    known = set(ontology["descriptor_id"])
    if any(known & set(str(cell).split(";")) for cell in cells):
        return
    has_column = "descriptor_ids" in partners.columns
    raise InputError(
        "no disease has a descriptor of ontology.tsv",
        file=folder / f"partners.{_DISEASE}.tsv",
        line=None if has_column else 1,
        column="descriptor_ids",
        found=f"0 of {len(partners)} diseases" + ("" if has_column else ", no such column"),
        expected="ids of its column descriptor_id, separated by ;",
        hint="`mirnagraph build-dataset` matches names of diseases with [mesh]; or remove "
        "ontology.tsv",
    )


def _unlisted(folder: Path, about: dict[str, Any], labels: list[str]) -> list[tuple[str, str]]:
    """Name and reason of each file of a dataset folder that is not read.

    A compartment of ``labels.tsv`` that ``dataset.toml`` does not name counts too. Hidden files,
    what operating systems leave, and folders are passed over.
    """
    listed = {*_ALWAYS, *(store.FILES if "names" in about else ())}
    for kind in about["associations"]:
        listed |= {f"associations.{kind}.tsv", f"partners.{kind}.tsv"}
    for name, entry in about["measurements"].items():
        arms = entry.get("arms", [])
        listed |= {f"measurements.{name}.tsv", f"samples.{name}.tsv"}
        listed |= {f"measurements.{name}.{arm}.tsv" for arm in arms if isinstance(arms, list)}
    result = []
    for path in sorted(folder.iterdir()):
        name = path.name
        if name in listed or name.startswith(".") or is_unhashed(name) or path.is_dir():
            continue
        what, _, rest = name.partition(".")
        why = "not a file of a dataset"
        if what in ("associations", "partners") and rest.endswith(".tsv"):
            why = f"{rest.removesuffix('.tsv')!r} is not in 'associations' of dataset.toml"
        elif what in ("measurements", "samples") and rest.endswith(".tsv"):
            why = f"dataset.toml has no table [measurements.{rest.removesuffix('.tsv')}]"
        result.append((name, why))
    known = {"rna_id", *about["compartments"]}
    for column in labels:
        if column not in known:
            why = "not in 'compartments' of dataset.toml"
            result.append((f"labels.tsv, column {column}", why))
    return result


def _read_measurements(
    folder: Path, about: dict[str, Any], rnas: pd.Index
) -> dict[str, Measurement]:
    """Measurements that ``dataset.toml`` names."""
    measurements = {}
    for name, entry in about["measurements"].items():
        measurements[name] = load_measurement(
            folder, name, entry, as_written="text_columns" in about
        )
        unknown = measurements[name].values.index.difference(rnas, sort=False)
        if len(unknown):
            raise InputError(
                "a measurement of an unknown RNA",
                file=folder / f"measurements.{name}.tsv",
                column="rna_id",
                found=f"{len(unknown)}, the first {unknown[0]}",
                expected="ids of rnas.tsv",
            )
    return measurements
