"""Section on measurements: samples used and left out, publications that may be label sources."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fusion.tokens.kinds import modality_of
from fusion.tokens.names import (
    EXPRESSION,
    EXPRESSION_PROFILE,
    TokenName,
    single_tokens,
    tokens_of_kind,
)
from mirnagraph.dataset import Dataset
from mirnagraph.measurements import (
    BODY_FLUID,
    ISOLATED_FRACTION,
    Measurement,
    coverage,
)
from mirnagraph.networks.network import COEXPRESSION
from mirnagraph.runs.markdown import bullets, section

TITLE = "Leakage"

N_SHOWN = 5
"""Publications that are named, by number of samples; the others are counted."""


def leakage_section(
    dataset: Dataset, tokens: Sequence[str] | None = None, *, body_fluids: bool = False
) -> str:
    """Make the section ``Leakage`` of a report; empty for a dataset without measurements.

    Args:
        dataset: of the run or audit.
        tokens: of the model; None where there is no one model (audit).
        body_fluids: whether its tokens read samples of body fluids.
    """
    if not dataset.measurements:
        return ""
    lines = []
    for name, measurement in dataset.measurements.items():
        lines += measurement_lines(name, measurement, len(dataset.index), body_fluids=body_fluids)
    if tokens is None:
        return section(TITLE, bullets(lines))
    return section(TITLE, bullets([*_reading_lines(dataset, tokens), *lines]))


def _reading_lines(dataset: Dataset, tokens: Sequence[str]) -> list[str]:
    """Tokens of the model that read a measurement, and what its metrics may be compared with."""
    reading = [token for token in single_tokens(tokens) if is_measured(token)]
    if not reading:
        return [
            "No token of this model reads a measurement: its metrics may be compared with those of "
            "models without expression."
        ]
    names = ", ".join(f"`{token}`" for token in reading)
    lines = [
        f"Tokens that read a measurement: {names}. Compare the metrics with those of models that "
        "read the same measurement (such as the baselines of this run); published models of "
        "localization read none."
    ]
    targets = {
        name.target
        for kind in (EXPRESSION, EXPRESSION_PROFILE)
        for name in tokens_of_kind(tokens, kind)
    }
    label_like = [name for name in targets if dataset.measurements[name].is_label_like]
    if label_like:
        named = ", ".join(f"`{name}`" for name in sorted(label_like))
        lines.append(
            f"**Label-like measurements are read ({named}): metrics of compartments that they are "
            "evidence of say nothing.**"
        )
    return lines


def is_measured(token: str) -> bool:
    """Whether a single token is made of a measurement."""
    return TokenName.parse(token).target == COEXPRESSION or modality_of(token) == EXPRESSION


def measurement_lines(
    name: str, measurement: Measurement, n_rnas: int, *, body_fluids: bool = False
) -> list[str]:
    """Sentences on one measurement.

    Args:
        name: of the measurement.
        measurement: with the kinds, PMIDs and overlaps of its samples.
        n_rnas: number of RNAs of the dataset.
        body_fluids: whether body fluids are read.
    """
    lines = [
        f"`{name}` ({measurement.source}, {measurement.unit}): {coverage(measurement, n_rnas)}."
    ]
    if measurement.is_label_like:
        return lines
    samples = measurement.samples
    used = samples[measurement.used(body_fluids=body_fluids)]
    kinds = [ISOLATED_FRACTION] if body_fluids else [ISOLATED_FRACTION, BODY_FLUID]
    for kind in kinds:
        dropped = samples[samples["kind"] == kind]
        if len(dropped):
            lines.append(f"Samples left out as {kind}: {_publications(dropped)}.")
    if body_fluids:
        n_fluids = int((used["kind"] == BODY_FLUID).sum())
        lines.append(f"{n_fluids} samples of body fluids are read (tokens.body_fluids).")
    overlapping = used[used["overlap"] != ""]
    listed = f": {_publications(overlapping)}" if len(overlapping) else ""
    lines.append(
        "Samples used whose publication may be a source of labels (cited by RNALocate for a "
        f"fraction, or in Vesiclepedia): {len(overlapping) or 'none'}{listed}."
    )
    n_unknown = int((used["pmid"] == "").sum())
    if n_unknown:
        lines.append(f"{n_unknown} of the samples used name no PMID, so this was not checked.")
    return lines


def _publications(samples: pd.DataFrame) -> str:
    """Numbers of samples by PMID, the most frequent first, with the reason of an overlap."""
    counts = samples.groupby(["pmid", "overlap"], sort=True).size()
    counts = counts.sort_values(ascending=False, kind="stable")
    table = counts.rename("n").reset_index()
    parts = []
    for pmid, overlap, n in zip(table["pmid"], table["overlap"], table["n"], strict=True):
        place = f"PMID {pmid}" if pmid else "no PMID"
        reason = f" ({overlap})" if overlap else ""
        parts.append((f"{n} of {place}{reason}", bool(overlap)))
    shown = [text for number, (text, is_named) in enumerate(parts) if number < N_SHOWN or is_named]
    n_rest = len(parts) - len(shown)
    if n_rest:
        shown.append(f"others of {n_rest} more publications")
    return ", ".join(shown)
