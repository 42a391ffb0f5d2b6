"""Settings of the sequence tower, and the named presets they come from."""

from __future__ import annotations

from dataclasses import dataclass, field

from mirnagraph.config import require
from seqtower.encoders.geneticseq2vec import GeneticSeq2VecConfig
from seqtower.encoders.language_model import LanguageModelConfig
from seqtower.encoders.structure import StructureConfig

ONE_HOT = "one-hot"
WORDS = "geneticseq2vec"
STRUCTURE = "structure"
LANGUAGE_MODEL = "language-model"

ENCODERS = (ONE_HOT, WORDS, STRUCTURE, LANGUAGE_MODEL)


@dataclass(frozen=True)
class EncoderConfig:
    """What a tower reads.

    Attributes:
        kind: ``"one-hot"`` for letters, ``"geneticseq2vec"`` for vectors of words, ``"structure"`` for letters and secondary structure (needs the
            extra ``structure``), ``"language-model"`` for embeddings of a pretrained model (needs the extra ``lm``).
        words: settings of vectors of words.
        structure: settings of secondary structure.
        language_model: settings of the pretrained model.
    """

    kind: str = ONE_HOT
    words: GeneticSeq2VecConfig = field(default_factory=GeneticSeq2VecConfig)
    structure: StructureConfig = field(default_factory=StructureConfig)
    language_model: LanguageModelConfig = field(default_factory=LanguageModelConfig)

    def __post_init__(self) -> None:
        require(self.kind in ENCODERS, "kind", self.kind, f"one of {', '.join(ENCODERS)}")
