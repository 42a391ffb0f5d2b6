"""Assembly of a Dataset from the tables of public databases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS, PAIR, Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.names import (
    MATCH_KINDS,
    MirbaseNames,
    family_groups,
    normalise,
    resolve,
    stem,
    suggest,
)
from mirnagraph.sources import mesh, rnalocate
from mirnagraph.sources.evidence import (
    HUMAN,
    disease_evidence,
    drug_evidence,
    is_weak,
    mark_used,
    mrna_evidence,
    unused,
    used_records,
)

_ASSOCIATIONS = {
    "mRNA": ("mirna", "gene"),
    "drug": ("mirna", "drug"),
    "disease": ("mir", "disease"),
}

_SOURCES = {"mRNA": "miRTarBase", "drug": "ncDR", "disease": "HMDD"}

_EVIDENCE = {"mRNA": mrna_evidence, "drug": drug_evidence, "disease": disease_evidence}

FAMILY_COLUMNS = ["family_members", "family_own", "family_species", "family_model_species"]

# Species with the most complete miRNA annotation: a family absent from them is young.
MODEL_SPECIES = frozenset(("mmu", "rno", "bta", "gga", "xtr", "dre", "dme", "cel"))


def assemble(  # noqa: PLR0913  one argument per table
    name: str,
    located: pd.DataFrame,
    *,
    ids: Sequence[str] | None = None,
    compartments: Sequence[str] | None = None,
    names: MirbaseNames | None = None,
    sequences: pd.DataFrame | None = None,
    families: pd.DataFrame | None = None,
    targets: pd.DataFrame | None = None,
    drugs: pd.DataFrame | None = None,
    diseases: pd.DataFrame | None = None,
    ontology: pd.DataFrame | None = None,
    species: str = HUMAN,
) -> Dataset:
    """Join the tables of the databases into one Dataset.

    A record belongs to an id by the same name (without case and kind of dash), by the name without
    its arm, or, with `names`, by a hairpin they share; one record may belong to several ids
    (hsa-miR-7-5p to hsa-mir-7-1 and -7-2).

    Args:
        name: of the dataset.
        located: records of compartments (`sources.rnalocate.read_rnalocate`).
        ids: the RNAs, in row order; None: every RNA of `located` of that species, in order of first
            appearance.
        compartments: the label columns; None: those of the records, in order of first appearance.
        names: miRBase (`sources.mirbase.read_names`), for sequences, matures and families.
        sequences: columns ``id``, ``sequence`` (`sources.fasta.read_fasta`); they replace those of
            `names`.
        families: members of miRBase families (`sources.mirbase.read_families`).
        targets: `sources.mirtarbase.read_mirtarbase`.
        drugs: `sources.ncdr.read_ncdr`.
        diseases: `sources.hmdd.read_records`.
        ontology: `sources.mesh.read_mesh`.
        species: Latin name; records that name another are left out.

    Raises:
        ConfigError: neither `names` nor `sequences`.
        InputError: no RNA at all, a duplicate id, or an invalid nucleotide.
    """
    if names is None and sequences is None:
        raise ConfigError(
            "assembling a dataset needs sequences: give miRBase names, a FASTA table, or both"
        )
    rna_ids = list(ids if ids is not None else _of_species(located, species, "rna"))
    if not rna_ids:
        raise InputError(
            "no RNA to make a dataset of",
            found=f"{len(located)} records of compartments",
            expected=f"records of {species}, or a list of ids",
        )
    rnas, left_out = _rnas(rna_ids, names, sequences, families)
    if compartments is None:
        compartments = _of_species(located, species, "compartment")
    labels, unused_labels = _labels(located, species, rna_ids, list(compartments), names)
    unused_tables = [left_out, unused_labels]
    associations = {}
    partners = {}
    for kind, records in (("mRNA", targets), ("drug", drugs), ("disease", diseases)):
        if records is not None:
            used = _used(kind, records, rna_ids, names, species)
            associations[kind], partners[kind] = _associations(kind, used, ontology)
            unused_tables.append(unused(used, kind, _SOURCES[kind]))
    if ontology is None:
        ontology = pd.DataFrame(columns=mesh.ONTOLOGY_COLUMNS)
    elif "disease" in partners:
        unused_tables.append(_unmatched_terms(partners["disease"]))
    left_out = pd.concat(unused_tables, ignore_index=True)[LEFT_OUT_COLUMNS].astype(object)
    return Dataset(name, rnas, associations, partners, labels, ontology, left_out)


def _unmatched_terms(diseases: pd.DataFrame) -> pd.DataFrame:
    unmatched = diseases.index[diseases["descriptor_ids"] == ""]
    return left_out_rows("disease term", unmatched, "no MeSH descriptor of that name", "MeSH")


def _of_species(located: pd.DataFrame, species: str, column: str) -> list[str]:
    """Distinct values of a column in records of one species or of none."""
    is_used = located["species"].isin(["", species])
    return list(dict.fromkeys(located.loc[is_used, column]))


def _labels(
    located: pd.DataFrame,
    species: str,
    rna_ids: list[str],
    compartments: list[str],
    names: MirbaseNames | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels, and the records of compartments that are not used."""
    is_used = located["species"].isin(["", species])
    records = located[is_used]
    rna_of = match_names(records["rna"].unique(), rna_ids, names)
    labels, not_used = rnalocate.labels(records, rna_of, rna_ids, compartments)
    foreign = located[~is_used].assign(reason="another species")
    table = pd.concat([not_used, foreign], ignore_index=True).rename(columns={"rna": "mirna"})
    return labels, unused(table, "compartment", "RNALocate")


