"""miRBase: hairpin and mature FASTA, aliases, families, the EMBL-format miRNA.dat, and the joined tables made from them."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import check_nucleotides, read_rows, read_table, read_text
from mirnagraph.names import MirbaseNames
from mirnagraph.sources.fasta import read_fasta

JOINED_COLUMNS = [
    "hairpin_acc",
    "hairpin_id",
    "family_acc",
    "family_id",
    "mature_acc",
    "mature_id",
    "mature_evidence",
    "mature_seq",
]

RETIRED_COLUMNS = [
    "hairpin_acc",
    "last_seen_release",
    "all_names",
    "sequence",
    "matures(name:acc:seq)",
]

_ACCESSION = re.compile(r"MI(MAT)?\d{7}$")


def read_mirbase_fasta(path: str | Path) -> pd.DataFrame:
    """``hairpin.fa`` or ``mature.fa``: columns ``id``, ``accession``, ``species``, ``sequence``, ``line``.

    Raises:
        InputError: as `read_fasta`, or a header whose second word is no miRBase accession.
    """
    table = read_fasta(path)
    words = table["description"].str.split(n=3)
    table["accession"] = words.str[0].fillna("")
    table["species"] = words.str[1:3].str.join(" ")
    raise_problems(
        InputError(
            "not a miRBase accession",
            file=path,
            line=int(line),
            column=len(str(name)) + 3,
            found=found,
            expected="MI or MIMAT and 7 digits",
        )
        for name, found, line in table.loc[
            ~table["accession"].str.match(_ACCESSION), ["id", "accession", "line"]
        ].itertuples(index=False)
    )
    return table[["id", "accession", "species", "sequence", "line"]]


def read_aliases(path: str | Path, species: str | None = None) -> pd.DataFrame:
    """``aliases.txt`` (accession, TAB, names parted by ``;``, oldest first): one row per accession and name.

    Args:
        species: keep names that start with this and a dash (``"hsa"``); None keeps all.

    Returns:
        Columns ``accession``, ``name`` in file order.

    Raises:
        InputError: a line without exactly two cells, or a wrong accession.
    """
    rows: list[tuple[str, str]] = []
    problems = []
    for number, cells in enumerate(read_rows(path), 1):
        if len(cells) != 2:
            problems.append(
                InputError(
                    "wrong number of cells",
                    file=path,
                    line=number,
                    column=min(len(cells), 2) + 1,
                    found=len(cells),
                    expected=2,
                )
            )
        elif not (_ACCESSION.match(cells[0]) or re.match(r"MI(PF|MAT)?\d+$", cells[0])):
            problems.append(
                InputError(
                    "not a miRBase accession",
                    file=path,
                    line=number,
                    column=1,
                    found=cells[0],
                    expected="MI or MIMAT and 7 digits",
                )
            )
        else:
            rows.extend(
                (cells[0], name)
                for name in cells[1].split(";")
                if name and (species is None or name.lower().startswith(f"{species}-"))
            )
    raise_problems(problems)
    return pd.DataFrame(rows, columns=["accession", "name"])


def read_families(path: str | Path) -> pd.DataFrame:
    """``miFam.dat``: one row per family and hairpin, of all species.

    Returns:
        Columns ``family_acc``, ``family_id``, ``hairpin_acc``, ``hairpin_id``, ``species`` (the prefix of the id).

    Raises:
        InputError: a line of an unknown kind, or a member before its family has an accession and a name.
    """
    rows: list[tuple[str, str, str, str]] = []
    accession = name = ""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        words = line.split()
        if not words:
            continue
        if words[0] == "//":
            accession = name = ""
        elif words[0] == "AC" and len(words) == 2:
            accession = words[1]
        elif words[0] == "ID" and len(words) == 2:
            name = words[1]
        elif words[0] == "MI" and len(words) == 3 and accession and name:
            rows.append((accession, name, words[1], words[2]))
        else:
            raise InputError(
                "not a line of miFam.dat",
                file=path,
                line=number,
                column=1,
                found=line,
                expected="AC, ID, MI with an accession and a name, or //",
            )
    table = pd.DataFrame(rows, columns=["family_acc", "family_id", "hairpin_acc", "hairpin_id"])
    table["species"] = table["hairpin_id"].str.split("-").str[0]
    return table


def read_joined(path: str | Path) -> pd.DataFrame:
    """The joined table hairpin - mature - family: one row per hairpin and mature; text columns as in the file.

    Raises:
        InputError: a missing column, or a mature with letters outside ACGTUN.
    """
    table = read_table(path, JOINED_COLUMNS)
    problems = []
    for line, name, sequence in zip(
        table.index, table["mature_id"], table["mature_seq"], strict=True
    ):
        try:
            check_nucleotides(sequence, rna_id=name, file=path, line=int(line), column="mature_seq")
        except InputError as error:
            problems.append(error)
    raise_problems(problems)
    return table.reset_index(drop=True)


def read_retired(path: str | Path) -> pd.DataFrame:
    """Hairpins of older releases that the current one no longer has; text columns as in the file.

    Returns:
        Columns ``hairpin_acc``, ``release``, ``names`` (``;``-separated), ``sequence``, ``matures`` (``name:accession:sequence``, ``;``-separated).

    Raises:
        InputError: a missing column, or letters outside ACGTUN.
    """
    table = read_table(path, RETIRED_COLUMNS)
    for line, name, sequence in zip(
        table.index, table["hairpin_acc"], table["sequence"], strict=True
    ):
        check_nucleotides(sequence, rna_id=name, file=path, line=int(line), column="sequence")
    table = table.rename(
        columns={
            "last_seen_release": "release",
            "all_names": "names",
            "matures(name:acc:seq)": "matures",
        }
    )
    return table[["hairpin_acc", "release", "names", "sequence", "matures"]].reset_index(drop=True)


def read_embl(path: str | Path, species: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """``miRNA.dat`` in EMBL format: hairpins, and matures cut out of them by their feature coordinates.

    Args:
        species: keep hairpins whose id starts with this and a dash; None keeps all.

    Returns:
        ``(hairpins, matures)``. Hairpins: ``hairpin_acc``, ``hairpin_id``, ``sequence`` (T as U). Matures: ``hairpin_acc``,
        ``hairpin_id``, ``mature_acc``, ``mature_id``, ``mature_start``, ``mature_end`` (1-based, inclusive),
        ``mature_evidence``, ``mature_seq``.

    Raises:
        InputError: a record without id, accession or sequence, or a mature outside its hairpin.
    """
    hairpins: list[tuple[str, str, str]] = []
    matures: list[tuple[object, ...]] = []
    text = read_text(path)
    line = 1
    for record in re.split(r"^//[ \t]*$", text, flags=re.MULTILINE):
        start = line + (len(record) - len(record.lstrip("\n")))
        line = line + record.count("\n")
        if not record.strip():
            continue
        name = re.search(r"^ID\s+(\S+)", record, flags=re.MULTILINE)
        accession = re.search(r"^AC\s+([^;\s]+);", record, flags=re.MULTILINE)
        body = re.search(r"^SQ.*\n((?:[ \t]+.*\n?)*)", record, flags=re.MULTILINE)
        sequence = re.sub(r"[\s\d]", "", body.group(1)).upper().replace("T", "U") if body else ""
        if not (name and accession and sequence):
            raise InputError(
                "not a record of miRNA.dat",
                file=path,
                line=start,
                expected="lines ID, AC and SQ with a sequence",
            )
        check_nucleotides(sequence, rna_id=name.group(1), file=path, line=start, column="SQ")
        if species is not None and not name.group(1).startswith(f"{species}-"):
            continue
        hairpins.append((accession.group(1), name.group(1), sequence))
        matures.extend(
            (accession.group(1), name.group(1), *feature)
            for feature in _features(record, sequence, name.group(1), path, start)
        )
    columns = [
        "hairpin_acc",
        "hairpin_id",
        "mature_acc",
        "mature_id",
        "mature_start",
        "mature_end",
        "mature_evidence",
        "mature_seq",
    ]
    return pd.DataFrame(hairpins, columns=["hairpin_acc", "hairpin_id", "sequence"]), pd.DataFrame(
        matures, columns=columns
    )


def _features(
    record: str, sequence: str, name: str, path: str | Path, line: int
) -> list[tuple[str, str, int, int, str, str]]:
    found = []
    for start, end, block in re.findall(
        r"^FT\s+miRNA\s+(\d+)\.\.(\d+)\s*\n((?:FT\s+/.*\n?)*)", record, flags=re.MULTILINE
    ):
        values = dict(re.findall(r'/(\w+)="?([^"\n]*)"?', block))
        first = int(start)
        last = int(end)
        if not (1 <= first <= last <= len(sequence)) or not {"accession", "product"} <= set(values):
            raise InputError(
                f"a mature outside its hairpin {name}",
                file=path,
                line=line,
                found=f"{first}..{last}",
                expected=f"within 1..{len(sequence)}",
            )
        evidence = values.get("evidence", "").replace("_", " ")
        found.append(
            (
                values["accession"],
                values["product"],
                first,
                last,
                evidence,
                sequence[first - 1 : last],
            )
        )
    return found


def read_names(folder: str | Path, species: str = "hsa", release: str = "22.1") -> MirbaseNames:
    """The names of one species from a folder of miRBase tables.

    Reads ``{species}_hairpin_v{release}.fa``, ``{species}_hairpin_mature_family_v{release}.tsv``,
    ``{species}_aliases_v{release}.tsv`` and, where it is there, ``{species}_retired_hairpins.tsv``.
    """
    folder = Path(folder)
    retired = folder / f"{species}_retired_hairpins.tsv"
    return MirbaseNames.of(
        hairpins=read_mirbase_fasta(folder / f"{species}_hairpin_v{release}.fa"),
        joined=read_joined(folder / f"{species}_hairpin_mature_family_v{release}.tsv"),
        aliases=read_aliases(folder / f"{species}_aliases_v{release}.tsv", species),
        retired=read_retired(retired) if retired.is_file() else None,
        species=species,
    )
