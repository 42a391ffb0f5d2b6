"""Tokens of long RNAs: as a pretrained transformer of transcripts reads them, and descriptors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fusion.tokens.names import SEQUENCE, TokenName
from fusion.tokens.table import BuildSettings, Token, TokenKind, make_token
from mirnagraph.networks.build import circular_rnas
from mirnagraph.networks.network import NetworkSet
from seqtower.encoders.descriptors import descriptors
from seqtower.encoders.tis_summary import transcript_summary

LEAST = 200
"""Nucleotides from which an RNA is long; hairpins of miRNAs are shorter, and have no token."""

Compute = Callable[[list[str], list[bool]], np.ndarray]
"""Numbers of sequences, of which some are circles: shape (n, width)."""


def _long_rnas(networks: NetworkSet, _name: TokenName) -> list[str]:
    """Ids of the long RNAs."""
    rnas = networks.dataset.rnas
    if SEQUENCE not in rnas.columns:
        return []
    lengths = rnas[SEQUENCE].fillna("").astype(str).str.len()
    return [str(rna) for rna in rnas.index[lengths >= LEAST]]


def _of_long_rnas(compute: Compute) -> TokenKind:
    """Kind of a token that only long RNAs have."""

    def build(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
        rnas = networks.dataset.rnas
        is_long = rnas.index.isin(_long_rnas(networks, name))
        sequences = rnas.loc[is_long, SEQUENCE].astype(str).tolist()
        of_long = compute(sequences, np.array(circular_rnas(networks.dataset))[is_long].tolist())
        values = np.zeros((len(rnas), of_long.shape[1]), dtype=np.float32)
        values[is_long] = of_long
        return make_token(str(name), values, is_long)

    return TokenKind(
        build,
        modality=SEQUENCE,
        reads=_long_rnas,
        needs_reads=True,
        needs=f"RNAs of {LEAST} nt or more",
    )


transcript = _of_long_rnas(lambda sequences, _circular: transcript_summary(sequences))

long_descriptors = _of_long_rnas(
    lambda sequences, circular: descriptors(sequences, circular=circular)
)
