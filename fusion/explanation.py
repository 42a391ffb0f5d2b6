"""What an explanation holds: the answer for one RNA, and per compartment what it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from fusion.explain_answer import Modality
from fusion.explain_carriers import Neighbour, Partner
from fusion.explain_sequence import SequenceReasons
from fusion.explain_tokens import PartSum, TokenShare


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
