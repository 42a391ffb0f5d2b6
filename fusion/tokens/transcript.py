"""Token ``transcript``: long RNAs as a pretrained transformer of transcripts reads them."""

from __future__ import annotations

import numpy as np

from fusion.tokens.names import SEQUENCE, TokenName
from fusion.tokens.table import BuildSettings, Token, TokenKind, make_token
from mirnagraph.networks.network import NetworkSet
from seqtower.encoders.tis_summary import WIDTH, transcript_summary

LEAST = 200
"""Nucleotides from which an RNA is long; hairpins of miRNAs are shorter, and have no token."""


def _long_rnas(networks: NetworkSet, _name: TokenName) -> list[str]:
    """Ids of the long RNAs."""
    rnas = networks.dataset.rnas
    if SEQUENCE not in rnas.columns:
        return []
    lengths = rnas[SEQUENCE].fillna("").astype(str).str.len()
    return [str(rna) for rna in rnas.index[lengths >= LEAST]]


def _build(networks: NetworkSet, name: TokenName, _settings: BuildSettings) -> Token:
    rnas = networks.dataset.rnas
    is_long = rnas.index.isin(_long_rnas(networks, name))
    values = np.zeros((len(rnas), WIDTH), dtype=np.float32)
    sequences = rnas.loc[is_long, SEQUENCE].astype(str).tolist()
    values[is_long] = transcript_summary(sequences)
    return make_token(str(name), values, is_long)


transcript = TokenKind(
    _build,
    modality=SEQUENCE,
    reads=_long_rnas,
    needs_reads=True,
    needs=f"RNAs of {LEAST} nt or more",
)
