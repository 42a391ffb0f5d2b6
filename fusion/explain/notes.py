"""Notes on how to read an explanation, and on what it leaves out."""

from __future__ import annotations

from fusion.explain.occlusion import WELL_STUDIED
from fusion.explain.sequence import SequenceScan
from fusion.models.ensemble import FusionModel
from fusion.models.new_rnas import (
    CHANCE,
    KMER_CHANCE,
    KMER_RELATED,
    RELATED,
    reads_sequence_alone,
)

ATTENTION_NOTE = (
    "Attention is not attribution: a weight tells where the model looks, not whether the token "
    "changes the prediction. The gradients and the changes without each modality tell that."
)

GRADIENTS_NOTE = (
    "Integrated gradients start from the average training RNA that has the same tokens and sum to "
    "the change of the attention part's logit; the token 'trees' is the logit of the extra trees. "
    "Contributions to trees follow the decision paths (Saabas) and sum exactly to their prediction."
)

OCCLUSION_NOTE = (
    "Without a modality: its tokens are masked for trees and attention, and the whole model "
    "predicts again. Of two modalities with the same information, each looks dispensable."
)

STUDIED_NOTE = (
    f"Numbers of partners and of similar RNAs are a modality of their own, '{WELL_STUDIED}': they "
    "stay when the partners are masked."
)

SIMILARITY_NOTE = (
    f"Sequences of two unrelated hairpins reach a similarity of {CHANCE} by chance, and rarely "
    f"{RELATED}."
)

KMER_NOTE = (
    "Similarity of sequences is that of their k-mers: two unrelated RNAs reach "
    f"{KMER_CHANCE} by chance, and rarely {KMER_RELATED}."
)

COLD_START_NOTE = (
    "The sequence part explains the cold-start model, which reads no partners; the RNA itself is "
    "masked among its reference RNAs."
)

TYPE_NOTE = (
    "The sequence part explains the same model on the sequence and its type alone, without the "
    "networks."
)

PARTNERS_NOTE = (
    "Partners are counted among training RNAs and are associations, not causes. RNAs that share a "
    "partner are better studied than most and have more annotations of every kind."
)


def training_notes(is_trained: bool, is_out_of_bag: bool, is_tested: bool) -> list[str]:
    """Notes on how far the explained model depends on the RNA's own label.

    Args:
        is_trained: whether the model was trained on the RNA.
        is_out_of_bag: whether its extra trees are the out-of-bag ones.
        is_tested: whether the RNA has an out-of-fold prediction.
    """
    if not is_trained:
        return []
    trees = "with all of its extra trees"
    if is_out_of_bag:
        trees = "without the extra trees that have this RNA in their bootstrap sample"
    notes = [
        f"Explained is the final model, {trees}. It was trained on this RNA's label, so that its "
        "probability is optimistic."
    ]
    if is_tested:
        notes.append(
            "The out-of-fold probability is of a model that was not trained on this RNA, and is "
            "the one that `mirnagraph predict` reports."
        )
    return notes


def sequence_note(sequence: str | None, scan: SequenceScan | None, is_network_rna: bool) -> str:
    """What the sequence part explains, or why it is left out."""
    if sequence is None:
        return "The sequence of this RNA is unknown."
    if scan is None:
        return "The model has no cold-start model: the sequence part is left out."
    return COLD_START_NOTE if is_network_rna else TYPE_NOTE


def reading_notes(
    fusion_model: FusionModel, *, has_partners: bool, has_kmers: bool = False
) -> list[str]:
    """Notes on the parts of an explanation that a model has.

    Args:
        fusion_model: the explained model.
        has_partners: whether partners are shown.
        has_kmers: whether the similarity of sequences is that of their k-mers.
    """
    notes = [OCCLUSION_NOTE]
    if not reads_sequence_alone(fusion_model.config):
        notes.append(STUDIED_NOTE)
    if fusion_model.attention is not None:
        notes += [ATTENTION_NOTE, GRADIENTS_NOTE]
    if has_partners:
        notes.append(PARTNERS_NOTE)
    notes.append(KMER_NOTE if has_kmers else SIMILARITY_NOTE)
    return notes
