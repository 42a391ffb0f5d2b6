"""Dataset of RNAs, associations, labels and ontology; folder format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.config import load_toml
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import (
    cell_problems,
    check_nucleotides,
    read_table,
    repeated_cells,
    to_rna,
    write_folder,
    write_tsv,
)
from mirnagraph.measurements import Measurement, load_measurement, write_measurement
from mirnagraph.names.mirbase import MirbaseNames
from mirnagraph.names.store import load_names, save_names
from mirnagraph.nodes import NodeIndex

FORMAT_VERSION = 1

ONTOLOGY_COLUMNS = ["tree_number", "descriptor_id", "term"]

LEFT_OUT_COLUMNS = ["item", "id", "reason", "source"]

PAIR = ["rna_id", "partner_id"]

BENCHMARK_COMPARTMENTS = (
    "Cytoplasm",
    "Exosome",
    "Nucleolus",
    "Nucleus",
    "Extracellular vesicle",
    "Microvesicle",
    "Mitochondrion",
)
"""Compartments of the public benchmark of 1,041 miRNAs, in column order."""


def check_kind(kind: str, where: str | Path) -> None:
    """Raise InputError unless an association kind can be part of a file name."""
    _check_name(kind, where, "kind of association", "associations")


def _check_name(name: str, where: str | Path, what: str, column: str) -> None:
    if not re.fullmatch(r"\w[\w -]*", name):
        raise InputError(
            f"not a name for a {what}",
            file=where,
            column=column,
            found=name,
            expected="letters, digits, _, - and blanks",
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences, associations and labels of a set of RNAs.

    Row order is that of `rnas` everywhere. All tables are joined by id when the Dataset is made; an
    unknown id raises InputError.

    Attributes:
        name: short name, e.g. ``"mirna1041"``.
        rnas: index ``rna_id`` (unique). Column ``sequence`` (upper-case ACGUN, or None where
            unknown); optional columns ``matures`` (``;``-separated mature sequences), ``family``
            (group id for grouped folds), and any others.
        associations: association kind (``"mRNA"``, ``"drug"``, ``"disease"``) -> columns
            ``rna_id``, ``partner_id`` (pairs unique), and optional evidence columns.
        partners: association kind -> table with index ``partner_id`` (the column order of the
            association matrix) and optional columns; for diseases ``descriptor_ids``
            (``;``-separated ids of `ontology`).
        labels: index as `rnas`, one column per compartment, int8 0/1. An RNA without any annotation
            has only zeros.
        ontology: tree of diseases: ``tree_number``, ``descriptor_id``, ``term``; may be empty.
        left_out: records that are not used: ``item``, ``id``, ``reason``, ``source``.
        description: one paragraph.
        synthetic: whether the data are synthetic; every report states it.
        supporting: association kinds that are additional evidence: no network is made of them
            unless named, and they do not count as popularity.
        measurements: name -> numbers measured per RNA and sample, such as ``"expression"``.
        names: names of miRBase, which models made from the dataset carry on; None for none.
    """

    name: str
    rnas: pd.DataFrame
    associations: Mapping[str, pd.DataFrame]
    partners: Mapping[str, pd.DataFrame]
    labels: pd.DataFrame
    ontology: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=ONTOLOGY_COLUMNS))
    left_out: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=LEFT_OUT_COLUMNS))
    description: str = ""
    synthetic: bool = False
    supporting: tuple[str, ...] = ()
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    names: MirbaseNames | None = None
    _index: NodeIndex = field(init=False, repr=False)

    def __post_init__(self) -> None:
        where = f"dataset {self.name!r}"
        object.__setattr__(self, "_index", NodeIndex.of(self.rnas.index, "miRNA"))
        if "sequence" not in self.rnas.columns:
            raise InputError(
                "missing column", file=where, column="sequence", found=list(self.rnas.columns)
            )
        for name, sequence in self.rnas["sequence"].dropna().items():
            check_nucleotides(str(sequence), rna_id=str(name), file=where)
        if list(self.labels.index) != list(self.rnas.index):
            unknown = [name for name in self.labels.index if name not in self._index]
            if unknown:
                raise InputError(
                    "a label for an unknown RNA",
                    file=where,
                    found=unknown[0],
                    expected="an id of the RNA table",
                )
            self.index.require_same(
                NodeIndex.of(self.labels.index, "miRNA"), f"{where}: label rows"
            )
        if not np.isin(self.labels.to_numpy(), (0, 1)).all():
            raise InputError("labels must be 0 or 1", file=where)
        for kind in self.supporting:
            if kind not in self.associations:
                raise InputError(
                    "no such kind of association",
                    file=where,
                    column="supporting",
                    found=kind,
                    expected=", ".join(self.associations),
                )
        if set(self.associations) != set(self.partners):
            raise InputError(
                "each association kind needs a partner table",
                file=where,
                found=sorted(self.partners),
                expected=sorted(self.associations),
            )
        problems: list[InputError] = []
        for kind in self.associations:
            check_kind(kind, where)
            problems += self._association_problems(kind, where)
        raise_problems(problems)
        for name, measurement in self.measurements.items():
            _check_name(name, where, "measurement", "measurements")
            unknown = [rna for rna in measurement.values.index if rna not in self._index]
            if unknown:
                raise InputError(
                    f"measurement {name!r} names an unknown RNA",
                    file=where,
                    found=unknown[0],
                    expected="an id of the RNA table",
                )

    def _association_problems(self, kind: str, where: str) -> list[InputError]:
        table = self.associations[kind]
        problems = []
        for column, index, what in (
            ("rna_id", self._index, "RNA"),
            ("partner_id", self.partner_index(kind), kind),
        ):
            if column not in table.columns:
                columns = list(table.columns)
                lacking = f"{kind} associations lack a column"
                problems.append(InputError(lacking, file=where, column=column, found=columns))
                continue
            unknown = [str(name) for name in pd.unique(table[column]) if name not in index]
            what = f"a {kind} association names an unknown {what}"
            problems += [
                InputError(what, file=where, column=column, found=name) for name in unknown
            ]
        if problems:
            return problems
        repeated = table.loc[table.duplicated(PAIR), PAIR].to_numpy()
        if len(repeated):
            pair = " - ".join(map(str, repeated[0]))
            what = f"a {kind} association is duplicated"
            problems.append(InputError(what, file=where, found=pair))
        return problems

    @property
    def index(self) -> NodeIndex:
        """The RNAs, in row order."""
        return self._index

    @property
    def compartments(self) -> list[str]:
        """Names of the compartments, in column order."""
        return [str(name) for name in self.labels.columns]

    @property
    def located(self) -> np.ndarray:
        """Mask of RNAs with at least one compartment: bool, shape (n_rnas,)."""
        return np.asarray(self.labels.to_numpy().any(axis=1))

    def partner_index(self, kind: str) -> NodeIndex:
        """Partners of one association kind, in column order of `association_matrix`."""
        return NodeIndex.of(self.partners[kind].index, kind)

    def association_matrix(self, kind: str) -> sparse.csr_array:
        """Binary matrix of one kind: shape (n_rnas, n_partners), float64, sorted indices."""
        table = self.associations[kind]
        columns = self.partner_index(kind)
        rows = self.index.positions(table["rna_id"])
        places = (rows, columns.positions(table["partner_id"]))
        shape = (len(self.index), len(columns))
        matrix = sparse.csr_array((np.ones(len(table)), places), shape=shape)
        matrix.sort_indices()
        return matrix

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the dataset as TSV files and a ``dataset.toml``, atomically (see `load`).

        Raises:
            InputError: the folder exists and is not empty, and `overwrite` is not set.
        """
        import tomli_w

        about: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "description": self.description,
            "synthetic": self.synthetic,
            "compartments": self.compartments,
            "associations": list(self.associations),
            "supporting": list(self.supporting),
            "text_columns": self._text_columns(),
        }
        if self.measurements:
            about["measurements"] = {
                name: {
                    "unit": measurement.unit,
                    "is_label_like": measurement.is_label_like,
                    "source": measurement.source,
                    "arms": list(measurement.arms),
                }
                for name, measurement in self.measurements.items()
            }
        tables = {
            "rnas": self.rnas.rename_axis("rna_id").reset_index(),
            "labels": self.labels.rename_axis("rna_id").reset_index(),
            "ontology": self.ontology,
            "left_out": self.left_out,
        }
        for kind, table in self.associations.items():
            tables[f"associations.{kind}"] = table
            tables[f"partners.{kind}"] = self.partners[kind].rename_axis("partner_id").reset_index()
        with write_folder(folder, overwrite=overwrite) as out:
            if self.names is not None:
                about["names"] = save_names(self.names, out)
            (out / "dataset.toml").write_text(tomli_w.dumps(about), encoding="utf-8")
            for name, table in tables.items():
                write_tsv(table, out / f"{name}.tsv")
            for name, measurement in self.measurements.items():
                write_measurement(measurement, out, name)
        return Path(folder)

    def _text_columns(self) -> dict[str, list[str]]:
        """Text columns of each table, so that a text of digits is not read back as a number."""
        tables = {"rnas": self.rnas}
        for kind in self.associations:
            tables[f"associations.{kind}"] = self.associations[kind]
            tables[f"partners.{kind}"] = self.partners[kind]
        return {
            name: [str(column) for column in table.columns if not _is_number(table[column])]
            for name, table in tables.items()
        }

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read a dataset folder written by `save` or by hand.

        Raises:
            InputError: the folder is not a dataset, or a file in it is wrong: names file, line and
                column.
        """
        return load_dataset(Path(folder))


