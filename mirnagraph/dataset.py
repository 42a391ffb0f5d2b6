"""Dataset, read from and written to a folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.config import load_toml
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import check_nucleotides, read_table, to_rna, write_folder, write_tsv
from mirnagraph.nodes import NodeIndex

FORMAT_VERSION = 1

LEFT_OUT_COLUMNS = ["item", "id", "reason", "source"]


def check_kind(kind: str, where: str | Path) -> None:
    """Raise InputError unless an association kind can be part of a file name."""
    if not re.fullmatch(r"\w[\w -]*", kind):
        raise InputError(
            "not a name for a kind of association",
            file=where,
            column="associations",
            found=kind,
            expected="letters, digits, _, - and blanks",
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """Everything the towers read about a set of RNAs.

    Row order is that of `rnas` everywhere. All tables are joined by id when the Dataset is made; a name that does not
    fit raises InputError.

    Attributes:
        name: short name, e.g. ``"mirna1041"``.
        rnas: index ``rna_id`` (unique). Column ``sequence`` (upper-case ACGUN, or None where unknown); optional columns
            ``matures`` (``;``-separated mature sequences), ``family`` (group id for grouped folds), and any others.
        associations: association kind (``"mRNA"``, ``"drug"``, ``"disease"``) -> columns ``rna_id``, ``partner_id``
            (pairs unique), and optional evidence columns.
        partners: association kind -> table with index ``partner_id`` (fixes the column order of the association matrix)
            and optional columns; for diseases ``descriptor_ids`` (``;``-separated ids into `ontology`).
        labels: index as `rnas`, one column per compartment, int8 0/1. An RNA without any annotation has only zeros.
        ontology: tree of disease terms, columns ``tree_number``, ``descriptor_id``, ``term``; may be empty.
        left_out: what the sources held and this Dataset does not: ``item``, ``id``, ``reason``, ``source``.
        description: one paragraph for people.
        synthetic: made-up data, and every report says so.
        supporting: kinds of association that are evidence beside the others: no network is made of them unless asked for by
            name, and they do not count as popularity.
    """

    name: str
    rnas: pd.DataFrame
    associations: Mapping[str, pd.DataFrame]
    partners: Mapping[str, pd.DataFrame]
    labels: pd.DataFrame
    ontology: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["tree_number", "descriptor_id", "term"])
    )
    left_out: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=LEFT_OUT_COLUMNS))
    description: str = ""
    synthetic: bool = False
    supporting: tuple[str, ...] = ()
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
        for kind in self.associations:
            check_kind(kind, where)
        raise_problems(self._association_problems(where))

    def _association_problems(self, where: str) -> list[InputError]:
        problems = []
        for kind, table in self.associations.items():
            for column, known, whose in (
                ("rna_id", self._index, "RNA"),
                ("partner_id", NodeIndex.of(self.partners[kind].index, kind), kind),
            ):
                if column not in table.columns:
                    problems.append(
                        InputError(
                            f"{kind} associations lack a column",
                            file=where,
                            column=column,
                            found=list(table.columns),
                        )
                    )
                    continue
                for name in pd.unique(table[column]):
                    if name not in known:
                        problems.append(
                            InputError(
                                f"a {kind} association names an unknown {whose}",
                                file=where,
                                column=column,
                                found=str(name),
                            )
                        )
            if not problems and table.duplicated(["rna_id", "partner_id"]).any():
                pair = table.loc[
                    table.duplicated(["rna_id", "partner_id"]), ["rna_id", "partner_id"]
                ].iloc[0]
                problems.append(
                    InputError(
                        f"a {kind} association stands twice",
                        file=where,
                        found=" - ".join(map(str, pair)),
                    )
                )
        return problems

    @property
    def index(self) -> NodeIndex:
        """The RNAs, in row order."""
        return self._index

    @property
    def compartments(self) -> list[str]:
        """Names of the compartments, in column order."""
        return [str(c) for c in self.labels.columns]

    @property
    def located(self) -> np.ndarray:
        """Which RNAs have at least one compartment: bool, shape (n_rnas,)."""
        return np.asarray(self.labels.to_numpy().any(axis=1))

    def partner_index(self, kind: str) -> NodeIndex:
        """Partners of one association kind, in column order of `association_matrix`."""
        return NodeIndex.of(self.partners[kind].index, kind)

    def association_matrix(self, kind: str) -> sparse.csr_array:
        """Binary matrix of one association kind: shape (n_rnas, n_partners), float64, sorted indices."""
        table = self.associations[kind]
        columns = self.partner_index(kind)
        rows = self.index.positions(table["rna_id"])
        cols = columns.positions(table["partner_id"])
        matrix = sparse.csr_array(
            (np.ones(len(table)), (rows, cols)), shape=(len(self.index), len(columns))
        )
        matrix.sort_indices()
        return matrix

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the dataset as TSV files and a ``dataset.toml``; all or nothing (see `load`).

        Raises:
            InputError: the folder exists and is not empty, and `overwrite` is not set.
        """
        import tomli_w

        about = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "description": self.description,
            "synthetic": self.synthetic,
            "compartments": self.compartments,
            "associations": list(self.associations),
            "supporting": list(self.supporting),
            "text_columns": self._text_columns(),
        }
        with write_folder(folder, overwrite=overwrite) as out:
            (out / "dataset.toml").write_text(tomli_w.dumps(about), encoding="utf-8")
            write_tsv(self.rnas.rename_axis("rna_id").reset_index(), out / "rnas.tsv")
            write_tsv(self.labels.rename_axis("rna_id").reset_index(), out / "labels.tsv")
            write_tsv(self.ontology, out / "ontology.tsv")
            write_tsv(self.left_out, out / "left_out.tsv")
            for kind, table in self.associations.items():
                write_tsv(table, out / f"associations.{kind}.tsv")
                write_tsv(
                    self.partners[kind].rename_axis("partner_id").reset_index(),
                    out / f"partners.{kind}.tsv",
                )
        return Path(folder)

    def _text_columns(self) -> dict[str, list[str]]:
        """Per table the columns that hold text, so that a text of digits is not read back as a number."""
        tables = {"rnas": self.rnas}
        for kind in self.associations:
            tables |= {
                f"associations.{kind}": self.associations[kind],
                f"partners.{kind}": self.partners[kind],
            }
        types = pd.api.types
        return {
            name: [
                str(c)
                for c in table.columns
                if not types.is_numeric_dtype(table[c]) or types.is_bool_dtype(table[c])
            ]
            for name, table in tables.items()
        }

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read a dataset folder written by `save` or by hand.

        Raises:
            InputError: the folder is not a dataset, or a file in it is wrong: names file, line and column.
        """

        return load_dataset(Path(folder))


def load_dataset(folder: Path) -> Dataset:
    """Read a folder laid out as `Dataset.save` writes it; ``ontology.tsv`` and ``left_out.tsv`` may be absent.

    Raises:
        InputError: names the file, line and column of the first 20 problems.
    """
    if not (folder / "dataset.toml").is_file():
        found = "no such folder" if not folder.exists() else "no dataset.toml in it"
        raise InputError(
            "not a dataset folder",
            file=folder,
            found=found,
            expected="dataset.toml, rnas.tsv, labels.tsv, associations.*.tsv",
        )
    about = load_toml(folder / "dataset.toml")
    if about.get("format_version") != FORMAT_VERSION:
        raise InputError(
            "unknown dataset format",
            file=folder / "dataset.toml",
            column="format_version",
            found=about.get("format_version"),
            expected=FORMAT_VERSION,
        )
    for key, kind in {"name": str, "compartments": list, "associations": list}.items():
        if not isinstance(about.get(key), kind):
            raise InputError(
                "missing or wrong setting",
                file=folder / "dataset.toml",
                column=key,
                found=about.get(key),
                expected=kind.__name__,
            )
    for key in ("compartments", "associations"):
        if not all(isinstance(name, str) and name for name in about[key]):
            raise InputError(
                "missing or wrong setting",
                file=folder / "dataset.toml",
                column=key,
                found=about[key],
                expected="a list of names",
            )
    for kind in about["associations"]:
        check_kind(kind, folder / "dataset.toml")
    text = about.get("text_columns", {})
    if not isinstance(text, dict) or not all(isinstance(names, list) for names in text.values()):
        raise InputError(
            "wrong setting",
            file=folder / "dataset.toml",
            column="text_columns",
            found=text,
            expected="lists of column names, one per table",
        )
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
    extra = {}
    if (folder / "ontology.tsv").is_file():
        extra["ontology"] = read_table(
            folder / "ontology.tsv", ["tree_number", "descriptor_id", "term"]
        ).reset_index(drop=True)
    if (folder / "left_out.tsv").is_file():
        extra["left_out"] = read_table(folder / "left_out.tsv", LEFT_OUT_COLUMNS).reset_index(
            drop=True
        )
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
    problems = [
        InputError("empty id", file=path, line=int(line), column=column)
        for line in table.index[table[column] == ""]
    ]
    first: dict[str, int] = {}
    for line, name in zip(table.index, table[column], strict=True):
        if name in first:
            problems.append(
                InputError(
                    "duplicate id",
                    file=path,
                    line=int(line),
                    column=column,
                    found=name,
                    expected=f"an id not seen before (first on line {first[name]})",
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
                check_nucleotides(
                    sequence, rna_id=name, file=path, line=int(line), column="sequence"
                )
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
            raise InputError(
                "not a number",
                file=path,
                line=line,
                column=str(name),
                found=filled[line],
                expected="a number, or nothing",
            )
        if text is not None or (len(filled) and not bad.any()):
            table[name] = numbers.reindex(table.index)
    return table


def _read_partners(path: Path, text: list[str] | None) -> pd.DataFrame:
    table = read_table(path, ["partner_id"])
    unique_ids(table, "partner_id", path)
    return _typed(table, text, path).set_index("partner_id")


def _read_associations(
    path: Path, rnas: pd.Index, partners: pd.Index, text: list[str] | None
) -> pd.DataFrame:
    table = read_table(path, ["rna_id", "partner_id"])
    problems = []
    for column, known, what in (
        ("rna_id", rnas, "rnas.tsv"),
        ("partner_id", partners, path.name.replace("associations.", "partners.")),
    ):
        unknown = ~table[column].isin(known)
        for line in table.index[unknown]:
            problems.append(
                InputError(
                    "an association names an unknown id",
                    file=path,
                    line=int(line),
                    column=column,
                    found=table.at[line, column],
                    expected=f"an id of {what}",
                )
            )
    twice = table.duplicated(["rna_id", "partner_id"])
    for line in table.index[twice]:
        pair = f"{table.at[line, 'rna_id']!s} - {table.at[line, 'partner_id']!s}"
        problems.append(
            InputError("an association stands twice", file=path, line=int(line), found=pair)
        )
    raise_problems(sorted(problems, key=lambda p: p.line or 0))
    return _typed(table, text, path).reset_index(drop=True)


def _read_labels(path: Path, rnas: pd.Index, compartments: list[str]) -> pd.DataFrame:
    table = read_table(path, ["rna_id", *compartments])
    unique_ids(table, "rna_id", path)
    problems = [
        InputError(
            "a label for an unknown RNA",
            file=path,
            line=int(line),
            column="rna_id",
            found=table.at[line, "rna_id"],
            expected="an id of rnas.tsv",
        )
        for line in table.index[~table["rna_id"].isin(rnas)]
    ]
    for name in compartments:
        for line in table.index[~table[name].isin(["0", "1"])]:
            problems.append(
                InputError(
                    "not a label",
                    file=path,
                    line=int(line),
                    column=name,
                    found=table.at[line, name],
                    expected="0 or 1",
                )
            )
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