def left_out_rows(item: str, ids: Iterable[str], reason: str, source: str) -> pd.DataFrame:
    """Make rows of `Dataset.left_out`, one per id."""
    rows = [(item, name, reason, source) for name in ids]
    return pd.DataFrame(rows, columns=LEFT_OUT_COLUMNS)


def match_names(
    queries: Iterable[str], ids: Sequence[str], names: MirbaseNames | None = None
) -> dict[str, list[str]]:
    """Match names of records with RNA ids (see `assemble`).

    Args:
        queries: names in records.
        ids: ids of the RNAs.
        names: miRBase, to match names by their hairpins.

    Returns:
        Name -> ids, without names that match none.
    """
    distinct = list(dict.fromkeys(queries))
    by_name = defaultdict(list)
    for rna_id in ids:
        by_name[normalise(rna_id)].append(rna_id)
    by_hairpin = defaultdict(list)
    hairpins_of: dict[Any, list[str]] = {}
    if names is not None:
        hairpins_of = resolve(distinct, names)["hairpin_ids"].map(_split).to_dict()
        for rna_id, hairpins in zip(ids, resolve(ids, names)["hairpin_ids"], strict=True):
            for hairpin in _split(hairpins):
                by_hairpin[hairpin].append(rna_id)
    result = {}
    for name in distinct:
        matches = by_name.get(normalise(name)) or by_name.get(stem(name)) or []
        if not matches:
            for hairpin in hairpins_of.get(name, []):
                matches = matches + by_hairpin.get(hairpin, [])
        if matches:
            result[name] = list(dict.fromkeys(matches))
    return result


