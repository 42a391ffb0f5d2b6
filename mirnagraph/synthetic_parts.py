"""The parts of a made-up dataset: hairpin families, partners in communities, and a small tree of made-up disease terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

LETTERS = "ACGU"
PAIR = {"A": "U", "C": "G", "G": "C", "U": "A"}
MATURE_LENGTH = 22
NAMES = {"mRNA": "SYNG", "drug": "syn-drug-", "disease": "syn-disease-"}


@dataclass(frozen=True, eq=False)
class Links:
    """Associations of one kind: names and communities of the partners, and (row of RNA, column of partner) pairs, sorted."""

    names: list[str]
    community: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def hairpin_family(n_members: int, mutation: float, rng: np.random.Generator) -> list[tuple[str, tuple[str, str]]]:
    """Precursors of one family: mutated copies of a random ancestor whose two arms pair.

    Args:
        mutation: share of letters replaced; a member may also lose or gain a letter at the loop.

    Returns:
        Per member (precursor of 57 to 86 nt, (mature of the 5' arm, mature of the 3' arm)), matures of 22 nt cut from it.
    """
    arm = _random_letters(25 + int(rng.random() * 11), rng)
    loop = _random_letters(8 + int(rng.random() * 8), rng)
    ancestor = arm + loop + "".join(PAIR[letter] for letter in reversed(arm))
    members = []
    for _ in range(n_members):
        hit, new, shift = rng.random(len(ancestor)), rng.random(len(ancestor)), rng.random()
        # One of the three other letters, so that `mutation` is the share that really differs.
        letters = [LETTERS[(LETTERS.index(a) + 1 + int(3 * r)) % 4] if h < mutation else a for a, h, r in zip(ancestor, hit, new, strict=True)]
        middle = len(arm) + len(loop) // 2
        if shift < mutation:
            del letters[middle]
        elif shift > 1 - mutation:
            letters.insert(middle, "A")
        sequence = "".join(letters)
        members.append((sequence, (sequence[2 : 2 + MATURE_LENGTH], sequence[-2 - MATURE_LENGTH : -2])))
    return members


def linked_partners(kind: str, community: np.ndarray, n_partners: int, n_communities: int, popularity: np.ndarray, rng: np.random.Generator) -> Links:
    """Link every RNA with partners, four in five of its own community; popular RNAs get more links.

    Args:
        community: community of each RNA, shape (n_rnas,).
        popularity: in units of the log of the number of links, shape (n_rnas,).
    """
    of_partner = np.arange(n_partners) % n_communities
    fame = 0.3 + rng.random(n_partners)
    base = {"mRNA": 7.0, "drug": 3.5, "disease": 6.0}[kind]
    rows, columns = [], []
    for row, own in enumerate(community):
        n_links = int(base * np.exp(popularity[row]) * (0.5 + rng.random())) + 1
        weight = fame * np.where(of_partner == own, 4.0 * (n_communities - 1), 1.0)
        # Exponential races: drawing without replacement in proportion to the weights.
        order = np.argsort(-np.log(1.0 - rng.random(n_partners)) / weight, kind="stable")
        chosen = np.sort(order[: min(n_links, n_partners // 2)])
        rows.extend([row] * len(chosen))
        columns.extend(chosen.tolist())
    width = max(3, len(str(n_partners)))
    return Links([f"{NAMES[kind]}{i + 1:0{width}d}" for i in range(n_partners)], of_partner, np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64))


def tree_of_terms(community: np.ndarray, n_communities: int, rng: np.random.Generator) -> tuple[pd.DataFrame, list[str]]:
    """A small ontology shaped like MeSH: one root per community, three branches each, one leaf per disease.

    One term in six also hangs under a branch of another community, so the tree is a DAG; one disease in twenty has no term, one in ten has a
    second one, as in the public tables.

    Args:
        community: community of each disease, shape (n_diseases,).

    Returns:
        (ontology with the columns ``tree_number``, ``descriptor_id``, ``term``; descriptor ids of each disease joined by ``;``).
    """
    rows = []
    for root in range(n_communities):
        rows.append((f"S{root + 1:02d}", f"SYND{root + 1:02d}", f"Synthetic diseases {root + 1}"))
        for branch in range(3):
            rows.append((f"S{root + 1:02d}.{branch + 1:03d}", f"SYND{root + 1:02d}{branch + 1}", f"Synthetic diseases {root + 1}.{branch + 1}"))
    descriptors = []
    for disease, own in enumerate(community):
        leaf, chance = f"SYND{1000 + disease}", rng.random(5)
        numbers = [f"S{own + 1:02d}.{int(3 * chance[0]) + 1:03d}.{disease + 101}"]
        if chance[1] < 1 / 6:
            other = (own + 1 + int(chance[2] * (n_communities - 1))) % n_communities
            numbers.append(f"S{other + 1:02d}.{int(3 * chance[3]) + 1:03d}.{disease + 101}")
        rows.extend((number, leaf, f"Synthetic disease {disease + 1}") for number in numbers)
        unnamed = disease % 20 == 19
        second = f";SYND{own + 1:02d}{int(3 * chance[4]) + 1}" if disease % 10 == 4 else ""
        descriptors.append("" if unnamed else leaf + second)
    table = pd.DataFrame(sorted(rows), columns=["tree_number", "descriptor_id", "term"], dtype=object)
    return table, descriptors


def _random_letters(n: int, rng: np.random.Generator) -> str:
    return "".join(LETTERS[int(4 * r)] for r in rng.random(n))
