"""Reading a dataset folder: every problem named by file, line and column, before a Dataset is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.config import load_toml
from mirnagraph.dataset import FORMAT_VERSION, LEFT_OUT_COLUMNS, Dataset, check_kind
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.tables import check_letters, read_table, to_rna


def load_dataset(folder: Path) -> Dataset:
    """Read a folder laid out as `Dataset.save` writes it; ``ontology.tsv`` and ``left_out.tsv`` may be absent.

    Raises:
        InputError: names the file, line and column of the first 20 problems.
    """
    if not (folder / "dataset.toml").is_file():
        found = "no such folder" if not folder.exists() else "no dataset.toml in it"
        raise InputError("not a dataset folder", file=folder, found=found, expected="dataset.toml, rnas.tsv, labels.tsv, associations.*.tsv")
    about = load_toml(folder / "dataset.toml")
    if about.get("format_version") != FORMAT_VERSION:
        raise InputError(
            "unknown dataset format", file=folder / "dataset.toml", column="format_version", found=about.get("format_version"), expected=FORMAT_VERSION
        )
    for key, kind in {"name": str, "compartments": list, "associations": list}.items():
        if not isinstance(about.get(key), kind):
            raise InputError("missing or wrong setting", file=folder / "dataset.toml", column=key, found=about.get(key), expected=kind.__name__)
    for key in ("compartments", "associations"):
        if not all(isinstance(name, str) and name for name in about[key]):
            raise InputError("missing or wrong setting", file=folder / "dataset.toml", column=key, found=about[key], expected="a list of names")
    for kind in about["associations"]:
        check_kind(kind, folder / "dataset.toml")
    text = about.get("text_columns", {})
    if not isinstance(text, dict) or not all(isinstance(names, list) for names in text.values()):
        raise InputError("wrong setting", file=folder / "dataset.toml", column="text_columns", found=text, expected="lists of column names, one per table")
    rnas = _read_rnas(folder / "rnas.tsv", text.get("rnas"))
    partners, associations = {}, {}
    for kind in about["associations"]:
        name = f"partners.{kind}"
        partners[kind] = _read_partners(folder / f"{name}.tsv", text.get(name))
        name = f"associations.{kind}"
        associations[kind] = _read_associations(folder / f"{name}.tsv", rnas.index, partners[kind].index, text.get(name))
    extra = {}
    if (folder / "ontology.tsv").is_file():
        extra["ontology"] = read_table(folder / "ontology.tsv", ["tree_number", "descriptor_id", "term"]).reset_index(drop=True)
    if (folder / "left_out.tsv").is_file():
        extra["left_out"] = read_table(folder / "left_out.tsv", LEFT_OUT_COLUMNS).reset_index(drop=True)
    return Dataset(
        name=about["name"],
        rnas=rnas,
        associations=associations,
        partners=partners,
        labels=_read_labels(folder / "labels.tsv", rnas.index, about["compartments"]),
        description=str(about.get("description", "")),
        synthetic=bool(about.get("synthetic", False)),
        supporting=tuple(str(kind) for kind in about.get("supporting", [])),
        **extra,
    )


def unique_ids(table: pd.DataFrame, column: str, path: Path) -> None:
    """Raise InputError for an empty or repeated id; `table` has line numbers as its index."""
    problems = [InputError("empty id", file=path, line=int(line), column=column) for line in table.index[table[column] == ""]]
    first: dict[str, int] = {}
    for line, name in zip(table.index, table[column], strict=True):
        if name in first:
            problems.append(
                InputError(
                    "duplicate id", file=path, line=int(line), column=column, found=name, expected=f"an id not seen before (first on line {first[name]})"
                )
            )
        first.setdefault(name, int(line))
    raise_problems(problems)


def _read_rnas(path: Path, text: list[str] | None) -> pd.DataFrame:
    table = read_table(path, ["rna_id", "sequence"])
    unique_ids(table, "rna_id", path)
    problems = []
    sequences: list[str | None] = []
    for line, name, cell in zip(table.index, table["rna_id"], table["sequence"], strict=True):
        sequence = to_rna(cell)
        sequences.append(sequence or None)
        if sequence:
            try:
                check_letters(sequence, rna_id=name, file=path, line=int(line), column="sequence")
            except InputError as error:
                problems.append(error)
    raise_problems(problems)
    table["sequence"] = pd.Series(sequences, index=table.index, dtype=object)
    return _typed(table, text, path).set_index("rna_id")


def _typed(table: pd.DataFrame, text: list[str] | None, path: Path) -> pd.DataFrame:
    """Numbers in the columns that are not among the text columns of dataset.toml; where that says nothing, where every filled cell is one."""
    for name in table.columns:
        if name in {"rna_id", "partner_id", "sequence"} or name in (text or ()):
            continue
        if text is None and (name in {"matures", "family", "pmids"} or str(name).endswith("_ids")):
            continue
        filled = table.loc[table[name] != "", name]
        numbers = pd.to_numeric(filled, errors="coerce")
        bad = numbers.isna()
        bad = bad & (filled.str.lower() != "nan") if bad.any() else bad
        if text is not None and bad.any():
            line = int(filled.index[bad][0])
            raise InputError("not a number", file=path, line=line, column=str(name), found=filled[line], expected="a number, or nothing")
        if text is not None or (len(filled) and not bad.any()):
            table[name] = numbers.reindex(table.index)
    return table


def _read_partners(path: Path, text: list[str] | None) -> pd.DataFrame:
    table = read_table(path, ["partner_id"])
    unique_ids(table, "partner_id", path)
    return _typed(table, text, path).set_index("partner_id")


def _read_associations(path: Path, rnas: pd.Index, partners: pd.Index, text: list[str] | None) -> pd.DataFrame:
    table = read_table(path, ["rna_id", "partner_id"])
    problems = []
    for column, known, what in (("rna_id", rnas, "rnas.tsv"), ("partner_id", partners, path.name.replace("associations.", "partners."))):
        unknown = ~table[column].isin(known)
        for line in table.index[unknown]:
            problems.append(
                InputError(
                    "an association names an unknown id", file=path, line=int(line), column=column, found=table.at[line, column], expected=f"an id of {what}"
                )
            )
    twice = table.duplicated(["rna_id", "partner_id"])
    for line in table.index[twice]:
        pair = f"{table.at[line, 'rna_id']!s} - {table.at[line, 'partner_id']!s}"
        problems.append(InputError("an association stands twice", file=path, line=int(line), found=pair))
    raise_problems(sorted(problems, key=lambda p: p.line or 0))
    return _typed(table, text, path).reset_index(drop=True)


def _read_labels(path: Path, rnas: pd.Index, compartments: list[str]) -> pd.DataFrame:
    table = read_table(path, ["rna_id", *compartments])
    unique_ids(table, "rna_id", path)
    problems = [
        InputError("a label for an unknown RNA", file=path, line=int(line), column="rna_id", found=table.at[line, "rna_id"], expected="an id of rnas.tsv")
        for line in table.index[~table["rna_id"].isin(rnas)]
    ]
    for name in compartments:
        for line in table.index[~table[name].isin(["0", "1"])]:
            problems.append(InputError("not a label", file=path, line=int(line), column=name, found=table.at[line, name], expected="0 or 1"))
    raise_problems(sorted(problems, key=lambda p: p.line or 0))
    labels = table.set_index("rna_id")[compartments].astype(np.int8)
    absent = rnas.difference(labels.index)
    if len(absent):
        raise InputError(
            "RNAs without a line in the label table",
            file=path,
            found=f"{len(absent)}, the first {absent[0]}",
            expected="one line per RNA, all 0 where nothing is known",
        )
    return labels.reindex(rnas)
