"""Why a model puts an RNA into a compartment: its answer taken apart by modality, token, partner, neighbour and stretch of sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from fusion.explain_answer import Modality, answering, modality_changes, without_each
from fusion.explain_carriers import Neighbour, Partner, neighbours_of, partners_of
from fusion.explain_sequence import SequenceReasons, SequenceScan, background_tokens, learner_on, scan_sequence, sequence_learner, sequence_reasons
from fusion.explain_tokens import PartSum, TokenShare, token_shares
from fusion.known import KnownRNAs
from fusion.learner import Learner
from fusion.model_files import SavedModel
from fusion.newcomers import CHANCE, RELATED, reads_sequence_alone
from fusion.predict import FINAL, SEQUENCE_ALONE
from mirnagraph.errors import CheckpointError, ConfigError
from mirnagraph.names import suggest
from mirnagraph.networks.types import SIMILARITY_NETWORKS, NetworkSet
from mirnagraph.similarity.smith_waterman import smith_waterman_between
from mirnagraph.tables import to_rna

ATTENTION_NOTE = (
    "Attention says where the model looked, not what it made of it: a token may be looked at and change nothing. Attention is not attribution; "
    "the gradients and the changes without each modality are."
)
GRADIENTS_NOTE = (
    "Integrated gradients start from the average training RNA that has the same tokens (a sequence read letter by letter, from unknown letters) and sum to "
    "the change of the attention part's logit; the token 'trees' is what the extra trees say. What the trees read is told apart along their paths (Saabas), "
    "which sums to their answer exactly."
)
WITHOUT_NOTE = (
    "Without a modality: its tokens are taken from trees and attention alike and the whole model is asked again. Two modalities that say the same each look "
    "dispensable."
)
STUDIED_NOTE = "Numbers of partners and of relatives are a modality of their own, 'how well studied': they stay when the partners themselves go."
NEAR_NOTE = f"Of two unrelated hairpins the sequences reach a similarity of {CHANCE} by chance, and hardly any two of them {RELATED}."
PARTNERS_NOTE = (
    "Partners are counted among training RNAs, and say what goes together, not what causes it. RNAs that share a partner are better studied than most "
    "and have more annotations of every kind."
)


@dataclass(frozen=True)
class Compartment:
    """Why an RNA is, or is not, put into one compartment.

    Attributes:
        probability: of the model that is explained. out_of_fold: of the one that did not train on the RNA, which is what `predict` says; None where
            there is none.
        threshold, called: of the out-of-fold answer where there is one, else of the explained one.
        located: the annotation; None where the model did not learn from the RNA.
        base: share of the training RNAs that are annotated there.
        modalities, tokens, parts, partners, neighbours, sequence: the reasons, see their classes; `sequence` is None where there is no sequence or no
            model for sequences alone.
    """

    compartment: str
    probability: float
    out_of_fold: float | None
    threshold: float
    called: bool
    located: bool | None
    base: float
    modalities: tuple[Modality, ...]
    tokens: tuple[TokenShare, ...]
    parts: tuple[PartSum, ...]
    partners: tuple[Partner, ...]
    neighbours: tuple[Neighbour, ...]
    sequence: SequenceReasons | None


@dataclass(frozen=True)
class Explanation:
    """Why a model says what it says of one RNA.

    Attributes:
        rna_id: as it was asked for. known_as: its name in the model; empty for a new RNA.
        source: ``final model`` or ``sequence alone``: which model is explained.
        learned: whether that model learned from the RNA's own label. unseen_trees: whether the extra trees that drew it were left out.
        sequence: upper-case ACGUN, or None.
        notes: how to read it, and what is left out and why.
    """

    rna_id: str
    known_as: str
    source: str
    learned: bool
    unseen_trees: bool
    sequence: str | None
    compartments: tuple[Compartment, ...]
    notes: tuple[str, ...]

    def to_text(self) -> str:
        """The same in words and tables, as the command prints it."""
        from fusion.explain_text import to_text

        return to_text(self)

    def to_dict(self) -> dict[str, object]:
        """The same as plain values, as JSON takes them."""
        return asdict(self)


def named_compartments(model: SavedModel, names: Sequence[str]) -> list[int]:
    """Columns of compartments, compared without case, each once.

    Raises:
        ConfigError: one that the model does not know.
    """
    columns = {name.lower(): column for column, name in enumerate(model.compartments)}
    for name in names:
        if name.strip().lower() not in columns:
            near = suggest(name, model.compartments)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ConfigError(f"no compartment {name!r}; there are {', '.join(model.compartments)}{hint}")
    return list(dict.fromkeys(columns[name.strip().lower()] for name in names))


def strongest_rna(model: SavedModel) -> int:
    """Row of the known RNA with the highest out-of-fold probability anywhere; the first where several have it."""
    known = _known(model)
    spoken = np.array([known.spoken(name) for name in known.types]) if known.types is not None else True
    best = np.where(np.isfinite(known.probabilities) & spoken, known.probabilities, -1.0).max(axis=1)
    return int(np.argmax(best))


def explain_known(
    model: SavedModel, row: int, columns: Sequence[int] = (), networks: NetworkSet | None = None, *, missing: str = "", name: str = "", workers: int = 1
) -> Explanation:
    """Explain the final model's answer for an RNA that it knows.

    Args:
        columns: compartments; none: those called out-of-fold, else the most probable one.
        networks: those the model was made from; None leaves the partners out.
        missing: why there are none.
        name: that the RNA was asked for by; its own where empty.
    """
    known = _known(model)
    learner, unseen = answering(model, row)
    spoken, kin = _of_its_type(known, row)
    if row >= known.n_home:
        networks, missing = None, "the networks hold no RNA of its type."
    for column in columns:
        if not spoken[column]:
            raise ConfigError(f"the model did not learn of {model.compartments[column]} for RNAs of the type of {known.index.ids[row]}")
    groups, said = without_each(learner)
    tested = bool(np.isfinite(known.probabilities[row]).all())
    outside = known.probabilities[row] if tested else said[0]
    thresholds = known.thresholds[row] if tested else model.thresholds
    chosen = list(columns) or _called(np.where(spoken, outside, -1.0), thresholds)
    flat = known.tokens.flat(learner.config.tokens.trees) if learner.trees else np.zeros((len(known.index), 0), dtype=np.float32)
    base = _base(known, kin)
    shares = token_shares(learner, chosen, flat[kin], base)
    sequence = known.sequences[row]
    at_home = row < known.n_home
    near = known.home() if at_home else known
    scan = _scan(replace(model, known=near), sequence, row, workers) if at_home else None
    similar = _similarities(near, row, sequence, networks) if at_home else {}
    found = []
    for (tokens, parts), column in zip(shares, chosen, strict=True):
        found.append(
            Compartment(
                compartment=model.compartments[column],
                probability=float(said[0, column]),
                out_of_fold=float(outside[column]) if tested else None,
                threshold=float(thresholds[column]),
                called=bool(outside[column] >= thresholds[column]),
                located=bool(known.labels[row, column] > 0) if known.trained[row] else None,
                base=float(base[column]),
                modalities=modality_changes(groups, learner.tokens, said, column),
                tokens=tokens,
                parts=parts,
                partners=() if networks is None else partners_of(networks.dataset, near, row, column),
                neighbours=neighbours_of(similar, near, row, column),
                sequence=None if scan is None or sequence is None else sequence_reasons(scan, sequence, column),
            )
        )
    learned, own = bool(known.trained[row]), known.index.ids[row]
    notes = (*_notes_of_known(learned, unseen, tested, sequence, scan, missing if networks is None else ""), *_notes(learner, bool(found[0].partners)))
    return Explanation(name or own, own, FINAL, learned, unseen, sequence, tuple(found), notes)


def explain_sequence(model: SavedModel, name: str, sequence: str, columns: Sequence[int] = (), *, workers: int = 1) -> Explanation:
    """Explain the answer for a new RNA by the model for sequences alone.

    Args:
        columns: as in `explain_known`. sequence: of ACGUTN, one letter or more.

    Raises:
        ConfigError: the model has no part for newcomers.
    """
    known, letters = _known(model).home(), to_rna(sequence)
    model = replace(model, known=known)
    learner = sequence_learner(model, None)
    if learner is None or model.newcomers is None:
        raise ConfigError('the model has no part for RNAs of which the sequence alone is known; train it with `newcomers = "cold"`')
    for column in columns:
        if column >= len(model.newcomers.thresholds):
            raise ConfigError(f"the model for new RNAs such as the networks hold did not learn of {model.compartments[column]}")
    asked = learner_on(learner, known, [letters], workers=workers)
    groups, said = without_each(asked)
    thresholds = model.newcomers.thresholds
    chosen = list(columns) or _called(said[0], thresholds)
    base = _base(known, known.trained)
    background = background_tokens(learner, known, workers=workers) if learner.trees else np.zeros((0, 0), dtype=np.float32)
    shares = token_shares(asked, chosen, background, base)
    scan = scan_sequence(learner, known, letters, workers=workers)
    similar = _similarities(known, None, letters, None)
    found = []
    for (tokens, parts), column in zip(shares, chosen, strict=True):
        found.append(
            Compartment(
                compartment=model.compartments[column],
                probability=float(said[0, column]),
                out_of_fold=None,
                threshold=float(thresholds[column]),
                called=bool(said[0, column] >= thresholds[column]),
                located=None,
                base=float(base[column]),
                modalities=modality_changes(groups, asked.tokens, said, column),
                tokens=tokens,
                parts=parts,
                partners=(),
                neighbours=neighbours_of(similar, known, None, column),
                sequence=sequence_reasons(scan, letters, column),
            )
        )
    first = "This RNA is new: nothing is known of it but its sequence, and the model for sequences alone answers. It has no partners to name."
    near = max((one.weight for one in found[0].neighbours), default=0.0)
    doubt = () if near > RELATED else (f"No known RNA is a relative of it (nearest similarity {near:.2f}): the neighbours mean little.",)
    return Explanation(name, "", SEQUENCE_ALONE, False, False, letters, tuple(found), (first, *doubt, *_notes(asked, False)))


def _scan(model: SavedModel, sequence: str | None, row: int, workers: int) -> SequenceScan | None:
    learner = sequence_learner(model, row)
    if learner is None or sequence is None:
        return None
    return scan_sequence(learner, _known(model), sequence, row, workers=workers)


def _similarities(known: KnownRNAs, row: int | None, sequence: str | None, networks: NetworkSet | None) -> dict[str, np.ndarray]:
    """Similarities of the RNA to the known ones; without networks that of the sequences, made anew."""
    if networks is not None and row is not None:
        return {name: networks.similarities[name][row] for name in SIMILARITY_NETWORKS if name in networks.similarities}
    return {} if sequence is None else {"sequence": smith_waterman_between([sequence], known.sequences)[0]}


def _called(probabilities: np.ndarray, thresholds: np.ndarray) -> list[int]:
    called = np.flatnonzero(probabilities >= thresholds)
    return [int(column) for column in called[np.argsort(-probabilities[called], kind="stable")]] or [int(np.argmax(probabilities))]


def _of_its_type(known: KnownRNAs, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Compartments that the model learned of for RNAs of the type of one of them, and which RNAs of that type it learned from: bool arrays."""
    if known.types is None:
        return np.ones(known.labels.shape[1], dtype=bool), known.trained
    own = known.types[row]
    return known.spoken(own), known.trained & np.array([name == own for name in known.types])


