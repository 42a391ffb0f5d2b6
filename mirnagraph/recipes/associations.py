"""The associations of a recipe: records, how they are joined with the RNAs, evidence, partners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS, PAIR
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import cell_problems
from mirnagraph.reading.schema import LARGEST_NUMBER
from mirnagraph.recipes.places import Places, Species
from mirnagraph.recipes.provenance import Source, source_of
from mirnagraph.recipes.recipe import AssociationPart, PartnersPart
from mirnagraph.recipes.rnas import RNA_COLUMNS, RecipeRnas
from mirnagraph.sources import evidence
from mirnagraph.sources.delimited import read_binary, read_columns
from mirnagraph.sources.fasta import read_fasta
from mirnagraph.sources.hmdd import read_records, read_typed
from mirnagraph.sources.mirtarbase import read_mirtarbase
from mirnagraph.sources.ncdr import read_ncdr

PARTNER_COLUMNS = (
    "partner_id", "partner", "Target Gene", "target", "gene", "drug", "disease", "protein", "RBP",
)  # fmt: skip
"""Names of the column of partners in tables of people, compared without case and blanks."""

UNTESTED = "read by its published column names; not tested on the download itself"


@dataclass(frozen=True)
class _Format:
    """How records of one format are read.

    Attributes:
        read: of path and columns.
        rna: column of the RNA.
        partner: column of the partner.
        published: rule by which the authors of the benchmark joined them, of records, ids and the
            columns of the partners.
    """

    read: Callable[[Path, Mapping[str, str]], pd.DataFrame]
    rna: str
    partner: str
    published: Callable[..., pd.DataFrame] | None


_FORMATS = {
    "mirtarbase": _Format(read_mirtarbase, "mirna", "gene", evidence.use_mirtarbase),
    "ncdr": _Format(read_ncdr, "mirna", "drug", evidence.use_ncdr),
    "hmdd3": _Format(read_records, "mir", "disease", evidence.use_hmdd),
    "hmdd4": _Format(read_records, "mir", "disease", evidence.use_hmdd),
}


@dataclass(frozen=True, eq=False)
class RecipeAssociations:
    """One kind of association.

    Attributes:
        associations: as of `Dataset.associations`, ordered by RNA and partner.
        partners: as of `Dataset.partners`.
        sources: files that were read.
        left_out: rows of `Dataset.left_out`.
    """

    associations: pd.DataFrame
    partners: pd.DataFrame
    sources: tuple[Source, ...]
    left_out: pd.DataFrame


def read_associations(
    part: AssociationPart, rnas: RecipeRnas, places: Places
) -> RecipeAssociations:
    """Read one kind of association of a recipe.

    Raises:
        InputError: no record is used, or what the readers raise.
    """
    where = f"associations.{part.kind}"
    path = places.find(part.file, f"{where}.file")
    records = _read_records(part, path)
    listed = _read_partners(part.partners, places, where)
    used = _use(part, records, rnas, listed)
    reasons = _by_record(used)
    if not (reasons == "").any():
        counts = reasons.value_counts()
        found = ", ".join(f"{reason}: {n}" for reason, n in counts.items()) or "no record"
        expected = f"records of RNAs such as {rnas.ids[0]}"
        what = f"no {part.kind} association of an RNA of the dataset"
        raise InputError(what, file=path, found=found, expected=expected)
    order = _partner_order(part, used, rnas.ids, listed)
    pairs = _pairs(used, rnas.ids, order)
    note = f"{part.format}: {UNTESTED}" if part.format == "hmdd4" else ""
    sources = [source_of(part.file, path, part.kind, reasons, note=note)]
    typed = None
    if part.types and has_types(part, places):
        types_path = places.find(part.types, f"{where}.types")
        typed, type_reasons = _of_rnas(read_typed(types_path), rnas, part.match)
        sources.append(source_of(part.types, types_path, f"{part.kind}: types", type_reasons))
    table = _evidence(part, pairs, used, typed, None if listed is None else listed.column_of)
    partners = _partner_table(part, used, table, order, listed)
    if listed is not None:
        sources.append(listed.source)
    partners, more = _add_partner_files(part.partners, partners, places, where)
    partners["n"] = partners.pop("n")
    return RecipeAssociations(
        table, partners, (*sources, *more), _unused(used, part.kind, path.name)
    )


def _of_rnas(typed: pd.DataFrame, rnas: RecipeRnas, how: str) -> tuple[pd.DataFrame, pd.Series]:
    """Pairs with the type of their evidence, by RNA id; and per pair why it is left out."""
    ids_of = rnas.match(typed["mir"], "exact" if how == "published" else how)
    ids = typed["mir"].map(ids_of)
    reasons = pd.Series("miRNA is not among the ids", index=typed.index).mask(ids.notna(), "")
    return typed.assign(mir=ids).dropna(subset="mir").explode("mir", ignore_index=True), reasons


def has_types(part: AssociationPart, places: Places) -> bool:
    """Whether the types of evidence of a part are not left out for want of their file."""
    return not part.types_optional or places.find_or_none(part.types) is not None


def _read_records(part: AssociationPart, path: Path) -> pd.DataFrame:
    """Records with the columns of their format."""
    if part.format == "table":
        return _read_plain(part, path)
    form = _FORMATS[part.format]
    own = {"rna": form.rna, "partner": form.partner}
    columns = {own.get(name, name): column for name, column in part.columns.items()}
    return form.read(path, columns)


def _read_plain(part: AssociationPart, path: Path) -> pd.DataFrame:
    """Records ``rna``, ``partner``, ``species``, ``pmid`` and the columns of evidence."""
    names = {
        "rna": RNA_COLUMNS,
        "partner": (part.kind, *PARTNER_COLUMNS),
        "species": ("Species", "Organism"),
        "pmid": ("PMID", "PMIDs", "PubMed_ID"),
        **{name: (name,) for name in part.evidence},
    }
    needed = ["rna", "partner", *part.evidence]
    filled = ["rna", "partner"]
    table = read_columns(path, names, needed, filled=filled, columns=part.columns)
    problems: list[InputError] = []
    for name in part.evidence:
        numbers = pd.to_numeric(table[name], errors="coerce")
        is_bad = ~((numbers >= 0) & (numbers <= LARGEST_NUMBER))
        expected = "a number of 0 or more"
        problems += cell_problems(table, name, is_bad, "not a number of evidence", path, expected)
        table[name] = numbers
    raise_problems(problems, by_line=True)
    return table.reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class _Listed:
    """Partners that a file lists: their order, and name in records -> partner."""

    order: list[str]
    column_of: dict[str, str]
    merged: list[str] | None
    source: Source


def _read_partners(part: PartnersPart, places: Places, where: str) -> _Listed | None:
    """Partners that a file lists; None without a file."""
    if not part.file:
        return None
    path = places.find(part.file, f"{where}.partners.file")
    names = {"partner": PARTNER_COLUMNS, "merged": ()}
    table = read_columns(path, names, ["partner"], filled=["partner"], columns=part.columns)
    column_of: dict[str, str] = {}
    for line, partner, others in table[["partner", "merged"]].itertuples(name=None):
        for name in filter(None, (partner, *others.split("|"))):
            if name in column_of:
                what = "a partner is listed twice"
                raise InputError(what, file=path, line=line, column="partner", found=name)
            column_of[name] = partner
    reasons = pd.Series("", index=table.index)
    source = source_of(part.file, path, f"{where.split('.', 1)[1]}: partners", reasons)
    merged = [cell.replace("|", ";") for cell in table["merged"]]
    return _Listed(list(table["partner"]), column_of, merged if any(merged) else None, source)


def _use(
    part: AssociationPart, records: pd.DataFrame, rnas: RecipeRnas, listed: _Listed | None
) -> pd.DataFrame:
    """One row per record and RNA: ``rna_id``, ``partner_id``, ``reason``, and ``record``."""
    form = _FORMATS.get(part.format, _Format(read_records, "rna", "partner", None))
    records = records.assign(number=range(len(records)))
    column_of = None if listed is None else listed.column_of
    if part.match == "published" and form.published is not None:
        if form.published is evidence.use_hmdd:
            return evidence.use_hmdd(records, rnas.ids, column_of)
        return form.published(records, rnas.ids)
    matches = rnas.match(records[form.rna], part.match)
    ids = records[form.rna].map(lambda name: matches.get(name, [""]))
    table = records.assign(rna_id=ids).explode("rna_id", ignore_index=True)
    partner = table[form.partner]
    if column_of is not None:
        partner = partner.map(column_of)
    reasons = _source_reasons(part, table, rnas.species)
    reasons.append((table["rna_id"] == "", "RNA is not in the dataset"))
    reasons.append((partner.isna(), "partner is not in the list of partners"))
    return evidence.mark_used(table, table["rna_id"], partner.fillna(""), reasons)


def _source_reasons(
    part: AssociationPart, table: pd.DataFrame, species: Species
) -> list[tuple[pd.Series, str]]:
    """Reasons that a record has by itself: species, support."""
    names = [species.latin, species.prefix]
    if part.format == "table":
        return [(~table["species"].isin(["", *names]), "another species")]
    if part.format != "mirtarbase":
        return []
    is_foreign = ~table["mirna_species"].isin(names) | ~table["gene_species"].isin(names)
    reasons = [(is_foreign, "another species")]
    if not part.weak:
        reasons.append((evidence.is_weak(table), "support is weak"))
    if not part.non_functional:
        reasons.append((evidence.is_non_functional(table), "tested, and no target"))
    return reasons


def _by_record(used: pd.DataFrame) -> pd.Series:
    """One reason per record of the file: used if any of its rows is."""
    rows = used[["number", "reason"]].sort_values("reason", kind="stable")
    return rows.drop_duplicates("number")["reason"].reset_index(drop=True)


def _partner_order(
    part: AssociationPart, used: pd.DataFrame, ids: list[str], listed: _Listed | None
) -> list[str]:
    if listed is not None:
        return listed.order
    if part.order == "rnas":
        return evidence.gene_order(used, ids)
    return list(dict.fromkeys(evidence.used_records(used)["partner_id"]))


def _pairs(used: pd.DataFrame, ids: list[str], order: list[str]) -> pd.DataFrame:
    """Distinct pairs by RNA and partner, as the ones of a matrix are read."""
    pairs = evidence.used_records(used)[PAIR].drop_duplicates()
    row = pd.Index(ids).get_indexer(pd.Index(pairs["rna_id"]))
    column = pd.Index(order).get_indexer(pd.Index(pairs["partner_id"]))
    pairs = pairs.assign(row=row, column=column).sort_values(["row", "column"], ignore_index=True)
    return pairs[PAIR].astype(object)


def _evidence(
    part: AssociationPart,
    pairs: pd.DataFrame,
    used: pd.DataFrame,
    typed: pd.DataFrame | None,
    column_of: dict[str, str] | None,
) -> pd.DataFrame:
    """Pairs with the evidence of their format."""
    if part.format == "table":
        return evidence.plain_evidence(pairs, used, part.evidence)
    if part.format == "ncdr":
        return evidence.drug_evidence(pairs, used)
    if part.format in ("hmdd3", "hmdd4"):
        return evidence.disease_evidence(pairs, used, typed, column_of)
    if part.match == "mature":
        return evidence.target_evidence(pairs, evidence.used_records(used))
    return evidence.mrna_evidence(pairs, used)


def _partner_table(
    part: AssociationPart,
    used: pd.DataFrame,
    pairs: pd.DataFrame,
    order: list[str],
    listed: _Listed | None,
) -> pd.DataFrame:
    """Partners with ``n``, their number of RNAs, and what the records say of them."""
    index = pd.Index(order, name="partner_id", dtype=object)
    counts = pairs["partner_id"].value_counts().reindex(index, fill_value=0)
    partners = pd.DataFrame(index=index)
    if part.format == "mirtarbase":
        records = evidence.used_records(used).drop_duplicates("partner_id")
        entrez = records.set_index("partner_id")["entrez_id"].reindex(index).fillna("")
        partners["entrez_id"] = entrez.astype(object)
    if listed is not None and listed.merged is not None:
        partners["merged_names"] = listed.merged
    partners["n"] = counts.to_numpy().astype(int)
    return partners


def _add_partner_files(
    part: PartnersPart, partners: pd.DataFrame, places: Places, where: str
) -> tuple[pd.DataFrame, list[Source]]:
    """Add the columns of a matrix and the sequences of partners."""
    sources = []
    used_for = f"{where.split('.', 1)[1]}: partners"
    if part.matrix:
        path = places.find(part.matrix, f"{where}.partners.matrix")
        names = list(part.matrix_columns)
        shape = (len(partners), len(names))
        flags = read_binary(path, *shape, delimiter="\t", rows_are="partners")
        partners[names] = flags
        reasons = pd.Series("", index=range(len(flags)))
        sources.append(source_of(part.matrix, path, used_for, reasons))
    if part.sequences:
        path = places.find(part.sequences, f"{where}.partners.sequences")
        records = read_fasta(path)
        sequence_of = dict(zip(records["id"], records["sequence"], strict=True))
        is_known = records["id"].isin(partners.index)
        if not is_known.any():
            raise InputError(
                "no sequence is of a partner",
                file=path,
                found=f"{len(records)} others, the first {records['id'].iloc[0]}",
                expected=f"ids such as {partners.index[0]}",
            )
        cells: list[Any] = [sequence_of.get(str(name), "") for name in partners.index]
        partners["sequence"] = pd.Series(cells, index=partners.index, dtype=object)
        reasons = pd.Series("not a partner", index=records.index).mask(is_known, "")
        sources.append(source_of(part.sequences, path, f"{used_for}, sequences", reasons))
    return partners, sources


def _unused(used: pd.DataFrame, kind: str, source: str) -> pd.DataFrame:
    """Rows of `Dataset.left_out` (see `evidence.unused`)."""
    if "rna" in used.columns:
        used = used.rename(columns={"rna": "mirna"})
    return evidence.unused(used, kind, source)[LEFT_OUT_COLUMNS]
