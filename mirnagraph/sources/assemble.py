"""Dataset from raw tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS, Dataset
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
    mrna_evidence,
    unused,
)

_ASSOCIATIONS = {
    "mRNA": ("mirna", "gene"),
    "drug": ("mirna", "drug"),
    "disease": ("mir", "disease"),
}

# Species whose miRNAs were searched for most thoroughly: a family absent from them is young rather than overlooked.
MODEL_SPECIES = frozenset(("mmu", "rno", "bta", "gga", "xtr", "dre", "dme", "cel"))


def assemble(
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

    A record belongs to an id by the same name (without case and kind of dash), by the name without its arm, or, with
    `names`, by a hairpin they share; one record may belong to several ids (hsa-miR-7-5p to hsa-mir-7-1 and -7-2).

    Args:
        name: of the dataset.
        located: records of compartments (`sources.rnalocate.read_rnalocate`).
        ids: the RNAs, in row order; None: every RNA of `located` of that species, in order of first appearance.
        compartments: the label columns; None: those of the records, in order of first appearance.
        names: miRBase (`sources.mirbase.read_names`), for sequences, matures and families of miRNAs.
        sequences: columns ``id``, ``sequence`` (`sources.fasta.read_fasta`); where both are given, these win.
        families: members of miRBase families (`sources.mirbase.read_families`).
        targets, drugs, diseases: `sources.mirtarbase.read_mirtarbase`, `sources.ncdr.read_ncdr`, `sources.hmdd.read_records`.
        ontology: `sources.mesh.read_mesh`.
        species: Latin name; records that name another are left out.

    Raises:
        ConfigError: neither `names` nor `sequences`.
        InputError: no RNA at all, an id that stands twice, or bad letters in a sequence.
    """
    if names is None and sequences is None:
        raise ConfigError(
            "assembling a dataset needs sequences: give miRBase names, a FASTA table, or both"
        )
    foreign = (located["species"] != "") & (located["species"] != species)
    here = located[~foreign]
    rna_ids = list(ids) if ids is not None else list(dict.fromkeys(here["rna"]))
    if not rna_ids:
        raise InputError(
            "no RNA to make a dataset of",
            found=f"{len(located)} records of compartments",
            expected=f"records of {species}, or a list of ids",
        )
    rnas, left_out = _rnas(rna_ids, names, sequences, families)
    columns = (
        list(compartments) if compartments is not None else list(dict.fromkeys(here["compartment"]))
    )
    labels, not_used = rnalocate.labels(
        here, match_names(here["rna"].unique(), rna_ids, names), rna_ids, columns
    )
    not_used = pd.concat(
        [not_used, located[foreign].assign(reason="another species")], ignore_index=True
    )
    parts = [
        left_out,
        unused(not_used.rename(columns={"rna": "mirna"}), "compartment", "RNALocate"),
    ]
    associations = {}
    partners = {}
    for kind, records, source in (
        ("mRNA", targets, "miRTarBase"),
        ("drug", drugs, "ncDR"),
        ("disease", diseases, "HMDD"),
    ):
        if records is not None:
            used = _used(kind, records, rna_ids, names, species)
            associations[kind], partners[kind] = _associations(kind, used, ontology)
            parts.append(unused(used, kind, source))
    if ontology is not None and "disease" in partners:
        unmatched = partners["disease"].index[partners["disease"]["descriptor_ids"] == ""]
        parts.append(
            pd.DataFrame(
                [
                    ("disease term", term, "no MeSH descriptor of that name", "MeSH")
                    for term in unmatched
                ],
                columns=LEFT_OUT_COLUMNS,
            )
        )
    terms = ontology if ontology is not None else pd.DataFrame(columns=mesh.ONTOLOGY_COLUMNS)
    everything = pd.concat(parts, ignore_index=True)[LEFT_OUT_COLUMNS].astype(object)
    return Dataset(
        name=name,
        rnas=rnas,
        associations=associations,
        partners=partners,
        labels=labels,
        ontology=terms,
        left_out=everything,
    )


