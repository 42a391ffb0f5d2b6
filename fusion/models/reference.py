"""What a model keeps of the RNAs it was made with: sequences, tokens, labels, and what was said of each by a model that did not train on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from fusion.data.inputs import FusionData
from fusion.tokens.names import current_name
from fusion.tokens.table import Token, TokenTable
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.io import read_table, write_tsv
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.results import CrossValidationResult
from seqtower.data.sequences import RNA_TYPES

TABLE = "known.tsv"
ARRAYS = "known.safetensors"

COLUMNS = ["rna_id", "sequence", "matures", "trained"]

TYPE = "type"

ANSWERS = {"probabilities": "probabilities", "uncertainty": "spread", "thresholds": "thresholds"}
"""Out-of-fold arrays of reference RNAs -> their names in model files."""


@dataclass(frozen=True, eq=False)
class ReferenceRNAs:
    """The RNAs of a model's dataset, in row order.

    Attributes:
        sequences: upper-case ACGUN, or None where unknown.
        matures: ``;``-separated mature sequences, empty where there are none.
        trained: bool, shape (n_known,): whether the final model learned from the RNA.
        labels: 0/1, shape (n_known, n_labels); NaN for an RNA that the final model did not learn from.
        tokens: every token that the final model reads.
        probabilities, spread, thresholds: out-of-fold answer, its uncertainty, and the threshold that went with it: shape (n_known, n_labels);
            NaN for an RNA that no fold tested.
        types: type of every RNA of another set than the networks' (see `fusion.data.rna_sets`), which stand last; empty for the networks' RNAs. None where
            there are only those.
    """

    index: NodeIndex
    sequences: tuple[str | None, ...]
    matures: tuple[str, ...]
    trained: np.ndarray
    labels: np.ndarray
    tokens: TokenTable
    probabilities: np.ndarray
    uncertainty: np.ndarray
    thresholds: np.ndarray
    types: tuple[str, ...] | None = None

    @cached_property
    def n_network_rnas(self) -> int:
        """RNAs of the networks, which stand first."""
        return len(self.index) if self.types is None else sum(not name for name in self.types)

    def network_rows(self) -> ReferenceRNAs:
        """The networks' RNAs alone, with the compartments that these are labelled for, which stand first."""
        if self.types is None:
            return self
        n = self.n_network_rnas
        n_labels = int(self.labelled("").sum())
        index = NodeIndex(self.index.ids[:n], self.index.kinds[:n])
        tokens = TokenTable(
            index, tuple(Token(t.name, t.values[:n], t.present[:n]) for t in self.tokens)
        )
        arrays = {name: getattr(self, name)[:n, :n_labels] for name in ("labels", *ANSWERS)}
        return ReferenceRNAs(
            index, self.sequences[:n], self.matures[:n], self.trained[:n], tokens=tokens, **arrays
        )

    def labelled(self, rna_type: str) -> np.ndarray:
        """Compartments that the model learned of for RNAs of a type (empty: the networks' RNAs): bool, shape (n_labels,)."""
        return self._labelled.get(rna_type, np.zeros(self.labels.shape[1], dtype=bool))

    @cached_property
    def _labelled(self) -> dict[str, np.ndarray]:
        if self.types is None:
            return {"": np.ones(self.labels.shape[1], dtype=bool)}
        types = np.array(self.types, dtype=object)
        return {
            name: (~np.isnan(self.labels[types == name])).any(axis=0)
            for name in dict.fromkeys(self.types)
        }

    def save(self, folder: Path) -> None:
        """Write `TABLE` and `ARRAYS` into a folder that is there."""
        cells = [
            list(self.index.ids),
            [s or "" for s in self.sequences],
            list(self.matures),
            self.trained.astype(int),
        ]
        table = pd.DataFrame(dict(zip(COLUMNS, cells, strict=True)))
        if self.types is not None:
            table[TYPE] = list(self.types)
        write_tsv(table, folder / TABLE)
        arrays = {
            "labels": self.labels,
            **{key: getattr(self, name) for name, key in ANSWERS.items()},
        }
        for token in self.tokens:
            arrays |= {f"token.{token.name}": token.values, f"present.{token.name}": token.present}
        save_file(
            {name: np.ascontiguousarray(value) for name, value in arrays.items()}, folder / ARRAYS
        )

    @classmethod
    def load(cls, folder: Path, tokens: tuple[str, ...], n_labels: int) -> ReferenceRNAs:
        """Read back what `save` wrote.

        Args:
            tokens: names of the tokens, in order. n_labels: number of compartments.

        Raises:
            CheckpointError: a file is missing, damaged, or does not fit the others.
        """
        try:
            table = read_table(folder / TABLE, COLUMNS)
            stored = load_file(folder / ARRAYS)
            arrays = {_current_array(name): array for name, array in stored.items()}
            index = NodeIndex.of(table["rna_id"], "miRNA")
            found = TokenTable(
                index,
                tuple(
                    Token(name, arrays[f"token.{name}"], arrays[f"present.{name}"])
                    for name in tokens
                ),
            )
            numbers = {"labels": arrays["labels"]}
            numbers |= {name: arrays[key] for name, key in ANSWERS.items()}
        except (OSError, SafetensorError, KeyError, InputError, ConfigError) as error:
            raise CheckpointError(
                "what the model kept of its RNAs is damaged or missing",
                file=folder / ARRAYS,
                found=str(error).splitlines()[0],
            ) from None
        wrong = next(
            (name for name, value in numbers.items() if value.shape != (len(index), n_labels)), None
        )
        if wrong is not None:
            shape = numbers[wrong].shape
            expected = (len(index), n_labels)
            raise CheckpointError(
                "what the model kept of its RNAs does not fit it",
                file=folder / ARRAYS,
                column=wrong,
                found=shape,
                expected=expected,
            )
        sequences = tuple(str(cell) or None for cell in table["sequence"])
        trained = (table["trained"] == "1").to_numpy(dtype=bool)
        types = _types(table, folder)
        return cls(
            index,
            sequences,
            tuple(str(cell) for cell in table["matures"]),
            trained,
            tokens=found,
            types=types,
            **numbers,
        )


