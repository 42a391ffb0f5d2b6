"""What every tower has: an embedding of fixed width, attention on request, a head with one output per compartment, and tags of RNA types."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from mirnagraph.errors import ConfigError


class Tower(nn.Module):
    """A network over encoded RNAs.

    Attributes:
        output_dim: width of the embedding.
        head: the last layer, from the embedding to one logit per compartment.
        feature_dim: width of `features`; 0 where there are none.
        feature_parts: names of the layers that `features` reads, which pre-training fits.
        feature_settings: names of the settings that decide their shapes.
        tags: a learned vector per type of RNA and the part of the last layer that reads it; None for a tower that is not told types.
    """

    output_dim: int
    feature_dim: int = 0
    feature_parts: tuple[str, ...] = ()
    feature_settings: tuple[str, ...] = ()
    head: nn.Module
    tags: nn.Module | None

    def __init__(self) -> None:
        super().__init__()
        self.tags = None

    def add_tags(self, n_types: int, width: int, n_labels: int) -> None:
        """Let the last layer read a learned vector of an RNA's type beside the embedding.

        The last layer is linear, so that its share of a longer embedding is a map of its own whose result is added. Vectors start at 0:
        a type that no training RNA has says nothing.

        Source: DeepLocRNA, section 2.3: "identity tags with four dimensions within the fully connected layer".
        """
        tags = nn.Embedding(n_types, width)
        nn.init.zeros_(tags.weight)
        self.tags = nn.Sequential(tags, nn.Linear(width, n_labels, bias=False))

    def start_at(self, logits: torch.Tensor) -> None:
        """Set the bias of the last layer: shape (n_labels,). Leaves a last layer without a bias as it is."""
        last = [layer for layer in self.head.modules() if isinstance(layer, nn.Linear)][-1]
        if last.bias is not None:
            with torch.no_grad():
                last.bias.copy_(logits)

    @abstractmethod
    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding, shape (n, output_dim), and attention weights, shape (n, heads, steps), of inputs (n, width, channels)."""

    def features(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Values per nucleotide, before any pooling, from which signals or hidden letters can be predicted: shape (n, width, feature_dim).

        Raises:
            ConfigError: a tower that has none.
        """
        raise ConfigError(
            f"the tower {type(self).__name__} has no values per nucleotide to pre-train: it pools too early, or reads words; use deeplocrna"
        )

    def encode(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Embedding: shape (n, output_dim)."""
        return self.read(inputs, mask)[0]

    def attention(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Attention over positions: shape (n, heads, width), each step's weight shared evenly by the positions it pools; sums to 1 over an RNA."""
        weights = self.read(inputs, mask)[1]
        width = mask.shape[1]
        steps = weights.shape[-1]
        if steps == width:
            return weights
        window = -(-width // steps)
        spread = weights.repeat_interleave(window, dim=-1)[..., :width] * mask.unsqueeze(1)
        return spread / spread.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(spread.dtype).tiny)

    def forward(
        self, inputs: torch.Tensor, mask: torch.Tensor, types: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits: shape (n, n_labels).

        Args:
            types: number of each RNA's type in the model's vocabulary: int64, shape (n,); needed by a tower with tags, and by no other.

        Raises:
            ConfigError: types where there are no tags, or none where there are.
        """
        logits: torch.Tensor = self.head(self.encode(inputs, mask))
        if (self.tags is None) != (types is None):
            raise ConfigError(
                "the tower was trained with types of RNAs and needs them"
                if types is None
                else "the tower knows no types of RNAs"
            )
        return logits if self.tags is None else logits + self.tags(types)