def match_names(
    found: Iterable[str], ids: Sequence[str], names: MirbaseNames | None = None
) -> dict[str, list[str]]:
    """Which ids each name means (see `assemble`); names that mean none are not in the result."""
    by_name: dict[str, list[str]] = {}
    for rna_id in ids:
        by_name.setdefault(normalise(rna_id), []).append(rna_id)
    by_hairpin: dict[str, list[str]] = {}
    if names is not None:
        for rna_id, hairpins in zip(ids, resolve(ids, names)["hairpin_ids"], strict=True):
            for hairpin in filter(None, hairpins.split(";")):
                by_hairpin.setdefault(hairpin, []).append(rna_id)
    asked = list(dict.fromkeys(found))
    hairpins_of = (
        dict(zip(asked, resolve(asked, names)["hairpin_ids"], strict=True))
        if names is not None
        else {}
    )
    result = {}
    for name in asked:
        meant = by_name.get(normalise(name)) or by_name.get(stem(name))
        if not meant:
            meant = list(
                dict.fromkeys(
                    rna
                    for hairpin in hairpins_of.get(name, "").split(";")
                    for rna in by_hairpin.get(hairpin, ())
                )
            )
        if meant:
            result[name] = meant
    return result


def _rnas(
    ids: list[str],
    names: MirbaseNames | None,
    sequences: pd.DataFrame | None,
    families: pd.DataFrame | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    if names is not None:
        rnas, left_out = rna_table(ids, names, families)
    else:
        empty = pd.DataFrame(
            "",
            index=pd.Index(ids, name="rna_id", dtype=object),
            columns=["family_ids", "mature_sequences"],
            dtype=object,
        )
        rnas = pd.DataFrame(
            {"sequence": None, "matures": "", "family": family_groups(empty)},
            index=empty.index,
            dtype=object,
        )
        left_out = pd.DataFrame(columns=LEFT_OUT_COLUMNS)
    if sequences is not None:
        given = dict(zip(sequences["id"], sequences["sequence"], strict=True))
        rnas["sequence"] = pd.Series(
            [given.get(name, old) for name, old in rnas["sequence"].items()],
            index=rnas.index,
            dtype=object,
        )
        left_out = left_out[~left_out["id"].isin(list(given))]
        if names is None:
            absent = [
                ("sequence", name, "no sequence: not in the FASTA file", "FASTA")
                for name in ids
                if name not in given
            ]
            left_out = pd.DataFrame(absent, columns=LEFT_OUT_COLUMNS)
        spare = [
            ("sequence", name, "not among the RNAs", "FASTA")
            for name in given
            if name not in rnas.index
        ]
        left_out = pd.concat(
            [left_out, pd.DataFrame(spare, columns=LEFT_OUT_COLUMNS)], ignore_index=True
        )
    return rnas, left_out


def _used(
    kind: str, records: pd.DataFrame, ids: list[str], names: MirbaseNames | None, species: str
) -> pd.DataFrame:
    """One row per record and id it belongs to, with ``rna_id``, ``partner_id`` and ``reason`` (why it is not used)."""
    rna, partner = _ASSOCIATIONS[kind]
    meant = match_names(records[rna].unique(), ids, names)
    table = records.assign(
        rna_id=records[rna].map(lambda name: meant.get(name, [""])),
        partner_id=records[partner],
        reason="",
    )
    table = table.explode("rna_id", ignore_index=True)
    table.loc[table["rna_id"] == "", "reason"] = "miRNA is not among the ids"
    if kind == "mRNA":
        table.loc[table["support"].str.contains("(Weak)", regex=False), "reason"] = (
            "support is weak"
        )
        table.loc[
            (table["mirna_species"] != species) | (table["gene_species"] != species), "reason"
        ] = "another species"
    return table


def _associations(
    kind: str, used: pd.DataFrame, ontology: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    kept = used[used["reason"] == ""]
    pairs = kept[["rna_id", "partner_id"]].drop_duplicates(ignore_index=True)
    joined = {"mRNA": mrna_evidence, "drug": drug_evidence, "disease": disease_evidence}[kind](
        pairs, used
    )
    counts = pairs["partner_id"].value_counts(sort=False)
    partners = pd.DataFrame({"n": counts.astype(int)}).rename_axis("partner_id")
    partners.index = partners.index.astype(object)
    if kind == "mRNA":
        partners["entrez_id"] = (
            kept.drop_duplicates("partner_id")
            .set_index("partner_id")["entrez_id"]
            .reindex(partners.index)
        )
    if kind == "disease" and ontology is not None:
        partners["descriptor_ids"] = mesh.match_terms(partners.index, ontology)["descriptor_ids"]
    return joined, partners


def rna_table(
    ids: Sequence[str], names: MirbaseNames, families: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Resolve miRNA ids and gather what miRBase knows of them.

    Args:
        ids: unique miRNA ids of any kind `names.resolve` knows.
        names: one species in one release of miRBase.
        families: members of families over all species (`sources.mirbase.read_families`); without it, or where an RNA has no
            family, the columns of the family are 0.

    Returns:
        ``(rnas, left_out)``. `rnas`: index ``rna_id``; ``sequence`` (representative hairpin, None where unknown), ``matures``
        (``;``-separated sequences), ``family`` (group for folds, `names.family_groups`), ``match_kind``, ``hairpin_ids``,
        ``mature_ids``, ``family_ids`` (miRBase), ``n_hairpins``, ``n_matures``, ``n_experimental`` (matures with experimental
        evidence), ``mature_length`` (mean, in nucleotides; 0 without matures); and of the family ``family_members`` (hairpins of all
        species), ``family_own`` (of this species), ``family_species``, ``family_model_species`` (of `MODEL_SPECIES`). `left_out`:
        the ids without a sequence, with the reason.

    Raises:
        InputError: an id stands twice.
    """
    found = resolve(ids, names)
    twice = found.index[found.index.duplicated()]
    if len(twice):
        raise InputError(
            "an RNA id stands twice", column="rna_id", found=twice[0], expected="unique ids"
        )
    rnas = pd.DataFrame(index=found.index)
    rnas["sequence"] = pd.Series(
        [sequence or None for sequence in found["sequence"]], index=found.index, dtype=object
    )
    rnas["matures"] = found["mature_sequences"]
    rnas["family"] = family_groups(found)
    for column in ("match_kind", "hairpin_ids", "mature_ids", "family_ids"):
        rnas[column] = found[column]
    experimental = set(names.matures.loc[names.matures["evidence"] == "experimental", "accession"])
    accessions = [
        [accession for accession in cell.split(";") if accession] for cell in found["mature_accs"]
    ]
    sequences = [
        [sequence for sequence in cell.split(";") if sequence] for cell in found["mature_sequences"]
    ]
    rnas["n_hairpins"] = [
        len([name for name in cell.split(";") if name]) for cell in found["hairpin_ids"]
    ]
    rnas["n_matures"] = [len(cell) for cell in accessions]
    rnas["n_experimental"] = [
        sum(accession in experimental for accession in cell) for cell in accessions
    ]
    rnas["mature_length"] = [sum(map(len, cell)) / max(1, len(cell)) for cell in sequences]
    sizes = _family_sizes(families, names.species) if families is not None else {}
    for position, column in enumerate(
        ("family_members", "family_own", "family_species", "family_model_species")
    ):
        rnas[column] = [
            max(sizes.get(name, (0, 0, 0, 0))[position] for name in cell.split(";"))
            for cell in found["family_ids"]
        ]
    return rnas, _without_sequence(found, names)


def _family_sizes(families: pd.DataFrame, species: str) -> dict[str, tuple[int, int, int, int]]:
    """Family -> its hairpins, those of `species`, its species, and how many of these are model species."""
    sizes = {}
    for name, members in families.groupby("family_id")["species"]:
        kinds = set(members)
        sizes[str(name)] = (
            len(members),
            int((members == species).sum()),
            len(kinds),
            len(kinds & MODEL_SPECIES),
        )
    return sizes


def _without_sequence(found: pd.DataFrame, names: MirbaseNames) -> pd.DataFrame:
    absent = found[found["sequence"] == ""]
    known = names.known_names() if len(absent) else []
    rows = []
    for name, kind in absent["match_kind"].items():
        near = suggest(str(name), known) if kind == "unknown" else []
        reason = f"no sequence: {MATCH_KINDS[kind]}" + (
            f"; nearest names {', '.join(near)}" if near else ""
        )
        rows.append(("sequence", str(name), reason, "miRBase"))
    return pd.DataFrame(rows, columns=LEFT_OUT_COLUMNS, dtype=object)