def _is_number(column: pd.Series) -> bool:
    types = pd.api.types
    return types.is_numeric_dtype(column) and not types.is_bool_dtype(column)


def load_dataset(folder: Path) -> Dataset:
    """Read a dataset folder (see `Dataset.save`).

    ``ontology.tsv`` and ``left_out.tsv`` may be absent.

    Raises:
        InputError: names the file, line and column of the first 20 problems.
    """
    about = _read_about(folder)
    text = about["text_columns"]
    rnas = _read_rnas(folder / "rnas.tsv", text.get("rnas"))
    partners = {}
    associations = {}
    for kind in about["associations"]:
        name = f"partners.{kind}"
        partners[kind] = _read_partners(folder / f"{name}.tsv", text.get(name))
        name = f"associations.{kind}"
        associations[kind] = _read_associations(
            folder / f"{name}.tsv", rnas.index, partners[kind].index, text.get(name)
        )
    optional = {}
    for name, columns in (("ontology", ONTOLOGY_COLUMNS), ("left_out", LEFT_OUT_COLUMNS)):
        if (folder / f"{name}.tsv").is_file():
            table = read_table(folder / f"{name}.tsv", columns)
            optional[name] = table.reset_index(drop=True)
    return Dataset(
        name=about["name"],
        rnas=rnas,
        associations=associations,
        partners=partners,
        labels=_read_labels(folder / "labels.tsv", rnas.index, about["compartments"]),
        description=str(about.get("description", "")),
        synthetic=bool(about.get("synthetic", False)),
        supporting=tuple(str(kind) for kind in about.get("supporting", [])),
        measurements=_read_measurements(folder, about, rnas.index),
        names=load_names(folder, about["names"]) if "names" in about else None,
        **optional,
    )


