"""Synthetic datasets with a planted signal; the demo dataset."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.config import require
from mirnagraph.dataset import BENCHMARK_COMPARTMENTS, ONTOLOGY_COLUMNS, Dataset
from mirnagraph.hairpins import CODES, MATURE_LENGTH, NUCLEOTIDES, hairpin_family, with_motif
from mirnagraph.reading.arguments import checked
from mirnagraph.seeds import generator

KINDS = ("mRNA", "drug", "disease")

MODALITIES = ("family", "disease", "mRNA", "drug")

MOTIF = "motif"

DEMO_SEED = 2025

NAMES = {"mRNA": "SYNG", "drug": "syn-drug-", "disease": "syn-disease-"}


AT_LEAST = {
    "n_rnas": 20,
    "n_communities": 2,
    "signal": 0,
    "noise": 0,
    "popularity": 0,
    "purity": 0,
    "seed": 0,
}

LARGEST_SHARES = {
    "mutation": 0.5,
    "unlocated": 0.9,
    "without_sequence": 0.5,
    "without_associations": 0.5,
}


@dataclass(frozen=True)
class SyntheticConfig:
    """Settings of a synthetic dataset.

    Attributes:
        n_rnas: number of RNAs, 20 or more.
        n_compartments: 1 … 7, named as in the public benchmark.
        n_families: number of sequence families; members are mutated copies of one hairpin.
        n_communities: functional communities per association kind.
        n_partners: numbers of mRNAs, drugs and diseases.
        mutation: share of nucleotides that differ between a member and its ancestor, in [0, 0.5].
        purity: odds that a link is to a partner of the RNA's community.
        motif: IUPAC codes of ACGURYSWN, at most as long as a mature. Half of the RNAs have it in
            both matures, the others have it backwards, so that neither composition nor presence of
            the letters tells them apart; it then drives every compartment, with a community of one
            kind. Empty for none.
        signal: effect of all drivers on a label (log odds); 0 plants nothing.
        noise: SD of unexplained variation (log odds).
        popularity: effect of being well studied on every label (log odds) and on the number of
            associations; 0 switches it off.
        unlocated: share of RNAs without any compartment, in [0, 0.9].
        without_sequence: share of such RNAs, in [0, 0.5].
        without_associations: share of such RNAs, in [0, 0.5].
        seed: of all random steps.
    """

    n_rnas: int = 200
    n_compartments: int = 5
    n_families: int = 30
    n_communities: int = 4
    n_partners: tuple[int, int, int] = (150, 50, 80)
    mutation: float = 0.08
    purity: float = 4.0
    motif: str = ""
    signal: float = 4.0
    noise: float = 0.5
    popularity: float = 0.8
    unlocated: float = 0.1
    without_sequence: float = 0.03
    without_associations: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in AT_LEAST.items():
            value = getattr(self, name)
            require(value >= least, name, value, f"{least} or more")
        most = {"n_compartments": len(BENCHMARK_COMPARTMENTS), "n_families": self.n_rnas}
        for name, least in (("n_compartments", 1), ("n_families", 2)):
            value = getattr(self, name)
            require(least <= value <= most[name], name, value, f"{least} to {most[name]}")
        expected = "as many of each kind as there are communities, or more"
        is_enough = min(self.n_partners) >= self.n_communities
        require(is_enough, "n_partners", self.n_partners, expected)
        for name, largest in LARGEST_SHARES.items():
            value = getattr(self, name)
            require(0 <= value <= largest, name, value, f"a share of 0 to {largest}")
        is_motif = len(self.motif) <= MATURE_LENGTH and set(self.motif) <= {*NUCLEOTIDES, *CODES}
        letters = f"at most {MATURE_LENGTH} of {NUCLEOTIDES}{''.join(CODES)}"
        require(is_motif, "motif", self.motif, letters)


DEMO = SyntheticConfig(
    purity=20.0,
    motif="RRRRRRYYYYYY",
    signal=4.5,
    noise=0.2,
    popularity=0.3,
    unlocated=0.05,
    seed=DEMO_SEED,
)
"""The demo: a compartment depends on a community in the networks and on a motif in the matures."""


@dataclass(frozen=True, eq=False)
class SyntheticTruth:
    """Planted signal of a synthetic dataset; no model reads it.

    Attributes:
        family: family number of each RNA, index rna_id.
        communities: community number of each RNA in each association kind, columns ``mRNA``,
            ``drug``, ``disease``.
        popularity: how well studied each RNA is, about standard normal, index rna_id.
        has_motif: whether an RNA has the motif (forwards), index rna_id; False without a motif.
        drivers: compartment -> the modalities that determine it (``"family"``, ``"disease"``,
            ``"mRNA"``, ``"drug"``, ``"motif"``).
        probabilities: of each label before noise and before RNAs lose their annotation: index and
            columns as the labels.
    """

    family: pd.Series
    communities: pd.DataFrame
    popularity: pd.Series
    has_motif: pd.Series
    drivers: Mapping[str, tuple[str, ...]]
    probabilities: pd.DataFrame


def make_dataset(
    n_rnas: int = 200, n_compartments: int = 5, *, seed: int = 0, **settings: object
) -> Dataset:
    """Make a synthetic Dataset; further `settings` are fields of `SyntheticConfig`.

    Without `n_families`, the number of families grows with the number of RNAs.

    >>> make_dataset(30, 3, seed=1).labels.shape
    (30, 3)
    """
    settings.setdefault("n_families", max(2, n_rnas * 3 // 20))
    settings |= {"n_rnas": n_rnas, "n_compartments": n_compartments, "seed": seed}
    return make_synthetic(SyntheticConfig(**settings))[0]  # type: ignore[arg-type]


def make_synthetic(
    config: SyntheticConfig, name: str = "synthetic"
) -> tuple[Dataset, SyntheticTruth]:
    """Make a synthetic dataset and its planted signal.

    Each RNA has a family (its sequence), one community per association kind (its partners) and a
    popularity (its numbers of links and labels). Two modalities determine each compartment, in
    turn: a driving family or community raises or lowers its log odds. With a motif these are the
    communities of one kind and the motif. All random numbers are
    uniform ones of named generators, so the same config gives the same bytes everywhere.
    """
    truth, labels = _plant(config)
    rnas = _sequences(config, truth)
    associations, partners = _associations(config, truth)
    ontology, descriptors = tree_of_terms(
        _partner_communities(config.n_partners[2], config),
        config.n_communities,
        generator(config.seed, "ontology"),
    )
    diseases = partners["disease"]
    diseases["descriptor_ids"] = pd.Series(descriptors, index=diseases.index, dtype=object)
    planted = "planted sequence families and functional communities"
    if config.motif:
        planted = "planted functional communities and a motif"
    dataset = Dataset(
        name=name,
        rnas=rnas,
        associations=associations,
        partners=partners,
        labels=labels,
        ontology=ontology,
        description=(
            f"Synthetic: {config.n_rnas} miRNAs in {config.n_compartments} compartments with "
            f"{planted} (mirnagraph.synthetic, seed {config.seed}). No name, sequence, association "
            "or label in it is real."
        ),
        synthetic=True,
    )
    return dataset, truth


@checked
def demo_dataset() -> Dataset:
    """Load the demo from ``data/demo`` in a source tree; elsewhere make the same dataset."""
    folder = Path(__file__).resolve().parent.parent / "data" / "demo"
    if (folder / "dataset.toml").is_file() and (folder.parent.parent / "pyproject.toml").is_file():
        return Dataset.load(folder)
    return make_demo()


def make_demo() -> Dataset:
    """Make the demo dataset, without reading any file."""
    return make_synthetic(DEMO, name="demo")[0]


def _plant(config: SyntheticConfig) -> tuple[SyntheticTruth, pd.DataFrame]:
    """Planted signal and labels."""
    names = [f"syn-mir-{row + 1:04d}" for row in range(config.n_rnas)]
    ids = pd.Index(names, dtype=object, name="rna_id")
    rng = generator(config.seed, "rnas")
    family = _families(config, rng)
    communities = {
        kind: (rng.random(config.n_rnas) * config.n_communities).astype(np.int64) for kind in KINDS
    }
    popularity = _normal(config.n_rnas, rng)
    has_motif = np.zeros(config.n_rnas, dtype=bool)
    if config.motif:
        has_motif = _sample(0.5, config.n_rnas, generator(config.seed, MOTIF))
    drivers = {}
    for number, name in enumerate(BENCHMARK_COMPARTMENTS[: config.n_compartments]):
        drivers[name] = (MODALITIES[number % 4], MODALITIES[(number + 1) % 4])
        if config.motif:
            drivers[name] = (KINDS[number % 3], MOTIF)
    levels = {"family": family, **communities, MOTIF: has_motif.astype(np.int64)}
    probabilities, labels = _labels(config, levels, drivers, popularity)
    truth = SyntheticTruth(
        family=pd.Series(family, index=ids, name="family"),
        communities=pd.DataFrame(communities, index=ids),
        popularity=pd.Series(popularity, index=ids, name="popularity"),
        has_motif=pd.Series(has_motif, index=ids, name="has_motif"),
        drivers=drivers,
        probabilities=pd.DataFrame(probabilities, index=ids, columns=list(drivers)),
    )
    return truth, pd.DataFrame(labels, index=ids, columns=list(drivers), dtype=np.int8)


def _associations(
    config: SyntheticConfig, truth: SyntheticTruth
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Association and partner tables of each kind; some RNAs have no association."""
    rng = generator(config.seed, "without associations")
    is_lonely = _sample(config.without_associations, config.n_rnas, rng)
    associations = {}
    partners = {}
    for kind, n_partners in zip(KINDS, config.n_partners, strict=True):
        width = max(3, len(str(n_partners)))
        names = [f"{NAMES[kind]}{number:0{width}d}" for number in range(1, n_partners + 1)]
        partner_ids = pd.Index(names, dtype=object, name="partner_id")
        partners[kind] = pd.DataFrame(index=partner_ids)
        rows, columns = linked_partners(
            kind,
            truth.communities[kind].to_numpy(),
            _partner_communities(n_partners, config),
            config.popularity * truth.popularity.to_numpy(),
            generator(config.seed, kind),
            config.purity,
        )
        is_linked = ~is_lonely[rows]
        associations[kind] = pd.DataFrame(
            {
                "rna_id": truth.family.index[rows[is_linked]],
                "partner_id": partner_ids[columns[is_linked]],
            },
            dtype=object,
        )
    return associations, partners


