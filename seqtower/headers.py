"""Labels in FASTA headers, as DeepLocRNA publishes them: 0/1 per compartment, then the id and the name of the gene."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.errors import ConfigError, InputError, raise_problems
from mirnagraph.names import family_groups, number, stem
from mirnagraph.nodes import NodeIndex
from mirnagraph.sources.fasta import read_fasta
from seqtower.sequences import LEFT_OUT_COLUMNS, MULTI_LABEL, SequenceSet, one_kind_problems

FAMILY = "family"
_FIELD = re.compile(r"(Gene_ID|Gene_Name):(.*)", re.IGNORECASE)


def join_headers(fasta: str | Path, compartments: Sequence[str], *, columns: Sequence[str] = (), iupac: str = "error") -> SequenceSet:
    """Sequences whose headers bring their labels: ``>1101000,Gene_ID:miRBase:MI0000060,Gene_Name:hsa-let-7a-1``.

    The id of an RNA is its Gene_Name; where a name stands several times, Gene_Name and Gene_ID with a comma between them; the whole rest of the
    header where it has no Gene_Name. Identical sequences under several names are all kept.

    Groups are miRNA families by name (see `families`).

    Args:
        compartments: what the digits stand for, from the left; one name per digit.
        columns: those of `compartments` that become labels; all of them where empty.
        iupac: see `mirnagraph.sources.fasta.read_fasta`.

    Raises:
        InputError: the first 20 of: a header that does not start with as many 0 or 1 as there are compartments, that has nothing behind them, or
            that names an RNA seen before (with line and column); a compartment that all RNAs share or none has.
        ConfigError: a compartment named twice, or a column that is none of them.

    Source: files of Wang et al. 2024 (DeepLocRNA), section 2.1.
    """
    names = [name.strip() for name in compartments]
    if not names or not all(names) or len(set(names)) < len(names):
        raise ConfigError(f"the labels in a header need one name each, none twice; found {', '.join(compartments) or 'none'}")
    for name in columns:
        if name not in names:
            raise ConfigError(f"no compartment {name!r} among those of the headers: {', '.join(names)}")
    records = read_fasta(fasta, iupac=iupac)
    headers = [f"{name} {more}".strip() for name, more in zip(records["id"], records["description"], strict=True)]
    lines = [int(line) for line in records["line"]]
    parts = [header.split(",", 1) for header in headers]
    problems = []
    for line, (digits, *rest) in zip(lines, parts, strict=True):
        if not re.fullmatch(f"[01]{{{len(names)}}}", digits):
            expected = f"{len(names)} digits of 0 and 1, one per compartment ({', '.join(names)}), and a comma"
            problems.append(InputError("the labels in a header do not fit the compartments", file=fasta, line=line, column=2, found=digits, expected=expected))
        elif not rest or not rest[0].strip():
            problems.append(InputError("a header without a name", file=fasta, line=line, column=2 + len(digits), expected="Gene_ID:…,Gene_Name:…"))
    raise_problems(problems)
    called = [_called(rest) for _, rest in parts]
    ids = _unique(called, lines, fasta)
    values = pd.DataFrame([[float(digit) for digit in digits] for digits, _ in parts], columns=names)[list(columns) or names]
    raise_problems(one_kind_problems(values, fasta))
    sequences = tuple(records["sequence"])
    groups = families([name for name, _ in called], sequences)
    nothing = pd.DataFrame(columns=LEFT_OUT_COLUMNS)
    return SequenceSet(NodeIndex.of(ids, "RNA"), sequences, values.to_numpy(dtype=np.float64), tuple(values.columns), MULTI_LABEL, groups, nothing)


def families(names: Sequence[str], sequences: Sequence[str]) -> tuple[str, ...]:
    """miRNA family of each RNA by its name, as `mirnagraph.names.family_groups` makes them without miRBase's tables.

    RNAs with one number (let-7a-1 and let-7b: let-7, in whatever species), and RNAs with one and the same sequence, are relatives, and so are the
    relatives of relatives. Of several names (``C13orf25|hsa-mir-18a``) the first that has a number counts. A name without a number
    (viral miRNAs, genes) is a family of its own, its arms -5p and -3p together.

    Returns:
        A name per family, one per RNA.
    """
    known = []
    for name in names:
        numbered = [number(part) for part in name.split("|") if number(part)]
        known.append(f"hsa-{numbered[0]}" if numbered else stem(name))
    table = pd.DataFrame({"family_ids": "", "mature_sequences": list(sequences)}, index=pd.Index(known, dtype=object))
    return tuple(str(family).removeprefix("hsa-") for family in family_groups(table))


def _called(rest: str) -> tuple[str, str]:
    """Gene_Name (or everything) and Gene_ID (or nothing) of a header behind its digits."""
    found = {}
    for part in rest.split(","):
        field = _FIELD.fullmatch(part.strip())
        if field:
            found[field.group(1).lower()] = field.group(2).strip()
    return found.get("gene_name") or rest.strip(), found.get("gene_id", "")


def _unique(called: list[tuple[str, str]], lines: list[int], fasta: str | Path) -> list[str]:
    often = Counter(name for name, _ in called)
    ids = [f"{name},{gene}" if often[name] > 1 and gene else name for name, gene in called]
    first: dict[str, int] = {}
    problems = []
    for name, line in zip(ids, lines, strict=True):
        if name in first:
            expected = f"each Gene_Name, or Gene_Name with Gene_ID, once (first on line {first[name]})"
            problems.append(InputError("an RNA stands twice", file=fasta, line=line, found=name, expected=expected))
        first.setdefault(name, line)
    raise_problems(problems)
    return ids