def _read_about(folder: Path) -> dict[str, Any]:
    """Settings of ``dataset.toml``, checked; ``text_columns`` is always present."""
    path = folder / "dataset.toml"
    if not path.is_file():
        found = "no such folder" if not folder.exists() else "no dataset.toml in it"
        raise InputError(
            "not a dataset folder",
            file=folder,
            found=found,
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

    check(isinstance(about.get("name"), str), "name", "str")
    for key in ("compartments", "associations"):
        check(isinstance(about.get(key), list), key, "list")
        are_names = all(isinstance(name, str) and name for name in about[key])
        check(are_names, key, "a list of names")
    for kind in about["associations"]:
        check_kind(kind, path)
    text = about.setdefault("text_columns", {})
    are_lists = isinstance(text, dict) and all(isinstance(names, list) for names in text.values())
    check(are_lists, "text_columns", "lists of column names, one per table")
    measured = about.setdefault("measurements", {})
    are_tables = isinstance(measured, dict) and all(isinstance(m, dict) for m in measured.values())
    check(are_tables, "measurements", "one table of settings per measurement")
    check(isinstance(about.get("names", {}), dict), "names", "a table: species and release")
    for name in measured:
        _check_name(name, path, "measurement", "measurements")
    return about


def _read_measurements(
    folder: Path, about: dict[str, Any], rnas: pd.Index
) -> dict[str, Measurement]:
    """Measurements that ``dataset.toml`` names."""
    measurements = {}
    for name, entry in about["measurements"].items():
        measurements[name] = load_measurement(folder, name, entry)
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


def unique_ids(table: pd.DataFrame, column: str, path: Path) -> None:
    """Raise InputError for an empty or repeated id.

    Args:
        table: index: line numbers of the file.
        column: column of the ids.
        path: the file, for the message.
    """
    problems = [
        InputError("empty id", file=path, line=int(line), column=column)
        for line in table.index[table[column] == ""]
    ]
    expected = "an id not seen before"
    raise_problems([*problems, *repeated_cells(table, column, "duplicate id", path, expected)])


def _read_rnas(path: Path, text: list[str] | None) -> pd.DataFrame:
    table = read_table(path, ["rna_id", "sequence"])
    unique_ids(table, "rna_id", path)
    table["sequence"] = table["sequence"].map(to_rna).astype(object)
    problems = []
    for line, name, sequence in table[["rna_id", "sequence"]].itertuples(name=None):
        if sequence:
            try:
                check_nucleotides(sequence, rna_id=name, file=path, line=line, column="sequence")
            except InputError as error:
                problems.append(error)
    raise_problems(problems)
    table.loc[table["sequence"] == "", "sequence"] = None
    return _typed(table, text, path).set_index("rna_id")


def _typed(table: pd.DataFrame, text: list[str] | None, path: Path) -> pd.DataFrame:
    """Turn columns of numbers into numbers, in place.

    These are the columns that `text` does not list; without `text`, those in which every filled
    cell is a number.
    """
    for name in table.columns:
        if name in {"rna_id", "partner_id", "sequence"} or name in (text or ()):
            continue
        if text is None and (name in {"matures", "family", "pmids"} or str(name).endswith("_ids")):
            continue
        filled = table.loc[table[name] != "", name]
        numbers = pd.to_numeric(filled, errors="coerce")
        is_bad = numbers.isna()
        if is_bad.any():
            is_bad &= filled.str.lower() != "nan"
        if text is not None:
            is_bad = is_bad.reindex(table.index, fill_value=False)
            expected = "a number, or nothing"
            raise_problems(cell_problems(table, name, is_bad, "not a number", path, expected))
        if text is not None or (len(filled) and not is_bad.any()):
            table[name] = numbers.reindex(table.index)
    return table


def _read_partners(path: Path, text: list[str] | None) -> pd.DataFrame:
    table = read_table(path, ["partner_id"])
    unique_ids(table, "partner_id", path)
    return _typed(table, text, path).set_index("partner_id")


def _read_associations(
    path: Path, rnas: pd.Index, partners: pd.Index, text: list[str] | None
) -> pd.DataFrame:
    table = read_table(path, PAIR)
    of_partners = path.name.replace("associations.", "partners.")
    known = {"rna_id": (rnas, "rnas.tsv"), "partner_id": (partners, of_partners)}
    what = "an association names an unknown id"
    problems = []
    for column, (ids, file) in known.items():
        is_unknown = ~table[column].isin(ids)
        problems += cell_problems(table, column, is_unknown, what, path, f"an id of {file}")
    for line, *pair in table.loc[table.duplicated(PAIR), PAIR].itertuples(name=None):
        names = " - ".join(pair)
        problems.append(InputError("a duplicate association", file=path, line=line, found=names))
    raise_problems(problems, by_line=True)
    return _typed(table, text, path).reset_index(drop=True)


def _read_labels(path: Path, rnas: pd.Index, compartments: list[str]) -> pd.DataFrame:
    table = read_table(path, ["rna_id", *compartments])
    unique_ids(table, "rna_id", path)
    what = "a label for an unknown RNA"
    is_unknown = ~table["rna_id"].isin(rnas)
    problems = cell_problems(table, "rna_id", is_unknown, what, path, "an id of rnas.tsv")
    for name in compartments:
        is_wrong = ~table[name].isin(["0", "1"])
        problems += cell_problems(table, name, is_wrong, "not a label", path, "0 or 1")
    raise_problems(problems, by_line=True)
    labels = table.set_index("rna_id")[compartments].astype(np.int8)
    absent = rnas.difference(labels.index)
    if len(absent):
        raise InputError(
            "RNAs without a line in the label table",
            file=path,
            found=f"{len(absent)}, the first {absent[0]}",
            expected="one line per RNA, all 0 without annotation",
        )
    return labels.reindex(rnas)
