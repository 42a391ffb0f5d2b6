"""Names of miRBase as files beside the data that they belong to: two tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import cell_problems, read_table, write_tsv
from mirnagraph.names.mirbase import MirbaseNames

CURRENT = "names.tsv"
EARLIER = "names_earlier.tsv"
FILES = (CURRENT, EARLIER)

CURRENT_COLUMNS = [
    "hairpin_id",
    "hairpin_acc",
    "family",
    "hairpin_sequence",
    "mature_id",
    "mature_acc",
    "mature_sequence",
    "evidence",
]
"""One row per hairpin and mature; the sequence of a hairpin stands in its first row."""

EARLIER_COLUMNS = ["accession", "names", "release", "sequence", "matures"]
"""All names an entry has or had, ``;``-separated; a withdrawn hairpin also has the last four."""


def save_names(names: MirbaseNames, folder: Path) -> dict[str, str]:
    """Write `FILES` into an existing folder.

    Returns:
        Entries that `load_names` needs: ``species`` and ``release``.
    """
    write_tsv(_current(names), folder / CURRENT)
    aliases = names.aliases.groupby("accession", sort=False)["name"].agg(";".join)
    earlier = pd.DataFrame({"accession": aliases.index, "names": aliases.to_numpy()}, dtype=object)
    earlier = earlier.assign(release="", sequence="", matures="")
    retired = names.retired.rename_axis("accession").reset_index()
    for column in EARLIER_COLUMNS:
        if column not in retired.columns:
            retired[column] = ""
    table = pd.concat([earlier, retired[EARLIER_COLUMNS]], ignore_index=True)
    write_tsv(table, folder / EARLIER)
    return {"species": names.species, "release": names.release}


def _current(names: MirbaseNames) -> pd.DataFrame:
    """Hairpins with their matures, in the order of the hairpins."""
    hairpins = names.hairpins.rename_axis("hairpin_id").reset_index()
    hairpins = hairpins.rename(columns={"accession": "hairpin_acc", "sequence": "hairpin_sequence"})
    matures = names.matures.rename(
        columns={"accession": "mature_acc", "sequence": "mature_sequence"}
    )
    table = hairpins.merge(matures, on="hairpin_id", how="left", sort=False).fillna("")
    table.loc[table.duplicated("hairpin_id"), "hairpin_sequence"] = ""
    return table[CURRENT_COLUMNS]


def load_names(folder: Path, about: dict[str, object]) -> MirbaseNames:
    """Read what `save_names` wrote.

    Args:
        folder: of the files.
        about: what `save_names` returned.

    Raises:
        InputError: a missing or damaged file: names file, line and column.
    """
    table = read_table(folder / CURRENT, CURRENT_COLUMNS)
    is_first = ~table.duplicated("hairpin_id")
    is_empty = is_first & (table["hairpin_sequence"] == "")
    what = "a hairpin without a sequence"
    path = folder / CURRENT
    raise_problems(cell_problems(table, "hairpin_sequence", is_empty, what, path, "nucleotides"))
    hairpins = table.loc[is_first, ["hairpin_id", "hairpin_acc", "family", "hairpin_sequence"]]
    hairpins = hairpins.rename(columns={"hairpin_acc": "accession", "hairpin_sequence": "sequence"})
    matures = table.loc[table["mature_id"] != "", CURRENT_COLUMNS]
    matures = matures.drop(columns=["hairpin_acc", "family", "hairpin_sequence"])
    matures = matures.rename(columns={"mature_acc": "accession", "mature_sequence": "sequence"})
    earlier = read_table(folder / EARLIER, EARLIER_COLUMNS)
    is_retired = earlier["sequence"] != ""
    aliases = earlier.loc[~is_retired, ["accession", "names"]]
    aliases = aliases.assign(name=aliases["names"].str.split(";")).explode("name")
    retired = earlier.loc[is_retired].set_index("accession").rename_axis("hairpin_acc")
    species = about.get("species")
    if not isinstance(species, str) or not species:
        raise InputError("the names have no species", file=path, found=species, expected="a prefix")
    return MirbaseNames(
        species=species,
        hairpins=hairpins.set_index("hairpin_id")[["accession", "family", "sequence"]],
        matures=matures.reset_index(drop=True),
        aliases=aliases[["accession", "name"]].reset_index(drop=True),
        retired=retired[["release", "names", "sequence", "matures"]],
        release=str(about.get("release", "")),
    )
