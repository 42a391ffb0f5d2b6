"""The RNA table of a Dataset: sequence, matures, family and conservation of miRNA ids, through miRBase."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS
from mirnagraph.errors import InputError
from mirnagraph.names import MATCH_KINDS, MirbaseNames, family_groups, resolve, suggest

# Species whose miRNAs were searched for most thoroughly: a family absent from them is young rather than overlooked.
MODEL_SPECIES = frozenset(("mmu", "rno", "bta", "gga", "xtr", "dre", "dme", "cel"))


def rna_table(ids: Sequence[str], names: MirbaseNames, families: pd.DataFrame | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
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
        raise InputError("an RNA id stands twice", column="rna_id", found=twice[0], expected="unique ids")
    rnas = pd.DataFrame(index=found.index)
    rnas["sequence"] = pd.Series([sequence or None for sequence in found["sequence"]], index=found.index, dtype=object)
    rnas["matures"] = found["mature_sequences"]
    rnas["family"] = family_groups(found)
    for column in ("match_kind", "hairpin_ids", "mature_ids", "family_ids"):
        rnas[column] = found[column]
    experimental = set(names.matures.loc[names.matures["evidence"] == "experimental", "accession"])
    accessions = [[accession for accession in cell.split(";") if accession] for cell in found["mature_accs"]]
    sequences = [[sequence for sequence in cell.split(";") if sequence] for cell in found["mature_sequences"]]
    rnas["n_hairpins"] = [len([name for name in cell.split(";") if name]) for cell in found["hairpin_ids"]]
    rnas["n_matures"] = [len(cell) for cell in accessions]
    rnas["n_experimental"] = [sum(accession in experimental for accession in cell) for cell in accessions]
    rnas["mature_length"] = [sum(map(len, cell)) / max(1, len(cell)) for cell in sequences]
    sizes = _family_sizes(families, names.species) if families is not None else {}
    for position, column in enumerate(("family_members", "family_own", "family_species", "family_model_species")):
        rnas[column] = [max(sizes.get(name, (0, 0, 0, 0))[position] for name in cell.split(";")) for cell in found["family_ids"]]
    return rnas, _without_sequence(found, names)


def _family_sizes(families: pd.DataFrame, species: str) -> dict[str, tuple[int, int, int, int]]:
    """Family -> its hairpins, those of `species`, its species, and how many of these are model species."""
    sizes = {}
    for name, members in families.groupby("family_id")["species"]:
        kinds = set(members)
        sizes[str(name)] = (len(members), int((members == species).sum()), len(kinds), len(kinds & MODEL_SPECIES))
    return sizes


def _without_sequence(found: pd.DataFrame, names: MirbaseNames) -> pd.DataFrame:
    absent = found[found["sequence"] == ""]
    known = names.known_names() if len(absent) else []
    rows = []
    for name, kind in absent["match_kind"].items():
        near = suggest(str(name), known) if kind == "unknown" else []
        reason = f"no sequence: {MATCH_KINDS[kind]}" + (f"; nearest names {', '.join(near)}" if near else "")
        rows.append(("sequence", str(name), reason, "miRBase"))
    return pd.DataFrame(rows, columns=LEFT_OUT_COLUMNS, dtype=object)
