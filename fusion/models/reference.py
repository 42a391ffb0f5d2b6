"""Reference RNAs stored with a model: sequences, tokens, labels and out-of-fold predictions."""

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
from mirnagraph.names import MirbaseNames, NameResolver, ReferenceNames
from mirnagraph.networks.build import SequenceKmers
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.results import CrossValidationResult
from mirnagraph.similarity.kmer import MEASURES, KmerConfig
from seqtower.data.sequences import RNA_TYPES

TABLE = "known.tsv"
ARRAYS = "known.safetensors"

COLUMNS = ["rna_id", "sequence", "matures", "trained"]

TYPE = "type"

KMER_SETTINGS = "kmer_similarity.settings"
KMER_CIRCULAR = "kmer_similarity.circular"

OUT_OF_FOLD_ARRAYS = {
    "probabilities": "probabilities",
    "uncertainty": "spread",
    "thresholds": "thresholds",
}
"""Out-of-fold arrays of reference RNAs -> their names in model files."""


@dataclass(frozen=True, eq=False)
class ReferenceRNAs:
    """The RNAs of a model's dataset, in row order.

    Attributes:
        sequences: upper-case ACGUN, or None where unknown.
        matures: ``;``-separated mature sequences, empty where there are none.
        trained: bool, shape (n_reference,): whether the final model was trained on the RNA.
        labels: 0/1, shape (n_reference, n_labels); NaN for an RNA that the final model was not
            trained on.
        tokens: every token that the final model reads.
        probabilities: out-of-fold, shape (n_reference, n_labels); NaN for an RNA that no fold
            tested.
        uncertainty: of these probabilities, same shape.
        thresholds: of the folds that predicted, same shape.
        types: RNA type of every additional RNA (see `fusion.data.rna_sets`), which stand last;
            empty for RNAs of the networks. None where there are only those.
        kmers: settings of the sequence similarity where it is of shared k-mers; None for
            alignments.
        names: names of miRBase of the dataset; None where it has none.
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
    kmers: SequenceKmers | None = None
    names: MirbaseNames | None = None

    @cached_property
    def resolver(self) -> NameResolver:
        """Answers names and sequences of these RNAs."""
        reference = ReferenceNames(
            self.index.ids, self.names, self.sequences, self.matures, self.n_network_rnas
        )
        return NameResolver(reference)

    @cached_property
    def n_network_rnas(self) -> int:
        """Number of RNAs of the networks, which stand first."""
        return len(self.index) if self.types is None else self.types.count("")

    def of_networks(self) -> ReferenceRNAs:
        """The networks' RNAs with the compartments that they are labelled for, which come first."""
        if self.types is None:
            return self
        n = self.n_network_rnas
        n_labels = int(self.labelled_for("").sum())
        index = NodeIndex(self.index.ids[:n], self.index.kinds[:n])
        tokens = tuple(Token(t.name, t.values[:n], t.present[:n]) for t in self.tokens)
        arrays = {
            name: getattr(self, name)[:n, :n_labels] for name in ("labels", *OUT_OF_FOLD_ARRAYS)
        }
        return ReferenceRNAs(
            index,
            self.sequences[:n],
            self.matures[:n],
            self.trained[:n],
            tokens=TokenTable(index, tokens),
            kmers=self.kmers,
            names=self.names,
            **arrays,
        )

    def labelled_for(self, rna_type: str) -> np.ndarray:
        """Whether a type has labels for each compartment: bool, shape (n_labels,).

        Args:
            rna_type: empty for the RNAs of the networks.
        """
        return self._labelled.get(rna_type, np.zeros(self.labels.shape[1], dtype=bool))

    @cached_property
    def _labelled(self) -> dict[str, np.ndarray]:
        if self.types is None:
            return {"": np.ones(self.labels.shape[1], dtype=bool)}
        types = np.array(self.types, dtype=object)
        is_known = ~np.isnan(self.labels)
        return {name: is_known[types == name].any(axis=0) for name in dict.fromkeys(self.types)}

    def save(self, folder: Path) -> None:
        """Write `TABLE` and `ARRAYS` into an existing folder; `save_names` writes the names."""
        sequences = [sequence or "" for sequence in self.sequences]
        cells = (self.index.ids, sequences, self.matures, self.trained.astype(int))
        table = pd.DataFrame(dict(zip(COLUMNS, cells, strict=True)))
        if self.types is not None:
            table[TYPE] = self.types
        write_tsv(table, folder / TABLE)
        arrays = {"labels": self.labels}
        arrays |= {key: getattr(self, name) for name, key in OUT_OF_FOLD_ARRAYS.items()}
        if self.kmers is not None:
            config = self.kmers.config
            arrays[KMER_SETTINGS] = np.array([config.k, MEASURES.index(config.measure)])
            arrays[KMER_CIRCULAR] = np.array(self.kmers.circular, dtype=np.uint8)
        for token in self.tokens:
            arrays |= {f"token.{token.name}": token.values, f"present.{token.name}": token.present}
        contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
        save_file(contiguous, folder / ARRAYS)

    @classmethod
    def load(
        cls,
        folder: Path,
        tokens: tuple[str, ...],
        n_labels: int,
        names: MirbaseNames | None = None,
    ) -> ReferenceRNAs:
        """Read what `save` wrote.

        Args:
            folder: the model folder.
            tokens: names of the tokens, in order.
            n_labels: number of compartments.
            names: see above.

        Raises:
            CheckpointError: a file is missing, damaged, or does not fit the others.
        """
        try:
            table = read_table(folder / TABLE, COLUMNS)
            stored = load_file(folder / ARRAYS)
            arrays = {_current_array(name): array for name, array in stored.items()}
            index = NodeIndex.of(table["rna_id"], "miRNA")
            token_table = TokenTable(index, tuple(_read_token(arrays, name) for name in tokens))
            matrices = {"labels": arrays["labels"]}
            matrices |= {name: arrays[key] for name, key in OUT_OF_FOLD_ARRAYS.items()}
        except (OSError, SafetensorError, KeyError, InputError, ConfigError) as error:
            raise CheckpointError(
                "the reference RNAs of the model are damaged or missing",
                file=folder / ARRAYS,
                found=str(error).splitlines()[0],
            ) from None
        expected = (len(index), n_labels)
        for name, value in matrices.items():
            if value.shape != expected:
                raise CheckpointError(
                    "the reference RNAs do not fit the model",
                    file=folder / ARRAYS,
                    column=name,
                    found=value.shape,
                    expected=expected,
                )
        return cls(
            index,
            tuple(cell or None for cell in table["sequence"]),
            tuple(table["matures"]),
            (table["trained"] == "1").to_numpy(dtype=bool),
            tokens=token_table,
            types=_read_types(table, folder),
            kmers=_read_kmers(arrays, len(index), folder),
            names=names,
            **matrices,
        )


