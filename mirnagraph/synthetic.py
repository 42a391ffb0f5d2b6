"""Synthetic datasets with known answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.config import require
from mirnagraph.dataset import LEFT_OUT_COLUMNS, Dataset
from mirnagraph.seeds import generator

COMPARTMENTS = (
    "Cytoplasm",
    "Exosome",
    "Nucleolus",
    "Nucleus",
    "Extracellular vesicle",
    "Microvesicle",
    "Mitochondrion",
)

KINDS = ("mRNA", "drug", "disease")

MODALITIES = ("family", "disease", "mRNA", "drug")

DEMO_SEED = 2025

LETTERS = "ACGU"

PAIR = {"A": "U", "C": "G", "G": "C", "U": "A"}

MATURE_LENGTH = 22

NAMES = {"mRNA": "SYNG", "drug": "syn-drug-", "disease": "syn-disease-"}


@dataclass(frozen=True)
class SyntheticConfig:
    """What to make up.

    Attributes:
        n_rnas: number of RNAs, 20 or more.
        n_compartments: 1 … 7, named as in the public benchmark.
        n_families: number of sequence families; members are mutated copies of one made-up hairpin.
        n_communities: functional communities per association kind.
        n_partners: numbers of mRNAs, drugs and diseases.
        mutation: share of letters that differ between a member and its ancestor, in [0, 0.5].
        signal: how strongly family and communities move a label (log odds); 0 plants nothing.
        noise: SD of what nothing explains (log odds).
        popularity: how strongly being well studied moves every label and the number of associations; 0 switches it off.
        unlocated: share of RNAs without any compartment, in [0, 0.9].
        without_sequence, without_associations: shares of such RNAs, in [0, 0.5].
        seed: the only source of chance.
    """

    n_rnas: int = 200
    n_compartments: int = 5
    n_families: int = 30
    n_communities: int = 4
    n_partners: tuple[int, int, int] = (150, 50, 80)
    mutation: float = 0.08
    signal: float = 4.0
    noise: float = 0.5
    popularity: float = 0.8
    unlocated: float = 0.1
    without_sequence: float = 0.03
    without_associations: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.n_rnas >= 20, "n_rnas", self.n_rnas, "20 or more")
        require(
            1 <= self.n_compartments <= len(COMPARTMENTS),
            "n_compartments",
            self.n_compartments,
            f"1 to {len(COMPARTMENTS)}",
        )
        require(
            2 <= self.n_families <= self.n_rnas,
            "n_families",
            self.n_families,
            f"2 to {self.n_rnas}",
        )
        require(self.n_communities >= 2, "n_communities", self.n_communities, "2 or more")
        require(
            min(self.n_partners) >= self.n_communities,
            "n_partners",
            self.n_partners,
            "as many of each kind as there are communities, or more",
        )
        for name, most in (
            ("mutation", 0.5),
            ("unlocated", 0.9),
            ("without_sequence", 0.5),
            ("without_associations", 0.5),
        ):
            require(
                0 <= getattr(self, name) <= most,
                name,
                getattr(self, name),
                f"a share of 0 to {most}",
            )
        for name in ("signal", "noise", "popularity", "seed"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")


@dataclass(frozen=True, eq=False)
class SyntheticTruth:
    """What was planted; no model sees it.

    Attributes:
        family: family number of each RNA, index rna_id.
        communities: community number of each RNA in each association kind, columns ``mRNA``, ``drug``, ``disease``.
        popularity: how well studied each RNA is, standard-normal-like, index rna_id.
        drivers: compartment -> the modalities that move it (``"family"``, ``"disease"``, ``"mRNA"``, ``"drug"``).
        probabilities: chance of each label before noise and before RNAs lose their annotation: index and columns as the labels.
    """

    family: pd.Series
    communities: pd.DataFrame
    popularity: pd.Series
    drivers: Mapping[str, tuple[str, ...]]
    probabilities: pd.DataFrame


def make_dataset(
    n_rnas: int = 200, n_compartments: int = 5, *, seed: int = 0, **settings: object
) -> Dataset:
    """A made-up Dataset; `settings` are further fields of `SyntheticConfig`, whose checks apply.

    The number of families shrinks with the number of RNAs unless it is given.

    >>> make_dataset(30, 3, seed=1).labels.shape
    (30, 3)
    """
    settings.setdefault("n_families", max(2, n_rnas * 3 // 20))
    return make_synthetic(
        SyntheticConfig(n_rnas=n_rnas, n_compartments=n_compartments, seed=seed, **settings)
    )[0]  # type: ignore[arg-type]


def make_synthetic(
    config: SyntheticConfig, name: str = "synthetic"
) -> tuple[Dataset, SyntheticTruth]:
    """A made-up dataset, and what was planted in it.

    Each RNA has a family (its sequence), one community per association kind (whom it is linked with) and a popularity (how many links and
    labels it gets). Each compartment is moved by two modalities, in turn: a driving family or community raises or lowers its log odds.
    All chance comes from uniform random numbers of named generators, so the same config gives the same bytes everywhere.
    """
    ids = pd.Index(
        [f"syn-mir-{i + 1:04d}" for i in range(config.n_rnas)], dtype=object, name="rna_id"
    )
    rng = generator(config.seed, "rnas")
    family = _families(config, rng)
    communities = pd.DataFrame(
        {kind: _choices(config.n_communities, config.n_rnas, rng) for kind in KINDS}, index=ids
    )
    popularity = _normal(config.n_rnas, rng)
    compartments = COMPARTMENTS[: config.n_compartments]
    drivers = {
        name: (MODALITIES[k % 4], MODALITIES[(k + 1) % 4]) for k, name in enumerate(compartments)
    }
    levels = {"family": family, **{kind: communities[kind].to_numpy() for kind in KINDS}}
    chance, labels = _labels(config, levels, drivers, popularity)

    rnas = _sequences(config, family)
    rnas.index = ids
    lonely = _some(
        config.without_associations, config.n_rnas, generator(config.seed, "without associations")
    )
    tables: dict[str, Links] = {}
    for kind, n in zip(KINDS, config.n_partners, strict=True):
        made = linked_partners(
            kind,
            communities[kind].to_numpy(),
            n,
            config.n_communities,
            config.popularity * popularity,
            generator(config.seed, kind),
        )
        tables[kind] = replace(
            made, rows=made.rows[~lonely[made.rows]], columns=made.columns[~lonely[made.rows]]
        )
    partners = {
        kind: pd.DataFrame(index=_object_index(made.names, "partner_id"))
        for kind, made in tables.items()
    }
    ontology, descriptors = tree_of_terms(
        tables["disease"].community, config.n_communities, generator(config.seed, "ontology")
    )
    partners["disease"]["descriptor_ids"] = pd.Series(
        descriptors, index=partners["disease"].index, dtype=object
    )
    dataset = Dataset(
        name=name,
        rnas=rnas,
        associations={kind: _pairs(ids, made) for kind, made in tables.items()},
        partners=partners,
        labels=pd.DataFrame(labels, index=ids, columns=list(compartments), dtype=np.int8),
        ontology=ontology,
        left_out=pd.DataFrame(columns=LEFT_OUT_COLUMNS, dtype=object),
        description=(
            f"Synthetic: {config.n_rnas} made-up miRNAs in {config.n_compartments} compartments with planted sequence families and functional "
            f"communities (mirnagraph.synthetic, seed {config.seed}). No name, sequence, association or label in it is real."
        ),
        synthetic=True,
    )
    return dataset, SyntheticTruth(
        family=pd.Series(family, index=ids, name="family"),
        communities=communities,
        popularity=pd.Series(popularity, index=ids, name="popularity"),
        drivers=drivers,
        probabilities=pd.DataFrame(chance, index=ids, columns=list(compartments)),
    )


def demo_dataset() -> Dataset:
    """The embedded demo: read from ``data/demo`` in a source tree, made anew (and equal) where the package is installed without it."""
    folder = Path(__file__).resolve().parent.parent / "data" / "demo"
    if (folder / "dataset.toml").is_file() and (folder.parent.parent / "pyproject.toml").is_file():
        return Dataset.load(folder)
    return make_demo()


def make_demo() -> Dataset:
    """Make the demo dataset up, without reading any file."""
    return make_synthetic(SyntheticConfig(seed=DEMO_SEED), name="demo")[0]


def _families(config: SyntheticConfig, rng: np.random.Generator) -> np.ndarray:
    """Families of unequal size, none empty, spread over the rows: the name of an RNA says nothing of its family."""
    extra = config.n_rnas - config.n_families
    sizes = 1 / np.sqrt(np.arange(1, config.n_families + 1))
    drawn = np.searchsorted(np.cumsum(sizes / sizes.sum()), rng.random(extra)).clip(
        max=config.n_families - 1
    )
    family: np.ndarray = np.concatenate([np.arange(config.n_families), drawn])
    return family[np.argsort(rng.random(config.n_rnas), kind="stable")]


def _labels(
    config: SyntheticConfig,
    levels: Mapping[str, np.ndarray],
    drivers: Mapping[str, tuple[str, ...]],
    popularity: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    logits = np.zeros((config.n_rnas, len(drivers)))
    for k, (compartment, modalities) in enumerate(drivers.items()):
        rng = generator(config.seed, "effects", compartment)
        for modality in modalities:
            n_levels = int(levels[modality].max()) + 1
            # Half of the levels raise and half lower the odds, whatever the seed: no compartment is without signal.
            effect = np.where(
                np.argsort(np.argsort(rng.random(n_levels))) < n_levels / 2, 1.0, -1.0
            )
            logits[:, k] += config.signal / np.sqrt(len(modalities)) * effect[levels[modality]]
        logits[:, k] += (
            config.popularity * popularity + 1.2 * (0.5 - k / max(len(drivers) - 1, 1)) - 0.2
        )
    chance = 1 / (1 + np.exp(-logits))
    rng = generator(config.seed, "labels")
    noisy = logits + config.noise * _normal(logits.size, rng).reshape(logits.shape)
    labels = (rng.random(logits.shape) < 1 / (1 + np.exp(-noisy))).astype(np.int8)
    # The less studied an RNA, the likelier it is that nobody looked.
    shy = _normal(config.n_rnas, rng) - config.popularity * popularity
    labels[np.argsort(-shy, kind="stable")[: round(config.unlocated * config.n_rnas)]] = 0
    return chance, labels


def _sequences(config: SyntheticConfig, family: np.ndarray) -> pd.DataFrame:
    precursor = np.empty(config.n_rnas, dtype=object)
    matures = np.empty(config.n_rnas, dtype=object)
    for number in range(config.n_families):
        rows = np.flatnonzero(family == number)
        made = hairpin_family(len(rows), config.mutation, generator(config.seed, "family", number))
        for row, (hairpin, parts) in zip(rows, made, strict=True):
            precursor[row], matures[row] = hairpin, ";".join(parts)
    unknown = _some(
        config.without_sequence, config.n_rnas, generator(config.seed, "without sequence")
    )
    precursor[unknown], matures[unknown] = None, ""
    names = [f"syn-fam-{number + 1:03d}" for number in family]
    return pd.DataFrame({"sequence": precursor, "matures": matures, "family": names}, dtype=object)


def _pairs(ids: pd.Index, made: Links) -> pd.DataFrame:
    names = np.array(made.names, dtype=object)
    return pd.DataFrame(
        {"rna_id": ids.to_numpy()[made.rows], "partner_id": names[made.columns]}, dtype=object
    )


def _object_index(names: list[str], name: str) -> pd.Index:
    return pd.Index(names, dtype=object, name=name)


def _choices(n_choices: int, n: int, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(n) * n_choices).astype(np.int64)


def _some(share: float, n: int, rng: np.random.Generator) -> np.ndarray:
    chosen = np.zeros(n, dtype=bool)
    chosen[np.argsort(rng.random(n), kind="stable")[: round(share * n)]] = True
    return chosen


def _normal(n: int, rng: np.random.Generator) -> np.ndarray:
    """Nearly standard normal numbers as sums of twelve uniform ones: exact arithmetic, equal on every machine."""
    total: np.ndarray = rng.random((n, 12)).sum(axis=1)
    return total - 6.0


@dataclass(frozen=True, eq=False)
class Links:
    """Associations of one kind: names and communities of the partners, and (row of RNA, column of partner) pairs, sorted."""

    names: list[str]
    community: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def hairpin_family(
    n_members: int, mutation: float, rng: np.random.Generator
) -> list[tuple[str, tuple[str, str]]]:
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
        hit = rng.random(len(ancestor))
        new = rng.random(len(ancestor))
        shift = rng.random()
        # One of the three other letters, so that `mutation` is the share that really differs.
        letters = [
            LETTERS[(LETTERS.index(a) + 1 + int(3 * r)) % 4] if h < mutation else a
            for a, h, r in zip(ancestor, hit, new, strict=True)
        ]
        middle = len(arm) + len(loop) // 2
        if shift < mutation:
            del letters[middle]
        elif shift > 1 - mutation:
            letters.insert(middle, "A")
        sequence = "".join(letters)
        members.append(
            (sequence, (sequence[2 : 2 + MATURE_LENGTH], sequence[-2 - MATURE_LENGTH : -2]))
        )
    return members


def linked_partners(
    kind: str,
    community: np.ndarray,
    n_partners: int,
    n_communities: int,
    popularity: np.ndarray,
    rng: np.random.Generator,
) -> Links:
    """Link every RNA with partners, four in five of its own community; popular RNAs get more links.

    Args:
        community: community of each RNA, shape (n_rnas,).
        popularity: in units of the log of the number of links, shape (n_rnas,).
    """
    of_partner = np.arange(n_partners) % n_communities
    fame = 0.3 + rng.random(n_partners)
    base = {"mRNA": 7.0, "drug": 3.5, "disease": 6.0}[kind]
    rows = []
    columns = []
    for row, own in enumerate(community):
        n_links = int(base * np.exp(popularity[row]) * (0.5 + rng.random())) + 1
        weight = fame * np.where(of_partner == own, 4.0 * (n_communities - 1), 1.0)
        # Exponential races: drawing without replacement in proportion to the weights.
        order = np.argsort(-np.log(1.0 - rng.random(n_partners)) / weight, kind="stable")
        chosen = np.sort(order[: min(n_links, n_partners // 2)])
        rows.extend([row] * len(chosen))
        columns.extend(chosen.tolist())
    width = max(3, len(str(n_partners)))
    return Links(
        [f"{NAMES[kind]}{i + 1:0{width}d}" for i in range(n_partners)],
        of_partner,
        np.array(rows, dtype=np.int64),
        np.array(columns, dtype=np.int64),
    )


def tree_of_terms(
    community: np.ndarray, n_communities: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, list[str]]:
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
            rows.append(
                (
                    f"S{root + 1:02d}.{branch + 1:03d}",
                    f"SYND{root + 1:02d}{branch + 1}",
                    f"Synthetic diseases {root + 1}.{branch + 1}",
                )
            )
    descriptors = []
    for disease, own in enumerate(community):
        leaf = f"SYND{1000 + disease}"
        chance = rng.random(5)
        numbers = [f"S{own + 1:02d}.{int(3 * chance[0]) + 1:03d}.{disease + 101}"]
        if chance[1] < 1 / 6:
            other = (own + 1 + int(chance[2] * (n_communities - 1))) % n_communities
            numbers.append(f"S{other + 1:02d}.{int(3 * chance[3]) + 1:03d}.{disease + 101}")
        rows.extend((number, leaf, f"Synthetic disease {disease + 1}") for number in numbers)
        unnamed = disease % 20 == 19
        second = f";SYND{own + 1:02d}{int(3 * chance[4]) + 1}" if disease % 10 == 4 else ""
        descriptors.append("" if unnamed else leaf + second)
    table = pd.DataFrame(
        sorted(rows), columns=["tree_number", "descriptor_id", "term"], dtype=object
    )
    return table, descriptors


def _random_letters(n: int, rng: np.random.Generator) -> str:
    return "".join(LETTERS[int(4 * r)] for r in rng.random(n))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mirnagraph.synthetic FOLDER")
    make_demo().save(sys.argv[1], overwrite=True)
