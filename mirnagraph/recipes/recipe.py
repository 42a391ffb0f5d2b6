"""Settings of a recipe, read from TOML and checked; the shipped recipes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar

from mirnagraph.config import Checked, CountOrZero, from_dict, load_toml, nearest, require
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.reading.text import read_text

HAIRPINS = "mirbase hairpins"

MATURES = "mirbase matures"

FASTA = "fasta"

LIST = "list"

SEQUENCE = "sequence"
"""Column of the sequences of a list."""

TEMPLATE = "new"
"""Name of the commented recipe that `build-dataset --new` writes; no dataset by itself."""

Part = TypeVar("Part")

_MORE_COLUMNS = {
    "mirtarbase": ("mirna_species", "gene_species", "entrez_id", "experiments", "support"),
    "ncdr": ("expression", "effect"),
    "hmdd3": ("category",),
    "hmdd4": ("category",),
}
"""Columns that a format has besides rna, partner and pmid."""


def _check_columns(columns: Mapping[str, str], known: Sequence[str]) -> None:
    """Raise ConfigError for a name that is no column of the part, and a column of two names."""
    for name in columns:
        if name not in known:
            raise ConfigError(f"setting 'columns' names {name!r}{nearest(name, list(known))}")
    _check_distinct(columns)


def _check_distinct(columns: Mapping[str, str]) -> None:
    """Raise ConfigError for a column of the file that has two names."""
    given = list(columns.values())
    for name, column in columns.items():
        require(given.count(column) == 1, f"columns.{name}", column, "a column of its own")


@dataclass(frozen=True)
class RnasPart(Checked):
    """Which RNAs, and their sequences: the table ``[rnas]``.

    Attributes:
        origin: written ``from``: miRBase's hairpins or matures, a FASTA, or a list of names.
        file: of the FASTA or list. A list has one name a line, or a column ``rna``.
        columns: name here -> column of the file: ``rna``; ``sequence``; others are added to the RNA
            table.
        sequences: FASTA of the sequences; RNAs that it does not have keep their others.
        prefer: whose sequence counts where miRBase and a file disagree; empty: refused.
        mirbase: folder of miRBase; empty: mirbase for human, mirbase_all for others.
        families: ``miFam.dat``, for the sizes of families; empty: none.
        type: of all RNAs, such as circRNA; empty: none.
        iupac: ambiguous nucleotides of a FASTA: refused, or read as N.
        cut_at: length of sequences that are published cut, such as the 32,767 characters that a
            cell of a spreadsheet holds; 0: none.
    """

    origin: Annotated[str, (HAIRPINS, MATURES, FASTA, LIST)]
    file: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    sequences: str = ""
    prefer: Annotated[str, ("", "fasta", "table", "mirbase")] = ""
    mirbase: str = ""
    families: str = ""
    type: str = ""
    iupac: Annotated[str, ("error", "n")] = "error"
    cut_at: CountOrZero = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.origin in (FASTA, LIST):
            require(bool(self.file), "file", self.file, f"the file of a {self.origin}")
        else:
            require(not self.file, "file", self.file, f'nothing with from = "{self.origin}"')
        if self.columns:
            require(self.origin == LIST, "columns", self.columns, 'nothing but with from = "list"')
            require("rna" in self.columns, "columns", self.columns, "a name 'rna' among them")
            _check_distinct(self.columns)

    @property
    def uses_mirbase(self) -> bool:
        """Whether names and sequences are looked up in miRBase."""
        if self.origin in (HAIRPINS, MATURES) or self.mirbase:
            return True
        return self.origin == LIST and not self.sequences and SEQUENCE not in self.columns


@dataclass(frozen=True)
class LabelsPart(Checked):
    """Labels: the table ``[labels]``.

    Attributes:
        file: of the labels.
        format: ``rnalocate`` (a record a line), ``vesiclepedia``, ``table`` (0/1 columns, or one
            column of classes), ``bits`` (a FASTA whose headers begin with 0/1 per compartment), or
            ``matrix`` (0/1 without names, a line per RNA in their order).
        columns: name here -> column of the file: ``rna``, ``compartment``, ``species``.
        compartments: which, in this order; empty: those of the file, in order of appearance.
        rename: compartment of the file -> name in the dataset.
        match: how names are compared (see `AssociationPart`).
    """

    file: str
    format: Annotated[str, ("rnalocate", "vesiclepedia", "table", "bits", "matrix")]
    columns: dict[str, str] = field(default_factory=dict)
    compartments: tuple[str, ...] = ()
    rename: dict[str, str] = field(default_factory=dict)
    match: Annotated[str, ("", "name", "exact")] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_columns(self.columns, ("rna", "compartment", "species"))
        names = [name.casefold() for name in self.compartments]
        is_distinct = len(set(names)) == len(names)
        require(is_distinct, "compartments", list(self.compartments), "each name once")
        if self.format in ("bits", "matrix"):
            expected = f'the compartments of the columns, with format = "{self.format}"'
            require(bool(self.compartments), "compartments", [], expected)


@dataclass(frozen=True)
class PartnersPart(Checked):
    """Partners of an association kind: the table ``partners`` of ``[[associations]]``.

    Attributes:
        file: table that lists them, in this order; others are left out. Empty: those of the
            records.
        columns: name here -> column of the file: ``partner``, and ``merged`` (names separated by
            ``|`` that are read as this partner).
        matrix: 0/1 without names, a line per partner in their order.
        matrix_columns: names of its columns.
        sequences: FASTA of the partners' sequences.
    """

    file: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    matrix: str = ""
    matrix_columns: tuple[str, ...] = ()
    sequences: str = ""

    def __post_init__(self) -> None:
        _check_columns(self.columns, ("partner", "merged"))


@dataclass(frozen=True)
class AssociationPart(Checked):
    """One kind of association: a table ``[[associations]]``.

    Attributes:
        kind: its name in the dataset.
        format: ``hmdd3``, ``hmdd4``, ``mirtarbase``, ``ncdr``, or ``table``: a column of RNAs, a
            column of partners, and columns of evidence.
        file: of the records.
        columns: name here -> column of the file: ``rna``, ``partner``, ``pmid``, ``species``.
        evidence: columns of a ``table`` that hold numbers of 0 or more; the largest of a pair.
        types: HMDD's pairs with the type of their evidence.
        types_optional: whether the dataset is built without them where the file is not there.
        match: ``name`` (in any letter case, without its arm, by a hairpin of miRBase that both
            have), ``exact`` (letter for letter), ``mature`` (a mature of the RNA) or ``published``
            (as the authors of the benchmark joined the format); empty: ``name`` with miRBase, else
            ``exact``.
        order: of the partners: by ``records``, or by ``rnas`` and then records.
        weak: whether weak support of miRTarBase counts.
        non_functional: whether a target that was tested and found to be none counts.
        supporting: additional evidence, of which no network is made.
        optional: whether the dataset is built without it where the file is not there.
        partners: of this kind.
    """

    kind: str
    format: Annotated[str, ("hmdd3", "hmdd4", "mirtarbase", "ncdr", "table")]
    file: str
    columns: dict[str, str] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    types: str = ""
    types_optional: bool = False
    match: Annotated[str, ("", "name", "exact", "mature", "published")] = ""
    order: Annotated[str, ("records", "rnas")] = "records"
    weak: bool = False
    non_functional: bool = False
    supporting: bool = False
    optional: bool = False
    partners: PartnersPart = field(default_factory=PartnersPart)

    def __post_init__(self) -> None:
        super().__post_init__()
        more = _MORE_COLUMNS.get(self.format, ("species",))
        _check_columns(self.columns, ("rna", "partner", "pmid", *more))
        if self.format == "table":
            require(self.match != "published", "match", self.match, "name, exact or mature")
        else:
            require(not self.evidence, "evidence", self.evidence, 'nothing but with "table"')


@dataclass(frozen=True)
class MeshPart(Checked):
    """The ontology of diseases: the table ``[mesh]``.

    Attributes:
        file: MeSH's tree (`sources.mesh.read_mesh`).
        kind: association kind whose partners are matched with its terms.
    """

    file: str
    kind: str = "disease"


@dataclass(frozen=True)
class MeasurementPart(Checked):
    """Numbers per RNA and sample: a table ``[[expression]]``.

    Attributes:
        format: ``mirmine``, ``evmirna2``, ``vesiclepedia``, or ``table``: RNA x sample.
        file: of the table; the folder of the others.
        name: in the dataset.
        samples: table of the samples of a ``table``.
        unit: of a ``table``: RPM, CPM, TPM, count, or another name.
        label_like: whether the numbers of a ``table`` are nearly the labels.
        optional: whether the dataset is built without it where the file is not there.
    """

    format: Annotated[str, ("mirmine", "evmirna2", "vesiclepedia", "table")]
    file: str
    name: str = "expression"
    samples: str = ""
    unit: str = "RPM"
    label_like: bool = False
    optional: bool = False


@dataclass(frozen=True, eq=False)
class Recipe:
    """A recipe as read.

    Attributes:
        name: of the dataset.
        species: prefix of miRBase, or Latin name, as written.
        description: one paragraph.
        rnas: which RNAs.
        labels: None for a dataset that can be predicted on, not trained on.
        associations: kinds, in their order in the dataset.
        mesh: None without ontology.
        expression: measurements, in their order in the dataset.
        text: of the file.
        folder: that paths are relative to; None for a shipped recipe.
    """

    name: str
    species: str
    description: str
    rnas: RnasPart
    labels: LabelsPart | None
    associations: tuple[AssociationPart, ...]
    mesh: MeshPart | None
    expression: tuple[MeasurementPart, ...]
    text: str
    folder: Path | None

    def files(self, mirbase: str) -> list[tuple[str, str]]:
        """Files and folders that must be there: path and the setting that names it.

        Args:
            mirbase: folder of miRBase; empty where it is not read.
        """
        rnas = self.rnas
        named = [
            (rnas.file, "rnas.file"),
            (mirbase, "rnas.mirbase"),
            (rnas.families, "rnas.families"),
            (rnas.sequences, "rnas.sequences"),
        ]
        if self.labels is not None:
            named.append((self.labels.file, "labels.file"))
        for part in self.associations:
            if not part.optional:
                where = f"associations.{part.kind}"
                named += [
                    (part.file, f"{where}.file"),
                    ("" if part.types_optional else part.types, f"{where}.types"),
                    (part.partners.file, f"{where}.partners.file"),
                    (part.partners.matrix, f"{where}.partners.matrix"),
                    (part.partners.sequences, f"{where}.partners.sequences"),
                ]
        if self.mesh is not None:
            named.append((self.mesh.file, "mesh.file"))
        for measured in self.expression:
            if not measured.optional:
                where = f"expression.{measured.name}"
                named += [(measured.file, f"{where}.file"), (measured.samples, f"{where}.samples")]
        return [(path, where) for path, where in named if path]


_KEYS = ["associations", "description", "expression", "labels", "mesh", "name", "rnas", "species"]


def shipped() -> list[str]:
    """Names of the recipes that come with the package, without the template."""
    names = [entry.name for entry in resources.files("mirnagraph.recipes").iterdir()]
    recipes = sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))
    return [name for name in recipes if name != TEMPLATE]


def shipped_text(name: str) -> str:
    """Text of a shipped recipe, or of the template."""
    path = resources.files("mirnagraph.recipes").joinpath(f"{name}.toml")
    return path.read_text(encoding="utf-8")


def read_recipe(name_or_path: str | Path) -> Recipe:
    """Read a recipe by the name of a shipped one, or from a file.

    Raises:
        InputError: no such recipe, or not TOML.
        ConfigError: an unknown setting (with the nearest known one), a missing one, or a value of
            the wrong type or that is not valid.
    """
    name = str(name_or_path)
    if name in shipped():
        return parse_recipe(shipped_text(name), f"recipe {name}", None)
    path = Path(name_or_path)
    if not path.is_file() and path.suffix != ".toml":
        raise InputError(
            "no such recipe",
            file=path,
            found="a folder" if path.is_dir() else "neither a name nor a file",
            expected=f"{', '.join(shipped())}, or a TOML file",
            hint="write one to start from with: mirnagraph build-dataset --new recipe.toml",
        )
    load_toml(path)
    return parse_recipe(read_text(path), str(path), path.resolve().parent)


def parse_recipe(text: str, where: str, folder: Path | None) -> Recipe:
    """Make a recipe of its text (see `read_recipe`).

    Args:
        text: TOML.
        where: file, for errors.
        folder: that its paths are relative to.
    """
    import tomllib

    values = tomllib.loads(text)
    for key in values:
        if key not in _KEYS:
            raise ConfigError(f"{where}: unknown setting {key!r}{nearest(key, _KEYS)}")
    for key in ("name", "species", "rnas"):
        if key not in values:
            raise ConfigError(f"{where}: the setting {key!r} is missing")
    texts = {key: values.get(key, "") for key in ("name", "species", "description")}
    for key, value in texts.items():
        if not isinstance(value, str) or (key != "description" and not value.strip()):
            raise ConfigError(f"{where}: setting {key!r} is {value!r}, expected a text")
    if not re.fullmatch(r"\w[\w .-]*", texts["name"]):
        expected = "letters, digits, _, -, . and blanks"
        raise ConfigError(f"{where}: setting 'name' is {texts['name']!r}, expected {expected}")
    labels = values.get("labels")
    mesh = values.get("mesh")
    recipe = Recipe(
        rnas=_rnas_part(values["rnas"], f"{where}, [rnas]"),
        labels=None if labels is None else _part(LabelsPart, labels, f"{where}, [labels]"),
        associations=_parts(AssociationPart, values, "associations", where),
        mesh=None if mesh is None else _part(MeshPart, mesh, f"{where}, [mesh]"),
        expression=_parts(MeasurementPart, values, "expression", where),
        text=text,
        folder=folder,
        **texts,
    )
    _check_names(recipe, where)
    return recipe


def _rnas_part(values: Any, where: str) -> RnasPart:
    """``[rnas]``, whose key ``from`` is a word of Python."""
    if isinstance(values, Mapping):
        known = sorted(_written(item.name) for item in fields(RnasPart))
        for key in values:
            if key not in known:
                raise ConfigError(f"{where}: unknown setting {key!r}{nearest(key, known)}")
        values = {"origin" if key == "from" else key: value for key, value in values.items()}
    try:
        return _part(RnasPart, values, where)
    except ConfigError as error:
        raise ConfigError(str(error).replace("'origin'", "'from'")) from None


def _written(name: str) -> str:
    return "from" if name == "origin" else name


def _parts(kind: type[Part], values: Mapping[str, Any], key: str, where: str) -> tuple[Part, ...]:
    """A list of tables ``[[key]]``."""
    tables = values.get(key, [])
    if not isinstance(tables, list):
        raise ConfigError(f"{where}: found [{key}], expected [[{key}]], once for each")
    places = [f"{where}, [[{key}]] number {number}" for number in range(1, len(tables) + 1)]
    return tuple(_part(kind, table, place) for table, place in zip(tables, places, strict=True))


def _part(kind: type[Part], values: Any, where: str) -> Part:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: found {values!r}, expected a table of settings")
    all_fields: Any = fields(kind)  # type: ignore[arg-type]
    known = [item.name for item in all_fields]
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: unknown setting {key!r}{nearest(key, known)}")
    for item in all_fields:
        if item.init and item.name not in values and _is_required(item):
            raise ConfigError(f"{where}: the setting {_written(item.name)!r} is missing")
    return from_dict(kind, values, where)


def _is_required(item: Any) -> bool:
    from dataclasses import MISSING

    return item.default is MISSING and item.default_factory is MISSING


def _check_names(recipe: Recipe, where: str) -> None:
    """Raise ConfigError for a repeated kind or measurement, and an ontology of no kind."""
    kinds = [part.kind for part in recipe.associations]
    measured = [part.name for part in recipe.expression]
    for what, names in (("kind", kinds), ("name", measured)):
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise ConfigError(f"{where}: {what} = {repeated[0]!r} is there twice, expected once")
    if recipe.mesh is not None and recipe.mesh.kind not in kinds:
        raise ConfigError(
            f"{where}, [mesh]: setting 'kind' is {recipe.mesh.kind!r}, expected a kind of "
            f"[[associations]]: {', '.join(kinds) or 'there is none'}"
        )
