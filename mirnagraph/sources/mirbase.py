"""miRBase: hairpin and mature FASTA, aliases, families, miRNA.dat (EMBL), joined tables."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.names.mirbase import ALL_SPECIES, MirbaseNames
from mirnagraph.reading.nucleotides import check_nucleotides, to_rna
from mirnagraph.reading.table import read_rows, read_table
from mirnagraph.reading.text import read_text
from mirnagraph.sources.fasta import read_fasta
from mirnagraph.sources.organisms import COMMON_NAMES, read_organisms, species_code

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

HAIRPINS = "hairpin.fa.gz"
PAIRS = "hairpin_mature.tsv.gz"
ALIASES = "aliases.tsv.gz"
ORGANISMS = "organisms.tsv"
FAMILIES = "miFam.dat"

PAIR_COLUMNS = [
    "hairpin_id",
    "hairpin_acc",
    "mature_id",
    "mature_acc",
    "start",
    "end",
    "evidence",
]

_ACCESSION = re.compile(r"MI(MAT)?\d{7}$")

_FEATURE = re.compile(r"^FT\s+miRNA\b(.*)\n?((?:FT\s+/.*\n?)*)", flags=re.MULTILINE)

_PLACE = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})")
"""First and last nucleotide, from 1 on."""


def read_mirbase_fasta(
    path: str | Path, species: str | None = None, *, iupac: str = "error"
) -> pd.DataFrame:
    """Read ``hairpin.fa`` or ``mature.fa``.

    Args:
        path: plain or gzip file.
        species: return records whose id starts with this and a dash; None for all.
        iupac: see `read_fasta`.

    Returns:
        Columns ``id``, ``accession``, ``species``, ``sequence``, ``line``.

    Raises:
        InputError: as `read_fasta`, or a header whose second word is no miRBase accession.
    """
    table = read_fasta(path, iupac=iupac)
    if species is not None:
        table = table[table["id"].str.startswith(f"{species}-")].reset_index(drop=True)
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
    for place, block in _FEATURE.findall(record):
        values = dict(re.findall(r'/(\w+)="?([^"\n]*)"?', block))
        first, last = _within(place.strip(), sequence, name, path, line)
        for key in ("accession", "product"):
            if not values.get(key):
                what = f"a mature of {name} without its {key}"
                expected = f'a line /{key}="…" below {place.strip()}'
                raise InputError(what, file=path, line=line, expected=expected)
        evidence = values.get("evidence", "").replace("_", " ")
        mature = sequence[first - 1 : last]
        features.append((values["accession"], values["product"], first, last, evidence, mature))
    return features


def _within(
    place: str, sequence: str, hairpin: str, path: str | Path, line: int
) -> tuple[int, int]:
    """First and last nucleotide of a place such as ``3..24``; InputError outside the hairpin."""
    match = _PLACE.fullmatch(place)
    first, last = (int(number) for number in match.groups()) if match else (0, 0)
    if not 1 <= first <= last <= len(sequence):
        raise InputError(
            f"a mature outside its hairpin {hairpin}",
            file=path,
            line=line,
            found=place,
            expected=f"within 1..{len(sequence)}",
        )
    return first, last


def read_names(folder: str | Path, species: str = "hsa", release: str = "22.1") -> MirbaseNames:
    """Read the names of one species, or of all, from a folder of miRBase tables.

    Two layouts: of one species (``{species}_hairpin_v{release}.fa``,
    ``{species}_hairpin_mature_family_v{release}.tsv``, ``{species}_aliases_v{release}.tsv`` and, if
    present, ``{species}_retired_hairpins.tsv``), and of all species (see `read_all_species`).

    Args:
        folder: of either layout.
        species: prefix (``"mmu"``), Latin name (``"Mus musculus"``) or common name (``"mouse"``);
            ``"all"`` for every species of the folder.
        release: of miRBase.

    Raises:
        InputError: an unknown species, with the nearest ones; a missing or malformed file.
    """
    folder = Path(folder)
    if (folder / HAIRPINS).is_file():
        return read_all_species(folder, species, release)
    available = sorted(path.name.split("_")[0] for path in folder.glob(f"*_hairpin_v{release}.fa"))
    code = COMMON_NAMES.get(species.strip().lower(), species.strip())
    if available and code not in available:
        raise InputError(
            "no names of that species",
            file=folder,
            found=species,
            expected=", ".join(available),
            hint=f"the tables of all species are {HAIRPINS}, {PAIRS}, {ALIASES}, {ORGANISMS}",
        )
    retired = folder / f"{code}_retired_hairpins.tsv"
    return MirbaseNames.of(
        hairpins=read_mirbase_fasta(folder / f"{code}_hairpin_v{release}.fa"),
        joined=read_joined(folder / f"{code}_hairpin_mature_family_v{release}.tsv"),
        aliases=read_aliases(folder / f"{code}_aliases_v{release}.tsv", code),
        retired=read_retired(retired) if retired.is_file() else None,
        species=code,
        release=release,
    )


def read_all_species(
    folder: str | Path, species: str = ALL_SPECIES, release: str = "22.1"
) -> MirbaseNames:
    """Read names from the tables of all species.

    Reads ``hairpin.fa.gz``, ``hairpin_mature.tsv.gz`` (matures by their place in the hairpin),
    ``aliases.tsv.gz``, ``organisms.tsv`` and, if present, families in ``miFam.dat``. Ambiguous
    nucleotides are read as N.

    Args:
        folder: of these files.
        species: see `read_names`.
        release: of miRBase.

    Raises:
        InputError: see `read_names`; a mature outside its hairpin.
    """
    folder = Path(folder)
    code = species.strip().lower()
    if code != ALL_SPECIES:
        code = species_code(species, read_organisms(folder / ORGANISMS))
    only = None if code == ALL_SPECIES else code
    hairpins = read_mirbase_fasta(folder / HAIRPINS, only, iupac="n")
    families = folder / FAMILIES
    family_of: dict[str, str] = {}
    if families.is_file():
        table = read_families(families)
        family_of = dict(zip(table["hairpin_acc"], table["family_id"], strict=True))
    return MirbaseNames.of(
        hairpins=hairpins,
        joined=_read_pairs(folder / PAIRS, hairpins, only, family_of),
        aliases=read_aliases(folder / ALIASES, only),
        species=code,
        release=release,
    )


def _read_pairs(
    path: Path, hairpins: pd.DataFrame, species: str | None, family_of: dict[str, str]
) -> pd.DataFrame:
    """Matures of every hairpin in the columns of `read_joined` that names need."""
    table = read_table(path, PAIR_COLUMNS)
    if species is not None:
        table = table[table["hairpin_id"].str.startswith(f"{species}-")]
    sequence_of = dict(zip(hairpins["id"], hairpins["sequence"], strict=True))
    cells = table[["hairpin_id", "start", "end"]].itertuples(name=None)
    problems = []
    sequences = []
    for line, hairpin, start, end in cells:
        sequence = sequence_of.get(hairpin, "")
        try:
            first, last = _within(f"{start}..{end}", sequence, hairpin, path, line)
        except InputError as error:
            problems.append(error)
            continue
        sequences.append(sequence[first - 1 : last])
    raise_problems(problems)
    return pd.DataFrame(
        {
            "hairpin_id": table["hairpin_id"].to_numpy(),
            "family_id": [family_of.get(name, "") for name in table["hairpin_acc"]],
            "mature_acc": table["mature_acc"].to_numpy(),
            "mature_id": table["mature_id"].to_numpy(),
            "mature_evidence": table["evidence"].to_numpy(),
            "mature_seq": sequences,
        },
        dtype=object,
    )
