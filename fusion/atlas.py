"""Atlas: the prediction of every hairpin and mature of miRBase that a model knows by name."""

from __future__ import annotations

from collections.abc import Iterator

from fusion.models.predict import reference_of
from fusion.models.saved import SavedModel
from fusion.streaming import StreamCounts, stream_names
from mirnagraph.errors import ConfigError
from mirnagraph.names import natural_key
from mirnagraph.parallel import Progress
from mirnagraph.runs.prediction_table import PredictionRows


def atlas_names(model: SavedModel) -> list[str]:
    """Hairpins, then matures, of the miRBase release that a model carries, in natural order.

    Raises:
        ConfigError: the model carries no names.
    """
    names = reference_of(model).names
    if names is None:
        raise ConfigError(
            "the model carries no names of miRBase; train it on a dataset that has them, such as "
            "mirna1041 or one of `mirnagraph build-dataset`"
        )
    hairpins = sorted(map(str, names.hairpins.index), key=natural_key)
    matures = sorted(set(map(str, names.matures["mature_id"])), key=natural_key)
    return [*hairpins, *matures]


def atlas(
    model: SavedModel,
    counts: StreamCounts,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Iterator[PredictionRows]:
    """Predict every name of `atlas_names`, chunk by chunk.

    The column ``source`` says what answers: out-of-fold for an RNA that the model was trained on,
    the final model for one of its networks without a label, and the sequence alone for others.

    Args:
        model: with a cold-start model.
        counts: is added to.
        workers: processes; results do not depend on it.
        progress: called after each chunk.

    Raises:
        ConfigError: no names, or no cold-start model.
    """
    names = atlas_names(model)
    yield from stream_names(model, names, counts, workers=workers, progress=progress)
