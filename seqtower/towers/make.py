"""The tower that the settings name."""

from __future__ import annotations

from seqtower.settings import SeqConfig
from seqtower.towers.base import Tower
from seqtower.towers.deeplocrna import DeepLocRNA
from seqtower.towers.el_rmlocnet import ELRMLocNet
from seqtower.towers.rnaloc_lm import RNALocLM
from seqtower.towers.rnatracker import RNATracker


def make_tower(config: SeqConfig, channels: int, n_labels: int) -> Tower:
    """A fresh tower; its random start comes from torch's current generator.

    Args:
        channels: of the encoder.
    """
    if config.tower == "deeplocrna":
        return DeepLocRNA(config.deeplocrna, channels, n_labels)
    if config.tower == "el-rmlocnet":
        return ELRMLocNet(config.el_rmlocnet, channels, n_labels)
    if config.tower == "rnaloc-lm":
        return RNALocLM(config.rnaloc_lm, channels, n_labels)
    return RNATracker(config.rnatracker, channels, n_labels)