def _base(known: KnownRNAs, rows: np.ndarray) -> np.ndarray:
    """Share of the rows that are annotated in each compartment; one half where nothing is known."""
    labels = known.labels[rows]
    n = (~np.isnan(labels)).sum(axis=0)
    return np.asarray(np.where(n > 0, np.nansum(labels, axis=0) / np.maximum(n, 1), 0.5))


def _notes_of_known(learned: bool, unseen: bool, tested: bool, sequence: str | None, scan: SequenceScan | None, missing: str) -> list[str]:
    found = []
    if learned:
        own = "without those of its extra trees that drew this RNA" if unseen else "with all of its trees"
        found.append(f"Explained is the final model, {own}: it learned from this RNA's own label, so its probability is not what is to be trusted.")
    if learned and tested:
        found.append("The out-of-fold probability is that of a model that did not learn from this RNA, and is what `mirnagraph predict` says.")
    if missing:
        found.append(f"Partners are left out: {missing}")
    if sequence is None:
        found.append("The sequence of this RNA is not known.")
    elif scan is None:
        found.append("The model has no part for sequences alone: what the sequence carries is left out.")
    else:
        found.append("The sequence part is what the model for sequences alone reads, which knows nothing of partners; the RNA itself is hidden from it.")
    return found


def _notes(learner: Learner, partners: bool) -> list[str]:
    found = [WITHOUT_NOTE] if reads_sequence_alone(learner.config) else [WITHOUT_NOTE, STUDIED_NOTE]
    if learner.attention is not None:
        found += [ATTENTION_NOTE, GRADIENTS_NOTE]
    return [*found, *([PARTNERS_NOTE] if partners else []), NEAR_NOTE]


def _known(model: SavedModel) -> KnownRNAs:
    if model.known is None:
        raise CheckpointError("the model does not say which RNAs it knows")
    return model.known
