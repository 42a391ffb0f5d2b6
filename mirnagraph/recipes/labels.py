"""The labels of a recipe: records, tables, header bits and bare matrices of compartments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.table import cell_problems, read_table
from mirnagraph.reading.text import NOT_GIVEN
from mirnagraph.recipes.places import Places
from mirnagraph.recipes.provenance import Source, source_of
from mirnagraph.recipes.recipe import LabelsPart
from mirnagraph.recipes.rnas import RNA_COLUMNS, RecipeRnas
from mirnagraph.sources import rnalocate
from mirnagraph.sources.assemble import left_out_rows
from mirnagraph.sources.delimited import read_binary, read_columns
from mirnagraph.sources.fasta import read_fasta

UNKNOWN = frozenset(("", *(text.lower() for text in NOT_GIVEN)))
"""Cells of a label table that say nothing, in lower case."""

_CLASS_COLUMNS = ("class", "label", "location", "localization", "compartment", "tag")

_VESICLEPEDIA = {"rna": "mirna", "compartment": "vesicle_type"}


@dataclass(frozen=True, eq=False)
class RecipeLabels:
    """Labels of the RNAs.

    Attributes:
        labels: as of `Dataset.labels`.
        source: the file.
        negatives: ids of RNAs with a 0 in a table of one compartment: known not to be there.
        left_out: rows of `Dataset.left_out`.
    """

    labels: pd.DataFrame
    source: Source
    left_out: pd.DataFrame
    negatives: frozenset[str] = frozenset()


def read_labels(part: LabelsPart, rnas: RecipeRnas, places: Places) -> RecipeLabels:
    """Read the labels of a recipe.

    Raises:
        InputError: no name of the table is an RNA of the dataset, a compartment that the file does
            not have, a cell that is no label, or what the readers raise.
    """
    path = places.find(part.file, "labels.file")
    if part.format == "matrix":
        return _read_matrix(part, path, rnas)
    if part.format == "table":
        records, columns = _read_table(part, path)
    elif part.format == "bits":
        records, columns = _read_bits(part, path)
    else:
        records, columns = _read_records(part, path)
    records["compartment"] = records["compartment"].replace(part.rename)
    is_negative = records["label"] == "0" if "label" in records else pd.Series(False, records.index)
    is_unknown = records["compartment"].str.lower().isin(UNKNOWN) | is_negative
    is_foreign = ~records["species"].isin(["", rnas.species.latin])
    present = [*columns, *records.loc[~is_unknown & ~is_foreign, "compartment"]]
    present = rnalocate.distinct_compartments(part.rename.get(name, name) for name in present)
    compartments = list(part.compartments) or present
    _check_compartments(compartments, present, path)
    usable = records[~is_unknown & ~is_foreign]
    rna_of = rnas.match(usable["rna"], part.match)
    table, _ = rnalocate.labels(usable, rna_of, rnas.ids, compartments)
    reasons = pd.Series("", index=records.index, dtype=object)
    reasons[is_foreign] = "another species"
    reasons[is_unknown] = "no compartment, or not known"
    reasons[usable.index] = _reasons(usable, rna_of, compartments)
    zeros = records.loc[is_negative & ~is_foreign, "rna"]
    negative_of = rnas.match(zeros, part.match)
    reasons[zeros.index] = ""
    reasons[zeros.index[~zeros.isin(list(negative_of))]] = "RNA is not in the dataset"
    _check_matches(records, reasons, usable, rna_of, rnas, path)
    note = _unread(part, path, columns) if part.format == "table" and columns else ""
    source = source_of(part.file, path, "labels", _by_line(records, reasons), note=note)
    positives = set(table.index[table.any(axis=1)])
    negatives = frozenset(rna for ids in negative_of.values() for rna in ids) - positives
    return RecipeLabels(table, source, _left_out(records, reasons, path), negatives)


def _unread(part: LabelsPart, path: Path, columns: list[str]) -> str:
    """Name the columns of a table that were not taken for labels."""
    if part.compartments:
        return ""
    read = {*columns, *part.columns.values()}
    others = [str(name) for name in _all_columns(path).columns[1:] if name not in read]
    return f"columns not read: {', '.join(others)}" if others else ""


def _check_compartments(compartments: list[str], present: list[str], path: Path) -> None:
    lower = {name.lower() for name in present}
    absent = [name for name in compartments if name.lower() not in lower]
    if absent or not compartments:
        raise InputError(
            "no label of a compartment of the recipe" if absent else "no compartment",
            file=path,
            found=", ".join(present) or "none",
            expected=absent[0] if absent else "one or more",
        )


def _reasons(
    records: pd.DataFrame, rna_of: Mapping[str, list[str]], compartments: list[str]
) -> pd.Series:
    """Why each record is not used, empty where it is."""
    lower = {name.lower() for name in compartments}
    no_rna = ~records["rna"].isin(list(rna_of))
    no_compartment = ~records["compartment"].str.lower().isin(lower)
    reasons = pd.Series("", index=records.index, dtype=object)
    reasons[no_compartment] = "compartment is not in the dataset"
    reasons[no_rna] = "RNA is not in the dataset"
    return reasons


def _by_line(records: pd.DataFrame, reasons: pd.Series) -> pd.Series:
    """One reason per row of the file: of a row with several compartments, used if any is."""
    worst = pd.DataFrame({"line": records["line"], "reason": reasons})
    worst = worst.sort_values("reason", kind="stable").drop_duplicates("line")
    return worst["reason"].reset_index(drop=True)


def _check_matches(
    records: pd.DataFrame,
    reasons: pd.Series,
    usable: pd.DataFrame,
    rna_of: Mapping[str, list[str]],
    rnas: RecipeRnas,
    path: Path,
) -> None:
    """Raise InputError where no row of the labels is used."""
    if (reasons == "").any():
        return
    fields = {str(name).split("|")[0]: name for name in usable["rna"]}
    hint = None
    if not rna_of and set(rnas.ids) & set(fields):
        hint = "the first field, up to |, would match: cut the names there"
    elif not rna_of and {name.split("|")[0] for name in rnas.ids} & set(usable["rna"]):
        hint = "the first field of the RNAs' ids, up to |, would match: cut the ids there"
    what = "no name of the labels is an RNA of the dataset"
    if rna_of or usable.empty:
        what = "no row of the labels is used"
    counts = reasons.value_counts()
    reasons_text = ", ".join(f"{reason}: {n}" for reason, n in counts.items())
    first = "no row" if records.empty else f"{records['rna'].iloc[0]} ({reasons_text})"
    expected = f"names such as {rnas.ids[0]}"
    raise InputError(what, file=path, found=first, expected=expected, hint=hint)


def _left_out(records: pd.DataFrame, reasons: pd.Series, path: Path) -> pd.DataFrame:
    table = pd.DataFrame({"reason": reasons, "id": records["rna"]})
    counts = table[table["reason"] != ""].value_counts(sort=False).reset_index()
    rows = [
        ("compartment records", name, f"{reason}: {n} of {len(records)} records", path.name)
        for reason, name, n in counts.itertuples(index=False)
    ]
    return pd.DataFrame(rows, columns=LEFT_OUT_COLUMNS, dtype=object)


def _read_records(part: LabelsPart, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Records ``rna``, ``species``, ``compartment``, ``line``, a row per compartment."""
    columns = dict(part.columns)
    if part.format == "vesiclepedia":
        columns = _VESICLEPEDIA | columns
    table = rnalocate.read_rnalocate(path, columns)
    table["line"] = range(2, len(table) + 2)
    return _split(table[["rna", "species", "compartment", "line"]]), []


