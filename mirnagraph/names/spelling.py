"""Spelling of miRNA names: one form for look-up, species, arms, numbers, HGNC symbols."""

from __future__ import annotations

import re

from mirnagraph.errors import ArgumentError

_TIDY = re.compile(r"(?!pr[ei]-)[a-z]{3,4}-(?:mir|let|lin)-[a-z0-9*]+(?:-[a-z0-9*]+)*")

_BLANKS = re.compile(r"[\s_\-\u00ad\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d]+")
"""Blanks, underscores and every dash: hyphens, dashes of print, the minus sign of PDFs."""

_INVISIBLE = str.maketrans("", "", "\u200b\u200c\u200d\u2060\ufeff")

_DOTTED = re.compile(r"(?:[a-z]{3,4}\.)?(?:mir|let|lin)\.[\w.*]+")
"""A name as R writes it where a name may hold no dash: hsa.miR.21.5p."""

_PREFIX = re.compile(r"^(?:([a-z]{3,4})-)?(?:mirna|microrna|mir|let|lin)(?=[-\d])")

_DIGITS = re.compile(r"([0-9]{1,18})")
"""A part of a name that is ordered as a number: what `int` reads, and no longer."""

_SYMBOL = re.compile(r"mir(let-?)?(\d+)([a-z]*?)(\d*)(-.*|\*)?")
"""A gene symbol: MIR21, MIR16-1, MIR125B1, MIRLET7A1; Mir21a and Mirlet7a-1 of the mouse."""

_HOST_GENE = re.compile(r"mir(?:let)?-?\d+[a-z]*\d*(?:-\d+)?hg\b")

_LIKE_MIRNA = re.compile(r"mi-?r|(?:let|lin)[\W_]?\d|-\d")

_ARM = re.compile(r"(?:-[35]p|\*)+$")

_SPECIES = re.compile(r"([a-z][a-z0-9]{2,6})-(?=(?:mirna|microrna|mir|let|lin|bantam)\b|mir\w)")

_PRECURSOR = re.compile(r"^pr[ei]-(?=(?:[a-z]{3,4}-)?(?:mirna|microrna|mir|let|lin)\b)")
"""Pre-miR-21 and pri-miR-21: the hairpin."""

_TRUNCATED = re.compile(r"(?:[a-z][a-z0-9]{2,6}-)?(?:mirna|microrna|mir|let|lin)")


def _lower(name: str) -> str:
    """A name in lower case."""
    _check_text(name)
    return name.lower()


def _check_text(name: object) -> None:
    """Raise ArgumentError for what is no text; `checked` is too slow for a million names."""
    if not isinstance(name, str):
        found = f"{name!r} ({type(name).__name__})"
        raise ArgumentError(f"a name is {found}, expected a text")


def normalise(name: str, species: str = "hsa") -> str:
    """Normalise a name for look-up: lower case, with species prefix and single dashes.

    Lower case loses the difference between hairpin (mir) and mature (miR), which many databases do
    not make either. Gene symbols become names of hairpins (MIR125B1: mir-125b-1); host genes
    (MIR17HG) are no miRNAs and stay as they are. Normalising twice changes nothing.

    Args:
        name: as a person or a table has it.
        species: prefix of names without one; empty for none.

    >>> normalise(" miR-21_5p ")
    'hsa-mir-21-5p'
    >>> normalise("microRNA 155")
    'hsa-mir-155'
    >>> normalise("MIRLET7A1")
    'hsa-let-7a-1'
    """
    lower = _lower(name)
    if _TIDY.fullmatch(lower) and not lower.endswith("-star"):
        return lower
    text = _BLANKS.sub("-", lower.translate(_INVISIBLE)).strip("-")
    if _DOTTED.fullmatch(text):
        text = re.sub(r"[.-]+", "-", text).strip("-")
    if _HOST_GENE.match(text):
        return text
    text = _of_symbol(_PRECURSOR.sub("", text))
    match = _PREFIX.match(text)
    if not match:
        return text
    kind = match.group()[-3:]
    if kind not in ("let", "lin"):
        kind = "mir"
    rest = re.sub(r"-star$", "*", text[match.end() :].lstrip("-"))
    prefix = match.group(1) or species
    return f"{prefix}-{kind}-{rest}" if prefix else f"{kind}-{rest}"


