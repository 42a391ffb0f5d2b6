"""Synthetic hairpins: families of mutated copies, and motifs in their matures."""

from __future__ import annotations

import numpy as np

NUCLEOTIDES = "ACGU"

PAIR = {"A": "U", "C": "G", "G": "C", "U": "A"}

CODES = {"R": "AG", "Y": "CU", "S": "CG", "W": "AU", "N": NUCLEOTIDES}
"""Ambiguous nucleotides that a motif may have."""

MATURE_LENGTH = 22


def hairpin_family(
    n_members: int, mutation: float, rng: np.random.Generator
) -> list[tuple[str, tuple[str, str]]]:
    """Make precursors of one family: mutated copies of a random ancestor whose two arms pair.

    Args:
        n_members: number of precursors.
        mutation: share of nucleotides replaced; a member may also lose or gain one at the loop.
        rng: random numbers.

    Returns:
        Per member (precursor of 57 to 86 nt, (mature of the 5' arm, mature of the 3' arm)), matures
        of 22 nt cut from it.
    """
    arm = _random_sequence(25 + int(rng.random() * 11), rng)
    loop = _random_sequence(8 + int(rng.random() * 8), rng)
    ancestor = arm + loop + "".join(PAIR[nucleotide] for nucleotide in reversed(arm))
    members = []
    for _ in range(n_members):
        is_mutated = rng.random(len(ancestor)) < mutation
        # One of the three other nucleotides, so that `mutation` is the share that differs.
        steps = 1 + (3 * rng.random(len(ancestor))).astype(int)
        shift = rng.random()
        places = np.array([NUCLEOTIDES.index(nucleotide) for nucleotide in ancestor])
        mutated = [NUCLEOTIDES[place] for place in (places + is_mutated * steps) % 4]
        middle = len(arm) + len(loop) // 2
        if shift < mutation:
            del mutated[middle]
        elif shift > 1 - mutation:
            mutated.insert(middle, "A")
        sequence = "".join(mutated)
        members.append((sequence, _arms(sequence)))
    return members


def _arms(hairpin: str) -> tuple[str, str]:
    """Matures of both arms of a hairpin."""
    return hairpin[2 : 2 + MATURE_LENGTH], hairpin[-2 - MATURE_LENGTH : -2]


def with_motif(hairpin: str, motif: str, rng: np.random.Generator) -> tuple[str, tuple[str, str]]:
    """Write a motif over a random place of both matures of a hairpin.

    Args:
        hairpin: of `hairpin_family`.
        motif: see `SyntheticConfig`.
        rng: random numbers.

    Returns:
        The precursor and its matures, as of `hairpin_family`.
    """
    for start in (2, len(hairpin) - 2 - MATURE_LENGTH):
        place = start + int(rng.random() * (MATURE_LENGTH - len(motif) + 1))
        choices = [CODES.get(code, code) for code in motif]
        letters = "".join(of_code[int(rng.random() * len(of_code))] for of_code in choices)
        hairpin = hairpin[:place] + letters + hairpin[place + len(motif) :]
    return hairpin, _arms(hairpin)


def _random_sequence(n: int, rng: np.random.Generator) -> str:
    return "".join(NUCLEOTIDES[place] for place in (4 * rng.random(n)).astype(int))
