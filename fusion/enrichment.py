"""Compartments over-represented in a list of RNAs, by annotation and by prediction of a model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fusion import api
from fusion.explain.run import find_networks
from fusion.export.load import Model, load
from fusion.models.predict import match_queries, reference_of
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from mirnagraph.errors import CheckpointError, ConfigError, InputError, counted
from mirnagraph.evaluation.enrichment import (
    benjamini_hochberg,
    exact_test,
    expected_sum,
    mantel_haenszel,
    permutation_test,
    stratum_tables,
)
from mirnagraph.evaluation.scores import deciles, popularity
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.arrays import check_same_shape, finite_vector
from mirnagraph.seeds import generator
from seqtower.saved import SavedTower

ANNOTATED = "annotated"
CALLED = "called"
MEAN = "mean probability"

ALL = "all"
MATCHED = "equally studied"

DEGREE = "degree"

SIGNIFICANT = 0.05
"""Largest Benjamini-Hochberg value that is called significant in words."""

N_PERMUTATIONS = 9_999

COLUMNS = [
    "compartment",
    "measure",
    "background",
    "n_list",
    "in_list",
    "n_background",
    "in_background",
    "expected",
    "odds_ratio",
    "low",
    "high",
    "p",
    "q",
    "test",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class NameList:
    """Names of a list, as the reference RNAs that they stand for.

    Attributes:
        rows: sorted rows of the reference RNAs, each once: int64.
        n_names: number of different names.
        not_found: names that stand for no reference RNA -> the reason.
    """

    rows: np.ndarray
    n_names: int
    not_found: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Enrichment:
    """Result of `enrich`.

    Attributes:
        table: one row per compartment, measure and background, columns `COLUMNS`. `in_list`,
            `in_background` and `expected` count RNAs, or sum probabilities for the measure
            ``mean probability``, which has no odds ratio. `expected` is that of a list drawn from
            the background. p-values are two-sided, `q` is adjusted over the compartments of a
            measure and background.
        members: the names of the list.
        n_outside: RNAs of the list that are not in the background, and were left out.
        n_unlabelled: RNAs of the list without an annotation in the model, left out of the measure
            ``annotated``.
        compartments: names, in the order of the model.
    """

    table: pd.DataFrame
    members: NameList
    n_outside: int
    n_unlabelled: int
    compartments: tuple[str, ...]

    def sentences(self) -> list[str]:
        """What the result says, the most important first; then what was left out."""
        lines = self._answers()
        members = self.members
        n_found = len(members.rows)
        n_names = members.n_names - len(members.not_found)
        if n_names > n_found:
            lines.append(f"{n_names} names stand for {counted(n_found, 'RNA')} of the model")
        if members.not_found:
            first = ", ".join(list(members.not_found)[:10])
            more = f" and {len(members.not_found) - 10} more" if len(members.not_found) > 10 else ""
            n = counted(len(members.not_found), "name")
            lines.append(f"{n} not found and left out: {first}{more}")
        if self.n_outside:
            n = counted(self.n_outside, "RNA")
            lines.append(f"{n} of the list not in the background and left out")
        if self.n_unlabelled:
            n = counted(self.n_unlabelled, "RNA")
            lines.append(f"{n} of the list without an annotation: left out of `{ANNOTATED}`")
        return lines

    def _answers(self) -> list[str]:
        """Compartments that differ: by annotation against equally studied RNAs first."""
        lines = []
        n = counted(len(self.members.rows) - self.n_outside, "RNA")
        for measure, background in ((ANNOTATED, MATCHED), (ANNOTATED, ALL), (CALLED, MATCHED)):
            is_part = (self.table["measure"] == measure) & (self.table["background"] == background)
            found = self.table[is_part & (self.table["q"] < SIGNIFICANT)]
            versus = "equally studied RNAs" if background == MATCHED else "all RNAs"
            by = "annotation" if measure == ANNOTATED else "prediction"
            names = ", ".join(_direction(row) for _, row in found.iterrows())
            answer = names or "no compartment differs"
            lines.append(f"{n}, by {by}, against {versus} (q < .05): {answer}")
        return lines


def _direction(row: pd.Series) -> str:
    """Compartment with its sign, counts and expectation."""
    sign = "more" if row["in_list"] > row["expected"] else "less"
    counts = f"{row['in_list']:.0f} of {row['n_list']}, {row['expected']:.1f} expected"
    return f"{row['compartment']} {sign} ({counts})"


@checked
def enrich(
    model: Model | str | Path,
    names: Iterable[str],
    background: Iterable[str] | None = None,
    *,
    studied: np.ndarray | None = None,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> Enrichment:
    """Compare the compartments of a list of RNAs with those of its background.

    By annotation: the labels that the model was trained on. By prediction: calls and mean
    probability, out-of-fold where the model has them. Against all RNAs of the background (Fisher's
    exact test), and against equally well studied ones: deciles of popularity, common odds ratio of
    Mantel and Haenszel, permutations within deciles. Mean probabilities are tested by permutations
    against both.

    Args:
        model: of `fit` or `load`, fitted on networks, or a path that `load` takes.
        names: of the list; a name that stands for an RNA named before is counted once.
        background: names of the background; None for all RNAs of the networks.
        studied: popularity of each RNA of the networks, see `popularity_of`, shape
            (n_network_rnas,); None for that of the model's tokens.
        n_permutations: number of permutations.
        seed: of the permutations.

    Raises:
        InputError: no name of the list, or of the background, is an RNA of the model; the list is
            the background; `studied` is not one finite number per RNA.
        CheckpointError: the model has no reference RNAs, or no popularity.
        ConfigError: a sequence tower.

    Example:
        >>> result = mirnagraph.enrich("runs/mine", ["hsa-miR-21-5p", "hsa-let-7a"])
        >>> result.table[result.table["q"] < 0.05]
    """
    if isinstance(model, str | Path):
        model = load(model)
    if isinstance(model, SavedTower):
        raise ConfigError("a sequence tower has no reference RNAs to compare a list with")
    reference = reference_of(model).of_networks()
    members = find_names(model, names)
    rows = np.arange(len(reference.index))
    if background is not None:
        rows = find_names(model, background).rows
    is_member = _membership(members, rows)
    decile = _deciles(studied, reference)[rows]
    predictions = api.predict(model)
    n_labels = reference.labels.shape[1]
    measures = {
        ANNOTATED: reference.labels[rows],
        CALLED: predictions.called[rows, :n_labels].astype(float),
        MEAN: predictions.probabilities[rows, :n_labels],
    }
    compartments = tuple(model.compartments[:n_labels])
    rng = generator(seed, "enrichment")
    table = enrichment_table(measures, is_member, decile, compartments, n_permutations, rng)
    for name, reason in members.not_found.items():
        logger.info("left out: %s (%s)", name, reason)
    is_unlabelled = np.isnan(measures[ANNOTATED]).any(axis=1) & is_member
    logger.info("%d RNAs of the list, %d of the background", is_member.sum(), len(rows))
    return Enrichment(
        table,
        members,
        len(members.rows) - int(is_member.sum()),
        int(is_unlabelled.sum()),
        compartments,
    )


def _deciles(studied: np.ndarray | None, reference: ReferenceRNAs) -> np.ndarray:
    """Decile of how well studied each RNA of the networks is, given or of the model."""
    if studied is None:
        return deciles(popularity_of(reference))
    numbers = finite_vector(studied, "studied")
    check_same_shape(numbers, "studied", np.empty(len(reference.index)), "the RNAs of the networks")
    return deciles(numbers)


def _membership(members: NameList, rows: np.ndarray) -> np.ndarray:
    """Whether each row of the background is in the list: bool, shape (n,).

    Raises:
        InputError: the list is empty, outside the background, or all of it.
    """
    if not len(members.rows):
        raise InputError(
            "no name of the list is an RNA of the model",
            found=", ".join(list(members.not_found)[:3]) or None,
        )
    is_member = np.isin(rows, members.rows)
    if not is_member.any():
        raise InputError("no RNA of the list is in the background")
    if is_member.all():
        raise InputError(
            "the list is the whole background, so that there is nothing to compare it with",
            hint="give a list that is a part of the background",
        )
    return is_member


def enrichment_table(
    measures: Mapping[str, np.ndarray],
    is_member: np.ndarray,
    decile: np.ndarray,
    compartments: Sequence[str],
    n_permutations: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Compare members of a list with a background, see `Enrichment.table`.

    Args:
        measures: `ANNOTATED` and `CALLED` (0/1), `MEAN` (probabilities): shape (n, n_labels). An
            RNA with NaN is left out of that measure.
        is_member: whether each RNA of the background is in the list: bool, shape (n,).
        decile: popularity class of each RNA, shape (n,).
        compartments: names.
        n_permutations: number of permutations.
        rng: of the permutations.
    """
    tables = [
        _measured(measure, values, is_member, decile, compartments, (n_permutations, rng))
        for measure, values in measures.items()
    ]
    return pd.concat(tables, ignore_index=True)


