"""The RNAs of a recipe with their sequences, and how names of records are matched with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.names import MirbaseNames
from mirnagraph.reading.table import cell_problems, read_rows, repeated_cells
from mirnagraph.recipes.places import Places, Species
from mirnagraph.recipes.provenance import Source, source_of
from mirnagraph.recipes.recipe import FASTA, HAIRPINS, LIST, MATURES, SEQUENCE, RnasPart
from mirnagraph.recipes.sequences import (
    SequenceFile,
    fasta_sequences,
    join_sequences,
    table_sequences,
)
from mirnagraph.sources import mirbase
from mirnagraph.sources.assemble import left_out_rows, match_names, rna_table
from mirnagraph.sources.delimited import read_columns
from mirnagraph.sources.fasta import read_fasta

RNA_COLUMNS = (
    "rna_id", "rna", "RNA Symbol", "miRNA", "miRNA_ID", "mir", "mature", "lncRNA", "circRNA",
    "id", "name", "Gene Symbol", "symbol", "transcript", "accession",
)  # fmt: skip
"""Names of the column of RNAs in tables of people, compared without case and blanks."""

NOT_AMONG = "not among the RNAs"
"""Why a sequence of a FASTA file is left out."""


@dataclass(frozen=True, eq=False)
class RecipeRnas:
    """The RNAs of a recipe.

    Attributes:
        rnas: table as of `Dataset.rnas`.
        names: miRBase, or None.
        species: of the recipe.
        sources: files that were read.
        left_out: rows of `Dataset.left_out`.
    """

    rnas: pd.DataFrame
    names: MirbaseNames | None
    species: Species
    sources: tuple[Source, ...]
    left_out: pd.DataFrame

    @property
    def ids(self) -> list[str]:
        """Ids, in row order."""
        return [str(name) for name in self.rnas.index]

    def match(self, queries: Iterable[str], how: str) -> dict[str, list[str]]:
        """Match names of records with ids.

        Args:
            queries: names.
            how: ``name``, ``exact``, ``mature``, or empty (see `AssociationPart.match`).

        Returns:
            Name -> ids, without names that match none.
        """
        distinct = list(dict.fromkeys(queries))
        how = how or ("exact" if self.names is None else "name")
        if how == "name":
            return match_names(distinct, self.ids, self.names)
        ids_of: dict[str, list[str]] = {}
        if how == "exact":
            ids_of = {name: [name] for name in self.ids}
        elif "mature_ids" in self.rnas.columns:
            for rna_id, cell in self.rnas["mature_ids"].items():
                for mature in filter(None, str(cell).split(";")):
                    ids_of.setdefault(mature, []).append(str(rna_id))
        return {name: ids_of[name] for name in distinct if name in ids_of}


def mirbase_folder(part: RnasPart, species: Species) -> str:
    """Folder of miRBase that a recipe reads; empty where it reads none."""
    if not part.uses_mirbase:
        return ""
    return part.mirbase or ("mirbase" if species.prefix == "hsa" else "mirbase_all")


def read_rnas(part: RnasPart, species: Species, places: Places) -> RecipeRnas:
    """Read the RNAs of a recipe.

    Raises:
        InputError: no RNA, a duplicate or empty id, an invalid nucleotide, or two sources that
            disagree on a sequence.
    """
    names = None
    sources = []
    folder = mirbase_folder(part, species)
    if folder:
        place = places.find(folder, "rnas.mirbase")
        names = mirbase.read_names(place, species.prefix)
    listed = _listed(part, names, places)
    ids = list(listed.index)
    if names is None:
        index = pd.Index(ids, name="rna_id", dtype=object)
        rnas = pd.DataFrame({"sequence": None}, index=index, dtype=object)
        left_out = left_out_rows("sequence", ids, "no sequence: not in the FASTA file", "FASTA")
    else:
        families = None
        path = None
        if part.families:
            path = places.find(part.families, "rnas.families")
            families = mirbase.read_families(path)
            names = _with_families(names, families)
        rnas, left_out = rna_table(ids, names, families)
        sources.append(_mirbase_source(part, names, rnas, folder, place))
        if families is not None and path is not None:
            is_used = families["family_id"].isin(set(rnas["family_ids"].str.split(";").explode()))
            reasons = pd.Series("family of no RNA", index=families.index).where(~is_used, "")
            sources.append(source_of(part.families, path, "sizes of families", reasons))
    if part.origin == MATURES:
        rnas["sequence"] = _mature_sequences(ids, names)
    made = RecipeRnas(rnas, names, species, tuple(sources), left_out)
    if part.file:
        made = _with_list(made, part, listed, places)
    if part.origin == FASTA or part.sequences or SEQUENCE in listed.columns:
        made = _with_sequences(made, part, listed, places)
    if part.type:
        made.rnas["type"] = part.type
    return _with_cuts(made, part)


def _with_cuts(made: RecipeRnas, part: RnasPart) -> RecipeRnas:
    """List the sequences that are published cut."""
    if not part.cut_at:
        return made
    lengths = made.rnas["sequence"].dropna().str.len()
    cut = lengths.index[lengths >= part.cut_at]
    why = f"nucleotides after {part.cut_at:,}, which a spreadsheet cell does not hold"
    rows = left_out_rows("end of a sequence", cut, why, Path(part.sequences or part.file).name)
    left_out = pd.concat([made.left_out, rows], ignore_index=True)[LEFT_OUT_COLUMNS]
    return replace(made, left_out=left_out)


def _listed(part: RnasPart, names: MirbaseNames | None, places: Places) -> pd.DataFrame:
    """Index: ids in row order; columns: those that `part.columns` adds."""
    if part.origin == HAIRPINS and names is not None:
        return pd.DataFrame(index=pd.Index(names.hairpins.index, dtype=object))
    if part.origin == MATURES and names is not None:
        return pd.DataFrame(index=pd.Index(names.matures["mature_id"].unique(), dtype=object))
    path = places.find(part.file, "rnas.file")
    if part.origin == FASTA:
        table = read_fasta(path, iupac=part.iupac)[["id", "line"]].set_index("line")
    elif part.columns:
        known = dict.fromkeys(part.columns, ()) | {"rna": RNA_COLUMNS}
        table = read_columns(path, known, ["rna"], filled=["rna"], columns=part.columns)
        table = table.rename(columns={"rna": "id"})
    else:
        table = _read_list(path)
    if table.empty:
        what = "a FASTA file with no record" if part.origin == FASTA else "an empty list of RNAs"
        raise InputError(what, file=path, expected="one RNA or more")
    expected = "an id not seen before"
    raise_problems(repeated_cells(table, "id", "duplicate id", path, expected))
    return table.set_index("id")


def _read_list(path: Path) -> pd.DataFrame:
    """Names of a list, a line each, with or without a header; index: line numbers."""
    rows = read_rows(path)
    names = [(number, row[0].strip()) for number, row in enumerate(rows, 1) if row[0].strip()]
    plain = {name.lower().replace(" ", "") for name in RNA_COLUMNS}
    if names and names[0][1].lower().replace(" ", "") in plain:
        names = names[1:]
    index = pd.Index([number for number, _ in names], name="line")
    table = pd.DataFrame({"id": [name for _, name in names]}, index=index, dtype=object)
    lines = table["id"].str.contains(r"[\s,;]", regex=True)
    expected = "one name a line"
    raise_problems(cell_problems(table, "id", lines, "not one name", path, expected))
    return table


def _mirbase_source(
    part: RnasPart, names: MirbaseNames, rnas: pd.DataFrame, folder: str, place: Path
) -> Source:
    """Hairpins of the species that are hairpins of an RNA, and those that are not."""
    used = set(rnas["hairpin_ids"].str.split(";").explode())
    reasons = pd.Series("hairpin of no RNA", index=names.hairpins.index)
    reasons = reasons.mask(names.hairpins.index.isin(used), "")
    return source_of(folder, place, "names, sequences", reasons, note=f"{names.species} hairpins")


def _with_families(names: MirbaseNames, families: pd.DataFrame) -> MirbaseNames:
    """Names with the families of their hairpins, where the tables of miRBase do not have them."""
    if (names.hairpins["family"] != "").any():
        return names
    family_of = families.drop_duplicates("hairpin_acc").set_index("hairpin_acc")["family_id"]
    family = names.hairpins["accession"].map(family_of).fillna("")
    return replace(names, hairpins=names.hairpins.assign(family=family))


def _mature_sequences(ids: list[str], names: MirbaseNames | None) -> list[str]:
    if names is None:
        return []
    sequence_of = names.matures.drop_duplicates("mature_id").set_index("mature_id")["sequence"]
    return [str(sequence_of[name]) for name in ids]


def _with_list(
    made: RecipeRnas, part: RnasPart, listed: pd.DataFrame, places: Places
) -> RecipeRnas:
    """Add the columns of a list, and the list as a source."""
    for name in listed.columns.drop(SEQUENCE, errors="ignore"):
        made.rnas[name] = listed[name].to_numpy(dtype=object)
    if part.origin != LIST:
        return made
    path = places.find(part.file, "rnas.file")
    source = source_of(part.file, path, "RNAs", pd.Series("", index=listed.index))
    return replace(made, sources=(source, *made.sources))


def _with_sequences(
    made: RecipeRnas, part: RnasPart, listed: pd.DataFrame, places: Places
) -> RecipeRnas:
    """Lay the sequences of files over those of miRBase."""
    files = []
    if SEQUENCE in listed.columns:
        path = places.find(part.file, "rnas.file")
        files.append(table_sequences(path, part.columns))
    fastas = [part.file if part.origin == FASTA else "", part.sequences]
    for fasta in filter(None, fastas):
        path = places.find(fasta, "rnas.sequences")
        file = fasta_sequences(path, part.iupac)
        _check_named(file, made.ids)
        made = _with_source(made, fasta, file)
        files.append(file)
    sequences = join_sequences(made.rnas["sequence"], files, part.prefer)
    made.rnas["sequence"] = sequences
    has_none = set(sequences.index[sequences.isna()])
    is_open = (made.left_out["item"] != "sequence") | made.left_out["id"].isin(has_none)
    is_open |= made.left_out["reason"] == NOT_AMONG
    return replace(made, left_out=made.left_out[is_open].reset_index(drop=True))


def _check_named(file: SequenceFile, ids: list[str]) -> None:
    """Raise InputError for a file without a sequence of an RNA of the recipe."""
    in_file = file.sequences["id"]
    if not in_file.isin(ids).any():
        raise InputError(
            "no sequence is of an RNA of the list",
            file=file.path,
            found=f"{in_file.iloc[0]} and {len(in_file) - 1} others",
            expected=f"ids such as {ids[0]}",
        )


def _with_source(made: RecipeRnas, fasta: str, file: SequenceFile) -> RecipeRnas:
    """Add a FASTA file as a source, and its sequences of no RNA to what is left out."""
    table = file.sequences
    is_known = table["id"].isin(made.ids)
    spare = left_out_rows("sequence", table.loc[~is_known, "id"], NOT_AMONG, file.path.name)
    left_out = pd.concat([made.left_out, spare], ignore_index=True)[LEFT_OUT_COLUMNS]
    reasons = pd.Series(NOT_AMONG, index=table.index).mask(is_known, "")
    source = source_of(fasta, file.path, "sequences", reasons)
    return replace(made, sources=(*made.sources, source), left_out=left_out)
