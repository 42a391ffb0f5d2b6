"""The tower that the settings name."""

from __future__ import annotations

from seqtower.config import SeqConfig
from seqtower.towers.base import Tower
from seqtower.towers.deeplocrna import DeepLocRNA
from seqtower.towers.el_rmlocnet import ELRMLocNet
from seqtower.towers.rnaloc_lm import RNALocLM
from seqtower.towers.rnatracker import RNATracker


def make_tower(config: SeqConfig, channels: int, n_labels: int, n_types: int = 0) -> Tower:
    """A fresh tower; its random start comes from torch's current generator.

    Args:
        channels: of the encoder.
        n_types: how many types of RNAs it is told; 0 for a tower that is told none.
    """
    tower = _bare(config, channels, n_labels)
    if n_types:
        tower.add_tags(n_types, config.type_width, n_labels)
    return tower


def _bare(config: SeqConfig, channels: int, n_labels: int) -> Tower:
    if config.tower == "deeplocrna":
        return DeepLocRNA(config.deeplocrna, channels, n_labels)
    if config.tower == "el-rmlocnet":
        return ELRMLocNet(config.el_rmlocnet, channels, n_labels)
    if config.tower == "rnaloc-lm":
        return RNALocLM(config.rnaloc_lm, channels, n_labels)
    return RNATracker(config.rnatracker, channels, n_labels)