def _of_symbol(text: str) -> str:
    """A gene symbol in lower case as the name of its hairpin; other texts as they are."""
    match = _SYMBOL.fullmatch(text)
    if not match:
        return text
    let, digits, letters, locus, rest = match.groups()
    kind = "let" if let else "mir"
    if letters and locus:
        locus = f"-{locus}"
    return f"{kind}-{digits}{letters}{locus}{rest or ''}"


def hgnc_symbol(hairpin: str) -> str:
    """Write the HGNC symbol of a human hairpin, which `normalise` reads back.

    >>> hgnc_symbol("hsa-mir-125b-1"), hgnc_symbol("hsa-mir-16-1"), hgnc_symbol("hsa-let-7a-1")
    ('MIR125B1', 'MIR16-1', 'MIRLET7A1')
    """
    _, kind, *parts = normalise(hairpin).split("-")
    symbol = "MIRLET" if kind == "let" else "MIR"
    for number_, part in enumerate(parts):
        is_joined = number_ == 0 or parts[number_ - 1][-1:].isalpha()
        symbol += part if is_joined else f"-{part}"
    return symbol.upper()


def stem(name: str, species: str = "hsa") -> str:
    """Normalise a mature name to its precursor part: without -5p, -3p or star.

    >>> stem("hsa-miR-20a-5p"), stem("hsa-miR-24-1*")
    ('hsa-mir-20a', 'hsa-mir-24-1')
    """
    return _ARM.sub("", normalise(name, species))


def has_arm(name: str) -> bool:
    """Whether a name is of one arm: it ends with -5p, -3p or a star.

    >>> has_arm("hsa-miR-21*"), has_arm("hsa-miR-21")
    (True, False)
    """
    return bool(_ARM.search(normalise(name)))


def number(name: str) -> str | None:
    """Extract the number that paralogs share, with its kind; None without one.

    >>> number("hsa-mir-30c-2"), number("hsa-let-7a"), number("U6")
    ('mir-30', 'let-7', None)
    """
    match = re.match(r"[a-z]+-(mir|let|lin)-(\d+)", normalise(name))
    return "-".join(match.groups()) if match else None


def locus_stem(name: str) -> str:
    """Remove a final -1, -2 … from a normalised name.

    >>> locus_stem("hsa-let-7a-3")
    'hsa-let-7a'
    """
    return re.sub(r"-\d+$", "", name)


def family_stem(name: str) -> str | None:
    """Remove the letter of a paralog and the locus from a normalised name; None without a letter.

    >>> family_stem("hsa-mir-548a-2"), family_stem("hsa-mir-21")
    ('hsa-mir-548', None)
    """
    match = re.match(r"(.*\d)[a-z]+(-\d+)?$", name)
    return match.group(1) if match else None


def species_of(name: str) -> str:
    """Prefix of a miRNA's name that names its species; empty without one.

    >>> species_of("mmu-miR-21a-5p"), species_of("hsv1-miR-H1"), species_of("miR-21")
    ('mmu', 'hsv1', '')
    """
    match = _SPECIES.match(_BLANKS.sub("-", _lower(name).strip()))
    return match.group(1) if match else ""


def is_host_gene(name: str) -> bool:
    """Whether a name is that of a gene that hosts a miRNA: MIR17HG, MIR7-3HG.

    >>> is_host_gene("MIR17HG"), is_host_gene("MIR17")
    (True, False)
    """
    return _HOST_GENE.match(_BLANKS.sub("-", _lower(name).strip())) is not None


def is_like_mirna(name: str) -> bool:
    """Whether a text could be the name of a miRNA, perhaps a misspelt one."""
    return _LIKE_MIRNA.search(_lower(name)) is not None


def is_truncated(name: str) -> bool:
    """Whether a name ends before its number, so that it names nothing.

    >>> is_truncated("hsa-miR-"), is_truncated("hsa-mir"), is_truncated("let-7")
    (True, True, False)
    """
    text = _BLANKS.sub("-", _lower(name).translate(_INVISIBLE)).strip("-")
    return _TRUNCATED.fullmatch(text) is not None


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key by which hsa-mir-9 comes before hsa-mir-10, and -548a-2 before -548aa-1."""
    _check_text(name)

    def key(part: str) -> tuple[int, str]:
        return (int(part), "") if _DIGITS.fullmatch(part) else (-1, part)

    return tuple(key(part) for part in _DIGITS.split(name))
