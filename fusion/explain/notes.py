"""Notes on how to read an explanation, and on what it leaves out."""

from __future__ import annotations

from collections.abc import Sequence

from fusion.explain.occlusion import WELL_STUDIED
from fusion.explain.sequence import SequenceScan
from fusion.explain.towers import VARIES, SourceAttention
from fusion.models.ensemble import FusionModel
from fusion.models.new_rnas import (
    CHANCE,
    KMER_CHANCE,
    KMER_RELATED,
    RELATED,
    reads_sequence_alone,
)
from fusion.models.towers_training import TrainedFusion

ATTENTION_NOTE = (
    "Attention is not attribution: a weight tells where the model looks, not whether the token "
    "changes the prediction. The gradients and the changes without each modality tell that."
)

GRADIENTS_NOTE = (
    "Integrated gradients start from the average training RNA that has the same tokens and sum to "
    "the change of the attention part's logit; the token 'trees' is the logit of the extra trees. "
    "Contributions to trees follow the decision paths (Saabas) and sum exactly to their prediction."
)

EFFECT_NOTE = (
    "Effect: probability with all sources minus that without it; associations, no causes. "
    "More: --full"
)

OCCLUSION_NOTE = (
    "Effect of a source: probability with all sources minus that without this one; above 0 it "
    "speaks for the compartment. Without a source or modality: its tokens are masked for all "
    "parts, and the whole model predicts again. Of two modalities with the same information, each "
    "looks dispensable; sources that hold all kinds of targets or diseases do less so."
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

NO_PARTNERS = "No partners, and neighbours by sequence alone"

PARTNERS_NOTE = (
    "Partners are counted among training RNAs and are associations, not causes. RNAs that share a "
    "partner are better studied than most and have more annotations of every kind."
)


NUMBERS_NOTE = (
    "Column 'with it': the neural part's logit with the token minus without it. Column 'numbers': "
    "integrated gradients of the encoded numbers, from the average training RNA that has the same "
    "tokens; relations, partners and nucleotides stay as they are, and have no gradients. "
    "Contributions to trees follow the decision paths (Saabas) and sum exactly to their prediction."
)

GRAPH_NOTE = (
    "The graph tower reads labels of the most similar training RNAs: 'share' is the part of them "
    "that is annotated in the compartment, weighted by attention (mean over heads), and the "
    "percentages are the weights of single RNAs. A head's strength is the exponent of the "
    "similarity: 0 is the plain mean, a larger one reads fewer, nearer RNAs. For partners: mean "
    "log ratio of the partners' share to the base rate; a larger strength favours rare partners."
)

KERNEL_RNAS_NOTE = (
    "The kernel model's logit is a sum over training RNAs: a fitted weight times the likeness (0 "
    "to 1) above the mean. Of RNAs more like than the mean, annotated ones support a compartment "
    "and others oppose it; RNAs that other ones explain badly weigh most."
)


def attention_notes(attention: Sequence[SourceAttention]) -> list[str]:
    """Note on how far the attention to sources differs; none for another model."""
    if not attention:
        return []
    rnas = [of.between_rnas for of in attention]
    queries = [of.between_queries for of in attention]
    text = (
        "Attention to sources, SD relative to the mean: between training RNAs "
        f"{100 * min(rnas):.0f} to {100 * max(rnas):.0f} %, between queries "
        f"{100 * min(queries):.0f} to {100 * max(queries):.0f} %."
    )
    n_shown = sum(value >= VARIES for value in rnas)
    if n_shown:
        shown = f"{n_shown} of {len(rnas)} sources, where it differs between RNAs by"
        return [f"{text} The weight is shown for {shown} {100 * VARIES:.0f} % or more."]
    return [f"{text} It hardly differs between RNAs, so that no weight is shown."]


def training_notes(
    is_trained: bool, is_out_of_bag: bool, is_tested: bool, *, has_towers: bool = False
) -> list[str]:
    """Notes on how far the explained model depends on the RNA's own label.

    Args:
        is_trained: whether the model was trained on the RNA.
        is_out_of_bag: whether its extra trees are the out-of-bag ones.
        is_tested: whether the RNA has an out-of-fold prediction.
        has_towers: whether it has a graph tower or a kernel model, which then do not read the
            label.
    """
    if not is_trained:
        return []
    trees = "with all of its extra trees"
    if is_out_of_bag:
        trees = "without the extra trees that have this RNA in their bootstrap sample"
    if has_towers:
        trees += " and with its label masked in graph tower and kernel model"
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
        is_fusion = isinstance(fusion_model.attention, TrainedFusion)
        notes += [ATTENTION_NOTE, NUMBERS_NOTE if is_fusion else GRADIENTS_NOTE]
        if is_fusion:
            notes.append(GRAPH_NOTE)
    if fusion_model.kernel is not None:
        notes.append(KERNEL_RNAS_NOTE)
    if has_partners:
        notes.append(PARTNERS_NOTE)
    notes.append(KMER_NOTE if has_kmers else SIMILARITY_NOTE)
    return notes