def _rnas(
    ids: list[str],
    names: MirbaseNames | None,
    sequences: pd.DataFrame | None,
    families: pd.DataFrame | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table of the RNAs, and what is left out of it."""
    if names is not None:
        rnas, left_out = rna_table(ids, names, families)
    else:
        index = pd.Index(ids, name="rna_id", dtype=object)
        columns = ["family_ids", "mature_sequences"]
        family = family_groups(pd.DataFrame("", index=index, columns=columns, dtype=object))
        cells = {"sequence": None, "matures": "", "family": family}
        rnas = pd.DataFrame(cells, index=index, dtype=object)
        left_out = left_out_rows("sequence", ids, "no sequence: not in the FASTA file", "FASTA")
    if sequences is None:
        return rnas, left_out
    given = dict(zip(sequences["id"], sequences["sequence"], strict=True))
    cells_of = [given.get(name, old) for name, old in rnas["sequence"].items()]
    rnas["sequence"] = pd.Series(cells_of, index=rnas.index, dtype=object)
    left_out = left_out[~left_out["id"].isin(list(given))]
    spare = [name for name in given if name not in rnas.index]
    spare_table = left_out_rows("sequence", spare, "not among the RNAs", "FASTA")
    return rnas, pd.concat([left_out, spare_table], ignore_index=True)


def _used(
    kind: str, records: pd.DataFrame, ids: list[str], names: MirbaseNames | None, species: str
) -> pd.DataFrame:
    """One row per record and id: ``rna_id``, ``partner_id`` and ``reason`` (why it is not used)."""
    rna, partner = _ASSOCIATIONS[kind]
    matches = match_names(records[rna].unique(), ids, names)
    rna_ids = records[rna].map(lambda name: matches.get(name, [""]))
    table = records.assign(rna_id=rna_ids).explode("rna_id", ignore_index=True)
    reasons = [(table["rna_id"] == "", "miRNA is not among the ids")]
    if kind == "mRNA":
        is_foreign = (table["mirna_species"] != species) | (table["gene_species"] != species)
        reasons = [(is_foreign, "another species"), (is_weak(table), "support is weak"), *reasons]
    return mark_used(table, table["rna_id"], table[partner], reasons)


def _associations(
    kind: str, used: pd.DataFrame, ontology: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Associations with their evidence, and partners."""
    records = used_records(used)
    pairs = records[PAIR].drop_duplicates(ignore_index=True)
    partners = pairs["partner_id"].value_counts(sort=False).to_frame("n")
    partners.index = partners.index.astype(object)
    if kind == "mRNA":
        of_partner = records.drop_duplicates("partner_id").set_index("partner_id")
        partners["entrez_id"] = of_partner["entrez_id"].reindex(partners.index)
    if kind == "disease" and ontology is not None:
        partners["descriptor_ids"] = mesh.match_terms(partners.index, ontology)["descriptor_ids"]
    return _EVIDENCE[kind](pairs, used), partners


def rna_table(
    ids: Sequence[str], names: MirbaseNames, families: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Resolve miRNA ids and collect their entries of miRBase.

    Args:
        ids: unique miRNA ids of any kind that `names.resolve` matches.
        names: one species in one release of miRBase.
        families: members of families over all species (`sources.mirbase.read_families`); without
            it, or where an RNA has no family, the columns of the family are 0.

    Returns:
        ``(rnas, left_out)``. `rnas`: index ``rna_id``; ``sequence`` (representative hairpin, None
        where unknown), ``matures`` (``;``-separated sequences), ``family`` (group for folds,
        `names.family_groups`), ``match_kind``, ``hairpin_ids``, ``mature_ids``, ``family_ids``
        (miRBase), ``n_hairpins``, ``n_matures``, ``n_experimental`` (matures with experimental
        evidence), ``mature_length`` (mean, in nucleotides; 0 without matures); and of the family
        ``family_members`` (hairpins of all species), ``family_own`` (of this species),
        ``family_species``, ``family_model_species`` (of `MODEL_SPECIES`). `left_out`: the ids
        without a sequence, with the reason.

    Raises:
        InputError: a duplicate id.
    """
    resolved = resolve(ids, names)
    repeated = resolved.index[resolved.index.duplicated()]
    if len(repeated):
        raise InputError(
            "a duplicate RNA id", column="rna_id", found=repeated[0], expected="unique ids"
        )
    rnas = pd.DataFrame(index=resolved.index)
    sequences_or_none = [sequence or None for sequence in resolved["sequence"]]
    rnas["sequence"] = pd.Series(sequences_or_none, index=resolved.index, dtype=object)
    rnas["matures"] = resolved["mature_sequences"]
    rnas["family"] = family_groups(resolved)
    for column in ("match_kind", "hairpin_ids", "mature_ids", "family_ids"):
        rnas[column] = resolved[column]
    is_experimental = names.matures["evidence"] == "experimental"
    experimental = set(names.matures.loc[is_experimental, "accession"])
    accessions = resolved["mature_accs"].map(_split)
    sequences = resolved["mature_sequences"].map(_split)
    rnas["n_hairpins"] = resolved["hairpin_ids"].map(_split).map(len)
    rnas["n_matures"] = accessions.map(len)
    rnas["n_experimental"] = [sum(name in experimental for name in cell) for cell in accessions]
    rnas["mature_length"] = [sum(map(len, cell)) / max(1, len(cell)) for cell in sequences]
    family_ids = resolved["family_ids"].str.split(";").explode()
    sizes = _family_sizes(families, names.species).reindex(family_ids, fill_value=0)
    rnas[FAMILY_COLUMNS] = sizes.set_index(family_ids.index).groupby(level=0).max()
    return rnas, _without_sequence(resolved, names)


def _split(cell: str) -> list[str]:
    return [text for text in cell.split(";") if text]


def _family_sizes(families: pd.DataFrame | None, species: str) -> pd.DataFrame:
    """Numbers of `FAMILY_COLUMNS` by family: hairpins, those of `species`, species, model ones."""
    if families is None:
        return pd.DataFrame(columns=FAMILY_COLUMNS, dtype=int)
    of_family = families.assign(
        is_own=families["species"] == species,
        model=families["species"].where(families["species"].isin(MODEL_SPECIES)),
    ).groupby("family_id")
    columns = [
        of_family.size(),
        of_family["is_own"].sum(),
        of_family["species"].nunique(),
        of_family["model"].nunique(),
    ]
    return pd.concat(columns, axis=1, keys=FAMILY_COLUMNS)


def _without_sequence(resolved: pd.DataFrame, names: MirbaseNames) -> pd.DataFrame:
    absent = resolved[resolved["sequence"] == ""]
    known = names.known_names() if len(absent) else []
    rows = []
    for name, kind in absent["match_kind"].items():
        reason = f"no sequence: {MATCH_KINDS[kind]}"
        near = suggest(str(name), known) if kind == "unknown" else []
        if near:
            reason += f"; nearest names {', '.join(near)}"
        rows.append(("sequence", str(name), reason, "miRBase"))
    return pd.DataFrame(rows, columns=LEFT_OUT_COLUMNS, dtype=object)
