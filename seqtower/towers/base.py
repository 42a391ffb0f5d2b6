"""Sequence towers: their interface, registry and settings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from mirnagraph.config import settings_from
from mirnagraph.errors import ConfigError
from mirnagraph.registry import Registry


class Tower(nn.Module):
    """Network over encoded RNAs of any length; an entry of `TOWERS` is a subclass.

    A subclass is built as ``tower(settings, channels, n_labels)`` with settings of its `Config`,
    sets `output_dim` and `head`, and implements `read`.

    Attributes:
        Config: frozen dataclass of its settings.
        output_dim: width of the embedding.
        head: from the embedding to one logit per compartment.
        feature_dim: width of `features`; 0 for a tower without.
        feature_parts: names of the layers that compute `features`, which pre-training fits.
        feature_settings: names of the settings that decide the shapes of these layers.
        reads_whole: the tower also reads numbers of whole RNAs (see `seqtower.encoders.whole`). It
            is then built with their widths as fourth argument, and its `read` takes them third.
        tags: learned vector of each RNA type with its part of the last layer; None for a tower that
            is not conditioned on the RNA type.
    """

    Config: ClassVar[type[Any]]
    output_dim: int
    feature_dim: int = 0
    feature_parts: tuple[str, ...] = ()
    feature_settings: tuple[str, ...] = ()
    reads_whole: ClassVar[bool] = False
    head: nn.Module
    tags: nn.Module | None

    def __init__(self) -> None:
        super().__init__()
        self.tags = None

    def add_tags(self, n_types: int, width: int, n_labels: int) -> None:
        """Condition the logits on the RNA type by a learned vector of each type.

        The last layer is linear, so a linear map of the vector is added to the logits. Vectors
        start at 0: a type without training RNAs changes no logit.

        Source: DeepLocRNA, section 2.3: "identity tags with four dimensions within the fully
        connected layer".
        """
        tags = nn.Embedding(n_types, width)
        nn.init.zeros_(tags.weight)
        self.tags = nn.Sequential(tags, nn.Linear(width, n_labels, bias=False))

    def last_layer(self) -> nn.Linear:
        """Return the last linear layer of the head."""
        return [layer for layer in self.head.modules() if isinstance(layer, nn.Linear)][-1]

    def start_at(self, logits: torch.Tensor) -> None:
        """Set the bias of the last linear layer, where it has one, to `logits` (n_labels,)."""
        last = self.last_layer()
        if last.bias is not None:
            with torch.no_grad():
                last.bias.copy_(logits)

    @abstractmethod
    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute embedding and attention.

        Args:
            inputs: encoded RNAs, float32, shape (n, width, channels), 0 at padding.
            mask: True at positions of an RNA, shape (n, width).

        Returns:
            Embedding, shape (n, output_dim), and attention weights, shape (n, heads, steps).
        """

    def features(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Compute values per nucleotide, before any pooling: shape (n, width, feature_dim).

        Raises:
            ConfigError: the tower has none.
        """
        raise ConfigError(
            f"the tower {type(self).__name__} has no values per nucleotide to pre-train: it pools "
            "too early, or reads k-mers; use deeplocrna"
        )

    def encode(
        self, inputs: torch.Tensor, mask: torch.Tensor, numbers: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the embedding: shape (n, output_dim); arguments as of `forward`."""
        return self._read(inputs, mask, numbers)[0]

    def _read(
        self, inputs: torch.Tensor, mask: torch.Tensor, numbers: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Call `read`, with numbers where the tower reads them."""
        if not self.reads_whole:
            if numbers is not None:
                raise ConfigError("the tower reads no numbers of whole RNAs and takes none")
            return self.read(inputs, mask)
        read: Any = self.read
        embedding, weights = read(inputs, mask, numbers)
        return embedding, weights

    def attention(
        self, inputs: torch.Tensor, mask: torch.Tensor, numbers: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute attention over positions: shape (n, heads, width), sums to 1 over an RNA.

        The weight of a step is shared evenly by the positions that it pools.
        """
        weights = self._read(inputs, mask, numbers)[1]
        width = mask.shape[1]
        steps = weights.shape[-1]
        if steps == width:
            return weights
        window = -(-width // steps)
        spread = weights.repeat_interleave(window, dim=-1)[..., :width] * mask.unsqueeze(1)
        return spread / spread.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(spread.dtype).tiny)

    def forward(
        self,
        inputs: torch.Tensor,
        mask: torch.Tensor,
        types: torch.Tensor | None = None,
        numbers: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute logits: shape (n, n_labels).

        Args:
            inputs: see `read`.
            mask: see `read`.
            types: number of each RNA's type in the model's vocabulary, int64, shape (n,); needed
                by a tower with tags, and by no other.
            numbers: of whole RNAs, float32, shape (n, sum of widths); needed by a tower that reads
                them, and by no other.

        Raises:
            ConfigError: types or numbers for a tower that takes none, or none for one that needs
                them.
        """
        return self._with_tags(self.head(self.encode(inputs, mask, numbers)), types)

    def _with_tags(self, logits: torch.Tensor, types: torch.Tensor | None) -> torch.Tensor:
        """Add what the RNA types contribute to logits (…, n, n_labels); errors of `forward`."""
        if self.tags is None:
            if types is not None:
                raise ConfigError("the tower is not conditioned on RNA types and takes none")
            return logits
        if types is None:
            raise ConfigError("the tower was trained with RNA types and needs them")
        return logits + self.tags(types)

    def member_logits(
        self,
        inputs: torch.Tensor,
        mask: torch.Tensor,
        types: torch.Tensor | None = None,
        numbers: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the logits of each member of an ensemble, which have losses of their own.

        Arguments and errors as of `forward`, which is the mean over members.

        Returns:
            Shape (n_members, n, n_labels); one member for most towers.
        """
        return self(inputs, mask, types, numbers).unsqueeze(0)


TOWERS: Registry[type[Tower]] = Registry(
    "tower",
    "mirnagraph.towers",
    {
        "cnn": "seqtower.towers.cnn:Cnn",
        "rnatracker": "seqtower.towers.rnatracker:RNATracker",
        "deeplocrna": "seqtower.towers.deeplocrna:DeepLocRNA",
        "el-rmlocnet": "seqtower.towers.el_rmlocnet:ELRMLocNet",
        "rnaloc-lm": "seqtower.towers.rnaloc_lm:RNALocLM",
        "long": "seqtower.towers.long:Long",
    },
)


@dataclass(frozen=True)
class TowerConfig:
    """A tower with its settings.

    Attributes:
        name: entry of `TOWERS`.
        settings: of the type `Config` of the entry; also given as plain values or None (defaults).
    """

    name: str = "rnatracker"
    settings: Any = None

    def __post_init__(self) -> None:
        kind = TOWERS[self.name].Config
        object.__setattr__(self, "settings", settings_from(kind, self.settings, "tower.settings"))


def make_tower(
    name: str,
    settings: Any,
    channels: int,
    n_labels: int,
    n_types: int = 0,
    *,
    type_width: int = 4,
    whole: Sequence[int] = (),
) -> Tower:
    """Build an untrained tower; its weights are drawn from torch's current generator.

    Args:
        name: entry of `TOWERS`.
        settings: of the type `Config` of the entry.
        channels: values per position of its encoder.
        n_labels: number of compartments.
        n_types: number of RNA types that it is conditioned on; 0 for none.
        type_width: width of the learned vector of an RNA type.
        whole: columns of each block of numbers of whole RNAs; empty for none.

    Raises:
        ConfigError: numbers of whole RNAs for a tower that reads none.
    """
    entry: Any = TOWERS[name]
    if whole and not entry.reads_whole:
        raise ConfigError(f"the tower {name!r} reads no numbers of whole RNAs; omit 'whole.blocks'")
    widths = (tuple(whole),) if entry.reads_whole else ()
    tower = entry(settings, channels, n_labels, *widths)
    if n_types:
        tower.add_tags(n_types, type_width, n_labels)
    return tower
