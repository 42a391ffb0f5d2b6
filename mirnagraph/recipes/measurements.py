"""The measurements of a recipe: numbers per RNA and sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from mirnagraph.measurements import Measurement
from mirnagraph.names import MirbaseNames
from mirnagraph.recipes.places import Places
from mirnagraph.recipes.provenance import Source, source_of
from mirnagraph.recipes.recipe import MeasurementPart
from mirnagraph.recipes.rnas import RecipeRnas
from mirnagraph.sources import expression

_READERS: Mapping[str, Callable[[Path, MirbaseNames | None], Measurement]] = {
    "mirmine": expression.read_mirmine,
    "evmirna2": expression.read_evmirna2,
    "vesiclepedia": expression.read_vesiclepedia,
}


def read_measurement(
    part: MeasurementPart, rnas: RecipeRnas, overlap: Mapping[str, str], places: Places
) -> tuple[Measurement, Source, pd.DataFrame]:
    """Read one measurement of a recipe.

    Args:
        part: of the recipe.
        rnas: of the dataset.
        overlap: PMID -> why its samples may be a source of labels.
        places: where its files lie.

    Returns:
        The measurement, its source, and rows of `Dataset.left_out`.

    Raises:
        InputError: see `sources.expression`; or no row is of an RNA.
    """
    path = places.find(part.file, f"expression.{part.name}.file")
    rnas_of: Mapping[str, list[str]] = {}
    if part.format == "table":
        samples = None
        if part.samples:
            samples = places.find(part.samples, f"expression.{part.name}.samples")
        measured = expression.read_measurement_table(
            path, samples, unit=part.unit, is_label_like=part.label_like, source=path.name
        )
        rnas_of = rnas.match(map(str, measured.values.index), "")
    else:
        measured = _READERS[part.format](path, rnas.names)
        measured = expression.mark_overlap(measured, overlap)
    joined, unmatched = expression.of_rnas(measured, rnas.rnas, rnas_of)
    reasons = pd.Series("", index=measured.values.index, dtype=object)
    reasons[reasons.index.isin(unmatched["id"])] = "no RNA of the dataset"
    return joined, source_of(part.file, path, part.name, reasons), unmatched


def label_overlap(parts: tuple[MeasurementPart, ...], places: Places) -> dict[str, str]:
    """PMID -> why samples of that publication may be a source of the labels."""
    reasons = dict(expression.LABEL_PMIDS)
    for part in parts:
        place = places.find_or_none(part.file)
        if part.format == "vesiclepedia" and place is not None:
            for pmid in expression.vesiclepedia_pmids(place):
                reasons.setdefault(pmid, "in Vesiclepedia")
    return reasons
