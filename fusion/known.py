"""What a model keeps of the RNAs it was made with: sequences, tokens, labels, and what was said of each by a model that did not train on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from fusion.results import CrossValidationResult
from fusion.tokens import Token, TokenTable
from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.nodes import NodeIndex
from mirnagraph.tables import read_table, write_tsv

TABLE, ARRAYS = "known.tsv", "known.safetensors"
COLUMNS = ["rna_id", "sequence", "matures", "trained"]
ANSWERS = ("probabilities", "spread", "thresholds")


@dataclass(frozen=True, eq=False)
class KnownRNAs:
    """The RNAs of a model's dataset, in row order.

    Attributes:
        sequences: upper-case ACGUN, or None where unknown.
        matures: ``;``-separated mature sequences, empty where there are none.
        trained: bool, shape (n_known,): whether the final model learned from the RNA.
        labels: 0/1, shape (n_known, n_labels); NaN for an RNA that the final model did not learn from.
        tokens: every token that the final model reads.
        probabilities, spread, thresholds: out-of-fold answer, its uncertainty, and the threshold that went with it: shape (n_known, n_labels);
            NaN for an RNA that no fold tested.
    """

    index: NodeIndex
    sequences: tuple[str | None, ...]
    matures: tuple[str, ...]
    trained: np.ndarray
    labels: np.ndarray
    tokens: TokenTable
    probabilities: np.ndarray
    spread: np.ndarray
    thresholds: np.ndarray

    def save(self, folder: Path) -> None:
        """Write `TABLE` and `ARRAYS` into a folder that is there."""
        cells = [list(self.index.ids), [s or "" for s in self.sequences], list(self.matures), self.trained.astype(int)]
        write_tsv(pd.DataFrame(dict(zip(COLUMNS, cells, strict=True))), folder / TABLE)
        arrays = {"labels": self.labels, **{name: getattr(self, name) for name in ANSWERS}}
        for token in self.tokens:
            arrays |= {f"token.{token.name}": token.values, f"present.{token.name}": token.present}
        save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, folder / ARRAYS)

    @classmethod
    def load(cls, folder: Path, tokens: tuple[str, ...], n_labels: int) -> KnownRNAs:
        """Read back what `save` wrote.

        Args:
            tokens: names of the tokens, in order. n_labels: number of compartments.

        Raises:
            CheckpointError: a file is missing, damaged, or does not fit the others.
        """
        try:
            table, arrays = read_table(folder / TABLE, COLUMNS), load_file(folder / ARRAYS)
            index = NodeIndex.of(table["rna_id"], "miRNA")
            found = TokenTable(index, tuple(Token(name, arrays[f"token.{name}"], arrays[f"present.{name}"]) for name in tokens))
            numbers = {name: arrays[name] for name in ("labels", *ANSWERS)}
        except (OSError, SafetensorError, KeyError, InputError, ConfigError) as error:
            raise CheckpointError("what the model kept of its RNAs is damaged or missing", file=folder / ARRAYS, found=str(error).splitlines()[0]) from None
        wrong = next((name for name, value in numbers.items() if value.shape != (len(index), n_labels)), None)
        if wrong is not None:
            shape, expected = numbers[wrong].shape, (len(index), n_labels)
            raise CheckpointError("what the model kept of its RNAs does not fit it", file=folder / ARRAYS, column=wrong, found=shape, expected=expected)
        sequences = tuple(str(cell) or None for cell in table["sequence"])
        trained = (table["trained"] == "1").to_numpy(dtype=bool)
        return cls(index, sequences, tuple(str(cell) for cell in table["matures"]), trained, tokens=found, **numbers)


def known_rnas(dataset: Dataset, tokens: TokenTable, train: np.ndarray, result: CrossValidationResult) -> KnownRNAs:
    """What to keep of a dataset beside a final model.

    Args:
        tokens: of the final model, over all RNAs of the dataset. train: rows that it learned from.
        result: the cross-validation with the same settings.
    """
    trained = np.zeros(len(dataset.index), dtype=bool)
    trained[train] = True
    cells = dataset.rnas["matures"] if "matures" in dataset.rnas.columns else [None] * len(trained)
    return KnownRNAs(
        index=dataset.index,
        sequences=tuple(s if isinstance(s, str) and s else None for s in dataset.rnas["sequence"]),
        matures=tuple(m if isinstance(m, str) else "" for m in cells),
        trained=trained,
        labels=np.where(trained[:, None], result.labels, np.nan),
        tokens=tokens,
        probabilities=result.probabilities,
        spread=result.spread,
        thresholds=result.thresholds,
    )
