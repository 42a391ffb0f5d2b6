"""Tables that datasets are assembled from: RNAs of miRBase, matches of names, what is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS
from mirnagraph.errors import InputError
from mirnagraph.names import (
    MATCH_KINDS,
    MirbaseNames,
    family_groups,
    normalise,
    resolve,
    stem,
    suggest,
)

FAMILY_COLUMNS = ["family_members", "family_own", "family_species", "family_model_species"]

HUMAN = "hsa"

# Species with the most complete miRNA annotation: a family absent from them is young.
MODEL_SPECIES = frozenset(("mmu", "rno", "bta", "gga", "xtr", "dre", "dme", "cel"))


def left_out_rows(item: str, ids: Iterable[str], reason: str, source: str) -> pd.DataFrame:
    """Make rows of `Dataset.left_out`, one per id."""
    rows = [(item, name, reason, source) for name in ids]
    return pd.DataFrame(rows, columns=LEFT_OUT_COLUMNS)


def match_names(
    queries: Iterable[str], ids: Sequence[str], names: MirbaseNames | None = None
) -> dict[str, list[str]]:
    """Match names of records with RNA ids.

    By the same name (without case and kind of dash), by the name without its arm, or, with `names`,
    by a hairpin that both have; one name may belong to several ids (hsa-miR-7-5p to hsa-mir-7-1 and
    -7-2).

    Args:
        queries: names in records.
        ids: ids of the RNAs.
        names: miRBase, to match names by their hairpins; names without a species are of its
            species, of man without it.

    Returns:
        Name -> ids, without names that match none.
    """
    distinct = list(dict.fromkeys(queries))
    # names without a species are of that of miRBase
    species = HUMAN if names is None else names.species
    by_name = defaultdict(list)
    for rna_id in ids:
        by_name[normalise(rna_id, species)].append(rna_id)
    by_hairpin = defaultdict(list)
    hairpins_of: dict[Any, list[str]] = {}
    if names is not None:
        hairpins_of = resolve(distinct, names)["hairpin_ids"].map(_split).to_dict()
        for rna_id, hairpins in zip(ids, resolve(ids, names)["hairpin_ids"], strict=True):
            for hairpin in _split(hairpins):
                by_hairpin[hairpin].append(rna_id)
    result = {}
    for name in distinct:
        matches = by_name.get(normalise(name, species)) or by_name.get(stem(name, species)) or []
        if not matches:
            for hairpin in hairpins_of.get(name, []):
                matches = matches + by_hairpin.get(hairpin, [])
        if matches:
            result[name] = list(dict.fromkeys(matches))
    return result


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