def find_names(model: SavedModel, names: Iterable[str]) -> NameList:
    """Rows of the RNAs of the networks that names stand for; none stops at an unknown name."""
    matches = match_queries(model, dict.fromkeys(names))
    n_rnas = reference_of(model).n_network_rnas
    rows: set[int] = set()
    not_found: dict[str, str] = {}
    for match in matches:
        if match.row is None:
            not_found[match.query] = match.note or "no RNA of the model"
        elif match.row >= n_rnas:
            not_found[match.query] = "no RNA of the networks"
        else:
            rows.add(match.row)
    return NameList(np.array(sorted(rows), dtype=np.int64), len(matches), not_found)


def require_found(members: NameList, place: Callable[[list[str]], str] | None = None) -> None:
    """Raise InputError that names every name without an RNA; do nothing without any.

    Args:
        members: of `find_names`.
        place: where some names are; None without a file.
    """
    names = list(members.not_found)
    if not names:
        return
    reasons = "; ".join(dict.fromkeys(members.not_found.values()))
    what = f"{len(names)} of {counted(members.n_names, 'name')} not found: {reasons}"
    raise InputError(what, file=None if place is None else place(names))


def popularity_of(reference: ReferenceRNAs) -> np.ndarray:
    """How well studied each reference RNA of the networks is, by its numbers of associations.

    The sum over association networks of the rank of the number of partners, as of
    `mirnagraph.evaluation.scores.popularity`; read from the token ``degree``.

    Raises:
        CheckpointError: the model has no such token.
    """
    reference = reference.of_networks()
    if DEGREE not in reference.tokens.sources:
        raise CheckpointError(
            "the model does not hold how well studied its RNAs are (token `degree`)",
            hint="name the networks of the run with --networks",
        )
    # Columns alternate: log(1 + number of partners) of a network, then its rank.
    numbers = reference.tokens[DEGREE].values[:, ::2]
    return pd.DataFrame(numbers).rank().sum(axis=1).to_numpy()


