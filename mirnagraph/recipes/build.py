"""Building a dataset from a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mirnagraph import __version__
from mirnagraph.dataset import LEFT_OUT_COLUMNS, ONTOLOGY_COLUMNS, Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation.trainable import LABELS_KNOWN, is_trainable
from mirnagraph.measurements import Measurement
from mirnagraph.parallel import Progress, report
from mirnagraph.recipes.associations import RecipeAssociations, has_types, read_associations
from mirnagraph.recipes.labels import RecipeLabels, read_labels
from mirnagraph.recipes.measurements import label_overlap, read_measurement
from mirnagraph.recipes.places import Places, species_of
from mirnagraph.recipes.provenance import Provenance, Source, source_of, write_provenance
from mirnagraph.recipes.recipe import AssociationPart, MeasurementPart, MeshPart, Recipe
from mirnagraph.recipes.rnas import RecipeRnas, mirbase_folder, read_rnas
from mirnagraph.sources import mesh
from mirnagraph.sources.assemble import left_out_rows
from mirnagraph.writing.contents import DATASET
from mirnagraph.writing.folders import check_output_folder, is_empty, write_folder

NO_LABELS = "no labels: it can be predicted on, not trained on"

ONE_CLASS = "labels of one class alone: it can be predicted on, not trained on"


@dataclass(frozen=True, eq=False)
class Built:
    """What a recipe makes.

    Attributes:
        dataset: of the recipe.
        provenance: its sources.
    """

    dataset: Dataset
    provenance: Provenance


def build_dataset(
    recipe: Recipe, progress: Progress | None = None, places: Places | None = None
) -> Built:
    """Build the dataset of a recipe; nothing is written.

    Args:
        recipe: of `read_recipe`.
        progress: called with the step, the number of steps done, and their number.
        places: where its files lie; None: see `Places.of`.

    Raises:
        InputError: an unknown species; a missing or wrong file: names file, line, column, found
            and expected value.
    """
    if places is None:
        places = Places.of(recipe.name, recipe.folder)
    n_steps = 2 + len(recipe.associations) + len(recipe.expression)
    report(progress, "sources", 0, n_steps)
    species = species_of(recipe.species, places, in_mirbase=recipe.rnas.uses_mirbase)
    places.check(recipe.files(mirbase_folder(recipe.rnas, species)))
    rnas = read_rnas(recipe.rnas, species, places)
    sources = list(rnas.sources)
    left_out = [rnas.left_out]
    notes: list[str] = []
    labels = pd.DataFrame(index=rnas.rnas.index)
    if recipe.labels is not None:
        labelled = read_labels(recipe.labels, rnas, places)
        labels = _mark_known(rnas.rnas, labelled)
        sources.append(labelled.source)
        left_out.append(labelled.left_out)
    report(progress, "sources", 2, n_steps)
    kinds: dict[str, RecipeAssociations] = {}
    measurements: dict[str, Measurement] = {}
    parts: list[AssociationPart | MeasurementPart] = [*recipe.associations, *recipe.expression]
    for step, part in enumerate(parts, 3):
        if part.optional and places.find_or_none(part.file) is None:
            notes.append(f"without {_name(part)}: no file {part.file}")
        elif isinstance(part, AssociationPart):
            kinds[part.kind] = read_associations(part, rnas, places)
            notes += _without_types(part, places)
            sources += kinds[part.kind].sources
            left_out.append(kinds[part.kind].left_out)
        else:
            overlap = label_overlap(recipe.expression, places)
            measurements[part.name], source, rest = read_measurement(part, rnas, overlap, places)
            sources.append(source)
            left_out.append(rest)
        report(progress, "sources", step, n_steps)
    partners = {kind: made.partners for kind, made in kinds.items()}
    ontology = pd.DataFrame(columns=ONTOLOGY_COLUMNS)
    if recipe.mesh is not None and recipe.mesh.kind in partners:
        ontology, source, rest = _match_mesh(recipe.mesh, partners, places)
        sources.append(source)
        left_out.append(rest)
    dataset = Dataset(
        name=recipe.name,
        rnas=rnas.rnas,
        associations={kind: made.associations for kind, made in kinds.items()},
        partners=partners,
        labels=labels,
        ontology=ontology,
        left_out=pd.concat(left_out, ignore_index=True)[LEFT_OUT_COLUMNS].astype(object),
        description=recipe.description or _describe(recipe, rnas),
        supporting=tuple(kind for kind in _supporting(recipe) if kind in kinds),
        measurements=measurements,
        names=rnas.names,
    )
    notes = [*_notes_of_labels(recipe, dataset), *notes]
    return Built(dataset, Provenance(recipe.text, __version__, tuple(sources), tuple(notes)))


def _notes_of_labels(recipe: Recipe, dataset: Dataset) -> list[str]:
    """A note where the dataset cannot be trained on."""
    if recipe.labels is None:
        return [NO_LABELS]
    return [] if is_trainable(dataset) else [ONE_CLASS]


def _mark_known(rnas: pd.DataFrame, labelled: RecipeLabels) -> pd.DataFrame:
    """Mark the RNAs whose labels are known, where some are known to be in none; the labels."""
    if labelled.negatives:
        is_known = labelled.labels.any(axis=1) | rnas.index.isin(labelled.negatives)
        rnas[LABELS_KNOWN] = is_known.map({True: "yes", False: "no"}).astype(object)
    return labelled.labels


def _without_types(part: AssociationPart, places: Places) -> list[str]:
    """A note where types of evidence are left out for want of their file."""
    if not part.types or has_types(part, places):
        return []
    return [f"without types of {part.kind} evidence: no file {part.types}"]


def check_out(recipe: Recipe, folder: str | Path, *, overwrite: bool = False) -> None:
    """Refuse an output folder before any work is done.

    Raises:
        InputError: it is not empty and `overwrite` is not set; or, with it, it is no dataset or
            holds a source of the recipe.
    """
    folder = Path(folder)
    if overwrite and folder.is_dir():
        _check_sources(recipe, folder)
    check_output_folder(folder, overwrite=overwrite, content=DATASET)
    if folder.is_dir() and not is_empty(folder) and not (folder / "dataset.toml").is_file():
        raise InputError(
            "the output folder holds something else than a dataset, which is not overwritten",
            file=folder,
            found=min(path.name for path in folder.iterdir()),
            expected="an empty folder, or one with dataset.toml",
        )


def _check_sources(recipe: Recipe, folder: Path) -> None:
    """Raise InputError for a folder that holds a source of the recipe."""
    inside = [place for place in Places.of(recipe.name, recipe.folder).folders if place.exists()]
    if any(folder.resolve() in (place.resolve(), *place.resolve().parents) for place in inside):
        what = "the output folder holds the sources of the recipe, which would be deleted"
        raise InputError(what, file=folder, expected="another folder")


def write_dataset(built: Built, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write the dataset and its ``provenance.json``, atomically.

    Raises:
        InputError: the folder exists and is not empty, and `overwrite` is not set.
    """
    with write_folder(folder, overwrite=overwrite, content=DATASET) as out:
        built.dataset.save(out)
        write_provenance(built.provenance, out)
    return Path(folder)


