"""miRBase: hairpin and mature FASTA, aliases, families, miRNA.dat (EMBL), joined tables."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import check_nucleotides, read_rows, read_table, read_text, to_rna
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

EMBL_MATURE_COLUMNS = [
    "hairpin_acc",
    "hairpin_id",
    "mature_acc",
    "mature_id",
    "mature_start",
    "mature_end",
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

_FEATURE = re.compile(r"^FT\s+miRNA\s+(\d+)\.\.(\d+)\s*\n((?:FT\s+/.*\n?)*)", flags=re.MULTILINE)


def read_mirbase_fasta(path: str | Path) -> pd.DataFrame:
    """Read ``hairpin.fa`` or ``mature.fa``.

    Returns:
        Columns ``id``, ``accession``, ``species``, ``sequence``, ``line``.

    Raises:
        InputError: as `read_fasta`, or a header whose second word is no miRBase accession.
    """
    table = read_fasta(path)
    words = table["description"].str.split(n=3)
    table["accession"] = words.str[0].fillna("")
    table["species"] = words.str[1:3].str.join(" ")
    is_wrong = ~table["accession"].str.match(_ACCESSION)
    wrong = table.loc[is_wrong, ["id", "accession", "line"]]
    raise_problems(
        _bad_accession(path, line, len(name) + 3, accession)
        for name, accession, line in wrong.itertuples(index=False)
    )
    return table[["id", "accession", "species", "sequence", "line"]]


def _bad_accession(path: str | Path, line: int, column: int, found: str) -> InputError:
    what = "not a miRBase accession"
    expected = "MI or MIMAT and 7 digits"
    return InputError(what, file=path, line=line, column=column, found=found, expected=expected)


def read_aliases(path: str | Path, species: str | None = None) -> pd.DataFrame:
    """Read ``aliases.txt`` (accession, TAB, names separated by ``;``, oldest first).

    Args:
        path: plain or gzip file.
        species: read names that start with this and a dash (``"hsa"``); None for all.

    Returns:
        Columns ``accession``, ``name``, one row each, in file order.

    Raises:
        InputError: a line without exactly two cells, or a wrong accession.
    """
    rows = []
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
        elif not re.match(r"MI(PF|MAT)?\d+$", cells[0]):
            problems.append(_bad_accession(path, number, 1, cells[0]))
        else:
            for name in filter(None, cells[1].split(";")):
                if species is None or name.lower().startswith(f"{species}-"):
                    rows.append((cells[0], name))
    raise_problems(problems)
    return pd.DataFrame(rows, columns=["accession", "name"])


def read_families(path: str | Path) -> pd.DataFrame:
    """Read ``miFam.dat``: one row per family and hairpin, of all species.

    Returns:
        Columns ``family_acc``, ``family_id``, ``hairpin_acc``, ``hairpin_id``, ``species`` (the
        prefix of the id).

    Raises:
        InputError: a line of an unknown kind, or a member before its family has an accession and a
            name.
    """
    rows = []
    accession = ""
    name = ""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        words = line.split()
        if not words:
            continue
        if words[0] == "//":
            accession = ""
            name = ""
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
    """Read the joined table of hairpins, matures and families; text columns as in the file.

    Returns:
        One row per hairpin and mature.

    Raises:
        InputError: a missing column, or a mature with an invalid nucleotide.
    """
    table = read_table(path, JOINED_COLUMNS)
    _check_sequences(table, "mature_id", "mature_seq", path)
    return table.reset_index(drop=True)


def _check_sequences(table: pd.DataFrame, name: str, sequence: str, path: str | Path) -> None:
    """Raise InputError for the invalid nucleotides of a column; `name` is the column of the ids."""
    problems = []
    for row in table[[name, sequence]].itertuples(name=None):
        try:
            check_nucleotides(row[2], rna_id=row[1], file=path, line=row[0], column=sequence)
        except InputError as error:
            problems.append(error)
    raise_problems(problems)


def read_retired(path: str | Path) -> pd.DataFrame:
    """Read hairpins of older releases that the current one no longer has; text columns.

    Returns:
        Columns ``hairpin_acc``, ``release``, ``names`` (``;``-separated), ``sequence``, ``matures``
        (``name:accession:sequence``, ``;``-separated).

    Raises:
        InputError: a missing column, or an invalid nucleotide.
    """
    table = read_table(path, RETIRED_COLUMNS)
    _check_sequences(table, "hairpin_acc", "sequence", path)
    table = table.rename(
        columns={
            "last_seen_release": "release",
            "all_names": "names",
            "matures(name:acc:seq)": "matures",
        }
    )
    return table[["hairpin_acc", "release", "names", "sequence", "matures"]].reset_index(drop=True)


def read_embl(path: str | Path, species: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read ``miRNA.dat`` in EMBL format: hairpins, and matures by their feature coordinates.

    Args:
        path: plain or gzip file.
        species: read hairpins whose id starts with this and a dash; None for all.

    Returns:
        ``(hairpins, matures)``. Hairpins: ``hairpin_acc``, ``hairpin_id``, ``sequence`` (T as U).
        Matures: ``hairpin_acc``, ``hairpin_id``, ``mature_acc``, ``mature_id``, ``mature_start``,
        ``mature_end`` (1-based, inclusive), ``mature_evidence``, ``mature_seq``.

    Raises:
        InputError: a record without id, accession or sequence, or a mature outside its hairpin.
    """
    hairpins = []
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
        sequence = to_rna(re.sub(r"[\s\d]", "", body.group(1))) if body else ""
        if not (name and accession and sequence):
            raise InputError(
                "not a record of miRNA.dat",
                file=path,
                line=start,
                expected="lines ID, AC and SQ with a sequence",
            )
        ids = (accession.group(1), name.group(1))
        check_nucleotides(sequence, rna_id=ids[1], file=path, line=start, column="SQ")
        if species is None or ids[1].startswith(f"{species}-"):
            hairpins.append((*ids, sequence))
            features = _features(record, sequence, ids[1], path, start)
            matures += [(*ids, *feature) for feature in features]
    table = pd.DataFrame(hairpins, columns=["hairpin_acc", "hairpin_id", "sequence"])
    return table, pd.DataFrame(matures, columns=EMBL_MATURE_COLUMNS)


def _features(
    record: str, sequence: str, name: str, path: str | Path, line: int
) -> list[tuple[str, str, int, int, str, str]]:
    """Matures of one record: accession, id, start, end, evidence, sequence."""
    features = []
    for start, end, block in _FEATURE.findall(record):
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
        mature = sequence[first - 1 : last]
        features.append((values["accession"], values["product"], first, last, evidence, mature))
    return features


def read_names(folder: str | Path, species: str = "hsa", release: str = "22.1") -> MirbaseNames:
    """Read the names of one species from a folder of miRBase tables.

    Reads ``{species}_hairpin_v{release}.fa``, ``{species}_hairpin_mature_family_v{release}.tsv``,
    ``{species}_aliases_v{release}.tsv`` and, if present, ``{species}_retired_hairpins.tsv``.
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
