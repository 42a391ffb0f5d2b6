"""Dataset of RNAs, associations, labels and ontology; folder format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.folder.columns import (
    LEFT_OUT_COLUMNS,
    ONTOLOGY_COLUMNS,
    PAIR,
    check_compartments,
    check_file_part,
    check_kinds,
)
from mirnagraph.folder.read import FORMAT_VERSION, read_folder
from mirnagraph.io import check_nucleotides, write_folder, write_tsv
from mirnagraph.measurements import Measurement, write_measurement
from mirnagraph.names.mirbase import MirbaseNames
from mirnagraph.names.store import save_names
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.arguments import check_fields, checked
from mirnagraph.reading.arrays import number_array
from mirnagraph.reading.schema import LARGEST_COUNT
from mirnagraph.writing.contents import DATASET

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
        check_fields(self)
        self._read_numbers_as_ids()
        object.__setattr__(self, "_index", NodeIndex.of(self.rnas.index, "miRNA"))
        if "sequence" not in self.rnas.columns:
            raise InputError(
                "missing column", file=where, column="sequence", found=list(self.rnas.columns)
            )
        for name, sequence in self.rnas["sequence"].dropna().items():
            check_nucleotides(str(sequence), rna_id=str(name), file=where)
        self._check_matures(where)
        check_compartments(self.compartments, where)
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
        if not np.isin(number_array(self.labels, f"{where}: labels"), (0, 1)).all():
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
        check_kinds(list(self.associations), where)
        for kind in self.associations:
            problems += self._association_problems(kind, where)
        raise_problems(problems)
        for name, measurement in self.measurements.items():
            check_file_part(name, where, "measurement", "measurements")
            unknown = [rna for rna in measurement.values.index if rna not in self._index]
            if unknown:
                raise InputError(
                    f"measurement {name!r} names an unknown RNA",
                    file=where,
                    found=unknown[0],
                    expected="an id of the RNA table",
                )

    def _read_numbers_as_ids(self) -> None:
        """Write ids that are whole numbers as texts, as `index` has them."""
        associations = {}
        for kind, table in self.associations.items():
            texts = {name: _texts(table[name]) for name in PAIR if name in table.columns}
            is_changed = any(column is not table[name] for name, column in texts.items())
            associations[kind] = table.assign(**texts) if is_changed else table
        partners = {kind: _with_text_index(table) for kind, table in self.partners.items()}
        for name, value in {
            "rnas": _with_text_index(self.rnas),
            "labels": _with_text_index(self.labels),
            "associations": associations,
            "partners": partners,
        }.items():
            object.__setattr__(self, name, value)

    def _check_matures(self, where: str) -> None:
        """Refuse mature sequences that are no RNA."""
        if "matures" not in self.rnas.columns:
            return
        for name, cell in self.rnas["matures"].dropna().items():
            for mature in filter(None, str(cell).split(";")):
                check_nucleotides(mature, rna_id=f"a mature of {name}", file=where)

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
        for column in table.columns[table.columns.str.startswith("n_")]:
            problems += _count_problems(table, kind, str(column), where)
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
        """Binary matrix of one kind: shape (n_rnas, n_partners), float64, sorted indices.

        Raises:
            InputError: the dataset has no such kind.
        """
        if kind not in self.associations:
            expected = ", ".join(self.associations) or "none"
            raise InputError("no such kind of association", found=str(kind), expected=expected)
        table = self.associations[kind]
        columns = self.partner_index(kind)
        rows = self.index.positions(table["rna_id"])
        places = (rows, columns.positions(table["partner_id"]))
        shape = (len(self.index), len(columns))
        matrix = sparse.csr_array((np.ones(len(table)), places), shape=shape)
        matrix.sort_indices()
        return matrix

    @checked
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
        with write_folder(folder, overwrite=overwrite, content=DATASET) as out:
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
    @checked
    def load(cls, folder: str | Path) -> Dataset:
        """Read a dataset folder written by `save` or by hand.

        Raises:
            InputError: the folder is not a dataset, or a file in it is wrong: names file, line and
                column.
        """
        return cls(**read_folder(Path(folder)))


def _texts(ids: Any) -> Any:
    """A column or an index of ids, whole numbers as texts; itself where there are none."""
    if pd.api.types.infer_dtype(ids, skipna=True) not in ("integer", "mixed-integer"):
        return ids
    return ids.map(lambda name: str(name) if isinstance(name, int | np.integer) else name)


def _with_text_index(table: pd.DataFrame) -> pd.DataFrame:
    index = _texts(table.index)
    return table if index is table.index else table.set_axis(index, axis=0)


def _count_problems(table: pd.DataFrame, kind: str, column: str, where: str) -> list[InputError]:
    """The first count of an association that is none."""
    counts = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64)
    is_wrong = ~((counts >= 0) & (counts <= LARGEST_COUNT) & (counts == np.floor(counts)))
    if not is_wrong.any():
        return []
    row = int(np.argmax(is_wrong))
    return [
        InputError(
            f"not a count of {kind} associations (row {row})",
            file=where,
            column=column,
            found=table[column].iloc[row],
            expected="a whole number of 0 or more",
        )
    ]


def _is_number(column: pd.Series) -> bool:
    types = pd.api.types
    return types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