def _supporting(recipe: Recipe) -> list[str]:
    return [part.kind for part in recipe.associations if part.supporting]


def _name(part: AssociationPart | MeasurementPart) -> str:
    return part.kind if isinstance(part, AssociationPart) else part.name


def _describe(recipe: Recipe, rnas: RecipeRnas) -> str:
    return f"{len(rnas.ids)} RNAs of {rnas.species.latin}, from a recipe of {recipe.name}."


def _match_mesh(
    part: MeshPart, partners: Mapping[str, pd.DataFrame], places: Places
) -> tuple[pd.DataFrame, Source, pd.DataFrame]:
    """Add the descriptors of the partners of one kind.

    Returns:
        The ontology, its source, and rows of `Dataset.left_out`.

    Raises:
        InputError: no partner has a descriptor.
    """
    path = places.find(part.file, "mesh.file")
    ontology = mesh.read_mesh(path)
    table = partners[part.kind]
    matched = mesh.match_terms(table.index, ontology)
    is_matched = matched["how"] != ""
    if not is_matched.any():
        raise InputError(
            f"no partner of kind {part.kind!r} is a term of the ontology",
            file=path,
            found=f"0 of {len(table)}, the first {table.index[0]}",
            expected=f"names such as {ontology['term'].iloc[0]}",
            hint="name the kind of the diseases with kind in [mesh]",
        )
    table.insert(0, "descriptor_ids", matched["descriptor_ids"].to_numpy())
    table.insert(1, "match", matched["how"].to_numpy())
    descriptors = set(matched["descriptor_ids"].str.split(";").explode())
    is_used = ontology["descriptor_id"].isin(descriptors)
    reasons = pd.Series(f"term of no {part.kind}", index=ontology.index).mask(is_used, "")
    n_matched = int(is_matched.sum())
    note = f"{n_matched} of {len(table)} partners of kind {part.kind!r} matched"
    source = source_of(part.file, path, "ontology", reasons, note=note)
    why = "no MeSH descriptor of that name"
    unmatched = left_out_rows("disease term", matched.index[~is_matched], why, path.name)
    return ontology, source, unmatched