def _partner_communities(n_partners: int, config: SyntheticConfig) -> np.ndarray:
    return np.arange(n_partners) % config.n_communities


def _families(config: SyntheticConfig, rng: np.random.Generator) -> np.ndarray:
    """Families of unequal size, none empty, in random rows."""
    n_extra = config.n_rnas - config.n_families
    sizes = 1 / np.sqrt(np.arange(1, config.n_families + 1))
    shares = np.cumsum(sizes / sizes.sum())
    extra = np.searchsorted(shares, rng.random(n_extra)).clip(max=config.n_families - 1)
    family: np.ndarray = np.concatenate([np.arange(config.n_families), extra])
    return family[np.argsort(rng.random(config.n_rnas), kind="stable")]


def _labels(
    config: SyntheticConfig,
    levels: Mapping[str, np.ndarray],
    drivers: Mapping[str, tuple[str, ...]],
    popularity: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities before noise, and drawn labels; both (n_rnas, n_compartments)."""
    logits = np.zeros((config.n_rnas, len(drivers)))
    for column, (compartment, modalities) in enumerate(drivers.items()):
        rng = generator(config.seed, "effects", compartment)
        for modality in modalities:
            n_levels = int(levels[modality].max()) + 1
            # Half of the levels raise and half lower the odds: no compartment is without signal.
            rank = np.argsort(np.argsort(rng.random(n_levels)))
            effect = np.where(rank < n_levels / 2, 1.0, -1.0)
            scale = config.signal / np.sqrt(len(modalities))
            logits[:, column] += scale * effect[levels[modality]]
        frequency = 1.2 * (0.5 - column / max(len(drivers) - 1, 1))
        logits[:, column] += config.popularity * popularity + frequency - 0.2
    probabilities = 1 / (1 + np.exp(-logits))
    rng = generator(config.seed, "labels")
    noisy = logits + config.noise * _normal(logits.size, rng).reshape(logits.shape)
    labels = (rng.random(logits.shape) < 1 / (1 + np.exp(-noisy))).astype(np.int8)
    # The less studied an RNA, the likelier it was never localised.
    neglect = _normal(config.n_rnas, rng) - config.popularity * popularity
    n_unlocated = round(config.unlocated * config.n_rnas)
    labels[np.argsort(-neglect, kind="stable")[:n_unlocated]] = 0
    return probabilities, labels


def _sequences(config: SyntheticConfig, truth: SyntheticTruth) -> pd.DataFrame:
    family = truth.family
    of_motif = generator(config.seed, "places of the motif")
    sequences = np.full(config.n_rnas, None, dtype=object)
    matures = np.full(config.n_rnas, "", dtype=object)
    rng = generator(config.seed, "without sequence")
    is_known = ~_sample(config.without_sequence, config.n_rnas, rng)
    for number in range(config.n_families):
        rows = np.flatnonzero(family == number)
        rng = generator(config.seed, "family", number)
        members = hairpin_family(len(rows), config.mutation, rng)
        for row, (hairpin, arms) in zip(rows, members, strict=True):
            if config.motif:
                motif = config.motif if truth.has_motif.iloc[row] else config.motif[::-1]
                hairpin, arms = with_motif(hairpin, motif, of_motif)
            if is_known[row]:
                sequences[row] = hairpin
                matures[row] = ";".join(arms)
    names = [f"syn-fam-{number + 1:03d}" for number in family]
    columns = {"sequence": sequences, "matures": matures, "family": names}
    return pd.DataFrame(columns, index=family.index, dtype=object)


def _sample(share: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Mask of a random share of n rows: bool, shape (n,)."""
    mask = np.zeros(n, dtype=bool)
    mask[np.argsort(rng.random(n), kind="stable")[: round(share * n)]] = True
    return mask


def _normal(n: int, rng: np.random.Generator) -> np.ndarray:
    """Nearly standard normal numbers, as sums of twelve uniform ones, equal on every machine."""
    total: np.ndarray = rng.random((n, 12)).sum(axis=1)
    return total - 6.0


def linked_partners(
    kind: str,
    community: np.ndarray,
    of_partner: np.ndarray,
    popularity: np.ndarray,
    rng: np.random.Generator,
    purity: float = SyntheticConfig.purity,
) -> tuple[np.ndarray, np.ndarray]:
    """Link every RNA with partners, most of its community; popular RNAs get more links.

    Args:
        kind: of the partners, one of `KINDS`.
        community: community of each RNA, shape (n_rnas,).
        of_partner: community of each partner, shape (n_partners,).
        popularity: in units of the log of the number of links, shape (n_rnas,).
        rng: random numbers.
        purity: odds that a link is to a partner of the RNA's community.

    Returns:
        Row of the RNA (sorted) and column of the partner of each link.
    """
    n_partners = len(of_partner)
    n_others = of_partner.max()  # number of communities other than an RNA's
    partner_weight = 0.3 + rng.random(n_partners)
    base = {"mRNA": 7.0, "drug": 3.5, "disease": 6.0}[kind]
    columns = []
    for row, community_of_rna in enumerate(community):
        n_links = int(base * np.exp(popularity[row]) * (0.5 + rng.random())) + 1
        is_shared = of_partner == community_of_rna
        weight = partner_weight * np.where(is_shared, purity * n_others, 1.0)
        # Exponential races: drawing without replacement in proportion to the weights.
        order = np.argsort(-np.log(1.0 - rng.random(n_partners)) / weight, kind="stable")
        columns.append(np.sort(order[: min(n_links, n_partners // 2)]))
    rows = np.repeat(np.arange(len(community)), [len(partners) for partners in columns])
    return rows, np.concatenate(columns)


def tree_of_terms(
    community: np.ndarray, n_communities: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, list[str]]:
    """Make a small ontology like MeSH.

    It has a root per community, three branches of each root, and a leaf per disease. One term in
    six is also under a branch of another community, so the tree is a DAG; one disease in twenty has
    no term, one in ten has a second one, as in the public tables.

    Args:
        community: community of each disease, shape (n_diseases,).
        n_communities: number of communities.
        rng: random numbers.

    Returns:
        (ontology with the columns ``tree_number``, ``descriptor_id``, ``term``; descriptor ids of
        each disease joined by ``;``).
    """
    rows = []
    for root in range(1, n_communities + 1):
        rows.append((f"S{root:02d}", f"SYND{root:02d}", f"Synthetic diseases {root}"))
        for branch in (1, 2, 3):
            term = f"Synthetic diseases {root}.{branch}"
            rows.append((f"S{root:02d}.{branch:03d}", f"SYND{root:02d}{branch}", term))
    descriptors = []
    for disease, number in enumerate(community):
        leaf = f"SYND{1000 + disease}"
        chance = rng.random(5)
        branches = 1 + (3 * chance).astype(int)
        roots = [(number + 1, branches[0])]
        if chance[1] < 1 / 6:
            other = (number + 1 + int(chance[2] * (n_communities - 1))) % n_communities
            roots.append((other + 1, branches[3]))
        for root, branch in roots:
            tree_number = f"S{root:02d}.{branch:03d}.{disease + 101}"
            rows.append((tree_number, leaf, f"Synthetic disease {disease + 1}"))
        descriptor = leaf
        if disease % 20 == 19:
            descriptor = ""
        elif disease % 10 == 4:
            descriptor += f";SYND{number + 1:02d}{branches[4]}"
        descriptors.append(descriptor)
    return pd.DataFrame(sorted(rows), columns=ONTOLOGY_COLUMNS, dtype=object), descriptors


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mirnagraph.synthetic FOLDER")
    make_demo().save(sys.argv[1], overwrite=True)