def _current_array(name: str) -> str:
    """Name of today of an array of a token (see `fusion.tokens.names.ALIASES`)."""
    start, dot, token = name.partition(".")
    return f"{start}.{current_name(token)}" if dot and start in ("token", "present") else name


def _types(table: pd.DataFrame, folder: Path) -> tuple[str, ...] | None:
    """The column of types, checked."""
    if TYPE not in table.columns:
        return None
    types = tuple(str(cell) for cell in table[TYPE])
    wrong = next((name for name in types if name and name not in RNA_TYPES), None)
    behind = list(map(bool, types)) == sorted(map(bool, types))
    if wrong is not None or not behind:
        found, expected = (
            (wrong, ", ".join(RNA_TYPES))
            if wrong is not None
            else ("an RNA of the networks after one of another set", "the networks' first")
        )
        raise CheckpointError(
            "what the model kept of its RNAs is damaged",
            file=folder / TABLE,
            column=TYPE,
            found=found,
            expected=expected,
        )
    return types


def reference_rnas(
    data: FusionData, tokens: TokenTable, train: np.ndarray, result: CrossValidationResult
) -> ReferenceRNAs:
    """Reference RNAs to store with a final model.

    Args:
        tokens: of the final model, over all its RNAs.
        train: rows that it was trained on.
        result: the cross-validation with the same settings.
    """
    trained = np.zeros(len(result.index), dtype=bool)
    trained[train] = True
    types = None
    n_extra = len(data.index) - data.n_network_rnas
    if data.extra_rnas is not None:
        types = ("",) * data.n_network_rnas + data.extra_rnas.types[data.n_network_rnas :]
    return ReferenceRNAs(
        index=result.index,
        sequences=data.sequences,
        matures=(*data.matures, *[""] * n_extra),
        trained=trained,
        labels=np.where(trained[:, None], result.labels, np.nan),
        tokens=tokens,
        probabilities=result.probabilities,
        uncertainty=result.uncertainty,
        thresholds=result.thresholds,
        types=types,
    )