def popularity_of_run(
    model: SavedModel, run: str | Path, networks: str | Path | None = None
) -> np.ndarray:
    """Popularity of the RNAs of a run: from its model, else from its networks.

    Args:
        model: of the run.
        run: run folder.
        networks: folder of the networks; None for the model's own numbers, and where it has none
            for the networks that `find_networks` finds.

    Raises:
        CheckpointError, InputError: see `find_networks`; no networks were found.
    """
    reference = reference_of(model).of_networks()
    if networks is None and DEGREE in reference.tokens.sources:
        return popularity_of(reference)
    found, reason = find_networks(run, model, networks)
    if found is None:
        raise CheckpointError(f"no numbers of associations to compare by: {reason}", file=run)
    if found.dataset.index != reference.index:
        raise CheckpointError("the networks hold other RNAs than the model's", file=run)
    return popularity(found.dataset)


def _measured(
    measure: str,
    values: np.ndarray,
    is_member: np.ndarray,
    decile: np.ndarray,
    compartments: Sequence[str],
    permutations: tuple[int, np.random.Generator],
) -> pd.DataFrame:
    """Rows of one measure: every compartment against all RNAs, then against equally studied ones.

    Args:
        measure: one of `ANNOTATED`, `CALLED`, `MEAN`.
        values: 0/1 or probabilities, shape (n, n_labels); rows with NaN are left out.
        is_member: bool, shape (n,).
        decile: popularity class, shape (n,).
        compartments: names.
        permutations: their number, and the generator.
    """
    is_known = np.isfinite(values).all(axis=1)
    values, is_member, decile = values[is_known], is_member[is_known], decile[is_known]
    tables = []
    for background, stratum in ((ALL, np.zeros_like(decile)), (MATCHED, decile)):
        is_exact = measure != MEAN and background == ALL
        p = np.full(len(compartments), np.nan)
        expected = p
        if is_member.any():
            expected = expected_sum(values, is_member, stratum)
            if not is_exact:
                p = permutation_test(values, is_member, stratum, *permutations)
        rows = []
        for column, name in enumerate(compartments):
            row = {
                "compartment": name,
                "in_list": values[is_member, column].sum(),
                "in_background": values[:, column].sum(),
                "expected": expected[column],
                "p": p[column],
            }
            if measure != MEAN:
                row |= _ratio(values[:, column] > 0, is_member, stratum, is_exact=is_exact)
            rows.append(row)
        table = pd.DataFrame(rows).assign(
            measure=measure,
            background=background,
            n_list=int(is_member.sum()),
            n_background=len(values),
            test="Fisher" if is_exact else "permutation",
        )
        tables.append(table.assign(q=benjamini_hochberg(table["p"].to_numpy())))
    return pd.concat(tables, ignore_index=True).reindex(columns=COLUMNS)


def _ratio(
    has_property: np.ndarray, is_member: np.ndarray, stratum: np.ndarray, *, is_exact: bool
) -> dict[str, float]:
    """Odds ratio with its interval, and the exact p-value where the test is exact."""
    counts = stratum_tables(has_property, is_member, stratum)
    if not is_exact:
        ratio = mantel_haenszel(counts)
        return {"odds_ratio": ratio.value, "low": ratio.low, "high": ratio.high}
    ratio, p = exact_test(*counts[0].tolist()) if len(counts) else exact_test(0, 0, 0, 0)
    return {"odds_ratio": ratio.value, "low": ratio.low, "high": ratio.high, "p": p}