def _read_token(arrays: dict[str, np.ndarray], name: str) -> Token:
    return Token(name, arrays[f"token.{name}"], arrays[f"present.{name}"])


def _current_array(name: str) -> str:
    """Name of today of an array of a token (see `fusion.tokens.names.ALIASES`)."""
    start, dot, token = name.partition(".")
    return f"{start}.{current_name(token)}" if dot and start in ("token", "present") else name


def _read_kmers(arrays: dict[str, np.ndarray], n_rnas: int, folder: Path) -> SequenceKmers | None:
    """Settings of k-mer similarity, checked; None where a model has none."""
    if KMER_SETTINGS not in arrays:
        return None
    settings = arrays[KMER_SETTINGS].tolist()
    circular = arrays.get(KMER_CIRCULAR, np.zeros(0))
    try:
        k, measure = settings
        config = KmerConfig(k, MEASURES[measure])
    except (ValueError, IndexError, ConfigError):
        raise CheckpointError(
            "the settings of the k-mer similarity are damaged",
            file=folder / ARRAYS,
            column=KMER_SETTINGS,
            found=settings,
            expected="k, and the number of a measure",
        ) from None
    if circular.shape != (n_rnas,):
        raise CheckpointError(
            "the reference RNAs do not fit the model",
            file=folder / ARRAYS,
            column=KMER_CIRCULAR,
            found=circular.shape,
            expected=(n_rnas,),
        )
    return SequenceKmers(config, tuple(bool(flag) for flag in circular))


def _read_types(table: pd.DataFrame, folder: Path) -> tuple[str, ...] | None:
    """The column of RNA types, checked."""
    if TYPE not in table.columns:
        return None
    types = tuple(table[TYPE])
    unknown = [name for name in types if name and name not in RNA_TYPES]
    is_additional = [bool(name) for name in types]
    if not unknown and is_additional == sorted(is_additional):
        return types
    found = "an RNA of the networks after an additional RNA"
    expected = "the RNAs of the networks first"
    if unknown:
        found = unknown[0]
        expected = ", ".join(RNA_TYPES)
    raise CheckpointError(
        "the reference RNAs of the model are damaged",
        file=folder / TABLE,
        column=TYPE,
        found=found,
        expected=expected,
    )


def reference_rnas(
    data: FusionData, tokens: TokenTable, train: np.ndarray, result: CrossValidationResult
) -> ReferenceRNAs:
    """Reference RNAs to store with a final model.

    Args:
        data: its RNAs.
        tokens: of the final model, over all its RNAs.
        train: rows that it was trained on.
        result: the cross-validation with the same settings.
    """
    trained = np.zeros(len(result.index), dtype=bool)
    trained[train] = True
    types = None
    n_network_rnas = data.n_network_rnas
    if data.extra_rnas is not None:
        types = ("",) * n_network_rnas + data.extra_rnas.types[n_network_rnas:]
    return ReferenceRNAs(
        result.index,
        data.sequences,
        (*data.matures, *[""] * (len(data.index) - n_network_rnas)),
        trained,
        labels=np.where(trained[:, None], result.labels, np.nan),
        tokens=tokens,
        probabilities=result.probabilities,
        uncertainty=result.uncertainty,
        thresholds=result.thresholds,
        types=types,
        kmers=data.kmers,
        names=data.names,
    )
