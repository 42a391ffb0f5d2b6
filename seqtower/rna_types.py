"""Types of RNAs, which a tower may be told beside the sequence (DeepLocRNA, section 2.3: identity tags)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mirnagraph.errors import ConfigError

RNA_TYPES = ("miRNA", "precursor", "lncRNA", "mRNA", "snoRNA", "circRNA", "other")
CIRCLE = "circRNA"
_KNOWN = {name.lower(): name for name in RNA_TYPES}


def rna_type(text: str) -> str | None:
    """The type that is meant, whatever its capitals; None where it is none of `RNA_TYPES`.

    >>> rna_type("LNCRNA"), rna_type("tRNA")
    ('lncRNA', None)
    """
    return _KNOWN.get(text.strip().lower())


def the_type(text: str) -> str:
    """As `rna_type`; raises ConfigError for what is none."""
    found = rna_type(text)
    if found is None:
        raise ConfigError(f"unknown type of RNA {text!r}, expected one of {', '.join(RNA_TYPES)}")
    return found


def vocabulary(types: Sequence[str] | None) -> tuple[str, ...]:
    """The types that occur, in the order of `RNA_TYPES`; none where no types are given."""
    return tuple(name for name in RNA_TYPES if name in set(types or ()))


def type_numbers(types: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Place of each type in a model's vocabulary: int64, shape (n,); raises ConfigError for one the model was not trained on."""
    place = {name: number for number, name in enumerate(known)}
    for name in types:
        if name not in place:
            raise ConfigError(f"the model was trained on no RNA of type {name!r}; it knows {', '.join(known)}")
    return np.array([place[name] for name in types], dtype=np.int64)