def _split(records: pd.DataFrame) -> pd.DataFrame:
    """A row per compartment, where a cell holds several: ``nucleus;cytoplasm``."""
    cells = records["compartment"].str.split(r"\s*[;|]\s*", regex=True)
    table = records.assign(compartment=cells).explode("compartment", ignore_index=True)
    return table[(table["compartment"] != "") | ~table["line"].duplicated()]


def _read_table(part: LabelsPart, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Records of a table, and the compartments that are its columns."""
    rna = {"rna": RNA_COLUMNS, "species": ("Species", "Organism")}
    mapped = {name: column for name, column in part.columns.items() if name != "compartment"}
    named = read_columns(path, rna, ["rna"], filled=["rna"], columns=mapped)
    cells = _all_columns(path)
    label_columns = list(part.compartments)
    unrenamed = {new: old for old, new in part.rename.items()}
    label_columns = [unrenamed.get(name, name) for name in label_columns]
    class_column = part.columns.get("compartment", "")
    if not class_column and not set(label_columns) & set(cells.columns):
        class_column = _class_column(cells)
    if class_column:
        table = read_columns(
            path, {"compartment": ()}, ["compartment"], columns={"compartment": class_column}
        )
        records = named.assign(compartment=table["compartment"], line=named.index)
        return _split(records.reset_index(drop=True)), []
    if not label_columns:
        is_label = [_is_binary(cells[column]) for column in cells.columns]
        label_columns = [str(name) for name in cells.columns[is_label]]
    _check_cells(cells, label_columns, path)
    long = pd.concat([named, cells[label_columns]], axis=1).rename_axis("line").reset_index()
    long = long.melt(["line", "rna", "species"], label_columns, "compartment", "label")
    long = long.sort_values("line", kind="stable", ignore_index=True)
    _check_rows_agree(long, path)
    is_unknown = long["label"].str.lower().isin(UNKNOWN)
    long["compartment"] = long["compartment"].mask(is_unknown, "")
    is_first = ~long["line"].duplicated()
    has_label = long.groupby("line")["label"].transform(lambda label: (label == "1").any())
    # A row of zeros is kept as one record of no compartment, so that it is counted.
    rows = long[(long["label"] == "1") | (is_first & ~has_label)].reset_index(drop=True)
    rows["compartment"] = rows["compartment"].mask(rows["label"] != "1", "")
    # Of several compartments a row of zeros says nothing; of one alone, a 0 is an answer.
    if len(label_columns) > 1:
        rows = rows.drop(columns="label")
    return rows, label_columns


def _check_rows_agree(long: pd.DataFrame, path: Path) -> None:
    """Raise InputError for an RNA with a 1 in one row and a 0 in another."""
    known = long[long["label"].isin(("0", "1"))]
    of_pair = known.groupby(["rna", "compartment"])
    first = of_pair["line"].transform("first")
    differing = known.assign(first=first)[known["label"] != of_pair["label"].transform("first")]
    if differing.empty:
        return
    row = differing.iloc[0]
    raise InputError(
        f"two rows of {row['rna']} contradict each other",
        file=path,
        line=int(row["line"]),
        column=str(row["compartment"]),
        found=row["label"],
        expected=f"the label of line {row['first']}",
    )


def _all_columns(path: Path) -> pd.DataFrame:
    """Every column of a table as text, stripped of blanks."""
    return read_table(path, delimiter=None)


def _is_binary(cells: pd.Series) -> bool:
    """Whether most known cells of a column are 0 and 1; the others are then errors."""
    known = cells[~cells.str.lower().isin(UNKNOWN)]
    return bool(len(known) and known.isin(["0", "1"]).mean() > 0.5)


def _class_column(cells: pd.DataFrame) -> str:
    """The one column of class names, if any; empty where the columns are 0/1."""
    for column in cells.columns:
        if str(column).strip().lower() in _CLASS_COLUMNS and not _is_binary(cells[column]):
            return str(column)
    return ""


def _check_cells(cells: pd.DataFrame, columns: list[str], path: Path) -> None:
    """Raise InputError for a label column that is not there, and cells that are no label."""
    absent = [name for name in columns if name not in cells.columns]
    if absent or not columns:
        raise InputError(
            "missing column" if absent else "no column of labels",
            file=path,
            line=1,
            column=absent[0] if absent else None,
            found=", ".join(map(str, cells.columns)),
            expected=absent[0] if absent else "columns of 0 and 1, or one of classes",
            hint='name a column of classes with columns = { compartment = "…" } in [labels]',
        )
    problems = []
    for name in columns:
        is_wrong = ~cells[name].isin(["0", "1"]) & ~cells[name].str.lower().isin(UNKNOWN)
        expected = "0, 1, or NA"
        problems += cell_problems(cells, name, is_wrong, "not a label", path, expected)
    raise_problems(problems, by_line=True)


def _read_bits(part: LabelsPart, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Records of a FASTA whose headers are ``>1101000,Gene_ID:miRBase:MI0000060,…``."""
    names = list(part.compartments)
    bits = re.compile(f"([01]{{{len(names)}}})(?:[,;|]|$)")
    rows = []
    for header, line in read_fasta(path)[["id", "line"]].itertuples(index=False):
        match = bits.match(header)
        if match is None:
            raise InputError(
                "no bits in a header",
                file=path,
                line=line,
                column=2,
                found=header,
                expected=f"{len(names)} times 0 or 1, one per compartment of the recipe",
            )
        fields = dict(re.findall(r"(\w+):([^,;|]+)", header))
        rna = fields.get(part.columns.get("rna", "Gene_Name"), header[match.end() :])
        set_bits = [name for name, bit in zip(names, match.group(1), strict=True) if bit == "1"]
        rows += [(rna, "", name, line) for name in set_bits or [""]]
    columns = ["rna", "species", "compartment", "line"]
    return pd.DataFrame(rows, columns=columns, dtype=object), names


def _read_matrix(part: LabelsPart, path: Path, rnas: RecipeRnas) -> RecipeLabels:
    """Labels of a matrix without names, a line per RNA in their order."""
    n_columns = len(part.compartments)
    cells = read_binary(path, len(rnas.ids), n_columns, columns_are="compartments")
    labels = pd.DataFrame(
        cells.astype(np.int8), index=rnas.rnas.index, columns=list(part.compartments)
    )
    reasons = pd.Series("", index=labels.index).mask(~labels.any(axis=1), "no compartment")
    source = source_of(part.file, path, "labels", reasons)
    return RecipeLabels(labels, source, left_out_rows("", (), "", ""))
